//! Compare-and-swap: what is not clear is unknown, never a refusal.

use std::time::Duration;

use k8shost_kv_cluster::{Action, Config, RegionError};

use super::super::{Options, TikvKv};
use super::{count, fault, open, options, refusal, requests, start, until};
use crate::kv::{Kv, KvError, Swap};

const CAS: &str = "RawCompareAndSwap";
const KEY: &str = "k8s/a/b/@floor";

#[tokio::test]
async fn a_lost_answer_is_unknown_though_another_is_on_top() {
    let cluster = start(Config::new(3)).await;
    let (one, other) = (open(&cluster), open(&cluster));
    let lost = Action {
        answer_delay_ms: 150,
        ..Action::lost_answer()
    };
    cluster.set_faults(vec![fault(CAS, lost).times(1)]);
    let swap = one.compare_and_swap(KEY.into(), None, "1".into());
    let over = async {
        until("the first swap", || cluster.get(KEY).is_some()).await;
        other
            .compare_and_swap(KEY.into(), Some("1".into()), "2".into())
            .await
    };
    let (swap, over) = tokio::join!(swap, over);
    assert_eq!(over.unwrap(), Swap::Swapped);
    assert!(matches!(swap, Err(KvError::Unknown(_))), "{swap:?}");
    assert_eq!(requests(&cluster, CAS), 2);
    let again = one.compare_and_swap(KEY.into(), None, "1".into()).await;
    assert_eq!(again.unwrap(), Swap::Found(Some("2".into())));
}

#[tokio::test]
async fn what_is_applied_late_is_unknown_until_then() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    cluster.set_faults(vec![fault(CAS, Action::late(100)).times(1)]);
    let swap = kv.compare_and_swap(KEY.into(), None, "1".into()).await;
    assert!(matches!(swap, Err(KvError::Unknown(_))), "{swap:?}");
    assert!(cluster.is_empty());
    until("the late swap", || cluster.get(KEY).is_some()).await;
    let again = kv.compare_and_swap(KEY.into(), None, "1".into()).await;
    assert_eq!(again.unwrap(), Swap::Found(Some("1".into())));
}

#[tokio::test]
async fn a_black_hole_is_unknown_and_the_client_is_replaced() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    cluster.set_faults(vec![fault(CAS, Action::black_hole()).times(1)]);
    let swap = kv.compare_and_swap(KEY.into(), None, "1".into()).await;
    assert!(matches!(swap, Err(KvError::Unknown(_))), "{swap:?}");
    assert_eq!(count(kv.stats().rebuilt(), "atomic"), 1);
    let again = kv.compare_and_swap(KEY.into(), None, "1".into()).await;
    assert_eq!(again.unwrap(), Swap::Swapped);
}

#[tokio::test]
async fn what_was_refused_is_tried_again_in_the_right_place() {
    let cluster = start(Config::new(3)).await;
    let kv = open(&cluster);
    let mut value = None;
    let mut swap = async |new: &'static str| {
        let old = value.replace(bytes::Bytes::from(new));
        let swap = kv.compare_and_swap(KEY.into(), old, new.into()).await;
        assert_eq!(swap.unwrap(), Swap::Swapped);
    };
    swap("1").await;
    cluster.move_leader(KEY, 2).unwrap();
    swap("2").await;
    cluster.split("k8s/a/b/@f").unwrap();
    swap("3").await;
    cluster.move_peer(KEY, 2, 2).ok();
    cluster.merge("a").unwrap();
    swap("4").await;
    for error in [
        RegionError::EpochNotMatchUnknown,
        RegionError::NotLeaderUnknown,
        RegionError::ServerIsBusy,
        RegionError::StoreNotMatch,
        RegionError::KeyNotInRegion,
        RegionError::ProposalInMergingMode,
    ] {
        cluster.set_faults(vec![refusal(CAS, error).times(2)]);
        swap("5").await;
        assert_eq!(cluster.fault_hits(), [2], "{error:?}");
    }
    assert!(count(kv.stats().retries(), "compare_and_swap") >= 14);
    assert_eq!(count(kv.stats().errors(), "server_is_busy"), 2);
    assert_eq!(count(kv.stats().rebuilt(), "atomic"), 0);
}

#[tokio::test]
async fn what_may_have_been_proposed_is_unknown() {
    let cluster = start(Config::new(1)).await;
    let kv = open(&cluster);
    for error in [RegionError::StaleCommand, RegionError::RegionNotFound] {
        cluster.set_faults(vec![refusal(CAS, error).times(1)]);
        let swap = kv.compare_and_swap(KEY.into(), None, "1".into()).await;
        assert!(matches!(swap, Err(KvError::Unknown(_))), "{swap:?}");
    }
    // It has learned where the region is all the same.
    let swap = kv.compare_and_swap(KEY.into(), None, "1".into()).await;
    assert_eq!(swap.unwrap(), Swap::Swapped);
}

#[tokio::test]
async fn a_store_that_stays_busy_or_is_full_has_done_nothing() {
    let cluster = start(Config::new(1)).await;
    let kv = TikvKv::open(Options {
        deadline: Duration::from_millis(300),
        ..options(&cluster)
    })
    .unwrap();
    cluster.set_faults(vec![refusal(CAS, RegionError::ServerIsBusy)]);
    let swap = kv.compare_and_swap(KEY.into(), None, "1".into()).await;
    assert!(matches!(swap, Err(KvError::Unavailable(_))), "{swap:?}");
    cluster.set_faults(vec![refusal(CAS, RegionError::DiskFull)]);
    let swap = kv.compare_and_swap(KEY.into(), None, "1".into()).await;
    assert!(matches!(swap, Err(KvError::Full(_))), "{swap:?}");
    assert_eq!(cluster.fault_hits(), [1]);
    assert!(cluster.is_empty());
}
