use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::{EmbeddedKv, OpenError, Options};
use super::*;

fn refusal(folder: &Path) -> OpenError {
    match EmbeddedKv::open(folder, Options::default()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_folder_is_made_and_for_its_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b/data");
    let kv = open(&folder, &Options::default());
    assert_eq!(append(&kv, 1).await.unwrap(), Swap::Swapped);
    for path in [&folder, &folder.join("store")] {
        assert_eq!(
            path.metadata().unwrap().permissions().mode() & 0o777,
            0o700,
            "{path:?}"
        );
    }
    assert_eq!(
        fs::read_to_string(folder.join("format")).unwrap(),
        "k8shost-store 1\n"
    );
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    for options in [Options::default(), without_memory()] {
        let _ = fs::remove_dir_all(folder.path());
        let kv = open(folder.path(), &options);
        append(&kv, 1).await.unwrap();
        kv.write(vec![
            (pod(1), Some("json".into())),
            (pod(2), Some("json".into())),
        ])
        .await
        .unwrap();
        kv.write(vec![(pod(2), None)]).await.unwrap();
        drop(kv);
        let kv = open(folder.path(), &options);
        assert_eq!(kv.get(log_key(1)).await.unwrap(), Some(value(1, 3000)));
        assert_eq!(kv.get(pod(1)).await.unwrap(), Some("json".into()));
        assert_eq!(kv.get(pod(2)).await.unwrap(), None);
        assert_eq!(
            append(&kv, 1).await.unwrap(),
            Swap::Found(Some(value(1, 3000)))
        );
    }
}

#[test]
fn a_second_user_is_refused_and_told_who_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(folder.path(), &Options::default());
    let error = refusal(folder.path());
    let text = error.to_string();
    assert!(matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(
        text.contains(&folder.path().display().to_string()),
        "{text}"
    );
    drop(kv);
    drop(open(folder.path(), &Options::default()));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), &Options::default()));
    fs::write(folder.path().join("format"), "k8shost-store 2\n").unwrap();
    let error = refusal(folder.path());
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("format 2, newer than 1"),
        "{error}"
    );
}

#[test]
fn a_format_that_never_was_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for text in [
        "",
        "k8shost-store",
        "k8shost-store 0",
        "k8shost-store one",
        "etcd 3",
        "\u{fffd}",
    ] {
        fs::write(folder.path().join("format"), text).unwrap();
        let error = refusal(folder.path());
        assert!(
            matches!(error, OpenError::NotAStore { .. }),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn a_folder_with_other_things_in_it_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "precious").unwrap();
    let error = refusal(folder.path());
    assert!(
        matches!(error, OpenError::NotAStore { .. }) && error.to_string().contains("thesis.txt")
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_store_without_its_format_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), &Options::default()));
    fs::remove_file(folder.path().join("format")).unwrap();
    assert!(matches!(
        refusal(folder.path()),
        OpenError::NotAStore { .. }
    ));
}

#[test]
fn a_mount_point_is_as_good_as_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    drop(open(folder.path(), &Options::default()));
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = refusal(&folder.path().join("file/data"));
    assert!(error.to_string().contains("file/data"), "{error}");
}

/// Where a creation may have been cut short.
#[tokio::test]
async fn a_creation_that_was_cut_short_is_done_again() {
    for files in [
        &["format.new"][..],
        &["format", "lock"],
        &["store/"],
        &["store/lock", "store/0.jnl"],
        &["store/version"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if file.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else if file.ends_with(".jnl") {
                fs::File::create(path).unwrap().set_len(64 << 20).unwrap();
            } else {
                let text = if *file == "format" {
                    "k8shost-store 1\n"
                } else {
                    ""
                };
                fs::write(path, text).unwrap();
            }
        }
        if files[0].starts_with("store") {
            fs::write(folder.path().join("format"), "k8shost-store 1\n").unwrap();
        }
        let kv = open(folder.path(), &Options::default());
        assert_eq!(append(&kv, 1).await.unwrap(), Swap::Swapped, "{files:?}");
    }
}

#[tokio::test]
async fn data_without_a_version_file_is_not_taken_for_a_creation_that_was_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(folder.path(), &Options::default());
    append(&kv, 1).await.unwrap();
    drop(kv);
    let version = folder.path().join("store/version");
    let text = fs::read(&version).unwrap();
    fs::remove_file(&version).unwrap();
    assert!(matches!(
        refusal(folder.path()),
        OpenError::NotAStore { .. }
    ));
    fs::write(&version, text).unwrap();
    assert!(
        open(folder.path(), &Options::default())
            .get(log_key(1))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn what_comes_after_close_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(folder.path(), &Options::default());
    append(&kv, 1).await.unwrap();
    kv.close();
    kv.close();
    assert!(matches!(append(&kv, 2).await, Err(KvError::Unavailable(_))));
    assert!(matches!(
        kv.write(vec![(pod(1), None)]).await,
        Err(KvError::Unavailable(_))
    ));
    assert!(matches!(
        kv.get(log_key(1)).await,
        Err(KvError::Unavailable(_))
    ));
    assert!(matches!(
        kv.scan(log_key(0), log_key(9), 9).await,
        Err(KvError::Unavailable(_))
    ));
    drop(open(folder.path(), &Options::default()));
}

#[tokio::test]
async fn of_several_writes_of_one_key_the_last_counts() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(folder.path(), &Options::default());
    let put = |text: &'static str| (pod(1), Some(Bytes::from(text)));
    kv.write(vec![put("1"), (pod(1), None), put("2"), put("3")])
        .await
        .unwrap();
    assert_eq!(kv.get(pod(1)).await.unwrap(), Some("3".into()));
    kv.write(vec![put("4"), (pod(1), None)]).await.unwrap();
    assert_eq!(kv.get(pod(1)).await.unwrap(), None);
}

#[tokio::test]
async fn keys_that_can_not_be_stored_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kv = open(folder.path(), &Options::default());
    for key in [Bytes::new(), vec![b'k'; 1 << 16].into()] {
        let swap = kv.compare_and_swap(key.clone(), None, "v".into()).await;
        assert!(matches!(swap, Err(KvError::Unavailable(_))), "{swap:?}");
        let write = kv
            .write(vec![
                (key.clone(), Some("v".into())),
                (pod(1), Some("v".into())),
            ])
            .await;
        assert!(matches!(write, Err(KvError::Unavailable(_))), "{write:?}");
        assert_eq!(kv.get(key).await.unwrap(), None);
    }
    assert_eq!(kv.get(pod(1)).await.unwrap(), None);
    assert_eq!(append(&kv, 1).await.unwrap(), Swap::Swapped);
}
