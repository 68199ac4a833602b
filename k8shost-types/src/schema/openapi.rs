//! A table of schemas from OpenAPI v3, or from what of it a CustomResourceDefinition may say.

use serde_json::{Map, Value};

use super::{
    Kind, Schemas,
    build::{Builder, Node, SchemaError, Shape, error},
    builtin,
    table::{list_type, map_type, patch_strategy},
};
use crate::json;

/// Deeper schemas are refused: more nesting no object may have.
const DEEPEST: usize = 128;

const REFERENCE: &str = "#/components/schemas/";

/// What may be said of values besides their type.
const LIMITS: [&str; 13] = [
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
];

pub(super) fn parse(schemas: &Map<String, Value>) -> Result<Schemas, SchemaError> {
    let mut builder = Builder::default();
    for name in schemas.keys() {
        builder.declare(name)?;
    }
    for (name, schema) in schemas {
        let node = builder
            .declared(name)
            .ok_or_else(|| error(name, "is not known"))?;
        for gvk in json::list(schema, "x-kubernetes-group-version-kind") {
            let [group, version, kind] =
                ["group", "version", "kind"].map(|field| json::text(gvk, field));
            builder.kind(group, version, kind, node);
        }
        let schema = read(&mut builder, schema, name, DEEPEST)?;
        builder.define(node, schema);
    }
    builder.finish(true)
}

fn read(
    builder: &mut Builder,
    schema: &Value,
    at: &str,
    deeper: usize,
) -> Result<Node, SchemaError> {
    let Some(deeper) = deeper.checked_sub(1) else {
        return Err(error(at, "is nested too deep"));
    };
    let Value::Object(said) = schema else {
        return Err(error(at, "must be an object"));
    };
    let mut node = Node::new(Shape::Is(kind(schema, at)?));
    if let Some(name) = reference(schema) {
        (node.shape, node.target) = match builder.declared(name) {
            Some(target) => (Shape::Ref, target),
            None => match builtin().node_named(name) {
                Some(target) => (Shape::Builtin, target),
                None => return Err(error(at, format!("refers to {name}, which is not known"))),
            },
        };
    }
    node.preserve = json::flag(schema, "x-kubernetes-preserve-unknown-fields")
        || said.get("additionalProperties") == Some(&Value::Bool(true));
    node.nullable = json::flag(schema, "nullable");
    node.embedded = json::flag(schema, "x-kubernetes-embedded-resource");
    node.format = builder.text(json::text(schema, "format"));
    node.merge_key = builder.text(json::text(schema, "x-kubernetes-patch-merge-key"));
    node.required = texts(builder, schema, "required");
    node.keys = texts(builder, schema, "x-kubernetes-list-map-keys");
    node.enums = texts(builder, schema, "enum");
    if let Some(strategy) = json::get(schema, "x-kubernetes-patch-strategy") {
        node.patch = Some(patch_strategy(strategy.as_str().unwrap_or_default()));
    }
    match json::text(schema, "x-kubernetes-list-type") {
        "" => {}
        list => match list_type(list) {
            Some(list) => node.list = Some(list),
            None => return Err(error(at, format!("{list} is no list type"))),
        },
    }
    match json::text(schema, "x-kubernetes-map-type") {
        "" => {}
        map => match map_type(map) {
            Some(map) => node.map = Some(map),
            None => return Err(error(at, format!("{map} is no map type"))),
        },
    }
    if let Some(default) = said.get("default") {
        node.default = builder.value(default.clone());
    }
    let limits = said
        .iter()
        .filter(|(word, _)| LIMITS.contains(&word.as_str()));
    let limits: Map<String, Value> = limits.map(|(w, v)| (w.clone(), v.clone())).collect();
    if !limits.is_empty() {
        node.limits = builder.value(limits.into());
    }
    match json::text(schema, "pattern") {
        "" => {}
        pattern => node.pattern = builder.pattern(pattern, at)?,
    }
    if let Some(unions) = json::get(schema, "x-kubernetes-unions") {
        node.unions = builder.value(unions.clone());
    }
    match node.shape {
        Shape::Is(Kind::Object) => {
            let mut fields = Vec::new();
            for (name, field) in json::object(schema, "properties").into_iter().flatten() {
                let field = read(builder, field, name, deeper)?;
                fields.push((name.as_str(), builder.add(field)?));
            }
            node.fields = builder.fields(fields);
        }
        Shape::Is(Kind::Map) => {
            node.target = inner(builder, schema, "additionalProperties", deeper)?
        }
        Shape::Is(Kind::Array) => node.target = inner(builder, schema, "items", deeper)?,
        _ => {}
    }
    Ok(node)
}

fn inner(
    builder: &mut Builder,
    schema: &Value,
    field: &str,
    deeper: usize,
) -> Result<u32, SchemaError> {
    let inner = match json::get(schema, field) {
        Some(inner) => read(builder, inner, field, deeper)?,
        None => Node::new(Shape::Is(Kind::Any)),
    };
    builder.add(inner)
}

/// The strings of a list.
fn texts(builder: &mut Builder, schema: &Value, field: &str) -> super::build::Span {
    builder.words(json::list(schema, field).iter().filter_map(Value::as_str))
}

/// Where a `$ref` leads; next to other words it stands in an `allOf` of one.
fn reference(schema: &Value) -> Option<&str> {
    let reference = match json::list(schema, "allOf") {
        [one] => json::text(one, "$ref"),
        _ => json::text(schema, "$ref"),
    };
    reference.strip_prefix(REFERENCE)
}

fn kind(schema: &Value, at: &str) -> Result<Kind, SchemaError> {
    if json::flag(schema, "x-kubernetes-int-or-string")
        || json::text(schema, "format") == "int-or-string"
    {
        return Ok(Kind::IntOrString);
    }
    let map = json::object(schema, "additionalProperties").is_some()
        && json::object(schema, "properties").is_none_or(Map::is_empty);
    match json::text(schema, "type") {
        "object" if map => Ok(Kind::Map),
        "object" => Ok(Kind::Object),
        "array" => Ok(Kind::Array),
        "string" => Ok(Kind::String),
        "integer" => Ok(Kind::Integer),
        "number" => Ok(Kind::Number),
        "boolean" => Ok(Kind::Boolean),
        // Without a type, what is said of fields still holds for objects.
        "" if json::object(schema, "properties").is_some() => Ok(Kind::Object),
        "" if one_of(schema, ["string", "number"]) => Ok(Kind::Quantity),
        "" if one_of(schema, ["integer", "string"]) => Ok(Kind::IntOrString),
        "" => Ok(Kind::Any),
        other => Err(error(at, format!("{other} is no type"))),
    }
}

fn one_of(schema: &Value, types: [&str; 2]) -> bool {
    let said = json::list(schema, "oneOf");
    said.len() == types.len()
        && said
            .iter()
            .zip(types)
            .all(|(one, wanted)| json::text(one, "type") == wanted)
}
