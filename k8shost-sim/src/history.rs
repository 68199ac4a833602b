//! What has been true: the log of each tenant, as the store saw it come about, and what was asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::{Batch, Floor};
use crate::object::{Change, K, Obj, View, project_slot};
use crate::op::{Kind, Refusal};

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
    pub(crate) index: usize,
    pub(crate) prefix: String,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) log: BTreeMap<u64, Batch>,
    pub(crate) floor: Option<Floor>,
    pub(crate) projections: [Obj; K],
    /// Runs of commits' functions, by the revision of the state that they saw.
    pub(crate) runs: Vec<Vec<Run>>,
    /// Batches that landed below the floor. They stay until a range around them is deleted again.
    pub(crate) voids: BTreeSet<u64>,
    /// The last revision that anybody was told of.
    pub(crate) told: u64,
    /// A project's: when it was last missing, terminating or closed.
    pub(crate) gone_until: u64,
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
    /// The tenant that a key belongs to.
    pub(crate) fn tenant_of(&self, key: &str) -> Option<usize> {
        let has = |tenant: &Tenant| key.starts_with(&tenant.prefix);
        self.tenants.iter().position(has)
    }

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

    pub(crate) fn is_gone(&self, tenant: usize) -> bool {
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
