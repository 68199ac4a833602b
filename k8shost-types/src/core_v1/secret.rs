//! Secret: its types and what each must hold.

use std::borrow::Cow;

use serde_json::Value;

use super::config::{MOST_BYTES, bytes_at, normalize_bytes, validate_bytes, validate_locked};
use crate::{
    base64,
    error::FieldError,
    field::Path,
    json::{self as tree, object, pairs, text},
    meta, names,
    rules::{self, Errors, fill, part},
    strategy::{Fields, Strategy, Text},
};

/// The row of Secret in the table of kinds.
pub static SECRET: Strategy = Strategy {
    kind: Text::Borrowed("Secret"),
    resource: Text::Borrowed("secrets"),
    default,
    validate_create: |secret| rules::created(secret, true, names::subdomain_rule, validate),
    validate_update,
    selectable: &["metadata.name", "metadata.namespace", "type"],
    fields,
    ..Strategy::BASE
};

const ACCOUNT: &str = "kubernetes.io/service-account.name";

/// stringData is what a caller may write instead of base64: it wins over data, and is not kept.
fn default(secret: &mut Value) {
    let plain: Vec<(String, Value)> = pairs(secret, "stringData")
        .map(|(key, value)| (key.to_owned(), base64::encode(value.as_bytes()).into()))
        .collect();
    tree::remove(secret, "stringData");
    if !plain.is_empty()
        && let Some(Value::Object(data)) = tree::ensure_object(secret, "data")
    {
        data.extend(plain);
    }
    normalize_bytes(secret, "data");
    fill(secret, "type", "Opaque");
}

fn validate(secret: &Value, errors: &mut Errors) {
    let path = Path::new("data");
    if validate_bytes(secret, "data", errors) > MOST_BYTES {
        errors.push(FieldError::too_long(&path, MOST_BYTES));
    }
    let has = |key| object(secret, "data").is_some_and(|data| data.contains_key(key));
    let require = |key, errors: &mut Errors| {
        errors.push(FieldError::required(&path.key(key), ""));
    };
    match text(secret, "type") {
        "kubernetes.io/service-account-token"
            if meta::annotation(secret, ACCOUNT).is_none_or(str::is_empty) =>
        {
            let path = Path::new("metadata");
            errors.push(FieldError::required(
                &path.child("annotations").key(ACCOUNT),
                "",
            ));
        }
        "kubernetes.io/dockercfg" => validate_json(secret, ".dockercfg", &path, errors),
        "kubernetes.io/dockerconfigjson" => {
            validate_json(secret, ".dockerconfigjson", &path, errors);
        }
        "kubernetes.io/basic-auth" => {
            let keys = ["username", "password"];
            if !keys.into_iter().any(has) {
                keys.into_iter().for_each(|key| require(key, errors));
            }
        }
        "kubernetes.io/ssh-auth" => {
            let key = "ssh-privatekey";
            if bytes_at(secret, "data", key).is_none_or(|bytes| bytes.is_empty()) {
                require(key, errors);
            }
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if !has(key) {
                    require(key, errors);
                }
            }
        }
        _ => {}
    }
}

fn validate_json(secret: &Value, key: &str, path: &Path<'_>, errors: &mut Errors) {
    let path = path.key(key);
    if !object(secret, "data").is_some_and(|data| data.contains_key(key)) {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    let bytes = bytes_at(secret, "data", key).unwrap_or_default();
    if let Some(fault) = object_fault(&bytes) {
        errors.push(FieldError::invalid(
            &path,
            "<secret contents redacted>",
            &fault,
        ));
    }
}

/// Why some bytes are no JSON object, in the words of Go's parser.
fn object_fault(bytes: &[u8]) -> Option<Cow<'static, str>> {
    const MAP: &str = "map[string]interface {}";
    let kind = match serde_json::from_slice(bytes) {
        Ok(Value::Object(_) | Value::Null) => return None,
        Ok(Value::Array(_)) => "array",
        Ok(Value::String(_)) => "string",
        Ok(Value::Number(_)) => "number",
        Ok(Value::Bool(_)) => "bool",
        Err(fault) if fault.is_eof() => return Some("unexpected end of JSON input".into()),
        Err(_) => {
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            let begins = |byte: &u8| matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9');
            return Some(match first {
                Some(first) if !begins(first) => format!(
                    "invalid character '{}' looking for beginning of value",
                    first.escape_ascii()
                )
                .into(),
                _ => "invalid character in JSON".into(),
            });
        }
    };
    Some(format!("json: cannot unmarshal {kind} into Go value of type {MAP}").into())
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    if text(new, "type") != text(old, "type") {
        let path = Path::new("type");
        let value = part(new, "type");
        errors.push(FieldError::invalid(&path, value, "field is immutable"));
    }
    validate_locked(new, old, &["data"], &mut errors);
    validate(new, &mut errors);
    errors
}

fn fields(secret: &Value) -> Fields<'_> {
    vec![("type", Cow::Borrowed(text(secret, "type")))]
}
