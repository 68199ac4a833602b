//! What is measured: a server that runs already, or one that is started for each scenario.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::{
    api::{self, Api},
    args::{Args, Sizes},
    client::{Certificate, Endpoint, Pool},
    goals::Goals,
    load::{self, Until},
    process::Process,
    procfs::Meter,
    template::Pods,
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
    /// That of servers which are started here, if they are to speak TLS.
    certificate: Option<Arc<Certificate>>,
}

impl Bench {
    /// What the arguments say, in this folder.
    pub(crate) fn new(args: Args, folder: TempDir) -> anyhow::Result<Self> {
        let sizes = if args.quick {
            Sizes::quick()
        } else {
            Sizes::full()
        };
        let certificate = if args.tls {
            Some(Arc::new(Certificate::new(folder.path())?))
        } else {
            None
        };
        Ok(Self {
            sizes,
            callers: args.callers.into(),
            connections: args.connections.into(),
            args,
            echo: None,
            folder,
            certificate,
        })
    }

    /// What is spoken to a server.
    pub(crate) fn api(&self, endpoint: &Endpoint) -> Arc<dyn Api> {
        api::of(self.args.speaks_rest(), endpoint)
    }

    /// What is to be reached.
    pub(crate) fn goals(&self) -> Goals {
        if self.args.speaks_rest() {
            Goals::rest()
        } else {
            Goals::grpc(self.echo)
        }
    }

    /// A server for a scenario, with a namespace of its own.
    pub(crate) async fn target(&self, scenario: &str) -> anyhow::Result<Target> {
        let started = match &self.args.server {
            Some(_) => Some(self.start(&[]).await?),
            None => None,
        };
        let (endpoint, pids) = match &started {
            Some(started) => (started.endpoint()?, started.process.pids()),
            None => (running(&self.args)?, self.args.pids.clone()),
        };
        let api = self.api(&endpoint);
        let pool = Pool::open(&endpoint, self.connections).await?;
        // Other runs may have left theirs.
        let namespace = format!("bench-{scenario}-{:x}", std::process::id());
        let create = api.create_namespace(&namespace);
        pool.connection(0).call(create).await?;
        Ok(Target {
            endpoint,
            api,
            pool,
            namespace,
            pids,
            vanish: self.sizes.vanish,
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
        if let Some(certificate) = &self.certificate {
            args.extend(["--tls-cert".into(), certificate.cert.clone().into()]);
            args.extend(["--tls-key".into(), certificate.key.clone().into()]);
        }
        args.extend(further.iter().map(OsString::from));
        args.extend(self.args.server_args.iter().map(OsString::from));
        let process = Process::start(&binary, &args, &self.log()).await?;
        Ok(Started {
            process,
            _data: data,
            binary,
            args,
            log: self.log(),
            certificate: self.certificate.clone(),
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
    /// Gone with it.
    _data: TempDir,
    binary: PathBuf,
    args: Vec<OsString>,
    log: PathBuf,
    certificate: Option<Arc<Certificate>>,
}

impl Started {
    /// Where it is now: each start gives it another port.
    pub(crate) fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let url = &self.process.url;
        match &self.certificate {
            Some(certificate) => Endpoint::trusting(url, certificate),
            None => Endpoint::new(url),
        }
    }

    /// Starts it again, on the same data.
    pub(crate) async fn again(self, kill: bool) -> anyhow::Result<Self> {
        if kill {
            self.process.kill().await?;
        } else {
            self.process.stop().await?;
        }
        let process = Process::start(&self.binary, &self.args, &self.log).await?;
        Ok(Self { process, ..self })
    }

    /// Stops it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}

/// A server, and a namespace in it.
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    pub(crate) api: Arc<dyn Api>,
    pub(crate) pool: Pool,
    pub(crate) namespace: String,
    pub(crate) pids: Vec<u32>,
    vanish: Duration,
    started: Option<Started>,
}

impl Target {
    /// Calls on the pods of the namespace.
    pub(crate) fn pods(&self) -> anyhow::Result<Pods> {
        self.api.pods(None, &self.namespace)
    }

    /// Begins to measure what a run costs.
    pub(crate) fn meter(&self) -> Meter {
        Meter::new(&self.pids)
    }

    /// Removes what was made: the server, or else the namespace.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        match self.started.take() {
            Some(started) => started.stop().await,
            None => self.delete_namespace().await,
        }
    }

    /// Deletes the namespace, and waits until it is gone: the next scenario is not to pay for it.
    async fn delete_namespace(&self) -> anyhow::Result<()> {
        let mut connection = self.pool.connection(0);
        let delete = self.api.delete_namespace(&self.namespace);
        connection.call(delete).await?;
        let asked = Instant::now();
        while asked.elapsed() < self.vanish {
            match connection
                .call(self.api.get_namespace(&self.namespace))
                .await
            {
                Ok(()) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        // So it is where nothing but an API server runs, and that is no failure of what was measured.
        eprintln!(
            "namespace {} is still there after {:?}",
            self.namespace, self.vanish
        );
        Ok(())
    }
}

/// The server that runs already.
fn running(args: &Args) -> anyhow::Result<Endpoint> {
    match &args.kubeconfig {
        Some(file) => Endpoint::of_kubeconfig(file, args.context.as_deref()),
        None => Endpoint::new(&args.url),
    }
}

/// The name of a server in a report.
pub(crate) fn describe(args: &Args) -> anyhow::Result<String> {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    match &args.server {
        Some(path) => {
            let words = name(path)
                .into_iter()
                .chain(args.tls.then(|| "with TLS".to_owned()))
                .chain(args.server_args.iter().cloned());
            Ok(words.collect::<Vec<_>>().join(" "))
        }
        None => Ok(running(args)?.to_string()),
    }
}
