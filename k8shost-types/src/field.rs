//! Where in an object something is wrong, and the words for it.
//!
//! A [`Path`] costs nothing until it is shown: it lives on the stack, link by link, and becomes text
//! when an error is made.

use std::fmt::{self, Display, Write as _};

use serde_json::Value;

use crate::error::{FieldError, FieldErrorKind};

/// A field's path, as Kubernetes writes it: `spec.containers[0].name`, `requests[cpu]`.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The path of a field of the object itself; dots in it are taken as they are.
    pub const fn new(field: &'a str) -> Self {
        Self {
            parent: None,
            segment: Segment::Field(field),
        }
    }

    /// A field of the object at this path.
    #[must_use]
    pub const fn child(&'a self, field: &'a str) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Field(field),
        }
    }

    /// An item of the list at this path.
    #[must_use]
    pub const fn index(&'a self, index: usize) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    /// A value of the map at this path.
    #[must_use]
    pub const fn key(&'a self, key: &'a str) -> Self {
        Self {
            parent: Some(self),
            segment: Segment::Key(key),
        }
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.segment {
            Segment::Field(name) if self.parent.is_some() => write!(f, ".{name}"),
            // The object itself, in Go's form.
            Segment::Field("") => f.write_str("[]"),
            Segment::Field(name) => f.write_str(name),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// A string in double quotes, escaped as Go's `%q` does.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_ascii_graphic() || c == ' ' => out.push(c),
            c if c.is_ascii() => push_escape(&mut out, 'x', 2, c),
            c if c.is_control() || c.is_whitespace() => push_escape(&mut out, 'u', 4, c),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn push_escape(out: &mut String, letter: char, width: usize, c: char) {
    write!(out, "\\{letter}{:0width$x}", u32::from(c)).expect("writing to a String cannot fail");
}

/// What a message shows of a value that is at fault.
pub trait Shown {
    /// The value as Kubernetes' messages have it: strings quoted, all else as JSON.
    fn shown(&self) -> String;
}

impl Shown for str {
    fn shown(&self) -> String {
        quote(self)
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        quote(self)
    }
}

impl Shown for i64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Value {
    fn shown(&self) -> String {
        match self {
            Self::String(text) => quote(text),
            other => abbreviated(other),
        }
    }
}

impl Shown for [&str] {
    fn shown(&self) -> String {
        abbreviated(&Value::from(self.to_vec()))
    }
}

/// The JSON of a list or object, cut off where it is long: it may be shown for each of its items.
fn abbreviated(value: &Value) -> String {
    const LONGEST: usize = 1024;
    struct Short(String);
    impl fmt::Write for Short {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = LONGEST.saturating_sub(self.0.len());
            let end = text.floor_char_boundary(room);
            self.0.push_str(&text[..end]);
            if end < text.len() {
                Err(fmt::Error)
            } else {
                Ok(())
            }
        }
    }
    let mut short = Short(String::new());
    if write!(short, "{value}").is_err() {
        short.0.push('…');
    }
    short.0
}

impl FieldError {
    fn make(kind: FieldErrorKind, path: &Path<'_>, value: Option<String>, detail: &str) -> Self {
        let mut message = kind.as_str().to_owned();
        for part in [value.as_deref().unwrap_or_default(), detail] {
            if !part.is_empty() {
                message.push_str(": ");
                message.push_str(part);
            }
        }
        Self {
            kind,
            field: path.to_string(),
            message,
        }
    }

    /// The field must be set.
    pub fn required(path: &Path<'_>, detail: &str) -> Self {
        Self::make(FieldErrorKind::Required, path, None, detail)
    }

    /// The value is malformed or out of range.
    pub fn invalid<V: Shown + ?Sized>(path: &Path<'_>, value: &V, detail: &str) -> Self {
        Self::make(FieldErrorKind::Invalid, path, Some(value.shown()), detail)
    }

    /// The value is not one of a fixed set.
    pub fn not_supported<V: Shown + ?Sized>(
        path: &Path<'_>,
        value: &V,
        supported: &[&str],
    ) -> Self {
        let mut detail = String::new();
        for (i, one) in supported.iter().enumerate() {
            detail.push_str(if i == 0 { "supported values: " } else { ", " });
            detail.push_str(&quote(one));
        }
        Self::make(
            FieldErrorKind::NotSupported,
            path,
            Some(value.shown()),
            &detail,
        )
    }

    /// The value may occur once only.
    pub fn duplicate<V: Shown + ?Sized>(path: &Path<'_>, value: &V) -> Self {
        Self::make(FieldErrorKind::Duplicate, path, Some(value.shown()), "")
    }

    /// The field may not be set, or not changed, here.
    pub fn forbidden(path: &Path<'_>, detail: &str) -> Self {
        Self::make(FieldErrorKind::Forbidden, path, None, detail)
    }

    /// The value is longer than `max` bytes.
    pub fn too_long(path: &Path<'_>, max: usize) -> Self {
        let bytes = if max == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {max} {bytes}");
        Self::make(FieldErrorKind::TooLong, path, None, &detail)
    }

    /// The list has more than `max` items.
    pub fn too_many(path: &Path<'_>, actual: usize, max: usize) -> Self {
        let items = if max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {max} {items}");
        Self::make(
            FieldErrorKind::TooMany,
            path,
            Some(actual.to_string()),
            &detail,
        )
    }

    /// What the field refers to is not there.
    pub fn not_found<V: Shown + ?Sized>(path: &Path<'_>, value: &V) -> Self {
        Self::make(FieldErrorKind::NotFound, path, Some(value.shown()), "")
    }
}
