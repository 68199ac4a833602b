//! What is done with bytes that may be anything, for each of the decoders. cargo-fuzz runs these functions on what
//! it makes up, the tests on what `main.rs` makes up.

use std::time::SystemTime;

use k8shost_types::{
    apply,
    continue_token::ContinueToken,
    decode::{self, Expected, FieldValidation, Format},
    patch::{Patch, PatchKind},
    pod, protobuf,
    schema::{self, Type},
    selector::{FieldSelector, LabelSelector},
};
use serde_json::json;

/// Does it, for the decoder of this name.
pub(crate) fn run(target: &str, bytes: &[u8]) {
    match target {
        "objects" => objects(bytes),
        "protobuf" => messages(bytes),
        "patches" => patches(bytes),
        "selectors" => selectors(bytes),
        "tokens" => tokens(bytes),
        _ => panic!("there is no target {target}"),
    }
}

fn pods() -> Type<'static> {
    let schemas = schema::builtin();
    schemas.of("", "v1", "Pod").expect("there are pods")
}

/// A body as JSON and as YAML: what is read is defaulted and judged, and has an owner; its managedFields are shown.
fn objects(body: &[u8]) {
    let expected = Expected {
        group: "",
        version: "v1",
        kind: "Pod",
        schema: pods(),
    };
    for format in [Format::Json, Format::Yaml] {
        let read = decode::object(body, format, &expected, FieldValidation::Warn);
        if let Ok(mut read) = read {
            let now = SystemTime::UNIX_EPOCH;
            let _ = pod::STRATEGY.before_create(&mut read.object, "u", now, "xxxxx");
            apply::expand_fields(&mut read.object);
        }
    }
}

/// A message: what is read can be written, and is read again as the same.
fn messages(body: &[u8]) {
    if let Ok(object) = protobuf::decode(body, Some(("v1", "Pod"))) {
        let message = protobuf::encode(&object).expect("what was read can be written");
        let again = protobuf::decode(&message, None).expect("what was written can be read");
        assert_eq!(again, object);
    }
}

/// Patches of each kind, of a pod.
fn patches(body: &[u8]) {
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "a", "labels": {"a": "b"}, "finalizers": ["x.io/a"]},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]},
    });
    for kind in [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic] {
        if let Ok(patch) = Patch::parse(kind, body) {
            let _ = patch.apply(pods(), &pod, FieldValidation::Warn);
        }
    }
}

/// Label and field selectors: one that is read is written as what is read as the same.
fn selectors(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if let Ok(labels) = LabelSelector::parse(text) {
        let _ = labels.matches(|name| (name == "a").then_some("b"));
        let written = labels.to_string();
        let again = LabelSelector::parse(&written).expect("what was written can be read");
        assert_eq!(again.to_string(), written);
    }
    if let Ok(fields) = FieldSelector::parse(text) {
        let _ = fields.matches(|path| (path == "metadata.name").then_some("a"));
    }
}

/// A continue token: one that is read is what would have been written.
fn tokens(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if let Ok(token) = ContinueToken::read(text, "pods/") {
        assert_eq!(token.write("pods/"), text.to_ascii_lowercase());
    }
}
