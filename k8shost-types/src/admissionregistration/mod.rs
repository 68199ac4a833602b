//! Kinds of admissionregistration.k8s.io/v1: webhooks, and policies that are expressions. Whether an
//! expression can be compiled is not looked at.

mod policies;
mod webhooks;

pub use policies::{VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING};
pub use webhooks::{MUTATING_WEBHOOK_CONFIGURATION, VALIDATING_WEBHOOK_CONFIGURATION};

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{get, list, list_mut, text},
    names,
    rules::{Errors, Seen, choice, faults, fill_absent, is_set, part, strings},
    strategy::{Strategy, Text},
};

/// The rows of these kinds.
pub static ALL: &[&Strategy] = &[
    &VALIDATING_WEBHOOK_CONFIGURATION,
    &MUTATING_WEBHOOK_CONFIGURATION,
    &VALIDATING_ADMISSION_POLICY,
    &VALIDATING_ADMISSION_POLICY_BINDING,
];

const CLUSTER: Strategy = Strategy {
    api_version: Text::Borrowed("admissionregistration.k8s.io/v1"),
    namespaced: false,
    selectable: &["metadata.name"],
    unconditional_update: false,
    ..Strategy::BASE
};

/// The defaults of what says which requests are meant.
fn default_match(value: &mut Value, rules: &[&str]) {
    fill_absent(value, "matchPolicy", "Equivalent");
    fill_absent(value, "namespaceSelector", json!({}));
    fill_absent(value, "objectSelector", json!({}));
    for field in rules {
        for rule in list_mut(value, field) {
            fill_absent(rule, "scope", "*");
        }
    }
}

/// Where `*` is, nothing else is.
fn alone(value: &Value, field: &str, star: &str, what: &str, path: &Path<'_>, errors: &mut Errors) {
    let items: Vec<&str> = strings(value, field).collect();
    let path = path.child(field);
    if items.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else if items.len() > 1 && items.contains(&star) {
        let detail = format!("if '{star}' is present, must not specify other {what}");
        errors.push(FieldError::invalid(&path, part(value, field), &detail));
    }
}

/// The rules for a rule of operations, groups, versions and resources.
fn validate_rule(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    alone(rule, "operations", "*", "operations", path, errors);
    let operations = path.child("operations");
    for (i, operation) in strings(rule, "operations").enumerate() {
        if !OPERATIONS.contains(&operation) {
            let path = operations.index(i);
            errors.push(FieldError::not_supported(&path, operation, &OPERATIONS));
        }
    }
    alone(rule, "apiGroups", "*", "API groups", path, errors);
    alone(rule, "apiVersions", "*", "API versions", path, errors);
    alone(rule, "resources", "*/*", "resources", path, errors);
    for field in ["apiVersions", "resources"] {
        let path = path.child(field);
        for (i, item) in strings(rule, field).enumerate() {
            if item.is_empty() {
                errors.push(FieldError::required(&path.index(i), ""));
            }
        }
    }
    choice(rule, "scope", &["*", "Cluster", "Namespaced"], path, errors);
}

/// The rules for expressions that must hold before anything else is looked at.
fn validate_conditions(value: &Value, path: &Path<'_>, errors: &mut Errors) {
    const MOST: usize = 64;
    let path = path.child("matchConditions");
    let conditions = list(value, "matchConditions");
    if conditions.len() > MOST {
        errors.push(FieldError::too_many(&path, conditions.len(), MOST));
    }
    let mut seen = Seen::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        if !is_set(condition, "expression") {
            errors.push(FieldError::required(&path.child("expression"), ""));
        }
        let name = text(condition, "name");
        let name_path = path.child("name");
        if name.is_empty() {
            errors.push(FieldError::required(&name_path, ""));
        } else {
            faults(names::qualified_name(name), name, &name_path, errors);
            if !seen.add(name) {
                errors.push(FieldError::duplicate(&name_path, name));
            }
        }
    }
}

/// The rules for the selectors of namespaces and of objects.
fn validate_selectors(value: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in ["namespaceSelector", "objectSelector"] {
        if let Some(selector) = get(value, field) {
            let path = path.child(field);
            crate::rules::validate_label_selector(selector, &path, errors);
        }
    }
}
