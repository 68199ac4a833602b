//! From starting the server to serving, with many objects in the store; after a stop and after a kill.

use std::time::Duration;

use anyhow::ensure;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::{
    client::{Connection, Pool},
    host::{Bench, Started},
    load::{self, Schedule, histogram, micros},
    procfs::Usage,
    report::{Latency, Run, Section, Unit},
};

/// Where the objects are.
const NAMESPACE: &str = "default";

/// Load while the server is killed.
const KILLED_AT: f64 = 2000.0;
const KILLED_AFTER: Duration = Duration::from_millis(300);

pub(super) async fn run(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let sizes = &bench.sizes;
    section.about = format!(
        "{} pods in the store, its files in the page cache; {} starts of each sort; the kill comes at {KILLED_AT} creates/s",
        sizes.many, sizes.starts
    );
    let mut started = bench.start(&[]).await?;
    let endpoint = started.endpoint()?;
    let pool = Pool::open(&endpoint, bench.connections).await?;
    let pods = bench.api(&endpoint).pods(None, NAMESPACE)?;
    bench.fill(&pool, pods, sizes.many).await?;
    drop(pool);

    let mut next = sizes.many;
    for kill in [false, true] {
        let how = if kill { "after a kill" } else { "after a stop" };
        let mut seen = Seen::default();
        for _ in 0..sizes.starts {
            if kill {
                under_load(bench, &started, &mut next).await?;
            }
            started = started.again(kill).await?;
            seen.look(&started, bench).await?;
        }
        for (name, latencies) in seen.named() {
            let (name, usage) = (format!("{name}, {how}"), Usage::default());
            section.runs.push(Run {
                name,
                per_second: None,
                latency: latencies.into(),
                usage,
            });
        }
        let p50 = |latencies: &Histogram<u64>| Latency::from(latencies).p50_ms;
        section.figure(
            format!("start to listening, {how}"),
            p50(&seen.listening),
            Unit::Ms,
        );
        section
            .figure(
                format!("start to serving, {how}"),
                p50(&seen.serving),
                Unit::Ms,
            )
            .under(100.0);
        let name = format!("first list, limit {}, {how}", sizes.page);
        section
            .figure(name, p50(&seen.list), Unit::Ms)
            .under(1000.0);
    }
    started.stop().await
}

/// What was seen of some starts.
struct Seen {
    listening: Histogram<u64>,
    serving: Histogram<u64>,
    list: Histogram<u64>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            listening: histogram(),
            serving: histogram(),
            list: histogram(),
        }
    }
}

impl Seen {
    /// Waits until a server serves that was just started, and lists.
    async fn look(&mut self, started: &Started, bench: &Bench) -> anyhow::Result<()> {
        let process = &started.process;
        self.listening.saturating_record(micros(process.listening));
        let endpoint = started.endpoint()?;
        let api = bench.api(&endpoint);
        let mut connection = Connection::open(&endpoint).await?;
        let (health, serving) = api.health();
        let health = connection.fetch(health).await?;
        self.serving
            .saturating_record(micros(process.spawned.elapsed()));
        ensure!(
            bytes::Buf::chunk(&health) == serving,
            "the server does not say that it serves"
        );
        let asked = Instant::now();
        let page = connection.fetch(api.list("", bench.sizes.page, "")).await?;
        self.list.saturating_record(micros(asked.elapsed()));
        let items = api.page(page)?.items;
        ensure!(
            i64::try_from(items)? == bench.sizes.page,
            "the first page has {items} items"
        );
        Ok(())
    }

    fn named(&self) -> [(&'static str, &Histogram<u64>); 3] {
        [
            ("start to listening", &self.listening),
            ("start to serving", &self.serving),
            ("first list", &self.list),
        ]
    }
}

/// Leaves creates in flight, so that a kill meets the server at work.
async fn under_load(bench: &Bench, started: &Started, next: &mut u64) -> anyhow::Result<()> {
    let endpoint = started.endpoint()?;
    let pool = Pool::open(&endpoint, 1).await?;
    let pods = bench.api(&endpoint).pods(None, NAMESPACE)?;
    let count = KILLED_AT as u64;
    let first = std::mem::replace(next, *next + count);
    let schedule = Schedule::new(Instant::now(), KILLED_AT);
    tokio::spawn(async move {
        // It ends with an error when the server is killed: that is what it is for.
        let create = move |index| [pods.create.call(index, 0)];
        let _ = load::open(&pool, schedule, first, count, create).await;
    });
    tokio::time::sleep(KILLED_AFTER).await;
    Ok(())
}
