//! The cluster is away for a while: what servers tell meanwhile, and how they go on when it is back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use http::{Request, StatusCode};
use k8shost_kv_cluster::{Cluster, Config};
use k8shost_tests::{
    Client, Event, Events, Method, POD, Server, frame, http1, http2, merge, name, names, pod,
    reason, revision, text, until,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// What goes away, and how.
#[derive(Clone, Copy, PartialEq)]
enum Outage {
    /// The stores are stopped.
    Stores,
    /// The stores and PD are.
    All,
    /// All of them are a black hole.
    Frozen,
}

impl Outage {
    async fn begin(self, cluster: &Cluster) {
        for store in 1..=3 {
            match self {
                Outage::Frozen => cluster.freeze_store(store).unwrap(),
                Outage::Stores | Outage::All => cluster.stop_store(store).await.unwrap(),
            }
        }
        match self {
            Outage::Stores => {}
            Outage::All => cluster.stop_pd(0).await.unwrap(),
            Outage::Frozen => cluster.freeze_pd(0).unwrap(),
        }
    }

    async fn end(self, cluster: &Cluster) {
        for store in 1..=3 {
            match self {
                Outage::Frozen => cluster.thaw_store(store).unwrap(),
                Outage::Stores | Outage::All => cluster.start_store(store).await.unwrap(),
            }
        }
        match self {
            Outage::Stores => {}
            Outage::All => cluster.start_pd(0).await.unwrap(),
            Outage::Frozen => cluster.thaw_pd(0).unwrap(),
        }
    }
}

/// The code and the reason of a refusal, and how long it took.
#[derive(Debug)]
struct Refused(Code, String, Duration);

impl Refused {
    fn new(status: &Status, begun: Instant) -> Self {
        let known = [
            (Code::Unavailable, "ServiceUnavailable"),
            (Code::DeadlineExceeded, "Timeout"),
        ];
        let refused = Self(status.code(), reason(status), begun.elapsed());
        assert!(known.contains(&(refused.0, &refused.1)), "{status:?}");
        refused
    }
}

/// Calls a method with a deadline of two seconds that the server has to keep, as the client has none.
async fn within_two_seconds(server: &Server, method: &str, request: Value) -> Refused {
    let method = Method::named(method);
    let headers = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "2S"),
    ];
    let (begun, body) = (Instant::now(), frame(&method.encode(request)));
    let answer = http2(server.address(), &method.path(), &headers, body).await;
    let status = Status::from_header_map(&answer.trailers);
    let status = status.or_else(|| Status::from_header_map(&answer.headers));
    let refused = Refused::new(&status.expect("a status"), begun);
    assert!(
        refused.2 < Duration::from_secs(3),
        "{}: {refused:?}",
        method.name()
    );
    refused
}

/// A call without a deadline that is refused.
async fn refused<T: std::fmt::Debug>(call: impl Future<Output = Result<T, Status>>) -> Refused {
    let begun = Instant::now();
    Refused::new(&call.await.unwrap_err(), begun)
}

async fn ready(server: &Server) {
    until("readiness", async || {
        let answer = http1(server.address(), Request::get("/readyz"), Bytes::new()).await;
        (answer.status == StatusCode::OK).then_some(())
    })
    .await;
}

/// A pod that is another one each time.
fn another() -> Value {
    merge(
        pod(""),
        json!({"metadata": {"name": null, "generateName": "t-"}}),
    )
}

/// All events up to the one of the pod `end`.
async fn events(mut watch: Events) -> Vec<(String, String, u64)> {
    let mut events = Vec::new();
    while events.last().is_none_or(|(_, name, _)| name != "end") {
        let Event { kind, object } = watch.event().await;
        events.push((kind, name(&object).to_owned(), revision(&object)));
    }
    events
}

async fn goes_away_and_comes_back(outage: Outage) {
    let cluster = Cluster::start(Config::new(3)).await.unwrap();
    let store = format!("tikv://{}", cluster.pd_endpoints().join(","));
    let one = Server::with(&["--store", &store]).await;
    let other = Server::with(&["--store", &store]).await;
    let mut clients: Vec<Client> = Vec::new();
    for server in [&one, &other] {
        ready(server).await;
        clients.push(server.client().await);
    }
    for number in 0..20 {
        let client = &clients[number % 2];
        client
            .create(POD, pod(&format!("p{number}")))
            .await
            .unwrap();
    }
    let list = clients[0].list(POD, json!({})).await.unwrap();
    let from = json!({"resourceVersion": text(&list, "/metadata/resourceVersion")});
    let open = clients.iter().map(|client| client.watch(POD, from.clone()));
    let mut watches = try_join_all(open).await.unwrap();
    clients[1].create(POD, pod("before")).await.unwrap();
    for client in &clients {
        client.get(POD, "default", "before").await.unwrap();
    }

    outage.begin(&cluster).await;
    let named = json!({"namespace": "default", "name": "p1"});
    let writes = [&one, &other, &one, &other].map(|server| {
        within_two_seconds(server, "PodService/CreatePod", json!({"pod": another()}))
    });
    let (told, _, _, _, long_get, long_list) = tokio::join!(
        join_all(writes),
        within_two_seconds(&one, "PodService/GetPod", named),
        within_two_seconds(&other, "PodService/ListPods", json!({})),
        within_two_seconds(&one, "PodService/WatchPods", json!({})),
        refused(clients[0].get(POD, "default", "p1")),
        refused(clients[1].list(POD, json!({}))),
    );
    for refused in [long_get, long_list] {
        assert!(refused.2 < Duration::from_secs(10), "{refused:?}");
    }
    let mut most = told.len();
    if outage == Outage::Frozen {
        let refused = refused(clients[0].create(POD, another())).await;
        assert!(refused.2 < Duration::from_secs(65), "{refused:?}");
        most += 1;
    }
    // What is in memory is there at once.
    let begun = Instant::now();
    for client in &clients {
        let list = client.list(POD, json!({"resourceVersion": "0"})).await;
        assert_eq!(names(&list.unwrap()).len(), 21);
        watches.push(client.watch(POD, from.clone()).await.unwrap());
        let mut watch = client
            .watch(POD, json!({"resourceVersion": "0"}))
            .await
            .unwrap();
        watch.expect("ADDED", "before").await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );

    outage.end(&cluster).await;
    for (server, client) in [&one, &other].into_iter().zip(&clients) {
        until("the first answer", async || {
            client.list(POD, json!({})).await.ok()
        })
        .await;
        ready(server).await;
    }
    for (client, name) in clients.iter().rev().zip(["after", "end"]) {
        client.create(POD, pod(name)).await.unwrap();
    }
    // Each watch has told every change once, in order, whenever it was opened, and all the same.
    let mut all = join_all(watches.into_iter().map(events)).await;
    let told = all.swap_remove(0);
    assert!(told.is_sorted_by(|a, b| a.2 < b.2), "{told:?}");
    assert!(all.iter().all(|other| *other == told), "{told:?} {all:?}");
    let late: Vec<&str> = told.iter().map(|(_, name, _)| &**name).collect();
    assert!(told.iter().all(|(kind, ..)| kind == "ADDED"), "{told:?}");
    // A write that was told Timeout took effect once or not at all.
    let (writes, others): (Vec<&str>, Vec<&str>) =
        late.iter().partition(|name| name.starts_with("t-"));
    assert_eq!(others, ["before", "after", "end"]);
    assert!(writes.len() <= most, "{writes:?}");
    let [one, other] = [&clients[0], &clients[1]].map(|client| client.list(POD, json!({})));
    let (one, other) = tokio::try_join!(one, other).unwrap();
    assert_eq!(one, other);
    let late = names(&one).into_iter().filter(|name| late.contains(name));
    assert_eq!(late.count(), told.len());
    assert_eq!(names(&one).len(), 20 + told.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stores_stop_and_start() {
    goes_away_and_comes_back(Outage::Stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_the_cluster_stops_and_starts() {
    goes_away_and_comes_back(Outage::All).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_the_cluster_is_a_black_hole_for_a_while() {
    goes_away_and_comes_back(Outage::Frozen).await;
}
