//! PriorityClass, the one kind of scheduling.k8s.io/v1.

use serde_json::Value;

use crate::{
    error::FieldError,
    field::Path,
    json::{flag, int, text},
    meta, names,
    rules::{self, Errors, fill, part, same},
    strategy::{Strategy, Text},
};

/// The row of PriorityClass in the table of kinds.
pub static PRIORITY_CLASS: Strategy = Strategy {
    kind: Text::Borrowed("PriorityClass"),
    api_version: Text::Borrowed("scheduling.k8s.io/v1"),
    resource: Text::Borrowed("priorityclasses"),
    namespaced: false,
    default: |class| {
        fill(class, "preemptionPolicy", "PreemptLowerPriority");
        rules::fill_absent(class, "value", 0);
    },
    prepare_create: |class| meta::set(class, "generation", 1),
    validate_create,
    validate_update,
    selectable: &["metadata.name"],
    ..Strategy::BASE
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&PRIORITY_CLASS];

/// The priority classes that are always there, and the pods of which keep a cluster and a node
/// running.
pub const SYSTEM_CLASSES: [(&str, i64); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];
/// What others may have at most.
const HIGHEST: i64 = 1_000_000_000;

fn validate_create(class: &Value) -> Errors {
    let mut errors = rules::metadata(class, false, names::subdomain_rule);
    let name = meta::name(class);
    let value = int(class, "value").unwrap_or_default();
    if name.starts_with("system-") {
        let fault = match SYSTEM_CLASSES.iter().find(|(known, _)| *known == name) {
            None => Some(format!("{name} is not a known system priority class")),
            Some((_, known)) if *known != value => {
                Some(format!("value of {name} PriorityClass must be {known}"))
            }
            Some(_) if flag(class, "globalDefault") => Some(format!(
                "globalDefault of {name} PriorityClass must be false"
            )),
            Some(_) => None,
        };
        if let Some(fault) = fault {
            let path = Path::new("metadata");
            let detail = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {fault}"
            );
            errors.push(FieldError::forbidden(&path.child("name"), &detail));
        }
    } else if value > HIGHEST {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.push(FieldError::forbidden(&Path::new("value"), &detail));
    }
    let policies = ["Never", "PreemptLowerPriority"];
    let policy = text(class, "preemptionPolicy");
    if !policies.contains(&policy) {
        let path = Path::new("preemptionPolicy");
        errors.push(FieldError::not_supported(&path, policy, &policies));
    }
    errors
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    if !same(new, old, "value") {
        errors.push(FieldError::forbidden(
            &Path::new("value"),
            "may not be changed in an update.",
        ));
    }
    if !same(new, old, "preemptionPolicy") {
        errors.push(FieldError::invalid(
            &Path::new("preemptionPolicy"),
            part(new, "preemptionPolicy"),
            "field is immutable",
        ));
    }
    errors
}
