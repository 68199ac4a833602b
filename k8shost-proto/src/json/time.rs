//! Times: `google.protobuf.Timestamp` as RFC 3339.

use std::fmt;

use prost_types::Timestamp;
use serde::de::{Deserializer, Unexpected, Visitor};
use serde::ser::{Error as _, Serializer};

use super::fields::Field;

/// The seconds that have a year of four digits: 0001-01-01 to 9999-12-31.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl Field for Timestamp {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimeVisitor)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !SECONDS.contains(&self.seconds) {
            return Err(S::Error::custom("a time is outside of the years 1 to 9999"));
        }
        let seconds = Self {
            seconds: self.seconds,
            nanos: 0,
        };
        serializer.collect_str(&seconds)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Timestamp;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a time as in RFC 3339, such as 2024-01-31T12:00:00Z")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse()
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
