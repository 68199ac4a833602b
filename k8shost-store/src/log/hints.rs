//! Hints: servers over one store tell one another of their commits, so that watches need not wait for
//! the poll. A hint only ever has the log looked at sooner; one that is lost or wrong does no harm.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::engine::Engine;
use super::handle::TenantLog;
use super::keys::{Revision, TenantId};

/// Told of what other servers are to be told. Called while a tenant is locked, and not to wait or to
/// call the engine.
pub trait Listener: Send + Sync + 'static {
    /// This server has committed, up to this revision. The callers have their answers.
    fn committed(&self, tenant: &TenantId, revision: Revision);

    /// Somebody watches the tenant through this server now; or nobody does any longer.
    fn watched(&self, tenant: &TenantId, watched: bool);
}

impl Engine {
    /// Sets who is told of commits and watches; at once of what is watched already. The first one to
    /// be set stays. With a store that one process has, there is nobody to pass it on to, and nothing
    /// is told.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        let shared = self.shared();
        if !shared.exclusive() {
            shared.poller.listen(shared, listener);
        }
    }

    /// Another server says that it has committed up to this revision. If the tenant is watched here and
    /// this is news, its log is looked at now, as the poll would do later; else nothing happens.
    pub fn hint(&self, tenant: &TenantId, revision: Revision) {
        let watched = self.0.tenants.find(tenant, |tenant| {
            let watched = tenant.watchers.load(Ordering::SeqCst) > 0;
            // The handle keeps it in memory while it is looked at.
            watched.then(|| TenantLog::new(tenant.clone(), self.0.clone()))
        });
        if let Some(log) = watched.flatten() {
            log.hint(revision);
        }
    }

    /// The end of a tenant's log as far as this server knows, if the tenant is in memory.
    pub fn known(&self, tenant: &TenantId) -> Option<Revision> {
        let found = self.0.tenants.find(tenant, Arc::clone);
        found.and_then(|tenant| tenant.known())
    }
}
