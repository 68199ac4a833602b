//! metadata: reading it, what the server sets in it, and the rules that hold for every kind.

mod validate;

use std::time::SystemTime;

use serde_json::Value;

pub use validate::{ANNOTATIONS_MAX, validate_create, validate_manager, validate_update};
pub(crate) use validate::{
    MANAGER_MAX, validate_annotations, validate_kube_finalizer, validate_kube_finalizers,
    validate_labels,
};

use crate::{
    json::{self, get, int, list, pairs, text},
    names, time,
};

/// The letters of a generated name: no vowels, and nothing that looks like something else.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// A generated name is a DNS label: a longer generateName is cut.
const GENERATE_NAME_MAX: usize = names::LABEL_MAX - SUFFIX_LENGTH;

static ABSENT: Value = Value::Null;

/// The object's metadata; null where there is none.
pub fn metadata(object: &Value) -> &Value {
    get(object, "metadata").unwrap_or(&ABSENT)
}

/// metadata.name, or "".
pub fn name(object: &Value) -> &str {
    text(metadata(object), "name")
}

/// metadata.namespace, or "".
pub fn namespace(object: &Value) -> &str {
    text(metadata(object), "namespace")
}

/// metadata.uid, or "".
pub fn uid(object: &Value) -> &str {
    text(metadata(object), "uid")
}

/// metadata.resourceVersion, or "".
pub fn resource_version(object: &Value) -> &str {
    text(metadata(object), "resourceVersion")
}

/// metadata.generation, or 0.
pub fn generation(object: &Value) -> i64 {
    int(metadata(object), "generation").unwrap_or_default()
}

/// metadata.deletionTimestamp, or "".
pub fn deletion_timestamp(object: &Value) -> &str {
    text(metadata(object), "deletionTimestamp")
}

/// metadata.deletionGracePeriodSeconds.
pub fn deletion_grace_period_seconds(object: &Value) -> Option<i64> {
    int(metadata(object), "deletionGracePeriodSeconds")
}

/// metadata.finalizers.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    list(metadata(object), "finalizers")
        .iter()
        .filter_map(Value::as_str)
}

/// metadata.labels, sorted by key.
pub fn labels(object: &Value) -> Vec<(&str, &str)> {
    let mut labels: Vec<_> = pairs(metadata(object), "labels").collect();
    labels.sort_unstable();
    labels
}

/// The value of a label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    get(metadata(object), "labels")?.get(key)?.as_str()
}

/// The value of an annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    get(metadata(object), "annotations")?.get(key)?.as_str()
}

/// Sets a field of metadata, which is made where there is none.
pub fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    if let Some(metadata) = json::ensure_object(object, "metadata") {
        json::set(metadata, field, value);
    }
}

/// Takes a field of metadata away.
pub fn remove(object: &mut Value, field: &str) {
    if let Some(metadata) = json::get_mut(object, "metadata") {
        json::remove(metadata, field);
    }
}

/// Sets a label.
pub fn set_label(object: &mut Value, key: &str, value: &str) {
    set_entry(object, "labels", key, value);
}

/// Sets an annotation.
pub fn set_annotation(object: &mut Value, key: &str, value: &str) {
    set_entry(object, "annotations", key, value);
}

fn set_entry(object: &mut Value, map: &str, key: &str, value: &str) {
    let entries = json::ensure_object(object, "metadata")
        .and_then(|metadata| json::ensure_object(metadata, map));
    if let Some(entries) = entries {
        json::set(entries, key, value);
    }
}

/// Sets apiVersion and kind.
pub fn set_kind(object: &mut Value, api_version: &str, kind: &str) {
    if text(object, "kind") != kind {
        json::set(object, "kind", kind);
    }
    if text(object, "apiVersion") != api_version {
        json::set(object, "apiVersion", api_version);
    }
}

/// The letters that complete a generateName, of a random number.
pub fn name_suffix(mut random: u64) -> String {
    let letters = SUFFIX_ALPHABET.len() as u64;
    let mut suffix = String::with_capacity(SUFFIX_LENGTH);
    for _ in 0..SUFFIX_LENGTH {
        let at = usize::try_from(random % letters).expect("less than the alphabet's length");
        suffix.push(char::from(SUFFIX_ALPHABET[at]));
        random /= letters;
    }
    suffix
}

/// Gives an object with a generateName and no name a name.
pub fn generate_name(object: &mut Value, suffix: &str) {
    if !name(object).is_empty() {
        return;
    }
    let base = text(metadata(object), "generateName");
    if base.is_empty() {
        return;
    }
    let mut end = base.len().min(GENERATE_NAME_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let name = format!("{}{suffix}", &base[..end]);
    set(object, "name", name);
}

/// What the server sets in the metadata of a new object, whatever the caller sent.
pub fn prepare_create(object: &mut Value, uid: &str, now: SystemTime) {
    set(object, "uid", uid);
    set(object, "creationTimestamp", time::format(now));
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        remove(object, field);
    }
}

/// What an update cannot change, or what it means to keep by leaving it out, before the kind's own
/// preparation: generation and resourceVersion.
pub fn prepare_update(new: &mut Value, old: &Value) {
    if let Some(metadata) = json::ensure_object(new, "metadata") {
        json::keep(metadata, self::metadata(old), "generation");
        if text(metadata, "resourceVersion").is_empty() {
            json::set(metadata, "resourceVersion", resource_version(old));
        }
    }
}

/// The same, after the kind's own preparation: uid, creation and deletion.
pub fn keep_immutable(new: &mut Value, old: &Value) {
    let old = metadata(old);
    let Some(metadata) = json::ensure_object(new, "metadata") else {
        return;
    };
    if text(metadata, "uid").is_empty() {
        json::keep(metadata, old, "uid");
    }
    if !text(old, "creationTimestamp").is_empty() {
        json::keep(metadata, old, "creationTimestamp");
    }
    if !text(old, "deletionTimestamp").is_empty() {
        json::keep(metadata, old, "deletionTimestamp");
    }
    if get(metadata, "deletionGracePeriodSeconds").is_none() {
        json::keep(metadata, old, "deletionGracePeriodSeconds");
    }
}

/// What a write of a subresource leaves in metadata as it was.
pub(crate) fn keep_for_subresource(new: &mut Value, old: &Value) {
    let Some(metadata) = json::ensure_object(new, "metadata") else {
        return;
    };
    for field in [
        "deletionTimestamp",
        "selfLink",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
    ] {
        json::keep(metadata, self::metadata(old), field);
    }
}
