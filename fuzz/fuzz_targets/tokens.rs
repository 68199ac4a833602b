//! Continue tokens.
#![no_main]

// Each program runs one of them.
#[allow(dead_code)]
#[path = "../../k8shost-types/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::tokens(data));
