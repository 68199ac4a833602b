//! ReplicationController.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::{
    apps::drop_disabled,
    error::FieldError,
    field::Path,
    json::{self as tree, get, int},
    meta, names, pod,
    rules::{self, Errors, fill_absent, is_set, non_negative, part, spec},
    strategy::{Fields, Strategy, Text},
};

/// The row of ReplicationController in the table of kinds.
pub static REPLICATION_CONTROLLER: Strategy = Strategy {
    kind: Text::Borrowed("ReplicationController"),
    resource: Text::Borrowed("replicationcontrollers"),
    default,
    prepare_create: |object| {
        rules::begin(object, json!({"replicas": 0}));
        drop_disabled(object);
    },
    validate_create: |object| rules::created(object, true, names::subdomain_rule, validate),
    prepare_update: |new, old| {
        drop_disabled(new);
        rules::prepare_update(new, old);
    },
    validate_update: |new, old| rules::updated(new, old, validate),
    prepare_status_update: rules::prepare_status_update,
    validate_status_update: replica_status_update,
    selectable: &["metadata.name", "metadata.namespace", "status.replicas"],
    fields: replica_fields,
    has_status: true,
    has_scale: true,
    ..Strategy::BASE
};

/// status.replicas, by which these may be selected.
pub(crate) fn replica_fields(object: &Value) -> Fields<'_> {
    let replicas = int(rules::status(object), "replicas").unwrap_or_default();
    vec![("status.replicas", Cow::Owned(replicas.to_string()))]
}

fn default(object: &mut Value) {
    let Some(spec) = tree::ensure_object(object, "spec") else {
        return;
    };
    fill_absent(spec, "replicas", 1);
    let mut labels = None;
    if let Some(template) = tree::get_mut(spec, "template") {
        pod::template_defaults(template);
        labels = get(part(template, "metadata"), "labels").cloned();
    }
    if let Some(labels) = labels.filter(|labels| !rules::is_empty(labels)) {
        if !is_set(spec, "selector") {
            tree::set(spec, "selector", labels.clone());
        }
        if !is_set(meta::metadata(object), "labels") {
            meta::set(object, "labels", labels);
        }
    }
    rules::zeros(object, &["replicas"]);
}

fn validate(object: &Value, errors: &mut Errors) {
    let spec = spec(object);
    let path = Path::new("spec");
    non_negative(spec, "minReadySeconds", &path, errors);
    meta::validate_labels(spec, "selector", &path, errors);
    if !is_set(spec, "selector") {
        errors.push(FieldError::required(&path.child("selector"), ""));
    }
    non_negative(spec, "replicas", &path, errors);
    let template_path = path.child("template");
    let Some(template) = get(spec, "template") else {
        errors.push(FieldError::required(&template_path, ""));
        return;
    };
    let selector = json!({"matchLabels": part(spec, "selector")});
    pod::validate_controlled_template(
        template,
        Some(&selector),
        "ReplicationController",
        true,
        &template_path,
        errors,
    );
}

/// The rules for the status of what keeps a number of pods.
pub(crate) fn replica_status_update(new: &Value, old: &Value) -> Errors {
    const MORE: &str = "cannot be greater than status.replicas";
    let mut errors = rules::metadata_update(new, old);
    rules::counts(
        new,
        &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "terminatingReplicas",
            "observedGeneration",
        ],
        &[
            ("fullyLabeledReplicas", "replicas", MORE),
            ("readyReplicas", "replicas", MORE),
            ("availableReplicas", "replicas", MORE),
            (
                "availableReplicas",
                "readyReplicas",
                "cannot be greater than readyReplicas",
            ),
        ],
        &mut errors,
    );
    errors
}
