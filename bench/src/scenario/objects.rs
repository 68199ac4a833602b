//! Creates, gets, updates and deletes of single pods.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8shost_proto::v1;
use prost::Message as _;
use tokio::time::Instant;

use super::run_of;
use crate::{
    host::{Bench, Target},
    load::{self, Schedule, Until},
    report::{Latency, Section, Unit},
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
    let goal = bench
        .echo
        .map_or(12_000.0, |echo| (0.25 * echo).max(12_000.0));
    section
        .figure("creates", closed.rate(), Unit::PerSecond)
        .at_least(goal)
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
    if let Some(echo) = bench.echo {
        figure.at_least(0.6 * echo);
    }
    target.close().await
}

pub(super) async fn updates(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let target = filled(bench, "updates").await?;
    let count = bench.sizes.pods;
    section.about = format!(
        "an annotation of {count} pods, unconditionally, one after another; {} callers on {} connections",
        bench.callers, bench.connections
    );
    let pods = target.pods()?;
    let update = move |turn| [pods.update.call(turn % count, turn / count + 1)];
    let meter = target.meter();
    let load = load::closed(&target.pool, bench.callers, 0, window(bench), update).await?;
    section.runs.push(run_of("updates", &load, meter.usage()));
    section
        .figure("updates", load.rate(), Unit::PerSecond)
        .at_least(8000.0)
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
        .at_least(8000.0)
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

/// The length of the first pod's JSON, as Kubernetes has it.
async fn stored_bytes(target: &Target) -> anyhow::Result<usize> {
    let answer = target
        .pool
        .connection(0)
        .fetch(target.pods()?.get.call(0, 0))
        .await?;
    let pod = v1::GetPodResponse::decode(answer)?
        .pod
        .context("the answer has no pod")?;
    let bound = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    ensure!(
        bound.is_some_and(|node| !node.is_empty()),
        "the pod is not bound to a node"
    );
    Ok(serde_json::to_vec(&pod)?.len())
}
