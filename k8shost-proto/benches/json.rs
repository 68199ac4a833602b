//! How long a pod of about 2 KiB takes from one encoding to the other. Prints the best of several
//! runs, in nanoseconds for one pod on one core.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // A benchmark prints, and may panic.

use std::hint::black_box;
use std::time::Instant;

use k8shost_proto::Resource;
use k8shost_proto::v1::Pod;
use prost::Message;

const ROUNDS: u32 = 2_000;
const RUNS: usize = 20;

fn measure(name: &str, mut work: impl FnMut()) {
    let run = |_| {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| work());
        start.elapsed() / ROUNDS
    };
    let best = (0..RUNS).map(run).min().unwrap_or_default();
    println!("{name:<28}{:>8} ns", best.as_nanos());
}

fn main() {
    let manifest = include_bytes!("../tests/data/manifests/pod.json");
    let mut pod = Pod::from_json(manifest).unwrap();
    // Nobody's pod has these without server-side apply.
    pod.metadata_mut().as_mut().unwrap().managed_fields.clear();
    let (json, bytes) = (pod.to_json().unwrap(), pod.encode_to_vec());
    println!("{} bytes of JSON, {} of protobuf", json.len(), bytes.len());

    measure("protobuf to message", || {
        black_box(Pod::decode(black_box(bytes.as_slice())).unwrap());
    });
    measure("message to JSON", || {
        black_box(black_box(&pod).to_json().unwrap());
    });
    measure("protobuf to JSON", || {
        let pod = Pod::decode(black_box(bytes.as_slice())).unwrap();
        black_box(pod.to_json().unwrap());
    });
    measure("JSON to message", || {
        black_box(Pod::from_json(black_box(&json)).unwrap());
    });
    measure("message to protobuf", || {
        black_box(black_box(&pod).encode_to_vec());
    });
    measure("JSON to protobuf", || {
        let pod = Pod::from_json(black_box(&json)).unwrap();
        black_box(pod.encode_to_vec());
    });
}
