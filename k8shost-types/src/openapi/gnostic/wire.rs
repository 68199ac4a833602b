//! JSON values as protobuf messages, as tables of messages have them.

use serde_json::Value;

use super::messages::{Field, Of};

/// The wire types of protobuf that there are.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const BYTES: u64 = 2;

/// An entry of a message that is a map.
pub(super) fn entry(to: &mut Vec<u8>, of: &Of, name: &str, value: &Value) {
    if let Of::Message(fields, rest) = of {
        named(to, fields, *rest, name, value);
    }
}

/// The fields of a message; nothing if the value is no object.
pub(super) fn fields(to: &mut Vec<u8>, of: &Of, value: &Value) {
    if let (Of::Message(fields, rest), Value::Object(value)) = (of, value) {
        for (name, value) in value {
            named(to, fields, *rest, name, value);
        }
    }
}

/// A field by its name, or one of those that have no field and stand in a list of names and values.
fn named(to: &mut Vec<u8>, fields: &[Field], rest: Option<(u32, &Of)>, name: &str, value: &Value) {
    if let Some((_, number, of)) = fields.iter().find(|(field, ..)| *field == name) {
        return field(to, *number, of, value);
    }
    if let Some((number, of)) = rest {
        let mut pair = Vec::new();
        bytes(&mut pair, 1, name.as_bytes());
        field(&mut pair, 2, of, value);
        bytes(to, number, &pair);
    }
}

/// A field with its number; nothing if the value is of another type.
pub(super) fn field(to: &mut Vec<u8>, number: u32, of: &Of, value: &Value) {
    let mut inner = Vec::new();
    match of {
        Of::Text => {
            let Some(text) = value.as_str() else { return };
            inner.extend_from_slice(text.as_bytes());
        }
        Of::Flag => {
            tag(to, number, VARINT);
            return to.push(u8::from(value == &Value::Bool(true)));
        }
        Of::Count => {
            let Some(count) = value.as_u64() else { return };
            tag(to, number, VARINT);
            return varint(to, count);
        }
        Of::Number => return double(to, number, value),
        // Written as JSON, which is YAML too.
        Of::Yaml => bytes(&mut inner, 2, value.to_string().as_bytes()),
        Of::Default => default(&mut inner, value),
        Of::Many(of) => {
            for one in value.as_array().into_iter().flatten() {
                field(to, number, of, one);
            }
            return;
        }
        Of::Message(..) => fields(&mut inner, of, value),
        Of::Within(number, of) => field(&mut inner, *number, of, value),
        Of::Either(is, then, otherwise) => {
            return field(to, number, if is(value) { then } else { otherwise }, value);
        }
    }
    bytes(to, number, &inner);
}

/// A scalar; of other defaults only that there is one.
fn default(to: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Number(_) => double(to, 1, value),
        Value::Bool(_) => field(to, 2, &Of::Flag, value),
        Value::String(text) => bytes(to, 3, text.as_bytes()),
        _ => {}
    }
}

fn double(to: &mut Vec<u8>, number: u32, value: &Value) {
    tag(to, number, EIGHT_BYTES);
    to.extend(value.as_f64().unwrap_or_default().to_le_bytes());
}

pub(super) fn bytes(to: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(to, number, BYTES);
    varint(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn tag(to: &mut Vec<u8>, number: u32, wire_type: u64) {
    varint(to, u64::from(number) << 3 | wire_type);
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
