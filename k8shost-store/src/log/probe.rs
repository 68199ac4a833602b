//! The barrier: a look at the place behind the end of the log. Nothing there, and the state is
//! current; a batch there is another's, and is taken in. One task does it for all that wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use k8shost_types::Error;

use super::keys::Revision;
use super::mutation::Mutation;
use super::prove::Proof;
use super::shared::{Backoff, store_error};
use super::tenant::{Inner, Tenant};
use crate::kv::KvError;

/// A look at the place of a batch.
#[derive(Clone, Copy)]
struct Look {
    revision: Revision,
    /// When it began.
    start: Duration,
    /// The tickets when it began.
    mark: u64,
}

/// A look at the place behind the end, by the poller.
#[derive(Clone, Copy)]
pub(crate) struct Peek {
    generation: u64,
    look: Look,
}

impl Peek {
    /// The revision whose place is looked at.
    pub(crate) fn revision(&self) -> Revision {
        self.look.revision
    }
}

/// What the barrier does after an answer.
enum After {
    /// Look again: the end was not found.
    Again,
    /// The end was found, and who waited for it was served.
    End,
    /// Wait until our own append has come to its end.
    OwnAppend,
    /// Read the floor, to prove what was read or that the end is the end.
    Prove(Proof, End),
    /// The state was dropped.
    Over,
}

/// What a proof confirms.
#[derive(Clone, Copy)]
enum End {
    /// The end of the log was found.
    Found(Look),
    /// For a mutation: a batch of another's was found.
    Batch(Look),
}

impl Tenant {
    /// The barrier's task: runs for as long as somebody waits.
    pub(crate) async fn probe(self: Arc<Self>, generation: u64) {
        let mut backoff = Backoff::new(&self.shared);
        let mut seeking = false;
        while let Some(look) = self.look(generation, seeking) {
            seeking = true;
            let key = self.id.log_key(look.revision);
            // Made before the answer is looked at, so that nothing that happens after is missed.
            let moved = self.moved.notified();
            let after = match self.shared.kv.get(key).await {
                Err(KvError::Unknown(_)) => {
                    backoff.wait(&self.shared).await;
                    continue;
                }
                Err(error) => return self.probe_failed(generation, &store_error(&error)),
                Ok(found) => self.looked(generation, look, found),
            };
            backoff = Backoff::new(&self.shared);
            match after {
                Ok(After::Again) => {}
                Ok(After::End) => seeking = false,
                Ok(After::OwnAppend) => moved.await,
                Ok(After::Over) => return,
                Ok(After::Prove(proof, end)) => match self.read_floor().await {
                    Ok(floor) => {
                        let mut inner = self.lock();
                        if inner.held(generation).is_none()
                            || !self.floor_read(&mut inner, &floor.floor, proof)
                        {
                            return;
                        }
                        seeking = !self.proved(&mut inner, end);
                    }
                    Err(error) => return self.probe_failed(generation, &error),
                },
                Err(error) => return self.probe_failed(generation, &error),
            }
        }
    }

    /// The poller looks for others' commits, now. `None`: nothing is loaded.
    pub(crate) fn peek(&self) -> Option<Peek> {
        let start = self.shared.env.now();
        let mut inner = self.lock();
        let (generation, mark) = (inner.generation, inner.tickets);
        let revision = inner.ready()?.tip().next_revision();
        Some(Peek {
            generation,
            look: Look {
                revision,
                start,
                mark,
            },
        })
    }

    /// The poller was answered. Nothing there is the end only as long as time proves it: what came there
    /// may be truncated already, and then only the floor tells.
    pub(crate) fn peeked(self: &Arc<Self>, peek: Peek, found: bool) {
        {
            let mut inner = self.lock();
            let Some(held) = inner.held(peek.generation) else {
                return;
            };
            if !found && held.unproved.is_empty() && held.is_trusted(&self.shared) {
                if peek.look.revision == held.tip().next_revision() {
                    held.confirm(self.confirmation(peek.look));
                }
                return;
            }
            if found && peek.look.revision == held.tip().next_revision() {
                self.shared.stats.polled.add(1);
            }
        }
        self.poll();
    }

    /// A look begins now. `None`: there is nothing to look for, and the task ends.
    fn look(&self, generation: u64, seeking: bool) -> Option<Look> {
        let start = self.shared.env.now();
        let mut inner = self.lock();
        if inner.generation != generation {
            return None;
        }
        let mark = inner.tickets;
        let wanted = seeking || inner.poll || !inner.waiting.is_empty();
        let held = inner.held(generation)?;
        let revision = held.tip().next_revision();
        if !wanted && held.unproved.is_empty() {
            inner.probing = false;
            return None;
        }
        inner.poll = false;
        Some(Look {
            revision,
            start,
            mark,
        })
    }

    /// A look was answered.
    fn looked(
        self: &Arc<Self>,
        generation: u64,
        look: Look,
        found: Option<Bytes>,
    ) -> Result<After, Error> {
        let shared = &self.shared;
        let mut inner = self.lock();
        let Some(held) = inner.held(generation) else {
            return Ok(After::Over);
        };
        let at_end = look.revision == held.tip().next_revision();
        let Some(value) = found else {
            if held.unproved.is_empty() && held.is_trusted(shared) {
                // If the state went on meanwhile, then by what came after the look: the end that was
                // found is one that it has passed since.
                if at_end {
                    held.confirm(self.confirmation(look));
                }
                self.end(&mut inner, look);
                return Ok(After::End);
            }
            if !at_end {
                return Ok(After::Again);
            }
            let mut proof = held.proof(shared);
            if held.unproved.is_empty() && shared.mutated(Mutation::BarrierNoNext) {
                proof.low = Revision::MAX;
            }
            return Ok(After::Prove(proof, End::Found(look)));
        };
        if !at_end {
            return Ok(After::Again);
        }
        let batch = self.decode(look.revision, &value)?;
        if held
            .append
            .as_ref()
            .is_some_and(|a| self.is_mine(&batch, a))
        {
            return Ok(After::OwnAppend);
        }
        if !self.take_batch(&mut inner, &batch, value.len())? {
            return Ok(After::Over);
        }
        if shared.mutated(Mutation::OtherConfirms)
            && let Some(held) = inner.held(generation)
        {
            return Ok(After::Prove(held.proof(shared), End::Batch(look)));
        }
        Ok(After::Again)
    }

    /// The time of a confirmation by a look that found the end.
    fn confirmation(&self, look: Look) -> Duration {
        if self.shared.mutated(Mutation::ConfAtArrival) {
            return self.shared.env.now();
        }
        look.start
    }

    /// The floor has proved what a look has found. Whether that was the end.
    fn proved(self: &Arc<Self>, inner: &mut Inner, end: End) -> bool {
        let (End::Found(look) | End::Batch(look)) = end;
        if let Some(held) = inner.ready() {
            held.confirm(self.confirmation(look));
        }
        match end {
            End::Found(look) => {
                self.end(inner, look);
                true
            }
            End::Batch(_) => {
                self.kick(inner);
                false
            }
        }
    }

    /// The end of the log was found and is proved: serves who waited when the look began.
    fn end(self: &Arc<Self>, inner: &mut Inner, look: Look) {
        let shared = &self.shared;
        shared.stats.barriers.add(1);
        if let Some(observer) = shared.observer() {
            observer.barrier(shared.env.now().saturating_sub(look.start));
        }
        self.serve(inner, look.mark);
        self.kick(inner);
    }

    /// The end of the log can't be found: nobody waits for it any longer.
    fn probe_failed(self: &Arc<Self>, generation: u64, error: &Error) {
        let mut inner = self.lock();
        let Some(held) = inner.held(generation) else {
            return;
        };
        let stuck = !held.unproved.is_empty() && held.append.is_none();
        inner.probing = false;
        self.fail_waiting(&mut inner, error);
        if stuck {
            self.fail_queue(&mut inner, error);
        }
    }
}
