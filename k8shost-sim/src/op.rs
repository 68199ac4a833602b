//! What clients ask for, and the functions of their commits.

use crate::object::{CLAIMS, Change, K, Obj, View};

/// An operation. Those up to `Remove` are commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Create(usize),
    /// Creates an object that holds the first claim that nobody holds.
    Claim(usize),
    /// With the revision that the object is expected to have, if any.
    Update(usize, Option<u64>),
    Delete(usize),
    /// As many changes at once, some of them to the same key.
    Bulk(usize),
    /// Deletes everything that ordinary operations use.
    Empty,
    /// Changes nothing.
    Touch(usize),
    /// Makes a project, in the system tenant.
    Begin(usize),
    /// Marks a project as terminating.
    Mark(usize),
    /// Removes a terminating project with this uid.
    Remove(usize, u32),
    /// Appends a close to a project's log.
    Close,
    /// A consistent read.
    Read,
    /// A read of what is in memory.
    Cached,
    /// A read not older than a revision.
    AtLeast(u64),
    /// A list, whose state is kept for more pages.
    List,
    /// Another page of a list at a revision.
    Page(u64),
    /// Ends a terminating project: closes it, then removes it. Made of several operations.
    Finish(usize),
}

/// Why a commit's function refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Exists,
    NotFound,
    Conflict,
    Exhausted,
}

impl Kind {
    /// A commit's function: pure, for it may run again. `slots` are those that ordinary operations use.
    pub(crate) fn run(
        self,
        op: u32,
        view: &View,
        slots: std::ops::Range<usize>,
    ) -> Result<Vec<Change>, Refusal> {
        let new = |claim, uid, marked| Obj {
            revision: view.revision + 1,
            op,
            color: (op % 3) as u8,
            claim,
            uid,
            marked,
        };
        let one = |slot, object| Ok(vec![Change::Put(slot, object)]);
        match self {
            Self::Create(slot) if view.objects[slot].is_some() => Err(Refusal::Exists),
            Self::Create(slot) => one(slot, new(0, 0, false)),
            Self::Claim(slot) if view.objects[slot].is_some() => Err(Refusal::Exists),
            Self::Claim(slot) => match (0..CLAIMS).find(|&claim| view.claims[claim] == 0) {
                Some(claim) => one(slot, new(claim as u8 + 1, 0, false)),
                None => Err(Refusal::Exhausted),
            },
            Self::Update(slot, expected) => {
                let old = view.objects[slot];
                if !old.is_some() {
                    Err(Refusal::NotFound)
                } else if expected.is_some_and(|revision| revision != old.revision) {
                    Err(Refusal::Conflict)
                } else {
                    one(slot, new(old.claim, old.uid, old.marked))
                }
            }
            Self::Delete(slot) if !view.objects[slot].is_some() => Err(Refusal::NotFound),
            Self::Delete(slot) => Ok(vec![Change::Delete(slot)]),
            Self::Bulk(count) => Ok((0..count)
                .map(|i| {
                    let slot = slots.start + i % slots.len();
                    let revision = view.revision + 1 + i as u64;
                    // Claims are kept: two puts in one commit must not both take one.
                    let claim = view.objects[slot].claim;
                    Change::Put(
                        slot,
                        Obj {
                            revision,
                            ..new(claim, 0, false)
                        },
                    )
                })
                .collect()),
            Self::Empty => {
                let all: Vec<_> = slots
                    .filter(|&slot| view.objects[slot].is_some())
                    .map(Change::Delete)
                    .collect();
                if all.is_empty() {
                    Err(Refusal::NotFound)
                } else {
                    Ok(all)
                }
            }
            Self::Touch(slot) if view.objects[slot].is_some() => Ok(vec![]),
            Self::Touch(_) => Err(Refusal::NotFound),
            Self::Begin(slot) if view.objects[slot].is_some() => Err(Refusal::Exists),
            // The uid is the operation: no two projects have the same.
            Self::Begin(slot) => one(slot, new(0, op, false)),
            Self::Mark(slot) => match view.objects[slot] {
                old if !old.is_some() => Err(Refusal::NotFound),
                old if old.marked => Err(Refusal::Conflict),
                old => one(slot, new(0, old.uid, true)),
            },
            Self::Remove(slot, uid) => match view.objects[slot] {
                old if !old.is_some() => Err(Refusal::NotFound),
                old if !old.marked || old.uid != uid => Err(Refusal::Conflict),
                _ => Ok(vec![Change::Delete(slot)]),
            },
            Self::Close
            | Self::Read
            | Self::Cached
            | Self::AtLeast(_)
            | Self::List
            | Self::Page(_)
            | Self::Finish(_) => unreachable!("{self:?} is not a commit"),
        }
    }
}

const _: () = assert!(K <= u8::MAX as usize);
