//! SIGKILL: another process writes and says what was acknowledged; it is killed, and all that is there.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::*;

const FOLDER: &str = "K8SHOST_TEST_CRASH_FOLDER";

/// Is also what the other process runs: then it goes on until it is killed.
#[tokio::test]
async fn acknowledged_appends_are_told() {
    let folder = tempfile::tempdir().unwrap();
    match std::env::var_os(FOLDER) {
        Some(folder) => drop(write(Path::new(&folder), u64::MAX).await),
        None => assert_eq!(write(folder.path(), 20).await, 21),
    }
}

/// Each revision by a swap, and before it, without an fsync, an object that says so.
async fn write(folder: &Path, count: u64) -> u64 {
    let kv = open(folder, &without_memory());
    let mut next = 1;
    while kv.get(log_key(next)).await.unwrap().is_some() {
        next += 1;
    }
    println!("opened at {next}");
    let end = next.saturating_add(count);
    while next < end {
        kv.write(vec![(pod(next % 50), Some(value(next, 1500)))])
            .await
            .unwrap();
        assert_eq!(append(&kv, next).await.unwrap(), Swap::Swapped);
        println!("appended {next}");
        next += 1;
    }
    next
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "embedded::tests::crash::acknowledged_appends_are_told",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills it this long after it began to write, or to open; says what it had acknowledged last.
fn kill(mut child: Child, after: Duration, opened: bool) -> u64 {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = 0;
    let mut read = |line: String| {
        // The test harness prints too.
        let number = line
            .rsplit_once("appended ")
            .and_then(|(_, number)| number.parse().ok());
        last = number.unwrap_or(last);
    };
    if opened {
        lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains("opened at"))
            .unwrap();
    }
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    lines.map_while(Result::ok).for_each(&mut read);
    last
}

#[tokio::test]
async fn what_was_acknowledged_survives_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..25_u64 {
        let after = Duration::from_millis(round * 7 % 60);
        acknowledged = acknowledged.max(kill(start(folder.path()), after, true));
        if round % 5 != 4 {
            continue;
        }
        // No lock is left behind.
        let kv = open(folder.path(), &without_memory());
        let mut last = 0;
        while let Some(found) = kv.get(log_key(last + 1)).await.unwrap() {
            last += 1;
            assert!(found == value(last, 3000), "revision {last}");
        }
        assert!(last >= acknowledged, "{last} of {acknowledged}");
        // Each object is as durable as the swap after it.
        for number in last.saturating_sub(49).max(1)..=last {
            let found = kv.get(pod(number % 50)).await.unwrap();
            let next =
                (number + 50 == last + 50 && number + 50 > last).then(|| value(number + 50, 1500));
            let newer = found == next || found == Some(value(last + 1, 1500));
            assert!(
                found == Some(value(number, 1500)) || newer,
                "object of {number} of {last}"
            );
        }
    }
    assert!(acknowledged > 0);
}

#[tokio::test]
async fn being_killed_while_it_is_opened_does_no_harm() {
    for round in 0..20_u64 {
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged = 0;
        for time in 0..2 {
            let after = Duration::from_micros((round * 2 + time) * 997 % 20_000);
            acknowledged = acknowledged.max(kill(start(folder.path()), after, false));
        }
        let kv = open(folder.path(), &without_memory());
        for revision in 1..=acknowledged {
            assert_eq!(
                kv.get(log_key(revision)).await.unwrap(),
                Some(value(revision, 3000))
            );
        }
        while let Swap::Found(_) = append(&kv, acknowledged + 1).await.unwrap() {
            acknowledged += 1;
        }
    }
}
