//! The `k8shost` binary: flags in, a running server out.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use k8shost_server::{
    Config, KubeconfigArgs, Settings, StoreArgs, accept, check, kubeconfig, serve, start_logging,
};

/// Objects are allocated by one thread and freed by another all the time, which costs glibc's allocator
/// a quarter of the CPU. Its settings are in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Kubernetes for many tenants: every organization and project gets its own Kubernetes API.
#[derive(Parser)]
#[command(
    name = "k8shost",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the server; also what no subcommand means.
    Serve(Box<ServeArgs>),
    /// Verifies the data of a stopped server, or of a TiKV cluster: every log, every object, every
    /// digest. Changes nothing.
    Check {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Accepts the state of a tenant whose digest is wrong, as a check shows it, so that it can be
    /// written again.
    Accept {
        #[command(flatten)]
        store: StoreArgs,
        /// The tenant.
        #[arg(value_name = "ORGANIZATION/PROJECT")]
        tenant: String,
    },
    /// Prints a kubeconfig for a project: what kubectl and its kin need to use it.
    Kubeconfig(Box<KubeconfigCommand>),
}

#[derive(Args)]
struct KubeconfigCommand {
    #[command(flatten)]
    project: KubeconfigArgs,
    #[command(flatten, next_help_heading = "The server's settings")]
    serve: ServeArgs,
}

#[derive(Args)]
struct ServeArgs {
    /// A TOML file with the same settings, written as the long flags are: `data-dir = "/srv/k8shost"`.
    /// Flags weigh more than the environment, and that more than the file.
    #[arg(long, env = "K8SHOST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Some(Command::Check { store }) => check(&store),
        Some(Command::Accept { store, tenant }) => accept(&store, &tenant).map(|()| true),
        Some(Command::Kubeconfig(args)) => print_kubeconfig(*args).map(|()| true),
        Some(Command::Serve(args)) => run(*args).map(|()| true),
        None => run(cli.serve).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl ServeArgs {
    /// What the server is told, in all.
    fn resolve(self) -> anyhow::Result<Config> {
        let mut settings = self.settings;
        if let Some(path) = &self.config {
            settings = settings.or(Settings::read(path)?);
        }
        Ok(settings.resolve()?)
    }
}

fn print_kubeconfig(args: KubeconfigCommand) -> anyhow::Result<()> {
    let text = kubeconfig(&args.project, &args.serve.resolve()?)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = args.resolve()?;
    start_logging(&config.log, config.log_format)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // The store answers from a thread of its own. Under load its answers, which many callers wait
        // for, would otherwise be looked for after 61 other tasks.
        .global_queue_interval(4)
        .build()
        .context("the runtime cannot be started")?
        .block_on(serve(config))
}
