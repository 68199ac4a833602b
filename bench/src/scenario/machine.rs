//! What the machine gives: a bare echo, and appending to the disk.

use std::{ffi::OsString, sync::Arc, time::Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::run_of;
use crate::{
    api::call,
    client::{Endpoint, Pool},
    disk,
    echo::{self, Client, Payload},
    host::Bench,
    load::{self, Until, histogram, micros},
    process::Process,
    procfs::{Meter, Usage},
    report::{Latency, Run, Section, Unit},
};

/// Bytes of an echo: about a pod.
const PAYLOAD: usize = 2048;

pub(super) async fn run(bench: &mut Bench, section: &mut Section) -> anyhow::Result<()> {
    section.about = format!(
        "{} callers on {} connections echo {PAYLOAD} bytes; records appended and synced one by one",
        bench.callers, bench.connections
    );
    let program = std::env::current_exe().context("this program is not found again")?;
    let args = [OsString::from("--echo-server")];
    let server = Process::start(&program, &args, &bench.log()).await?;
    let payload = Payload {
        bytes: Bytes::from(vec![0x5a; PAYLOAD]),
    };

    let pool = Pool::open(&Endpoint::new(&server.url)?, bench.connections).await?;
    let prepared = call(echo::PATH, &payload);
    let until = Until::Time {
        warm_up: bench.sizes.warm_up,
        run: bench.sizes.run,
    };
    let meter = Meter::new(&server.pids());
    let load = load::closed(&pool, bench.callers, 0, until, move |_| [prepared.clone()]).await?;
    section.runs.push(run_of("echo", &load, meter.usage()));
    section.figure("bare tonic echo", load.rate(), Unit::PerSecond);
    bench.echo = Some(load.rate());

    let meter = Meter::new(&server.pids());
    let (latencies, done) = with_tonic(bench, &server.url, payload).await?;
    let rate = done as f64 / bench.sizes.run.as_secs_f64();
    section
        .figure("bare tonic echo, tonic's client too", rate, Unit::PerSecond)
        .peer(65_000.0);
    section.runs.push(Run {
        name: "echo, tonic's client".to_owned(),
        per_second: Some(rate),
        latency: (&latencies).into(),
        usage: meter.usage(),
    });
    server.kill().await?;

    for kib in [4, 256] {
        let folder = bench.folder.path().to_owned();
        let (size, time) = (kib * 1024, bench.sizes.run / 4);
        let began = Instant::now();
        let latencies =
            tokio::task::spawn_blocking(move || disk::append_and_sync(&folder, size, time))
                .await??;
        let seconds = began.elapsed().as_secs_f64();
        let name = format!("append and fdatasync {kib} KiB");
        let latency = Latency::from(&latencies);
        section.figure(format!("{name}, p50"), latency.p50_ms, Unit::Ms);
        let per_second = Some(latency.count as f64 / seconds);
        let usage = Usage {
            seconds,
            ..Usage::default()
        };
        section.runs.push(Run {
            name,
            per_second,
            latency,
            usage,
        });
    }
    Ok(())
}

/// The same echo, but with the client that tonic has.
async fn with_tonic(
    bench: &Bench,
    url: &str,
    payload: Payload,
) -> anyhow::Result<(Histogram<u64>, u64)> {
    let payload = Arc::new(payload);
    let mut clients = Vec::new();
    for _ in 0..bench.connections {
        clients.push(Client::open(url).await?);
    }
    let measured = Instant::now() + bench.sizes.warm_up;
    let deadline = measured + bench.sizes.run;
    let mut tasks = JoinSet::new();
    for caller in 0..bench.callers {
        let (payload, mut client) = (payload.clone(), clients[caller % clients.len()].clone());
        tasks.spawn(async move {
            let (mut latencies, mut done) = (histogram(), 0);
            loop {
                let started = Instant::now();
                if started >= deadline {
                    return anyhow::Ok((latencies, done));
                }
                client.call(Payload::clone(&payload)).await?;
                let finished = Instant::now();
                if finished >= measured {
                    latencies.saturating_record(micros(finished - started));
                    done += u64::from(finished <= deadline);
                }
            }
        });
    }
    let (mut latencies, mut done) = (histogram(), 0);
    while let Some(one) = tasks.join_next().await {
        let one = one?.context("the echo failed")?;
        latencies.add(one.0)?;
        done += one.1;
    }
    Ok((latencies, done))
}
