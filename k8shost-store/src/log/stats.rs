//! Figures of what the engine does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A figure that is read while it changes.
#[derive(Debug, Default)]
pub struct Figure(AtomicU64);

impl Figure {
    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// What the engine has done since it started, and what it has in hand.
#[derive(Debug, Default)]
pub struct Stats {
    /// Commits that changed something.
    pub commits: Figure,
    /// Batches appended.
    pub batches: Figure,
    /// Batches of ours that found another's in their place.
    pub conflicts: Figure,
    /// Batches of ours that were swapped in below the floor.
    pub voids: Figure,
    /// How often the floor had passed what a server had, so that it loaded again.
    pub fallen: Figure,
    /// Batches of others applied.
    pub followed: Figure,
    /// Hints of others' commits that had the log looked at.
    pub hints: Figure,
    /// Commits of others that the poll found: no hint had told of them, or it came later.
    pub polled: Figure,
    /// Barriers made.
    pub barriers: Figure,
    /// Tenants loaded.
    pub loads: Figure,
    /// Floors moved.
    pub truncations: Figure,
    /// Projections that a truncation had to put right.
    pub repairs: Figure,
    /// Projections written.
    pub projections: Figure,
    /// How often a state was found whose digest differs.
    pub digest_mismatches: Figure,
    /// Tenants that are read-only for it; now.
    pub damaged: Figure,
    /// Tenants in memory; now.
    pub tenants: Figure,
    /// Watchers; now.
    pub watches: Figure,
    /// Bytes of events in memory; now.
    pub tail_bytes: Figure,
}

/// How late background work is, for the tenant that has waited longest. Tenants that are read-only for
/// damage do not count: nothing is written for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// The age of the oldest change that has no projection yet. About a second is as it should be.
    pub projection: Duration,
    /// How long a log could have been truncated that was not. Up to [`Config::truncation_interval`] is as
    /// it should be.
    ///
    /// [`Config::truncation_interval`]: super::Config::truncation_interval
    pub truncation: Duration,
}

/// Told of what the engine does, for metrics. Called often, and not to wait.
pub trait Observer: Send + Sync + 'static {
    /// A batch was appended: its commits and bytes, and how long that took with all attempts.
    fn appended(&self, commits: usize, bytes: usize, duration: Duration) {
        let _ = (commits, bytes, duration);
    }

    /// A barrier took this long.
    fn barrier(&self, duration: Duration) {
        let _ = duration;
    }

    /// A tenant was loaded in this time.
    fn loaded(&self, objects: usize, duration: Duration) {
        let _ = (objects, duration);
    }
}
