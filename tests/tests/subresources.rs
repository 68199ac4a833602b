//! What is below an object in the REST API, and what is answered without being stored.

use http::{Method, Request, StatusCode};
use k8shost_tests::{MERGE, Rest, Server, http1, pod, revision, text};
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1";
const STRATEGIC: [(&str, &str); 1] = [("content-type", "application/strategic-merge-patch+json")];
const APPLY: [(&str, &str); 1] = [("content-type", "application/apply-patch+yaml")];

#[tokio::test]
async fn replicas_are_read_and_written_by_the_scale() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let deployment = json!({
        "metadata": {"name": "d"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
        },
    });
    let made = rest.post(201, DEPLOYMENTS, deployment).await;
    let (object, path) = (format!("{DEPLOYMENTS}/d"), format!("{DEPLOYMENTS}/d/scale"));
    let scale = rest.get(&path).await;
    let mut metadata = made["metadata"].clone();
    for field in ["generation", "managedFields"] {
        metadata.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(
        scale,
        json!({
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": {"replicas": 2}, "status": {"replicas": 0, "selector": "a=b"},
        })
    );

    let mut new = scale.clone();
    new["spec"]["replicas"] = json!(3);
    let put = rest.expect(200, Method::PUT, &path, Some(&new)).await;
    assert_eq!(put["spec"]["replicas"], 3);
    assert!(revision(&put) > revision(&scale));
    assert!(put["metadata"]["managedFields"].is_null());
    let changed = rest.get(&object).await;
    assert_eq!(changed["spec"]["replicas"], 3);
    assert_eq!(changed["metadata"]["generation"], 2);
    let stale = rest.expect(409, Method::PUT, &path, Some(&new)).await;
    assert_eq!(stale["details"]["kind"], "deployments");
    assert_eq!(stale["details"]["group"], "apps");

    for kind in [&MERGE, &STRATEGIC] {
        let replicas = revision(&changed) % 90;
        let body = json!({"spec": {"replicas": replicas}});
        let patched = rest.patch(200, &path, kind, &body).await;
        assert_eq!(patched["spec"]["replicas"], replicas);
    }
    let json_patch = [("content-type", "application/json-patch+json")];
    let body = json!([{"op": "replace", "path": "/spec/replicas", "value": 6}]);
    rest.patch(200, &path, &json_patch, &body).await;
    assert_eq!(rest.get(&object).await["spec"]["replicas"], 6);

    let body = json!({"spec": {"replicas": -1}});
    let refused = rest.patch(422, &path, &MERGE, &body).await;
    assert_eq!(
        text(&refused, "/message"),
        "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    );
    let missing = rest
        .expect(404, Method::GET, &format!("{DEPLOYMENTS}/none/scale"), None)
        .await;
    assert_eq!(
        text(&missing, "/message"),
        "deployments.apps \"none\" not found"
    );
    rest.expect(405, Method::DELETE, &path, None).await;
    rest.expect(404, Method::GET, &format!("{PODS}/none/scale"), None)
        .await;

    let dry = format!("{path}?dryRun=All");
    let tried = rest
        .patch(200, &dry, &MERGE, &json!({"spec": {"replicas": 50}}))
        .await;
    assert_eq!(tried["spec"]["replicas"], 50);
    assert_eq!(rest.get(&object).await["spec"]["replicas"], 6);

    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let (_, table) = rest.send(Method::GET, &path, &accept, "").await;
    assert_eq!(table["rows"][0]["cells"][1], 6, "{table}");
}

#[tokio::test]
async fn replicas_have_owners_through_the_scale_too() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let controllers = "/api/v1/namespaces/default/replicationcontrollers";
    let controller = json!({
        "metadata": {"name": "r"},
        "spec": {
            "replicas": 1, "selector": {"a": "b"},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
        },
    });
    rest.post(
        201,
        &format!("{controllers}?fieldManager=maker"),
        controller,
    )
    .await;
    let path = format!("{controllers}/r/scale");
    let config = |replicas: i64| {
        json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": {"name": "r"}, "spec": {"replicas": replicas},
        })
    };
    let by = |manager: &str| format!("{path}?fieldManager={manager}");
    let conflict = rest.patch(409, &by("one"), &APPLY, &config(4)).await;
    assert_eq!(conflict["details"]["causes"][0]["field"], ".spec.replicas");
    let forced = format!("{}&force=true", by("one"));
    let applied = rest.patch(200, &forced, &APPLY, &config(4)).await;
    assert_eq!(applied["spec"]["replicas"], 4);
    let object = rest.get(&format!("{controllers}/r")).await;
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let owners: Vec<_> = entries
        .iter()
        .filter(|entry| entry["fieldsV1"]["f:spec"]["f:replicas"].is_object())
        .map(|entry| {
            [
                &entry["manager"],
                &entry["operation"],
                &entry["subresource"],
            ]
        })
        .collect();
    assert_eq!(owners, [[&json!("one"), &json!("Apply"), &json!("scale")]]);
    let told = rest.patch(409, &by("two"), &APPLY, &config(5)).await;
    assert_eq!(
        told["details"]["causes"][0]["message"],
        "conflict with \"one\" with subresource \"scale\""
    );
    rest.patch(200, &by("two"), &APPLY, &config(4)).await;
    let wrong = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "r"}, "spec": {"replicas": "many"},
    });
    let (status, _) = rest
        .send(Method::PATCH, &by("two"), &APPLY, wrong.to_string())
        .await;
    assert!(!status.is_success(), "{status}");
    assert_eq!(rest.get(&path).await["spec"]["replicas"], 4);

    // Nobody owns no replicas, unless it was applied.
    let none = json!({"spec": {"replicas": 0}});
    let stopped = rest.patch(200, &by("three"), &MERGE, &none).await;
    assert_eq!(stopped["spec"], json!({}));
    let object = rest.get(&format!("{controllers}/r")).await;
    assert_eq!(object["spec"]["replicas"], 0);
    let owned = object["metadata"]["managedFields"].to_string();
    assert!(!owned.contains("f:replicas"), "{owned}");
}

#[tokio::test]
async fn a_pod_is_resized_and_bound() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let mut limited = pod("a");
    limited["spec"]["containers"][0]["resources"] =
        json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}});
    let made = rest.post(201, PODS, limited).await;
    let container = text(&made, "/spec/containers/0/name").to_owned();
    let path = format!("{PODS}/a/resize");
    assert_eq!(rest.get(&path).await, made);
    let body = |resources: Value| json!({"spec": {"containers": [{"name": container, "resources": resources}]}});
    let more = body(json!({"requests": {"cpu": "1500m"}}));
    let resized = rest.patch(200, &path, &STRATEGIC, &more).await;
    assert_eq!(
        resized["spec"]["containers"][0]["resources"],
        json!({"requests": {"cpu": "1500m"}, "limits": {"cpu": "2"}})
    );
    assert_eq!(resized["metadata"]["generation"], 2);
    let entries = resized["metadata"]["managedFields"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["subresource"] == "resize"));
    let less = body(json!({"limits": null}));
    let refused = rest.patch(422, &path, &STRATEGIC, &less).await;
    assert_eq!(
        text(&refused, "/details/causes/0/message"),
        "Forbidden: resource limits cannot be removed"
    );

    let debugger = json!({"spec": {"ephemeralContainers": [{"name": "dbg", "image": "busybox"}]}});
    let path = format!("{PODS}/a/ephemeralcontainers");
    let added = rest.patch(200, &path, &STRATEGIC, &debugger).await;
    assert_eq!(added["spec"]["ephemeralContainers"][0]["name"], "dbg");

    let bindings = "/api/v1/namespaces/default/bindings";
    let to = |name: &str, target: Value| json!({"metadata": {"name": name}, "target": target});
    let node = json!({"kind": "Node", "name": "n1"});
    for (body, status, words) in [
        (to("", node.clone()), 400, "Name parameter required."),
        (to("none", node.clone()), 404, "pods \"none\" not found"),
        (to("a", json!({})), 500, "target.name: Required value"),
        (
            to("a", json!({"kind": "Foo", "name": "n1"})),
            500,
            "target.kind: Unsupported value: \"Foo\": supported values: \"Node\", \"<empty>\"",
        ),
        (
            json!({"metadata": {"name": "a", "namespace": "other"}, "target": node}),
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
    ] {
        let refused = rest.post(status, bindings, body).await;
        assert_eq!(text(&refused, "/message"), words);
    }
    let done = rest.post(201, bindings, to("a", node.clone())).await;
    assert_eq!(done["status"], "Success");
    assert_eq!(
        rest.get(&format!("{PODS}/a")).await["spec"]["nodeName"],
        "n1"
    );
    let again = rest
        .post(409, &format!("{PODS}/a/binding"), to("a", node.clone()))
        .await;
    assert_eq!(
        again["details"],
        json!({"kind": "pods/binding", "name": "a"})
    );
    rest.post(400, &format!("{PODS}/a/binding"), to("b", node))
        .await;
    rest.expect(405, Method::GET, bindings, None).await;
}

#[tokio::test]
async fn what_only_kubelets_and_pods_serve_is_answered_without_them() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    rest.post(201, PODS, pod("free")).await;
    rest.run_pod("bound").await;
    let told = async |status: u16, path: &str| -> String {
        let answer = rest.expect(status, Method::GET, path, None).await;
        text(&answer, "/message").to_owned()
    };
    let of = |path: &str| format!("{PODS}/{path}");
    rest.expect(204, Method::GET, &of("free/log"), None).await;
    for (path, status, words) in [
        ("none/log", 404, "pods \"none\" not found"),
        ("bound/log", 404, "pods \"n1\" not found"),
        (
            "free/log?container=no",
            400,
            "container no is not valid for pod free",
        ),
        (
            "free/log?tailLines=-1",
            422,
            "PodLogOptions \"free\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
        ),
        ("none/exec", 404, "pods \"none\" not found"),
        ("free/exec", 400, "pod free does not have a host assigned"),
        ("free/attach", 400, "pod free does not have a host assigned"),
        (
            "free/portforward",
            400,
            "pod free does not have a host assigned",
        ),
        ("bound/exec", 404, "pods \"n1\" not found"),
        ("none/proxy", 404, "pods \"none\" not found"),
        ("free/proxy/a/b", 400, "address not allowed"),
        ("a:b:c:d/proxy", 400, "invalid pod request \"a:b:c:d\""),
    ] {
        assert_eq!(told(status, &of(path)).await, words, "{path}");
    }
    rest.expect(405, Method::POST, &of("free/log"), None).await;
    let none = "no preferred addresses found; known addresses: []";
    rest.post(201, "/api/v1/nodes", json!({"metadata": {"name": "n1"}}))
        .await;
    assert_eq!(told(500, &of("bound/log")).await, none);
    assert_eq!(told(500, "/api/v1/nodes/n1/proxy/metrics").await, none);
    let address = json!({"status": {"addresses": [{"type": "InternalIP", "address": "10.1.2.3"}]}});
    rest.patch(200, "/api/v1/nodes/n1/status", &MERGE, &address)
        .await;
    let log = told(500, &of("bound/log")).await;
    assert!(
        log.starts_with("Get \"https://10.1.2.3:10250/containerLogs/default/bound/"),
        "{log}"
    );
    assert_eq!(
        told(400, &of("bound/exec")).await,
        "Upgrade request required"
    );
    let upgrade = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let path = of("bound/exec?command=ls");
    let (status, answer) = rest.send(Method::POST, &path, &upgrade, "").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text(&answer, "/message").starts_with("error dialing backend: "));
    let node = told(503, "/api/v1/nodes/n1/proxy/metrics").await;
    assert!(
        node.starts_with("error trying to reach service: "),
        "{node}"
    );

    let services = "/api/v1/namespaces/default/services";
    let service = json!({
        "metadata": {"name": "s"},
        "spec": {"ports": [{"name": "web", "port": 80}], "selector": {"a": "b"}},
    });
    rest.post(201, services, service).await;
    let of = |path: &str| format!("{services}/{path}");
    assert_eq!(told(404, &of("s/proxy")).await, "services \"s\" not found");
    let no_port = told(503, &of("s:81/proxy")).await;
    assert_eq!(no_port, "no service port 81 found for service \"s\"");
    let endpoints = "/api/v1/namespaces/default/endpoints";
    let subsets = json!([{
        "addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "web", "port": 80}],
    }]);
    let body = json!({"metadata": {"name": "s"}, "subsets": subsets});
    rest.post(201, endpoints, body).await;
    let none = told(503, &of("s:other/proxy")).await;
    assert_eq!(none, "no endpoints available for service \"s:other\"");
    for name in ["s:web", "s:80", "https:s:web"] {
        let words = told(503, &of(&format!("{name}/proxy/x"))).await;
        assert!(
            words.starts_with("error trying to reach service: "),
            "{words}"
        );
    }
}

#[tokio::test]
async fn reviews_are_answered_and_not_stored() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let attributes = json!({"verb": "get", "resource": "pods", "namespace": "default"});
    for (resource, spec) in [
        (
            "selfsubjectaccessreviews",
            json!({"resourceAttributes": attributes}),
        ),
        (
            "subjectaccessreviews",
            json!({"user": "u", "nonResourceAttributes": {"path": "/", "verb": "get"}}),
        ),
        (
            "namespaces/default/localsubjectaccessreviews",
            json!({"user": "u", "resourceAttributes": attributes}),
        ),
    ] {
        let path = format!("{REVIEWS}/{resource}");
        let answer = rest.post(201, &path, json!({"spec": spec})).await;
        assert_eq!(answer["status"], json!({"allowed": true}), "{path}");
        assert_eq!(answer["spec"], spec);
        rest.expect(405, Method::GET, &path, None).await;
    }
    let path = format!("{REVIEWS}/selfsubjectaccessreviews");
    let refused = rest.post(422, &path, json!({})).await;
    assert_eq!(refused["details"]["group"], "authorization.k8s.io");
    assert_eq!(
        text(&refused, "/details/causes/0/field"),
        "spec.resourceAttributes"
    );
    let strict = format!("{path}?fieldValidation=Strict");
    rest.post(400, &strict, json!({"spec": {"nope": 1}})).await;
    let local = format!("{REVIEWS}/namespaces/default/localsubjectaccessreviews");
    let spec = json!({"user": "u", "resourceAttributes": {"namespace": "other"}});
    let refused = rest.post(422, &local, json!({"spec": spec})).await;
    assert!(text(&refused, "/message").ends_with("must match metadata.namespace"));
    let rules = format!("{REVIEWS}/selfsubjectrulesreviews");
    let answer = rest
        .post(201, &rules, json!({"spec": {"namespace": "default"}}))
        .await;
    assert_eq!(answer["status"]["resourceRules"][0]["verbs"], json!(["*"]));
    rest.post(400, &rules, json!({})).await;

    let authentication = "/apis/authentication.k8s.io/v1";
    let path = format!("{authentication}/selfsubjectreviews");
    let answer = rest.post(201, &path, json!({})).await;
    assert_eq!(
        answer["status"]["userInfo"],
        json!({"username": "system:anonymous", "groups": ["system:unauthenticated"]})
    );
    assert!(answer["metadata"]["creationTimestamp"].is_string());
    let path = format!("{authentication}/tokenreviews");
    let answer = rest.post(201, &path, json!({"spec": {"token": "x"}})).await;
    assert_eq!(answer["kind"], "TokenReview");
    assert_eq!(
        answer["status"],
        json!({"user": {}, "error": "invalid bearer token"})
    );
    rest.post(400, &path, json!({})).await;

    // As messages, for those who take nothing else.
    let protobuf = "application/vnd.kubernetes.protobuf";
    for (method, path, body, kind) in [
        (
            Method::POST,
            path.as_str(),
            r#"{"spec": {"token": "x"}}"#,
            "TokenReview",
        ),
        (
            Method::GET,
            "/api/v1/componentstatuses",
            "",
            "ComponentStatusList",
        ),
        (
            Method::GET,
            "/api/v1/componentstatuses/store",
            "",
            "ComponentStatus",
        ),
    ] {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header("content-type", "application/json")
            .header("accept", protobuf);
        let answer = http1(server.address(), request, body.to_owned().into()).await;
        assert_eq!(
            answer.headers["content-type"],
            protobuf,
            "{}",
            answer.text()
        );
        assert!(answer.body.starts_with(b"k8s\0"), "{path}");
        assert!(answer.text().contains(kind), "{path}");
    }
}

#[tokio::test]
async fn what_kubernetes_calls_deprecated_is_warned_of() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let components = rest.get("/api/v1/componentstatuses").await;
    assert_eq!(components["kind"], "ComponentStatusList");
    let name = text(&components, "/items/0/metadata/name");
    let one = rest.get(&format!("/api/v1/componentstatuses/{name}")).await;
    assert_eq!(
        one["conditions"],
        json!([{"type": "Healthy", "status": "True", "message": "ok"}])
    );
    let none = "/api/v1/componentstatuses?labelSelector=a%3Db";
    assert_eq!(rest.get(none).await["items"], json!([]));
    rest.expect(405, Method::POST, "/api/v1/componentstatuses", None)
        .await;
    let endpoints = "/api/v1/namespaces/default/endpoints";
    for (path, words) in [
        (
            "/api/v1/componentstatuses",
            "v1 ComponentStatus is deprecated in v1.19+",
        ),
        (
            endpoints,
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        ),
        (
            &format!("{endpoints}/none"),
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        ),
    ] {
        let answer = http1(server.address(), Request::get(path), "".into()).await;
        let warning = answer.headers["warning"].to_str().unwrap();
        assert_eq!(warning, format!("299 - \"{words}\""), "{path}");
    }
}

/// Each subresource that is told of is served.
#[tokio::test]
async fn what_is_told_of_is_there() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let mut versions = vec!["/api/v1".to_owned()];
    let groups = rest.get("/apis").await;
    for group in groups["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            versions.push(format!("/apis/{}", text(version, "/groupVersion")));
        }
    }
    let mut told = Vec::new();
    for version in versions {
        let list = rest.get(&version).await;
        for resource in list["resources"].as_array().unwrap() {
            let name = text(resource, "/name");
            let namespaced = resource["namespaced"] == true;
            let place = if namespaced {
                "/namespaces/default"
            } else {
                ""
            };
            let path = match name.split_once('/') {
                Some((resource, below)) => format!("{version}{place}/{resource}/none/{below}"),
                None => format!("{version}{place}/{name}"),
            };
            // Of a method that there is not, Kubernetes says so only where there is something.
            let (status, answer) = rest.send(Method::OPTIONS, &path, &[], "").await;
            let is_proxy = name.ends_with("/proxy");
            let expected = if is_proxy {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::METHOD_NOT_ALLOWED
            };
            assert_eq!(status, expected, "{path}: {answer}");
            assert_eq!(answer["kind"], "Status", "{path}");
            told.push(name.to_owned());
        }
    }
    for name in [
        "bindings",
        "componentstatuses",
        "deployments/scale",
        "namespaces/finalize",
        "nodes/proxy",
        "pods/eviction",
        "pods/exec",
        "pods/log",
        "pods/resize",
        "serviceaccounts/token",
        "services/proxy",
        "tokenreviews",
        "certificatesigningrequests/approval",
        "selfsubjectrulesreviews",
    ] {
        assert!(told.iter().any(|one| one == name), "{name} is not told of");
    }
}

#[tokio::test]
async fn finalizers_of_a_namespace_are_put_and_nothing_else_is_done_with_them() {
    let server = Server::start().await;
    let rest = Rest::of_server(&server).await;
    let path = "/api/v1/namespaces/held/finalize";
    let body = |finalizers: Value| json!({"metadata": {"name": "held"}, "spec": {"finalizers": finalizers}});
    rest.expect(404, Method::PUT, path, Some(&body(json!(["kubernetes"]))))
        .await;
    let namespace = json!({"metadata": {"name": "held"}});
    rest.post(201, "/api/v1/namespaces", namespace).await;
    let both = json!(["kubernetes", "x.io/y"]);
    let put = rest
        .expect(200, Method::PUT, path, Some(&body(both.clone())))
        .await;
    assert_eq!(put["spec"]["finalizers"], both);
    let entries = put["metadata"]["managedFields"].as_array().unwrap();
    assert!(
        entries
            .iter()
            .any(|entry| entry["subresource"] == "finalize")
    );
    let refused = rest
        .expect(422, Method::PUT, path, Some(&body(json!(["Bad"]))))
        .await;
    assert_eq!(
        text(&refused, "/details/causes/0/field"),
        "spec.finalizers[0]"
    );
    rest.expect(405, Method::GET, path, None).await;
    rest.patch(405, path, &MERGE, &body(both)).await;
}
