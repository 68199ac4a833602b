//! What is counted of peers and hints.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// The figures.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerMetrics {
    pub(super) peers: Gauge<i64, AtomicI64>,
    pub(super) connections: Gauge<i64, AtomicI64>,
    pub(super) lost: Counter<u64, AtomicU64>,
    pub(super) sent: Counter<u64, AtomicU64>,
    pub(super) received: Counter<u64, AtomicU64>,
    pub(super) replaced: Counter<u64, AtomicU64>,
}

impl PeerMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = metrics.clone();
        registry.register(
            "peers",
            "Other servers over the same store whose leases run",
            m.peers,
        );
        registry.register(
            "peer_connections",
            "Peers that this server follows at the moment",
            m.connections,
        );
        registry.register(
            "peer_connections_lost",
            "How often following a peer has ended or could not begin",
            m.lost,
        );
        registry.register("hints_sent", "Hints sent to peers", m.sent);
        registry.register("hints_received", "Hints received from peers", m.received);
        registry.register(
            "hints_replaced",
            "Hints not sent, as a newer one of the same tenant came first",
            m.replaced,
        );
        metrics
    }
}
