//! Bodies, and what Kubernetes says of them.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::Schemas;

fn expected(group: &'static str, version: &'static str, kind: &'static str) -> Expected<'static> {
    let schema = builtin().of(group, version, kind).unwrap();
    Expected {
        group,
        version,
        kind,
        schema,
    }
}

fn pod() -> Expected<'static> {
    expected("", "v1", "Pod")
}

fn refusal(body: &str, expected: &Expected<'_>, validation: FieldValidation) -> String {
    let error = object(body.as_bytes(), Format::Json, expected, validation).unwrap_err();
    assert_eq!(error.reason, Reason::BadRequest);
    error.message
}

fn read(body: &str, expected: &Expected<'_>) -> Value {
    object(
        body.as_bytes(),
        Format::Json,
        expected,
        FieldValidation::Warn,
    )
    .unwrap()
    .object
}

#[test]
fn what_is_no_object_of_the_kind_is_refused_as_kubernetes_does() {
    let unrecognized = "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error:";
    let handled = "Pod in version \"v1\" cannot be handled as a Pod:";
    let meta = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
    for (body, message) in [
        ("{", format!("{unrecognized} unexpected end of JSON input ({{)")),
        ("", format!("{unrecognized} unexpected end of JSON input (<empty>)")),
        ("[]", format!("{unrecognized} json: cannot unmarshal array into Go value of type {meta} (5b5d)")),
        ("\"x\"", format!("{unrecognized} json: cannot unmarshal string into Go value of type {meta} (227822)")),
        ("{x", format!("{unrecognized} invalid character 'x' looking for beginning of object key string ({{x)")),
        ("{} x", format!("{unrecognized} invalid character 'x' after top-level value ({{}} x)")),
        ("{\"a\" 1}", format!("{unrecognized} invalid character '1' after object key ({{\"a\" 1}})")),
        ("{\"a\":1 \"b\"}", format!("{unrecognized} invalid character '\"' after object key:value pair ({{\"a\":1 \"b\"}})")),
        ("{\"a\":[1 2]}", format!("{unrecognized} invalid character '2' after array element ({{\"a\":[1 2]}})")),
        ("{\"kind\":5}", format!("{unrecognized} json: cannot unmarshal number into Go struct field .kind of type string ({{\"kind\":5}})")),
        (
            "{\"apiVersion\":\"a/b/c\"}",
            "the object provided is unrecognized (must be of type Pod): unexpected GroupVersion string: a/b/c ({\"apiVersion\":\"a/b/c\"})".to_owned(),
        ),
        (
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"x"}}"#,
            "Service in version \"v1\" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion".to_owned(),
        ),
        (
            r#"{"apiVersion":"v2","kind":"Pod","metadata":{"name":"x"}}"#,
            "Pod in version \"v2\" cannot be handled as a Pod: no kind \"Pod\" is registered for version \"v2\" in scheme \"pkg/runtime/scheme.go:111\"".to_owned(),
        ),
        (
            r#"{"metadata":{"name":5},"spec":{"containers":[]}}"#,
            format!("{handled} json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string"),
        ),
        (
            r#"{"spec":{"containers":"c"}}"#,
            format!("{handled} json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container"),
        ),
        (
            r#"{"spec":{"containers":["c"]}}"#,
            format!("{handled} json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container"),
        ),
        (
            r#"{"metadata":{"labels":{"a":5}}}"#,
            format!("{handled} json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
        ),
        (
            r#"{"spec":{"hostNetwork":"yes"}}"#,
            format!("{handled} json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        ),
        (
            r#"{"spec":[]}"#,
            format!("{handled} json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        ),
        (
            r#"{"spec":{"priority":3000000000}}"#,
            format!("{handled} json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32"),
        ),
        (
            r#"{"spec":{"priority":1.5}}"#,
            format!("{handled} json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32"),
        ),
        (
            r#"{"spec":{"containers":[{"resources":{"requests":{"cpu":"lots"}}}]}}"#,
            format!("{handled} quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ),
        (
            r#"{"spec":{"containers":[{"livenessProbe":{"httpGet":{"port":{}}}}]}}"#,
            format!("{handled} json: cannot unmarshal object into Go value of type int32"),
        ),
        (
            r#"{"metadata":{"creationTimestamp":5}}"#,
            format!("{handled} json: cannot unmarshal number into Go value of type string"),
        ),
        (
            r#"{"metadata":{"creationTimestamp":"2026-13"}}"#,
            format!("{handled} parsing time \"2026-13\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"-\""),
        ),
        (
            r#"{"metadata":{"creationTimestamp":"now"}}"#,
            format!("{handled} parsing time \"now\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"now\" as \"2006\""),
        ),
    ] {
        assert_eq!(refusal(body, &pod(), FieldValidation::Ignore), message, "{body}");
    }
    for (expected, body, message) in [
        (
            expected("", "v1", "ConfigMap"),
            r#"{"binaryData":{"a":"?"}}"#,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: illegal base64 data at input byte 0",
        ),
        (
            expected("", "v1", "Service"),
            r#"{"spec":{"ports":[{"port":80,"nodePort":"x"}]}}"#,
            "Service in version \"v1\" cannot be handled as a Service: json: cannot unmarshal string into Go struct field ServicePort.spec.ports.nodePort of type int32",
        ),
        (
            expected("autoscaling", "v2", "HorizontalPodAutoscaler"),
            r#"{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler"}"#,
            "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)",
        ),
        (
            expected("coordination.k8s.io", "v1", "Lease"),
            r#"{"spec":{"renewTime":"2026-01-02T03:04:05Z"}}"#,
            "Lease in version \"v1\" cannot be handled as a Lease: parsing time \"2026-01-02T03:04:05Z\" as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse \"Z\" as \".000000\"",
        ),
    ] {
        assert_eq!(refusal(body, &expected, FieldValidation::Ignore), message);
    }
}

#[test]
fn a_long_body_is_shown_by_its_head() {
    let body = format!("{{\"a\": \"{}", "x".repeat(100));
    let message = refusal(&body, &pod(), FieldValidation::Ignore);
    assert!(
        message.ends_with(&format!("({{\"a\": \"{} ...)", "x".repeat(23))),
        "{message}"
    );
}

#[test]
fn unknown_and_duplicate_fields_warn_refuse_or_vanish() {
    let body = r#"{"metadata":{"name":"d","name":"e","labels":{"a":"1","a":"2"}},"spec":{"nonsense":{"a":1,"a":2},"containers":[{"name":"c","x":1},{"x":2,"name":"d"}],"nodeSelector":{"a":"b"}}}"#;
    let pruned = json!({"metadata": {"name": "e", "labels": {"a": "2"}},
        "spec": {"containers": [{"name": "c"}, {"name": "d"}], "nodeSelector": {"a": "b"}}});
    let complaints = [
        "duplicate field \"metadata.name\"",
        "duplicate field \"metadata.labels.a\"",
        "unknown field \"spec.nonsense\"",
        "unknown field \"spec.containers[0].x\"",
        "unknown field \"spec.containers[1].x\"",
    ];
    let warned = object(body.as_bytes(), Format::Json, &pod(), FieldValidation::Warn).unwrap();
    assert_eq!(warned.object, pruned);
    assert_eq!(warned.warnings, complaints);
    let ignored = object(
        body.as_bytes(),
        Format::Json,
        &pod(),
        FieldValidation::Ignore,
    )
    .unwrap();
    assert_eq!(
        ignored,
        Decoded {
            object: pruned,
            warnings: vec![]
        }
    );
    assert_eq!(
        refusal(body, &pod(), FieldValidation::Strict),
        format!(
            "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: {}",
            complaints.join(", ")
        )
    );
}

#[test]
fn values_are_kept_as_kubernetes_writes_them() {
    for (expected, body, kept) in [
        (
            pod(),
            json!({"spec": null, "metadata": {"name": "a", "labels": {"x": null}}}),
            json!({"metadata": {"name": "a", "labels": {"x": ""}}}),
        ),
        (pod(), json!(null), json!({})),
        (
            pod(),
            json!({"spec": {"containers": [null, {"args": [null, "b"]}]}}),
            json!({"spec": {"containers": [{}, {"args": ["", "b"]}]}}),
        ),
        (
            pod(),
            json!({"spec": {"containers": [{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi", "x": 2, "y": "1500m"}}}]}}),
            json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "500m", "memory": "1Gi", "x": "2", "y": "1500m"}}}]}}),
        ),
        (
            pod(),
            json!({"metadata": {"creationTimestamp": "2026-01-02T03:04:05.7+01:00"}}),
            json!({"metadata": {"creationTimestamp": "2026-01-02T02:04:05Z"}}),
        ),
        (
            expected("coordination.k8s.io", "v1", "Lease"),
            json!({"spec": {"renewTime": "2026-01-02T03:04:05.123456+01:00"}}),
            json!({"spec": {"renewTime": "2026-01-02T02:04:05.123456Z"}}),
        ),
        (
            expected("", "v1", "Secret"),
            json!({"data": {"a": "YW\nJj", "b": "YQ==\n", "c": ""}}),
            json!({"data": {"a": "YWJj", "b": "YQ==", "c": ""}}),
        ),
        (
            expected("apps", "v1", "ControllerRevision"),
            json!({"revision": 1, "data": {"any": [null, {"x": null}]}}),
            json!({"revision": 1, "data": {"any": [null, {"x": null}]}}),
        ),
    ] {
        assert_eq!(read(&body.to_string(), &expected), kept);
    }
}

#[test]
fn base64_is_refused_where_go_refuses_it() {
    let secret = expected("", "v1", "Secret");
    for (text, at) in [
        ("YQ", 2),
        ("YQ=", 3),
        ("Y===", 1),
        ("YQ==YQ==", 4),
        ("YWJ?", 3),
        ("Y\nQ=x", 4),
        ("=", 0),
    ] {
        let body = json!({"data": {"a": text}}).to_string();
        let message = refusal(&body, &secret, FieldValidation::Ignore);
        assert!(
            message.ends_with(&format!("illegal base64 data at input byte {at}")),
            "{text:?}: {message}"
        );
    }
}

#[test]
fn yaml_is_read_as_json_is() {
    let body = "apiVersion: v1\nkind: Pod\nmetadata: {name: yaml, labels: {a: '1'}}\nspec:\n  nonsense: 1\n  priority: 5\n  containers: [{name: c, image: i, name: d}]\n";
    let read = object(body.as_bytes(), Format::Yaml, &pod(), FieldValidation::Warn).unwrap();
    assert_eq!(
        read.object,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "yaml", "labels": {"a": "1"}},
            "spec": {"priority": 5, "containers": [{"name": "d", "image": "i"}]}})
    );
    assert_eq!(
        read.warnings,
        [
            "unknown field \"spec.nonsense\"",
            "duplicate field \"spec.containers[0].name\""
        ]
    );
    let anchors = "metadata: {labels: &l {a: b}, annotations: *l}";
    let read = object(
        anchors.as_bytes(),
        Format::Yaml,
        &pod(),
        FieldValidation::Strict,
    )
    .unwrap();
    assert_eq!(
        read.object,
        json!({"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}})
    );
    for broken in ["a: [", "- 1", "a: b: c", "&a [*a]", "%"] {
        assert!(
            object(
                broken.as_bytes(),
                Format::Yaml,
                &pod(),
                FieldValidation::Ignore
            )
            .is_err(),
            "{broken}"
        );
    }
}

#[test]
fn too_much_is_refused() {
    let long = vec![b' '; LONGEST + 1];
    let wide = format!(
        "{{\"spec\":{{\"containers\":[{}{{}}]}}}}",
        "{},".repeat(70_000)
    );
    let laughs = (0..9).fold(
        "metadata: {annotations: {x: y}}\na0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(),
        |text, n| {
            let list = vec![format!("*a{n}"); 9].join(",");
            format!("{text}a{}: &a{} [{list}]\n", n + 1, n + 1)
        },
    );
    for (body, format) in [(&long[..], Format::Json), (wide.as_bytes(), Format::Json)] {
        let error = object(body, format, &pod(), FieldValidation::Ignore).unwrap_err();
        assert_eq!(error.reason, Reason::RequestEntityTooLarge);
    }
    assert!(parse(laughs.as_bytes(), Format::Yaml, None).is_err());
    for format in [Format::Json, Format::Yaml] {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(deep.as_bytes(), format, None).is_err());
    }
}

#[test]
fn protobuf_is_read_by_the_kind_that_it_says() {
    let read = |body: &[u8], expected: &Expected<'_>| {
        let read = object(body, Format::Protobuf, expected, FieldValidation::Strict);
        read.map_err(|error| error.message)
    };
    let given = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}, "status": {}});
    let pod_bytes = protobuf::encode(&given).unwrap();
    let pod_read = read(&pod_bytes, &pod()).unwrap();
    assert_eq!((pod_read.object, pod_read.warnings), (given, vec![]));
    let bare = protobuf::encode(&json!({"apiVersion": "v1", "kind": "Pod"})).unwrap();
    let unnamed: Vec<u8> = [b"k8s\0", &bare[4 + 2 + 9..]].concat();
    assert_eq!(
        read(&unnamed, &pod()).unwrap().object,
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {}, "status": {}})
    );
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"});
    let scale = protobuf::encode(&scale).unwrap();
    let widget: Vec<u8> = [&b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Widget"[..]].concat();
    let broken: Vec<u8> = [&b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x01\x0a"[..]].concat();
    for (body, expected, message) in [
        (
            &b"{\"kind\":\"Pod\"}"[..],
            pod(),
            "the object provided is unrecognized (must be of type Pod): provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] ({\"kind\":\"Pod\"})",
        ),
        (
            b"",
            pod(),
            "the object provided is unrecognized (must be of type Pod): empty data (<empty>)",
        ),
        (
            &broken,
            pod(),
            "Pod in version \"v1\" cannot be handled as a Pod: unexpected EOF",
        ),
        (
            &widget,
            pod(),
            "Widget in version \"v1\" cannot be handled as a Pod: no kind \"Widget\" is registered for version \"v1\" in scheme \"pkg/runtime/scheme.go:111\"",
        ),
        (
            &scale,
            expected("autoscaling", "v2", "HorizontalPodAutoscaler"),
            "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)",
        ),
        (
            &pod_bytes,
            expected("", "v1", "Secret"),
            "Pod in version \"v1\" cannot be handled as a Secret: converting (v1.Pod) to (core.Secret): unknown conversion",
        ),
    ] {
        assert_eq!(read(body, &expected).unwrap_err(), message);
    }
    let long = vec![0; LONGEST + 1];
    let error = object(&long, Format::Protobuf, &pod(), FieldValidation::Warn).unwrap_err();
    assert_eq!(error.reason, Reason::RequestEntityTooLarge);
    assert!(parse(&pod_bytes, Format::Protobuf, None).is_ok());
    assert!(parse(&broken, Format::Protobuf, None).is_err());
}

#[test]
fn a_custom_object_is_pruned_and_else_left_to_validation() {
    let schema = json!({"com.example.v1.Widget": {
        "type": "object",
        "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Widget"}],
        "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer"},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "object"}}},
        }}},
    }});
    let table = Schemas::from_openapi(schema.as_object().unwrap()).unwrap();
    let schema = table.of("example.com", "v1", "Widget").unwrap();
    let widget = Expected {
        group: "example.com",
        version: "v1",
        kind: "Widget",
        schema,
    };
    let body = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a", "x": 1},
        "spec": {"size": "big", "nonsense": 1, "any": {"known": {"gone": 1}, "deep": [{"x": null}]}}, "other": 1});
    let read = object(
        body.to_string().as_bytes(),
        Format::Json,
        &widget,
        FieldValidation::Warn,
    )
    .unwrap();
    assert_eq!(
        read.object,
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"},
            "spec": {"size": "big", "any": {"known": {}, "deep": [{"x": null}]}}})
    );
    assert_eq!(
        read.warnings,
        [
            "unknown field \"metadata.x\"",
            "unknown field \"other\"",
            "unknown field \"spec.any.known.gone\"",
            "unknown field \"spec.nonsense\""
        ]
    );
    assert_eq!(
        refusal(
            r#"{"apiVersion":"example.com/v1","kind":"Widget","spec":{"x":1}}"#,
            &widget,
            FieldValidation::Strict
        ),
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.x\""
    );
}

#[test]
fn field_validation_is_one_of_three() {
    let parse = |text| FieldValidation::parse(text, "CreateOptions");
    assert_eq!(parse(None).unwrap(), FieldValidation::Warn);
    assert_eq!(parse(Some("")).unwrap(), FieldValidation::Warn);
    assert_eq!(parse(Some("Strict")).unwrap(), FieldValidation::Strict);
    assert_eq!(parse(Some("Ignore")).unwrap(), FieldValidation::Ignore);
    let error = parse(Some("Maybe")).unwrap_err();
    assert_eq!(
        error.message,
        "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"Maybe\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
    );
    let subject = error.subject.unwrap();
    assert_eq!(
        (subject.group.as_str(), subject.resource.as_str()),
        ("meta.k8s.io", "CreateOptions")
    );
}

#[test]
fn yaml_scalars_are_those_of_yaml_1_1() {
    for (text, wanted) in [
        ("a: yes", json!({"a": true})),
        ("a: 'yes'", json!({"a": "yes"})),
        ("a: 0644", json!({"a": 420})),
        ("a: 0o644", json!({"a": 420})),
        ("a: 0x1F", json!({"a": 31})),
        ("a: ~", json!({"a": null})),
        ("a:", json!({"a": null})),
        ("a: .5", json!({"a": 0.5})),
        ("1: x", json!({"1": "x"})),
        (
            "a: 2026-01-02T03:04:05Z",
            json!({"a": "2026-01-02T03:04:05Z"}),
        ),
        ("a: !!str 5", json!({"a": "5"})),
        (
            "b: &x {c: 1}\na: {<<: *x, d: 2}",
            json!({"a": {"c": 1, "d": 2}, "b": {"c": 1}}),
        ),
        ("a: |\n  x\n  y\n", json!({"a": "x\ny\n"})),
        ("", json!(null)),
    ] {
        let read = parse(text.as_bytes(), Format::Yaml, None).unwrap();
        assert_eq!(read.value, wanted, "{text}");
    }
}

#[test]
fn what_managed_fields_say_is_read_into_the_form_in_which_it_is_stored() {
    let body = |fields: &str| {
        let managed = format!(r#"{{"managedFields":[{{"manager":"m","fieldsV1":{fields}}}]}}"#);
        format!(r#"{{"metadata":{managed},"spec":{{"template":{{"metadata":{managed}}}}}}}"#)
    };
    let expected = expected("apps", "v1", "ReplicaSet");
    let stored = "H(I{'3:f:a})";
    for (fields, wanted) in [
        (
            r#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}}}"#,
            json!(stored),
        ),
        (
            r#" { "f:metadata" : { "f:labels" : { "." : { } , "f:a" : null } } } "#,
            json!(stored),
        ),
        ("{}", json!("")),
        ("null", json!(null)),
        // What is stored is not for callers to send.
        (r#""H(I)""#, json!(false)),
        ("[]", json!(false)),
        ("7", json!(false)),
        (r#"{"x":{}}"#, json!(false)),
    ] {
        let body = body(fields);
        let sent: Value = serde_json::from_str(fields).unwrap();
        // The second time it is known.
        for format in [Format::Json, Format::Json, Format::Yaml] {
            let read = object(body.as_bytes(), format, &expected, FieldValidation::Warn);
            let read = read.unwrap().object;
            let own = &read["metadata"]["managedFields"][0];
            assert_eq!(own["fieldsV1"], wanted, "{fields}");
            // Nobody owns a template.
            let template = &read["spec"]["template"]["metadata"]["managedFields"][0];
            assert_eq!(template["fieldsV1"], sent, "{fields}");
        }
    }
    let (deep, wide) = ("{\"f:a\":".repeat(200), "\"f:a\":{},".repeat(70_000));
    for (fields, reason) in [
        (format!("{deep}{{}}{}", "}".repeat(200)), Reason::BadRequest),
        (
            format!("{{{wide}\"f:b\":{{}}}}"),
            Reason::RequestEntityTooLarge,
        ),
    ] {
        let body = format!(r#"{{"metadata":{{"managedFields":[{{"fieldsV1":{fields}}}]}}}}"#);
        let error = object(
            body.as_bytes(),
            Format::Json,
            &expected,
            FieldValidation::Ignore,
        );
        assert_eq!(error.unwrap_err().reason, reason);
    }
}

proptest! {
    #[test]
    fn no_body_panics(body: Vec<u8>, text in r#"[\[\]{}:,"'a0&*!|>#%@\- \n]{0,40}"#) {
        for body in [&body[..], text.as_bytes()] {
            for format in [Format::Json, Format::Yaml, Format::Protobuf] {
                let _ = parse(body, format, None);
                let _ = object(body, format, &pod(), FieldValidation::Strict);
            }
        }
    }

    #[test]
    fn reading_twice_changes_nothing_more(
        fields in prop::collection::vec((prop::sample::select(vec!["spec", "metadata", "status", "x"]),
            prop::sample::select(vec!["name", "labels", "containers", "priority", "hostNetwork", "conditions", "y"]),
            prop::sample::select(vec![json!(null), json!(1), json!("a"), json!(true), json!([null]), json!([{"name": "n", "z": 1}]), json!({"a": "b", "c": null})])), 0..6),
    ) {
        let mut body = json!({});
        for (outer, inner, value) in fields {
            body[outer][inner] = value;
        }
        let once = conform(body, pod().schema).unwrap();
        let twice = conform(once.value.clone(), pod().schema).unwrap();
        prop_assert_eq!(twice.value, once.value);
        prop_assert!(twice.strict.is_empty() && twice.misfit.is_none());
    }
}
