//! The details of Kubernetes JSON: what is left out, what is accepted.

use k8shost_proto::Resource;
use k8shost_proto::v1::{
    Container, ContainerPort, ListMeta, Node, NodeStatus, ObjectMeta, Pod, ServicePort,
};
use prost_types::value::Kind;
use prost_types::{Timestamp, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Reads JSON, and writes what was read.
fn rewrite<T: Serialize + DeserializeOwned>(json: serde_json::Value) -> serde_json::Value {
    let message: T = serde_json::from_value(json).unwrap();
    serde_json::to_value(&message).unwrap()
}

fn error<T: DeserializeOwned>(json: &str) -> String {
    serde_json::from_str::<T>(json).err().unwrap().to_string()
}

#[test]
fn fields_are_sorted_by_name() {
    let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"a":"","b":"1"},"name":"p"},"spec":{"containers":[{"image":"i","name":"c"}],"hostIPC":true,"hostname":"h","volumes":[{"emptyDir":{},"name":"v"}]},"status":{"podIP":"::1"}}"#;
    let pod = Pod::from_json(text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(pod.to_json().unwrap()).unwrap(), text);
}

#[test]
fn absent_empty_and_null_are_left_out() {
    let pod = json!({"metadata": {"labels": {}, "name": null, "finalizers": null}, "spec": null});
    assert_eq!(rewrite::<Pod>(pod), json!({"metadata": {}}));
    let probe = json!({"name": "c", "livenessProbe": {"tcpSocket": {"port": null}}});
    let written = json!({"name": "c", "livenessProbe": {"tcpSocket": {}}});
    assert_eq!(rewrite::<Container>(probe), written);
}

#[test]
fn required_values_are_always_written() {
    assert_eq!(
        rewrite::<ContainerPort>(json!({})),
        json!({"containerPort": 0})
    );
    assert_eq!(
        rewrite::<Container>(json!({"name": null})),
        json!({"name": ""})
    );
    let status = json!({"daemonEndpoints": {"kubeletEndpoint": {}}});
    let written = json!({"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}});
    assert_eq!(rewrite::<NodeStatus>(status), written);
}

#[test]
fn zero_false_and_empty_survive_where_they_were_given() {
    let container =
        json!({"name": "", "image": "", "stdin": false, "livenessProbe": {"periodSeconds": 0}});
    assert_eq!(rewrite::<Container>(container.clone()), container);
}

#[test]
fn a_list_meta_has_its_continue() {
    let list = ListMeta {
        continue_token: Some("t".to_owned()),
        ..ListMeta::default()
    };
    assert_eq!(
        serde_json::to_value(&list).unwrap(),
        json!({"continue": "t"})
    );
}

#[test]
fn the_tenant_is_read_and_never_written() {
    let json = r#"{"metadata": {"name": "a", "orgId": "o", "projectId": "p"}}"#;
    let node = Node::from_json(json.as_bytes()).unwrap();
    let metadata = node.metadata.as_ref().unwrap();
    assert_eq!(
        (metadata.org_id.as_str(), metadata.project_id.as_str()),
        ("o", "p")
    );
    assert_eq!(node.to_json().unwrap(), br#"{"metadata":{"name":"a"}}"#);
}

#[test]
fn integers_come_as_numbers_texts_and_whole_floats() {
    for form in [r#"9007199254740993"#, r#""9007199254740993""#] {
        let meta: ObjectMeta =
            serde_json::from_str(&format!(r#"{{"generation": {form}}}"#)).unwrap();
        assert_eq!(meta.generation, Some(9_007_199_254_740_993));
    }
    for form in ["80", "80.0", "8e1"] {
        let port: ContainerPort =
            serde_json::from_str(&format!(r#"{{"containerPort": {form}}}"#)).unwrap();
        assert_eq!(port.container_port, 80);
    }
    for form in ["80.5", "2147483648", "1e300", "\"80\"", "true", "[]"] {
        assert!(
            error::<ContainerPort>(&format!(r#"{{"containerPort": {form}}}"#)).contains("integer")
        );
    }
    for form in ["9223372036854775808", "\"\"", "\"1.5\"", "false"] {
        assert!(
            error::<ObjectMeta>(&format!(r#"{{"generation": {form}}}"#)).contains("an integer")
        );
    }
}

#[test]
fn an_int_or_string_is_either() {
    for (read, written) in [
        ("80", json!(80)),
        ("80.0", json!(80)),
        ("\"http\"", json!("http")),
        ("\"80\"", json!("80")),
        ("-1", json!(-1)),
    ] {
        let port: ServicePort =
            serde_json::from_str(&format!(r#"{{"targetPort": {read}}}"#)).unwrap();
        assert_eq!(
            serde_json::to_value(&port).unwrap(),
            json!({"port": 0, "targetPort": written})
        );
    }
    for wrong in ["80.5", "2147483648", "true", "{}", "[1]"] {
        assert!(
            error::<ServicePort>(&format!(r#"{{"targetPort": {wrong}}}"#)).contains("or a string")
        );
    }
    for wrong in [
        Kind::BoolValue(true),
        Kind::NumberValue(0.5),
        Kind::NumberValue(f64::NAN),
    ] {
        let target_port = Some(Value { kind: Some(wrong) });
        let port = ServicePort {
            target_port,
            ..ServicePort::default()
        };
        assert!(serde_json::to_string(&port).is_err());
    }
}

#[test]
fn times_are_written_in_whole_seconds() {
    let time = |text: &str| -> Result<ObjectMeta, _> {
        serde_json::from_value(json!({"creationTimestamp": text}))
    };
    for (read, written) in [
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        ("2024-01-01T01:00:00+02:30", "2023-12-31T22:30:00Z"),
        ("2024-01-01T00:00:00.999999999Z", "2024-01-01T00:00:00Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59-00:00", "9999-12-31T23:59:59Z"),
    ] {
        let meta = time(read).unwrap();
        assert_eq!(
            serde_json::to_value(&meta).unwrap(),
            json!({"creationTimestamp": written})
        );
    }
    for wrong in [
        "",
        "2024-01-01",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.Z",
        "2024-13-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:00+0100",
        "2024-01-01T00:00:00Zz",
        "0001-01-01T00:00:00+01:00",
        "2024-01-01T00:00:0\u{e9}Z",
        "1704067200",
    ] {
        assert!(time(wrong).is_err(), "{wrong}");
    }
    let creation_timestamp = Some(Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    let meta = ObjectMeta {
        creation_timestamp,
        ..ObjectMeta::default()
    };
    assert!(
        serde_json::to_string(&meta)
            .unwrap_err()
            .to_string()
            .contains("years 1 to 9999")
    );
}

#[test]
fn quantities_may_be_numbers() {
    let status = json!({"capacity": {"cpu": 2, "memory": "1Gi", "x": 0.5, "y": -1}});
    let written = json!({"capacity": {"cpu": "2", "memory": "1Gi", "x": "0.5", "y": "-1"}});
    assert_eq!(rewrite::<NodeStatus>(status), written);
    let limit = json!({"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": 1024}}]}});
    let written = json!({"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1024"}}]}});
    assert_eq!(rewrite::<Pod>(limit), written);
    // Swap's capacity is a number of bytes, and no quantity.
    let swap = json!({"nodeInfo": {"swap": {"capacity": 5}}});
    assert_eq!(
        rewrite::<NodeStatus>(swap)["nodeInfo"]["swap"],
        json!({"capacity": 5})
    );
}

#[test]
fn managed_fields_keep_any_object() {
    let fields =
        json!({"f:spec": {".": {}, "k:{\"a\":1}": {}}, "other": [null, true, 1, -2.5, "t", []]});
    let meta = json!({"managedFields": [{"fieldsV1": fields}, {"fieldsV1": {}}]});
    assert_eq!(rewrite::<ObjectMeta>(meta.clone()), meta);
}

#[test]
fn unknown_fields_are_skipped_and_can_be_collected() {
    let text = r#"{"spec": {"containers": [{"name": "c", "imag": "i"}], "x": {"y": [1]}}, "z": 1}"#;
    let pod = Pod::from_json(text.as_bytes()).unwrap();
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_str(text);
    let same: Pod =
        serde_ignored::deserialize(&mut json, |path| unknown.push(path.to_string())).unwrap();
    assert_eq!(same, pod);
    // A question mark stands for a value that could also be `null`.
    assert_eq!(unknown, ["spec.?.containers.?.0.?.imag", "spec.?.x", "z"]);
}

#[test]
fn errors_say_where() {
    let text = "{\"spec\": {\n\"containers\": [{\"name\": 1}]}}";
    assert_eq!(
        error::<Pod>(text),
        "invalid type: integer `1`, expected a string at line 2 column 25"
    );
    assert!(error::<Pod>("[]").contains("expected an object"));
    assert!(Pod::from_json(b"{} x").is_err());
}
