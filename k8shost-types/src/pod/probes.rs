//! Probes and lifecycle hooks.

use serde_json::Value;

use super::scheduling::faults;
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    names,
};

const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// The rules for a container's three probes.
pub(super) fn validate_all(container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = get(container, field) else {
            continue;
        };
        let path = path.child(field);
        validate_probe(probe, &path, errors);
        if field == "readinessProbe" {
            if let Some(seconds) = int(probe, "terminationGracePeriodSeconds") {
                errors.push(FieldError::invalid(
                    &path.child("terminationGracePeriodSeconds"),
                    &seconds,
                    "must not be set for readinessProbes",
                ));
            }
        } else {
            let threshold = int(probe, "successThreshold").unwrap_or_default();
            if threshold != 1 {
                errors.push(FieldError::invalid(
                    &path.child("successThreshold"),
                    &threshold,
                    "must be 1",
                ));
            }
        }
    }
}

fn validate_probe(probe: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    validate_handler(probe, &HANDLERS[..4], None, path, errors);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        if let Some(number) = int(probe, field)
            && number < 0
        {
            errors.push(FieldError::invalid(
                &path.child(field),
                &number,
                "must be greater than or equal to 0",
            ));
        }
    }
    if let Some(seconds) = int(probe, "terminationGracePeriodSeconds")
        && seconds <= 0
    {
        errors.push(FieldError::invalid(
            &path.child("terminationGracePeriodSeconds"),
            &seconds,
            "must be greater than 0",
        ));
    }
}

/// The rules for a container's lifecycle.
pub(super) fn validate_lifecycle(
    lifecycle: &Value,
    grace: Option<i64>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    const HOOKS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "sleep"];
    for field in ["postStart", "preStop"] {
        if let Some(hook) = get(lifecycle, field) {
            validate_handler(hook, &HOOKS, grace, &path.child(field), errors);
        }
    }
}

fn validate_handler(
    handler: &Value,
    kinds: &[&str],
    grace: Option<i64>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mut found = false;
    for kind in kinds {
        let Some(action) = get(handler, kind) else {
            continue;
        };
        let path = path.child(kind);
        if found {
            errors.push(FieldError::forbidden(
                &path,
                "may not specify more than 1 handler type",
            ));
            continue;
        }
        found = true;
        match *kind {
            "exec" => {
                if list(action, "command").is_empty() {
                    errors.push(FieldError::required(&path.child("command"), ""));
                }
            }
            "httpGet" => validate_http(action, &path, errors),
            "tcpSocket" => validate_port(get(action, "port"), &path.child("port"), errors),
            "grpc" => {
                let number = int(action, "port").unwrap_or_default();
                validate_port_number(number, &path.child("port"), errors);
            }
            _ => {
                let seconds = int(action, "seconds").unwrap_or_default();
                if let Some(grace) = grace
                    && !(0..=grace).contains(&seconds)
                {
                    let detail = format!(
                        "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                    );
                    errors.push(FieldError::invalid(&path, &seconds, &detail));
                }
            }
        }
    }
    if !found {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
}

fn validate_http(action: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if text(action, "path").is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
    }
    validate_port(get(action, "port"), &path.child("port"), errors);
    let scheme = text(action, "scheme");
    if !matches!(scheme, "HTTP" | "HTTPS") {
        errors.push(FieldError::not_supported(
            &path.child("scheme"),
            scheme,
            &["HTTP", "HTTPS"],
        ));
    }
    for header in list(action, "httpHeaders") {
        let name = text(header, "name");
        faults(
            names::http_header_name(name),
            name,
            &path.child("httpHeaders"),
            errors,
        );
    }
}

/// The rule for the number of a port.
pub(crate) fn validate_port_number(number: i64, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !(1..=65535).contains(&number) {
        errors.push(FieldError::invalid(
            path,
            &number,
            "must be between 1 and 65535, inclusive",
        ));
    }
}

/// The rule for a port that is a number or a name.
pub(crate) fn validate_port(port: Option<&Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match port {
        Some(Value::String(name)) => faults(names::port_name(name), name, path, errors),
        port => {
            let number = port.and_then(Value::as_i64).unwrap_or_default();
            validate_port_number(number, path, errors);
        }
    }
}
