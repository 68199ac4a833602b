//! What the tests of this crate share.

use std::time::{Duration, SystemTime};

use k8shost_types::{Error, Strategy, namespace, node, pod, service, strategies};
use serde_json::{Value, json};

pub(crate) const UID: &str = "5f0e2a54-3c0c-4f2e-9a53-6f4a1a8f2d10";
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";
pub(crate) const STRATEGIES: [Strategy; 4] = [
    pod::STRATEGY,
    service::STRATEGY,
    node::STRATEGY,
    namespace::STRATEGY,
];

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

/// A pod with one container `c`, and these further fields of its spec.
pub(crate) fn pod(spec: Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]}
    });
    merge(&mut pod["spec"], spec);
    pod
}

/// A pod whose one container has these further fields.
pub(crate) fn container(fields: Value) -> Value {
    let mut pod = pod(json!({}));
    merge(&mut pod["spec"]["containers"][0], fields);
    pod
}

/// A service with one port, and these further fields of its spec.
pub(crate) fn service(spec: Value) -> Value {
    let mut service = json!({
        "metadata": {"name": "t", "namespace": "default"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}
    });
    merge(&mut service["spec"], spec);
    service
}

/// Sets the fields of an object; null takes one away.
pub(crate) fn merge(target: &mut Value, fields: Value) {
    let target = target.as_object_mut().expect("an object");
    let Value::Object(fields) = fields else {
        panic!("not an object: {fields}");
    };
    for (field, value) in fields {
        if value.is_null() {
            target.remove(&field);
        } else {
            target.insert(field, value);
        }
    }
}

/// The row of a kind in the table.
pub(crate) fn row(api_version: &str, resource: &str) -> &'static Strategy {
    strategies::find(api_version, resource).unwrap_or_else(|| panic!("no row of {resource}"))
}

/// A manifest named x, in the namespace w where its kind has one.
pub(crate) fn named(row: &Strategy, mut object: Value) -> Value {
    object["metadata"]["name"] = json!("x");
    if row.namespaced {
        object["metadata"]["namespace"] = json!("w");
    }
    object
}

/// What a create of [`named`] answers, but for what is the same for all: kind, name and times.
pub(crate) fn made(row: &Strategy, object: Value) -> Value {
    let mut object = match create(row, named(row, object)) {
        Ok(object) => object,
        Err(error) => panic!("{}: {error}", row.kind),
    };
    object.as_object_mut().map(|fields| {
        fields.remove("kind");
        fields.remove("apiVersion")
    });
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        object["metadata"]
            .as_object_mut()
            .map(|fields| fields.remove(field));
    }
    object
}

/// The message of a create of [`named`] that is refused.
pub(crate) fn refused(row: &Strategy, object: Value) -> String {
    match create(row, named(row, object)) {
        Ok(object) => panic!("accepted: {object}"),
        Err(error) => error.message,
    }
}

/// The message of an update that is refused.
pub(crate) fn update_refused(
    row: &Strategy,
    old: &Value,
    change: impl FnOnce(&mut Value),
) -> String {
    match update(row, old, change) {
        Ok(object) => panic!("accepted: {object}"),
        Err(error) => error.message,
    }
}

/// What a create makes of a manifest.
pub(crate) fn create(strategy: &Strategy, mut object: Value) -> Result<Value, Error> {
    strategy.before_create(&mut object, UID, now(), "x7k2q")?;
    Ok(object)
}

/// The same, where nothing is wrong; with a resourceVersion, as if stored.
pub(crate) fn stored(strategy: &Strategy, object: Value) -> Value {
    let mut object = create(strategy, object).expect("a valid object");
    object["metadata"]["resourceVersion"] = json!("5");
    object
}

/// What an update makes of an object.
pub(crate) fn update(
    strategy: &Strategy,
    old: &Value,
    change: impl FnOnce(&mut Value),
) -> Result<Value, Error> {
    let mut new = old.clone();
    change(&mut new);
    strategy.before_update(&mut new, old)?;
    Ok(new)
}

/// What a write of the status makes of an object.
pub(crate) fn update_status(
    strategy: &Strategy,
    old: &Value,
    change: impl FnOnce(&mut Value),
) -> Result<Value, Error> {
    let mut new = old.clone();
    change(&mut new);
    strategy.before_status_update(&mut new, old)?;
    Ok(new)
}

/// The errors of a result, one line per field.
pub(crate) fn faults(result: Result<Value, Error>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(error) => error.fields.iter().map(ToString::to_string).collect(),
    }
}

/// The errors that creating each of some pods gives.
pub(crate) fn check_pods(cases: &[(Value, &[&str])]) {
    for (object, expected) in cases {
        let found = faults(create(&pod::STRATEGY, object.clone()));
        assert_eq!(&found, expected, "{object}");
    }
}
