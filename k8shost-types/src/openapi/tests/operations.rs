//! The operations that documents tell of: their names, their parameters, and that they are those of the rows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{super::*, built_in, v2, v3};
use crate::kinds::BUILT_IN;

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
pub(super) fn verbs(document: &Value, top: &str) -> BTreeMap<String, BTreeSet<String>> {
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
