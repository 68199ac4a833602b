//! Load: closed loops, where each caller waits for its answer, and open loops, where calls come at
//! their times whether or not there were answers.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hdrhistogram::Histogram;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::client::{Call, CallError, Connection, Pool};

/// Latencies in microseconds, to three digits, up to an hour.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are in order")
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a run did.
pub(crate) struct Load {
    /// Latencies of all calls after the warm-up.
    pub(crate) latencies: Histogram<u64>,
    /// Calls that ended in the measured time.
    pub(crate) done: u64,
    /// The measured time.
    pub(crate) seconds: f64,
    /// The first index that was not used.
    pub(crate) next: u64,
}

impl Load {
    /// Calls per second.
    pub(crate) fn rate(&self) -> f64 {
        self.done as f64 / self.seconds
    }
}

/// When a closed loop ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// After so many indexes.
    Count(u64),
    /// After this time, besides the warm-up.
    Time {
        /// Not measured.
        warm_up: Duration,
        /// Measured.
        run: Duration,
    },
}

/// A closed loop: each caller takes an index, makes the calls for it, one after another, and takes
/// the next. The first call that fails ends the run.
pub(crate) async fn closed<const N: usize>(
    pool: &Pool,
    callers: usize,
    first: u64,
    until: Until,
    calls: impl Fn(u64) -> [Call; N] + Send + Sync + 'static,
) -> anyhow::Result<Load> {
    let begin = Instant::now();
    let (measured, deadline, end) = match until {
        Until::Count(count) => (begin, None, first + count),
        Until::Time { warm_up, run } => (begin + warm_up, Some(begin + warm_up + run), u64::MAX),
    };
    let shared = Arc::new(Shared {
        next: AtomicU64::new(first),
        failed: AtomicBool::new(false),
        calls,
    });
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (shared, mut connection) = (shared.clone(), pool.connection(caller));
        tasks.spawn(async move {
            let mut tally = Tally::default();
            loop {
                let started = Instant::now();
                if deadline.is_some_and(|deadline| started >= deadline) {
                    return Ok(tally);
                }
                let Some(index) = shared.take(end) else {
                    return Ok(tally);
                };
                shared.send(&mut connection, index).await?;
                let finished = Instant::now();
                if finished >= measured {
                    tally.record(finished - started);
                    tally.done += u64::from(deadline.is_none_or(|deadline| finished <= deadline));
                }
            }
        });
    }
    let total = Tally::of(tasks).await?;
    let seconds = match until {
        Until::Count(_) => begin.elapsed(),
        Until::Time { run, .. } => run,
    };
    let next = shared.next.load(Relaxed).min(end);
    Ok(Load {
        latencies: total.latencies,
        done: total.done,
        seconds: seconds.as_secs_f64(),
        next,
    })
}

/// Times at a constant rate.
#[derive(Clone, Copy)]
pub(crate) struct Schedule {
    start: Instant,
    interval: f64,
}

impl Schedule {
    /// From `start` on, so many per second.
    pub(crate) fn new(start: Instant, rate: f64) -> Self {
        Self {
            start,
            interval: 1.0 / rate,
        }
    }

    /// When number `n` is due.
    pub(crate) fn at(&self, n: u64) -> Instant {
        self.start + Duration::from_secs_f64(n as f64 * self.interval)
    }
}

/// Calls in flight of an open loop. When all of them wait, further calls are late, and that counts:
/// their latency begins at the time at which they were due.
const IN_FLIGHT: usize = 512;

/// An open loop: `count` calls at the times of the schedule. Latencies count from these times.
pub(crate) async fn open(
    pool: &Pool,
    schedule: Schedule,
    first: u64,
    count: u64,
    calls: impl Fn(u64) -> [Call; 1] + Send + Sync + 'static,
) -> anyhow::Result<Load> {
    let end = first + count;
    let shared = Arc::new(Shared {
        next: AtomicU64::new(first),
        failed: AtomicBool::new(false),
        calls,
    });
    // One for all: hundreds of histograms would be hundreds of megabytes to touch just as it begins.
    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut tasks = JoinSet::new();
    for caller in 0..IN_FLIGHT.min(usize::try_from(count)?) {
        let (shared, tally, mut connection) =
            (shared.clone(), tally.clone(), pool.connection(caller));
        tasks.spawn(async move {
            while let Some(index) = shared.take(end) {
                let due = schedule.at(index - first);
                sleep_until(due).await;
                shared.send(&mut connection, index).await?;
                let latency = due.elapsed();
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.record(latency);
                tally.done += 1;
            }
            Ok::<_, CallError>(())
        });
    }
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        outcome = outcome.and(ended?);
    }
    outcome?;
    let seconds = schedule.start.elapsed().as_secs_f64();
    let total = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Load {
        latencies: total.latencies,
        done: total.done,
        seconds,
        next: end,
    })
}

/// What all callers of a run share.
struct Shared<F> {
    next: AtomicU64,
    failed: AtomicBool,
    calls: F,
}

impl<F> Shared<F> {
    /// The next index; none after the end, or after a failure.
    fn take(&self, end: u64) -> Option<u64> {
        if self.failed.load(Relaxed) {
            return None;
        }
        Some(self.next.fetch_add(1, Relaxed)).filter(|index| *index < end)
    }

    async fn send<const N: usize>(
        &self,
        connection: &mut Connection,
        index: u64,
    ) -> Result<(), CallError>
    where
        F: Fn(u64) -> [Call; N],
    {
        for call in (self.calls)(index) {
            if let Err(error) = connection.call(call).await {
                self.failed.store(true, Relaxed);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What one caller counted.
struct Tally {
    latencies: Histogram<u64>,
    done: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            latencies: histogram(),
            done: 0,
        }
    }
}

impl Tally {
    fn record(&mut self, latency: Duration) {
        self.latencies.saturating_record(micros(latency));
    }

    /// The sum of all callers; the first failure, once all have ended.
    async fn of(mut tasks: JoinSet<Result<Self, CallError>>) -> anyhow::Result<Self> {
        let mut total = Self::default();
        let mut failure = None;
        while let Some(tally) = tasks.join_next().await {
            match tally? {
                Ok(tally) => {
                    total.latencies.add(tally.latencies)?;
                    total.done += tally.done;
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(total), |error| Err(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_does_not_drift() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 3.0);
        assert_eq!(schedule.at(0), start);
        let late = schedule.at(3_000_000) - start;
        assert!(
            late.abs_diff(Duration::from_secs(1_000_000)) < Duration::from_micros(1),
            "{late:?}"
        );
    }
}
