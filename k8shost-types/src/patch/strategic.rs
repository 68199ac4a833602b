//! Strategic merge patch: objects are merged field by field, lists item by item where the schema says so.
//!
//! The directives are those of Kubernetes: `$patch` (replace, delete), `$retainKeys`, `$deleteFromPrimitiveList/field`
//! and `$setElementOrder/field`. Items that a patch brings stand in the patch's order (or that of
//! `$setElementOrder`), all others in the object's, and where both do not say, the patch's come first.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::unprocessable;
use crate::{
    error::{Error, Reason},
    json::Object,
    schema::Type,
};

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

pub(super) fn apply(object: &mut Value, patch: &Object, schema: Type<'_>) -> Result<(), Error> {
    match object {
        Value::Object(fields) => merge(fields, patch, schema),
        _ => Err(Error::bad_request("invalid JSON document")),
    }
}

/// Changes an object. A patch is no deeper than a body may be.
fn merge(original: &mut Object, patch: &Object, schema: Type<'_>) -> Result<(), Error> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(Value::String(directive)) if directive == "delete" => {
            original.clear();
            return Ok(());
        }
        Some(Value::String(directive)) if directive == "replace" => original.clear(),
        Some(other) => return Err(bad_directive(other, patch)),
    }
    if let Some(retain) = patch.get(RETAIN) {
        retain_keys(original, patch, retain)?;
    }
    let has_order = patch.keys().any(|name| name.starts_with(ORDER));
    for (name, change) in patch {
        if name == DIRECTIVE || name == RETAIN {
            continue;
        }
        if let Some(field) = name.strip_prefix(DELETE) {
            delete_scalars(original.get_mut(field), change)?;
            continue;
        }
        if let Some(field) = name.strip_prefix(ORDER) {
            order_list(original, patch, field, change, schema)?;
            continue;
        }
        if has_order && patch.contains_key(&format!("{ORDER}{name}")) {
            continue;
        }
        let field = schema.child(name);
        match (original.get_mut(name), change) {
            (_, Value::Null) => {
                original.remove(name);
            }
            (Some(old @ Value::Object(_)), Value::Object(_)) if field.is_none_or(is_free) => {
                json_patch::merge(old, change);
            }
            (Some(Value::Object(old)), Value::Object(change)) => {
                if let Some(field) = field {
                    if field.patch_strategy().replace {
                        old.clear();
                    }
                    merge(old, change, field)?;
                }
            }
            (Some(Value::Array(old)), Value::Array(change)) => {
                *old = merge_field(std::mem::take(old), change, field)?;
            }
            _ => {
                original.insert(name.clone(), fresh(change, field)?);
            }
        }
    }
    Ok(())
}

/// What a patch puts where there was nothing: itself, without its directives.
fn fresh(change: &Value, schema: Option<Type<'_>>) -> Result<Value, Error> {
    match (change, schema) {
        (Value::Object(change), Some(schema)) if !is_free(schema) => {
            let mut object = Object::new();
            merge(&mut object, change, schema)?;
            Ok(Value::Object(object))
        }
        (Value::Array(change), Some(schema)) => {
            merge_field(Vec::new(), change, Some(schema)).map(Value::Array)
        }
        _ => Ok(change.clone()),
    }
}

/// Whether it may hold anything, a `$patch` that is none too.
fn is_free(schema: Type<'_>) -> bool {
    schema.preserves_unknown() && schema.fields().next().is_none()
}

fn retain_keys(original: &mut Object, patch: &Object, retain: &Value) -> Result<(), Error> {
    let malformed = || Error::bad_request("invalid patch format of retainKeys");
    let names: HashSet<&str> = retain
        .as_array()
        .ok_or_else(malformed)?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let stray = patch.iter().any(|(name, value)| {
        !value.is_null() && !name.starts_with('$') && !names.contains(name.as_str())
    });
    if stray {
        return Err(malformed());
    }
    original.retain(|name, _| names.contains(name.as_str()));
    Ok(())
}

fn delete_scalars(original: Option<&mut Value>, gone: &Value) -> Result<(), Error> {
    let Value::Array(gone) = gone else {
        return Err(Error::bad_request("invalid patch format of primitive list"));
    };
    if let Some(Value::Array(items)) = original {
        let gone: HashSet<String> = gone.iter().map(Value::to_string).collect();
        items.retain(|item| !gone.contains(&item.to_string()));
    }
    Ok(())
}

/// Merges a list that has a `$setElementOrder`, and puts it into that order.
fn order_list(
    original: &mut Object,
    patch: &Object,
    name: &str,
    order: &Value,
    schema: Type<'_>,
) -> Result<(), Error> {
    let malformed = || Error::bad_request("invalid patch format of setElementOrder list");
    let Value::Array(order) = order else {
        return Err(malformed());
    };
    let field = schema.child(name);
    let change = match patch.get(name) {
        Some(Value::Array(change)) => Some(change),
        None => None,
        Some(Value::Null) => {
            original.remove(name);
            return Ok(());
        }
        Some(_) => return Err(malformed()),
    };
    let old = match original.get_mut(name) {
        Some(Value::Array(old)) => Some(std::mem::take(old)),
        None => None,
        Some(_) => return Err(malformed()),
    };
    if old.is_none() && change.is_none() {
        return Ok(());
    }
    let key = field.and_then(Type::patch_merge_key);
    let places = places(order, key)?;
    if let Some(change) = change {
        // The patch may not contradict the order.
        let mut last = 0;
        for item in change.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
            match places.get(&identity(item, key)?) {
                Some(&place) if place >= last => last = place,
                _ => {
                    return Err(internal(format!(
                        "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                        go_list(change),
                        go_list(order)
                    )));
                }
            }
        }
    }
    let old = old.unwrap_or_default();
    let live = self::places(&old, key)?;
    let merged = match change {
        Some(change) => merge_field(old, change, field)?,
        None => old,
    };
    original.insert(
        name.to_owned(),
        Value::Array(arrange(merged, &places, &live, key)?),
    );
    Ok(())
}

/// Merges or replaces a list, as its schema says.
fn merge_field(
    original: Vec<Value>,
    change: &[Value],
    schema: Option<Type<'_>>,
) -> Result<Vec<Value>, Error> {
    let items = schema.and_then(Type::items);
    match schema {
        Some(schema) if schema.patch_strategy().merge => {
            merge_list(original, change, items, schema.patch_merge_key())
        }
        _ => change.iter().map(|item| fresh(item, items)).collect(),
    }
}

fn merge_list(
    original: Vec<Value>,
    change: &[Value],
    items: Option<Type<'_>>,
    key: Option<&str>,
) -> Result<Vec<Value>, Error> {
    if change.is_empty() {
        return Ok(original);
    }
    check_types(&original, change)?;
    let mut original = original;
    let mut added: Vec<&Value> = Vec::with_capacity(change.len());
    let is_object = change[0].is_object();
    if is_object {
        let Some(key) = key else {
            return Err(internal(
                "cannot merge lists without merge key for type struct",
            ));
        };
        let mut gone = HashSet::new();
        let mut replaces = false;
        for item in change {
            match item.get(DIRECTIVE) {
                None => added.push(item),
                Some(Value::String(directive)) if directive == "delete" => {
                    gone.insert(identity(item, Some(key))?);
                }
                Some(Value::String(directive)) if directive == "replace" => replaces = true,
                Some(Value::String(directive)) if directive == "merge" => {
                    return Err(internal(
                        "merging lists cannot yet be specified in the patch",
                    ));
                }
                Some(other) => {
                    return Err(bad_directive(
                        other,
                        item.as_object().unwrap_or(&Object::new()),
                    ));
                }
            }
        }
        if replaces {
            return added.into_iter().map(|item| fresh(item, items)).collect();
        }
        if !gone.is_empty() {
            original.retain(|item| {
                identity(item, Some(key)).map_or(true, |this| !gone.contains(&this))
            });
        }
    } else {
        added.extend(change);
    }
    let key = key.filter(|_| is_object);
    let live = places(&original, key)?;
    let order = places(added.iter().copied(), key)?;
    let mut merged = original;
    let mut known = live.clone();
    for item in added {
        let this = identity(item, key)?;
        match (known.get(&this), item) {
            (Some(&place), Value::Object(change)) => {
                if let (Value::Object(old), Some(items)) = (&mut merged[place], items) {
                    merge(old, change, items)?;
                }
            }
            (Some(_), _) => {}
            (None, item) => {
                known.insert(this, merged.len());
                merged.push(fresh(item, items)?);
            }
        }
    }
    arrange(merged, &order, &live, key)
}

/// The first place of each item.
fn places<'a>(
    items: impl IntoIterator<Item = &'a Value>,
    key: Option<&str>,
) -> Result<HashMap<String, usize>, Error> {
    let mut places = HashMap::new();
    for (place, item) in items.into_iter().enumerate() {
        places.entry(identity(item, key)?).or_insert(place);
    }
    Ok(places)
}

/// What tells an item apart from others: the value of its merge key, or itself.
fn identity(item: &Value, key: Option<&str>) -> Result<String, Error> {
    let Some(key) = key else {
        return Ok(item.to_string());
    };
    match item.get(key) {
        Some(value) => Ok(value.to_string()),
        None => Err(internal(format!(
            "map: {} does not contain declared merge key: {key}",
            go_value(item)
        ))),
    }
}

/// Sorts the items that an order names by it, and puts the others, in the order in which they are, before the first of
/// them that they stood before in the live list.
fn arrange(
    items: Vec<Value>,
    order: &HashMap<String, usize>,
    live: &HashMap<String, usize>,
    key: Option<&str>,
) -> Result<Vec<Value>, Error> {
    let mut named = Vec::new();
    let mut others = Vec::new();
    for item in items {
        let this = identity(&item, key)?;
        let place = live.get(&this).copied();
        match order.get(&this) {
            Some(&at) => named.push((at, place, item)),
            None => others.push((place, item)),
        }
    }
    named.sort_by_key(|&(at, ..)| at);
    let mut arranged = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, place, item) in named {
        while let Some((_, other)) = others
            .next_if(|&(other, _)| other.zip(place).is_some_and(|(other, place)| other < place))
        {
            arranged.push(other);
        }
        arranged.push(item);
    }
    arranged.extend(others.map(|(_, other)| other));
    Ok(arranged)
}

/// All items are objects, or all are scalars of one type.
fn check_types(original: &[Value], change: &[Value]) -> Result<(), Error> {
    let mut all = original.iter().chain(change);
    let first = all.next().map(std::mem::discriminant);
    if original.iter().chain(change).any(Value::is_array) {
        return Err(unprocessable());
    }
    if all.all(|item| Some(std::mem::discriminant(item)) == first) {
        return Ok(());
    }
    Err(internal(format!(
        "list element types are not identical: [{} {}]",
        go_list(original),
        go_list(change)
    )))
}

fn bad_directive(directive: &Value, patch: &Object) -> Error {
    internal(format!(
        "unknown patch type: {} in map: {}",
        go_value(directive),
        go_map(patch)
    ))
}

/// Kubernetes answers with 500 to what it has no status for, though the fault is the caller's.
fn internal(message: impl Into<String>) -> Error {
    Error::new(Reason::Unknown, message)
}

/// A value as Go prints it.
fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => go_list(items),
        Value::Object(fields) => go_map(fields),
        other => other.to_string(),
    }
}

fn go_list(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(go_value).collect();
    format!("[{}]", items.join(" "))
}

pub(super) fn go_map(fields: &Object) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}:{}", go_value(value)))
        .collect();
    format!("map[{}]", fields.join(" "))
}
