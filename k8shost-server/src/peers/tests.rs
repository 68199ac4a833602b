//! Two servers over one store in memory, each with a runtime of its own so that it can be killed.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use k8shost_proto::v1::{
    CreateNamespaceRequest, GetNamespaceRequest, ListNamespacesRequest, Namespace, ObjectMeta,
    WatchNamespacesRequest, WatchNamespacesResponse,
    namespace_service_client::NamespaceServiceClient,
};
use k8shost_store::memory::MemoryKv;
use tokio::{runtime::Runtime, sync::oneshot};
use tonic::{Streaming, transport::Channel};

use crate::{
    config::{Config, Settings},
    metrics::Metrics,
    serve::{Server, Store},
};

const HOUR: Duration = Duration::from_secs(3600);
const WINDOW: Duration = Duration::from_secs(60);

/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// A server, until it is stopped or killed.
struct Running {
    address: String,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
    runtime: Runtime,
}

fn config() -> Config {
    let settings = Settings {
        listen: Some(vec!["127.0.0.1:0".parse().unwrap()]),
        ..Settings::default()
    };
    Config {
        poll_interval: HOUR,
        ..settings.resolve().unwrap()
    }
}

impl Running {
    fn start(kv: &MemoryKv, config: Config) -> Self {
        let store = Store {
            kv: std::sync::Arc::new(kv.clone()),
            cluster: None,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (started, address) = mpsc::channel();
        let (stop, stopping) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        runtime.spawn(async move {
            let server = Server::start(&config, store, Metrics::new()).await.unwrap();
            started.send(server.address.unwrap()).unwrap();
            if stopping.await.is_ok() {
                server.stop().await;
                done.send(()).unwrap();
            }
        });
        Self {
            address: address.recv().unwrap().to_string(),
            stop,
            stopped,
            runtime,
        }
    }

    /// It ends in an orderly way.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        let wait = Duration::from_secs(9);
        let stopped = tokio::time::timeout(wait, self.stopped).await;
        stopped.expect("it stops in time").unwrap();
        self.runtime.shutdown_background();
    }

    /// It is gone from one moment to the next.
    fn kill(self) {
        self.runtime.shutdown_background();
    }

    async fn client(&self) -> NamespaceServiceClient<Channel> {
        let address = format!("http://{}", self.address);
        NamespaceServiceClient::connect(address).await.unwrap()
    }

    /// The value of a metric.
    async fn figure(&self, name: &str) -> u64 {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nhost: k8shost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let line = text.lines().find_map(|line| {
            let (found, value) = line.split_once(' ')?;
            (found == format!("k8shost_{name}")).then_some(value)
        });
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .parse()
            .unwrap()
    }

    /// Waits until a metric is as it should be.
    async fn until(&self, name: &str, right: impl Fn(u64) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let figure = self.figure(name).await;
            if right(figure) {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {figure}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn create(client: &mut NamespaceServiceClient<Channel>, name: &str) {
    let request = CreateNamespaceRequest {
        namespace: Some(Namespace {
            metadata: Some(ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            }),
            ..Namespace::default()
        }),
    };
    client.create_namespace(request).await.unwrap();
}

/// A watch of what comes after the present.
async fn watch(client: &mut NamespaceServiceClient<Channel>) -> Streaming<WatchNamespacesResponse> {
    let list = client
        .list_namespaces(ListNamespacesRequest::default())
        .await;
    let metadata = list.unwrap().into_inner().metadata.unwrap();
    let request = WatchNamespacesRequest {
        resource_version: metadata.resource_version.unwrap(),
        ..WatchNamespacesRequest::default()
    };
    client.watch_namespaces(request).await.unwrap().into_inner()
}

/// The name in the next event.
async fn next(events: &mut Streaming<WatchNamespacesResponse>) -> String {
    let event = tokio::time::timeout(Duration::from_secs(20), events.message()).await;
    let event = event.expect("an event comes").unwrap().unwrap();
    event.namespace.unwrap().metadata.unwrap().name.unwrap()
}

#[tokio::test]
async fn a_watch_sees_at_once_what_is_committed_at_another_server() {
    let kv = MemoryKv::shared(WINDOW);
    let (a, b) = (Running::start(&kv, config()), Running::start(&kv, config()));
    for server in [&a, &b] {
        server.until("peer_connections", |n| n == 1).await;
    }
    let (mut one, mut two) = (a.client().await, b.client().await);
    let mut events = watch(&mut two).await;
    let mut times = Vec::new();
    for i in 0..20 {
        let name = format!("n{i}");
        create(&mut one, &name).await;
        let start = Instant::now();
        assert_eq!(next(&mut events).await, name);
        times.push(start.elapsed());
    }
    // It would be an hour without hints. One may be slow where much else runs; not most of them.
    times.sort_unstable();
    assert!(times[10] < Duration::from_millis(100), "{times:?}");
    assert!(b.figure("hints_received_total").await >= 20);
    assert_eq!(b.figure("hints_missed_total").await, 0);
    assert!(a.figure("hints_sent_total").await >= 20);

    // Where nobody watches, nobody is told.
    let before = b.figure("hints_sent_total").await;
    for i in 0..5 {
        create(&mut two, &format!("m{i}")).await;
    }
    assert_eq!(b.figure("hints_sent_total").await, before);
    a.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn every_server_reads_what_any_server_has_written() {
    let kv = MemoryKv::shared(WINDOW);
    let (a, b) = (Running::start(&kv, config()), Running::start(&kv, config()));
    let mut clients = [a.client().await, b.client().await];
    for i in 0..20 {
        let name = format!("n{i}");
        create(&mut clients[i % 2], &name).await;
        let request = GetNamespaceRequest { name };
        clients[(i + 1) % 2].get_namespace(request).await.unwrap();
    }
    a.kill();
    b.kill();
}

#[tokio::test]
async fn without_hints_a_watch_waits_for_the_poll() {
    let kv = MemoryKv::shared(WINDOW);
    let unreachable = Config {
        peer_address: Some(NOWHERE.to_owned()),
        ..config()
    };
    let polls = Config {
        poll_interval: Duration::from_millis(300),
        ..config()
    };
    let a = Running::start(&kv, unreachable);
    let b = Running::start(&kv, polls);
    b.until("peer_connections_lost_total", |n| n > 0).await;
    let (mut one, mut two) = (a.client().await, b.client().await);
    let mut events = watch(&mut two).await;
    for i in 0..5 {
        let name = format!("n{i}");
        create(&mut one, &name).await;
        assert_eq!(next(&mut events).await, name);
    }
    assert_eq!(b.figure("hints_received_total").await, 0);
    assert!(b.figure("hints_missed_total").await > 0);
    a.kill();
    b.kill();
}

#[tokio::test]
async fn a_server_that_was_killed_is_forgotten_when_its_lease_ends() {
    let kv = MemoryKv::shared(WINDOW);
    let short = Config {
        lease: Duration::from_secs(1),
        ..config()
    };
    let a = Running::start(&kv, short.clone());
    let b = Running::start(&kv, short.clone());
    a.until("peers", |n| n == 1).await;
    b.until("peers", |n| n == 1).await;
    b.kill();
    a.until("peer_connections", |n| n == 0).await;
    a.until("peers", |n| n == 0).await;
    // Another one comes, and neither knows of the one that is gone.
    let c = Running::start(&kv, short);
    c.until("peer_connections", |n| n == 1).await;
    a.until("peer_connections", |n| n == 1).await;
    a.kill();
    c.kill();
}

#[tokio::test]
async fn a_server_that_stops_is_forgotten_at_once() {
    let kv = MemoryKv::shared(WINDOW);
    // Nobody looks around for an hour, but for who comes.
    let long = Config {
        lease: HOUR,
        ..config()
    };
    let a = Running::start(&kv, long.clone());
    let b = Running::start(&kv, long.clone());
    a.until("peers", |n| n == 1).await;
    b.stop().await;
    let c = Running::start(&kv, long);
    c.until("peer_connections", |n| n == 1).await;
    assert_eq!(c.figure("peers").await, 1);
    a.stop().await;
    c.stop().await;
}

#[tokio::test]
async fn one_process_with_its_own_store_has_no_peers() {
    let server = Running::start(&MemoryKv::new(), config());
    let mut client = server.client().await;
    create(&mut client, "a").await;
    let channel = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut peer =
        k8shost_proto::internal::v1::peer_service_client::PeerServiceClient::new(channel);
    let refused = peer.follow(futures::stream::pending()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
    server.stop().await;
}
