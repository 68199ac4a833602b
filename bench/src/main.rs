//! The load tool: drives a server that speaks the API, and prints what it measured.

mod api;
mod args;
mod client;
mod disk;
mod echo;
mod goals;
mod host;
mod load;
mod process;
mod procfs;
mod render;
mod report;
mod scenario;
mod template;

use std::{
    fs, io::Write as _, path::Path, process::ExitCode, thread::available_parallelism, time::Instant,
};

use anyhow::{Context as _, anyhow, bail};
use clap::Parser as _;

use crate::{
    args::{Args, Scenario},
    host::Bench,
    report::{Machine, Report, Section, Settings},
};

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match &args.from {
        Some(file) => read(file).and_then(|report| print(&report, args.markdown)),
        None => measured(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measured(args: Args) -> anyhow::Result<()> {
    let cores = available_parallelism().map_or(1, usize::from);
    // The echo is a server, and has the threads of one.
    let half = if args.echo_server {
        cores
    } else {
        (cores / 2).max(1)
    };
    let threads = args.threads.map_or(half, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(async {
            if args.echo_server {
                return echo::serve().await;
            }
            tokio::select! {
                outcome = measure(args, cores, threads) => outcome,
                _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
            }
        })
}

async fn measure(args: Args, cores: usize, threads: usize) -> anyhow::Result<()> {
    let scenarios = chosen(&args)?;
    let settings = Settings {
        quick: args.quick,
        server: host::describe(&args)?,
        api: if args.speaks_rest() { "REST" } else { "gRPC" }.to_owned(),
        callers: args.callers.into(),
        connections: args.connections.into(),
        threads,
    };
    let folder = tempfile::Builder::new()
        .prefix(".k8shost-bench-")
        .tempdir_in(&args.dir)
        .with_context(|| format!("cannot make a folder in {}", args.dir.display()))?;
    let machine = machine(cores, folder.path());
    let mut report = Report {
        machine,
        settings,
        sections: Vec::new(),
    };
    let (json, markdown) = (args.json.clone(), args.markdown);
    let mut bench = Bench::new(args, folder)?;
    for scenario in scenarios {
        report.sections.push(one(&mut bench, scenario).await);
    }
    if let Some(file) = &json {
        let failed = || format!("cannot write {}", file.display());
        fs::write(file, serde_json::to_vec_pretty(&report)?).with_context(failed)?;
    }
    print(&report, markdown)?;
    let failed: Vec<&str> = report
        .sections
        .iter()
        .filter(|section| section.failure.is_some())
        .map(|section| section.scenario.as_str())
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}

/// What is to be run. The machine comes first: it sets goals for the others.
fn chosen(args: &Args) -> anyhow::Result<Vec<Scenario>> {
    let named = |scenario: &Scenario| args.scenarios.contains(scenario);
    let can = |scenario: &Scenario| match scenario {
        _ if args.server.is_some() => true,
        Scenario::Memory => !args.pids.is_empty(),
        scenario => !scenario.needs_binary(),
    };
    if let Some(scenario) = args.scenarios.iter().find(|s| !can(s)) {
        bail!(
            "{} needs a server's process: name its binary with --server{}",
            scenario.name(),
            if scenario.needs_binary() {
                ""
            } else {
                ", or its id with --pid"
            }
        );
    }
    let all = args.scenarios.is_empty();
    let cannot = scenario::ALL.iter().filter(|s| !can(s));
    let cannot: Vec<_> = cannot.map(|scenario| scenario.name()).collect();
    if all && !cannot.is_empty() {
        eprintln!("left out, for they need --server: {}", cannot.join(", "));
    }
    let wanted = |scenario: &Scenario| match scenario {
        Scenario::Machine => true,
        scenario if all => can(scenario),
        scenario => named(scenario),
    };
    Ok(scenario::ALL.into_iter().filter(wanted).collect())
}

/// Runs one scenario. A failure is told at once, and does not keep the others from running.
async fn one(bench: &mut Bench, scenario: Scenario) -> Section {
    let mut section = Section::new(scenario.name());
    eprint!("{} ... ", scenario.name());
    let began = Instant::now();
    let patience = bench.sizes.patience;
    let outcome = tokio::time::timeout(patience, scenario.run(bench, &mut section)).await;
    let failure = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some(format!("it was not done within {patience:?}")),
    };
    match &failure {
        None => eprintln!("{:.1} s", began.elapsed().as_secs_f64()),
        Some(failure) => {
            eprintln!("FAILED: {failure}");
            let log = process::tail(&bench.log());
            if !log.is_empty() {
                eprintln!("the server's log ends with:\n{log}");
            }
        }
    }
    // The next scenario's failure is not to be explained with this one's log.
    let _ = fs::remove_file(bench.log());
    section.failure = failure;
    section
}

fn machine(cores: usize, folder: &Path) -> Machine {
    let line = |path: &str| fs::read_to_string(path).ok();
    let cpu = line("/proc/cpuinfo").and_then(|text| {
        let model = text.lines().find(|line| line.starts_with("model name"))?;
        Some(model.split_once(':')?.1.trim().to_owned())
    });
    let kernel = line("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
    let file_system = disk::file_system(folder);
    if file_system.as_deref() == Some("tmpfs") {
        eprintln!("--dir is in memory: nothing is made durable there, and the figures flatter");
    }
    Machine {
        cores,
        cpu,
        kernel,
        file_system,
    }
}

fn read(file: &Path) -> anyhow::Result<Report> {
    let failed = || format!("{} is not a report", file.display());
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(failed)
}

fn print(report: &Report, markdown: bool) -> anyhow::Result<()> {
    let text = if markdown {
        render::markdown(report)?
    } else {
        render::text(report)?
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
