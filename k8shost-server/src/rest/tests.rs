//! A kind that is made at run time, through the REST face: all of it works as for built-in kinds, and only in the
//! project that has it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use k8shost_store::{
    env::SystemEnv,
    log::{self, Engine},
    memory::MemoryKv,
};
use k8shost_types::{
    addresses::ServiceNetwork,
    custom::Custom,
    kinds::{CUSTOM_VERBS, Kind, Subresource, UPDATE_VERBS},
    table::custom::{CustomColumn, CustomColumns},
    tenant::TenantName,
};
use serde_json::{Value, json};
use tonic::body::Body;

use super::Face;
use crate::{
    health::Health,
    metrics::Metrics,
    readiness,
    registry::{Context, own::OwnKinds},
    shutdown::{self, Trigger},
    tenancy::{ServerSchema, Tenancy},
};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

/// A server in memory with the projects `acme/web`, which has widgets, and `acme/shop`, which has none.
struct Server {
    face: Face,
    tenancy: Tenancy,
    engine: Engine,
    _trigger: Trigger,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).unwrap().as_str().unwrap()
    }
}

fn web() -> TenantName {
    TenantName::new("acme", "web").unwrap()
}

fn widgets() -> Custom {
    let kind = Kind {
        group: "example.com".into(),
        version: "v1".into(),
        kind: "Widget".into(),
        list_kind: "WidgetList".into(),
        plural: "widgets".into(),
        singular: "widget".into(),
        namespaced: true,
        short_names: vec!["wd".into()].into(),
        categories: vec!["all".into()].into(),
        verbs: CUSTOM_VERBS,
        subresources: vec![Subresource {
            name: "status".into(),
            group: "".into(),
            version: "".into(),
            kind: "Widget".into(),
            verbs: UPDATE_VERBS,
        }]
        .into(),
        custom: true,
    };
    let schema = json!({
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 0, "maximum": 20},
                    "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                    "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "items": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k"],
                        "items": {
                            "type": "object",
                            "required": ["k"],
                            "properties": {"k": {"type": "string"}, "v": {"type": "string"}},
                        },
                    },
                },
            },
            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
        },
    });
    let column = CustomColumn::from_json(
        &json!({"name": "Size", "type": "integer", "jsonPath": ".spec.size"}),
    );
    let columns = CustomColumns::new(vec![column]).unwrap();
    Custom::new(kind, &schema, columns).unwrap()
}

impl Server {
    async fn start() -> Self {
        let network = ServiceNetwork::default();
        let schema = Arc::new(ServerSchema::new(&network));
        let engine = Engine::new(
            Arc::new(MemoryKv::new()),
            Arc::new(SystemEnv::new(tokio::runtime::Handle::current())),
            schema.clone(),
            log::Config::default(),
        );
        let context = Arc::new(Context {
            network,
            bookmark_interval: std::time::Duration::from_secs(60),
            own: OwnKinds::default(),
        });
        let tenancy = Tenancy::new(engine.clone(), &schema, context);
        tenancy.prepare().await.unwrap();
        tenancy.create_organization("acme").await.unwrap();
        for project in ["web", "shop"] {
            tenancy.create_project("acme", project).await.unwrap();
        }
        tenancy.define(&web(), vec![widgets().strategy()]);
        let (trigger, shutdown) = shutdown::channel();
        let (_, readiness) = readiness::channel("it is a test");
        let health = Health {
            shutdown,
            readiness,
        };
        Self {
            face: Face::new(tenancy.clone(), Arc::new(Metrics::new()), health),
            tenancy,
            engine,
            _trigger: trigger,
        }
    }

    async fn send(&self, request: http::request::Builder, body: &Value) -> http::Response<Body> {
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        self.face
            .answer(request.body(Full::new(body)).unwrap())
            .await
    }

    /// A request to the project `acme/web`.
    async fn call(&self, method: &str, path: &str, kind: &str, body: Value) -> Answer {
        self.ask("web", method, path, [kind, JSON], body).await
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        self.ask("web", "GET", path, [JSON, accept], Value::Null)
            .await
    }

    async fn ask(
        &self,
        project: &str,
        method: &str,
        path: &str,
        [content, accept]: [&str; 2],
        body: Value,
    ) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/orgs/acme/projects/{project}{path}"))
            .header(header::CONTENT_TYPE, content)
            .header(header::ACCEPT, accept);
        let (head, body) = self.send(request, &body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = || Value::from(String::from_utf8_lossy(&body));
        Answer {
            status: head.status,
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or_else(|_| text()),
        }
    }

    /// A watch of the project `acme/web`.
    async fn watch(&self, path: &str) -> Events {
        let request = Request::builder().uri(format!("/orgs/acme/projects/web{path}"));
        let response = self.send(request, &Value::Null).await;
        assert_eq!(response.status(), StatusCode::OK);
        Events(response.into_body())
    }
}

struct Events(Body);

impl Events {
    /// The next event: its type, the object's name, and the object.
    async fn next(&mut self) -> (String, String, Value) {
        let frame = tokio::time::timeout(std::time::Duration::from_secs(20), self.0.frame());
        let frame = frame.await.expect("an event comes").unwrap().unwrap();
        let mut event: Value = serde_json::from_slice(&frame.into_data().unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = event["object"].take();
        (
            text(&event["type"]),
            text(&object["metadata"]["name"]),
            object,
        )
    }
}

fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn objects_are_made_read_changed_and_deleted() {
    let server = Server::start().await;
    let given = widget("a", json!({"size": 5, "nonsense": 1, "any": {"deep": [1]}}));
    let made = server.call("POST", WIDGETS, JSON, given.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(
        made.body["spec"],
        json!({"size": 5, "color": "red", "any": {"deep": [1]}})
    );
    assert_eq!(
        made.headers[header::WARNING],
        r#"299 - "unknown field \"spec.nonsense\"""#
    );
    let strict = format!("{WIDGETS}?fieldValidation=Strict");
    let refused = server.call("POST", &strict, JSON, given).await;
    assert_eq!(
        refused.text("/message"),
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.nonsense\""
    );
    let given = widget("b", json!({"size": "big"}));
    let refused = server.call("POST", WIDGETS, JSON, given).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        refused.body["details"],
        json!({
            "name": "b", "group": "example.com", "kind": "Widget",
            "causes": [{
                "reason": "FieldValueTypeInvalid", "field": "spec.size",
                "message": "Invalid value: \"string\": spec.size in body must be of type integer: \"string\"",
            }],
        })
    );

    let one = format!("{WIDGETS}/a");
    let mut object = server.get(&one, JSON).await.body;
    assert_eq!(object, made.body);
    let list = server.get(WIDGETS, JSON).await.body;
    assert_eq!(list["kind"], "WidgetList");
    assert_eq!(list["apiVersion"], "example.com/v1");
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    let table = server.get(WIDGETS, TABLE).await.body;
    assert_eq!(table["columnDefinitions"][1]["name"], "Size");
    assert_eq!(table["rows"][0]["cells"], json!(["a", 5]));
    for (path, status, words) in [
        (
            "?fieldSelector=metadata.name%3Da",
            StatusCode::OK,
            Value::Null,
        ),
        (
            "?fieldSelector=spec.size%3D5",
            StatusCode::BAD_REQUEST,
            "field label not supported: spec.size".into(),
        ),
    ] {
        let answer = server.get(&format!("{WIDGETS}{path}"), JSON).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.body["message"], words, "{path}");
    }
    let messages = "application/vnd.kubernetes.protobuf";
    let refused = server.get(&one, messages).await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(
        refused.text("/message"),
        "only the following media types are accepted: application/json, application/yaml"
    );
    let refused = server.call("POST", WIDGETS, messages, json!({})).await;
    assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    object["spec"]["size"] = json!(6);
    object["status"] = json!({"ready": true});
    let updated = server.call("PUT", &one, JSON, object.clone()).await;
    assert_eq!(updated.status, StatusCode::OK, "{}", updated.body);
    assert_eq!(updated.body["metadata"]["generation"], 2);
    assert_eq!(updated.body.get("status"), None);
    let stale = server.call("PUT", &one, JSON, object.clone()).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    object["metadata"]["resourceVersion"].take();
    let blind = server.call("PUT", &one, JSON, object).await;
    assert_eq!(blind.status, StatusCode::UNPROCESSABLE_ENTITY);

    let strategic = "application/strategic-merge-patch+json";
    let refused = server
        .call("PATCH", &one, strategic, json!({"spec": {"size": 7}}))
        .await;
    assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        refused.text("/message"),
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    );
    let patch = json!({"spec": {"size": 7, "any": null, "gone": 1}});
    let patched = server.call("PATCH", &one, MERGE, patch).await;
    assert_eq!(patched.body["spec"], json!({"size": 7, "color": "red"}));
    let patch = json!([{"op": "replace", "path": "/spec/size", "value": 50}]);
    let refused = server
        .call("PATCH", &one, "application/json-patch+json", patch)
        .await;
    assert_eq!(
        refused.text("/message"),
        "Widget.example.com \"a\" is invalid: spec.size: Invalid value: 50: spec.size in body should be less than or equal to 20"
    );
    let patch = json!({"status": {"ready": true}, "spec": {"size": 9}});
    let status = format!("{one}/status");
    let reported = server.call("PATCH", &status, MERGE, patch).await;
    assert_eq!(reported.body["status"], json!({"ready": true}));
    assert_eq!(reported.body["spec"]["size"], 7);
    assert_eq!(
        reported.body["metadata"]["managedFields"][1]["fieldsV1"],
        json!({"f:status": {".": {}, "f:ready": {}}})
    );

    let gone = server.call("DELETE", &one, JSON, Value::Null).await;
    assert_eq!(gone.body["status"], "Success", "{}", gone.body);
    assert_eq!(gone.body["details"]["kind"], "widgets");
    let missing = server.get(&one, JSON).await;
    assert_eq!(
        missing.text("/message"),
        "widgets.example.com \"a\" not found"
    );
    server.engine.shutdown().await;
}

#[tokio::test]
async fn managers_share_an_object_by_its_schema() {
    let server = Server::start().await;
    let apply = async |manager: &str, spec: Value| {
        let path = format!("{WIDGETS}/s?fieldManager={manager}");
        server.call("PATCH", &path, APPLY, widget("s", spec)).await
    };
    let made = apply("one", json!({"size": 2, "items": [{"k": "a", "v": "1"}]})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(
        made.body["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {
            "f:size": {},
            "f:items": {"k:{\"k\":\"a\"}": {".": {}, "f:k": {}, "f:v": {}}},
        }})
    );
    let shared = apply("two", json!({"items": [{"k": "b", "v": "2"}]})).await;
    assert_eq!(shared.status, StatusCode::OK, "{}", shared.body);
    assert_eq!(
        shared.body["spec"],
        json!({"size": 2, "color": "red", "items": [{"k": "a", "v": "1"}, {"k": "b", "v": "2"}]})
    );
    let refused = apply("two", json!({"items": [{"k": "a", "v": "9"}]})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(
        refused.text("/message"),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.items[k=\"a\"].v"
    );
    let without = apply("two", json!({"items": []})).await;
    assert_eq!(without.body["spec"]["items"], json!([{"k": "a", "v": "1"}]));
    server.engine.shutdown().await;
}

#[tokio::test]
async fn a_watch_tells_of_it_and_a_namespace_takes_it_along() {
    let server = Server::start().await;
    let namespace = json!({"metadata": {"name": "n"}});
    let made = server
        .call("POST", "/api/v1/namespaces", JSON, namespace)
        .await;
    let from = made.text("/metadata/resourceVersion");
    let mut events = server
        .watch(&format!(
            "/apis/example.com/v1/widgets?watch=1&labelSelector=app%3Dweb&resourceVersion={from}"
        ))
        .await;
    let mut namespaces = server
        .watch(&format!(
            "/api/v1/namespaces?watch=1&resourceVersion={from}"
        ))
        .await;

    let path = "/apis/example.com/v1/namespaces/n/widgets";
    let mut one = widget("w", json!({"size": 1}));
    one["metadata"]["labels"] = json!({"app": "web"});
    for object in [widget("other", json!({"size": 1})), one] {
        let made = server.call("POST", path, JSON, object).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    }
    let patch = json!({"spec": {"size": 3}});
    server
        .call("PATCH", &format!("{path}/w"), MERGE, patch)
        .await;
    let (event, name, object) = events.next().await;
    assert_eq!((&*event, &*name), ("ADDED", "w"));
    assert_eq!(object["apiVersion"], "example.com/v1");
    let (event, _, object) = events.next().await;
    assert_eq!(event, "MODIFIED");
    assert_eq!(object["spec"]["size"], 3);

    let going = server
        .call("DELETE", "/api/v1/namespaces/n", JSON, Value::Null)
        .await;
    assert_eq!(going.body["status"]["phase"], "Terminating");
    let (event, name, _) = events.next().await;
    assert_eq!((&*event, &*name), ("DELETED", "w"));
    while namespaces.next().await.0 != "DELETED" {}
    let refused = server
        .call("POST", path, JSON, widget("late", json!({"size": 1})))
        .await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert_eq!(refused.text("/message"), "namespaces \"n\" not found");
    let all = server.get("/apis/example.com/v1/widgets", JSON).await;
    assert_eq!(all.body["items"], json!([]));
    server.engine.shutdown().await;
}

#[tokio::test]
async fn discovery_and_openapi_tell_of_it() {
    let server = Server::start().await;
    let group = server.get("/apis/example.com", JSON).await.body;
    assert_eq!(group["preferredVersion"]["groupVersion"], "example.com/v1");
    let resources = server.get("/apis/example.com/v1", JSON).await.body;
    assert_eq!(
        resources["resources"],
        json!([
            {"name": "widgets", "singularName": "widget", "namespaced": true, "kind": "Widget", "verbs": CUSTOM_VERBS,
                "shortNames": ["wd"], "categories": ["all"]},
            {"name": "widgets/status", "singularName": "", "namespaced": true, "kind": "Widget", "verbs": UPDATE_VERBS},
        ])
    );
    let names = |list: &Value| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items
            .map(|item| {
                let name = item.get("name").unwrap_or(&item["metadata"]["name"]);
                name.as_str().unwrap_or_default().to_owned()
            })
            .collect()
    };
    let groups = names(&server.get("/apis", JSON).await.body["groups"]);
    assert_eq!(groups.first().unwrap(), "apps");
    assert!(groups.contains(&"example.com".to_owned()));
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let all = server.get("/apis", aggregated).await;
    assert_eq!(all.headers[header::CONTENT_TYPE], aggregated);
    assert_eq!(names(&all.body["items"]), groups);
    let items = all.body["items"].as_array().unwrap();
    let of = items
        .iter()
        .find(|i| i["metadata"]["name"] == "example.com");
    let resource = &of.unwrap()["versions"][0]["resources"][0];
    assert_eq!(resource["resource"], "widgets");
    assert_eq!(
        resource["responseKind"],
        json!({"group": "example.com", "version": "v1", "kind": "Widget"})
    );
    assert_eq!(resource["subresources"][0]["subresource"], "status");

    let index = server.get("/openapi/v3", JSON).await.body;
    let place = &index["paths"]["apis/example.com/v1"]["serverRelativeURL"];
    let place = place.as_str().unwrap();
    let (path, hash) = place.split_once("?hash=").unwrap();
    assert_eq!(
        path,
        "/orgs/acme/projects/web/openapi/v3/apis/example.com/v1"
    );
    let place = place.strip_prefix("/orgs/acme/projects/web").unwrap();
    let document = server.get(place, JSON).await;
    assert_eq!(document.status, StatusCode::OK);
    assert_eq!(document.headers[header::ETAG], format!("\"{hash}\""));
    let spec = "/components/schemas/com.example.v1.Widget/properties/spec/properties";
    let spec = document.body.pointer(spec).unwrap();
    assert_eq!(
        spec["size"],
        json!({"type": "integer", "minimum": 0, "maximum": 20})
    );
    assert_eq!(spec["color"]["default"], "red");
    assert_eq!(spec["items"]["x-kubernetes-list-map-keys"], json!(["k"]));
    let list = "/paths/~1apis~1example.com~1v1~1widgets/get/responses/200";
    assert!(document.body.pointer(list).is_some());
    let everything = server.get("/openapi/v2", JSON).await;
    assert!(everything.body["definitions"]["com.example.v1.Widget"].is_object());
    assert!(everything.body["definitions"]["io.k8s.api.core.v1.Pod"].is_object());

    // What is built in is as for everybody.
    let other = server
        .ask("shop", "GET", "/openapi/v3", [JSON; 2], Value::Null)
        .await
        .body;
    let hash = |index: &Value, name: &str| {
        let url = index["paths"][name]["serverRelativeURL"].as_str().unwrap();
        url.split_once("?hash=").unwrap().1.to_owned()
    };
    for name in ["api/v1", "apis", "apis/apps/v1"] {
        assert_eq!(hash(&index, name), hash(&other, name), "{name}");
    }
    server.engine.shutdown().await;
}

#[tokio::test]
async fn only_its_project_has_it() {
    let server = Server::start().await;
    let asked = async |project, path, accept| {
        let kinds = [JSON, accept];
        server.ask(project, "GET", path, kinds, Value::Null).await
    };
    for path in ["/apis/example.com", "/apis/example.com/v1", WIDGETS] {
        let answer = asked("shop", path, JSON).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.body, "404 page not found\n", "{path}");
        assert_eq!(asked("web", path, JSON).await.status, StatusCode::OK);
    }
    let place = "/openapi/v3/apis/example.com/v1";
    assert_eq!(asked("shop", place, JSON).await.status, 404);
    for (place, accept) in [
        ("/apis", JSON),
        (
            "/apis",
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        ),
        ("/openapi/v3", JSON),
        ("/openapi/v2", JSON),
    ] {
        let told = |answer: Answer| answer.body.to_string().contains("example.com");
        assert!(!told(asked("shop", place, accept).await), "{place}");
        assert!(told(asked("web", place, accept).await), "{place}");
    }

    // Other kinds take the place of a project's, and go with it.
    let version = asked("web", "/apis/example.com/v2", JSON).await;
    assert_eq!(version.status, StatusCode::NOT_FOUND);
    server.tenancy.define(&web(), Vec::new());
    assert_eq!(asked("web", WIDGETS, JSON).await.status, 404);
    server.tenancy.define(&web(), vec![widgets().strategy()]);
    assert_eq!(asked("web", WIDGETS, JSON).await.status, 200);
    server.tenancy.delete_project("acme", "web").await.unwrap();
    server.tenancy.create_project("acme", "web").await.unwrap();
    assert_eq!(asked("web", WIDGETS, JSON).await.status, 404);
    server.engine.shutdown().await;
}
