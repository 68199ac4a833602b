//! Cluster IPs and node ports of Services: which a Service holds, and which it is given.
//!
//! Pure: what is in use is asked for, and the caller writes the Service and its claims in one
//! commit. A port number is claimed once for all protocols, as in Kubernetes; a Service may use its
//! own numbers for several.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use ipnet::IpNet;
use serde_json::Value;

use crate::{
    error::{Error, FieldError, Reason},
    field::Path,
    json::{self as tree, get, get_mut, int, list, text},
    meta,
    net::parse_ip,
    service::{
        self, allocates_node_ports, family_of, has_cluster_ip, has_health_check, has_node_ports,
        has_selector, is_headless, kind_of, node_ports, spec_of, validate_cluster_ips,
    },
};

/// Random probes before the search goes on one by one.
const PROBES: u32 = 64;

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

fn ip_claim(ip: IpAddr) -> String {
    format!("ip/{ip}")
}

fn port_claim(port: i64) -> String {
    format!("port/{port}")
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

/// A PreferDualStack Service whose addresses are left alone is left alone, though the cluster may
/// have become dual stack, or single stack, meanwhile.
fn is_settled(spec: &Value, old: &Value) -> bool {
    matches!(kind_of(spec), "ClusterIP" | "NodePort" | "LoadBalancer")
        && kind_of(spec) == kind_of(old)
        && policy(spec) == "PreferDualStack"
        && matches!(policy(old), "" | "PreferDualStack")
        && same(spec, old, "clusterIPs")
        && same(spec, old, "ipFamilies")
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

    /// Decides on ipFamilyPolicy and ipFamilies.
    fn families(&self, spec: &mut Value, old: Option<&Value>) -> Result<(), Fault> {
        if !has_cluster_ip(spec) || old.is_some_and(|old| is_settled(spec, old)) {
            return Ok(());
        }
        let headless = text(spec, "clusterIP") == "None";
        if policy(spec).is_empty() {
            let before = old.map_or("", policy);
            let default = if !before.is_empty() {
                before
            } else if headless && !has_selector(spec) {
                "RequireDualStack"
            } else {
                "SingleStack"
            };
            tree::set(spec, "ipFamilyPolicy", default);
        }
        let path = Path::new("spec");
        let mut errors = Vec::new();
        validate_cluster_ips(spec, old, &path, &mut errors);
        if errors.is_empty() {
            self.reduce(spec, old, &mut errors);
            self.infer_families(spec, &mut errors);
        }
        if !errors.is_empty() {
            return Err(Fault::Fields(errors));
        }
        let dual = policy(spec) != "SingleStack";
        // Endpoints that nobody selects may be of any family, whatever the cluster has.
        if headless && !has_selector(spec) {
            self.complete_families(spec, dual);
            return Ok(());
        }
        let policy_path = path.child("ipFamilyPolicy");
        if policy(spec) == "RequireDualStack" && self.network.cidrs.len() < 2 {
            errors.push(FieldError::invalid(
                &policy_path,
                policy(spec),
                "this cluster is not configured for dual-stack services",
            ));
        }
        let families_path = path.child("ipFamilies");
        for (i, family) in strings(spec, "ipFamilies").iter().enumerate() {
            if self.network.of_family(family).is_none() {
                errors.push(FieldError::invalid(
                    &families_path.index(i),
                    family,
                    "not configured on this cluster",
                ));
            }
        }
        if !errors.is_empty() {
            return Err(Fault::Fields(errors));
        }
        self.complete_families(spec, dual && self.network.cidrs.len() == 2);
        Ok(())
    }

    /// Without families the Service has the cluster's first; with `both` also the other.
    fn complete_families(&self, spec: &mut Value, both: bool) {
        let mut families = strings(spec, "ipFamilies");
        if families.is_empty() {
            families.push(self.network.primary().to_owned());
        }
        if both && families.len() == 1 {
            let other = if families[0] == "IPv4" {
                "IPv6"
            } else {
                "IPv4"
            };
            families.push(other.to_owned());
        }
        tree::set(spec, "ipFamilies", families);
    }

    /// SingleStack gives the second address and family up; without it they may not be left out.
    fn reduce(&self, spec: &mut Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let path = path.child("ipFamilyPolicy");
        let single = policy(spec) == "SingleStack";
        let mut refuse = |spec: &Value, detail: &str| {
            errors.push(FieldError::invalid(&path, policy(spec), detail));
        };
        if let Some(old) = old {
            for (field, what) in [
                ("clusterIPs", "secondary cluster IP"),
                ("ipFamilies", "secondary IP family"),
            ] {
                let count = list(spec, field).len();
                if single && count > 1 && same(spec, old, field) {
                    let first = list(spec, field)[0].clone();
                    tree::set(spec, field, vec![first]);
                } else if !single && count > 0 && count < list(old, field).len() {
                    refuse(
                        spec,
                        &format!("must be 'SingleStack' to release the {what}"),
                    );
                }
            }
        }
        for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
            if single && list(spec, field).len() == 2 {
                let detail = format!(
                    "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
                );
                refuse(spec, &detail);
            }
        }
    }

    /// Addresses that are asked for say what families are.
    fn infer_families(&self, spec: &mut Value, errors: &mut Vec<FieldError>) {
        let mut families = strings(spec, "ipFamilies");
        let ips = strings(spec, "clusterIPs");
        let known = families.len();
        for (i, ip) in ips.iter().enumerate().skip(known) {
            if ip == "None" {
                break;
            }
            let family = family_of(ip);
            if self.network.of_family(family).is_some() {
                families.push(family.to_owned());
            } else {
                let path = Path::new("spec");
                let path = path.child("clusterIPs");
                let all = get(spec, "clusterIPs").unwrap_or(&Value::Null);
                let detail = format!("{family} is not configured on this cluster");
                errors.push(FieldError::invalid(&path.index(i), all, &detail));
            }
        }
        if families.len() > known {
            tree::set(spec, "ipFamilies", families);
        }
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

    /// A free address: from the upper part of the range, and from the lower, which is meant for those
    /// that are asked for, when that is full. The very first is never handed out: it is that of the
    /// Service kubernetes.
    fn any_ip(&mut self, cidr: &IpNet) -> Option<IpAddr> {
        let (first, last) = usable(cidr);
        let size = last - first + 1;
        // As many as Kubernetes keeps for static allocation (KEP-3070).
        let kept = if size + 2 <= 16 {
            0
        } else {
            ((size + 2) / 16).clamp(16, 256)
        };
        let to_ip = |number: u128| from_number(cidr, number);
        let claim_of = |number| ip_claim(to_ip(number));
        let upper = (first + kept.max(1), last);
        let lower = (first + 1, (first + kept).saturating_sub(1));
        let found = self.search_both(upper, lower, &claim_of)?;
        Some(to_ip(found))
    }

    /// A free number of the upper range, or else of the lower. One that was held a moment ago is
    /// taken only when there is no other.
    fn search_both(
        &mut self,
        upper: (u128, u128),
        lower: (u128, u128),
        claim_of: &dyn Fn(u128) -> String,
    ) -> Option<u128> {
        let mut released = None;
        if let Some(found) = self.search(upper, claim_of, &mut released) {
            return Some(found);
        }
        let found = self.search(lower, claim_of, &mut released);
        found.or(released)
    }

    /// A free number of a range: some at random, then one after the other. The first that was held
    /// a moment ago is noted.
    fn search(
        &mut self,
        (first, last): (u128, u128),
        claim_of: &dyn Fn(u128) -> String,
        released: &mut Option<u128>,
    ) -> Option<u128> {
        if first > last {
            return None;
        }
        let size = last - first + 1;
        let mut try_one = |this: &Self, number: u128| {
            let claim = claim_of(number);
            if this.own.contains(&claim) || (this.in_use)(&claim) {
                return false;
            }
            if (this.recently_released)(&claim) {
                released.get_or_insert(number);
                return false;
            }
            true
        };
        for _ in 0..PROBES {
            let number = first + self.next_random() % size;
            if try_one(self, number) {
                return Some(number);
            }
        }
        let start = self.next_random() % size;
        for step in 0..size {
            let number = first + (start + step) % size;
            if try_one(self, number) {
                return Some(number);
            }
        }
        None
    }

    /// SplitMix64, twice.
    fn next_random(&mut self) -> u128 {
        let mut next = || {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.random;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u128::from(z ^ (z >> 31))
        };
        (next() << 64) | next()
    }

    /// A port that is asked for, if it may be had.
    fn port(&mut self, port: i64) -> Result<(), String> {
        let ports = &self.network.node_ports;
        if !u16::try_from(port).is_ok_and(|port| ports.contains(&port)) {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                ports.start(),
                ports.end()
            ));
        }
        let claim = port_claim(port);
        if self.own.contains(&claim) || (self.in_use)(&claim) {
            return Err("provided port is already allocated".to_owned());
        }
        self.own.push(claim);
        Ok(())
    }

    fn any_port(&mut self) -> Option<i64> {
        let first = u128::from(*self.network.node_ports.start());
        let last = u128::from(*self.network.node_ports.end());
        let size = last - first + 1;
        let kept = if size <= 16 {
            0
        } else {
            (size / 32).clamp(16, 128)
        };
        let claim_of = |number: u128| format!("port/{number}");
        let upper = (first + kept, last);
        let lower = (first, (first + kept).saturating_sub(1));
        let found = self.search_both(upper, lower, &claim_of)?;
        let port = i64::try_from(found).expect("a port");
        self.own.push(port_claim(port));
        Some(port)
    }

    fn any_node_port(&mut self) -> Result<i64, Fault> {
        self.any_port()
            .ok_or_else(|| Fault::Internal("failed to allocate a nodePort: range is full".into()))
    }

    /// Ports of a new Service. Two that differ in the protocol only share a number.
    fn new_node_ports(&mut self, spec: &mut Value) -> Result<(), Fault> {
        let wanted: Vec<(i64, i64)> = list(spec, "ports")
            .iter()
            .map(|port| {
                let number = |field| int(port, field).unwrap_or_default();
                (number("port"), number("nodePort"))
            })
            .collect();
        let allocates = allocates_node_ports(spec);
        let mut given: Vec<(i64, i64)> = Vec::new();
        for (i, (port, node_port)) in wanted.iter().copied().enumerate() {
            if node_port == 0 && !allocates {
                continue;
            }
            let shared = given
                .iter()
                .find(|(of, _)| *of == port)
                .map(|(_, number)| *number);
            let number = match shared {
                Some(number) if node_port == 0 || node_port == number => number,
                Some(_) => {
                    self.port(node_port)
                        .map_err(|fault| port_fault(i, node_port, &fault))?;
                    continue;
                }
                None => {
                    let asked = wanted
                        .iter()
                        .find(|(of, number)| *of == port && *number != 0);
                    let number = match asked {
                        Some((_, number)) => {
                            self.port(*number)
                                .map_err(|fault| port_fault(i, *number, &fault))?;
                            *number
                        }
                        None => self.any_node_port()?,
                    };
                    given.push((port, number));
                    number
                }
            };
            set_node_port(spec, i, number);
        }
        Ok(())
    }

    fn update_node_ports(&mut self, spec: &mut Value, old: &Value) -> Result<(), Fault> {
        let had: Vec<i64> = node_ports(old).collect();
        let allocates = allocates_node_ports(spec);
        let mut given: Vec<i64> = Vec::new();
        let wanted: Vec<i64> = list(spec, "ports")
            .iter()
            .map(|p| int(p, "nodePort").unwrap_or_default())
            .collect();
        for (i, number) in wanted.into_iter().enumerate() {
            if number == 0 {
                if allocates {
                    let number = self.any_node_port()?;
                    set_node_port(spec, i, number);
                }
            } else if !had.contains(&number) && !given.contains(&number) {
                self.port(number)
                    .map_err(|fault| port_fault(i, number, &fault))?;
                given.push(number);
            }
        }
        Ok(())
    }

    fn health_check_port(&mut self, spec: &mut Value) -> Result<(), Fault> {
        let wanted = int(spec, "healthCheckNodePort").unwrap_or_default();
        if wanted != 0 {
            return self.port(wanted).map_err(|fault| {
                Fault::Internal(format!(
                    "failed to allocate requested HealthCheck NodePort {wanted}: {fault}"
                ))
            });
        }
        let port = self.any_port().ok_or_else(|| {
            Fault::Internal("failed to allocate a HealthCheck NodePort 0: range is full".into())
        })?;
        tree::set(spec, "healthCheckNodePort", port);
        Ok(())
    }
}

fn set_node_port(spec: &mut Value, i: usize, number: i64) {
    if let Some(port) = tree::list_mut(spec, "ports").get_mut(i) {
        tree::set(port, "nodePort", number);
    }
}

fn port_fault(i: usize, number: i64, detail: &str) -> Fault {
    let path = Path::new("spec");
    let path = path.child("ports");
    let path = path.index(i);
    FieldError::invalid(&path.child("nodePort"), &number, detail).into()
}

/// The numbers of the first and the last address that a Service can have: not the network's, nor,
/// for IPv4, the broadcast address.
fn usable(cidr: &IpNet) -> (u128, u128) {
    let (first, last) = (number(cidr.network()), number(cidr.broadcast()));
    match cidr {
        IpNet::V4(_) => (first + 1, last.saturating_sub(1).max(first + 1)),
        IpNet::V6(_) => (first + 1, last.max(first + 1)),
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

fn from_number(cidr: &IpNet, number: u128) -> IpAddr {
    match cidr {
        IpNet::V4(_) => {
            let number = u32::try_from(number).expect("within an IPv4 range");
            IpAddr::V4(Ipv4Addr::from(number))
        }
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}
