//! Requests of the `Kv` trait, and their answers.

use bytes::Bytes;
use k8shost_store::kv::{KvError, Pair, Swap};

use crate::object::Obj;
use crate::script::Verb;

/// A request of the `Kv` trait.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Get(Bytes),
    BatchGet(Vec<Bytes>),
    Scan(Bytes, Bytes, usize),
    Swap(Bytes, Option<Bytes>, Bytes),
    Write(Vec<(Bytes, Option<Bytes>)>),
    DeleteRange(Bytes, Bytes),
}

/// And its answer.
#[derive(Debug)]
pub(crate) enum Answer {
    Value(Option<Bytes>),
    Values(Vec<Option<Bytes>>),
    Pairs(Vec<Pair>),
    Swap(Swap),
    Done,
    Failed(KvError),
}

impl Request {
    pub(crate) fn verb(&self) -> Verb {
        match self {
            Self::Get(_) => Verb::Get,
            Self::BatchGet(_) => Verb::BatchGet,
            Self::Scan(..) => Verb::Scan,
            Self::Swap(..) => Verb::Swap,
            Self::Write(_) => Verb::Write,
            Self::DeleteRange(..) => Verb::DeleteRange,
        }
    }

    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Self::Get(key) | Self::Swap(key, ..) => key,
            Self::BatchGet(keys) => keys.first().map_or(&[], |key| key),
            Self::Write(writes) => writes.first().map_or(&[], |write| &write.0),
            Self::Scan(start, ..) | Self::DeleteRange(start, _) => start,
        }
    }

    pub(crate) fn describe(&self) -> String {
        let text = |key: &Bytes| key.escape_ascii().to_string();
        let list = |keys: &mut dyn Iterator<Item = String>| keys.collect::<Vec<_>>().join(" ");
        match self {
            Self::Get(key) => format!("get {}", text(key)),
            Self::BatchGet(keys) => format!("batch get {}", list(&mut keys.iter().map(text))),
            Self::Scan(start, end, limit) => {
                format!("scan {}..{} limit {limit}", text(start), text(end))
            }
            Self::Swap(key, expected, new) => format!(
                "swap {} from {} to {} bytes",
                text(key),
                if expected.is_some() {
                    "what it was"
                } else {
                    "absent"
                },
                new.len()
            ),
            Self::Write(writes) => {
                let one = |(key, value): &(Bytes, Option<Bytes>)| match value {
                    Some(value) => format!("{}={}", text(key), brief(value)),
                    None => format!("{}=nothing", text(key)),
                };
                format!("write {}", list(&mut writes.iter().map(one)))
            }
            Self::DeleteRange(start, end) => format!("delete {}..{}", text(start), text(end)),
        }
    }
}

/// A projection's revision, else its length.
fn brief(value: &Bytes) -> String {
    match Obj::parse(value) {
        Some(object) => format!("r{}", object.revision),
        None => format!("{} bytes", value.len()),
    }
}

impl Answer {
    pub(crate) fn describe(&self) -> String {
        let one = |value: &Option<Bytes>| value.as_ref().map_or("absent".into(), brief);
        match self {
            Self::Value(value) => one(value),
            Self::Values(values) => values.iter().map(one).collect::<Vec<_>>().join(" "),
            Self::Pairs(pairs) => format!("{} pairs", pairs.len()),
            Self::Swap(Swap::Swapped) => "swapped".into(),
            Self::Swap(Swap::Found(value)) => format!("found {}", one(value)),
            Self::Done => "done".into(),
            Self::Failed(error) => format!("failed: {error}"),
        }
    }
}
