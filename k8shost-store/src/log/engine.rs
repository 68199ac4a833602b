//! The engine's signatures.

use std::sync::Arc;

use k8shost_types::Error;

use super::{Change, CommitFn, Config, Event, Observer, Revision, Schema, State, TenantId};
use crate::env::Env;
use crate::kv::Kv;

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The revision of the state after the commit, or of the state that it changes nothing in.
    pub state_revision: Revision,
    /// Its changes; empty if nothing changed.
    pub events: Vec<Arc<Event>>,
}

/// What a watcher gets at once.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The events, in order.
    pub events: Arc<[Arc<Event>]>,
    /// The watcher's position after them.
    pub revision: Revision,
}

/// All tenants.
#[derive(Clone)]
pub struct Engine(Arc<(Arc<dyn Kv>, Arc<dyn Env>, Arc<dyn Schema>, Config)>);

impl Engine {
    /// An engine over a store.
    pub fn new(
        kv: Arc<dyn Kv>,
        env: Arc<dyn Env>,
        schema: Arc<dyn Schema>,
        config: Config,
    ) -> Self {
        Self(Arc::new((kv, env, schema, config)))
    }

    /// Who is told of what the engine does. Set once, before the engine is used.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        drop(observer);
    }

    /// The tenant's log, loaded and alive; see STORE_API.
    pub async fn tenant(&self, id: &TenantId) -> Result<TenantLog, Error> {
        panic!("not yet: {id} {}", self.0.3.batch_bytes)
    }

    /// Appends a close, for a project that [`Schema::project`] no longer finds.
    pub async fn close(&self, id: &TenantId) -> Result<(), Error> {
        panic!("not yet: {id}")
    }

    /// Accepts the state of a tenant whose digest differs, as it was found.
    pub async fn accept(&self, id: &TenantId) -> Result<(), Error> {
        panic!("not yet: {id}")
    }

    /// Ends the background work, and writes projections within a bound.
    pub async fn shutdown(&self) {}
}

/// A handle to a tenant: while one is held, the tenant stays in memory.
#[derive(Clone)]
pub struct TenantLog(Arc<()>);

impl TenantLog {
    /// Whose log it is.
    pub fn id(&self) -> &TenantId {
        panic!("not yet {:?}", self.0)
    }

    /// Commits. Dropped before it is answered, the outcome is unknown.
    pub async fn commit(&self, f: CommitFn) -> Result<Committed, Error> {
        let _: Option<Change> = None;
        drop(f);
        panic!("not yet")
    }

    /// A consistent read.
    pub async fn read(&self) -> Result<State, Error> {
        panic!("not yet")
    }

    /// What is proved and in memory: `resourceVersion=0`.
    pub fn cached(&self) -> Result<State, Error> {
        panic!("not yet")
    }

    /// A state not older than `revision`.
    pub async fn at_least(&self, revision: Revision) -> Result<State, Error> {
        panic!("not yet {revision}")
    }

    /// The state at exactly this revision, if it was kept.
    pub async fn snapshot(&self, revision: Revision) -> Option<State> {
        panic!("not yet {revision}")
    }

    /// Keeps a state for [`TenantLog::snapshot`].
    pub fn keep_snapshot(&self, state: &State) {
        panic!("not yet {state:?}")
    }

    /// Everything after `from`.
    pub fn watch(&self, from: Revision) -> Watcher {
        Watcher(from)
    }

    /// A peer committed this revision.
    pub fn hint(&self, revision: Revision) {
        panic!("not yet {revision}")
    }
}

/// Follows a tenant's log.
pub struct Watcher(Revision);

impl Watcher {
    /// Waits for what comes after the position. Cancel-safe.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        panic!("not yet")
    }

    /// Everything up to here was returned.
    pub fn revision(&self) -> Revision {
        self.0
    }
}
