//! RuntimeClass, the one kind of node.k8s.io/v1.

use serde_json::Value;

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, object, text},
    meta, names,
    pod::{quantities, validate_overhead, validate_tolerations},
    rules::{self, Errors, faults},
    strategy::{Strategy, Text},
};

/// The row of RuntimeClass in the table of kinds.
pub static RUNTIME_CLASS: Strategy = Strategy {
    kind: Text::Borrowed("RuntimeClass"),
    api_version: Text::Borrowed("node.k8s.io/v1"),
    resource: Text::Borrowed("runtimeclasses"),
    namespaced: false,
    default: |class| {
        if let Some(overhead) = tree::get_mut(class, "overhead") {
            quantities(overhead, "podFixed");
        }
    },
    validate_create: |class| {
        let mut errors = rules::metadata(class, false, names::subdomain_rule);
        let handler = text(class, "handler");
        let found = names::dns1123_label(handler);
        faults(found, handler, &Path::new("handler"), &mut errors);
        validate_rest(class, &mut errors);
        errors
    },
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        let handler = text(new, "handler");
        if handler != text(old, "handler") {
            let path = Path::new("handler");
            errors.push(FieldError::invalid(&path, handler, "field is immutable"));
        }
        validate_rest(new, &mut errors);
        errors
    },
    selectable: &["metadata.name"],
    create_on_update: true,
    unconditional_update: false,
    ..Strategy::BASE
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&RUNTIME_CLASS];

fn validate_rest(class: &Value, errors: &mut Errors) {
    if let Some(fixed) = get(class, "overhead").and_then(|overhead| object(overhead, "podFixed")) {
        validate_overhead(fixed, &Path::new("overhead"), errors);
    }
    if let Some(scheduling) = get(class, "scheduling") {
        let path = Path::new("scheduling");
        meta::validate_labels(scheduling, "nodeSelector", &path, errors);
        let tolerations = list(scheduling, "tolerations");
        validate_tolerations(tolerations, &path.child("tolerations"), errors);
    }
}
