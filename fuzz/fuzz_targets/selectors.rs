//! Label and field selectors.
#![no_main]

use k8shost_types::selector::{FieldSelector, LabelSelector};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(labels) = LabelSelector::parse(text) {
        let _ = labels.matches(|name| (name == "a").then_some("b"));
    }
    if let Ok(fields) = FieldSelector::parse(text) {
        let _ = fields.matches(|path| (path == "metadata.name").then_some("a"));
    }
});
