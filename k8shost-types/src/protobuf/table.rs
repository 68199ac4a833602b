//! The table of messages: reads it, and finds the message of a kind. How it is laid out stands at its head.

use std::{collections::HashMap, sync::OnceLock};

use serde_json::{Map, Value};

use super::wire;

/// How every message of the built-in kinds is written.
pub(super) fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        parse(include_str!("kubernetes.txt"))
            .expect("the table of messages is part of the program, and a test reads it")
    })
}

#[derive(Debug)]
pub(super) struct Table {
    messages: Vec<Message>,
    /// Kind, group version and message, sorted; the group version is "any" of the kinds that all have.
    kinds: Vec<(&'static str, &'static str, usize)>,
}

#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) name: &'static str,
    /// In the order of their numbers, in which they are written.
    pub(super) fields: Vec<Field>,
    /// All names in JSON, and where their fields are.
    names: Vec<(&'static str, Slot)>,
    /// The names by their hash: their places, counted from 1, each at its hash or behind it, and as many zeros at least.
    hashed: Vec<u16>,
    /// The message when nothing is set: on the wire, in JSON, and how many values that JSON has.
    pub(super) zero: Vec<u8>,
    pub(super) object: Map<String, Value>,
    pub(super) values: usize,
}

/// Where in a message a field is: its place among the fields, counted from 1, and if the field there is inline, its
/// place in that one, and so on; then zeros. Slots are in the order of the wire.
pub(super) type Slot = [u8; 3];

#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    /// It may be absent; a zero is a value like another.
    optional: bool,
    /// It stands in JSON even if it is zero.
    pub(super) shown: bool,
    pub(super) shape: Shape,
    pub(super) base: Base,
    /// The field, tag and all, when it is not set: empty unless it is always written.
    pub(super) zero: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    /// A message whose fields stand in JSON among those of the message that has it.
    Inline,
    List,
    /// Of strings to values.
    Map,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    String,
    Int32,
    Int64,
    Bool,
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// Any JSON.
    Raw,
    /// A list of strings in a message of its own.
    Strings,
    Message(usize),
}

impl Base {
    pub(super) fn message(self) -> Option<&'static Message> {
        match self {
            Self::Message(at) => Some(&table().messages[at]),
            _ => None,
        }
    }

    /// Whether a whole number, not a run of bytes, is on the wire.
    pub(super) fn is_varint(self) -> bool {
        matches!(self, Self::Int32 | Self::Int64 | Self::Bool)
    }

    /// What is on the wire for what is not set; of messages, their content.
    pub(super) fn zero(self) -> &'static [u8] {
        self.zero_among(&table().messages)
    }

    fn zero_among(self, messages: &[Message]) -> &[u8] {
        match self {
            Self::Quantity => b"\x0a\x010",
            Self::IntOrString => b"\x08\0\x10\0\x1a\0",
            Self::Message(at) => &messages[at].zero,
            _ => b"",
        }
    }

    /// What stands in JSON for what is not set, or null if nothing does.
    fn value_among(self, messages: &[Message]) -> Value {
        match self {
            Self::String => "".into(),
            Self::Int32 | Self::Int64 | Self::IntOrString => 0.into(),
            Self::Bool => false.into(),
            Self::Quantity => "0".into(),
            Self::Message(at) => Value::Object(messages[at].object.clone()),
            Self::Bytes | Self::Time | Self::MicroTime | Self::Raw | Self::Strings => Value::Null,
        }
    }
}

impl Field {
    pub(super) fn tag(&self) -> u32 {
        let wire_type = if self.base.is_varint() {
            wire::VARINT
        } else {
            wire::BYTES
        };
        wire::tag(self.number, wire_type)
    }

    /// The name in Go, nearly: metadata is named after its type there.
    pub(super) fn go_name(&self) -> &'static str {
        match (self.name, self.base.message()) {
            ("metadata", Some(message)) => message.name,
            (name, _) => name,
        }
    }

    /// Whether JSON leaves a zero out.
    pub(super) fn omits_zero(&self) -> bool {
        !self.optional && !self.shown
    }

    fn always(&self) -> bool {
        match (self.shape, self.base) {
            (Shape::Inline, _) => true,
            (Shape::One, Base::Bytes | Base::Strings) => false,
            (Shape::One, _) => !self.optional,
            _ => false,
        }
    }
}

impl Message {
    /// Fills in what follows from the fields; messages that are always there are complete.
    fn complete(&mut self, messages: &[Message]) {
        for (at, field) in (1..).zip(&mut self.fields) {
            if field.shape != Shape::Inline {
                self.names.push((field.name, [at, 0, 0]));
            }
            if !field.always() {
                continue;
            }
            let tag = field.tag();
            wire::put_varint(&mut field.zero, tag.into());
            if field.base.is_varint() {
                field.zero.push(0);
            } else {
                wire::put_bytes(&mut field.zero, field.base.zero_among(messages));
            }
            self.zero.extend_from_slice(&field.zero);
            match (field.shape, field.base) {
                (Shape::Inline, Base::Message(inner)) => {
                    let inner = &messages[inner];
                    self.object.extend(inner.object.clone());
                    self.values += inner.values;
                    let names = inner.names.iter();
                    self.names.extend(
                        names.map(|&(name, [first, second, _])| (name, [at, first, second])),
                    );
                }
                (_, base) => {
                    let value = base.value_among(messages);
                    if field.shown && !value.is_null() {
                        self.object.insert(field.name.to_owned(), value);
                        self.values += 1;
                        if let Base::Message(inner) = base {
                            self.values += messages[inner].values;
                        }
                    }
                }
            }
        }
        self.hashed = vec![0; (2 * self.names.len() + 1).next_power_of_two()];
        for (place, (name, _)) in (1..).zip(&self.names) {
            let mut at = self.home(name);
            while self.hashed[at] != 0 {
                at = (at + 1) & (self.hashed.len() - 1);
            }
            self.hashed[at] = place;
        }
    }

    /// Where a name is looked for first: by its length and its first and last eight bytes, or four, or all three.
    fn home(&self, name: &str) -> usize {
        let bytes = name.as_bytes();
        let word = if let (Some(&first), Some(&last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            u64::from_le_bytes(first) ^ u64::from_le_bytes(last).rotate_left(32)
        } else if let (Some(&first), Some(&last)) = (bytes.first_chunk(), bytes.last_chunk()) {
            u64::from(u32::from_le_bytes(first)) << 32 | u64::from(u32::from_le_bytes(last))
        } else {
            let bytes = bytes.iter().map(|&byte| u64::from(byte));
            bytes.fold(0, |word, byte| word << 8 | byte)
        };
        let mixed = (word ^ wire::length(bytes.len())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize & (self.hashed.len() - 1)
    }

    /// The field of a name in JSON.
    pub(super) fn slot(&self, name: &str) -> Option<Slot> {
        let mut at = self.home(name);
        loop {
            let place = usize::from(self.hashed[at]).checked_sub(1)?;
            let (field, slot) = self.names[place];
            if field == name {
                return Some(slot);
            }
            at = (at + 1) & (self.hashed.len() - 1);
        }
    }

    /// The field of a slot.
    pub(super) fn field(&self, [at, inner @ ..]: Slot) -> &Field {
        let field = &self.fields[usize::from(at) - 1];
        match (field.shape, field.base.message()) {
            (Shape::Inline, Some(message)) => message.field([inner[0], inner[1], 0]),
            _ => field,
        }
    }

    /// The field of a number.
    pub(super) fn numbered(&self, number: u32) -> Option<&Field> {
        let at = self
            .fields
            .binary_search_by_key(&number, |field| field.number)
            .ok()?;
        Some(&self.fields[at])
    }
}

impl Table {
    /// The message of a kind: `("apps/v1", "Deployment")`.
    pub(super) fn of(&self, group_version: &str, kind: &str) -> Option<&Message> {
        let find = |group_version: &str| {
            let wanted = (kind, group_version);
            self.kinds
                .binary_search_by(|&(kind, group_version, _)| (kind, group_version).cmp(&wanted))
                .ok()
        };
        let at = find(group_version).or_else(|| find("any"))?;
        Some(&self.messages[self.kinds[at].2])
    }

    /// All kinds: kind, group version and message.
    #[cfg(test)]
    pub(super) fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static str, &Message)> {
        self.kinds
            .iter()
            .map(|&(kind, group_version, at)| (kind, group_version, &self.messages[at]))
    }

    #[cfg(test)]
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }
}

/// Reads the table; the line that cannot be read if it fails.
fn parse(text: &'static str) -> Result<Table, &'static str> {
    let mut package = "";
    let mut kinds = Vec::new();
    let mut at = HashMap::new();
    for line in lines(text) {
        if let Some(name) = line.strip_prefix('@') {
            package = name;
        } else if !line.starts_with('\t') {
            let (name, group_version) = line.split_once('\t').unwrap_or((line, ""));
            if !group_version.is_empty() {
                kinds.push((name, group_version, at.len()));
            }
            at.insert(format!("{package}.{name}"), at.len());
        }
    }
    kinds.sort_unstable();
    let mut messages: Vec<Message> = Vec::with_capacity(at.len());
    for line in lines(text) {
        if let Some(name) = line.strip_prefix('@') {
            package = name;
        } else if let Some(line) = line.strip_prefix('\t') {
            let message = messages.last_mut().ok_or(line)?;
            message.fields.push(field(line, package, &at).ok_or(line)?);
        } else {
            messages.push(Message {
                name: line.split('\t').next().unwrap_or(line),
                ..Message::default()
            });
        }
    }
    // What is unset is made of what is unset in it: each message after those that it always has.
    let mut done = vec![false; messages.len()];
    for at in 0..messages.len() {
        finish(&mut messages, &mut done, at);
    }
    Ok(Table { messages, kinds })
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

fn field(line: &'static str, package: &str, at: &HashMap<String, usize>) -> Option<Field> {
    let mut words = line.split('\t');
    let number = words.next()?.parse().ok()?;
    let said = words.next()?;
    let kind = words.next()?;
    let name = said.trim_end_matches(['?', '!']);
    let (shape, base) = if let Some(item) = kind.strip_prefix("[] ") {
        (Shape::List, item)
    } else if let Some(value) = kind.strip_prefix("{} ") {
        (Shape::Map, value)
    } else if name == "." {
        (Shape::Inline, kind)
    } else {
        (Shape::One, kind)
    };
    let base = match base {
        "string" => Base::String,
        "int32" => Base::Int32,
        "int64" => Base::Int64,
        "bool" => Base::Bool,
        "bytes" => Base::Bytes,
        "time" => Base::Time,
        "micro-time" => Base::MicroTime,
        "quantity" => Base::Quantity,
        "int-or-string" => Base::IntOrString,
        "raw" => Base::Raw,
        "strings" => Base::Strings,
        other => {
            let name = other.strip_prefix('*')?;
            let name = match name.contains('.') {
                true => name.to_owned(),
                false => format!("{package}.{name}"),
            };
            Base::Message(*at.get(&name)?)
        }
    };
    Some(Field {
        number,
        name,
        optional: said.ends_with('?'),
        // Go leaves no struct out.
        shown: said.ends_with('!')
            || matches!(
                base,
                Base::Message(_) | Base::Quantity | Base::IntOrString | Base::Raw
            ),
        shape,
        base,
        zero: Vec::new(),
    })
}

fn finish(messages: &mut [Message], done: &mut [bool], at: usize) {
    if std::mem::replace(&mut done[at], true) {
        return;
    }
    let always = messages[at].fields.iter().filter(|field| field.always());
    let inner: Vec<usize> = always
        .filter_map(|field| match field.base {
            Base::Message(inner) => Some(inner),
            _ => None,
        })
        .collect();
    for inner in inner {
        finish(messages, done, inner);
    }
    let mut message = std::mem::take(&mut messages[at]);
    message.complete(messages);
    messages[at] = message;
}
