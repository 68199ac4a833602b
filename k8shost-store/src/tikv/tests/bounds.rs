//! Bounds: of time, for what is written; of the prefix; of sizes.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use k8shost_kv_cluster::{Action, Config, RegionError};
use tokio::time::{Instant, sleep_until};

use super::super::{Options, TikvKv};
use super::{count, fault, insist, open, options, put, refusal, requests, start, until};
use crate::kv::{Kv, KvError};

/// Half of the window, counted from now, and a little more.
fn half_window(kv: &TikvKv) -> Instant {
    Instant::now() + kv.options().window / 2 + Duration::from_millis(100)
}

#[tokio::test]
async fn what_was_sent_into_a_black_hole_is_not_written_when_it_ends() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    kv.write(put("k", "1")).await.unwrap();
    cluster.freeze_store(1).unwrap();
    let over = half_window(&kv);
    let written = kv.write(put("k", "2")).await;
    assert!(matches!(written, Err(KvError::Unknown(_))), "{written:?}");
    assert_eq!(count(kv.stats().rebuilt(), "plain"), 1);
    sleep_until(over).await;
    cluster.thaw_store(1).unwrap();
    // Nothing of it is delivered: the next one finds what the first has written, and is the second.
    kv.write(put("l", "3")).await.unwrap();
    assert_eq!(requests(&cluster, "RawBatchPut"), 2);
    assert_eq!(cluster.get("k"), Some(b"1".to_vec()));
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_bounded_too() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    kv.write(put("k", "1")).await.unwrap();
    cluster.freeze_store(1).unwrap();
    let over = half_window(&kv);
    assert!(kv.write(put("k", "2")).now_or_never().is_none());
    assert!(
        kv.delete_range("a".into(), "z".into())
            .now_or_never()
            .is_none()
    );
    sleep_until(over).await;
    cluster.thaw_store(1).unwrap();
    insist(async || kv.write(put("l", "3")).await).await;
    assert_eq!(requests(&cluster, "RawBatchPut"), 2);
    assert_eq!(requests(&cluster, "RawDeleteRange"), 0);
    assert_eq!(cluster.get("k"), Some(b"1".to_vec()));
}

#[tokio::test]
async fn a_write_that_waits_for_its_region_is_not_sent_late() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    kv.write(vec![]).await.unwrap();
    cluster.set_faults(vec![fault("GetRegion", Action::delay(2500))]);
    let written = kv.write(put("k", "1")).await;
    assert!(written.is_err());
    until("the question to PD", || requests(&cluster, "GetRegion") > 0).await;
    cluster.set_faults(Vec::new());
    sleep_until(Instant::now() + Duration::from_secs(3)).await;
    assert!(cluster.is_empty());
    insist(async || kv.write(put("k", "2")).await).await;
}

#[tokio::test]
async fn a_write_is_sent_once_and_the_next_one_finds_its_way() {
    let cluster = start(Config::new(3)).await;
    let kv = open(&cluster);
    let both = |value: &'static str| [put("b", value), put("y", value)].concat();
    kv.write(both("1")).await.unwrap();
    cluster.move_leader("b", 2).unwrap();
    cluster.reset_counters();
    let written = kv.write(both("2")).await;
    assert!(matches!(written, Err(KvError::Unknown(_))), "{written:?}");
    assert_eq!(requests(&cluster, "RawBatchPut"), 1);
    kv.write(both("2")).await.unwrap();
    cluster.split("m").unwrap();
    assert!(kv.write(both("3")).await.is_err());
    kv.write(both("3")).await.unwrap();
    cluster.set_faults(vec![
        refusal("RawDeleteRange", RegionError::NotLeaderUnknown).times(1),
    ]);
    assert!(kv.delete_range("a".into(), "c".into()).await.is_err());
    kv.delete_range("a".into(), "z".into()).await.unwrap();
    assert!(cluster.is_empty());
    assert_eq!(count(kv.stats().rebuilt(), "plain"), 0);
    cluster.set_faults(vec![refusal("RawBatchPut", RegionError::DiskFull)]);
    let written = kv.write(both("4")).await;
    assert!(matches!(written, Err(KvError::Full(_))), "{written:?}");
}

#[tokio::test]
async fn nothing_outside_of_the_prefix_is_touched() {
    let cluster = start(Config {
        split_at: vec![b"two/".to_vec()],
        ..Config::new(3)
    })
    .await;
    for key in ["k8s/a", "one/", "one/k8r", "one0", "two/k8s/b", "\u{7f}"] {
        cluster.put(key, Some(b"others'".to_vec())).unwrap();
    }
    let others = cluster.scan("");
    let open = |prefix: &str| {
        TikvKv::open(Options {
            prefix: prefix.to_owned(),
            ..options(&cluster)
        })
        .unwrap()
    };
    let (one, two) = (open("one/"), open("one/k8s/x/"));
    one.write(put("k8s/a", "1")).await.unwrap();
    two.write(put("k8s/a", "2")).await.unwrap();
    assert_eq!(cluster.get("one/k8s/a"), Some(b"1".to_vec()));
    assert_eq!(cluster.get("one/k8s/x/k8s/a"), Some(b"2".to_vec()));
    assert_eq!(two.get("k8s/a".into()).await.unwrap(), Some("2".into()));
    let found = one
        .batch_get(vec!["k8s/a".into(), "".into()])
        .await
        .unwrap();
    assert_eq!(found, [Some("1".into()), Some("others'".into())]);
    let page = two.scan("".into(), "\u{7f}".into(), 10).await.unwrap();
    assert_eq!(page, [("k8s/a".into(), "2".into())]);
    two.delete_range("".into(), "\u{7f}".into()).await.unwrap();
    one.delete_range("k8s/".into(), "k8s0".into())
        .await
        .unwrap();
    // A range without an end is none.
    one.delete_range("k8s/".into(), "".into()).await.unwrap();
    assert_eq!(one.scan("a".into(), "".into(), 10).await.unwrap(), []);
    assert_eq!(cluster.scan(""), others);
}

#[tokio::test]
async fn keys_have_a_limit() {
    let cluster = start(Config::new(1)).await;
    let kv = TikvKv::open(Options {
        prefix: "a/".to_owned(),
        ..options(&cluster)
    })
    .unwrap();
    let longest = Bytes::from("k".repeat((8 << 10) - 2));
    kv.write(vec![(longest.clone(), Some("1".into()))])
        .await
        .unwrap();
    kv.compare_and_swap(longest.clone(), None, "1".into())
        .await
        .unwrap();
    cluster.reset_counters();
    let longer = Bytes::from("k".repeat((8 << 10) - 1));
    for result in [
        kv.get(longer.clone()).await.map(drop),
        kv.write(vec![(longer.clone(), None)]).await,
        kv.compare_and_swap(longer.clone(), None, "1".into())
            .await
            .map(drop),
        kv.scan(longer.clone(), longest, 1).await.map(drop),
    ] {
        assert!(matches!(result, Err(KvError::Unavailable(_))), "{result:?}");
    }
    assert!(cluster.counters().values().all(|count| count.requests == 0));
}

#[tokio::test]
async fn answers_are_asked_for_in_parts_that_can_be_sent() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    let keys: Vec<Bytes> = (0..7).map(|number| format!("k{number}").into()).collect();
    for key in &keys {
        cluster
            .put(key.to_vec(), Some(key.repeat(2 << 20)))
            .unwrap();
    }
    let found = kv.batch_get(keys.clone()).await.unwrap();
    let whole = |value: &Bytes, key: &Bytes| value.len() == 4 << 20 && value.starts_with(key);
    assert!(
        found
            .iter()
            .zip(&keys)
            .all(|(value, key)| whole(value.as_ref().unwrap(), key))
    );
    let (mut from, mut seen) = (Bytes::from("k"), Vec::new());
    loop {
        let page = kv.scan(from, "l".into(), 100).await.unwrap();
        let Some((last, _)) = page.last() else {
            break;
        };
        from = [last, &b"\0"[..]].concat().into();
        assert!(page.iter().all(|(key, value)| whole(value, key)));
        seen.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(seen, keys);
    assert!(count(kv.stats().errors(), "too_large") > 0);
    assert_eq!(count(kv.stats().rebuilt(), "atomic"), 0);
}
