//! The REST API: the same objects as through gRPC, in Kubernetes' own form.

use http::{Method, Request, StatusCode};
use k8shost_tests::{MERGE, POD, Rest, Server, http1, merge, names, pod, revision, text};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name}, "data": {"k": "v"},
    })
}

#[tokio::test]
async fn an_object_is_made_read_changed_and_deleted() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let made = rest
        .expect(201, Method::POST, MAPS, Some(&config_map("a")))
        .await;
    let path = format!("{MAPS}/a");
    assert_eq!(rest.get(&path).await, made);
    assert_eq!(made["kind"], "ConfigMap");
    assert!(!text(&made, "/metadata/uid").is_empty());

    let mut new = made.clone();
    new["data"]["k"] = json!("w");
    let changed = rest.expect(200, Method::PUT, &path, Some(&new)).await;
    assert!(revision(&changed) > revision(&made));
    let stale = rest.expect(409, Method::PUT, &path, Some(&new)).await;
    assert_eq!(stale["reason"], "Conflict");

    let patch = r#"{"data": {"k": null, "l": "x"}, "metadata": {"labels": {"a": "b"}}}"#;
    let (status, patched) = rest.send(Method::PATCH, &path, &MERGE, patch).await;
    assert_eq!(status, StatusCode::OK, "{patched}");
    assert_eq!(patched["data"], json!({"l": "x"}));
    assert_eq!(patched["metadata"]["labels"]["a"], "b");

    rest.expect(200, Method::DELETE, &path, None).await;
    let gone = rest.expect(404, Method::GET, &path, None).await;
    assert_eq!(
        gone,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "configmaps \"a\" not found", "reason": "NotFound", "code": 404,
            "details": {"kind": "configmaps", "name": "a"},
        })
    );
}

/// Updates of one object at the same time that do not say which version they are of: each is decided on again when
/// another one was faster, with the object as it was sent, and none is refused.
#[tokio::test]
async fn unconditional_updates_at_the_same_time_are_all_carried_out() {
    const WRITERS: usize = 16;
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    rest.post(201, MAPS, config_map("a")).await;
    let path = format!("{MAPS}/a");
    let client = server.client().await;
    let mut made = client.create(POD, pod("a")).await.expect("created");
    made["metadata"]["resourceVersion"] = json!("");
    for round in 0..8 {
        let work = (0..WRITERS).map(|writer| {
            let (rest, client, path, mut pod) = (&rest, &client, &path, made.clone());
            let value = format!("{round}-{writer}");
            async move {
                let mut map = config_map("a");
                map["data"] = json!({ "k": value });
                let changed = rest.expect(200, Method::PUT, path, Some(&map)).await;
                assert_eq!(changed["data"], json!({ "k": value }));

                pod["metadata"]["annotations"] = json!({ "k": value });
                let changed = client.update(POD, pod).await.expect("updated");
                assert_eq!(changed["metadata"]["annotations"]["k"], *value);
                value
            }
        });
        let values = futures::future::join_all(work).await;
        let last = rest.get(&path).await;
        assert!(values.iter().any(|value| last["data"]["k"] == **value));
        assert_eq!(last["metadata"]["managedFields"][0]["operation"], "Update");
    }
}

#[tokio::test]
async fn a_deletion_waits_for_its_propagation() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    for (name, query, finalizer) in [
        ("a", "propagationPolicy=Foreground", "foregroundDeletion"),
        ("b", "propagationPolicy=Orphan", "orphan"),
        ("c", "orphanDependents=true", "orphan"),
    ] {
        let path = format!("{MAPS}/{name}");
        rest.expect(201, Method::POST, MAPS, Some(&config_map(name)))
            .await;
        let marked = format!("{path}?{query}");
        rest.expect(200, Method::DELETE, &marked, None).await;
        let found = rest.get(&path).await;
        assert_eq!(found["metadata"]["finalizers"], json!([finalizer]));
        assert!(!text(&found, "/metadata/deletionTimestamp").is_empty());
        let free = r#"{"metadata": {"finalizers": null}}"#;
        let (status, _) = rest.send(Method::PATCH, &path, &MERGE, free).await;
        assert_eq!(status, StatusCode::OK);
        rest.expect(404, Method::GET, &path, None).await;
    }
    rest.expect(201, Method::POST, MAPS, Some(&config_map("d")))
        .await;
    for wrong in [
        "propagationPolicy=Sideways",
        "propagationPolicy=Orphan&orphanDependents=true",
    ] {
        let path = format!("{MAPS}/d?{wrong}");
        rest.expect(422, Method::DELETE, &path, None).await;
    }
    let path = format!("{MAPS}/d?propagationPolicy=Background");
    let done = rest.expect(200, Method::DELETE, &path, None).await;
    assert_eq!(done["status"], "Success");
}

/// An object without what only one of gRPC and REST tells.
fn plain(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        metadata.remove("orgId");
        metadata.remove("projectId");
    }
    object
}

#[tokio::test]
async fn rest_and_grpc_show_the_same_objects() {
    let server = Server::start().await;
    let (rest, client) = (Rest::of_server(&server).await, server.client().await);
    let made = rest.expect(201, Method::POST, PODS, Some(&pod("a"))).await;
    let manager = &made["metadata"]["managedFields"][0]["manager"];
    assert_eq!(manager, "unknown", "{made}");
    let found = client.get(POD, "default", "a").await.unwrap();
    assert_eq!(found["metadata"].get("managedFields"), None);
    assert_eq!(plain(found), plain(made));
    let other = client.create(POD, pod("b")).await.unwrap();
    let found = rest.get(&format!("{PODS}/b")).await;
    assert_eq!(plain(found), plain(other));
    let list = rest.get(PODS).await;
    assert_eq!(list["kind"], "PodList");
    assert_eq!(names(&list), ["a", "b"]);
    for item in list["items"].as_array().unwrap() {
        assert!(item["kind"].is_null() && item["apiVersion"].is_null());
    }
    let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let path = format!("{PODS}/a/status");
    let (status, _) = rest
        .send(Method::PATCH, &path, &MERGE, ready.to_string())
        .await;
    assert_eq!(status, StatusCode::OK);
    let found = client.get(POD, "default", "a").await.unwrap();
    assert_eq!(found["status"]["conditions"][0]["type"], "Ready");
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"},
    });
    let path = format!("{PODS}/a/binding");
    rest.expect(201, Method::POST, &path, Some(&binding)).await;
    assert_eq!(
        rest.get(&format!("{PODS}/a")).await["spec"]["nodeName"],
        "n1"
    );
}

#[tokio::test]
async fn patches_of_each_kind_are_applied_along_the_schema() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let made = merge(pod("a"), json!({"metadata": {"labels": {"a": "1"}}}));
    rest.expect(201, Method::POST, PODS, Some(&made)).await;
    let path = format!("{PODS}/a");
    for (kind, patch) in [
        (
            "strategic-merge-patch",
            json!({"spec": {"containers": [{"name": "c", "image": "nginx:1.28"}]}}),
        ),
        ("merge-patch", json!({"metadata": {"labels": {"b": "2"}}})),
        (
            "json-patch",
            json!([{"op": "remove", "path": "/metadata/labels/a"}]),
        ),
    ] {
        let media = format!("application/{kind}+json");
        let headers = [("content-type", media.as_str())];
        let (status, answer) = rest
            .send(Method::PATCH, &path, &headers, patch.to_string())
            .await;
        assert_eq!(status, StatusCode::OK, "{kind}: {answer}");
    }
    let found = rest.get(&path).await;
    let containers = found["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0]["image"], "nginx:1.28");
    assert_eq!(found["metadata"]["labels"], json!({"b": "2"}));
    let other = [("content-type", "application/other-patch+json")];
    let (status, _) = rest.send(Method::PATCH, &path, &other, "{}").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn unknown_fields_are_left_out_and_told_of() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let json = [("content-type", "application/json")];
    let body = r#"{"metadata": {"name": "a"}, "data": {"k": "v"}, "nope": 1}"#;
    let strict = format!("{MAPS}?fieldValidation=Strict");
    let (status, answer) = rest.send(Method::POST, &strict, &json, body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = text(&answer, "/message");
    assert!(message.contains(r#"unknown field "nope""#), "{message}");
    let request = Request::post(MAPS).header("content-type", "application/json");
    let answer = http1(server.address(), request, body.into()).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(
        answer.headers["warning"],
        r#"299 - "unknown field \"nope\"""#
    );
    let found = rest.get(&format!("{MAPS}/a")).await;
    assert!(found["nope"].is_null(), "{found}");
    let yaml = [("content-type", "application/yaml")];
    let body = "metadata:\n  name: b\ndata:\n  k: v\n";
    let (status, _) = rest.send(Method::POST, MAPS, &yaml, body).await;
    assert_eq!(status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_is_served_is_told_and_shown_as_a_table() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let core = rest.get("/api/v1").await;
    let resources = core["resources"].as_array().unwrap();
    for name in ["pods", "pods/status", "pods/binding", "configmaps"] {
        assert!(resources.iter().any(|r| r["name"] == name), "no {name}");
    }
    let token = resources
        .iter()
        .find(|r| r["name"] == "serviceaccounts/token");
    assert_eq!(
        token,
        Some(&json!({
            "name": "serviceaccounts/token", "singularName": "", "namespaced": true,
            "group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest", "verbs": ["create"],
        }))
    );
    let groups = rest.get("/apis").await;
    assert_eq!(groups["kind"], "APIGroupList");
    for group in groups["groups"].as_array().unwrap() {
        let version = text(group, "/preferredVersion/groupVersion");
        let list = rest.get(&format!("/apis/{version}")).await;
        for resource in list["resources"].as_array().unwrap() {
            let name = text(resource, "/name");
            let verbs = resource["verbs"].as_array().unwrap();
            if verbs.contains(&json!("list")) {
                let list = rest.get(&format!("/apis/{version}/{name}")).await;
                assert_eq!(list["kind"], format!("{}List", text(resource, "/kind")));
            }
        }
    }
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let headers = [("accept", accept)];
    let (_, all) = rest.send(Method::GET, "/apis", &headers, "").await;
    assert_eq!(all["kind"], "APIGroupDiscoveryList");

    rest.expect(201, Method::POST, PODS, Some(&pod("a"))).await;
    let headers = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let (_, table) = rest.send(Method::GET, PODS, &headers, "").await;
    assert_eq!(table["kind"], "Table");
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(
        cells[..4],
        [json!("a"), json!("0/1"), json!("Pending"), json!("0")]
    );
}

#[tokio::test]
async fn lists_have_pages_and_selectors() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    for number in 0..5 {
        let parity = if number % 2 == 0 { "even" } else { "odd" };
        let labels = json!({"metadata": {"labels": {"n": parity}}});
        let object = merge(config_map(&format!("c{number}")), labels);
        rest.expect(201, Method::POST, MAPS, Some(&object)).await;
    }
    let page = rest.get(&format!("{MAPS}?limit=2")).await;
    assert_eq!(names(&page), ["c0", "c1"]);
    assert_eq!(page["metadata"]["remainingItemCount"], 3);
    let token = text(&page, "/metadata/continue");
    let page = rest.get(&format!("{MAPS}?limit=9&continue={token}")).await;
    assert_eq!(names(&page), ["c2", "c3", "c4"]);
    let odd = rest.get(&format!("{MAPS}?labelSelector=n%3Dodd")).await;
    assert_eq!(names(&odd), ["c1", "c3"]);
    let one = format!("{MAPS}?fieldSelector=metadata.name%3Dc4");
    assert_eq!(names(&rest.get(&one).await), ["c4"]);
    let wrong = format!("{MAPS}?limit=x");
    rest.expect(400, Method::GET, &wrong, None).await;
    let deleted = format!("{MAPS}?labelSelector=n%3Dodd");
    let deleted = rest.expect(200, Method::DELETE, &deleted, None).await;
    assert_eq!(names(&deleted), ["c1", "c3"]);
    assert_eq!(names(&rest.get(MAPS).await), ["c0", "c2", "c4"]);
}

#[tokio::test]
async fn a_watch_is_a_stream_of_lines_that_ends_in_time() {
    let server = Server::with(&["--bookmark-interval", "200ms"]).await;
    let rest = Rest::of_server(&server).await;
    rest.expect(201, Method::POST, MAPS, Some(&config_map("a")))
        .await;
    let start = revision(&rest.get(MAPS).await);
    let path = format!("{MAPS}?watch=1&resourceVersion={start}&timeoutSeconds=2");
    let mut watch = rest.watch(&path).await;
    let b = rest
        .expect(201, Method::POST, MAPS, Some(&config_map("b")))
        .await;
    assert_eq!(watch.expect("ADDED", "b").await, b);
    let path = format!("{MAPS}/a");
    let (_, patched) = rest
        .send(Method::PATCH, &path, &MERGE, r#"{"data": {"k": "w"}}"#)
        .await;
    assert_eq!(watch.expect("MODIFIED", "a").await, patched);
    rest.expect(200, Method::DELETE, &path, None).await;
    let gone = watch.expect("DELETED", "a").await;
    assert!(revision(&gone) > revision(&patched));
    assert_eq!(watch.next().await, None, "its time is over");

    let path = format!(
        "{MAPS}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    );
    let mut watch = rest.watch(&path).await;
    watch.expect("ADDED", "b").await;
    let end = watch.expect("BOOKMARK", "").await;
    let annotations = &end["metadata"]["annotations"];
    assert_eq!(annotations["k8s.io/initial-events-end"], "true");
    watch.expect("BOOKMARK", "").await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_status() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let json = [("content-type", "application/json")];
    for (method, path, headers, body, status) in [
        (Method::POST, MAPS, &json[..], "{", 400),
        (Method::POST, MAPS, &json[..], "[]", 400),
        (
            Method::POST,
            MAPS,
            &[("content-type", "text/plain")][..],
            "{}",
            415,
        ),
        (
            Method::POST,
            MAPS,
            &json[..],
            r#"{"metadata": {"name": "A"}}"#,
            422,
        ),
        (Method::POST, PODS, &json[..], r#"{"kind": "Service"}"#, 400),
        (
            Method::POST,
            "/api/v1/pods",
            &json[..],
            r#"{"metadata": {"name": "a"}}"#,
            405,
        ),
        (Method::PUT, PODS, &json[..], "{}", 405),
        (
            Method::GET,
            "/api/v1/namespaces/default/nodes",
            &[][..],
            "",
            404,
        ),
        (Method::GET, "/api/v1/widgets", &[][..], "", 404),
        (Method::GET, "/apis/apps/v2/deployments", &[][..], "", 404),
        (Method::GET, "/nope", &[][..], "", 404),
        (Method::GET, MAPS, &[("accept", "text/html")][..], "", 406),
        (
            Method::POST,
            MAPS,
            &[("accept", "text/html")][..],
            r#"{"metadata": {"name": "m"}}"#,
            406,
        ),
        (
            Method::GET,
            "/api/v1/pods?resourceVersion=x",
            &[][..],
            "",
            400,
        ),
    ] {
        let (found, answer) = rest.send(method.clone(), path, headers, body).await;
        assert_eq!(found.as_u16(), status, "{method} {path} {body}: {answer}");
        if answer.is_object() {
            assert_eq!(answer["kind"], "Status", "{answer}");
            assert_eq!(answer["code"], status, "{answer}");
        }
    }
    let large = format!(r#"{{"data": {{"k": "{}"}}}}"#, "x".repeat(4 << 20));
    let (found, _) = rest.send(Method::POST, MAPS, &json, large).await;
    assert_eq!(found, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(names(&rest.get(MAPS).await), [""; 0]);
}

/// Each verb, at each place where another tenant's object might be found.
#[tokio::test]
async fn a_project_has_its_own_objects_and_no_other() {
    let server = Server::start().await;
    let (rest, client) = (Rest::of_server(&server).await, server.client().await);
    client.make_tenant("acme", "web").await;
    client.make_tenant("acme", "shop").await;
    let (web, shop) = (rest.of("acme", "web"), rest.of("acme", "shop"));
    let made = web
        .expect(201, Method::POST, MAPS, Some(&config_map("theirs")))
        .await;
    let path = format!("{MAPS}/theirs");
    let start = revision(&shop.get(MAPS).await);
    let mut watch = shop
        .watch(&format!("{MAPS}?watch=1&resourceVersion={start}"))
        .await;
    for other in [&shop, &rest] {
        other.expect(404, Method::GET, &path, None).await;
        other.expect(404, Method::PUT, &path, Some(&made)).await;
        other.expect(404, Method::DELETE, &path, None).await;
        let (status, _) = other.send(Method::PATCH, &path, &MERGE, "{}").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(names(&other.get(MAPS).await), [""; 0]);
        let all = other.expect(200, Method::DELETE, MAPS, None).await;
        assert_eq!(names(&all), [""; 0]);
    }
    shop.expect(201, Method::POST, MAPS, Some(&config_map("ours")))
        .await;
    watch.expect("ADDED", "ours").await;
    assert_eq!(web.get(&path).await, made);
    for nobody in [rest.of("acme", "nope"), rest.of("nope", "web")] {
        for method in [Method::GET, Method::DELETE] {
            nobody.expect(404, method, &path, None).await;
        }
        let create = Some(config_map("x"));
        nobody
            .expect(404, Method::POST, MAPS, create.as_ref())
            .await;
    }
}
