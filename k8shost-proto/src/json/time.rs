//! Times: `google.protobuf.Timestamp` as RFC 3339.

use std::fmt;

use prost_types::Timestamp;
use serde::de::{Deserializer, Unexpected, Visitor};
use serde::ser::{Error as _, Serializer};

use super::fields::Field;

/// The seconds that have a year of four digits: 0001-01-01 to 9999-12-31.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

impl Field for Timestamp {
    fn read<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        *self = deserializer.deserialize_str(TimeVisitor)?;
        Ok(())
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
        parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Parses a time. Prost's own parser takes more than RFC 3339, such as a date alone; Kubernetes
/// does not.
fn parse(text: &str) -> Option<Timestamp> {
    let (time, rest) = text.split_at_checked(19)?;
    let zone = match rest.strip_prefix('.') {
        Some(rest) => {
            let zone = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
            (zone.len() < rest.len()).then_some(zone)?
        }
        None => rest,
    };
    let valid = fits(time, "0000-00-00T00:00:00")
        && (zone == "Z" || fits(zone, "+00:00") || fits(zone, "-00:00"));
    let time: Timestamp = valid.then(|| text.parse().ok())??;
    SECONDS.contains(&time.seconds).then_some(time)
}

/// Whether a text has the shape of another, where `0` stands for any digit.
fn fits(text: &str, shape: &str) -> bool {
    let same = |(byte, shape): (u8, u8)| byte == shape || shape == b'0' && byte.is_ascii_digit();
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(same)
}
