//! IPAddress and ServiceCIDR: the addresses of services, as objects.

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, text},
    names,
    net::{parse_cidr, parse_ip, validate_cidr},
    rules::{self, Errors, faults, immutable, is_set, name_in, part, spec, strings},
    strategy::{Strategy, Text},
};

/// The row of IPAddress in the table of kinds.
pub static IP_ADDRESS: Strategy = Strategy {
    kind: Text::Borrowed("IPAddress"),
    api_version: Text::Borrowed("networking.k8s.io/v1"),
    resource: Text::Borrowed("ipaddresses"),
    namespaced: false,
    name_rule: address_rule,
    default: |address| {
        tree::ensure_object(address, "spec");
    },
    validate_create: |address| {
        let mut errors = rules::metadata(address, false, address_rule);
        validate_parent(spec(address), &mut errors);
        errors
    },
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        let path = Path::new("spec");
        immutable(spec(new), spec(old), "parentRef", &path, &mut errors);
        errors
    },
    selectable: &["metadata.name"],
    ..Strategy::BASE
};

/// The row of ServiceCIDR in the table of kinds.
pub static SERVICE_CIDR: Strategy = Strategy {
    kind: Text::Borrowed("ServiceCIDR"),
    api_version: Text::Borrowed("networking.k8s.io/v1"),
    resource: Text::Borrowed("servicecidrs"),
    namespaced: false,
    default: |range| {
        tree::ensure_object(range, "spec");
        rules::fill_absent(range, "status", json!({}));
    },
    prepare_create: |range| tree::set(range, "status", json!({})),
    validate_create: |range| {
        let mut errors = rules::metadata(range, false, names::subdomain_rule);
        validate_ranges(spec(range), &mut errors);
        errors
    },
    prepare_update: |new, old| tree::keep(new, old, "status"),
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        let path = Path::new("spec");
        immutable(spec(new), spec(old), "cidrs", &path, &mut errors);
        errors
    },
    prepare_status_update: rules::prepare_status_update,
    selectable: &["metadata.name"],
    has_status: true,
    ..Strategy::BASE
};

/// The name of an IPAddress is the address, in the one form that it has.
fn address_rule(name: &str, _: bool) -> names::Faults {
    match name.parse::<std::net::IpAddr>() {
        Ok(ip) if ip.to_string() == name => names::Faults::new(),
        Ok(_) => vec!["must be a canonical format IP address".into()],
        Err(_) if parse_ip(name).is_some() => vec!["must be a canonical format IP address".into()],
        Err(_) => vec!["must be a valid IP address".into()],
    }
}

fn validate_parent(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let path = path.child("parentRef");
    let Some(parent) = get(spec, "parentRef") else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    name_in(parent, "group", names::dns1123_subdomain, &path, errors);
    for field in ["resource", "name"] {
        let value = text(parent, field);
        let path = path.child(field);
        if value.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else {
            faults(names::path_segment(value, false), value, &path, errors);
        }
    }
    let namespace = |text: &str| names::path_segment(text, false);
    name_in(parent, "namespace", namespace, &path, errors);
}

fn validate_ranges(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let path = path.child("cidrs");
    if !is_set(spec, "cidrs") {
        errors.push(FieldError::required(&path, "at least one CIDR required"));
        return;
    }
    let ranges: Vec<&str> = strings(spec, "cidrs").collect();
    let shown = part(spec, "cidrs");
    if ranges.len() > 2 {
        errors.push(FieldError::invalid(
            &path,
            shown,
            "may only hold up to 2 values",
        ));
    }
    for (i, range) in ranges.iter().enumerate() {
        validate_cidr(&path.index(i), range, false, errors);
    }
    let six = |range: &str| parse_cidr(range).map(|(ip, _)| ip.is_ipv6());
    if let [one, other] = ranges.as_slice()
        && let (Some(one), Some(other)) = (six(one), six(other))
        && one == other
    {
        errors.push(FieldError::invalid(
            &path,
            shown,
            "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96",
        ));
    }
}
