//! Sets of fields as they are stored: a text that says in some hundred bytes what FieldsV1 says in two thousand.
//!
//! A set is its nodes, one behind the other. A node is an element, and `(…)` around the set below it where there is
//! one; `{…}` where the node is a member besides. An element is a name of `names.txt`, which has a code of one letter
//! or two; or `=`, the length in bytes, `:` and a name, which stands for `k:{"name":"…"}`; or `'`, the length, `:` and
//! the element as FieldsV1 has it.

use std::{borrow::Cow, cell::RefCell, collections::HashMap, sync::LazyLock};

use serde_json::Value;

use crate::json::get_mut;

use super::{
    DEEPEST,
    element::{Element, Json, push},
    set::{FieldSet, Node},
};

/// The digits of a code.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// So many names have codes of one letter; the other letters begin codes of two.
const SHORT: usize = 32;

/// The names that have codes, in the order of the codes.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("names.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

static CODES: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
    NAMES
        .iter()
        .enumerate()
        .map(|(code, name)| (*name, code))
        .collect()
});

/// A set as it is stored.
pub(super) fn write(set: &FieldSet<'_>) -> String {
    let mut out = String::with_capacity(256);
    write_set(set, &mut out);
    out
}

fn write_set(set: &FieldSet<'_>, out: &mut String) {
    for node in &set.nodes {
        write_element(&node.element, out);
        if node.children.is_empty() {
            continue;
        }
        let (open, close) = if node.member { ('{', '}') } else { ('(', ')') };
        out.push(open);
        write_set(&node.children, out);
        out.push(close);
    }
}

fn write_element(element: &Element<'_>, out: &mut String) {
    if let Element::Field(name) = element
        && let Some(code) = CODES.get(name.as_ref())
    {
        match code.checked_sub(SHORT) {
            None => out.push(char::from(DIGITS[*code])),
            Some(rest) => {
                out.push(char::from(DIGITS[SHORT + rest / 64]));
                out.push(char::from(DIGITS[rest % 64]));
            }
        }
        return;
    }
    let (sign, text) = match named(element) {
        Some(name) => ('=', Cow::Borrowed(name)),
        None => ('\'', Cow::Owned(element.wire())),
    };
    push(out, format_args!("{sign}{}:{text}", text.len()));
}

/// The name in `k:{"name":"…"}`.
fn named<'e>(element: &'e Element<'_>) -> Option<&'e str> {
    match element {
        Element::Key(fields) => match fields.as_slice() {
            [(key, value)] if key == "name" => value.as_str(),
            _ => None,
        },
        _ => None,
    }
}

/// What stands next in a stored set.
enum Token<'t> {
    /// The code of a name.
    Code(usize),
    Named(&'t str),
    Wire(&'t str),
    Open {
        member: bool,
    },
    Close,
}

/// The tokens of a stored set; they end before what is none.
struct Tokens<'t>(&'t str);

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let (first, rest) = self.0.split_at_checked(1)?;
        let token = match first.as_bytes()[0] {
            b'(' => Token::Open { member: false },
            b'{' => Token::Open { member: true },
            b')' | b'}' => Token::Close,
            sign @ (b'=' | b'\'') => {
                let (len, text) = rest.split_once(':')?;
                let (text, rest) = text.split_at_checked(len.parse().ok()?)?;
                self.0 = rest;
                return Some(if sign == b'=' {
                    Token::Named(text)
                } else {
                    Token::Wire(text)
                });
            }
            letter => {
                let mut code = digit(letter)?;
                let mut rest = rest;
                if let Some(high) = code.checked_sub(SHORT) {
                    code = SHORT + high * 64 + digit(*rest.as_bytes().first()?)?;
                    rest = &rest[1..];
                }
                self.0 = rest;
                return (code < NAMES.len()).then_some(Token::Code(code));
            }
        };
        self.0 = rest;
        Some(token)
    }
}

fn digit(letter: u8) -> Option<usize> {
    Some(usize::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

/// The set that was stored so. Of a text that was not written here, what can be read of it.
pub(super) fn read(text: &str) -> FieldSet<'_> {
    read_set(&mut Tokens(text), 0)
}

fn read_set<'t>(tokens: &mut Tokens<'t>, depth: usize) -> FieldSet<'t> {
    let mut set: FieldSet<'t> = FieldSet::new();
    let mut last: Option<Node<'t>> = None;
    loop {
        let token = tokens.next();
        let element = match token {
            Some(Token::Open { .. }) if depth >= DEEPEST => return set,
            Some(Token::Open { member }) => {
                let children = read_set(tokens, depth + 1);
                if let Some(node) = &mut last {
                    node.member = member || children.is_empty();
                    node.children = children;
                }
                continue;
            }
            Some(Token::Code(code)) => Some(Element::field(NAMES[code])),
            Some(Token::Named(name)) => Some(Element::key(vec![(
                Cow::Borrowed("name"),
                Cow::Owned(Value::from(name)),
            )])),
            Some(Token::Wire(wire)) => match Element::parse(wire) {
                Ok(Some(element)) => Some(element),
                _ => continue,
            },
            Some(Token::Close) | None => None,
        };
        if let Some(node) = last.take() {
            set.put(node);
        }
        let Some(element) = element else { return set };
        last = Some(Node {
            element,
            member: true,
            children: FieldSet::new(),
        });
    }
}

/// Texts, and what each was turned into: objects that are read or written one after another are mostly owned alike.
#[derive(Default)]
struct Memo {
    known: Vec<(Box<str>, Box<str>)>,
    /// The next one to be forgotten.
    next: usize,
}

impl Memo {
    /// How many it knows: of a few kinds, those of who made the objects, and of who writes their status.
    const MOST: usize = 8;
    /// The longest that it remembers, in bytes.
    const LONGEST: usize = 8 << 10;

    fn find(&self, text: &str) -> Option<&str> {
        let known = self.known.iter().find(|(known, _)| **known == *text)?;
        Some(&known.1)
    }

    fn remember(&mut self, text: &str, made: &str) {
        if text.len().max(made.len()) > Self::LONGEST {
            return;
        }
        let pair = (text.into(), made.into());
        match self.known.get_mut(self.next) {
            Some(known) => *known = pair,
            None => self.known.push(pair),
        }
        self.next = (self.next + 1) % Self::MOST;
    }
}

thread_local! {
    /// FieldsV1 as JSON, and as it is stored.
    static STORED: RefCell<Memo> = RefCell::default();
    /// The other way round.
    static EXPANDED: RefCell<Memo> = RefCell::default();
}

/// FieldsV1 that a caller sent, as it is stored; see [`store_fields`]. It is read where this text was not lately.
///
/// # Errors
/// What reading says.
pub(crate) fn stored<E>(text: &str, read: impl FnOnce() -> Result<Value, E>) -> Result<Value, E> {
    if let Some(known) = STORED.with_borrow(|memo| memo.find(text).map(Value::from)) {
        return Ok(known);
    }
    let stored = stored_form(&read()?);
    if let Value::String(made) = &stored {
        STORED.with_borrow_mut(|memo| memo.remember(text, made));
    }
    Ok(stored)
}

fn stored_form(fields: &Value) -> Value {
    match FieldSet::from_value(fields) {
        Ok(set) => write(&set).into(),
        Err(_) => Value::Bool(false),
    }
}

/// Puts into an object's managedFields the FieldsV1 that Kubernetes has there, where they are as they are stored.
pub fn expand_fields(object: &mut Value) {
    for fields in fields_of(object) {
        if let Value::String(stored) = fields {
            *fields = read(stored).to_value();
        }
    }
}

/// Brings the FieldsV1 in managedFields that a caller sent into the form in which they are stored; what is none
/// becomes `false`, which is never read as fields: of the short text that a set is stored as, callers do not know.
pub fn store_fields(object: &mut Value) {
    for fields in fields_of(object) {
        *fields = stored_form(fields);
    }
}

/// The fieldsV1 of an object's managedFields, but nulls.
fn fields_of(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    let entries =
        get_mut(object, "metadata").and_then(|metadata| get_mut(metadata, "managedFields"));
    let entries = entries.and_then(Value::as_array_mut).into_iter().flatten();
    entries.filter_map(|entry| get_mut(entry, "fieldsV1"))
}

/// What FieldsV1 has for each name that has a code: `"f:spec":`.
static FIELDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    // These names need no escapes.
    let names = NAMES.iter();
    names.map(|name| format!("\"f:{name}\":")).collect()
});

/// Adds to JSON the FieldsV1 of a set that was stored so: byte for byte what Kubernetes writes.
pub fn expand(text: &str, out: &mut Vec<u8>) {
    EXPANDED.with_borrow_mut(|memo| {
        if let Some(known) = memo.find(text) {
            out.extend_from_slice(known.as_bytes());
            return;
        }
        let mut made = String::new();
        expand_new(text, &mut made);
        out.extend_from_slice(made.as_bytes());
        memo.remember(text, &made);
    });
}

fn expand_new(text: &str, out: &mut String) {
    // A comma stands before what follows something.
    let mut comma = false;
    // A node is open until it is known whether something is below it.
    let mut pending = false;
    let mut depth = 0_usize;
    out.push('{');
    for token in Tokens(text) {
        if pending && !matches!(token, Token::Open { .. }) {
            out.push_str("{}");
            pending = false;
        }
        match token {
            Token::Open { member } if pending => {
                out.push_str(if member { "{\".\":{}" } else { "{" });
                (pending, comma, depth) = (false, member, depth + 1);
                continue;
            }
            Token::Close if depth > 0 => {
                out.push('}');
                (comma, depth) = (true, depth - 1);
                continue;
            }
            // Nothing was written so here.
            Token::Open { .. } | Token::Close => break,
            Token::Code(_) | Token::Named(_) | Token::Wire(_) => {}
        }
        if comma {
            out.push(',');
        }
        match token {
            Token::Code(code) => out.push_str(&FIELDS[code]),
            Token::Named(name) if is_plain(name) => {
                out.push_str("\"k:{\\\"name\\\":\\\"");
                out.push_str(name);
                out.push_str("\\\"}\":");
            }
            Token::Named(name) => {
                let wire = format!("k:{{\"name\":{}}}", Json(name));
                push(out, format_args!("{}:", Json(&wire)));
            }
            Token::Wire(wire) if is_plain(wire) => {
                out.push('"');
                out.push_str(wire);
                out.push_str("\":");
            }
            Token::Wire(wire) => push(out, format_args!("{}:", Json(wire))),
            Token::Open { .. } | Token::Close => {}
        }
        (pending, comma) = (true, true);
    }
    if pending {
        out.push_str("{}");
    }
    for _ in 0..=depth {
        out.push('}');
    }
}

/// Whether a text is in JSON as it is.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn names_have_codes_of_their_own() {
        let names: HashSet<_> = NAMES.iter().collect();
        assert_eq!(names.len(), NAMES.len(), "a name is there twice");
        assert!(NAMES.len() <= SHORT + (64 - SHORT) * 64);
        let plain = |name: &&&str| {
            serde_json::to_string(name).is_ok_and(|json| json.len() == name.len() + 2)
        };
        assert_eq!(
            NAMES.iter().find(|name| !plain(name)),
            None,
            "needs escapes"
        );
        // What is stored goes by the order: these codes are for ever.
        let codes = ["name", "conditions", "$ref", "workloadRef"].map(|name| CODES[name]);
        assert_eq!(codes, [0, 31, 32, 894]);
    }

    #[test]
    fn what_is_stored_is_read_and_expanded() {
        for (fields, stored) in [
            (json!({}), ""),
            (json!({"f:metadata": {"f:labels": {}}}), "H(I)"),
            (
                json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}),
                "H(I{'3:f:a})",
            ),
            (
                json!({"f:spec": {"f:containers": {"k:{\"name\":\"ä\\\"\"}": {".": {}, "f:image": {}}}, "f:x\"": {}}}),
                "J(K(=3:ä\"{L})'4:f:x\")",
            ),
            (
                json!({"f:spec": {"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {}}, "f:finalizers": {"v:\"a\"": {}}}}),
                "",
            ),
        ] {
            let set = FieldSet::from_value(&fields).unwrap();
            let text = write(&set);
            assert!(
                stored.is_empty() || text == stored,
                "{text} is not {stored}"
            );
            assert_eq!(read(&text), set, "{text}");
            for _ in 0..2 {
                let mut out = Vec::new();
                expand(&text, &mut out);
                assert_eq!(out, set.to_json().as_bytes(), "{text}");
            }
        }
    }

    #[test]
    fn what_was_not_written_here_does_no_harm() {
        let deep = "A(".repeat(100_000);
        for text in [
            "(", ")", "A)", "((((", "=9:x", "'1:x", "'x:", "_", "A{", "é", "=2:é", "=1:é", "A(B",
            &deep,
        ] {
            let mut out = Vec::new();
            expand(text, &mut out);
            assert!(out.starts_with(b"{") && out.ends_with(b"}"), "{out:?}");
            drop(read(text));
        }
    }
}
