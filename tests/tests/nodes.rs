//! Nodes: registration, heartbeats, and that they are plain objects otherwise.

use k8shost_tests::{
    NODE, Server, merge, name, names, node, reason, refused, revision, text, until, violations,
};
use serde_json::{Value, json};
use tonic::Code;

const LAST_HEARTBEAT: &str = "/metadata/annotations/k8shost.io~1last-heartbeat";

fn condition<'n>(node: &'n Value, kind: &str) -> &'n Value {
    let conditions = node["status"]["conditions"]
        .as_array()
        .expect("a node has conditions");
    conditions
        .iter()
        .find(|c| c["type"] == kind)
        .expect("the condition is there")
}

#[tokio::test]
async fn a_node_registers_with_its_status() {
    let server = Server::start().await;
    let client = server.client().await;
    let object = merge(
        node("n1"),
        json!({
            "metadata": {"labels": {"zone": "a"}},
            "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "providerID": "host://n1"},
            "status": {
                "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "allocatable": {"cpu": "3800m", "memory": "7Gi", "pods": "110"},
                "addresses": [{"type": "InternalIP", "address": "192.168.0.1"}],
                "nodeInfo": {"machineID": "m", "systemUUID": "s", "bootID": "b", "architecture": "amd64", "operatingSystem": "linux"},
            },
        }),
    );
    let made = client.create(NODE, object.clone()).await.unwrap();
    assert_eq!(made["metadata"]["labels"]["zone"], "a");
    assert!(made["metadata"]["namespace"].is_null());
    for field in ["capacity", "allocatable", "addresses", "nodeInfo"] {
        assert_eq!(made["status"][field], object["status"][field]);
    }
    assert_eq!(made["spec"]["providerID"], "host://n1");
    assert_eq!(client.get(NODE, "", "n1").await.unwrap(), made);
}

#[tokio::test]
async fn registering_again_updates_labels_and_status() {
    let server = Server::start().await;
    let client = server.client().await;
    let with = |label: &str, cpu: &str| {
        merge(
            node("n1"),
            json!({"metadata": {"labels": {"zone": label}}, "status": {"capacity": {"cpu": cpu}}}),
        )
    };
    let first = client.create(NODE, with("a", "4")).await.unwrap();
    let second = client.create(NODE, with("b", "8")).await.unwrap();
    assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
    assert_eq!(second["metadata"]["labels"]["zone"], "b");
    assert_eq!(second["status"]["capacity"]["cpu"], "8");
    assert!(revision(&second) > revision(&first));
    assert_eq!(names(&client.list(NODE, json!({})).await.unwrap()), ["n1"]);
}

#[tokio::test]
async fn an_invalid_node_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    for (object, field) in [
        (node("Upper"), "metadata.name"),
        // Kubernetes puts the taints there, too.
        (
            merge(
                node("n"),
                json!({"spec": {"taints": [{"key": "a", "effect": "Sometimes"}]}}),
            ),
            "metadata.taints",
        ),
        (
            merge(
                node("n"),
                json!({"spec": {"podCIDR": "nonsense", "podCIDRs": ["nonsense"]}}),
            ),
            "spec.podCIDRs",
        ),
    ] {
        let status = refused(client.create(NODE, object).await, Code::InvalidArgument);
        assert!(
            violations(&status).iter().any(|f| f.starts_with(field)),
            "{status:?}"
        );
    }
    refused(
        client.call("NodeService/RegisterNode", json!({})).await,
        Code::InvalidArgument,
    );
}

#[tokio::test]
async fn a_heartbeat_renews_the_times_and_merges_the_status() {
    let server = Server::start().await;
    let client = server.client().await;
    let object = merge(
        node("n1"),
        json!({"status": {
            "capacity": {"cpu": "4"},
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "fine"},
                {"type": "DiskPressure", "status": "False"},
            ],
        }}),
    );
    let made = client.create(NODE, object).await.unwrap();
    let beat = |status: Value| {
        client.call(
            "NodeService/Heartbeat",
            json!({"name": "n1", "status": status}),
        )
    };

    // An empty status renews the times alone. The times have whole seconds, so ask until they move.
    let first = client
        .call("NodeService/Heartbeat", json!({"name": "n1"}))
        .await
        .unwrap()["node"]
        .take();
    assert!(!text(&first, LAST_HEARTBEAT).is_empty(), "{first}");
    assert_eq!(first["status"]["capacity"], json!({"cpu": "4"}));
    assert_eq!(condition(&first, "Ready")["status"], "True");
    assert_eq!(condition(&first, "Ready")["reason"], "KubeletReady");
    let renewed = until("a later heartbeat", || async {
        let mut answer = beat(json!({})).await.unwrap();
        let node = answer["node"].take();
        let times = |n: &Value| {
            (
                text(n, LAST_HEARTBEAT).to_owned(),
                condition(n, "Ready")["lastHeartbeatTime"].to_string(),
            )
        };
        (times(&node).0 > times(&first).0 && times(&node).1 > times(&first).1).then_some(node)
    })
    .await;
    assert_eq!(
        condition(&renewed, "Ready")["lastTransitionTime"],
        condition(&first, "Ready")["lastTransitionTime"],
        "Ready has not changed"
    );

    // Conditions merge by type; what is absent stays.
    let pressure = json!({"conditions": [{"type": "DiskPressure", "status": "True"}, {"type": "PIDPressure", "status": "False"}], "allocatable": {"cpu": "3"}});
    let merged = beat(pressure).await.unwrap()["node"].take();
    assert_eq!(condition(&merged, "DiskPressure")["status"], "True");
    assert_eq!(condition(&merged, "PIDPressure")["status"], "False");
    assert_eq!(condition(&merged, "Ready")["status"], "True");
    assert_eq!(merged["status"]["capacity"], json!({"cpu": "4"}));
    assert_eq!(merged["status"]["allocatable"], json!({"cpu": "3"}));
    assert_eq!(merged["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(client.get(NODE, "", "n1").await.unwrap(), merged);
}

#[tokio::test]
async fn a_heartbeat_of_an_unknown_node_is_not_found() {
    let server = Server::start().await;
    let client = server.client().await;
    let status = refused(
        client
            .call("NodeService/Heartbeat", json!({"name": "ghost"}))
            .await,
        Code::NotFound,
    );
    assert_eq!(reason(&status), "NotFound");
    refused(
        client.call("NodeService/Heartbeat", json!({})).await,
        Code::InvalidArgument,
    );
    assert_eq!(
        names(&client.list(NODE, json!({})).await.unwrap()),
        Vec::<&str>::new()
    );
}

#[tokio::test]
async fn a_heartbeat_is_an_event_for_watchers() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(NODE, node("n1")).await.unwrap();
    let mut watch = client.watch(NODE, json!({})).await.unwrap();
    watch.expect("ADDED", "n1").await;
    let status = json!({"capacity": {"cpu": "2"}});
    client
        .call(
            "NodeService/Heartbeat",
            json!({"name": "n1", "status": status}),
        )
        .await
        .unwrap();
    let seen = watch.expect("MODIFIED", "n1").await;
    assert_eq!(seen["status"]["capacity"]["cpu"], "2");
}

#[tokio::test]
async fn an_update_changes_the_spec_and_leaves_the_status() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client
        .create(
            NODE,
            merge(node("n1"), json!({"status": {"capacity": {"cpu": "4"}}})),
        )
        .await
        .unwrap();
    let cordoned = merge(
        made.clone(),
        json!({"spec": {"unschedulable": true}, "status": {"capacity": {"cpu": "9"}}}),
    );
    let updated = client.update(NODE, cordoned).await.unwrap();
    assert_eq!(updated["spec"]["unschedulable"], true);
    assert_eq!(updated["status"]["capacity"]["cpu"], "4");
    refused(client.update(NODE, made).await, Code::Aborted);
    let list = client
        .list(NODE, json!({"fieldSelector": "spec.unschedulable=true"}))
        .await
        .unwrap();
    assert_eq!(names(&list), ["n1"]);
    let gone = client.delete(NODE, "", "n1").await.unwrap();
    assert_eq!(name(&gone), "n1");
    refused(client.get(NODE, "", "n1").await, Code::NotFound);
}
