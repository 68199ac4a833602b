//! What stands in the store, decoded for the checker.

use k8shost_store::log::format::{self, Kind};

use crate::names::parse_uid;
use crate::object::{Change, Obj, View, keys};
use crate::world::Sender;

/// A batch, and who sent it.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) digest: u128,
    pub(crate) sender: Option<Sender>,
}

/// The floor.
#[derive(Clone, Debug)]
pub(crate) struct Floor {
    pub(crate) revision: u64,
    /// The revision of the last birth or close below it.
    pub(crate) since: u64,
    pub(crate) alive: bool,
    pub(crate) uid: u32,
    pub(crate) digest: u128,
}

impl Batch {
    pub(crate) fn decode(tenant: usize, first: u64, value: &[u8]) -> Result<Self, String> {
        let batch = format::Batch::decode(first, value).map_err(|error| error.to_string())?;
        let change = |(i, record): (usize, &format::Record)| {
            let slot = || {
                let slot = keys(tenant).iter().position(|key| *key == record.key);
                slot.ok_or_else(|| format!("key {:?} is no object's", record.key))
            };
            let object = || Obj::parse(&record.value).ok_or("a foreign value");
            Ok(match record.change() {
                Kind::Put => {
                    let object = object()?;
                    if object.revision != first + i as u64 {
                        return Err(format!("{object:?} is put at {}", first + i as u64));
                    }
                    Change::Put(slot()?, object)
                }
                Kind::Delete => Change::Delete(slot()?),
                Kind::Birth => Change::Birth(parse_uid(&record.uid)?),
                Kind::Close => Change::Close,
                kind @ (Kind::Unspecified | Kind::Accept) => {
                    return Err(format!("a change {kind:?}"));
                }
            })
        };
        let changes: Result<_, String> = batch.records.iter().enumerate().map(change).collect();
        Ok(Self {
            changes: changes?,
            digest: batch.digest(),
            sender: None,
        })
    }
}

impl Floor {
    pub(crate) fn decode(tenant: usize, value: &[u8]) -> Result<Self, String> {
        let floor = format::Floor::decode(Some(value)).map_err(|error| error.to_string())?;
        Ok(Self {
            revision: floor.revision,
            since: floor.since,
            // The system tenant is always alive, and has no uid.
            alive: floor.alive || tenant == 0,
            uid: if floor.uid.is_empty() {
                0
            } else {
                parse_uid(&floor.uid)?
            },
            digest: floor.digest(),
        })
    }
}

/// The digest that a batch or a floor must carry for this state.
pub(crate) fn digest(tenant: usize, view: &View) -> u128 {
    let live = view
        .objects
        .iter()
        .zip(keys(tenant))
        .filter(|(object, _)| object.is_some());
    live.fold(0, |sum, (object, key)| {
        sum.wrapping_add(format::digest(key, object.revision))
    })
}
