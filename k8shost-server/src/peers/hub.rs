//! Between the engine and the peers: who wants hints of which tenant, and what is watched here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex},
};

use k8shost_store::log::{Listener, Revision, TenantId};
use tokio::sync::Notify;

use super::{metrics::PeerMetrics, outbox::Outbox};
use crate::lock;

/// Tenants that one peer may ask hints of. Of those beyond it learns by its poll.
const MAX_TENANTS: usize = 100_000;

/// Listens to the engine, and has what peers are to be told.
#[derive(Debug)]
pub(super) struct Hub {
    /// The name of this server, new with each start.
    pub(super) id: String,
    pub(super) metrics: PeerMetrics,
    /// The peers that want hints of a tenant.
    wanted: Mutex<HashMap<TenantId, Vec<Arc<Outbox<Revision>>>>>,
    watched: Mutex<Watched>,
    /// The peers whose leases run.
    known: Mutex<HashSet<String>>,
    /// A server that is not among them has called.
    pub(super) stranger: Notify,
}

/// What is watched here, and which peers are told of changes.
#[derive(Debug, Default)]
struct Watched {
    tenants: BTreeSet<TenantId>,
    told: Vec<Arc<Outbox<bool>>>,
}

impl Hub {
    pub(super) fn new(metrics: PeerMetrics) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            metrics,
            wanted: Mutex::default(),
            watched: Mutex::default(),
            known: Mutex::default(),
            stranger: Notify::new(),
        }
    }

    /// The peers whose leases run.
    pub(super) fn set_known(&self, known: HashSet<String>) {
        let count = i64::try_from(known.len()).unwrap_or(i64::MAX);
        self.metrics.peers.set(count);
        *lock(&self.known) = known;
    }

    /// A server has called.
    pub(super) fn called(&self, server: &str) {
        if !lock(&self.known).contains(server) {
            self.stranger.notify_one();
        }
    }

    /// For one peer: says all that is watched here, and then how it changes.
    pub(super) fn announce(self: &Arc<Self>) -> Announcement {
        let mut watched = lock(&self.watched);
        let all: BTreeMap<_, _> = watched.tenants.iter().map(|t| (t.clone(), true)).collect();
        let outbox = Arc::new(Outbox::new(all));
        watched.told.push(outbox.clone());
        Announcement {
            hub: self.clone(),
            outbox,
        }
    }

    /// For one peer: the hints that it wants, of no tenant as yet.
    pub(super) fn subscribe(self: &Arc<Self>) -> Subscription {
        Subscription {
            hub: self.clone(),
            outbox: Arc::new(Outbox::new(BTreeMap::new())),
            tenants: HashSet::new(),
        }
    }

    fn unwant(&self, tenant: &TenantId, outbox: &Arc<Outbox<Revision>>) {
        let mut wanted = lock(&self.wanted);
        if let Some(peers) = wanted.get_mut(tenant) {
            peers.retain(|peer| !Arc::ptr_eq(peer, outbox));
            if peers.is_empty() {
                wanted.remove(tenant);
            }
        }
    }
}

impl Listener for Hub {
    fn committed(&self, tenant: &TenantId, revision: Revision) {
        for peer in lock(&self.wanted).get(tenant).into_iter().flatten() {
            if peer.put(tenant, revision) {
                self.metrics.replaced.inc();
            }
        }
    }

    fn watched(&self, tenant: &TenantId, watched: bool) {
        let mut all = lock(&self.watched);
        if watched {
            all.tenants.insert(tenant.clone());
        } else {
            all.tenants.remove(tenant);
        }
        for peer in &all.told {
            peer.put(tenant, watched);
        }
    }
}

/// Tells one peer what is watched here, until it is dropped.
#[derive(Debug)]
pub(super) struct Announcement {
    hub: Arc<Hub>,
    pub(super) outbox: Arc<Outbox<bool>>,
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let mut watched = lock(&self.hub.watched);
        watched.told.retain(|o| !Arc::ptr_eq(o, &self.outbox));
    }
}

/// Has the hints for one peer, until it is dropped.
#[derive(Debug)]
pub(super) struct Subscription {
    hub: Arc<Hub>,
    pub(super) outbox: Arc<Outbox<Revision>>,
    tenants: HashSet<TenantId>,
}

impl Subscription {
    /// The peer wants hints of a tenant. Whether it gets them: not of too many.
    pub(super) fn add(&mut self, tenant: &TenantId) -> bool {
        if self.tenants.len() >= MAX_TENANTS {
            return false;
        }
        if self.tenants.insert(tenant.clone()) {
            let mut wanted = lock(&self.hub.wanted);
            let peers = wanted.entry(tenant.clone()).or_default();
            peers.push(self.outbox.clone());
        }
        true
    }

    /// It does not any more.
    pub(super) fn remove(&mut self, tenant: &TenantId) {
        if self.tenants.remove(tenant) {
            self.hub.unwant(tenant, &self.outbox);
            self.outbox.forget(tenant);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        for tenant in &self.tenants {
            self.hub.unwant(tenant, &self.outbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(PeerMetrics::default()))
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::project("acme", name).unwrap()
    }

    #[tokio::test]
    async fn a_peer_gets_hints_of_what_it_wants_and_no_others() {
        let hub = hub();
        let (mut one, mut two) = (hub.subscribe(), hub.subscribe());
        one.add(&tenant("a"));
        one.add(&tenant("a"));
        two.add(&tenant("a"));
        two.add(&tenant("b"));
        hub.committed(&tenant("a"), 1);
        hub.committed(&tenant("b"), 2);
        hub.committed(&tenant("c"), 3);
        assert_eq!(one.outbox.take(10).await, [(tenant("a"), 1)]);
        assert_eq!(two.outbox.take(1).await, [(tenant("a"), 1)]);
        two.remove(&tenant("b"));
        two.remove(&tenant("c"));
        hub.committed(&tenant("b"), 4);
        assert!(two.outbox.take(10).now_or_never().is_none());
        drop((one, two));
        assert!(lock(&hub.wanted).is_empty());
    }

    #[tokio::test]
    async fn hints_that_are_not_taken_do_not_add_up() {
        let hub = hub();
        let mut peer = hub.subscribe();
        peer.add(&tenant("a"));
        for revision in 1..=1000 {
            hub.committed(&tenant("a"), revision);
        }
        assert_eq!(peer.outbox.take(10).await, [(tenant("a"), 1000)]);
        assert_eq!(hub.metrics.replaced.get(), 999);
    }

    #[test]
    fn one_peer_has_only_so_many_tenants() {
        let hub = hub();
        let mut peer = hub.subscribe();
        assert!((0..MAX_TENANTS).all(|i| peer.add(&tenant(&i.to_string()))));
        assert!(!peer.add(&tenant("a")));
        peer.remove(&tenant("0"));
        assert!(peer.add(&tenant("a")));
    }

    #[tokio::test]
    async fn a_peer_is_told_what_is_watched_and_how_it_changes() {
        let hub = hub();
        hub.watched(&tenant("a"), true);
        let told = hub.announce();
        hub.watched(&tenant("b"), true);
        assert_eq!(
            told.outbox.take(10).await,
            [(tenant("a"), true), (tenant("b"), true)]
        );
        hub.watched(&tenant("a"), false);
        assert_eq!(told.outbox.take(10).await, [(tenant("a"), false)]);
        drop(told);
        assert!(lock(&hub.watched).told.is_empty());
        let again = hub.announce();
        assert_eq!(again.outbox.take(10).await, [(tenant("b"), true)]);
    }

    #[tokio::test]
    async fn only_a_stranger_is_news() {
        let hub = hub();
        hub.set_known(["friend".to_owned()].into());
        hub.called("friend");
        assert!(hub.stranger.notified().now_or_never().is_none());
        hub.called("stranger");
        assert!(hub.stranger.notified().now_or_never().is_some());
    }
}
