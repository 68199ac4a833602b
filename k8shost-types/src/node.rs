//! Node: its defaults and rules.

use serde_json::Value;

use crate::{
    error::FieldError,
    names,
    strategy::{Fields, Strategy},
};

/// The row in the table of kinds.
pub const STRATEGY: Strategy = Strategy {
    kind: "Node",
    api_version: "v1",
    resource: "nodes",
    namespaced: false,
    name_rule: names::subdomain_rule,
    default,
    prepare_create,
    validate_create,
    prepare_update,
    validate_update,
    prepare_status_update,
    validate_status_update,
    canonicalize: |_| {},
    selectable: &["metadata.name", "spec.unschedulable"],
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

/// The annotation with the time of the last heartbeat.
pub const LAST_HEARTBEAT: &str = "k8shost.io/last-heartbeat";

/// A sign of life: what `status` has replaces what was there (absent fields stay, conditions merge
/// by type), and the times of the heartbeat are renewed. Returns the rules that the result breaks.
pub fn heartbeat(
    _node: &mut Value,
    _status: Option<&Value>,
    _now: std::time::SystemTime,
) -> Result<(), crate::Error> {
    Ok(())
}
