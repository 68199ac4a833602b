//! What the engine asks of the layer above: values are read, and the system tenant says which projects
//! there are.

use std::sync::{Mutex, PoisonError};

use std::sync::Arc;

use futures::future::BoxFuture;
use k8shost_store::log::{Attributes, Change, Engine, Revision, Schema, TenantId};
use k8shost_types::Error;

use crate::names::{Names, attributes, object, parse_uid, uid};
use crate::object::{Obj, born, keys, project_slot};

/// The schema of one start of one server.
pub(crate) struct SimSchema {
    pub(crate) names: Arc<Names>,
    /// The engine that it belongs to, through which it reads the system tenant.
    engine: Mutex<Option<Engine>>,
}

impl SimSchema {
    pub(crate) fn new(names: Arc<Names>) -> Self {
        Self {
            names,
            engine: Mutex::new(None),
        }
    }

    /// The engine holds the schema and the schema the engine, until this is taken back.
    pub(crate) fn set_engine(&self, engine: Option<Engine>) {
        let old = std::mem::replace(
            &mut *self.engine.lock().unwrap_or_else(PoisonError::into_inner),
            engine,
        );
        drop(old);
    }

    fn engine(&self) -> Option<Engine> {
        self.engine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Schema for SimSchema {
    fn read(&self, _key: &str, value: &[u8]) -> Result<(Revision, Attributes), String> {
        let object = Obj::parse(value).ok_or("a foreign value")?;
        Ok((object.revision, attributes(&object)))
    }

    fn project(&self, tenant: &TenantId) -> BoxFuture<'_, Result<Option<String>, Error>> {
        let index = self.names.tenant(tenant);
        Box::pin(async move {
            let (Some(engine), Some(index @ 1..)) = (self.engine(), index) else {
                return Ok(None);
            };
            let system = engine.tenant(&self.names.tenants[0]).await?;
            let state = system.read().await?;
            let found = state.get(keys(0)[project_slot(index)]);
            let found = found.map(|found| object(found)).transpose();
            let found =
                found.map_err(|error| Error::new(k8shost_types::Reason::Internal, error))?;
            Ok(found
                .filter(|project| !project.marked)
                .map(|project| uid(project.uid)))
        })
    }

    fn born(&self, tenant: &TenantId, uid: &str, first: Revision) -> Vec<Change> {
        let Some(index) = self.names.tenant(tenant) else {
            return Vec::new();
        };
        let uid = parse_uid(uid).unwrap_or(0);
        let changes = born(uid, first).into_iter();
        changes
            .map(|change| self.names.change(index, change))
            .collect()
    }
}
