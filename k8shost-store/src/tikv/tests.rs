//! The backend over the test cluster, and over a real one where one is named.

mod away;
mod bounds;
mod suites;
mod swaps;

use std::time::{Duration, Instant};

use bytes::Bytes;
use k8shost_kv_cluster::{Action, Cluster, Config, RegionError, Rule};

use super::{Options, TikvKv};
use crate::kv::KvError;

/// How long the last try of anything takes at most.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start(config: Config) -> Cluster {
    Cluster::start(config).await.unwrap()
}

/// A short window, and little patience.
fn options(cluster: &Cluster) -> Options {
    Options {
        window: Duration::from_secs(4),
        timeout: Duration::from_millis(400),
        deadline: Duration::from_secs(2),
        ..Options::new(cluster.pd_endpoints())
    }
}

fn open(cluster: &Cluster) -> TikvKv {
    TikvKv::open(options(cluster)).unwrap()
}

fn put(key: &'static str, value: &'static str) -> Vec<(Bytes, Option<Bytes>)> {
    vec![(key.into(), Some(value.into()))]
}

/// Asks until there is a good answer.
async fn insist<T>(mut ask: impl AsyncFnMut() -> Result<T, KvError>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn requests(cluster: &Cluster, method: &str) -> u64 {
    let counters = cluster.counters();
    counters.get(method).map_or(0, |count| count.requests)
}

fn count(figures: impl Iterator<Item = super::Labeled>, name: &str) -> u64 {
    figures
        .filter(|(label, _)| *label == name)
        .map(|(_, count)| count)
        .sum()
}

/// A fault of the requests of one kind.
fn fault(method: &str, action: Action) -> Rule {
    Rule::new(action).method(method)
}

fn refusal(method: &str, error: RegionError) -> Rule {
    fault(method, Action::region_error(error))
}
