//! Reading and changing JSON trees without asking for more than is there.
//!
//! Kubernetes' rule holds: null is absent, and of a value of another type than expected nothing is
//! read.

use serde_json::{Map, Value};

use crate::error::{Error, Reason};

/// An object's fields.
pub(crate) type Object = Map<String, Value>;

/// The field, unless it is absent or null.
pub(crate) fn get<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    match value.as_object()?.get(field)? {
        Value::Null => None,
        other => Some(other),
    }
}

/// The text in a field, "" where there is none.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    get(value, field)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The whole number in a field.
pub(crate) fn int(value: &Value, field: &str) -> Option<i64> {
    get(value, field).and_then(Value::as_i64)
}

/// The field is there and true.
pub(crate) fn flag(value: &Value, field: &str) -> bool {
    get(value, field).and_then(Value::as_bool) == Some(true)
}

/// The items of a list, none where there is no list.
pub(crate) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    match get(value, field) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

/// The object in a field.
pub(crate) fn object<'a>(value: &'a Value, field: &str) -> Option<&'a Object> {
    get(value, field).and_then(Value::as_object)
}

/// The pairs of a map of strings; other values are left out.
pub(crate) fn pairs<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    object(value, field)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}

/// The items of a list, to change them.
pub(crate) fn list_mut<'a>(value: &'a mut Value, field: &str) -> &'a mut [Value] {
    match value
        .as_object_mut()
        .and_then(|fields| fields.get_mut(field))
    {
        Some(Value::Array(items)) => items,
        _ => &mut [],
    }
}

/// The object in a field, to change it.
pub(crate) fn object_mut<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Object> {
    value.as_object_mut()?.get_mut(field)?.as_object_mut()
}

/// The field, to change it, unless it is absent or null.
pub(crate) fn get_mut<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    match value.as_object_mut()?.get_mut(field)? {
        Value::Null => None,
        other => Some(other),
    }
}

/// Sets a field of what is an object; nothing happens to anything else.
pub(crate) fn set(value: &mut Value, field: &str, new: impl Into<Value>) {
    if let Value::Object(fields) = value {
        fields.insert(field.to_owned(), new.into());
    }
}

/// Takes a field away.
pub(crate) fn remove(value: &mut Value, field: &str) -> Option<Value> {
    value.as_object_mut()?.remove(field)
}

/// Puts the other object's field here, or takes it away where the other has none.
pub(crate) fn keep(value: &mut Value, other: &Value, field: &str) {
    match get(other, field) {
        Some(kept) => set(value, field, kept.clone()),
        None => {
            remove(value, field);
        }
    }
}

/// The object in a field, made where there is none.
pub(crate) fn ensure_object<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    let fields = value.as_object_mut()?;
    if !fields.get(field).is_some_and(Value::is_object) {
        fields.insert(field.to_owned(), Value::Object(Object::new()));
    }
    fields.get_mut(field)
}

/// More values than this no object of these kinds has need of. Without a bound, a request of empty
/// list items would be answered with a fault for each of millions.
pub(crate) const MOST_VALUES: usize = 1 << 16;

/// Refuses an object of too many values.
pub(crate) fn check_size(object: &Value) -> Result<(), Error> {
    fn count(value: &Value, left: &mut usize) -> Option<()> {
        *left = left.checked_sub(1)?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| count(item, left)),
            Value::Object(fields) => fields.values().try_for_each(|field| count(field, left)),
            _ => Some(()),
        }
    }
    let mut left = MOST_VALUES;
    count(object, &mut left).ok_or_else(too_many_values)
}

/// An object has more than [`MOST_VALUES`] values.
pub(crate) fn too_many_values() -> Error {
    Error::new(
        Reason::RequestEntityTooLarge,
        format!("the object must have at most {MOST_VALUES} fields and items"),
    )
}
