//! Measures the tenant log over the embedded store, or over memory.
//!
//! ```text
//! cargo run --release -p k8shost-store --example logbench -- [load] [name=value ...]
//!
//! loads   commits   callers that create objects, one after the other each
//!         watch     watchers of one tenant, at a rate of commits
//!         list      the first read of a tenant of many objects
//!         churn     objects that are created and deleted again, and the memory that is left
//!         tenants   many tenants with one object each: made, and dropped from memory
//! ```

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use hdrhistogram::Histogram;
use k8shost_store::embedded::{EmbeddedKv, Options};
use k8shost_store::env::SystemEnv;
use k8shost_store::kv::Kv;
use k8shost_store::log::{
    Attributes, Change, CommitFn, Config, Engine, Revision, Schema, TenantId,
};
use k8shost_store::memory::MemoryKv;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

type Failure = Box<dyn Error + Send + Sync>;

/// The command line: `name=value`.
struct Settings(Vec<String>);

impl Settings {
    fn number(&self, name: &str, default: u64) -> u64 {
        self.text(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Objects are `{"metadata":{"resourceVersion":"<16 digits>"...`; every project exists.
struct BenchSchema;

const HEAD: &str = r#"{"metadata":{"resourceVersion":""#;

impl Schema for BenchSchema {
    fn read(&self, _: &str, value: &[u8]) -> Result<(Revision, Attributes), String> {
        let digits = value.get(HEAD.len()..HEAD.len() + 16).ok_or("short")?;
        let digits = std::str::from_utf8(digits).map_err(|e| e.to_string())?;
        let revision = digits.parse().map_err(|_| "no number")?;
        // About what it takes to look through an object's JSON.
        if !value.is_ascii() {
            return Err("not text".to_owned());
        }
        Ok((revision, attributes()))
    }

    fn project(&self, _: &TenantId) -> BoxFuture<'_, Result<Option<String>, k8shost_types::Error>> {
        async { Ok(Some("uid".to_owned())) }.boxed()
    }

    fn born(&self, _: &TenantId, _: &str, first: Revision) -> Vec<Change> {
        ["default", "kube-node-lease", "kube-public", "kube-system"]
            .iter()
            .zip(first..)
            .map(|(name, revision)| change(&format!("namespaces/{name}"), revision, 300))
            .collect()
    }
}

fn attributes() -> Attributes {
    Attributes {
        labels: [("app", "web")].into_iter().collect(),
        fields: [("spec.nodeName", "n1"), ("status.phase", "Running")]
            .into_iter()
            .collect(),
        claims: Box::default(),
    }
}

fn change(key: &str, revision: Revision, size: usize) -> Change {
    let mut value = format!(r#"{HEAD}{revision:016}"}},"spec":""#).into_bytes();
    value.resize(size.max(64), b'x');
    Change::Put {
        key: key.into(),
        value: value.into(),
        attributes: attributes(),
    }
}

fn create(key: String, size: usize) -> CommitFn {
    Box::new(move |state| Ok(vec![change(&key, state.next_revision(), size)]))
}

fn say(line: &str) {
    // A pipe that was closed is no fault of the measurement.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Resident memory in MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

struct Bench {
    settings: Settings,
    kv: Arc<dyn Kv>,
    /// What the engine's configuration is made of.
    config: Config,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(settings: Settings) -> Result<Self, Failure> {
        let folder = match settings.text("dir") {
            Some(dir) => tempfile::tempdir_in(dir)?,
            None => tempfile::tempdir_in(".")?,
        };
        let kv: Arc<dyn Kv> = match settings.text("store") {
            Some("memory") => Arc::new(MemoryKv::new()),
            _ => Arc::new(EmbeddedKv::open(folder.path(), Options::default())?),
        };
        let mut config = Config::default();
        let secs = |name, default| Duration::from_secs(settings.number(name, default));
        config.retention = secs("retention", 300);
        config.idle_after = secs("idle", 60);
        config.retention_bytes = (settings.number("retention_mib", 64) as usize) << 20;
        Ok(Self {
            settings,
            kv,
            config,
            _folder: folder,
        })
    }

    fn engine(&self) -> Engine {
        Engine::new(
            self.kv.clone(),
            Arc::new(SystemEnv::new(Handle::current())),
            Arc::new(BenchSchema),
            self.config.clone(),
        )
    }

    async fn commits(&self) -> Result<(), Failure> {
        let callers = self.settings.number("callers", 64);
        let seconds = self.settings.number("seconds", 10);
        let size = self.settings.number("size", 2048) as usize;
        let log = self.engine().tenant(&tenant(0)?).await?;
        let times = Arc::new(Mutex::new(Histogram::<u64>::new(3)?));
        let (start, cpu_start) = (Instant::now(), cpu());
        let tasks = (0..callers).map(|caller| {
            let (log, times) = (log.clone(), times.clone());
            tokio::spawn(async move {
                let mut own = Histogram::<u64>::new(3)?;
                let mut i = 0_u64;
                while start.elapsed() < Duration::from_secs(seconds) {
                    let key = format!("pods/default/pod-{:08x}-{i}", caller * 0x9e37_79b9 % 65_537);
                    let began = Instant::now();
                    log.commit(create(key, size)).await?;
                    own.record(began.elapsed().as_micros() as u64)?;
                    i += 1;
                }
                times.lock().await.add(own)?;
                Ok::<_, Failure>(())
            })
        });
        for task in join_all(tasks).await {
            task??;
        }
        let took = start.elapsed();
        let times = times.lock().await;
        say(&format!(
            "{} commits of {size} B by {callers} callers in {took:.1?}: {:.0}/s, p50 {} us, p99 {} us, cpu {:.0} %, {:.0} MiB",
            times.len(),
            times.len() as f64 / took.as_secs_f64(),
            times.value_at_quantile(0.5),
            times.value_at_quantile(0.99),
            (cpu() - cpu_start).as_secs_f64() / took.as_secs_f64() * 100.0,
            resident(),
        ));
        Ok(())
    }

    async fn watch(&self) -> Result<(), Failure> {
        let watchers = self.settings.number("watchers", 1000);
        let rate = self.settings.number("rate", 100);
        let seconds = self.settings.number("seconds", 10);
        let log = self.engine().tenant(&tenant(0)?).await?;
        let from = log.read().await?.revision();
        let start = Instant::now();
        // When each revision was answered, in microseconds since the start.
        let total = (rate * seconds) as usize;
        let sent: Arc<Vec<AtomicU64>> = Arc::new((0..total).map(|_| AtomicU64::new(0)).collect());
        let tasks: Vec<_> = (0..watchers)
            .map(|_| {
                let (mut watcher, sent) = (log.watch(from), sent.clone());
                tokio::spawn(async move {
                    let mut times = Histogram::<u64>::new(3)?;
                    while watcher.revision() < from + total as u64 {
                        for event in watcher.next().await?.events.iter() {
                            let at = (event.revision - from - 1) as usize;
                            let began = sent.get(at).map_or(0, |s| s.load(Ordering::Relaxed));
                            let now = start.elapsed().as_micros() as u64;
                            times.record(now.saturating_sub(began))?;
                        }
                    }
                    Ok::<_, Failure>(times)
                })
            })
            .collect();
        let cpu_start = cpu();
        for i in 0..total {
            let due = start + Duration::from_secs_f64(i as f64 / rate as f64);
            tokio::time::sleep_until(due.into()).await;
            let now = start.elapsed().as_micros() as u64;
            if let Some(slot) = sent.get(i) {
                slot.store(now, Ordering::Relaxed);
            }
            log.commit(create(format!("pods/default/{i}"), 2048))
                .await?;
        }
        let mut all = Histogram::<u64>::new(3)?;
        for task in tasks {
            all.add(task.await??)?;
        }
        say(&format!(
            "{watchers} watchers at {rate} commits/s: {} events, from commit to event p50 {} us, p99 {} us, cpu {:.0} %",
            all.len(),
            all.value_at_quantile(0.5),
            all.value_at_quantile(0.99),
            (cpu() - cpu_start).as_secs_f64() / seconds as f64 * 100.0,
        ));
        Ok(())
    }

    async fn list(&mut self) -> Result<(), Failure> {
        let objects = self.settings.number("objects", 100_000);
        let size = self.settings.number("size", 2048) as usize;
        self.config.retention = Duration::ZERO;
        self.config.retention_bytes = 8 << 20;
        {
            let engine = self.engine();
            let log = engine.tenant(&tenant(0)?).await?;
            for chunk in 0..objects / 100 {
                let f: CommitFn = Box::new(move |state| {
                    let keys = (0..100).map(|i| format!("pods/default/{}", chunk * 100 + i));
                    let puts = keys.zip(state.next_revision()..);
                    Ok(puts.map(|(key, r)| change(&key, r, size)).collect())
                });
                log.commit(f).await?;
            }
            engine.shutdown().await;
        }
        let before = resident();
        for _ in 0..5 {
            let engine = self.engine();
            let (start, cpu_start) = (Instant::now(), cpu());
            let log = engine.tenant(&tenant(0)?).await?;
            let state = log.read().await?;
            say(&format!(
                "loaded {} objects in {:.0?}, cpu {:.0?}, from {before:.0} to {:.0} MiB",
                state.len(),
                start.elapsed(),
                cpu() - cpu_start,
                resident(),
            ));
            engine.shutdown().await;
        }
        Ok(())
    }

    async fn churn(&self) -> Result<(), Failure> {
        let objects = self.settings.number("objects", 100_000);
        let standing = self.settings.number("standing", 10_000);
        let log = self.engine().tenant(&tenant(0)?).await?;
        let before = resident();
        for i in 0..standing / 100 {
            let puts = (0..100).map(|j| log.commit(create(format!("pods/standing/{i}-{j}"), 2048)));
            for done in join_all(puts).await {
                done?;
            }
        }
        let with = resident();
        let start = Instant::now();
        for i in 0..objects / 64 {
            let keys: Vec<_> = (0..64).map(|j| format!("pods/default/{i}-{j}")).collect();
            let puts = keys.iter().map(|key| log.commit(create(key.clone(), 2048)));
            for done in join_all(puts).await {
                done?;
            }
            let deletes = keys.into_iter().map(|key| {
                let key: k8shost_store::log::Key = key.into();
                log.commit(Box::new(move |_| {
                    Ok(vec![Change::Delete { key: key.clone() }])
                }))
            });
            for done in join_all(deletes).await {
                done?;
            }
        }
        say(&format!(
            "{objects} created and deleted in {:.1?}: {before:.0} MiB before, {with:.0} MiB with {standing}, {:.0} MiB after",
            start.elapsed(),
            resident(),
        ));
        for _ in 0..self.settings.number("rest", 60) / 20 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            say(&format!("{:.0} MiB", resident()));
        }
        Ok(())
    }

    async fn tenants(&self) -> Result<(), Failure> {
        let tenants = self.settings.number("tenants", 10_000);
        let flight = self.settings.number("flight", 64);
        let engine = self.engine();
        let before = resident();
        let (start, next) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let tasks = (0..flight).map(|_| {
            let (engine, next) = (engine.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= tenants {
                        return Ok::<_, Failure>(());
                    }
                    let log = engine.tenant(&tenant(i)?).await?;
                    log.commit(create("pods/default/one".to_owned(), 2048))
                        .await?;
                }
            })
        });
        for task in join_all(tasks).await {
            task??;
        }
        let took = start.elapsed();
        say(&format!(
            "{tenants} tenants made in {took:.1?}: {:.0}/s, {before:.0} MiB before, {:.0} MiB with all",
            tenants as f64 / took.as_secs_f64(),
            resident()
        ));
        let start = Instant::now();
        while engine.stats().tenants.get() > 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if start.elapsed() > Duration::from_secs(self.settings.number("wait", 60)) {
                break;
            }
        }
        tokio::time::sleep(Duration::from_secs(self.settings.number("rest", 2))).await;
        say(&format!(
            "{} left after {:.1?}, {:.0} MiB",
            engine.stats().tenants.get(),
            start.elapsed(),
            resident()
        ));
        let start = Instant::now();
        for i in 0..1000 {
            let log = engine.tenant(&tenant(i * 7 % tenants)?).await?;
            log.read().await?;
        }
        say(&format!(
            "1000 of them loaded again in {:.1?}",
            start.elapsed()
        ));
        Ok(())
    }
}

fn tenant(i: u64) -> Result<TenantId, k8shost_types::Error> {
    TenantId::project("bench", &format!("project-{i}"))
}

fn main() -> Result<(), Failure> {
    let settings = Settings(std::env::args().skip(1).collect());
    let threads = settings.number("threads", 2) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    let load = settings.0.first().cloned().unwrap_or_default();
    runtime.block_on(async {
        let mut bench = Bench::new(settings)?;
        match load.as_str() {
            "watch" => bench.watch().await,
            "list" => bench.list().await,
            "churn" => bench.churn().await,
            "tenants" => bench.tenants().await,
            _ => bench.commits().await,
        }
    })
}
