//! Pods: what Kubernetes does to them when they are created, changed, bound and deleted.

use k8shost_tests::{
    POD, Server, merge, name, node, pod, reason, refused, revision, text, violations,
};
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

fn pod_with(name: &str, over: Value) -> Value {
    merge(pod(name), over)
}

#[tokio::test]
async fn a_new_pod_has_what_kubernetes_fills_in() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client.create(POD, pod("web")).await.unwrap();

    let metadata = &made["metadata"];
    assert_eq!(metadata["namespace"], "default");
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["orgId"], "default-org");
    assert_eq!(metadata["projectId"], "default-project");
    assert_eq!(text(&made, "/metadata/uid").len(), 36);
    assert!(text(&made, "/metadata/creationTimestamp").ends_with('Z'));
    assert!(revision(&made) > 0);

    let spec = &made["spec"];
    assert_eq!(spec["restartPolicy"], "Always");
    assert_eq!(spec["dnsPolicy"], "ClusterFirst");
    assert_eq!(spec["schedulerName"], "default-scheduler");
    assert_eq!(spec["terminationGracePeriodSeconds"], 30);
    assert_eq!(spec["enableServiceLinks"], true);
    assert_eq!(spec["securityContext"], json!({}));
    let container = &spec["containers"][0];
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container["terminationMessagePath"], "/dev/termination-log");
    assert_eq!(container["terminationMessagePolicy"], "File");
    assert_eq!(made["status"]["phase"], "Pending");
    assert_eq!(made["status"]["qosClass"], "BestEffort");

    assert_eq!(client.get(POD, "default", "web").await.unwrap(), made);
    assert_eq!(
        client.get(POD, "", "web").await.unwrap(),
        made,
        "no namespace means default"
    );
}

#[tokio::test]
async fn the_class_of_service_follows_from_the_resources() {
    let server = Server::start().await;
    let client = server.client().await;
    let resources = |name: &str, resources: Value| {
        let container = json!({"name": "c", "image": "i", "resources": resources});
        pod_with(name, json!({"spec": {"containers": [container]}}))
    };
    for (resources, class) in [
        (
            resources("a", json!({"requests": {"cpu": "100m"}})),
            "Burstable",
        ),
        (
            resources("b", json!({"limits": {"cpu": "1", "memory": "1Gi"}})),
            "Guaranteed",
        ),
        (resources("c", json!({})), "BestEffort"),
    ] {
        let made = client.create(POD, resources).await.unwrap();
        assert_eq!(made["status"]["qosClass"], class);
    }
    let guaranteed = client.get(POD, "", "b").await.unwrap();
    let requests = &guaranteed["spec"]["containers"][0]["resources"]["requests"];
    assert_eq!(
        *requests,
        json!({"cpu": "1", "memory": "1Gi"}),
        "requests follow the limits"
    );
}

#[tokio::test]
async fn an_invalid_pod_is_refused_with_the_paths_of_its_faults() {
    let server = Server::start().await;
    let client = server.client().await;
    let container = json!({"name": "c", "image": "i"});
    let cases = [
        (pod_with("Bad_Name", json!({})), "metadata.name"),
        (pod_with(&"a".repeat(254), json!({})), "metadata.name"),
        (
            pod_with("p", json!({"metadata": {"labels": {"a b": "c"}}})),
            "metadata.labels",
        ),
        (
            pod_with("p", json!({"metadata": {"labels": {"a": "-"}}})),
            "metadata.labels",
        ),
        (
            pod_with("p", json!({"spec": {"containers": []}})),
            "spec.containers",
        ),
        (
            pod_with("p", json!({"spec": {"containers": [{"image": "i"}]}})),
            "spec.containers[0].name",
        ),
        (
            pod_with("p", json!({"spec": {"containers": [{"name": "c"}]}})),
            "spec.containers[0].image",
        ),
        (
            pod_with("p", json!({"spec": {"containers": [container, container]}})),
            "spec.containers[1].name",
        ),
        (
            pod_with(
                "p",
                json!({"spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 70_000}]}]}}),
            ),
            "spec.containers[0].ports[0].containerPort",
        ),
        (
            pod_with(
                "p",
                json!({"spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]}}),
            ),
            "spec.containers[0].resources.requests",
        ),
        (
            pod_with("p", json!({"spec": {"restartPolicy": "Sometimes"}})),
            "spec.restartPolicy",
        ),
        (
            pod_with("p", json!({"spec": {"activeDeadlineSeconds": 0}})),
            "spec.activeDeadlineSeconds",
        ),
        (
            pod_with(
                "p",
                json!({"metadata": {"annotations": {"big": "x".repeat(300_000)}}}),
            ),
            "metadata.annotations",
        ),
        (
            pod_with(
                "p",
                json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o"}]}}),
            ),
            "metadata.ownerReferences",
        ),
        (
            pod_with("p", json!({"metadata": {"finalizers": ["no slash"]}})),
            "metadata.finalizers",
        ),
    ];
    for (object, field) in cases {
        let status = refused(client.create(POD, object).await, Code::InvalidArgument);
        assert_eq!(reason(&status), "Invalid", "{status}");
        let found = violations(&status);
        assert!(
            found.iter().any(|f| f.starts_with(field)),
            "{field} is not in {found:?}"
        );
        assert!(
            status.message().starts_with("Pod \""),
            "{}",
            status.message()
        );
    }
    let list = client.list(POD, json!({})).await.unwrap();
    assert_eq!(list["items"], json!([]), "a refused pod is not stored");
}

#[tokio::test]
async fn a_bad_quantity_is_refused() {
    let server = Server::start().await;
    let client = server.client().await;
    for wrong in ["1 Gi", "x", "1e", "--1", "1GiB"] {
        let container =
            json!({"name": "c", "image": "i", "resources": {"limits": {"memory": wrong}}});
        let object = pod_with("p", json!({"spec": {"containers": [container]}}));
        refused(client.create(POD, object).await, Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let server = Server::start().await;
    let client = server.client().await;
    let first = client.create(POD, pod("a")).await.unwrap();
    let status = refused(client.create(POD, pod("a")).await, Code::AlreadyExists);
    assert_eq!(status.message(), "pods \"a\" already exists");
    assert_eq!(reason(&status), "AlreadyExists");
    let details = status.get_error_details();
    let resource = details.resource_info().expect("ResourceInfo");
    assert_eq!(
        (
            resource.resource_type.as_str(),
            resource.resource_name.as_str()
        ),
        ("pods", "a")
    );
    assert_eq!(client.get(POD, "", "a").await.unwrap(), first);
    // The same name in another namespace is another pod.
    let other = pod_with("a", json!({"metadata": {"namespace": "kube-public"}}));
    assert_ne!(
        client.create(POD, other).await.unwrap()["metadata"]["uid"],
        first["metadata"]["uid"]
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    let client = server.client().await;
    let missing = [
        client.get(POD, "", "ghost").await,
        client.update(POD, pod("ghost")).await,
        client.update_status(POD, pod("ghost")).await,
        client.delete(POD, "", "ghost").await,
        client
            .call(
                "PodService/BindPod",
                json!({"name": "ghost", "nodeName": "n"}),
            )
            .await,
    ];
    for answer in missing {
        let status = refused(answer, Code::NotFound);
        assert_eq!(status.message(), "pods \"ghost\" not found");
        assert_eq!(reason(&status), "NotFound");
    }
}

#[tokio::test]
async fn names_are_generated() {
    let server = Server::start().await;
    let client = server.client().await;
    let object = merge(
        pod("x"),
        json!({"metadata": {"name": null, "generateName": "job-"}}),
    );
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let made = client.create(POD, object.clone()).await.unwrap();
        assert!(
            name(&made).starts_with("job-") && name(&made).len() == 9,
            "{}",
            name(&made)
        );
        assert_eq!(made["metadata"]["generateName"], "job-");
        assert!(seen.insert(name(&made).to_owned()));
    }
    let nameless = merge(pod("x"), json!({"metadata": {"name": null}}));
    let status = refused(client.create(POD, nameless).await, Code::InvalidArgument);
    assert!(
        violations(&status)
            .iter()
            .any(|f| f.starts_with("metadata.name")),
        "{status}"
    );
}

#[tokio::test]
async fn what_the_server_decides_cannot_be_sent() {
    let server = Server::start().await;
    let client = server.client().await;
    let forged = json!({"metadata": {
        "uid": "00000000-0000-4000-8000-000000000000", "generation": 7,
        "creationTimestamp": "2001-01-01T00:00:00Z", "deletionTimestamp": "2001-01-01T00:00:00Z",
    }, "status": {"phase": "Running", "podIP": "10.0.0.1"}});
    let made = client.create(POD, pod_with("a", forged)).await.unwrap();
    let metadata = &made["metadata"];
    assert_ne!(metadata["uid"], "00000000-0000-4000-8000-000000000000");
    assert_ne!(metadata["creationTimestamp"], "2001-01-01T00:00:00Z");
    assert_eq!(metadata["generation"], 1);
    assert!(metadata["deletionTimestamp"].is_null());
    assert_eq!(made["status"]["phase"], "Pending");
    assert!(made["status"]["podIP"].is_null());

    let versioned = pod_with("b", json!({"metadata": {"resourceVersion": "1"}}));
    refused(client.create(POD, versioned).await, Code::InvalidArgument);
    for wrong in [json!({"kind": "Service"}), json!({"apiVersion": "v2"})] {
        refused(
            client.create(POD, pod_with("c", wrong)).await,
            Code::InvalidArgument,
        );
    }
    refused(
        client.call("PodService/CreatePod", json!({})).await,
        Code::InvalidArgument,
    );
}

#[tokio::test]
async fn an_update_with_a_stale_version_is_a_conflict() {
    let server = Server::start().await;
    let client = server.client().await;
    let first = client.create(POD, pod("a")).await.unwrap();
    let labelled = |object: &Value, label: &str| {
        merge(
            object.clone(),
            json!({"metadata": {"labels": {"v": label}}}),
        )
    };
    let second = client.update(POD, labelled(&first, "2")).await.unwrap();
    assert!(revision(&second) > revision(&first));
    assert_eq!(second["metadata"]["labels"]["v"], "2");
    assert_eq!(
        second["metadata"]["generation"], 1,
        "a label is no change of the spec"
    );

    let status = refused(
        client.update(POD, labelled(&first, "stale")).await,
        Code::Aborted,
    );
    assert_eq!(reason(&status), "Conflict");
    assert!(
        status.message().contains("the object has been modified"),
        "{}",
        status.message()
    );
    let stale = client.update_status(POD, labelled(&first, "stale")).await;
    refused(stale, Code::Aborted);

    // Without a version the write is unconditional; with another uid it is another pod's.
    let free = merge(
        labelled(&first, "3"),
        json!({"metadata": {"resourceVersion": null}}),
    );
    let third = client.update(POD, free.clone()).await.unwrap();
    assert_eq!(third["metadata"]["labels"]["v"], "3");
    let other = merge(
        free,
        json!({"metadata": {"uid": "00000000-0000-4000-8000-000000000000"}}),
    );
    refused(client.update(POD, other).await, Code::Aborted);
    let nonsense = merge(
        third.clone(),
        json!({"metadata": {"resourceVersion": "abc"}}),
    );
    refused(client.update(POD, nonsense).await, Code::InvalidArgument);
    assert_eq!(client.get(POD, "", "a").await.unwrap(), third);
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_no_write() {
    let server = Server::start().await;
    let client = server.client().await;
    let first = client.create(POD, pod("a")).await.unwrap();
    assert_eq!(client.update(POD, first.clone()).await.unwrap(), first);
    let list = client.list(POD, json!({})).await.unwrap();
    assert_eq!(revision(&list), revision(&first), "nothing was written");
}

#[tokio::test]
async fn a_pods_spec_hardly_changes_after_its_creation() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client.create(POD, pod("a")).await.unwrap();
    let image = |image: &str| {
        let mut object = made.clone();
        object["spec"]["containers"][0]["image"] = json!(image);
        merge(object, json!({"metadata": {"resourceVersion": null}}))
    };
    let updated = client.update(POD, image("nginx:1.28")).await.unwrap();
    assert_eq!(updated["spec"]["containers"][0]["image"], "nginx:1.28");
    assert_eq!(updated["metadata"]["generation"], 2);

    let immutable = [
        json!({"spec": {"nodeName": "n1"}}),
        json!({"spec": {"restartPolicy": "Never"}}),
        json!({"spec": {"containers": [{"name": "other", "image": "i"}]}}),
    ];
    for change in immutable {
        let status = refused(
            client.update(POD, merge(updated.clone(), change)).await,
            Code::InvalidArgument,
        );
        assert!(
            violations(&status).iter().any(|f| f.starts_with("spec")),
            "{status}"
        );
    }
    let moved = merge(updated.clone(), json!({"metadata": {"name": "b"}}));
    refused(client.update(POD, moved).await, Code::NotFound);
    assert_eq!(client.get(POD, "", "a").await.unwrap(), updated);
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client.create(POD, pod("a")).await.unwrap();
    let mut both = merge(
        made.clone(),
        json!({"status": {"phase": "Running", "podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]}}),
    );
    both["spec"]["containers"][0]["image"] = json!("changed");

    let status = client.update_status(POD, both.clone()).await.unwrap();
    assert_eq!(status["status"]["phase"], "Running");
    assert_eq!(status["status"]["podIP"], "10.0.0.9");
    assert_eq!(
        status["spec"], made["spec"],
        "a status write leaves the spec"
    );
    assert_eq!(status["metadata"]["generation"], 1);

    both["metadata"]["resourceVersion"] = status["metadata"]["resourceVersion"].clone();
    both["status"] = json!({"phase": "Failed"});
    let spec = client.update(POD, both).await.unwrap();
    assert_eq!(spec["spec"]["containers"][0]["image"], "changed");
    assert_eq!(
        spec["status"], status["status"],
        "a spec write leaves the status"
    );
}

#[tokio::test]
async fn binding_gives_a_pod_to_a_node_once() {
    let server = Server::start().await;
    let client = server.client().await;
    client
        .create(k8shost_tests::NODE, node("n1"))
        .await
        .unwrap();
    let made = client.create(POD, pod("a")).await.unwrap();
    let bind = |request: Value| client.call("PodService/BindPod", request);

    let another =
        json!({"name": "a", "nodeName": "n1", "uid": "00000000-0000-4000-8000-000000000000"});
    refused(bind(another).await, Code::Aborted);
    refused(bind(json!({"name": "a"})).await, Code::InvalidArgument);
    let bound = bind(json!({"name": "a", "nodeName": "n1", "uid": made["metadata"]["uid"]}))
        .await
        .unwrap();
    assert_eq!(bound["pod"]["spec"]["nodeName"], "n1");
    let condition = &bound["pod"]["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("PodScheduled"), &json!("True"))
    );
    assert!(revision(&bound["pod"]) > revision(&made));

    let status = refused(
        bind(json!({"name": "a", "nodeName": "n2"})).await,
        Code::Aborted,
    );
    assert!(
        status.message().contains("already assigned to node \"n1\""),
        "{}",
        status.message()
    );
    assert_eq!(client.get(POD, "", "a").await.unwrap(), bound["pod"]);
}

#[tokio::test]
async fn an_unbound_pod_goes_at_once_and_a_bound_one_waits_for_its_node() {
    let server = Server::start().await;
    let client = server.client().await;
    client.create(POD, pod("unbound")).await.unwrap();
    let gone = client.delete(POD, "", "unbound").await.unwrap();
    assert_eq!(name(&gone), "unbound");
    refused(client.get(POD, "", "unbound").await, Code::NotFound);

    let bound = pod_with("bound", json!({"spec": {"nodeName": "n1"}}));
    let made = client.create(POD, bound.clone()).await.unwrap();
    let marked = client.delete(POD, "", "bound").await.unwrap();
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(!text(&marked, "/metadata/deletionTimestamp").is_empty());
    assert_eq!(marked["metadata"]["generation"], 2);
    assert_eq!(marked["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(client.get(POD, "", "bound").await.unwrap(), marked);

    // A longer period is not taken, a shorter one is.
    let longer = json!({"gracePeriodSeconds": 60});
    assert_eq!(
        client.delete_with(POD, "", "bound", longer).await.unwrap(),
        marked
    );
    let shorter = json!({"gracePeriodSeconds": 5});
    let soon = client.delete_with(POD, "", "bound", shorter).await.unwrap();
    assert_eq!(soon["metadata"]["deletionGracePeriodSeconds"], 5);
    assert!(
        text(&soon, "/metadata/deletionTimestamp") < text(&marked, "/metadata/deletionTimestamp")
    );
    // The name is still taken.
    refused(client.create(POD, bound).await, Code::AlreadyExists);
    // The node's confirmation.
    client
        .delete_with(POD, "", "bound", json!({"gracePeriodSeconds": 0}))
        .await
        .unwrap();
    refused(client.get(POD, "", "bound").await, Code::NotFound);
}

#[tokio::test]
async fn a_bound_pod_that_has_ended_goes_at_once() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client
        .create(POD, pod_with("a", json!({"spec": {"nodeName": "n1"}})))
        .await
        .unwrap();
    client
        .update_status(POD, merge(made, json!({"status": {"phase": "Succeeded"}})))
        .await
        .unwrap();
    client.delete(POD, "", "a").await.unwrap();
    refused(client.get(POD, "", "a").await, Code::NotFound);
}

#[tokio::test]
async fn deletes_have_preconditions() {
    let server = Server::start().await;
    let client = server.client().await;
    let made = client.create(POD, pod("a")).await.unwrap();
    let unless = |over: Value| client.delete_with(POD, "", "a", json!({"preconditions": over}));
    let status = refused(unless(json!({"uid": "nobody"})).await, Code::Aborted);
    assert!(
        status
            .message()
            .contains("the UID in the precondition (nobody)"),
        "{}",
        status.message()
    );
    refused(unless(json!({"resourceVersion": "1"})).await, Code::Aborted);
    assert_eq!(client.get(POD, "", "a").await.unwrap(), made);
    let metadata = &made["metadata"];
    unless(json!({"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}))
        .await
        .unwrap();
    refused(client.get(POD, "", "a").await, Code::NotFound);
}

#[tokio::test]
async fn finalizers_hold_a_deleted_pod() {
    let server = Server::start().await;
    let client = server.client().await;
    let held = pod_with(
        "a",
        json!({"metadata": {"finalizers": ["example.com/one", "example.com/two"]}}),
    );
    client.create(POD, held).await.unwrap();
    let marked = client.delete(POD, "", "a").await.unwrap();
    assert!(!text(&marked, "/metadata/deletionTimestamp").is_empty());

    let with = |finalizers: Value| {
        merge(
            marked.clone(),
            json!({"metadata": {"finalizers": finalizers, "resourceVersion": null}}),
        )
    };
    let more = with(json!([
        "example.com/one",
        "example.com/two",
        "example.com/three"
    ]));
    let status = refused(client.update(POD, more).await, Code::InvalidArgument);
    assert!(
        violations(&status)
            .iter()
            .any(|f| f == "metadata.finalizers"),
        "{status}"
    );
    let one = client
        .update(POD, with(json!(["example.com/one"])))
        .await
        .unwrap();
    assert_eq!(one["metadata"]["finalizers"], json!(["example.com/one"]));
    assert_eq!(
        one["metadata"]["deletionTimestamp"],
        marked["metadata"]["deletionTimestamp"]
    );
    client.update(POD, with(json!([]))).await.unwrap();
    refused(client.get(POD, "", "a").await, Code::NotFound);
}

#[tokio::test]
async fn everything_that_was_sent_comes_back() {
    let server = Server::start().await;
    let client = server.client().await;
    let over = json!({
        "metadata": {
            "labels": {"app": "web", "empty": ""},
            "annotations": {"note": "ä \u{1f600} \"quoted\" \\ \n"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u-1", "controller": true}],
        },
        "spec": {
            "hostNetwork": false,
            "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "nodeSelector": {"disk": "ssd"},
            "containers": [{
                "name": "c", "image": "registry.example.com/web:1",
                "command": ["/bin/web", "--flag="],
                "env": [{"name": "EMPTY"}, {"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "livenessProbe": {"httpGet": {"path": "/live", "port": 8080.0, "scheme": "HTTP"}, "initialDelaySeconds": 1},
                "readinessProbe": {"tcpSocket": {"port": "http"}},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
        },
    });
    let made = client
        .create(POD, pod_with("a", over.clone()))
        .await
        .unwrap();
    assert!(covers(&made, &over), "sent {over}, got {made}");
}

/// Whether everything in `part` is in `whole`.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, value)| whole.get(key).is_some_and(|w| covers(w, value))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() >= part.len() && whole.iter().zip(part).all(|(w, p)| covers(w, p))
        }
        _ => whole == part,
    }
}
