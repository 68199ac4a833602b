//! Schemas as they stand in documents, and which of them a document needs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    json::Object,
    kinds::Kind,
    schema::{self, ListType, MapType, Schemas, Type, builtin},
};

use super::{operations::Model, render::Dialect};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// The schema of a kind, which is group, version and kind.
pub(super) fn model<'a>(tables: &[&'a Schemas], gvk: [&'a str; 3]) -> Model<'a> {
    typed(tables, gvk).unwrap_or_else(|| Model::Free(made_up(gvk), gvk))
}

/// The schema of lists of a kind, which is made where there is none.
pub(super) fn list_model<'a>(tables: &[&'a Schemas], kind: &'a Kind) -> Model<'a> {
    let gvk = [&*kind.group, &*kind.version, &*kind.list_kind];
    typed(tables, gvk).unwrap_or_else(|| {
        let items = model(tables, [&kind.group, &kind.version, &kind.kind]);
        Model::List(made_up(gvk), gvk, Box::new(items))
    })
}

fn typed<'a>(tables: &[&'a Schemas], [group, version, kind]: [&str; 3]) -> Option<Model<'a>> {
    let of = tables
        .iter()
        .copied()
        .chain([builtin()])
        .find_map(|table| table.of(group, version, kind))?;
    Some(Model::Type(of.name()?, of))
}

/// The name that Kubernetes gives the schema of a custom kind: `com.example.v1.Widget`.
fn made_up([group, version, kind]: [&str; 3]) -> String {
    let parts: Vec<&str> = group.rsplit('.').chain([version, kind]).collect();
    parts.join(".")
}

/// The schemas that a document needs, by name: those that were added, and all that these refer to.
#[derive(Default)]
pub(super) struct Needed<'a>(BTreeMap<String, Model<'a>>);

impl<'a> Needed<'a> {
    pub(super) fn add(&mut self, model: &Model<'a>) {
        let mut left = vec![model.clone()];
        while let Some(model) = left.pop() {
            let Some(name) = model.name() else { continue };
            if self.0.contains_key(name) {
                continue;
            }
            match &model {
                Model::Type(_, of) => references(*of, &mut left),
                Model::List(_, _, items) => {
                    left.push((**items).clone());
                    left.extend(
                        builtin()
                            .named(LIST_META)
                            .map(|of| Model::Type(LIST_META, of)),
                    );
                }
                Model::Free(..) | Model::Text => {}
            }
            self.0.insert(name.to_owned(), model);
        }
    }

    /// Names and schemas, in the order of the names.
    pub(super) fn written(&self, dialect: Dialect) -> impl Iterator<Item = (&str, Value)> {
        self.0
            .iter()
            .map(move |(name, model)| (name.as_str(), written(model, dialect)))
    }
}

/// What a schema refers to. Schemas without a name are as deep as a table may have them.
fn references<'a>(of: Type<'a>, to: &mut Vec<Model<'a>>) {
    let inner = of.items().into_iter().chain(of.values());
    for of in of.fields().map(|(_, of)| of).chain(inner) {
        match of.name() {
            Some(name) => to.push(Model::Type(name, of.target())),
            None => references(of, to),
        }
    }
    if of.is_embedded_resource() {
        to.extend(
            builtin()
                .named(OBJECT_META)
                .map(|of| Model::Type(OBJECT_META, of)),
        );
    }
}

fn written(model: &Model<'_>, dialect: Dialect) -> Value {
    match model {
        Model::Type(_, of) => {
            let mut schema = body(*of, dialect);
            let kinds: Vec<Value> = of.group_version_kinds().map(kind_of).collect();
            if !kinds.is_empty() {
                schema.insert("x-kubernetes-group-version-kind".to_owned(), kinds.into());
            }
            schema.into()
        }
        Model::Free(_, [group, version, kind]) => json!({
            "type": "object",
            "x-kubernetes-group-version-kind": [kind_of((group, version, kind))],
        }),
        Model::List(_, [group, version, kind], items) => json!({
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": dialect.reference(LIST_META),
                "items": {"type": "array", "items": refer(items, dialect)},
            },
            "x-kubernetes-group-version-kind": [kind_of((group, version, kind))],
        }),
        Model::Text => json!({"type": "string"}),
    }
}

/// A reference to a schema of the document, or what is said of it here.
pub(super) fn refer(model: &Model<'_>, dialect: Dialect) -> Value {
    match model.name() {
        Some(name) => dialect.reference(name),
        None => json!({"type": "string"}),
    }
}

/// `{"group": "apps", "kind": "Deployment", "version": "v1"}`
pub(super) fn kind_of((group, version, kind): (&str, &str, &str)) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

/// A schema where it is used: a reference if it has a name.
fn used(of: Type<'_>, dialect: Dialect) -> Value {
    let Some(name) = of.name() else {
        return body(of, dialect).into();
    };
    let own = said(of.target(), dialect);
    let mut said = said(of, dialect);
    said.retain(|what, value| own.get(what) != Some(value));
    let mut reference = dialect.reference(name);
    if said.is_empty() {
        return reference;
    }
    match dialect {
        Dialect::V2 => {
            if let Value::Object(reference) = &mut reference {
                reference.append(&mut said);
            }
            reference
        }
        Dialect::V3 => {
            said.insert("allOf".to_owned(), json!([reference]));
            said.into()
        }
    }
}

/// The items of a list and the values of a map. Of built-in kinds, absent ones are what Go has of their type.
fn inner(of: Type<'_>, dialect: Dialect) -> Value {
    let mut schema = used(of, dialect);
    if dialect == Dialect::V2 || of.is_custom() || of.default().is_some() {
        return schema;
    }
    let zero = match of.kind() {
        schema::Kind::String if of.format().is_none() => json!(""),
        schema::Kind::Integer => json!(0),
        schema::Kind::Object if of.name().is_some() => json!({}),
        _ => return schema,
    };
    if of.name().is_some() {
        schema = json!({"allOf": [schema]});
    }
    schema["default"] = zero;
    schema
}

/// What is said of a type besides what its values are.
fn said(of: Type<'_>, dialect: Dialect) -> Object {
    let mut said = Map::new();
    let mut say = |what: &str, value: Value| {
        said.insert(what.to_owned(), value);
    };
    let list = of.list_type().map(|list| match list {
        ListType::Atomic => "atomic",
        ListType::Set => "set",
        ListType::Map => "map",
    });
    if let Some(list) = list {
        say("x-kubernetes-list-type", list.into());
    }
    if of.list_keys().len() > 0 {
        say("x-kubernetes-list-map-keys", of.list_keys().collect());
    }
    let map = of.map_type().map(|map| match map {
        MapType::Atomic => "atomic",
        MapType::Granular => "granular",
    });
    if let Some(map) = map {
        say("x-kubernetes-map-type", map.into());
    }
    let patch = of.patch_strategy();
    let patch: Vec<&str> = [
        (patch.merge, "merge"),
        (patch.replace, "replace"),
        (patch.retain_keys, "retainKeys"),
    ]
    .into_iter()
    .filter_map(|(is, name)| is.then_some(name))
    .collect();
    if !patch.is_empty() {
        say("x-kubernetes-patch-strategy", patch.join(",").into());
    }
    if let Some(key) = of.patch_merge_key() {
        say("x-kubernetes-patch-merge-key", key.into());
    }
    if let Some(unions) = of.unions() {
        say("x-kubernetes-unions", unions.clone());
    }
    if of.enum_values().len() > 0 {
        say("enum", of.enum_values().collect());
    }
    for (word, value) in of.limits().into_iter().flatten() {
        say(word, value.clone());
    }
    if of.is_custom() && of.preserves_unknown() {
        say("x-kubernetes-preserve-unknown-fields", true.into());
    }
    if of.is_embedded_resource() {
        say("x-kubernetes-embedded-resource", true.into());
    }
    if dialect == Dialect::V3 {
        if let Some(default) = of.default() {
            say("default", default.clone());
        }
        if of.nullable() {
            say("nullable", true.into());
        }
    }
    said
}

/// A schema itself. In version 2 there is less to say: no defaults, no alternatives, and nothing of what may be null
/// or hold unknown fields, which old clients would refuse.
fn body(of: Type<'_>, dialect: Dialect) -> Object {
    let mut schema = said(of, dialect);
    let mut put = |what: &str, value: Value| {
        schema.insert(what.to_owned(), value);
    };
    let v2 = dialect == Dialect::V2;
    if let Some(format) = of.format() {
        put("format", format.into());
    }
    if v2 && of.is_custom() && (of.nullable() || of.preserves_unknown()) {
        if of.name().is_some() {
            put("type", "object".into());
        }
        return schema;
    }
    let kind = match of.kind() {
        schema::Kind::IntOrString if of.is_custom() => {
            put("x-kubernetes-int-or-string", true.into());
            None
        }
        schema::Kind::IntOrString | schema::Kind::Quantity if v2 => Some("string"),
        schema::Kind::IntOrString => {
            put("oneOf", json!([{"type": "integer"}, {"type": "string"}]));
            None
        }
        schema::Kind::Quantity => {
            put("oneOf", json!([{"type": "string"}, {"type": "number"}]));
            None
        }
        kind => kind.json_type(),
    };
    if let Some(kind) = kind {
        put("type", kind.into());
    }
    if of.kind() == schema::Kind::IntOrString && !of.is_custom() {
        put("format", "int-or-string".into());
    }
    if let Some(items) = of.items() {
        put("items", inner(items, dialect));
    }
    if let Some(values) = of.values() {
        put("additionalProperties", inner(values, dialect));
    }
    let mut fields: Object = of
        .fields()
        .map(|(name, of)| (name.to_owned(), used(of, dialect)))
        .collect();
    let may_be_null = |name: &&str| v2 && of.field(name).is_some_and(Type::nullable);
    let mut required: Vec<&str> = of.required().filter(|name| !may_be_null(name)).collect();
    if of.is_embedded_resource() {
        for name in ["apiVersion", "kind"] {
            fields.insert(name.to_owned(), json!({"type": "string"}));
            if !required.contains(&name) {
                required.push(name);
            }
        }
        fields.insert("metadata".to_owned(), dialect.reference(OBJECT_META));
    }
    if !fields.is_empty() {
        put("properties", fields.into());
    }
    if !required.is_empty() {
        put("required", required.into());
    }
    schema
}
