//! ReplicaSet.

use serde_json::{Value, json};

use super::{drop_disabled, template_defaults, validate_selector};
use crate::{
    core_v1::{replica_fields, replica_status_update},
    field::Path,
    json as tree, names, pod,
    rules::{self, Errors, fill_absent, non_negative, part, spec},
    strategy::{Strategy, Text},
};

/// The row of ReplicaSet in the table of kinds.
pub static REPLICA_SET: Strategy = Strategy {
    kind: Text::Borrowed("ReplicaSet"),
    api_version: Text::Borrowed("apps/v1"),
    resource: Text::Borrowed("replicasets"),
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
    validate_update: |new, old| super::validate_update(new, old, validate),
    prepare_status_update: rules::prepare_status_update,
    validate_status_update: replica_status_update,
    selectable: &["metadata.name", "metadata.namespace", "status.replicas"],
    fields: replica_fields,
    has_status: true,
    has_scale: true,
    ..Strategy::BASE
};

fn default(object: &mut Value) {
    if let Some(spec) = tree::ensure_object(object, "spec") {
        fill_absent(spec, "replicas", 1);
        template_defaults(spec);
    }
    rules::zeros(object, &["replicas"]);
}

fn validate(object: &Value, errors: &mut Errors) {
    let spec = spec(object);
    let path = Path::new("spec");
    non_negative(spec, "replicas", &path, errors);
    non_negative(spec, "minReadySeconds", &path, errors);
    let selector = validate_selector(spec, "invalid for deployment", &path, errors);
    pod::validate_controlled_template(
        part(spec, "template"),
        selector,
        "ReplicaSet",
        true,
        &path.child("template"),
        errors,
    );
}
