//! Commits become a batch: their functions are run, one on what the other leaves.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use k8shost_types::{Error, Reason};

use super::append::Op;
use super::apply::Step;
use super::format::{Kind, Record};
use super::keys::Revision;
use super::mutation::Mutation;
use super::state::{Change, State};
use super::tenant::{Pending, Reply, Tenant, Work};
use super::{CommitFn, Config};

/// What commits are run against.
pub(crate) struct Base {
    pub(crate) state: State,
    /// Why the tenant is read-only.
    pub(crate) damage: Option<String>,
}

/// A batch in the making.
pub(crate) struct Build<'a> {
    config: &'a Config,
    pub(crate) step: Step,
    pub(crate) records: Vec<Record>,
    bytes: usize,
    pub(crate) ops: Vec<Op>,
    /// It makes a damaged state right.
    pub(crate) mends: bool,
}

impl Tenant {
    /// Runs commits, as many as a batch takes; gives the rest back.
    pub(crate) fn build(
        &self,
        mut pending: VecDeque<Pending>,
        base: Base,
    ) -> (Build<'_>, VecDeque<Pending>) {
        let config = &self.shared.config;
        let mut build = Build {
            config,
            step: Step::from(base.state),
            records: Vec::new(),
            bytes: 0,
            ops: Vec::new(),
            mends: false,
        };
        while build.bytes < config.batch_bytes
            && let Some(next) = pending.pop_front()
        {
            if next.reply.is_closed() {
                // Who asked has gone away before anything was sent.
                continue;
            }
            if let Some(next) = self.run(&mut build, next, base.damage.as_deref()) {
                pending.push_front(next);
                break;
            }
        }
        (build, pending)
    }

    /// Runs one commit. Gives it back if the batch has no room for it.
    fn run(
        &self,
        build: &mut Build<'_>,
        mut pending: Pending,
        damage: Option<&str>,
    ) -> Option<Pending> {
        let state = &build.step.state;
        let (before, events) = (state.revision(), build.step.events.len());
        let damage = damage.filter(|_| !build.mends);
        let outcome = match (&mut pending.work, damage) {
            (Work::Commit(_), _) if !state.is_alive() => {
                let Pending { work, reply } = pending;
                if let Work::Commit(f) = work {
                    drop(reply.send(Reply::Closed(f)));
                }
                return None;
            }
            (Work::Birth { at, .. }, _) if !self.may_be_born(state, *at) => {
                drop(pending.reply.send(Reply::Moved));
                return None;
            }
            (Work::Close { at }, _) if *at != before => {
                drop(pending.reply.send(Reply::Moved));
                return None;
            }
            (Work::Commit(_) | Work::Birth { .. }, Some(damage)) => {
                let message = format!("{} is read-only: {damage}", self.id);
                Err(Error::new(Reason::ServiceUnavailable, message))
            }
            (Work::Commit(f), None) => match build.commit(f) {
                Ok(false) => return Some(pending),
                Ok(true) => Ok(()),
                Err(error) => Err(error),
            },
            (Work::Birth { uid, .. }, None) => {
                let born = self.shared.schema.born(&self.id, uid, before + 2);
                build.birth(uid, born)
            }
            (Work::Close { .. }, _) => {
                build.mends = true;
                let record = build.step.close();
                build.records.push(record);
                Ok(())
            }
            (Work::Accept, None) => Ok(()),
            (Work::Accept, Some(_)) => {
                build.mends = true;
                build.step.accept();
                build.records.push(Record::marker(Kind::Accept, ""));
                Ok(())
            }
        };
        build.ops.push(Op {
            pending,
            outcome,
            events: build.step.events.len() - events,
            before,
            after: build.step.state.revision(),
        });
        None
    }

    fn may_be_born(&self, state: &State, at: Revision) -> bool {
        let anywhere = self.shared.mutated(Mutation::BirthUnconfirmed);
        !state.is_alive() && (anywhere || state.revision() == at)
    }

    /// Decides again what was refused, or was to change nothing, on a state that was confirmed since.
    pub(crate) fn decide(self: &Arc<Self>, pending: Vec<Pending>, base: Base) {
        let (build, rest) = self.build(pending.into(), base);
        let mut changed = false;
        let mut again: Vec<Pending> = Vec::new();
        for op in build.ops {
            // Behind a commit with changes, the state is not the one that was confirmed.
            changed |= op.has_changes();
            if changed {
                again.push(op.pending);
            } else {
                op.answer(&mut std::iter::empty());
            }
        }
        let mut inner = self.lock();
        inner.requeue(again.into_iter().chain(rest));
        self.kick(&mut inner);
    }
}

impl Build<'_> {
    /// Runs a commit's function and does what it asks for. `false`: there is no room for it.
    fn commit(&mut self, f: &mut CommitFn) -> Result<bool, Error> {
        let state = &self.step.state;
        // A fault in one request's function is not to end the writer that all of them share.
        let changes = catch_unwind(AssertUnwindSafe(|| f(state))).unwrap_or_else(|_| {
            let message = "the request met a fault of the server";
            Err(Error::new(Reason::Internal, message))
        })?;
        let bytes = self.check(&changes)?;
        let most = self.config.max_commit_bytes;
        if bytes > most {
            let message = format!("the request changes {bytes} bytes; at most {most} at once");
            return Err(Error::new(Reason::RequestEntityTooLarge, message));
        }
        if self.bytes > 0 && self.bytes + bytes > most {
            return Ok(false);
        }
        self.bytes += bytes;
        self.change(changes);
        Ok(true)
    }

    fn birth(&mut self, uid: &str, born: Vec<Change>) -> Result<(), Error> {
        self.bytes += self.check(&born)?;
        let record = self.step.birth(uid);
        self.records.push(record);
        self.change(born);
        Ok(())
    }

    fn change(&mut self, changes: Vec<Change>) {
        for change in changes {
            let record = self.step.change(change);
            self.records.push(record);
        }
    }

    /// Whether changes can be made, and about how many bytes they have in a batch.
    fn check(&self, changes: &[Change]) -> Result<usize, Error> {
        let most = self.config.max_object_bytes;
        let mut bytes = 0;
        // What earlier changes of the same commit leave of a key.
        let mut left: BTreeMap<&str, bool> = BTreeMap::new();
        for change in changes {
            let (key, puts) = match change {
                Change::Put {
                    key,
                    value,
                    attributes,
                } => {
                    if !key.is_well_formed() {
                        return Err(fault(format!("{key:?} can't be the key of an object")));
                    }
                    if value.len() > most {
                        let size = value.len();
                        let message = format!("{key} has {size} bytes; an object may have {most}");
                        return Err(Error::new(Reason::RequestEntityTooLarge, message));
                    }
                    bytes += value.len() + attributes.size();
                    (key, true)
                }
                Change::Delete { key } => {
                    let old = self.step.state.get(key);
                    let there = left.get(key.as_str()).copied().unwrap_or(old.is_some());
                    if !there {
                        return Err(fault(format!(
                            "{key:?} does not exist and can't be deleted"
                        )));
                    }
                    bytes += old.map_or(0, |o| o.value.len() + o.attributes.size());
                    (key, false)
                }
            };
            // Keys, lengths and revisions take about this much.
            bytes += key.len() + 48;
            if changes.len() > 1 {
                left.insert(key, puts);
            }
        }
        Ok(bytes)
    }
}

fn fault(message: String) -> Error {
    tracing::error!("a commit can't be made: {message}");
    Error::new(Reason::Internal, message)
}
