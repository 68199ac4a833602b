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

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use fields::{Field, Quantities, Slot, Written};

/// A message, field by field, as the build script writes it down.
trait Fields: Default {
    /// The JSON names of the fields, sorted.
    const NAMES: &'static [&'static str];

    /// Reads the value that is next in `map` into a field, known by its place in `NAMES`.
    fn read<'de, A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error>;

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
                let mut message = Self::default();
                Field::read(&mut message, deserializer)?;
                Ok(message)
            }
        }

        impl Field for $type {
            fn read<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_map(MessageVisitor(self))
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

/// Fills a message in its place: messages are large, and would be moved from call to call.
struct MessageVisitor<'a, T>(&'a mut T);

impl<'de, T: Fields> Visitor<'de> for MessageVisitor<'_, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut next = 0;
        while let Some(index) = map.next_key_seed(Name {
            names: T::NAMES,
            next,
        })? {
            match index {
                Some(index) => {
                    self.0.read(index, &mut map)?;
                    next = index + 1;
                }
                None => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Looks a field's name up as it is read, without a copy of it.
struct Name {
    names: &'static [&'static str],
    /// Where to begin: as names are mostly sorted, the one that comes is soon found from there.
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        let find = |names: &[&str]| names.iter().position(|known| *known == name);
        let (before, after) = self.names.split_at(self.next);
        Ok(find(after)
            .map(|index| self.next + index)
            .or_else(|| find(before)))
    }
}

fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

fn read_field<'de, A: MapAccess<'de>, T: Field>(
    map: &mut A,
    field: &mut T,
) -> Result<(), A::Error> {
    map.next_value_seed(Slot(field))
}

fn read_quantity<'de, A: MapAccess<'de>, T: Quantities>(
    map: &mut A,
    field: &mut T,
) -> Result<(), A::Error> {
    let mut read = T::Read::default();
    map.next_value_seed(Slot(&mut read))?;
    *field = T::from_read(read);
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
