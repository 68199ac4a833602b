//! One server that has the store for itself.

use std::time::Duration;

use k8shost_types::{Error, Reason};

use super::kit::{World, commit, create, delete, nothing, pass, put, settle, text, web};
use crate::log::{Change, Previous, TenantId};

#[tokio::test(start_paused = true)]
async fn a_commit_is_read_at_once_and_after_a_restart() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let done = log.commit(create("pods/a/x", "one")).await.unwrap();
    assert_eq!((done.state_revision, done.events.len()), (3, 1));
    assert_eq!(done.events[0].revision, 3);
    let read = text(&log.read().await.unwrap());
    assert_eq!(read, "namespaces/default=2:u1 pods/a/x=3:one");
    assert_eq!(world.found().await, read);
}

#[tokio::test(start_paused = true)]
async fn the_read_of_an_exclusive_store_does_not_wait() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let read = std::pin::pin!(log.read());
    assert!(futures::FutureExt::now_or_never(read).is_some());
}

#[tokio::test(start_paused = true)]
async fn commits_that_wait_share_a_batch() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    let before = world.batches(&web()).await;
    let commits: Vec<_> = (0..50)
        .map(|i| commit(&log, create(&format!("pods/a/{i}"), "x")))
        .collect();
    for done in commits {
        done.await.unwrap().unwrap();
    }
    assert!(world.batches(&web()).await <= before + 2);
    assert_eq!(server.engine.stats().commits.get(), 51);
    assert_eq!(log.read().await.unwrap().revision(), 52);
}

#[tokio::test(start_paused = true)]
async fn commits_of_a_batch_see_one_another_and_get_their_own_events() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let first = commit(&log, create("pods/a/x", "one"));
    let second = commit(&log, create("pods/a/x", "two"));
    let third = commit(&log, delete(&["pods/a/x"]));
    let fourth = commit(&log, nothing());
    assert_eq!(first.await.unwrap().unwrap().state_revision, 3);
    assert_eq!(
        second.await.unwrap().unwrap_err().reason,
        Reason::AlreadyExists
    );
    let third = third.await.unwrap().unwrap();
    assert_eq!((third.state_revision, third.events.len()), (4, 1));
    assert!(matches!(&third.events[0].previous, Previous::Object(o) if o.revision == 3));
    let fourth = fourth.await.unwrap().unwrap();
    assert_eq!((fourth.state_revision, fourth.events.len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let large = "x".repeat(1_572_865);
    let error = log.commit(create("pods/a/x", &large)).await.unwrap_err();
    assert_eq!(error.reason, Reason::RequestEntityTooLarge);
    let fits = "x".repeat(1_500_000);
    let three = [("a", &*fits), ("b", &*fits), ("c", &*fits)];
    let error = log.commit(put(&three)).await.unwrap_err();
    assert_eq!(error.reason, Reason::RequestEntityTooLarge);
    log.commit(put(&three[..2])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_has_no_room_goes_into_the_next_batch() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let fits = "x".repeat(1_500_000);
    let commits: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|key| commit(&log, put(&[(key, &*fits), (&format!("{key}2"), "y")])))
        .collect();
    for done in commits {
        done.await.unwrap().unwrap();
    }
    assert_eq!(world.batches(&web()).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_a_commit_is_its_own() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let panics = commit(&log, Box::new(|_| panic!("as the test wants it")));
    let absent = commit(&log, delete(&["pods/a/none"]));
    let odd = commit(&log, put(&[("@floor", "x")]));
    let good = commit(&log, create("pods/a/x", "one"));
    for bad in [panics, absent, odd] {
        assert_eq!(bad.await.unwrap().unwrap_err().reason, Reason::Internal);
    }
    assert_eq!(good.await.unwrap().unwrap().state_revision, 3);
}

#[tokio::test(start_paused = true)]
async fn one_commit_may_put_and_delete_a_key() {
    let world = World::exclusive();
    let log = world.server().web().await;
    let both = Box::new(|_: &_| {
        let put = Change::Put {
            key: "pods/a/x".into(),
            value: "3:x".into(),
            attributes: Default::default(),
        };
        let delete = || Change::Delete {
            key: "pods/a/x".into(),
        };
        Ok::<_, Error>(vec![put, delete()])
    });
    let done = log.commit(both).await.unwrap();
    assert_eq!(done.events.len(), 2);
    assert_eq!(world.found().await, "namespaces/default=2:u1");
}

#[tokio::test(start_paused = true)]
async fn claims_are_known_again_after_a_restart() {
    let world = World::exclusive();
    let log = world.server().web().await;
    log.commit(create("services/a/x", "ip/10.96.0.10"))
        .await
        .unwrap();
    // From the log, and from the projection.
    for _ in 0..2 {
        let log = world.server().web().await;
        let state = log.read().await.unwrap();
        assert_eq!(
            state.claim("ip/10.96.0.10").unwrap().as_str(),
            "services/a/x"
        );
        pass(Duration::from_secs(700)).await;
    }
    assert_eq!(world.batches(&web()).await, 0);
}

#[tokio::test(start_paused = true)]
async fn tenants_share_nothing() {
    let world = World::exclusive();
    let server = world.server();
    let other = TenantId::project("acme", "web2").unwrap();
    world.schema.set(&other, Some("u2"));
    let log = server.web().await;
    log.commit(create("pods/a/x", "one")).await.unwrap();
    let other = server.engine.tenant(&other).await.unwrap();
    assert_eq!(
        text(&other.read().await.unwrap()),
        "namespaces/default=2:u2"
    );
    assert_eq!(server.engine.stats().tenants.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_system_tenant_is_always_alive() {
    let world = World::exclusive();
    let system = world
        .server()
        .engine
        .tenant(&TenantId::system())
        .await
        .unwrap();
    system
        .commit(create("projects/acme/web", "x"))
        .await
        .unwrap();
    assert_eq!(system.read().await.unwrap().revision(), 1);
    let again = world
        .server()
        .engine
        .tenant(&TenantId::system())
        .await
        .unwrap();
    assert_eq!(text(&again.read().await.unwrap()), "projects/acme/web=1:x");
    assert_eq!(
        world
            .schema
            .asked
            .load(std::sync::atomic::Ordering::Relaxed),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_state_at_a_revision_is_waited_for_or_refused() {
    let world = World::exclusive();
    let log = world.server().web().await;
    log.commit(create("pods/a/x", "one")).await.unwrap();
    assert_eq!(log.at_least(2).await.unwrap().revision(), 3);
    assert_eq!(log.at_least(3).await.unwrap().revision(), 3);
    let error = log.at_least(4).await.unwrap_err();
    assert_eq!(error.reason, Reason::ResourceVersionTooLarge);
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_kept_within_bounds() {
    let mut world = World::exclusive();
    world.config.snapshots = 3;
    let log = world.server().web().await;
    let old = log.read().await.unwrap();
    log.keep_snapshot(&old);
    log.keep_snapshot(&old);
    log.commit(create("pods/a/x", "one")).await.unwrap();
    assert_eq!(log.snapshot(2).await.unwrap().revision(), 2);
    assert_eq!(
        log.snapshot(3).await.unwrap().len(),
        2,
        "the current one needs no keeping"
    );
    for i in 0..3 {
        log.keep_snapshot(&log.read().await.unwrap());
        log.commit(create(&format!("pods/a/{i}"), "x"))
            .await
            .unwrap();
    }
    assert!(log.snapshot(2).await.is_none(), "too many");
    assert!(log.snapshot(3).await.is_some());
    pass(Duration::from_secs(301)).await;
    assert!(log.snapshot(3).await.is_none(), "too old");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_has_gone_away_is_not_served() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    drop(log.commit(create("pods/a/never", "polled")));
    let gone = commit(&log, create("pods/a/x", "one"));
    drop(gone);
    settle().await;
    assert!(log.read().await.unwrap().get("pods/a/never").is_none());
}

#[tokio::test(start_paused = true)]
async fn after_a_shutdown_nothing_is_committed_and_all_is_projected() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    let last = commit(&log, create("pods/a/x", "one"));
    settle().await;
    server.engine.shutdown().await;
    last.await.unwrap().unwrap();
    let error = log.commit(create("pods/a/y", "two")).await.unwrap_err();
    assert_eq!(error.reason, Reason::ServiceUnavailable);
    let projections = world.projections(&web()).await;
    assert_eq!(projections, "namespaces/default=2:u1 pods/a/x=3:one");
}
