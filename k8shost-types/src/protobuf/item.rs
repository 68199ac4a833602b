//! One value on its way to the wire.

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor},
};
use serde_json::value::RawValue;

use super::{
    ZERO_TIME,
    encode::{Body, Encoder, put_length},
    table::Base,
    wire,
};
use crate::base64;

const NANOS: i128 = 1_000_000_000;

/// A value behind its tag. Tells whether there is one: for null nothing is written.
pub(super) struct Item<'w> {
    pub(super) to: &'w mut Encoder,
    pub(super) base: Base,
}

impl Item<'_> {
    /// Writes what stands for a null in a list or a map.
    pub(super) fn put_zero(self) {
        if self.base.is_varint() {
            self.to.out.push(0);
        } else {
            wire::put_bytes(&mut self.to.out, self.base.zero());
        }
    }

    /// Writes a small message behind its length.
    fn put_message(self, write: impl FnOnce(&mut Vec<u8>)) {
        self.to.ordered.clear();
        write(&mut self.to.ordered);
        wire::put_bytes(&mut self.to.out, &self.to.ordered);
    }

    fn integer<E: serde::de::Error>(self, number: i64) -> Result<bool, E> {
        let small = i32::try_from(number).is_ok();
        let bits = u64::from_le_bytes(number.to_le_bytes());
        match self.base {
            Base::Int64 => wire::put_varint(&mut self.to.out, bits),
            Base::Int32 if small => wire::put_varint(&mut self.to.out, bits),
            Base::IntOrString if small => self.put_message(|out| {
                out.extend_from_slice(b"\x08\0\x10");
                wire::put_varint(out, bits);
                out.extend_from_slice(b"\x1a\0");
            }),
            Base::Quantity => {
                self.put_message(|out| wire::put_field(out, 1, number.to_string().as_bytes()));
            }
            _ => return Err(E::invalid_type(Unexpected::Signed(number), &self)),
        }
        Ok(true)
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<bool, D::Error> {
        if self.base != Base::Raw {
            return source.deserialize_any(self);
        }
        let raw = Box::<RawValue>::deserialize(source)?;
        if raw.get() == "null" {
            return Ok(false);
        }
        self.put_message(|out| wire::put_field(out, 1, raw.get().as_bytes()));
        Ok(true)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.base {
            Base::String => "a string",
            Base::Int32 => "an int32",
            Base::Int64 => "an int64",
            Base::Bool => "a bool",
            Base::Bytes => "base64",
            Base::Time | Base::MicroTime => "a time",
            Base::Quantity => "a quantity",
            Base::IntOrString => "an int32 or a string",
            Base::Raw => "JSON",
            Base::Strings => "a list of strings",
            Base::Message(_) => self.base.message().map_or("an object", |one| one.name),
        })
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<bool, E> {
        if self.base != Base::Bool {
            return Err(E::invalid_type(Unexpected::Bool(value), &self));
        }
        self.to.out.push(value.into());
        Ok(true)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<bool, E> {
        self.integer(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<bool, E> {
        match i64::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => Err(E::invalid_type(Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<bool, E> {
        match self.base {
            Base::String => wire::put_bytes(&mut self.to.out, text.as_bytes()),
            Base::Bytes => {
                let bytes = base64::decode(text)
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
                wire::put_bytes(&mut self.to.out, &bytes);
            }
            Base::Time | Base::MicroTime => {
                let time: Timestamp = text
                    .parse()
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
                let micro = self.base == Base::MicroTime;
                self.put_message(|out| put_time(out, time, micro));
            }
            Base::Quantity => self.put_message(|out| wire::put_field(out, 1, text.as_bytes())),
            Base::IntOrString => self.put_message(|out| {
                out.extend_from_slice(b"\x08\x01\x10\0");
                wire::put_field(out, 3, text.as_bytes());
            }),
            _ => return Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<bool, A::Error> {
        if self.base != Base::Strings {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let start = self.to.out.len();
        loop {
            let end = self.to.out.len();
            self.to.out.push(1 << 3 | wire::BYTES);
            let string = Item {
                to: self.to,
                base: Base::String,
            };
            match source.next_element_seed(string)? {
                Some(true) => {}
                Some(false) => self.to.out.push(0),
                None => {
                    self.to.out.truncate(end);
                    break;
                }
            }
        }
        put_length(&mut self.to.out, start);
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, source: A) -> Result<bool, A::Error> {
        let Some(message) = self.base.message() else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        let body = Body {
            to: self.to,
            message,
            is_field: true,
        };
        body.visit_map(source).map(|()| true)
    }
}

/// A time, of whole seconds or of microseconds; of Go's zero nothing.
fn put_time(out: &mut Vec<u8>, time: Timestamp, micro: bool) {
    // Go counts a fraction from the second before, and so does this.
    let nanos = time.as_nanosecond();
    let seconds = i64::try_from(nanos.div_euclid(NANOS)).expect("a time is of years of 4 digits");
    let micros = i64::try_from(nanos.rem_euclid(NANOS) / 1000).expect("a second has 1,000,000");
    let fraction = if micro { micros * 1000 } else { 0 };
    if (seconds, fraction) == (ZERO_TIME, 0) {
        return;
    }
    out.push(1 << 3);
    wire::put_varint(out, u64::from_le_bytes(seconds.to_le_bytes()));
    out.push(2 << 3);
    wire::put_varint(out, u64::from_le_bytes(fraction.to_le_bytes()));
}
