//! StorageClass and VolumeAttributesClass.

use serde_json::Value;

use crate::{
    core_v1::validate_driver_name,
    error::FieldError,
    field::Path,
    json::{get, list, pairs, text},
    names,
    rules::{self, Errors, Seen, faults, fill_absent, is_set, part, same, same_or_empty, strings},
    strategy::{Strategy, Text},
};

/// The row of StorageClass in the table of kinds.
pub static STORAGE_CLASS: Strategy = Strategy {
    kind: Text::Borrowed("StorageClass"),
    api_version: Text::Borrowed("storage.k8s.io/v1"),
    resource: Text::Borrowed("storageclasses"),
    namespaced: false,
    default: |class| {
        fill_absent(class, "reclaimPolicy", "Delete");
        fill_absent(class, "volumeBindingMode", "Immediate");
    },
    validate_create: |class| rules::created(class, false, names::subdomain_rule, validate),
    validate_update,
    selectable: &["metadata.name"],
    ..Strategy::BASE
};

/// The row of VolumeAttributesClass in the table of kinds.
pub static VOLUME_ATTRIBUTES_CLASS: Strategy = Strategy {
    kind: Text::Borrowed("VolumeAttributesClass"),
    api_version: Text::Borrowed("storage.k8s.io/v1"),
    resource: Text::Borrowed("volumeattributesclasses"),
    namespaced: false,
    validate_create: |class| {
        let mut errors = rules::metadata(class, false, names::subdomain_rule);
        let driver = text(class, "driverName");
        let path = Path::new("driverName");
        if driver.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else {
            validate_driver_name(driver, &path, &mut errors);
        }
        if !is_set(class, "parameters") {
            errors.push(FieldError::required(
                &Path::new("parameters"),
                "must contain at least one key/value pair",
            ));
        }
        validate_parameters(class, &mut errors);
        errors
    },
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        for field in ["driverName", "parameters"] {
            forbid_change(new, old, field, &mut errors);
        }
        errors
    },
    selectable: &["metadata.name"],
    ..Strategy::BASE
};

const MOST_PARAMETERS: usize = 512;
const MOST_BYTES: usize = 256 * 1024;

fn forbid_change(new: &Value, old: &Value, field: &str, errors: &mut Errors) {
    if !same_or_empty(new, old, field) {
        let detail = format!("updates to {field} are forbidden.");
        errors.push(FieldError::forbidden(&Path::new(field), &detail));
    }
}

fn validate_parameters(class: &Value, errors: &mut Errors) {
    let path = Path::new("parameters");
    let count = pairs(class, "parameters").count();
    if count > MOST_PARAMETERS {
        errors.push(FieldError::too_long(&path, MOST_PARAMETERS));
        return;
    }
    let mut size = 0;
    for (key, value) in pairs(class, "parameters") {
        if key.is_empty() {
            errors.push(FieldError::invalid(&path, key, "field can not be empty."));
        }
        size += key.len() + value.len();
    }
    if size > MOST_BYTES {
        errors.push(FieldError::too_long(&path, MOST_BYTES));
    }
}

fn validate(class: &Value, errors: &mut Errors) {
    let provisioner = text(class, "provisioner");
    let path = Path::new("provisioner");
    if provisioner.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        let lower = provisioner.to_lowercase();
        faults(names::qualified_name(&lower), &lower, &path, errors);
    }
    validate_parameters(class, errors);
    one_of(class, "reclaimPolicy", &["Delete", "Retain"], errors);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    one_of(class, "volumeBindingMode", &modes, errors);
    let path = Path::new("allowedTopologies");
    let mut terms = Seen::new();
    for (i, term) in list(class, "allowedTopologies").iter().enumerate() {
        let path = path.index(i);
        if !terms.add(term.to_string()) {
            errors.push(FieldError::duplicate(
                &path.child("matchLabelExpressions"),
                "",
            ));
        }
        let path = path.child("matchLabelExpressions");
        let mut seen = Seen::new();
        for (i, expression) in list(term, "matchLabelExpressions").iter().enumerate() {
            let path = path.index(i);
            let key = text(expression, "key");
            if !is_set(expression, "values") {
                errors.push(FieldError::required(&path.child("values"), ""));
            }
            let mut values = Seen::new();
            for (i, value) in strings(expression, "values").enumerate() {
                if !values.add(value) {
                    let path = path.child("values");
                    errors.push(FieldError::duplicate(&path.index(i), value));
                }
            }
            faults(names::qualified_name(key), key, &path.child("key"), errors);
            if !seen.add(key) {
                errors.push(FieldError::duplicate(&path.child("key"), key));
            }
        }
    }
}

fn one_of(class: &Value, field: &str, choices: &[&str], errors: &mut Errors) {
    let path = Path::new(field);
    match get(class, field) {
        None => errors.push(FieldError::required(&path, "")),
        Some(chosen)
            if chosen
                .as_str()
                .is_none_or(|chosen| !choices.contains(&chosen)) =>
        {
            errors.push(FieldError::not_supported(&path, chosen, choices));
        }
        Some(_) => {}
    }
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    for field in ["parameters", "provisioner", "reclaimPolicy"] {
        forbid_change(new, old, field, &mut errors);
    }
    let field = "volumeBindingMode";
    if !same(new, old, field) {
        errors.push(FieldError::invalid(
            &Path::new(field),
            part(new, field),
            "field is immutable",
        ));
    }
    validate(new, &mut errors);
    errors
}
