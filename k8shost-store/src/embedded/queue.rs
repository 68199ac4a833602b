//! What waits to be written, between the callers and the one thread that writes.

use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::kv::{KvError, Swap};

/// All swaps that wait go into one group, up to this many bytes.
const SWAP_BYTES: usize = 16 << 20;

/// Other writes go along up to this many bytes: they must not hold up the swaps, which callers wait for.
pub(super) const WRITE_BYTES: usize = 128 << 10;

pub(super) type Writes = Vec<(Bytes, Option<Bytes>)>;

pub(super) struct SwapRequest {
    pub(super) key: Bytes,
    pub(super) expected: Option<Bytes>,
    pub(super) new: Bytes,
    pub(super) answer: oneshot::Sender<Result<Swap, KvError>>,
}

pub(super) struct WriteRequest {
    pub(super) writes: Writes,
    pub(super) answer: oneshot::Sender<Result<(), KvError>>,
}

/// What is written together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) swaps: Vec<SwapRequest>,
    pub(super) writes: Vec<WriteRequest>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.swaps.is_empty() && self.writes.is_empty()
    }

    /// Those with which no key occurs twice, and the others: they come after, and see what these did.
    pub(super) fn apart(self) -> (Self, Self) {
        let mut seen = HashSet::new();
        let (swaps, later_swaps) = self
            .swaps
            .into_iter()
            .partition(|swap| seen.insert(swap.key.clone()));
        let (writes, later_writes) = self.writes.into_iter().partition(|request| {
            let new = request.writes.iter().all(|(key, _)| !seen.contains(key));
            if new {
                seen.extend(request.writes.iter().map(|(key, _)| key.clone()));
            }
            new
        });
        (
            Self { swaps, writes },
            Self {
                swaps: later_swaps,
                writes: later_writes,
            },
        )
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Bytes> {
        let written = self
            .writes
            .iter()
            .flat_map(|request| request.writes.iter().map(|(key, _)| key));
        self.swaps.iter().map(|swap| &swap.key).chain(written)
    }

    /// Whoever no longer waits for the answer does without.
    pub(super) fn answer(
        self,
        swaps: Vec<Result<Swap, KvError>>,
        writes: Vec<Result<(), KvError>>,
    ) {
        for (swap, answer) in self.swaps.into_iter().zip(swaps) {
            let _ = swap.answer.send(answer);
        }
        for (write, answer) in self.writes.into_iter().zip(writes) {
            let _ = write.answer.send(answer);
        }
    }
}

pub(super) enum Next {
    Group(Group),
    /// Nothing came in this time.
    Idle,
    Closed,
}

#[derive(Default)]
struct Waiting {
    swaps: VecDeque<SwapRequest>,
    writes: VecDeque<WriteRequest>,
    closed: bool,
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    ready: Condvar,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change under the lock is one push, pop or store.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The request is dropped if the queue is closed, and its caller sees that it was.
    pub(super) fn swap(&self, request: SwapRequest) {
        self.push(|waiting| waiting.swaps.push_back(request));
    }

    /// As [`Queue::swap`].
    pub(super) fn write(&self, request: WriteRequest) {
        self.push(|waiting| waiting.writes.push_back(request));
    }

    fn push(&self, push: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting();
        if !waiting.closed {
            push(&mut waiting);
            drop(waiting);
            self.ready.notify_one();
        }
    }

    /// What waits is still served.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.ready.notify_one();
    }

    /// Waits for the next group, for no longer than `patience`.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let waiting = self.waiting();
        let (mut waiting, _) = self
            .ready
            .wait_timeout_while(waiting, patience, |waiting| {
                waiting.swaps.is_empty() && waiting.writes.is_empty() && !waiting.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        let group = Group {
            swaps: take(&mut waiting.swaps, SWAP_BYTES, |swap| swap.new.len()),
            writes: take(&mut waiting.writes, WRITE_BYTES, |write| {
                bytes(&write.writes)
            }),
        };
        if !group.swaps.is_empty() || !group.writes.is_empty() {
            Next::Group(group)
        } else if waiting.closed {
            Next::Closed
        } else {
            Next::Idle
        }
    }
}

/// The first that fit, and at least one.
fn take<T>(queue: &mut VecDeque<T>, limit: usize, size: impl Fn(&T) -> usize) -> Vec<T> {
    let mut total = 0;
    let fitting = queue.iter().take_while(|item| {
        let before = total;
        total += size(item);
        before == 0 || total <= limit
    });
    let count = fitting.count();
    queue.drain(..count).collect()
}

pub(super) fn bytes(writes: &Writes) -> usize {
    writes
        .iter()
        .map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len))
        .sum()
}

/// Parts of a size that may go along with swaps.
pub(super) fn parts(writes: Writes) -> impl Iterator<Item = Writes> {
    let mut rest = writes.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut part = Vec::new();
        let mut size = 0;
        while size < WRITE_BYTES
            && let Some((key, value)) = rest.next()
        {
            size += key.len() + value.as_ref().map_or(0, Bytes::len);
            part.push((key, value));
        }
        (!part.is_empty()).then_some(part)
    })
}
