//! Values of no fixed type: an `IntOrString` is a `google.protobuf.Value`, the fields of a
//! `managedFields` entry are a `google.protobuf.Struct`.

use std::collections::BTreeMap;
use std::fmt;

use prost_types::value::Kind;
use prost_types::{ListValue, NullValue, Struct, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::fields::{Field, Written, whole};

/// An `IntOrString`.
impl Field for Value {
    fn is_absent(&self) -> bool {
        matches!(self.kind, None | Some(Kind::NullValue(_)))
    }

    fn read<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        *self = deserializer.deserialize_any(IntOrString)?;
        Ok(())
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.kind {
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::NumberValue(number)) => match integer(*number) {
                Some(number) => serializer.serialize_i32(number),
                None => Err(S::Error::custom(format!(
                    "{number} is not a 32-bit integer"
                ))),
            },
            _ => Err(S::Error::custom(
                "a value is neither an integer nor a string",
            )),
        }
    }
}

fn integer(number: f64) -> Option<i32> {
    whole(number).and_then(|number| i32::try_from(number).ok())
}

struct IntOrString;

impl Visitor<'_> for IntOrString {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a 32-bit integer or a string")
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        let number = i32::try_from(number)
            .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))?;
        Ok(Value {
            kind: Some(Kind::NumberValue(number.into())),
        })
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        let number = i32::try_from(number)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
        Ok(Value {
            kind: Some(Kind::NumberValue(number.into())),
        })
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        let number =
            integer(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))?;
        Ok(Value {
            kind: Some(Kind::NumberValue(number.into())),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value {
            kind: Some(Kind::StringValue(text.to_owned())),
        })
    }
}

impl Field for Struct {
    fn read<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let fields = BTreeMap::<String, Json>::deserialize(deserializer)?;
        self.fields = fields
            .into_iter()
            .map(|(name, value)| (name, value.0))
            .collect();
        Ok(())
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, &Any(value))?;
        }
        map.end()
    }
}

/// Any JSON value.
struct Json(Value);

impl From<Kind> for Json {
    fn from(kind: Kind) -> Self {
        Self(Value { kind: Some(kind) })
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Kind::NullValue(NullValue::NullValue.into()).into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Kind::BoolValue(value).into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        // A protobuf Value has doubles only.
        Ok(Kind::NumberValue(number as f64).into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Kind::NumberValue(number as f64).into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Kind::NumberValue(number).into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Kind::StringValue(text.to_owned()).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(Json(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Kind::ListValue(ListValue { values }).into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, Json(value))) = map.next_entry()? {
            fields.insert(name, value);
        }
        Ok(Kind::StructValue(Struct { fields }).into())
    }
}

/// Writes any JSON value.
struct Any<'a>(&'a Value);

impl Serialize for Any<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::BoolValue(value)) => serializer.serialize_bool(*value),
            Some(Kind::NumberValue(number)) => match whole(*number) {
                Some(number) => serializer.serialize_i64(number),
                None => serializer.serialize_f64(*number),
            },
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::StructValue(fields)) => Written(fields).serialize(serializer),
            Some(Kind::ListValue(list)) => {
                let mut values = serializer.serialize_seq(Some(list.values.len()))?;
                for value in &list.values {
                    values.serialize_element(&Any(value))?;
                }
                values.end()
            }
        }
    }
}
