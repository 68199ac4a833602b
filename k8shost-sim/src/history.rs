//! The true log of each tenant, as the store saw it come about, and what it says of the run: every batch
//! is held against what was asked for, every change of the raw keys against what a load would make of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::format::{Batch, Floor, digest};
use crate::object::{Change, K, Obj, View, born, keys, project_slot};
use crate::op::{Kind, Refusal};
use crate::world::{Core, Sender, note};

/// A revision of the true log.
#[derive(Clone, Debug)]
pub(crate) struct Revision {
    pub(crate) change: Change,
    /// The commit that it is part of; births and closes are nobody's.
    pub(crate) op: Option<u32>,
    pub(crate) landed: u64,
    /// The state after it.
    pub(crate) view: View,
    /// The last one of its batch.
    pub(crate) end: bool,
}

/// A run of a commit's function.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Its number among all.
    pub(crate) number: u64,
    pub(crate) op: u32,
    pub(crate) server: usize,
    pub(crate) incarnation: u64,
    pub(crate) changes: Vec<Change>,
}

/// A tenant: what stands in the store, decoded, and what has been true of it.
pub(crate) struct Tenant {
    index: usize,
    pub(crate) prefix: String,
    pub(crate) revisions: Vec<Revision>,
    log: BTreeMap<u64, Batch>,
    floor: Option<Floor>,
    projections: [Obj; K],
    /// Runs of commits' functions, by the revision of the state that they saw.
    pub(crate) runs: Vec<Vec<Run>>,
    /// Batches that landed below the floor. They stay until a range around them is deleted again.
    voids: BTreeSet<u64>,
    /// The last revision that anybody was told of.
    pub(crate) told: u64,
    /// A project's: when it was last missing, terminating or closed.
    gone_until: u64,
}

/// What became of an operation, as far as anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pending,
    Done,
    Refused,
    Unknown,
}

/// An operation of a client.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) kind: Kind,
    pub(crate) tenant: usize,
    /// Who waits for it, if it is not a step of another.
    pub(crate) client: Option<usize>,
    pub(crate) began: u64,
    /// The end of the log when it began.
    pub(crate) least: u64,
    pub(crate) fate: Fate,
    /// The first revision that it got.
    pub(crate) landed: Option<u64>,
    /// The states that its function refused, and why.
    pub(crate) refusals: Vec<(View, Refusal)>,
    /// The states that its function would not change.
    pub(crate) unchanged: Vec<View>,
    /// The task that carries it out.
    pub(crate) task: Option<u64>,
}

/// Everything that the checker knows.
pub(crate) struct History {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) ops: Vec<Op>,
    /// How often commits' functions were run.
    pub(crate) runs: u64,
    /// The last revision of each tenant that a list was kept of.
    pub(crate) kept: Vec<Option<u64>>,
    /// One process has the store.
    pub(crate) exclusive: bool,
    /// Also hold the inner workings against what they should be.
    pub(crate) white: bool,
}

impl Tenant {
    pub(crate) fn new(index: usize, prefix: String) -> Self {
        Self {
            index,
            prefix,
            revisions: Vec::new(),
            log: BTreeMap::new(),
            floor: None,
            projections: [Obj::default(); K],
            runs: Vec::new(),
            voids: BTreeSet::new(),
            told: 0,
            gone_until: 0,
        }
    }

    /// The last revision of the true log.
    pub(crate) fn end(&self) -> u64 {
        self.revisions.len() as u64
    }

    pub(crate) fn at(&self, revision: u64) -> Option<&Revision> {
        self.revisions
            .get(usize::try_from(revision.checked_sub(1)?).ok()?)
    }

    /// The true state at a revision, if that has been.
    pub(crate) fn view(&self, revision: u64) -> Option<View> {
        match revision {
            0 => Some(View::empty(self.index)),
            _ => self.at(revision).map(|r| r.view),
        }
    }

    pub(crate) fn last_view(&self) -> View {
        self.revisions
            .last()
            .map_or_else(|| View::empty(self.index), |r| r.view)
    }

    /// Whether a state of this revision was ever the end of the log.
    pub(crate) fn is_boundary(&self, revision: u64) -> bool {
        revision == 0 || self.at(revision).is_some_and(|r| r.end)
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor.as_ref().map_or(1, |floor| floor.revision)
    }
}

impl History {
    /// The end of the log for those who ask now. Where one process has the store, an append that it does
    /// not know to be done is not done yet.
    pub(crate) fn known(&self, tenant: usize) -> u64 {
        let it = &self.tenants[tenant];
        if self.exclusive { it.told } else { it.end() }
    }

    /// Whether a project was missing, terminating or closed at some time since.
    pub(crate) fn was_gone(&self, tenant: usize, since: u64) -> bool {
        if self.is_gone(tenant) || self.tenants[tenant].gone_until >= since {
            return true;
        }
        // Where one process has the store, what it does not know to be done is not done yet.
        let not_told = |tenant: usize| {
            let it = &self.tenants[tenant];
            (it.told..it.end()).filter_map(|revision| it.view(revision))
        };
        self.exclusive
            && tenant != 0
            && (not_told(0).any(|view| !has_project(&view, tenant))
                || not_told(tenant).any(|view| !view.alive))
    }

    fn is_gone(&self, tenant: usize) -> bool {
        if tenant == 0 {
            return false;
        }
        let closed = matches!(
            self.tenants[tenant].revisions.last().map(|r| r.change),
            Some(Change::Close)
        );
        closed || !has_project(&self.tenants[0].last_view(), tenant)
    }
}

/// Whether the system tenant has a project that is not terminating.
fn has_project(system: &View, tenant: usize) -> bool {
    let project = system.objects[project_slot(tenant)];
    project.is_some() && !project.marked
}

impl Core {
    /// The store changed a key.
    pub(crate) fn observe(&mut self, key: &Bytes, value: Option<Bytes>, sender: Sender) {
        let text = String::from_utf8_lossy(key);
        let found = self
            .history
            .tenants
            .iter()
            .position(|t| text.starts_with(&t.prefix));
        let Some(tenant) = found else {
            return self.bad(format!("key {text} is no tenant's"));
        };
        let rest = &text[self.history.tenants[tenant].prefix.len()..];
        if rest == "@floor" {
            match value
                .as_deref()
                .map(|value| Floor::decode(tenant, value))
                .transpose()
            {
                Ok(floor) => self.observe_floor(tenant, floor),
                Err(error) => self.bad(format!("a floor that can't be read: {error}")),
            }
        } else if let Some(first) = rest.strip_prefix("@log/") {
            let Ok(first) = u64::from_str_radix(first, 16) else {
                return self.bad(format!("key {text} is no batch's"));
            };
            match value
                .as_deref()
                .map(|value| Batch::decode(tenant, first, value))
                .transpose()
            {
                Ok(Some(batch)) => self.observe_batch(tenant, first, batch, sender),
                Ok(None) => self.observe_deletion(tenant, first),
                Err(error) => self.bad(format!("a batch that can't be read: {error}")),
            }
        } else if let Some(slot) = keys(tenant).iter().position(|known| *known == rest) {
            let object = match value.as_deref().map(Obj::parse) {
                None => Obj::default(),
                Some(Some(object)) => object,
                Some(None) => return self.bad(format!("projection {text} can't be read")),
            };
            self.history.tenants[tenant].projections[slot] = object;
            self.ghost(tenant);
        } else {
            self.bad(format!("key {text} is no object's"));
        }
    }

    fn observe_floor(&mut self, tenant: usize, floor: Option<Floor>) {
        self.stats.floors += 1;
        note!(self, "T{tenant} floor {floor:?}");
        self.history.tenants[tenant].floor = floor;
        self.ghost(tenant);
    }

    fn observe_deletion(&mut self, tenant: usize, first: u64) {
        self.history.tenants[tenant].log.remove(&first);
        self.stats.deleted += 1;
        self.ghost(tenant);
    }

    fn observe_batch(&mut self, tenant: usize, first: u64, batch: Batch, sender: Sender) {
        let end = self.history.tenants[tenant].end();
        let batch = Batch {
            sender: Some(sender),
            ..batch
        };
        let server = sender.server;
        let last = first + batch.changes.len() as u64 - 1;
        note!(
            self,
            "T{tenant} batch {first}..{last} of S{server}: {:?}",
            batch.changes
        );
        self.history.tenants[tenant].log.insert(first, batch);
        self.spread(tenant, server, last);
        if first == end + 1 {
            self.extend(tenant);
        } else if first < self.history.tenants[tenant].floor() {
            self.stats.voids += 1;
            self.history.tenants[tenant].voids.insert(first);
            note!(self, "T{tenant} that batch is void");
        } else if self.history.white {
            let floor = self.history.tenants[tenant].floor();
            self.bad(format!(
                "1: a batch landed off the log, at {first}: the floor is {floor}, the end {end}"
            ));
        }
    }

    /// The log goes on as far as there are batches.
    fn extend(&mut self, tenant: usize) {
        while self.violation.is_none() {
            let it = &self.history.tenants[tenant];
            let Some(batch) = it.log.get(&(it.end() + 1)).cloned() else {
                break;
            };
            self.extend_by(tenant, &batch);
        }
    }

    fn extend_by(&mut self, tenant: usize, batch: &Batch) {
        let first = self.history.tenants[tenant].end() + 1;
        let mut rest = &batch.changes[..];
        while let Some(change) = rest.first() {
            let took = match *change {
                Change::Birth(uid) => self.landed_birth(tenant, uid, rest),
                Change::Close => self.landed_close(tenant),
                _ => self.landed_commit(tenant, batch, rest),
            };
            match took {
                Ok(took) => rest = &rest[took..],
                Err(violation) => return self.bad(violation),
            }
        }
        let it = &mut self.history.tenants[tenant];
        let Some(last) = it.revisions.last_mut() else {
            return;
        };
        last.end = true;
        if digest(tenant, &last.view) != batch.digest {
            self.bad(format!("5: the batch at {first} carries a wrong digest"));
        }
    }

    fn push(&mut self, tenant: usize, change: Change, op: Option<u32>) {
        let now = self.now;
        let gone = tenant != 0 && self.history.is_gone(tenant);
        let before: Vec<bool> = if tenant == 0 {
            (1..self.history.tenants.len())
                .map(|t| self.history.is_gone(t))
                .collect()
        } else {
            Vec::new()
        };
        let it = &mut self.history.tenants[tenant];
        if gone {
            it.gone_until = now;
        }
        let mut view = it.last_view();
        view.apply(change);
        it.revisions.push(Revision {
            change,
            op,
            landed: now,
            view,
            end: false,
        });
        for (i, was) in before.into_iter().enumerate() {
            if was {
                self.history.tenants[i + 1].gone_until = now;
            }
        }
    }

    fn landed_birth(&mut self, tenant: usize, uid: u32, rest: &[Change]) -> Result<usize, String> {
        self.stats.births += 1;
        let view = self.history.tenants[tenant].last_view();
        let at = view.revision + 1;
        if view.alive {
            return Err(format!("birth: T{tenant} is born at {at}, and was alive"));
        }
        if tenant != 0 {
            let slot = project_slot(tenant);
            let system = &self.history.tenants[0].revisions;
            let was = system.iter().any(|r| {
                let project = r.view.objects[slot];
                project.is_some() && project.uid == uid && !project.marked
            });
            if !was {
                return Err(format!(
                    "birth: T{tenant} is born at {at} for {uid:x}, which never was"
                ));
            }
            // Once a project has gone, so has its life, for good.
            let now = self.history.tenants[0].last_view().objects[slot];
            if !now.is_some() || now.uid != uid {
                return Err(format!(
                    "birth: T{tenant} is born at {at} for {uid:x}, which is gone"
                ));
            }
        }
        let expected = born(uid, at + 1);
        if rest.get(1..=expected.len()) != Some(&expected[..]) {
            return Err(format!("birth: T{tenant} is born at {at} with {rest:?}"));
        }
        for change in &rest[..=expected.len()] {
            self.push(tenant, *change, None);
        }
        Ok(1 + expected.len())
    }

    fn landed_close(&mut self, tenant: usize) -> Result<usize, String> {
        self.stats.closes += 1;
        let view = self.history.tenants[tenant].last_view();
        if tenant == 0 {
            return Err("close: the system tenant is closed".into());
        }
        let project = self.history.tenants[0].last_view().objects[project_slot(tenant)];
        if view.alive && project.is_some() && project.uid == view.uid && !project.marked {
            return Err(format!(
                "close: T{tenant} is closed at {} in the life {:x}, which is not terminating",
                view.revision + 1,
                view.uid
            ));
        }
        self.push(tenant, Change::Close, None);
        Ok(1)
    }

    /// Finds whose commit it is, and holds it against what it should be.
    fn landed_commit(
        &mut self,
        tenant: usize,
        batch: &Batch,
        rest: &[Change],
    ) -> Result<usize, String> {
        let it = &self.history.tenants[tenant];
        let view = it.last_view();
        let at = view.revision + 1;
        let runs = it
            .runs
            .get(view.revision as usize)
            .map_or(&[][..], |runs| runs);
        // The last run before the batch was sent is the one that it was made of.
        let made = |run: &&Run| {
            batch.sender.is_some_and(|sender| {
                run.server == sender.server
                    && run.incarnation == sender.incarnation
                    && run.number < sender.runs
            }) && rest.starts_with(&run.changes)
        };
        let Some(run) = runs.iter().rev().find(made) else {
            return Err(format!(
                "3: T{tenant} has at {at} what no commit gave: {:?}",
                rest[0]
            ));
        };
        let (id, took) = (run.op, run.changes.len());
        let op = &self.history.ops[id as usize];
        if let Some(first) = op.landed {
            return Err(format!(
                "2: operation {id} {:?} took effect twice, at {first} and at {at}",
                op.kind
            ));
        }
        if op.fate == Fate::Refused {
            return Err(format!(
                "2: operation {id} {:?} was refused, and takes effect at {at}",
                op.kind
            ));
        }
        if !view.alive {
            return Err(format!(
                "3: operation {id} {:?} takes effect at {at}, before a birth",
                op.kind
            ));
        }
        let again = op.kind.run(id, &view, self.slots(tenant));
        if again.as_deref() != Ok(&rest[..took]) {
            return Err(format!(
                "3: operation {id} {:?} committed {:?} at {at} on a state that gives {again:?}",
                op.kind,
                &rest[..took]
            ));
        }
        if let Kind::Remove(_, uid) = op.kind {
            let removed = 1 + project_index(op.kind);
            let it = self.history.tenants[removed].last_view();
            if it.alive && it.uid == uid {
                return Err(format!(
                    "close: project {uid:x} is removed, and T{removed} lives"
                ));
            }
        }
        self.history.ops[id as usize].landed = Some(at);
        self.stats.commits += 1;
        for change in &rest[..took] {
            self.push(tenant, *change, Some(id));
        }
        Ok(took)
    }

    /// The slots that ordinary operations use.
    pub(crate) fn slots(&self, tenant: usize) -> std::ops::Range<usize> {
        crate::object::ordinary(tenant, self.mix.keys)
    }

    /// A load that sees the whole store at once: the state must be the one at the log's end.
    fn ghost(&mut self, tenant: usize) {
        self.stats.ghosts += 1;
        let it = &self.history.tenants[tenant];
        let mut view = View::empty(tenant);
        let mut since = 0;
        let mut sum = 0;
        if let Some(floor) = &it.floor {
            since = floor.since;
            sum = floor.digest;
            view.revision = floor.revision - 1;
            view.alive = floor.alive;
            view.uid = floor.uid;
        }
        for (slot, object) in it.projections.iter().enumerate() {
            if object.revision > since {
                view.objects[slot] = *object;
            }
        }
        while let Some(batch) = it.log.get(&(view.revision + 1)) {
            for change in &batch.changes {
                view.apply(*change);
            }
            sum = batch.digest;
        }
        // Who holds what follows from the objects; while they are loaded, old ones may hold the same.
        view.claims = [0; crate::object::CLAIMS];
        for (slot, object) in view.objects.iter().enumerate() {
            if object.claim > 0 {
                view.claims[usize::from(object.claim) - 1] = slot as u8 + 1;
            }
        }
        let truth = it.last_view();
        if self.mix.broken_bound {
            // Then the store may be wrong; but nobody must take it for right.
        } else if view != truth {
            self.bad(format!(
                "5: a load of T{tenant} gives {view:?}, the truth is {truth:?}"
            ));
        } else if digest(tenant, &view) != sum {
            self.bad(format!("5: a load of T{tenant} gives another digest"));
        }
    }

    /// A crash took back what nobody had been told of.
    pub(crate) fn take_back(&mut self, key: &Bytes, old: Option<Bytes>) {
        let text = String::from_utf8_lossy(key).into_owned();
        let found = self
            .history
            .tenants
            .iter()
            .position(|t| text.starts_with(&t.prefix));
        let Some(tenant) = found else {
            return;
        };
        let rest = &text[self.history.tenants[tenant].prefix.len()..];
        let it = &mut self.history.tenants[tenant];
        if rest == "@floor" {
            it.floor = old
                .as_deref()
                .and_then(|old| Floor::decode(tenant, old).ok());
        } else if let Some(first) = rest.strip_prefix("@log/") {
            let first = u64::from_str_radix(first, 16).unwrap_or(0);
            match old
                .as_deref()
                .and_then(|old| Batch::decode(tenant, first, old).ok())
            {
                Some(batch) => {
                    it.log.insert(first, batch);
                }
                None => {
                    it.log.remove(&first);
                    self.stats.taken_back += 1;
                    for gone in it.revisions.drain((first as usize).saturating_sub(1)..) {
                        if let Some(op) = gone.op {
                            self.history.ops[op as usize].landed = None;
                        }
                    }
                }
            }
        } else if let Some(slot) = keys(tenant).iter().position(|known| *known == rest) {
            it.projections[slot] = old.as_deref().and_then(Obj::parse).unwrap_or_default();
        }
        // A load is made once the store is whole again.
    }

    /// What a load gives now, of every tenant.
    pub(crate) fn ghosts(&mut self) {
        for tenant in 0..self.history.tenants.len() {
            self.ghost(tenant);
        }
    }

    /// At rest the log is truncated, and the projections are the state.
    pub(crate) fn at_rest(&mut self) {
        for tenant in 0..self.history.tenants.len() {
            let it = &self.history.tenants[tenant];
            let (end, floor, truth) = (it.end(), it.floor(), it.last_view());
            if floor != end + 1 {
                self.bad(format!(
                    "liveness: T{tenant} is truncated to {floor}, and ends at {end}"
                ));
            } else if let Some(first) = it.log.keys().find(|first| !it.voids.contains(first)) {
                let what = format!(
                    "liveness: T{tenant} still has a batch at {first}, the floor is {floor}"
                );
                self.bad(what);
            } else if it.projections != truth.objects {
                let what = format!(
                    "5: at rest the projections of T{tenant} are {:?}, the state is {truth:?}",
                    it.projections
                );
                self.bad(what);
            }
        }
    }
}

/// Which project an operation on the system tenant is about, from 0.
fn project_index(kind: Kind) -> usize {
    match kind {
        Kind::Begin(slot) | Kind::Mark(slot) | Kind::Remove(slot, _) => slot - project_slot(1),
        _ => 0,
    }
}
