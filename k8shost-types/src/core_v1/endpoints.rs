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
    strategy::Strategy,
};

/// The row of Endpoints in the table of kinds.
pub static ENDPOINTS: Strategy = Strategy {
    kind: "Endpoints",
    resource: "endpoints",
    default,
    validate_create,
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

fn validate_create(endpoints: &Value) -> Errors {
    let mut errors = rules::metadata(endpoints, true, names::subdomain_rule);
    validate(endpoints, &mut errors);
    errors
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

/// Brings the subsets into one form: each address once for each set of ports, sorted. Written twice,
/// the same endpoints are the same object.
fn repack(endpoints: &mut Value) {
    // By port, its addresses; an address that is not ready anywhere is not. No port is a port too.
    type Addresses = BTreeMap<(String, String), (bool, Value)>;
    let mut by_port: BTreeMap<(i64, String), (Value, Addresses)> = BTreeMap::new();
    let subsets = list(endpoints, "subsets");
    // Ports times addresses: what would be too many stays as it was sent.
    let places: usize = subsets
        .iter()
        .map(|subset| {
            let addresses =
                list(subset, "addresses").len() + list(subset, "notReadyAddresses").len();
            addresses.saturating_mul(list(subset, "ports").len().max(1))
        })
        .sum();
    if places == 0 || places > 1 << 17 {
        return;
    }
    for subset in subsets {
        let none = [Value::Null];
        let ports = match list(subset, "ports") {
            [] => &none[..],
            ports => ports,
        };
        for port in ports {
            let key = (int(port, "port").unwrap_or(-1), port.to_string());
            let (_, addresses) = by_port
                .entry(key)
                .or_insert_with(|| (port.clone(), Addresses::new()));
            for (field, ready) in [("addresses", true), ("notReadyAddresses", false)] {
                for address in list(subset, field) {
                    let uid = text(rules::part(address, "targetRef"), "uid");
                    let key = (text(address, "ip").to_owned(), uid.to_owned());
                    let (is_ready, _) = addresses
                        .entry(key)
                        .or_insert_with(|| (ready, address.clone()));
                    // Not ready is the stronger word.
                    *is_ready &= ready;
                }
            }
        }
    }
    let mut by_addresses: BTreeMap<String, (Addresses, Vec<Value>)> = BTreeMap::new();
    for (_, (port, addresses)) in by_port {
        let key = json!(addresses.values().collect::<Vec<_>>()).to_string();
        let (_, ports) = by_addresses
            .entry(key)
            .or_insert_with(|| (addresses, Vec::new()));
        if !port.is_null() {
            ports.push(port);
        }
    }
    let repacked: Vec<Value> = by_addresses
        .into_values()
        .map(|(addresses, ports)| {
            let (ready, not): (Vec<_>, Vec<_>) =
                addresses.into_values().partition(|(ready, _)| *ready);
            let plain = |list: Vec<(bool, Value)>| -> Value {
                list.into_iter().map(|(_, address)| address).collect()
            };
            let mut subset = json!({
                "addresses": plain(ready),
                "notReadyAddresses": plain(not),
                "ports": ports,
            });
            rules::drop_empty(&mut subset, &["addresses", "notReadyAddresses", "ports"]);
            subset
        })
        .collect();
    tree::set(endpoints, "subsets", repacked);
}
