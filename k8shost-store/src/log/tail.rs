//! The end of a tenant's log as events in memory, from which watchers are served, and the bound on
//! how many bytes of it the server keeps.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use super::keys::Revision;
use super::shared::lock;
use super::state::Event;
use super::stats::Figure;

/// A batch's events.
#[derive(Clone, Debug)]
pub(crate) struct TailBatch {
    pub(crate) first: Revision,
    pub(crate) last: Revision,
    /// The last change in it that ends watches.
    pub(crate) reset: Option<Revision>,
    pub(crate) events: Arc<[Arc<Event>]>,
    pub(crate) bytes: usize,
}

impl TailBatch {
    /// The events after a position. `None`: a watch that stands there ends.
    pub(crate) fn after(&self, position: Revision) -> Option<Arc<[Arc<Event>]>> {
        if self.reset.is_some_and(|reset| position < reset) {
            return None;
        }
        if position < self.first {
            return Some(self.events.clone());
        }
        let from = self.events.partition_point(|e| e.revision <= position);
        Some(self.events.get(from..).unwrap_or_default().into())
    }
}

/// What there is for a watcher at its position.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing yet.
    Wait,
    /// Nothing, before the tenant is loaded.
    Unloaded,
    /// The events of a batch.
    Batch(TailBatch),
    /// The position is before the tail, but the log may have it.
    Behind,
    /// The position is behind the published end.
    Ahead,
    /// The watch is over: the server lost its place.
    Over,
}

/// The end of a tenant's log.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Which life in memory it belongs to: watches of an earlier one are over.
    pub(crate) generation: u64,
    /// The last revision that was published.
    pub(crate) published: Revision,
    /// Whether there is a state that was loaded.
    pub(crate) loaded: bool,
    /// One follows from the other; the last one ends at `published`.
    batches: VecDeque<TailBatch>,
}

impl Tail {
    /// What comes after a position, for a watch that began in `generation`.
    pub(crate) fn next(&self, generation: u64, position: Revision) -> Next {
        if generation != self.generation {
            return Next::Over;
        }
        if !self.loaded {
            return Next::Unloaded;
        }
        if position == self.published {
            return Next::Wait;
        }
        if position > self.published {
            return Next::Ahead;
        }
        let at = self.batches.partition_point(|b| b.last <= position);
        match self.batches.get(at) {
            Some(batch) if batch.first <= position + 1 => Next::Batch(batch.clone()),
            _ => Next::Behind,
        }
    }

    /// Begins again with nothing, at the revision that was loaded, or while nothing is.
    fn reset(&mut self, generation: u64, loaded: Option<Revision>) -> usize {
        self.generation = generation;
        self.loaded = loaded.is_some();
        self.published = loaded.unwrap_or(0);
        self.batches.drain(..).map(|b| b.bytes).sum()
    }
}

/// A tenant's tail, where the server's bound can reach it.
pub(crate) type TailCell = Arc<Mutex<Tail>>;

/// The bound on the bytes of all tails.
pub(crate) struct TailBudget {
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: usize,
    /// Whose batches they are, the oldest first. Some may be gone already.
    order: VecDeque<Weak<Mutex<Tail>>>,
    /// How many of `order` are gone, at least.
    stale: usize,
}

impl TailBudget {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            kept: Mutex::default(),
        }
    }

    /// Adds a batch to a tail, and drops the oldest of all tenants' that there is no room for.
    pub(crate) fn push(&self, cell: &TailCell, batch: TailBatch, figure: &Figure) {
        // Taken before any tail's lock, here and below.
        let mut kept = lock(&self.kept);
        kept.bytes += batch.bytes;
        kept.order.push_back(Arc::downgrade(cell));
        {
            let mut tail = lock(cell);
            tail.published = batch.last;
            tail.batches.push_back(batch);
        }
        while kept.bytes > self.most {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            let dropped = oldest.upgrade().and_then(|c| lock(&c).batches.pop_front());
            match dropped {
                Some(batch) => kept.bytes -= batch.bytes,
                None => kept.stale = kept.stale.saturating_sub(1),
            }
        }
        figure.set(kept.bytes as u64);
    }

    /// Empties a tail: the tenant was loaded (to this revision), or has to be loaded again.
    pub(crate) fn reset(
        &self,
        cell: &TailCell,
        generation: u64,
        loaded: Option<Revision>,
        figure: &Figure,
    ) {
        let mut kept = lock(&self.kept);
        let mut tail = lock(cell);
        let stale = tail.batches.len();
        let bytes = tail.reset(generation, loaded);
        drop(tail);
        kept.bytes -= bytes;
        kept.stale += stale;
        if kept.stale > kept.order.len() / 2 {
            // An entry stands for the oldest batch that is left of its tenant: as many as there are
            // batches stay.
            let mut seen = std::collections::BTreeMap::new();
            kept.order.retain(|weak| {
                let Some(cell) = weak.upgrade() else {
                    return false;
                };
                let left = seen
                    .entry(Arc::as_ptr(&cell) as usize)
                    .or_insert_with(|| lock(&cell).batches.len());
                let stays = *left > 0;
                *left = left.saturating_sub(1);
                stays
            });
            kept.stale = 0;
        }
        figure.set(kept.bytes as u64);
    }
}
