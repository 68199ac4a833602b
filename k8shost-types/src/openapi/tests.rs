//! What the documents of the built-in kinds and of a custom one tell.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::{
    kinds::{BUILT_IN, CUSTOM_VERBS, Subresource, UPDATE_VERBS},
    schema::builtin,
};

fn built_in() -> Documents<'static> {
    Documents::new(BUILT_IN, [], "v1.35.4")
}

fn v3(documents: &Documents<'_>, name: &str) -> Value {
    serde_json::from_slice(&documents.v3(name, Format::Json).unwrap()).unwrap()
}

fn v2(documents: &Documents<'_>) -> Value {
    serde_json::from_slice(&documents.v2(Format::Json)).unwrap()
}

/// The parameters of a path or an operation, with where they are and their types; a ! behind what is required.
fn parameters(of: &Value) -> Vec<String> {
    let one = |one: &Value| {
        let text = |field: &str| one[field].as_str().unwrap();
        let of = one["schema"]["type"].as_str();
        let required = if one["required"] == true { "!" } else { "" };
        format!(
            "{} {} {}{required}",
            text("in"),
            text("name"),
            of.unwrap_or_else(|| text("type"))
        )
    };
    let of = of["parameters"].as_array();
    of.into_iter().flatten().map(one).collect()
}

#[test]
fn there_is_a_document_for_each_group_and_version() {
    let names = built_in().names();
    assert_eq!(names.len(), 41);
    for name in [
        "api",
        "api/v1",
        "apis",
        "apis/apps",
        "apis/apps/v1",
        "version",
    ] {
        assert!(names.contains(name), "{name}");
        let document = v3(&built_in(), name);
        assert_eq!(document["openapi"], "3.0.0");
        assert_eq!(
            document["info"],
            json!({"title": "Kubernetes", "version": "v1.35.4"})
        );
        let scheme = &document["components"]["securitySchemes"]["BearerToken"];
        assert_eq!(
            (&scheme["type"], &scheme["in"]),
            (&json!("apiKey"), &json!("header"))
        );
    }
    for nothing in ["", "apps/v1", "apis/apps/v2", "api/v1/", "openapi"] {
        assert_eq!(built_in().v3(nothing, Format::Json), None, "{nothing}");
    }
    let group = v3(&built_in(), "apis/apps");
    let get = &group["paths"]["/apis/apps/"]["get"];
    assert_eq!(get["operationId"], "getAppsAPIGroup");
    assert_eq!(get["tags"], json!(["apps"]));
    let version = v3(&built_in(), "version");
    assert_eq!(
        version["paths"]["/version/"]["get"]["operationId"],
        "getCodeVersion"
    );
    let schemas = version["components"]["schemas"].as_object().unwrap();
    assert_eq!(
        schemas.keys().collect::<Vec<_>>(),
        ["io.k8s.apimachinery.pkg.version.Info"]
    );
}

#[test]
fn a_patch_has_the_parameters_that_clients_look_for() {
    let document = v3(&built_in(), "apis/apps/v1");
    let path = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    assert_eq!(
        parameters(path),
        [
            "path name string!",
            "path namespace string!",
            "query pretty string"
        ]
    );
    let mut patch = path["patch"].clone();
    assert_eq!(
        parameters(&patch),
        [
            "query dryRun string",
            "query fieldManager string",
            "query fieldValidation string",
            "query force boolean"
        ]
    );
    patch.as_object_mut().unwrap().remove("parameters");
    let body = json!({"schema": {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Patch"}});
    let deployment =
        json!({"schema": {"$ref": "#/components/schemas/io.k8s.api.apps.v1.Deployment"}});
    let content = json!({
        "application/json": deployment,
        "application/yaml": deployment,
        "application/vnd.kubernetes.protobuf": deployment,
    });
    assert_eq!(
        patch,
        json!({
            "operationId": "patchAppsV1NamespacedDeployment",
            "tags": ["apps_v1"],
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "requestBody": {"required": true, "content": {
                "application/json-patch+json": body,
                "application/merge-patch+json": body,
                "application/strategic-merge-patch+json": body,
                "application/apply-patch+yaml": body,
            }},
            "responses": {
                "200": {"description": "OK", "content": content},
                "201": {"description": "Created", "content": content},
                "401": {"description": "Unauthorized"},
            },
        })
    );
}

#[test]
fn operations_are_named_as_kubernetes_names_them() {
    let document = v2(&built_in());
    for (path, method, id, action) in [
        (
            "/api/v1/pods",
            "get",
            "listCoreV1PodForAllNamespaces",
            "list",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods",
            "delete",
            "deleteCoreV1CollectionNamespacedPod",
            "deletecollection",
        ),
        (
            "/api/v1/nodes/{name}/status",
            "put",
            "replaceCoreV1NodeStatus",
            "put",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods/{name}/log",
            "get",
            "readCoreV1NamespacedPodLog",
            "get",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods/{name}/exec",
            "post",
            "connectCoreV1PostNamespacedPodExec",
            "connect",
        ),
        (
            "/api/v1/nodes/{name}/proxy/{path}",
            "head",
            "connectCoreV1HeadNodeProxyWithPath",
            "connect",
        ),
        (
            "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
            "post",
            "createCoreV1NamespacedPodEviction",
            "post",
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}",
            "get",
            "readRbacAuthorizationV1ClusterRole",
            "get",
        ),
        (
            "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
            "post",
            "createFlowcontrolApiserverV1FlowSchema",
            "post",
        ),
        (
            "/apis/batch/v1/watch/namespaces/{namespace}/jobs",
            "get",
            "watchBatchV1NamespacedJobList",
            "watchlist",
        ),
        (
            "/apis/batch/v1/watch/namespaces/{namespace}/jobs/{name}",
            "get",
            "watchBatchV1NamespacedJob",
            "watch",
        ),
        (
            "/apis/batch/v1/watch/jobs",
            "get",
            "watchBatchV1JobListForAllNamespaces",
            "watchlist",
        ),
    ] {
        let operation = &document["paths"][path][method];
        assert_eq!(operation["operationId"], id);
        assert_eq!(operation["x-kubernetes-action"], action, "{id}");
    }
    let scale =
        &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]["put"];
    assert_eq!(
        scale["x-kubernetes-group-version-kind"],
        json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
    );
    let answer = |path: &str| {
        document["paths"][path]["delete"]["responses"]["202"]["schema"]["$ref"].clone()
    };
    assert_eq!(
        answer("/api/v1/namespaces/{namespace}/pods/{name}"),
        "#/definitions/io.k8s.api.core.v1.Pod"
    );
    assert_eq!(
        answer("/api/v1/namespaces/{namespace}/secrets/{name}"),
        "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Status"
    );
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        assert!(
            ids.insert(operation.id.clone()),
            "{} is there twice",
            operation.id
        );
    }
}

#[test]
fn old_clients_find_two_parameters_where_they_look_for_them() {
    let document = v2(&built_in());
    let patch = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"];
    let own = patch["parameters"].as_array().unwrap();
    let by = |field: &str| {
        own.iter()
            .filter_map(|one| one[field].as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(by("name"), ["dryRun", "fieldValidation"]);
    assert_eq!(
        by("$ref"),
        [
            "#/parameters/Patch-body",
            "#/parameters/fieldManager-query",
            "#/parameters/force-query"
        ]
    );
    assert_eq!(
        document["parameters"]["force-query"],
        json!({"name": "force", "in": "query", "type": "boolean", "uniqueItems": true})
    );
    assert_eq!(patch["consumes"].as_array().unwrap().len(), 4);
    assert_eq!(document["security"], json!([{"BearerToken": []}]));
}

#[test]
fn schemas_say_what_clients_merge_and_explain_by() {
    let document = v3(&built_in(), "api/v1");
    let schemas = &document["components"]["schemas"];
    let spec = &schemas["io.k8s.api.core.v1.PodSpec"];
    assert_eq!(spec["required"], json!(["containers"]));
    assert_eq!(
        spec["properties"]["containers"],
        json!({
            "type": "array",
            "items": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}], "default": {}},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-patch-merge-key": "name",
            "x-kubernetes-patch-strategy": "merge",
        })
    );
    assert_eq!(
        spec["properties"]["volumes"]["x-kubernetes-patch-strategy"],
        "merge,retainKeys"
    );
    let container = &schemas["io.k8s.api.core.v1.Container"]["properties"];
    assert_eq!(
        container["resources"],
        json!({"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.ResourceRequirements"}], "default": {}})
    );
    assert_eq!(
        container["imagePullPolicy"]["enum"],
        json!(["Always", "IfNotPresent", "Never"])
    );
    assert_eq!(
        container["lifecycle"],
        json!({"$ref": "#/components/schemas/io.k8s.api.core.v1.Lifecycle"})
    );
    assert_eq!(
        container["args"]["items"],
        json!({"type": "string", "default": ""})
    );
    assert_eq!(
        schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"],
        json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
    );
    assert_eq!(
        schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"],
        json!({"oneOf": [{"type": "string"}, {"type": "number"}]})
    );
    assert_eq!(
        schemas["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"],
        json!([{"group": "", "version": "v1", "kind": "Pod"}])
    );
    assert_eq!(schemas["io.k8s.api.apps.v1.Deployment"], Value::Null);

    let document = v2(&built_in());
    let schemas = &document["definitions"];
    assert_eq!(
        schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"],
        json!({"format": "int-or-string", "type": "string"})
    );
    assert_eq!(
        schemas["io.k8s.api.core.v1.PersistentVolumeSpec"]["properties"]["claimRef"],
        json!({"$ref": "#/definitions/io.k8s.api.core.v1.ObjectReference", "x-kubernetes-map-type": "granular"})
    );
    let deployment = &schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"];
    assert_eq!(
        deployment["strategy"],
        json!({"$ref": "#/definitions/io.k8s.api.apps.v1.DeploymentStrategy", "x-kubernetes-patch-strategy": "retainKeys"})
    );
}

/// Every reference in a value that leads into the document.
fn references<'v>(of: &'v Value, to: &mut BTreeSet<&'v str>) {
    match of {
        Value::Object(fields) => {
            to.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, to));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, to)),
        _ => {}
    }
}

/// All references lead somewhere, and every schema and shared parameter is referred to.
fn resolves(document: &Value, places: &[&str]) {
    let mut all = BTreeSet::new();
    references(document, &mut all);
    for reference in &all {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for place in places {
        for name in document.pointer(place).unwrap().as_object().unwrap().keys() {
            assert!(
                all.contains(format!("#{place}/{name}").as_str()),
                "{name} is not needed"
            );
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_there_in_vain() {
    for name in built_in().names() {
        resolves(&v3(&built_in(), &name), &["/components/schemas"]);
    }
    resolves(&v2(&built_in()), &["/definitions", "/parameters"]);
}

struct Told {
    path: String,
    method: String,
    id: String,
    action: String,
}

fn operations(document: &Value) -> Vec<Told> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let path = path.clone();
        let item = item.as_object().unwrap().clone();
        item.into_iter()
            .filter(|(method, _)| method != "parameters")
            .map(move |(method, one)| Told {
                path: path.clone(),
                method,
                id: one["operationId"].as_str().unwrap().to_owned(),
                action: one["x-kubernetes-action"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            })
    };
    paths.iter().flat_map(of).collect()
}

/// The verbs that a document tells of, by what stands behind the group and version: `pods`, `pods/log`.
fn verbs(document: &Value, top: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut verbs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for told in operations(document) {
        let rest = told.path.strip_prefix(&format!("/{top}/")).unwrap();
        let rest = rest.strip_prefix("watch/").unwrap_or(rest);
        let rest = rest.strip_prefix("namespaces/{namespace}/").unwrap_or(rest);
        let place: Vec<&str> = rest
            .split('/')
            .filter(|part| !part.starts_with('{'))
            .collect();
        let verb = match (told.action.as_str(), told.method.as_str()) {
            ("", "get") if rest.is_empty() => continue,
            ("connect", "options" | "head") => continue,
            ("watchlist", _) => "watch",
            ("post", _) | ("connect", "post") => "create",
            ("put", _) | ("connect", "put") => "update",
            ("connect", method) => method,
            (action, _) => action,
        };
        verbs
            .entry(place.join("/"))
            .or_default()
            .insert(verb.to_owned());
    }
    verbs
}

#[test]
fn every_verb_of_every_row_has_an_operation_and_there_are_no_others() {
    let documents = built_in();
    let mut rows = 0;
    for name in documents.names() {
        let of: Vec<&Kind> = BUILT_IN
            .iter()
            .filter(|kind| root(&kind.group, &kind.version) == name)
            .collect();
        if of.is_empty() {
            continue;
        }
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for kind in of {
            let set = |verbs: &[&str]| verbs.iter().map(|&verb| verb.to_owned()).collect();
            wanted.insert(kind.plural.to_string(), set(kind.verbs));
            for sub in kind.subresources.iter() {
                wanted.insert(format!("{}/{}", kind.plural, sub.name), set(sub.verbs));
            }
            rows += 1;
        }
        assert_eq!(verbs(&v3(&documents, &name), &name), wanted);
    }
    assert_eq!(rows, BUILT_IN.len());
    let all: usize = documents
        .names()
        .iter()
        .map(|name| operations(&v3(&documents, name)).len())
        .sum();
    assert_eq!(operations(&v2(&documents)).len(), all);
}

#[test]
fn the_same_kinds_make_the_same_bytes() {
    let reversed = Documents::new(BUILT_IN.iter().rev(), [builtin()], "v1.35.4");
    for format in [Format::Json, Format::Protobuf] {
        assert_eq!(built_in().v2(format), reversed.v2(format));
        assert_eq!(
            built_in().v3("api/v1", format),
            reversed.v3("api/v1", format)
        );
    }
    let other = Documents::new(BUILT_IN, [], "v1.36.0");
    let of = |documents: &Documents<'_>| hash(&documents.v3("version", Format::Json).unwrap());
    assert_eq!(of(&built_in()), of(&reversed));
    assert_ne!(of(&built_in()), of(&other));
    // XXH3, of 128 bits.
    assert_eq!(hash(b""), "99AA06D3014798D86001C324468D497F");
}

#[test]
fn the_index_tells_where_documents_are() {
    let index = index([("api/v1", "AB"), ("apis/apps/v1", "CD")]);
    assert_eq!(
        index,
        json!({"paths": {
            "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=AB"},
            "apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=CD"},
        }})
    );
}

fn custom(kind: &'static str, plural: &'static str) -> Kind {
    Kind {
        group: "my.example.com".into(),
        version: "v1alpha1".into(),
        kind: kind.into(),
        list_kind: format!("{kind}List").into(),
        plural: plural.into(),
        singular: "".into(),
        namespaced: true,
        short_names: [].as_slice().into(),
        categories: [].as_slice().into(),
        verbs: CUSTOM_VERBS,
        subresources: vec![Subresource {
            name: "scale".into(),
            group: "autoscaling".into(),
            version: "v1".into(),
            kind: "Scale".into(),
            verbs: UPDATE_VERBS,
        }]
        .into(),
        custom: true,
    }
}

pub(super) fn widgets() -> (Vec<Kind>, Schemas) {
    let schemas = json!({"com.example.my.v1alpha1.Widget": {
        "type": "object",
        "x-kubernetes-group-version-kind": [{"group": "my.example.com", "version": "v1alpha1", "kind": "Widget"}],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
            "spec": {"type": "object", "required": ["size", "none"], "properties": {
                "size": {"type": "integer", "format": "int64", "default": 3},
                "factor": {"type": "number", "default": 1.5},
                "on": {"type": "boolean", "default": true},
                "color": {"type": "string", "enum": ["red", "blue"]},
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "port": {"x-kubernetes-int-or-string": true},
                "none": {"type": "string", "nullable": true},
                "template": {"type": "object", "x-kubernetes-embedded-resource": true},
                "names": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            }},
        },
    }});
    let schemas = Schemas::from_openapi(schemas.as_object().unwrap()).unwrap();
    (
        vec![custom("Widget", "widgets"), custom("Thing", "things")],
        schemas,
    )
}

#[test]
fn a_custom_kind_has_its_own_document_and_stands_in_version_2() {
    let (kinds, schemas) = widgets();
    let kinds: Vec<&Kind> = kinds.iter().chain(BUILT_IN).collect();
    let documents = Documents::new(kinds, [&schemas], "v1.35.4");
    let name = "apis/my.example.com/v1alpha1";
    assert!(documents.names().contains(name) && documents.names().contains("apis/my.example.com"));
    let of = v3(&documents, name);
    resolves(&of, &["/components/schemas"]);
    let told = verbs(&of, name);
    assert_eq!(
        told.keys().collect::<Vec<_>>(),
        ["things", "things/scale", "widgets", "widgets/scale"]
    );
    let all: BTreeSet<&str> = CUSTOM_VERBS
        .iter()
        .copied()
        .filter(|verb| *verb != "watch")
        .collect();
    assert!(told["widgets"].iter().map(String::as_str).eq(all));

    let path = &of["paths"]["/apis/my.example.com/v1alpha1/namespaces/{namespace}/widgets/{name}"];
    assert_eq!(
        path["get"]["operationId"],
        "readMyExampleComV1alpha1NamespacedWidget"
    );
    assert_eq!(path["get"]["tags"], json!(["myExampleCom_v1alpha1"]));
    let content = path["patch"]["requestBody"]["content"].as_object().unwrap();
    assert!(!content.contains_key("application/strategic-merge-patch+json"));
    let content = path["get"]["responses"]["200"]["content"]
        .as_object()
        .unwrap();
    assert_eq!(
        content.keys().collect::<Vec<_>>(),
        ["application/json", "application/yaml"]
    );

    let schemas = &of["components"]["schemas"];
    let spec = &schemas["com.example.my.v1alpha1.Widget"]["properties"]["spec"];
    assert_eq!(
        spec["properties"]["port"],
        json!({"x-kubernetes-int-or-string": true})
    );
    assert_eq!(
        spec["properties"]["none"],
        json!({"type": "string", "nullable": true})
    );
    assert_eq!(
        spec["properties"]["size"],
        json!({"type": "integer", "format": "int64", "default": 3})
    );
    assert_eq!(
        spec["properties"]["names"]["items"],
        json!({"type": "string"})
    );
    let metadata = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    assert_eq!(
        spec["properties"]["template"]["properties"]["metadata"],
        json!({"$ref": metadata})
    );
    assert_eq!(
        spec["properties"]["template"]["required"],
        json!(["apiVersion", "kind"])
    );
    let list = &schemas["com.example.my.v1alpha1.WidgetList"];
    assert_eq!(list["required"], json!(["items"]));
    assert_eq!(
        list["properties"]["items"]["items"],
        json!({"$ref": "#/components/schemas/com.example.my.v1alpha1.Widget"})
    );
    assert_eq!(
        list["x-kubernetes-group-version-kind"],
        json!([{"group": "my.example.com", "version": "v1alpha1", "kind": "WidgetList"}])
    );
    // A kind without a schema may hold anything.
    assert_eq!(
        schemas["com.example.my.v1alpha1.Thing"],
        json!({
            "type": "object",
            "x-kubernetes-group-version-kind": [
                {"group": "my.example.com", "version": "v1alpha1", "kind": "Thing"},
            ],
        })
    );

    let of = v2(&documents);
    resolves(&of, &["/definitions", "/parameters"]);
    let spec = &of["definitions"]["com.example.my.v1alpha1.Widget"]["properties"]["spec"];
    assert_eq!(spec["required"], json!(["size"]));
    assert_eq!(spec["properties"]["none"], json!({}));
    assert_eq!(
        spec["properties"]["any"],
        json!({"x-kubernetes-preserve-unknown-fields": true})
    );
    assert_eq!(
        spec["properties"]["size"],
        json!({"type": "integer", "format": "int64"})
    );
    assert!(of["paths"]["/apis/my.example.com/v1alpha1/widgets"]["get"].is_object());
    assert!(of["paths"]["/api/v1/pods"]["get"].is_object());
}
