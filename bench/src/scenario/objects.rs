//! Creates, gets, updates and deletes of single pods.

use std::time::Duration;

use tokio::time::Instant;

use super::run_of;
use crate::{
    client::Kept,
    host::{Bench, Target},
    load::{self, Schedule, Until},
    report::{Latency, Section, Unit},
    template::revised,
};

/// Between making a schedule and its first call.
const LEAD: Duration = Duration::from_millis(20);

pub(super) async fn creates(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let target = bench.target("creates").await?;
    let (pods, later) = (target.pods()?, target.pods()?);
    let sent = pods.sent;
    let create = move |index| [pods.create.call(index, 0)];
    let meter = target.meter();
    let closed = load::closed(&target.pool, bench.callers, 0, window(bench), create).await?;
    section
        .runs
        .push(run_of("creates, closed loop", &closed, meter.usage()));

    // Half of that load, whatever it takes to answer.
    let rate = closed.rate() / 2.0;
    let count = (rate * bench.sizes.run.as_secs_f64()) as u64;
    let schedule = Schedule::new(Instant::now() + LEAD, rate);
    let create = move |index| [later.create.call(index, 0)];
    let meter = target.meter();
    let open = load::open(&target.pool, schedule, closed.next, count.max(1), create).await?;
    section
        .runs
        .push(run_of("creates, open loop", &open, meter.usage()));

    let stored = stored_bytes(&target).await?;
    section.about = format!(
        "bound pods, {sent} bytes as sent and {stored} as stored JSON; {} callers on {} connections, then {rate:.0}/s as an open loop",
        bench.callers, bench.connections
    );
    section
        .figure("creates", closed.rate(), Unit::PerSecond)
        .at_least(bench.goals().creates)
        .peer(1050.0);
    let latency = Latency::from(&closed.latencies);
    section
        .figure("creates, p99 at full load", latency.p99_ms, Unit::Ms)
        .peer(178.0);
    let latency = Latency::from(&open.latencies);
    section
        .figure(
            "creates, p99 at half of that load",
            latency.p99_ms,
            Unit::Ms,
        )
        .under(15.0);
    target.close().await
}

pub(super) async fn gets(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let target = filled(bench, "gets").await?;
    let count = bench.sizes.pods;
    section.about = format!(
        "{count} pods, {} callers on {} connections",
        bench.callers, bench.connections
    );
    let pods = target.pods()?;
    let get = move |turn| [pods.get.call(turn % count, 0)];
    let meter = target.meter();
    let load = load::closed(&target.pool, bench.callers, 0, window(bench), get).await?;
    section.runs.push(run_of("gets", &load, meter.usage()));
    let figure = section
        .figure("gets", load.rate(), Unit::PerSecond)
        .peer(4100.0);
    if let Some(goal) = bench.goals().gets {
        figure.at_least(goal);
    }
    target.close().await
}

pub(super) async fn updates(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let target = filled(bench, "updates").await?;
    let count = bench.sizes.pods;
    let pods = target.pods()?;
    let known = if pods.updates_last_known {
        known(bench, &target).await?
    } else {
        Vec::new()
    };
    section.about = format!(
        "an annotation of {count} pods, {}, one after another; {} callers on {} connections",
        if pods.updates_last_known {
            "with the resourceVersion last seen"
        } else {
            "unconditionally"
        },
        bench.callers,
        bench.connections
    );
    let update = move |turn: u64| {
        let (index, revision) = (turn % count, turn / count + 1);
        let mut call = pods.update.call(index, revision);
        if let Some(kept) = known.get(index as usize) {
            call.body = kept.with(|pod| revised(pod, revision));
            call.keep = Some(kept.clone());
        }
        [call]
    };
    let meter = target.meter();
    let load = load::closed(&target.pool, bench.callers, 0, window(bench), update).await?;
    section.runs.push(run_of("updates", &load, meter.usage()));
    section
        .figure("updates", load.rate(), Unit::PerSecond)
        .at_least(bench.goals().updates)
        .peer(610.0);
    target.close().await
}

pub(super) async fn deletes(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let target = bench.target("deletes").await?;
    let count = bench.sizes.many;
    section.about = format!(
        "{count} pods with gracePeriodSeconds 0, {} callers on {} connections",
        bench.callers, bench.connections
    );
    bench.fill(&target.pool, target.pods()?, count).await?;
    let pods = target.pods()?;
    let delete = move |index| [pods.delete.call(index, 0)];
    let meter = target.meter();
    let load = load::closed(&target.pool, bench.callers, 0, Until::Count(count), delete).await?;
    section.runs.push(run_of("deletes", &load, meter.usage()));
    section
        .figure("deletes", load.rate(), Unit::PerSecond)
        .at_least(bench.goals().deletes)
        .peer(890.0);
    target.close().await
}

fn window(bench: &Bench) -> Until {
    Until::Time {
        warm_up: bench.sizes.warm_up,
        run: bench.sizes.run,
    }
}

async fn filled(bench: &Bench, scenario: &str) -> anyhow::Result<Target> {
    let target = bench.target(scenario).await?;
    bench
        .fill(&target.pool, target.pods()?, bench.sizes.pods)
        .await?;
    Ok(target)
}

/// All pods, as the server sends them.
async fn known(bench: &Bench, target: &Target) -> anyhow::Result<Vec<Kept>> {
    let known: Vec<Kept> = (0..bench.sizes.pods).map(|_| Kept::default()).collect();
    let (pods, kept) = (target.pods()?, known.clone());
    let get = move |index| {
        let mut call = pods.get.call(index, 0);
        call.keep = kept.get(index as usize).cloned();
        [call]
    };
    let until = Until::Count(bench.sizes.pods);
    load::closed(&target.pool, bench.callers, 0, until, get).await?;
    Ok(known)
}

/// The length of the first pod's JSON, as Kubernetes has it.
async fn stored_bytes(target: &Target) -> anyhow::Result<usize> {
    let get = target.pods()?.get.call(0, 0);
    target
        .api
        .stored(target.pool.connection(0).fetch(get).await?)
}
