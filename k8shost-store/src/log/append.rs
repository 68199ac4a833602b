//! The writer's task: commits are built into a batch, and the batch is appended: sent, with the
//! identical bytes, until it is known what became of it. One append is in flight at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use k8shost_types::{Error, Reason};

use super::Committed;
use super::build::{Base, Build};
use super::format::Batch;
use super::keys::Revision;
use super::mutation::Mutation;
use super::prove::Proof;
use super::shared::{Backoff, store_error, unknown};
use super::state::Event;
use super::tenant::{Held, Inner, Made, Pending, Reply, Tenant};
use crate::kv::{KvError, Swap};

/// A batch that is being appended.
pub(crate) struct Append {
    pub(crate) made: Made,
    bytes: Bytes,
    pub(crate) sequence: u64,
    pub(crate) ops: Vec<Op>,
    /// When the first attempt began.
    pub(crate) first_start: Option<Duration>,
    /// When the last one did.
    last_start: Duration,
    /// The tickets when the first attempt began.
    pub(crate) mark: u64,
    /// An attempt ended without an answer.
    pub(crate) unanswered: bool,
    /// An attempt is under way.
    pub(crate) in_flight: bool,
    /// It is known to have been swapped in.
    pub(crate) swapped: bool,
    /// It makes a damaged state right.
    pub(crate) mends: bool,
}

/// A commit in a batch, and what it came to.
pub(crate) struct Op {
    pub(crate) pending: Pending,
    pub(crate) outcome: Result<(), Error>,
    /// How many of the batch's events are its own.
    pub(crate) events: usize,
    /// The revision of the state before it.
    pub(crate) before: Revision,
    /// And after it.
    pub(crate) after: Revision,
}

impl Op {
    pub(crate) fn has_changes(&self) -> bool {
        self.after > self.before
    }

    /// Answers: the batch is part of the log. The first of `events` are its own.
    pub(crate) fn answer(self, events: &mut impl Iterator<Item = Arc<Event>>) {
        let reply = match self.outcome {
            Err(error) => Reply::Refused(error),
            Ok(()) => Reply::Done(Committed {
                state_revision: self.after,
                events: events.take(self.events).collect(),
            }),
        };
        // Who has gone away is not told.
        drop(self.pending.reply.send(reply));
    }
}

/// What the writer does after an answer.
enum After {
    /// The batch is dealt with, one way or the other.
    Over,
    /// Send the identical bytes again.
    Again,
    /// Swapped: read the floor to prove it. The proof confirms as of this time.
    Prove(Proof, Duration),
    /// Another's is there: read the floor to prove that, before the commits run again.
    Validate(Proof, Duration),
}

impl Tenant {
    /// The writer's task.
    pub(crate) async fn write(self: Arc<Self>, generation: u64) {
        while let Some((pending, base)) = self.take_queue(generation) {
            let revision = base.state.revision();
            let (build, rest) = self.build(pending, base);
            if let Some(sequence) = self.begin(generation, revision, build, rest) {
                self.append(generation, sequence).await;
            }
        }
    }

    /// Takes the commits that wait, and what to run them against. `None`: the task ends.
    fn take_queue(self: &Arc<Self>, generation: u64) -> Option<(VecDeque<Pending>, Base)> {
        let mut inner = self.lock();
        if inner.generation != generation {
            return None;
        }
        let any = !inner.queue.is_empty();
        let on_unproved = self.shared.mutated(Mutation::BuildOnUnproved);
        if any
            && let Some(held) = inner.ready()
            && (held.unproved.is_empty() || on_unproved)
        {
            let base = held.base();
            let most = self.shared.config.batch_commits.min(inner.queue.len());
            let rest = inner.queue.split_off(most);
            return Some((std::mem::replace(&mut inner.queue, rest), base));
        }
        inner.writing = false;
        if any {
            // Something unproved is in the way: the barrier proves it and starts the writer again.
            self.kick(&mut inner);
        }
        None
    }

    /// Registers a batch as the one that is appended. `None`: there is nothing to append.
    fn begin(
        self: &Arc<Self>,
        generation: u64,
        base: Revision,
        build: Build<'_>,
        rest: VecDeque<Pending>,
    ) -> Option<u64> {
        let shared = &self.shared;
        let Build {
            step,
            records,
            ops,
            mends,
            ..
        } = build;
        if records.is_empty() {
            self.answer_unchanged(generation, ops, rest);
            return None;
        }
        let sequence = shared.next_sequence();
        let time = shared.wall_millis();
        let digest = step.state.digest();
        let mut batch = Batch::new(base + 1, shared.writer, sequence, digest, time);
        batch.records = records;
        let bytes = batch.encode();
        let made = Made {
            first: batch.first,
            last: batch.last(),
            bytes: bytes.len(),
            time,
            digest,
            own: true,
            step,
        };
        let mut inner = self.lock();
        inner.requeue(rest.into_iter());
        // What the batch was built on may no longer be the end of what is known.
        let still = |held: &&mut Held| held.tip().revision() == base && held.append.is_none();
        let Some(held) = inner.held(generation).filter(still) else {
            inner.requeue(ops.into_iter().map(|op| op.pending));
            self.kick(&mut inner);
            return None;
        };
        held.append = Some(Append {
            made,
            bytes,
            sequence,
            ops,
            first_start: None,
            last_start: Duration::ZERO,
            mark: 0,
            unanswered: false,
            in_flight: false,
            swapped: false,
            mends,
        });
        Some(sequence)
    }

    /// A batch turned out empty: its refusals wait for a barrier.
    fn answer_unchanged(self: &Arc<Self>, generation: u64, ops: Vec<Op>, rest: VecDeque<Pending>) {
        let mut inner = self.lock();
        inner.requeue(rest.into_iter());
        let at_once = self.shared.exclusive() || self.shared.mutated(Mutation::NoBarrier);
        for op in ops {
            if at_once && inner.generation == generation {
                op.answer(&mut std::iter::empty());
            } else {
                inner.decide_later(op.pending);
            }
        }
        self.kick(&mut inner);
    }

    /// Appends the batch that was registered: sends it until it is dealt with.
    async fn append(self: &Arc<Self>, generation: u64, sequence: u64) {
        let mut backoff = Backoff::new(&self.shared);
        if self.shared.mutated(Mutation::FloorBeforeSwap) {
            self.floor_before(generation, sequence).await;
        }
        while let Some((first, bytes)) = self.attempt(generation, sequence) {
            let key = self.id.log_key(first);
            let answer = self.shared.kv.compare_and_swap(key, None, bytes).await;
            match self.answered(generation, sequence, answer) {
                After::Over => return,
                After::Again => backoff.wait(&self.shared).await,
                After::Prove(proof, at) => {
                    return self.prove(generation, sequence, proof, at, true).await;
                }
                After::Validate(proof, at) => {
                    return self.prove(generation, sequence, proof, at, false).await;
                }
            }
        }
    }

    /// An attempt begins now. `None`: the batch was dealt with elsewhere.
    fn attempt(&self, generation: u64, sequence: u64) -> Option<(Revision, Bytes)> {
        let now = self.shared.env.now();
        let mut inner = self.lock();
        let tickets = inner.tickets;
        let append = inner.held(generation)?.append_of(sequence)?;
        if append.first_start.is_none() {
            append.first_start = Some(now);
            append.mark = tickets;
        }
        append.last_start = now;
        append.in_flight = true;
        Some((append.made.first, append.bytes.clone()))
    }

    /// An attempt was answered, or not.
    fn answered(
        self: &Arc<Self>,
        generation: u64,
        sequence: u64,
        answer: Result<Swap, KvError>,
    ) -> After {
        let mut inner = self.lock();
        // If the state was dropped meanwhile, the commits were dealt with then.
        let append = inner.held(generation).and_then(|h| h.append_of(sequence));
        let Some(append) = append else {
            return After::Over;
        };
        append.in_flight = false;
        match answer {
            Ok(Swap::Swapped) => self.swapped(&mut inner),
            Ok(Swap::Found(Some(value))) if value == append.bytes => self.swapped(&mut inner),
            Ok(Swap::Found(Some(value))) => self.found(&mut inner, &value),
            // A swap that was not made although it could be says nothing.
            Ok(Swap::Found(None)) | Err(KvError::Unknown(_)) => {
                append.unanswered = true;
                if self.shared.mutated(Mutation::RebuildUnknown) {
                    return self.run_again(&mut inner);
                }
                After::Again
            }
            Err(KvError::Full(_) | KvError::Unavailable(_)) if append.unanswered => After::Again,
            Err(error) => self.give_up(&mut inner, &store_error(&error)),
        }
    }

    /// The batch is in its place: this attempt or an earlier one has put it there.
    fn swapped(self: &Arc<Self>, inner: &mut Inner) -> After {
        let shared = &self.shared;
        let Some(held) = inner.ready() else {
            return After::Over;
        };
        let trusted = held.is_trusted(shared) || shared.mutated(Mutation::FloorBeforeSwap);
        let clean = held.unproved.is_empty();
        let (next, mut proof) = (held.state.next_revision(), held.proof(shared));
        let Some(append) = &mut held.append else {
            return After::Over;
        };
        append.swapped = true;
        let at = if shared.mutated(Mutation::ConfAtArrival) {
            shared.env.now()
        } else if shared.mutated(Mutation::MineRetryStart) {
            append.last_start
        } else {
            append.first_start.unwrap_or(append.last_start)
        };
        if clean && append.made.first == next && (trusted || shared.mutated(Mutation::TrustAnySwap))
        {
            self.finish(inner, trusted.then_some(at));
            return After::Over;
        }
        proof.low = proof.low.min(append.made.first);
        After::Prove(proof, at)
    }

    /// A batch is in the place that is ours or another's.
    fn found(self: &Arc<Self>, inner: &mut Inner, value: &Bytes) -> After {
        let shared = &self.shared;
        let Some(held) = inner.ready() else {
            return After::Over;
        };
        let next = held.tip().next_revision();
        let Some(append) = &held.append else {
            return After::Over;
        };
        let at = append.last_start;
        let batch = match self.decode(append.made.first, value) {
            Ok(batch) => batch,
            Err(error) => return self.give_up(inner, &error),
        };
        if self.is_mine(&batch, append) {
            return self.swapped(inner);
        }
        shared.stats.conflicts.add(1);
        if batch.first == next {
            match self.take_batch(inner, &batch, value.len()) {
                Ok(true) => {}
                Ok(false) => return After::Over,
                Err(error) => return self.give_up(inner, &error),
            }
        }
        let Some(held) = inner.ready() else {
            return After::Over;
        };
        let unproved = !held.unproved.is_empty() && !shared.mutated(Mutation::BuildOnUnproved);
        if unproved || shared.mutated(Mutation::OtherConfirms) {
            return After::Validate(held.proof(shared), at);
        }
        self.run_again(inner)
    }

    /// Whether a batch is the one that is being appended.
    pub(crate) fn is_mine(&self, batch: &Batch, append: &Append) -> bool {
        batch.writer() == self.shared.writer && batch.sequence == append.sequence
    }

    /// The commits of the batch run again, in another one.
    fn run_again(self: &Arc<Self>, inner: &mut Inner) -> After {
        if let Some(append) = inner.ready().and_then(|held| held.append.take()) {
            inner.requeue(append.ops.into_iter().map(|op| op.pending));
        }
        self.moved.notify_waiters();
        self.kick(inner);
        After::Over
    }

    /// The store does not take the batch, or what is in its place can't be read. What has changes is
    /// told so; the rest was decided behind it, and runs again.
    fn give_up(self: &Arc<Self>, inner: &mut Inner, error: &Error) -> After {
        let Some(append) = inner.ready().and_then(|held| held.append.take()) else {
            return After::Over;
        };
        let error = if append.unanswered {
            unknown().with_cause(error.clone())
        } else {
            error.clone()
        };
        let (changed, rest): (Vec<_>, Vec<_>) = append.ops.into_iter().partition(Op::has_changes);
        for op in changed {
            drop(op.pending.reply.send(Reply::Refused(error.clone())));
        }
        inner.requeue(rest.into_iter().map(|op| op.pending));
        self.moved.notify_waiters();
        self.kick(inner);
        After::Over
    }

    /// Reads the floor to prove what the append has met, and goes on from there: with our batch, if
    /// it is `own`, or with the commits, if it is another's that was met.
    async fn prove(
        self: &Arc<Self>,
        generation: u64,
        sequence: u64,
        proof: Proof,
        at: Duration,
        own: bool,
    ) {
        let mut backoff = Backoff::new(&self.shared);
        let floor = loop {
            match self.read_floor().await {
                Err(error) if error.reason == Reason::ServiceUnavailable => {
                    backoff.wait(&self.shared).await;
                }
                result => break result,
            }
        };
        let mut inner = self.lock();
        if inner.held(generation).is_none() {
            return;
        }
        let Ok(floor) = floor else {
            // Nothing can be proved any more: as if the floor had passed. The load names the fault.
            return self.fallen(&mut inner);
        };
        if !self.floor_read(&mut inner, &floor.floor, proof) {
            return;
        }
        let Some(held) = inner.held(generation) else {
            return;
        };
        if held.append_of(sequence).is_none() {
            return;
        }
        if own {
            return self.finish(&mut inner, Some(at));
        }
        if self.shared.mutated(Mutation::OtherConfirms) {
            held.confirm(at);
        }
        self.run_again(&mut inner);
    }

    /// For a mutation: reads the floor before the swap, unless time proves it.
    async fn floor_before(self: &Arc<Self>, generation: u64, sequence: u64) {
        let first = {
            let mut inner = self.lock();
            let Some(held) = inner.held(generation) else {
                return;
            };
            if held.is_trusted(&self.shared) {
                return;
            }
            held.append_of(sequence).map(|append| append.made.first)
        };
        if let (Some(first), Ok(floor)) = (first, self.read_floor().await)
            && floor.floor.revision > first
        {
            let mut inner = self.lock();
            if inner.held(generation).is_some() {
                self.fallen(&mut inner);
            }
        }
    }
}

impl Held {
    /// The append, if it is still this one.
    fn append_of(&mut self, sequence: u64) -> Option<&mut Append> {
        self.append.as_mut().filter(|a| a.sequence == sequence)
    }

    /// What commits are run against.
    pub(crate) fn base(&self) -> Base {
        Base {
            state: self.tip().clone(),
            damage: self.damage.as_ref().map(|d| d.text.clone()),
        }
    }
}
