//! Each fault as the unmodified client sees it.

use std::time::{Duration, Instant};

use crate::common::{client, cluster, failed, insist, plain, requests, start, until};
use k8shost_kv_cluster::{Action, Answer, Apply, Config, RegionError, Rule};
use tikv_client::{Backoff, RawClient};

fn puts(action: Action) -> Rule {
    Rule::new(action).method("RawPut")
}

async fn put(client: &RawClient, value: &'static str) -> tikv_client::Result<()> {
    client.put("k".to_owned(), value).await
}

#[tokio::test]
async fn region_errors_that_the_client_gets_over() {
    let cluster = cluster().await;
    let client = client(&cluster).await;
    for error in [
        RegionError::EpochNotMatch,
        RegionError::EpochNotMatchUnknown,
        RegionError::RegionNotFound,
        RegionError::NotLeader,
        RegionError::NotLeaderUnknown,
        RegionError::StaleCommand,
        RegionError::StoreNotMatch,
        RegionError::KeyNotInRegion,
        RegionError::ProposalInMergingMode,
        RegionError::ReadIndexNotReady,
        RegionError::DiskFull,
    ] {
        cluster.reset_counters();
        cluster.set_faults(vec![puts(Action::region_error(error)).times(2)]);
        put(&client, "1").await.unwrap();
        assert_eq!(requests(&cluster, "RawPut"), 3, "{error:?}");
        assert_eq!(cluster.counters()["RawPut"].errors, 2, "{error:?}");
    }
}

#[tokio::test]
async fn region_errors_without_a_retry_in_the_client() {
    let cluster = cluster().await;
    let client = client(&cluster).await;
    for (error, name) in [
        (RegionError::ServerIsBusy, "server_is_busy: Some"),
        (RegionError::RaftEntryTooLarge, "raft_entry_too_large: Some"),
    ] {
        cluster.reset_counters();
        cluster.set_faults(vec![puts(Action::region_error(error)).times(1)]);
        assert!(failed(put(&client, "1").await).contains(name));
        assert_eq!(requests(&cluster, "RawPut"), 1);
        assert!(cluster.is_empty());
    }
}

#[tokio::test]
async fn a_hint_saves_the_question_to_pd() {
    let cluster = cluster().await;
    let client = client(&cluster).await;
    put(&client, "1").await.unwrap();
    cluster.reset_counters();
    cluster.move_leader("k", 2).unwrap();
    put(&client, "2").await.unwrap();
    assert_eq!(requests(&cluster, "RawPut"), 2);
    assert_eq!(requests(&cluster, "GetRegion"), 0);
}

#[tokio::test]
async fn a_lost_answer_makes_a_swap_look_lost() {
    let cluster = cluster().await;
    let client = client(&cluster).await.with_atomic_for_cas();
    let rule = Rule::new(Action::lost_answer()).method("RawCompareAndSwap");
    cluster.set_faults(vec![rule.times(1)]);
    let swapped = client.compare_and_swap("k".to_owned(), None, "1").await;
    assert_eq!(swapped.unwrap(), (Some(b"1".to_vec()), false));
    assert_eq!(cluster.fault_hits(), [1]);
}

#[tokio::test]
async fn a_lost_answer_beneath_another_swap_looks_like_a_refusal() {
    let cluster = cluster().await;
    let first = client(&cluster).await.with_atomic_for_cas();
    let second = client(&cluster).await.with_atomic_for_cas();
    let lost = Action {
        answer_delay_ms: 150,
        ..Action::lost_answer()
    };
    let rule = Rule::new(lost).method("RawCompareAndSwap");
    cluster.set_faults(vec![rule.times(1)]);
    let swap = tokio::spawn(async move {
        let swap = first.compare_and_swap("k".to_owned(), None, "1");
        swap.await.unwrap()
    });
    until("the first swap", || cluster.get("k").is_some()).await;
    let over = second.compare_and_swap("k".to_owned(), b"1".to_vec(), "2");
    assert!(over.await.unwrap().1);
    // It took effect, and the retry inside the client says that it did not.
    assert_eq!(swap.await.unwrap(), (Some(b"2".to_vec()), false));
}

#[tokio::test]
async fn without_backoff_the_client_never_learns_of_a_region_error() {
    let cluster = cluster().await;
    let patient = client(&cluster).await;
    put(&patient, "1").await.unwrap();
    // It shares connections and the cache of regions with the other.
    let plain = patient.with_backoff(Backoff::no_backoff());
    cluster.move_leader("k", 2).unwrap();
    for _ in 0..3 {
        assert!(failed(put(&plain, "2").await).contains("not_leader: Some"));
    }
    assert!(patient.get("k".to_owned()).await.unwrap().is_some());
    put(&plain, "2").await.unwrap();
}

#[tokio::test]
async fn statuses_come_as_they_are() {
    let cluster = cluster().await;
    let client = plain(&cluster, "k").await;
    cluster.set_faults(vec![puts(Action::unavailable())]);
    assert!(failed(put(&client, "1").await).contains("Unavailable"));
    let never = Action {
        apply: Apply::Never,
        answer: Answer::DeadlineExceeded,
        ..Action::default()
    };
    cluster.set_faults(vec![puts(never)]);
    assert!(failed(put(&client, "1").await).contains("DeadlineExceeded"));
    let text = Action {
        apply: Apply::Never,
        answer: Answer::Error("no".to_owned()),
        ..Action::default()
    };
    cluster.set_faults(vec![puts(text)]);
    assert!(failed(put(&client, "1").await).contains("message: \"no\""));
    assert!(cluster.is_empty());
}

#[tokio::test]
async fn a_delay_is_waited_for() {
    let cluster = cluster().await;
    let client = plain(&cluster, "k").await;
    cluster.set_faults(vec![puts(Action::delay(60))]);
    let begun = Instant::now();
    put(&client, "1").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn what_is_applied_late_overwrites_what_came_between() {
    let cluster = cluster().await;
    let client = plain(&cluster, "k").await;
    cluster.set_faults(vec![puts(Action::late(150)).times(1)]);
    assert!(failed(put(&client, "late").await).contains("DeadlineExceeded"));
    put(&client, "between").await.unwrap();
    assert_eq!(cluster.get("k"), Some(b"between".to_vec()));
    until("the late put", || {
        cluster.get("k") == Some(b"late".to_vec())
    })
    .await;
}

#[tokio::test]
async fn what_is_late_is_refused_if_the_region_has_split() {
    let cluster = cluster().await;
    let client = plain(&cluster, "k").await;
    cluster.set_faults(vec![puts(Action {
        apply: Apply::Held,
        answer: Answer::Unavailable,
        ..Action::default()
    })]);
    failed(put(&client, "late").await);
    cluster.split("j").unwrap();
    cluster.release_held();
    cluster.set_faults(Vec::new());
    crate::common::client(&cluster)
        .await
        .put("k".to_owned(), "new")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(cluster.get("k"), Some(b"new".to_vec()));
}

#[tokio::test]
async fn what_is_held_is_applied_though_its_client_is_gone() {
    let cluster = cluster().await;
    let client = plain(&cluster, "k").await;
    cluster.set_faults(vec![puts(Action::held())]);
    assert!(failed(put(&client, "1").await).contains("GrpcAPI"));
    drop(client);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(cluster.is_empty());
    cluster.release_held();
    until("the held put", || cluster.get("k").is_some()).await;
}

#[tokio::test]
async fn a_connection_that_is_dropped_takes_nothing_back() {
    let cluster = cluster().await;
    let client = plain(&cluster, "k").await;
    cluster.set_faults(vec![puts(Action {
        delay_ms: 100,
        ..Action::default()
    })]);
    let request = tokio::spawn(async move {
        let result = put(&client, "1").await;
        drop(client);
        result
    });
    until("the request", || requests(&cluster, "RawPut") == 1).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    until("the put", || cluster.get("k").is_some()).await;

    let client = plain(&cluster, "k").await;
    cluster.set_faults(vec![puts(Action {
        answer: Answer::Disconnect,
        ..Action::default()
    })]);
    failed(put(&client, "2").await);
    assert_eq!(cluster.get("k"), Some(b"2".to_vec()));
}

#[tokio::test]
async fn a_black_hole_ends_with_the_clients_own_timeout() {
    let cluster = cluster().await;
    let client = plain(&cluster, "k").await;
    cluster.set_faults(vec![puts(Action::black_hole())]);
    let begun = Instant::now();
    assert!(failed(put(&client, "1").await).contains("imeout"));
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert!(cluster.is_empty());
}

#[tokio::test]
async fn a_frozen_store_delivers_to_those_who_wait() {
    let cluster = start(Config::new(1)).await;
    let client = plain(&cluster, "k").await;
    cluster.freeze_store(1).unwrap();
    let waiting = tokio::spawn(async move { put(&client, "1").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(requests(&cluster, "RawPut"), 0);
    cluster.thaw_store(1).unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(cluster.get("k"), Some(b"1".to_vec()));
}

#[tokio::test]
async fn a_frozen_store_forgets_connections_that_were_closed() {
    let cluster = start(Config::new(1)).await;
    let client = plain(&cluster, "k").await;
    cluster.freeze_store(1).unwrap();
    assert!(failed(put(&client, "1").await).contains("imeout"));
    drop(client);
    tokio::time::sleep(Duration::from_millis(50)).await;
    cluster.thaw_store(1).unwrap();
    let client = crate::common::client(&cluster).await;
    assert_eq!(client.get("k".to_owned()).await.unwrap(), None);
    assert_eq!(requests(&cluster, "RawPut"), 0);
}

#[tokio::test]
async fn a_store_that_is_down_refuses_and_others_take_over() {
    let cluster = cluster().await;
    let leader = cluster.region_at("k").leader.unwrap();
    let plain = plain(&cluster, "k").await;
    let patient = client(&cluster).await;
    put(&patient, "1").await.unwrap();
    cluster.stop_store(leader).await.unwrap();
    failed(put(&plain, "2").await);
    put(&patient, "3").await.unwrap();
    assert_ne!(cluster.region_at("k").leader, Some(leader));
    cluster.start_store(leader).await.unwrap();
    cluster.move_leader("k", leader).unwrap();
    put(&patient, "4").await.unwrap();
    assert_eq!(cluster.get("k"), Some(b"4".to_vec()));
}

#[tokio::test]
async fn a_dead_store_at_first_contact_is_refused() {
    let cluster = start(Config::new(1)).await;
    cluster.stop_store(1).await.unwrap();
    let client = client(&cluster).await;
    assert!(failed(put(&client, "1").await).contains("Grpc(tonic::transport::Error"));
}

#[tokio::test]
async fn pd_may_restart_and_another_may_lead() {
    let cluster = start(Config {
        pd_ports: vec![0; 3],
        ..Config::new(3)
    })
    .await;
    let client = client(&cluster).await;
    put(&client, "1").await.unwrap();
    cluster.stop_pd(0).await.unwrap();
    // What is known needs no PD.
    put(&client, "2").await.unwrap();
    until("an election", || cluster.pd_leader().is_some()).await;
    assert_ne!(cluster.pd_leader(), Some(0));
    // The epoch is old: PD is asked again, another one.
    cluster.split("j").unwrap();
    insist(&client, "k", "3").await;
    cluster.start_pd(0).await.unwrap();
    cluster.set_pd_leader(Some(0)).unwrap();
    cluster.split("jj").unwrap();
    insist(&client, "k", "4").await;
    assert_eq!(cluster.get("k"), Some(b"4".to_vec()));
}

#[tokio::test]
async fn without_a_pd_leader_nobody_can_connect() {
    let cluster = cluster().await;
    let before = client(&cluster).await;
    put(&before, "1").await.unwrap();
    cluster.set_pd_leader(None).unwrap();
    let refused = RawClient::new(cluster.pd_endpoints()).await;
    assert!(refused.is_err());
    // Regions that are known are served.
    put(&before, "2").await.unwrap();
    cluster.split("j").unwrap();
    let waiting = tokio::spawn(async move { insist(&before, "k", "3").await });
    until("a question to PD", || requests(&cluster, "GetMembers") > 3).await;
    cluster.set_pd_leader(Some(0)).unwrap();
    waiting.await.unwrap();
    assert_eq!(cluster.get("k"), Some(b"3".to_vec()));
}

#[tokio::test]
async fn pd_has_faults_too() {
    let cluster = cluster().await;
    let client = client(&cluster).await;
    let unavailable = Rule::new(Action::unavailable()).method("GetRegion");
    cluster.set_faults(vec![unavailable.times(1)]);
    put(&client, "1").await.unwrap();
    assert_eq!(cluster.fault_hits(), [1]);
    assert_eq!(requests(&cluster, "GetRegion"), 2);
}

#[tokio::test]
async fn pd_may_lag_behind() {
    let cluster = start(Config {
        pd_lag: Duration::from_millis(40),
        ..Config::new(3)
    })
    .await;
    let client = client(&cluster).await;
    put(&client, "1").await.unwrap();
    cluster.reset_counters();
    cluster.split("j").unwrap();
    put(&client, "2").await.unwrap();
    // Told of the old region, and refused, at least once.
    assert!(requests(&cluster, "RawPut") > 2);
}
