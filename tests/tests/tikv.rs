//! A TiKV cluster as the store: the server starts without it, says so, and goes on when it is there.

use bytes::Bytes;
use http::{Request, StatusCode};
use k8shost_kv_cluster::{Cluster, Config};
use k8shost_tests::{POD, Server, http1, pod, refused, run, until};
use serde_json::json;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

async fn cluster() -> Cluster {
    Cluster::start(Config::new(3)).await.expect("it starts")
}

fn store(cluster: &Cluster) -> String {
    format!("tikv://{}", cluster.pd_endpoints().join(","))
}

/// Waits until `/readyz` answers like this, and returns what it says.
async fn readyz(server: &Server, status: StatusCode) -> String {
    until("the readiness", async || {
        let answer = http1(server.address(), Request::get("/readyz"), Bytes::new()).await;
        (answer.status == status).then(|| answer.text())
    })
    .await
}

async fn health(server: &Server) -> ServingStatus {
    let address = format!("http://{}", server.address());
    let channel = Channel::from_shared(address).expect("an address");
    let channel = channel.connect().await.expect("the server listens");
    let request = HealthCheckRequest {
        service: "k8shost.v1.PodService".to_owned(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    let answer = answer.expect("health is always told");
    answer.into_inner().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_without_the_cluster_and_becomes_ready_with_it() {
    let cluster = cluster().await;
    cluster.stop_pd(0).await.unwrap();
    let address = cluster.pd_endpoints().join(",");
    let server = Server::with_env(&[], &[("K8SHOST_PD_ADDR", &address)]).await;
    assert!(server.stdout().iter().all(|line| !line.contains("data in")));
    let why = until("the reason", async || {
        let why = readyz(&server, StatusCode::SERVICE_UNAVAILABLE).await;
        why.contains("PD").then_some(why)
    })
    .await;
    assert!(why.contains("the store is unavailable"), "{why}");
    assert_eq!(health(&server).await, ServingStatus::NotServing);
    let client = server.client().await;
    let status = client.create(POD, pod("a")).await.unwrap_err();
    assert!(
        [Code::Unavailable, Code::DeadlineExceeded].contains(&status.code()),
        "{status:?}"
    );

    cluster.start_pd(0).await.unwrap();
    assert_eq!(readyz(&server, StatusCode::OK).await, "ok");
    until("the health", async || {
        (health(&server).await == ServingStatus::Serving).then_some(())
    })
    .await;
    client.create(POD, pod("a")).await.unwrap();
    refused(client.create(POD, pod("a")).await, Code::AlreadyExists);

    // Away again, with all its stores.
    for store in 1..=3 {
        cluster.stop_store(store).await.unwrap();
    }
    readyz(&server, StatusCode::SERVICE_UNAVAILABLE).await;
    for store in 1..=3 {
        cluster.start_store(store).await.unwrap();
    }
    readyz(&server, StatusCode::OK).await;
    let found = client.get(POD, "default", "a").await.unwrap();
    assert_eq!(found["metadata"]["name"], json!("a"));
    let metrics = http1(server.address(), Request::get("/metrics"), Bytes::new()).await;
    let metrics = metrics.text();
    for line in [
        "k8shost_kv_requests_total{operation=\"compare_and_swap\"}",
        "k8shost_kv_retries_total{operation=\"get\"}",
        "k8shost_kv_errors_total{kind=\"pd\"}",
        "k8shost_kv_clients_rebuilt_total{client=\"atomic\"}",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_under_readable_keys_and_a_check_finds_them_in_order() {
    let cluster = cluster().await;
    let store = format!("{}?prefix=here/", store(&cluster));
    let mut server = Server::with(&["--store", &store]).await;
    readyz(&server, StatusCode::OK).await;
    let client = server.client().await;
    for number in 0..10 {
        client
            .create(POD, pod(&format!("p{number}")))
            .await
            .unwrap();
    }
    let value = until("the projection", async || {
        let suffix = b"/pods/default/p7".as_slice();
        let pairs = cluster.scan("here/k8s/");
        pairs.into_iter().find(|(key, _)| key.ends_with(suffix))
    })
    .await
    .1;
    let value: serde_json::Value = serde_json::from_slice(&value).unwrap();
    assert_eq!(value["metadata"]["name"], json!("p7"));
    // Of a cluster in use, and of one that is not.
    for _ in 0..2 {
        let checked = run(&["check", "--store", &store], &[], server.folder()).await;
        assert!(checked.status.success(), "{checked:?}");
        assert!(checked.stdout.contains("0 things wrong"), "{checked:?}");
        server.restart().await;
        readyz(&server, StatusCode::OK).await;
    }
    let pods = server.client().await.list(POD, json!({})).await.unwrap();
    assert_eq!(pods["items"].as_array().unwrap().len(), 10);
    assert_eq!(cluster.scan("").len(), cluster.scan("here/k8s/").len());

    let (key, _) = cluster.scan("here/k8s/").swap_remove(0);
    cluster.put(key, Some(b"rubbish".to_vec())).unwrap();
    let checked = run(&["check", "--store", &store], &[], server.folder()).await;
    assert!(!checked.status.success(), "{checked:?}");
    assert!(checked.stdout.contains("WRONG"), "{checked:?}");
}

#[tokio::test]
async fn a_store_that_cannot_be_meant_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (args, env, word) in [
        (
            vec!["--store", "tikv://pd:2379?ca=a&key=k"],
            vec![],
            "missing: cert",
        ),
        (vec!["--store", "tikv://pd:2379?ttl=1"], vec![], "'ttl'"),
        (vec!["--store", "tikv://pd"], vec![], "'pd'"),
        (
            vec!["--store", "tikv://pd:1?ca=no&cert=no&key=no"],
            vec![],
            "the ca file no",
        ),
        (
            vec![],
            vec![("K8SHOST_STORE", "tikv:pd:2379")],
            "tikv:pd:2379",
        ),
        (
            vec![],
            vec![("FLAREDB_PD_ADDR", "pd:2379,")],
            "no PD endpoint",
        ),
        (vec!["check"], vec![("K8SHOST_STORE", "memory")], "memory"),
    ] {
        let output = run(&args, &env, folder.path()).await;
        assert!(!output.status.success(), "{output:?}");
        assert!(output.stderr.contains(word), "{word}: {output:?}");
    }
}
