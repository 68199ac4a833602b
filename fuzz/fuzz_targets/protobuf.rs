//! Messages.
#![no_main]

#[path = "../../k8shost-types/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::run("protobuf", data));
