//! A test tool, never for production: the cluster as a process of its own.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use k8shost_kv_cluster::{Chaos, Cluster, Config, Tls, serve_control};
use serde_json::json;

/// A test tool, never for production: PD and stores that speak TiKV's protocol, with faults on
/// demand. Prints its addresses as one line of JSON, and runs until it is killed.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The number of stores.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    stores: u16,
    /// The ports of the PD members, one each; 0 is any.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    pd_ports: Vec<u16>,
    /// The port of the control endpoint; 0 is any.
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// Keeps data, regions and ports here; without it they are gone with the process.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The seed of the rules' probabilities and of the chaos.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keys before which a new cluster is split.
    #[arg(long, value_delimiter = ',')]
    split_at: Vec<String>,
    /// How far PD is behind, in milliseconds.
    #[arg(long, default_value_t = 0)]
    pd_lag_ms: u64,
    /// A PEM file: the authority that has to have signed the clients' certificates. With it PD and the
    /// stores talk TLS only.
    #[arg(long, requires_all = ["cert", "key"])]
    ca: Option<PathBuf>,
    /// A PEM file: the certificate of PD and the stores.
    #[arg(long, requires = "ca")]
    cert: Option<PathBuf>,
    /// A PEM file: its private key.
    #[arg(long, requires = "ca")]
    key: Option<PathBuf>,
    /// Starts with a chaos of the default rates.
    #[arg(long)]
    chaos: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let tls = match (args.ca, args.cert, args.key) {
        (Some(ca), Some(cert), Some(key)) => Some(Tls { ca, cert, key }),
        _ => None,
    };
    let config = Config {
        pd_ports: args.pd_ports,
        folder: args.folder,
        seed: args.seed,
        pd_lag: Duration::from_millis(args.pd_lag_ms),
        split_at: args.split_at.into_iter().map(String::into_bytes).collect(),
        tls,
        ..Config::new(args.stores.into())
    };
    let cluster = Cluster::start(config)
        .await
        .context("cannot start the cluster")?;
    let control = serve_control(cluster.clone(), args.control_port)
        .await
        .context("cannot serve the control endpoint")?;
    if args.chaos {
        cluster.chaos(Chaos::new(args.seed));
    }
    let addresses = json!({
        "pd": cluster.pd_endpoints(),
        "stores": cluster.store_addresses(),
        "control": control.to_string(),
    });
    writeln!(std::io::stdout(), "{addresses}")?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
