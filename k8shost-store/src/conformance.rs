//! What every [`Kv`] has to do, as tests that run on any of them.
//!
//! [`kv_conformance_suite!`](crate::kv_conformance_suite) makes a test of each property. Each uses keys
//! of its own, so that they can run at once on one store, a cluster that others use too. As the trait
//! has it, keys that are swapped are never written otherwise.

mod insist;
mod ranges;
mod swaps;
mod values;
mod visibility;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use self::insist::Insisting;
pub use self::ranges::*;
pub use self::swaps::*;
pub use self::values::*;
pub use self::visibility::*;
use crate::kv::{Kv, KvError, Pair, Swap};

/// Makes a `#[tokio::test]` of each property. The expression yields a [`Subject`] and something that is
/// kept until the test ends. Behind `@optional` it yields them only where the store is to be had; where
/// it is not, the tests say by name that they are skipped.
#[macro_export]
macro_rules! kv_conformance_suite {
    (@optional $subject:expr) => {
        $crate::kv_conformance_suite! { @each $subject;
            absent_keys_have_no_value
            swaps_decide_by_the_value
            one_of_many_swaps_wins
            swaps_count_without_loss
            writes_put_and_delete
            batch_get_answers_in_order
            scans_are_in_byte_order
            scans_keep_to_their_bounds
            pages_add_up
            pages_add_up_with_large_values
            bounds_of_highest_bytes
            delete_range_keeps_to_its_bounds
            delete_range_of_many_keys
            large_values
            long_keys
            answered_writes_are_visible
            readers_see_whole_values_in_order
            dropped_requests_are_done_or_not
        }
    };
    (@each $subject:expr; $($property:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $property() {
                let Some((_kept, subject)) = $subject else {
                    $crate::conformance::skipped(concat!(module_path!(), "::", stringify!($property)));
                    return;
                };
                $crate::conformance::$property(&subject).await.expect("the store answers");
                subject.clear().await.expect("the store answers");
            }
        )*
    };
    ($subject:expr) => {
        $crate::kv_conformance_suite! { @optional Some($subject) }
    };
}

type Done = Result<(), KvError>;

/// A store to be tested, and a part of its keys.
pub struct Subject {
    kv: Arc<dyn Kv>,
    prefix: String,
    /// Requests may fail.
    faulty: bool,
}

/// Says that a test is skipped, past what captures the tests' output.
pub fn skipped(test: &str) {
    use std::io::Write as _;
    // Where nobody listens there is nobody to be told.
    let _ = writeln!(std::io::stderr(), "skipped: {test}");
}

impl Subject {
    /// Keys that nobody has used are below `k8s/conformance/`.
    pub fn new(kv: Arc<dyn Kv>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("k8s/conformance/{:x}-{count}/", started.as_nanos());
        Self {
            kv,
            prefix,
            faulty: false,
        }
    }

    /// The same of a store whose requests may fail. What was not answered, or was said to have failed,
    /// may still be done, but no later than this.
    pub fn with_faults(kv: Arc<dyn Kv>, late: Duration) -> Self {
        let mut subject = Self::new(Arc::new(Insisting { kv, late }));
        subject.faulty = true;
        subject
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Deletes all keys.
    pub async fn clear(&self) -> Result<(), KvError> {
        let Range { start, end } = self.all();
        self.kv.delete_range(start, end).await
    }

    /// A key to be written and deleted.
    fn key(&self, name: impl AsRef<[u8]>) -> Bytes {
        [self.prefix.as_bytes(), name.as_ref()].concat().into()
    }

    /// A key to be swapped.
    fn log_key(&self, revision: u64) -> Bytes {
        self.key(format!("@log/{revision:016x}"))
    }

    /// All keys.
    fn all(&self) -> Range<Bytes> {
        self.key("")..self.key([0xff; 8])
    }

    async fn put(&self, pairs: impl IntoIterator<Item = (Bytes, Bytes)>) -> Done {
        self.kv
            .write(
                pairs
                    .into_iter()
                    .map(|(key, value)| (key, Some(value)))
                    .collect(),
            )
            .await
    }

    async fn swap(&self, key: &Bytes, expected: Option<&str>, new: &str) -> Result<Swap, KvError> {
        let expected = expected.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        self.kv
            .compare_and_swap(
                key.clone(),
                expected,
                Bytes::copy_from_slice(new.as_bytes()),
            )
            .await
    }

    /// All pages of a range, each no longer than `limit`.
    async fn scan(&self, range: Range<Bytes>, limit: usize) -> Result<Vec<Pair>, KvError> {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut start = range.start;
        loop {
            let page = self.kv.scan(start, range.end.clone(), limit).await?;
            assert!(
                page.len() <= limit,
                "a page of {}, asked for {limit}",
                page.len()
            );
            let Some((last, _)) = page.last() else {
                return Ok(pairs);
            };
            start = [last, &b"\0"[..]].concat().into();
            pairs.extend(page);
        }
    }

    async fn keys(&self, range: Range<Bytes>) -> Result<Vec<Bytes>, KvError> {
        Ok(self
            .scan(range, 100)
            .await?
            .into_iter()
            .map(|(key, _)| key)
            .collect())
    }
}

fn found(value: &str) -> Swap {
    Swap::Found(Some(Bytes::copy_from_slice(value.as_bytes())))
}

/// A value that tells whether it is whole: a number, over and over.
fn value_of(number: u64, length: usize) -> Bytes {
    number
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(length.next_multiple_of(8))
        .collect()
}

/// The number in such a value.
fn number_of(value: &[u8]) -> u64 {
    let (words, rest) = value.as_chunks::<8>();
    assert!(
        rest.is_empty() && words.iter().all(|word| *word == words[0]),
        "a torn value"
    );
    u64::from_be_bytes(words[0])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::Subject;
    use crate::embedded::{EmbeddedKv, Options};
    use crate::memory::MemoryKv;

    fn embedded(options: Options) -> (TempDir, Subject) {
        let folder = tempfile::tempdir().unwrap();
        let kv = EmbeddedKv::open(folder.path(), options).unwrap();
        (folder, Subject::new(std::sync::Arc::new(kv)))
    }

    mod memory {
        use super::*;
        crate::kv_conformance_suite!(((), Subject::new(std::sync::Arc::new(MemoryKv::new()))));
    }

    mod embedded_as_it_is {
        use super::*;
        crate::kv_conformance_suite!(embedded(Options::default()));
    }

    /// Everything is flushed and merged all the time.
    mod embedded_without_memory {
        use super::*;
        crate::kv_conformance_suite!(embedded(Options {
            memtable_bytes: 32 << 10,
            cache_bytes: 16 << 10,
            settle_interval: Duration::from_millis(20),
            ..Options::default()
        }));
    }
}
