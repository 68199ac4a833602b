//! Many watchers of one namespace: every event must reach each of them, once and in order.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::run_of;
use crate::{
    api::{Added, Api},
    client::{Messages, Pool},
    host::{Bench, Target},
    load::{self, Schedule, histogram, micros},
    report::{Latency, Run, Section, Unit},
};

/// Between the last watcher's beginning and the first create.
const LEAD: Duration = Duration::from_millis(500);

/// How long the last event may be on its way.
const PATIENCE: Duration = Duration::from_secs(60);

/// A rate of creates, and what the delivery should take then.
struct Rate {
    per_second: f64,
    p99_under_ms: f64,
    peer_p50_ms: Option<f64>,
    peer_p99_ms: Option<f64>,
}

const RATES: [Rate; 2] = [
    Rate {
        per_second: 50.0,
        p99_under_ms: 25.0,
        peer_p50_ms: Some(12.0),
        peer_p99_ms: Some(131.0),
    },
    Rate {
        per_second: 100.0,
        p99_under_ms: 100.0,
        peer_p50_ms: None,
        peer_p99_ms: None,
    },
];

pub(super) async fn run(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let sizes = &bench.sizes;
    section.about = format!(
        "{} watchers on {} connections, {:?} at each rate; latency from the time at which the create was due",
        sizes.watchers, sizes.watch_connections, sizes.watch
    );
    let target = bench.target("watch").await?;
    let mut first = 0;
    for at in RATES {
        let rate = at.per_second;
        let creates = (rate * sizes.watch.as_secs_f64()) as u64;
        let latency = deliver(bench, &target, rate, first, creates, section).await?;
        first += creates + 1;
        let name = |quantile| format!("delivery at {rate} creates/s, {quantile}");
        section.figure(name("p50"), latency.p50_ms, Unit::Ms).peer = at.peer_p50_ms;
        let p99 = section
            .figure(name("p99"), latency.p99_ms, Unit::Ms)
            .under(at.p99_under_ms);
        p99.peer = at.peer_p99_ms;
    }
    target.close().await
}

/// Creates pods at a rate while all watch, and checks what each has seen.
async fn deliver(
    bench: &Bench,
    target: &Target,
    rate: f64,
    first: u64,
    creates: u64,
    section: &mut Section,
) -> anyhow::Result<Latency> {
    let streams = watch(bench, target).await?;
    let schedule = Schedule::new(Instant::now() + LEAD, rate);
    let mut watchers = JoinSet::new();
    for stream in streams {
        let watcher = Watcher::new(schedule, first, creates);
        watchers.spawn(watcher.follow(target.api.clone(), stream));
    }

    let meter = target.meter();
    let pods = target.pods()?;
    let create = move |index| [pods.create.call(index, 0)];
    let load = load::open(&target.pool, schedule, first, creates, create).await?;
    // One more, after all others were answered: no watcher may see anything before it that is not
    // due, and whoever has seen it has been sent everything.
    let last = target.pods()?.create.call(first + creates, 0);
    target.pool.connection(0).call(last).await?;
    let latencies = timeout(PATIENCE, all(watchers)).await.with_context(|| {
        format!("some watchers wait for events {PATIENCE:?} after the last create")
    })??;
    let usage = meter.usage();

    let expected = creates * bench.sizes.watchers as u64;
    ensure!(
        latencies.len() == expected,
        "{} events of {expected} were delivered",
        latencies.len()
    );
    section.runs.push(run_of(
        &format!("creates at {rate}/s"),
        &load,
        usage.clone(),
    ));
    let latency = Latency::from(&latencies);
    let per_second = Some(expected as f64 / load.seconds);
    let name = format!("deliveries at {rate} creates/s");
    section.runs.push(Run {
        name,
        per_second,
        latency: latency.clone(),
        usage,
    });
    Ok(latency)
}

/// Opens all watches, from the present on.
async fn watch(bench: &Bench, target: &Target) -> anyhow::Result<Vec<Messages>> {
    let list = target.api.list(&target.namespace, 1, "");
    let answer = target.pool.connection(0).fetch(list).await?;
    let resource_version = target.api.page(answer)?.resource_version;
    ensure!(
        !resource_version.is_empty(),
        "the list has no resourceVersion"
    );
    let request = target.api.watch(&target.namespace, &resource_version);
    let pool = Pool::open(&target.endpoint, bench.sizes.watch_connections).await?;
    let mut streams = Vec::with_capacity(bench.sizes.watchers);
    for watcher in 0..bench.sizes.watchers {
        streams.push(pool.connection(watcher).stream(request.clone()).await?);
    }
    Ok(streams)
}

/// The latencies of all watchers; the first failure ends it.
async fn all(mut watchers: JoinSet<anyhow::Result<Vec<u32>>>) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = histogram();
    let mut number = 0;
    while let Some(seen) = watchers.join_next().await {
        number += 1;
        for micros in seen?.with_context(|| format!("watcher {number} to end"))? {
            latencies.saturating_record(micros.into());
        }
    }
    Ok(latencies)
}

/// What one watcher has seen.
struct Watcher {
    schedule: Schedule,
    first: u64,
    creates: u64,
    seen: Vec<bool>,
    resource_version: u64,
    /// In microseconds: of a thousand watchers, histograms would take too much memory.
    latencies: Vec<u32>,
}

impl Watcher {
    fn new(schedule: Schedule, first: u64, creates: u64) -> Self {
        let capacity = usize::try_from(creates).unwrap_or_default();
        Self {
            schedule,
            first,
            creates,
            seen: vec![false; capacity],
            resource_version: 0,
            latencies: Vec::with_capacity(capacity),
        }
    }

    /// Takes events up to the one that ends the run.
    async fn follow(mut self, api: Arc<dyn Api>, mut stream: Messages) -> anyhow::Result<Vec<u32>> {
        while let Some(event) = stream.next().await? {
            let now = Instant::now();
            if !self.take(api.added(event)?, now)? {
                let missing = self.seen.iter().filter(|seen| !**seen).count();
                ensure!(
                    missing == 0,
                    "{missing} of {} events are missing",
                    self.creates
                );
                return Ok(self.latencies);
            }
        }
        bail!(
            "the watch ended after {} of {} events",
            self.latencies.len(),
            self.creates
        )
    }

    /// Checks one event; whether more are to come.
    fn take(&mut self, event: Added, now: Instant) -> anyhow::Result<bool> {
        let Added {
            index,
            resource_version: version,
        } = event;
        let before = std::mem::replace(&mut self.resource_version, version);
        ensure!(
            version > before,
            "resourceVersion {version} came after {before}"
        );
        let number = index
            .checked_sub(self.first)
            .filter(|number| *number <= self.creates)
            .with_context(|| format!("pod {index} was not created in this run"))?;
        if number == self.creates {
            return Ok(false);
        }
        let seen = &mut self.seen[usize::try_from(number)?];
        ensure!(
            !std::mem::replace(seen, true),
            "pod {index} was added twice"
        );
        let latency = now.saturating_duration_since(self.schedule.at(number));
        self.latencies
            .push(u32::try_from(micros(latency)).unwrap_or(u32::MAX));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(index: u64, resource_version: u64) -> Added {
        Added {
            index,
            resource_version,
        }
    }

    fn watcher() -> Watcher {
        Watcher::new(Schedule::new(Instant::now(), 50.0), 10, 3)
    }

    #[test]
    fn all_events_in_any_order_of_creation_are_right() {
        let (mut watcher, now) = (watcher(), Instant::now());
        for (index, version) in [(11, 1), (10, 2), (12, 4)] {
            assert!(watcher.take(event(index, version), now).unwrap());
        }
        assert!(!watcher.take(event(13, 5), now).unwrap());
        assert_eq!((watcher.seen, watcher.latencies.len()), (vec![true; 3], 3));
    }

    #[test]
    fn an_event_that_comes_twice_or_late_or_from_elsewhere_fails() {
        for (index, version) in [(10, 3), (11, 2), (11, 1), (9, 3), (14, 3)] {
            let (mut watcher, now) = (watcher(), Instant::now());
            assert!(watcher.take(event(10, 2), now).unwrap());
            assert!(
                watcher.take(event(index, version), now).is_err(),
                "{index} {version}"
            );
        }
    }
}
