//! What the tests share: a cluster, and the unmodified client.

use std::time::{Duration, Instant};

use k8shost_kv_cluster::{Cluster, Config};
use tikv_client::{Backoff, RawClient};

/// A cluster of three stores and one PD member, split at `m`.
pub(crate) async fn cluster() -> Cluster {
    start(Config {
        split_at: vec![b"m".to_vec()],
        ..Config::new(3)
    })
    .await
}

/// A cluster as configured.
pub(crate) async fn start(config: Config) -> Cluster {
    Cluster::start(config).await.unwrap()
}

/// A client that retries as it does by default.
pub(crate) async fn client(cluster: &Cluster) -> RawClient {
    let config = tikv_client::Config::default()
        .with_timeout(Duration::from_millis(500))
        .with_grpc_max_decoding_message_size(32 << 20);
    RawClient::new_with_config(cluster.pd_endpoints(), config)
        .await
        .unwrap()
}

/// A client that says at once what came back, and has found the region of `key` before.
pub(crate) async fn plain(cluster: &Cluster, key: &str) -> RawClient {
    let client = client(cluster).await;
    client.get(key.to_owned()).await.unwrap();
    client.with_backoff(Backoff::no_backoff())
}

/// Waits until it holds, for at most five seconds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 5 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The text of an error that must have been one.
pub(crate) fn failed<T: std::fmt::Debug>(result: tikv_client::Result<T>) -> String {
    format!("{:?}", result.unwrap_err())
}

/// The number of requests of one RPC.
pub(crate) fn requests(cluster: &Cluster, method: &str) -> u64 {
    let counters = cluster.counters();
    counters.get(method).map_or(0, |count| count.requests)
}

/// Puts until it is acknowledged, as every caller has to: in the second after it has connected, the
/// client does not look for another PD leader.
pub(crate) async fn insist(client: &RawClient, key: &str, value: &'static str) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Err(error) = client.put(key.to_owned(), value).await {
        assert!(Instant::now() < deadline, "not within 5 s: {error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
