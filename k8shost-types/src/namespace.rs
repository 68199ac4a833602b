//! Namespace: its defaults and rules.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, text},
    meta, names,
    strategy::{Fields, Part, Strategy, Text},
};

/// The finalizer that holds a namespace until it is empty.
pub const FINALIZER: &str = "kubernetes";
/// The label that carries a namespace's name.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The namespace's row in the table of kinds.
pub const STRATEGY: Strategy = Strategy {
    kind: Text::Borrowed("Namespace"),
    api_version: Text::Borrowed("v1"),
    resource: Text::Borrowed("namespaces"),
    namespaced: false,
    name_rule: names::label_rule,
    default,
    admit_create: |_| Ok(()),
    admit_update: |_, _| Ok(()),
    prepare_create,
    validate_create,
    prepare_update,
    validate_update,
    prepare_status_update,
    validate_status_update,
    canonicalize: label_with_name,
    selectable: &["metadata.name", "status.phase"],
    fields,
    has_status: true,
    parts: &[Part {
        name: "finalize",
        prepare: prepare_finalize_update,
        validate: validate_finalize_update,
    }],
    ..Strategy::BASE
};

/// The label with its name, and a phase.
pub fn default(namespace: &mut Value) {
    if !meta::name(namespace).is_empty() {
        label_with_name(namespace);
    }
    if let Some(status) = tree::ensure_object(namespace, "status")
        && text(status, "phase").is_empty()
    {
        tree::set(status, "phase", "Active");
    }
}

fn label_with_name(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    meta::set_label(namespace, NAME_LABEL, &name);
}

/// A new namespace is Active, and has its finalizer.
pub fn prepare_create(namespace: &mut Value) {
    tree::set(namespace, "status", json!({"phase": "Active"}));
    let Some(spec) = tree::ensure_object(namespace, "spec") else {
        return;
    };
    let mut finalizers = list(spec, "finalizers").to_vec();
    if !finalizers.iter().any(|f| f.as_str() == Some(FINALIZER)) {
        finalizers.push(FINALIZER.into());
        tree::set(spec, "finalizers", finalizers);
    }
}

/// The rules for a new namespace.
pub fn validate_create(namespace: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate(namespace, &mut errors);
    errors
}

fn validate(namespace: &Value, errors: &mut Vec<FieldError>) {
    meta::validate_create(namespace, false, names::label_rule, errors);
    meta::validate_kube_finalizers(namespace, errors);
    let path = Path::new("spec");
    let path = path.child("finalizers");
    for finalizer in spec_finalizers(namespace) {
        validate_finalizer(finalizer, &path, errors);
    }
}

fn validate_finalizer(finalizer: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for fault in names::qualified_name(finalizer) {
        errors.push(FieldError::invalid(path, finalizer, &fault));
    }
    meta::validate_kube_finalizer(finalizer, path, errors);
}

/// spec.finalizers.
pub fn spec_finalizers(namespace: &Value) -> impl Iterator<Item = &str> {
    get(namespace, "spec")
        .map_or(&[][..], |spec| list(spec, "finalizers"))
        .iter()
        .filter_map(Value::as_str)
}

/// status.phase: `Active` or `Terminating`.
pub fn phase(namespace: &Value) -> &str {
    get(namespace, "status").map_or("", |status| text(status, "phase"))
}

/// spec.finalizers and status stay.
pub fn prepare_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "status");
    let Some(spec) = tree::ensure_object(new, "spec") else {
        return;
    };
    match get(old, "spec") {
        Some(old) => tree::keep(spec, old, "finalizers"),
        None => {
            tree::remove(spec, "finalizers");
        }
    }
}

/// The rules for a new version of a namespace.
pub fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate(new, &mut errors);
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    errors
}

/// Only the status is written.
pub fn prepare_status_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "spec");
}

/// The phase goes with deletionTimestamp.
pub fn validate_status_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    let (wanted, when) = if meta::deletion_timestamp(new).is_empty() {
        ("Active", "empty")
    } else {
        ("Terminating", "not empty")
    };
    let phase = phase(new);
    if phase != wanted {
        let path = Path::new("status");
        let detail = format!("may only be '{wanted}' if `deletionTimestamp` is {when}");
        errors.push(FieldError::invalid(&path.child("Phase"), phase, &detail));
    }
    errors
}

/// The finalize subresource writes spec.finalizers; the status stays.
pub fn prepare_finalize_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "status");
}

/// The rules for a write of spec.finalizers.
pub fn validate_finalize_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    let path = Path::new("spec");
    let path = path.child("finalizers");
    for (i, finalizer) in spec_finalizers(new).enumerate() {
        validate_finalizer(finalizer, &path.index(i), &mut errors);
    }
    errors
}

/// The fields that a selector may ask for.
pub fn fields(namespace: &Value) -> Fields<'_> {
    vec![("status.phase", Cow::Borrowed(phase(namespace)))]
}
