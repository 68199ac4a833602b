//! Times as objects carry them: RFC 3339, UTC, whole seconds.

use std::time::SystemTime;

use jiff::Timestamp;

/// A time stamp in metadata's form: `2026-01-02T03:04:05Z`, fractions of a second cut off.
pub fn format(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads an RFC 3339 time, with any offset and fraction.
pub fn parse(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}
