//! Spans of time in two or three significant figures, as kubectl shows ages.

use std::time::SystemTime;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;
/// Go's durations end here, about 292 years.
const LONGEST: i64 = i64::MAX / 1_000_000_000;

/// A span of whole seconds for people: `90s`, `5m30s`, `3h`, `2d5h`, `400d`, `3y2d`. One second before
/// nothing passes as `0s`, clocks being what they are; what is further in the past is `<invalid>`.
pub fn human(seconds: i64) -> String {
    let seconds = seconds.clamp(-LONGEST, LONGEST);
    let days = seconds / DAY;
    match seconds {
        ..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(seconds / MINUTE, 'm', seconds % MINUTE, 's'),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => pair(seconds / HOUR, 'h', seconds % HOUR / MINUTE, 'm'),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        _ if days < 8 => pair(days, 'd', seconds % DAY / HOUR, 'h'),
        _ if seconds < 2 * YEAR => format!("{days}d"),
        _ if seconds < 8 * YEAR => pair(seconds / YEAR, 'y', days % 365, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

fn pair(large: i64, unit: char, small: i64, small_unit: char) -> String {
    if small == 0 {
        return format!("{large}{unit}");
    }
    format!("{large}{unit}{small}{small_unit}")
}

/// The whole seconds from one time to another, cut off towards zero.
pub(super) fn between(from: SystemTime, to: SystemTime) -> i64 {
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    match to.duration_since(from) {
        Ok(span) => whole(span.as_secs()),
        Err(error) => -whole(error.duration().as_secs()),
    }
}
