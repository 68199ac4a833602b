//! What an autoscaler goes by.

use serde_json::Value;

use super::validate_reference;
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, list, list_mut, text},
    names,
    pod::{exact_quantity, validate_readable},
    rules::{Errors, faults, part, validate_label_selector},
};

/// The kinds of metrics: the type, and the field with what is particular to it.
pub(super) const KINDS: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

/// Brings the quantities into the form that they are stored in.
pub(super) fn normalize(spec: &mut Value) {
    for metric in list_mut(spec, "metrics") {
        for (_, field) in KINDS {
            let Some(target) =
                tree::get_mut(metric, field).and_then(|source| tree::get_mut(source, "target"))
            else {
                continue;
            };
            for field in ["value", "averageValue"] {
                if let Some(amount) = tree::get_mut(target, field) {
                    exact_quantity(amount);
                }
            }
        }
    }
    if let Some(behavior) = tree::get_mut(spec, "behavior") {
        for field in ["scaleUp", "scaleDown"] {
            if let Some(tolerance) =
                tree::get_mut(behavior, field).and_then(|rules| tree::get_mut(rules, "tolerance"))
            {
                exact_quantity(tolerance);
            }
        }
    }
}

pub(super) fn validate(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (i, metric) in list(spec, "metrics").iter().enumerate() {
        validate_metric(metric, &path.index(i), errors);
    }
}

fn validate_metric(metric: &Value, path: &Path<'_>, errors: &mut Errors) {
    let kind = text(metric, "type");
    let type_path = path.child("type");
    let expected = KINDS.iter().find(|(known, _)| *known == kind);
    if kind.is_empty() {
        errors.push(FieldError::required(
            &type_path,
            "must specify a metric source type",
        ));
    } else if expected.is_none() {
        let kinds = KINDS.map(|(kind, _)| kind);
        errors.push(FieldError::not_supported(&type_path, kind, &kinds));
    }
    for (_, field) in KINDS {
        let Some(source) = get(metric, field) else {
            continue;
        };
        if expected.is_some_and(|(_, expected)| *expected == field) {
            validate_source(field, source, &path.child(field), errors);
        } else if expected.is_some() {
            errors.push(FieldError::forbidden(
                &path.child(field),
                "must populate the given metric source only",
            ));
        }
    }
    if let Some((_, field)) = expected
        && get(metric, field).is_none()
    {
        errors.push(FieldError::required(
            &path.child(field),
            "must populate information for the given metric source",
        ));
    }
}

fn required(value: &Value, field: &str, detail: &str, path: &Path<'_>, errors: &mut Errors) {
    if text(value, field).is_empty() {
        errors.push(FieldError::required(&path.child(field), detail));
    }
}

fn validate_source(kind: &str, source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let target = part(source, "target");
    let path = *path;
    let target_path = path.child("target");
    match kind {
        "resource" | "containerResource" => {
            if kind == "containerResource" {
                required(
                    source,
                    "container",
                    "must specify a container",
                    &path,
                    errors,
                );
            }
            required(
                source,
                "name",
                "must specify a resource name",
                &path,
                errors,
            );
        }
        "object" => {
            let described = part(source, "describedObject");
            validate_reference(described, &path.child("describedObject"), errors);
            validate_identifier(part(source, "metric"), &path.child("metric"), errors);
        }
        _ => validate_identifier(part(source, "metric"), &path.child("metric"), errors),
    }
    validate_target(target, &target_path, errors);
    let has = |field| get(target, field).is_some();
    let average = target_path.child("averageValue");
    match kind {
        "resource" | "containerResource" => {
            match (has("averageUtilization"), has("averageValue")) {
                (false, false) => errors.push(FieldError::required(
                    &target_path.child("averageUtilization"),
                    "must set either a target raw value or a target utilization",
                )),
                (true, true) => errors.push(FieldError::forbidden(
                    &average,
                    "may not set both a target raw value and a target utilization",
                )),
                _ => {}
            }
        }
        "pods" if !has("averageValue") => errors.push(FieldError::required(
            &average,
            "must specify a positive target averageValue",
        )),
        "object" if !has("value") && !has("averageValue") => errors.push(FieldError::required(
            &average,
            "must set either a target value or averageValue",
        )),
        "external" => match (has("value"), has("averageValue")) {
            (false, false) => errors.push(FieldError::required(
                &average,
                "must set either a target value for metric or a per-pod target",
            )),
            (true, true) => errors.push(FieldError::forbidden(
                &target_path.child("value"),
                "may not set both a target value for metric and a per-pod target",
            )),
            _ => {}
        },
        _ => {}
    }
}

fn validate_identifier(metric: &Value, path: &Path<'_>, errors: &mut Errors) {
    let name = text(metric, "name");
    let name_path = path.child("name");
    if name.is_empty() {
        errors.push(FieldError::required(
            &name_path,
            "must specify a metric name",
        ));
    } else {
        faults(names::path_segment(name, false), name, &name_path, errors);
    }
    if let Some(selector) = get(metric, "selector") {
        validate_label_selector(selector, &path.child("selector"), errors);
    }
}

fn validate_target(target: &Value, path: &Path<'_>, errors: &mut Errors) {
    let kind = text(target, "type");
    let type_path = path.child("type");
    if kind.is_empty() {
        errors.push(FieldError::required(
            &type_path,
            "must specify a metric target type",
        ));
    } else if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        errors.push(FieldError::invalid(
            &type_path,
            kind,
            "must be either Utilization, Value, or AverageValue",
        ));
    }
    for field in ["value", "averageValue"] {
        let path = path.child(field);
        if let Some(amount) = get(target, field)
            && let Some(quantity) = validate_readable(amount, &path, errors)
            && !quantity.is_positive()
        {
            errors.push(FieldError::invalid(&path, amount, "must be positive"));
        }
    }
    if let Some(percent) = int(target, "averageUtilization")
        && percent < 1
    {
        errors.push(FieldError::invalid(
            &path.child("averageUtilization"),
            &percent,
            "must be greater than 0",
        ));
    }
}
