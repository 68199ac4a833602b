//! The command line, and how much is done in a full run and in a quick one.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

/// Measures a server that speaks the API: throughput, latencies, CPU and memory.
///
/// Without --server, a running server is driven, in namespaces that are removed again. With it, each
/// scenario gets a server of its own, on an empty data folder: needed for start and tenants. Memory needs
/// it too, or else --pid.
#[derive(Parser)]
#[command(name = "k8shost-bench", version)]
pub(crate) struct Args {
    /// What to measure; everything, if nothing is named. The machine itself is always measured.
    #[arg(value_enum)]
    pub(crate) scenarios: Vec<Scenario>,

    /// The running server; with --rest, Kubernetes' API is below this URL.
    #[arg(
        long,
        default_value = "http://127.0.0.1:6443",
        conflicts_with = "server"
    )]
    pub(crate) url: String,

    /// Speaks Kubernetes' REST API, in JSON, and not gRPC.
    #[arg(long)]
    pub(crate) rest: bool,

    /// The running server is that of this file, whatever serves Kubernetes' REST API.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["server", "url"])]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The context in the kubeconfig; the current one, unless given.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub(crate) context: Option<String>,

    /// Process id of the running server, for its CPU time and memory. Of several, the sum is taken.
    #[arg(long = "pid", value_name = "PID", conflicts_with = "server")]
    pub(crate) pids: Vec<u32>,

    /// The server's binary, to be started by this tool.
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,

    /// A further argument of the server; may be given several times.
    #[arg(
        long = "server-arg",
        value_name = "ARG",
        allow_hyphen_values = true,
        requires = "server"
    )]
    pub(crate) server_args: Vec<String>,

    /// Servers that this tool starts are spoken to over TLS, with a certificate of its own making.
    #[arg(long, requires = "server")]
    pub(crate) tls: bool,

    /// Where data folders are made, and the disk is measured.
    #[arg(long, default_value = ".")]
    pub(crate) dir: PathBuf,

    /// Callers that wait for their answers.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) callers: u16,

    /// Connections that the callers share.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,

    /// Threads of this tool; half of the cores unless given.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// Small numbers, to see that everything works: the figures say nothing.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Prints the report as Markdown tables.
    #[arg(long)]
    pub(crate) markdown: bool,

    /// Prints a report that --json wrote, and measures nothing.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    /// Is the echo that measures the machine.
    #[arg(long, hide = true)]
    pub(crate) echo_server: bool,
}

impl Args {
    /// Whether REST is spoken: a kubeconfig says nothing of gRPC.
    pub(crate) fn speaks_rest(&self) -> bool {
        self.rest || self.kubeconfig.is_some()
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A bare echo, and the disk.
    Machine,
    /// Creates, as fast as callers get answers, and at half of that rate.
    Creates,
    /// Gets of single pods.
    Gets,
    /// Unconditional updates, each of its own pod.
    Updates,
    /// Deletes without grace.
    Deletes,
    /// Lists of all pods, in one answer and in pages.
    List,
    /// Many watchers of one namespace.
    Watch,
    /// Memory: idle, with pods, and after many creates and deletes.
    Memory,
    /// Start to serving with many objects in the store.
    Start,
    /// Many tenants with one pod each.
    Tenants,
}

/// How much is done.
pub(crate) struct Sizes {
    /// Not measured, at the beginning of a closed loop.
    pub(crate) warm_up: Duration,
    /// Measured.
    pub(crate) run: Duration,
    /// Pods that are got, updated, listed, kept in memory.
    pub(crate) pods: u64,
    /// Pods that are deleted, in a row or as they are created; also objects at a start.
    pub(crate) many: u64,
    /// Items of a page.
    pub(crate) page: i64,
    /// Lists of each sort.
    pub(crate) lists: u32,
    /// Watchers, on how many connections, for how long.
    pub(crate) watchers: usize,
    pub(crate) watch_connections: usize,
    pub(crate) watch: Duration,
    /// Waited before memory is read.
    pub(crate) settle: Duration,
    /// Starts of each sort.
    pub(crate) starts: u32,
    /// Tenants, and what is waited until they are idle and past the retention.
    pub(crate) tenants: u64,
    pub(crate) tenants_idle: Duration,
    /// How long a namespace may take to vanish.
    pub(crate) vanish: Duration,
    /// No scenario may take longer.
    pub(crate) patience: Duration,
}

impl Sizes {
    /// Those of the targets.
    pub(crate) fn full() -> Self {
        Self {
            warm_up: Duration::from_secs(2),
            run: Duration::from_secs(10),
            pods: 10_000,
            many: 100_000,
            page: 500,
            lists: 30,
            watchers: 1000,
            watch_connections: 10,
            watch: Duration::from_secs(30),
            settle: Duration::from_secs(10),
            starts: 5,
            tenants: 10_000,
            tenants_idle: Duration::from_secs(30),
            vanish: Duration::from_secs(120),
            patience: Duration::from_secs(900),
        }
    }

    /// Enough to see each scenario through.
    pub(crate) fn quick() -> Self {
        Self {
            warm_up: Duration::from_millis(100),
            run: Duration::from_millis(500),
            pods: 200,
            many: 1000,
            page: 50,
            lists: 3,
            watchers: 20,
            watch_connections: 2,
            watch: Duration::from_millis(500),
            settle: Duration::from_millis(500),
            starts: 2,
            tenants: 50,
            tenants_idle: Duration::from_secs(3),
            vanish: Duration::from_secs(10),
            patience: Duration::from_secs(60),
        }
    }
}
