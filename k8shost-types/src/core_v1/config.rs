//! ConfigMap.

use serde_json::Value;

use crate::{
    base64,
    error::{FieldError, FieldErrorKind},
    field::Path,
    json::{self as tree, flag, get, object, pairs},
    names,
    rules::{self, Errors, faults, keys, same_or_empty},
    strategy::{Strategy, Text},
};

/// The row of ConfigMap in the table of kinds.
pub static CONFIG_MAP: Strategy = Strategy {
    kind: Text::Borrowed("ConfigMap"),
    resource: Text::Borrowed("configmaps"),
    default: |object| normalize_bytes(object, "binaryData"),
    validate_create: |map| rules::created(map, true, names::subdomain_rule, validate),
    validate_update,
    ..Strategy::BASE
};

/// What a ConfigMap or a Secret may hold, in bytes.
pub(super) const MOST_BYTES: usize = 1024 * 1024;
const LOCKED: &str = "field is immutable when `immutable` is set";

/// Bytes are written as Go writes them, whatever they were sent like. What cannot be read stays.
pub(super) fn normalize_bytes(object: &mut Value, field: &str) {
    for value in tree::object_mut(object, field)
        .into_iter()
        .flat_map(|map| map.values_mut())
    {
        let written = match value {
            Value::String(text) => base64::decode(text)
                .ok()
                .map(|bytes| base64::encode(&bytes)),
            Value::Null => Some(String::new()),
            _ => None,
        };
        if let Some(written) = written {
            *value = written.into();
        }
    }
}

/// How many bytes a map of bytes has. What is not base64 is refused.
pub(super) fn validate_bytes(object: &Value, field: &str, errors: &mut Errors) -> usize {
    let path = Path::new(field);
    let mut size = 0;
    for (key, value) in pairs(object, field) {
        faults(names::config_key(key), key, &path.key(key), errors);
        match base64::decode(value) {
            Ok(bytes) => size += bytes.len(),
            Err(at) => errors.push(FieldError {
                kind: FieldErrorKind::TypeInvalid,
                field: path.key(key).to_string(),
                message: format!("Invalid value: base64: illegal base64 data at input byte {at}"),
            }),
        }
    }
    size
}

fn validate(map: &Value, errors: &mut Errors) {
    let path = Path::new("data");
    let binary = object(map, "binaryData");
    let mut size = 0;
    for key in keys(map, "data") {
        faults(names::config_key(key), key, &path.key(key), errors);
        if binary.is_some_and(|binary| binary.contains_key(key)) {
            errors.push(FieldError::invalid(
                &path.key(key),
                key,
                "duplicate of key present in binaryData",
            ));
        }
    }
    for (_, value) in pairs(map, "data") {
        size += value.len();
    }
    size += validate_bytes(map, "binaryData", errors);
    if size > MOST_BYTES {
        errors.push(FieldError::too_long(&Path::new("[]"), MOST_BYTES));
    }
}

/// What is immutable stays so, and so does its data.
pub(super) fn validate_locked(new: &Value, old: &Value, fields: &[&str], errors: &mut Errors) {
    if !flag(old, "immutable") {
        return;
    }
    if !flag(new, "immutable") {
        errors.push(FieldError::forbidden(&Path::new("immutable"), LOCKED));
    }
    for field in fields {
        if !same_or_empty(new, old, field) {
            errors.push(FieldError::forbidden(&Path::new(field), LOCKED));
        }
    }
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    validate_locked(new, old, &["data", "binaryData"], &mut errors);
    validate(new, &mut errors);
    errors
}

/// The bytes at a key, none where there are none.
pub(super) fn bytes_at(object: &Value, field: &str, key: &str) -> Option<Vec<u8>> {
    let text = get(get(object, field)?, key)?.as_str()?;
    base64::decode(text).ok()
}
