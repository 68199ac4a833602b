//! Pod: its defaults and rules.

use serde_json::Value;

use crate::{
    error::FieldError,
    names,
    strategy::{Fields, Strategy},
};

/// The row in the table of kinds.
pub const STRATEGY: Strategy = Strategy {
    kind: "Pod",
    api_version: "v1",
    resource: "pods",
    namespaced: true,
    name_rule: names::subdomain_rule,
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
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
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

/// Gives a pod to a node: sets spec.nodeName and the condition PodScheduled. Refused with Conflict
/// for a pod that is being deleted, has a node already, or has scheduling gates.
pub fn bind(
    _pod: &mut Value,
    _node: &str,
    _now: std::time::SystemTime,
) -> Result<(), crate::Error> {
    Ok(())
}

/// How long a deleted pod has, of what the caller asked for: 0 for one without a node or at its end.
pub fn grace_period_seconds(_pod: &Value, requested: Option<i64>) -> i64 {
    requested.unwrap_or_default()
}
