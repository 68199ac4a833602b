//! Field selectors: `spec.nodeName=n1,status.phase!=Running`.

use std::fmt;

use crate::{error::Error, field::quote};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Term {
    field: Box<str>,
    /// `=` or `!=`.
    equal: bool,
    value: Box<str>,
}

/// A field selector: all of its terms must hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    terms: Box<[Term]>,
}

impl FieldSelector {
    /// Reads a selector; an error is a BadRequest in apimachinery's words. Whether a kind has these
    /// fields is for [`FieldSelector::supported`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, equal, value)) = split_term(part) else {
                return Err(Error::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            let value = unescape(value)
                .map_err(|fault| Error::bad_request(format!("invalid field selector: {fault}")))?;
            if field.is_empty() && value.is_empty() {
                continue;
            }
            terms.push(Term {
                field: field.into(),
                equal,
                value: value.into_boxed_str(),
            });
        }
        Ok(Self {
            terms: terms.into_boxed_slice(),
        })
    }

    /// Refuses a selector of fields that a kind does not offer, as a BadRequest; `fields` are those
    /// it does. The old name of `spec.nodeName`, `spec.host`, is replaced where the former is one.
    pub fn supported(mut self, fields: &[&str]) -> Result<Self, Error> {
        for term in &mut self.terms {
            if *term.field == *"spec.host" && fields.contains(&"spec.nodeName") {
                term.field = "spec.nodeName".into();
            }
            if !fields.contains(&term.field.as_ref()) {
                if fields.iter().all(|field| field.starts_with("metadata.")) {
                    let known: Vec<String> = fields.iter().map(|field| quote(field)).collect();
                    return Err(Error::bad_request(format!(
                        "{} is not a known field selector: only {}",
                        quote(&term.field),
                        known.join(", ")
                    )));
                }
                return Err(Error::bad_request(format!(
                    "field label not supported: {}",
                    term.field
                )));
            }
        }
        Ok(self)
    }

    /// True when it matches everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The fields that are asked for, in the order of the terms.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.field.as_ref())
    }

    /// The value that a field must have, when a term says `field=value`.
    pub fn requires(&self, field: &str) -> Option<&str> {
        let exact = |term: &&Term| term.equal && *term.field == *field;
        self.terms
            .iter()
            .find(exact)
            .map(|term| term.value.as_ref())
    }

    /// Whether an object matches; `field` looks a field up, and what is absent is "".
    pub fn matches<'a>(&self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms
            .iter()
            .all(|term| (field(&term.field).unwrap_or_default() == &*term.value) == term.equal)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let operator = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}", term.field)?;
            for c in term.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// The text between commas that no backslash takes the meaning from.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == ',' {
            terms.push(&text[start..at]);
            start = at + 1;
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Field, whether it is to be equal, and the value, still escaped.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find(['=', '!']).and_then(|first| {
        // A `!` without `=` is part of the field's name.
        term[first..]
            .char_indices()
            .find(|(i, c)| *c == '=' || term[first + i..].starts_with("!="))
            .map(|(i, _)| first + i)
    })?;
    let (field, rest) = term.split_at(at);
    if let Some(value) = rest.strip_prefix("!=") {
        return Some((field, false, value));
    }
    let value = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
    Some((field, true, value))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        match (escaped, c) {
            (true, '\\' | ',' | '=') => {
                out.push(c);
                escaped = false;
            }
            (true, _) => return Err(format!("invalid escape sequence: \\{c}")),
            (false, '\\') => escaped = true,
            (false, ',' | '=') => {
                return Err(format!("unescaped character in value: {}", u32::from(c)));
            }
            (false, _) => out.push(c),
        }
    }
    if escaped {
        return Err("invalid escape sequence: \\".to_owned());
    }
    Ok(out)
}
