//! The OpenAPI documents of the API: made of the rows of kinds and the schemas alone, so that custom kinds are told
//! of as built-in ones are.
//!
//! Paths, operations and schemas are named as Kubernetes names them, since clients and generators go by the names.
//! Descriptions are left out: the schemas have none.

mod gnostic;
mod operations;
mod render;
mod routes;
mod schemas;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    kinds::{Kind, group_version},
    schema::Schemas,
};

use operations::Item;
use render::Dialect;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// The protobuf messages of gnostic's `OpenAPIv2.proto` and `OpenAPIv3.proto`, which Kubernetes' clients ask for
    /// as `application/com.github.proto-openapi.spec.v2.v1.0+protobuf` (of v2; of v3 accordingly) and, of old, with
    /// an `@` before the `v1.0`.
    Protobuf,
}

/// The documents of some kinds.
///
/// Nothing is kept: each call makes a document, the same bytes each time. That of a group version takes some
/// milliseconds, that of version 2, which tells of everything, some tens.
#[derive(Clone, Debug)]
pub struct Documents<'a> {
    kinds: Vec<&'a Kind>,
    schemas: Vec<&'a Schemas>,
    version: &'a str,
}

impl<'a> Documents<'a> {
    /// The documents of these kinds. A kind's schema is the first that one of these tables has of its group, version
    /// and kind; what none has is looked up in [`builtin`](crate::schema::builtin), and may be anything if it is not
    /// there either. `version` is the version of the API, `v1.35.4`.
    pub fn new(
        kinds: impl IntoIterator<Item = &'a Kind>,
        schemas: impl IntoIterator<Item = &'a Schemas>,
        version: &'a str,
    ) -> Self {
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|kind| (&kind.group, &kind.version, &kind.plural));
        Self {
            kinds,
            schemas: schemas.into_iter().collect(),
            version,
        }
    }

    /// The names of the documents of version 3, which are the paths below `/openapi/v3` too, sorted: `api`, `api/v1`,
    /// `apis`, `apis/apps`, `apis/apps/v1`, `version`…
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = ["api", "apis", "version"].map(str::to_owned).into();
        for kind in &self.kinds {
            if !kind.group.is_empty() {
                names.insert(format!("apis/{}", kind.group));
            }
            names.insert(root(&kind.group, &kind.version));
        }
        names
    }

    /// The document of version 3 with this name; `None` if there is none.
    pub fn v3(&self, name: &str, format: Format) -> Option<Vec<u8>> {
        let known = self.names().contains(name);
        known.then(|| {
            let items = self.items(name);
            render::document(Dialect::V3, format, self.version, [items])
        })
    }

    /// The document of version 2, which tells of everything.
    pub fn v2(&self, format: Format) -> Vec<u8> {
        let names = self.names();
        let items = names.iter().map(|name| self.items(name));
        render::document(Dialect::V2, format, self.version, items)
    }

    /// The paths of the document with this name.
    fn items(&self, name: &str) -> Vec<Item<'a>> {
        let is_of = |kind: &&Kind| root(&kind.group, &kind.version) == name;
        let kinds: Vec<&Kind> = self.kinds.iter().copied().filter(is_of).collect();
        if kinds.is_empty() {
            vec![routes::discovery(name)]
        } else {
            routes::of_version(name, &kinds, &self.schemas)
        }
    }
}

/// `/openapi/v3`: where the documents are, of their names and hashes.
pub fn index<'h>(hashes: impl IntoIterator<Item = (&'h str, &'h str)>) -> Value {
    let paths: Map<String, Value> = hashes
        .into_iter()
        .map(|(name, hash)| {
            let url = format!("/openapi/v3/{name}?hash={hash}");
            (name.to_owned(), json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// What tells a document from others and from earlier ones, in an index and as an ETag (in quotes there): 32
/// hexadecimal digits. Kubernetes takes the hash of the JSON for the protobuf form too.
pub fn hash(document: &[u8]) -> String {
    format!("{:032X}", xxhash_rust::xxh3::xxh3_128(document))
}

/// Where a group version is: `api/v1`, `apis/apps/v1`.
fn root(group: &str, version: &str) -> String {
    let prefix = if group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", group_version(group, version))
}
