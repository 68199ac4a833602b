//! What one peer is to be told: the latest word on each tenant. A peer that is slow gets fewer, newer
//! words, and its outbox never has more than one of a tenant.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Mutex,
};

use k8shost_store::log::TenantId;
use tokio::sync::Notify;

use crate::lock;

/// The words, for one taker.
#[derive(Debug)]
pub(super) struct Outbox<V> {
    latest: Mutex<BTreeMap<TenantId, V>>,
    filled: Notify,
}

impl<V> Outbox<V> {
    /// An outbox with these words in it.
    pub(super) fn new(words: BTreeMap<TenantId, V>) -> Self {
        Self {
            latest: Mutex::new(words),
            filled: Notify::new(),
        }
    }

    /// The latest word on a tenant. Whether an earlier one is not sent for it.
    pub(super) fn put(&self, tenant: &TenantId, word: V) -> bool {
        let replaced = lock(&self.latest).insert(tenant.clone(), word).is_some();
        self.filled.notify_one();
        replaced
    }

    /// A word on a tenant, unless there is one, which is later.
    pub(super) fn put_first(&self, tenant: &TenantId, word: V) {
        if let Entry::Vacant(entry) = lock(&self.latest).entry(tenant.clone()) {
            entry.insert(word);
            self.filled.notify_one();
        }
    }

    /// No word on this tenant any more.
    pub(super) fn forget(&self, tenant: &TenantId) {
        lock(&self.latest).remove(tenant);
    }

    /// Waits for words, and takes so many at most. Cancel-safe.
    pub(super) async fn take(&self, most: usize) -> Vec<(TenantId, V)> {
        loop {
            {
                let mut latest = lock(&self.latest);
                if !latest.is_empty() {
                    let first = std::iter::from_fn(|| latest.pop_first());
                    return first.take(most).collect();
                }
            }
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::project("acme", name).unwrap()
    }

    #[tokio::test]
    async fn only_the_latest_word_is_kept() {
        let outbox = Outbox::new(BTreeMap::new());
        assert!(outbox.take(10).now_or_never().is_none());
        assert!(!outbox.put(&tenant("a"), 1));
        assert!(outbox.put(&tenant("a"), 2));
        outbox.put(&tenant("b"), 7);
        outbox.put_first(&tenant("b"), 6);
        outbox.put(&tenant("c"), 9);
        outbox.forget(&tenant("c"));
        assert_eq!(outbox.take(1).await, [(tenant("a"), 2)]);
        assert_eq!(outbox.take(10).await, [(tenant("b"), 7)]);
        assert!(outbox.take(10).now_or_never().is_none());
        outbox.put_first(&tenant("b"), 8);
        assert_eq!(outbox.take(10).await, [(tenant("b"), 8)]);
    }
}
