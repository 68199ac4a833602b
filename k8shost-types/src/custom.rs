//! Kinds that are made at run time, as a CustomResourceDefinition makes them: what is a Rust type and Rust functions
//! for a built-in kind is data here, its OpenAPI schema.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    json as tree,
    kinds::Kind,
    meta, names,
    schema::{self, SchemaError, Schemas, Type},
    strategy::{Strategy, Text},
    table::custom::CustomColumns,
};

const OBJECT_META: &str = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// One version of a kind.
#[derive(Debug)]
pub struct Custom {
    kind: Kind,
    columns: CustomColumns,
    schemas: Schemas,
}

impl Custom {
    /// A kind whose objects look like this. `schema` is the `openAPIV3Schema` of a version of a
    /// CustomResourceDefinition; apiVersion, kind and metadata are added. It has a status of its own if `kind` has that
    /// subresource.
    ///
    /// # Errors
    /// It is no schema that can be read.
    pub fn new(kind: Kind, schema: &Value, columns: CustomColumns) -> Result<Self, SchemaError> {
        let mut schema = schema.clone();
        if let Some(fields) = tree::ensure_object(&mut schema, "properties") {
            tree::set(fields, "apiVersion", json!({"type": "string"}));
            tree::set(fields, "kind", json!({"type": "string"}));
            tree::set(fields, "metadata", json!({ "$ref": OBJECT_META }));
        }
        let row = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        tree::set(&mut schema, "x-kubernetes-group-version-kind", json!([row]));
        let mut name: Vec<&str> = kind.group.rsplit('.').collect();
        name.extend([&*kind.version, &*kind.kind]);
        let named = tree::Object::from_iter([(name.join("."), schema)]);
        let schemas = Schemas::from_openapi(&named)?;
        Ok(Self {
            kind,
            columns,
            schemas,
        })
    }

    /// As discovery tells of it.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its columns.
    pub fn columns(&self) -> &CustomColumns {
        &self.columns
    }

    /// Its schema, in a table of its own.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Its rules.
    pub fn strategy(self) -> Strategy {
        let Kind {
            kind,
            plural,
            namespaced,
            ..
        } = &self.kind;
        let has_status = self.kind.subresource("status").is_some();
        Strategy {
            kind: kind.clone(),
            api_version: Text::Owned(self.kind.api_version()),
            resource: plural.clone(),
            namespaced: *namespaced,
            prepare_create: if has_status { begin_with_status } else { begin },
            validate_create: if *namespaced {
                namespaced_metadata
            } else {
                cluster_metadata
            },
            prepare_update: if has_status {
                keep_status
            } else {
                next_generation
            },
            validate_update: metadata_update,
            prepare_status_update: keep_all_but_status,
            validate_status_update: metadata_update,
            selectable: match namespaced {
                true => Strategy::BASE.selectable,
                false => &["metadata.name"],
            },
            has_status,
            unconditional_update: false,
            custom: Some(Arc::new(self)),
            ..Strategy::BASE
        }
    }

    fn schema(&self) -> Option<Type<'_>> {
        let Kind {
            group,
            version,
            kind,
            ..
        } = &self.kind;
        self.schemas.of(group, version, kind)
    }

    pub(crate) fn default(&self, object: &mut Value) {
        if let Some(schema) = self.schema() {
            schema::defaults(schema, object);
        }
    }

    pub(crate) fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let schema = self.schema();
        schema.map_or_else(Vec::new, |schema| schema::validate(schema, object, old))
    }
}

fn begin(object: &mut Value) {
    meta::set(object, "generation", 1);
}

fn begin_with_status(object: &mut Value) {
    begin(object);
    tree::remove(object, "status");
}

fn namespaced_metadata(object: &Value) -> Vec<FieldError> {
    let mut faults = Vec::new();
    meta::validate_create(object, true, names::subdomain_rule, &mut faults);
    faults
}

fn cluster_metadata(object: &Value) -> Vec<FieldError> {
    let mut faults = Vec::new();
    meta::validate_create(object, false, names::subdomain_rule, &mut faults);
    faults
}

fn metadata_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut faults = Vec::new();
    meta::validate_update(new, old, &mut faults);
    faults
}

/// What is not as it was, metadata aside, is a new generation.
fn next_generation(new: &mut Value, old: &Value) {
    let content = |object: &Value| {
        let mut content = object.clone();
        tree::remove(&mut content, "metadata");
        content
    };
    if content(new) != content(old) {
        let generation = meta::generation(old).saturating_add(1);
        meta::set(new, "generation", generation);
    }
}

fn keep_status(new: &mut Value, old: &Value) {
    tree::keep(new, old, "status");
    next_generation(new, old);
}

fn keep_all_but_status(new: &mut Value, old: &Value) {
    let mut kept = old.clone();
    tree::keep(&mut kept, new, "status");
    if let Some(metadata) = tree::ensure_object(&mut kept, "metadata") {
        tree::keep(metadata, meta::metadata(new), "managedFields");
    }
    *new = kept;
}
