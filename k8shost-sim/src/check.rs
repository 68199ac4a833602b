//! The checker of answers: each one is held against the true log at the moment it is given.

use k8shost_types::{Error, Reason};

use crate::history::{Fate, Op, Run};
use crate::names::Before;
use crate::object::{Change, View};
use crate::op::{Kind, Refusal};
use crate::world::{Core, note};

/// A watch, as its client knows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    /// Counts the watches of this client.
    pub(crate) instance: u64,
    pub(crate) tenant: usize,
    pub(crate) server: usize,
    /// Everything up to here was seen.
    pub(crate) revision: u64,
    pub(crate) live: bool,
    pub(crate) task: Option<u64>,
}

impl Core {
    /// A client, or a step of an operation, asks for something.
    pub(crate) fn begin(
        &mut self,
        client: Option<usize>,
        tenant: usize,
        server: usize,
        kind: Kind,
    ) -> u32 {
        let id = self.history.ops.len() as u32;
        let it = &self.history.tenants[tenant];
        // Where one process has the store, an append that it does not know to be done is not done yet.
        let least = if self.mix.exclusive {
            it.told
        } else {
            it.end()
        };
        note!(self, "op {id} of T{tenant} at S{server}: {kind:?}");
        self.stats.operations += 1;
        self.history.ops.push(Op {
            kind,
            tenant,
            client,
            began: self.now,
            least,
            fate: Fate::Pending,
            landed: None,
            refusals: Vec::new(),
            unchanged: Vec::new(),
            task: None,
        });
        id
    }

    /// A commit's function runs, in a server.
    pub(crate) fn decide(
        &mut self,
        id: u32,
        (server, incarnation): (usize, u64),
        view: Result<View, String>,
    ) -> Result<Vec<Change>, usize> {
        let op = &self.history.ops[id as usize];
        let (kind, tenant) = (op.kind, op.tenant);
        let view = match view {
            Ok(view) => view,
            Err(error) => {
                self.bad(format!("1: operation {id} is run on no state: {error}"));
                return Ok(Vec::new());
            }
        };
        let slots = self.slots(tenant);
        let result = kind.run(id, &view, slots);
        note!(
            self,
            "op {id} runs at {} in S{server}: {result:?}",
            view.revision + 1
        );
        let op = &mut self.history.ops[id as usize];
        match result {
            Ok(changes) => {
                if changes.is_empty() {
                    op.unchanged.push(view);
                } else {
                    let runs = &mut self.history.tenants[tenant].runs;
                    let at = view.revision as usize;
                    if runs.len() <= at {
                        runs.resize_with(at + 1, Vec::new);
                    }
                    runs[at].push(Run {
                        number: self.history.runs,
                        op: id,
                        server,
                        incarnation,
                        changes: changes.clone(),
                    });
                    self.history.runs += 1;
                }
                Ok(changes)
            }
            Err(refusal) => {
                op.refusals.push((view, refusal));
                Err(op.refusals.len() - 1)
            }
        }
    }

    /// A commit was acknowledged, with these events and this revision of the state.
    pub(crate) fn committed(&mut self, id: u32, revision: u64, events: Vec<(u64, Change, Before)>) {
        let op = &self.history.ops[id as usize];
        let (kind, tenant, least, landed) = (op.kind, op.tenant, op.least, op.landed);
        let Some((first, ..)) = events.first() else {
            let view = op
                .unchanged
                .iter()
                .rev()
                .find(|view| view.revision <= revision)
                .copied();
            let Some(view) = view else {
                return self.bad(format!(
                    "2: operation {id} {kind:?} changed nothing, which its function never said"
                ));
            };
            if self.is_true(id, &view, least) {
                self.settle(id, Fate::Done);
            }
            return;
        };
        if landed != Some(*first) {
            return self.bad(format!(
                "2: operation {id} {kind:?} is acknowledged at {first}, the log has it at {landed:?}"
            ));
        }
        let it = &self.history.tenants[tenant];
        for (at, change, before) in &events {
            let truth = it
                .at(*at)
                .filter(|r| r.op == Some(id) && r.change == *change);
            let whole = truth.is_some() && is_before(it.view(at - 1), change, before);
            if !whole {
                let what =
                    format!("2: operation {id} is told of {change:?} after {before:?} at {at}");
                return self.bad(what);
            }
        }
        let last = first + events.len() as u64 - 1;
        let more = it.at(last + 1).is_some_and(|r| r.op == Some(id));
        self.tell(tenant, last);
        let it = &self.history.tenants[tenant];
        if more || revision < last || it.at(revision).is_none() {
            return self.bad(format!(
                "2: operation {id} is told of {first}..{last}, with the state at {revision}"
            ));
        }
        self.settle(id, Fate::Done);
    }

    /// A commit or a read was answered with an error.
    pub(crate) fn failed(&mut self, id: u32, refused: Option<usize>, error: &Error) {
        note!(self, "op {id} fails: {error}");
        let op = &self.history.ops[id as usize];
        let (kind, tenant, began, least, landed) =
            (op.kind, op.tenant, op.began, op.least, op.landed);
        if let Some(number) = refused {
            let Some((view, refusal)) = op.refusals.get(number).copied() else {
                return self.bad(format!(
                    "3: operation {id} was refused as it never was: {error}"
                ));
            };
            return self.refused(id, &view, refusal);
        }
        let fate = match error.reason {
            Reason::Timeout => Fate::Unknown,
            Reason::ServiceUnavailable => Fate::Refused,
            Reason::NotFound if self.history.was_gone(tenant, began) => Fate::Refused,
            // What is in memory may be of a life that has ended, however long ago.
            Reason::NotFound if kind == Kind::Cached && tenant != 0 => Fate::Refused,
            Reason::RequestEntityTooLarge if matches!(kind, Kind::Bulk(_) | Kind::Empty) => {
                Fate::Refused
            }
            // Somebody else has ended the project meanwhile, and somebody has made it again.
            Reason::Conflict if kind == Kind::Close => Fate::Refused,
            Reason::ResourceVersionTooLarge if matches!(kind, Kind::AtLeast(at) if at > least) => {
                Fate::Refused
            }
            _ => {
                let what = format!(
                    "3: operation {id} {kind:?} is answered with {:?}: {error}",
                    error.reason
                );
                return self.bad(what);
            }
        };
        if fate == Fate::Refused
            && let Some(at) = landed
        {
            return self.bad(format!(
                "2: operation {id} {kind:?} took effect at {at}, and is refused: {error}"
            ));
        }
        self.settle(id, fate);
    }

    fn refused(&mut self, id: u32, view: &View, refusal: Refusal) {
        let op = &self.history.ops[id as usize];
        let (kind, tenant, least, landed) = (op.kind, op.tenant, op.least, op.landed);
        if !self.is_true(id, view, least) {
            return;
        }
        let again = kind.run(id, view, self.slots(tenant));
        if again != Err(refusal) {
            return self.bad(format!(
                "3: operation {id} {kind:?} is refused on a state that gives {again:?}"
            ));
        }
        if let Some(at) = landed {
            return self.bad(format!(
                "2: operation {id} {kind:?} took effect at {at}, and is refused"
            ));
        }
        self.stats.refused += 1;
        self.settle(id, Fate::Refused);
    }

    /// Whether a state is a true one, and no older than it may be.
    fn is_true(&mut self, id: u32, view: &View, least: u64) -> bool {
        let op = &self.history.ops[id as usize];
        let (kind, tenant) = (op.kind, op.tenant);
        let truth = self.history.tenants[tenant].view(view.revision);
        if truth != Some(*view) {
            self.bad(format!(
                "3: operation {id} {kind:?} of T{tenant} is answered from {view:?}, the truth is {truth:?}"
            ));
            return false;
        }
        if view.revision < least {
            self.bad(format!(
                "3: operation {id} {kind:?} of T{tenant} is answered from {}, and {least} was there before it began",
                view.revision
            ));
            return false;
        }
        self.tell(tenant, view.revision);
        true
    }

    /// Somebody was told of a revision.
    fn tell(&mut self, tenant: usize, revision: u64) {
        let told = &mut self.history.tenants[tenant].told;
        *told = revision.max(*told);
    }

    /// A read was answered with this state.
    pub(crate) fn read(&mut self, id: u32, view: Result<View, String>) {
        let op = &self.history.ops[id as usize];
        let (kind, tenant, least) = (op.kind, op.tenant, op.least);
        let view = match view {
            Ok(view) => view,
            Err(error) => {
                return self.bad(format!("1: operation {id} reads what is no state: {error}"));
            }
        };
        let least = match kind {
            Kind::Cached | Kind::Page(_) => 0,
            Kind::AtLeast(revision) => revision,
            _ => least,
        };
        if !self.is_true(id, &view, least) {
            return;
        }
        if let Kind::Page(revision) = kind
            && view.revision != revision
        {
            return self.bad(format!(
                "3: a page of {revision} is one of {}",
                view.revision
            ));
        }
        if !self.history.tenants[tenant].is_boundary(view.revision) {
            return self.bad(format!(
                "3: operation {id} {kind:?} reads inside of a batch, at {}",
                view.revision
            ));
        }
        self.stats.reads += 1;
        self.settle(id, Fate::Done);
    }

    /// A close was acknowledged: there must be one since it was asked for.
    pub(crate) fn closed(&mut self, id: u32) {
        let op = &self.history.ops[id as usize];
        let revisions = &self.history.tenants[op.tenant].revisions;
        let since = revisions.iter().rev().take_while(|r| r.landed >= op.began);
        if !since.into_iter().any(|r| r.change == Change::Close) {
            return self.bad(format!(
                "2: operation {id} is told that a close was appended"
            ));
        }
        self.settle(id, Fate::Done);
    }

    /// An operation was answered.
    pub(crate) fn settle(&mut self, id: u32, fate: Fate) {
        note!(self, "op {id}: {fate:?}");
        self.stir(u64::from(id) << 4 | fate as u64);
        let op = &mut self.history.ops[id as usize];
        if op.fate == Fate::Pending {
            op.fate = fate;
        } else if op.fate == Fate::Unknown && fate == Fate::Refused {
            // Its client has left, but the answer holds all the same.
            op.fate = Fate::Refused;
        }
        if fate == Fate::Unknown {
            self.stats.unknown += 1;
        }
        if let Some(client) = op.client {
            self.answered(client, id);
        }
    }

    /// A watch tells of these events, and is at `revision` then.
    pub(crate) fn delivered(
        &mut self,
        watcher: usize,
        instance: u64,
        events: Result<Vec<(u64, Change, Before)>, String>,
        revision: u64,
    ) {
        let watch = self.watches[watcher];
        if watch.instance != instance {
            return;
        }
        let events = match events {
            Ok(events) => events,
            Err(error) => return self.bad(format!("4: watcher {watcher} is told of {error}")),
        };
        let it = &self.history.tenants[watch.tenant];
        let mut seen = watch.revision;
        for (at, change, before) in &events {
            if *at != seen + 1 {
                return self.bad(format!("4: watcher {watcher} is told of {at} after {seen}"));
            }
            let whole = it.at(*at).is_some_and(|r| r.change == *change)
                && is_before(it.view(at - 1), change, before);
            if !whole {
                let truth = it.at(*at).map(|r| r.change);
                return self.bad(format!(
                    "4: watcher {watcher} of T{} is told of {change:?} after {before:?} at {at}, the truth is {truth:?}",
                    watch.tenant
                ));
            }
            seen = *at;
        }
        if revision != seen {
            return self.bad(format!(
                "4: watcher {watcher} is at {revision}, and the last it was told of is {seen}"
            ));
        }
        let count = events.len() as u64;
        self.stats.events += count;
        self.stir(revision << 8 | watcher as u64);
        note!(self, "watcher {watcher} is at {revision}");
        self.watches[watcher].revision = revision;
        self.tell(watch.tenant, revision);
    }

    /// A watch came to its end.
    pub(crate) fn watch_ended(&mut self, watcher: usize, instance: u64, error: Option<&Error>) {
        if self.watches[watcher].instance != instance {
            return;
        }
        let watch = self.watches[watcher];
        self.watches[watcher].live = false;
        let Some(error) = error else {
            return;
        };
        note!(
            self,
            "watcher {watcher} ends at {}: {error}",
            watch.revision
        );
        match error.reason {
            Reason::Expired => self.stats.expired += 1,
            Reason::ServiceUnavailable | Reason::Timeout => {}
            Reason::NotFound => {}
            reason => self.bad(format!(
                "4: watcher {watcher} ends with {reason:?}: {error}"
            )),
        }
    }
}

/// Whether the object that a change is about was what is said of it.
fn is_before(view: Option<View>, change: &Change, before: &Before) -> bool {
    let slot = match change {
        Change::Put(slot, _) => *slot,
        // A deletion is told with the whole object.
        Change::Delete(slot) if matches!(before, Before::Object(_)) => *slot,
        _ => return false,
    };
    view.is_some_and(|view| before.is(&view.objects[slot]))
}
