//! Sets of fields, and FieldsV1.

use k8shost_types::apply::{Element, FieldPath, FieldSet, Managed};
use serde_json::{Value, json};

fn shown(set: &FieldSet<'_>) -> Vec<String> {
    set.paths().iter().map(ToString::to_string).collect()
}

/// The order of Kubernetes: fields, keys (numbers by what they are worth), values, indices; text of one
/// kind by its bytes.
#[test]
fn fields_v1_is_written_in_order() {
    let fields = json!({
        "i:10": {}, "i:2": {},
        "v:true": {}, "v:\"b\"": {}, "v:\"a\"": {}, "v:10": {}, "v:9": {}, "v:1.5": {},
        "k:{\"port\":443,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
        "k:{\"port\":80,\"protocol\":\"UDP\"}": {},
        "k:{\"protocol\":\"TCP\",\"port\":80}": {"f:name": {}},
        "k:{\"name\":\"x\"}": {},
        "f:b": {"f:c": {}}, "f:a/b.c-d": {}, "f:\"quoted\"": {}, "f:": {},
    });
    let set = FieldSet::from_value(&fields).expect("is FieldsV1");
    assert_eq!(
        set.to_json(),
        [
            r#"{"f:":{},"f:\"quoted\"":{},"f:a/b.c-d":{},"f:b":{"f:c":{}},"#,
            r#""k:{\"name\":\"x\"}":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:name":{}},"#,
            r#""k:{\"port\":80,\"protocol\":\"UDP\"}":{},"#,
            r#""k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"#,
            r#""v:1.5":{},"v:9":{},"v:10":{},"v:\"a\"":{},"v:\"b\"":{},"v:true":{},"i:2":{},"i:10":{}}"#,
        ]
        .concat()
    );
    assert_eq!(
        shown(&set)[3..6],
        [
            r#"[name="x"]"#,
            r#"[port=80,protocol="UDP"]"#,
            r#"[port=443,protocol="TCP"]"#,
        ]
        .map(str::to_owned)
    );
    assert_eq!(FieldSet::from_value(&set.to_value()), Ok(set.clone()));
    assert_eq!(set.clone().into_owned(), set);
}

#[test]
fn what_fields_v1_may_be() {
    let read = |fields: Value| FieldSet::from_value(&fields).map(FieldSet::into_owned);
    // Of a kind that is not known: left out.
    let odd = read(json!({"x:y": {}, "f:a": {}})).expect("is read");
    assert_eq!(shown(&odd), [".a"]);
    assert!(read(json!({})).expect("is empty").is_empty());
    assert!(read(json!({".": {}})).expect("is empty").is_empty());
    for wrong in [
        json!("f:a"),
        json!([]),
        json!({"f": {}}),
        json!({"fa": {}}),
        json!({"f:a": 1}),
        json!({"k:name": {}}),
        json!({"k:[]": {}}),
        json!({"v:": {}}),
        json!({"i:x": {}}),
        json!({"i:99999999999999999999": {}}),
        json!({"f:a": {"f:b": {"é": {}}}}),
    ] {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
    let deep = (0..1000).fold(json!({}), |below, _| json!({"f:a": below}));
    assert!(read(deep).is_err());
}

#[test]
fn sets_by_paths() {
    let set = FieldSet::of_names(&[&["a"], &["b", "c"], &["b", "c", "d"], &["b", "e"]]);
    assert_eq!(shown(&set), [".a", ".b.c", ".b.e", ".b.c.d"]);
    assert_eq!(set.len(), 4);
    let path = |names: &[&'static str]| {
        let elements = names.iter().map(|name| Element::field(*name));
        elements.collect::<Vec<_>>()
    };
    assert!(set.contains(&path(&["b", "c"])));
    assert!(!set.contains(&path(&["b"])));
    assert!(!set.contains(&[]));
    assert_eq!(shown(&set.clone().leaves()), [".a", ".b.e", ".b.c.d"]);
    let c = FieldSet::of_names(&[&["b", "c"]]);
    assert_eq!(shown(&set.clone().difference(&c)), [".a", ".b.e", ".b.c.d"]);
    assert_eq!(shown(&set.recursive_difference(&c)), [".a", ".b.e"]);
    assert_eq!(FieldPath(path(&["b", "c"])).to_string(), ".b.c");
    let mut none = FieldSet::new();
    none.insert([]);
    assert!(none.is_empty());
}

#[test]
fn what_managed_fields_may_be() {
    let entry = json!({
        "manager": "m", "operation": "Update", "apiVersion": "v1", "time": "2026-01-02T03:04:05Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:a": {}}, "subresource": "status",
    });
    let one = json!([entry]);
    let managed = Managed::from_value(&one).expect("is read");
    assert_eq!(managed.to_value(), one);
    for (field, value) in [
        ("operation", json!("Patch")),
        ("operation", Value::Null),
        ("apiVersion", json!("")),
        ("fieldsType", json!("FieldsV2")),
        ("fieldsType", json!("")),
        ("fieldsV1", json!({"nonsense": {}})),
        ("time", json!(5)),
    ] {
        let mut wrong = entry.clone();
        wrong[field] = value;
        assert!(Managed::from_value(&json!([wrong])).is_err(), "{wrong}");
    }
    assert!(Managed::from_value(&json!("x")).is_err());
    assert!(Managed::from_value(&json!(["x"])).is_err());
    assert_eq!(
        Managed::from_value(&Value::Null).expect("is none"),
        Managed::default()
    );

    // Appliers first; then by second, name, version and subresource; a manager once.
    let make = |manager: &str, operation: &str, version: &str, time: Option<&str>| {
        let mut entry = entry.clone();
        entry["manager"] = json!(manager);
        entry["operation"] = json!(operation);
        entry["apiVersion"] = json!(version);
        match time {
            Some(time) => entry["time"] = json!(time),
            None => drop(entry.as_object_mut().expect("an object").remove("time")),
        }
        entry
    };
    let early = Some("2026-01-02T03:04:05Z");
    let late = Some("2026-01-02T03:04:06Z");
    let sorted = json!([
        make("z", "Apply", "v1", None),
        make("b", "Apply", "v1", early),
        make("a", "Apply", "v1", late),
        make("y", "Update", "v1", None),
        make("a", "Update", "v1", early),
        make("a", "Update", "v2", early),
        make("b", "Update", "v1", early),
    ]);
    let mut mixed = sorted.as_array().cloned().expect("a list");
    mixed.reverse();
    mixed.insert(0, make("b", "Apply", "v0", late));
    let mixed = Value::Array(mixed);
    let managed = Managed::from_value(&mixed).expect("is read");
    assert_eq!(managed.to_value(), sorted);
}
