//! Scalars as Kubernetes takes them: what fits a field, what it is kept as, and the words of refusal.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Number, Value};

use crate::{
    field::quote,
    quantity::{Quantity, QuantityError},
    schema::{Kind, Type},
};

/// Why a scalar was not taken.
pub(super) enum Misfit {
    /// What it is, where the field's type wants something else: `string`, `number 1.5`.
    Type(Cow<'static, str>),
    /// The whole message.
    Words(String),
}

/// The scalar as the field keeps it.
pub(super) fn take(schema: Type<'_>, value: Value) -> Result<Value, Misfit> {
    match (schema.kind(), &value) {
        (Kind::Any, _) | (Kind::Boolean, Value::Bool(_)) | (Kind::Number, Value::Number(_)) => {
            Ok(value)
        }
        (Kind::String, Value::String(text)) => match schema.format() {
            Some("byte") => base64(text).map(Value::String),
            Some("date-time") => time(schema, text).map(Value::String),
            _ => Ok(value),
        },
        (Kind::String, _) if schema.format() == Some("date-time") => Err(words(&value, "string")),
        (Kind::Integer, Value::Number(number)) => {
            let name = if schema.format() == Some("int32") {
                "int32"
            } else {
                "int64"
            };
            if fits(number, name) {
                return Ok(value);
            }
            Err(Misfit::Type(format!("number {number}").into()))
        }
        (Kind::IntOrString, Value::String(_)) => Ok(value),
        (Kind::IntOrString, Value::Number(number)) if fits(number, "int32") => Ok(value),
        (Kind::IntOrString, Value::Number(number)) => Err(Misfit::Words(format!(
            "json: cannot unmarshal number {number} into Go value of type int32"
        ))),
        (Kind::IntOrString, _) => Err(words(&value, "int32")),
        (Kind::Quantity, Value::String(text)) => amount(text.trim()).map(Value::String),
        (Kind::Quantity, other) => amount(&other.to_string()).map(Value::String),
        // A raw object is kept as it is sent, whatever it is.
        (Kind::Object, _) if schema.preserves_unknown() => Ok(value),
        _ => Err(Misfit::Type(Cow::Borrowed(what(&value)))),
    }
}

/// What Go calls a value of JSON.
pub(crate) fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn words(value: &Value, wanted: &str) -> Misfit {
    let what = what(value);
    Misfit::Words(format!(
        "json: cannot unmarshal {what} into Go value of type {wanted}"
    ))
}

/// Why an object or a list is not taken where the type is a scalar.
pub(super) fn refuse(schema: Type<'_>, what: &'static str) -> Misfit {
    let go_type = match schema.kind() {
        Kind::IntOrString => "int32",
        Kind::String if schema.format() == Some("date-time") => "string",
        Kind::Quantity => return Misfit::Words(QuantityError::Format.to_string()),
        _ => return Misfit::Type(Cow::Borrowed(what)),
    };
    Misfit::Words(format!(
        "json: cannot unmarshal {what} into Go value of type {go_type}"
    ))
}

/// What a null stands for where there must be a value: in a list or a map.
pub(super) fn zero(schema: Type<'_>) -> Value {
    match schema.kind() {
        Kind::String if schema.format().is_none() => Value::from(""),
        Kind::Quantity => Value::from("0"),
        Kind::Integer | Kind::Number | Kind::IntOrString => Value::from(0),
        Kind::Boolean => Value::from(false),
        Kind::Object if !schema.preserves_unknown() => Value::Object(serde_json::Map::new()),
        _ => Value::Null,
    }
}

/// The type's name in Go.
pub(super) fn go_type(schema: Type<'_>) -> String {
    if let Some(name) = schema.name() {
        let from = name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
        return name[from..].to_owned();
    }
    match schema.kind() {
        Kind::Any => "interface {}".to_owned(),
        Kind::Object => "map[string]interface {}".to_owned(),
        Kind::Map => format!(
            "map[string]{}",
            schema.values().map_or("interface {}".to_owned(), go_type)
        ),
        Kind::Array => format!(
            "[]{}",
            schema.items().map_or("interface {}".to_owned(), go_type)
        ),
        Kind::String if schema.format() == Some("byte") => "[]uint8".to_owned(),
        Kind::String | Kind::IntOrString | Kind::Quantity => "string".to_owned(),
        Kind::Integer if schema.format() == Some("int32") => "int32".to_owned(),
        Kind::Integer => "int64".to_owned(),
        Kind::Number => "float64".to_owned(),
        Kind::Boolean => "bool".to_owned(),
    }
}

fn fits(number: &Number, go_type: &str) -> bool {
    let number = number.as_i64();
    number.is_some_and(|number| go_type != "int32" || i32::try_from(number).is_ok())
}

fn amount(text: &str) -> Result<String, Misfit> {
    match text.parse::<Quantity>() {
        Ok(quantity) => Ok(quantity.written(text)),
        Err(error) => Err(Misfit::Words(error.to_string())),
    }
}

/// Standard base64, line breaks left out.
fn base64(text: &str) -> Result<String, Misfit> {
    let illegal = |at: usize| {
        Err(Misfit::Words(format!(
            "illegal base64 data at input byte {at}"
        )))
    };
    let mut clean = String::with_capacity(text.len());
    let mut padding = 0;
    for (at, c) in text.char_indices() {
        match c {
            '\r' | '\n' => continue,
            // Padding stands at the third or fourth place of the last four.
            '=' if padding == 1 || (padding == 0 && clean.len() % 4 >= 2) => padding += 1,
            'A'..='Z' | 'a'..='z' | '0'..='9' | '+' | '/' if padding == 0 => {}
            _ => return illegal(at),
        }
        clean.push(c);
        if padding > 0 && clean.len().is_multiple_of(4) {
            // Nothing but line breaks may follow.
            let rest = text[at + 1..].trim_start_matches(['\r', '\n']);
            return if rest.is_empty() {
                Ok(clean)
            } else {
                illegal(text.len() - rest.len())
            };
        }
    }
    if clean.len().is_multiple_of(4) {
        Ok(clean)
    } else {
        illegal(text.len())
    }
}

const SECONDS: &str = "2006-01-02T15:04:05Z07:00";
const MICROS: &str = "2006-01-02T15:04:05.000000Z07:00";

/// A time as it is kept: in UTC, of whole seconds or, of the type MicroTime, of six places.
fn time(schema: Type<'_>, text: &str) -> Result<String, Misfit> {
    let micro = schema
        .name()
        .is_some_and(|name| name.ends_with(".MicroTime"));
    let shape = if micro { MICROS } else { SECONDS };
    if let Err((rest, part)) = rfc3339(text, micro) {
        return Err(Misfit::Words(format!(
            "parsing time {} as {}: cannot parse {} as {}",
            quote(text),
            quote(shape),
            quote(rest),
            quote(part)
        )));
    }
    let Ok(time) = text.parse::<Timestamp>() else {
        return Err(Misfit::Words(format!(
            "parsing time {}: day out of range",
            quote(text)
        )));
    };
    let form = if micro {
        "%Y-%m-%dT%H:%M:%S%.6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%SZ"
    };
    Ok(time.strftime(form).to_string())
}

/// Reads the form of a time; what could not be read, and as what, if it fails.
fn rfc3339(text: &str, micro: bool) -> Result<(), (&str, &'static str)> {
    const PARTS: [&str; 11] = [
        "2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05",
    ];
    let mut rest = text;
    for part in PARTS {
        rest = part_of(rest, part).ok_or((rest, part))?;
    }
    if micro {
        rest = part_of(rest, ".000000").ok_or((rest, ".000000"))?;
    } else if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if after.len() < fraction.len() {
            rest = after;
        }
    }
    const ZONE: &str = "Z07:00";
    let after = match rest.strip_prefix('Z') {
        Some(after) => after,
        None => {
            let offset = rest.strip_prefix(['+', '-']).ok_or((rest, ZONE))?;
            part_of(offset, "07:00").ok_or((rest, ZONE))?
        }
    };
    if after.is_empty() {
        Ok(())
    } else {
        Err((after, ""))
    }
}

/// What follows a part of a time: a digit wherever the part has one.
fn part_of<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(part.len())?;
    let fits = head.bytes().zip(part.bytes()).all(|(byte, shape)| {
        if shape.is_ascii_digit() {
            byte.is_ascii_digit()
        } else {
            byte == shape
        }
    });
    fits.then_some(rest)
}
