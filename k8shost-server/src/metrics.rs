//! Prometheus metrics. Labels are methods, codes and the like: their number does not grow with tenants.

use std::{
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Method and outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    pub(crate) method: &'static str,
    pub(crate) code: &'static str,
}

/// Method of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Method {
    pub(crate) method: &'static str,
}

/// What the faces count.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter<u64, AtomicU64>>,
    durations: Family<Method, Histogram, fn() -> Histogram>,
    pub(crate) in_flight: Gauge<i64, AtomicI64>,
    pub(crate) watches: Gauge<i64, AtomicI64>,
    pub(crate) watch_events: Counter<u64, AtomicU64>,
    pub(crate) connections: Gauge<i64, AtomicI64>,
}

/// 0.25 ms to 8 s, each bound twice the one before.
fn seconds() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.000_25, 2.0, 16))
}

impl Metrics {
    /// The server's metrics, beside what `more` registers.
    pub fn new(more: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = Registry::with_prefix("k8shost");
        let requests = Family::default();
        let durations =
            Family::<Method, Histogram, fn() -> Histogram>::new_with_constructor(seconds);
        let in_flight = Gauge::default();
        let watches = Gauge::default();
        let watch_events = Counter::default();
        let connections = Gauge::default();
        registry.register("requests", "Requests, by method and gRPC code", requests.clone());
        registry.register(
            "request_duration_seconds",
            "Time to the answer's head, by method; watches left out",
            durations.clone(),
        );
        registry.register("requests_in_flight", "Requests being answered", in_flight.clone());
        registry.register("watches", "Open watches", watches.clone());
        registry.register("watch_events", "Events sent to watches", watch_events.clone());
        registry.register("connections", "Open connections", connections.clone());
        more(&mut registry);
        Self { registry, requests, durations, in_flight, watches, watch_events, connections }
    }

    /// Counts an answered request. `duration` is `None` for a watch, which lasts as long as it likes.
    pub(crate) fn answered(
        &self,
        method: &'static str,
        code: &'static str,
        duration: Option<Duration>,
    ) {
        self.requests.get_or_create(&Outcome { method, code }).inc();
        if let Some(duration) = duration {
            self.durations.get_or_create(&Method { method }).observe(duration.as_secs_f64());
        }
    }

    /// The metrics in OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut out = String::new();
        encode(&mut out, &self.registry).expect("text is written to memory");
        out
    }
}

/// Raises a gauge while it lives.
pub(crate) struct Held(Gauge<i64, AtomicI64>);

impl Held {
    pub(crate) fn new(gauge: &Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
