//! All tenants of a server: finding the one that is asked for, and forgetting those that nobody uses.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use k8shost_types::{Error, Reason};
use xxhash_rust::xxh3::Xxh3Builder;

use super::handle::TenantLog;
use super::keys::TenantId;
use super::schedule;
use super::shared::{Shared, lock};
use super::stats::{Lag, Observer, Stats};
use super::tenant::Tenant;
use super::{Config, Schema};
use crate::env::Env;
use crate::kv::Kv;

/// The tenants in memory are spread over this many locks.
const SHARDS: usize = 16;
/// At the end, so many tenants are worked on at once.
const AT_ONCE: usize = 64;
/// At the end, how often is looked whether a tenant has come to rest.
const LOOK: Duration = Duration::from_millis(5);

/// All tenants over one store. A clone is the same engine.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Core>);

/// What an engine is: it ends when neither it nor a handle to a tenant is held any longer.
pub(crate) struct Core {
    shared: Arc<Shared>,
    pub(super) tenants: Arc<Tenants>,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.shared.scheduler.stop();
    }
}

type Shard = Mutex<HashMap<TenantId, Arc<Tenant>, Xxh3Builder>>;

/// The tenants in memory.
#[derive(Default)]
pub(crate) struct Tenants {
    shards: [Shard; SHARDS],
    numbers: AtomicU64,
    hasher: Xxh3Builder,
}

impl Tenants {
    fn shard(&self, id: &TenantId) -> &Shard {
        let hash = self.hasher.hash_one(id);
        // The map in the shard goes by the lower bits.
        let at = (hash >> 32) as usize % SHARDS;
        &self.shards[at]
    }

    /// Drops a tenant from memory, if nobody uses it and nothing is lost.
    pub(crate) fn forget(&self, tenant: &Arc<Tenant>) -> bool {
        let mut shard = lock(self.shard(&tenant.id));
        // Work that was under way when it was forgotten comes to its end here once more, when another
        // may have taken its place.
        if !shard
            .get(&tenant.id)
            .is_some_and(|t| Arc::ptr_eq(t, tenant))
        {
            return true;
        }
        // A handle is only ever made with the shard locked, or from another handle.
        if !tenant.is_idle() {
            return false;
        }
        shard.remove(&tenant.id);
        if shard.len() < shard.capacity() / 4 {
            shard.shrink_to_fit();
        }
        drop(shard);
        tenant.forgotten();
        true
    }

    /// A tenant, if it is in memory.
    pub(crate) fn find<T>(&self, id: &TenantId, f: impl FnOnce(&Arc<Tenant>) -> T) -> Option<T> {
        lock(self.shard(id)).get(id).map(f)
    }

    fn all(&self) -> Vec<Arc<Tenant>> {
        let each = |shard: &Shard| lock(shard).values().cloned().collect::<Vec<_>>();
        let mut all: Vec<_> = self.shards.iter().flat_map(each).collect();
        all.sort_unstable_by_key(|tenant| tenant.number);
        all
    }
}

impl Engine {
    /// An engine over a store.
    pub fn new(
        kv: Arc<dyn Kv>,
        env: Arc<dyn Env>,
        schema: Arc<dyn Schema>,
        config: Config,
    ) -> Self {
        let shared = Arc::new(Shared::new(kv, env, schema, config));
        let tenants = Arc::new(Tenants::default());
        let background = schedule::run(shared.clone(), Arc::downgrade(&tenants));
        shared.env.spawn(background.boxed());
        Self(Arc::new(Core { shared, tenants }))
    }

    /// Who is told of what the engine does. The first one to be set stays.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.0.shared.observe(observer);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// What the engine has done, and has in hand.
    pub fn stats(&self) -> &Stats {
        &self.0.shared.stats
    }

    /// How late background work is. Looks at each tenant in memory.
    pub fn lag(&self) -> Lag {
        let each = self.0.tenants.all().into_iter().map(|tenant| tenant.lag());
        each.fold(Lag::default(), |most, lag| Lag {
            projection: most.projection.max(lag.projection),
            truncation: most.truncation.max(lag.truncation),
        })
    }

    /// The tenants that were found to be damaged and are read-only for it, and what is wrong.
    pub fn damaged(&self) -> Vec<(TenantId, String)> {
        self.0.shared.damaged()
    }

    /// A handle to a tenant, which is in memory from now on; though not loaded, if it was not.
    fn handle(&self, id: &TenantId) -> TenantLog {
        let Core { shared, tenants } = &*self.0;
        let mut shard = lock(tenants.shard(id));
        if let Some(tenant) = shard.get(id) {
            return TenantLog::new(tenant.clone(), self.0.clone());
        }
        let number = tenants.numbers.fetch_add(1, Ordering::Relaxed);
        let tenant = Arc::new(Tenant::new(id.clone(), number, shared.clone()));
        shard.insert(id.clone(), tenant.clone());
        TenantLog::new(tenant, self.0.clone())
    }

    /// A tenant's log, loaded and alive. Loads the tenant, and commits its birth, where needed; in
    /// memory it is found without waiting.
    ///
    /// `NotFound`: there is no such project, or it is being deleted.
    pub async fn tenant(&self, id: &TenantId) -> Result<TenantLog, Error> {
        let Core { shared, tenants } = &*self.0;
        let log = self.handle(id);
        if log.inner().live.load(Ordering::Acquire) {
            return Ok(log);
        }
        shared.check_running()?;
        match log.inner().ensure_alive().await {
            Ok(()) => Ok(log),
            Err(error) => {
                if error.reason == Reason::NotFound {
                    // Names that somebody tries out are not to fill the memory.
                    let tenant = log.inner().clone();
                    drop(log);
                    tenant.used.store(false, Ordering::SeqCst);
                    tenants.forget(&tenant);
                }
                Err(error)
            }
        }
    }

    /// Appends a close to a tenant's log, always: also to one that is empty, or closed already. For a
    /// project that is marked as terminating, or gone; `Conflict` if [`Schema::project`] finds it.
    ///
    /// The project's object may go when this was done, and not before.
    pub async fn close(&self, id: &TenantId) -> Result<(), Error> {
        if id.is_system() {
            let message = "the system tenant can't be closed";
            return Err(Error::new(Reason::Forbidden, message));
        }
        let log = self.handle(id);
        log.inner().close().await
    }

    /// An operator accepts the state of a tenant, as it was found, although its digest differs. From
    /// then on it is served like any other. Nothing is done if the tenant is not damaged.
    pub async fn accept(&self, id: &TenantId) -> Result<(), Error> {
        let log = self.handle(id);
        log.inner().ensure_loaded().await?;
        log.inner().accept().await
    }

    /// Takes no more commits, lets those that wait come to their end, writes projections, and ends
    /// the background work; all within [`Config::shutdown_timeout`].
    pub async fn shutdown(&self) {
        let Core { shared, tenants } = &*self.0;
        shared.stopping.store(true, Ordering::Relaxed);
        let flush = stream::iter(tenants.all()).for_each_concurrent(AT_ONCE, async |tenant| {
            while tenant.is_writing() {
                shared.env.sleep(LOOK).await;
            }
            tenant.flush().await;
        });
        tokio::select! {
            biased;
            () = flush => {}
            () = shared.env.sleep(shared.config.shutdown_timeout) => {
                tracing::warn!("stopped before all projections were written");
            }
        }
        shared.scheduler.stop();
    }
}
