//! Births, closes, and lives that follow one another.

use std::sync::Arc;
use std::time::Duration;

use k8shost_types::Reason;
use tokio::sync::Notify;

use super::kit::{Fault, On, WINDOW, World, beside, commit, create, pass, settle, text, web};
use crate::log::TenantId;

#[tokio::test(start_paused = true)]
async fn the_first_request_of_any_kind_is_a_birth() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let logs: Vec<_> = (0..10)
            .map(|_| {
                let engine = server.engine.clone();
                beside(async move { engine.tenant(&web()).await.unwrap() })
            })
            .collect();
        for log in logs {
            let state = log.await.unwrap().read().await.unwrap();
            assert_eq!(text(&state), "namespaces/default=2:u1");
            assert_eq!(state.uid(), Some("u1"));
        }
        assert_eq!(world.batches(&web()).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_project_is_not_found_and_leaves_nothing() {
    let world = World::exclusive();
    let server = world.server();
    let unknown = TenantId::project("acme", "none").unwrap();
    let error = server.engine.tenant(&unknown).await.err().unwrap();
    assert_eq!(error.reason, Reason::NotFound);
    assert_eq!(world.batches(&unknown).await, 0);
    assert_eq!(server.engine.stats().tenants.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_closed_tenant_is_not_found_and_its_data_goes() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        log.commit(create("pods/a/x", "one")).await.unwrap();
        pass(Duration::from_secs(2)).await;
        assert_eq!(
            world.projections(&web()).await,
            "namespaces/default=2:u1 pods/a/x=3:one"
        );
        world.schema.set(&web(), None);
        server.engine.close(&web()).await.unwrap();
        assert_eq!(log.read().await.unwrap_err().reason, Reason::NotFound);
        let error = log.commit(create("pods/a/y", "two")).await.unwrap_err();
        assert_eq!(error.reason, Reason::NotFound);
        assert_eq!(log.cached().unwrap_err().reason, Reason::NotFound);
        let error = server.engine.tenant(&web()).await.err().unwrap();
        assert_eq!(error.reason, Reason::NotFound);
        drop(log);
        // The retention is for those who watch; nobody watches a tenant that is closed.
        pass(WINDOW + Duration::from_secs(30)).await;
        assert_eq!(world.projections(&web()).await, "");
        assert_eq!(world.batches(&web()).await, 0);
        assert!(
            world.value(&web().floor_key()).await.is_some(),
            "the floor stays"
        );
        pass(Duration::from_secs(120)).await;
        assert_eq!(server.engine.stats().tenants.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_made_again_goes_on_with_the_revisions() {
    for (world, wait) in [
        (World::exclusive(), Duration::ZERO),
        (World::exclusive(), Duration::from_secs(1000)),
        (World::shared(), Duration::ZERO),
        (World::shared(), Duration::from_secs(1000)),
    ] {
        let server = world.server();
        let log = server.web().await;
        log.commit(create("pods/a/x", "one")).await.unwrap();
        world.schema.set(&web(), None);
        server.engine.close(&web()).await.unwrap();
        pass(wait).await;
        world.schema.set(&web(), Some("u2"));
        // The old handle finds the new life; and so does who asks anew, or starts.
        let done = log.commit(create("pods/a/y", "two")).await.unwrap();
        assert_eq!(done.state_revision, 7);
        let state = server.web().await.read().await.unwrap();
        assert_eq!(text(&state), "namespaces/default=6:u2 pods/a/y=7:two");
        assert_eq!(state.uid(), Some("u2"));
        assert_eq!(world.found().await, text(&state));
        pass(Duration::from_secs(1000)).await;
        assert_eq!(world.batches(&web()).await, 0);
        assert_eq!(world.found().await, text(&state));
        assert_eq!(world.projections(&web()).await, text(&state));
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_is_always_appended() {
    let world = World::exclusive();
    let server = world.server();
    world.schema.set(&web(), None);
    server.engine.close(&web()).await.unwrap();
    server.engine.close(&web()).await.unwrap();
    assert_eq!(world.batches(&web()).await, 2);
    let error = server.engine.close(&TenantId::system()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_project_that_is_not_terminating_is_not_closed() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    let error = server.engine.close(&web()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Conflict);
    assert!(log.read().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_birth_does_not_follow_a_close_that_it_did_not_see() {
    let world = World::shared();
    let (slow, other) = (world.server(), world.server());
    // The birth is on its way: the system tenant was asked, the swap is held up.
    let when = Arc::new(Notify::new());
    slow.kv.fault(On::Cas, "@log", Fault::Held(when.clone()));
    let engine = slow.engine.clone();
    let born = beside(async move { engine.tenant(&web()).await.err().map(|e| e.reason) });
    settle().await;
    // Meanwhile the project is deleted, elsewhere.
    world.schema.set(&web(), None);
    other.engine.close(&web()).await.unwrap();
    when.notify_one();
    assert_eq!(born.await.unwrap(), Some(Reason::NotFound));
    assert_eq!(world.batches(&web()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_close_does_not_end_the_next_life() {
    let world = World::shared();
    let (slow, other) = (world.server(), world.server());
    let log = other.web().await;
    world.schema.set(&web(), None);
    let when = Arc::new(Notify::new());
    slow.kv.fault(On::Cas, "@log", Fault::Held(when.clone()));
    let engine = slow.engine.clone();
    let closed = beside(async move { engine.close(&web()).await });
    settle().await;
    other.engine.close(&web()).await.unwrap();
    world.schema.set(&web(), Some("u2"));
    log.commit(create("pods/a/x", "one")).await.unwrap();
    when.notify_one();
    assert_eq!(closed.await.unwrap().unwrap_err().reason, Reason::Conflict);
    assert_eq!(
        world.found().await,
        "namespaces/default=5:u2 pods/a/x=6:one"
    );
}

#[tokio::test(start_paused = true)]
async fn commits_are_not_lost_between_a_close_and_a_birth() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    world.schema.set(&web(), None);
    server.engine.close(&web()).await.unwrap();
    world.schema.set(&web(), Some("u2"));
    let commits: Vec<_> = (0..20)
        .map(|i| commit(&log, create(&format!("pods/a/{i}"), "x")))
        .collect();
    for done in commits {
        done.await.unwrap().unwrap();
    }
    assert_eq!(log.read().await.unwrap().len(), 21);
}
