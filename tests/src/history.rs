//! What clients of a tenant did and were told, for [`Tenant::check`] to hold against what must be true
//! of any number of servers.

mod check;
#[cfg(test)]
mod tests;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;

use crate::{Event, Kind, name, revision, text};

pub use check::Summary;

/// The label that [`Version::red`] is about.
pub const COLOR: &str = "color";
/// The annotation with the number of the write that made a version.
pub const WRITE: &str = "write";

/// A version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// metadata.resourceVersion.
    pub revision: u64,
    /// metadata.uid.
    pub uid: String,
    /// The number of the write that made it, as [`WRITE`] says.
    pub write: u64,
    /// Whether [`COLOR`] is `red`.
    pub red: bool,
    /// spec.clusterIP, or "".
    pub address: String,
    /// Of all that is in it.
    pub hash: u64,
}

impl Version {
    /// Of an object as it was answered, listed or watched.
    pub fn of(kind: Kind, object: &Value) -> Self {
        let mut whole = object.clone();
        if let Some(fields) = whole.as_object_mut() {
            // The items of a list go without.
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        let mut hasher = DefaultHasher::new();
        whole.to_string().hash(&mut hasher);
        let write = text(object, &format!("/metadata/annotations/{WRITE}"));
        Self {
            kind: kind.kind,
            name: name(object).to_owned(),
            revision: revision(object),
            uid: text(object, "/metadata/uid").to_owned(),
            write: write.parse().unwrap_or(0),
            red: text(object, &format!("/metadata/labels/{COLOR}")) == "red",
            address: text(object, "/spec/clusterIP").to_owned(),
            hash: hasher.finish(),
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To create an object, with this number.
    Create(u64),
    /// To update it, with this number, if it has this revision.
    Update(u64, Option<u64>),
    /// To delete it.
    Delete,
    /// To read it.
    Get,
    /// To list its kind: the red ones only, or all; anything that has been, or the present.
    List {
        /// The label selector.
        red: bool,
        /// `resourceVersion: "0"`.
        any: bool,
    },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is done, and this is the object; for a delete, as it was last.
    Done(Version),
    /// The list, and its revision.
    Listed(u64, Vec<Version>),
    /// There is no such object.
    NotFound,
    /// There is one.
    AlreadyExists,
    /// It has another revision.
    Conflict,
    /// No answer, or one that leaves open what has happened.
    Unknown,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    kind: Kind,
    name: String,
    asked: Asked,
    told: Told,
    /// The last revision that anybody had been told of when it began.
    least: u64,
    began: u64,
    ended: u64,
}

/// What one watcher saw, over however many connections.
#[derive(Clone, Debug)]
pub struct Stream {
    kind: Kind,
    red: bool,
    start: u64,
    /// All up to this revision has been seen.
    end: u64,
    events: Vec<(&'static str, Version)>,
}

impl Stream {
    /// From a revision on.
    pub fn new(kind: Kind, red: bool, start: u64) -> Self {
        Self {
            kind,
            red,
            start,
            end: start,
            events: Vec::new(),
        }
    }

    /// What is watched.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether only what is red is watched.
    pub fn red(&self) -> bool {
        self.red
    }

    /// The revision to resume from.
    pub fn position(&self) -> u64 {
        self.end
    }
}

/// What clients did in one tenant.
#[derive(Debug, Default)]
pub struct Tenant {
    clock: AtomicU64,
    told: AtomicU64,
    writes: AtomicU64,
    calls: Mutex<Vec<Call>>,
    streams: Mutex<Vec<Stream>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tenant {
    /// A number for a write, that no other has.
    pub fn number(&self) -> u64 {
        self.writes.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn learn(&self, revision: u64) {
        self.told.fetch_max(revision, Ordering::SeqCst);
    }

    /// A call that is about to be made.
    pub fn begin(&self, kind: Kind, name: &str, asked: Asked) -> Call {
        let least = self.told.load(Ordering::SeqCst);
        Call {
            kind,
            name: name.to_owned(),
            asked,
            told: Told::Unknown,
            least,
            began: self.now(),
            ended: u64::MAX,
        }
    }

    /// It was answered so.
    pub fn end(&self, mut call: Call, told: Told) {
        call.ended = self.now();
        match &told {
            Told::Done(version) => self.learn(version.revision),
            Told::Listed(revision, _) => self.learn(*revision),
            Told::NotFound | Told::AlreadyExists | Told::Conflict | Told::Unknown => {}
        }
        call.told = told;
        lock(&self.calls).push(call);
    }

    /// A watcher got an event.
    ///
    /// # Panics
    /// When it is of no known type.
    pub fn seen(&self, stream: &mut Stream, event: &Event) {
        let at = revision(&event.object);
        let kind = ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"];
        let kind = kind.into_iter().find(|kind| *kind == event.kind);
        let kind = kind.unwrap_or_else(|| panic!("an event of type {}", event.kind));
        if kind == "BOOKMARK" {
            stream.end = stream.end.max(at);
            return;
        }
        stream
            .events
            .push((kind, Version::of(stream.kind, &event.object)));
        stream.end = at;
        self.learn(at);
    }

    /// A watcher is at its end.
    pub fn close(&self, stream: Stream) {
        lock(&self.streams).push(stream);
    }
}
