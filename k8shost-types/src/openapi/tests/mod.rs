//! What the documents tell.

mod custom;
mod operations;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::{kinds::BUILT_IN, schema::builtin};

pub(super) use custom::widgets;

fn built_in() -> Documents<'static> {
    Documents::new(BUILT_IN, [], "v1.35.4")
}

fn v3(documents: &Documents<'_>, name: &str) -> Value {
    serde_json::from_slice(&documents.v3(name, Format::Json).unwrap()).unwrap()
}

fn v2(documents: &Documents<'_>) -> Value {
    serde_json::from_slice(&documents.v2(Format::Json)).unwrap()
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
