//! Scale: the object of the subresource `scale`, by which an object's number of replicas is read and
//! written.

use serde_json::{Value, json};

use crate::{
    apply::{Managed, Operation, from_scale, to_scale},
    error::Error,
    field::Path,
    json::{self as tree, get, int, text},
    meta, names,
    rules::{self, part, selector_of, spec, status},
    strategy::{Strategy, Text},
};

/// The row of Scale. There are no such objects by themselves: each is made of another one.
pub static SCALE: Strategy = Strategy {
    kind: Text::Borrowed("Scale"),
    api_version: Text::Borrowed("autoscaling/v1"),
    resource: Text::Borrowed("scales"),
    ..Strategy::BASE
};

/// Where an object of a built-in kind has its replicas.
const REPLICAS: &[&str] = &["spec", "replicas"];

/// The scale of a stored object, which takes its place. Who owns its replicas is told as stored objects tell it.
pub fn show(object: &mut Value) {
    let metadata = meta::metadata(object);
    let mut shown = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        tree::keep(&mut shown, metadata, field);
    }
    let mut spec_shown = json!({});
    if let Some(replicas) = int(spec(object), "replicas").filter(|replicas| *replicas != 0) {
        tree::set(&mut spec_shown, "replicas", replicas);
    }
    let mut status_shown = json!({
        "replicas": int(status(object), "replicas").unwrap_or_default(),
    });
    let selector = selector(part(spec(object), "selector"));
    if !selector.is_empty() {
        tree::set(&mut status_shown, "selector", selector);
    }
    let version = text(object, "apiVersion");
    let replicas = |of: &str| (of == version).then_some(REPLICAS);
    let managed = to_scale(&Managed::of(object), &replicas).to_stored();
    let mut scale = json!({
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": shown,
        "spec": spec_shown,
        "status": status_shown,
    });
    Managed::write(managed, &mut scale);
    *object = scale;
}

/// A selector as text. A replication controller's is a map of labels.
fn selector(selector: &Value) -> String {
    let is_map = selector
        .as_object()
        .is_some_and(|map| map.values().all(Value::is_string));
    let labels = json!({"matchLabels": selector});
    selector_of(if is_map { &labels } else { selector })
        .map_or_else(String::new, |selector| selector.to_string())
}

/// The object with a new scale, which it takes the place of; the old object is given.
///
/// # Errors
/// Invalid, if the scale breaks its rules.
pub fn store(scale: &mut Value, old: &Value) -> Result<(), Error> {
    let mut errors = rules::metadata(scale, true, names::subdomain_rule);
    let path = Path::new("spec");
    rules::non_negative(spec(scale), "replicas", &path, &mut errors);
    if !errors.is_empty() {
        let name = meta::name(scale);
        return Err(Error::invalid_in(SCALE.group(), &SCALE.kind, name, errors));
    }
    let mut new = old.clone();
    for field in ["resourceVersion", "uid"] {
        match get(meta::metadata(scale), field).cloned() {
            Some(value) => meta::set(&mut new, field, value),
            None => meta::remove(&mut new, field),
        }
    }
    let count = int(spec(scale), "replicas").unwrap_or_default();
    if let Some(spec_of_new) = tree::ensure_object(&mut new, "spec") {
        tree::set(spec_of_new, "replicas", count);
    }
    let version = text(old, "apiVersion");
    let replicas = |of: &str| (of == version).then_some(REPLICAS);
    let (parent, mut of_scale) = (Managed::of(old), Managed::of(scale));
    if count == 0 {
        // Kubernetes leaves out a zero: who has not applied it does not own it.
        let entries = &mut of_scale.0;
        entries.retain(|entry| entry.operation == Operation::Apply);
    }
    let managed = from_scale(&parent, &of_scale, version, &replicas).to_stored();
    Managed::write(managed, &mut new);
    *scale = new;
    Ok(())
}
