//! NetworkPolicy.

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, list, list_mut, text},
    meta, names,
    net::{parse_cidr, validate_cidr},
    pod::{PROTOCOLS, validate_port, validate_port_number},
    rules::{self, Errors, choice, fill, is_set, part, spec, strings, validate_label_selector},
    strategy::{Strategy, Text},
};

/// The row of NetworkPolicy in the table of kinds.
pub static NETWORK_POLICY: Strategy = Strategy {
    kind: Text::Borrowed("NetworkPolicy"),
    api_version: Text::Borrowed("networking.k8s.io/v1"),
    resource: Text::Borrowed("networkpolicies"),
    default,
    prepare_create: |policy| meta::set(policy, "generation", 1),
    validate_create: |policy| rules::created(policy, true, names::subdomain_rule, validate),
    prepare_update: |new, old| rules::bump_generation(new, old, &["spec"]),
    validate_update: |new, old| rules::updated(new, old, validate),
    ..Strategy::BASE
};

const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

fn default(policy: &mut Value) {
    let Some(spec) = tree::ensure_object(policy, "spec") else {
        return;
    };
    rules::fill_absent(spec, "podSelector", json!({}));
    for (field, _) in DIRECTIONS {
        for rule in list_mut(spec, field) {
            for port in list_mut(rule, "ports") {
                fill(port, "protocol", "TCP");
            }
        }
    }
    if !is_set(spec, "policyTypes") {
        let mut types = vec!["Ingress"];
        if !list(spec, "egress").is_empty() {
            types.push("Egress");
        }
        tree::set(spec, "policyTypes", types);
    }
}

fn validate(policy: &Value, errors: &mut Errors) {
    let spec = spec(policy);
    let path = Path::new("spec");
    let selector = part(spec, "podSelector");
    validate_label_selector(selector, &path.child("podSelector"), errors);
    for (field, peers_field) in DIRECTIONS {
        let path = path.child(field);
        for (i, rule) in list(spec, field).iter().enumerate() {
            let path = path.index(i);
            let ports = path.child("ports");
            for (i, port) in list(rule, "ports").iter().enumerate() {
                validate_policy_port(port, &ports.index(i), errors);
            }
            let peers = path.child(peers_field);
            for (i, peer) in list(rule, peers_field).iter().enumerate() {
                validate_peer(peer, &peers.index(i), errors);
            }
        }
    }
    let path = path.child("policyTypes");
    let types: Vec<&str> = strings(spec, "policyTypes").collect();
    if types.len() > 2 {
        errors.push(FieldError::invalid(
            &path,
            part(spec, "policyTypes"),
            "may not specify more than two policyTypes",
        ));
        return;
    }
    for (i, kind) in types.into_iter().enumerate() {
        if !matches!(kind, "Ingress" | "Egress") {
            let supported = ["Egress", "Ingress"];
            errors.push(FieldError::not_supported(&path.index(i), kind, &supported));
        }
    }
}

fn validate_policy_port(port: &Value, path: &Path<'_>, errors: &mut Errors) {
    choice(port, "protocol", &PROTOCOLS, path, errors);
    let end = int(port, "endPort");
    let end_path = path.child("endPort");
    let number = get(port, "port");
    if number.is_some() {
        validate_port(number, &path.child("port"), errors);
    }
    let Some(end) = end else {
        return;
    };
    match number {
        None => errors.push(FieldError::invalid(
            &end_path,
            &end,
            "may not be specified when `port` is not specified",
        )),
        Some(Value::String(_)) => errors.push(FieldError::invalid(
            &end_path,
            &end,
            "may not be specified when `port` is non-numeric",
        )),
        Some(number) => {
            if number.as_i64().is_some_and(|number| end < number) {
                errors.push(FieldError::invalid(
                    &end_path,
                    &end,
                    "must be greater than or equal to `port`",
                ));
            }
            validate_port_number(end, &end_path, errors);
        }
    }
}

fn validate_peer(peer: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut peers = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = get(peer, field) {
            peers += 1;
            validate_label_selector(selector, &path.child(field), errors);
        }
    }
    match get(peer, "ipBlock") {
        None if peers == 0 => errors.push(FieldError::required(path, "must specify a peer")),
        None => {}
        Some(block) => {
            validate_block(block, &path.child("ipBlock"), errors);
            if peers > 0 {
                errors.push(FieldError::forbidden(
                    path,
                    "may not specify both ipBlock and another peer",
                ));
            }
        }
    }
}

fn validate_block(block: &Value, path: &Path<'_>, errors: &mut Errors) {
    let range = text(block, "cidr");
    let range_path = path.child("cidr");
    if range.is_empty() {
        errors.push(FieldError::required(&range_path, ""));
        return;
    }
    validate_cidr(&range_path, range, false, errors);
    let network = |text: &str| {
        let (ip, length) = parse_cidr(text)?;
        ipnet::IpNet::new(ip, length).ok()
    };
    let path = path.child("except");
    for (i, except) in strings(block, "except").enumerate() {
        let path = path.index(i);
        let before = errors.len();
        validate_cidr(&path, except, false, errors);
        let within = match (network(range), network(except)) {
            (Some(range), Some(except)) => {
                range.prefix_len() < except.prefix_len() && range.contains(&except.network())
            }
            _ => true,
        };
        if errors.len() == before && !within {
            errors.push(FieldError::invalid(
                &path,
                except,
                "must be a strict subset of `cidr`",
            ));
        }
    }
}
