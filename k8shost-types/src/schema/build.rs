//! The parts of a table of schemas, and how one is put together: names are interned, equal nodes are one.

use std::{collections::HashMap, ops::Range};

use regex::Regex;
use serde_json::Value;

use super::{Kind, ListType, MapType, PatchStrategy, Schemas, pattern};

/// A schema that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct SchemaError {
    /// The schema, field or line.
    pub at: String,
    /// What is wrong there.
    pub message: String,
}

/// No node, no value.
pub(super) const NONE: u32 = u32::MAX;

/// More nodes than any table has need of.
const MOST_NODES: usize = 1 << 18;

/// A piece of the table's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Text {
    pub(super) at: u32,
    pub(super) len: u32,
}

/// A piece of one of the table's lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Span {
    at: u32,
    len: u32,
}

impl Span {
    pub(super) fn range(self) -> Range<usize> {
        self.at as usize..(self.at + self.len) as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.len == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    Is(Kind),
    /// Another node of the table, which is no reference.
    Ref,
    /// A node of the built-in table, which is no reference.
    Builtin,
}

/// A field and its type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// What tells most names apart, before they are looked at.
    pub(super) head: u64,
    pub(super) name: Text,
    pub(super) node: u32,
}

/// The first bytes of a name, as a number of the same order.
pub(super) fn head(name: &str) -> u64 {
    let mut head = [0; 8];
    let len = name.len().min(head.len());
    head[..len].copy_from_slice(&name.as_bytes()[..len]);
    u64::from_be_bytes(head)
}

/// A schema, or what is said of one where it is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) shape: Shape,
    pub(super) list: Option<ListType>,
    pub(super) map: Option<MapType>,
    pub(super) patch: Option<PatchStrategy>,
    pub(super) preserve: bool,
    pub(super) nullable: bool,
    pub(super) embedded: bool,
    /// The type of items or values, or what is referred to.
    pub(super) target: u32,
    pub(super) fields: Span,
    pub(super) required: Span,
    pub(super) keys: Span,
    pub(super) enums: Span,
    pub(super) name: Text,
    pub(super) format: Text,
    pub(super) merge_key: Text,
    pub(super) default: u32,
    pub(super) unions: u32,
    /// What values have to be besides of the type, as OpenAPI writes it.
    pub(super) limits: u32,
    pub(super) pattern: u32,
}

impl Node {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            list: None,
            map: None,
            patch: None,
            preserve: false,
            nullable: false,
            embedded: false,
            target: NONE,
            fields: Span::default(),
            required: Span::default(),
            keys: Span::default(),
            enums: Span::default(),
            name: Text::default(),
            format: Text::default(),
            merge_key: Text::default(),
            default: NONE,
            unions: NONE,
            limits: NONE,
            pattern: NONE,
        }
    }
}

/// A table in the making. The nodes of the named schemas come first, in the order in which they were named.
#[derive(Default)]
pub(super) struct Builder {
    text: String,
    texts: HashMap<String, Text>,
    nodes: Vec<Node>,
    /// Unnamed nodes, to make none twice.
    made: HashMap<Node, u32>,
    fields: Vec<Field>,
    words: Vec<Text>,
    lists: HashMap<Vec<Text>, Span>,
    values: Vec<Value>,
    value_of: HashMap<String, u32>,
    patterns: Vec<Regex>,
    pattern_of: HashMap<String, u32>,
    named: Vec<(Text, u32)>,
    by_name: HashMap<String, u32>,
    kinds: Vec<([Text; 3], u32)>,
}

impl Builder {
    pub(super) fn text(&mut self, text: &str) -> Text {
        if text.is_empty() {
            return Text::default();
        }
        if let Some(&known) = self.texts.get(text) {
            return known;
        }
        let new = Text {
            at: small(self.text.len()),
            len: small(text.len()),
        };
        self.text.push_str(text);
        self.texts.insert(text.to_owned(), new);
        new
    }

    pub(super) fn words<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> Span {
        let new: Vec<Text> = words.into_iter().map(|word| self.text(word)).collect();
        if new.is_empty() {
            return Span::default();
        }
        // The same few keys and enums come again and again.
        let words = &mut self.words;
        *self.lists.entry(new).or_insert_with_key(|new| {
            let at = small(words.len());
            words.extend(new);
            Span {
                at,
                len: small(new.len()),
            }
        })
    }

    /// The fields' names and types, sorted here.
    pub(super) fn fields(&mut self, fields: Vec<(&str, u32)>) -> Span {
        let at = small(self.fields.len());
        let mut fields = fields;
        fields.sort_unstable_by_key(|&(name, _)| name);
        for (name, node) in fields {
            let (head, name) = (head(name), self.text(name));
            self.fields.push(Field { head, name, node });
        }
        Span {
            at,
            len: small(self.fields.len()) - at,
        }
    }

    pub(super) fn value(&mut self, value: Value) -> u32 {
        *self.value_of.entry(value.to_string()).or_insert_with(|| {
            self.values.push(value);
            small(self.values.len() - 1)
        })
    }

    /// A regular expression.
    pub(super) fn pattern(&mut self, text: &str, at: &str) -> Result<u32, SchemaError> {
        if let Some(&known) = self.pattern_of.get(text) {
            return Ok(known);
        }
        let made = pattern::compile(text);
        let made = made.map_err(|why| error(at, format!("pattern {text}: {why}")))?;
        let new = small(self.patterns.len());
        self.patterns.push(made);
        self.pattern_of.insert(text.to_owned(), new);
        Ok(new)
    }

    /// Makes room for a schema that [`Builder::define`] gives later.
    pub(super) fn declare(&mut self, name: &str) -> Result<u32, SchemaError> {
        let node = small(self.nodes.len());
        if self.by_name.insert(name.to_owned(), node).is_some() {
            return Err(error(name, "is there twice"));
        }
        self.nodes.push(Node::new(Shape::Is(Kind::Any)));
        let name = self.text(name);
        self.named.push((name, node));
        Ok(node)
    }

    pub(super) fn declared(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(super) fn define(&mut self, node: u32, schema: Node) {
        let name = self.named[node as usize].0;
        self.nodes[node as usize] = Node { name, ..schema };
    }

    pub(super) fn kind(&mut self, group: &str, version: &str, kind: &str, node: u32) {
        let gvk = [group, version, kind].map(|part| self.text(part));
        self.kinds.push((gvk, node));
    }

    /// A node without a name. A reference of which nothing is said is what it refers to.
    pub(super) fn add(&mut self, node: Node) -> Result<u32, SchemaError> {
        let bare = Node {
            target: node.target,
            ..Node::new(Shape::Ref)
        };
        if node == bare {
            return Ok(node.target);
        }
        if let Some(&known) = self.made.get(&node) {
            return Ok(known);
        }
        if self.nodes.len() >= MOST_NODES {
            return Err(error("schemas", "are too many"));
        }
        let at = small(self.nodes.len());
        self.nodes.push(node);
        self.made.insert(node, at);
        Ok(at)
    }

    pub(super) fn finish(mut self, custom: bool) -> Result<Schemas, SchemaError> {
        // A type is resolved in one step: references to references, which only named schemas can be, are refused.
        for node in &self.nodes {
            if node.shape == Shape::Ref
                && !matches!(self.nodes[node.target as usize].shape, Shape::Is(_))
            {
                let name = self.nodes[node.target as usize].name;
                let name = &self.text[name.at as usize..(name.at + name.len) as usize];
                return Err(error(name, "is referred to, and is a reference itself"));
            }
        }
        let text = std::mem::take(&mut self.text);
        let of = |part: Text| &text[part.at as usize..(part.at + part.len) as usize];
        self.named.sort_unstable_by_key(|&(name, _)| of(name));
        self.kinds.sort_unstable_by_key(|&(gvk, _)| gvk.map(of));
        self.kinds.dedup_by_key(|&mut (gvk, _)| gvk);
        Ok(Schemas {
            text: text.into(),
            nodes: self.nodes.into(),
            fields: self.fields.into(),
            words: self.words.into(),
            values: self.values.into(),
            patterns: self.patterns.into(),
            named: self.named.into(),
            kinds: self.kinds.into(),
            custom,
        })
    }
}

/// Requests are far below 4 GB, and nodes are counted.
fn small(number: usize) -> u32 {
    u32::try_from(number).expect("schemas come from requests of at most some megabytes")
}

pub(super) fn error(at: &str, message: impl Into<String>) -> SchemaError {
    SchemaError {
        at: at.to_owned(),
        message: message.into(),
    }
}
