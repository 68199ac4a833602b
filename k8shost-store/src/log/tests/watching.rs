//! Watches: gap-free, in order, once; or Expired.

use std::time::Duration;

use k8shost_types::Reason;

use super::kit::{
    Fault, On, Server, WINDOW, World, beside, create, delete, pass, put, settle, web,
};
use crate::log::{Delivery, Previous, Revision, TenantLog, Watcher};

async fn fill(log: &TenantLog, n: usize) {
    for i in 0..n {
        log.commit(put(&[("pods/a/x", &i.to_string()), ("pods/a/y", "z")]))
            .await
            .unwrap();
    }
}

/// The revisions that a watcher is told of, until it has come to `end`.
async fn follow(watcher: &mut Watcher, end: Revision) -> Vec<Revision> {
    let mut told = Vec::new();
    while watcher.revision() < end {
        let Delivery { events, revision } = watcher.next().await.unwrap();
        told.extend(events.iter().map(|event| event.revision));
        assert_eq!(watcher.revision(), revision);
    }
    told
}

fn from_log(server: &Server) -> usize {
    // Batches are asked for many at once; the floor is what a read from the log ends with.
    server.kv.count(On::Get, "@floor")
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_every_change_once_and_in_order() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let mut watcher = log.watch(2);
    let told = beside(async move { follow(&mut watcher, 42).await });
    fill(&log, 20).await;
    assert_eq!(told.await.unwrap(), (3..=42).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn events_tell_what_was_before() {
    let mut world = World::exclusive();
    for tail in [1 << 20, 0] {
        // From memory, and then from the log.
        world.config.tail_bytes = tail;
        let log = world.server().web().await;
        let from = log.read().await.unwrap().revision();
        log.commit(create("pods/a/x", "one")).await.unwrap();
        log.commit(put(&[("pods/a/x", "two")])).await.unwrap();
        log.commit(delete(&["pods/a/x"])).await.unwrap();
        let mut watcher = log.watch(from);
        let mut events = Vec::new();
        while watcher.revision() < from + 3 {
            events.extend(watcher.next().await.unwrap().events.iter().cloned());
        }
        assert!(matches!(events[0].previous, Previous::None));
        let before = events[1].previous.attributes().unwrap();
        assert_eq!(before.label("text"), Some("one"));
        let now = &events[1].object.as_ref().unwrap().attributes;
        assert_eq!(now.label("text"), Some("two"));
        let Previous::Object(old) = &events[2].previous else {
            panic!("a deletion has the object");
        };
        assert_eq!(old.value, format!("{}:two", from + 2));
        assert!(events[2].object.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_from_the_log_in_the_middle_of_a_batch() {
    for mut world in [World::exclusive(), World::shared()] {
        world.config.tail_bytes = 0;
        let server = world.server();
        let log = server.web().await;
        fill(&log, 50).await;
        for from in [2, 3, 50, 101] {
            let mut watcher = log.watch(from);
            let told = follow(&mut watcher, 102).await;
            assert_eq!(told, (from + 1..=102).collect::<Vec<_>>());
        }
        // And after a restart, when nothing is in memory.
        let log = world.server().web().await;
        let told = follow(&mut log.watch(7), 102).await;
        assert_eq!(told, (8..=102).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_goes_on_from_the_log() {
    let mut world = World::exclusive();
    world.config.tail_bytes = 2_000;
    let server = world.server();
    let log = server.web().await;
    let mut watcher = log.watch(2);
    fill(&log, 5).await;
    watcher.next().await.unwrap();
    fill(&log, 50).await;
    assert!(server.engine.stats().tail_bytes.get() <= 2_000);
    assert_eq!(follow(&mut watcher, 112).await.last(), Some(&112));
}

#[tokio::test(start_paused = true)]
async fn below_the_floor_a_watch_is_expired() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        fill(&log, 5).await;
        pass(Duration::from_secs(700)).await;
        // What is still in memory can still be told.
        assert_eq!(follow(&mut log.watch(2), 12).await.len(), 10);
        drop((log, server));
        let log = world.server().web().await;
        let error = log.watch(2).next().await.unwrap_err();
        assert_eq!(error.reason, Reason::Expired);
        let mut current = log.watch(12);
        fill(&log, 1).await;
        assert_eq!(current.next().await.unwrap().revision, 14);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_the_future_is_refused() {
    for world in [World::exclusive(), World::shared()] {
        let log = world.server().web().await;
        let error = log.watch(3).next().await.unwrap_err();
        assert_eq!(error.reason, Reason::ResourceVersionTooLarge);
        if world.kv_is_shared() {
            // What another server has committed is not the future.
            let other = world.server().web().await;
            fill(&other, 2).await;
            let mut watcher = log.watch(4);
            assert_eq!(follow(&mut watcher, 6).await, [5, 6]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_birth_and_a_close_end_watches() {
    let mut world = World::exclusive();
    for tail in [1 << 20, 0] {
        world.config.tail_bytes = tail;
        world.schema.set(&web(), Some("u1"));
        let server = world.server();
        let log = server.web().await;
        let before = log.read().await.unwrap().revision();
        let mut watcher = log.watch(before);
        let ended = beside(async move { watcher.next().await.unwrap_err().reason });
        settle().await;
        world.schema.set(&web(), None);
        server.engine.close(&web()).await.unwrap();
        assert_eq!(ended.await.unwrap(), Reason::Expired);
        world.schema.set(&web(), Some("u2"));
        let state = log.read().await.unwrap();
        // From within the birth's batch there is nothing to end.
        let told = follow(&mut log.watch(before + 2), state.revision()).await;
        assert_eq!(told, [before + 3]);
        let error = log.watch(before).next().await.unwrap_err();
        assert_eq!(error.reason, Reason::Expired);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_hears_of_other_servers_commits() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    let mut watcher = two.watch(2);
    let told = beside(async move { follow(&mut watcher, 22).await });
    fill(&one, 10).await;
    // Nobody hints: the poller finds it.
    assert_eq!(told.await.unwrap(), (3..=22).collect::<Vec<_>>());
    settle().await;
    assert_eq!(b.engine.stats().watches.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn watches_end_when_the_floor_has_passed() {
    let world = World::shared();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    let never = std::sync::Arc::new(tokio::sync::Notify::new());
    b.kv.fault(On::Get, "@floor", Fault::Held(never));
    fill(&one, 5).await;
    let mut before = two.watch(2);
    // It sleeps: no poll, no truncation of its own.
    pass(Duration::from_millis(10)).await;
    let slept = tokio::time::Instant::now();
    pass(WINDOW * 20).await;
    assert!(slept.elapsed() > WINDOW);
    let floors = from_log(&b);
    two.read().await.unwrap();
    let error = loop {
        match before.next().await {
            Ok(_) => {}
            Err(error) => break error,
        }
        if before.revision() == 12 {
            // The poller was faster than the floor: nothing was missed.
            return;
        }
    };
    assert_eq!(error.reason, Reason::Expired);
    assert!(from_log(&b) >= floors);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_the_log_does_not_tell_what_is_below_the_floor() {
    let mut world = World::shared();
    world.config.tail_bytes = 0;
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    fill(&one, 5).await;
    two.read().await.unwrap();
    // The second server sleeps; the first one truncates; a void batch stands where one was.
    let never = std::sync::Arc::new(tokio::sync::Notify::new());
    b.kv.fault(On::Get, "@floor", Fault::Held(never));
    let batch = world.value(&web().log_key(3)).await.unwrap();
    pass(WINDOW * 20).await;
    assert_eq!(world.batches(&web()).await, 0);
    world.put(&web().log_key(3), batch).await;
    let error = two.watch(2).next().await.unwrap_err();
    assert_eq!(error.reason, Reason::Expired);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_loses_nothing() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let mut watcher = log.watch(2);
    for _ in 0..3 {
        let wait = tokio::time::timeout(Duration::from_millis(1), watcher.next());
        assert!(wait.await.is_err());
    }
    fill(&log, 3).await;
    assert_eq!(follow(&mut watcher, 8).await, (3..=8).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_watched_tenant_stays_in_memory() {
    let world = World::exclusive();
    let server = world.server();
    let mut watcher = server.web().await.watch(2);
    pass(Duration::from_secs(5000)).await;
    assert_eq!(server.engine.stats().tenants.get(), 1);
    fill(&server.web().await, 1).await;
    assert_eq!(follow(&mut watcher, 4).await, [3, 4]);
    drop(watcher);
    pass(Duration::from_secs(5000)).await;
    assert_eq!(server.engine.stats().tenants.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_watchers_share_the_events() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let watchers: Vec<_> = (0..1000)
        .map(|_| {
            let mut watcher = log.watch(2);
            beside(async move { follow(&mut watcher, 22).await.len() })
        })
        .collect();
    settle().await;
    fill(&log, 10).await;
    for told in watchers {
        assert_eq!(told.await.unwrap(), 20);
    }
}
