//! Many seeds, one after the other, on as many threads as wanted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::run::{Setup, run};
use crate::stats::Stats;

/// How many seeds, at most.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// The first seed.
    pub start: u64,
    /// So many.
    pub seeds: u64,
    /// No new seed is begun after so long.
    pub time: Option<Duration>,
    /// How many are run at once.
    pub threads: usize,
}

/// What came of a sweep.
#[derive(Debug, Default)]
pub struct Swept {
    /// Totals.
    pub stats: Stats,
    /// How many seeds were run.
    pub seeds: u64,
    /// The lowest seed that failed, and how. After one, no new seed is begun.
    pub failed: Option<(u64, String)>,
    /// How long it took.
    pub took: Duration,
}

impl Sweep {
    /// Runs `setup` with one seed after the other, until one fails.
    pub fn run(&self, setup: &Setup) -> Swept {
        let began = Instant::now();
        let next = AtomicU64::new(self.start);
        let stop = AtomicBool::new(false);
        let swept = Mutex::new(Swept::default());
        let work = || {
            while !stop.load(Relaxed) && self.time.is_none_or(|time| began.elapsed() < time) {
                let seed = next.fetch_add(1, Relaxed);
                if seed >= self.start + self.seeds {
                    break;
                }
                let outcome = run(&Setup { seed, ..*setup });
                let mut swept = swept.lock().unwrap_or_else(PoisonError::into_inner);
                swept.stats.add(&outcome.stats);
                swept.seeds += 1;
                if let Some(violation) = outcome.violation {
                    stop.store(true, Relaxed);
                    if swept.failed.as_ref().is_none_or(|failed| failed.0 > seed) {
                        swept.failed = Some((seed, violation));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(work);
            }
            work();
        });
        let mut swept = swept.into_inner().unwrap_or_else(PoisonError::into_inner);
        swept.took = began.elapsed();
        swept
    }
}
