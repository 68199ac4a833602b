//! The port over TLS: both faces, both versions of HTTP, new certificates, and clients that do nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use k8shost_kv_cluster::{Authority, Cluster, Config, Tls};
use k8shost_tests::{
    Answer, Client, POD, Server, http1, http1_over, http2_over, name, offer_tls, open_tls, pod,
    run, until, within,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

const PODS: &str = "/api/v1/namespaces/default/pods";

/// A folder with files of TLS.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::with_prefix("k8shost-tls-").unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Files of a new authority.
    fn issue(&self, name: &str) -> Tls {
        Authority::new().unwrap().issue(&self.path(name)).unwrap()
    }

    /// A server that shows them.
    async fn serve(&self, tls: &Tls) -> Server {
        serve(tls, &[]).await
    }
}

async fn serve(tls: &Tls, args: &[&str]) -> Server {
    let (cert, key) = (tls.cert.to_str().unwrap(), tls.key.to_str().unwrap());
    Server::with(&[&["--tls-cert", cert, "--tls-key", key], args].concat()).await
}

async fn get(server: &Server, tls: &Tls, path: &str) -> Answer {
    let stream = open_tls(server.address(), &tls.ca, "http/1.1").await;
    let request = Request::get(path).header("host", server.address().to_string());
    http1_over(stream, request, Bytes::new()).await
}

/// Waits until a metric has a value.
async fn metric(server: &Server, tls: &Tls, expected: &str) {
    until(expected, async || {
        let text = get(server, tls, "/metrics").await.text();
        text.lines().any(|line| line == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn both_faces_and_both_versions_of_http_talk_tls() {
    let files = Files::new();
    let tls = files.issue("a");
    let server = files.serve(&tls).await;
    let address = server.address();
    server
        .printed(&format!("listening on https://{address}"))
        .await;

    let client = Client::connect_tls(address, &tls.ca).await;
    client.create(POD, pod("a")).await.unwrap();
    let mut watch = {
        let stream = open_tls(address, &tls.ca, "h2").await;
        let request = Request::get(format!("https://{address}{PODS}?limit=1"));
        let answer = http2_over(stream, request, Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::OK);
        let list: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(name(&list["items"][0]), "a");
        client
            .watch(POD, json!({"namespace": "default"}))
            .await
            .unwrap()
    };
    watch.expect("ADDED", "a").await;
    let answer = get(&server, &tls, &format!("{PODS}/a")).await;
    assert_eq!(answer.status, StatusCode::OK);

    // Who offers both gets HTTP/2; who offers none, HTTP/1.1.
    let both = offer_tls(address, &tls.ca, &["http/1.1", "h2"])
        .await
        .unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let none = offer_tls(address, &tls.ca, &[]).await.unwrap();
    let request = Request::get("/livez").header("host", "localhost");
    assert_eq!(http1_over(none, request, Bytes::new()).await.text(), "ok");
    assert!(offer_tls(address, &tls.ca, &["spdy/3"]).await.is_err());
    let stranger = files.issue("stranger");
    assert!(offer_tls(address, &stranger.ca, &["h2"]).await.is_err());

    let plain = http1(address, Request::get(PODS), Bytes::new()).await;
    assert_eq!(plain.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        plain.text(),
        "Client sent an HTTP request to an HTTPS server.\n"
    );
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_open_connections_go_on() {
    let files = Files::new();
    let (tls, next) = (files.issue("a"), files.issue("b"));
    let server = files.serve(&tls).await;
    let client = Client::connect_tls(server.address(), &tls.ca).await;
    let mut watch = client
        .watch(POD, json!({"namespace": "default"}))
        .await
        .unwrap();

    fs::copy(&next.cert, &tls.cert).unwrap();
    fs::copy(&next.key, &tls.key).unwrap();
    until("the new certificate", async || {
        let stream = offer_tls(server.address(), &next.ca, &["h2"]).await;
        stream.ok().map(drop)
    })
    .await;
    assert!(offer_tls(server.address(), &tls.ca, &["h2"]).await.is_err());
    client.create(POD, pod("a")).await.unwrap();
    watch.expect("ADDED", "a").await;
    metric(&server, &next, "k8shost_tls_renewals_total 1").await;
}

#[tokio::test]
async fn files_that_are_no_good_change_nothing() {
    let files = Files::new();
    let (tls, next) = (files.issue("a"), files.issue("b"));
    let key = fs::read(&tls.key).unwrap();
    let server = files.serve(&tls).await;

    // Half of a new pair, then no pair at all, then none of the files.
    fs::copy(&next.key, &tls.key).unwrap();
    metric(&server, &tls, "k8shost_tls_renewal_failures_total 1").await;
    fs::write(&tls.key, &key[..key.len() / 2]).unwrap();
    metric(&server, &tls, "k8shost_tls_renewal_failures_total 2").await;
    fs::remove_file(&tls.key).unwrap();
    metric(&server, &tls, "k8shost_tls_renewal_failures_total 3").await;
    let log = server.log();
    for words in [
        "not the key of the certificate",
        "it ends in the middle",
        "cannot be read",
    ] {
        assert!(log.contains(words), "'{words}' is not in {log}");
    }
    fs::write(&tls.key, &key).unwrap();
    metric(&server, &tls, "k8shost_tls_renewals_total 1").await;
}

#[tokio::test]
async fn wrong_files_are_named_at_the_start() {
    let files = Files::new();
    let (tls, other) = (files.issue("a"), files.issue("b"));
    let empty = files.path("empty.pem");
    fs::write(&empty, "nothing\n").unwrap();
    let broken = files.path("broken.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&broken, pem).unwrap();
    let nowhere = files.path("nowhere.pem");
    for (cert, key, file, words) in [
        (&nowhere, &tls.key, &nowhere, "cannot be read"),
        (&tls.cert, &nowhere, &nowhere, "cannot be read"),
        (&empty, &tls.key, &empty, "no certificate"),
        (&broken, &tls.key, &broken, "not a certificate"),
        (&tls.cert, &empty, &empty, "no private key"),
        (&tls.cert, &tls.cert, &tls.cert, "no private key"),
        (
            &tls.cert,
            &other.key,
            &other.key,
            "not the key of the certificate",
        ),
    ] {
        let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
        let args = [
            "--listen",
            "127.0.0.1:0",
            "--tls-cert",
            cert,
            "--tls-key",
            key,
        ];
        let output = run(&args, &[], files.0.path()).await;
        assert!(!output.status.success());
        for words in [words, file.to_str().unwrap()] {
            assert!(
                output.stderr.contains(words),
                "'{words}': {}",
                output.stderr
            );
        }
        assert!(!output.stdout.contains("listening"), "{}", output.stdout);
    }
    let cert = tls.cert.to_str().unwrap();
    let output = run(&["--tls-cert", cert], &[], files.0.path()).await;
    assert!(
        output.stderr.contains("--tls-key is missing"),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn who_begins_a_handshake_and_stops_keeps_nobody_out() {
    let files = Files::new();
    let tls = files.issue("a");
    let server = files.serve(&tls).await;
    let mut silent = Vec::new();
    for _ in 0..1200 {
        silent.push(TcpStream::connect(server.address()).await.unwrap());
    }
    let answer = tokio::time::timeout(Duration::from_secs(9), get(&server, &tls, "/livez")).await;
    assert_eq!(answer.unwrap().text(), "ok");
    // Of so many the oldest had to go at once, the newest when its time is over.
    for at in [0, silent.len() - 1] {
        let mut rest = Vec::new();
        let end = silent[at].read_to_end(&mut rest);
        let _ = within("the end of a handshake that is none", end).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_one_store_reach_each_other() {
    let files = Files::new();
    let (tls, other) = (files.issue("a"), files.issue("b"));
    let cluster = Cluster::start(Config::new(1)).await.unwrap();
    let store = format!("tikv://{}", cluster.pd_endpoints().join(","));
    let first = serve(&tls, &["--store", &store]).await;
    let second = serve(&other, &["--store", &store]).await;
    metric(&first, &tls, "k8shost_peer_connections 1").await;
    metric(&second, &other, "k8shost_peer_connections 1").await;
}
