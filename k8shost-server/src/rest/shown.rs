//! Objects in the form that a caller asked for.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, StatusCode};
use k8shost_types::{
    Error, Reason, Strategy, apply, meta, protobuf,
    schema::Type,
    table::{self, Include, Version},
};
use serde_json::{Value, json};
use tonic::body::Body;

use super::{
    answer::{self, Encoding, Form},
    list,
    objects::no_schema,
};
use crate::registry::{
    json::{self as stored, parse},
    kind::{KindRef, View},
    list::Page,
};

/// In which form objects are shown.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) form: Form,
    pub(super) encoding: Encoding,
    /// Of a table's rows.
    pub(super) include: Include,
    /// What is stored.
    pub(super) kind: KindRef,
    /// In which version, if that is not the stored one.
    pub(super) view: Option<&'static View>,
}

impl Shown {
    /// The rules of the version that is shown.
    pub(super) fn rules(&self) -> &Strategy {
        self.kind.rules_in(self.view)
    }

    /// What objects of that version look like.
    pub(super) fn schema(&self) -> Result<Type<'_>, Error> {
        let rules = self.rules();
        rules.schema().ok_or_else(|| no_schema(&rules.kind))
    }

    /// Whether objects are shown in JSON, whole and in the version in which they are stored.
    pub(super) fn is_plain(&self) -> bool {
        self.form == Form::Object && self.encoding == Encoding::Json && self.view.is_none()
    }

    /// A stored object as a tree, with all that callers see.
    pub(super) fn tree(&self, object: &[u8]) -> Result<Value, Error> {
        let mut tree = parse(object)?;
        if let Some(view) = self.view {
            (view.show)(&mut tree);
            if view.is_part {
                meta::remove(&mut tree, "managedFields");
            }
        }
        apply::expand_fields(&mut tree);
        Ok(tree)
    }

    /// A stored object.
    pub(super) fn object(&self, object: &Bytes) -> Result<Bytes, Error> {
        if self.encoding == Encoding::Protobuf {
            return self.message(object);
        }
        Ok(match (self.form, self.view) {
            (Form::Object, None) => stored::shown(object),
            (Form::Object, Some(_)) => answer::bytes(&self.tree(object)?),
            (Form::Metadata(version), _) => {
                answer::bytes(&table::partial_metadata(&self.tree(object)?, version))
            }
            (Form::Table(version), _) => {
                let object = self.tree(object)?;
                answer::bytes(&self.table(version, &object["metadata"], [&object], false))
            }
        })
    }

    /// A stored object as a message.
    fn message(&self, object: &Bytes) -> Result<Bytes, Error> {
        let rules = self.rules();
        let message = match (self.form, self.view) {
            (Form::Metadata(version), _) => {
                protobuf::encode(&table::partial_metadata(&self.tree(object)?, version))
            }
            (_, None) => protobuf::Kind::of(&rules.api_version, &rules.kind)
                .and_then(|kind| kind.encode_json(&stored::shown(object))),
            (_, Some(_)) => protobuf::encode(&self.tree(object)?),
        };
        message.map(Bytes::from).map_err(|error| unsayable(&error))
    }

    /// A list as a message.
    fn messages(&self, page: &Page) -> Result<Bytes, Error> {
        let rules = self.rules();
        let room = page.items.iter().map(|object| object.value.len()).sum();
        let metadata = metadata(page);
        let kind = format!("{}List", rules.kind);
        let (api_version, kind) = match self.form {
            Form::Metadata(_) => ("meta.k8s.io/v1", "PartialObjectMetadataList"),
            Form::Object | Form::Table(_) => (&*rules.api_version, kind.as_str()),
        };
        let list = protobuf::List::new(api_version, kind, &metadata, room);
        let mut list = list.map_err(|error| unsayable(&error))?;
        for object in &page.items {
            let pushed = match self.view {
                None => list.push_json(&stored::shown(&object.value)),
                Some(_) => list.push(&self.tree(&object.value)?),
            };
            pushed.map_err(|error| unsayable(&error))?;
        }
        Ok(list.finish().concat().into())
    }

    /// The Table of objects, with its columns or, where they are known, without.
    pub(super) fn table<'o>(
        &self,
        version: Version,
        metadata: &Value,
        objects: impl IntoIterator<Item = &'o Value>,
        no_headers: bool,
    ) -> Value {
        let options = table::Options {
            version,
            include: self.include,
            no_headers,
        };
        table::render(
            self.rules().printer(),
            metadata,
            objects,
            &options,
            SystemTime::now(),
        )
    }

    /// A list.
    pub(super) fn list(&self, page: Page) -> Result<Response<Body>, Error> {
        if self.is_plain() {
            return Ok(list::answer(&self.kind.rules, &metadata(&page), page.items));
        }
        let body = match self.encoding {
            Encoding::Protobuf => self.messages(&page)?,
            Encoding::Json | Encoding::Yaml => self.made(&page)?,
        };
        Ok(answer::typed(StatusCode::OK, self.encoding.media(), body))
    }

    /// A list in JSON that is made of trees.
    fn made(&self, page: &Page) -> Result<Bytes, Error> {
        let metadata = metadata(page);
        let trees = page.items.iter().map(|object| self.tree(&object.value));
        let items = trees.collect::<Result<Vec<_>, _>>()?;
        Ok(answer::bytes(&match self.form {
            Form::Object => self.whole(&metadata, items),
            Form::Metadata(version) => table::partial_metadata_list(&metadata, &items, version),
            Form::Table(version) => self.table(version, &metadata, &items, false),
        }))
    }

    /// The list of these objects, which go without their type in it.
    pub(super) fn whole(&self, metadata: &Value, mut items: Vec<Value>) -> Value {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.remove("kind");
            item.remove("apiVersion");
        }
        let rules = self.rules();
        json!({
            "kind": format!("{}List", rules.kind),
            "apiVersion": rules.api_version,
            "metadata": metadata,
            "items": items,
        })
    }
}

/// An answer that is made for its caller and not stored.
pub(super) fn written(
    status: StatusCode,
    encoding: Encoding,
    object: &Value,
) -> Result<Response<Body>, Error> {
    let body = match encoding {
        Encoding::Protobuf => protobuf::encode(object)
            .map(Bytes::from)
            .map_err(|error| unsayable(&error))?,
        Encoding::Json | Encoding::Yaml => answer::bytes(object),
    };
    Ok(answer::typed(status, encoding.media(), body))
}

/// A stored object that cannot be said in protobuf.
pub(super) fn unsayable(error: &protobuf::Error) -> Error {
    Error::new(
        Reason::Internal,
        format!("the object cannot be written as protobuf: {error}"),
    )
}

/// The metadata of a list.
fn metadata(page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if !page.continue_token.is_empty() {
        metadata["continue"] = json!(page.continue_token);
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    metadata
}
