//! Files that are not as they were written: whatever is read is right, or it is an error that says where.

use std::fs;
use std::path::PathBuf;

use super::super::{EmbeddedKv, OpenError};
use super::*;

const REVISIONS: u64 = 60;
const PODS: u64 = 300;

/// A store with data in tables, in files of values and in the journal; closed.
async fn filled(folder: &Path) {
    let options = Options {
        memtable_bytes: 100 << 10,
        ..Options::default()
    };
    let kv = open(folder, &options);
    for revision in 1..=REVISIONS {
        append(&kv, revision).await.unwrap();
    }
    for number in 0..PODS {
        kv.write(vec![(
            pod(number),
            Some(value(number, 200 + number as usize * 10)),
        )])
        .await
        .unwrap();
    }
    append(&kv, REVISIONS + 1).await.unwrap();
}

/// What is wrong with the store, as an error; panics where it gives a wrong answer.
async fn read_all(kv: &EmbeddedKv) -> Vec<KvError> {
    let mut errors = Vec::new();
    let logs = (1..=REVISIONS + 1).map(|revision| (log_key(revision), value(revision, 3000)));
    let pods = (0..PODS).map(|number| (pod(number), value(number, 200 + number as usize * 10)));
    let all: Vec<_> = logs.chain(pods).collect();
    for (key, value) in &all {
        match kv.get(key.clone()).await {
            Ok(found) => assert!(found.as_ref() == Some(value), "{key:?}: {found:?}"),
            Err(error) => {
                if let KvError::Corrupt { key: named, .. } = &error {
                    assert_eq!(named.as_bytes(), key);
                }
                errors.push(error);
            }
        }
    }
    let mut start: Bytes = "k8s/".into();
    let mut expected = all.iter();
    loop {
        match kv.scan(start, "k8s0".into(), 7).await {
            Ok(page) => {
                let Some((last, _)) = page.last() else { break };
                start = [last, &b"\0"[..]].concat().into();
                for (key, value) in &page {
                    assert!(
                        expected.next() == Some(&(key.clone(), value.clone())),
                        "{key:?}"
                    );
                }
            }
            Err(error) => {
                assert!(!errors.is_empty(), "only a scan fails: {error}");
                return errors;
            }
        }
    }
    assert!(expected.next().is_none(), "a scan ends early");
    errors
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.metadata().unwrap().len() > 0 {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// The files of a closed store that is made once, without the zeros at the end of its journal.
async fn template() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let journal = journal(folder.path());
    let bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    fs::write(&journal, &bytes[..end]).unwrap();
    folder
}

/// The one that was written last.
fn journal(folder: &Path) -> PathBuf {
    let number = |path: &PathBuf| {
        path.file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let store = folder.join("store");
    files(&store)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|x| x == "jnl"))
        .max_by_key(number)
        .unwrap()
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 1 << (offset % 8);
    fs::write(path, bytes).unwrap();
}

/// Opens a copy to which something was done; says whether anything was found to be wrong.
async fn is_noticed(template: &Path, damage: impl FnOnce(&Path)) -> bool {
    let folder = tempfile::tempdir().unwrap();
    copy(template, folder.path());
    damage(folder.path());
    match EmbeddedKv::open(folder.path(), Options::default()) {
        Err(OpenError::InUse { .. }) => panic!("nobody uses it"),
        Err(_) => true,
        Ok(kv) => !read_all(&kv).await.is_empty(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_bit_is_never_taken_for_data_or_for_nothing() {
    let template = template().await;
    let all = files(template.path());
    let mut noticed = 0;
    for trial in 0..150_usize {
        let file = &all[trial % all.len()];
        let name = file.strip_prefix(template.path()).unwrap();
        let offset = value(trial as u64, 4)
            .iter()
            .fold(0, |offset, byte| offset << 8 | *byte as usize);
        let offset = offset % file.metadata().unwrap().len() as usize;
        let damage = |folder: &Path| flip(&folder.join(name), offset);
        noticed += usize::from(is_noticed(template.path(), damage).await);
    }
    // Not every byte is read.
    assert!(noticed > 75, "{noticed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_missing_or_cut_off_is_noticed() {
    let template = template().await;
    let last = journal(template.path());
    for file in files(template.path()) {
        let name = file.strip_prefix(template.path()).unwrap();
        // Who has it locked; what can't be told from a store that was written less to; manifests of
        // earlier times.
        if name.ends_with("lock") || file == last || is_outdated(&file) {
            continue;
        }
        assert!(
            is_noticed(template.path(), |folder| fs::remove_file(folder.join(name))
                .unwrap())
            .await,
            "{name:?}"
        );
        let half = file.metadata().unwrap().len() / 2;
        let cut = |folder: &Path| {
            fs::OpenOptions::new()
                .write(true)
                .open(folder.join(name))
                .unwrap()
                .set_len(half)
                .unwrap()
        };
        assert!(is_noticed(template.path(), cut).await, "{name:?}");
    }
}

fn is_outdated(file: &Path) -> bool {
    let number = |name: &str| {
        name.strip_prefix('v')
            .and_then(|number| number.parse::<u64>().ok())
    };
    let current = || fs::read(file.with_file_name("current")).ok();
    match (
        number(&file.file_name().unwrap().to_string_lossy()),
        current(),
    ) {
        (Some(number), Some(current)) => current[..8] != number.to_le_bytes(),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_byte_in_the_journal_is_never_taken_for_its_end() {
    let template = template().await;
    let length = journal(template.path()).metadata().unwrap().len() as usize;
    // The last append alone has more than 3000 bytes.
    let offsets = (0..length)
        .step_by(length / 40)
        .chain(length - 3200..length - 3170)
        .chain(length - 15..length);
    let mut unnoticed = 0;
    for offset in offsets {
        let damage = |folder: &Path| flip(&journal(folder), offset);
        unnoticed += usize::from(!is_noticed(template.path(), damage).await);
    }
    // A number of a batch may be another one, as long as their order is the same.
    assert!(unnoticed <= 8, "{unnoticed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_torn_is_cut_off() {
    let template = template().await;
    let bytes = fs::read(journal(template.path())).unwrap();
    for (left, zeros) in [
        (1, 0),
        (2, 5000),
        (14, 0),
        (1500, 0),
        (1500, 100_000),
        (3000, 0),
        (3050, 9000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        copy(template.path(), folder.path());
        let mut torn = bytes[..bytes.len() - left].to_vec();
        torn.resize(torn.len() + zeros, 0);
        fs::write(journal(folder.path()), torn).unwrap();
        lacks_the_last(folder.path()).await;
    }
    // A sector in the middle that did not reach the disk.
    let folder = tempfile::tempdir().unwrap();
    copy(template.path(), folder.path());
    let mut torn = bytes.clone();
    let end = torn.len() - 1000;
    torn[end - 700..end].fill(0);
    fs::write(journal(folder.path()), torn).unwrap();
    lacks_the_last(folder.path()).await;
}

/// All is there but the last append, which can be done again.
async fn lacks_the_last(folder: &Path) {
    for _ in 0..2 {
        let kv = open(folder, &Options::default());
        for revision in 1..=REVISIONS {
            assert_eq!(
                kv.get(log_key(revision)).await.unwrap(),
                Some(value(revision, 3000))
            );
        }
        for number in 0..PODS {
            assert!(kv.get(pod(number)).await.unwrap().is_some());
        }
        assert_eq!(kv.get(log_key(REVISIONS + 1)).await.unwrap(), None);
    }
    let kv = open(folder, &Options::default());
    assert_eq!(append(&kv, REVISIONS + 1).await.unwrap(), Swap::Swapped);
    drop(kv);
    assert!(
        read_all(&open(folder, &Options::default()))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_corrupt_value_is_an_error_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path()).await;
    let blobs = folder.path().join("store/keyspaces/1/blobs");
    let needle = &value(7, 3000)[1000..1100];
    let contains = |path: &PathBuf| {
        fs::read(path)
            .unwrap()
            .windows(100)
            .position(|window| window == needle)
    };
    let (file, offset) = files(&blobs)
        .into_iter()
        .find_map(|path| contains(&path).map(|at| (path, at)))
        .unwrap();
    flip(&file, offset + 50);

    let kv = open(folder.path(), &Options::default());
    let named = |error: KvError| matches!(&error, KvError::Corrupt { key, .. } if key.as_bytes() == log_key(7));
    assert!(named(kv.get(log_key(7)).await.unwrap_err()));
    assert!(named(
        kv.batch_get(vec![log_key(6), log_key(7)])
            .await
            .unwrap_err()
    ));
    assert!(named(append(&kv, 7).await.unwrap_err()));
    // A scan gives what comes before, then the error, and goes on behind it.
    assert_eq!(kv.scan(log_key(1), log_key(20), 99).await.unwrap().len(), 6);
    assert!(named(
        kv.scan(log_key(7), log_key(20), 99).await.unwrap_err()
    ));
    assert_eq!(
        kv.scan(log_key(8), log_key(20), 99).await.unwrap().len(),
        12
    );
    // All else is as it was; and the key can be deleted, or a range with it.
    assert_eq!(kv.get(log_key(8)).await.unwrap(), Some(value(8, 3000)));
    assert_eq!(append(&kv, REVISIONS + 2).await.unwrap(), Swap::Swapped);
    kv.delete_range(log_key(1), log_key(8)).await.unwrap();
    assert_eq!(kv.get(log_key(7)).await.unwrap(), None);
    assert_eq!(append(&kv, 7).await.unwrap(), Swap::Swapped);
}
