//! Truncation: before the log forgets something, the projections that stand for it are read back and
//! found right, or put right. Then the floor moves, and then what is below it is deleted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::format::Floor;
use super::keys::{Key, Revision};
use super::mutation::Mutation;
use super::project::Write;
use super::shared::Shared;
use super::state::State;
use super::tenant::{Applied, Held, KnownFloor, Tenant};
use crate::kv::{KvError, Swap};

/// So many projections are read back at once, and about this many bytes of them.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 2 << 20;
/// So often a request is tried before truncation is left for later.
const TRIES: usize = 3;

/// A truncation that was decided on.
struct Plan {
    was: KnownFloor,
    new: Floor,
    /// What was touched from the old floor up to the new one, and is to be read back.
    keys: Vec<Key>,
    /// For a mutation: the state when it was decided.
    snapshot: State,
}

/// What is right for a key.
enum Right {
    /// It has changed at or above the new floor: the log has it.
    Changed,
    /// This version, or a later one.
    Version(Revision, Bytes),
    /// Nothing, or a version later than this.
    Absent(Revision),
}

impl Held {
    /// When a batch may be truncated.
    pub(crate) fn ripe_at(&self, batch: &Applied, shared: &Shared) -> Duration {
        let window = shared.window.unwrap_or(Duration::ZERO);
        let wait = if shared.mutated(Mutation::NoWait) {
            Duration::ZERO
        } else if shared.mutated(Mutation::WaitHalf) {
            window / 2
        } else {
            window
        };
        let safe = batch.known + wait;
        // Nobody can watch what was before the last birth, or in a tenant that is closed.
        let unwatchable = !self.state.is_alive() || batch.last < self.state.since;
        if unwatchable {
            return safe;
        }
        let retention = shared.config.retention;
        let age = Duration::from_millis(shared.wall_millis().saturating_sub(batch.time));
        let promised = shared.env.now() + retention.saturating_sub(age);
        // A time stamp may be from the future; it was at any rate not written after it was known.
        safe.max(promised.min(batch.known + retention))
    }

    /// When the oldest batch may be truncated.
    pub(crate) fn truncation_due(&self, shared: &Shared) -> Option<Duration> {
        let front = self.applied.front()?;
        let ripe = self.ripe_at(front, shared);
        if self.log_bytes > shared.config.most_log_bytes() {
            let window = shared.window.unwrap_or(Duration::ZERO);
            return Some(ripe.min(front.known + window));
        }
        Some(ripe)
    }

    /// The last batch that may be truncated now, with all before it.
    fn ripe(&self, shared: &Shared) -> Option<&Applied> {
        let now = shared.env.now();
        let window = shared.window.unwrap_or(Duration::ZERO);
        let mut left = self.log_bytes;
        let over = left > shared.config.most_log_bytes();
        let ripe = self.applied.iter().take_while(|batch| {
            let crowded =
                over && left > shared.config.retention_bytes && batch.known + window <= now;
            left = left.saturating_sub(batch.bytes);
            crowded || self.ripe_at(batch, shared) <= now
        });
        ripe.last()
    }

    /// The floor is known to have moved.
    fn adopt(&mut self, floor: KnownFloor) {
        let revision = floor.floor.revision;
        while let Some(front) = self.applied.front()
            && front.last < revision
        {
            self.log_bytes -= front.bytes;
            self.applied.pop_front();
        }
        self.deleted.retain(|_, deleted| *deleted >= revision);
        self.floor = floor;
    }

    /// What is right for a key whose last change is below the floor that is to be.
    fn right(&self, plan: &Plan, key: &Key, shared: &Shared) -> Right {
        let state = if shared.mutated(Mutation::RepairSnapshot) {
            &plan.snapshot
        } else {
            &self.state
        };
        let floor = plan.new.revision;
        match state.get(key) {
            Some(object) if object.revision >= floor => Right::Changed,
            Some(object) => Right::Version(object.revision, object.value.clone()),
            None => match self.deleted.get(key) {
                Some(revision) if *revision >= floor => Right::Changed,
                Some(revision) => Right::Absent(*revision),
                // Not there and never deleted, which only the snapshot of the mutation can say.
                None => Right::Absent(floor - 1),
            },
        }
    }
}

impl Tenant {
    /// Truncates the log as far as it may be; what can't be done now is left for later.
    pub(crate) async fn truncate(self: &Arc<Self>, generation: u64) {
        if !self.shared.exclusive() && !self.refresh_floor(generation).await {
            return;
        }
        let Some(plan) = self.plan_truncation(generation).await else {
            return;
        };
        if !self.shared.mutated(Mutation::NoReadback) && !self.read_back(generation, &plan).await {
            return;
        }
        if self.shared.mutated(Mutation::RebornAt1) && self.forget_floor(generation, &plan).await {
            return;
        }
        if self.shared.mutated(Mutation::DeleteBeforeFloor) {
            let (start, end) = (self.id.log_key(0), self.id.log_key(plan.new.revision));
            drop(self.shared.kv.delete_range(start, end).await);
        }
        if self.move_floor(generation, &plan).await {
            self.sweep(generation).await;
        }
    }

    /// Whether it is this server's turn: no other one has moved the floor since it was last known here.
    async fn refresh_floor(self: &Arc<Self>, generation: u64) -> bool {
        let Ok(floor) = self.read_floor().await else {
            return false;
        };
        let mut inner = self.lock();
        let Some(held) = inner.held(generation) else {
            return false;
        };
        let revision = floor.floor.revision;
        if revision > held.state.next_revision() {
            // It has passed what is held here: the barrier will find that.
            inner.poll = true;
            self.kick(&mut inner);
            return false;
        }
        let moved = revision > held.floor.floor.revision;
        if moved {
            held.adopt(floor);
        }
        !moved
    }

    /// Decides how far to truncate, with a confirmation that is young.
    async fn plan_truncation(self: &Arc<Self>, generation: u64) -> Option<Plan> {
        loop {
            {
                let mut inner = self.lock();
                let held = inner
                    .held(generation)
                    .filter(|held| held.damage.is_none())?;
                let ripe = held.ripe(&self.shared)?;
                if held.has_premise(&self.shared) {
                    let new = ripe.floor_above();
                    let below = held.applied.iter().take_while(|b| b.last < new.revision);
                    // Where an answer is final there is nothing to learn of projections that were
                    // answered: the floor's swap makes them durable.
                    let all = !self.shared.exclusive();
                    let keys = below.flat_map(|b| &b.keys);
                    let keys = keys.filter(|key| all || held.dirty.contains(*key));
                    let keys: BTreeSet<&Key> = keys.collect();
                    return Some(Plan {
                        keys: keys.into_iter().cloned().collect(),
                        was: held.floor.clone(),
                        new,
                        snapshot: held.state.clone(),
                    });
                }
            }
            self.confirmed().await.ok()?;
        }
    }

    /// Reads back the projections of all keys that were touched, and puts right what is not. Whether
    /// all are right.
    async fn read_back(self: &Arc<Self>, generation: u64, plan: &Plan) -> bool {
        let mut keys = plan.keys.iter().peekable();
        while keys.peek().is_some() {
            let chunk = {
                let mut inner = self.lock();
                let Some(held) = inner.held(generation) else {
                    return false;
                };
                let mut bytes = 0;
                let mut chunk = Vec::new();
                while chunk.len() < CHUNK
                    && bytes < CHUNK_BYTES
                    && let Some(key) = keys.next()
                {
                    match held.right(plan, key, &self.shared) {
                        Right::Changed => {}
                        Right::Version(_, value) => {
                            bytes += value.len();
                            chunk.push(key.clone());
                        }
                        Right::Absent(_) => chunk.push(key.clone()),
                    }
                }
                chunk
            };
            if !chunk.is_empty() && !self.read_back_chunk(generation, plan, &chunk).await {
                return false;
            }
        }
        true
    }

    async fn read_back_chunk(self: &Arc<Self>, generation: u64, plan: &Plan, keys: &[Key]) -> bool {
        let stored = keys.iter().map(|key| self.id.projection_key(key));
        let Ok(found) = self.shared.kv.batch_get(stored.collect()).await else {
            return false;
        };
        let rights: Vec<Right> = {
            let mut inner = self.lock();
            let Some(held) = inner.held(generation) else {
                return false;
            };
            let right = |key| held.right(plan, key, &self.shared);
            keys.iter().map(right).collect()
        };
        let judged = keys.iter().zip(found).zip(rights);
        let wrong: Vec<Key> = judged
            .filter(|((key, found), right)| !self.is_right(key, found.as_ref(), right))
            .map(|((key, _), _)| key.clone())
            .collect();
        wrong.is_empty() || self.repair(generation, plan, wrong).await
    }

    /// Whether a projection that was read back is right.
    fn is_right(&self, key: &Key, found: Option<&Bytes>, right: &Right) -> bool {
        // What can't be read is not right.
        let revision = |found: &Bytes| self.shared.schema.read(key, found).ok().map(|r| r.0);
        match (right, found) {
            (Right::Changed, _) | (Right::Absent(_), None) => true,
            (Right::Version(..), None) => false,
            (Right::Version(least, value), Some(found)) => {
                found == value || revision(found).is_some_and(|r| r >= *least)
            }
            (Right::Absent(deleted), Some(found)) => revision(found).is_some_and(|r| r > *deleted),
        }
    }

    /// Writes projections that were found wrong, as projections are written. Whether that is known to
    /// have been done.
    async fn repair(self: &Arc<Self>, generation: u64, plan: &Plan, mut wrong: Vec<Key>) -> bool {
        let mut tries = 0;
        while tries < TRIES {
            let writes = {
                let mut inner = self.lock();
                let Some(held) = inner.held(generation) else {
                    return false;
                };
                wrong.retain(|key| !matches!(held.right(plan, key, &self.shared), Right::Changed));
                let writes = wrong.iter().map(|key| self.repair_of(held, plan, key));
                held.has_premise(&self.shared)
                    .then(|| writes.collect::<Vec<_>>())
            };
            match writes {
                None => {
                    if self.confirmed().await.is_err() {
                        return false;
                    }
                }
                Some(writes) if writes.is_empty() => return true,
                Some(writes) => {
                    self.shared.stats.repairs.add(writes.len() as u64);
                    if self.send(generation, writes).await {
                        return true;
                    }
                    tries += 1;
                }
            }
        }
        false
    }

    fn repair_of(&self, held: &Held, plan: &Plan, key: &Key) -> Write {
        if self.shared.mutated(Mutation::RepairSnapshot) {
            return Write::of(key, plan.snapshot.get(key));
        }
        held.projection(key)
    }

    /// Moves the floor. Whether it is known to be where it was to go, or higher.
    async fn move_floor(&self, generation: u64, plan: &Plan) -> bool {
        let raw = plan.new.encode();
        let key = self.id.floor_key();
        let was = plan.was.raw.clone();
        let swap = self.shared.kv.compare_and_swap(key, was, raw.clone());
        let known = match swap.await {
            Ok(Swap::Swapped) => KnownFloor {
                raw: Some(raw),
                floor: plan.new.clone(),
            },
            Ok(Swap::Found(found)) => match Floor::decode(found.as_deref()) {
                Ok(floor) => KnownFloor { raw: found, floor },
                Err(error) => {
                    super::shared::corrupt(&self.id.floor_key(), error);
                    return false;
                }
            },
            Err(error) => {
                // Where an attempt without an answer has left it, the next truncation finds out.
                if !matches!(error, KvError::Unknown(_)) {
                    tracing::warn!(tenant = %self.id, %error, "the floor was not moved");
                }
                return false;
            }
        };
        self.shared.stats.truncations.add(1);
        let mut inner = self.lock();
        let Some(held) = inner.held(generation) else {
            return false;
        };
        let there = known.floor.revision >= plan.new.revision;
        if known.floor.revision > held.floor.floor.revision {
            held.adopt(known);
        }
        there
    }

    /// Deletes what is in the log below the floor.
    pub(crate) async fn sweep(&self, generation: u64) {
        let (from, to) = {
            let mut inner = self.lock();
            let Some(held) = inner.held(generation) else {
                return;
            };
            (held.swept, held.floor.floor.revision)
        };
        if from >= to {
            return;
        }
        let (start, end) = (self.id.log_key(from), self.id.log_key(to));
        if self.shared.kv.delete_range(start, end).await.is_ok()
            && let Some(held) = self.lock().held(generation)
        {
            held.swept = held.swept.max(to);
        }
    }

    /// For a mutation: the floor of a tenant that is closed goes with all the rest.
    async fn forget_floor(&self, generation: u64, plan: &Plan) -> bool {
        let all = {
            let mut inner = self.lock();
            let held = inner.held(generation);
            held.is_some_and(|held| {
                !held.state.is_alive() && plan.new.revision == held.state.next_revision()
            })
        };
        if all {
            let (start, end) = (self.id.log_key(0), self.id.log_key(plan.new.revision));
            drop(self.shared.kv.delete_range(start, end).await);
            drop(
                self.shared
                    .kv
                    .write(vec![(self.id.floor_key(), None)])
                    .await,
            );
        }
        all
    }
}
