//! A raw request from its arrival at a store to its outcome, faults included.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, watch};
use tonic::Status;

use crate::counters::Counters;
use crate::data::{Data, Write};
use crate::faults::{Action, Answer, Apply, Asked, Faults};
use crate::proto::{errorpb, kvrpcpb};
use crate::refusals::{key_not_in_region, raft_entry_too_large};
use crate::topology::{Region, Topology};

/// TiKV's own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest key that can be written, in bytes.
    pub key: usize,
    /// The largest raft entry, in bytes: all that one request writes to one region.
    pub raft_entry: usize,
    /// The largest answer, in bytes.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            key: 8 << 10,
            raft_entry: 8 << 20,
            answer: 10 << 20,
        }
    }
}

/// What all stores share. One mutex, held for moments only: the tool is to be right, not fast.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) state: Mutex<State>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) counters: Counters,
    pub(crate) limits: Limits,
    /// Counts the releases of what is held.
    pub(crate) released: watch::Sender<u64>,
    latches: Latches,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) topology: Topology,
    pub(crate) data: Data,
}

impl Core {
    pub(crate) fn new(topology: Topology, data: Data, seed: u64, limits: Limits) -> Core {
        Core {
            state: Mutex::new(State { topology, data }),
            faults: Mutex::new(Faults::new(seed)),
            counters: Counters::default(),
            limits,
            released: watch::Sender::new(0),
            latches: Latches::new(),
        }
    }

    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> std::sync::MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A scan of one range, start included, end not. Backwards too the start is the lower bound.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

#[derive(Debug)]
pub(crate) enum Op {
    Get(Vec<u8>),
    BatchGet(Vec<Vec<u8>>),
    /// `atomic` writes take latches, the others do not.
    Write {
        writes: Vec<Write>,
        atomic: bool,
    },
    Scan {
        ranges: Vec<Scan>,
        limit: usize,
        key_only: bool,
        reverse: bool,
    },
    Swap {
        key: Vec<u8>,
        previous: Option<Vec<u8>>,
        value: Vec<u8>,
    },
    /// Refused, whatever the region.
    Refused(Failure),
}

impl Op {
    fn keys(&self) -> Vec<&[u8]> {
        match self {
            Op::Get(key) | Op::Swap { key, .. } => vec![key],
            Op::BatchGet(keys) => keys.iter().map(Vec::as_slice).collect(),
            Op::Write { writes, .. } => writes.iter().map(Write::key).collect(),
            Op::Scan { ranges, .. } => ranges.iter().map(|scan| scan.start.as_slice()).collect(),
            Op::Refused(_) => Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) method: &'static str,
    pub(crate) context: kvrpcpb::Context,
    pub(crate) cf: String,
    pub(crate) bytes: usize,
    pub(crate) op: Op,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Value(Option<Vec<u8>>),
    Pairs(Vec<(Vec<u8>, Vec<u8>)>),
    Written,
    Swapped {
        previous: Option<Vec<u8>>,
        succeed: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Region(Box<errorpb::Error>),
    Text(String),
    Status(Status),
    /// The connection is to be closed.
    Disconnect,
}

impl From<Box<errorpb::Error>> for Failure {
    fn from(error: Box<errorpb::Error>) -> Failure {
        Failure::Region(error)
    }
}

impl From<errorpb::Error> for Failure {
    fn from(error: errorpb::Error) -> Failure {
        Failure::Region(Box::new(error))
    }
}

type Result<T> = std::result::Result<T, Failure>;

/// One call of a store.
pub(crate) async fn call(core: &Arc<Core>, store: u64, raw: Raw) -> Result<Outcome> {
    let keys = raw.op.keys();
    core.counters.add(raw.method, |count| {
        count.requests += 1;
        count.request_bytes += raw.bytes as u64;
        if !matches!(raw.op, Op::Scan { .. }) {
            count.keys += keys.len() as u64;
        }
    });
    let action = core.faults().decide(&Asked {
        method: raw.method,
        store: Some(store),
        keys,
    });
    // A task of its own: a client that goes away takes back nothing that has arrived.
    let delivery = tokio::spawn(deliver(core.clone(), store, raw, action));
    let outcome = delivery
        .await
        .map_err(|error| Failure::Status(Status::internal(error.to_string())))?;
    match outcome {
        Some(outcome) => outcome,
        None => std::future::pending().await,
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// What the client is told; `None` is silence.
async fn deliver(core: Arc<Core>, store: u64, raw: Raw, action: Action) -> Option<Result<Outcome>> {
    pause(action.delay_ms).await;
    let injected = match &action.answer {
        Answer::RegionError(kind) => Some(core.state().topology.injected(&raw.context, *kind)),
        _ => None,
    };
    let apply_delay = action.apply_delay_ms;
    let applied = match action.apply {
        Apply::Never => None,
        Apply::Now => Some(apply(core, store, raw, apply_delay).await),
        Apply::AfterMs(_) | Apply::Held => {
            let mut released = core.released.subscribe();
            let late = tokio::spawn(async move {
                match action.apply {
                    Apply::AfterMs(ms) => pause(ms).await,
                    // An error means that the cluster is gone.
                    _ => released.changed().await.unwrap_or(()),
                }
                apply(core, store, raw, apply_delay).await
            });
            match action.answer {
                Answer::Truth => late.await.ok(),
                _ => None,
            }
        }
    };
    pause(action.answer_delay_ms).await;
    match action.answer {
        Answer::Truth => applied,
        Answer::Silence => None,
        Answer::RegionError(_) => injected.map(|error| Err(error.into())),
        Answer::Error(text) => Some(Err(Failure::Text(text))),
        Answer::Unavailable => Some(Err(Failure::Status(Status::unavailable("injected")))),
        Answer::DeadlineExceeded => {
            Some(Err(Failure::Status(Status::deadline_exceeded("injected"))))
        }
        Answer::Disconnect => Some(Err(Failure::Disconnect)),
    }
}

async fn apply(core: Arc<Core>, store: u64, raw: Raw, delay_ms: u64) -> Result<Outcome> {
    let context = &raw.context;
    check_request(&core.limits, &raw)?;
    match raw.op {
        Op::Refused(failure) => Err(failure),
        Op::Get(key) => {
            let state = core.state();
            let region = state.topology.check(store, context)?;
            check_key(region, &key)?;
            Ok(Outcome::Value(state.data.get(&key).cloned()))
        }
        Op::BatchGet(keys) => {
            let state = core.state();
            let region = state.topology.check(store, context)?;
            let mut pairs = Vec::new();
            for key in keys {
                check_key(region, &key)?;
                let value = state.data.get(&key).cloned();
                pairs.extend(value.map(|value| (key, value)));
            }
            Ok(Outcome::Pairs(pairs))
        }
        Op::Scan {
            ranges,
            limit,
            key_only,
            reverse,
        } => {
            let state = core.state();
            let region = state.topology.check(store, context)?;
            let mut pairs = Vec::new();
            for scan in ranges {
                pairs.extend(scan_region(
                    &state.data,
                    region,
                    &scan,
                    (limit, key_only, reverse),
                )?);
            }
            let found = pairs.len() as u64;
            core.counters.add(raw.method, |count| count.keys += found);
            Ok(Outcome::Pairs(pairs))
        }
        Op::Write { writes, atomic } => {
            let _latches = if atomic {
                core.latches.take(writes.iter().map(Write::key)).await
            } else {
                Vec::new()
            };
            core.state().topology.check(store, context)?;
            pause(delay_ms).await;
            write(&core, context, writes)?;
            Ok(Outcome::Written)
        }
        Op::Swap {
            key,
            previous,
            value,
        } => {
            let _latch = core.latches.take([key.as_slice()]).await;
            let found = {
                let state = core.state();
                let region = state.topology.check(store, context)?;
                check_key(region, &key)?;
                state.data.get(&key).cloned()
            };
            let succeed = found == previous;
            if succeed {
                // Between the read and the write others run, as they do in TiKV: only the latch
                // keeps the key.
                tokio::task::yield_now().await;
                pause(delay_ms).await;
                write(&core, context, vec![Write::Put(key, value)])?;
            }
            Ok(Outcome::Swapped {
                previous: found,
                succeed,
            })
        }
    }
}

/// What TiKV refuses before it looks at regions.
fn check_request(limits: &Limits, raw: &Raw) -> Result<()> {
    if !["", "default"].contains(&raw.cf.as_str()) {
        return Err(Failure::Text(format!("invalid cf name: {}", raw.cf)));
    }
    if raw.context.api_version != i32::from(kvrpcpb::ApiVersion::V1) {
        return Err(Failure::Text(format!(
            "Api version in request does not match with TiKV storage, cmd: {}, storage: V1",
            raw.method
        )));
    }
    let keys = match &raw.op {
        Op::Write { .. } | Op::Swap { .. } => raw.op.keys(),
        _ => Vec::new(),
    };
    let large = keys.iter().find(|key| key.len() > limits.key);
    large.map_or(Ok(()), |key| {
        Err(Failure::Text(format!(
            "max key size exceeded, size: {}, limit: {}",
            key.len(),
            limits.key
        )))
    })
}

fn check_key(region: &Region, key: &[u8]) -> Result<()> {
    if region.contains(key) {
        Ok(())
    } else {
        Err(key_not_in_region(region, key).into())
    }
}

fn scan_region(
    data: &Data,
    region: &Region,
    scan: &Scan,
    (limit, key_only, reverse): (usize, bool, bool),
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    if !reverse {
        check_key(region, &scan.start)?;
    }
    let start = scan.start.as_slice().max(&region.start);
    let end = first_end(&scan.end, &region.end);
    let take = |(key, value): (&Vec<u8>, &Vec<u8>)| {
        let value = if key_only { Vec::new() } else { value.clone() };
        (key.clone(), value)
    };
    let range = data.range(start, end);
    Ok(if reverse {
        range.rev().take(limit).map(take).collect()
    } else {
        range.take(limit).map(take).collect()
    })
}

/// The lower of two ends, of which an empty one is the highest.
fn first_end<'a>(a: &'a [u8], b: &'a [u8]) -> &'a [u8] {
    match (a, b) {
        ([], end) | (end, []) => end,
        (a, b) => a.min(b),
    }
}

/// Applies what was accepted, if the region is still the same.
fn write(core: &Core, context: &kvrpcpb::Context, writes: Vec<Write>) -> Result<()> {
    let size: usize = writes.iter().map(Write::size).sum();
    if size > core.limits.raft_entry {
        return Err(raft_entry_too_large(context.region_id, size as u64).into());
    }
    let mut state = core.state();
    let region = state.topology.check_applied(context)?;
    for write in &writes {
        check_key(region, write.key())?;
        if let Write::DeleteRange(_, end) = write
            && first_end(end, &region.end) != end.as_slice()
        {
            return Err(key_not_in_region(region, end).into());
        }
    }
    state
        .data
        .apply(writes)
        .map_err(|error| Failure::Status(Status::internal(error.to_string())))
}

/// Slots that keys hash to; who holds a key's slot is alone with the key.
#[derive(Debug)]
struct Latches {
    slots: Vec<Arc<tokio::sync::Mutex<()>>>,
    hasher: BuildHasherDefault<DefaultHasher>,
}

impl Latches {
    fn new() -> Latches {
        Latches {
            slots: (0..4096).map(|_| Arc::default()).collect(),
            hasher: BuildHasherDefault::new(),
        }
    }

    async fn take(&self, keys: impl IntoIterator<Item = &[u8]>) -> Vec<OwnedMutexGuard<()>> {
        let slot = |key| (self.hasher.hash_one(key) % self.slots.len() as u64) as usize;
        let mut slots: Vec<usize> = keys.into_iter().map(slot).collect();
        // In one order, each once: so two that want several cannot wait for each other.
        slots.sort_unstable();
        slots.dedup();
        let mut guards = Vec::with_capacity(slots.len());
        for slot in slots {
            guards.push(self.slots[slot].clone().lock_owned().await);
        }
        guards
    }
}
