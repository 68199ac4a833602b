//! What is measured: a server that runs already, or one that is started for each scenario.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use k8shost_proto::v1;
use tempfile::TempDir;

use crate::{
    args::{Args, Sizes},
    client::{Connection, Pool},
    load::{self, Until},
    process::Process,
    procfs::Meter,
    template::{Pods, call},
};

/// What all scenarios need to know.
pub(crate) struct Bench {
    pub(crate) args: Args,
    pub(crate) sizes: Sizes,
    pub(crate) callers: usize,
    pub(crate) connections: usize,
    /// Calls per second of the bare echo, once measured.
    pub(crate) echo: Option<f64>,
    /// Where data folders and the log are; gone at the end.
    pub(crate) folder: TempDir,
}

impl Bench {
    /// A server for a scenario, with a namespace of its own.
    pub(crate) async fn target(&self, scenario: &str) -> anyhow::Result<Target> {
        let started = match &self.args.server {
            Some(_) => Some(self.start(&[]).await?),
            None => None,
        };
        let (url, pid) = match &started {
            Some(started) => (&started.process.url, started.process.pid()),
            None => (&self.args.url, self.args.pid),
        };
        let pool = Pool::open(url, self.connections).await?;
        // Other runs may have left theirs.
        let namespace = format!("bench-{scenario}-{:x}", std::process::id());
        create_namespace(&mut pool.connection(0), &namespace).await?;
        let url = url.clone();
        Ok(Target {
            url,
            pool,
            namespace,
            pid,
            started,
        })
    }

    /// Starts a server on an empty data folder.
    pub(crate) async fn start(&self, further: &[&str]) -> anyhow::Result<Started> {
        let binary =
            self.args.server.clone().context(
                "this scenario starts servers of its own: name the binary with --server",
            )?;
        let data = tempfile::tempdir_in(self.folder.path())?;
        let mut args = ["serve", "--listen", "127.0.0.1:0", "--data-dir"]
            .map(OsString::from)
            .to_vec();
        args.push(data.path().into());
        args.extend(further.iter().map(OsString::from));
        args.extend(self.args.server_args.iter().map(OsString::from));
        let process = Process::start(&binary, &args, &self.log()).await?;
        Ok(Started {
            process,
            data,
            binary,
            args,
            log: self.log(),
        })
    }

    /// Where servers log that are started here.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// Creates pods `0..count` with as many callers as there are.
    pub(crate) async fn fill(&self, pool: &Pool, pods: Pods, count: u64) -> anyhow::Result<()> {
        let calls = move |index| [pods.create.call(index, 0)];
        load::closed(pool, self.callers, 0, Until::Count(count), calls).await?;
        Ok(())
    }
}

/// A server that a scenario may do with as it likes.
pub(crate) struct Started {
    pub(crate) process: Process,
    data: TempDir,
    binary: PathBuf,
    args: Vec<OsString>,
    log: PathBuf,
}

impl Started {
    /// Starts it again, on the same data.
    pub(crate) async fn again(self, kill: bool) -> anyhow::Result<Self> {
        let Self {
            process,
            data,
            binary,
            args,
            log,
        } = self;
        if kill {
            process.kill().await?;
        } else {
            process.stop().await?;
        }
        let process = Process::start(&binary, &args, &log).await?;
        Ok(Self {
            process,
            data,
            binary,
            args,
            log,
        })
    }

    /// Stops it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}

/// A server, and a namespace in it.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) pool: Pool,
    pub(crate) namespace: String,
    pub(crate) pid: Option<u32>,
    started: Option<Started>,
}

impl Target {
    /// Calls on the pods of the namespace.
    pub(crate) fn pods(&self) -> anyhow::Result<Pods> {
        Pods::new(&self.namespace)
    }

    /// Begins to measure what a run costs.
    pub(crate) fn meter(&self) -> Meter {
        Meter::new(self.pid)
    }

    /// Removes what was made: the server, or else the namespace.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.started {
            Some(started) => started.stop().await,
            None => delete_namespace(&mut self.pool.connection(0), &self.namespace).await,
        }
    }
}

async fn create_namespace(connection: &mut Connection, name: &str) -> anyhow::Result<()> {
    let metadata = v1::ObjectMeta {
        name: Some(name.to_owned()),
        ..Default::default()
    };
    let namespace = v1::Namespace {
        metadata: Some(metadata),
        ..Default::default()
    };
    let request = v1::CreateNamespaceRequest {
        namespace: Some(namespace),
    };
    connection
        .call(call(
            "/k8shost.v1.NamespaceService/CreateNamespace",
            &request,
        ))
        .await?;
    Ok(())
}

/// How long a namespace may take to vanish.
const VANISH: Duration = Duration::from_secs(120);

/// Deletes a namespace, and waits until it is gone: the next scenario is not to pay for it.
async fn delete_namespace(connection: &mut Connection, name: &str) -> anyhow::Result<()> {
    let request = v1::DeleteNamespaceRequest {
        name: name.to_owned(),
        ..Default::default()
    };
    connection
        .call(call(
            "/k8shost.v1.NamespaceService/DeleteNamespace",
            &request,
        ))
        .await?;
    let get = v1::GetNamespaceRequest {
        name: name.to_owned(),
    };
    let get = call("/k8shost.v1.NamespaceService/GetNamespace", &get);
    let asked = Instant::now();
    while asked.elapsed() < VANISH {
        match connection.call(get.clone()).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    bail!("namespace {name} is still there after {VANISH:?}")
}

/// The name of a server in a report.
pub(crate) fn describe(args: &Args) -> String {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    match &args.server {
        Some(path) => {
            let words = name(path)
                .into_iter()
                .chain(args.server_args.iter().cloned());
            words.collect::<Vec<_>>().join(" ")
        }
        None => args.url.clone(),
    }
}
