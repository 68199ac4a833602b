//! Endpoints: the addresses of a service before there were EndpointSlices.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, int, list, list_mut, text},
    names,
    net::validate_ip,
    pod::{PROTOCOLS, validate_port_number},
    rules::{self, Errors, faults, fill, name_in, required_choice},
    service::validate_external_ip,
    strategy::{Strategy, Text},
};

/// The row of Endpoints in the table of kinds.
pub static ENDPOINTS: Strategy = Strategy {
    kind: Text::Borrowed("Endpoints"),
    resource: Text::Borrowed("endpoints"),
    default,
    validate_create: |endpoints| rules::created(endpoints, true, names::subdomain_rule, validate),
    validate_update,
    canonicalize: repack,
    create_on_update: true,
    ..Strategy::BASE
};

fn default(endpoints: &mut Value) {
    for subset in list_mut(endpoints, "subsets") {
        for port in list_mut(subset, "ports") {
            fill(port, "protocol", "TCP");
        }
    }
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    if !rules::same_or_empty(new, old, "subsets") {
        validate(new, &mut errors);
    }
    errors
}

fn validate(endpoints: &Value, errors: &mut Errors) {
    let path = Path::new("subsets");
    for (i, subset) in list(endpoints, "subsets").iter().enumerate() {
        let path = path.index(i);
        let lists = ["addresses", "notReadyAddresses"];
        if lists.iter().all(|field| list(subset, field).is_empty()) {
            errors.push(FieldError::required(
                &path,
                "must specify `addresses` or `notReadyAddresses`",
            ));
        }
        for field in lists {
            let path = path.child(field);
            for (i, address) in list(subset, field).iter().enumerate() {
                validate_address(address, &path.index(i), errors);
            }
        }
        let ports = list(subset, "ports");
        let path = path.child("ports");
        for (i, port) in ports.iter().enumerate() {
            validate_port(port, ports.len() > 1, &path.index(i), errors);
        }
    }
}

fn validate_address(address: &Value, path: &Path<'_>, errors: &mut Errors) {
    let ip = text(address, "ip");
    let readable = validate_ip(&path.child("ip"), ip, false, errors);
    name_in(address, "hostname", names::dns1123_label, path, errors);
    name_in(address, "nodeName", names::dns1123_subdomain, path, errors);
    if readable {
        validate_external_ip(ip, &path.child("ip"), errors);
    }
}

fn validate_port(port: &Value, needs_name: bool, path: &Path<'_>, errors: &mut Errors) {
    let name = text(port, "name");
    if !name.is_empty() {
        faults(
            names::dns1123_label(name),
            name,
            &path.child("name"),
            errors,
        );
    } else if needs_name {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    let number = int(port, "port").unwrap_or_default();
    validate_port_number(number, &path.child("port"), errors);
    required_choice(port, "protocol", &PROTOCOLS, path, errors);
    name_in(port, "appProtocol", names::qualified_name, path, errors);
}

/// Endpoints that would be larger than this stay as they were sent.
const MOST_REPACKED: usize = 4 * 1024 * 1024;

/// Brings the subsets into one form: each address once for each set of ports, sorted. Written twice,
/// the same endpoints are the same object.
fn repack(endpoints: &mut Value) {
    if let Some(repacked) = repacked(list(endpoints, "subsets")) {
        tree::set(endpoints, "subsets", repacked);
    }
}

fn places(subset: &Value) -> impl Iterator<Item = (&Value, bool)> {
    let ready = list(subset, "addresses")
        .iter()
        .map(|address| (address, true));
    let not = list(subset, "notReadyAddresses")
        .iter()
        .map(|address| (address, false));
    ready.chain(not)
}

fn key_of(address: &Value) -> (&str, &str) {
    let target = rules::part(address, "targetRef");
    (text(address, "ip"), text(target, "uid"))
}

/// Which addresses, by number, and whether each is ready.
type Readiness = BTreeMap<usize, bool>;

/// `None` for nothing, and for more than is worth it.
fn repacked(subsets: &[Value]) -> Option<Vec<Value>> {
    let pairs: usize = subsets
        .iter()
        .map(|subset| {
            let ports = list(subset, "ports").len().max(1);
            places(subset).count().saturating_mul(ports)
        })
        .sum();
    if pairs == 0 || pairs > 1 << 17 {
        return None;
    }
    let mut known: BTreeMap<(&str, &str), &Value> = BTreeMap::new();
    for (address, _) in subsets.iter().flat_map(places) {
        known.entry(key_of(address)).or_insert(address);
    }
    let keys: Vec<_> = known.keys().copied().collect();
    let addresses: Vec<_> = known
        .into_values()
        .map(|address| (address, address.to_string().len()))
        .collect();
    // By port, its addresses and whether they are ready. No port is a port too.
    let none = [Value::Null];
    let mut by_port: BTreeMap<(i64, String), (&Value, Readiness)> = BTreeMap::new();
    for subset in subsets {
        let ports = match list(subset, "ports") {
            [] => &none[..],
            ports => ports,
        };
        for port in ports {
            let key = (int(port, "port").unwrap_or(-1), port.to_string());
            let (_, of_port) = by_port.entry(key).or_insert((port, Readiness::new()));
            for (address, ready) in places(subset) {
                if let Ok(at) = keys.binary_search(&key_of(address)) {
                    // Not ready is the stronger word.
                    *of_port.entry(at).or_insert(ready) &= ready;
                }
            }
        }
    }
    let mut by_addresses: BTreeMap<Vec<(usize, bool)>, Vec<Value>> = BTreeMap::new();
    for (port, of_port) in by_port.into_values() {
        let ports = by_addresses
            .entry(of_port.into_iter().collect())
            .or_default();
        if !port.is_null() {
            ports.push(port.clone());
        }
    }
    let size: usize = by_addresses
        .keys()
        .flatten()
        .map(|(at, _)| addresses[*at].1)
        .sum();
    if size > MOST_REPACKED {
        return None;
    }
    let subset = |(of_ports, ports): (Vec<(usize, bool)>, Vec<Value>)| {
        let of = |wanted: bool| -> Vec<Value> {
            let chosen = of_ports.iter().filter(|(_, ready)| *ready == wanted);
            chosen.map(|(at, _)| addresses[*at].0.clone()).collect()
        };
        let mut subset = json!({
            "addresses": of(true),
            "notReadyAddresses": of(false),
            "ports": ports,
        });
        rules::drop_empty(&mut subset, &["addresses", "notReadyAddresses", "ports"]);
        subset
    };
    Some(by_addresses.into_iter().map(subset).collect())
}
