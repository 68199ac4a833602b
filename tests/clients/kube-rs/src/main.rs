//! What programs written with kube-rs do with a Kubernetes API, case by case.
//!
//! ```text
//! k8shost-kube-rs --server URL [--binary PATH] [CASE …]
//! ```
//!
//! URL is an API root, such as <http://127.0.0.1:6443/orgs/acme/projects/web>. The case that needs a
//! server of its own starts PATH, the server's program. Each case has a namespace of its own. A line is
//! printed for each, and the exit status is 1 if one has failed. CASE is a name, or the beginning of one.

use std::panic::Location;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use kube::{Client, Config};
use serde_json::json;

mod custom;
mod generic;
mod own;
mod typed;
mod watches;

/// What a case has.
#[derive(Clone)]
struct World {
    client: Client,
    namespace: String,
    binary: Option<String>,
}

type Outcome = Pin<Box<dyn Future<Output = Result<()>>>>;

/// A case: its name, and what it does.
type Case = (&'static str, fn(World) -> Outcome);

/// Makes a function a case.
macro_rules! case {
    ($name:literal, $function:path) => {
        ($name, |world| -> Outcome { Box::pin($function(world)) })
    };
}

const CASES: &[Case] = &[
    case!("typed-api", typed::api),
    case!("typed-errors", typed::errors),
    case!("typed-subresources", typed::subresources),
    case!("server-side-apply", typed::server_side_apply),
    case!("deletes", typed::deletes),
    case!("dynamic-api", generic::dynamic_api),
    case!("discovery", generic::discovery),
    case!("watcher", watches::watcher_sees_each_change),
    case!("streaming-lists", watches::streaming_lists),
    case!("reflector", watches::reflector_agrees),
    case!("metadata-watcher", watches::metadata),
    case!("controller", watches::controller_with_finalizer),
    case!("derived-kind", custom::derived_kind),
    case!("tls", own::tls),
];

/// Waits until a check is content, and returns what it returns.
async fn eventually<T, F>(mut check: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Fails unless two values are equal.
#[track_caller]
fn same<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    found: T,
    expected: U,
) -> Result<()> {
    if found != expected {
        bail!(
            "{}: expected {expected:?}, not {found:?}",
            Location::caller()
        );
    }
    Ok(())
}

/// The message that a call was refused with; it must have been refused with this code and reason.
#[track_caller]
fn refused<T: std::fmt::Debug>(
    outcome: kube::Result<T>,
    code: u16,
    reason: &str,
) -> Result<String> {
    match outcome {
        Err(kube::Error::Api(status)) if status.code == code && status.reason == reason => {
            Ok(status.message)
        }
        Err(other) => bail!("{}: {reason} expected, not {other:?}", Location::caller()),
        Ok(_) => bail!("{}: {reason} expected, but it was done", Location::caller()),
    }
}

/// Checks that a call was refused as one to a group that is not there: with text, not with a Status.
#[track_caller]
fn no_such_group<T: std::fmt::Debug>(outcome: kube::Result<T>) -> Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) => same(
            (status.code, status.message.trim()),
            (404, "404 page not found"),
        ),
        Err(other) => bail!("{}: 404 expected, not {other:?}", Location::caller()),
        Ok(_) => bail!("{}: 404 expected, but it was done", Location::caller()),
    }
}

/// A client of an API root.
fn client(server: &str) -> Result<Client> {
    Ok(Client::try_from(Config::new(server.parse()?))?)
}

async fn run(mut world: World, case: fn(World) -> Outcome) -> Result<()> {
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": world.namespace}}))?;
    Api::all(world.client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .context("the namespace of the case")?;
    world.namespace = namespace.metadata.name.unwrap_or_default();
    tokio::time::timeout(Duration::from_secs(90), case(world)).await?
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let (mut server, mut binary, mut wanted, mut list) = (None, None, Vec::new(), false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--server" => server = words.next(),
            "--binary" => binary = words.next(),
            "--list" => list = true,
            _ => wanted.push(word),
        }
    }
    let chosen: Vec<_> = CASES
        .iter()
        .filter(|(name, _)| {
            wanted.is_empty() || wanted.iter().any(|w| name.starts_with(w.as_str()))
        })
        .collect();
    if list {
        chosen.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    let client = client(&server.context("--server is needed")?)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() % 10_000_000;
    let mut failed = 0;
    for (number, (name, case)) in chosen.iter().enumerate() {
        let begun = Instant::now();
        let world = World {
            client: client.clone(),
            namespace: format!("{name}-rs-{now}-{number}"),
            binary: binary.clone(),
        };
        match run(world, *case).await {
            Ok(()) => println!("ok    {name} ({:.1} s)", begun.elapsed().as_secs_f32()),
            Err(error) => {
                failed += 1;
                println!(
                    "FAIL  {name}: {}",
                    format!("{error:#}").replace('\n', "\n      ")
                );
            }
        }
    }
    println!("{} passed, {failed} failed", chosen.len() - failed);
    Ok(if failed > 0 || chosen.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
