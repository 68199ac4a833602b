//! Resource messages as Kubernetes JSON, by serde.
//!
//! What is written is what Kubernetes writes: names as in its API, sorted; nothing for a field that
//! is absent, or a list or map that is empty; always something for a required number, text or
//! boolean; times in UTC and whole seconds; an `IntOrString` as a number or a text. `org_id` and
//! `project_id` of the metadata are never written: Kubernetes has no such fields.
//!
//! What is read is more: `null` for absent; 64-bit numbers as texts, `80.0` for `80`, fractions of
//! seconds and offsets in times, as generic protobuf JSON printers write them; quantities as
//! numbers; and `orgId` and `projectId`. Unknown fields are skipped; to learn of them, wrap the
//! deserializer with the crate `serde_ignored`, which reports their paths.

mod fields;
mod time;
mod value;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use fields::{Field, OrDefault, Quantities, Written};

/// A message, field by field, as the build script writes it down.
trait Fields: Default {
    /// The number of the field of this JSON name, if there is one.
    fn index(name: &str) -> Option<u8>;

    /// Reads the value that is next in `map` into the field of this number.
    fn read<'de, A: MapAccess<'de>>(&mut self, index: u8, map: &mut A) -> Result<(), A::Error>;

    /// Writes all fields that are there, sorted by name.
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

/// Implements serde's traits for a message that has [`Fields`].
macro_rules! message {
    ($type:ident) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                Fields::write(self, &mut map)?;
                map.end()
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map(MessageVisitor::<Self>(PhantomData))
            }
        }

        impl Field for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }
        }
    };
}

/// The build script's part.
mod generated {
    use super::*;
    use crate::v1::*;

    include!(concat!(env!("OUT_DIR"), "/serde.rs"));
}

struct MessageVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for MessageVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut message = T::default();
        while let Some(index) = map.next_key_seed(Key(T::index))? {
            match index {
                Some(index) => message.read(index, &mut map)?,
                None => skip(&mut map)?,
            }
        }
        Ok(message)
    }
}

/// Looks a field's name up as it is read, without a copy of it.
struct Key(fn(&str) -> Option<u8>);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u8>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<u8>, E> {
        Ok((self.0)(name))
    }
}

fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

fn read_field<'de, A: MapAccess<'de>, T: Field>(
    map: &mut A,
    field: &mut T,
) -> Result<(), A::Error> {
    *field = map.next_value::<OrDefault<T>>()?.0;
    Ok(())
}

fn read_quantity<'de, A: MapAccess<'de>, T: Quantities>(
    map: &mut A,
    field: &mut T,
) -> Result<(), A::Error> {
    *field = T::from_read(map.next_value::<OrDefault<T::Read>>()?.0);
    Ok(())
}

fn write_field<M: SerializeMap, T: Field>(
    map: &mut M,
    name: &'static str,
    field: &T,
) -> Result<(), M::Error> {
    if field.is_absent() {
        return Ok(());
    }
    map.serialize_entry(name, &Written(field))
}
