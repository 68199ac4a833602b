//! What `kubectl get` prints: columns and cells of the built-in kinds, and the Table they stand in.

use std::time::Duration;

use k8shost_types::table::{
    self, Column, Include, Options, Printer, Version, human, partial_metadata,
    partial_metadata_list, render,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    answers::ANSWERS,
    common::now,
    robust::{any_json, replace},
};

/// Five and a half minutes before [`now`].
pub(crate) const MADE: &str = "2025-12-31T23:54:30Z";

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn made(mut object: Value) -> Value {
    object["metadata"]["creationTimestamp"] = MADE.into();
    object
}

pub(crate) fn cells(group: &str, resource: &str, object: Value) -> Value {
    table::row(group, resource, &made(object), now()).into()
}

fn shown(column: &Column) -> String {
    let mut out = column.name.to_owned();
    if column.kind != "string" {
        out.push_str(&format!(":{}", column.kind));
    }
    if !column.format.is_empty() {
        out.push_str(&format!(":{}", column.format));
    }
    if column.priority == 1 {
        out.push_str(":wide");
    }
    out
}

#[test]
fn tables_are_those_of_kube_apiserver() {
    for &(group, resource, columns, object, expected) in ANSWERS {
        let have: Vec<String> = table::columns(group, resource).iter().map(shown).collect();
        assert_eq!(have.join(", "), columns, "{group} {resource}");
        let have = cells(group, resource, parse(object));
        assert_eq!(have, parse(expected), "{group} {resource}");
    }
}

#[test]
fn only_the_runtime_class_handler_has_no_description() {
    for &(group, resource, ..) in ANSWERS {
        for column in table::columns(group, resource) {
            let none = column.name == "Handler";
            assert_eq!(
                column.description.is_empty(),
                none,
                "{resource} {}",
                column.name
            );
        }
    }
}

#[test]
fn spans_have_two_or_three_figures() {
    let (minute, hour, day) = (60, 3600, 86_400);
    for (seconds, expected) in [
        (i64::MIN, "<invalid>"),
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (10 * minute, "10m"),
        (179 * minute + 59, "179m"),
        (3 * hour, "3h"),
        (3 * hour + 5 * minute, "3h5m"),
        (8 * hour + 5 * minute, "8h"),
        (47 * hour, "47h"),
        (48 * hour, "2d"),
        (53 * hour, "2d5h"),
        (8 * day + 5 * hour, "8d"),
        (729 * day, "729d"),
        (730 * day, "2y"),
        (732 * day, "2y2d"),
        (8 * 365 * day + 5 * day, "8y"),
        (i64::MAX, "292y"),
    ] {
        assert_eq!(human(seconds), expected, "{seconds}");
    }
}

#[test]
fn a_table_has_columns_rows_and_what_was_asked_of_the_objects() {
    let map = made(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "1"}},
        "data": {"k": "v"},
    }));
    let list = json!({"resourceVersion": "7", "continue": "", "remainingItemCount": 3});
    let printer = Printer::of("", "configmaps");
    let table = render(printer, &list, [&map], &Options::default(), now());
    let metadata = json!({"name": "a", "labels": {"x": "1"}, "creationTimestamp": MADE});
    let partial = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata});
    assert_eq!(
        table,
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "Table",
            "metadata": {"resourceVersion": "7", "remainingItemCount": 3},
            "columnDefinitions": table::columns("", "configmaps").iter().map(Column::to_json).collect::<Vec<_>>(),
            "rows": [{"cells": ["a", 1, "5m30s"], "object": partial}],
        })
    );
    assert_eq!(table["columnDefinitions"][0]["format"], "name");
    let options = Options {
        version: Version::V1Beta1,
        include: Include::Object,
        no_headers: true,
    };
    let table = render(printer, &list, [&map], &options, now());
    assert_eq!(table["apiVersion"], "meta.k8s.io/v1beta1");
    assert_eq!(table["columnDefinitions"], json!(null));
    assert_eq!(table["rows"][0]["object"], map);
    let options = Options {
        include: Include::None,
        ..Options::default()
    };
    let table = render(printer, &list, [&map], &options, now());
    assert_eq!(
        table["rows"][0],
        json!({"cells": ["a", 1, "5m30s"], "object": null})
    );
    let none = render(printer, &list, [], &Options::default(), now());
    assert_eq!(none["rows"], json!([]));
    let none = render(
        Printer::of("", "limitranges"),
        &list,
        [],
        &Options::default(),
        now(),
    );
    assert_eq!(none["rows"], json!(null));
}

#[test]
fn rows_of_ended_pods_say_so() {
    let rows = |phase: &str| {
        let pod = json!({"status": {"phase": phase}});
        let options = Options::default();
        render(
            Printer::of("", "pods"),
            &Value::Null,
            [&pod],
            &options,
            now(),
        )["rows"]
            .clone()
    };
    assert_eq!(rows("Running")[0].get("conditions"), None);
    let condition = json!([{"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}]);
    assert_eq!(rows("Failed")[0]["conditions"], condition);
    assert_eq!(rows("Succeeded")[0]["conditions"][0]["reason"], "Succeeded");
}

#[test]
fn flow_schemas_are_listed_by_precedence() {
    let schema = |name: &str, precedence: i64| json!({"metadata": {"name": name}, "spec": {"matchingPrecedence": precedence}});
    let all = [schema("c", 9), schema("b", 1), schema("a", 9)];
    let printer = Printer::of("flowcontrol.apiserver.k8s.io", "flowschemas");
    let table = render(printer, &Value::Null, &all, &Options::default(), now());
    let names: Vec<&Value> = (0..3).map(|i| &table["rows"][i]["cells"][0]).collect();
    assert_eq!(names, ["b", "a", "c"]);
}

#[test]
fn include_object_is_read_as_kubernetes_reads_it() {
    assert_eq!(Include::parse("").expect("read"), Include::Metadata);
    assert_eq!(Include::parse("None").expect("read"), Include::None);
    assert_eq!(Include::parse("Object").expect("read"), Include::Object);
    let error = Include::parse("all").expect_err("no such value");
    assert_eq!(
        error.message,
        "Unable to convert to Table as requested: includeObject: Invalid value: \"all\": must be 'Metadata', 'Object', 'None', or empty"
    );
}

#[test]
fn metadata_goes_alone_or_in_a_list() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}});
    let partial = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "a"}});
    assert_eq!(partial_metadata(&pod, Version::V1), partial);
    assert_eq!(
        partial_metadata(&json!(5), Version::V1)["metadata"],
        json!({})
    );
    let metadata = json!({"resourceVersion": "7", "continue": "c", "selfLink": "/x"});
    assert_eq!(
        partial_metadata_list(&metadata, [&pod], Version::V1),
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "metadata": {"resourceVersion": "7", "continue": "c"}, "items": [partial],
        })
    );
}

/// The objects of the answers, each with one place replaced; and any JSON.
fn odd_objects() -> impl Strategy<Value = Value> {
    let broken = (0..ANSWERS.len(), 0..40_usize, any_json()).prop_map(|(case, at, with)| {
        let mut object = made(parse(ANSWERS[case].3));
        replace(&mut object, &mut { at }, &mut Some(with));
        object
    });
    prop_oneof![any_json(), broken]
}

proptest! {
    #[test]
    fn no_object_is_too_odd_for_a_row(object in odd_objects(), seconds in 0..1_u64 << 40) {
        let then = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        let more = [("networking.k8s.io", "ipaddresses"), ("flowcontrol.apiserver.k8s.io", "flowschemas"),
            ("storage.k8s.io", "volumeattachments"), ("storage.k8s.io", "volumeattributesclasses"),
            ("certificates.k8s.io", "certificatesigningrequests"), ("resource.k8s.io", "resourceclaims"),
            ("resource.k8s.io", "resourceslices"), ("networking.k8s.io", "servicecidrs"),
            ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"), ("", "componentstatuses")];
        for (group, resource) in ANSWERS.iter().map(|answer| (answer.0, answer.1)).chain(more) {
            let columns = table::columns(group, resource).len();
            let cells = table::row(group, resource, &object, then).len();
            // Addresses have an age that no column shows.
            prop_assert_eq!(cells, columns + usize::from(resource == "ipaddresses"));
            let table = render(Printer::of(group, resource), &object, [&object], &Options::default(), then);
            prop_assert_eq!(table["rows"].as_array().map(Vec::len), Some(1));
        }
    }
}
