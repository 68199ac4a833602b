//! Tables with columns of one's own: the `additionalPrinterColumns` of a CustomResourceDefinition.

use std::{borrow::Cow, time::SystemTime};

use serde_json::{Number, Value, json};

use super::{
    cell::{self, UNKNOWN},
    column::{AGE, NAME},
    jsonpath::JsonPath,
};
use crate::{error::Error, field::quote};

/// A column as a definition has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomColumn {
    /// The words above it.
    pub name: String,
    /// An OpenAPI type: `string`, `integer`, `number`, `boolean`, `date`.
    pub kind: String,
    /// An OpenAPI format, or nothing.
    pub format: String,
    /// What is in it; of nothing, the path is told.
    pub description: String,
    /// 0 is always shown, greater is shown with `-o wide`.
    pub priority: i32,
    /// Where the value is: see [`super::jsonpath`].
    pub json_path: String,
}

impl CustomColumn {
    /// Reads an item of `additionalPrinterColumns`; what is not there is empty.
    pub fn from_json(column: &Value) -> Self {
        let text = |field: &str| cell::text(&column[field]).to_owned();
        Self {
            name: text("name"),
            kind: text("type"),
            format: text("format"),
            description: text("description"),
            priority: i32::try_from(cell::number(&column["priority"])).unwrap_or_default(),
            json_path: text("jsonPath"),
        }
    }
}

/// The columns of a kind, ready to print: the name, and what was defined.
#[derive(Clone, Debug)]
pub struct CustomColumns(Vec<(CustomColumn, JsonPath)>);

impl CustomColumns {
    /// The name and these columns. An error is a BadRequest that tells which path is malformed.
    pub fn new(columns: Vec<CustomColumn>) -> Result<Self, Error> {
        let read = columns.into_iter().map(|column| {
            let path = JsonPath::parse(&column.json_path).ok_or_else(|| {
                let path = quote(&column.json_path);
                Error::bad_request(format!("unrecognized column definition {path}"))
            })?;
            Ok((column, path))
        });
        read.collect::<Result<_, Error>>().map(Self)
    }

    /// The name and the age: a kind's columns where none are defined.
    pub fn age() -> Self {
        let column = CustomColumn {
            name: AGE.name.to_owned(),
            kind: "date".to_owned(),
            description: AGE.description.to_owned(),
            json_path: ".metadata.creationTimestamp".to_owned(),
            ..CustomColumn::default()
        };
        let path = ["metadata", "creationTimestamp"];
        Self(vec![(column, JsonPath::of_fields(&path))])
    }

    /// The `columnDefinitions`.
    pub(super) fn definitions(&self) -> Vec<Value> {
        let own = self.0.iter().map(|(column, _)| {
            let description = match column.description.as_str() {
                "" => Cow::Owned(format!("The value at {}.", column.json_path)),
                told => Cow::Borrowed(told),
            };
            json!({
                "name": column.name,
                "type": column.kind,
                "format": column.format,
                "description": description,
                "priority": column.priority,
            })
        });
        std::iter::once(NAME.to_json()).chain(own).collect()
    }

    /// The cells of an object; null where there is no value, or one of another type.
    pub(super) fn cells(&self, object: &Value, now: SystemTime) -> Vec<Value> {
        let name = cell::text(&object["metadata"]["name"]).into();
        let own = self.0.iter().map(|(column, path)| {
            path.first(object)
                .map_or(Value::Null, |value| shown(&column.kind, &value, now))
        });
        std::iter::once(name).chain(own).collect()
    }
}

fn shown(kind: &str, value: &Value, now: SystemTime) -> Value {
    match (kind, value) {
        ("string", value) => printed(value).into(),
        ("integer", Value::Number(number)) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().map_or(Value::Null, |fraction| {
                // Cut off, as conversions of numbers do; beyond the range the nearest.
                Value::from(fraction as i64)
            }),
        },
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => date(text, value, now).into(),
        _ => Value::Null,
    }
}

fn date(text: &str, value: &Value, now: SystemTime) -> String {
    let rfc3339 = text.as_bytes().get(10) == Some(&b'T');
    match text {
        "" | "null" => UNKNOWN.to_owned(),
        _ if rfc3339 && crate::time::parse(text).is_some() => cell::since(value, now),
        _ => "<invalid>".to_owned(),
    }
}

/// Any value as text: lists and objects as JSON, all else as Go prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => go_number(number, 1e-4),
        Value::String(text) => text.clone(),
        tree => {
            let mut out = String::new();
            go_json(tree, &mut out);
            out
        }
    }
}

/// JSON as Go writes it: no fraction where there is none, and nothing that HTML would take for its
/// own.
fn go_json(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => {
            let number = go_number(number, 1e-6);
            out.push_str(&number.replace("e-0", "e-"));
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                out.push(if i == 0 { '[' } else { ',' });
                go_json(item, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(fields) => {
            for (i, (name, value)) in fields.iter().enumerate() {
                out.push(if i == 0 { '{' } else { ',' });
                out.push_str(&go_text(name));
                out.push(':');
                go_json(value, out);
            }
            out.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        Value::String(text) => out.push_str(&go_text(text)),
        other => out.push_str(&other.to_string()),
    }
}

fn go_text(text: &str) -> String {
    Value::from(text)
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// The shortest digits, with an exponent from 1e21 on and below the least.
fn go_number(number: &Number, least: f64) -> String {
    let fraction = match (number.as_i64(), number.as_f64()) {
        (None, Some(fraction)) => fraction,
        _ => return number.to_string(),
    };
    let size = fraction.abs();
    if size == 0.0 || (least..1e21).contains(&size) {
        return fraction.to_string();
    }
    match format!("{fraction:e}").split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => fraction.to_string(),
    }
}
