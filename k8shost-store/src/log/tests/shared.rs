//! Several servers over one store.

use std::sync::Arc;
use std::time::Duration;

use k8shost_types::Reason;
use tokio::sync::Notify;

use super::kit::{Fault, On, WINDOW, World, beside, commit, create, pass, put, settle, text};

#[tokio::test(start_paused = true)]
async fn exactly_one_of_two_wins_and_the_other_follows() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    let first = commit(&one, create("pods/a/x", "one"));
    let second = commit(&two, create("pods/a/x", "two"));
    let results = [first.await.unwrap(), second.await.unwrap()];
    let won = results.iter().filter(|r| r.is_ok()).count();
    assert_eq!(won, 1);
    let lost = results.into_iter().find_map(Result::err).unwrap();
    assert_eq!(lost.reason, Reason::AlreadyExists);
    let read = text(&one.read().await.unwrap());
    assert_eq!(read, text(&two.read().await.unwrap()));
    assert_eq!(read, world.found().await);
}

#[tokio::test(start_paused = true)]
async fn many_commits_of_two_servers_all_count_once() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    let mut waiting = Vec::new();
    for i in 0..200 {
        let log = if i % 2 == 0 { &one } else { &two };
        waiting.push(commit(log, create(&format!("pods/a/{i:03}"), "x")));
        if i % 7 == 0 {
            settle().await;
        }
    }
    let mut revisions = Vec::new();
    for done in waiting {
        revisions.push(done.await.unwrap().unwrap().state_revision);
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (3..203).collect::<Vec<_>>());
    assert_eq!(one.read().await.unwrap().len(), 201);
    assert_eq!(text(&two.read().await.unwrap()), world.found().await);
    let conflicts = a.engine.stats().conflicts.get() + b.engine.stats().conflicts.get();
    assert!(conflicts > 0, "they got in each other's way");
}

#[tokio::test(start_paused = true)]
async fn a_read_sees_what_another_server_has_committed() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    for i in 0..3 {
        one.commit(create(&format!("pods/a/{i}"), "x"))
            .await
            .unwrap();
        assert!(two.cached().unwrap().get(&format!("pods/a/{i}")).is_none());
        assert!(
            two.read()
                .await
                .unwrap()
                .get(&format!("pods/a/{i}"))
                .is_some()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_barrier_serves_all_that_wait_when_it_starts() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    let before = server.kv.count(On::Get, "@log");
    let reads: Vec<_> = (0..100)
        .map(|_| {
            let log = log.clone();
            beside(async move { log.read().await.unwrap().revision() })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap(), 2);
    }
    assert!(server.kv.count(On::Get, "@log") <= before + 2);
}

#[tokio::test(start_paused = true)]
async fn a_barrier_that_started_before_does_not_serve() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    let when = Arc::new(Notify::new());
    b.kv.fault(On::Get, "@log", Fault::Slow(when.clone()));
    let early = {
        let two = two.clone();
        beside(async move { two.read().await.unwrap().revision() })
    };
    settle().await;
    // The barrier has looked already, but its answer is under way.
    one.commit(create("pods/a/x", "one")).await.unwrap();
    let late = {
        let two = two.clone();
        beside(async move { two.read().await.unwrap().revision() })
    };
    settle().await;
    when.notify_one();
    assert_eq!(early.await.unwrap(), 2);
    assert_eq!(late.await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn reads_are_served_while_commits_never_cease() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    let busy = log.clone();
    let writer = beside(async move {
        for i in 0..500 {
            busy.commit(put(&[("pods/a/x", &i.to_string())]))
                .await
                .unwrap();
        }
    });
    let mut last = 0;
    for _ in 0..20 {
        let revision = log.read().await.unwrap().revision();
        assert!(revision >= last);
        last = revision;
    }
    writer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_about_the_current_state() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    one.commit(create("pods/a/x", "one")).await.unwrap();
    assert_eq!(two.cached().unwrap().revision(), 2);
    one.commit(super::kit::delete(&["pods/a/x"])).await.unwrap();
    // The second server still believes that there is nothing, and is right again by now.
    let done = two.commit(create("pods/a/x", "two")).await.unwrap();
    assert_eq!(done.state_revision, 5);
    let error = one.commit(create("pods/a/x", "three")).await.unwrap_err();
    assert_eq!(error.reason, Reason::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_slept_finds_that_the_floor_has_passed() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    // Its background work sleeps too.
    let never = Arc::new(Notify::new());
    b.kv.fault(On::Get, "@floor", Fault::Held(never));
    for i in 0..10 {
        one.commit(create(&format!("pods/a/{i}"), "x"))
            .await
            .unwrap();
    }
    pass(WINDOW * 20).await;
    one.commit(create("pods/a/last", "x")).await.unwrap();
    assert_eq!(world.batches(&super::kit::web()).await, 1);
    let read = two.read().await.unwrap();
    assert_eq!(text(&read), world.found().await);
    assert_eq!(read.revision(), 13);
    assert_eq!(b.engine.stats().fallen.get(), 1);
    two.commit(create("pods/a/more", "x")).await.unwrap();
    assert_eq!(text(&one.read().await.unwrap()), world.found().await);
}

#[tokio::test(start_paused = true)]
async fn a_hint_brings_a_peers_commit() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    one.commit(create("pods/a/x", "one")).await.unwrap();
    two.hint(2);
    settle().await;
    assert_eq!(two.cached().unwrap().revision(), 2, "nothing new");
    two.hint(3);
    settle().await;
    assert_eq!(two.cached().unwrap().revision(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_reads_no_floors() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    let before = server.kv.count(On::Get, "@floor");
    for i in 0..100 {
        log.commit(put(&[("pods/a/x", &i.to_string())]))
            .await
            .unwrap();
        log.read().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(server.kv.count(On::Get, "@floor"), before);
}
