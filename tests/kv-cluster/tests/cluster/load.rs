//! A counter kept by compare-and-swap stays linearizable while everything changes beneath it; what
//! goes wrong when other writes bypass the latches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::common::{client, plain, start, until};
use k8shost_kv_cluster::{Action, Chaos, Cluster, Config, Rule};
use tikv_client::{Backoff, Error, RawClient};

const COUNTERS: [&str; 3] = ["b/counter", "m/counter", "y/counter"];

/// What is known of one counter, from outside.
#[derive(Default)]
struct Known {
    acknowledged: AtomicU64,
    unknown: AtomicU64,
    /// The highest count that was acknowledged.
    highest: AtomicU64,
}

/// `count/writer/attempt`: no two attempts write the same value.
fn count(value: &[u8]) -> u64 {
    let text = str::from_utf8(value).unwrap();
    text.split('/').next().unwrap().parse().unwrap()
}

/// Adds one, with one swap, which the client sends once: a retry inside it could be refused though
/// the first try was applied. `None` if nothing was changed; an error leaves the outcome unknown.
async fn increment(client: &RawClient, key: &str, attempt: &str) -> Result<Option<u64>, Error> {
    // A read changes nothing. It has retries, and so it learns where the region is.
    let Ok(before) = client.get(key.to_owned()).await else {
        return Ok(None);
    };
    let next = before.as_deref().map_or(0, count) + 1;
    let value = format!("{next}/{attempt}");
    let once = client.with_backoff(Backoff::no_backoff());
    match once.compare_and_swap(key.to_owned(), before, value).await {
        Ok((_, swapped)) => Ok(swapped.then_some(next)),
        // Refused; only a stale command may be applied in spite of that.
        Err(Error::RegionError(error)) if error.stale_command.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn work(cluster: Cluster, writer: usize, known: Arc<[Known; 3]>, until: Instant) {
    let mut client = client(&cluster).await.with_atomic_for_cas();
    let mut attempt = 0;
    while Instant::now() < until {
        attempt += 1;
        let index = (attempt + writer) % COUNTERS.len();
        let known = &known[index];
        let highest = known.highest.load(Ordering::SeqCst);
        let label = format!("{writer}/{attempt}");
        match increment(&client, COUNTERS[index], &label).await {
            Ok(Some(mine)) => {
                // Acknowledged before this began, so counted before.
                assert!(mine > highest, "{mine} after {highest}");
                known.acknowledged.fetch_add(1, Ordering::SeqCst);
                known.highest.fetch_max(mine, Ordering::SeqCst);
            }
            Ok(None) => {}
            Err(_) => {
                known.unknown.fetch_add(1, Ordering::SeqCst);
                // A store that was down at first contact spoils a client for good.
                if let Ok(new) = RawClient::new(cluster.pd_endpoints()).await {
                    client = new.with_atomic_for_cas();
                }
            }
        }
    }
}

/// Four writers under the chaos; returns how many increments were acknowledged.
async fn count_under(config: Config, chaos: Chaos, time: Duration) -> u64 {
    let cluster = start(config).await;
    for (index, key) in ["c", "h", "n", "p", "z"].into_iter().enumerate() {
        cluster.put(key, Some(vec![index as u8])).unwrap();
    }
    let known: Arc<[Known; 3]> = Arc::default();
    let until = Instant::now() + time;
    let mut writers = Vec::new();
    for writer in 0..4 {
        let task = work(cluster.clone(), writer, known.clone(), until);
        writers.push(tokio::spawn(task));
    }
    let chaos = cluster.chaos(chaos);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(chaos.stop().await > 0);
    // Nothing is late any more, and everything is up.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let client = client(&cluster).await;
    for (known, key) in known.iter().zip(COUNTERS) {
        let value = client.get(key.to_owned()).await.unwrap();
        let value = value.as_deref().map_or(0, count);
        let acknowledged = known.acknowledged.load(Ordering::SeqCst);
        let unknown = known.unknown.load(Ordering::SeqCst);
        let possible = acknowledged..=acknowledged + unknown;
        assert!(possible.contains(&value), "{key}: {value}, {possible:?}");
    }
    let all = known.iter();
    all.map(|known| known.acknowledged.load(Ordering::SeqCst))
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_under_splits_merges_moves_and_faults() {
    let config = Config {
        pd_lag: Duration::from_millis(5),
        ..Config::new(3)
    };
    let chaos = Chaos {
        interval_ms: 10,
        ..Chaos::new(7).without_outages()
    };
    let counted = count_under(config, chaos, Duration::from_secs(3)).await;
    assert!(counted > 100, "{counted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_while_stores_and_pd_go_and_come_back() {
    let config = Config {
        pd_ports: vec![0; 3],
        ..Config::new(4)
    };
    let outages = 3;
    let chaos = Chaos {
        outage_ms: 100,
        depose: outages,
        stop_store: outages,
        freeze_store: outages,
        stop_pd: outages,
        no_pd_leader: outages,
        ..Chaos::new(11)
    };
    let counted = count_under(config, chaos, Duration::from_secs(4)).await;
    assert!(counted > 20, "{counted}");
}

/// A swap that has read, and will write in 150 ms.
async fn slow_swap(cluster: &Cluster) -> tokio::task::JoinHandle<bool> {
    cluster.put("k", Some(b"0".to_vec())).unwrap();
    let slow = Action {
        apply_delay_ms: 150,
        ..Action::default()
    };
    cluster.set_faults(vec![Rule::new(slow).method("RawCompareAndSwap")]);
    let client = plain(cluster, "k").await.with_atomic_for_cas();
    let swap = tokio::spawn(async move {
        let zero = b"0".to_vec();
        let swap = client.compare_and_swap("k".to_owned(), zero, "swapped");
        swap.await.unwrap().1
    });
    until("the swap", || {
        crate::common::requests(cluster, "RawCompareAndSwap") == 1
    })
    .await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    swap
}

#[tokio::test]
async fn a_plain_put_is_lost_beneath_a_swap() {
    let cluster = start(Config::new(1)).await;
    let swap = slow_swap(&cluster).await;
    let plain = plain(&cluster, "k").await;
    plain.put("k".to_owned(), "put").await.unwrap();
    assert_eq!(cluster.get("k"), Some(b"put".to_vec()));
    // The swap says that it found "0", and overwrites what was acknowledged meanwhile.
    assert!(swap.await.unwrap());
    assert_eq!(cluster.get("k"), Some(b"swapped".to_vec()));
}

#[tokio::test]
async fn an_atomic_put_waits_for_the_latch() {
    let cluster = start(Config::new(1)).await;
    let swap = slow_swap(&cluster).await;
    let atomic = plain(&cluster, "k").await.with_atomic_for_cas();
    atomic.put("k".to_owned(), "put").await.unwrap();
    assert!(swap.await.unwrap());
    assert_eq!(cluster.get("k"), Some(b"put".to_vec()));
}
