//! Lists of all pods of a namespace, in one answer and in pages: from each request to its last byte.

use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Buf as _;
use hdrhistogram::Histogram;

use crate::{
    host::{Bench, Target},
    load::{histogram, micros},
    report::{Latency, Run, Section, Unit},
};

pub(super) async fn run(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let target = bench.target("list").await?;
    let (count, page) = (bench.sizes.pods, bench.sizes.page);
    bench.fill(&target.pool, target.pods()?, count).await?;

    let whole = lists(bench, &target, 0, section, "list in one answer").await?;
    let paged = lists(bench, &target, page, section, &format!("list by {page}")).await?;
    section.about = format!(
        "{count} pods, {} runs each, on one connection",
        bench.sizes.lists
    );
    let p50 = Latency::from(&whole.latencies).p50_ms;
    section
        .figure("list in one answer, p50", p50, Unit::Ms)
        .under(bench.goals().list_ms)
        .peer(520.0);
    section
        .figure("list in one answer", whole.bytes as f64, Unit::Bytes)
        .peer(45e6);
    let p50 = Latency::from(&paged.latencies).p50_ms;
    section
        .figure(format!("list by {page}, p50"), p50, Unit::Ms)
        .under(bench.goals().list_ms);
    target.close().await
}

struct Lists {
    latencies: Histogram<u64>,
    bytes: usize,
}

/// Lists again and again; a limit of 0 means one answer.
async fn lists(
    bench: &Bench,
    target: &Target,
    limit: i64,
    section: &mut Section,
    name: &str,
) -> anyhow::Result<Lists> {
    let mut connection = target.pool.connection(0);
    let (mut latencies, mut bytes) = (histogram(), 0);
    let meter = target.meter();
    for _ in 0..bench.sizes.lists {
        let (mut items, mut took, mut token) = (0, Duration::ZERO, String::new());
        bytes = 0;
        loop {
            let list = target.api.list(&target.namespace, limit, &token);
            let asked = Instant::now();
            let answer = connection.fetch(list).await?;
            took += asked.elapsed();
            bytes += answer.remaining();
            let page = target.api.page(answer)?;
            items += page.items as u64;
            token = page.continue_token;
            if token.is_empty() {
                break;
            }
        }
        ensure!(
            items == bench.sizes.pods,
            "the list has {items} items of {}",
            bench.sizes.pods
        );
        latencies.saturating_record(micros(took));
    }
    let usage = meter.usage();
    section.runs.push(Run {
        name: name.to_owned(),
        per_second: None,
        latency: (&latencies).into(),
        usage,
    });
    Ok(Lists { latencies, bytes })
}
