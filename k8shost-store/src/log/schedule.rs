//! Background work: projections, truncation, and dropping tenants that nobody uses. One task waits for
//! the time of whichever tenant is next; a tenant without work costs nothing.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;

use super::engine::Tenants;
use super::shared::{Shared, lock};
use super::stats::Lag;
use super::tenant::{Held, Inner, Phase, Tenant};

/// So many tenants are worked on at once.
const AT_ONCE: usize = 64;

/// Which tenants have work, and when.
#[derive(Default)]
pub(crate) struct Scheduler {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    by_time: BTreeMap<(Duration, u64), Arc<Tenant>>,
    due: BTreeMap<u64, Duration>,
    running: usize,
    stopped: bool,
}

impl Queue {
    /// The tenants whose time has come, as far as there is room; and when to look again.
    fn take_due(&mut self, now: Duration) -> (Vec<Arc<Tenant>>, Option<Duration>) {
        let mut taken = Vec::new();
        while self.running < AT_ONCE
            && let Some(entry) = self.by_time.first_entry()
        {
            let (at, number) = *entry.key();
            if at > now {
                return (taken, Some(at));
            }
            taken.push(entry.remove());
            self.due.remove(&number);
            self.running += 1;
        }
        (taken, None)
    }
}

impl Scheduler {
    /// Has a tenant worked on at a time, if it is not to be earlier anyway.
    pub(crate) fn schedule(&self, tenant: &Arc<Tenant>, at: Duration) {
        tenant.parked.store(false, Ordering::SeqCst);
        let mut queue = lock(&self.queue);
        if queue.stopped || queue.due.get(&tenant.number).is_some_and(|due| *due <= at) {
            return;
        }
        if let Some(due) = queue.due.insert(tenant.number, at) {
            queue.by_time.remove(&(due, tenant.number));
        }
        let first = queue
            .by_time
            .first_key_value()
            .is_none_or(|(k, _)| k.0 > at);
        queue.by_time.insert((at, tenant.number), tenant.clone());
        if first {
            self.changed.notify_one();
        }
    }

    /// Forgets a tenant's work.
    pub(crate) fn cancel(&self, tenant: &Tenant) {
        let mut queue = lock(&self.queue);
        if let Some(due) = queue.due.remove(&tenant.number) {
            queue.by_time.remove(&(due, tenant.number));
        }
    }

    /// Ends the task, and forgets all work.
    pub(crate) fn stop(&self) {
        let dropped = {
            let mut queue = lock(&self.queue);
            queue.stopped = true;
            queue.due.clear();
            std::mem::take(&mut queue.by_time)
        };
        drop(dropped);
        self.changed.notify_one();
    }

    fn finished(&self) {
        let mut queue = lock(&self.queue);
        queue.running -= 1;
        if queue.running == AT_ONCE - 1 {
            self.changed.notify_one();
        }
    }
}

/// Counts a tenant as worked on until it is dropped, however the work ends.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.scheduler.finished();
    }
}

/// The scheduler's task.
pub(crate) async fn run(shared: Arc<Shared>, tenants: Weak<Tenants>) {
    let scheduler = &shared.scheduler;
    loop {
        let now = shared.env.now();
        let (due, next) = {
            let mut queue = lock(&scheduler.queue);
            if queue.stopped {
                return;
            }
            queue.take_due(now)
        };
        for tenant in due {
            let running = Running(shared.clone());
            let tenants = tenants.clone();
            let task = async move {
                tenant.maintain(&tenants).await;
                drop(running);
            };
            shared.env.spawn(task.boxed());
        }
        let changed = scheduler.changed.notified();
        match next {
            None => changed.await,
            Some(at) => tokio::select! {
                biased;
                () = changed => {}
                () = shared.env.sleep(at.saturating_sub(now)) => {}
            },
        }
    }
}

impl Tenant {
    /// Does what is due, and says when there is more to do.
    async fn maintain(self: Arc<Self>, tenants: &Weak<Tenants>) {
        let (generation, ready) = {
            let mut inner = self.lock();
            if inner.maintaining {
                // Who is at it finds the rest of the work at its end.
                return;
            }
            inner.maintaining = true;
            (inner.generation, matches!(inner.phase, Phase::Ready(_)))
        };
        if ready {
            let written = self.project(generation).await;
            {
                let mut inner = self.lock();
                inner.failures = if written { 0 } else { inner.failures + 1 };
            }
            if self.truncation_is_due(generation) {
                self.truncate(generation).await;
                let now = self.shared.env.now();
                self.lock().last_truncation = now;
            }
            self.sweep(generation).await;
        }
        self.drop_snapshots();
        let forgotten = tenants.upgrade().is_some_and(|t| t.forget(&self));
        let due = {
            let mut inner = self.lock();
            inner.maintaining = false;
            if forgotten {
                return;
            }
            match &inner.phase {
                Phase::Ready(held) => self.next_due(&inner, Some(held)),
                Phase::Loading | Phase::Unloaded => self.next_due(&inner, None),
            }
        };
        self.plan(due);
    }

    fn truncation_is_due(&self, generation: u64) -> bool {
        let mut inner = self.lock();
        let last = inner.last_truncation;
        let now = self.shared.env.now();
        let Some(held) = inner.held(generation).filter(|held| held.damage.is_none()) else {
            return false;
        };
        let due = held.truncation_due(&self.shared);
        due.is_some_and(|due| self.not_too_often(last, held, due) <= now)
    }

    /// How late its projections and the truncation of its log are.
    pub(crate) fn lag(&self) -> Lag {
        let now = self.shared.env.now();
        let inner = self.lock();
        let Phase::Ready(held) = &inner.phase else {
            return Lag::default();
        };
        if held.damage.is_some() {
            return Lag::default();
        }
        let ripe = held.truncation_due(&self.shared);
        Lag {
            projection: held.projection_lag(now),
            truncation: ripe.map_or(Duration::ZERO, |ripe| now.saturating_sub(ripe)),
        }
    }

    /// A tenant's log is truncated at intervals, unless it has grown too large.
    fn not_too_often(&self, last: Duration, held: &Held, due: Duration) -> Duration {
        let config = &self.shared.config;
        if held.log_bytes > config.most_log_bytes() || last.is_zero() {
            return due;
        }
        due.max(last + config.truncation_interval)
    }

    /// When there is work again. `None`: when something happens.
    pub(crate) fn next_due(&self, inner: &Inner, held: Option<&Held>) -> Option<Duration> {
        let shared = &self.shared;
        let (now, config) = (shared.env.now(), &shared.config);
        let mut due = Vec::new();
        if let Some(held) = held.filter(|held| held.damage.is_none()) {
            if !held.dirty.is_empty() {
                // A store that does not take them is not to be asked ever again at once.
                let patience = 1 << inner.failures.min(5);
                due.push(now + config.projection_delay * patience);
            }
            if let Some(ripe) = held.truncation_due(shared) {
                let at = self.not_too_often(inner.last_truncation, held, ripe);
                // What could not be done just now is tried again after a while.
                let soonest = if inner.last_truncation.is_zero() {
                    now
                } else {
                    now.max(inner.last_truncation + config.projection_delay)
                };
                due.push(at.max(soonest));
            }
            if held.swept < held.floor.floor.revision {
                due.push(now + config.truncation_interval);
            }
        }
        if let Some(kept) = inner.snapshots.front() {
            due.push(kept.until);
        }
        if self.handles.load(Ordering::SeqCst) == 0 {
            due.push(now + config.idle_after);
        }
        due.into_iter().min()
    }

    /// Has itself worked on then; without a time, when something happens.
    pub(crate) fn plan(self: &Arc<Self>, due: Option<Duration>) {
        if let Some(at) = due {
            return self.shared.scheduler.schedule(self, at);
        }
        self.parked.store(true, Ordering::SeqCst);
        if self.handles.load(Ordering::SeqCst) == 0 {
            self.released();
        }
    }

    /// The last handle has gone.
    pub(crate) fn released(self: &Arc<Self>) {
        if self.parked.swap(false, Ordering::SeqCst) {
            let shared = &self.shared;
            let at = shared.env.now() + shared.config.idle_after;
            shared.scheduler.schedule(self, at);
        }
    }

    /// Whether nothing is lost if the tenant is dropped from memory.
    pub(crate) fn is_idle(&self) -> bool {
        if self.handles.load(Ordering::SeqCst) > 0 || self.used.swap(false, Ordering::SeqCst) {
            return false;
        }
        let inner = self.lock();
        if !inner.queue.is_empty() || !inner.waiting.is_empty() || !inner.snapshots.is_empty() {
            return false;
        }
        match &inner.phase {
            Phase::Loading => false,
            Phase::Unloaded => true,
            Phase::Ready(held) => {
                let written = held.applied.is_empty()
                    && held.dirty.is_empty()
                    && held.swept >= held.floor.floor.revision;
                let still = !inner.writing && !inner.probing && held.append.is_none();
                still && held.unproved.is_empty() && (written || held.damage.is_some())
            }
        }
    }
}
