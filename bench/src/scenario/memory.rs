//! The server's resident memory: idle, with pods, and after many creates and deletes.

use anyhow::Context as _;

use super::run_of;
use crate::{
    host::Bench,
    load::{self, Until},
    procfs::{peak_mb, rss_mb},
    report::{Section, Unit},
};

pub(super) async fn run(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let sizes = &bench.sizes;
    section.about = format!(
        "resident memory, {:?} after the last call; the {} pods are still there when {} more are created and deleted",
        sizes.settle, sizes.pods, sizes.many
    );
    let target = bench.target("memory").await?;
    let pids = &target.pids;
    let settled = || async {
        tokio::time::sleep(sizes.settle).await;
        rss_mb(pids).context("the server's memory cannot be read")
    };

    section
        .figure("memory, idle", settled().await?, Unit::Mb)
        .under(15.0)
        .peer(282.0);
    bench.fill(&target.pool, target.pods()?, sizes.pods).await?;
    let with = format!("memory, with {} pods", sizes.pods);
    section
        .figure(with, settled().await?, Unit::Mb)
        .under(60.0)
        .peer(790.0);

    let pods = target.pods()?;
    let churn = move |index| [pods.create.call(index, 0), pods.delete.call(index, 0)];
    let until = Until::Count(sizes.many);
    let meter = target.meter();
    let load = load::closed(&target.pool, bench.callers, sizes.pods, until, churn).await?;
    section
        .runs
        .push(run_of("a create and its delete", &load, meter.usage()));
    let after = format!("memory, after {} creates and deletes", sizes.many);
    section
        .figure(after, settled().await?, Unit::Mb)
        .under(60.0)
        .peer(4100.0);
    let peak = peak_mb(pids).context("the server's memory cannot be read")?;
    section.figure("memory, at its most", peak, Unit::Mb);
    target.close().await
}
