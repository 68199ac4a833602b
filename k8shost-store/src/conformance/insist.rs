//! A store that may fail, made to answer: what failed is asked again, once nothing of it can come late.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::kv::{Kv, KvError, Pair, Safety, Swap};

/// After so long the store does not answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before a read is tried again.
const PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Insisting {
    pub(super) kv: Arc<dyn Kv>,
    /// How late what was not answered may still be done.
    pub(super) late: Duration,
}

impl Insisting {
    async fn insist<'a, T>(
        &'a self,
        pause: Duration,
        ask: impl Fn() -> BoxFuture<'a, Result<T, KvError>>,
    ) -> Result<T, KvError> {
        let begun = Instant::now();
        loop {
            match ask().await {
                Err(KvError::Unknown(_) | KvError::Unavailable(_))
                    if begun.elapsed() < PATIENCE =>
                {
                    tokio::time::sleep(pause).await;
                }
                result => return result,
            }
        }
    }

    async fn swap(&self, key: Bytes, expected: Option<Bytes>, new: Bytes) -> Result<Swap, KvError> {
        let begun = Instant::now();
        let before = self.get(key.clone()).await?;
        let mut open = false;
        loop {
            let swap = self
                .kv
                .compare_and_swap(key.clone(), expected.clone(), new.clone());
            let swap = match swap.await {
                Err(error @ (KvError::Unknown(_) | KvError::Unavailable(_)))
                    if begun.elapsed() < PATIENCE =>
                {
                    open |= matches!(error, KvError::Unknown(_));
                    tokio::time::sleep(self.late).await;
                    continue;
                }
                swap => swap?,
            };
            return match swap {
                // An earlier attempt has done it: nobody else writes this value.
                Swap::Found(Some(found))
                    if open && found == new && before.as_ref() != Some(&new) =>
                {
                    Ok(Swap::Swapped)
                }
                // Or it has, and somebody went on from there. What is swapped from absent stays.
                Swap::Found(found) if open && expected.is_some() && found != before => {
                    Err(KvError::Unknown("another value is there by now".to_owned()))
                }
                swap => Ok(swap),
            };
        }
    }
}

impl Kv for Insisting {
    fn safety(&self) -> Safety {
        self.kv.safety()
    }

    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<Bytes>, KvError>> {
        self.insist(PAUSE, move || self.kv.get(key.clone())).boxed()
    }

    fn batch_get(&self, keys: Vec<Bytes>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, KvError>> {
        self.insist(PAUSE, move || self.kv.batch_get(keys.clone()))
            .boxed()
    }

    fn scan(
        &self,
        start: Bytes,
        end: Bytes,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Pair>, KvError>> {
        self.insist(PAUSE, move || {
            self.kv.scan(start.clone(), end.clone(), limit)
        })
        .boxed()
    }

    fn compare_and_swap(
        &self,
        key: Bytes,
        expected: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'_, Result<Swap, KvError>> {
        self.swap(key, expected, new).boxed()
    }

    fn write(&self, writes: Vec<(Bytes, Option<Bytes>)>) -> BoxFuture<'_, Result<(), KvError>> {
        self.insist(self.late, move || self.kv.write(writes.clone()))
            .boxed()
    }

    fn delete_range(&self, start: Bytes, end: Bytes) -> BoxFuture<'_, Result<(), KvError>> {
        self.insist(self.late, move || {
            self.kv.delete_range(start.clone(), end.clone())
        })
        .boxed()
    }
}
