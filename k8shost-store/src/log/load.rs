//! Loading a tenant: the floor, the projections, the log from the floor to its end, and the floor
//! again. The log's last word counts for every key that it mentions, the projection for every other;
//! and the digest of what comes out must be the one that was written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use k8shost_types::Error;

use super::apply::Step;
use super::format::{Batch, Floor};
use super::keys::{Key, Revision, TenantId};
use super::mutation::Mutation;
use super::prove::touch;
use super::scan::Scanned;
use super::shared::{Backoff, corrupt, store_error};
use super::state::{Life, State};
use super::tenant::{Applied, Damage, Held, Inner, KnownFloor, Phase, Tenant};
use crate::kv::KvError;

/// A page of the log has at most this many batches.
const LOG_PAGE: usize = 64;

/// What a load has read of the log.
struct Log {
    batches: Vec<(Batch, usize)>,
    /// The revision that follows the last batch.
    next: Revision,
    /// When the last look began, which found nothing, and the tickets then.
    end: Duration,
    mark: u64,
    /// A batch that was seen behind the end.
    beyond: Option<Revision>,
    /// Batches were seen below the floor.
    unswept: bool,
}

/// What a load has read.
pub(crate) struct Read {
    began: Duration,
    floor: KnownFloor,
    projections: Scanned,
    log: Log,
}

impl Tenant {
    /// Starts a load.
    pub(crate) fn start_load(self: &Arc<Self>, generation: u64) {
        let tenant = self.clone();
        let task = async move { tenant.load(generation).await };
        self.shared.env.spawn(task.boxed());
    }

    /// The loader's task.
    async fn load(self: Arc<Self>, generation: u64) {
        let began = self.shared.env.now();
        let loaded = match self.read_all().await {
            Ok(read) => self.assemble(read),
            Err(error) => Err(error),
        };
        let mut inner = self.lock();
        if inner.generation != generation || !matches!(inner.phase, Phase::Loading) {
            return;
        }
        match loaded {
            Ok((held, mark)) => {
                let shared = &self.shared;
                shared.stats.loads.add(1);
                if let Some(observer) = shared.observer() {
                    let took = shared.env.now().saturating_sub(began);
                    observer.loaded(held.state.len(), took);
                }
                self.loaded(&mut inner, held, mark);
            }
            Err(error) => {
                tracing::error!(tenant = %self.id, %error, "the tenant can't be loaded");
                inner.phase = Phase::Unloaded;
                // Watches that wait for the load are over.
                inner.generation += 1;
                let figure = &self.shared.stats.tail_bytes;
                let tails = &self.shared.tails;
                tails.reset(&self.tail, inner.generation, None, figure);
                self.moved.notify_waiters();
                self.fail_waiting(&mut inner, &error);
                self.fail_queue(&mut inner, &error);
            }
        }
    }

    /// The load is done: the tenant can be used.
    fn loaded(self: &Arc<Self>, inner: &mut Inner, held: Box<Held>, mark: u64) {
        let shared = &self.shared;
        let figure = &shared.stats.tail_bytes;
        let revision = Some(held.state.revision());
        let tails = &shared.tails;
        tails.reset(&self.tail, inner.generation, revision, figure);
        let damage = held.damage.as_ref().map(|damage| damage.text.clone());
        shared.set_damage(&self.id, damage);
        let due = self.next_due(inner, Some(&held));
        self.live.store(held.state.is_alive(), Ordering::Release);
        inner.phase = Phase::Ready(held);
        self.moved.notify_waiters();
        self.serve_loaded(inner, mark);
        self.kick(inner);
        self.plan(due);
    }

    /// Reads everything, until the floor has not moved meanwhile.
    pub(crate) async fn read_all(&self) -> Result<Read, Error> {
        loop {
            let began = self.shared.env.now();
            let floor = self.read_floor().await?;
            let from = floor.floor.revision;
            let empty = State::empty(from - 1, floor.floor.since, life_of(self, &floor.floor))
                .with(self.shared.schema.template(&self.id));
            let (projections, log) = if self.shared.mutated(Mutation::LogThenScan) {
                let log = self.read_log(from).await?;
                (self.scan(empty).await?, log)
            } else {
                (self.scan(empty).await?, self.read_log(from).await?)
            };
            let read = Read {
                began,
                floor,
                projections,
                log,
            };
            if self.shared.mutated(Mutation::NoSecondFloor) {
                return Ok(read);
            }
            if self.read_floor().await?.raw != read.floor.raw {
                continue;
            }
            if let Some(beyond) = read.log.beyond {
                let key = self.id.log_key(read.log.next);
                let detail = format!("there is no batch here, and one at revision {beyond}");
                return Err(corrupt(&key, detail));
            }
            return Ok(read);
        }
    }

    /// Reads the log from a revision to its end.
    async fn read_log(&self, from: Revision) -> Result<Log, Error> {
        let mut log = Log {
            batches: Vec::new(),
            next: from,
            end: Duration::ZERO,
            mark: 0,
            beyond: None,
            unswept: false,
        };
        // Pages are quick, but no snapshots: where one leaves a gap, and at the end, each batch is
        // looked for by itself.
        let mut backoff = Backoff::new(&self.shared);
        let mut start = self.id.log_key(0);
        'pages: loop {
            let end = self.id.log_end();
            let page = match self.shared.kv.scan(start.clone(), end, LOG_PAGE).await {
                Err(KvError::Unknown(_)) => {
                    backoff.wait(&self.shared).await;
                    continue;
                }
                result => result.map_err(|error| store_error(&error))?,
            };
            if page.is_empty() {
                break;
            }
            for (key, value) in page {
                let first = TenantId::of_key(&key)
                    .and_then(|(_, rest)| TenantId::log_revision(rest))
                    .ok_or_else(|| corrupt(&key, "not the key of a batch"))?;
                if first < from {
                    // A truncation was cut short behind the move of the floor.
                    log.unswept = true;
                    start = self.id.log_key(from);
                    continue 'pages;
                }
                if first > log.next {
                    log.beyond = Some(first);
                    break 'pages;
                }
                if first == log.next {
                    self.read_batch(&mut log, &value)?;
                }
            }
            start = self.id.log_key(log.next);
        }
        loop {
            log.end = self.shared.env.now();
            log.mark = self.lock().tickets;
            let value = self.shared.get(self.id.log_key(log.next)).await;
            match value.map_err(|error| store_error(&error))? {
                Some(value) => self.read_batch(&mut log, &value)?,
                None => break,
            }
        }
        log.beyond = log.beyond.filter(|first| *first > log.next);
        Ok(log)
    }

    /// Takes the next batch in.
    fn read_batch(&self, log: &mut Log, value: &Bytes) -> Result<(), Error> {
        let batch = self.decode(log.next, value)?;
        log.next = batch.last() + 1;
        log.batches.push((batch, value.len()));
        Ok(())
    }

    /// Makes the state of what was read.
    pub(crate) fn assemble(&self, read: Read) -> Result<(Box<Held>, u64), Error> {
        let shared = &self.shared;
        let now = shared.env.now();
        let known = if shared.mutated(Mutation::LoadedAtStart) {
            read.began
        } else {
            now
        };
        let confirmed = if shared.mutated(Mutation::ConfAtArrival) {
            now
        } else {
            read.log.end
        };
        let Scanned {
            state,
            debris,
            unreadable,
        } = read.projections;
        let projected = state.clone();
        let mut digest = read.floor.floor.digest();
        let mut held = Box::new(Held::new(state, confirmed, read.floor));
        if !read.log.unswept {
            held.swept = held.floor.floor.revision;
        }
        for (batch, bytes) in read.log.batches {
            digest = batch.digest();
            self.add_batch(&mut held, &batch, bytes, known)?;
        }
        held.state.index_claims();
        // A projection that the log overrules is out of date only if it differs.
        held.dirty.retain(|key| {
            let revision = |state: &State| state.get(key).map(|object| object.revision);
            revision(&projected) != revision(&held.state)
        });
        if shared.mutated(Mutation::ClosedOwnConfirm) {
            held.debris.extend(debris.iter().cloned());
        }
        held.dirty.extend(debris);
        if held.state.digest() == digest {
            // What can't be read is no part of the state, or the log has it.
            held.dirty.extend(unreadable);
        } else {
            held.damage = Some(Damage {
                text: mismatch(&held.state, digest, &unreadable),
                unreadable,
            });
        }
        Ok((held, read.log.mark))
    }

    /// Applies a batch of the log.
    fn add_batch(
        &self,
        held: &mut Held,
        batch: &Batch,
        bytes: usize,
        known: Duration,
    ) -> Result<(), Error> {
        let nothing = State::empty(0, 0, Life::None);
        let mut step = Step::from(std::mem::replace(&mut held.state, nothing));
        let keeps = self.shared.mutated(Mutation::CloseKeeps);
        let done = if keeps {
            step.batch_without_closes(batch)
        } else {
            step.batch(batch)
        };
        done.map_err(|error| corrupt(&self.id.log_key(batch.first), error))?;
        let keys = touch(held, &step, true);
        held.log_bytes += bytes;
        held.applied.push_back(Applied {
            first: batch.first,
            last: batch.last(),
            bytes,
            time: batch.time,
            known,
            digest: batch.digest(),
            since: step.state.since,
            life: step.state.life.clone(),
            keys,
        });
        held.state = step.state;
        Ok(())
    }
}

/// The life that a floor tells of.
fn life_of(tenant: &Tenant, floor: &Floor) -> Life {
    let unflagged = tenant.shared.mutated(Mutation::NoClosedFlag) && floor.since > 0;
    if tenant.id.is_system() {
        Life::System
    } else if floor.alive || unflagged {
        Life::Project(floor.uid.as_str().into())
    } else {
        Life::None
    }
}

fn mismatch(state: &State, digest: u128, unreadable: &[Key]) -> String {
    let revision = state.revision();
    let found = state.digest();
    let mut text =
        format!("at revision {revision} the digest should be {digest:032x} and is {found:032x}");
    for key in unreadable.iter().take(8) {
        text.push_str(&format!("; the projection {key} can't be read"));
    }
    text
}
