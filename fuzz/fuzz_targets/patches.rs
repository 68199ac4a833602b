//! Patches of each kind, of a pod.
#![no_main]

use k8shost_types::{
    decode::FieldValidation,
    patch::{Patch, PatchKind},
    schema,
};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|body: &[u8]| {
    let Some(schema) = schema::builtin().of("", "v1", "Pod") else {
        return;
    };
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "a", "labels": {"a": "b"}, "finalizers": ["x.io/a"]},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]},
    });
    for kind in [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic] {
        if let Ok(patch) = Patch::parse(kind, body) {
            let _ = patch.apply(schema, &pod, FieldValidation::Warn);
        }
    }
});
