//! A disk that fills up: appends are refused, reads go on, and it recovers by itself.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;

#[tokio::test]
async fn without_room_appends_are_refused_and_all_else_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (free, free_space) = settable(1000);
    let options = Options {
        reserve_bytes: 1000,
        free_space,
        ..Options::default()
    };
    let kv = open(folder.path(), &options);
    for revision in 1..=3 {
        assert_eq!(append(&kv, revision).await.unwrap(), Swap::Swapped);
    }
    kv.write(vec![(pod(1), Some("a".into()))]).await.unwrap();

    free.store(999, Ordering::SeqCst);
    assert!(matches!(append(&kv, 4).await, Err(KvError::Full(_))));
    // Nothing was done, and what is found is still told.
    assert_eq!(kv.get(log_key(4)).await.unwrap(), None);
    assert_eq!(
        append(&kv, 3).await.unwrap(),
        Swap::Found(Some(value(3, 3000)))
    );
    // Truncation, which makes room: projections, the floor, deletions.
    kv.write(vec![(pod(1), Some("b".into())), (pod(2), None)])
        .await
        .unwrap();
    assert_eq!(
        kv.compare_and_swap(floor(), None, "3".into())
            .await
            .unwrap(),
        Swap::Swapped
    );
    kv.delete_range(log_key(0), log_key(3)).await.unwrap();
    assert_eq!(kv.scan(log_key(0), log_key(9), 9).await.unwrap().len(), 1);

    free.store(499, Ordering::SeqCst);
    assert!(matches!(
        kv.write(vec![(pod(1), Some("c".into()))]).await,
        Err(KvError::Full(_))
    ));
    let swap = kv
        .compare_and_swap(floor(), Some("3".into()), "4".into())
        .await;
    assert!(matches!(swap, Err(KvError::Full(_))));
    assert!(matches!(
        kv.delete_range(log_key(0), log_key(9)).await,
        Err(KvError::Full(_))
    ));
    assert_eq!(kv.get(pod(1)).await.unwrap(), Some("b".into()));
    assert_eq!(kv.scan(log_key(0), log_key(9), 9).await.unwrap().len(), 1);

    free.store(1000, Ordering::SeqCst);
    assert_eq!(append(&kv, 4).await.unwrap(), Swap::Swapped);
}

#[tokio::test]
async fn where_the_free_space_can_not_be_told_writes_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    let free_space: super::super::FreeSpace = Arc::new(|_| Err(std::io::Error::other("no answer")));
    let kv = open(
        folder.path(),
        &Options {
            free_space,
            ..Options::default()
        },
    );
    assert_eq!(append(&kv, 1).await.unwrap(), Swap::Swapped);
}

/// A file system of this size, where this process may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf, mebibytes: u64) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let size = format!("size={mebibytes}m");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&folder)
            .output();
        mount
            .is_ok_and(|output| output.status.success())
            .then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Fills a disk that really is small, down to the reserve; makes room by truncating; goes on.
#[tokio::test]
async fn a_small_disk_fills_up_and_recovers_by_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(folder.path().join("disk"), 192);
    let options = Options {
        reserve_bytes: 64 << 20,
        settle_interval: Duration::from_millis(100),
        // Where nothing can be mounted, the size of what is stored stands for it.
        free_space: match &disk {
            Some(_) => Options::default().free_space,
            None => Arc::new(|path| Ok((192_u64 << 20).saturating_sub(used(path)?))),
        },
        ..Options::default()
    };
    let kv = open(&folder.path().join("disk/data"), &options);
    let mut next = 1;
    for at_rest in [false, true] {
        let first = next;
        let refused = loop {
            let swap = kv
                .compare_and_swap(log_key(next), None, value(next, 1 << 20))
                .await;
            match swap {
                Ok(swap) => assert_eq!(swap, Swap::Swapped),
                Err(error) => break error,
            }
            next += 1;
            assert!(next < first + 300, "it does not fill up");
        };
        assert!(matches!(refused, KvError::Full(_)), "{refused}");
        for revision in first..next {
            assert_eq!(
                kv.get(log_key(revision)).await.unwrap(),
                Some(value(revision, 1 << 20))
            );
        }
        if at_rest {
            // What was written is on the disk, and the deletions are all that will be.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        kv.delete_range(log_key(0), log_key(next)).await.unwrap();
        // The space is given back soon after.
        while let Err(error) = append(&kv, next).await {
            assert!(matches!(error, KvError::Full(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        next += 1;
    }
}

fn used(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let Ok(metadata) = entry
            .as_ref()
            .map_or_else(|_| folder.metadata(), |entry| entry.metadata())
        else {
            continue;
        };
        sum += std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
        if metadata.is_dir() {
            sum += used(&entry?.path()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Somebody else fills the disk, so that writes fail that were begun: nothing acknowledged is lost, and
/// the store goes on once there is room. Where nothing can be mounted, the writes are made to fail.
#[tokio::test]
async fn a_disk_that_somebody_else_fills_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("disk");
    let Some(_disk) = SmallDisk::mount(place.clone(), 160) else {
        return losing_nothing_when_writes_fail(&folder.path().join("data")).await;
    };
    let options = Options {
        reserve_bytes: 1 << 20,
        memtable_bytes: 1 << 20,
        ..Options::default()
    };
    let kv = open(&place.join("data"), &options);
    let ballast = place.join("ballast");
    let (mut next, mut failures) = (1, 0);
    for round in 0..3 {
        // The ballast comes while the store is at work, and stays until a write has failed.
        for _ in 0..10 {
            assert_eq!(
                kv.compare_and_swap(log_key(next), None, value(next, 200_000))
                    .await
                    .unwrap(),
                Swap::Swapped
            );
            next += 1;
        }
        let filled = fill(&ballast);
        assert!(filled > 0, "round {round}");
        let mut attempts = 0;
        while kv
            .compare_and_swap(log_key(next), None, value(next, 200_000))
            .await
            .is_ok()
        {
            next += 1;
            attempts += 1;
            assert!(attempts < 1000);
        }
        failures += 1;
        fs::remove_file(&ballast).unwrap();
        // What failed may have happened: it is the same bytes that are tried again.
        loop {
            match kv
                .compare_and_swap(log_key(next), None, value(next, 200_000))
                .await
            {
                Ok(Swap::Swapped) => break,
                Ok(Swap::Found(found)) => {
                    assert!(found == Some(value(next, 200_000)));
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        next += 1;
        for revision in 1..next {
            assert!(
                kv.get(log_key(revision)).await.unwrap() == Some(value(revision, 200_000)),
                "{revision}"
            );
        }
        kv.delete_range(log_key(0), log_key(next - 5))
            .await
            .unwrap();
        for revision in 1..next - 5 {
            kv.compare_and_swap(log_key(revision), None, value(revision, 200_000))
                .await
                .unwrap();
        }
    }
    assert_eq!(failures, 3);
    drop(kv);
    let kv = open(&place.join("data"), &options);
    for revision in 1..next {
        assert!(
            kv.get(log_key(revision)).await.unwrap() == Some(value(revision, 200_000)),
            "{revision}"
        );
    }
}

/// Writes until there is no room for another byte.
fn fill(path: &Path) -> u64 {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    let mut written = 0;
    for size in [1 << 20, 1 << 12, 1] {
        while let Ok(length) = file.write(&vec![1; size]) {
            written += length as u64;
        }
    }
    written
}

async fn losing_nothing_when_writes_fail(folder: &Path) {
    let count = std::sync::atomic::AtomicU64::new(0);
    let fault = move |point| {
        let odd = point == super::super::Point::AfterCommit;
        let time = count.fetch_add(1, Ordering::SeqCst) % 7 == 3 + u64::from(odd);
        if time && point != super::super::Point::Open {
            return Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into());
        }
        Ok(())
    };
    let kv = open(
        folder,
        &Options {
            fault: Some(Arc::new(fault)),
            ..Options::default()
        },
    );
    for revision in 1..=10 {
        while append(&kv, revision).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for revision in 1..=10 {
        assert_eq!(
            kv.get(log_key(revision)).await.unwrap(),
            Some(value(revision, 3000))
        );
    }
}
