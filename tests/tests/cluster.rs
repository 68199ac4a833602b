//! Several servers over one TiKV cluster: to clients they are one system, whichever they talk to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use k8shost_kv_cluster::{Action, Cluster, Config, Rule};
use k8shost_tests::{
    Client, NODE, POD, Random, Server, fresh_token, names, pod, refused, text, until, within,
};
use serde_json::{Value, json};
use tonic::Code;

/// The cluster that servers use.
struct Place {
    store: String,
    /// None where it is a real one.
    cluster: Option<Cluster>,
}

impl Place {
    async fn test() -> Self {
        let cluster = Cluster::start(Config::new(3)).await.expect("it starts");
        Self {
            store: format!("tikv://{}", cluster.pd_endpoints().join(",")),
            cluster: Some(cluster),
        }
    }

    /// The cluster whose PD endpoints K8SHOST_TEST_PD names, and in it a place of our own.
    fn real() -> Option<Self> {
        let endpoints = std::env::var("K8SHOST_TEST_PD").ok()?;
        let own = Random::new(Random::seed("K8SHOST_TEST_SEED")).number();
        Some(Self {
            store: format!("tikv://{endpoints}?prefix=k8shost-test-{own:x}/"),
            cluster: None,
        })
    }

    async fn servers(&self, count: usize) -> Vec<Server> {
        let mut servers = Vec::new();
        for _ in 0..count {
            servers.push(Server::with(&["--store", &self.store]).await);
        }
        servers
    }
}

/// Each of these over the test cluster, and over a real one where one is named.
macro_rules! over_each_cluster {
    ($($test:ident),+ $(,)?) => {
        mod over_the_test_cluster {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(Place::test().await).await;
            })+
        }

        mod over_a_real_cluster {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                match Place::real() {
                    Some(place) => super::$test(place).await,
                    None => eprintln!("skipped: {}::{}", module_path!(), stringify!($test)),
                }
            })+
        }
    };
}

over_each_cluster!(
    what_is_written_through_one_is_read_through_all,
    writers_through_all_servers_lose_nothing_and_do_nothing_twice,
    a_delete_answers_with_what_it_deleted,
    a_watch_and_a_list_go_on_at_another_server,
    three_servers_that_write_to_one_tenant_are_half_as_fast_as_one_at_least,
);

/// A client of each server, once it is ready.
async fn clients(servers: &[Server]) -> Vec<Client> {
    let mut clients = Vec::new();
    for server in servers {
        let client = server.client().await;
        until("the server", async || {
            client.list(NODE, json!({})).await.ok()
        })
        .await;
        clients.push(client);
    }
    clients
}

async fn what_is_written_through_one_is_read_through_all(place: Place) {
    let servers = place.servers(3).await;
    let clients = clients(&servers).await;
    for number in 0..30 {
        let name = format!("p{number}");
        clients[number % 3].create(POD, pod(&name)).await.unwrap();
        for client in &clients {
            client.get(POD, "default", &name).await.unwrap();
            refused(client.create(POD, pod(&name)).await, Code::AlreadyExists);
        }
    }
    for client in &clients {
        let list = client.list(POD, json!({})).await.unwrap();
        assert_eq!(names(&list).len(), 30);
    }
    clients[1].delete(POD, "default", "p7").await.unwrap();
    refused(clients[2].get(POD, "default", "p7").await, Code::NotFound);
}

async fn writers_through_all_servers_lose_nothing_and_do_nothing_twice(place: Place) {
    const WRITERS: usize = 3;
    const EACH: usize = 25;
    let servers = place.servers(WRITERS).await;
    let clients = clients(&servers).await;
    clients[0].create(POD, pod("counter")).await.unwrap();
    let work = clients.iter().cloned().map(|client| async move {
        for _ in 0..EACH {
            // Read, add one, write on condition that nobody else has.
            loop {
                let mut pod = client.get(POD, "default", "counter").await.unwrap();
                let count: usize = pod
                    .pointer("/metadata/annotations/count")
                    .and_then(Value::as_str)
                    .map_or(0, |count| count.parse().unwrap());
                pod["metadata"]["annotations"] = json!({"count": (count + 1).to_string()});
                match client.update(POD, pod).await {
                    Ok(_) => break,
                    Err(status) => assert_eq!(status.code(), Code::Aborted, "{status:?}"),
                }
            }
        }
    });
    within("all writers", futures::future::join_all(work)).await;
    for client in &clients {
        let pod = client.get(POD, "default", "counter").await.unwrap();
        let count = text(&pod, "/metadata/annotations/count");
        assert_eq!(count, (WRITERS * EACH).to_string());
    }
}

/// Callers through all servers make and delete the same few pods: what a server had begun to write when another
/// one was faster is nothing that anybody is told of.
async fn a_delete_answers_with_what_it_deleted(place: Place) {
    const CALLERS: usize = 12;
    const EACH: usize = 60;
    let servers = place.servers(3).await;
    let clients = clients(&servers).await;
    let work = (0..CALLERS).map(|caller| {
        let client = clients[caller % clients.len()].clone();
        async move {
            let mut random = Random::new(caller as u64);
            let (mut made, mut deleted) = (Vec::new(), Vec::new());
            for _ in 0..EACH {
                let name = format!("p{}", random.below(3));
                let uid = |pod: Value| text(&pod, "/metadata/uid").to_owned();
                if random.below(2) == 0 {
                    match client.create(POD, pod(&name)).await {
                        Ok(pod) => made.push(uid(pod)),
                        Err(status) => assert_eq!(status.code(), Code::AlreadyExists, "{status}"),
                    }
                } else {
                    match client.delete(POD, "default", &name).await {
                        Ok(pod) => deleted.push(uid(pod)),
                        Err(status) => assert_eq!(status.code(), Code::NotFound, "{status}"),
                    }
                }
            }
            (made, deleted)
        }
    });
    let done = within("all callers", futures::future::join_all(work)).await;
    let (made, deleted): (Vec<_>, Vec<_>) = done.into_iter().unzip();
    let mut left: BTreeSet<String> = made.into_iter().flatten().collect();
    assert!(left.len() > 10, "little was done: {left:?}");
    for uid in deleted.into_iter().flatten() {
        assert!(left.remove(&uid), "{uid} was not there, or deleted twice");
    }
    let list = clients[0].list(POD, json!({})).await.unwrap();
    let items = list["items"].as_array().unwrap().iter();
    let found: BTreeSet<String> = items
        .map(|pod| text(pod, "/metadata/uid").to_owned())
        .collect();
    assert_eq!(found, left);
}

async fn a_watch_and_a_list_go_on_at_another_server(place: Place) {
    let mut servers = place.servers(2).await;
    let clients = clients(&servers).await;
    let list = clients[0].list(POD, json!({})).await.unwrap();
    let start = text(&list, "/metadata/resourceVersion");
    let mut watch = clients[0]
        .watch(POD, json!({"resourceVersion": start}))
        .await
        .unwrap();
    clients[1].create(POD, pod("a")).await.unwrap();
    let first = watch.expect("ADDED", "a").await;
    clients[1].create(POD, pod("b")).await.unwrap();
    // The second page is asked for elsewhere, where that snapshot is not: the client is told how to go on.
    let page = clients[0].list(POD, json!({"limit": 1})).await.unwrap();
    let token = text(&page, "/metadata/continue").to_owned();
    let next = json!({"limit": 1, "continueToken": token});
    clients[1].create(POD, pod("aa")).await.unwrap();
    let status = refused(clients[1].list(POD, next).await, Code::OutOfRange);
    let rest = json!({"continueToken": fresh_token(&status)});
    let rest = clients[1].list(POD, rest).await.unwrap();
    assert_eq!(names(&rest), ["aa", "b"]);
    servers[0].kill().await;
    let resume = json!({"resourceVersion": text(&first, "/metadata/resourceVersion")});
    let mut watch = clients[1].watch(POD, resume).await.unwrap();
    watch.expect("ADDED", "b").await;
    watch.expect("ADDED", "aa").await;
    clients[1].create(POD, pod("c")).await.unwrap();
    watch.expect("ADDED", "c").await;
}

/// How many pods callers create at these servers in a while.
async fn created(clients: &[Client], callers: usize, time: Duration, run: &str) -> usize {
    let end = Instant::now() + time;
    let work = (0..callers).map(|caller| {
        let client = &clients[caller % clients.len()];
        async move {
            let mut count = 0;
            while Instant::now() < end {
                let name = format!("{run}-{caller}-{count}");
                client.create(POD, pod(&name)).await.expect("a new pod");
                count += 1;
            }
            count
        }
    });
    futures::future::join_all(work).await.into_iter().sum()
}

/// One of three wins each turn, with what its own callers want. So with as many callers at each server as
/// there were at the one, throughput stays about the same, and with as many in all it is halved or less.
async fn three_servers_that_write_to_one_tenant_are_half_as_fast_as_one_at_least(place: Place) {
    const CALLERS: usize = 48;
    let servers = place.servers(3).await;
    if let Some(cluster) = &place.cluster {
        // What counts is how often the stores are asked: the time of this machine is shared by all.
        cluster.add_fault(Rule::new(Action::delay(10)));
    }
    let clients = clients(&servers).await;
    created(&clients, CALLERS, Duration::from_secs(1), "warm").await;
    let mut ratios = Vec::new();
    for round in 0..3 {
        let time = Duration::from_secs(2);
        let one = created(&clients[..1], CALLERS, time, &format!("one{round}")).await;
        let three = created(&clients, 3 * CALLERS, time, &format!("three{round}")).await;
        let same = created(&clients, CALLERS, time, &format!("same{round}")).await;
        eprintln!(
            "in {time:?}: {one} at one server, {three} at three, {same} with a third of the callers each"
        );
        assert!(same > 0);
        ratios.push(three as f64 / one as f64);
    }
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[1] >= 0.5, "{ratios:?}");
}
