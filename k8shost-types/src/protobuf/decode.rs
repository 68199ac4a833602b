//! From the wire to JSON: what Go's encoder of JSON would write of the message, nulls left out.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{
    Error, ZERO_TIME,
    table::{Base, Field, Message, Shape},
    wire::{self, Input},
};
use crate::{
    base64,
    decode::{self, DEEPEST, Unreadable},
    json::MOST_VALUES,
    quantity::Quantity,
};

/// Reads a message.
pub(super) fn object(message: &Message, bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let mut decoder = Decoder::default();
    let mut object = decoder.unset(message)?;
    decoder.message(message, bytes, &mut object, 0)?;
    Ok(object)
}

/// A field of a message that the table does not have: nothing if it is not there.
#[derive(Clone, Copy, Default)]
pub(super) struct Part<'a> {
    pub(super) is_there: bool,
    pub(super) number: u64,
    pub(super) run: &'a [u8],
}

/// The fields 1, 2… of a message, of these names and wire types.
pub(super) fn parts<'a, const N: usize>(
    message: &'static str,
    fields: [(&str, u8); N],
    bytes: &'a [u8],
) -> Result<[Part<'a>; N], Error> {
    let mut parts = [Part::default(); N];
    let mut input = Input::new(bytes);
    while !input.is_empty() {
        let tag = input.tag(message)?;
        let at = tag.number as usize - 1;
        let Some(&(name, wire_type)) = fields.get(at) else {
            input.skip(tag.wire_type)?;
            continue;
        };
        if tag.wire_type != wire_type {
            return Err(wrong(tag.wire_type, name));
        }
        parts[at].is_there = true;
        if wire_type == wire::VARINT {
            parts[at].number = input.varint()?;
        } else {
            parts[at].run = input.bytes()?;
        }
    }
    Ok(parts)
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::Utf8)
}

#[derive(Default)]
struct Decoder {
    values: usize,
}

impl Decoder {
    /// Without a bound, a body of empty messages would be answered with hundreds of bytes for each two.
    fn count(&mut self, values: usize) -> Result<(), Error> {
        self.values += values;
        if self.values > MOST_VALUES {
            return Err(Error::TooManyValues);
        }
        Ok(())
    }

    /// The message when nothing is set.
    fn unset(&mut self, message: &Message) -> Result<Map<String, Value>, Error> {
        self.count(1 + message.values)?;
        Ok(message.object.clone())
    }

    /// Reads what is on the wire into the fields of an object; messages hold no messages of their own kind, so that
    /// the depth is that of the table.
    fn message(
        &mut self,
        message: &Message,
        bytes: &[u8],
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), Error> {
        let mut input = Input::new(bytes);
        while !input.is_empty() {
            let tag = input.tag(message.name)?;
            match message.numbered(tag.number) {
                Some(field) => self.field(field, tag.wire_type, &mut input, object, depth + 1)?,
                None => input.skip(tag.wire_type)?,
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &Field,
        wire_type: u8,
        input: &mut Input<'_>,
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), Error> {
        match field.shape {
            Shape::Inline => {
                let bytes = run(input, wire_type, field)?;
                match field.base.message() {
                    Some(inner) => self.message(inner, bytes, object, depth - 1),
                    None => Ok(()),
                }
            }
            Shape::One => self.one(field, wire_type, input, object, depth),
            Shape::List => {
                let mut items = Vec::new();
                if field.base.is_varint() && wire_type == wire::BYTES {
                    let mut packed = Input::new(input.bytes()?);
                    while !packed.is_empty() {
                        items.push(self.value(field, wire::VARINT, &mut packed, depth + 1)?);
                    }
                } else {
                    items.push(self.value(field, wire_type, input, depth + 1)?);
                }
                if let Value::Array(list) = entry(object, field.name, || Value::Array(Vec::new())) {
                    list.extend(items.into_iter().map(Option::unwrap_or_default));
                }
                Ok(())
            }
            Shape::Map => {
                let (key, value) = self.pair(field, run(input, wire_type, field)?, depth + 1)?;
                if let Value::Object(map) = entry(object, field.name, || Value::Object(Map::new()))
                {
                    map.insert(key, value);
                }
                Ok(())
            }
        }
    }

    /// Reads a field that is there once; of messages, what comes a second time is merged with the first.
    fn one(
        &mut self,
        field: &Field,
        wire_type: u8,
        input: &mut Input<'_>,
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), Error> {
        if let Some(message) = field.base.message() {
            let bytes = run(input, wire_type, field)?;
            if !object.contains_key(field.name) {
                let unset = self.unset(message)?;
                object.insert(field.name.to_owned(), Value::Object(unset));
            }
            return match object.get_mut(field.name) {
                Some(Value::Object(inner)) => self.message(message, bytes, inner, depth),
                _ => Ok(()),
            };
        }
        match self.value(field, wire_type, input, depth)? {
            Some(value) if !(field.omits_zero() && is_zero(&value)) => {
                object.insert(field.name.to_owned(), value);
            }
            _ => {
                object.remove(field.name);
            }
        }
        Ok(())
    }

    /// An entry of a map, which is a message of a key and a value.
    fn pair(
        &mut self,
        field: &Field,
        bytes: &[u8],
        depth: usize,
    ) -> Result<(String, Value), Error> {
        let mut key = "";
        let mut value = None;
        let mut input = Input::new(bytes);
        while !input.is_empty() {
            let tag = input.tag(field.name)?;
            match tag.number {
                1 => key = text(run(&mut input, tag.wire_type, field)?)?,
                2 => value = self.value(field, tag.wire_type, &mut input, depth)?,
                _ => input.skip(tag.wire_type)?,
            }
        }
        let value = match value {
            Some(value) => value,
            None => self.blank(field.base)?,
        };
        Ok((key.to_owned(), value))
    }

    /// What an entry of a map without a value has.
    fn blank(&mut self, base: Base) -> Result<Value, Error> {
        if base.message().is_none() {
            self.count(1)?;
        }
        Ok(match base {
            Base::String | Base::Bytes => "".into(),
            Base::Int32 | Base::Int64 | Base::IntOrString => 0.into(),
            Base::Bool => false.into(),
            Base::Quantity => "0".into(),
            Base::Strings => Value::Array(Vec::new()),
            Base::Message(_) => match base.message() {
                Some(message) => Value::Object(self.unset(message)?),
                None => Value::Null,
            },
            Base::Time | Base::MicroTime | Base::Raw => Value::Null,
        })
    }

    /// A value, or None for one that is null in JSON.
    fn value(
        &mut self,
        field: &Field,
        wire_type: u8,
        input: &mut Input<'_>,
        depth: usize,
    ) -> Result<Option<Value>, Error> {
        if field.base.message().is_none() {
            self.count(1)?;
        }
        if field.base.is_varint() {
            if wire_type != wire::VARINT {
                return Err(wrong(wire_type, field.go_name()));
            }
            let number = input.varint()?;
            return Ok(Some(match field.base {
                Base::Bool => (number != 0).into(),
                Base::Int32 => int32(number).into(),
                _ => int64(number).into(),
            }));
        }
        let bytes = run(input, wire_type, field)?;
        Ok(match field.base {
            Base::Bytes => Some(base64::encode(bytes).into()),
            Base::Time => time(bytes, false)?,
            Base::MicroTime => time(bytes, true)?,
            Base::Quantity => Some(quantity(bytes)?),
            Base::IntOrString => Some(int_or_string(bytes)?),
            Base::Raw => self.raw(bytes, depth)?,
            Base::Strings => {
                let mut items = Vec::new();
                let mut input = Input::new(bytes);
                while !input.is_empty() {
                    let tag = input.tag("Items")?;
                    if tag.number == 1 {
                        self.count(1)?;
                        items.push(text(run(&mut input, tag.wire_type, field)?)?.into());
                    } else {
                        input.skip(tag.wire_type)?;
                    }
                }
                Some(Value::Array(items))
            }
            Base::Message(_) => match field.base.message() {
                Some(message) => {
                    let mut object = self.unset(message)?;
                    self.message(message, bytes, &mut object, depth)?;
                    Some(Value::Object(object))
                }
                None => None,
            },
            _ => Some(text(bytes)?.into()),
        })
    }

    fn raw(&mut self, bytes: &[u8], depth: usize) -> Result<Option<Value>, Error> {
        let [Part { run: raw, .. }] = parts("RawExtension", [("raw", wire::BYTES)], bytes)?;
        if raw.is_empty() {
            return Ok(None);
        }
        // An object is read again by a reader that takes 127 levels, and the depth counts from 0.
        match decode::free(raw, depth + 2, &mut self.values) {
            Ok(Value::Null) => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(Unreadable::Syntax(words)) => Err(Error::Raw(words)),
            Err(Unreadable::Excess(_)) if self.values > MOST_VALUES => Err(Error::TooManyValues),
            Err(Unreadable::Excess(_)) => Err(Error::TooDeep(DEEPEST)),
        }
    }
}

/// The run of bytes of a field.
fn run<'a>(input: &mut Input<'a>, wire_type: u8, field: &Field) -> Result<&'a [u8], Error> {
    if wire_type != wire::BYTES {
        return Err(wrong(wire_type, field.go_name()));
    }
    input.bytes()
}

/// Go names the field as it is in the struct, which begins with a capital.
fn wrong(wire_type: u8, field: &str) -> Error {
    let mut letters = field.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let field = first.into_iter().chain(letters).collect();
    Error::WrongWireType { wire_type, field }
}

/// The value in a field, made where there is none.
fn entry<'a>(
    object: &'a mut Map<String, Value>,
    field: &str,
    make: impl FnOnce() -> Value,
) -> &'a mut Value {
    object.entry(field).or_insert_with(make)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(set) => !set,
        _ => false,
    }
}

const TIMESTAMP: [(&str, u8); 2] = [("seconds", wire::VARINT), ("nanos", wire::VARINT)];

/// A time in JSON, or None for Go's zero.
fn time(bytes: &[u8], micro: bool) -> Result<Option<Value>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let [seconds, nanos] = parts("Timestamp", TIMESTAMP, bytes)?;
    let seconds = int64(seconds.number);
    let (micros, form) = if micro {
        (int32(nanos.number) / 1000, "%Y-%m-%dT%H:%M:%S%.6fZ")
    } else {
        (0, "%Y-%m-%dT%H:%M:%SZ")
    };
    let time = Timestamp::from_second(seconds)
        .and_then(|time| time.checked_add(SignedDuration::from_micros(micros.into())))
        .map_err(|_| Error::Time(seconds))?;
    if (time.as_second(), time.subsec_nanosecond()) == (ZERO_TIME, 0) {
        return Ok(None);
    }
    let text = time.strftime(form).to_string();
    if text.starts_with('-') {
        return Err(Error::Time(seconds));
    }
    Ok(Some(text.into()))
}

fn quantity(bytes: &[u8]) -> Result<Value, Error> {
    let [amount] = parts("Quantity", [("string", wire::BYTES)], bytes)?;
    if !amount.is_there {
        return Ok("0".into());
    }
    let text = text(amount.run)?;
    let quantity: Quantity = text.parse()?;
    Ok(quantity.written(text).into())
}

fn int_or_string(bytes: &[u8]) -> Result<Value, Error> {
    const FIELDS: [(&str, u8); 3] = [
        ("type", wire::VARINT),
        ("intVal", wire::VARINT),
        ("strVal", wire::BYTES),
    ];
    let [kind, number, string] = parts("IntOrString", FIELDS, bytes)?;
    match int64(kind.number) {
        0 => Ok(int32(number.number).into()),
        1 => Ok(text(string.run)?.into()),
        _ => Err(Error::IntOrString),
    }
}

/// A whole number as Go reads it: what does not fit is dropped.
fn int32(number: u64) -> i32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

fn int64(number: u64) -> i64 {
    i64::from_le_bytes(number.to_le_bytes())
}
