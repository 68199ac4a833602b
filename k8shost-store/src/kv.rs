//! The raw key-value store: what the tenant log asks of it, and nothing else.
//!
//! Keys are ordered bytes. There is no transaction over several keys, no snapshot, no
//! compare-and-delete and no watch: the tenant log supplies what is missing.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// What became of a compare-and-swap whose outcome is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The key had the expected value and now has the new one.
    Swapped,
    /// The key had this instead (`None`: absent). Nothing changed.
    Found(Option<Bytes>),
}

/// Why a request to the store has no good answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    /// It is not known whether the request took effect, or it may yet take effect. Of a read: try again.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// Nothing was done, and nothing will be: there is no room.
    #[error("the store is full: {0}")]
    Full(String),
    /// Nothing was done, and nothing will be.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored at this key can't be read. It is not absent.
    #[error("corrupt data at key {key}: {detail}")]
    Corrupt {
        /// The key, lossily as text.
        key: String,
        /// What is wrong.
        detail: String,
    },
}

/// What the tenant log's safety rests on with this store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safety {
    /// One process has the store, and an answer is final: what is read or swapped is proved and
    /// confirmed at once.
    Exclusive,
    /// Other processes write too, and a request without an answer may land later. `W`, the safety
    /// window, bounds what the protocol trusts.
    Shared {
        /// `W`.
        window: Duration,
    },
}

/// A raw key-value store. Futures may be dropped: the request then may or may not take effect.
pub trait Kv: Send + Sync + 'static {
    /// What may be relied on.
    fn safety(&self) -> Safety;

    /// The value at a key.
    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<Bytes>, KvError>>;

    /// The values at some keys, in the order asked for.
    fn batch_get(&self, keys: Vec<Bytes>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, KvError>>;

    /// The first pairs of `start..end` in ascending order. Fewer than `limit` do not mean the end:
    /// a page may be cut by bytes. An empty page means that nothing is left.
    fn scan(
        &self,
        start: Bytes,
        end: Bytes,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Pair>, KvError>>;

    /// Writes `new` if the key's value is `expected` (`None`: absent). Durable before it is answered.
    /// For `@log/` and `@floor` keys.
    fn compare_and_swap(
        &self,
        key: Bytes,
        expected: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'_, Result<Swap, KvError>>;

    /// Puts (`Some`) or deletes (`None`) keys, unconditionally; for projections. One attempt, sent
    /// when first polled: it is over, for good, within half the safety window. An error may leave
    /// some of the writes done.
    ///
    /// Answered writes are durable no later than the next compare-and-swap that is answered.
    fn write(&self, writes: Vec<(Bytes, Option<Bytes>)>) -> BoxFuture<'_, Result<(), KvError>>;

    /// Deletes all keys of `start..end`; for the log below the floor and for debris.
    fn delete_range(&self, start: Bytes, end: Bytes) -> BoxFuture<'_, Result<(), KvError>>;
}
