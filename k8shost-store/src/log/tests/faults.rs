//! Answers that are lost or late, and a store that is full or away.

use std::sync::Arc;
use std::time::Duration;

use k8shost_types::Reason;
use tokio::sync::Notify;

use super::kit::{Fault, On, WINDOW, World, commit, create, nothing, pass, put, settle, text, web};

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_out_and_nothing_is_done_twice() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        server.kv.fault(On::Cas, "@log", Fault::Lost);
        let done = log.commit(create("pods/a/x", "one")).await.unwrap();
        assert_eq!(done.state_revision, 3);
        assert_eq!(text(&log.read().await.unwrap()), world.found().await);
        assert_eq!(log.read().await.unwrap().revision(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_is_sent_again_with_the_same_bytes() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        for _ in 0..3 {
            server.kv.fault(On::Cas, "@log", Fault::Dropped);
        }
        let done = log.commit(create("pods/a/x", "one")).await.unwrap();
        assert_eq!(done.state_revision, 3);
        assert_eq!(
            server.kv.count(On::Cas, "@log"),
            5,
            "the birth, and four attempts"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_lands_late_counts_once() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    let when = Arc::new(Notify::new());
    server.kv.fault(On::Cas, "@log", Fault::Late(when.clone()));
    for _ in 0..5 {
        server.kv.fault(On::Cas, "@log", Fault::Dropped);
    }
    let done = commit(&log, create("pods/a/x", "one"));
    settle().await;
    when.notify_one();
    assert_eq!(done.await.unwrap().unwrap().state_revision, 3);
    assert_eq!(
        world.found().await,
        "namespaces/default=2:u1 pods/a/x=3:one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_writes_and_serves_reads() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        for fault in [Fault::Full, Fault::Away] {
            server.kv.fault(On::Cas, "@log", fault);
            // Decided behind the create, and true of the state without it.
            let create_x = commit(&log, create("pods/a/x", "one"));
            let again = commit(&log, create("namespaces/default", "one"));
            let no_op = commit(&log, nothing());
            let error = create_x.await.unwrap().unwrap_err();
            assert_eq!(error.reason, Reason::ServiceUnavailable);
            assert!(error.retry_after.is_some());
            let error = again.await.unwrap().unwrap_err();
            assert_eq!(error.reason, Reason::AlreadyExists);
            assert_eq!(no_op.await.unwrap().unwrap().state_revision, 2);
            assert_eq!(log.read().await.unwrap().revision(), 2);
        }
        log.commit(create("pods/a/x", "one")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_does_not_end_an_append_of_unknown_outcome() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    server.kv.fault(On::Cas, "@log", Fault::Lost);
    for _ in 0..10 {
        server.kv.fault(On::Cas, "@log", Fault::Full);
    }
    let done = log.commit(create("pods/a/x", "one")).await.unwrap();
    assert_eq!(done.state_revision, 3);
    assert_eq!(
        world.found().await,
        "namespaces/default=2:u1 pods/a/x=3:one"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_behind_a_failed_commit_is_decided_again() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    server.kv.fault(On::Cas, "@log", Fault::Full);
    let first = commit(&log, create("pods/a/x", "one"));
    let second = commit(&log, create("pods/a/x", "two"));
    assert_eq!(
        first.await.unwrap().unwrap_err().reason,
        Reason::ServiceUnavailable
    );
    // The first one never was, so the second one is no duplicate.
    assert_eq!(second.await.unwrap().unwrap().state_revision, 3);
    assert_eq!(
        world.found().await,
        "namespaces/default=2:u1 pods/a/x=3:two"
    );
}

#[tokio::test(start_paused = true)]
async fn a_load_waits_for_the_store_and_fails_when_it_is_away() {
    let world = World::exclusive();
    let server = world.server();
    server.kv.fault(On::Get, "@floor", Fault::Dropped);
    server.kv.fault(On::Get, "@log", Fault::Dropped);
    server.web().await;
    let server = world.server();
    server.kv.fault(On::Get, "@floor", Fault::Away);
    let error = server.engine.tenant(&web()).await.err().unwrap();
    assert_eq!(error.reason, Reason::ServiceUnavailable);
    server.web().await;
}

#[tokio::test(start_paused = true)]
async fn a_barrier_fails_when_the_store_is_away() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    server.kv.fault(On::Get, "@log", Fault::Away);
    assert_eq!(
        log.read().await.unwrap_err().reason,
        Reason::ServiceUnavailable
    );
    assert_eq!(log.cached().unwrap().revision(), 2);
    assert_eq!(log.read().await.unwrap().revision(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_void_batch_is_told_as_unknown_and_its_refusals_run_again() {
    let world = World::shared();
    let (paused, other) = (world.server(), world.server());
    let log = paused.web().await;
    let others = other.web().await;
    // The swap is under way while the other server commits and truncates past it.
    let when = Arc::new(Notify::new());
    paused.kv.fault(On::Cas, "@log", Fault::Held(when.clone()));
    let put_x = commit(&log, create("pods/a/x", "one"));
    let exists = commit(&log, create("namespaces/default", "one"));
    settle().await;
    others.commit(create("pods/a/y", "two")).await.unwrap();
    pass(WINDOW * 20).await;
    assert_eq!(world.batches(&web()).await, 0);
    when.notify_one();
    assert_eq!(put_x.await.unwrap().unwrap_err().reason, Reason::Timeout);
    assert_eq!(
        exists.await.unwrap().unwrap_err().reason,
        Reason::AlreadyExists
    );
    assert_eq!(paused.engine.stats().voids.get(), 1);
    let read = text(&log.read().await.unwrap());
    assert_eq!(read, "namespaces/default=2:u1 pods/a/y=3:two");
    assert_eq!(world.found().await, read);
}

#[tokio::test(start_paused = true)]
async fn what_found_anothers_batch_below_the_floor_runs_again() {
    let world = World::shared();
    let (paused, other) = (world.server(), world.server());
    let log = paused.web().await;
    let others = other.web().await;
    let when = Arc::new(Notify::new());
    others.commit(create("pods/a/y", "two")).await.unwrap();
    // The answer, that another's batch is there, arrives when the floor has passed it.
    paused.kv.fault(On::Cas, "@log", Fault::Slow(when.clone()));
    let done = commit(&log, create("pods/a/x", "one"));
    settle().await;
    pass(WINDOW * 20).await;
    when.notify_one();
    assert_eq!(done.await.unwrap().unwrap().state_revision, 4);
    assert_eq!(
        world.found().await,
        "namespaces/default=2:u1 pods/a/x=4:one pods/a/y=3:two"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_attempt_that_the_floor_has_passed_is_unknown() {
    let world = World::shared();
    let (paused, other) = (world.server(), world.server());
    let log = paused.web().await;
    let others = other.web().await;
    // The first attempt lands and is truncated; the second one meets nothing at all.
    let when = Arc::new(Notify::new());
    paused.kv.fault(On::Cas, "@log", Fault::Lost);
    paused.kv.fault(On::Cas, "@log", Fault::Held(when.clone()));
    let done = commit(&log, create("pods/a/x", "one"));
    settle().await;
    assert_eq!(others.read().await.unwrap().revision(), 3);
    pass(WINDOW * 20).await;
    when.notify_one();
    assert_eq!(done.await.unwrap().unwrap_err().reason, Reason::Timeout);
    assert_eq!(
        world.found().await,
        "namespaces/default=2:u1 pods/a/x=3:one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_swap_long_after_the_confirmation_is_proved_by_the_floor() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    let before = server.kv.count(On::Get, "@floor");
    log.commit(put(&[("pods/a/x", "one")])).await.unwrap();
    assert_eq!(server.kv.count(On::Get, "@floor"), before, "proved by time");
    let when = Arc::new(Notify::new());
    server.kv.fault(On::Cas, "@log", Fault::Slow(when.clone()));
    // Nothing else is to confirm meanwhile.
    let done = commit(&log, put(&[("pods/a/x", "two")]));
    settle().await;
    pass(WINDOW / 2 + Duration::from_secs(1)).await;
    let before = server.kv.count(On::Get, "@floor");
    when.notify_one();
    done.await.unwrap().unwrap();
    assert!(server.kv.count(On::Get, "@floor") > before);
}
