//! The `k8shost` binary.
fn main() {}
