//! Rules that many kinds have: numbers that are not negative, fields that may not change,
//! percentages, selectors, what an update does to status and generation.

use serde_json::Value;

use crate::{
    error::FieldError,
    field::{Path, Shown},
    json::{self as tree, get, int, list, object, pairs, text},
    meta, names,
    names::NameRule,
    selector::{LabelSelector, Operator, Requirement},
};
pub(crate) use crate::{
    pod::{
        faults, fill, fill_absent, fill_zero, require, required_choice, strings,
        validate_label_selector,
    },
    seen::Seen,
};

pub(crate) type Errors = Vec<FieldError>;

pub(crate) static NOTHING: Value = Value::Null;

/// The field, null where it is absent.
pub(crate) fn part<'a>(value: &'a Value, field: &str) -> &'a Value {
    get(value, field).unwrap_or(&NOTHING)
}

/// The object's spec, null where there is none.
pub(crate) fn spec(object: &Value) -> &Value {
    part(object, "spec")
}

/// The object's status, null where there is none.
pub(crate) fn status(object: &Value) -> &Value {
    part(object, "status")
}

/// What is wrong with the metadata of a new object of a built-in kind.
pub(crate) fn metadata(object: &Value, namespaced: bool, rule: NameRule) -> Errors {
    let mut errors = Errors::new();
    meta::validate_create(object, namespaced, rule, &mut errors);
    meta::validate_kube_finalizers(object, &mut errors);
    errors
}

/// What is wrong with a change of the metadata of a built-in kind.
pub(crate) fn metadata_update(new: &Value, old: &Value) -> Errors {
    let mut errors = Errors::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    errors
}

/// What is wrong with a new object: its metadata, and what `validate` finds.
pub(crate) fn created(
    object: &Value,
    namespaced: bool,
    rule: NameRule,
    validate: fn(&Value, &mut Errors),
) -> Errors {
    let mut errors = metadata(object, namespaced, rule);
    validate(object, &mut errors);
    errors
}

/// What is wrong with the new version of an object: the change of its metadata, and what `validate`
/// finds.
pub(crate) fn updated(new: &Value, old: &Value, validate: fn(&Value, &mut Errors)) -> Errors {
    let mut errors = metadata_update(new, old);
    validate(new, &mut errors);
    errors
}

/// Whether a field is there and not empty.
pub(crate) fn is_set(value: &Value, field: &str) -> bool {
    get(value, field).is_some_and(|value| !is_empty(value))
}

/// Null, or without content.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The same in two versions; null and absent are the same.
pub(crate) fn same(new: &Value, old: &Value, field: &str) -> bool {
    get(new, field) == get(old, field)
}

/// As [`same`]; what is empty and what is absent are the same too.
pub(crate) fn same_or_empty(new: &Value, old: &Value, field: &str) -> bool {
    same(new, old, field) || (!is_set(new, field) && !is_set(old, field))
}

/// The rule for a number that is not negative.
pub(crate) fn non_negative(value: &Value, field: &str, path: &Path<'_>, errors: &mut Errors) {
    if let Some(number) = int(value, field) {
        check_non_negative(number, &path.child(field), errors);
    }
}

/// As [`non_negative`], of a number at hand.
pub(crate) fn check_non_negative(number: i64, path: &Path<'_>, errors: &mut Errors) {
    if number < 0 {
        errors.push(FieldError::invalid(
            path,
            &number,
            "must be greater than or equal to 0",
        ));
    }
}

/// The rule for a number of at least 1.
pub(crate) fn positive(value: &Value, field: &str, path: &Path<'_>, errors: &mut Errors) {
    if let Some(number) = int(value, field)
        && number <= 0
    {
        errors.push(FieldError::invalid(
            &path.child(field),
            &number,
            "must be greater than 0",
        ));
    }
}

/// The rule for a text that, where it is set, is one of some.
pub(crate) fn choice(
    value: &Value,
    field: &str,
    choices: &[&str],
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if let Some(Value::String(chosen)) = get(value, field)
        && !choices.contains(&chosen.as_str())
    {
        errors.push(FieldError::not_supported(
            &path.child(field),
            chosen,
            choices,
        ));
    }
}

/// The rule for a field that stays as it was.
pub(crate) fn immutable(
    new: &Value,
    old: &Value,
    field: &str,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if !same_or_empty(new, old, field) {
        invalid(new, field, "field is immutable", path, errors);
    }
}

/// The value of a field is wrong.
pub(crate) fn invalid(
    value: &Value,
    field: &str,
    detail: &str,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let value = part(value, field);
    errors.push(FieldError::invalid(&path.child(field), value, detail));
}

/// The rule for a name, by one of [`names`]' functions, where it is set.
pub(crate) fn name_in(
    value: &Value,
    field: &str,
    rule: fn(&str) -> names::Faults,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let name = text(value, field);
    if !name.is_empty() {
        faults(rule(name), name, &path.child(field), errors);
    }
}

/// A number, or a percentage of something, that is not negative.
pub(crate) fn int_or_percent(value: &Value, path: &Path<'_>, errors: &mut Errors) {
    match value {
        Value::String(text) => faults(names::percent(text), text, path, errors),
        number => check_non_negative(number.as_i64().unwrap_or_default(), path, errors),
    }
}

/// A percentage is of the whole at most.
pub(crate) fn at_most_all(value: &Value, path: &Path<'_>, errors: &mut Errors) {
    if percent(value).is_some_and(|percent| percent > 100) {
        errors.push(FieldError::invalid(
            path,
            value,
            "must not be greater than 100%",
        ));
    }
}

fn percent(value: &Value) -> Option<u64> {
    let text = value.as_str()?;
    if !names::percent(text).is_empty() {
        return None;
    }
    // More than a u64 holds is more than all.
    Some(text.trim_end_matches('%').parse().unwrap_or(u64::MAX))
}

/// The number, or the percentage; 0 for what is neither.
pub(crate) fn int_or_percent_value(value: &Value) -> i64 {
    let percentage = || percent(value).and_then(|percent| i64::try_from(percent).ok());
    value.as_i64().or_else(percentage).unwrap_or_default()
}

/// The selector that a LabelSelector in an object stands for: all labels for an empty one. `None`
/// where it is malformed.
pub(crate) fn selector_of(selector: &Value) -> Option<LabelSelector> {
    let mut requirements = Vec::new();
    for (key, value) in pairs(selector, "matchLabels") {
        requirements.push(Requirement::new(key, Operator::Equals, vec![value.to_owned()]).ok()?);
    }
    for expression in list(selector, "matchExpressions") {
        let operator = match text(expression, "operator") {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        let values = strings(expression, "values").map(str::to_owned).collect();
        requirements.push(Requirement::new(text(expression, "key"), operator, values).ok()?);
    }
    Some(LabelSelector::new(requirements))
}

/// Whether a LabelSelector selects everything.
pub(crate) fn selects_all(selector: &Value) -> bool {
    !is_set(selector, "matchLabels") && !is_set(selector, "matchExpressions")
}

/// Whether the selector selects what has the labels in this metadata.
pub(crate) fn matches(selector: &LabelSelector, metadata: &Value) -> bool {
    selector.matches(|key| get(part(metadata, "labels"), key).and_then(Value::as_str))
}

/// What is not as it was in one of these fields is a new generation.
pub(crate) fn bump_generation(new: &mut Value, old: &Value, fields: &[&str]) {
    if fields.iter().any(|field| !same_or_empty(new, old, field)) {
        next_generation(new, old);
    }
}

/// The generation after that of the old version.
pub(crate) fn next_generation(new: &mut Value, old: &Value) {
    meta::set(new, "generation", meta::generation(old).saturating_add(1));
}

/// A new object is of the first generation, and has no status but this.
pub(crate) fn begin(object: &mut Value, status: Value) {
    meta::set(object, "generation", 1);
    tree::set(object, "status", status);
}

/// The status stays; a new spec is a new generation.
pub(crate) fn prepare_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "status");
    bump_generation(new, old, &["spec"]);
}

/// Only the status is written.
pub(crate) fn prepare_status_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "spec");
}

/// Sets the numbers that a status always shows.
pub(crate) fn zeros(object: &mut Value, fields: &[&str]) {
    if let Some(status) = tree::ensure_object(object, "status") {
        for field in fields {
            fill_absent(status, field, 0);
        }
    }
}

/// The rules for the counts in a status: none is negative, and none greater than another that bounds
/// it.
pub(crate) fn counts(
    object: &Value,
    fields: &[&str],
    bounds: &[(&str, &str, &str)],
    errors: &mut Errors,
) {
    let status = status(object);
    let path = Path::new("status");
    for field in fields {
        non_negative(status, field, &path, errors);
    }
    for (field, bound, detail) in bounds {
        let count = int(status, field).unwrap_or_default();
        if count > int(status, bound).unwrap_or_default() {
            errors.push(FieldError::invalid(&path.child(field), &count, detail));
        }
    }
}

/// The rule for status.collisionCount, which only grows.
pub(crate) fn collisions(new: &Value, old: &Value, errors: &mut Errors) {
    let count = |object| int(status(object), "collisionCount");
    if let Some(before) = count(old)
        && count(new).unwrap_or_default() < before
    {
        let path = Path::new("status");
        errors.push(FieldError::invalid(
            &path.child("collisionCount"),
            &count(new).unwrap_or_default(),
            "cannot be decremented",
        ));
    }
}

/// Takes out lists and maps that are empty, which Kubernetes does not write.
pub(crate) fn drop_empty(value: &mut Value, fields: &[&str]) {
    for field in fields {
        if get(value, field).is_none_or(is_empty) {
            tree::remove(value, field);
        }
    }
}

/// A value that is shown as this text, as it is.
pub(crate) struct Raw<'a>(pub(crate) &'a str);

impl Shown for Raw<'_> {
    fn shown(&self) -> String {
        self.0.to_owned()
    }
}

/// The keys of a map.
pub(crate) fn keys<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    object(value, field)
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
}
