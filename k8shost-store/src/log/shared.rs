//! What all tenants of an engine share: the store, the world, the configuration, and the bounds that
//! hold for the whole server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use k8shost_types::{Error, Reason};

use super::hints::Listener;
use super::keys::{Revision, TenantId};
use super::mutation::Mutation;
use super::schedule::Scheduler;
use super::stats::{Observer, Stats};
use super::tail::TailBudget;
use super::watch::Poller;
use super::{Config, Schema};
use crate::env::Env;
use crate::kv::{Kv, KvError, Safety};

/// What all tenants share.
pub(crate) struct Shared {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) schema: Arc<dyn Schema>,
    pub(crate) config: Config,
    /// `W`; `None` where one process has the store and answers are final.
    pub(crate) window: Option<Duration>,
    /// This process's id as a writer.
    pub(crate) writer: u128,
    sequence: AtomicU64,
    pub(crate) stopping: AtomicBool,
    pub(crate) stats: Stats,
    observer: OnceLock<Arc<dyn Observer>>,
    pub(crate) listener: OnceLock<Arc<dyn Listener>>,
    pub(crate) tails: TailBudget,
    pub(crate) scheduler: Scheduler,
    pub(crate) poller: Poller,
    damaged: Mutex<BTreeMap<TenantId, String>>,
}

impl Shared {
    pub(crate) fn new(
        kv: Arc<dyn Kv>,
        env: Arc<dyn Env>,
        schema: Arc<dyn Schema>,
        config: Config,
    ) -> Self {
        let window = match kv.safety() {
            Safety::Exclusive => None,
            Safety::Shared { window } => Some(window),
        };
        let writer = writer_id(&config, env.as_ref());
        Self {
            window,
            writer,
            sequence: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            stats: Stats::default(),
            observer: OnceLock::new(),
            listener: OnceLock::new(),
            tails: TailBudget::new(config.tail_bytes),
            scheduler: Scheduler::default(),
            poller: Poller::default(),
            damaged: Mutex::default(),
            kv,
            env,
            schema,
            config,
        }
    }

    pub(crate) fn mutated(&self, mutation: Mutation) -> bool {
        self.config.mutated(mutation)
    }

    /// Whether one process has the store and answers are final.
    pub(crate) fn exclusive(&self) -> bool {
        self.window.is_none()
    }

    /// A number that this process has given to no other batch.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) {
        // The first one stays.
        let _ = self.observer.set(observer);
    }

    pub(crate) fn observer(&self) -> Option<&dyn Observer> {
        self.observer.get().map(|o| &**o)
    }

    /// The wall clock in milliseconds since 1970.
    pub(crate) fn wall_millis(&self) -> u64 {
        let since = self.env.wall().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn check_running(&self) -> Result<(), Error> {
        if self.stopping.load(Ordering::Relaxed) {
            let message = "the server is stopping";
            return Err(Error::new(Reason::ServiceUnavailable, message));
        }
        Ok(())
    }

    /// A tenant is, or is no longer, served read-only; with the reason.
    pub(crate) fn set_damage(&self, id: &TenantId, damage: Option<String>) {
        let mut damaged = lock(&self.damaged);
        match damage {
            Some(damage) => {
                self.stats.digest_mismatches.add(1);
                tracing::error!(tenant = %id, "the tenant is read-only: {damage}");
                damaged.insert(id.clone(), damage);
            }
            None => {
                damaged.remove(id);
            }
        }
        self.stats.damaged.set(damaged.len() as u64);
    }

    pub(crate) fn damaged(&self) -> Vec<(TenantId, String)> {
        let damaged = lock(&self.damaged);
        let each = damaged.iter().map(|(id, what)| (id.clone(), what.clone()));
        each.collect()
    }

    /// Reads, and tries again for as long as the answer is not known.
    pub(crate) async fn get(&self, key: Bytes) -> Result<Option<Bytes>, KvError> {
        let mut backoff = Backoff::new(self);
        loop {
            match self.kv.get(key.clone()).await {
                Err(KvError::Unknown(_)) => backoff.wait(self).await,
                result => return result,
            }
        }
    }
}

fn writer_id(config: &Config, env: &dyn Env) -> u128 {
    if config.mutated(Mutation::StableWriter) {
        config.stable_writer()
    } else {
        env.random()
    }
}

/// Pauses that grow, up to a bound.
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub(crate) fn new(shared: &Shared) -> Self {
        let first = shared.config.retry_delay;
        Self {
            next: first,
            most: first * 50,
        }
    }

    /// The pause to make now.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause
    }

    pub(crate) async fn wait(&mut self, shared: &Shared) {
        let pause = self.pause();
        shared.env.sleep(pause).await;
    }
}

/// Locks. What is behind a lock is never left half done: no code of others runs while one is held.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error for a caller when the store did not do something.
pub(crate) fn store_error(error: &KvError) -> Error {
    let (reason, message) = match error {
        KvError::Full(_) => (
            Reason::ServiceUnavailable,
            "the store is full: nothing can be written until there is room".to_owned(),
        ),
        KvError::Unavailable(_) | KvError::Unknown(_) => (
            Reason::ServiceUnavailable,
            "the store is unavailable".to_owned(),
        ),
        KvError::Corrupt { key, .. } => (Reason::Internal, format!("corrupt data at key {key}")),
    };
    let error = Error::new(reason, message).with_cause(error.clone());
    match reason {
        Reason::ServiceUnavailable => error.retry_after(Duration::from_secs(1)),
        _ => error,
    }
}

/// The error when a stored value can't be read.
pub(crate) fn corrupt(key: &Bytes, detail: impl fmt::Display) -> Error {
    let error = KvError::Corrupt {
        key: String::from_utf8_lossy(key).into_owned(),
        detail: detail.to_string(),
    };
    tracing::error!("{error}");
    store_error(&error)
}

/// The error when it is not known whether a commit took effect.
pub(crate) fn unknown() -> Error {
    let message = "it is not known whether the request took effect";
    Error::new(Reason::Timeout, message)
}

/// The error of a watch that has to begin anew.
pub(crate) fn expired(revision: Revision) -> Error {
    let message = format!("too old resource version: {revision}");
    Error::new(Reason::Expired, message)
}

/// The error when there is no such project.
pub(crate) fn no_project(id: &TenantId) -> Error {
    Error::new(Reason::NotFound, format!("project {id} not found"))
}
