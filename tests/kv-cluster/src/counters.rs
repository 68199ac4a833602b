//! How often each RPC was called, with how many keys and bytes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What one RPC method was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Requests that arrived, retries and refused ones included.
    pub requests: u64,
    /// Keys in the requests; for scans, keys in the answers.
    pub keys: u64,
    /// Bytes of the requests' messages.
    pub request_bytes: u64,
    /// Bytes of the answers' messages that were sent.
    pub answer_bytes: u64,
    /// Answers that carried an error of any kind.
    pub errors: u64,
}

/// The counts per RPC method, by its name in the proto.
pub type Counts = BTreeMap<String, Count>;

#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<&'static str, Count>>);

impl Counters {
    pub(crate) fn add(&self, method: &'static str, change: impl FnOnce(&mut Count)) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(method).or_default());
    }

    pub(crate) fn read(&self) -> Counts {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|(method, count)| ((*method).to_owned(), *count))
            .collect()
    }

    pub(crate) fn reset(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
