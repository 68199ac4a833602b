//! Columns of custom kinds, and the paths their values are at.

use k8shost_types::table::{
    Options, Printer,
    custom::{CustomColumn, CustomColumns},
    jsonpath::JsonPath,
    render,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{common::now, robust::any_json};

fn first(path: &str, object: &Value) -> Option<Value> {
    let path = JsonPath::parse(path).unwrap_or_else(|| panic!("{path} is malformed"));
    path.first(object).map(|value| value.into_owned())
}

#[test]
fn paths_lead_to_values() {
    let object = json!({
        "metadata": {"annotations": {"a.b/c": "dotted"}, "name": "n"},
        "spec": {"n": 3, "f": 1.5, "list": [10, 11, 12, 13, 14], "empty": [], "off": false, "null": null},
        "status": {"conditions": [
            {"type": "Ready", "status": "True", "n": 1, "f": 0.5},
            {"type": "Other", "status": "False", "n": 2, "extra": {"deep": "x"}},
        ]},
    });
    for (path, expected) in [
        (".spec.n", json!(3)),
        ("$.spec.n", json!(3)),
        (".metadata.annotations.a\\.b/c", json!("dotted")),
        (".metadata.annotations['a\\.b/c']", json!("dotted")),
        ("['spec'].n", json!(3)),
        (".spec['n']", json!(3)),
        (".spec.list[0]", json!(10)),
        (".spec.list[-1]", json!(14)),
        (".spec.list[-5]", json!(10)),
        (".spec.list[1:3]", json!(11)),
        (".spec.list[-2:]", json!(13)),
        (".spec.list[*]", json!(10)),
        (".spec.list[1:5:3]", json!(11)),
        (".spec.list[3,0]", json!(13)),
        (".spec['f','n']", json!(1.5)),
        (".spec.*", json!([])),
        (".spec.null", json!(null)),
        (
            ".status.conditions[?(@.type==\"Ready\")].status",
            json!("True"),
        ),
        (
            ".status.conditions[?(@.type=='Other')].status",
            json!("False"),
        ),
        (".status.conditions[?(@.type != 'Ready')].n", json!(2)),
        (".status.conditions[?(@.n>1)].type", json!("Other")),
        (".status.conditions[?(@.n<=1)].type", json!("Ready")),
        (".status.conditions[?(@.f==0.5)].type", json!("Ready")),
        (".status.conditions[?(@.extra)].type", json!("Other")),
        (
            ".status.conditions[?(@.extra.deep==\"x\")].type",
            json!("Other"),
        ),
        ("..deep", json!("x")),
        (".status..type", json!("Ready")),
        (".spec.off", json!(false)),
    ] {
        let expected = Some(expected);
        assert_eq!(first(path, &object), expected, "{path}");
    }
    for path in [
        ".spec.none",
        ".spec.n.deeper",
        ".spec.list.name",
        ".spec.list[5]",
        ".spec.list[-6]",
        ".spec.list[3:1]",
        ".spec.list[2:2]",
        ".spec.list[0:9]",
        ".spec.list[0:4:0]",
        ".spec.empty[0]",
        ".spec.n[0]",
        ".spec.n[?(@.a)]",
        ".spec.none[?(@.a)].b",
        ".status.conditions[?(@.n==\"1\")].type",
        ".status.conditions[?(@.n==1.0)].type",
        ".status.conditions[?(@.type===\"Ready\")].type",
        ".status.conditions[?(@.type==\"Nope\")].type",
        "..nope",
        ".spec.n range",
        "range",
        ".spec[?(@.n==n)]",
        ".metadata.annotations.a.b/c",
    ] {
        assert_eq!(first(path, &object), None, "{path}");
    }
}

#[test]
fn malformed_paths_are_refused() {
    for path in [
        ".a[",
        ".a[x]",
        ".a['b]",
        ".a[1:2:3:4]",
        ".a[?(@.b==1)",
        ".a[?(@.b",
        ".a{b}",
        ".a....b",
        ".a\\",
        ".a['x",
        "'open",
        ".a[+1]",
        ".a[1,x]",
        ".a\n",
    ] {
        assert_eq!(JsonPath::parse(path), None, "{path}");
    }
    assert_eq!(JsonPath::parse(&".a".repeat(5000)), None);
}

fn column(kind: &str, json_path: &str) -> CustomColumn {
    CustomColumn::from_json(&json!({"name": "C", "type": kind, "jsonPath": json_path}))
}

fn cell(kind: &str, value: Value) -> Value {
    let columns = CustomColumns::new(vec![column(kind, ".v")]).expect("a path");
    let object = json!({"metadata": {"name": "n"}, "v": value});
    let cells = Printer::custom(&columns).cells(&object, now());
    assert_eq!(cells[0], "n");
    cells[1].clone()
}

#[test]
fn cells_are_of_the_type_of_their_column() {
    for (kind, value, expected) in [
        ("string", json!("a"), json!("a")),
        ("string", json!(5), json!("5")),
        ("string", json!(5.0), json!("5")),
        ("string", json!(1.5), json!("1.5")),
        ("string", json!(1e21), json!("1e+21")),
        ("string", json!(0.00001), json!("1e-05")),
        ("string", json!(true), json!("true")),
        (
            "string",
            json!(["a", {"b": "<"}]),
            json!("[\"a\",{\"b\":\"\\u003c\"}]"),
        ),
        (
            "string",
            json!([2.0, 1e21, 0.00001, 1e-7, null, {}]),
            json!("[2,1e+21,0.00001,1e-7,null,{}]"),
        ),
        ("string", json!(null), json!("<no value>")),
        ("integer", json!(5), json!(5)),
        ("integer", json!(-5.9), json!(-5)),
        ("integer", json!("5"), json!(null)),
        ("number", json!(1.5), json!(1.5)),
        ("number", json!(2), json!(2)),
        ("boolean", json!(false), json!(false)),
        ("boolean", json!("false"), json!(null)),
        ("date", json!("2025-12-31T23:54:30Z"), json!("5m30s")),
        ("date", json!("2026-01-01T01:54:30+02:00"), json!("5m30s")),
        ("date", json!("2026-01-01"), json!("<invalid>")),
        ("date", json!(""), json!("<unknown>")),
        ("date", json!(5), json!(null)),
        ("other", json!("x"), json!(null)),
    ] {
        assert_eq!(cell(kind, value.clone()), expected, "{kind} {value}");
    }
}

#[test]
fn custom_tables_begin_with_the_name() {
    let size = CustomColumn {
        name: "Size".to_owned(),
        priority: 1,
        ..column("integer", ".spec.size")
    };
    let columns = CustomColumns::new(vec![size]).expect("a path");
    let object = json!({"metadata": {"name": "a"}, "spec": {"size": 5}});
    let metadata = json!({"resourceVersion": "1"});
    let table = render(
        Printer::custom(&columns),
        &metadata,
        [&object],
        &Options::default(),
        now(),
    );
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    let expected = json!({
        "name": "Size", "type": "integer", "format": "", "priority": 1,
        "description": "The value at .spec.size.",
    });
    assert_eq!(table["columnDefinitions"][1], expected);
    assert_eq!(table["rows"][0]["cells"], json!(["a", 5]));
    let none = render(
        Printer::custom(&columns),
        &metadata,
        [],
        &Options::default(),
        now(),
    );
    assert_eq!(none["rows"], json!([]));
    let error = CustomColumns::new(vec![column("string", ".a[")]).expect_err("a malformed path");
    assert_eq!(error.message, "unrecognized column definition \".a[\"");
}

#[test]
fn without_columns_there_is_the_age() {
    let columns = CustomColumns::age();
    let object = json!({"metadata": {"name": "a", "creationTimestamp": "2025-12-31T23:54:30Z"}});
    assert_eq!(
        Printer::custom(&columns).cells(&object, now()),
        ["a", "5m30s"]
    );
    assert_eq!(Printer::custom(&columns).columns()[1]["type"], "date");
}

/// Pieces of paths, and nonsense between.
fn any_path() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        ".spec",
        ".a\\.b",
        "[0]",
        "[-1]",
        "[1:]",
        "[*]",
        ".*",
        "..",
        "['a']",
        "[0,1]",
        "[?(@.a==1)]",
        "[?(@.a)]",
        "[?(@..b!='x')]",
        "[?(",
        ")]",
        "[",
        "]",
        "'",
        "\"",
        "\\",
        "$",
        "@",
        "{",
        "1",
        "-",
        ".",
        "é",
    ]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_path_is_too_odd(path in any_path(), other in ".*", object in any_json()) {
        for path in [path, other] {
            if let Some(path) = JsonPath::parse(&path) {
                drop(path.first(&object));
            }
        }
    }
}

#[test]
fn searches_end() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep, {"a": 1}, {"a": 2}]);
    }
    let path = format!("{}.a", "...*".repeat(50));
    let path = JsonPath::parse(&path).expect("a path");
    assert_eq!(path.first(&deep), None);
}
