//! Kubernetes' schema of the four kinds, and whether the messages have all of it.
//!
//! `data/schema.json` is what Kubernetes 1.35's OpenAPI document says of them and all they refer to:
//! for each definition its properties and their types, where `[T]` is a list and `{T}` a map.

use std::collections::{BTreeMap, BTreeSet};

use k8shost_proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};
use serde::Deserialize;

/// Where a walk begins: the kinds, and what requests and answers have of Kubernetes' own.
const ROOTS: [&str; 6] = [
    "Pod",
    "Service",
    "Node",
    "Namespace",
    "ListMeta",
    "Preconditions",
];

pub(crate) type Schema = BTreeMap<String, Definition>;

#[derive(Deserialize)]
pub(crate) struct Definition {
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) required: BTreeSet<String>,
}

/// A type as the schema writes it.
pub(crate) enum Type<'a> {
    List(&'a str),
    Map(&'a str),
    One(&'a str),
}

impl<'a> Type<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let inner = |open, close| text.strip_prefix(open)?.strip_suffix(close);
        match (inner('[', ']'), inner('{', '}')) {
            (Some(item), _) => Self::List(item),
            (_, Some(value)) => Self::Map(value),
            _ => Self::One(text),
        }
    }

    fn name(&self) -> &'a str {
        match self {
            Self::List(name) | Self::Map(name) | Self::One(name) => name,
        }
    }
}

pub(crate) fn schema() -> Schema {
    serde_json::from_str(include_str!("../data/schema.json")).unwrap()
}

pub(crate) fn pool() -> DescriptorPool {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap()
}

pub(crate) fn message(pool: &DescriptorPool, name: &str) -> MessageDescriptor {
    pool.get_message_by_name(&format!("k8shost.v1.{name}"))
        .unwrap_or_else(|| panic!("no message {name}"))
}

fn reachable(schema: &Schema) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut queue = ROOTS.to_vec();
    while let Some(name) = queue.pop() {
        if let Some((name, definition)) = schema.get_key_value(name)
            && found.insert(name.as_str())
        {
            queue.extend(
                definition
                    .properties
                    .values()
                    .map(|text| Type::of(text).name()),
            );
        }
    }
    found
}

/// The protobuf type that a type of the schema must have.
fn protobuf_type(name: &str) -> String {
    match name {
        "boolean" => "bool".to_owned(),
        "string" | "Quantity" => "string".to_owned(),
        "int32" | "int64" => name.to_owned(),
        "Time" => "google.protobuf.Timestamp".to_owned(),
        "IntOrString" => "google.protobuf.Value".to_owned(),
        "FieldsV1" => "google.protobuf.Struct".to_owned(),
        _ => format!("k8shost.v1.{name}"),
    }
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::String => "string".to_owned(),
        Kind::Int32 => "int32".to_owned(),
        Kind::Int64 => "int64".to_owned(),
        kind => panic!("{kind:?} is not in use"),
    }
}

/// A field's type, in the schema's manner of writing, but with protobuf's names.
fn field_type(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            assert_eq!(entry.map_entry_key_field().kind(), Kind::String);
            format!("{{{}}}", kind_name(&entry.map_entry_value_field().kind()))
        }
        kind if field.is_list() => format!("[{}]", kind_name(&kind)),
        kind => kind_name(&kind),
    }
}

#[test]
fn every_property_has_a_field_that_fits() {
    let (schema, pool) = (schema(), pool());
    for name in reachable(&schema) {
        let (definition, message) = (&schema[name], message(&pool, name));
        for (property, text) in &definition.properties {
            let field = message
                .get_field_by_json_name(property)
                .unwrap_or_else(|| panic!("{name} lacks {property}"));
            let wanted = match Type::of(text) {
                Type::List(item) => format!("[{}]", protobuf_type(item)),
                Type::Map(value) => format!("{{{}}}", protobuf_type(value)),
                Type::One(one) => protobuf_type(one),
            };
            assert_eq!(field_type(&field), wanted, "type of {name}.{property}");

            let scalar = !field.is_list() && !field.is_map() && field.kind().as_message().is_none();
            if scalar {
                let required = definition.required.contains(property);
                assert_eq!(
                    field.supports_presence(),
                    !required,
                    "presence of {name}.{property}"
                );
            }
        }
    }
}

#[test]
fn nothing_is_there_that_kubernetes_does_not_have() {
    let (schema, pool) = (schema(), pool());
    let reachable = reachable(&schema);
    assert_eq!(
        reachable.len(),
        schema.len(),
        "the schema has definitions that nothing refers to"
    );
    for message in pool
        .all_messages()
        .filter(|message| message.package_name() == "k8shost.v1")
    {
        let name = message.name();
        let own = name.ends_with("Request") && name != "ContainerExtendedResourceRequest"
            || name.ends_with("Response")
            || ["Organization", "Project"].contains(&name)
            || message.is_map_entry();
        if own {
            continue;
        }
        assert!(reachable.contains(name), "{name} is no definition");
        for field in message.fields() {
            let name = (name, field.json_name());
            let own = name.0 == "ObjectMeta" && ["orgId", "projectId"].contains(&name.1);
            assert!(
                own || schema[name.0].properties.contains_key(name.1),
                "{name:?} is too much"
            );
        }
    }
}
