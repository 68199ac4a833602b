//! Prometheus metrics. Labels are methods, codes and the like: their number does not grow with tenants.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use k8shost_store::{
    embedded::Synced,
    log::{Engine, Observer},
    tikv,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text::encode},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// Method and outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    method: &'static str,
    code: &'static str,
}

/// Method of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

/// What the server counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter<u64, AtomicU64>>,
    durations: Family<Method, Histogram, fn() -> Histogram>,
    pub(crate) in_flight: Gauge<i64, AtomicI64>,
    pub(crate) watches: Gauge<i64, AtomicI64>,
    pub(crate) watch_events: Counter<u64, AtomicU64>,
    pub(crate) connections: Gauge<i64, AtomicI64>,
    store: Arc<StoreMetrics>,
}

/// What the store tells as it works.
#[derive(Debug)]
pub(crate) struct StoreMetrics {
    batch_commits: Histogram,
    batch_bytes: Histogram,
    append_seconds: Histogram,
    barrier_seconds: Histogram,
    sync_seconds: Histogram,
    sync_requests: Histogram,
}

/// 0.25 ms to 8 s, each bound twice the one before.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
}

/// 1 to 1,024.
fn counts() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 11))
}

impl Metrics {
    /// Metrics at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("k8shost");
        let requests = Family::default();
        let durations =
            Family::<Method, Histogram, fn() -> Histogram>::new_with_constructor(seconds);
        let in_flight = Gauge::default();
        let watches = Gauge::default();
        let watch_events = Counter::default();
        let connections = Gauge::default();
        let store = Arc::new(StoreMetrics {
            batch_commits: counts(),
            batch_bytes: Histogram::new(exponential_buckets(256.0, 4.0, 8)),
            append_seconds: seconds(),
            barrier_seconds: seconds(),
            sync_seconds: seconds(),
            sync_requests: counts(),
        });
        registry.register(
            "requests",
            "Requests, by method and gRPC code",
            requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "Time to the answer's head, by method; watches left out",
            durations.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests being answered",
            in_flight.clone(),
        );
        registry.register("watches", "Open watches", watches.clone());
        registry.register(
            "watch_events",
            "Events sent to watches",
            watch_events.clone(),
        );
        registry.register("connections", "Open connections", connections.clone());
        for (name, help, histogram) in [
            (
                "batch_commits",
                "Commits in an appended batch",
                &store.batch_commits,
            ),
            (
                "batch_bytes",
                "Bytes of an appended batch",
                &store.batch_bytes,
            ),
            (
                "append_seconds",
                "Time to append a batch",
                &store.append_seconds,
            ),
            (
                "barrier_seconds",
                "Time of a read barrier",
                &store.barrier_seconds,
            ),
            (
                "sync_seconds",
                "Time to write and fsync what waited",
                &store.sync_seconds,
            ),
            (
                "sync_requests",
                "Requests that shared an fsync",
                &store.sync_requests,
            ),
        ] {
            registry.register(name, help, histogram.clone());
        }
        Self {
            registry,
            requests,
            durations,
            in_flight,
            watches,
            watch_events,
            connections,
            store,
        }
    }

    /// What the store tells.
    pub(crate) fn store(&self) -> Arc<StoreMetrics> {
        self.store.clone()
    }

    /// Where others add figures of their own.
    pub(crate) fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Adds the engine's own figures.
    pub(crate) fn collect(&mut self, engine: Engine) {
        self.registry
            .register_collector(Box::new(EngineStats(engine)));
    }

    /// Adds the figures of a TiKV cluster's clients.
    pub(crate) fn collect_cluster(&mut self, stats: Arc<tikv::Stats>) {
        self.registry
            .register_collector(Box::new(ClusterStats(stats)));
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
            self.durations
                .get_or_create(&Method { method })
                .observe(duration.as_secs_f64());
        }
    }

    /// The metrics in OpenMetrics' text format.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        encode(&mut out, &self.registry).expect("text is written to memory");
        out
    }
}

impl Observer for StoreMetrics {
    fn appended(&self, commits: usize, bytes: usize, duration: Duration) {
        self.batch_commits.observe(commits as f64);
        self.batch_bytes.observe(bytes as f64);
        self.append_seconds.observe(duration.as_secs_f64());
    }

    fn barrier(&self, duration: Duration) {
        self.barrier_seconds.observe(duration.as_secs_f64());
    }
}

impl StoreMetrics {
    /// An fsync is over.
    pub(crate) fn synced(&self, synced: &Synced) {
        self.sync_seconds.observe(synced.took.as_secs_f64());
        self.sync_requests.observe(synced.requests as f64);
    }
}

/// The engine's figures, read when they are asked for.
struct EngineStats(Engine);

impl fmt::Debug for EngineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineStats")
    }
}

impl Collector for EngineStats {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let s = self.0.stats();
        for (name, help, figure) in [
            ("commits", "Commits that changed something", &s.commits),
            ("batches", "Batches appended", &s.batches),
            (
                "conflicts",
                "Batches that found another server's in their place",
                &s.conflicts,
            ),
            (
                "states_dropped",
                "Tenants loaded again as their logs had been cut behind this server's back",
                &s.fallen,
            ),
            (
                "void_batches",
                "Batches swapped in below the floor",
                &s.voids,
            ),
            ("hints_followed", "Hints that had a log looked at", &s.hints),
            (
                "hints_missed",
                "Commits of other servers that the poll found: their hints were lost or late",
                &s.polled,
            ),
            ("loads", "Tenants loaded", &s.loads),
            ("truncations", "Floors moved", &s.truncations),
            (
                "repairs",
                "Projections put right by a truncation",
                &s.repairs,
            ),
            ("projections", "Projections written", &s.projections),
            (
                "digest_mismatches",
                "States found whose digest differs",
                &s.digest_mismatches,
            ),
        ] {
            let counter = ConstCounter::new(figure.get());
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        for (name, help, figure) in [
            ("tenants", "Tenants in memory", &s.tenants),
            (
                "damaged_tenants",
                "Tenants that are read-only for their digest",
                &s.damaged,
            ),
            ("tail_bytes", "Bytes of events in memory", &s.tail_bytes),
        ] {
            let gauge = ConstGauge::new(i64::try_from(figure.get()).unwrap_or(i64::MAX));
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        let lag = self.0.lag();
        for (name, help, lag) in [
            (
                "projection_lag_seconds",
                "Age of the oldest change that is not under its own key yet",
                lag.projection,
            ),
            (
                "truncation_lag_seconds",
                "How long a log could have been cut that was not",
                lag.truncation,
            ),
        ] {
            let gauge = ConstGauge::new(lag.as_secs_f64());
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}

/// The figures of a TiKV cluster's clients.
#[derive(Debug)]
struct ClusterStats(Arc<tikv::Stats>);

impl Collector for ClusterStats {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let s = &self.0;
        let mut family = |name, help, label, counts: &mut dyn Iterator<Item = tikv::Labeled>| {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (value, count) in counts {
                let labels = [(label, value)];
                ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
            }
            Ok(())
        };
        family(
            "kv_requests",
            "Requests to the TiKV cluster, each attempt, by operation",
            "operation",
            &mut s.requests(),
        )?;
        family(
            "kv_retries",
            "Attempts that were not the first of their request",
            "operation",
            &mut s.retries(),
        )?;
        family(
            "kv_errors",
            "Attempts without a good answer, by kind of error",
            "kind",
            &mut s.errors(),
        )?;
        family(
            "kv_clients_rebuilt",
            "Clients of the TiKV cluster that were replaced",
            "client",
            &mut s.rebuilt(),
        )
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
