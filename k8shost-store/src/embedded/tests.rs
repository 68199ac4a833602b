//! The embedded store where it is not like other backends: its folder, its failures, its crashes.

mod corrupt;
mod crash;
mod fault;
mod folder;
mod full;
mod model;
mod rest;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{EmbeddedKv, Options};
use crate::kv::{Kv, KvError, Swap};

fn open(folder: &Path, options: &Options) -> EmbeddedKv {
    EmbeddedKv::open(folder, options.clone()).unwrap()
}

/// As little in memory as there can be.
fn without_memory() -> Options {
    Options {
        memtable_bytes: 16 << 10,
        cache_bytes: 16 << 10,
        ..Options::default()
    }
}

fn log_key(revision: u64) -> Bytes {
    format!("k8s/acme/web/@log/{revision:016x}").into()
}

fn pod(number: u64) -> Bytes {
    format!("k8s/acme/web/pods/default/pod-{number:05}").into()
}

fn floor() -> Bytes {
    "k8s/acme/web/@floor".into()
}

/// A value that is different for each number, and does not compress to nothing.
fn value(number: u64, length: usize) -> Bytes {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..length).map(|_| random()).collect()
}

async fn append(kv: &EmbeddedKv, revision: u64) -> Result<Swap, KvError> {
    kv.compare_and_swap(log_key(revision), None, value(revision, 3000))
        .await
}

/// A number that a test sets while the store runs, for the free space.
fn settable(number: u64) -> (Arc<std::sync::atomic::AtomicU64>, super::FreeSpace) {
    let number = Arc::new(std::sync::atomic::AtomicU64::new(number));
    let read = Arc::clone(&number);
    (
        number,
        Arc::new(move |_| Ok(read.load(std::sync::atomic::Ordering::SeqCst))),
    )
}
