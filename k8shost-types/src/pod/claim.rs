//! The rules for the claim that an ephemeral volume makes.

use serde_json::Value;

use super::scheduling::{faults, validate_label_selector};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, list, text},
    meta, names,
};

pub(crate) const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

/// The rules for an ephemeral volume.
pub(super) fn validate_ephemeral(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("volumeClaimTemplate");
    let Some(template) = get(source, "volumeClaimTemplate") else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    validate_template_metadata(template, &path.child("metadata"), errors);
    let spec = get(template, "spec").unwrap_or(&Value::Null);
    validate_spec(spec, &path.child("spec"), errors);
}

/// Only labels and annotations are taken from a template.
fn validate_template_metadata(template: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(metadata) = get(template, "metadata") else {
        return;
    };
    meta::validate_annotations(metadata, path, errors);
    meta::validate_labels(metadata, "labels", path, errors);
    for field in [
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "ownerReferences",
        "finalizers",
        "managedFields",
    ] {
        let set = match get(metadata, field) {
            None => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Number(number)) if field == "generation" => number.as_i64() != Some(0),
            Some(_) => true,
        };
        if set {
            let shown = if field == "uid" { "uID" } else { field };
            errors.push(FieldError::forbidden(&path.child(shown), "cannot be set"));
        }
    }
}

pub(crate) fn validate_spec(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let modes = list(spec, "accessModes");
    let modes_path = path.child("accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(
            &modes_path,
            "at least 1 access mode is required",
        ));
    }
    if let Some(selector) = get(spec, "selector") {
        validate_label_selector(selector, &path.child("selector"), errors);
    }
    let (mut alone, mut shared) = (false, false);
    for mode in modes.iter().filter_map(Value::as_str) {
        if !MODES.contains(&mode) {
            errors.push(FieldError::not_supported(&modes_path, mode, &MODES));
        } else if mode == "ReadWriteOncePod" {
            alone = true;
        } else {
            shared = true;
        }
    }
    if alone && shared {
        errors.push(FieldError::forbidden(
            &modes_path,
            "may not use ReadWriteOncePod with other access modes",
        ));
    }
    validate_storage(spec, path, errors);
    for field in [
        "storageClassName",
        "volumeMode",
        "dataSource",
        "dataSourceRef",
    ] {
        let Some(value) = get(spec, field) else {
            continue;
        };
        let path = path.child(field);
        match (field, value.as_str()) {
            ("storageClassName", Some(name)) if !name.is_empty() => {
                faults(names::dns1123_subdomain(name), name, &path, errors);
            }
            ("volumeMode", Some(mode)) if !matches!(mode, "Block" | "Filesystem") => {
                errors.push(FieldError::not_supported(
                    &path,
                    mode,
                    &["Block", "Filesystem"],
                ));
            }
            ("dataSource" | "dataSourceRef", None) => {
                validate_data_source(value, field == "dataSourceRef", &path, errors);
            }
            _ => {}
        }
    }
    validate_sources_agree(spec, path, errors);
    let class = text(spec, "volumeAttributesClassName");
    if !class.is_empty() {
        let path = path.child("volumeAttributesClassName");
        faults(names::dns1123_subdomain(class), class, &path, errors);
    }
}

fn validate_storage(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let storage = get(spec, "resources")
        .and_then(|resources| get(resources, "requests"))
        .and_then(|requests| get(requests, "storage"));
    let path = path.child("resources");
    let path = path.key("storage");
    let Some(storage) = storage else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    let amount = super::resources::validate_readable(storage, &path, errors);
    if amount.is_some_and(|amount| !amount.is_positive()) {
        errors.push(FieldError::invalid(
            &path,
            storage,
            "must be greater than zero",
        ));
    }
}

fn validate_data_source(
    source: &Value,
    with_namespace: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for field in ["name", "kind"] {
        super::sources::require(source, field, path, errors);
    }
    let (group, kind) = (text(source, "apiGroup"), text(source, "kind"));
    if group.is_empty() {
        if kind != "PersistentVolumeClaim" {
            errors.push(FieldError::invalid(
                path,
                kind,
                "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            ));
        }
    } else {
        faults(
            names::dns1123_subdomain(group),
            group,
            &path.child("apiGroup"),
            errors,
        );
    }
    let namespace = text(source, "namespace");
    if with_namespace && !namespace.is_empty() {
        faults(
            names::dns1123_label(namespace),
            namespace,
            &path.child("namespace"),
            errors,
        );
    }
}

fn validate_sources_agree(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (Some(source), Some(reference)) = (get(spec, "dataSource"), get(spec, "dataSourceRef"))
    else {
        return;
    };
    let same = |field| get(source, field) == get(reference, field);
    let fault = if !text(reference, "namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if !(same("apiGroup") && same("kind") && same("name")) {
        "must match dataSourceRef"
    } else {
        return;
    };
    // What Kubernetes shows as the value is a path without any exported field.
    errors.push(FieldError::invalid(path, &serde_json::json!({}), fault));
}
