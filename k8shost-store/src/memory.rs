//! A store in memory, which keeps nothing: for tests, and for a server that is to forget.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::kv::{Kv, KvError, Pair, Safety, Swap};

/// A page of a scan ends after about this many bytes, whatever its limit.
const PAGE_BYTES: usize = 1 << 20;

type Map = BTreeMap<Bytes, Bytes>;

/// An ordered map behind a lock. A clone is another handle to the same map, so that several engines
/// can be run over one store.
#[derive(Clone, Debug)]
pub struct MemoryKv {
    map: Arc<RwLock<Map>>,
    safety: Safety,
}

impl MemoryKv {
    /// An empty store that one engine has for itself.
    pub fn new() -> Self {
        Self {
            map: Arc::default(),
            safety: Safety::Exclusive,
        }
    }

    /// An empty store whose clones several engines use at once, as they would a cluster.
    pub fn shared(window: Duration) -> Self {
        Self {
            map: Arc::default(),
            safety: Safety::Shared { window },
        }
    }

    // A panic while the lock is held can't leave a half-done change: each is one call of the map's.
    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Map> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, start: &Bytes, end: &Bytes, limit: usize) -> Vec<Pair> {
        let mut bytes = 0;
        let map = self.read();
        range(&map, start, end)
            .take(limit)
            .take_while(|(key, value)| {
                let fits = bytes < PAGE_BYTES;
                bytes += key.len() + value.len();
                fits
            })
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn swap(&self, key: Bytes, expected: Option<&Bytes>, new: Bytes) -> Swap {
        let mut map = self.change();
        let found = map.get(&key);
        if found != expected {
            return Swap::Found(found.cloned());
        }
        map.insert(key, new);
        Swap::Swapped
    }
}

/// `start..end`, where an inverted range is an empty one.
fn range<'a>(
    map: &'a Map,
    start: &Bytes,
    end: &Bytes,
) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> {
    let end = end.max(start);
    map.range::<Bytes, _>((Bound::Included(start), Bound::Excluded(end)))
}

impl Default for MemoryKv {
    fn default() -> Self {
        Self::new()
    }
}

// Everything happens when the future is first polled, as with a request that is then sent.
impl Kv for MemoryKv {
    fn safety(&self) -> Safety {
        self.safety
    }

    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<Bytes>, KvError>> {
        async move { Ok(self.read().get(&key).cloned()) }.boxed()
    }

    fn batch_get(&self, keys: Vec<Bytes>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, KvError>> {
        async move {
            let map = self.read();
            Ok(keys.iter().map(|key| map.get(key).cloned()).collect())
        }
        .boxed()
    }

    fn scan(
        &self,
        start: Bytes,
        end: Bytes,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Pair>, KvError>> {
        async move { Ok(self.page(&start, &end, limit)) }.boxed()
    }

    fn compare_and_swap(
        &self,
        key: Bytes,
        expected: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'_, Result<Swap, KvError>> {
        async move { Ok(self.swap(key, expected.as_ref(), new)) }.boxed()
    }

    fn write(&self, writes: Vec<(Bytes, Option<Bytes>)>) -> BoxFuture<'_, Result<(), KvError>> {
        async move {
            let mut map = self.change();
            for (key, value) in writes {
                match value {
                    Some(value) => map.insert(key, value),
                    None => map.remove(&key),
                };
            }
            Ok(())
        }
        .boxed()
    }

    fn delete_range(&self, start: Bytes, end: Bytes) -> BoxFuture<'_, Result<(), KvError>> {
        async move {
            let mut map = self.change();
            let gone: Vec<Bytes> = range(&map, &start, &end)
                .map(|(key, _)| key.clone())
                .collect();
            for key in gone {
                map.remove(&key);
            }
            Ok(())
        }
        .boxed()
    }
}
