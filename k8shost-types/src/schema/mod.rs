//! What objects look like: the schemas of Kubernetes' API as data, which decoding, pruning, patches, apply and the
//! OpenAPI documents go by. Custom kinds have the same structs, made at run time from their OpenAPI schemas.
//!
//! [`builtin`] is the table of Kubernetes 1.35, read at the first call and kept: about 300 KB. A [`Type`] is a
//! cursor into a table, of two words and as cheap to copy: it follows fields, items and references.

mod build;
mod defaults;
mod openapi;
mod pattern;
mod table;
#[cfg(test)]
mod tests;
mod validate;

use std::sync::OnceLock;

use regex::Regex;
use serde_json::Value;

pub use build::SchemaError;
pub use defaults::defaults;
pub use validate::validate;

use build::{Field, NONE, Node, Shape, Span, Text, head};

use crate::json::Object;

/// Every schema of Kubernetes 1.35.
pub fn builtin() -> &'static Schemas {
    static BUILTIN: OnceLock<Schemas> = OnceLock::new();
    BUILTIN.get_or_init(|| {
        table::parse(include_str!("kubernetes.txt"))
            .expect("the table of schemas is part of the program, and a test reads it")
    })
}

/// A table of schemas, by name and by kind.
#[derive(Debug)]
pub struct Schemas {
    /// All names and other words, once each.
    text: Box<str>,
    nodes: Box<[Node]>,
    /// The fields of the nodes, sorted by name within each.
    fields: Box<[Field]>,
    /// Required fields, map keys and enums.
    words: Box<[Text]>,
    values: Box<[Value]>,
    patterns: Box<[Regex]>,
    /// Sorted by name.
    named: Box<[(Text, u32)]>,
    /// Group, version, kind and schema, sorted.
    kinds: Box<[([Text; 3], u32)]>,
    /// Made from the schemas of custom resources: their values are checked by validation, not by the decoder.
    custom: bool,
}

impl Schemas {
    /// The schemas of an OpenAPI v3 document's `components.schemas`. A reference to one that is not among them is
    /// looked up in [`builtin`].
    ///
    /// # Errors
    /// Something is not of the type that OpenAPI wants, a reference leads nowhere, or there is too much of it.
    pub fn from_openapi(schemas: &serde_json::Map<String, Value>) -> Result<Self, SchemaError> {
        openapi::parse(schemas)
    }

    /// The schema of a kind. The group is empty for core.
    pub fn of(&self, group: &str, version: &str, kind: &str) -> Option<Type<'_>> {
        let wanted = [group, version, kind];
        let at = self
            .kinds
            .binary_search_by(|(gvk, _)| gvk.map(|part| self.text(part)).cmp(&wanted))
            .ok()?;
        Some(self.cursor(self.kinds[at].1))
    }

    /// The schema of a name, such as `io.k8s.api.core.v1.PodSpec`.
    pub fn named(&self, name: &str) -> Option<Type<'_>> {
        Some(self.cursor(self.node_named(name)?))
    }

    /// All that have a name, and their names, in the order of the names.
    pub fn all(&self) -> impl Iterator<Item = (&str, Type<'_>)> {
        self.named
            .iter()
            .map(|&(name, node)| (self.text(name), self.cursor(node)))
    }

    /// All kinds: group, version, kind and schema, in this order.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str, &str, Type<'_>)> {
        self.kinds.iter().map(|&([group, version, kind], node)| {
            let node = self.cursor(node);
            (self.text(group), self.text(version), self.text(kind), node)
        })
    }

    fn node_named(&self, name: &str) -> Option<u32> {
        let at = self
            .named
            .binary_search_by(|&(text, _)| self.text(text).cmp(name));
        Some(self.named[at.ok()?].1)
    }

    fn text(&self, text: Text) -> &str {
        &self.text[text.at as usize..(text.at + text.len) as usize]
    }

    fn words(&self, span: Span) -> impl ExactSizeIterator<Item = &str> {
        self.words[span.range()].iter().map(|&word| self.text(word))
    }

    fn cursor(&self, node: u32) -> Type<'_> {
        Type {
            schemas: self,
            node,
        }
    }
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Anything.
    Any,
    /// Of fields that are known, or of any if [`Type::preserves_unknown`].
    Object,
    /// Of any keys, all values of one type: [`Type::values`].
    Map,
    /// Of items of one type: [`Type::items`].
    Array,
    /// Text; of the format `byte` base64, of `date-time` a time.
    String,
    /// A whole number, of 64 bits, or of 32 in the format `int32`.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A whole number of 32 bits, or text.
    IntOrString,
    /// Text that is a quantity, or a number.
    Quantity,
}

impl Kind {
    /// The one type that such values have in JSON, as OpenAPI names it.
    pub fn json_type(self) -> Option<&'static str> {
        match self {
            Self::Any | Self::IntOrString | Self::Quantity => None,
            Self::Object | Self::Map => Some("object"),
            Self::Array => Some("array"),
            Self::String => Some("string"),
            Self::Integer => Some("integer"),
            Self::Number => Some("number"),
            Self::Boolean => Some("boolean"),
        }
    }
}

/// What a list is to those who merge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListType {
    /// One value: it is replaced as a whole.
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Objects, told apart by some of their fields: [`Type::list_keys`].
    Map,
}

/// What an object or a map is to those who merge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapType {
    /// One value: it is replaced as a whole.
    Atomic,
    /// Field by field; what is not said to be atomic is this, too.
    Granular,
}

/// How a strategic merge patch changes a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PatchStrategy {
    /// A list is merged item by item.
    pub merge: bool,
    /// Objects are replaced, not merged.
    pub replace: bool,
    /// Fields that the patch does not name in `$retainKeys` go.
    pub retain_keys: bool,
}

/// A schema where it is used: of a field, of the items of a list.
///
/// What is said where a schema is referred to (a default, a map type, a patch strategy) goes before what the schema
/// itself says.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    schemas: &'a Schemas,
    node: u32,
}

impl std::fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => write!(f, "Type({name})"),
            None => write!(f, "Type({:?})", self.kind()),
        }
    }
}

impl<'a> Type<'a> {
    fn site(&self) -> &'a Node {
        &self.schemas.nodes[self.node as usize]
    }

    fn to(self, node: u32) -> Self {
        Self { node, ..self }
    }

    /// The schema itself, without what is said only here, where it is used.
    ///
    /// In an OpenAPI document, a field whose type has a [`Type::name`] is a reference, with what differs from this.
    pub fn target(self) -> Self {
        let site = self.site();
        match site.shape {
            Shape::Ref => self.to(site.target),
            Shape::Builtin => builtin().cursor(site.target),
            Shape::Is(_) => self,
        }
    }

    /// What is said here or, if nothing is, in the schema itself.
    fn said<T>(self, what: impl Fn(&'a Schemas, &'a Node) -> Option<T>) -> Option<T> {
        what(self.schemas, self.site()).or_else(|| {
            let target = self.target();
            what(target.schemas, target.site())
        })
    }

    /// What values may be.
    pub fn kind(self) -> Kind {
        match self.target().site().shape {
            Shape::Is(kind) => kind,
            Shape::Ref | Shape::Builtin => Kind::Any,
        }
    }

    /// The schema's own name, such as `io.k8s.api.core.v1.PodSpec`, if it is one with a name.
    pub fn name(self) -> Option<&'a str> {
        let target = self.target();
        let name = target.schemas.text(target.site().name);
        (!name.is_empty()).then_some(name)
    }

    /// `int32`, `byte`, `date-time`…
    pub fn format(self) -> Option<&'a str> {
        self.said(|schemas, node| {
            let format = schemas.text(node.format);
            (!format.is_empty()).then_some(format)
        })
    }

    /// The type of a field.
    pub fn field(self, name: &str) -> Option<Self> {
        let target = self.target();
        let schemas = target.schemas;
        let fields = &schemas.fields[target.site().fields.range()];
        let head = head(name);
        let order = |field: &Field| {
            let order = field.head.cmp(&head);
            order.then_with(|| schemas.text(field.name).cmp(name))
        };
        let at = fields.binary_search_by(order).ok()?;
        Some(target.to(fields[at].node))
    }

    /// The fields and their types, in the order of their names.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, Self)> {
        let target = self.target();
        let schemas = target.schemas;
        schemas.fields[target.site().fields.range()]
            .iter()
            .map(move |field| (schemas.text(field.name), target.to(field.node)))
    }

    /// The type of the items of a list.
    pub fn items(self) -> Option<Self> {
        self.inner(Kind::Array)
    }

    /// The type of the values of a map.
    pub fn values(self) -> Option<Self> {
        self.inner(Kind::Map)
    }

    fn inner(self, kind: Kind) -> Option<Self> {
        let target = self.target();
        let node = target.site();
        (node.shape == Shape::Is(kind) && node.target != NONE).then(|| target.to(node.target))
    }

    /// The type of a field or, in a map, of a value.
    pub fn child(self, name: &str) -> Option<Self> {
        self.field(name).or_else(|| self.values())
    }

    /// Whether fields that the schema does not know are kept.
    pub fn preserves_unknown(self) -> bool {
        self.site().preserve || self.target().site().preserve
    }

    /// Whether null is a value like another.
    pub fn nullable(self) -> bool {
        self.site().nullable || self.target().site().nullable
    }

    /// Whether it is an object with apiVersion, kind and metadata (`x-kubernetes-embedded-resource`).
    pub fn is_embedded_resource(self) -> bool {
        self.site().embedded || self.target().site().embedded
    }

    /// Whether the schema is a custom resource's: validation, not the decoder, is to check its values.
    pub fn is_custom(self) -> bool {
        self.target().schemas.custom
    }

    /// What the list is, if that is said.
    pub fn list_type(self) -> Option<ListType> {
        self.said(|_, node| node.list)
    }

    /// The fields that tell the items of a list apart, if [`Type::list_type`] is [`ListType::Map`].
    pub fn list_keys(self) -> impl ExactSizeIterator<Item = &'a str> {
        let target = if self.site().keys.is_empty() {
            self.target()
        } else {
            self
        };
        target.schemas.words(target.site().keys)
    }

    /// What the object or map is, if that is said.
    pub fn map_type(self) -> Option<MapType> {
        self.said(|_, node| node.map)
    }

    /// How a strategic merge patch changes it.
    pub fn patch_strategy(self) -> PatchStrategy {
        self.said(|_, node| node.patch).unwrap_or_default()
    }

    /// The field by which a strategic merge patch tells the items of a list apart.
    pub fn patch_merge_key(self) -> Option<&'a str> {
        self.said(|schemas, node| {
            let key = schemas.text(node.merge_key);
            (!key.is_empty()).then_some(key)
        })
    }

    /// The default that the schema gives. Of built-in kinds, it says what an absent field means, which is not always
    /// what Kubernetes sets: it also gives `""` and `{}` wherever Go would.
    pub fn default(self) -> Option<&'a Value> {
        self.said(|schemas, node| schemas.values.get(node.default as usize))
    }

    /// The fields that must be there.
    pub fn required(self) -> impl ExactSizeIterator<Item = &'a str> {
        let target = self.target();
        target.schemas.words(target.site().required)
    }

    /// The values that the text may have; none said if there are none.
    pub fn enum_values(self) -> impl ExactSizeIterator<Item = &'a str> {
        let target = if self.site().enums.is_empty() {
            self.target()
        } else {
            self
        };
        target.schemas.words(target.site().enums)
    }

    /// `x-kubernetes-unions`: which fields exclude each other, as it stands in OpenAPI documents.
    pub fn unions(self) -> Option<&'a Value> {
        self.said(|schemas, node| schemas.values.get(node.unions as usize))
    }

    /// What values have to be besides of the type, as it stands in OpenAPI documents: `minimum`, `pattern`, `enum`…
    /// Of custom kinds only.
    pub fn limits(self) -> Option<&'a Object> {
        self.said(|schemas, node| schemas.values.get(node.limits as usize))?
            .as_object()
    }

    /// The `pattern` among them.
    fn pattern(self) -> Option<&'a Regex> {
        self.said(|schemas, node| schemas.patterns.get(node.pattern as usize))
    }

    /// The groups, versions and kinds that have this schema.
    pub fn group_version_kinds(self) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        let target = self.target();
        let schemas = target.schemas;
        schemas
            .kinds
            .iter()
            .filter(move |&&(_, node)| node == target.node)
            .map(|&([group, version, kind], _)| {
                (
                    schemas.text(group),
                    schemas.text(version),
                    schemas.text(kind),
                )
            })
    }
}
