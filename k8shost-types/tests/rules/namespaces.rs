//! Namespaces: defaults and rules.

use k8shost_types::namespace::{self, STRATEGY};
use serde_json::{Value, json};

use crate::common::{UID, create, faults, stored, update, update_status};

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

#[test]
fn defaults() {
    assert_eq!(
        create(&STRATEGY, named("a")).expect("a valid namespace"),
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": "a",
                "uid": UID,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"kubernetes.io/metadata.name": "a"},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        })
    );
    let made = create(&STRATEGY, json!({"metadata": {"generateName": "g-"}}));
    let made = made.expect("a valid namespace");
    assert_eq!(made["metadata"]["name"], "g-x7k2q");
    assert_eq!(
        made["metadata"]["labels"]["kubernetes.io/metadata.name"],
        "g-x7k2q"
    );
}

#[test]
fn names_are_labels() {
    assert_eq!(
        faults(create(&STRATEGY, named("a.b"))),
        ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
    );
    // A label carries the name.
    let long = "a".repeat(64);
    assert_eq!(
        faults(create(&STRATEGY, named(&long))),
        [
            format!("metadata.name: Invalid value: \"{long}\": must be no more than 63 characters"),
            format!("metadata.labels: Invalid value: \"{long}\": must be no more than 63 bytes"),
        ]
    );
    let error = create(&STRATEGY, json!({"metadata": {}})).expect_err("a name is needed");
    assert_eq!(
        error.message,
        "Namespace \"\" is invalid: metadata.name: Required value: name or generateName is required"
    );
}

#[test]
fn an_update_keeps_what_is_not_its() {
    let old = stored(&STRATEGY, named("a"));
    let new = update(&STRATEGY, &old, |new| {
        new["spec"] = json!({});
        new["status"] = json!({"phase": "Terminating"});
        new["metadata"]["labels"] = json!({"x": "y"});
    })
    .expect("a valid update");
    assert_eq!(
        namespace::spec_finalizers(&new).collect::<Vec<_>>(),
        ["kubernetes"]
    );
    assert_eq!(namespace::phase(&new), "Active");
    assert_eq!(
        new["metadata"]["labels"],
        json!({"x": "y", "kubernetes.io/metadata.name": "a"})
    );
}

#[test]
fn the_phase_goes_with_the_deletion() {
    let old = stored(&STRATEGY, named("a"));
    let found = faults(update_status(&STRATEGY, &old, |new| {
        new["status"]["phase"] = json!("Terminating");
    }));
    assert_eq!(
        found,
        [
            "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
        ]
    );
    let mut deleted = old.clone();
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:01Z");
    let found = faults(update_status(&STRATEGY, &deleted, |_| {}));
    assert_eq!(
        found,
        [
            "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"
        ]
    );
}

#[test]
fn finalizers_are_qualified() {
    let old = stored(&STRATEGY, named("a"));
    let mut new = old.clone();
    new["spec"]["finalizers"] = json!(["short", "a.b/c"]);
    namespace::prepare_finalize_update(&mut new, &old);
    let found: Vec<String> = namespace::validate_finalize_update(&new, &old)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "spec.finalizers[0]: Invalid value: \"short\": name is neither a standard finalizer name nor is it fully qualified"
        ]
    );
}
