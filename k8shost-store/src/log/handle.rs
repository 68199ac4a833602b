//! The handle to one tenant's log, which the layer above works with.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use k8shost_types::{Error, Reason};

use super::CommitFn;
use super::engine::Core;
use super::keys::{Revision, TenantId};
use super::mutation::Mutation;
use super::shared::no_project;
use super::state::{Event, State};
use super::tenant::{Kept, Reply, Tenant, Work};
use super::watch::Watcher;

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The revision of the state after the commit; or of the one in which it changes nothing.
    pub state_revision: Revision,
    /// Its changes, in order; empty if nothing changed.
    pub events: Vec<Arc<Event>>,
}

/// A handle to a tenant's log. While one is held, the tenant stays in memory, and the engine runs.
pub struct TenantLog(Arc<Tenant>, Arc<Core>);

impl Clone for TenantLog {
    fn clone(&self) -> Self {
        Self::new(self.0.clone(), self.1.clone())
    }
}

impl Drop for TenantLog {
    fn drop(&mut self) {
        if self.0.handles.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.released();
        }
    }
}

impl TenantLog {
    pub(crate) fn new(tenant: Arc<Tenant>, core: Arc<Core>) -> Self {
        tenant.handles.fetch_add(1, Ordering::SeqCst);
        tenant.used.store(true, Ordering::Relaxed);
        Self(tenant, core)
    }

    pub(crate) fn inner(&self) -> &Arc<Tenant> {
        &self.0
    }

    /// Whose log it is.
    pub fn id(&self) -> &TenantId {
        &self.0.id
    }

    /// True for the first to ask since the tenant came into memory: whoever goes on with what a stop
    /// has cut short begins here.
    pub fn first_use(&self) -> bool {
        !self.0.greeted.load(Ordering::Relaxed) && !self.0.greeted.swap(true, Ordering::Relaxed)
    }

    /// Commits: runs `f` against the state, and writes the changes that it asks for.
    ///
    /// `Timeout`: the outcome is unknown, as it is if the future is dropped. Any other error, of `f`
    /// or of the log: nothing was changed.
    pub async fn commit(&self, f: CommitFn) -> Result<Committed, Error> {
        let mut work = Work::Commit(f);
        loop {
            match self.0.submit(work).await {
                Reply::Done(committed) => return Ok(committed),
                Reply::Refused(error) => return Err(error),
                Reply::Closed(f) => {
                    // The project may have been made again under the same name.
                    self.0.ensure_alive().await?;
                    work = Work::Commit(f);
                }
                Reply::Moved => return Err(Error::new(Reason::Conflict, "the state has moved")),
            }
        }
    }

    /// The state, not older than this call. Where one process has the store this does not wait.
    pub async fn read(&self) -> Result<State, Error> {
        if self.0.shared.mutated(Mutation::NoBarrier) && self.cached().is_ok() {
            return self.cached();
        }
        loop {
            let state = self.0.confirmed().await?;
            if state.is_alive() {
                return Ok(state);
            }
            self.0.ensure_alive().await?;
        }
    }

    /// The state that is in memory, however old: what `resourceVersion=0` asks for.
    pub fn cached(&self) -> Result<State, Error> {
        match self.0.cached() {
            Some(state) if state.is_alive() => Ok(state),
            Some(_) => Err(no_project(self.id())),
            None => {
                let message = "the project is being loaded";
                Err(Error::new(Reason::ServiceUnavailable, message))
            }
        }
    }

    /// A state that is not older than `revision`. `ResourceVersionTooLarge` if there is none yet.
    pub async fn at_least(&self, revision: Revision) -> Result<State, Error> {
        if let Ok(state) = self.cached()
            && state.revision() >= revision
        {
            return Ok(state);
        }
        let state = self.read().await?;
        if state.revision() < revision {
            return Err(super::watch::too_large(revision, state.revision()));
        }
        Ok(state)
    }

    /// The state at exactly this revision, if it is the current one or was kept.
    pub async fn snapshot(&self, revision: Revision) -> Option<State> {
        if let Ok(state) = self.cached()
            && state.revision() == revision
        {
            return Some(state);
        }
        self.0.drop_snapshots();
        let inner = self.0.lock();
        let kept = inner.snapshots.iter();
        kept.map(|kept| &kept.state)
            .find(|state| state.revision() == revision)
            .cloned()
    }

    /// Keeps a state for [`TenantLog::snapshot`], for the retention and within bounds.
    pub fn keep_snapshot(&self, state: &State) {
        let shared = &self.0.shared;
        let until = shared.env.now() + shared.config.retention;
        let first = {
            let mut inner = self.0.lock();
            let kept = inner.snapshots.iter();
            if kept
                .rev()
                .any(|kept| kept.state.revision() == state.revision())
            {
                return;
            }
            let bytes = inner.published_bytes;
            inner.snapshots.push_back(Kept {
                state: state.clone(),
                until,
                bytes,
            });
            inner.snapshots.len() == 1
        };
        self.0.drop_snapshots();
        if first {
            shared.scheduler.schedule(&self.0, until);
        }
    }

    /// Everything after `from`.
    pub fn watch(&self, from: Revision) -> Watcher {
        Watcher::new(self.clone(), from)
    }

    /// A peer says that it has committed this revision. Only ever a hint: it is never trusted, and has
    /// the log looked at once, if it is news.
    pub fn hint(&self, revision: Revision) {
        if self.0.known().is_some_and(|known| known < revision) {
            self.0.shared.stats.hints.add(1);
            self.0.poll();
        }
    }
}

impl Tenant {
    /// Sees to it that the tenant is alive: if it is not, and the project exists, it is born.
    ///
    /// A birth is built only on a state that was confirmed before the system tenant was asked, and
    /// is appended right behind it: else both again.
    pub(crate) async fn ensure_alive(self: &Arc<Self>) -> Result<(), Error> {
        loop {
            let state = self.confirmed().await?;
            if state.is_alive() {
                return Ok(());
            }
            let Some(uid) = self.shared.schema.project(&self.id).await? else {
                return Err(no_project(&self.id));
            };
            let at = state.revision();
            match self.submit(Work::Birth { uid, at }).await {
                Reply::Done(_) => return Ok(()),
                Reply::Refused(error) if error.reason == Reason::Timeout => {}
                Reply::Refused(error) => return Err(error),
                Reply::Moved | Reply::Closed(_) => {}
            }
        }
    }

    /// Appends a close. As with a birth, nothing may come between the state that was confirmed, the
    /// system tenant's word that the project is at its end, and the close.
    pub(crate) async fn close(self: &Arc<Self>) -> Result<(), Error> {
        loop {
            let state = self.confirmed().await?;
            if self.shared.schema.project(&self.id).await?.is_some() {
                let message = format!("project {} is not terminating", self.id);
                return Err(Error::new(Reason::Conflict, message));
            }
            let at = state.revision();
            match self.submit(Work::Close { at }).await {
                Reply::Done(_) => return Ok(()),
                Reply::Refused(error) if error.reason == Reason::Timeout => {}
                Reply::Refused(error) => return Err(error),
                Reply::Moved | Reply::Closed(_) => {}
            }
        }
    }

    /// Accepts the state as it was found.
    pub(crate) async fn accept(self: &Arc<Self>) -> Result<(), Error> {
        match self.submit(Work::Accept).await {
            Reply::Done(_) => Ok(()),
            Reply::Refused(error) => Err(error),
            Reply::Moved | Reply::Closed(_) => {
                Err(Error::new(Reason::Conflict, "the state has moved"))
            }
        }
    }

    /// Forgets snapshots that were kept long enough, or that there is no room for.
    pub(crate) fn drop_snapshots(&self) {
        let now = self.shared.env.now();
        let config = &self.shared.config;
        let mut dropped = Vec::new();
        {
            let mut inner = self.lock();
            let most = inner
                .published_bytes
                .saturating_sub(config.retention_bytes as u64);
            while let Some(oldest) = inner.snapshots.front()
                // What was published since is about what it holds on to.
                && (oldest.until <= now
                    || oldest.bytes < most
                    || inner.snapshots.len() > config.snapshots)
            {
                dropped.extend(inner.snapshots.pop_front());
            }
        }
        drop(dropped);
    }

    /// Whether commits wait or are being appended.
    pub(crate) fn is_writing(&self) -> bool {
        let inner = self.lock();
        inner.writing || !inner.queue.is_empty()
    }

    /// Writes the projections that are out of date.
    pub(crate) async fn flush(self: &Arc<Self>) {
        let generation = self.lock().generation;
        self.project(generation).await;
    }

    /// The tenant is no longer in memory: what it has of the server's budget is free.
    pub(crate) fn forgotten(&self) {
        self.shared.scheduler.cancel(self);
        let generation = self.lock().generation + 1;
        let figure = &self.shared.stats.tail_bytes;
        let tails = &self.shared.tails;
        tails.reset(&self.tail, generation, None, figure);
    }
}
