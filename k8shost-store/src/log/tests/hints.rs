//! Hints: they make a watch quicker, and nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::kit::{Fault, On, Server, World, beside, create, pass, settle, web};
use crate::log::{Delivery, Listener, Revision, TenantId, TenantLog};

const HOUR: Duration = Duration::from_secs(3600);

/// Servers that poll once an hour.
fn world() -> World {
    let mut world = World::shared();
    world.config.poll_interval = HOUR;
    world
}

/// How often a server has looked for a batch.
fn looks(server: &Server) -> usize {
    server.kv.count(On::Get, "@log")
}

/// What a watch from now on is told first.
async fn watch(log: &TenantLog) -> tokio::sync::oneshot::Receiver<Delivery> {
    let from = log.read().await.unwrap().revision();
    let mut watcher = log.watch(from);
    let told = beside(async move { watcher.next().await.unwrap() });
    settle().await;
    told
}

#[tokio::test(start_paused = true)]
async fn a_hint_brings_a_commit_of_another_server_at_once() {
    let world = world();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    let told = watch(&two).await;
    let start = world.env.start.elapsed();
    let done = one.commit(create("pods/a/x", "one")).await.unwrap();
    assert_eq!(a.engine.known(&web()), Some(done.state_revision));
    assert!(b.engine.known(&web()) < Some(done.state_revision));
    b.engine.hint(&web(), done.state_revision);
    assert_eq!(told.await.unwrap().revision, done.state_revision);
    assert!(world.env.start.elapsed() < start + Duration::from_secs(1));
    assert_eq!(b.engine.stats().hints.get(), 1);
    assert_eq!(b.engine.stats().polled.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_hint_costs_the_polling_interval() {
    let mut world = world();
    world.config.poll_interval = Duration::from_secs(10);
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    let mut told = watch(&two).await;
    one.commit(create("pods/a/x", "one")).await.unwrap();
    pass(Duration::from_secs(9)).await;
    assert!(told.try_recv().is_err(), "nobody has told it");
    pass(Duration::from_secs(2)).await;
    assert_eq!(told.await.unwrap().events.len(), 1);
    assert_eq!(b.engine.stats().polled.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn hints_without_a_watch_or_a_tenant_are_ignored() {
    let world = world();
    let server = world.server();
    let log = server.web().await;
    log.read().await.unwrap();
    let before = looks(&server);
    server.engine.hint(&web(), 100);
    let unknown = TenantId::project("acme", "nobody").unwrap();
    server.engine.hint(&unknown, 1);
    settle().await;
    assert_eq!(looks(&server), before);
    assert_eq!(server.engine.known(&unknown), None);
    assert_eq!(server.engine.stats().tenants.get(), 1);
    assert_eq!(
        world
            .schema
            .asked
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_hint_from_the_past_is_ignored() {
    let world = world();
    let server = world.server();
    let log = server.web().await;
    let _told = watch(&log).await;
    let known = server.engine.known(&web()).unwrap();
    let before = looks(&server);
    for revision in 0..=known {
        server.engine.hint(&web(), revision);
    }
    settle().await;
    assert_eq!(looks(&server), before);
}

#[tokio::test(start_paused = true)]
async fn a_hint_from_the_far_future_costs_one_look() {
    let world = world();
    let server = world.server();
    let log = server.web().await;
    let told = watch(&log).await;
    let before = looks(&server);
    server.engine.hint(&web(), Revision::MAX);
    pass(Duration::from_secs(10)).await;
    assert_eq!(looks(&server), before + 1);
    // It is believed no more than any other: what is committed is told as ever.
    let done = log.commit(create("pods/a/x", "one")).await.unwrap();
    assert_eq!(told.await.unwrap().revision, done.state_revision);
}

#[tokio::test(start_paused = true)]
async fn many_hints_share_a_look() {
    let world = world();
    let server = world.server();
    let log = server.web().await;
    let _told = watch(&log).await;
    let before = looks(&server);
    let slow = Arc::new(tokio::sync::Notify::new());
    server.kv.fault(On::Get, "@log", Fault::Slow(slow.clone()));
    for revision in 100..1100 {
        server.engine.hint(&web(), revision);
        tokio::task::yield_now().await;
    }
    slow.notify_one();
    settle().await;
    let looked = looks(&server) - before;
    assert!(looked <= 3, "{looked} looks");
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Listener for Told {
    fn committed(&self, tenant: &TenantId, revision: Revision) {
        self.0.lock().unwrap().push(format!("{tenant} {revision}"));
    }

    fn watched(&self, tenant: &TenantId, watched: bool) {
        self.0.lock().unwrap().push(format!("{tenant} {watched}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_told_of_own_commits_and_of_what_is_watched() {
    let world = world();
    let (a, b) = (world.server(), world.server());
    let (one, two) = (a.web().await, b.web().await);
    let early = one.watch(2);
    let told = Arc::new(Told::default());
    a.engine.listen(told.clone());
    assert_eq!(told.take(), ["acme/web true"], "what was watched before");
    one.commit(create("pods/a/x", "one")).await.unwrap();
    assert_eq!(told.take(), ["acme/web 3"]);
    two.commit(create("pods/a/y", "two")).await.unwrap();
    one.read().await.unwrap();
    assert_eq!(
        told.take().len(),
        0,
        "another's commits are another's to tell"
    );
    let late = one.watch(2);
    drop(early);
    assert_eq!(told.take().len(), 0, "still watched");
    drop(late);
    assert_eq!(told.take(), ["acme/web false"]);
    drop(one.watch(2));
    assert_eq!(told.take(), ["acme/web true", "acme/web false"]);
}

#[tokio::test(start_paused = true)]
async fn where_one_process_has_the_store_nothing_is_told() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    let told = Arc::new(Told::default());
    server.engine.listen(told.clone());
    let _watcher = log.watch(2);
    log.commit(create("pods/a/x", "one")).await.unwrap();
    let before = looks(&server);
    server.engine.hint(&web(), 100);
    settle().await;
    assert_eq!(told.take().len(), 0);
    assert_eq!(looks(&server), before);
}
