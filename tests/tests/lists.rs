//! Lists: selectors, pages of one snapshot, and which revision they show.

use k8shost_tests::{
    Client, NAMESPACE, NODE, POD, SERVICE, Server, fresh_token, merge, names, namespace, node, pod,
    reason, refused, revision, service, text, until, violations,
};
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

/// Pods p0 … with labels `n` and `even`.
async fn pods(client: &Client, count: usize) -> Vec<Value> {
    let mut made = Vec::new();
    for n in 0..count {
        let labels = json!({"n": n.to_string(), "even": (n % 2 == 0).to_string()});
        let object = merge(
            pod(&format!("p{n}")),
            json!({"metadata": {"labels": labels}}),
        );
        made.push(client.create(POD, object).await.expect("a new pod"));
    }
    made
}

fn token(list: &Value) -> &str {
    text(list, "/metadata/continue")
}

#[tokio::test]
async fn label_selectors_select() {
    let server = Server::start().await;
    let client = server.client().await;
    pods(&client, 4).await;
    client.create(POD, pod("plain")).await.unwrap();
    for (selector, expected) in [
        ("even=true", vec!["p0", "p2"]),
        ("even==true,n!=0", vec!["p2"]),
        ("n in (1, 3)", vec!["p1", "p3"]),
        ("n notin (1,2)", vec!["p0", "p3", "plain"]),
        ("even!=true", vec!["p1", "p3", "plain"]),
        ("n", vec!["p0", "p1", "p2", "p3"]),
        ("!n", vec!["plain"]),
        ("n>1", vec!["p2", "p3"]),
        ("n<1", vec!["p0"]),
        ("n in ()", vec![]),
        ("nobody=has", vec![]),
        ("", vec!["p0", "p1", "p2", "p3", "plain"]),
    ] {
        let list = client
            .list(POD, json!({"labelSelector": selector}))
            .await
            .unwrap();
        assert_eq!(names(&list), expected, "{selector}");
    }
    for wrong in ["((", "a b=c", "n=x=y", "n in (", "=x", "a=-", "é=1"] {
        let list = client.list(POD, json!({"labelSelector": wrong})).await;
        let status = refused(list, Code::InvalidArgument);
        assert_eq!(reason(&status), "BadRequest", "{wrong}");
    }
}

#[tokio::test]
async fn field_selectors_select() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(POD, pod("free")).await.unwrap();
    let bound = merge(
        pod("bound"),
        json!({"spec": {"nodeName": "n1", "restartPolicy": "Never"}}),
    );
    let bound = client.create(POD, bound).await.unwrap();
    client
        .update_status(
            POD,
            merge(
                bound,
                json!({"status": {"phase": "Running", "podIP": "10.0.0.9"}}),
            ),
        )
        .await
        .unwrap();
    let other = merge(
        pod("other"),
        json!({"metadata": {"namespace": "kube-public"}, "spec": {"hostNetwork": true}}),
    );
    client.create(POD, other).await.unwrap();
    for (selector, expected) in [
        ("metadata.name=free", vec!["free"]),
        ("metadata.name!=free", vec!["bound", "other"]),
        ("metadata.namespace=kube-public", vec!["other"]),
        ("spec.nodeName=n1", vec!["bound"]),
        ("spec.nodeName=", vec!["free", "other"]),
        ("status.phase=Running", vec!["bound"]),
        (
            "status.phase!=Running,metadata.namespace=default",
            vec!["free"],
        ),
        ("status.podIP=10.0.0.9", vec!["bound"]),
        ("spec.restartPolicy=Never", vec!["bound"]),
        (
            "spec.schedulerName=default-scheduler",
            vec!["bound", "free", "other"],
        ),
        ("spec.hostNetwork=true", vec!["other"]),
    ] {
        let list = client
            .list(POD, json!({"fieldSelector": selector}))
            .await
            .unwrap();
        assert_eq!(names(&list), expected, "{selector}");
    }
    for wrong in ["spec.nope=1", "x", "metadata.labels.a=b"] {
        refused(
            client.list(POD, json!({"fieldSelector": wrong})).await,
            Code::InvalidArgument,
        );
    }

    client.create(NODE, node("n1")).await.unwrap();
    client
        .create(
            SERVICE,
            merge(service("web"), json!({"spec": {"clusterIP": "10.96.1.1"}})),
        )
        .await
        .unwrap();
    for (kind, selector, expected) in [
        (NODE, "metadata.name=n1", vec!["n1"]),
        (NODE, "spec.unschedulable=true", vec![]),
        (NODE, "spec.unschedulable=false", vec!["n1"]),
        (SERVICE, "spec.clusterIP=10.96.1.1", vec!["web"]),
        (SERVICE, "spec.type=NodePort", vec![]),
        (
            NAMESPACE,
            "status.phase=Active,metadata.name=default",
            vec!["default"],
        ),
    ] {
        let list = client
            .list(kind, json!({"fieldSelector": selector}))
            .await
            .unwrap();
        assert_eq!(names(&list), expected, "{selector}");
    }
    refused(
        client
            .list(NODE, json!({"fieldSelector": "spec.nodeName=a"}))
            .await,
        Code::InvalidArgument,
    );
}

#[tokio::test]
async fn no_namespace_means_all() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(NAMESPACE, namespace("team")).await.unwrap();
    client.create(POD, pod("b")).await.unwrap();
    client
        .create(
            POD,
            merge(pod("a"), json!({"metadata": {"namespace": "team"}})),
        )
        .await
        .unwrap();
    for (request, expected) in [
        (json!({}), vec!["b", "a"]),
        (json!({"namespace": "team"}), vec!["a"]),
        (json!({"namespace": "default"}), vec!["b"]),
        (json!({"namespace": "tea"}), vec![]),
    ] {
        assert_eq!(names(&client.list(POD, request).await.unwrap()), expected);
    }
}

#[tokio::test]
async fn pages_show_one_snapshot_while_others_write() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = pods(&client, 10).await;
    let first = client.list(POD, json!({"limit": 3})).await.unwrap();
    assert_eq!(first["metadata"]["remainingItemCount"], 7);
    let mut all = first["items"].as_array().unwrap().clone();
    let mut next = token(&first).to_owned();
    let mut page = 0;
    while !next.is_empty() {
        // Before, behind and on the page's edge.
        page += 1;
        client.create(POD, pod(&format!("a{page}"))).await.unwrap();
        client.create(POD, pod(&format!("z{page}"))).await.unwrap();
        let changed = merge(
            made[9].clone(),
            json!({"metadata": {"labels": {"page": page.to_string()}, "resourceVersion": null}}),
        );
        client.update(POD, changed).await.unwrap();
        if page == 1 {
            client.delete(POD, "", "p4").await.unwrap();
        }
        let list = client
            .list(POD, json!({"limit": 3, "continueToken": next}))
            .await
            .unwrap();
        assert_eq!(revision(&list), revision(&first), "all pages show the same");
        all.extend(list["items"].as_array().unwrap().clone());
        next = token(&list).to_owned();
    }
    assert_eq!(all, made, "every object once, as it was");
}

#[tokio::test]
async fn a_token_is_for_its_own_list() {
    let server = Server::start().await;
    let client = server.client().await;
    pods(&client, 5).await;
    let first = client
        .list(POD, json!({"namespace": "default", "limit": 2}))
        .await
        .unwrap();
    let token = token(&first);
    for wrong in [
        json!({"namespace": "kube-public", "limit": 2, "continueToken": token}),
        json!({"limit": 2, "continueToken": token}),
        json!({"limit": 2, "continueToken": "nonsense"}),
        json!({"namespace": "default", "continueToken": format!("{token}00")}),
        json!({"namespace": "default", "continueToken": token, "resourceVersion": "1"}),
        json!({"limit": -1}),
    ] {
        refused(client.list(POD, wrong).await, Code::InvalidArgument);
    }
    refused(
        client
            .list(
                SERVICE,
                json!({"namespace": "default", "continueToken": token}),
            )
            .await,
        Code::InvalidArgument,
    );
    // The limit may change on the way.
    let rest = client
        .list(POD, json!({"namespace": "default", "continueToken": token}))
        .await
        .unwrap();
    assert_eq!(names(&rest), ["p2", "p3", "p4"]);
}

#[tokio::test]
async fn a_page_with_selectors_is_full() {
    let server = Server::start().await;
    let client = server.client().await;
    pods(&client, 8).await;
    let first = client
        .list(POD, json!({"limit": 3, "labelSelector": "even=true"}))
        .await
        .unwrap();
    assert_eq!(names(&first), ["p0", "p2", "p4"]);
    assert!(
        first["metadata"]["remainingItemCount"].is_null(),
        "not counted with a selector"
    );
    let rest = client
        .list(
            POD,
            json!({"limit": 3, "labelSelector": "even=true", "continueToken": token(&first)}),
        )
        .await
        .unwrap();
    assert_eq!(names(&rest), ["p6"]);
    assert_eq!(token(&rest), "");
}

#[tokio::test]
async fn an_expired_token_comes_with_one_that_goes_on_at_the_present() {
    let server = Server::with(&["--retention", "200ms"]).await;
    let client = server.client().await;
    pods(&client, 6).await;
    let first = client.list(POD, json!({"limit": 2})).await.unwrap();
    let request = json!({"limit": 2, "continueToken": token(&first)});
    client.delete(POD, "", "p3").await.unwrap();
    client.create(POD, pod("p9")).await.unwrap();
    let status = until("the expiry of a snapshot", || async {
        client.list(POD, request.clone()).await.err()
    })
    .await;
    let rest = client
        .list(POD, json!({"continueToken": fresh_token(&status)}))
        .await
        .unwrap();
    assert_eq!(
        names(&rest),
        ["p2", "p4", "p5", "p9"],
        "from where it stopped, as it is now"
    );
    assert!(revision(&rest) > revision(&first));
}

#[tokio::test]
async fn a_token_from_before_a_restart_goes_on_or_says_expired() {
    let mut server = Server::start().await;
    let client = server.client().await;
    pods(&client, 4).await;
    let first = client.list(POD, json!({"limit": 2})).await.unwrap();
    server.restart().await;
    let client = server.client().await;
    let next = client
        .list(POD, json!({"continueToken": token(&first)}))
        .await;
    let rest = match next {
        Ok(rest) => rest,
        Err(status) => {
            assert_eq!(status.code(), Code::OutOfRange, "{status}");
            let details = status.get_error_details();
            let token = details.error_info().unwrap().metadata["continue"].clone();
            client
                .list(POD, json!({"continueToken": token}))
                .await
                .unwrap()
        }
    };
    assert_eq!(names(&rest), ["p2", "p3"]);
}

#[tokio::test]
async fn resource_version_and_match_mean_what_kubernetes_says() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = pods(&client, 3).await;
    let now = client.list(POD, json!({})).await.unwrap();
    let version = |v: &Value| revision(v).to_string();
    let at = |version: String, rule: &str| json!({"resourceVersion": version, "resourceVersionMatch": rule});
    for request in [
        at("0".to_owned(), ""),
        at("0".to_owned(), "NotOlderThan"),
        at(version(&made[0]), ""),
        at(version(&made[0]), "NotOlderThan"),
        at(version(&now), "Exact"),
        at(version(&now), "NotOlderThan"),
    ] {
        let list = client.list(POD, request.clone()).await.unwrap();
        assert_eq!(names(&list), ["p0", "p1", "p2"], "{request}");
    }
    for request in [
        at("0".to_owned(), "Exact"),
        at(String::new(), "Exact"),
        at(String::new(), "NotOlderThan"),
        at(version(&now), "Sometimes"),
    ] {
        let status = refused(client.list(POD, request).await, Code::InvalidArgument);
        assert_eq!(violations(&status), ["resourceVersionMatch"], "{status:?}");
    }
    for wrong in ["x", "-1", "1.5", "99999999999999999999999"] {
        refused(
            client.list(POD, json!({"resourceVersion": wrong})).await,
            Code::InvalidArgument,
        );
    }
}

#[tokio::test]
async fn a_version_from_the_future_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client.create(POD, pod("a")).await.unwrap();
    let future = (revision(&made) + 1_000).to_string();
    for rule in ["", "Exact", "NotOlderThan"] {
        let request = json!({"resourceVersion": future, "resourceVersionMatch": rule});
        let status = refused(client.list(POD, request).await, Code::OutOfRange);
        assert_eq!(reason(&status), "ResourceVersionTooLarge");
        assert!(
            status.get_error_details().retry_info().is_some(),
            "RetryInfo says when"
        );
    }
    let watch = client.watch(POD, json!({"resourceVersion": future})).await;
    let status = match watch {
        Ok(mut events) => events.end().await.expect("an error"),
        Err(status) => status,
    };
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_without_a_limit_is_whole() {
    use futures::{StreamExt as _, TryStreamExt as _, stream};
    let server = Server::start().await;
    let client = server.client().await;
    let note = "x".repeat(4_000);
    let made: Vec<Value> = stream::iter(0..2_000)
        .map(|n| {
            let over = json!({"metadata": {"annotations": {"note": note}}});
            client.create(POD, merge(pod(&format!("p{n:04}")), over))
        })
        .buffer_unordered(32)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(made.len(), 2_000);
    // About 9 MB, more than the 4 MiB that clients take unless told.
    let list = client.list(POD, json!({})).await.unwrap();
    let expected: Vec<String> = (0..2_000).map(|n| format!("p{n:04}")).collect();
    assert_eq!(names(&list), expected);
}
