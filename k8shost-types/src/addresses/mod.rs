//! Cluster IPs and node ports of Services: which a Service holds, and which it is given.
//!
//! Pure: what is in use is asked for, and the caller writes the Service and its claims in one
//! commit. A port number is claimed once for all protocols, as in Kubernetes; a Service may use its
//! own numbers for several.

mod families;
mod ports;
mod search;

use std::{
    fmt::{Display, Write as _},
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
};

use ipnet::IpNet;
use serde_json::Value;

use self::{
    families::is_settled,
    search::{number, usable},
};

use crate::{
    error::{Error, FieldError, Reason},
    field::Path,
    json::{self as tree, get, get_mut, int, list, text},
    meta,
    net::parse_ip,
    service::{
        self, has_cluster_ip, has_health_check, has_node_ports, is_headless, kind_of, node_ports,
        spec_of,
    },
};

/// The addresses and ports that a project's Services are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceNetwork {
    /// One range, or one of each family; the first is that of a Service which asks for none.
    pub cidrs: Vec<IpNet>,
    /// The ports of NodePort and LoadBalancer Services.
    pub node_ports: RangeInclusive<u16>,
}

impl Default for ServiceNetwork {
    fn default() -> Self {
        let v4 = ipnet::Ipv4Net::new(Ipv4Addr::new(10, 96, 0, 0), 16).expect("16 is a prefix");
        Self {
            cidrs: vec![IpNet::V4(v4)],
            node_ports: 30000..=32767,
        }
    }
}

impl ServiceNetwork {
    /// Refuses what no Services can be served from: no range, two of a family, a range too small or,
    /// for IPv6, larger than a /64, no ports.
    pub fn check(&self) -> Result<(), String> {
        match self.cidrs.as_slice() {
            [_] => {}
            [a, b] if family(a) != family(b) => {}
            [_, _] => {
                return Err("the two ranges of cluster IPs must be of different families".into());
            }
            [] => return Err("there must be a range of cluster IPs".into()),
            _ => return Err("there may be at most two ranges of cluster IPs".into()),
        }
        for cidr in &self.cidrs {
            let (shortest, longest) = if family(cidr) == "IPv6" {
                (64, 126)
            } else {
                (8, 30)
            };
            if !(shortest..=longest).contains(&cidr.prefix_len()) {
                return Err(format!(
                    "the range of cluster IPs {cidr} must have a prefix length from {shortest} to {longest}"
                ));
            }
        }
        if self.node_ports.is_empty() || *self.node_ports.start() == 0 {
            return Err("the range of node ports must not be empty, nor begin with 0".into());
        }
        Ok(())
    }

    fn of_family(&self, wanted: &str) -> Option<&IpNet> {
        self.cidrs.iter().find(|cidr| family(cidr) == wanted)
    }

    fn primary(&self) -> &'static str {
        self.cidrs.first().map_or("IPv4", family)
    }
}

fn family(cidr: &IpNet) -> &'static str {
    match cidr {
        IpNet::V4(_) => "IPv4",
        IpNet::V6(_) => "IPv6",
    }
}

fn write_ip_claim(ip: IpAddr, claim: &mut String) {
    write!(claim, "ip/{ip}").expect("writing to a String cannot fail");
}

fn ip_claim(ip: IpAddr) -> String {
    let mut claim = String::new();
    write_ip_claim(ip, &mut claim);
    claim
}

fn write_port_claim(port: impl Display, claim: &mut String) {
    write!(claim, "port/{port}").expect("writing to a String cannot fail");
}

fn port_claim(port: i64) -> String {
    let mut claim = String::new();
    write_port_claim(port, &mut claim);
    claim
}

/// What a Service holds exclusively: `ip/10.96.0.10`, `port/30080`. Each once.
pub fn claims(service: &Value) -> Vec<String> {
    let spec = spec_of(service);
    let mut claims = Vec::new();
    if has_cluster_ip(spec) {
        let ips = list(spec, "clusterIPs").iter().filter_map(Value::as_str);
        claims.extend(ips.filter_map(parse_ip).map(ip_claim));
    }
    if has_node_ports(spec) {
        claims.extend(node_ports(spec).map(port_claim));
    }
    if has_health_check(spec)
        && let Some(port) = int(spec, "healthCheckNodePort").filter(|port| *port != 0)
    {
        claims.push(port_claim(port));
    }
    claims.sort_unstable();
    claims.dedup();
    claims
}

/// Gives a new Service, or a new version of one, the addresses and ports that it needs and has not
/// got, and takes those away that its type does not have. Defaults are put first, as this needs them.
///
/// `in_use` says whether a claim is held, by this Service (as `old`) or by any other;
/// `recently_released` whether it was held a moment ago, and so is better not handed out. `seed`
/// decides where the search begins. A request that cannot be met is Invalid; a range without a free
/// address or port is an Internal error, as in Kubernetes.
pub fn allocate(
    service: &mut Value,
    old: Option<&Value>,
    network: &ServiceNetwork,
    in_use: &dyn Fn(&str) -> bool,
    recently_released: &dyn Fn(&str) -> bool,
    seed: u64,
) -> Result<(), Error> {
    tree::check_size(service)?;
    service::default(service);
    let name = meta::name(service).to_owned();
    let Some(spec) = get_mut(service, "spec") else {
        return Ok(());
    };
    let mut allocator = Allocator {
        network,
        in_use,
        recently_released,
        random: seed,
        own: old.map(claims).unwrap_or_default(),
    };
    let result = match old.map(spec_of) {
        None => allocator.create(spec),
        Some(old) => allocator.update(spec, old),
    };
    result.map_err(|fault| match fault {
        Fault::Fields(fields) => Error::invalid("Service", &name, fields),
        Fault::Internal(message) => Error::new(
            Reason::Internal,
            format!("Internal error occurred: {message}"),
        ),
    })
}

/// Why nothing was allocated.
enum Fault {
    Fields(Vec<FieldError>),
    Internal(String),
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self::Fields(vec![error])
    }
}

fn ips_fault(spec: &Value, detail: &str) -> Fault {
    let path = Path::new("spec");
    let ips = get(spec, "clusterIPs").unwrap_or(&Value::Null);
    FieldError::invalid(&path.child("clusterIPs"), ips, detail).into()
}

fn strings(spec: &Value, field: &str) -> Vec<String> {
    list(spec, field)
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn policy(spec: &Value) -> &str {
    text(spec, "ipFamilyPolicy")
}

fn same(a: &Value, b: &Value, field: &str) -> bool {
    list(a, field) == list(b, field)
}

/// clusterIP and clusterIPs are one thing with two names: a new Service with the former gets the
/// latter, and an update that changes one changes the other.
fn normalize_cluster_ips(spec: &mut Value, old: Option<&Value>) {
    let single = text(spec, "clusterIP").to_owned();
    let Some(old) = old else {
        if !single.is_empty() && list(spec, "clusterIPs").is_empty() {
            tree::set(spec, "clusterIPs", vec![single]);
        }
        return;
    };
    let old_single = text(old, "clusterIP");
    if list(spec, "clusterIPs").is_empty() && single == old_single {
        tree::keep(spec, old, "clusterIPs");
    }
    if single != old_single && same(spec, old, "clusterIPs") {
        if single.is_empty() {
            tree::remove(spec, "clusterIPs");
        } else {
            tree::set(spec, "clusterIPs", vec![single]);
        }
    }
}

/// An update that leaves out what was allocated keeps it.
fn keep_allocated(spec: &mut Value, old: &Value) {
    if has_cluster_ip(old) && has_cluster_ip(spec) {
        if text(spec, "clusterIP").is_empty() {
            tree::keep(spec, old, "clusterIP");
        }
        if list(spec, "clusterIPs").is_empty() {
            tree::keep(spec, old, "clusterIPs");
        }
    }
    let gets_ports = |spec: &Value| match kind_of(spec) {
        "NodePort" => true,
        "LoadBalancer" => {
            get(spec, "allocateLoadBalancerNodePorts").and_then(Value::as_bool) != Some(false)
        }
        _ => false,
    };
    if gets_ports(old) && gets_ports(spec) {
        let used: Vec<i64> = node_ports(spec).collect();
        for port in tree::list_mut(spec, "ports") {
            if int(port, "nodePort").unwrap_or_default() != 0 {
                continue;
            }
            let name = text(port, "name");
            let before = list(old, "ports")
                .iter()
                .rfind(|old| text(old, "name") == name)
                .and_then(|old| int(old, "nodePort"))
                .filter(|number| *number != 0 && !used.contains(number));
            if let Some(number) = before {
                tree::set(port, "nodePort", number);
            }
        }
    }
    if has_health_check(old)
        && has_health_check(spec)
        && int(spec, "healthCheckNodePort").unwrap_or_default() == 0
    {
        tree::keep(spec, old, "healthCheckNodePort");
    }
}

struct Allocator<'a> {
    network: &'a ServiceNetwork,
    in_use: &'a dyn Fn(&str) -> bool,
    recently_released: &'a dyn Fn(&str) -> bool,
    random: u64,
    /// What the old version of the Service holds, and what the new one was given so far.
    own: Vec<String>,
}

impl Allocator<'_> {
    fn create(&mut self, spec: &mut Value) -> Result<(), Fault> {
        normalize_cluster_ips(spec, None);
        self.families(spec, None)?;
        self.all_ips(spec)?;
        if has_node_ports(spec) {
            self.new_node_ports(spec)?;
        }
        if has_health_check(spec) {
            self.health_check_port(spec)?;
        }
        Ok(())
    }

    fn update(&mut self, spec: &mut Value, old: &Value) -> Result<(), Fault> {
        keep_allocated(spec, old);
        normalize_cluster_ips(spec, Some(old));
        self.families(spec, Some(old))?;
        self.update_ips(spec, old)?;
        if has_node_ports(spec) {
            self.update_node_ports(spec, old)?;
        }
        if has_health_check(spec) && !has_health_check(old) {
            self.health_check_port(spec)?;
        }
        Ok(())
    }

    fn all_ips(&mut self, spec: &mut Value) -> Result<(), Fault> {
        if !has_cluster_ip(spec) || is_headless(spec) {
            return Ok(());
        }
        let families = strings(spec, "ipFamilies");
        let mut ips = strings(spec, "clusterIPs");
        ips.resize(families.len(), String::new());
        for (ip, family) in ips.iter_mut().zip(&families) {
            *ip = self.ip(spec, family, ip)?;
        }
        tree::set(spec, "clusterIP", ips.first().cloned().unwrap_or_default());
        tree::set(spec, "clusterIPs", ips);
        Ok(())
    }

    fn update_ips(&mut self, spec: &mut Value, old: &Value) -> Result<(), Fault> {
        if is_settled(spec, old) {
            return Ok(());
        }
        if !has_cluster_ip(old) {
            return self.all_ips(spec);
        }
        if is_headless(old) || !has_cluster_ip(spec) {
            return Ok(());
        }
        let families = strings(spec, "ipFamilies");
        if list(old, "ipFamilies").len() != 1 || families.len() != 2 {
            return Ok(());
        }
        let mut ips = strings(spec, "clusterIPs");
        ips.resize(2, String::new());
        ips[1] = self.ip(spec, &families[1], &ips[1])?;
        tree::set(spec, "clusterIPs", ips);
        Ok(())
    }

    /// The address that is asked for, if it may be had, or any.
    fn ip(&mut self, spec: &Value, family: &str, wanted: &str) -> Result<String, Fault> {
        const FULL: &str = "failed to allocate a serviceIP: range is full";
        let cidr = self.network.of_family(family).copied();
        if wanted.is_empty() {
            let cidr = cidr.ok_or_else(|| Fault::Internal(FULL.to_owned()))?;
            let ip = self
                .any_ip(&cidr)
                .ok_or_else(|| Fault::Internal(FULL.to_owned()))?;
            self.own.push(ip_claim(ip));
            return Ok(ip.to_string());
        }
        let refuse =
            |detail: String| ips_fault(spec, &format!("failed to allocate IP {wanted}: {detail}"));
        let ip = parse_ip(wanted)
            .ok_or_else(|| Fault::Internal(format!("failed to parse service IP {wanted:?}")))?;
        let Some(cidr) = cidr.filter(|cidr| cidr.contains(&ip)) else {
            return Err(refuse(
                "the provided network does not match the current range".to_owned(),
            ));
        };
        let (first, last) = usable(&cidr);
        if !(first..=last).contains(&number(ip)) {
            return Err(refuse(format!(
                "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {cidr}"
            )));
        }
        let claim = ip_claim(ip);
        if !self.own.contains(&claim) {
            if (self.in_use)(&claim) {
                return Err(refuse("provided IP is already allocated".to_owned()));
            }
            self.own.push(claim);
        }
        Ok(wanted.to_owned())
    }
}
