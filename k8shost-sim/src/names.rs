//! Between the engine's types and the simulation's: names, values, attributes, states.

use k8shost_store::log::{
    Attributes, Change, Event, Key, Object, Pairs, Previous, State, TenantId,
};
use k8shost_types::{Error, Reason};

use crate::object::{self, CLAIM_NAMES, K, Obj, View, keys};

/// The organisation that all projects belong to.
const ORG: &str = "acme";

/// The names of tenants and objects, made once.
pub(crate) struct Names {
    pub(crate) tenants: Vec<TenantId>,
    keys: Vec<[Key; K]>,
}

impl Names {
    /// The system tenant's and those of so many projects.
    pub(crate) fn new(projects: usize) -> Self {
        let project = |i: usize| {
            TenantId::project(ORG, &format!("p{i}"))
                .expect("the name has neither slash nor at sign")
        };
        let tenants: Vec<_> = std::iter::once(TenantId::system())
            .chain((0..projects).map(project))
            .collect();
        let keys = (0..tenants.len())
            .map(|tenant| keys(tenant).map(Key::from))
            .collect();
        Self { tenants, keys }
    }

    /// Which tenant this is.
    pub(crate) fn tenant(&self, id: &TenantId) -> Option<usize> {
        self.tenants.iter().position(|known| known == id)
    }

    /// A change as the engine takes it.
    pub(crate) fn change(&self, tenant: usize, change: object::Change) -> Change {
        match change {
            object::Change::Put(slot, object) => Change::Put {
                key: self.keys[tenant][slot].clone(),
                value: object.value(),
                attributes: attributes(&object),
            },
            object::Change::Delete(slot) => Change::Delete {
                key: self.keys[tenant][slot].clone(),
            },
            object::Change::Birth(_) | object::Change::Close => {
                unreachable!("births and closes are the engine's own")
            }
        }
    }

    /// A state as the checker compares it, if it is one that can be.
    pub(crate) fn view(&self, tenant: usize, state: &State) -> Result<View, String> {
        let mut view = View {
            revision: state.revision(),
            alive: state.is_alive(),
            uid: state.uid().map_or(Ok(0), parse_uid)?,
            ..View::default()
        };
        let mut count = 0;
        for (slot, key) in self.keys[tenant].iter().enumerate() {
            if let Some(found) = state.get(key) {
                view.objects[slot] = object(found)?;
                count += 1;
            }
        }
        if count != state.len() {
            return Err(format!("{state:?} has objects that nobody made"));
        }
        for (claim, name) in CLAIM_NAMES.iter().enumerate() {
            if let Some(holder) = state.claim(name) {
                let slot = self.keys[tenant].iter().position(|key| key == holder);
                view.claims[claim] = slot.map_or(u8::MAX, |slot| slot as u8 + 1);
            }
        }
        Ok(view)
    }

    /// An event's change, checked against itself, and whether there was an object before, and which.
    pub(crate) fn event(
        &self,
        tenant: usize,
        event: &Event,
    ) -> Result<(object::Change, Before), String> {
        let slot = self.keys[tenant].iter().position(|key| *key == event.key);
        let slot = slot.ok_or_else(|| format!("an event of {}, which nobody made", event.key))?;
        let change = match &event.object {
            Some(new) => {
                let new = object(new)?;
                if new.revision != event.revision {
                    return Err(format!(
                        "an event at {} with revision {}",
                        event.revision, new.revision
                    ));
                }
                object::Change::Put(slot, new)
            }
            None => object::Change::Delete(slot),
        };
        let before = match &event.previous {
            Previous::None => Before::Nothing,
            Previous::Object(old) => Before::Object(object(old)?),
            Previous::Attributes(old) => Before::Attributes(old.clone()),
        };
        Ok((change, before))
    }
}

/// What an event says of the object before it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Before {
    Nothing,
    Object(Obj),
    Attributes(Attributes),
}

impl Before {
    /// Whether the object before was this one.
    pub(crate) fn is(&self, old: &Obj) -> bool {
        match self {
            Self::Nothing => !old.is_some(),
            Self::Object(object) => old.is_some() && object == old,
            // What selectors look at; claims are not among it.
            Self::Attributes(found) => {
                let truth = attributes(old);
                old.is_some() && found.labels == truth.labels && found.fields == truth.fields
            }
        }
    }
}

/// The engine's object, read: its parts must fit together.
pub(crate) fn object(found: &Object) -> Result<Obj, String> {
    let parsed =
        Obj::parse(&found.value).ok_or_else(|| format!("{found:?} has a foreign value"))?;
    if parsed.revision != found.revision || attributes(&parsed) != found.attributes {
        return Err(format!("{found:?} has another's value or attributes"));
    }
    Ok(parsed)
}

/// What selectors look at.
pub(crate) fn attributes(object: &Obj) -> Attributes {
    let color = match object.color {
        0 => None,
        1 => Some("red"),
        _ => Some("blue"),
    };
    Attributes {
        labels: color.map(|color| ("color", color)).into_iter().collect(),
        fields: Pairs::default(),
        claims: match object.claim {
            0 => Box::default(),
            claim => Box::new([CLAIM_NAMES[usize::from(claim) - 1].into()]),
        },
    }
}

/// A uid as the engine has it.
pub(crate) fn uid(uid: u32) -> String {
    format!("{uid:x}")
}

/// And back.
pub(crate) fn parse_uid(uid: &str) -> Result<u32, String> {
    u32::from_str_radix(uid, 16).map_err(|_| format!("uid {uid:?} is nobody's"))
}

/// A refusal that carries its number, so that the checker finds the state it is about.
pub(crate) fn refusal(number: usize) -> Error {
    Error::new(Reason::Conflict, format!("{REFUSED}{number}"))
}

const REFUSED: &str = "refused: ";

/// The number of a refusal.
pub(crate) fn refusal_number(error: &Error) -> Option<usize> {
    error.message.strip_prefix(REFUSED)?.parse().ok()
}
