//! What the server is told: flags, the environment (`K8SHOST_…`) and a TOML file, in that order of
//! weight.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use k8shost_store::tikv;
use k8shost_types::addresses::ServiceNetwork;
use serde::Deserialize;

/// The port that kube-apiserver listens on, and so do we.
const DEFAULT_PORT: u16 = 6443;

/// Settings as given, in flags, the environment or the file: everything may be absent.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Address and port to listen on; port 0 picks a free one. Several, separated by commas.
    /// Only loopback addresses: there is no authentication. [default: 127.0.0.1:6443, and
    /// [::1]:6443 where there is IPv6]
    #[arg(
        long,
        env = "K8SHOST_LISTEN",
        value_delimiter = ',',
        value_name = "ADDR:PORT"
    )]
    pub listen: Option<Vec<SocketAddr>>,

    /// The certificate that it shows, and those that lead to its authority, in PEM: with it, the server
    /// talks TLS. Read again when it changes.
    #[arg(long, env = "K8SHOST_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the certificate, in PEM.
    #[arg(long, env = "K8SHOST_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The folder that the embedded store keeps its data in. [default: ./data]
    #[arg(long, env = "K8SHOST_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Where state is kept: `embedded` (in the data folder), `memory` (gone when the server stops), or a
    /// TiKV cluster: `tikv://pd1:2379,pd2:2379[?prefix=…&ca=…&cert=…&key=…]`. [default: embedded, or
    /// the TiKV cluster of --pd-addr]
    #[arg(long, env = "K8SHOST_STORE", value_name = "STORE")]
    pub store: Option<StoreKind>,

    /// The PD endpoints of the TiKV cluster that state is kept in, where --store is not given. Also
    /// FLAREDB_PD_ADDR in the environment.
    #[arg(long, env = "K8SHOST_PD_ADDR", value_name = "HOST:PORT,…")]
    pub pd_addr: Option<PdEndpoints>,

    /// The same under another name, for the environment only.
    #[arg(long, env = "FLAREDB_PD_ADDR", value_name = "HOST:PORT,…", hide = true)]
    #[serde(skip)]
    pub flaredb_pd_addr: Option<PdEndpoints>,

    /// The safety window of a TiKV cluster. It is for tests: with other windows at other servers of the
    /// same cluster, or with a short one, state can be lost.
    #[arg(
        long,
        env = "K8SHOST_SAFETY_WINDOW",
        value_name = "DURATION",
        hide = true
    )]
    pub safety_window: Option<Span>,

    /// Where servers over the same TiKV cluster reach this one, to exchange hints. [default: the first
    /// address that it listens on]
    #[arg(long, env = "K8SHOST_PEER_ADDRESS", value_name = "HOST:PORT")]
    pub peer_address: Option<PeerAddress>,

    /// Ranges that cluster IPs are taken from, in each project: one, or an IPv4 and an IPv6 range
    /// for dual stack; the first is the primary family. [default: 10.96.0.0/16]
    #[arg(
        long,
        env = "K8SHOST_SERVICE_CIDRS",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub service_cidrs: Option<Vec<IpNet>>,

    /// Ports that node ports are taken from. [default: 30000-32767]
    #[arg(long, env = "K8SHOST_NODE_PORTS", value_name = "FIRST-LAST")]
    pub node_ports: Option<PortRange>,

    /// How far back a watch can resume and a list can continue: `5m`, `90s`. [default: 5m]
    #[arg(long, env = "K8SHOST_RETENTION", value_name = "DURATION")]
    pub retention: Option<Span>,

    /// How long a tenant that nobody uses stays in memory after its log is clean. [default: 1m]
    #[arg(long, env = "K8SHOST_IDLE_AFTER", value_name = "DURATION")]
    pub idle_after: Option<Span>,

    /// Free disk space below which writes are refused, in MiB. [default: 128]
    #[arg(long, env = "K8SHOST_DISK_RESERVE_MIB", value_name = "MIB")]
    pub disk_reserve_mib: Option<u64>,

    /// How often a watch that asked for bookmarks gets one. [default: 1m]
    #[arg(long, env = "K8SHOST_BOOKMARK_INTERVAL", value_name = "DURATION")]
    pub bookmark_interval: Option<Span>,

    /// How long answers in flight may take once the server was told to stop. [default: 10s]
    #[arg(long, env = "K8SHOST_DRAIN_TIMEOUT", value_name = "DURATION")]
    pub drain_timeout: Option<Span>,

    /// What is logged: a level (error, warn, info, debug, trace) or a filter such as
    /// `info,k8shost_store=debug`. At debug, each request is a line. [default: info]
    #[arg(long, env = "K8SHOST_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    /// How it is logged: `text`, `json`, or `auto` (text on a terminal, else JSON). [default: auto]
    #[arg(long, env = "K8SHOST_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// A settings file says it as the command line does.
macro_rules! from_text {
    ($($type:ident),+) => {$(
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )+};
}

from_text!(StoreKind, PdEndpoints, PeerAddress, Span, PortRange);

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreKind {
    /// In the data folder.
    Embedded,
    /// In memory only.
    Memory,
    /// In a TiKV cluster.
    Tikv(tikv::Options),
}

impl FromStr for StoreKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "memory" => Ok(Self::Memory),
            _ if text.starts_with("tikv:") => text
                .parse()
                .map(Self::Tikv)
                .map_err(|error: tikv::OptionsError| error.to_string()),
            _ => Err(format!(
                "'{text}' is no store: there are embedded, memory, and tikv://pd1:2379,pd2:2379"
            )),
        }
    }
}

/// PD endpoints, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PdEndpoints(Vec<String>);

impl FromStr for PdEndpoints {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let endpoints = tikv::Options::endpoints(text);
        endpoints.map(Self).map_err(|error| error.to_string())
    }
}

/// Where peers reach a server: a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PeerAddress(String);

impl FromStr for PeerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let authority: Option<http::uri::Authority> = text.parse().ok();
        authority
            .filter(|a| !a.host().is_empty() && a.port_u16().is_some_and(|port| port > 0))
            .filter(|a| !a.as_str().contains('@'))
            .map(|a| Self(a.to_string()))
            .ok_or_else(|| format!("'{text}' is not an address that peers reach: write host:port"))
    }
}

/// Which store a command works on.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// The folder of the embedded store. The server must be stopped.
    #[arg(
        long,
        env = "K8SHOST_DATA_DIR",
        default_value = "data",
        value_name = "DIR"
    )]
    pub data_dir: PathBuf,

    /// The store, as for the server: a TiKV cluster may be in use meanwhile. [default: embedded]
    #[arg(long, env = "K8SHOST_STORE", value_name = "STORE")]
    store: Option<StoreKind>,

    /// The PD endpoints of the TiKV cluster, where --store is not given.
    #[arg(long, env = "K8SHOST_PD_ADDR", value_name = "HOST:PORT,…")]
    pd_addr: Option<PdEndpoints>,

    /// The same under another name, for the environment only.
    #[arg(long, env = "FLAREDB_PD_ADDR", value_name = "HOST:PORT,…", hide = true)]
    flaredb_pd_addr: Option<PdEndpoints>,
}

impl StoreArgs {
    /// The store that is meant.
    pub fn store(&self) -> StoreKind {
        let pd = self.pd_addr.clone().or(self.flaredb_pd_addr.clone());
        store(self.store.clone(), pd)
    }
}

/// The store that is named, else the cluster whose PD is.
fn store(named: Option<StoreKind>, pd: Option<PdEndpoints>) -> StoreKind {
    named.unwrap_or_else(|| match pd {
        Some(pd) => StoreKind::Tikv(tikv::Options::new(pd.0)),
        None => StoreKind::Embedded,
    })
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A length of time as people write it: `250ms`, `90s`, `5m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a duration: write it as 250ms, 90s, 5m or 2h");
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let millis = match &text[digits..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        let millis = number
            .checked_mul(millis)
            .filter(|m| *m > 0)
            .ok_or_else(wrong)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

/// A range of ports: `30000-32767`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PortRange(pub RangeInclusive<u16>);

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not a range of ports: write it as 30000-32767");
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let first: u16 = first.parse().map_err(|_| wrong())?;
        let last: u16 = last.parse().map_err(|_| wrong())?;
        if first == 0 || first > last {
            return Err(wrong());
        }
        Ok(Self(first..=last))
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file has a wrong key or value.
    #[error("the configuration file {path} is wrong: {message}")]
    Parse {
        /// The file.
        path: String,
        /// Where and why.
        message: String,
    },
    /// Not a loopback address.
    #[error(
        "--listen {0}: not a loopback address; without authentication the server listens on loopback only (127.0.0.1 or [::1])"
    )]
    NotLoopback(SocketAddr),
    /// A certificate without its key, or a key without its certificate.
    #[error("--tls-cert and --tls-key go together: {0} is missing")]
    HalfTls(&'static str),
    /// Ranges that can't serve.
    #[error("--service-cidrs, --node-ports: {0}")]
    Network(String),
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those that lead to its authority.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Settings with everything decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, and whether a failure to is an error (it is not for the default IPv6 address).
    pub listen: Vec<(SocketAddr, bool)>,
    /// The files for TLS; `None`: plain text.
    pub tls: Option<TlsFiles>,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Where state is kept.
    pub store: StoreKind,
    /// Where peers reach this server, if it is not where it listens.
    pub peer_address: Option<String>,
    /// How long a server counts as alive after its last sign of life, where several share a store.
    pub lease: Duration,
    /// How often watched tenants are looked at for commits of other servers that no hint has told of.
    pub poll_interval: Duration,
    /// Ranges of cluster IPs and node ports.
    pub network: ServiceNetwork,
    /// How far back watches and lists go.
    pub retention: Duration,
    /// When an unused tenant leaves memory.
    pub idle_after: Duration,
    /// Free space that is kept, in bytes.
    pub disk_reserve: u64,
    /// How often bookmarks are sent.
    pub bookmark_interval: Duration,
    /// How long stopping may take.
    pub drain_timeout: Duration,
    /// The log filter.
    pub log: String,
    /// The log format.
    pub log_format: LogFormat,
}

impl Settings {
    /// Reads a TOML file. An unknown key is an error that names it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.display().to_string(),
            source,
        })?;
        toml::from_str(&text).map_err(|e| ConfigError::Parse {
            path: path.display().to_string(),
            message: e.to_string(),
        })
    }

    /// What is set here, else what is set there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            data_dir: self.data_dir.or(other.data_dir),
            store: self.store.or(other.store),
            pd_addr: self.pd_addr.or(other.pd_addr),
            flaredb_pd_addr: self.flaredb_pd_addr.or(other.flaredb_pd_addr),
            safety_window: self.safety_window.or(other.safety_window),
            peer_address: self.peer_address.or(other.peer_address),
            service_cidrs: self.service_cidrs.or(other.service_cidrs),
            node_ports: self.node_ports.or(other.node_ports),
            retention: self.retention.or(other.retention),
            idle_after: self.idle_after.or(other.idle_after),
            disk_reserve_mib: self.disk_reserve_mib.or(other.disk_reserve_mib),
            bookmark_interval: self.bookmark_interval.or(other.bookmark_interval),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
        }
    }

    /// Fills in the defaults and checks what must fit together.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let listen = match self.listen {
            Some(addresses) => addresses.into_iter().map(|a| (a, true)).collect(),
            None => vec![
                (
                    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT),
                    true,
                ),
                (
                    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), DEFAULT_PORT),
                    false,
                ),
            ],
        };
        if let Some((address, _)) = listen.iter().find(|(a, _)| !a.ip().is_loopback()) {
            return Err(ConfigError::NotLoopback(*address));
        }
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            (Some(_), None) => return Err(ConfigError::HalfTls("--tls-key")),
            (None, Some(_)) => return Err(ConfigError::HalfTls("--tls-cert")),
        };
        let mut network = ServiceNetwork::default();
        if let Some(cidrs) = self.service_cidrs {
            network.cidrs = cidrs.iter().map(IpNet::trunc).collect();
        }
        if let Some(ports) = self.node_ports {
            network.node_ports = ports.0;
        }
        network.check().map_err(ConfigError::Network)?;
        let mut store = store(self.store, self.pd_addr.or(self.flaredb_pd_addr));
        if let (StoreKind::Tikv(options), Some(window)) = (&mut store, self.safety_window) {
            options.window = window.0;
        }
        Ok(Config {
            listen,
            tls,
            data_dir: self.data_dir.unwrap_or_else(|| PathBuf::from("data")),
            store,
            peer_address: self.peer_address.map(|address| address.0),
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            network,
            retention: self.retention.map_or(Duration::from_secs(300), |s| s.0),
            idle_after: self.idle_after.map_or(Duration::from_secs(60), |s| s.0),
            disk_reserve: self.disk_reserve_mib.unwrap_or(128).saturating_mul(1 << 20),
            bookmark_interval: self
                .bookmark_interval
                .map_or(Duration::from_secs(60), |s| s.0),
            drain_timeout: self.drain_timeout.map_or(Duration::from_secs(10), |s| s.0),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format.unwrap_or(LogFormat::Auto),
        })
    }
}

#[cfg(test)]
mod tests;
