//! From JSON to the wire, in one pass, whether the JSON is a tree or text.
//!
//! JSON has the fields in the order of their names, the wire in that of their numbers, and behind the length of it all.
//! So a message's fields are written as they come, and when it ends, put into order.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};

use super::{
    item::Item,
    table::{Field, Message, Shape, Slot},
    wire,
};

/// Writes objects; kept for many, it reuses its memory.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) out: Vec<u8>,
    /// Where a message is put into order.
    pub(super) ordered: Vec<u8>,
    /// The fields of the messages that are being written.
    fields: Vec<Span<Slot>>,
    /// The entries of the maps that are being written.
    entries: Vec<Span<(usize, usize)>>,
}

/// A piece of what is written, and by what it is put into order: a field's slot, or where the key of an entry is.
#[derive(Clone, Copy, Debug)]
struct Span<By> {
    by: By,
    from: usize,
    to: usize,
}

impl Encoder {
    /// An encoder that adds to what there is already.
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self {
            out,
            ordered: Vec::new(),
            fields: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Writes an object's message: bare, or as a field. Of what cannot be written, nothing is.
    pub(super) fn object<'de, D: Deserializer<'de>>(
        &mut self,
        message: &'static Message,
        tag: Option<u32>,
        object: D,
    ) -> Result<(), D::Error> {
        let start = self.out.len();
        if let Some(tag) = tag {
            wire::put_varint(&mut self.out, tag.into());
        }
        let body = Body {
            to: self,
            message,
            is_field: tag.is_some(),
        };
        let written = object.deserialize_map(body);
        if written.is_err() {
            self.out.truncate(start);
            self.fields.clear();
            self.entries.clear();
        }
        written
    }

    /// Ends a message: puts its fields into order, those that are always written among them, behind their length.
    fn close(&mut self, message: &Message, start: usize, first: usize, is_field: bool) {
        let spans = &mut self.fields[first..];
        if !spans.is_sorted_by_key(|span| span.by) {
            spans.sort_by_key(|span| span.by);
        }
        self.ordered.clear();
        gather(&self.out, &mut self.ordered, message, spans, 0);
        self.fields.truncate(first);
        self.out.truncate(start);
        if is_field {
            wire::put_bytes(&mut self.out, &self.ordered);
        } else {
            self.out.extend_from_slice(&self.ordered);
        }
    }

    /// Ends a map: puts its entries into the order of their keys, each behind the field's tag and its length.
    fn close_map(&mut self, tag: u32, start: usize, first: usize) {
        let out = &self.out;
        let key = |span: &Span<(usize, usize)>| &out[span.by.0..span.by.1];
        let entries = &mut self.entries[first..];
        if !entries.is_sorted_by_key(key) {
            entries.sort_by(|a, b| key(a).cmp(key(b)));
        }
        self.ordered.clear();
        for (at, entry) in entries.iter().enumerate() {
            // Of entries of one key the last counts.
            if entries
                .get(at + 1)
                .is_some_and(|next| key(next) == key(entry))
            {
                continue;
            }
            wire::put_varint(&mut self.ordered, tag.into());
            wire::put_bytes(&mut self.ordered, &self.out[entry.from..entry.to]);
        }
        self.entries.truncate(first);
        self.out.truncate(start);
        self.out.extend_from_slice(&self.ordered);
    }
}

/// Puts a message's fields into order: the last of a field's spans if it came more than once, its zero if it did not
/// come, and so with the fields of those that are inline, which are the slots' next level.
fn gather(
    out: &[u8],
    ordered: &mut Vec<u8>,
    message: &Message,
    spans: &[Span<Slot>],
    level: usize,
) {
    let mut spans = spans;
    for (at, field) in (1_u8..).zip(&message.fields) {
        let own = spans.iter().take_while(|span| span.by[level] == at);
        let (own, others) = spans.split_at(own.count());
        spans = others;
        match (own.last(), field.shape, field.base.message()) {
            (None, _, _) => ordered.extend_from_slice(&field.zero),
            (Some(_), Shape::Inline, Some(inner)) => {
                wire::put_varint(ordered, field.tag().into());
                let start = ordered.len();
                gather(out, ordered, inner, own, level + 1);
                put_length(ordered, start);
            }
            (Some(last), _, _) => ordered.extend_from_slice(&out[last.from..last.to]),
        }
    }
}

/// A message.
pub(super) struct Body<'w> {
    pub(super) to: &'w mut Encoder,
    pub(super) message: &'static Message,
    /// It comes behind its length.
    pub(super) is_field: bool,
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<(), A::Error> {
        let Self {
            to,
            message,
            is_field,
        } = self;
        let (start, first) = (to.out.len(), to.fields.len());
        while let Some(slot) = source.next_key_seed(Name(message))? {
            let Some(by) = slot else {
                source.next_value::<IgnoredAny>()?;
                continue;
            };
            let from = to.out.len();
            let field = message.field(by);
            source.next_value_seed(Content { to, field })?;
            let to_end = to.out.len();
            if to_end > from {
                to.fields.push(Span {
                    by,
                    from,
                    to: to_end,
                });
            }
        }
        to.close(message, start, first, is_field);
        Ok(())
    }
}

/// The name of a field.
struct Name(&'static Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<Slot>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Option<Slot>, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<Slot>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<Slot>, E> {
        Ok(self.0.slot(name))
    }
}

/// What a field has: one value, or as many as there are in a list or a map. Null writes nothing.
struct Content<'w> {
    to: &'w mut Encoder,
    field: &'static Field,
}

impl Content<'_> {
    fn tag(&mut self) {
        wire::put_varint(&mut self.to.out, self.field.tag().into());
    }

    fn item(&mut self) -> Item<'_> {
        Item {
            to: self.to,
            base: self.field.base,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, source: D) -> Result<(), D::Error> {
        if matches!(self.field.shape, Shape::List | Shape::Map) {
            return source.deserialize_any(self);
        }
        let start = self.to.out.len();
        self.tag();
        if !self.item().deserialize(source)? {
            self.to.out.truncate(start);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.field.shape {
            Shape::Map => "a map",
            _ => "a list",
        })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut source: A) -> Result<(), A::Error> {
        if self.field.shape != Shape::List {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        loop {
            let start = self.to.out.len();
            self.tag();
            match source.next_element_seed(self.item())? {
                Some(true) => {}
                Some(false) => self.item().put_zero(),
                None => {
                    self.to.out.truncate(start);
                    return Ok(());
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut source: A) -> Result<(), A::Error> {
        if self.field.shape != Shape::Map {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        }
        let (start, first) = (self.to.out.len(), self.to.entries.len());
        loop {
            let from = self.to.out.len();
            let Some(key) = source.next_key_seed(Key(self.to))? else {
                break;
            };
            let by = (key, self.to.out.len());
            let wire_type = if self.field.base.is_varint() {
                wire::VARINT
            } else {
                wire::BYTES
            };
            self.to.out.push(2 << 3 | wire_type);
            if !source.next_value_seed(self.item())? {
                self.item().put_zero();
            }
            let to = self.to.out.len();
            self.to.entries.push(Span { by, from, to });
        }
        self.to.close_map(self.field.tag(), start, first);
        Ok(())
    }
}

/// The key of an entry, as its field 1. Tells where the text begins.
struct Key<'w>(&'w mut Encoder);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<usize, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<usize, E> {
        let out = &mut self.0.out;
        wire::put_field(out, 1, key.as_bytes());
        Ok(out.len() - key.len())
    }
}

/// Puts the length of what begins here and ends with the bytes before it.
pub(super) fn put_length(bytes: &mut Vec<u8>, start: usize) {
    let end = bytes.len();
    wire::put_varint(bytes, wire::length(end - start));
    let length = bytes.len() - end;
    bytes[start..].rotate_right(length);
}
