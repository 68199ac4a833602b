//! Where a cluster is, and how it is talked to: `tikv://pd1:2379,pd2:2379?prefix=…&ca=…&cert=…&key=…`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What a `tikv://` address begins with.
const SCHEME: &str = "tikv://";
/// A prefix may have this many bytes: keys have a limit.
const LONGEST_PREFIX: usize = 256;

/// Where a cluster is, and how it is talked to. It is written and read as a `tikv://` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The PD members, `host:port` each.
    pub endpoints: Vec<String>,
    /// What every key begins with; empty, or it ends in `/`. Keys outside of it are never touched.
    pub prefix: String,
    /// How to talk TLS; in the clear if absent.
    pub tls: Option<Tls>,
    /// `W`, the safety window. It has to be the same for all servers of a cluster.
    pub window: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long a request may take, with all its attempts.
    pub deadline: Duration,
}

/// The PEM files for TLS. The client needs all three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificates of those who sign the servers' certificates.
    pub ca: PathBuf,
    /// Our certificate.
    pub cert: PathBuf,
    /// Our private key.
    pub key: PathBuf,
}

/// What is wrong with a `tikv://` address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// It is another kind of address.
    #[error("'{0}' is no address of a TiKV cluster: write it as tikv://pd1:2379,pd2:2379")]
    Scheme(String),
    /// There is a path.
    #[error("'{0}' follows the PD endpoints: only parameters do, behind a '?'")]
    Path(String),
    /// No PD endpoint is named.
    #[error("no PD endpoint is named: write tikv://pd1:2379,pd2:2379")]
    NoEndpoint,
    /// A PD endpoint is malformed.
    #[error("'{0}' is no PD endpoint: write it as host:port")]
    Endpoint(String),
    /// A PD endpoint is named twice.
    #[error("the PD endpoint {0} is named twice")]
    Twice(String),
    /// A parameter that there is not.
    #[error("there is no parameter '{0}': prefix, ca, cert and key are known")]
    Unknown(String),
    /// A parameter is given twice.
    #[error("the parameter {0} is given twice")]
    Repeated(String),
    /// A value is malformed.
    #[error("the parameter {name} is wrong: {detail}")]
    Value {
        /// The parameter.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// Only some of the files for TLS are named: without all of them the client would not use TLS at all.
    #[error("TLS needs ca, cert and key together; missing: {0}")]
    HalfTls(String),
}

impl Options {
    /// A cluster with these PD members, without TLS or a prefix.
    pub fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            prefix: String::new(),
            tls: None,
            window: Duration::from_secs(300),
            timeout: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
        }
    }

    /// PD endpoints, separated by commas.
    ///
    /// # Errors
    /// One is malformed or named twice, or there is none.
    pub fn endpoints(text: &str) -> Result<Vec<String>, OptionsError> {
        let mut endpoints: Vec<String> = Vec::new();
        for endpoint in text.split(',').map(str::trim) {
            if endpoint.is_empty() && !text.contains(',') {
                return Err(OptionsError::NoEndpoint);
            }
            if !is_endpoint(endpoint) {
                return Err(OptionsError::Endpoint(endpoint.to_owned()));
            }
            if endpoints.iter().any(|other| other == endpoint) {
                return Err(OptionsError::Twice(endpoint.to_owned()));
            }
            endpoints.push(endpoint.to_owned());
        }
        Ok(endpoints)
    }
}

impl FromStr for Options {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| OptionsError::Scheme(text.to_owned()))?;
        let (endpoints, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (endpoints, path) = endpoints.split_once('/').unwrap_or((endpoints, ""));
        if !path.is_empty() {
            return Err(OptionsError::Path(format!("/{path}")));
        }
        let mut options = Self::new(Self::endpoints(endpoints)?);
        let mut files: [(&str, Option<PathBuf>); 3] = [("ca", None), ("cert", None), ("key", None)];
        let mut seen: Vec<&str> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if seen.contains(&name) {
                return Err(OptionsError::Repeated(name.to_owned()));
            }
            seen.push(name);
            let wrong = |detail: &str| OptionsError::Value {
                name: name.to_owned(),
                detail: detail.to_owned(),
            };
            let file = files.iter_mut().find(|(known, _)| *known == name);
            if file.is_none() && name != "prefix" {
                return Err(OptionsError::Unknown(name.to_owned()));
            }
            let value = decode(value).ok_or_else(|| wrong("'%' is followed by two hex digits"))?;
            if value.is_empty() {
                return Err(wrong("it is empty"));
            }
            match file {
                Some((_, file)) => *file = Some(value.into()),
                None => {
                    check_prefix(&value).map_err(wrong)?;
                    options.prefix = value;
                }
            }
        }
        options.tls = match files {
            [(_, None), (_, None), (_, None)] => None,
            [(_, Some(ca)), (_, Some(cert)), (_, Some(key))] => Some(Tls { ca, cert, key }),
            some => {
                let missing = some.iter().filter(|(_, file)| file.is_none());
                let names: Vec<&str> = missing.map(|(name, _)| *name).collect();
                return Err(OptionsError::HalfTls(names.join(", ")));
            }
        };
        Ok(options)
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.endpoints.join(","))?;
        let mut sign = '?';
        let mut parameter = |name: &str, value: &str| {
            write!(f, "{sign}{name}={}", encode(value))?;
            sign = '&';
            Ok(())
        };
        if !self.prefix.is_empty() {
            parameter("prefix", &self.prefix)?;
        }
        if let Some(Tls { ca, cert, key }) = &self.tls {
            for (name, file) in [("ca", ca), ("cert", cert), ("key", key)] {
                parameter(name, &file.to_string_lossy())?;
            }
        }
        Ok(())
    }
}

/// `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port`.
fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let port = port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port > 0);
    let host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let label = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(label)
        }
    };
    host && port
}

fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if prefix.len() > LONGEST_PREFIX {
        return Err("it has more than 256 bytes");
    }
    let Some(names) = prefix.strip_suffix('/') else {
        return Err("it has to end in '/'");
    };
    if names
        .split('/')
        .any(|name| name.is_empty() || !name.bytes().all(plain))
    {
        return Err("it is made of names of letters, digits, '-', '.' and '_', a '/' behind each");
    }
    // Where there is no prefix, the tenants are there.
    if prefix.starts_with("k8s/") {
        return Err("it may not begin with k8s/");
    }
    Ok(())
}

/// Takes `%xx` back.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/~:".contains(&byte);
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match plain(byte) {
            true => encoded.push(byte.into()),
            false => encoded.push_str(&format!("%{byte:02x}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options, String> {
        text.parse()
            .map_err(|error: OptionsError| error.to_string())
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "tikv://pd1:2379",
            "tikv://pd1:2379,pd-2.example.com:2379,[::1]:2379",
            "tikv://10.0.0.1:2379?prefix=staging/a/",
            "tikv://pd:1?prefix=x/&ca=/etc/a%20b.pem&cert=c.pem&key=k.pem",
        ] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        let options = read("tikv://pd:1/?key=k&cert=c&ca=%61%26%3d&").unwrap();
        assert_eq!(options.tls.unwrap().ca, PathBuf::from("a&="));
        assert_eq!(options.window, Duration::from_secs(300));
    }

    #[test]
    fn half_a_tls_configuration_is_refused_by_name() {
        let error = read("tikv://pd:1?ca=a").unwrap_err();
        assert_eq!(
            error,
            "TLS needs ca, cert and key together; missing: cert, key"
        );
        assert!(
            read("tikv://pd:1?cert=a&key=b")
                .unwrap_err()
                .contains("missing: ca")
        );
        assert!(
            read("tikv://pd:1?ca=a&cert=&key=b")
                .unwrap_err()
                .contains("cert is wrong")
        );
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (text, part) in [
            ("pd1:2379", "'pd1:2379' is no address"),
            ("tikv://", "no PD endpoint"),
            ("tikv://?prefix=a/", "no PD endpoint"),
            ("tikv://pd1", "'pd1' is no PD endpoint"),
            ("tikv://pd1:2379,", "'' is no PD endpoint"),
            ("tikv://pd1:0", "pd1:0"),
            ("tikv://pd1:+1", "pd1:+1"),
            ("tikv://pd1:65536", "pd1:65536"),
            ("tikv://http://pd1:2379", "'//pd1:2379' follows"),
            ("tikv://me@pd1:2379", "me@pd1:2379"),
            ("tikv://::1:2379", "::1:2379"),
            ("tikv://pd:1,pd:1", "named twice"),
            ("tikv://pd:1/k8s", "'/k8s' follows"),
            ("tikv://pd:1?window=5m", "no parameter 'window'"),
            ("tikv://pd:1?prefix=a/&prefix=b/", "prefix is given twice"),
            ("tikv://pd:1?prefix=a", "end in '/'"),
            ("tikv://pd:1?prefix=/", "names"),
            ("tikv://pd:1?prefix=a//", "names"),
            ("tikv://pd:1?prefix=a@/", "names"),
            ("tikv://pd:1?prefix=%zz/", "hex digits"),
            ("tikv://pd:1?prefix=k8s/", "k8s/"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
