//! What the cells of many kinds are made of: fields with stand-ins, ages, labels, lists cut short.

use std::time::SystemTime;

use serde_json::Value;

use super::duration::{between, human};
use crate::{
    quantity::Quantity,
    selector::{Operator, Requirement},
    time,
};

pub(super) const NONE: &str = "<none>";
pub(super) const UNSET: &str = "<unset>";
pub(super) const UNKNOWN: &str = "<unknown>";

/// The text, "" where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The text, though it be empty, or the stand-in where there is none.
pub(super) fn set_or<'a>(value: &'a Value, other: &'a str) -> &'a str {
    value.as_str().unwrap_or(other)
}

/// The text, or the stand-in where it is empty.
pub(super) fn filled_or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}

/// The whole number, 0 where there is none.
pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// The items of a list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// How many items or fields there are.
pub(super) fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    }
}

/// The time, unless it is absent or Go's zero.
pub(super) fn moment(value: &Value) -> Option<SystemTime> {
    let text = value.as_str()?;
    if text.starts_with("0001-01-01T00:00:00") {
        return None;
    }
    time::parse(text)
}

/// How long ago a time was.
pub(super) fn since(value: &Value, now: SystemTime) -> String {
    moment(value).map_or_else(|| UNKNOWN.to_owned(), |then| human(between(then, now)))
}

/// How long ago an object was made.
pub(super) fn age(object: &Value, now: SystemTime) -> String {
    since(&object["metadata"]["creationTimestamp"], now)
}

/// The span between two times that are there.
pub(super) fn span(from: SystemTime, to: SystemTime) -> String {
    human(between(from, to))
}

/// A quantity as Kubernetes writes it, `0` where there is none.
pub(super) fn quantity(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return "0".to_owned(),
    };
    match text.parse::<Quantity>() {
        Ok(quantity) => quantity.written(&text),
        Err(_) => text,
    }
}

/// A number or a text, as the types that are either.
pub(super) fn int_or_text(value: &Value, other: &str) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => other.to_owned(),
    }
}

/// `a=b,c=d`, or `<none>`.
pub(super) fn labels(value: &Value) -> String {
    let mut pairs: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    pairs.sort_unstable();
    filled_or(&pairs.join(","), NONE).to_owned()
}

/// A selector of labels and expressions in one line, "" where it selects all or is absent; `None`
/// when it is malformed.
pub(super) fn selector(value: &Value) -> Option<String> {
    let mut terms = Vec::new();
    for (key, value) in value["matchLabels"].as_object().into_iter().flatten() {
        terms.push((key.as_str(), Operator::Equals, vec![text(value).to_owned()]));
    }
    for expression in items(&value["matchExpressions"]) {
        let operator = match text(&expression["operator"]) {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        let values = items(&expression["values"]);
        let values = values.iter().map(|value| text(value).to_owned()).collect();
        terms.push((text(&expression["key"]), operator, values));
    }
    terms.sort_by_key(|(key, ..)| *key);
    let shown = terms.into_iter().map(|(key, operator, mut values)| {
        Requirement::new(key, operator, values.clone()).ok()?;
        // A value that is there twice is shown twice, other than in a requirement.
        values.sort_unstable();
        let values = values.join(",");
        Some(match operator {
            Operator::In => format!("{key} in ({values})"),
            Operator::NotIn => format!("{key} notin ({values})"),
            Operator::Exists => key.to_owned(),
            Operator::DoesNotExist => format!("!{key}"),
            _ => format!("{key}={values}"),
        })
    });
    let shown: Vec<String> = shown.collect::<Option<_>>()?;
    Some(shown.join(","))
}

/// The same with `<none>` for nothing and `<error>` for what is malformed.
pub(super) fn shown_selector(value: &Value) -> String {
    match selector(value) {
        Some(text) => filled_or(&text, NONE).to_owned(),
        None => "<error>".to_owned(),
    }
}

/// One text field of each item, joined.
pub(super) fn joined(list: &Value, field: &str, separator: &str) -> String {
    let each: Vec<&str> = items(list).iter().map(|item| text(&item[field])).collect();
    each.join(separator)
}

/// The texts of a list, joined.
pub(super) fn texts(list: &Value, separator: &str) -> String {
    let each: Vec<&str> = items(list).iter().map(text).collect();
    each.join(separator)
}

/// The names and the images of a pod spec's containers.
pub(super) fn containers(spec: &Value) -> (String, String) {
    let list = &spec["containers"];
    (joined(list, "name", ","), joined(list, "image", ","))
}

/// The first three texts, and how many more there are; `<unset>` of none.
pub(super) fn first_three<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = texts.collect();
    let shown = all[..all.len().min(3)].join(",");
    if all.len() > 3 {
        return format!("{shown} + {} more...", all.len() - 3);
    }
    filled_or(&shown, UNSET).to_owned()
}

/// A list of condition objects has this one, and it is true; the first of its type counts.
pub(super) fn is_true(conditions: &Value, kind: &str) -> bool {
    items(conditions)
        .iter()
        .find(|condition| text(&condition["type"]) == kind)
        .is_some_and(|condition| condition["status"] == "True")
}

/// A row's cells, of values that turn into JSON.
macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(serde_json::Value::from($cell)),*] };
}
pub(super) use cells;
