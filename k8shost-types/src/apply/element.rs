//! One step of a field's path, and the order that Kubernetes keeps such steps in.

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt::{self, Display, Write as _},
};

use serde_json::{Map, Number, Value};

use crate::field::quote;

/// Where a value is in the one that holds it. Names and values are borrowed from the object or the
/// managedFields they were read from wherever that is possible.
#[derive(Clone, Debug)]
pub enum Element<'a> {
    /// `f:name`: a field of an object, or a key of a map.
    Field(Cow<'a, str>),
    /// `k:{"name":"c"}`: the item of a list that has these values in its key fields, which are sorted
    /// by name.
    Key(Vec<(Cow<'a, str>, Cow<'a, Value>)>),
    /// `v:"x"`: the item of a set.
    Value(Cow<'a, Value>),
    /// `i:3`: the item of a list at this place; never written, but read.
    Index(i64),
}

impl<'a> Element<'a> {
    /// A field of this name.
    pub fn field(name: impl Into<Cow<'a, str>>) -> Self {
        Self::Field(name.into())
    }

    /// Reads the form of FieldsV1. Of a form that is not known there is nothing, which is no error.
    pub(super) fn parse(text: &'a str) -> Result<Option<Self>, String> {
        let (kind, rest) = match text.as_bytes() {
            [kind, b':', ..] => (*kind, &text[2..]),
            [_, _, ..] => return Err(format!("missing colon: {text}")),
            _ => return Err("key must be 2 characters long".to_owned()),
        };
        let json = |text: &str| {
            serde_json::from_str::<Value>(text).map_err(|error| format!("{text}: {error}"))
        };
        Ok(Some(match kind {
            b'f' => Self::field(rest),
            b'v' => Self::Value(Cow::Owned(json(rest)?)),
            b'k' => {
                let fields = serde_json::from_str::<Map<String, Value>>(rest)
                    .map_err(|error| format!("{rest}: {error}"))?;
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (Cow::Owned(name), Cow::Owned(value)));
                Self::key(fields.collect())
            }
            b'i' => match rest.parse() {
                Ok(index) => Self::Index(index),
                Err(_) => return Err(format!("{rest}: not an index")),
            },
            _ => return Ok(None),
        }))
    }

    /// An item with these key fields, in any order.
    pub(super) fn key(mut fields: Vec<(Cow<'a, str>, Cow<'a, Value>)>) -> Self {
        if !fields.is_sorted_by(|a, b| a.0 <= b.0) {
            fields.sort_by(|a, b| a.0.cmp(&b.0));
        }
        Self::Key(fields)
    }

    /// The form of FieldsV1.
    pub(super) fn wire(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let mut out = String::from("k:{");
                for (i, (name, value)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    push(&mut out, format_args!("{comma}{}:{value}", Json(name)));
                }
                out.push('}');
                out
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// The same, with nothing borrowed.
    pub(super) fn into_owned(self) -> Element<'static> {
        match self {
            Self::Field(name) => Element::Field(Cow::Owned(name.into_owned())),
            Self::Key(fields) => Element::Key(
                fields
                    .into_iter()
                    .map(|(name, value)| {
                        let name = Cow::Owned(name.into_owned());
                        (name, Cow::Owned(value.into_owned()))
                    })
                    .collect(),
            ),
            Self::Value(value) => Element::Value(Cow::Owned(value.into_owned())),
            Self::Index(index) => Element::Index(index),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

/// A string as JSON writes it.
pub(super) struct Json<'a>(pub(super) &'a str);

impl Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::to_string(self.0) {
            Ok(text) => f.write_str(&text),
            Err(_) => Err(fmt::Error),
        }
    }
}

pub(super) fn push(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a String cannot fail");
}

impl Ord for Element<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => {
                for (a, b) in a.iter().zip(b) {
                    let order = a.0.cmp(&b.0).then_with(|| compare(&a.1, &b.1));
                    if order.is_ne() {
                        return order;
                    }
                }
                a.len().cmp(&b.len())
            }
            (Self::Value(a), Self::Value(b)) => compare(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element<'_> {}

/// As Kubernetes' messages have it: `.name`, `[name="c"]`, `[="x"]`, `[3]`.
impl Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_char('[')?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={}", shown(value))?;
                }
                f.write_char(']')
            }
            Self::Value(value) => write!(f, "[={}]", shown(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        other => other.to_string(),
    }
}

/// The order of any two values: numbers by what they are worth, then strings, booleans, lists,
/// objects and null.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let differs = a.iter().zip(b).map(|(a, b)| compare(a, b));
            first(differs).then(a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let differs = a
                .iter()
                .zip(b)
                .map(|(a, b)| a.0.cmp(b.0).then_with(|| compare(a.1, b.1)));
            first(differs).then(a.len().cmp(&b.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn first(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    if let (Some(a), Some(b)) = (a.as_i128(), b.as_i128()) {
        return a.cmp(&b);
    }
    let float = |number: &Number| number.as_f64().unwrap_or_default();
    // JSON has no NaN, so there is always an order; zeros of both signs are the same.
    float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal)
}

/// Whether two values are the same, `1` and `1.0` included.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
