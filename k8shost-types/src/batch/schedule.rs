//! Schedules of CronJobs, as github.com/robfig/cron reads them: five fields, or a word after `@`.

/// The numbers that a field allows, one bit each.
type Bits = u64;

/// When something is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At each minute that has all of these.
    Times {
        /// 0 to 59.
        minutes: u64,
        /// 0 to 23.
        hours: u64,
        /// 1 to 31.
        days: u64,
        /// 1 to 12.
        months: u64,
        /// 0 to 6, Sunday is 0.
        weekdays: u64,
        /// Whether days, or weekdays, are all of them by a `*`: if neither is, a day that either
        /// field has will do.
        any_day: bool,
    },
    /// Again and again after so many seconds.
    Every(u64),
}

struct Field {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MINUTES: Field = Field {
    min: 0,
    max: 59,
    names: &[],
};
const HOURS: Field = Field {
    min: 0,
    max: 23,
    names: &[],
};
const DAYS: Field = Field {
    min: 1,
    max: 31,
    names: &[],
};
const MONTHS: Field = Field {
    min: 1,
    max: 12,
    names: &[
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ],
};
const WEEKDAYS: Field = Field {
    min: 0,
    max: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// Reads a schedule. The error is in the library's words.
pub fn parse(text: &str) -> Result<Schedule, String> {
    if text.is_empty() {
        return Err("empty spec string".to_owned());
    }
    let mut text = text;
    if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
        let Some((zone, rest)) = text.split_once(' ') else {
            return Err(format!("provided bad location {text}"));
        };
        let zone = zone.split_once('=').map_or("", |(_, zone)| zone);
        if !is_time_zone(zone) {
            return Err(format!(
                "provided bad location {zone}: unknown time zone {zone}"
            ));
        }
        text = rest.trim();
    }
    if text.starts_with('@') {
        return descriptor(text);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let &[minutes, hours, days, months, weekdays] = fields.as_slice() else {
        return Err(format!(
            "expected exactly 5 fields, found {}: [{}]",
            fields.len(),
            fields.join(" ")
        ));
    };
    let (minutes, _) = field(minutes, &MINUTES)?;
    let (hours, _) = field(hours, &HOURS)?;
    let (days, any_day) = field(days, &DAYS)?;
    let (months, _) = field(months, &MONTHS)?;
    let (weekdays, any_weekday) = field(weekdays, &WEEKDAYS)?;
    Ok(Schedule::Times {
        minutes,
        hours,
        days,
        months,
        weekdays,
        any_day: any_day || any_weekday,
    })
}

/// Whether this is the name of a time zone of the IANA database, in its own case.
pub fn is_time_zone(name: &str) -> bool {
    let zone = jiff::tz::TimeZoneDatabase::bundled().get(name);
    zone.is_ok_and(|zone| zone.iana_name() == Some(name))
}

fn descriptor(text: &str) -> Result<Schedule, String> {
    if let Some(duration) = text.strip_prefix("@every ") {
        return match seconds(duration) {
            Ok(seconds) => Ok(Schedule::Every(seconds.max(1))),
            Err(fault) => Err(format!("failed to parse duration {text}: {fault}")),
        };
    }
    parse(match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => return Err(format!("unrecognized descriptor: {text}")),
    })
}

/// A duration as Go writes it: `1h30m`, `1.5s`. What is below a second goes.
fn seconds(text: &str) -> Result<u64, String> {
    let invalid = || format!("time: invalid duration {}", crate::field::quote(text));
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit: u128 = match unit {
            "" => {
                let text = crate::field::quote(text);
                return Err(format!("time: missing unit in duration {text}"));
            }
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            unit => {
                let (unit, text) = (crate::field::quote(unit), crate::field::quote(text));
                return Err(format!("time: unknown unit {unit} in duration {text}"));
            }
        };
        let whole: u128 = match whole {
            "" => 0,
            whole => whole.parse::<u64>().map_err(|_| invalid())?.into(),
        };
        let mut part = unit;
        for digit in fraction.bytes() {
            part /= 10;
            nanos += part * u128::from(digit - b'0');
        }
        nanos += whole * unit;
        rest = after;
    }
    if nanos > i64::MAX.unsigned_abs().into() {
        return Err(invalid());
    }
    // Backwards, it is as often as can be.
    let seconds = u64::try_from(nanos / 1_000_000_000).expect("less than an i64 of nanoseconds");
    Ok(if text.starts_with('-') { 0 } else { seconds })
}

/// The numbers of a list of ranges, and whether one of them is all.
fn field(text: &str, field: &Field) -> Result<(Bits, bool), String> {
    let mut bits = 0;
    let mut all = false;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (more, star) = range(part, field)?;
        bits |= more;
        all |= star;
    }
    Ok((bits, all))
}

fn range(text: &str, field: &Field) -> Result<(Bits, bool), String> {
    let mut parts = text.split('/');
    let low_and_high: Vec<&str> = parts.next().unwrap_or_default().split('-').collect();
    let low = low_and_high[0];
    let mut star = false;
    let (start, mut end) = match low_and_high.as_slice() {
        ["*" | "?", ..] => {
            star = true;
            (field.min, field.max)
        }
        [one] => {
            let number = number_or_name(one, field)?;
            (number, number)
        }
        [_, high] => (number_or_name(low, field)?, number_or_name(high, field)?),
        _ => {
            number_or_name(low, field)?;
            return Err(format!("too many hyphens: {text}"));
        }
    };
    let mut step = 1;
    if let Some(given) = parts.next() {
        if parts.next().is_some() {
            return Err(format!("too many slashes: {text}"));
        }
        step = number(given)?;
        // `5/15` is from 5 to the end.
        if low_and_high.len() == 1 {
            end = field.max;
        }
        if step > 1 {
            star = false;
        }
    }
    if start < field.min {
        let min = field.min;
        return Err(format!(
            "beginning of range ({start}) below minimum ({min}): {text}"
        ));
    }
    if end > field.max {
        let max = field.max;
        return Err(format!(
            "end of range ({end}) above maximum ({max}): {text}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {text}"
        ));
    }
    let Some(step) = usize::try_from(step).ok().filter(|step| *step > 0) else {
        return Err(format!("step of range should be a positive number: {text}"));
    };
    let bits = (start..=end)
        .step_by(step)
        .fold(0, |bits, at| bits | 1 << at);
    Ok((bits, star))
}

fn number_or_name(text: &str, field: &Field) -> Result<u32, String> {
    let lower = text.to_lowercase();
    match (field.min..)
        .zip(field.names)
        .find(|(_, name)| **name == lower)
    {
        Some((number, _)) => Ok(number),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let fault = if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        "invalid syntax"
    } else {
        match text.parse::<i64>() {
            Ok(number) if number < 0 => {
                return Err(format!("negative number ({number}) not allowed: {text}"));
            }
            // What is more than any field has is refused as such.
            Ok(number) => return Ok(u32::try_from(number).unwrap_or(u32::MAX)),
            Err(_) => "value out of range",
        }
    };
    let quoted = crate::field::quote(text);
    Err(format!(
        "failed to parse int from {text}: strconv.Atoi: parsing {quoted}: {fault}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str) -> [u64; 5] {
        match parse(text) {
            Ok(Schedule::Times {
                minutes,
                hours,
                days,
                months,
                weekdays,
                ..
            }) => [minutes, hours, days, months, weekdays],
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn schedules_are_read() {
        let all = |min: u32, max: u32| (min..=max).fold(0, |bits, at| bits | 1_u64 << at);
        let (hours, days, months, weekdays) = (all(0, 23), all(1, 31), all(1, 12), all(0, 6));
        let every_day = [days, months, weekdays];
        let day = |minutes, hours| {
            let [days, months, weekdays] = every_day;
            [minutes, hours, days, months, weekdays]
        };
        assert_eq!(times("* * * * ?"), day(all(0, 59), hours));
        assert_eq!(
            times("*/15 0 * * *"),
            day(1 | 1 << 15 | 1 << 30 | 1 << 45, 1)
        );
        assert_eq!(
            times("5/20 1-3,7 * * *"),
            day(1 << 5 | 1 << 25 | 1 << 45, 0b1000_1110)
        );
        assert_eq!(times("0 0 1 JAN-mar Sun,6"), [1, 1, 2, 0b1110, 0b100_0001]);
        assert_eq!(times("@hourly"), times("0 * * * *"));
        assert_eq!(times("TZ=UTC 0 0 * * *"), times("@daily"));
        assert_eq!(parse("@every 1h30m0.5s"), Ok(Schedule::Every(5400)));
    }

    #[test]
    fn faults_are_told_in_the_words_of_the_library() {
        for (text, fault) in [
            ("", "empty spec string"),
            (
                "every day",
                "expected exactly 5 fields, found 2: [every day]",
            ),
            (
                "* * * * * *",
                "expected exactly 5 fields, found 6: [* * * * * *]",
            ),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            (
                "5-3 * * * *",
                "beginning of range (5) beyond end of range (3): 5-3",
            ),
            (
                "*/0 * * * *",
                "step of range should be a positive number: */0",
            ),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            (
                "-1 * * * *",
                "failed to parse int from : strconv.Atoi: parsing \"\": invalid syntax",
            ),
            (
                "x * * * *",
                "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            ("@often", "unrecognized descriptor: @often"),
            (
                "@every x",
                "failed to parse duration @every x: time: invalid duration \"x\"",
            ),
            (
                "TZ=Nowhere 0 0 * * *",
                "provided bad location Nowhere: unknown time zone Nowhere",
            ),
        ] {
            assert_eq!(parse(text), Err(fault.to_owned()), "{text}");
        }
    }

    #[test]
    fn time_zones_are_those_of_the_database() {
        for name in [
            "UTC",
            "Europe/Vienna",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+3",
        ] {
            assert!(is_time_zone(name), "{name}");
        }
        for name in ["", "Local", "europe/vienna", "Vienna", "../UTC", "UTC "] {
            assert!(!is_time_zone(name), "{name}");
        }
    }
}
