//! Patches, and what Kubernetes answers to them.

use serde_json::json;

use super::*;
use crate::schema::builtin;

pub(super) fn schema(group: &str, kind: &str) -> Type<'static> {
    builtin().of(group, "v1", kind).unwrap()
}

pub(super) fn strategic(schema: Type<'_>, current: &Value, change: &Value) -> Result<Value, Error> {
    let body = change.to_string();
    patch(
        PatchKind::Strategic,
        schema,
        current,
        body.as_bytes(),
        FieldValidation::Warn,
    )
    .map(|patched| patched.object)
}

fn deployment() -> Value {
    json!({"spec": {"template": {"spec": {
        "containers": [
            {"name": "one", "image": "i1", "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81, "protocol": "TCP"}],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["x", "y"]},
            {"name": "two", "image": "i2"},
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "tolerations": [{"key": "k", "operator": "Exists"}],
    }}}})
}

#[test]
fn lists_are_merged_as_their_schema_says() {
    let mut current = deployment();
    // One after another, as a server was asked.
    for (change, at, wanted) in [
        (
            json!({"containers": [{"name": "two", "image": "i3"}]}),
            "/containers/1",
            json!({"name": "two", "image": "i3"}),
        ),
        (
            json!({"containers": [{"name": "one", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}]}),
            "/containers/0/env",
            json!([{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}]),
        ),
        (
            json!({"containers": [{"name": "one", "ports": [{"containerPort": 81, "name": "p"}]}]}),
            "/containers/0/ports",
            json!([{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81, "protocol": "TCP", "name": "p"}]),
        ),
        (
            json!({"containers": [{"name": "one", "args": ["z"]}]}),
            "/containers/0/args",
            json!(["z"]),
        ),
        (
            json!({"containers": [{"name": "two", "$patch": "delete"}]}),
            "/containers/1",
            json!(null),
        ),
        (
            json!({"containers": [{"name": "three", "image": "i"}]}),
            "/containers/0/name",
            json!("three"),
        ),
        (
            json!({"$setElementOrder/containers": [{"name": "one"}, {"name": "three"}], "containers": [{"name": "one", "image": "i9"}]}),
            "/containers/1",
            json!({"name": "three", "image": "i"}),
        ),
        (
            json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}),
            "/volumes",
            json!([{"name": "v", "hostPath": {"path": "/x"}}]),
        ),
        (
            json!({"volumes": [{"$patch": "replace"}, {"name": "w", "emptyDir": {}}]}),
            "/volumes",
            json!([{"name": "w", "emptyDir": {}}]),
        ),
        (json!({"volumes": null}), "/volumes", json!(null)),
        (
            json!({"tolerations": [{"key": "q", "operator": "Exists"}]}),
            "/tolerations",
            json!([{"key": "q", "operator": "Exists"}]),
        ),
    ] {
        let change = json!({"spec": {"template": {"spec": change}}});
        current = strategic(schema("apps", "Deployment"), &current, &change).unwrap();
        let found = current.pointer(&format!("/spec/template/spec{at}"));
        assert_eq!(found.unwrap_or(&Value::Null), &wanted, "{change}");
    }
    assert_eq!(
        current.pointer("/spec/template/spec/containers/0/image"),
        Some(&json!("i9"))
    );
}

#[test]
fn directives_say_what_goes_and_stays() {
    for (group, kind, current, change, wanted) in [
        (
            "",
            "Pod",
            json!({"metadata": {}}),
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"finalizers": ["a", "b"]}}),
        ),
        (
            "",
            "Pod",
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"finalizers": ["c", "b"]}}),
            json!({"metadata": {"finalizers": ["c", "a", "b"]}}),
        ),
        (
            "",
            "Pod",
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "z"]}}),
            json!({"metadata": {"finalizers": ["b"]}}),
        ),
        (
            "",
            "Pod",
            json!({"metadata": {"finalizers": ["a", "b", "s"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["c", "b"], "finalizers": ["c"]}}),
            json!({"metadata": {"finalizers": ["c", "b", "s"]}}),
        ),
        (
            "apps",
            "Deployment",
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
            json!({"spec": {"strategy": {"type": "Recreate"}}}),
        ),
        (
            "",
            "Pod",
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}}),
            json!({"metadata": {"labels": {"$patch": "replace", "c": "3"}}}),
            json!({"metadata": {"labels": {"c": "3"}}}),
        ),
        (
            "",
            "Pod",
            json!({"metadata": {"labels": {"a": "1"}}}),
            json!({"metadata": {"labels": {"$patch": "delete"}}}),
            json!({"metadata": {}}),
        ),
        (
            "policy",
            "PodDisruptionBudget",
            json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}}),
            json!({"spec": {"selector": {"matchExpressions": []}}}),
            json!({"spec": {"selector": {}}}),
        ),
        // What was not there is taken without its directives.
        (
            "",
            "Pod",
            json!({}),
            json!({"spec": {"$setElementOrder/volumes": [{"name": "v"}], "volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {"medium": null}}],
                "containers": [{"name": "gone", "$patch": "delete"}]}}),
            json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}], "containers": []}}),
        ),
        // A raw object may hold what looks like a directive.
        (
            "apps",
            "ControllerRevision",
            json!({"revision": 1}),
            json!({"data": {"spec": {"template": {"$patch": "replace"}}}}),
            json!({"revision": 1, "data": {"spec": {"template": {"$patch": "replace"}}}}),
        ),
    ] {
        assert_eq!(
            strategic(schema(group, kind), &current, &change).unwrap(),
            wanted,
            "{change}"
        );
    }
}

#[test]
fn senseless_directives_are_refused_as_kubernetes_does() {
    let pod = json!({"metadata": {"finalizers": ["a"], "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}});
    for (change, reason, message) in [
        (
            json!({"spec": {"containers": [{"image": "noname"}]}}),
            Reason::Unknown,
            "map: map[image:noname] does not contain declared merge key: name",
        ),
        (
            json!({"spec": {"containers": [{"$patch": "delete"}]}}),
            Reason::Unknown,
            "map: map[$patch:delete] does not contain declared merge key: name",
        ),
        (
            json!({"metadata": {"labels": {"$patch": "x", "n": 1}}}),
            Reason::Unknown,
            "unknown patch type: x in map: map[$patch:x n:1]",
        ),
        (
            json!({"spec": {"containers": [{"name": "c", "$patch": "merge"}]}}),
            Reason::Unknown,
            "merging lists cannot yet be specified in the patch",
        ),
        (
            json!({"spec": {"containers": ["c"]}}),
            Reason::Unknown,
            "list element types are not identical: [[map[name:c]] [c]]",
        ),
        (
            json!({"spec": {"containers": [[]]}}),
            Reason::Invalid,
            "the server rejected our request due to an error in our request",
        ),
        (
            json!({"spec": {"$retainKeys": ["volumes"], "containers": []}}),
            Reason::BadRequest,
            "invalid patch format of retainKeys",
        ),
        (
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}),
            Reason::BadRequest,
            "invalid patch format of primitive list",
        ),
        (
            json!({"metadata": {"$setElementOrder/finalizers": "a"}}),
            Reason::BadRequest,
            "invalid patch format of setElementOrder list",
        ),
        (
            json!({"metadata": {"$setElementOrder/finalizers": ["a", "b"], "finalizers": ["b", "a"]}}),
            Reason::Unknown,
            "The order in patch list:\n[b a]\n doesn't match $setElementOrder list:\n[a b]\n",
        ),
        (
            json!({"metadata": {"labels": {"a": 5}}}),
            Reason::Invalid,
            " \"\" is invalid: patch: Invalid value: \"map[metadata:map[labels:map[a:5]]]\": json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
    ] {
        let error = strategic(schema("", "Pod"), &pod, &change).unwrap_err();
        assert_eq!((error.reason, error.message.as_str()), (reason, message));
    }
}

#[test]
fn patches_that_cannot_be_read_or_done_are_refused() {
    let pod = json!({"kind": "Pod", "metadata": {"labels": {"j": "1"}}});
    let unprocessable = "the server rejected our request due to an error in our request";
    let many = json!(vec![json!({"op": "test", "path": "", "value": 1}); 10_001]).to_string();
    for (kind, body, reason, message) in [
        (
            PatchKind::Merge,
            "{",
            Reason::BadRequest,
            "error decoding patch: unexpected end of JSON input",
        ),
        (
            PatchKind::Strategic,
            "{",
            Reason::BadRequest,
            "unexpected end of JSON input",
        ),
        (
            PatchKind::Merge,
            "[]",
            Reason::BadRequest,
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            PatchKind::Json,
            r#"{"x":1}"#,
            Reason::BadRequest,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            PatchKind::Json,
            "[1]",
            Reason::BadRequest,
            "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
        ),
        (
            PatchKind::Json,
            r#"[{"op":"test","path":"/metadata/labels/j","value":"2"}]"#,
            Reason::Invalid,
            unprocessable,
        ),
        (
            PatchKind::Json,
            r#"[{"op":"remove","path":"/metadata/labels/none"}]"#,
            Reason::Invalid,
            unprocessable,
        ),
        (
            PatchKind::Json,
            r#"[{"op":"jump","path":"/x"}]"#,
            Reason::Invalid,
            unprocessable,
        ),
        (
            PatchKind::Json,
            &many,
            Reason::RequestEntityTooLarge,
            "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
        (
            PatchKind::Merge,
            r#"{"metadata":{"labels":{"x":5}}}"#,
            Reason::Invalid,
            r#" "" is invalid: patch: Invalid value: "{\"kind\":\"Pod\",\"metadata\":{\"labels\":{\"j\":\"1\",\"x\":5}}}": json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"#,
        ),
        (
            PatchKind::Json,
            r#"[{"op":"replace","path":"","value":5}]"#,
            Reason::Invalid,
            r#" "" is invalid: patch: Invalid value: "5": json: cannot unmarshal number into Go value of type v1.Pod"#,
        ),
    ] {
        let error = patch(
            kind,
            schema("", "Pod"),
            &pod,
            body.as_bytes(),
            FieldValidation::Ignore,
        )
        .unwrap_err();
        assert_eq!(
            (error.reason, error.message.as_str()),
            (reason, message),
            "{body}"
        );
    }
}

#[test]
fn unknown_and_duplicate_fields_of_patches_are_told() {
    let pod = json!({"metadata": {"labels": {"j": "1"}}});
    for (kind, body, complaints) in [
        (
            PatchKind::Merge,
            r#"{"spec":{"x":1,"priority":1,"priority":2}}"#,
            &[
                "duplicate field \"spec.priority\"",
                "unknown field \"spec.x\"",
            ][..],
        ),
        (
            PatchKind::Strategic,
            r#"{"spec":{"x":1,"priority":1,"priority":2}}"#,
            &[
                "duplicate field \"spec.priority\"",
                "unknown field \"spec.x\"",
            ],
        ),
        (
            PatchKind::Json,
            r#"[{"op":"add","path":"/spec","value":{"x":1,"priority":2},"why":"x"}]"#,
            &[
                "json patch unknown field \"[0].why\"",
                "unknown field \"spec.x\"",
            ],
        ),
    ] {
        let apply = |validation| patch(kind, schema("", "Pod"), &pod, body.as_bytes(), validation);
        let warned = apply(FieldValidation::Warn).unwrap();
        assert_eq!(
            warned.object,
            json!({"metadata": {"labels": {"j": "1"}}, "spec": {"priority": 2}})
        );
        assert_eq!(warned.warnings, complaints);
        assert!(apply(FieldValidation::Ignore).unwrap().warnings.is_empty());
        let error = apply(FieldValidation::Strict).unwrap_err();
        assert_eq!(error.reason, Reason::Invalid);
        let end = format!(": strict decoding error: {}", complaints.join(", "));
        assert!(error.message.ends_with(&end), "{}", error.message);
    }
}

#[test]
fn a_patch_cannot_blow_an_object_up() {
    let schema = schema("apps", "ControllerRevision");
    let current = json!({"data": {"a": ["some text that is copied"]}});
    let doubling = vec![json!({"op": "copy", "from": "/data/a", "path": "/data/a/0"}); 100];
    let deepening = vec![
        json!({"op": "move", "from": "/data", "path": "/data/a/0"}),
        json!({"op": "add", "path": "/data/a/0", "value": [[[[]]]]}),
    ];
    let nested: Vec<Value> = (0..200).map(|depth| json!({"op": "add", "path": format!("/data/a{}", "/0".repeat(depth)), "value": [0]})).collect();
    let long: Vec<Value> =
        std::iter::once(json!({"op": "add", "path": "/data/a", "value": vec![0; 50_000]}))
            .chain((0..5_000).map(|_| json!({"op": "add", "path": "/data/a/0", "value": 0})))
            .collect();
    for (ops, reason) in [
        (doubling, Reason::RequestEntityTooLarge),
        (deepening, Reason::Invalid),
        (nested, Reason::BadRequest),
        (long, Reason::RequestEntityTooLarge),
    ] {
        let body = Value::from(ops).to_string();
        let error = patch(
            PatchKind::Json,
            schema,
            &current,
            body.as_bytes(),
            FieldValidation::Warn,
        )
        .unwrap_err();
        assert_eq!(error.reason, reason);
    }
}

#[test]
fn what_is_not_there_passes_for_null() {
    let schema = schema("", "ConfigMap");
    let current = json!({"metadata": {"name": "a"}});
    let test = |path: &str| {
        let body = json!([{"op": "test", "path": path, "value": null}]).to_string();
        let validation = FieldValidation::Ignore;
        patch(
            PatchKind::Json,
            schema,
            &current,
            body.as_bytes(),
            validation,
        )
        .is_ok()
    };
    assert!(test("/metadata/finalizers") && test("/data"));
    assert!(!test("/metadata/name") && !test("/data/k"));
}
