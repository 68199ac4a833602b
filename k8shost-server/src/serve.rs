//! Starting and stopping: the store is opened, the port bound, connections served, and drained.

use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use k8shost_store::{
    embedded::{EmbeddedKv, Options},
    env::SystemEnv,
    kv::{Kv, Safety},
    log::{self, Engine},
    memory::MemoryKv,
    tikv::TikvKv,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket},
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::{Config, StoreKind},
    grpc,
    health::Health,
    http::App,
    metrics::{Held, Metrics},
    peers::Peers,
    readiness::{self, Reporter},
    registry::{Context, own::OwnKinds},
    rest,
    shutdown::{self, Shutdown, Trigger},
    stall::Impatient,
    tenancy::{ServerSchema, Tenancy},
    tls::{Handshakes, Opened, Tls},
};

/// Pings on an idle HTTP/2 connection, and how long an answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a client may take nothing of what is sent to it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Largest head of a request over HTTP/2; a path alone may have 64 KiB.
const MAX_HEAD: u32 = 128 << 10;

/// Streams of one connection: watches hold one each.
const MAX_STREAMS: u32 = 4096;

/// How often a cluster is asked whether it is there: while it is, and while it is not.
const REACH: Duration = Duration::from_secs(2);
const REACH_AGAIN: Duration = Duration::from_millis(500);

/// Serves until SIGTERM or SIGINT, then drains.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    // Signals count from here on: one that comes while the store is opened is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;

    let mut metrics = Metrics::new();
    let store = Store::open(&config, &mut metrics)?;
    let server = Server::start(&config, store, metrics).await?;
    introduce(&config, server.address);

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    server.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// A store that is open.
pub(crate) struct Store {
    pub(crate) kv: Arc<dyn Kv>,
    /// The same, if it is a cluster, which may be away.
    pub(crate) cluster: Option<Arc<TikvKv>>,
}

impl Store {
    fn open(config: &Config, metrics: &mut Metrics) -> anyhow::Result<Self> {
        let mut cluster = None;
        let kv: Arc<dyn Kv> = match &config.store {
            StoreKind::Memory => Arc::new(MemoryKv::new()),
            StoreKind::Embedded => {
                let observer = metrics.store();
                let options = Options {
                    reserve_bytes: config.disk_reserve,
                    observer: Some(Arc::new(move |synced| observer.synced(synced))),
                    ..Options::default()
                };
                Arc::new(EmbeddedKv::open(&config.data_dir, options)?)
            }
            StoreKind::Tikv(options) => {
                let kv = Arc::new(TikvKv::open(options.clone())?);
                metrics.collect_cluster(kv.stats());
                cluster = Some(kv.clone());
                kv
            }
        };
        Ok(Self { kv, cluster })
    }
}

/// A server that runs.
pub(crate) struct Server {
    engine: Engine,
    peers: Option<Peers>,
    trigger: Trigger,
    accepting: Vec<JoinHandle<()>>,
    /// Looks for new certificates.
    renewing: Option<JoinHandle<()>>,
    graceful: Arc<GracefulShutdown>,
    drain_timeout: Duration,
    /// The first address that it listens on.
    pub(crate) address: Option<SocketAddr>,
}

impl Server {
    /// Starts over a store.
    pub(crate) async fn start(
        config: &Config,
        store: Store,
        mut metrics: Metrics,
    ) -> anyhow::Result<Self> {
        let tls = config.tls.as_ref();
        let tls = tls
            .map(|files| Tls::open(files, metrics.registry()))
            .transpose()?;
        let acceptor = tls.as_ref().map(Tls::acceptor).transpose()?;
        let (trigger, stopping) = shutdown::channel();
        let schema = Arc::new(ServerSchema::new(&config.network));
        let usual = log::Config::default();
        let log_config = log::Config {
            retention: config.retention,
            // A tenant with a write now and then is to cost little more than these writes.
            truncation_interval: usual.truncation_interval.max(config.retention / 5),
            idle_after: config.idle_after,
            poll_interval: config.poll_interval,
            ..usual
        };
        let shared = store.kv.safety() != Safety::Exclusive;
        let engine = Engine::new(
            store.kv,
            Arc::new(SystemEnv::new(tokio::runtime::Handle::current())),
            schema.clone(),
            log_config,
        );
        engine.observe(metrics.store());
        metrics.collect(engine.clone());
        let mut peers = shared.then(|| Peers::new(engine.clone(), &mut metrics));
        let context = Arc::new(Context {
            network: config.network.clone(),
            bookmark_interval: config.bookmark_interval,
            own: OwnKinds::default(),
        });
        let tenancy = Tenancy::new(engine.clone(), &schema, context);
        let (reporter, readiness) = readiness::channel("the store has not answered yet");
        match store.cluster {
            Some(kv) => drop(tokio::spawn(follow(kv, tenancy.clone(), reporter))),
            None => {
                tenancy.prepare().await?;
                reporter.report(None);
            }
        }
        let metrics = Arc::new(metrics);
        let health = Health {
            shutdown: stopping.clone(),
            readiness: readiness.clone(),
        };
        let app = App {
            rest: rest::Face::new(tenancy.clone(), metrics.clone(), health.clone()),
            grpc: grpc::Face::new(
                tenancy,
                metrics.clone(),
                stopping.clone(),
                readiness,
                peers.as_ref().map(|peers| peers.service(stopping.clone())),
            )
            .await?,
            metrics,
            health,
            peers_only: false,
        };

        let graceful = Arc::new(GracefulShutdown::new());
        let (mut accepting, mut first) = (Vec::new(), None);
        for listener in listen(&config.listen)? {
            let address = listener.local_addr()?;
            announce(address, acceptor.is_some());
            first.get_or_insert(address);
            accepting.push(tokio::spawn(accept(
                listener,
                acceptor.clone(),
                app.clone(),
                graceful.clone(),
                stopping.clone(),
            )));
        }
        let address = config.peer_address.clone();
        let address = address.or_else(|| first.map(|address| address.to_string()));
        if let (Some(peers), Some(address)) = (&mut peers, address) {
            peers.join(address, config.lease);
        }
        Ok(Self {
            engine,
            peers,
            trigger,
            accepting,
            renewing: tls.map(|tls| tokio::spawn(tls.follow())),
            graceful,
            drain_timeout: config.drain_timeout,
            address: first,
        })
    }

    /// Lets what is under way come to its end, and stops.
    pub(crate) async fn stop(self) {
        self.trigger.stop();
        if let Some(renewing) = self.renewing {
            renewing.abort();
        }
        let graceful = self.graceful;
        let drain = async {
            for task in self.accepting {
                let _ = task.await;
            }
            if let Some(graceful) = Arc::into_inner(graceful) {
                graceful.shutdown().await;
            }
        };
        let leave = async {
            if let Some(peers) = self.peers {
                peers.leave().await;
            }
        };
        let drain = tokio::time::timeout(self.drain_timeout, drain);
        if tokio::join!(drain, leave).0.is_err() {
            tracing::warn!("connections were still open after the drain timeout");
        }
        self.engine.shutdown().await;
    }
}

/// Says whether the cluster is there, for as long as the server runs. What a new server has to do first
/// it does once the cluster is there.
async fn follow(kv: Arc<TikvKv>, tenancy: Tenancy, reporter: Reporter) {
    let mut prepared = false;
    loop {
        let reason = match kv.reach().await {
            Err(error) => Some(error.to_string()),
            Ok(()) if prepared => None,
            Ok(()) => match tenancy.prepare().await {
                Ok(()) => None,
                Err(error) => Some(format!("the first tenant is not there yet: {error}")),
            },
        };
        let ready = reason.is_none();
        prepared |= ready;
        reporter.report(reason);
        tokio::time::sleep(if ready { REACH } else { REACH_AGAIN }).await;
    }
}

/// Binds all addresses; one that need not be there is left out where it cannot be bound.
fn listen(addresses: &[(SocketAddr, bool)]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for (address, required) in addresses {
        match bind(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if *required => {
                return Err(error).with_context(|| format!("cannot listen on {address}"));
            }
            Err(error) => tracing::info!(%address, %error, "not listening there"),
        }
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restart must not wait for the connections of the process before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// One line for each address, once connections are accepted there.
fn announce(address: SocketAddr, tls: bool) {
    let scheme = if tls { "https" } else { "http" };
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "listening on {scheme}://{address}");
    let _ = out.flush();
}

fn introduce(config: &Config, address: Option<SocketAddr>) {
    let mut out = std::io::stdout().lock();
    let _ = match &config.store {
        StoreKind::Memory => writeln!(out, "data in memory only: nothing is kept"),
        StoreKind::Embedded => {
            let dir = config
                .data_dir
                .canonicalize()
                .unwrap_or_else(|_| config.data_dir.clone());
            writeln!(out, "data in {}", dir.display())
        }
        StoreKind::Tikv(options) => writeln!(out, "data at {options}"),
    };
    if let Some(address) = address {
        let trust = match config.tls {
            Some(_) => "-cacert CA.pem",
            None => "-plaintext",
        };
        let _ = writeln!(
            out,
            "try: grpcurl {trust} -d '{{}}' {address} k8shost.v1.NamespaceService/ListNamespaces"
        );
    }
    let _ = out.flush();
}

/// Accepts connections until the server stops.
async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    app: App,
    graceful: Arc<GracefulShutdown>,
    stopping: Shutdown,
) {
    let mut handshakes = Handshakes::default();
    loop {
        let stream = tokio::select! {
            biased;
            () = stopping.wait() => return,
            Some(opened) = handshakes.next() => {
                match opened {
                    Opened::Tls(stream) => connection(stream, app.clone(), &graceful),
                    Opened::Plain(stream) => {
                        let app = App { peers_only: true, ..app.clone() };
                        connection(stream, app, &graceful);
                    }
                }
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, mostly: others may be closed meanwhile.
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it began");
            continue;
        }
        match &acceptor {
            Some(acceptor) => handshakes.begin(acceptor.clone(), stream),
            None => connection(stream, app.clone(), &graceful),
        }
    }
}

fn connection<S>(stream: S, app: App, graceful: &GracefulShutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    let held = Held::new(&app.metrics.connections);
    let service = hyper::service::service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, std::convert::Infallible>(app.answer(request).await) }
    });
    let connection = graceful.watch(
        builder
            .serve_connection(TokioIo::new(Impatient::new(stream, PATIENCE)), service)
            .into_owned(),
    );
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended badly");
        }
        drop(held);
    });
}
