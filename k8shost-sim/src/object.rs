//! The objects of the simulation: a few keys per tenant, values of a fixed form that say which operation
//! wrote them, and a tenant's state as the checker compares it.

use std::fmt;

use bytes::Bytes;

/// Keys per tenant, at most.
pub(crate) const K: usize = 8;

/// Claims that objects compete for: `ip/1` and `ip/2`.
pub(crate) const CLAIMS: usize = 2;

/// The claims by name.
pub(crate) const CLAIM_NAMES: [&str; CLAIMS] = ["ip/1", "ip/2"];

/// A project's keys; the first is what a project is born with.
const PROJECT_KEYS: [&str; K] = [
    "namespaces/default",
    "pods/default/a",
    "pods/default/b",
    "services/default/a",
    "rolebindings.rbac.authorization.k8s.io/default/ann@example.com",
    "nodes/n",
    "pods/other/a",
    "leases.coordination.k8s.io/default/z",
];

/// The system tenant's keys; the projects are the second and the third.
const SYSTEM_KEYS: [&str; K] = [
    "organizations/acme",
    "projects/acme/p0",
    "projects/acme/p1",
    "credentials/acme/a",
    "credentials/acme/b",
    "servers/a",
    "servers/b",
    "users/z",
];

/// Where the system tenant keeps the first project.
const FIRST_PROJECT: usize = 1;

/// Which of the simulation's tenants: 0 is the system tenant, the projects follow.
pub(crate) fn keys(tenant: usize) -> &'static [&'static str; K] {
    if tenant == 0 {
        &SYSTEM_KEYS
    } else {
        &PROJECT_KEYS
    }
}

/// The slot in the system tenant's state of a tenant that is a project.
pub(crate) fn project_slot(tenant: usize) -> usize {
    FIRST_PROJECT + tenant - 1
}

/// The slots that ordinary operations use.
pub(crate) fn ordinary(tenant: usize, count: usize) -> std::ops::Range<usize> {
    let first = if tenant == 0 { 3 } else { 0 };
    first..(first + count).min(K)
}

/// One version of an object; `revision` 0 is absence.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Obj {
    pub(crate) revision: u64,
    /// The operation that wrote it.
    pub(crate) op: u32,
    /// A label and a selectable field, 0 for none.
    pub(crate) color: u8,
    /// What it holds exclusively: 0 or a claim's number, from 1.
    pub(crate) claim: u8,
    /// A project's uid.
    pub(crate) uid: u32,
    /// A project that is terminating.
    pub(crate) marked: bool,
}

/// The form of a value: digits replace the dots.
const FORM: &[u8; 93] =
    br#"{"rv":"................","op":"........","color":".","claim":".","uid":"........","mark":"."}"#;
const REVISION: (usize, usize) = (7, 16);
const OP: (usize, usize) = (31, 8);
const COLOR: (usize, usize) = (50, 1);
const CLAIM: (usize, usize) = (62, 1);
const UID: (usize, usize) = (72, 8);
const MARK: (usize, usize) = (90, 1);

fn put(value: &mut [u8], (at, width): (usize, usize), mut number: u64) {
    for digit in value[at..at + width].iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

fn get(value: &[u8], (at, width): (usize, usize)) -> Option<u64> {
    value[at..at + width].iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

impl Obj {
    pub(crate) fn is_some(&self) -> bool {
        self.revision != 0
    }

    /// The value that stands for it in the store.
    pub(crate) fn value(&self) -> Bytes {
        let mut value = FORM.to_vec();
        put(&mut value, REVISION, self.revision);
        put(&mut value, OP, u64::from(self.op));
        put(&mut value, COLOR, u64::from(self.color));
        put(&mut value, CLAIM, u64::from(self.claim));
        put(&mut value, UID, u64::from(self.uid));
        put(&mut value, MARK, u64::from(self.marked));
        value.into()
    }

    /// The object that a value stands for.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != FORM.len() {
            return None;
        }
        Some(Self {
            revision: get(value, REVISION)?,
            op: get(value, OP)? as u32,
            color: get(value, COLOR)? as u8,
            claim: get(value, CLAIM)? as u8,
            uid: get(value, UID)? as u32,
            marked: get(value, MARK)? == 1,
        })
    }
}

/// A tenant's state at one revision.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) revision: u64,
    /// Born, and not closed since.
    pub(crate) alive: bool,
    /// Of the life, while it is alive; 0 for the system tenant.
    pub(crate) uid: u32,
    pub(crate) objects: [Obj; K],
    /// Who holds which claim: a slot, from 1; 0 for nobody.
    pub(crate) claims: [u8; CLAIMS],
}

impl fmt::Debug for Obj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/op{}", self.revision, self.op)?;
        if self.claim > 0 {
            write!(f, "/{}", CLAIM_NAMES[usize::from(self.claim) - 1])?;
        }
        if self.uid > 0 {
            write!(f, "/uid {:x}", self.uid)?;
        }
        f.write_str(if self.marked { "/terminating" } else { "" })
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{} ", self.revision)?;
        match (self.alive, self.uid) {
            (false, 0) => f.write_str("closed")?,
            (false, uid) => write!(f, "closed {uid:x}")?,
            (true, 0) => {}
            (true, uid) => write!(f, "{uid:x}")?,
        }
        let present = self.objects.iter().enumerate().filter(|o| o.1.is_some());
        f.debug_map().entries(present).finish()?;
        write!(f, " claims {:?}", self.claims)
    }
}

/// One change of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put(usize, Obj),
    Delete(usize),
    Birth(u32),
    Close,
}

impl View {
    /// Before the first revision. The system tenant is never born: it is always alive.
    pub(crate) fn empty(tenant: usize) -> Self {
        Self {
            alive: tenant == 0,
            ..Self::default()
        }
    }

    /// The state after one more change.
    pub(crate) fn apply(&mut self, change: Change) {
        self.revision += 1;
        match change {
            Change::Put(slot, object) => {
                self.release(slot);
                self.objects[slot] = object;
                if object.claim > 0 {
                    self.claims[usize::from(object.claim) - 1] = slot as u8 + 1;
                }
            }
            Change::Delete(slot) => {
                self.release(slot);
                self.objects[slot] = Obj::default();
            }
            Change::Birth(uid) => {
                *self = Self {
                    revision: self.revision,
                    alive: true,
                    uid,
                    ..Self::default()
                };
            }
            Change::Close => {
                *self = Self {
                    revision: self.revision,
                    ..Self::default()
                };
            }
        }
    }

    fn release(&mut self, slot: usize) {
        let claim = self.objects[slot].claim;
        if claim > 0 {
            self.claims[usize::from(claim) - 1] = 0;
        }
    }
}

/// What a tenant is born with, after the birth at `first - 1`.
pub(crate) fn born(uid: u32, first: u64) -> Vec<Change> {
    vec![Change::Put(
        0,
        Obj {
            revision: first,
            uid,
            ..Obj::default()
        },
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_what_was_put() {
        let object = Obj {
            revision: 0x1234,
            op: 77,
            color: 2,
            claim: 1,
            uid: 9,
            marked: true,
        };
        assert_eq!(Obj::parse(&object.value()), Some(object));
        assert_eq!(Obj::parse(b"{}"), None);
    }
}
