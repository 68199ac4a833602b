//! Several servers over one TiKV cluster: to clients they are one system, whichever they talk to.

use k8shost_kv_cluster::{Cluster, Config};
use k8shost_tests::{Client, NODE, POD, Server, names, pod, reason, refused, text, until, within};
use serde_json::{Value, json};
use tonic::Code;

/// A cluster, and servers that use it.
async fn servers(count: usize) -> (Cluster, Vec<Server>) {
    let cluster = Cluster::start(Config::new(3)).await.expect("it starts");
    let store = format!("tikv://{}", cluster.pd_endpoints().join(","));
    let mut servers = Vec::new();
    for _ in 0..count {
        servers.push(Server::with(&["--store", &store]).await);
    }
    (cluster, servers)
}

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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_through_one_is_read_through_all() {
    let (_cluster, servers) = servers(3).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn writers_through_all_servers_lose_nothing_and_do_nothing_twice() {
    const WRITERS: usize = 3;
    const EACH: usize = 25;
    let (_cluster, servers) = servers(WRITERS).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_and_a_list_go_on_at_another_server() {
    let (_cluster, mut servers) = servers(2).await;
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
    // The second page is asked for elsewhere: there it goes on, or the client is told how to.
    let page = clients[0].list(POD, json!({"limit": 1})).await.unwrap();
    let token = text(&page, "/metadata/continue").to_owned();
    let next = json!({"limit": 1, "continueToken": token});
    match clients[1].list(POD, next).await {
        Ok(page) => assert_eq!(names(&page), ["b"]),
        Err(status) => assert_eq!(reason(&status), "Expired"),
    }
    servers[0].kill().await;
    let resume = json!({"resourceVersion": text(&first, "/metadata/resourceVersion")});
    let mut watch = clients[1].watch(POD, resume).await.unwrap();
    watch.expect("ADDED", "b").await;
    clients[1].create(POD, pod("c")).await.unwrap();
    watch.expect("ADDED", "c").await;
}
