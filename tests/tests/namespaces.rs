//! Namespaces: those that are there from the start, and the emptying of those that are deleted.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8shost_tests::{
    NAMESPACE, NODE, POD, SERVICE, Server, merge, name, names, namespace, node, pod, reason,
    refused, service, text, violations,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

fn within_namespace(object: Value, namespace: &str) -> Value {
    merge(object, json!({"metadata": {"namespace": namespace}}))
}

#[tokio::test]
async fn a_project_is_born_with_four_namespaces() {
    let server = Server::start().await;
    let client = server.client().await;
    let tenant = client.make_tenant("acme", "web").await;
    for client in [client, tenant] {
        let list = client.list(NAMESPACE, json!({})).await.unwrap();
        assert_eq!(
            names(&list),
            ["default", "kube-node-lease", "kube-public", "kube-system"]
        );
        for namespace in list["items"].as_array().unwrap() {
            assert_eq!(namespace["status"]["phase"], "Active");
            assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
            let label = text(namespace, "/metadata/labels/kubernetes.io~1metadata.name");
            assert_eq!(label, name(namespace));
        }
    }
}

#[tokio::test]
async fn what_a_cluster_needs_cannot_be_deleted() {
    let server = Server::start().await;
    let client = server.client().await;
    for name in ["default", "kube-system", "kube-public"] {
        let status = refused(
            client.delete(NAMESPACE, "", name).await,
            Code::PermissionDenied,
        );
        assert_eq!(reason(&status), "Forbidden");
        assert!(
            status
                .message()
                .contains("this namespace may not be deleted"),
            "{}",
            status.message()
        );
    }
    client.create(POD, pod("a")).await.unwrap();
}

#[tokio::test]
async fn names_are_labels_and_taken_once() {
    let server = Server::start().await;
    let client = server.client().await;
    for wrong in ["a.b", "A", "-a", &"a".repeat(64)] {
        let status = refused(
            client.create(NAMESPACE, namespace(wrong)).await,
            Code::InvalidArgument,
        );
        assert_eq!(violations(&status)[0], "metadata.name", "{status}");
    }
    client.create(NAMESPACE, namespace("team")).await.unwrap();
    refused(
        client.create(NAMESPACE, namespace("team")).await,
        Code::AlreadyExists,
    );
    let made = client.get(NAMESPACE, "", "team").await.unwrap();
    let labelled = merge(
        made.clone(),
        json!({"metadata": {"labels": {"owner": "a"}}, "spec": {"finalizers": []}}),
    );
    let updated = client.update(NAMESPACE, labelled).await.unwrap();
    assert_eq!(updated["metadata"]["labels"]["owner"], "a");
    assert_eq!(
        updated["spec"], made["spec"],
        "an update leaves the finalizers"
    );
}

#[tokio::test]
async fn nothing_is_made_in_a_namespace_that_is_not_there() {
    let server = Server::start().await;
    let client = server.client().await;
    for (kind, object) in [(POD, pod("a")), (SERVICE, service("a"))] {
        let object = within_namespace(object, "nowhere");
        let status = refused(client.create(kind, object).await, Code::NotFound);
        assert_eq!(status.message(), "namespaces \"nowhere\" not found");
    }
    let list = client
        .list(POD, json!({"namespace": "nowhere"}))
        .await
        .unwrap();
    assert_eq!(
        list["items"],
        json!([]),
        "a list of it is empty, as in Kubernetes"
    );
}

#[tokio::test]
async fn an_empty_namespace_goes() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(NAMESPACE, namespace("empty")).await.unwrap();
    let mut watch = client
        .watch(NAMESPACE, json!({"fieldSelector": "metadata.name=empty"}))
        .await
        .unwrap();
    watch.expect("ADDED", "empty").await;
    let marked = client.delete(NAMESPACE, "", "empty").await.unwrap();
    assert_eq!(marked["status"]["phase"], "Terminating");
    assert!(!text(&marked, "/metadata/deletionTimestamp").is_empty());
    watch.expect("MODIFIED", "empty").await;
    watch.expect("DELETED", "empty").await;
    refused(client.get(NAMESPACE, "", "empty").await, Code::NotFound);
    client.create(NAMESPACE, namespace("empty")).await.unwrap();
}

#[tokio::test]
async fn a_terminating_namespace_takes_nothing_new_and_waits_for_what_it_holds() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(NAMESPACE, namespace("team")).await.unwrap();
    client.create(NODE, node("n1")).await.unwrap();
    let held = merge(
        pod("held"),
        json!({"metadata": {"finalizers": ["example.com/f"]}}),
    );
    let held = client
        .create(POD, within_namespace(held, "team"))
        .await
        .unwrap();
    let bound = merge(pod("bound"), json!({"spec": {"nodeName": "n1"}}));
    client
        .create(POD, within_namespace(bound, "team"))
        .await
        .unwrap();
    client
        .create(POD, within_namespace(pod("free"), "team"))
        .await
        .unwrap();
    client
        .create(SERVICE, within_namespace(service("web"), "team"))
        .await
        .unwrap();

    let mut pods = client
        .watch(POD, json!({"namespace": "team"}))
        .await
        .unwrap();
    for name in ["bound", "free", "held"] {
        pods.expect("ADDED", name).await;
    }
    client.delete(NAMESPACE, "", "team").await.unwrap();
    let status = refused(
        client
            .create(POD, within_namespace(pod("late"), "team"))
            .await,
        Code::PermissionDenied,
    );
    assert!(
        status.message().contains("because it is being terminated"),
        "{}",
        status.message()
    );
    assert!(
        violations(&status)
            .iter()
            .any(|f| f == "metadata.namespace"),
        "{status:?}"
    );

    // The free one goes, the others are told that they have to.
    let mut seen: Vec<(String, String)> = Vec::new();
    for _ in 0..3 {
        let event = pods.event().await;
        seen.push((name(&event.object).to_owned(), event.kind));
    }
    seen.sort();
    let expected = [
        ("bound", "MODIFIED"),
        ("free", "DELETED"),
        ("held", "MODIFIED"),
    ];
    assert_eq!(seen, expected.map(|(n, k)| (n.to_owned(), k.to_owned())));
    let namespace = client.get(NAMESPACE, "", "team").await.unwrap();
    assert_eq!(namespace["status"]["phase"], "Terminating");

    let mut namespaces = client
        .watch(NAMESPACE, json!({"fieldSelector": "metadata.name=team"}))
        .await
        .unwrap();
    namespaces.expect("ADDED", "team").await;
    client
        .delete_with(POD, "team", "bound", json!({"gracePeriodSeconds": 0}))
        .await
        .unwrap();
    let done = merge(
        held,
        json!({"metadata": {"finalizers": [], "resourceVersion": null, "uid": null}}),
    );
    client.update(POD, done).await.unwrap();
    loop {
        let event = namespaces.event().await;
        if event.kind == "DELETED" {
            break;
        }
    }
    assert_eq!(
        client
            .list(POD, json!({"namespace": "team"}))
            .await
            .unwrap()["items"],
        json!([])
    );
    assert_eq!(
        client
            .list(SERVICE, json!({"namespace": "team"}))
            .await
            .unwrap()["items"],
        json!([])
    );
}

#[tokio::test]
async fn pods_of_a_node_that_is_gone_do_not_hold_their_namespace() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(NAMESPACE, namespace("team")).await.unwrap();
    let bound = merge(pod("bound"), json!({"spec": {"nodeName": "gone"}}));
    client
        .create(POD, within_namespace(bound, "team"))
        .await
        .unwrap();
    let mut watch = client
        .watch(NAMESPACE, json!({"fieldSelector": "metadata.name=team"}))
        .await
        .unwrap();
    watch.expect("ADDED", "team").await;
    client.delete(NAMESPACE, "", "team").await.unwrap();
    watch.expect("MODIFIED", "team").await;
    watch.expect("DELETED", "team").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_objects_are_emptied_across_a_crash() {
    const OBJECTS: usize = 10_000;
    let mut server = Server::start().await;
    let client = server.client().await;
    client.create(NAMESPACE, namespace("big")).await.unwrap();
    let made: Result<Vec<Value>, Status> = stream::iter(0..OBJECTS)
        .map(|n| client.create(POD, within_namespace(pod(&format!("p{n}")), "big")))
        .buffer_unordered(64)
        .try_collect()
        .await;
    assert_eq!(made.unwrap().len(), OBJECTS);
    let mut watch = client
        .watch(POD, json!({"namespace": "big", "resourceVersion": "0"}))
        .await
        .unwrap();
    client.delete(NAMESPACE, "", "big").await.unwrap();
    while watch.event().await.kind != "DELETED" {}
    // The emptying has begun, and is cut short.
    server.kill().await;
    server.launch().await;

    let client = server.client().await;
    let mut watch = client
        .watch(NAMESPACE, json!({"fieldSelector": "metadata.name=big"}))
        .await
        .unwrap();
    // It may be gone already.
    if client.get(NAMESPACE, "", "big").await.is_ok() {
        while watch.event().await.kind != "DELETED" {}
    }
    let left = client.list(POD, json!({"limit": 1})).await.unwrap();
    assert_eq!(left["items"], json!([]));
    client.create(NAMESPACE, namespace("big")).await.unwrap();
    client
        .create(POD, within_namespace(pod("p0"), "big"))
        .await
        .unwrap();
}
