//! Quantities of resources: `100m`, `1.5Gi`, `2e3`.
//!
//! A quantity is a decimal number with a suffix of powers of ten or of 1024, or an exponent. It is
//! exact down to one billionth; what is finer is rounded away from zero. It is written back in the
//! family of suffixes that it was read in, with the largest suffix that needs no fraction, except
//! that a text which is nearly so stays as it was.

use std::{cmp::Ordering, fmt, str::FromStr};

/// Why a text is no quantity. The words are apimachinery's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not look like one.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// Its number cannot be read, or is beyond what is kept: 36 digits, or an exponent of 60.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// There is no such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    DecimalExponent,
    BinarySi,
    DecimalSi,
}

const NANO: i32 = -9;
const MILLI: i32 = -3;
/// More significant digits than this are refused: they and two more fit into an i128.
const MAX_DIGITS: usize = 36;
const MAX_EXPONENT: i32 = 60;
/// Quantities with binary suffixes stop here.
const MAX_BINARY: i128 = i64::MAX as i128;

/// An amount of a resource. Two are equal when their numbers are, whatever they look like.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// The number is `mantissa * 10^scale`; the mantissa has no trailing zero.
    mantissa: i128,
    scale: i32,
    format: Format,
    /// The scale of the text as it stood, when that text is to be kept.
    kept: Option<i32>,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self {
        mantissa: 0,
        scale: 0,
        format: Format::DecimalSi,
        kept: None,
    };

    fn new(mantissa: i128, scale: i32, format: Format) -> Self {
        let (mut mantissa, mut scale) = (mantissa, scale);
        if mantissa == 0 {
            scale = 0;
        }
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale += 1;
        }
        Self {
            mantissa,
            scale,
            format,
            kept: None,
        }
    }

    /// Less than nothing.
    pub fn is_negative(&self) -> bool {
        self.mantissa < 0
    }

    /// More than nothing.
    pub fn is_positive(&self) -> bool {
        self.mantissa > 0
    }

    /// A whole number of thousandths, rounded away from zero, as all amounts in specs are.
    #[must_use]
    pub fn round_up_to_milli(self) -> Self {
        if self.kept.unwrap_or(self.scale) >= MILLI {
            return self;
        }
        self.rounded(MILLI)
    }

    fn rounded(self, scale: i32) -> Self {
        if self.scale >= scale {
            return Self { kept: None, ..self };
        }
        Self::new(self.at_scale(scale), scale, self.format)
    }

    /// The mantissa at a scale, rounded away from zero; at the own scale where that is larger.
    fn at_scale(&self, scale: i32) -> i128 {
        let mut mantissa = self.mantissa;
        let mut inexact = false;
        for _ in self.scale..scale {
            inexact |= mantissa % 10 != 0;
            mantissa /= 10;
            if mantissa == 0 {
                break;
            }
        }
        mantissa + if inexact { self.mantissa.signum() } else { 0 }
    }

    /// The number as an integer, rounded away from zero, at most what an i64 holds.
    pub fn value(&self) -> i64 {
        let whole = if self.scale < 0 {
            self.at_scale(0)
        } else {
            let mut whole = self.mantissa;
            for _ in 0..self.scale {
                whole = whole.saturating_mul(10);
            }
            whole
        };
        i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
    }

    /// The number in thousandths, rounded away from zero, at most what an i64 holds.
    pub fn milli_value(&self) -> i64 {
        let thousand = Self {
            scale: self.scale - MILLI,
            ..*self
        };
        thousand.value()
    }

    /// A whole number of times the unit, which is a positive integer.
    pub fn is_multiple_of(&self, unit: Self) -> bool {
        let Some(unit_value) = unit.integer().filter(|value| *value > 0) else {
            return false;
        };
        let whole = Self {
            mantissa: self.at_scale(self.scale.max(0)),
            scale: self.scale.max(0),
            ..*self
        };
        whole.integer().is_some_and(|value| value % unit_value == 0)
    }

    /// The number, when it is an integer that is kept exactly.
    fn integer(&self) -> Option<i128> {
        let power = u32::try_from(self.scale).ok()?;
        self.mantissa.checked_mul(10_i128.checked_pow(power)?)
    }

    /// A whole number of units.
    pub fn is_integer(&self) -> bool {
        self.scale >= 0
    }

    /// A whole number of thousandths.
    pub fn is_milli(&self) -> bool {
        self.scale >= MILLI
    }

    /// The sum. Where the two are so far apart that it cannot be kept exactly, the smaller is rounded
    /// away from zero.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        if self.mantissa == 0 {
            return Self::new(other.mantissa, other.scale, other.format);
        }
        let most = self.magnitude().max(other.magnitude());
        let finest = most - i32::try_from(MAX_DIGITS).expect("36");
        let scale = self.scale.min(other.scale).max(finest);
        let align = |q: Self| (scale..q.scale).fold(q.at_scale(scale), |mantissa, _| mantissa * 10);
        Self::new(align(self) + align(other), scale, self.format)
    }

    /// How Kubernetes writes this quantity, read from `text`, back: `text` where that is kept, else
    /// the canonical form.
    pub fn written(&self, text: &str) -> String {
        if self.kept.is_some() || text == "0" {
            return text.to_owned();
        }
        self.to_string()
    }

    /// The position of the first digit.
    fn magnitude(&self) -> i32 {
        let digits = self
            .mantissa
            .unsigned_abs()
            .checked_ilog10()
            .unwrap_or_default();
        i32::try_from(digits).expect("less than 39") + self.scale
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        (self.mantissa, self.scale) == (other.mantissa, other.scale)
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.mantissa.signum();
        let by_sign = sign.cmp(&other.mantissa.signum());
        if by_sign != Ordering::Equal || sign == 0 {
            return by_sign;
        }
        let by_magnitude = self.magnitude().cmp(&other.magnitude());
        if by_magnitude != Ordering::Equal {
            return if sign > 0 {
                by_magnitude
            } else {
                by_magnitude.reverse()
            };
        }
        // Of one magnitude: the one with fewer digits gets as many as the other, which fit.
        let scale = self.scale.min(other.scale);
        let align =
            |q: &Self| (scale..q.scale).fold(q.mantissa, |mantissa, _| mantissa.saturating_mul(10));
        align(self).cmp(&align(other))
    }
}

/// The parts of a text that looks like a quantity.
struct Parts<'a> {
    negative: bool,
    /// Digits before the point without leading zeros; at least one.
    whole: &'a str,
    /// Digits after the point.
    fraction: &'a str,
    suffix: &'a str,
}

fn split(text: &str) -> Result<Parts<'_>, QuantityError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let count = |text: &str, wanted: fn(u8) -> bool| {
        text.bytes().position(|b| !wanted(b)).unwrap_or(text.len())
    };
    let digit: fn(u8) -> bool = |b| b.is_ascii_digit();
    let number = &unsigned[count(unsigned, |b| b == b'0')..];
    let (whole, rest) = number.split_at(count(number, digit));
    let whole = if whole.is_empty() { "0" } else { whole };
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(count(rest, digit)),
        None => ("", rest),
    };
    let letters = count(suffix, |b| b"eEinumkKMGTP".contains(&b));
    let exponent = &suffix[letters..];
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    if count(exponent, digit) != exponent.len() {
        return Err(QuantityError::Format);
    }
    Ok(Parts {
        negative: text.starts_with('-'),
        whole,
        fraction,
        suffix,
    })
}

/// The family of a suffix, and its exponent of ten or of two.
fn interpret(suffix: &str) -> Result<(Format, i32), QuantityError> {
    Ok(match suffix {
        "" => (Format::DecimalSi, 0),
        "n" => (Format::DecimalSi, -9),
        "u" => (Format::DecimalSi, -6),
        "m" => (Format::DecimalSi, -3),
        "k" => (Format::DecimalSi, 3),
        "M" => (Format::DecimalSi, 6),
        "G" => (Format::DecimalSi, 9),
        "T" => (Format::DecimalSi, 12),
        "P" => (Format::DecimalSi, 15),
        "E" => (Format::DecimalSi, 18),
        "Ki" => (Format::BinarySi, 10),
        "Mi" => (Format::BinarySi, 20),
        "Gi" => (Format::BinarySi, 30),
        "Ti" => (Format::BinarySi, 40),
        "Pi" => (Format::BinarySi, 50),
        "Ei" => (Format::BinarySi, 60),
        _ => {
            let exponent = suffix
                .strip_prefix(['e', 'E'])
                .filter(|exponent| !exponent.is_empty())
                .and_then(|exponent| exponent.parse::<i64>().ok())
                .ok_or(QuantityError::Suffix)?;
            let exponent = i32::try_from(exponent).map_err(|_| QuantityError::Number)?;
            (Format::DecimalExponent, exponent)
        }
    })
}

/// The number that digits after one another are, without their trailing zeros, and how many those
/// are.
fn digits(whole: &str, fraction: &str, drop: usize) -> Result<(i128, i32), QuantityError> {
    let length = (whole.len() + fraction.len()).saturating_sub(drop);
    let mut number: i128 = 0;
    let mut zeros = 0;
    let mut significant = 0;
    for digit in whole.bytes().chain(fraction.bytes()).take(length) {
        if digit == b'0' {
            zeros += 1;
            continue;
        }
        if number != 0 {
            significant += zeros;
        }
        significant += 1;
        if significant > MAX_DIGITS {
            return Err(QuantityError::Number);
        }
        for _ in 0..zeros.min(MAX_DIGITS) {
            number *= 10;
        }
        number = number * 10 + i128::from(digit - b'0');
        zeros = 0;
    }
    let zeros = i32::try_from(zeros).map_err(|_| QuantityError::Number)?;
    Ok((number, if number == 0 { 0 } else { zeros }))
}

fn decimal(parts: &Parts<'_>, format: Format, exponent: i32) -> Result<Quantity, QuantityError> {
    let (whole, fraction) = (parts.whole, parts.fraction);
    let count = whole.len() + fraction.len();
    let after_point = i32::try_from(fraction.len()).map_err(|_| QuantityError::Number)?;
    let scale = exponent
        .checked_sub(after_point)
        .ok_or(QuantityError::Number)?;
    // Digits finer than a billionth go, and round away from zero.
    let drop = usize::try_from(i64::from(NANO) - i64::from(scale)).unwrap_or_default();
    let (mut number, zeros) = digits(whole, fraction, drop)?;
    let mut all = whole.bytes().chain(fraction.bytes());
    let inexact = drop > 0
        && all
            .by_ref()
            .skip(count.saturating_sub(drop))
            .any(|b| b != b'0');
    let mut scale = scale.max(NANO);
    if inexact {
        for _ in 0..zeros {
            number *= 10;
        }
        number += 1;
    } else {
        scale = scale.saturating_add(zeros);
    }
    if number != 0 && scale > MAX_EXPONENT {
        return Err(QuantityError::Number);
    }
    Ok(Quantity::new(number, scale, format))
}

fn binary(parts: &Parts<'_>, exponent: i32) -> Result<Quantity, QuantityError> {
    let largest = Quantity::new(MAX_BINARY, 0, Format::BinarySi);
    if parts.whole.len() > 19 {
        return Ok(largest);
    }
    let whole: i128 = parts.whole.parse().map_err(|_| QuantityError::Number)?;
    let fraction = parts.fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).map_err(|_| QuantityError::Number)?;
    if places > 18 {
        return Err(QuantityError::Number);
    }
    let part: i128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().map_err(|_| QuantityError::Number)?
    };
    let part = part << exponent;
    let nanos = if places <= 9 {
        part * 10_i128.pow(9 - places)
    } else {
        let divisor = 10_i128.pow(places - 9);
        (part + divisor - 1) / divisor
    };
    let billion = 1_000_000_000;
    if (whole << exponent) > MAX_BINARY
        || (whole << exponent) * billion + nanos > MAX_BINARY * billion
    {
        return Ok(largest);
    }
    let nanos = (whole << exponent) * billion + nanos;
    let format = if nanos > 0 && nanos < billion {
        Format::DecimalSi
    } else {
        Format::BinarySi
    };
    Ok(Quantity::new(nanos, NANO, format))
}

/// The scale of a text that needs no other form, as apimachinery judges it.
fn kept_scale(parts: &Parts<'_>, format: Format, exponent: i32) -> Option<i32> {
    let (whole, fraction) = (parts.whole, parts.fraction);
    let length = i32::try_from(whole.len() + fraction.len()).ok()?;
    if format == Format::BinarySi {
        let fits = fraction.is_empty() && 14 - length - exponent * 3 / 10 >= 0;
        let odd = fits && whole.parse::<u64>().is_ok_and(|value| value & 7 != 0);
        return odd.then_some(0);
    }
    let scale = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let last_three = || {
        let mut last = fraction.bytes().rev().chain(whole.bytes().rev()).take(3);
        let mut zeros = 0;
        while last.next() == Some(b'0') {
            zeros += 1;
        }
        zeros == 3
    };
    let kept =
        length <= 18 && scale >= NANO && scale % 3 == 0 && !whole.starts_with('0') && !last_three();
    kept.then_some(scale)
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Format);
        }
        let parts = split(text)?;
        let (format, exponent) = interpret(parts.suffix)?;
        let mut quantity = match format {
            Format::BinarySi => binary(&parts, exponent)?,
            _ => decimal(&parts, format, exponent)?,
        };
        if parts.negative {
            quantity.mantissa = -quantity.mantissa;
        }
        quantity.kept = kept_scale(&parts, format, exponent);
        Ok(quantity)
    }
}

/// The canonical form.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa == 0 {
            return f.write_str("0");
        }
        let thousand = Self::new(1024, 0, Format::DecimalSi);
        let magnitude = Self {
            mantissa: self.mantissa.saturating_abs(),
            ..*self
        };
        if self.format == Format::BinarySi && self.is_integer() && magnitude >= thousand {
            let mut number = i128::from(self.value());
            let mut power = 0;
            while number % 1024 == 0 && power < 6 {
                number /= 1024;
                power += 1;
            }
            let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power];
            return write!(f, "{number}{suffix}");
        }
        let mut exponent = self.scale - self.scale.rem_euclid(3);
        if self.format != Format::DecimalExponent {
            exponent = exponent.min(18);
        }
        let number = (exponent..self.scale).fold(self.mantissa.to_string(), |mut digits, _| {
            digits.push('0');
            digits
        });
        let suffix = match exponent {
            0 => "",
            _ if self.format == Format::DecimalExponent => return write!(f, "{number}e{exponent}"),
            -9 => "n",
            -6 => "u",
            -3 => "m",
            3 => "k",
            6 => "M",
            9 => "G",
            12 => "T",
            15 => "P",
            _ => "E",
        };
        write!(f, "{number}{suffix}")
    }
}

/// How a spec writes this quantity: rounded up to thousandths, and in canonical form where it is not
/// nearly so already. `None` when that is the text itself.
pub fn normalize(text: &str) -> Result<Option<String>, QuantityError> {
    let trimmed = text.trim();
    let quantity: Quantity = trimmed.parse()?;
    if quantity.kept.is_some_and(|scale| scale >= MILLI) || trimmed == "0" {
        return Ok((trimmed.len() != text.len()).then(|| trimmed.to_owned()));
    }
    let canonical = quantity.round_up_to_milli().to_string();
    Ok((canonical != text).then_some(canonical))
}
