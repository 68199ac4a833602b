//! Watches: every change after a position, once each, in order. From the tail in memory; else from the
//! log; else the watch is over and says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use futures::FutureExt;
use k8shost_types::{Error, Reason};

use super::apply::{events_of, reset_of};
use super::handle::TenantLog;
use super::hints::Listener;
use super::keys::Revision;
use super::mutation::Mutation;
use super::shared::{Backoff, Shared, expired, lock, store_error};
use super::state::Event;
use super::tail::{Next, TailBatch};
use super::tenant::Tenant;
use crate::kv::KvError;

/// From the log, a watcher reads at most this many batches at once, and about this many bytes.
const BATCHES: usize = 16;
const BYTES: usize = 1 << 20;
/// So many tenants are looked at with one request.
const POLL: usize = 128;

/// What a watcher gets at once: the changes of one batch.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The events, in order.
    pub events: Arc<[Arc<Event>]>,
    /// The watcher's position after them.
    pub revision: Revision,
}

/// Follows a tenant's log. While there is one, the tenant stays in memory.
pub struct Watcher {
    log: TenantLog,
    generation: u64,
    position: Revision,
    /// What was read from the log and not yet returned.
    ahead: VecDeque<TailBatch>,
}

impl Watcher {
    pub(crate) fn new(log: TenantLog, position: Revision) -> Self {
        let tenant = log.inner();
        tenant.shared.stats.watches.add(1);
        if tenant.watchers.fetch_add(1, Ordering::SeqCst) == 0 {
            tenant.shared.poller.add(&tenant.shared, tenant);
        }
        let generation = lock(&tenant.tail).generation;
        Self {
            generation,
            position,
            ahead: VecDeque::new(),
            log,
        }
    }

    /// Everything up to here was returned.
    pub fn revision(&self) -> Revision {
        self.position
    }

    /// Waits until something has happened after the position, and returns it. A delivery without
    /// events moves the position alone. Cancel-safe: nothing is lost if the future is dropped.
    ///
    /// `Expired`: what follows the position is no longer kept, the watcher was too slow, or the
    /// project was deleted. `ResourceVersionTooLarge`: the position is in the future.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        let tenant = self.log.inner().clone();
        loop {
            while let Some(batch) = self.ahead.pop_front() {
                if batch.last > self.position {
                    return self.deliver(&batch);
                }
            }
            // Made before the look, so that nothing that happens after it is missed.
            let moved = tenant.moved.notified();
            let next = lock(&tenant.tail).next(self.generation, self.position);
            match next {
                Next::Batch(batch) => return self.deliver(&batch),
                Next::Over => return Err(expired(self.position)),
                Next::Wait => moved.await,
                Next::Unloaded => tenant.ensure_loaded().await?,
                Next::Behind => self.ahead = self.read_log(&tenant).await?,
                Next::Ahead => {
                    tenant.confirmed().await?;
                    let tail = lock(&tenant.tail);
                    if tail.generation == self.generation && tail.published < self.position {
                        return Err(too_large(self.position, tail.published));
                    }
                }
            }
        }
    }

    fn deliver(&mut self, batch: &TailBatch) -> Result<Delivery, Error> {
        let events = batch.after(self.position);
        let events = events.ok_or_else(|| expired(self.position))?;
        self.position = batch.last;
        Ok(Delivery {
            events,
            revision: batch.last,
        })
    }

    /// Reads batches from the log, beginning with the one that covers the position.
    async fn read_log(&self, tenant: &Arc<Tenant>) -> Result<VecDeque<TailBatch>, Error> {
        let shared = &tenant.shared;
        let wanted = self.wanted(tenant)?;
        let keys: Vec<Bytes> = wanted.iter().map(|w| tenant.id.log_key(w.0)).collect();
        let mut backoff = Backoff::new(shared);
        let found = loop {
            match shared.kv.batch_get(keys.clone()).await {
                Err(KvError::Unknown(_) | KvError::Unavailable(_)) => backoff.wait(shared).await,
                result => break result.map_err(|error| store_error(&error))?,
            }
        };
        // Below the floor may lie what never was history: the floor, read after the batches, tells.
        let floor = if shared.exclusive() || shared.mutated(Mutation::WatchNoFloor) {
            0
        } else {
            self.read_floor(tenant).await?
        };
        let mut batches = VecDeque::new();
        for ((first, last), value) in wanted.into_iter().zip(found) {
            let Some(value) = value.filter(|_| first >= floor) else {
                break;
            };
            let batch = tenant.decode(first, &value)?;
            if batch.last() != last {
                break;
            }
            batches.push_back(TailBatch {
                first,
                last,
                reset: reset_of(&batch),
                events: events_of(&batch).into(),
                bytes: value.len(),
            });
        }
        if batches.is_empty() {
            return Err(expired(self.position));
        }
        Ok(batches)
    }

    /// The first and last revisions of the batches to read.
    fn wanted(&self, tenant: &Tenant) -> Result<Vec<(Revision, Revision)>, Error> {
        let mut inner = tenant.lock();
        let applied = match inner.held(self.generation) {
            Some(held) => &held.applied,
            None => return Err(expired(self.position)),
        };
        let from = applied.partition_point(|batch| batch.last <= self.position);
        let mut bytes = 0;
        let wanted: Vec<_> = applied
            .range(from..)
            .take(BATCHES)
            .take_while(|batch| {
                let before = bytes;
                bytes += batch.bytes;
                before < BYTES
            })
            .map(|batch| (batch.first, batch.last))
            .collect();
        match wanted.first() {
            Some((first, _)) if *first <= self.position + 1 => Ok(wanted),
            _ => Err(expired(self.position)),
        }
    }

    async fn read_floor(&self, tenant: &Tenant) -> Result<Revision, Error> {
        let mut backoff = Backoff::new(&tenant.shared);
        loop {
            match tenant.read_floor().await {
                Ok(floor) => return Ok(floor.floor.revision),
                Err(error) if error.reason == Reason::ServiceUnavailable => {
                    backoff.wait(&tenant.shared).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let tenant = self.log.inner();
        tenant.shared.stats.watches.sub(1);
        if tenant.watchers.fetch_sub(1, Ordering::SeqCst) == 1 {
            tenant.shared.poller.remove(tenant);
        }
    }
}

pub(crate) fn too_large(revision: Revision, newest: Revision) -> Error {
    let message = format!("Timeout: Too large resource version: {revision}, current: {newest}");
    Error::new(Reason::ResourceVersionTooLarge, message)
}

/// Looks for others' commits in the tenants that somebody watches, many with one request.
#[derive(Default)]
pub(crate) struct Poller {
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    tenants: BTreeMap<u64, Weak<Tenant>>,
    running: bool,
}

impl Poller {
    fn add(&self, shared: &Arc<Shared>, tenant: &Arc<Tenant>) {
        if shared.exclusive() {
            return;
        }
        let mut watched = lock(&self.watched);
        let before = watched
            .tenants
            .insert(tenant.number, Arc::downgrade(tenant));
        if let (None, Some(listener)) = (before, shared.listener.get()) {
            listener.watched(&tenant.id, true);
        }
        if !watched.running {
            watched.running = true;
            shared.env.spawn(poll(shared.clone()).boxed());
        }
    }

    fn remove(&self, tenant: &Tenant) {
        // Another watcher may have come meanwhile.
        let mut watched = lock(&self.watched);
        if tenant.watchers.load(Ordering::SeqCst) == 0
            && watched.tenants.remove(&tenant.number).is_some()
            && let Some(listener) = tenant.shared.listener.get()
        {
            listener.watched(&tenant.id, false);
        }
    }

    /// Sets who is told of what is watched, and tells of what is watched already.
    pub(crate) fn listen(&self, shared: &Shared, listener: Arc<dyn Listener>) {
        let watched = lock(&self.watched);
        if shared.listener.set(listener.clone()).is_ok() {
            for tenant in watched.tenants.values().filter_map(Weak::upgrade) {
                listener.watched(&tenant.id, true);
            }
        }
    }

    /// The tenants that are watched. `None`: there are none, and the task ends.
    fn tenants(&self, stopping: bool) -> Option<Vec<Arc<Tenant>>> {
        let mut watched = lock(&self.watched);
        if watched.tenants.is_empty() || stopping {
            watched.running = false;
            return None;
        }
        Some(watched.tenants.values().filter_map(Weak::upgrade).collect())
    }
}

/// The poller's task: runs for as long as something is watched.
async fn poll(shared: Arc<Shared>) {
    loop {
        shared.env.sleep(shared.config.poll_interval).await;
        let stopping = shared.stopping.load(Ordering::Relaxed);
        let Some(tenants) = shared.poller.tenants(stopping) else {
            return;
        };
        for tenants in tenants.chunks(POLL) {
            let looks = tenants.iter().filter_map(|tenant| {
                let look = tenant.peek()?;
                Some(((tenant, look), tenant.id.log_key(look.revision())))
            });
            let (looks, keys): (Vec<_>, Vec<_>) = looks.unzip();
            if keys.is_empty() {
                continue;
            }
            // What can't be looked at now is looked at the next time.
            let found = shared.kv.batch_get(keys).await.unwrap_or_default();
            for ((tenant, look), found) in looks.into_iter().zip(found) {
                tenant.peeked(look, found.is_some());
            }
        }
    }
}
