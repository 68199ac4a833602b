//! Rules of a schema for the objects of custom resources, in Kubernetes' words.

use std::collections::{HashMap, HashSet};

use serde_json::{Number, Value, json};

use super::{Kind, ListType, Type};
use crate::{
    error::{FieldError, FieldErrorKind},
    field::Path,
    json::Object,
};

/// Deeper no object is judged; the readers of JSON do not go deeper either.
const DEEPEST: usize = 128;

/// More faults than this nobody reads.
const MOST_FAULTS: usize = 100;

/// What is wrong with a value: types, bounds, required fields, and items of lists that are there twice. At most 100
/// faults.
///
/// Of a new version of an object the old one is given: what has not changed is not judged again. Parts of built-in
/// types, such as metadata, are judged elsewhere. CEL rules, and schemas in `anyOf` and its kin, are not known here.
pub fn validate(schema: Type<'_>, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut faults = Faults(Vec::new());
    check(schema, value, old, None, DEEPEST, &mut faults);
    walk(schema, value, None, DEEPEST, &mut faults, embedded);
    let mut twice = Faults(Vec::new());
    walk(schema, value, None, DEEPEST, &mut twice, duplicates);
    // An object that had some before may keep them.
    let had = |old| {
        let mut had = Faults(Vec::new());
        walk(schema, old, None, DEEPEST, &mut had, duplicates);
        !had.0.is_empty()
    };
    if !twice.0.is_empty() && !old.is_some_and(had) {
        twice.0.into_iter().for_each(|fault| faults.add(fault));
    }
    faults.0
}

struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, fault: FieldError) {
        if self.0.len() < MOST_FAULTS {
            self.0.push(fault);
        }
    }
}

/// A part of the object at this path; without one, of the object itself.
fn below<'p>(path: Option<&'p Path<'p>>, name: &'p str) -> Path<'p> {
    path.map_or(Path::new(name), |path| path.child(name))
}

fn item<'p>(path: Option<&'p Path<'p>>, index: usize) -> Path<'p> {
    path.map_or(Path::new(""), |path| path.index(index))
}

fn check(
    schema: Type<'_>,
    value: &Value,
    old: Option<&Value>,
    path: Option<&Path<'_>>,
    deeper: usize,
    faults: &mut Faults,
) {
    let Some(deeper) = deeper.checked_sub(1) else {
        return;
    };
    if !schema.is_custom() || old == Some(value) {
        return;
    }
    let here = path.copied().unwrap_or(Path::new("<nil>"));
    if let Some((wanted, found)) = misfit(schema, value) {
        faults.add(FieldError {
            kind: FieldErrorKind::TypeInvalid,
            field: here.to_string(),
            message: format!(
                "Invalid value: \"{found}\": {here} in body must be of type {wanted}: \"{found}\""
            ),
        });
    }
    if let Some(limits) = schema.limits() {
        bounds(schema, limits, value, &here, faults);
    }
    match value {
        Value::Object(fields) => {
            for name in schema.required().filter(|name| !fields.contains_key(*name)) {
                faults.add(FieldError::required(&below(path, name), ""));
            }
            for (name, value) in fields {
                if let Some(field) = schema.child(name) {
                    let old = old.and_then(|old| old.get(name));
                    check(field, value, old, Some(&below(path, name)), deeper, faults);
                }
            }
        }
        Value::Array(items) => {
            let Some(of) = schema.items() else { return };
            let formers = formers(schema, old);
            for (index, value) in items.iter().enumerate() {
                let mut old = None;
                if !formers.is_empty() {
                    old = formers.get(&key(schema, value).to_string()).copied();
                }
                check(of, value, old, Some(&item(path, index)), deeper, faults);
            }
        }
        _ => {}
    }
}

/// What a value should be and is, if it is not of its type.
fn misfit(schema: Type<'_>, value: &Value) -> Option<(&'static str, &'static str)> {
    let (wanted, found) = (schema.kind(), name_of(value));
    if value.is_null() && schema.nullable() {
        return None;
    }
    let whole = |number: &Number| found == "integer" || number.as_f64().is_some_and(is_whole);
    let fits = match (wanted, value) {
        (Kind::Any | Kind::Quantity, _)
        | (Kind::Object | Kind::Map, Value::Object(_))
        | (Kind::Array, Value::Array(_))
        | (Kind::String | Kind::IntOrString, Value::String(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::Boolean, Value::Bool(_)) => true,
        (Kind::Integer | Kind::IntOrString, Value::Number(number)) => whole(number),
        _ => false,
    };
    let wanted = match wanted {
        Kind::IntOrString => "integer,string",
        wanted => wanted.json_type().unwrap_or_default(),
    };
    (!fits).then_some((wanted, found))
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The rules besides those for types.
fn bounds(schema: Type<'_>, limits: &Object, value: &Value, path: &Path<'_>, faults: &mut Faults) {
    let number = |word: &str| limits.get(word).and_then(Value::as_f64);
    let count = |word: &str| usize::try_from(limits.get(word)?.as_u64()?).ok();
    let flag = |word: &str| limits.get(word) == Some(&Value::Bool(true));
    let invalid = |shown: &Value, detail: String| {
        FieldError::invalid(path, shown, &format!("{path} in body {detail}"))
    };
    // A number as Go writes it.
    let said = |word: &str| {
        let number = limits.get(word).map_or(String::new(), Value::to_string);
        number
            .strip_suffix(".0")
            .map_or(number.clone(), str::to_owned)
    };
    match value {
        Value::String(text) => {
            let length = text.chars().count();
            if let Some(most) = count("maxLength").filter(|most| length > *most) {
                faults.add(FieldError::too_long(path, most));
            }
            if let Some(least) = count("minLength").filter(|least| length < *least) {
                let detail = format!("should be at least {least} chars long");
                faults.add(invalid(value, detail));
            }
            if schema
                .pattern()
                .is_some_and(|pattern| !pattern.is_match(text))
            {
                let pattern = limits.get("pattern").and_then(Value::as_str);
                let detail = format!("should match '{}'", pattern.unwrap_or_default());
                faults.add(invalid(value, detail));
            }
        }
        Value::Number(found) => {
            let found = found.as_f64().unwrap_or_default();
            if number("multipleOf").is_some_and(|of| of > 0.0 && !is_whole(found / of)) {
                let detail = format!("should be a multiple of {}", said("multipleOf"));
                faults.add(invalid(value, detail));
            }
            if let Some(most) = number("maximum") {
                let below = flag("exclusiveMaximum");
                if found > most || (below && found >= most) {
                    let or = if below { "" } else { " or equal to" };
                    let detail = format!("should be less than{or} {}", said("maximum"));
                    faults.add(invalid(value, detail));
                }
            }
            if let Some(least) = number("minimum") {
                let above = flag("exclusiveMinimum");
                if found < least || (above && found <= least) {
                    let or = if above { "" } else { " or equal to" };
                    let detail = format!("should be greater than{or} {}", said("minimum"));
                    faults.add(invalid(value, detail));
                }
            }
        }
        Value::Array(items) => {
            sizes(
                items.len(),
                [count("minItems"), count("maxItems")],
                "items",
                path,
                faults,
            );
        }
        Value::Object(fields) => {
            let bounds = [count("minProperties"), count("maxProperties")];
            sizes(fields.len(), bounds, "properties", path, faults);
        }
        Value::Null | Value::Bool(_) => {}
    }
    if let Some(Value::Array(choices)) = limits.get("enum")
        && !choices.contains(value)
    {
        let choices: Vec<String> = choices.iter().map(plain).collect();
        let choices: Vec<&str> = choices.iter().map(String::as_str).collect();
        faults.add(FieldError::not_supported(path, value, &choices));
    }
}

/// The rules for how many items there may be.
fn sizes(
    found: usize,
    [least, most]: [Option<usize>; 2],
    what: &str,
    path: &Path<'_>,
    faults: &mut Faults,
) {
    if let Some(least) = least.filter(|least| found < *least) {
        let detail = format!("{path} in body should have at least {least} {what}");
        faults.add(FieldError::invalid(path, &json!(found), &detail));
    }
    if let Some(most) = most.filter(|most| found > *most) {
        faults.add(FieldError::too_many(path, found, most));
    }
}

/// Text as it is, all else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The items of an old list that new ones can take the place of, by their keys.
fn formers<'o>(list: Type<'_>, old: Option<&'o Value>) -> HashMap<String, &'o Value> {
    let old = old.filter(|_| list.list_type() == Some(ListType::Map));
    let items = old.and_then(Value::as_array).into_iter().flatten();
    items
        .map(|item| (key(list, item).to_string(), item))
        .collect()
}

/// The fields by which an item is told apart.
fn key(list: Type<'_>, item: &Value) -> Value {
    let named = |name: &str| Some((name.to_owned(), item.get(name)?.clone()));
    Value::Object(list.list_keys().filter_map(named).collect())
}

/// Goes through what the schema knows, and does the same with each value.
fn walk(
    schema: Type<'_>,
    value: &Value,
    path: Option<&Path<'_>>,
    deeper: usize,
    faults: &mut Faults,
    judge: fn(Type<'_>, &Value, &Path<'_>, &mut Faults),
) {
    let Some(deeper) = deeper.checked_sub(1) else {
        return;
    };
    if !schema.is_custom() {
        return;
    }
    if let Some(path) = path {
        judge(schema, value, path, faults);
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(field) = schema.child(name) {
                    let path = below(path, name);
                    walk(field, value, Some(&path), deeper, faults, judge);
                }
            }
        }
        Value::Array(items) => {
            let Some(of) = schema.items() else { return };
            for (index, value) in items.iter().enumerate() {
                walk(of, value, Some(&item(path, index)), deeper, faults, judge);
            }
        }
        _ => {}
    }
}

/// An object within an object says of what kind it is.
fn embedded(schema: Type<'_>, value: &Value, path: &Path<'_>, faults: &mut Faults) {
    if !schema.is_embedded_resource() || !value.is_object() {
        return;
    }
    for name in ["apiVersion", "kind"] {
        let path = path.child(name);
        match value.get(name) {
            None => faults.add(FieldError::required(&path, "must not be empty")),
            Some(Value::String(text)) if text.is_empty() => {
                faults.add(FieldError::invalid(&path, text, "must not be empty"));
            }
            Some(Value::String(_)) => {}
            Some(other) => faults.add(FieldError::invalid(&path, other, "must be a string")),
        }
    }
}

/// In a set no item is there twice, in a map no key.
fn duplicates(schema: Type<'_>, value: &Value, path: &Path<'_>, faults: &mut Faults) {
    let (Some(list @ (ListType::Set | ListType::Map)), Some(items)) =
        (schema.list_type(), value.as_array())
    else {
        return;
    };
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        let shown = match list {
            ListType::Map => key(schema, item),
            _ => item.clone(),
        };
        if !seen.insert(shown.to_string()) {
            faults.add(FieldError::duplicate(&path.index(index), &shown));
        }
    }
}
