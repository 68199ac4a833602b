//! Projections: objects under their own readable keys, written some time after their changes. The
//! writes may come late, twice, in the wrong order or not at all, for the log overrules them; but they
//! are sent only while the last confirmation is young, and say what the state says at that moment.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::keys::{Key, Revision};
use super::state::Object;
use super::tenant::{Applied, Held, Tenant};

/// One write has at most this many projections, and about this many bytes.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 128 << 10;

/// What to do next.
enum Plan {
    /// The last confirmation is too old.
    Confirm,
    /// Send this, now.
    Write(Vec<Write>),
    /// All was looked at.
    Done,
    /// The state was dropped, or nothing may be written.
    Over,
}

/// A projection to be written: the version to put, or nothing to delete.
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) revision: Option<Revision>,
    value: Option<Bytes>,
}

impl Write {
    /// The projection of a key that has this object.
    pub(crate) fn of(key: &Key, object: Option<&Arc<Object>>) -> Self {
        Self {
            key: key.clone(),
            revision: object.map(|o| o.revision),
            value: object.map(|o| o.value.clone()),
        }
    }
}

impl Held {
    /// What the state says of a key.
    pub(crate) fn projection(&self, key: &Key) -> Write {
        // The debris is known for a mutation only.
        let object = self.state.get(key).filter(|_| !self.debris.contains(key));
        Write::of(key, object)
    }

    /// How long the oldest change that has no projection yet has been known.
    pub(crate) fn projection_lag(&self, now: Duration) -> Duration {
        if self.dirty.is_empty() {
            return Duration::ZERO;
        }
        let written = |batch: &Applied| batch.known <= self.projected;
        let next = self.applied.get(self.applied.partition_point(written));
        now.saturating_sub(next.map_or(self.projected, |batch| batch.known))
    }

    /// A projection is known to be written: unless the key has changed since, it is right.
    fn projected(&mut self, write: &Write) {
        self.debris.remove(&write.key);
        if self.state.get(&write.key).map(|o| o.revision) == write.revision {
            self.dirty.remove(&write.key);
        }
    }
}

impl Tenant {
    /// Writes all projections that may be out of date, once. Whether that was possible.
    pub(crate) async fn project(self: &Arc<Self>, generation: u64) -> bool {
        let start = self.shared.env.now();
        let mut position: Option<Key> = None;
        loop {
            match self.plan_writes(generation, position.as_ref()) {
                Plan::Done => {
                    if let Some(held) = self.lock().held(generation) {
                        held.projected = start;
                    }
                    return true;
                }
                Plan::Over => return false,
                Plan::Confirm => {
                    if self.confirmed().await.is_err() {
                        return false;
                    }
                }
                Plan::Write(writes) => {
                    position = writes.last().map(|write| write.key.clone());
                    if !self.send(generation, writes).await {
                        return false;
                    }
                }
            }
        }
    }

    fn plan_writes(&self, generation: u64, position: Option<&Key>) -> Plan {
        let mut inner = self.lock();
        let Some(held) = inner.held(generation).filter(|held| held.damage.is_none()) else {
            return Plan::Over;
        };
        let start = position.map_or(Bound::Unbounded, Bound::Excluded);
        let mut bytes = 0;
        let fits = |write: &Write| {
            let before = bytes;
            bytes += write.value.as_ref().map_or(0, Bytes::len) + write.key.len();
            before < CHUNK_BYTES
        };
        let writes: Vec<Write> = held
            .dirty
            .range::<Key, _>((start, Bound::Unbounded))
            .take(CHUNK)
            .map(|key| held.projection(key))
            .take_while(fits)
            .collect();
        if writes.is_empty() {
            Plan::Done
        } else if held.has_premise(&self.shared) {
            Plan::Write(writes)
        } else {
            Plan::Confirm
        }
    }

    /// Sends projections that were just taken from the state. Whether all were written.
    pub(crate) async fn send(&self, generation: u64, writes: Vec<Write>) -> bool {
        let pairs = writes.iter().map(|write| {
            let key = self.id.projection_key(&write.key);
            (key, write.value.clone())
        });
        if let Err(error) = self.shared.kv.write(pairs.collect()).await {
            tracing::debug!(tenant = %self.id, %error, "projections were not written");
            return false;
        }
        self.shared.stats.projections.add(writes.len() as u64);
        let mut inner = self.lock();
        if let Some(held) = inner.held(generation) {
            for write in &writes {
                held.projected(write);
            }
        }
        true
    }
}
