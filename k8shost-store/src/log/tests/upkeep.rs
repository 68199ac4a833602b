//! Projections, truncation, dropping tenants, and what happens to a store that is damaged.

use std::sync::Arc;
use std::time::Duration;

use k8shost_types::Reason;
use tokio::sync::Notify;

use super::kit::{Fault, On, WINDOW, World, create, delete, pass, put, settle, text, web};
use crate::kv::Kv;
use crate::log::{Lag, TenantId};

#[tokio::test(start_paused = true)]
async fn projections_follow_after_a_second_and_coalesce() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        pass(Duration::from_secs(2)).await;
        for i in 0..10 {
            log.commit(put(&[("pods/a/x", &i.to_string())]))
                .await
                .unwrap();
        }
        log.commit(create("pods/a/y", "gone soon")).await.unwrap();
        log.commit(delete(&["pods/a/y"])).await.unwrap();
        assert_eq!(world.projections(&web()).await, "namespaces/default=2:u1");
        let before = server.engine.stats().projections.get();
        pass(Duration::from_secs(2)).await;
        assert_eq!(
            world.projections(&web()).await,
            "namespaces/default=2:u1 pods/a/x=12:9"
        );
        assert_eq!(server.engine.stats().projections.get(), before + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_projection_that_fails_is_written_later() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    server.kv.fault(On::Write, "", Fault::Dropped);
    server.kv.fault(On::Write, "", Fault::Full);
    pass(Duration::from_secs(10)).await;
    assert_eq!(world.projections(&web()).await, "namespaces/default=2:u1");
    assert_eq!(log.read().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn how_late_projections_and_truncation_are_is_told() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    pass(Duration::from_secs(2)).await;
    assert_eq!(server.engine.lag(), Lag::default());
    for _ in 0..3 {
        server.kv.fault(On::Write, "", Fault::Dropped);
    }
    log.commit(create("pods/a/x", "x")).await.unwrap();
    pass(Duration::from_secs(3)).await;
    log.commit(create("pods/a/y", "y")).await.unwrap();
    let lag = server.engine.lag().projection;
    assert!((3..4).contains(&lag.as_secs()), "{lag:?}");
    pass(Duration::from_secs(30)).await;
    assert_eq!(server.engine.lag(), Lag::default());
    // A truncation that cannot be.
    for _ in 0..100 {
        server.kv.fault(On::Cas, "@floor", Fault::Dropped);
    }
    pass(2 * WINDOW + Duration::from_secs(600)).await;
    let lag = server.engine.lag().truncation;
    assert!(lag > Duration::from_secs(30), "{lag:?}");
}

#[tokio::test(start_paused = true)]
async fn projections_need_a_young_confirmation() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    let when = Arc::new(Notify::new());
    // The server sleeps between the commit and the projection, as far as its clock can tell.
    server.kv.fault(On::Write, "", Fault::Dropped);
    pass(Duration::from_secs(1)).await;
    tokio::time::advance(WINDOW).await;
    server.kv.fault(On::Get, "@log", Fault::Held(when.clone()));
    pass(Duration::from_secs(20)).await;
    assert_eq!(
        world.projections(&web()).await,
        "",
        "it waits for a confirmation"
    );
    when.notify_one();
    pass(Duration::from_secs(2)).await;
    assert_eq!(world.projections(&web()).await, "namespaces/default=2:u1");
    drop(log);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_truncated_past_the_retention_and_not_before() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        log.commit(create("pods/a/x", "one")).await.unwrap();
        pass(Duration::from_secs(290)).await;
        assert_eq!(world.batches(&web()).await, 2);
        log.commit(create("pods/a/y", "two")).await.unwrap();
        pass(Duration::from_secs(40)).await;
        assert_eq!(world.batches(&web()).await, 1);
        pass(Duration::from_secs(400)).await;
        assert_eq!(world.batches(&web()).await, 0);
        let read = text(&log.read().await.unwrap());
        assert_eq!(world.found().await, read);
        assert_eq!(world.projections(&web()).await, read);
        log.commit(create("pods/a/z", "three")).await.unwrap();
        assert_eq!(world.found().await, text(&log.read().await.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_grows_too_large_is_truncated_early() {
    let mut world = World::exclusive();
    world.config.retention_bytes = 100_000;
    let server = world.server();
    let log = server.web().await;
    let large = "x".repeat(10_000);
    for i in 0..40 {
        log.commit(put(&[("pods/a/x", &large), ("pods/a/y", &i.to_string())]))
            .await
            .unwrap();
        settle().await;
    }
    pass(Duration::from_secs(1)).await;
    let batches = world.batches(&web()).await;
    assert!((8..=13).contains(&batches), "{batches} batches");
    assert_eq!(world.found().await, text(&log.read().await.unwrap()));
    // In a shared store, safety comes first.
    let mut world = World::shared();
    world.config.retention_bytes = 100_000;
    let log = world.server().web().await;
    for _ in 0..40 {
        log.commit(put(&[("pods/a/x", &large)])).await.unwrap();
        settle().await;
    }
    pass(WINDOW - Duration::from_secs(5)).await;
    assert_eq!(world.batches(&web()).await, 41);
    pass(Duration::from_secs(20)).await;
    assert!(world.batches(&web()).await < 12);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_back_wrong_is_put_right_before_the_log_forgets_it() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    for key in ["pods/a/u", "pods/a/v", "pods/a/w", "pods/a/x"] {
        log.commit(create(key, "one")).await.unwrap();
    }
    log.commit(delete(&["pods/a/x"])).await.unwrap();
    pass(Duration::from_secs(5)).await;
    // Lost, stale, unreadable, and resurrected.
    let key = |k| web().projection_key(k);
    let writes = vec![
        (key("pods/a/u"), None),
        (key("pods/a/v"), Some("1:old".into())),
        (key("pods/a/w"), Some("what?".into())),
        (key("pods/a/x"), Some("6:one".into())),
    ];
    world.kv.write(writes).await.unwrap();
    assert_eq!(
        world.found().await,
        text(&log.read().await.unwrap()),
        "the log overrules"
    );
    pass(Duration::from_secs(700)).await;
    assert_eq!(world.batches(&web()).await, 0);
    let read = text(&log.read().await.unwrap());
    assert_eq!(world.projections(&web()).await, read);
    assert_eq!(world.found().await, read);
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_is_not_acknowledged_leaves_the_log_alone() {
    let world = World::shared();
    let server = world.server();
    let log = server.web().await;
    log.commit(create("pods/a/x", "one")).await.unwrap();
    pass(Duration::from_secs(5)).await;
    world
        .kv
        .write(vec![(web().projection_key("pods/a/x"), None)])
        .await
        .unwrap();
    for _ in 0..6 {
        server.kv.fault(On::Write, "", Fault::Dropped);
    }
    tokio::time::sleep(Duration::from_secs(297)).await;
    settle().await;
    assert_eq!(world.batches(&web()).await, 2);
    pass(Duration::from_secs(100)).await;
    assert_eq!(world.batches(&web()).await, 0);
    assert_eq!(world.found().await, text(&log.read().await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_truncation_that_was_cut_short_is_finished() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    log.commit(create("pods/a/x", "one")).await.unwrap();
    server.kv.fault(On::Cas, "@floor", Fault::Lost);
    server.kv.fault(On::Delete, "", Fault::Dropped);
    pass(Duration::from_secs(303)).await;
    assert_eq!(world.batches(&web()).await, 2);
    // The server dies between the move of the floor and the deletion.
    let read = text(&log.read().await.unwrap());
    server.kv.fault(On::Delete, "", Fault::Dropped);
    drop((log, server));
    let next = world.server();
    let log = next.web().await;
    assert_eq!(text(&log.read().await.unwrap()), read);
    pass(Duration::from_secs(600)).await;
    assert_eq!(world.batches(&web()).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_nobody_uses_is_dropped_and_found_again() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        log.commit(create("pods/a/x", "one")).await.unwrap();
        let read = text(&log.read().await.unwrap());
        drop(log);
        pass(Duration::from_secs(200)).await;
        assert_eq!(
            server.engine.stats().tenants.get(),
            1,
            "its log is not truncated"
        );
        pass(Duration::from_secs(500)).await;
        assert_eq!(server.engine.stats().tenants.get(), 0);
        assert_eq!(server.engine.stats().tail_bytes.get(), 0);
        let log = server.web().await;
        assert_eq!(text(&log.read().await.unwrap()), read);
        pass(Duration::from_secs(500)).await;
        assert_eq!(server.engine.stats().tenants.get(), 1, "a handle is held");
        drop(log);
        pass(Duration::from_secs(130)).await;
        assert_eq!(server.engine.stats().tenants.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_engine_asks_nothing_of_the_store() {
    for world in [World::exclusive(), World::shared()] {
        let server = world.server();
        let log = server.web().await;
        log.commit(create("pods/a/x", "one")).await.unwrap();
        pass(Duration::from_secs(1000)).await;
        let before = server.kv.requests.lock().unwrap().len();
        pass(Duration::from_secs(100_000)).await;
        assert_eq!(server.kv.requests.lock().unwrap().len(), before);
        drop(log);
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_not_what_was_written_is_served_read_only() {
    let world = World::exclusive();
    let server = world.server();
    let log = server.web().await;
    log.commit(put(&[("pods/a/x", "one"), ("pods/a/y", "two")]))
        .await
        .unwrap();
    pass(Duration::from_secs(700)).await;
    drop((log, server));
    let key = web().projection_key("pods/a/x");
    world.kv.write(vec![(key, None)]).await.unwrap();
    let server = world.server();
    let log = server.web().await;
    assert_eq!(
        text(&log.read().await.unwrap()),
        "namespaces/default=2:u1 pods/a/y=4:two"
    );
    let error = log.commit(create("pods/a/z", "three")).await.unwrap_err();
    assert_eq!(error.reason, Reason::ServiceUnavailable);
    assert!(error.message.contains("read-only"), "{}", error.message);
    let damaged = server.engine.damaged();
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].0, web());
    // An operator accepts it, and it is a state like any other, also for who loads it.
    server.engine.accept(&web()).await.unwrap();
    assert!(server.engine.damaged().is_empty());
    log.commit(create("pods/a/z", "three")).await.unwrap();
    let read = text(&log.read().await.unwrap());
    assert_eq!(
        read,
        "namespaces/default=2:u1 pods/a/y=4:two pods/a/z=6:three"
    );
    assert_eq!(world.found().await, read);
    pass(Duration::from_secs(700)).await;
    assert_eq!(world.batches(&web()).await, 0);
    assert_eq!(world.found().await, read);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_tenant_is_neither_projected_nor_truncated() {
    let world = World::exclusive();
    let log = world.server().web().await;
    log.commit(create("pods/a/x", "one")).await.unwrap();
    pass(Duration::from_secs(700)).await;
    log.commit(create("pods/a/y", "two")).await.unwrap();
    let key = web().projection_key("pods/a/x");
    world
        .kv
        .write(vec![(key, Some("2:resurrected".into()))])
        .await
        .unwrap();
    drop(log);
    let server = world.server();
    let log = server.web().await;
    pass(Duration::from_secs(700)).await;
    assert_eq!(world.batches(&web()).await, 1);
    drop(log);
    pass(Duration::from_secs(200)).await;
    assert_eq!(
        server.engine.stats().tenants.get(),
        0,
        "it may be dropped from memory"
    );
    assert_eq!(server.engine.damaged().len(), 1, "and stays reported");
    // Deleting the project is a way out too.
    world.schema.set(&web(), None);
    server.engine.close(&web()).await.unwrap();
    pass(Duration::from_secs(300)).await;
    assert_eq!(world.projections(&web()).await, "");
    assert!(server.engine.damaged().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_projection_that_cant_be_read_is_named_and_the_rest_is_served() {
    let world = World::exclusive();
    let log = world.server().web().await;
    log.commit(put(&[("pods/a/x", "one"), ("pods/a/y", "two")]))
        .await
        .unwrap();
    pass(Duration::from_secs(700)).await;
    drop(log);
    let key = web().projection_key("pods/a/x");
    world
        .kv
        .write(vec![(key, Some("garbage".into()))])
        .await
        .unwrap();
    let server = world.server();
    let log = server.web().await;
    assert_eq!(
        text(&log.read().await.unwrap()),
        "namespaces/default=2:u1 pods/a/y=4:two"
    );
    let damaged = server.engine.damaged();
    assert!(damaged[0].1.contains("pods/a/x"), "{}", damaged[0].1);
    let error = log.commit(create("pods/a/z", "three")).await.unwrap_err();
    assert_eq!(error.reason, Reason::ServiceUnavailable);
    server.engine.accept(&web()).await.unwrap();
    pass(Duration::from_secs(5)).await;
    let read = text(&log.read().await.unwrap());
    assert_eq!(world.projections(&web()).await, read);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_cant_be_read_stops_its_tenant_by_name_and_no_other() {
    let world = World::exclusive();
    let other = TenantId::project("acme", "web2").unwrap();
    world.schema.set(&other, Some("u2"));
    let server = world.server();
    let log = server.web().await;
    log.commit(create("pods/a/x", "one")).await.unwrap();
    server.engine.tenant(&other).await.unwrap();
    drop((log, server));
    world
        .kv
        .write(vec![(web().log_key(3), Some("garbage".into()))])
        .await
        .unwrap();
    let server = world.server();
    let error = server.engine.tenant(&web()).await.err().unwrap();
    assert_eq!(error.reason, Reason::Internal);
    assert!(
        error.message.contains("k8s/acme/web/@log/0000000000000003"),
        "{}",
        error.message
    );
    server.engine.tenant(&other).await.unwrap();
    // A batch that is missing is missed.
    world
        .kv
        .write(vec![(web().log_key(1), None)])
        .await
        .unwrap();
    world
        .kv
        .write(vec![(web().log_key(3), None)])
        .await
        .unwrap();
    let log = world.server().engine.tenant(&other).await.unwrap();
    log.commit(create("pods/a/x", "one")).await.unwrap();
    world
        .kv
        .write(vec![(other.log_key(1), None)])
        .await
        .unwrap();
    let error = world.server().engine.tenant(&other).await.err().unwrap();
    assert!(
        error
            .message
            .contains("k8s/acme/web2/@log/0000000000000001"),
        "{}",
        error.message
    );
}

#[tokio::test(start_paused = true)]
async fn many_objects_are_loaded_and_written_in_pages() {
    let world = World::exclusive();
    let log = world.server().web().await;
    for i in 0..300 {
        let keys: Vec<String> = (0..10).map(|j| format!("pods/a/{i:03}-{j}")).collect();
        let text = "x".repeat(1000);
        let pairs: Vec<_> = keys.iter().map(|k| (k.as_str(), text.as_str())).collect();
        log.commit(put(&pairs)).await.unwrap();
    }
    pass(Duration::from_secs(700)).await;
    assert_eq!(world.batches(&web()).await, 0);
    let read = log.read().await.unwrap();
    assert_eq!(world.found().await, text(&read));
    assert_eq!(read.len(), 3001);
}
