//! The two ways of speaking to a server. Scenarios are written once, over `Api`.

mod grpc;
mod rest;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    client::{Call, Chunks, Endpoint},
    template::{Pods, Tenant},
};

pub(crate) use grpc::{call, template};

/// What is sent for a wish, and how its answer is read.
pub(crate) trait Api: Send + Sync {
    /// Calls on the pods of a namespace; no tenant is the endpoint's own.
    fn pods(&self, tenant: Option<&Tenant>, namespace: &str) -> anyhow::Result<Pods>;
    /// Creates a namespace.
    fn create_namespace(&self, name: &str) -> Call;
    /// Gets a namespace.
    fn get_namespace(&self, name: &str) -> Call;
    /// Deletes a namespace.
    fn delete_namespace(&self, name: &str) -> Call;
    /// Lists pods, of all namespaces if none is named; a limit of 0 means one answer.
    fn list(&self, namespace: &str, limit: i64, token: &str) -> Call;
    /// Reads the answer of a list.
    fn page(&self, answer: Chunks) -> anyhow::Result<Page>;
    /// Watches the pods of a namespace after a resourceVersion.
    fn watch(&self, namespace: &str, resource_version: &str) -> Call;
    /// Reads an event of a watch; an error, unless it says that a pod was added.
    fn added(&self, message: Bytes) -> anyhow::Result<Added>;
    /// The length of a pod's JSON, of the answer to a get; an error, unless it is bound to a node.
    fn stored(&self, answer: Chunks) -> anyhow::Result<usize>;
    /// Asks whether the server serves; and what it answers if so.
    fn health(&self) -> (Call, &'static [u8]);
}

/// REST at an endpoint, or gRPC.
pub(crate) fn of(rest: bool, endpoint: &Endpoint) -> Arc<dyn Api> {
    if rest {
        Arc::new(rest::Rest::new(&endpoint.root))
    } else {
        Arc::new(grpc::Grpc)
    }
}

/// What is read of a list's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many items it has.
    pub(crate) items: usize,
    /// Empty, unless there are more.
    pub(crate) continue_token: String,
    pub(crate) resource_version: String,
}

/// What is read of an event: which pod, and when.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) index: u64,
    pub(crate) resource_version: u64,
}
