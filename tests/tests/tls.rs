//! A TiKV cluster that talks TLS: with the right files it is like any other, with the wrong ones the
//! server says what is wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use bytes::Bytes;
use http::{Request, StatusCode};
use k8shost_kv_cluster::{Authority, Cluster, Config, Tls};
use k8shost_tests::{POD, Server, http1, names, pod, run, until};
use serde_json::json;
use tempfile::TempDir;

/// An authority, files of PD and the stores, and the files of a server, in a folder.
struct Files {
    folder: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: TempDir::with_prefix("k8shost-tls-").unwrap(),
            authority: Authority::new().unwrap(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Files that our authority has signed.
    fn issue(&self, name: &str) -> Tls {
        self.authority.issue(&self.path(name)).unwrap()
    }

    /// A cluster with such files.
    async fn cluster(&self) -> Cluster {
        let config = Config {
            tls: Some(self.issue("cluster")),
            ..Config::new(3)
        };
        Cluster::start(config).await.unwrap()
    }
}

fn store(cluster: &Cluster) -> String {
    format!("tikv://{}", cluster.pd_endpoints().join(","))
}

fn with_tls(cluster: &Cluster, ca: &Path, tls: &Tls) -> String {
    format!(
        "{}?ca={}&cert={}&key={}",
        store(cluster),
        ca.display(),
        tls.cert.display(),
        tls.key.display()
    )
}

/// Waits until `/readyz` answers like this and says these words.
async fn readyz(server: &Server, status: StatusCode, words: &[&str]) {
    until(&format!("{status} with {words:?}"), async || {
        let answer = http1(server.address(), Request::get("/readyz"), Bytes::new()).await;
        let text = answer.text();
        (answer.status == status && words.iter().all(|word| text.contains(word))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_over_tls_is_there_after_a_restart() {
    let files = Files::new();
    let cluster = files.cluster().await;
    let tls = files.issue("server");
    let store = with_tls(&cluster, &tls.ca, &tls);
    let mut server = Server::with(&["--store", &store]).await;
    readyz(&server, StatusCode::OK, &[]).await;
    let client = server.client().await;
    for name in ["a", "b"] {
        client.create(POD, pod(name)).await.unwrap();
    }
    server.restart().await;
    readyz(&server, StatusCode::OK, &[]).await;
    let client = server.client().await;
    let pods = client.list(POD, json!({})).await.unwrap();
    assert_eq!(names(&pods), ["a", "b"]);
    let checked = run(&["check", "--store", &store], &[], server.folder()).await;
    assert!(checked.status.success(), "{checked:?}");
    assert!(checked.stdout.contains("0 things wrong"), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_fit_are_told_of() {
    let files = Files::new();
    let cluster = files.cluster().await;
    let own = files.issue("server");
    let strange = Authority::new().unwrap();
    let strange = strange.issue(&files.path("strange")).unwrap();
    let cert = strange.cert.display().to_string();
    for (store, words) in [
        (
            with_tls(&cluster, &own.ca, &strange),
            ["does not accept the certificate", &cert],
        ),
        (
            with_tls(&cluster, &strange.ca, &own),
            ["PD at", "invalid peer certificate"],
        ),
        (store(&cluster), ["can be reached", "wants TLS"]),
    ] {
        let server = Server::with(&["--store", &store]).await;
        readyz(&server, StatusCode::SERVICE_UNAVAILABLE, &words).await;
        let log = server.log();
        let lines = log.lines().filter(|line| line.contains("not ready"));
        let told = lines.filter(|line| words.iter().all(|word| line.contains(word)));
        assert_eq!(told.count(), 1, "{log}");
        let checked = run(&["check", "--store", &store], &[], server.folder()).await;
        assert!(!checked.status.success(), "{checked:?}");
        for word in words {
            assert!(checked.stderr.contains(word), "{checked:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_replaced_while_the_server_runs() {
    let mut files = Files::new();
    let cluster = files.cluster().await;
    let tls = files.issue("server");
    let server = Server::with(&["--store", &with_tls(&cluster, &tls.ca, &tls)]).await;
    readyz(&server, StatusCode::OK, &[]).await;
    let client = server.client().await;
    let works = async |name: &str| {
        until("an answer", async || client.list(POD, json!({})).await.ok()).await;
        client.create(POD, pod(name)).await.unwrap();
    };

    // The stores come first. For the time being everybody trusts both.
    let mut both = std::fs::read(&tls.ca).unwrap();
    files.authority = Authority::new().unwrap();
    let new = files.issue("cluster");
    both.extend(std::fs::read(&new.ca).unwrap());
    for ca in [&tls.ca, &new.ca] {
        std::fs::write(ca, &both).unwrap();
    }
    for store in 1..=3 {
        cluster.stop_store(store).await.unwrap();
        cluster.start_store(store).await.unwrap();
    }
    works("stores").await;
    cluster.stop_pd(0).await.unwrap();
    cluster.start_pd(0).await.unwrap();
    works("pd").await;

    // Nobody trusts the old one any more.
    files.issue("cluster");
    files.issue("server");
    for store in 1..=3 {
        cluster.stop_store(store).await.unwrap();
        cluster.start_store(store).await.unwrap();
    }
    cluster.stop_pd(0).await.unwrap();
    cluster.start_pd(0).await.unwrap();
    works("server").await;
    let pods = client.list(POD, json!({})).await.unwrap();
    assert_eq!(names(&pods), ["pd", "server", "stores"]);
}
