//! TLS: only clients with a certificate of the authority are served, and only over TLS.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8shost_kv_cluster::{Authority, Cluster, Config, Tls};
use serde_json::Value;
use tikv_client::RawClient;

/// What a client is told that gets a value.
async fn get(pd: Vec<String>, tls: Option<&Tls>) -> tikv_client::Result<Option<Vec<u8>>> {
    let config = tikv_client::Config::default().with_timeout(Duration::from_secs(2));
    let config = match tls {
        Some(tls) => config.with_security(&tls.ca, &tls.cert, &tls.key),
        None => config,
    };
    let client = RawClient::new_with_config(pd, config).await?;
    client.get("k".to_owned()).await
}

#[tokio::test]
async fn only_those_with_a_certificate_of_the_authority_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let issue = |authority: &Authority, name: &str| authority.issue(&folder.path().join(name));
    let authority = Authority::new().unwrap();
    let cluster = Cluster::start(Config {
        tls: Some(issue(&authority, "cluster").unwrap()),
        ..Config::new(3)
    })
    .await
    .unwrap();
    cluster.put("k", Some(b"v".to_vec())).unwrap();
    let own = issue(&authority, "own").unwrap();
    let strange = Authority::new().unwrap();
    let strange = issue(&strange, "strange").unwrap();
    let half = Tls {
        ca: own.ca.clone(),
        ..strange.clone()
    };
    for _ in 0..2 {
        let pd = || cluster.pd_endpoints();
        let value = get(pd(), Some(&own)).await.unwrap();
        assert_eq!(value, Some(b"v".to_vec()));
        for tls in [Some(&strange), Some(&half), None] {
            assert!(get(pd(), tls).await.is_err(), "{tls:?}");
        }
        // What starts again reads its files again.
        issue(&authority, "cluster").unwrap();
        cluster.stop_store(1).await.unwrap();
        cluster.start_store(1).await.unwrap();
        cluster.stop_pd(0).await.unwrap();
        cluster.start_pd(0).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while cluster.pd_leader().is_none() {
            assert!(Instant::now() < deadline, "no leader of PD within 5 s");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn the_process_takes_three_files_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Authority::new().unwrap().issue(folder.path()).unwrap();
    let process = || Command::new(env!("CARGO_BIN_EXE_k8shost-kv-cluster"));
    let half = process().arg("--ca").arg(&tls.ca).output().unwrap();
    assert!(!half.status.success());
    let text = String::from_utf8(half.stderr).unwrap();
    assert!(text.contains("--cert"), "{text}");
    let mut whole = process()
        .arg("--ca")
        .arg(&tls.ca)
        .arg("--cert")
        .arg(&tls.cert)
        .arg("--key")
        .arg(&tls.key)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = whole.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let addresses: Value = serde_json::from_str(&line).unwrap();
    let pd: Vec<String> = serde_json::from_value(addresses["pd"].clone()).unwrap();
    let value = get(pd.clone(), Some(&tls)).await;
    let plain = get(pd, None).await;
    whole.kill().unwrap();
    whole.wait().unwrap();
    assert_eq!(value.unwrap(), None);
    assert!(plain.is_err(), "{plain:?}");
}
