//! Objects between protobuf and JSON, and the encodings that are kept while hot.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, Weak},
};

use bytes::Bytes;
use k8shost_proto::{
    Resource,
    v1::{Namespace, Node, ObjectMeta, Pod, Service},
};
use k8shost_store::log::{Object, Revision};
use k8shost_types::{Error, Reason, apply, meta, tenant::TenantName};
use serde_json::Value;

use crate::registry::{json::without_managed, kind::Kind, write::Created};

/// The two ways between a kind's message and its JSON.
pub(crate) struct Conversion {
    /// A message, as the JSON tree that the registry takes. BadRequest, if it is no such message or
    /// says that it is another tenant's.
    pub(crate) decode: fn(&TenantName, &[u8]) -> Result<Value, Error>,
    /// Stored JSON, as a message that names its tenant.
    encode: fn(&TenantName, &[u8]) -> Result<Vec<u8>, Error>,
    /// The tree of an object without its resourceVersion, which is this.
    encode_tree: fn(&TenantName, Value, Revision) -> Result<Vec<u8>, Error>,
}

impl Conversion {
    const fn of<T: Resource>() -> Self {
        Self {
            decode: decode::<T>,
            encode: encode::<T>,
            encode_tree: encode_tree::<T>,
        }
    }

    /// The conversion of a kind.
    pub(crate) fn for_kind(kind: &Kind) -> &'static Self {
        match &*kind.rules.kind {
            "Pod" => &const { Self::of::<Pod>() },
            "Service" => &const { Self::of::<Service>() },
            "Node" => &const { Self::of::<Node>() },
            "Namespace" => &const { Self::of::<Namespace>() },
            other => {
                unreachable!("{other} has no message: every kind of the gRPC API is named here")
            }
        }
    }
}

fn decode<T: Resource>(tenant: &TenantName, bytes: &[u8]) -> Result<Value, Error> {
    let object = T::decode(bytes)
        .map_err(|e| Error::bad_request(format!("the {} cannot be decoded: {e}", T::KIND)))?;
    if let Some(metadata) = object.metadata() {
        check_tenant("org_id", &metadata.org_id, tenant.org.as_str())?;
        check_tenant("project_id", &metadata.project_id, tenant.project.as_str())?;
    }
    let mut object = to_value(&object, T::KIND)?;
    apply::store_fields(&mut object);
    Ok(object)
}

/// A message as a JSON tree. BadRequest, if it says what JSON cannot.
pub(crate) fn to_value(message: &impl serde::Serialize, what: &str) -> Result<Value, Error> {
    serde_json::to_value(message).map_err(|e| {
        Error::bad_request(format!(
            "the {what} has a value that Kubernetes' JSON cannot say: {e}"
        ))
    })
}

fn check_tenant(field: &str, given: &str, actual: &str) -> Result<(), Error> {
    if given.is_empty() || given == actual {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "metadata.{field}: \"{given}\" is not the tenant of the request (\"{actual}\"): leave it empty"
    )))
}

fn encode<T: Resource>(tenant: &TenantName, json: &[u8]) -> Result<Vec<u8>, Error> {
    let mut object = T::from_json(&without_managed(json)).map_err(unreadable)?;
    name_tenant(&mut object, tenant);
    Ok(object.encode_to_vec())
}

fn encode_tree<T: Resource>(
    tenant: &TenantName,
    mut tree: Value,
    revision: Revision,
) -> Result<Vec<u8>, Error> {
    meta::remove(&mut tree, "managedFields");
    let mut object = T::deserialize(tree).map_err(unreadable)?;
    name_tenant(&mut object, tenant).resource_version = Some(revision.to_string());
    Ok(object.encode_to_vec())
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::new(Reason::Internal, "a stored object cannot be read").with_cause(error)
}

fn name_tenant<'a>(object: &'a mut impl Resource, tenant: &TenantName) -> &'a mut ObjectMeta {
    let metadata = object
        .metadata_mut()
        .get_or_insert_with(ObjectMeta::default);
    tenant.org.as_str().clone_into(&mut metadata.org_id);
    tenant.project.as_str().clone_into(&mut metadata.project_id);
    metadata
}

/// Encodings of objects, made once and kept while hot, within a budget of bytes.
#[derive(Debug)]
pub(crate) struct Encodings {
    budget: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    /// Oldest first. The encoding itself is with its object.
    order: VecDeque<(Weak<Object>, usize)>,
}

impl Encodings {
    /// Keeps this many bytes at most.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            kept: Mutex::default(),
        }
    }

    /// An object's encoding, for its tenant.
    pub(crate) fn get(
        &self,
        tenant: &TenantName,
        kind: &Kind,
        object: &Arc<Object>,
    ) -> Result<Bytes, Error> {
        if let Some(bytes) = object.cached() {
            return Ok(bytes);
        }
        let bytes = self.make(tenant, kind, &object.value)?;
        self.keep(object, bytes.clone());
        Ok(bytes)
    }

    /// An object's encoding for who has just written it: kept only if somebody else wanted it.
    pub(crate) fn once(
        &self,
        tenant: &TenantName,
        kind: &Kind,
        object: &Object,
    ) -> Result<Bytes, Error> {
        object
            .cached()
            .map_or_else(|| self.make(tenant, kind, &object.value), Ok)
    }

    /// The encoding of an object for who has just created it: as [`Encodings::once`].
    pub(crate) fn created(
        &self,
        tenant: &TenantName,
        kind: &Kind,
        created: Created,
    ) -> Result<Bytes, Error> {
        let Created { object, tree } = created;
        match (object.cached(), tree) {
            (Some(bytes), _) => Ok(bytes),
            (None, Some(tree)) => {
                let encode = Conversion::for_kind(kind).encode_tree;
                encode(tenant, tree, object.revision).map(Bytes::from)
            }
            (None, None) => self.make(tenant, kind, &object.value),
        }
    }

    /// The encoding of stored JSON that is sent once.
    pub(crate) fn make(
        &self,
        tenant: &TenantName,
        kind: &Kind,
        json: &[u8],
    ) -> Result<Bytes, Error> {
        (Conversion::for_kind(kind).encode)(tenant, json).map(Bytes::from)
    }

    fn keep(&self, object: &Arc<Object>, bytes: Bytes) {
        let size = bytes.len() + std::mem::size_of::<(Weak<Object>, usize)>();
        let mut kept = crate::lock(&self.kept);
        object.cache(Some(bytes));
        kept.order.push_back((Arc::downgrade(object), size));
        kept.bytes += size;
        while kept.bytes > self.budget
            && let Some((oldest, size)) = kept.order.pop_front()
        {
            kept.bytes -= size;
            if let Some(oldest) = oldest.upgrade() {
                oldest.cache(None);
            }
        }
    }
}
