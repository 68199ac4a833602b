//! What a store takes when nothing is going on.

use std::fs;
use std::time::Duration;

use super::*;

fn bytes_in(folder: &Path) -> u64 {
    fs::read_dir(folder).map_or(0, |entries| {
        entries
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .map(|metadata| metadata.len())
            .sum()
    })
}

fn blobs(folder: &Path) -> u64 {
    let keyspaces = folder.join("store/keyspaces");
    bytes_in(&keyspaces.join("1/blobs")) + bytes_in(&keyspaces.join("2/blobs"))
}

#[tokio::test]
async fn the_space_of_what_was_deleted_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        settle_interval: Duration::from_millis(20),
        ..Options::default()
    };
    let kv = open(folder.path(), &options);
    for revision in 1..=40 {
        let new = value(revision, 250_000);
        kv.compare_and_swap(log_key(revision), None, new)
            .await
            .unwrap();
    }
    let pods = (0..5000).map(|number| (pod(number), Some(value(number, 2000))));
    kv.write(pods.collect()).await.unwrap();
    kv.delete_range(log_key(0), log_key(41)).await.unwrap();
    kv.delete_range(pod(0), pod(5000)).await.unwrap();
    while blobs(folder.path()) > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(kv.scan("a".into(), "z".into(), 10).await.unwrap(), []);
}

#[tokio::test]
async fn objects_that_are_written_time_and_again_take_no_more_space() {
    const OBJECTS: u64 = 1000;
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        settle_interval: Duration::from_millis(20),
        ..Options::default()
    };
    let kv = open(folder.path(), &options);
    for round in 0..30 {
        let pods =
            (0..OBJECTS).map(|number| (pod(number), Some(value(round << 32 | number, 2000))));
        kv.write(pods.collect()).await.unwrap();
    }
    while blobs(folder.path()) > 3 * OBJECTS * 2000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for number in 0..OBJECTS {
        let found = kv.get(pod(number)).await.unwrap();
        assert!(found == Some(value(29 << 32 | number, 2000)));
    }
}

#[tokio::test]
async fn what_is_in_memory_is_flushed_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        settle_interval: Duration::from_millis(20),
        ..Options::default()
    };
    let kv = open(folder.path(), &options);
    let kept = Bytes::from(vec![7; 1 << 20]);
    kv.compare_and_swap(log_key(1), None, kept.clone())
        .await
        .unwrap();
    kv.write(vec![(pod(1), Some(kept.clone()))]).await.unwrap();
    assert!(!kept.is_unique());
    while !kept.is_unique() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(kv.get(log_key(1)).await.unwrap() == Some(kept.clone()));
    assert!(kv.get(pod(1)).await.unwrap() == Some(kept));
}

#[tokio::test]
async fn a_quiet_store_comes_to_rest() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        settle_interval: Duration::from_millis(5),
        ..Options::default()
    };
    let kv = open(folder.path(), &options);
    for revision in 1..=10 {
        kv.compare_and_swap(log_key(revision), None, value(revision, 100_000))
            .await
            .unwrap();
    }
    let files = || {
        let tables = folder.path().join("store/keyspaces/1/tables");
        let mut names: Vec<_> = fs::read_dir(tables)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        names
    };
    // At rest nothing is flushed any more.
    let mut still = 0;
    let mut before = files();
    while still < 20 || before.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = files();
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
    assert_eq!(
        kv.scan(log_key(0), log_key(99), 99).await.unwrap().len(),
        10
    );
}

#[tokio::test]
async fn every_fsync_is_observed() {
    let folder = tempfile::tempdir().unwrap();
    let seen: Arc<std::sync::Mutex<Vec<super::super::Synced>>> = Arc::default();
    let see = Arc::clone(&seen);
    let observer: super::super::Observer =
        Arc::new(move |synced| see.lock().unwrap().push(*synced));
    let kv = open(
        folder.path(),
        &Options {
            observer: Some(observer),
            ..Options::default()
        },
    );
    kv.write(vec![(pod(1), Some("v".into()))]).await.unwrap();
    assert!(seen.lock().unwrap().is_empty());
    append(&kv, 1).await.unwrap();
    let swaps = (2..66).map(|revision| append(&kv, revision));
    futures::future::try_join_all(swaps).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.iter().map(|synced| synced.requests).sum::<usize>(), 65);
    assert!(seen.len() < 10, "{} fsyncs", seen.len());
    assert_eq!(
        seen.iter().map(|synced| synced.bytes).sum::<usize>(),
        65 * (3000 + log_key(1).len())
    );
    assert!(seen.iter().all(|synced| synced.took > Duration::ZERO));
}
