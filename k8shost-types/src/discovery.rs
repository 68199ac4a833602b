//! EndpointSlice, the one kind of discovery.k8s.io/v1.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, list_mut, text},
    meta, names,
    net::parse_ip,
    pod::PROTOCOLS,
    rules::{
        self, Errors, Seen, faults, fill, fill_absent, name_in, required_choice, same_or_empty,
    },
    service::validate_external_ip,
    strategy::{Strategy, Text},
};

/// The row of EndpointSlice in the table of kinds.
pub static ENDPOINT_SLICE: Strategy = Strategy {
    kind: Text::Borrowed("EndpointSlice"),
    api_version: Text::Borrowed("discovery.k8s.io/v1"),
    resource: Text::Borrowed("endpointslices"),
    default,
    prepare_create: |slice| {
        meta::set(slice, "generation", 1);
        drop_topology(slice);
    },
    validate_create: |slice| rules::created(slice, true, names::subdomain_rule, validate),
    prepare_update,
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        validate(new, &mut errors);
        if text(new, "addressType") != text(old, "addressType") {
            errors.push(FieldError::invalid(
                &Path::new("addressType"),
                text(new, "addressType"),
                "field is immutable",
            ));
        }
        errors
    },
    ..Strategy::BASE
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&ENDPOINT_SLICE];

const MOST_ENDPOINTS: usize = 1000;
const MOST_ADDRESSES: usize = 100;
const MOST_PORTS: usize = 20_000;
const MOST_HINTS: usize = 8;

fn default(slice: &mut Value) {
    for port in list_mut(slice, "ports") {
        fill_absent(port, "name", "");
        fill(port, "protocol", "TCP");
    }
    for endpoint in list_mut(slice, "endpoints") {
        fill_absent(endpoint, "conditions", json!({}));
    }
    // Lists that are always shown, as null where they are empty.
    for field in ["endpoints", "ports"] {
        if get(slice, field).is_none_or(rules::is_empty) {
            tree::set(slice, field, Value::Null);
        }
    }
}

/// All that is not metadata, and the labels, make a new generation.
fn prepare_update(new: &mut Value, old: &Value) {
    let labels = !same_or_empty(meta::metadata(new), meta::metadata(old), "labels");
    let rest = ["addressType", "endpoints", "ports"]
        .iter()
        .any(|field| !same_or_empty(new, old, field));
    if labels || rest {
        rules::next_generation(new, old);
    }
    if !same_or_empty(new, old, "endpoints") {
        drop_topology(new);
    }
}

/// What was told of a node before there were fields for it.
fn drop_topology(slice: &mut Value) {
    for endpoint in list_mut(slice, "endpoints") {
        tree::remove(endpoint, "deprecatedTopology");
    }
}

fn validate(slice: &Value, errors: &mut Errors) {
    const TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
    let kind = text(slice, "addressType");
    let path = Path::new("addressType");
    if kind.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else if !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&path, kind, &TYPES));
    }
    validate_endpoints(list(slice, "endpoints"), kind, errors);
    let path = Path::new("ports");
    let ports = list(slice, "ports");
    if ports.len() > MOST_PORTS {
        errors.push(FieldError::too_many(&path, ports.len(), MOST_PORTS));
        return;
    }
    let mut seen = Seen::new();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        name_in(port, "name", names::dns1123_label, &path, errors);
        let name = text(port, "name");
        if !seen.add(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        required_choice(port, "protocol", &PROTOCOLS, &path, errors);
        name_in(port, "appProtocol", names::qualified_name, &path, errors);
    }
}

fn validate_endpoints(endpoints: &[Value], kind: &str, errors: &mut Errors) {
    let path = Path::new("endpoints");
    if endpoints.len() > MOST_ENDPOINTS {
        errors.push(FieldError::too_many(&path, endpoints.len(), MOST_ENDPOINTS));
        return;
    }
    for (i, endpoint) in endpoints.iter().enumerate() {
        let path = path.index(i);
        let addresses = list(endpoint, "addresses");
        let addresses_path = path.child("addresses");
        if addresses.is_empty() {
            errors.push(FieldError::required(
                &addresses_path,
                "must contain at least 1 address",
            ));
        } else if addresses.len() > MOST_ADDRESSES {
            let count = addresses.len();
            errors.push(FieldError::too_many(&addresses_path, count, MOST_ADDRESSES));
        }
        for (i, address) in addresses.iter().take(MOST_ADDRESSES).enumerate() {
            let address = address.as_str().unwrap_or_default();
            validate_address(address, kind, &addresses_path.index(i), errors);
        }
        name_in(
            endpoint,
            "nodeName",
            names::dns1123_subdomain,
            &path,
            errors,
        );
        name_in(endpoint, "hostname", names::dns1123_label, &path, errors);
        if let Some(hints) = get(endpoint, "hints") {
            let path = path.child("hints");
            validate_hints(hints, "forZones", &path, errors);
            validate_hints(hints, "forNodes", &path, errors);
        }
    }
}

fn validate_address(address: &str, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let ip = parse_ip(address);
    match (kind, ip) {
        ("IPv4", Some(IpAddr::V4(_))) | ("IPv6", Some(IpAddr::V6(_))) => {
            validate_external_ip(address, path, errors);
        }
        ("IPv4" | "IPv6", _) => {
            let detail = format!("must be a valid {kind} address");
            errors.push(FieldError::invalid(path, address, &detail));
        }
        ("FQDN", _) => {
            let name = address.strip_suffix('.').unwrap_or(address);
            let found = names::dns1123_subdomain(name);
            if found.is_empty() && !name.contains('.') {
                errors.push(FieldError::invalid(
                    path,
                    address,
                    "should be a domain with at least two segments separated by dots",
                ));
            }
            faults(found, address, path, errors);
        }
        _ => {}
    }
}

fn validate_hints(hints: &Value, field: &str, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child(field);
    let items = list(hints, field);
    if items.len() > MOST_HINTS {
        errors.push(FieldError::too_many(&path, items.len(), MOST_HINTS));
        return;
    }
    let mut seen = Seen::new();
    for (i, item) in items.iter().enumerate() {
        let path = path.index(i);
        let path = path.child("name");
        let name = text(item, "name");
        if !seen.add(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        faults(names::label_value(name), name, &path, errors);
    }
}
