//! Measures the embedded store alone, under the loads that the tenant log puts on it.
//!
//! ```text
//! cargo run --release -p k8shost-store --example kvbench -- [load] [name=value ...]
//!
//! loads   batches  one tenant, a batch of objects after the other; projections a second later, the log
//!                  deleted `keep` seconds later
//!         tenants  many tenants, small batches, `flight` of them at once
//!         open     how long it takes to open a store of `objects` objects, closed in order and killed
//!         churn    memory before, with, and after `objects` objects
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use hdrhistogram::Histogram;
use k8shost_store::embedded::{EmbeddedKv, Options, Synced};
use k8shost_store::kv::{Kv, Swap};
use tokio::time::{sleep, sleep_until};

type Failure = Box<dyn Error + Send + Sync>;
type Writes = Vec<(Bytes, Option<Bytes>)>;

/// The command line: `name=value`.
#[derive(Clone)]
struct Settings(Vec<String>);

impl Settings {
    fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='))
    }

    fn number(&self, name: &str, default: u64) -> u64 {
        self.text(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    }
}

/// What is measured while a load runs.
#[derive(Clone)]
struct Meter {
    swaps: Arc<Mutex<Histogram<u64>>>,
    syncs: Arc<Mutex<Histogram<u64>>>,
    shared: Arc<AtomicU64>,
}

impl Meter {
    fn new() -> Result<Self, Failure> {
        let histogram = || Histogram::new(3).map(|histogram| Arc::new(Mutex::new(histogram)));
        Ok(Self {
            swaps: histogram()?,
            syncs: histogram()?,
            shared: Arc::default(),
        })
    }

    fn options(&self, settings: &Settings) -> Options {
        let meter = self.clone();
        let default = Options::default();
        Options {
            memtable_bytes: settings.number("memtable", default.memtable_bytes),
            cache_bytes: settings.number("cache", default.cache_bytes),
            observer: Some(Arc::new(move |synced: &Synced| {
                record(&meter.syncs, synced.took);
                meter
                    .shared
                    .fetch_add(synced.requests as u64, Ordering::Relaxed);
            })),
            ..default
        }
    }

    fn print(&self, what: &str, count: u64, took: Duration, cpu: Duration) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let syncs = self.syncs.lock().map_err(|_| "poisoned")?;
        let swaps = self.swaps.lock().map_err(|_| "poisoned")?;
        writeln!(
            out,
            "{what}: {:.0}/s, cpu {:.1} us each ({:.2} cores), swap p50 {:.2} ms p99 {:.2} ms max {:.2} ms, \
             {:.0} fsyncs/s of {:.1} requests, fsync p50 {:.2} ms p99 {:.2} ms, {}",
            count as f64 / took.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / count as f64,
            cpu.as_secs_f64() / took.as_secs_f64(),
            millis(&swaps, 50.0),
            millis(&swaps, 99.0),
            millis(&swaps, 100.0),
            syncs.len() as f64 / took.as_secs_f64(),
            self.shared.load(Ordering::Relaxed) as f64 / syncs.len() as f64,
            millis(&syncs, 50.0),
            millis(&syncs, 99.0),
            memory()?,
        )?;
        Ok(())
    }
}

fn record(histogram: &Mutex<Histogram<u64>>, took: Duration) {
    if let Ok(mut histogram) = histogram.lock() {
        *histogram += took.as_micros() as u64;
    }
}

fn millis(histogram: &Histogram<u64>, percentile: f64) -> f64 {
    histogram.value_at_percentile(percentile) as f64 / 1000.0
}

fn status(name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .ok_or("no such line")?;
    Ok(line
        .trim_matches(|c: char| !c.is_ascii_digit())
        .parse::<u64>()?
        / 1024)
}

fn memory() -> Result<String, Failure> {
    Ok(format!(
        "rss {} MiB (highest {} MiB)",
        status("VmRSS:")?,
        status("VmHWM:")?
    ))
}

/// Processor time of this process until now.
fn cpu() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// The JSON of a bound pod, about 2.2 KiB, compressible as such JSON is.
fn pod(number: u64) -> Bytes {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    let mut json = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"pod-{number}","namespace":"default","uid":"{:016x}{:016x}","resourceVersion":"{number}","creationTimestamp":"2025-06-01T10:{:02}:{:02}Z","labels":{{"app":"shop","tier":"front","pod-template-hash":"{:08x}"}}}},"spec":{{"nodeName":"node-{}","restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default","containers":["#,
        random(),
        random(),
        number % 60,
        number / 60 % 60,
        random() as u32,
        number % 100,
    );
    for container in 0..3 {
        json += &format!(
            r#"{{"name":"c{container}","image":"registry.example.com/shop/front@sha256:{:016x}{:016x}{:016x}{:016x}","ports":[{{"containerPort":{},"protocol":"TCP"}}],"env":[{{"name":"KEY_{container}","value":"{:016x}"}}],"resources":{{"requests":{{"cpu":"100m","memory":"128Mi"}},"limits":{{"cpu":"1","memory":"512Mi"}}}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}},"#,
            random(),
            random(),
            random(),
            random(),
            8000 + container,
            random(),
        );
    }
    json.pop();
    json += r#"],"schedulerName":"default-scheduler"},"status":{"phase":"Running","conditions":["#;
    for condition in ["Initialized", "Ready", "ContainersReady", "PodScheduled"] {
        json += &format!(
            r#"{{"type":"{condition}","status":"True","lastTransitionTime":"2025-06-01T10:00:{:02}Z"}},"#,
            random() % 60
        );
    }
    json.pop();
    json += "]}}";
    json.into()
}

fn log_key(tenant: &str, revision: u64) -> Bytes {
    format!("k8s/{tenant}/@log/{revision:016x}").into()
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let load = args.next().unwrap_or_else(|| "all".into());
    let settings = Settings(args.collect());
    let loads: &[&str] = if load == "all" {
        &["batches", "tenants", "open", "churn"]
    } else {
        &[&load]
    };
    for load in loads {
        let folder = match settings.text("dir") {
            Some(folder) => PathBuf::from(folder),
            None => std::env::temp_dir().join(format!("kvbench-{}", std::process::id())),
        };
        let result = match *load {
            "batches" => batches(&settings, &folder).await,
            "tenants" => tenants(&settings, &folder).await,
            "open" => open(&settings, &folder).await,
            "churn" => churn(&settings, &folder).await,
            other => Err(format!("no such load: {other}").into()),
        };
        if settings.text("dir").is_none() {
            let _ = std::fs::remove_dir_all(&folder);
        }
        result?;
    }
    Ok(())
}

fn disk(folder: &PathBuf) -> Result<u64, Failure> {
    let out = std::process::Command::new("du")
        .arg("-sm")
        .arg(folder)
        .output()?;
    Ok(String::from_utf8_lossy(&out.stdout)
        .split_whitespace()
        .next()
        .ok_or("no figure")?
        .parse()?)
}

/// `rate` objects a second (0: as fast as it goes), `batch` to a batch, over `names` names.
async fn batches(settings: &Settings, folder: &PathBuf) -> Result<(), Failure> {
    let meter = Meter::new()?;
    let kv = Arc::new(EmbeddedKv::open(folder, meter.options(settings))?);
    let seconds = settings.number("seconds", 20);
    let keep = Duration::from_secs(settings.number("keep", 10));
    let (batch, rate, names) = (
        settings.number("batch", 64),
        settings.number("rate", 16_000),
        settings.number("names", 100_000),
    );
    let pods: Vec<Bytes> = (0..1024).map(pod).collect();

    writeln!(std::io::stdout(), "batches: idle {}", memory()?)?;
    let (cpu_before, started) = (cpu()?, Instant::now());
    let end = started + Duration::from_secs(seconds);
    let mut revision = 1;
    let mut due = tokio::time::Instant::now();
    let mut unprojected: VecDeque<(Instant, Writes)> = VecDeque::new();
    let mut background: VecDeque<tokio::task::JoinHandle<Result<(), Failure>>> = VecDeque::new();
    let mut last_tidied = Instant::now();
    let mut history: VecDeque<(Instant, u64)> = VecDeque::new();
    while Instant::now() < end {
        if rate > 0 {
            sleep_until(due).await;
            due += Duration::from_secs_f64(batch as f64 / rate as f64);
        }
        let mut value = BytesMut::with_capacity(batch as usize * 2400);
        let mut changed = Vec::with_capacity(batch as usize);
        for i in 0..batch {
            let number = revision + i;
            let json = &pods[number as usize % pods.len()];
            value.put_slice(json);
            let name = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % names;
            changed.push((
                Bytes::from(format!("k8s/acme/web/pods/default/pod-{name}")),
                Some(json.clone()),
            ));
        }
        let sent = Instant::now();
        match kv
            .compare_and_swap(log_key("acme/web", revision), None, value.freeze())
            .await?
        {
            Swap::Swapped => record(&meter.swaps, sent.elapsed()),
            found => return Err(format!("unexpected: {found:?}").into()),
        }
        let now = Instant::now();
        history.push_back((now, revision));
        revision += batch;
        unprojected.push_back((now, changed));
        let mut writes = Vec::new();
        while unprojected
            .front()
            .is_some_and(|(at, _)| at.elapsed() > Duration::from_secs(1))
        {
            writes.extend(
                unprojected
                    .pop_front()
                    .map(|(_, changed)| changed)
                    .unwrap_or_default(),
            );
        }
        if !writes.is_empty() {
            let kv = Arc::clone(&kv);
            background.push_back(tokio::spawn(async move { Ok(kv.write(writes).await?) }));
        }
        if last_tidied.elapsed() > Duration::from_secs(2) {
            last_tidied = now;
            let mut floor = 0;
            while history.front().is_some_and(|(at, _)| at.elapsed() > keep) {
                floor = history
                    .pop_front()
                    .map(|(_, revision)| revision)
                    .unwrap_or_default();
            }
            let kv = Arc::clone(&kv);
            background.push_back(tokio::spawn(async move {
                Ok(kv
                    .delete_range(log_key("acme/web", 0), log_key("acme/web", floor))
                    .await?)
            }));
        }
        while background.front().is_some_and(|task| task.is_finished()) {
            if let Some(task) = background.pop_front() {
                task.await??;
            }
        }
    }
    let (took, used) = (started.elapsed(), cpu()? - cpu_before);
    meter.print(&format!("batches of {batch}"), revision, took, used)?;
    for task in background {
        task.await??;
    }
    writeln!(std::io::stdout(), "batches: disk {} MiB", disk(folder)?)?;
    sleep(Duration::from_secs(settings.number("idle", 5))).await;
    writeln!(
        std::io::stdout(),
        "batches: then idle {}, disk {} MiB",
        memory()?,
        disk(folder)?
    )?;
    kv.delete_range(log_key("acme/web", 0), log_key("acme/web", revision))
        .await?;
    sleep(Duration::from_secs(settings.number("idle", 5))).await;
    writeln!(
        std::io::stdout(),
        "batches: log deleted {}, disk {} MiB",
        memory()?,
        disk(folder)?
    )?;
    let started = Instant::now();
    let count = count(&*kv).await?;
    writeln!(
        std::io::stdout(),
        "batches: {count} objects scanned in {:?}, {}",
        started.elapsed(),
        memory()?
    )?;
    Ok(())
}

async fn count(kv: &dyn Kv) -> Result<usize, Failure> {
    let (mut start, mut count) = (Bytes::from("k8s/"), 0);
    loop {
        let page = kv.scan(start, Bytes::from("k8s0"), 10_000).await?;
        let Some((last, _)) = page.last() else {
            return Ok(count);
        };
        start = [last, &b"\0"[..]].concat().into();
        count += page.len();
    }
}

/// `flight` at once, each a small batch of one of `tenants` tenants.
async fn tenants(settings: &Settings, folder: &PathBuf) -> Result<(), Failure> {
    let meter = Meter::new()?;
    let kv = Arc::new(EmbeddedKv::open(folder, meter.options(settings))?);
    let (seconds, flight, tenants) = (
        settings.number("seconds", 10),
        settings.number("flight", 64),
        settings.number("tenants", 10_000),
    );
    let (cpu_before, started) = (cpu()?, Instant::now());
    let end = started + Duration::from_secs(seconds);
    let tasks = (0..flight).map(|task| {
        let (kv, meter) = (Arc::clone(&kv), meter.clone());
        tokio::spawn(async move {
            let mut count = 0_u64;
            while Instant::now() < end {
                let number = task + count * flight;
                let (tenant, revision) = (number % tenants, number / tenants + 1);
                let sent = Instant::now();
                let swap = kv
                    .compare_and_swap(
                        log_key(&format!("acme/p{tenant}"), revision),
                        None,
                        pod(number),
                    )
                    .await?;
                if swap != Swap::Swapped {
                    return Err(Failure::from(format!("unexpected: {swap:?}")));
                }
                record(&meter.swaps, sent.elapsed());
                count += 1;
            }
            Ok(count)
        })
    });
    let mut total = 0;
    for task in tasks.collect::<Vec<_>>() {
        total += task.await??;
    }
    meter.print(
        &format!("{tenants} tenants, {flight} in flight"),
        total,
        started.elapsed(),
        cpu()? - cpu_before,
    )
}

async fn fill(kv: &dyn Kv, objects: u64) -> Result<(), Failure> {
    for first in (0..objects).step_by(64) {
        let numbers = first..(first + 64).min(objects);
        let pods: Vec<Bytes> = numbers.clone().map(pod).collect();
        let keys =
            numbers.map(|number| Bytes::from(format!("k8s/acme/web/pods/default/pod-{number}")));
        let writes = keys.zip(pods.iter().cloned().map(Some)).collect();
        kv.compare_and_swap(log_key("acme/web", first + 1), None, pods.concat().into())
            .await?;
        kv.write(writes).await?;
    }
    kv.delete_range(log_key("acme/web", 0), log_key("acme/web", objects))
        .await?;
    Ok(())
}

/// Fills a store in another process, which is killed or ends; opens it.
async fn open(settings: &Settings, folder: &PathBuf) -> Result<(), Failure> {
    let objects = settings.number("objects", 100_000);
    if settings.text("child").is_some() {
        let kv = EmbeddedKv::open(folder, Meter::new()?.options(settings))?;
        fill(&kv, objects).await?;
        if settings.text("child") == Some("killed") {
            rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            )?;
        }
        kv.close();
        return Ok(());
    }
    for how in ["killed", "closed"] {
        let _ = std::fs::remove_dir_all(folder);
        std::process::Command::new(std::env::current_exe()?)
            .args([
                "open",
                &format!("child={how}"),
                &format!("objects={objects}"),
                &format!("dir={}", folder.display()),
            ])
            .status()?;
        let journals: u64 = std::fs::read_dir(folder.join("store"))?
            .flatten()
            .filter(|entry| {
                entry
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "jnl")
            })
            .map(|entry| {
                entry.metadata().map_or(0, |metadata| {
                    std::os::unix::fs::MetadataExt::blocks(&metadata) * 512
                })
            })
            .sum();
        for again in ["first", "second", "third"] {
            let (started, cpu_before) = (Instant::now(), cpu()?);
            let kv = EmbeddedKv::open(folder, Meter::new()?.options(settings))?;
            let opened = started.elapsed();
            let used = cpu()? - cpu_before;
            kv.get(Bytes::from("k8s/acme/web/pods/default/pod-77"))
                .await?
                .ok_or("it is not there")?;
            let first = started.elapsed();
            writeln!(
                std::io::stdout(),
                "open: {how}, {again}: {opened:?} (cpu {used:?}), first get {first:?}, journals {} MiB, {}",
                journals >> 20,
                memory()?
            )?;
            if again == "third" {
                let started = Instant::now();
                let count = count(&kv).await?;
                writeln!(
                    std::io::stdout(),
                    "open: {count} objects scanned in {:?}, {}",
                    started.elapsed(),
                    memory()?
                )?;
            }
        }
    }
    Ok(())
}

async fn churn(settings: &Settings, folder: &PathBuf) -> Result<(), Failure> {
    let before = memory()?;
    let kv = EmbeddedKv::open(folder, Meter::new()?.options(settings))?;
    writeln!(
        std::io::stdout(),
        "churn: before {before}, open and empty {}",
        memory()?
    )?;
    let objects = settings.number("objects", 100_000);
    for round in 1..=settings.number("rounds", 5) {
        fill(&kv, objects).await?;
        let full = memory()?;
        kv.delete_range(
            Bytes::from("k8s/acme/web/pods/"),
            Bytes::from("k8s/acme/web/pods0"),
        )
        .await?;
        sleep(Duration::from_secs(1)).await;
        writeln!(
            std::io::stdout(),
            "churn: round {round}: full {full}, deleted {}, disk {} MiB",
            memory()?,
            disk(folder)?
        )?;
    }
    Ok(())
}
