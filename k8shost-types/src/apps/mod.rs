//! Kinds of apps/v1: controllers that keep pods running, and the revisions that they leave.

mod daemon_set;
mod deployment;
mod replica_set;
mod revision;
mod stateful_set;

use serde_json::Value;

pub use daemon_set::DAEMON_SET;
pub use deployment::DEPLOYMENT;
pub use replica_set::REPLICA_SET;
pub use revision::CONTROLLER_REVISION;
pub use stateful_set::STATEFUL_SET;

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get},
    pod,
    rules::{self, Errors, part, required_choice, selects_all, spec, validate_label_selector},
    strategy::Strategy,
};

/// The rows of these kinds.
pub static ALL: &[&Strategy] = &[
    &DEPLOYMENT,
    &REPLICA_SET,
    &STATEFUL_SET,
    &DAEMON_SET,
    &CONTROLLER_REVISION,
];

/// The defaults of the template in a spec.
fn template_defaults(spec: &mut Value) {
    if let Some(template) = tree::ensure_object(spec, "template") {
        pod::template_defaults(template);
    }
}

/// Takes out of the template what belongs to features that are off.
pub(crate) fn drop_disabled(object: &mut Value) {
    if let Some(template) =
        tree::get_mut(object, "spec").and_then(|spec| tree::get_mut(spec, "template"))
    {
        pod::drop_disabled(template);
    }
}

/// The rules for a selector that must select something. `None` where there is none.
fn validate_selector<'a>(
    spec: &'a Value,
    kind: &str,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<&'a Value> {
    let selector = validate_given_selector(spec, kind, path, errors);
    if selector.is_none() {
        errors.push(FieldError::required(&path.child("selector"), ""));
    }
    selector
}

/// The same where there may be none.
fn validate_given_selector<'a>(
    spec: &'a Value,
    kind: &str,
    path: &Path<'_>,
    errors: &mut Errors,
) -> Option<&'a Value> {
    let path = path.child("selector");
    let selector = get(spec, "selector")?;
    validate_label_selector(selector, &path, errors);
    if selects_all(selector) {
        let detail = format!("empty selector is {kind}");
        errors.push(FieldError::invalid(&path, selector, &detail));
    }
    Some(selector)
}

/// What is wrong with the new version of a kind whose selector stays as it is.
fn validate_update(new: &Value, old: &Value, validate: fn(&Value, &mut Errors)) -> Errors {
    let mut errors = rules::updated(new, old, validate);
    let path = Path::new("spec");
    rules::immutable(spec(new), spec(old), "selector", &path, &mut errors);
    errors
}

/// The rule for the one field of an update strategy that says which it is.
fn validate_strategy_type(
    strategy: &Value,
    choices: &[&str],
    path: &Path<'_>,
    errors: &mut Errors,
) {
    required_choice(strategy, "type", choices, path, errors);
}

/// Whether an amount of pods is none.
fn is_zero(value: &Value, field: &str) -> bool {
    rules::int_or_percent_value(part(value, field)) == 0
}
