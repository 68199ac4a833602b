//! The cluster as a process: its control, and a restart after SIGKILL.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::common::insist;
use k8shost_kv_cluster::{Action, Chaos, Command, Control, Rule};
use serde_json::{Value, json};
use tikv_client::RawClient;

struct Process {
    child: Child,
    addresses: Value,
}

impl Process {
    fn start(folder: &Path) -> Process {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_k8shost-kv-cluster"))
            .args(["--stores", "3", "--split-at", "m", "--folder"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let addresses = serde_json::from_str(&line).unwrap();
        Process { child, addresses }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn control(&self) -> Control {
        let address = self.addresses["control"].as_str().unwrap();
        Control::connect(address).await.unwrap()
    }

    async fn client(&self) -> RawClient {
        let pd: Vec<String> = serde_json::from_value(self.addresses["pd"].clone()).unwrap();
        RawClient::new(pd).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either it runs, or it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_is_killed_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path());
    let client = process.client().await;
    for number in 0..50 {
        client.put(format!("k{number}"), "1").await.unwrap();
    }
    let before = process.addresses.clone();
    process.kill();
    let again = Process::start(folder.path());
    assert_eq!(again.addresses["pd"], before["pd"]);
    assert_eq!(again.addresses["stores"], before["stores"]);
    insist(&client, "k50", "1").await;
    let mut control = again.control().await;
    let prefix = "k".to_owned();
    let pairs = control.call(&Command::Scan { prefix }).await.unwrap();
    assert_eq!(pairs.as_array().unwrap().len(), 51);
}

#[tokio::test]
async fn it_is_controlled_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let client = process.client().await;
    let mut control = process.control().await;
    let key = || "k".to_owned();

    control.call(&Command::Split { key: key() }).await.unwrap();
    let again = control.call(&Command::Split { key: key() }).await;
    assert!(again.unwrap_err().to_string().contains("already"));
    let store = 2;
    let leader = Command::MoveLeader { key: key(), store };
    control.call(&leader).await.unwrap();
    let regions = control.call(&Command::Regions).await.unwrap();
    let ranges: Vec<_> = regions.as_array().unwrap().iter().collect();
    assert_eq!(ranges.len(), 3);
    assert_eq!(ranges[1]["start"], json!("k"));
    assert_eq!(ranges[1]["leader"], json!(2));

    let rules = vec![Rule::new(Action::unavailable()).method("RawPut").times(2)];
    control.call(&Command::SetFaults { rules }).await.unwrap();
    client.put(key(), "1").await.unwrap();
    let hits = control.call(&Command::FaultHits).await.unwrap();
    assert_eq!(hits, json!([2]));
    let counters = control.call(&Command::Counters).await.unwrap();
    assert_eq!(counters["RawPut"]["requests"], json!(3));
    let found = control.call(&Command::Get { key: key() }).await.unwrap();
    assert_eq!(found, json!("1"));

    control.call(&Command::StopStore { store }).await.unwrap();
    client.put(key(), "2").await.unwrap();
    control.call(&Command::StartStore { store }).await.unwrap();

    let chaos = Box::new(Chaos {
        interval_ms: 1,
        ..Chaos::new(3).without_outages()
    });
    control.call(&Command::Chaos { chaos }).await.unwrap();
    for _ in 0..20 {
        insist(&client, "k", "3").await;
    }
    let changes = control.call(&Command::StopChaos).await.unwrap();
    assert!(changes.as_u64().unwrap() > 0);
}
