//! The JSONPath of printer columns: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`.
//!
//! It is that of kubectl without its templates: fields with escaped dots, `['key']`, `[2]`, `[-1]`,
//! `[1:4:2]`, `[*]`, `.*`, unions `[0,2]` and `['a','b']`, descent `..`, filters `[?(@.a==1)]` and
//! `[?(@.a)]`. There are no braces and no `range`.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::Value;

/// A path that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Every,
    Descend,
    Slice(Slice),
    Union(Vec<Vec<Step>>),
    Filter {
        left: Vec<Step>,
        /// Nothing to compare with: the left must be there.
        right: Option<(String, Vec<Step>)>,
    },
    /// This, for each value that there is.
    Literal(Value),
    /// This, once, whatever there is.
    Text(String),
    /// A word that means nothing here: whatever is looked for is not found.
    Word,
}

/// Which items of a list, as Python has it, but nothing out of bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slice {
    start: Option<i64>,
    end: Option<i64>,
    step: Option<i64>,
    /// One index: the end is made of the start.
    single: bool,
}

/// Paths are short; filters and unions nest paths in paths.
const LONGEST: usize = 4096;
const DEEPEST: usize = 8;
/// How many values a search may come across.
const BUDGET: usize = 1 << 17;

/// Why a search found nothing it could go on with.
struct Stuck;

type Found<'a> = Vec<Cow<'a, Value>>;

impl JsonPath {
    /// Reads a path as a column has it, without braces; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let steps = parse(text, 0)?;
        Some(Self { steps })
    }

    /// A path of plain fields.
    pub(super) fn of_fields(names: &[&str]) -> Self {
        let field = |&name: &&str| Step::Field(name.to_owned());
        let steps = names.iter().map(field).collect();
        Self { steps }
    }

    /// The first value the path leads to, if there is any and the path fits the object.
    pub fn first<'a>(&self, object: &'a Value) -> Option<Cow<'a, Value>> {
        let mut budget = BUDGET;
        let found = walk(&self.steps, vec![Cow::Borrowed(object)], &mut budget);
        found.ok()?.into_iter().next()
    }
}

fn parse(text: &str, depth: usize) -> Option<Vec<Step>> {
    if depth > DEEPEST {
        return None;
    }
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(filter) = rest.strip_prefix("[?(") {
            let (inside, after) = split_filter(filter)?;
            steps.push(parse_filter(inside, depth)?);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("..") {
            if steps.last() == Some(&Step::Descend) {
                return None;
            }
            steps.push(Step::Descend);
            rest = after;
            if after.starts_with(|c: char| c == '_' || c.is_alphanumeric()) {
                let (step, after) = parse_field(after)?;
                steps.push(step);
                rest = after;
            }
        } else if matches!(c, ' ' | '@' | '$') {
            rest = &rest[1..];
        } else if c == '.' {
            let (step, after) = parse_field(&rest[1..])?;
            steps.push(step);
            rest = after;
        } else if c == '[' {
            let (inside, after) = rest[1..].split_once(']')?;
            if inside.contains('\n') {
                return None;
            }
            parse_brackets(inside, depth, &mut steps)?;
            rest = after;
        } else if matches!(c, '"' | '\'') {
            let (literal, after) = parse_quoted(rest, c)?;
            steps.push(Step::Text(literal));
            rest = after;
        } else {
            let end = rest.find(ends_word).unwrap_or(rest.len());
            let number = matches!(c, '+' | '-' | '0'..='9');
            // A number goes on over its dot.
            let end = match number {
                true => rest[1..]
                    .find(|c: char| c != '.' && !c.is_ascii_digit())
                    .map_or(rest.len(), |end| end + 1),
                false => end,
            };
            steps.push(parse_word(&rest[..end], number)?);
            rest = &rest[end..];
        }
    }
    Some(steps)
}

fn ends_word(c: char) -> bool {
    " \t\r\n.,[]$@{}".contains(c)
}

fn parse_word(word: &str, number: bool) -> Option<Step> {
    if number {
        let value = match word.parse::<i64>() {
            Ok(whole) => whole.into(),
            Err(_) => word.parse::<f64>().ok()?.into(),
        };
        return Some(Step::Literal(value));
    }
    let starts = |c: char| c == '_' || c.is_alphanumeric();
    match word {
        "true" => Some(Step::Literal(true.into())),
        "false" => Some(Step::Literal(false.into())),
        word => word.starts_with(starts).then_some(Step::Word),
    }
}

/// A field's name, up to what ends it; a backslash takes the next sign as it is.
fn parse_field(text: &str) -> Option<(Step, &str)> {
    let mut name = String::new();
    let mut signs = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = signs.next() {
        if c == '\\' {
            name.push(signs.next()?.1);
        } else if ends_word(c) {
            end = at;
            break;
        } else {
            name.push(c);
        }
    }
    let step = match &text[..end] {
        "*" => Step::Every,
        _ => Step::Field(name),
    };
    Some((step, &text[end..]))
}

/// What is inside of `[?(` and `)]`; a parenthesis in quotes does not count.
fn split_filter(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut closed = false;
    let mut before = '\0';
    for (at, c) in text.char_indices() {
        match c {
            '\n' => return None,
            '"' | '\'' if quote.is_none() => quote = Some(c),
            '"' | '\'' if quote == Some(c) && before != '\\' => closed = true,
            ')' if quote.is_some() == closed => {
                return Some((&text[..at], text[at + 1..].strip_prefix(']')?));
            }
            _ => {}
        }
        before = c;
    }
    None
}

fn parse_filter(text: &str, depth: usize) -> Option<Step> {
    let is_sign = |c: char| "!<>=".contains(c);
    let start = text.find(is_sign).unwrap_or_default();
    let end = text[start..]
        .find(|c| !is_sign(c))
        .map_or(text.len(), |length| start + length);
    // Something stands on the right, if need be the last of the signs.
    let end = if end == text.len() {
        end.saturating_sub(1)
    } else {
        end
    };
    if start == 0 || end <= start {
        let left = parse(text, depth + 1)?;
        return Some(Step::Filter { left, right: None });
    }
    let left = parse(&text[..start], depth + 1)?;
    let right = parse(&text[end..], depth + 1)?;
    let right = Some((text[start..end].to_owned(), right));
    Some(Step::Filter { left, right })
}

fn parse_brackets(inside: &str, depth: usize, steps: &mut Vec<Step>) -> Option<()> {
    if inside.contains(',') {
        let each = inside.split(',').map(|one| {
            let mut steps = Vec::new();
            parse_brackets(one.trim_matches(' '), depth + 1, &mut steps)?;
            Some(steps)
        });
        steps.push(Step::Union(each.collect::<Option<_>>()?));
        return Some(());
    }
    let quoted = inside
        .strip_prefix('\'')
        .and_then(|inside| inside.strip_suffix('\''))
        .filter(|key| !key.contains('\''));
    if let Some(key) = quoted {
        steps.append(&mut parse(&format!(".{key}"), depth + 1)?);
        return Some(());
    }
    let text = if inside == "*" { ":" } else { inside };
    let mut parts = text.split(':');
    let mut bound = || match parts.next() {
        None | Some("") => Some(None),
        Some(number) if number.starts_with('+') => None,
        Some(number) => number.parse::<i64>().ok().map(Some),
    };
    let slice = Slice {
        start: bound()?,
        end: bound()?,
        step: bound()?,
        single: !text.contains(':'),
    };
    if parts.next().is_some() {
        return None;
    }
    steps.push(Step::Slice(slice));
    Some(())
}

fn parse_quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut signs = text.char_indices().skip(1);
    while let Some((at, c)) = signs.next() {
        match c {
            '\n' => return None,
            '\\' => out.push(match signs.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                c @ ('\\' | '"' | '\'') => c,
                _ => return None,
            }),
            c if c == quote => return Some((out, &text[at + 1..])),
            c => out.push(c),
        }
    }
    None
}

fn walk<'a>(steps: &[Step], from: Found<'a>, budget: &mut usize) -> Result<Found<'a>, Stuck> {
    let mut at = from;
    for step in steps {
        let mut next = Vec::new();
        match step {
            Step::Word => return Err(Stuck),
            Step::Text(text) => next.push(Cow::Owned(text.as_str().into())),
            Step::Union(paths) => {
                for path in paths {
                    next.append(&mut walk(path, at.clone(), budget)?);
                }
            }
            step => {
                for value in at {
                    advance(step, value, &mut next, budget)?;
                }
            }
        }
        *budget = budget.checked_sub(next.len() + 1).ok_or(Stuck)?;
        at = next;
    }
    Ok(at)
}

fn advance<'a>(
    step: &Step,
    value: Cow<'a, Value>,
    next: &mut Found<'a>,
    budget: &mut usize,
) -> Result<(), Stuck> {
    if let Step::Literal(literal) = step {
        next.push(Cow::Owned(literal.clone()));
        return Ok(());
    }
    // Literals have nothing inside.
    let Cow::Borrowed(value) = value else {
        return match step {
            Step::Slice(_) | Step::Filter { .. } => Err(Stuck),
            _ => Ok(()),
        };
    };
    match step {
        Step::Field(name) => next.extend(value.get(name).map(Cow::Borrowed)),
        Step::Every => next.extend(inside(value).map(Cow::Borrowed)),
        Step::Descend => {
            let mut todo = vec![value];
            while let Some(value) = todo.pop() {
                *budget = budget.checked_sub(1).ok_or(Stuck)?;
                let start = todo.len();
                todo.extend(inside(value));
                if todo.len() > start {
                    todo[start..].reverse();
                    next.push(Cow::Borrowed(value));
                }
            }
        }
        Step::Slice(slice) if !value.is_null() => {
            let items = value.as_array().ok_or(Stuck)?;
            next.extend(slice.of(items)?.map(Cow::Borrowed));
        }
        Step::Filter { left, right } => {
            for item in value.as_array().ok_or(Stuck)? {
                if passes(item, left, right.as_ref(), budget)? {
                    next.push(Cow::Borrowed(item));
                }
            }
        }
        Step::Slice(_) | Step::Union(_) | Step::Literal(_) | Step::Text(_) | Step::Word => {}
    }
    Ok(())
}

fn inside(value: &Value) -> impl Iterator<Item = &Value> {
    let items = value.as_array().into_iter().flatten();
    let fields = value
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.values());
    items.chain(fields)
}

fn passes(
    item: &Value,
    left: &[Step],
    right: Option<&(String, Vec<Step>)>,
    budget: &mut usize,
) -> Result<bool, Stuck> {
    let lefts = walk(left, vec![Cow::Borrowed(item)], budget);
    let Some((operator, right)) = right else {
        return Ok(lefts.is_ok_and(|lefts| !lefts.is_empty()));
    };
    let rights = walk(right, vec![Cow::Borrowed(item)], budget);
    let (left, right) = match (lefts?.as_slice(), rights?.as_slice()) {
        ([left], [right]) => (left.clone().into_owned(), right.clone().into_owned()),
        ([], _) | (_, []) => return Ok(false),
        _ => return Err(Stuck),
    };
    let order = match (&left, &right) {
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) if matches!(operator.as_str(), "==" | "!=") => {
            left.cmp(right)
        }
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left.cmp(&right),
            (None, None) => left
                .as_f64()
                .zip(right.as_f64())
                .and_then(|(left, right)| left.partial_cmp(&right))
                .ok_or(Stuck)?,
            _ => return Err(Stuck),
        },
        _ => return Err(Stuck),
    };
    match operator.as_str() {
        "==" => Ok(order == Ordering::Equal),
        "!=" => Ok(order != Ordering::Equal),
        "<" => Ok(order == Ordering::Less),
        "<=" => Ok(order != Ordering::Greater),
        ">" => Ok(order == Ordering::Greater),
        ">=" => Ok(order != Ordering::Less),
        _ => Err(Stuck),
    }
}

impl Slice {
    fn of<'a>(&self, items: &'a [Value]) -> Result<impl Iterator<Item = &'a Value>, Stuck> {
        let length = i64::try_from(items.len()).map_err(|_| Stuck)?;
        let from_end = |index: i64| match index {
            ..0 => index.saturating_add(length),
            index => index,
        };
        let start = self.start.unwrap_or_default();
        let end = match self.end {
            _ if self.single => from_end(start).saturating_add(1),
            Some(end) => from_end(end),
            None => length,
        };
        let start = from_end(start);
        let step = match self.step {
            None => 1,
            Some(step) => usize::try_from(step)
                .ok()
                .filter(|&step| step > 0)
                .ok_or(Stuck)?,
        };
        let chosen = if start == end {
            &[]
        } else {
            let start = usize::try_from(start).map_err(|_| Stuck)?;
            let end = usize::try_from(end).map_err(|_| Stuck)?;
            items
                .get(start..end)
                .filter(|chosen| !chosen.is_empty())
                .ok_or(Stuck)?
        };
        Ok(chosen.iter().step_by(step))
    }
}
