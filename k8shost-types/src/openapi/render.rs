//! Documents in the shape of their version, written piece by piece: a whole one as a tree of values would be many
//! times as large as its bytes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::json::Object;

use super::{
    Format,
    gnostic::{self, Entries},
    operations::{ANY, Body, Item, Model, Operation, Parameter},
    schemas::{Needed, kind_of, refer},
};

/// A version of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// A reference to a schema of the document.
    pub(super) fn reference(self, name: &str) -> Value {
        let place = match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        };
        let name = name.replace('~', "~0").replace('/', "~1");
        json!({"$ref": format!("{place}{name}")})
    }
}

/// The document of these paths, which come in lists.
pub(super) fn document<'a>(
    dialect: Dialect,
    format: Format,
    version: &str,
    items: impl IntoIterator<Item = Vec<Item<'a>>>,
) -> Vec<u8> {
    let mut needed = Needed::default();
    let mut shared = Map::new();
    let mut paths = Entries::paths(dialect, format);
    for item in items.into_iter().flatten() {
        for operation in &item.operations {
            needed.add(&operation.answer);
            if let Some(body) = &operation.body {
                needed.add(&body.model);
            }
        }
        let written = match dialect {
            Dialect::V2 => item_v2(&item, &mut shared),
            Dialect::V3 => item_v3(&item),
        };
        paths.add(&item.path, &written);
    }
    let mut schemas = Entries::schemas(dialect, format);
    for (name, schema) in needed.written(dialect) {
        schemas.add(name, &schema);
    }
    let info = json!({"title": "Kubernetes", "version": version});
    let security = json!({"BearerToken": {
        "description": "A bearer token",
        "type": "apiKey",
        "in": "header",
        "name": "authorization",
    }});
    let others = match dialect {
        Dialect::V2 => json!({
            "swagger": "2.0",
            "info": info,
            "parameters": shared,
            "security": [{"BearerToken": []}],
        }),
        Dialect::V3 => json!({
            "openapi": "3.0.0",
            "info": info,
        }),
    };
    gnostic::join(dialect, format, paths, schemas, &security, &others)
}

/// The parameters that all operations of a path have are the path's.
fn common(item: &Item<'_>) -> BTreeSet<Parameter> {
    let mut lists = item.operations.iter().map(|one| &one.parameters);
    let mut common: BTreeSet<Parameter> = lists.next().into_iter().flatten().copied().collect();
    for list in lists {
        common.retain(|one| list.contains(one));
    }
    common
}

/// A path and its operations, each with the parameters that are its alone.
fn item_of<'a>(
    item: &'a Item<'a>,
    mut parameter: impl FnMut(&Parameter) -> Value,
    mut operation: impl FnMut(&'a Operation<'a>, Vec<Value>) -> Object,
) -> Value {
    let common = common(item);
    let mut written = Map::new();
    if !common.is_empty() {
        let common: Value = common.iter().map(&mut parameter).collect();
        written.insert("parameters".to_owned(), common);
    }
    for one in &item.operations {
        let own = one.parameters.iter().filter(|one| !common.contains(one));
        let own: Vec<Value> = own.map(&mut parameter).collect();
        let mut said = operation(one, own);
        said.insert("operationId".to_owned(), one.id.as_str().into());
        said.insert("tags".to_owned(), json!([one.tag]));
        if let Some(action) = one.action {
            said.insert("x-kubernetes-action".to_owned(), action.into());
        }
        if let Some([group, version, kind]) = one.of {
            let of = kind_of((group, version, kind));
            said.insert("x-kubernetes-group-version-kind".to_owned(), of);
        }
        written.insert(one.method.to_owned(), said.into());
    }
    written.into()
}

/// The answers, each with what `content` says of it, and the one that all operations may have.
fn responses(operation: &Operation<'_>, content: (&str, Value)) -> Value {
    let mut responses = Map::new();
    for code in operation.codes {
        let description = match code {
            201 => "Created",
            202 => "Accepted",
            _ => "OK",
        };
        let answer = json!({"description": description, content.0: content.1});
        responses.insert(code.to_string(), answer);
    }
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    responses.into()
}

fn item_v3(item: &Item<'_>) -> Value {
    let parameter = |one: &Parameter| {
        let mut said = json!({
            "name": one.name,
            "in": place(one),
            "schema": {"type": one.of, "uniqueItems": true},
        });
        if one.in_path {
            said["required"] = true.into();
        }
        said
    };
    item_of(item, parameter, |one, parameters| {
        let mut said = Map::new();
        if !parameters.is_empty() {
            said.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = &one.body {
            let mut sent = json!({"content": content(&body.model, body.consumes)});
            if body.required {
                sent["required"] = true.into();
            }
            said.insert("requestBody".to_owned(), sent);
        }
        let content = content(&one.answer, one.produces);
        said.insert("responses".to_owned(), responses(one, ("content", content)));
        said
    })
}

/// The schema under each content type.
fn content(model: &Model<'_>, types: &[&str]) -> Value {
    let schema = json!({"schema": refer(model, Dialect::V3)});
    let content: Object = types
        .iter()
        .map(|one| ((*one).to_owned(), schema.clone()))
        .collect();
    content.into()
}

fn place(parameter: &Parameter) -> &'static str {
    if parameter.in_path { "path" } else { "query" }
}

/// Parameters stand in `shared` once, but for those that old clients look for in the operation.
fn item_v2(item: &Item<'_>, shared: &mut Object) -> Value {
    let mut bodies = Vec::new();
    for one in &item.operations {
        bodies.push(one.body.as_ref().map(|body| body_v2(body, shared)));
    }
    let mut bodies = bodies.into_iter();
    let parameter = |one: &Parameter| {
        let place = place(one);
        let mut said = json!({"name": one.name, "in": place, "type": one.of, "uniqueItems": true});
        if one.in_path {
            said["required"] = true.into();
        }
        if matches!(one.name, "name" | "dryRun" | "fieldValidation") {
            return said;
        }
        share(shared, format!("{}-{place}", one.name), said)
    };
    item_of(item, parameter, |one, own| {
        let mut parameters: Vec<Value> = bodies.next().flatten().into_iter().collect();
        parameters.extend(own);
        let mut said = Map::new();
        if !parameters.is_empty() {
            said.insert("parameters".to_owned(), parameters.into());
        }
        let consumes = match &one.body {
            Some(body) => body.consumes,
            None if one.action.is_none() => one.produces,
            None => ANY,
        };
        said.insert("consumes".to_owned(), json!(consumes));
        said.insert("produces".to_owned(), json!(one.produces));
        said.insert("schemes".to_owned(), json!(["https"]));
        let answer = refer(&one.answer, Dialect::V2);
        said.insert("responses".to_owned(), responses(one, ("schema", answer)));
        said
    })
}

fn body_v2(body: &Body<'_>, shared: &mut Object) -> Value {
    let mut said = json!({"name": "body", "in": "body", "schema": refer(&body.model, Dialect::V2)});
    if body.required {
        said["required"] = true.into();
    }
    let name = body.model.name().unwrap_or_default();
    match name.strip_prefix("io.k8s.apimachinery.pkg.apis.meta.v1.") {
        Some(name) => share(shared, format!("{name}-body"), said),
        None => said,
    }
}

/// Puts a parameter among the shared ones; a reference to it.
fn share(shared: &mut Object, name: String, parameter: Value) -> Value {
    let reference = json!({"$ref": format!("#/parameters/{name}")});
    shared.entry(name).or_insert(parameter);
    reference
}
