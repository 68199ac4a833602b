//! Label selectors: `app=web,tier in (a, b),!canary`.

use std::fmt;

use crate::{
    error::{Error, FieldError},
    field::Path,
    names,
};

/// What a requirement asks of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `key=value`: the label is there and has the value.
    Equals,
    /// `key==value`, the same.
    DoubleEquals,
    /// `key!=value`: the label is absent or has another value.
    NotEquals,
    /// `key in (a,b)`: the label is there and has one of the values.
    In,
    /// `key notin (a,b)`: the label is absent or has none of the values.
    NotIn,
    /// `key`: the label is there.
    Exists,
    /// `!key`: the label is absent.
    DoesNotExist,
    /// `key>5`: the label is a whole number greater than that.
    GreaterThan,
    /// `key<5`: the label is a whole number less than that.
    LessThan,
}

/// One term of a selector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: Box<str>,
    operator: Operator,
    /// Sorted, without duplicates.
    values: Box<[Box<str>]>,
}

impl Requirement {
    /// A requirement of checked key and values. The error names the fault as apimachinery does.
    pub fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, String> {
        values.sort_unstable();
        values.dedup();
        let mut errors = Vec::new();
        check_key(&Path::new("key"), key, &mut errors);
        let path = Path::new("values");
        let shown: Vec<&str> = values.iter().map(String::as_str).collect();
        match operator {
            Operator::In | Operator::NotIn if values.is_empty() => {
                errors.push(FieldError::invalid(
                    &path,
                    shown.as_slice(),
                    "for 'in', 'notin' operators, values set can't be empty",
                ))
            }
            Operator::Equals | Operator::DoubleEquals | Operator::NotEquals
                if values.len() != 1 =>
            {
                errors.push(FieldError::invalid(
                    &path,
                    shown.as_slice(),
                    "exact-match compatibility requires one single value",
                ));
            }
            Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                errors.push(FieldError::invalid(
                    &path,
                    shown.as_slice(),
                    "values set must be empty for exists and does not exist",
                ));
            }
            Operator::GreaterThan | Operator::LessThan => {
                if values.len() != 1 {
                    errors.push(FieldError::invalid(
                        &path,
                        shown.as_slice(),
                        "for 'Gt', 'Lt' operators, exactly one value is required",
                    ));
                }
                for (i, value) in shown.iter().enumerate() {
                    if value.parse::<i64>().is_err() {
                        errors.push(FieldError::invalid(
                            &path.index(i),
                            *value,
                            "for 'Gt', 'Lt' operators, the value must be an integer",
                        ));
                    }
                }
            }
            _ => {}
        }
        for (i, value) in shown.iter().enumerate() {
            let faults = names::label_value(value);
            if !faults.is_empty() {
                let at = path.index(i);
                errors.push(FieldError::invalid(
                    &at.key(key),
                    *value,
                    &faults.join("; "),
                ));
            }
        }
        match errors.as_slice() {
            [] => Ok(Self {
                key: key.into(),
                operator,
                values: values.into_iter().map(String::into_boxed_str).collect(),
            }),
            [one] => Err(one.to_string()),
            many => {
                let lines: Vec<String> = many.iter().map(ToString::to_string).collect();
                Err(format!("[{}]", lines.join(", ")))
            }
        }
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is asked of it.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The values, sorted.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &str> {
        self.values.iter().map(AsRef::as_ref)
    }

    /// Whether the requirement holds when the label has this value (`None`: there is no such label).
    pub fn holds(&self, value: Option<&str>) -> bool {
        let one_of = |value: &str| self.values.iter().any(|v| **v == *value);
        let number = || -> Option<(i64, i64)> {
            Some((value?.parse().ok()?, self.values.first()?.parse().ok()?))
        };
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(one_of),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(one_of),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => number().is_some_and(|(label, bound)| label > bound),
            Operator::LessThan => number().is_some_and(|(label, bound)| label < bound),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let symbol = match self.operator {
            Operator::DoesNotExist => return write!(f, "!{}", self.key),
            Operator::Exists => return f.write_str(&self.key),
            Operator::In | Operator::NotIn => {
                let word = if self.operator == Operator::In {
                    "in"
                } else {
                    "notin"
                };
                return write!(f, "{} {word} ({})", self.key, self.values.join(","));
            }
            Operator::Equals => "=",
            Operator::DoubleEquals => "==",
            Operator::NotEquals => "!=",
            Operator::GreaterThan => ">",
            Operator::LessThan => "<",
        };
        write!(f, "{}{symbol}{}", self.key, self.values.join(","))
    }
}

/// A label selector: all of its requirements must hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    /// Sorted by key.
    requirements: Box<[Requirement]>,
}

impl LabelSelector {
    /// Reads a selector; an error is a BadRequest in apimachinery's words.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser {
            tokens: scan(text),
            at: 0,
        };
        parser.parse().map(Self::new).map_err(Error::bad_request)
    }

    /// A selector of these requirements.
    pub fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self {
            requirements: requirements.into_boxed_slice(),
        }
    }

    /// True when it matches everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The requirements, sorted by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether labels match; `label` looks one up by its key.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|r| r.holds(label(&r.key)))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, requirement) in self.requirements.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

fn check_key(path: &Path<'_>, key: &str, errors: &mut Vec<FieldError>) {
    let faults = names::qualified_name(key);
    if !faults.is_empty() {
        errors.push(FieldError::invalid(path, key, &faults.join("; ")));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Word,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
    /// Special characters that mean nothing.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
}

fn is_special(b: u8) -> bool {
    matches!(b, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// The tokens of a selector, the last of them [`Kind::End`]. A NUL ends it.
fn scan(text: &str) -> Vec<Token<'_>> {
    let text = text.split('\0').next().unwrap_or_default();
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        if is_space(bytes[at]) {
            at += 1;
        } else if is_special(bytes[at]) {
            let next = bytes.get(at + 1).copied();
            let (kind, length) = match (bytes[at], next) {
                (b'=', Some(b'=')) => (Kind::DoubleEquals, 2),
                (b'=', _) => (Kind::Equals, 1),
                (b'!', Some(b'=')) => (Kind::NotEquals, 2),
                (b'!', _) => (Kind::Not, 1),
                (b'(', _) => (Kind::Open, 1),
                (b')', _) => (Kind::Close, 1),
                (b',', _) => (Kind::Comma, 1),
                (b'>', _) => (Kind::Greater, 1),
                (b'<', _) => (Kind::Less, 1),
                _ => (Kind::Unknown, 1),
            };
            at += length;
            tokens.push(Token {
                kind,
                text: &text[start..at],
            });
        } else {
            while at < bytes.len() && !is_space(bytes[at]) && !is_special(bytes[at]) {
                at += 1;
            }
            let word = &text[start..at];
            let kind = match word {
                "in" => Kind::In,
                "notin" => Kind::NotIn,
                _ => Kind::Word,
            };
            tokens.push(Token { kind, text: word });
        }
    }
    tokens.push(Token {
        kind: Kind::End,
        text: "",
    });
    tokens
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Parser<'a> {
    /// The token ahead; `in` and `notin` are words here.
    fn peek(&self) -> Token<'a> {
        let last = self.tokens.len() - 1;
        let mut token = self.tokens[self.at.min(last)];
        if matches!(token.kind, Kind::In | Kind::NotIn) {
            token.kind = Kind::Word;
        }
        token
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn next_operator(&mut self) -> Token<'a> {
        let last = self.tokens.len() - 1;
        let token = self.tokens[self.at.min(last)];
        self.at += 1;
        token
    }

    fn parse(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Word | Kind::Not => {
                    let requirement = self
                        .requirement()
                        .map_err(|fault| format!("unable to parse requirement: {fault}"))?;
                    requirements.push(requirement);
                    let after = self.next();
                    match after.kind {
                        Kind::End => return Ok(requirements),
                        Kind::Comma => {
                            let ahead = self.peek();
                            if !matches!(ahead.kind, Kind::Word | Kind::Not) {
                                return Err(format!(
                                    "found '{}', expected: identifier after ','",
                                    ahead.text
                                ));
                            }
                        }
                        _ => {
                            return Err(format!(
                                "found '{}', expected: ',' or 'end of string'",
                                after.text
                            ));
                        }
                    }
                }
                Kind::End => return Ok(requirements),
                _ => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        token.text
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next();
        let negated = token.kind == Kind::Not;
        if negated {
            token = self.next();
        }
        if token.kind != Kind::Word {
            return Err(format!("found '{}', expected: identifier", token.text));
        }
        let key = token.text;
        let mut errors = Vec::new();
        check_key(&Path::new("<nil>"), key, &mut errors);
        if let Some(error) = errors.first() {
            return Err(error.to_string());
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let token = self.next_operator();
        let operator = match token.kind {
            Kind::In => Operator::In,
            Kind::NotIn => Operator::NotIn,
            Kind::Equals => Operator::Equals,
            Kind::DoubleEquals => Operator::DoubleEquals,
            Kind::NotEquals => Operator::NotEquals,
            Kind::Greater => Operator::GreaterThan,
            Kind::Less => Operator::LessThan,
            _ => {
                return Err(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    token.text
                ));
            }
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        Requirement::new(key, operator, values)
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Ok(String::new());
        }
        let token = self.next();
        if token.kind == Kind::Word {
            return Ok(token.text.to_owned());
        }
        Err(format!("found '{}', expected: identifier", token.text))
    }

    /// `(a,b)`; an empty place between commas is the empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open.kind != Kind::Open {
            return Err(format!("found '{}' expected: '('", open.text));
        }
        let first = self.peek();
        match first.kind {
            Kind::Word | Kind::Comma => {}
            Kind::Close => {
                self.next();
                return Ok(vec![String::new()]);
            }
            _ => {
                return Err(format!(
                    "found '{}', expected: ',', ')' or identifier",
                    first.text
                ));
            }
        }
        let mut values = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::Word => {
                    values.push(token.text.to_owned());
                    let ahead = self.peek();
                    match ahead.kind {
                        Kind::Comma => {}
                        Kind::Close => break,
                        _ => {
                            return Err(format!("found '{}', expected: ',' or ')'", ahead.text));
                        }
                    }
                }
                Kind::Comma => {
                    if values.is_empty() {
                        values.push(String::new());
                    }
                    match self.peek().kind {
                        Kind::Close => {
                            values.push(String::new());
                            break;
                        }
                        Kind::Comma => values.push(String::new()),
                        _ => {}
                    }
                }
                _ => {
                    return Err(format!(
                        "found '{}', expected: ',', or identifier",
                        token.text
                    ));
                }
            }
        }
        self.next();
        Ok(values)
    }
}
