//! Watches: initial events, resuming, selectors, bookmarks, and how they end.

use k8shost_tests::{
    Client, NODE, POD, Server, merge, name, node, pod, reason, refused, revision, text, until,
    violations, within,
};
use serde_json::{Value, json};
use tonic::Code;

async fn label(client: &Client, object: &Value, label: &str) -> Value {
    let labelled = json!({"metadata": {"labels": {"app": label}, "resourceVersion": null}});
    client
        .update(POD, merge(object.clone(), labelled))
        .await
        .expect("an update")
}

#[tokio::test]
async fn a_watch_begins_with_what_is_there_and_goes_on_with_what_happens() {
    let server = Server::start().await;
    let client = server.client().await;
    let a = client.create(POD, pod("a")).await.unwrap();
    let b = client.create(POD, pod("b")).await.unwrap();
    let mut watch = client.watch(POD, json!({})).await.unwrap();
    assert_eq!(watch.expect("ADDED", "a").await, a);
    assert_eq!(watch.expect("ADDED", "b").await, b);

    let c = client.create(POD, pod("c")).await.unwrap();
    assert_eq!(watch.expect("ADDED", "c").await, c);
    let changed = label(&client, &a, "web").await;
    assert_eq!(watch.expect("MODIFIED", "a").await, changed);
    client.delete(POD, "", "a").await.unwrap();
    let gone = watch.expect("DELETED", "a").await;
    assert!(
        revision(&gone) > revision(&changed),
        "a deletion has a revision of its own"
    );
    assert_eq!(gone["metadata"]["labels"]["app"], "web");
    let again = client.create(POD, pod("a")).await.unwrap();
    assert_eq!(watch.expect("ADDED", "a").await, again);
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let server = Server::start().await;
    let client = server.client().await;
    for n in 0..5 {
        client.create(POD, pod(&format!("p{n}"))).await.unwrap();
    }
    let request = json!({"sendInitialEvents": true, "allowBookmarks": true, "resourceVersionMatch": "NotOlderThan"});
    let mut watch = client.watch(POD, request.clone()).await.unwrap();
    let (objects, bookmark) = watch.initial().await;
    let found: Vec<&str> = objects.iter().map(name).collect();
    assert_eq!(found, ["p0", "p1", "p2", "p3", "p4"]);
    let list = client.list(POD, json!({})).await.unwrap();
    assert_eq!(revision(&bookmark), revision(&list));
    assert!(
        bookmark["spec"].is_null(),
        "a bookmark has only its revision: {bookmark}"
    );
    let next = client.create(POD, pod("p5")).await.unwrap();
    assert_eq!(watch.expect("ADDED", "p5").await, next);

    // Of nothing there is a bookmark too.
    let mut empty = client
        .watch(
            POD,
            merge(request.clone(), json!({"labelSelector": "nobody=has"})),
        )
        .await
        .unwrap();
    assert_eq!(empty.initial().await.0, Vec::<Value>::new());

    for wrong in [
        json!({"sendInitialEvents": true, "allowBookmarks": true, "resourceVersionMatch": "Exact"}),
        json!({"resourceVersionMatch": "NotOlderThan"}),
    ] {
        let status = match client.watch(POD, wrong).await {
            Err(status) => status,
            Ok(mut events) => events.end().await.expect("an error"),
        };
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(violations(&status), ["resourceVersionMatch"], "{status:?}");
    }
}

#[tokio::test]
async fn a_watch_resumes_where_it_was_also_after_a_restart() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let first = client.create(POD, pod("first")).await.unwrap();
    let from = revision(&first).to_string();
    let second = client.create(POD, pod("second")).await.unwrap();
    let labelled = label(&client, &second, "web").await;
    client.delete(POD, "", "first").await.unwrap();
    let resume = json!({"resourceVersion": from});

    let check = async |client: &Client| {
        let mut watch = client.watch(POD, resume.clone()).await.unwrap();
        assert_eq!(watch.expect("ADDED", "second").await, second);
        assert_eq!(watch.expect("MODIFIED", "second").await, labelled);
        let gone = watch.expect("DELETED", "first").await;
        assert_eq!(revision(&gone), revision(&labelled) + 1);
        watch
    };
    check(&client).await;
    for crash in [false, true] {
        if crash {
            server.kill().await;
            server.launch().await;
        } else {
            server.restart().await;
        }
        let client = server.client().await;
        let mut watch = check(&client).await;
        let name = if crash {
            "after-crash"
        } else {
            "after-restart"
        };
        client.create(POD, pod(name)).await.unwrap();
        if crash {
            watch.expect("ADDED", "after-restart").await;
        }
        watch.expect("ADDED", name).await;
    }
}

#[tokio::test]
async fn what_leaves_a_selector_is_deleted() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let request = json!({"labelSelector": "app=web", "resourceVersion": "0"});
    let mut watch = client.watch(POD, request.clone()).await.unwrap();
    let start = client.list(POD, json!({})).await.unwrap();
    let other = client.create(POD, pod("other")).await.unwrap();
    let made = client
        .create(
            POD,
            merge(pod("a"), json!({"metadata": {"labels": {"app": "web"}}})),
        )
        .await
        .unwrap();
    assert_eq!(watch.expect("ADDED", "a").await, made);
    let left = label(&client, &made, "db").await;
    let gone = watch.expect("DELETED", "a").await;
    assert_eq!(
        revision(&gone),
        revision(&left),
        "under the revision of the change"
    );
    assert_eq!(
        gone["metadata"]["labels"]["app"], "web",
        "as it was when it matched"
    );
    label(&client, &left, "cache").await;
    let back = label(&client, &left, "web").await;
    assert_eq!(watch.expect("ADDED", "a").await, back);
    let joined = label(&client, &other, "web").await;
    assert_eq!(watch.expect("ADDED", "other").await, joined);
    client.delete(POD, "", "a").await.unwrap();
    watch.expect("DELETED", "a").await;

    // The same, read back from the log.
    server.restart().await;
    let client = server.client().await;
    let resume =
        json!({"labelSelector": "app=web", "resourceVersion": revision(&start).to_string()});
    let mut watch = client.watch(POD, resume).await.unwrap();
    watch.expect("ADDED", "a").await;
    assert_eq!(
        revision(&watch.expect("DELETED", "a").await),
        revision(&left)
    );
    assert_eq!(watch.expect("ADDED", "a").await, back);
    assert_eq!(watch.expect("ADDED", "other").await, joined);
    watch.expect("DELETED", "a").await;
}

#[tokio::test]
async fn field_selectors_follow_a_pod_to_its_node() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut mine = client
        .watch(POD, json!({"fieldSelector": "spec.nodeName=n1"}))
        .await
        .unwrap();
    let mut free = client
        .watch(POD, json!({"fieldSelector": "spec.nodeName="}))
        .await
        .unwrap();
    client.create(POD, pod("a")).await.unwrap();
    free.expect("ADDED", "a").await;
    client
        .call("PodService/BindPod", json!({"name": "a", "nodeName": "n1"}))
        .await
        .unwrap();
    let bound = mine.expect("ADDED", "a").await;
    assert_eq!(bound["spec"]["nodeName"], "n1");
    free.expect("DELETED", "a").await;
    client.delete(POD, "", "a").await.unwrap();
    let marked = mine.expect("MODIFIED", "a").await;
    assert!(!text(&marked, "/metadata/deletionTimestamp").is_empty());
    client
        .delete_with(POD, "", "a", json!({"gracePeriodSeconds": 0}))
        .await
        .unwrap();
    loop {
        let event = mine.event().await;
        if event.kind == "DELETED" {
            break;
        }
    }
}

#[tokio::test]
async fn a_watch_is_of_one_kind_and_one_namespace() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut watch = client
        .watch(POD, json!({"namespace": "default"}))
        .await
        .unwrap();
    client.create(NODE, node("n1")).await.unwrap();
    client
        .create(
            POD,
            merge(pod("a"), json!({"metadata": {"namespace": "kube-public"}})),
        )
        .await
        .unwrap();
    client.create(POD, pod("b")).await.unwrap();
    watch.expect("ADDED", "b").await;
}

#[tokio::test]
async fn bookmarks_carry_the_revision_forward() {
    let server = Server::with(&["--bookmark-interval", "100ms"]).await;
    let client = server.client().await;
    let mut watch = client
        .watch(
            POD,
            json!({"allowBookmarks": true, "labelSelector": "nobody=has", "resourceVersion": "0"}),
        )
        .await
        .unwrap();
    let made = client.create(POD, pod("a")).await.unwrap();
    let bookmark = within("a bookmark of the present", async {
        loop {
            let bookmark = watch.bookmark().await;
            if revision(&bookmark) >= revision(&made) {
                return bookmark;
            }
        }
    })
    .await;
    assert!(bookmark["metadata"]["annotations"].is_null(), "{bookmark}");
    assert_eq!(text(&bookmark, "/kind"), "Pod");
    // From there on, nothing is missed and nothing comes twice.
    let from = json!({"resourceVersion": revision(&bookmark).to_string()});
    let mut resumed = client.watch(POD, from).await.unwrap();
    client.create(POD, pod("b")).await.unwrap();
    resumed.expect("ADDED", "b").await;

    // Nobody gets bookmarks who did not ask.
    let mut plain = client
        .watch(
            POD,
            json!({"resourceVersion": revision(&bookmark).to_string()}),
        )
        .await
        .unwrap();
    watch.bookmark().await;
    watch.bookmark().await;
    assert_eq!(plain.event().await.kind, "ADDED");
}

#[tokio::test]
async fn a_revision_that_is_too_old_is_expired() {
    let mut server = Server::with(&["--retention", "100ms"]).await;
    let client = server.client().await;
    let first = client.create(POD, pod("first")).await.unwrap();
    for n in 0..10 {
        client.create(POD, pod(&format!("p{n}"))).await.unwrap();
    }
    // The log is cut in the background; what is in memory still goes further back than it.
    until("the cutting of the log", || async {
        let request = http::Request::get("/metrics");
        let page = k8shost_tests::http1(server.address(), request, bytes::Bytes::new())
            .await
            .text();
        let count = page
            .lines()
            .find_map(|l| l.strip_prefix("k8shost_truncations_total "));
        let system_and_default = 2;
        (count.expect("a metric").parse::<u64>().unwrap() >= system_and_default).then_some(())
    })
    .await;
    server.restart().await;
    let client = server.client().await;
    let from = json!({"resourceVersion": revision(&first).to_string()});
    let status = match client.watch(POD, from).await {
        Err(status) => status,
        Ok(mut watch) => watch
            .next()
            .await
            .expect_err("the log does not go back that far"),
    };
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert_eq!(reason(&status), "Expired");
    // A new list and a watch from it work.
    let list = client.list(POD, json!({})).await.unwrap();
    let mut watch = client
        .watch(POD, json!({"resourceVersion": revision(&list).to_string()}))
        .await
        .unwrap();
    client.create(POD, pod("last")).await.unwrap();
    watch.expect("ADDED", "last").await;
}

#[tokio::test]
async fn a_watch_of_what_cannot_be_selected_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    for wrong in [
        json!({"labelSelector": "(("}),
        json!({"fieldSelector": "spec.nope=1"}),
        json!({"resourceVersion": "x"}),
    ] {
        let status = match client.watch(POD, wrong).await {
            Err(status) => status,
            Ok(mut events) => events.end().await.expect("an error"),
        };
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
}

#[tokio::test]
async fn watches_end_cleanly_when_the_server_stops() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let mut watches = Vec::new();
    for _ in 0..20 {
        watches.push(client.watch(POD, json!({})).await.unwrap());
    }
    let made = client.create(POD, pod("a")).await.unwrap();
    for watch in &mut watches {
        assert_eq!(watch.expect("ADDED", "a").await, made);
    }
    server.terminate();
    for watch in &mut watches {
        let end = watch.end().await;
        assert!(end.is_none(), "a clean end, not {end:?}");
    }
    assert!(server.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_watchers_see_every_event_in_order() {
    const WATCHERS: usize = 100;
    const EVENTS: usize = 200;
    let server = Server::start().await;
    let client = server.client().await;
    let mut tasks = Vec::new();
    for _ in 0..WATCHERS {
        let mut watch = client
            .watch(POD, json!({"namespace": "default"}))
            .await
            .unwrap();
        tasks.push(tokio::spawn(async move {
            let mut last = 0;
            for n in 0..EVENTS {
                let event = watch.expect("ADDED", &format!("p{n}")).await;
                assert!(revision(&event) > last);
                last = revision(&event);
            }
        }));
    }
    for n in 0..EVENTS {
        client.create(POD, pod(&format!("p{n}"))).await.unwrap();
    }
    for task in tasks {
        task.await.unwrap();
    }
    let metrics = until("the end of the watches", || async {
        let request = http::Request::get("/metrics");
        let answer = k8shost_tests::http1(server.address(), request, bytes::Bytes::new()).await;
        answer
            .text()
            .contains("k8shost_watches 0")
            .then(|| answer.text())
    })
    .await;
    assert!(
        metrics.contains(&format!("k8shost_watch_events_total {}", WATCHERS * EVENTS)),
        "{metrics}"
    );
    refused(client.get(POD, "", "nobody").await, Code::NotFound);
}
