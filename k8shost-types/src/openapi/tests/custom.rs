//! What is told of kinds that are made at run time.

use std::collections::BTreeSet;

use serde_json::json;

use super::{super::*, operations::verbs, resolves, v2, v3};
use crate::kinds::{BUILT_IN, CUSTOM_VERBS, Subresource, UPDATE_VERBS};

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

pub(in super::super) fn widgets() -> (Vec<Kind>, Schemas) {
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
                "load": {"type": "number", "minimum": 0.5, "exclusiveMinimum": true, "maximum": 3, "multipleOf": 0.5},
                "word": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^a+$"},
                "few": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer", "enum": [1, 2]}},
                "map": {"type": "object", "maxProperties": 300, "additionalProperties": {"type": "string"}},
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
    for (name, said) in [
        (
            "load",
            json!({"type": "number", "minimum": 0.5, "exclusiveMinimum": true, "maximum": 3, "multipleOf": 0.5}),
        ),
        (
            "word",
            json!({"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^a+$"}),
        ),
        (
            "few",
            json!({"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer", "enum": [1, 2]}}),
        ),
    ] {
        assert_eq!(spec["properties"][name], said);
    }
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
