//! Service: its defaults and rules.

use serde_json::Value;

use crate::{
    error::FieldError,
    names,
    strategy::{Fields, Strategy},
};

/// The row in the table of kinds.
pub const STRATEGY: Strategy = Strategy {
    kind: "Service",
    api_version: "v1",
    resource: "services",
    namespaced: true,
    name_rule: names::label1035_rule,
    default,
    prepare_create,
    validate_create,
    prepare_update,
    validate_update,
    prepare_status_update,
    validate_status_update,
    canonicalize: |_| {},
    selectable: &[
        "metadata.name",
        "metadata.namespace",
        "spec.clusterIP",
        "spec.type",
    ],
    fields,
};

/// Puts Kubernetes' defaults.
pub fn default(_object: &mut Value) {}
/// Prepares a new object.
pub fn prepare_create(_object: &mut Value) {}
/// The rules for a new object.
pub fn validate_create(_object: &Value) -> Vec<FieldError> {
    Vec::new()
}
/// Prepares an update.
pub fn prepare_update(_new: &mut Value, _old: &Value) {}
/// The rules for an update.
pub fn validate_update(_new: &Value, _old: &Value) -> Vec<FieldError> {
    Vec::new()
}
/// Prepares a write of the status.
pub fn prepare_status_update(_new: &mut Value, _old: &Value) {}
/// The rules for a write of the status.
pub fn validate_status_update(_new: &Value, _old: &Value) -> Vec<FieldError> {
    Vec::new()
}
/// The fields that a selector may ask for.
pub fn fields(_object: &Value) -> Fields<'_> {
    Vec::new()
}
