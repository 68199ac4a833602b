//! A cluster that is away, in part or altogether, and comes back.

use std::time::{Duration, Instant};

use k8shost_kv_cluster::{Action, Config};

use super::super::{OpenError, Options, TikvKv, Tls};
use super::{count, fault, insist, open, options, put, start};
use crate::kv::{Kv, KvError};

fn unavailable<T: std::fmt::Debug>(result: Result<T, KvError>) -> String {
    match result {
        Err(KvError::Unavailable(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_opens_without_the_cluster_and_says_why_it_does_not_answer() {
    let cluster = start(Config::new(1)).await;
    cluster.stop_pd(0).await.unwrap();
    let kv = open(&cluster);
    let begun = Instant::now();
    let why = unavailable(kv.reach().await);
    assert!(why.contains("PD"), "{why}");
    unavailable(kv.write(put("k", "1")).await);
    let swap = kv.compare_and_swap("@".into(), None, "1".into()).await;
    unavailable(swap);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    cluster.start_pd(0).await.unwrap();
    insist(async || kv.reach().await).await;
    insist(async || kv.write(put("k", "1")).await).await;
    assert_eq!(kv.get("k".into()).await.unwrap(), Some("1".into()));
}

#[tokio::test]
async fn pd_restarts() {
    let cluster = start(Config {
        pd_ports: vec![0; 3],
        ..Config::new(3)
    })
    .await;
    let kv = open(&cluster);
    kv.write(put("k", "1")).await.unwrap();
    assert_eq!(kv.get("k".into()).await.unwrap(), Some("1".into()));
    for member in [0, 1] {
        cluster.stop_pd(member).await.unwrap();
        // What is known needs no PD.
        assert_eq!(kv.get("k".into()).await.unwrap(), Some("1".into()));
        cluster.split(format!("k{member}")).unwrap();
        insist(async || kv.get("k9".into()).await).await;
        insist(async || kv.write(put("k9", "1")).await).await;
        cluster.start_pd(member).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_restarts() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    kv.write(put("k", "1")).await.unwrap();
    kv.get("k".into()).await.unwrap();
    cluster.stop_store(1).await.unwrap();
    unavailable(kv.get("k".into()).await);
    assert!(kv.write(put("k", "2")).await.is_err());
    cluster.start_store(1).await.unwrap();
    assert_eq!(
        insist(async || kv.get("k".into()).await).await,
        Some("1".into())
    );
    insist(async || kv.write(put("k", "2")).await).await;
    assert_eq!(cluster.get("k"), Some(b"2".to_vec()));
}

#[tokio::test]
async fn a_store_that_is_dead_at_first_contact_does_not_poison() {
    let cluster = start(Config::new(1)).await;
    cluster.stop_store(1).await.unwrap();
    let kv = open(&cluster);
    unavailable(kv.get("k".into()).await);
    assert!(kv.write(put("k", "1")).await.is_err());
    assert!(count(kv.stats().rebuilt(), "atomic") > 0);
    cluster.start_store(1).await.unwrap();
    insist(async || kv.write(put("k", "1")).await).await;
    assert_eq!(
        insist(async || kv.get("k".into()).await).await,
        Some("1".into())
    );
}

#[tokio::test]
async fn a_frozen_store_or_pd_is_waited_for_within_the_deadline() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    for pd in [false, true] {
        kv.get("k".into()).await.unwrap();
        match pd {
            true => {
                cluster.freeze_pd(0).unwrap();
                cluster.split("j").unwrap();
            }
            false => cluster.freeze_store(1).unwrap(),
        }
        let begun = Instant::now();
        unavailable(kv.get("k".into()).await);
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
        match pd {
            true => cluster.thaw_pd(0).unwrap(),
            false => cluster.thaw_store(1).unwrap(),
        }
        insist(async || kv.get("k".into()).await).await;
    }
}

#[tokio::test]
async fn reads_are_tried_again_and_fail_for_good_if_they_must() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    for action in [
        Action::unavailable(),
        Action::late(5),
        Action::black_hole(),
        Action::region_error(k8shost_kv_cluster::RegionError::ServerIsBusy),
    ] {
        cluster.set_faults(vec![fault("RawGet", action).times(2)]);
        assert_eq!(kv.get("k".into()).await.unwrap(), None);
        assert_eq!(cluster.fault_hits(), [2]);
    }
    assert_eq!(count(kv.stats().retries(), "get"), 8);
    assert_eq!(count(kv.stats().requests(), "get"), 12);
    assert_eq!(count(kv.stats().errors(), "timeout"), 4);
}

#[tokio::test]
async fn files_for_tls_have_to_be_there() {
    let tls = Tls {
        ca: "no such file".into(),
        cert: "no such file".into(),
        key: "no such file".into(),
    };
    let options = Options {
        tls: Some(tls),
        ..options(&start(Config::new(1)).await)
    };
    let error = TikvKv::open(options).err().unwrap();
    assert!(
        matches!(error, OpenError::Unreadable { name: "ca", .. }),
        "{error}"
    );
}
