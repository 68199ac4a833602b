//! Ingress.

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, list, text},
    meta, names,
    net::{parse_ip, validate_ip},
    pod::{PROTOCOLS, validate_port_number},
    rules::{self, Errors, choice, faults, part, spec, strings},
    strategy::{Strategy, Text},
};

/// The row of Ingress in the table of kinds.
pub static INGRESS: Strategy = Strategy {
    kind: Text::Borrowed("Ingress"),
    api_version: Text::Borrowed("networking.k8s.io/v1"),
    resource: Text::Borrowed("ingresses"),
    default,
    prepare_create: |ingress| rules::begin(ingress, json!({"loadBalancer": {}})),
    validate_create: |ingress| {
        let mut errors = rules::metadata(ingress, true, names::subdomain_rule);
        validate(ingress, &mut errors);
        validate_class_annotation(ingress, &mut errors);
        errors
    },
    prepare_update: rules::prepare_update,
    validate_update: |new, old| rules::updated(new, old, validate),
    prepare_status_update: rules::prepare_status_update,
    validate_status_update,
    has_status: true,
    ..Strategy::BASE
};

const CLASS: &str = "kubernetes.io/ingress.class";

fn default(ingress: &mut Value) {
    tree::ensure_object(ingress, "spec");
    if let Some(status) = tree::ensure_object(ingress, "status") {
        tree::ensure_object(status, "loadBalancer");
    }
}

/// The class is named in one place.
fn validate_class_annotation(ingress: &Value, errors: &mut Errors) {
    if let Some(class) = meta::annotation(ingress, CLASS)
        && get(spec(ingress), "ingressClassName").is_some()
    {
        let path = Path::new("annotations");
        errors.push(FieldError::invalid(
            &path.child(CLASS),
            class,
            "can not be set when the class field is also set",
        ));
    }
}

fn validate(ingress: &Value, errors: &mut Errors) {
    let spec = spec(ingress);
    let path = Path::new("spec");
    let ruled = list(spec, "rules");
    let backend = get(spec, "defaultBackend");
    if ruled.is_empty() && backend.is_none() {
        errors.push(FieldError::invalid(
            &path,
            part(spec, "rules"),
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    if let Some(backend) = backend {
        validate_backend(backend, &path.child("defaultBackend"), errors);
    }
    let rules_path = path.child("rules");
    for (i, rule) in ruled.iter().enumerate() {
        validate_rule(rule, &rules_path.index(i), errors);
    }
    let tls_path = path.child("tls");
    for (i, tls) in list(spec, "tls").iter().enumerate() {
        let path = tls_path.index(i);
        let hosts = path.child("hosts");
        for (i, host) in strings(tls, "hosts").enumerate() {
            validate_host(host, &hosts.index(i), errors);
        }
        rules::name_in(tls, "secretName", names::dns1123_subdomain, &path, errors);
    }
    if let Some(Value::String(class)) = get(spec, "ingressClassName") {
        let found = names::dns1123_subdomain(class);
        faults(found, class, &path.child("ingressClassName"), errors);
    }
}

fn validate_host(host: &str, path: &Path<'_>, errors: &mut Errors) {
    let found = if host.contains('*') {
        names::wildcard_dns1123_subdomain(host)
    } else {
        names::dns1123_subdomain(host)
    };
    faults(found, host, path, errors);
}

fn validate_rule(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    let host = text(rule, "host");
    if !host.is_empty() {
        let path = path.child("host");
        if parse_ip(host).is_some() {
            errors.push(FieldError::invalid(
                &path,
                host,
                "must be a DNS name, not an IP address",
            ));
        }
        validate_host(host, &path, errors);
    }
    let Some(http) = get(rule, "http") else {
        return;
    };
    let path = path.child("http");
    let path = path.child("paths");
    let paths = list(http, "paths");
    if paths.is_empty() {
        errors.push(FieldError::required(&path, ""));
    }
    for (i, item) in paths.iter().enumerate() {
        let path = path.index(i);
        validate_path(item, &path, errors);
        validate_backend(part(item, "backend"), &path.child("backend"), errors);
    }
}

fn validate_path(item: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(Value::String(kind)) = get(item, "pathType") else {
        errors.push(FieldError::required(
            &path.child("pathType"),
            "pathType must be specified",
        ));
        return;
    };
    let target = text(item, "path");
    let at = path.child("path");
    let absolute = target.starts_with('/');
    match kind.as_str() {
        "Exact" | "Prefix" => {
            if !absolute {
                errors.push(FieldError::invalid(&at, target, "must be an absolute path"));
            }
            if target.is_empty() {
                return;
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if target.contains(part) {
                    let detail = format!("must not contain '{part}'");
                    errors.push(FieldError::invalid(&at, target, &detail));
                }
            }
            for end in ["/..", "/."] {
                if target.ends_with(end) {
                    let detail = format!("cannot end with '{end}'");
                    errors.push(FieldError::invalid(&at, target, &detail));
                }
            }
        }
        "ImplementationSpecific" => {
            if !target.is_empty() && !absolute {
                errors.push(FieldError::invalid(&at, target, "must be an absolute path"));
            }
        }
        _ => choice(
            item,
            "pathType",
            &["Exact", "ImplementationSpecific", "Prefix"],
            path,
            errors,
        ),
    }
}

fn validate_backend(backend: &Value, path: &Path<'_>, errors: &mut Errors) {
    match (get(backend, "service"), get(backend, "resource")) {
        (Some(_), Some(_)) => errors.push(FieldError::invalid(
            path,
            "",
            "cannot set both resource and service backends",
        )),
        (None, None) => errors.push(FieldError::invalid(
            path,
            "",
            "resource or service backend is required",
        )),
        (None, Some(resource)) => {
            validate_local_reference(resource, &path.child("resource"), errors);
        }
        (Some(service), None) => validate_service(service, path, errors),
    }
}

fn validate_service(service: &Value, path: &Path<'_>, errors: &mut Errors) {
    let service_path = path.child("service");
    let name = text(service, "name");
    let name_path = service_path.child("name");
    if name.is_empty() {
        errors.push(FieldError::required(&name_path, ""));
    } else {
        faults(names::dns1035_label(name), name, &name_path, errors);
    }
    let port = part(service, "port");
    let (name, number) = (text(port, "name"), int(port, "number").unwrap_or_default());
    let port_path = service_path.child("port");
    match (name, number) {
        ("", 0) => errors.push(FieldError::required(
            path,
            "port name or number is required",
        )),
        ("", number) => validate_port_number(number, &port_path.child("number"), errors),
        (name, 0) => faults(
            names::port_name(name),
            name,
            &port_path.child("name"),
            errors,
        ),
        _ => errors.push(FieldError::invalid(
            path,
            "",
            "cannot set both port name & port number",
        )),
    }
}

/// A reference to an object of any kind: group, kind and name.
pub(super) fn validate_local_reference(reference: &Value, path: &Path<'_>, errors: &mut Errors) {
    rules::name_in(
        reference,
        "apiGroup",
        names::dns1123_subdomain,
        path,
        errors,
    );
    for field in ["kind", "name"] {
        let value = text(reference, field);
        let path = path.child(field);
        if value.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else {
            faults(names::path_segment(value, false), value, &path, errors);
        }
    }
}

fn validate_status_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    let path = Path::new("status");
    let path = path.child("loadBalancer");
    let path = path.child("ingress");
    let balancer = part(rules::status(new), "loadBalancer");
    for (i, ingress) in list(balancer, "ingress").iter().enumerate() {
        let path = path.index(i);
        let ip = text(ingress, "ip");
        if !ip.is_empty() {
            validate_ip(&path.child("ip"), ip, false, &mut errors);
        }
        let host = text(ingress, "hostname");
        if !host.is_empty() {
            let path = path.child("hostname");
            faults(names::dns1123_subdomain(host), host, &path, &mut errors);
            if parse_ip(host).is_some() {
                errors.push(FieldError::invalid(
                    &path,
                    host,
                    "must be a DNS name, not an IP address",
                ));
            }
        }
        let ports = path.child("ports");
        for (i, port) in list(ingress, "ports").iter().enumerate() {
            let path = ports.index(i);
            let number = int(port, "port").unwrap_or_default();
            validate_port_number(number, &path.child("port"), &mut errors);
            choice(port, "protocol", &PROTOCOLS, &path, &mut errors);
        }
    }
    errors
}
