//! What comes from the log is used once it is proved to be true history: how a batch is taken in,
//! proved, made part of the state and published, and what happens when the floor has passed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use k8shost_types::Error;

use super::append::Append;
use super::apply::Step;
use super::build::Base;
use super::format::{Batch, Floor};
use super::keys::{Key, Revision};
use super::mutation::Mutation;
use super::shared::{Shared, corrupt, store_error, unknown};
use super::tail::TailBatch;
use super::tenant::{Applied, Damage, Held, Inner, KnownFloor, Made, Pending, Phase, Reply};
use super::tenant::{Tenant, Wait};

/// What a read of the floor, sent now, will prove.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    /// Batches read up to here.
    pub(crate) upto: Revision,
    /// The floor must not be above this.
    pub(crate) low: Revision,
}

impl Held {
    /// What a read of the floor that is sent now would prove.
    pub(crate) fn proof(&self, shared: &Shared) -> Proof {
        Proof {
            upto: self.tip().revision(),
            low: self.low(shared),
        }
    }
}

impl Tenant {
    /// Reads the floor.
    pub(crate) async fn read_floor(&self) -> Result<KnownFloor, Error> {
        let key = self.id.floor_key();
        let raw = self.shared.get(key.clone()).await;
        let raw = raw.map_err(|error| store_error(&error))?;
        let floor = Floor::decode(raw.as_deref()).map_err(|error| corrupt(&key, error))?;
        Ok(KnownFloor { raw, floor })
    }

    /// Decodes a batch of the log, which belongs at `first`.
    pub(crate) fn decode(&self, first: Revision, value: &Bytes) -> Result<Batch, Error> {
        Batch::decode(first, value).map_err(|error| corrupt(&self.id.log_key(first), error))
    }

    /// Takes in a batch of another's that was found at the end of what is known. Whether it was
    /// (nothing else is done otherwise): `false` if the state was dropped.
    pub(crate) fn take_batch(
        self: &Arc<Self>,
        inner: &mut Inner,
        batch: &Batch,
        bytes: usize,
    ) -> Result<bool, Error> {
        let shared = &self.shared;
        let Some(held) = inner.ready() else {
            return Ok(false);
        };
        let mut step = Step::from(held.tip().clone());
        step.batch(batch)
            .map_err(|error| corrupt(&self.id.log_key(batch.first), error))?;
        if step.accepted {
            // The operator's state is the one that is stored, which need not be the one held here.
            self.fallen(inner);
            return Ok(false);
        }
        let made = Made {
            first: batch.first,
            last: batch.last(),
            bytes,
            time: batch.time,
            digest: batch.digest(),
            own: false,
            step,
        };
        shared.stats.followed.add(1);
        held.unconfirmed.get_or_insert(made.first);
        if held.unproved.is_empty() && held.is_trusted(shared) {
            self.publish(inner, made);
        } else {
            held.unproved.push_back(made);
        }
        Ok(true)
    }

    /// A read of the floor was answered. Publishes what it proves; `false` if the floor has passed,
    /// and the state was dropped.
    pub(crate) fn floor_read(
        self: &Arc<Self>,
        inner: &mut Inner,
        floor: &Floor,
        proof: Proof,
    ) -> bool {
        if floor.revision > proof.low {
            self.fallen(inner);
            return false;
        }
        loop {
            let Some(held) = inner.ready() else {
                return false;
            };
            let any_order = self.shared.mutated(Mutation::FloorAnyOrder);
            let proved = |made: &Made| any_order || made.last <= proof.upto;
            if !held.unproved.front().is_some_and(proved) {
                return true;
            }
            if let Some(made) = held.unproved.pop_front() {
                self.publish(inner, made);
            }
        }
    }

    /// Makes a proved batch part of the state, and tells the watchers.
    pub(crate) fn publish(self: &Arc<Self>, inner: &mut Inner, made: Made) {
        let shared = &self.shared;
        let now = shared.env.now();
        inner.published_bytes += made.bytes as u64;
        let Some(held) = inner.ready() else {
            return;
        };
        debug_assert_eq!(
            held.state.next_revision(),
            made.first,
            "batches follow one another"
        );
        let Made { step, .. } = made;
        let clean = held.dirty.is_empty();
        let room = shared.config.most_log_bytes().checked_sub(held.log_bytes);
        let keys = touch(held, &step, made.own);
        held.applied.push_back(Applied {
            first: made.first,
            last: made.last,
            bytes: made.bytes,
            time: made.time,
            known: now,
            digest: made.digest,
            since: step.state.since,
            life: step.state.life.clone(),
            keys,
        });
        held.log_bytes += made.bytes;
        let overflows = room.is_some_and(|room| room < made.bytes);
        if step.state.digest() != made.digest && held.damage.is_none() {
            let text = format!("after revision {} the digest differs", made.last);
            self.damage(held, text, Vec::new());
        }
        self.live.store(step.state.is_alive(), Ordering::Release);
        held.state = step.state;
        let events: Arc<[_]> = step.events.into();
        let batch = TailBatch {
            first: made.first,
            last: made.last,
            reset: step.reset,
            bytes: events.iter().map(|e| e.size()).sum(),
            events,
        };
        let figure = &shared.stats.tail_bytes;
        shared.tails.push(&self.tail, batch, figure);
        self.moved.notify_waiters();
        if clean {
            let due = now + shared.config.projection_delay;
            shared.scheduler.schedule(self, due);
        }
        if overflows {
            shared.scheduler.schedule(self, now);
        }
    }

    /// The tenant is to be served read-only.
    pub(crate) fn damage(&self, held: &mut Held, text: String, unreadable: Vec<Key>) {
        self.shared.set_damage(&self.id, Some(text.clone()));
        held.damage = Some(Damage { text, unreadable });
    }

    /// The state is right again: an operator accepted it, or a close has emptied it.
    fn mend(self: &Arc<Self>, held: &mut Held) {
        if let Some(damage) = held.damage.take() {
            let shared = &self.shared;
            shared.set_damage(&self.id, None);
            held.dirty.extend(damage.unreadable);
            // While it was read-only nothing was projected.
            let due = shared.env.now() + shared.config.projection_delay;
            shared.scheduler.schedule(self, due);
        }
    }

    /// The batch that was appended is proved: makes it part of the state and answers its callers. If
    /// `confirmed`, its swap has found the end of the log.
    pub(crate) fn finish(self: &Arc<Self>, inner: &mut Inner, confirmed: Option<Duration>) {
        let Some(held) = inner.ready() else {
            return;
        };
        let Some(append) = held.append.take() else {
            return;
        };
        let next = held.state.next_revision();
        if !held.unproved.is_empty() || next != append.made.first {
            // Another's batch is history where ours is: ours is void.
            held.append = Some(append);
            return self.fallen(inner);
        }
        let Append {
            made,
            ops,
            mark,
            mends,
            first_start,
            ..
        } = append;
        held.unconfirmed.get_or_insert(made.first);
        if mends {
            self.mend(held);
        }
        let shared = &self.shared;
        shared.stats.batches.add(1);
        if let Some(observer) = shared.observer() {
            let began = first_start.unwrap_or_default();
            let took = shared.env.now().saturating_sub(began);
            observer.appended(ops.len(), made.bytes, took);
        }
        let events: Vec<_> = made.step.events.clone();
        let last = made.last;
        self.publish(inner, made);
        if let (Some(at), Some(held)) = (confirmed, inner.ready()) {
            held.confirm(at);
        }
        let mut events = events.into_iter();
        for op in ops {
            shared.stats.commits.add(u64::from(op.has_changes()));
            op.answer(events.by_ref());
        }
        self.serve(inner, mark);
        if let Some(listener) = self.shared.listener.get() {
            listener.committed(&self.id, last);
        }
    }

    /// Answers who came before an operation that found the end of the log; it began when the tickets
    /// were at `mark`.
    pub(crate) fn serve(self: &Arc<Self>, inner: &mut Inner, mark: u64) {
        let Phase::Ready(held) = &inner.phase else {
            return;
        };
        let state = held.state.clone();
        let damage = held.damage.as_ref().map(|d| d.text.clone());
        let mut decide = Vec::new();
        for waiter in inner.take_waiting(mark) {
            // Who has gone away is not told.
            match waiter.wait {
                Wait::Load(sender) => drop(sender.send(Ok(()))),
                Wait::Read(sender) => drop(sender.send(Ok(state.clone()))),
                Wait::Decide(pending) => decide.push(pending),
            }
        }
        if !decide.is_empty() {
            let tenant = self.clone();
            let base = Base { state, damage };
            let task = async move { tenant.decide(decide, base) };
            self.shared.env.spawn(task.boxed());
        }
    }

    /// The tenant was loaded; the look that found the end began when the tickets were at `mark`.
    pub(crate) fn serve_loaded(self: &Arc<Self>, inner: &mut Inner, mark: u64) {
        for waiter in std::mem::take(&mut inner.waiting) {
            match waiter.wait {
                Wait::Load(sender) => drop(sender.send(Ok(()))),
                Wait::Read(_) | Wait::Decide(_) => inner.waiting.push(waiter),
            }
        }
        // In an exclusive store nothing can have come since.
        let all = self.shared.exclusive() || self.shared.mutated(Mutation::NoBarrier);
        self.serve(inner, if all { Revision::MAX } else { mark });
    }

    /// The state can't be had, or its end not be found: answers all who wait for it.
    pub(crate) fn fail_waiting(&self, inner: &mut Inner, error: &Error) {
        for waiter in std::mem::take(&mut inner.waiting) {
            match waiter.wait {
                Wait::Load(sender) => drop(sender.send(Err(error.clone()))),
                Wait::Read(sender) => drop(sender.send(Err(error.clone()))),
                Wait::Decide(pending) => drop(pending.reply.send(Reply::Refused(error.clone()))),
            }
        }
    }

    /// The same, for commits that were never sent.
    pub(crate) fn fail_queue(&self, inner: &mut Inner, error: &Error) {
        for pending in std::mem::take(&mut inner.queue) {
            drop(pending.reply.send(Reply::Refused(error.clone())));
        }
    }

    /// The floor has passed what is held here: drops the state, ends the watches, loads again.
    ///
    /// A batch that was swapped, or had an attempt without an answer, may have counted and been
    /// truncated since: commits with changes in it are told that the outcome is unknown. All else
    /// runs again.
    pub(crate) fn fallen(self: &Arc<Self>, inner: &mut Inner) {
        let Phase::Ready(mut held) = std::mem::take(&mut inner.phase) else {
            return;
        };
        tracing::info!(tenant = %self.id, "the floor has passed; loading again");
        self.shared.stats.fallen.add(1);
        let mut again: VecDeque<Pending> = VecDeque::new();
        if let Some(append) = held.append.take() {
            let may_count = self.may_count(&append);
            self.shared.stats.voids.add(u64::from(append.swapped));
            for op in append.ops {
                if may_count && op.has_changes() {
                    drop(op.pending.reply.send(Reply::Refused(unknown())));
                } else {
                    again.push_back(op.pending);
                }
            }
        }
        inner.requeue(again.into_iter());
        inner.generation += 1;
        inner.writing = false;
        inner.probing = false;
        self.live.store(false, Ordering::Release);
        let figure = &self.shared.stats.tail_bytes;
        let tails = &self.shared.tails;
        tails.reset(&self.tail, inner.generation, None, figure);
        self.moved.notify_waiters();
        inner.phase = Phase::Loading;
        self.start_load(inner.generation);
    }

    /// Whether a batch that the floor has passed may have been part of the log.
    fn may_count(&self, append: &Append) -> bool {
        let open = append.unanswered || append.in_flight;
        let shared = &self.shared;
        if open {
            return !shared.mutated(Mutation::RerunUnanswered);
        }
        let rerun =
            shared.mutated(Mutation::RerunSwapped) || shared.mutated(Mutation::LowHasTrusted);
        append.swapped && !rerun
    }
}

/// Notes what a batch touches, and gives the keys. If their projections are to be written here they are
/// out of date from now on; if not, the batch's own server writes them, and should that be gone, they are
/// found wrong when the tenant is loaded or the log truncated.
pub(crate) fn touch(held: &mut Held, step: &Step, write: bool) -> Box<[Key]> {
    for touched in &step.touched {
        if touched.gone {
            held.deleted.insert(touched.key.clone(), touched.revision);
        } else if !held.deleted.is_empty() {
            held.deleted.remove(&touched.key);
        }
        if write {
            held.dirty.insert(touched.key.clone());
        }
    }
    step.touched.iter().map(|t| t.key.clone()).collect()
}
