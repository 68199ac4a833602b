//! Writes that fail, and a store that is opened again.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::super::Point;
use super::*;

/// Fails in this way, at the next time that one comes to this point.
type Plan = Arc<Mutex<Vec<(Point, fn() -> fjall::Result<()>)>>>;

fn failing() -> (Plan, Options, Arc<AtomicUsize>) {
    let plan: Plan = Arc::default();
    let opened = Arc::new(AtomicUsize::new(0));
    let (todo, count) = (Arc::clone(&plan), Arc::clone(&opened));
    let fault = move |point| {
        count.fetch_add(usize::from(point == Point::Open), Ordering::SeqCst);
        let mut todo = todo.lock().unwrap();
        match todo.first() {
            Some((at, _)) if *at == point => {
                let (_, fail) = todo.remove(0);
                drop(todo);
                fail()
            }
            _ => Ok(()),
        }
    };
    (
        plan,
        Options {
            fault: Some(Arc::new(fault)),
            ..Options::default()
        },
        opened,
    )
}

fn broken_disk() -> fjall::Result<()> {
    Err(io::Error::other("the disk is on fire").into())
}

fn poisoned() -> fjall::Result<()> {
    Err(fjall::Error::Poisoned)
}

fn panics() -> fjall::Result<()> {
    panic!("an invariant that did not hold")
}

#[tokio::test]
async fn a_failed_write_is_done_once_the_store_is_open_again() {
    for fail in [broken_disk, poisoned, panics] {
        for point in [Point::BeforeCommit, Point::AfterCommit] {
            let folder = tempfile::tempdir().unwrap();
            let (plan, options, opened) = failing();
            let kv = open(folder.path(), &options);
            append(&kv, 1).await.unwrap();
            plan.lock().unwrap().push((point, fail));
            let write = kv.write(vec![(pod(1), Some("json".into()))]);
            let swaps = futures::join!(append(&kv, 2), append(&kv, 1), append(&kv, 3), write);
            // It may have been written, but is not taken for somebody else's.
            assert_eq!(swaps.0.unwrap(), Swap::Swapped);
            assert_eq!(swaps.1.unwrap(), Swap::Found(Some(value(1, 3000))));
            assert_eq!(swaps.2.unwrap(), Swap::Swapped);
            swaps.3.unwrap();
            assert_eq!(opened.load(Ordering::SeqCst), 2, "{point:?}");
            assert_eq!(append(&kv, 4).await.unwrap(), Swap::Swapped);
            drop(kv);
            let kv = open(folder.path(), &Options::default());
            for revision in 1..=4 {
                assert_eq!(
                    kv.get(log_key(revision)).await.unwrap(),
                    Some(value(revision, 3000))
                );
            }
            assert_eq!(kv.get(pod(1)).await.unwrap(), Some("json".into()));
        }
    }
}

#[tokio::test]
async fn an_outcome_is_unknown_until_the_store_can_be_opened_again() {
    for (point, landed) in [(Point::BeforeCommit, false), (Point::AfterCommit, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (plan, options, opened) = failing();
        let kv = open(folder.path(), &options);
        append(&kv, 1).await.unwrap();
        plan.lock().unwrap().extend([
            (point, broken_disk as fn() -> _),
            (Point::Open, broken_disk),
        ]);
        let error = append(&kv, 2).await.unwrap_err();
        assert!(
            matches!(&error, KvError::Unknown(why) if why.contains("on fire")),
            "{error}"
        );
        // There is no store now, and whatever comes is refused for good.
        assert!(matches!(append(&kv, 3).await, Err(KvError::Unavailable(_))));
        assert!(kv.get(log_key(1)).await.is_err());
        // It comes back by itself.
        let again = loop {
            match kv.get(log_key(2)).await {
                Ok(value) => break value,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        assert_eq!(again.is_some(), landed);
        assert_eq!(opened.load(Ordering::SeqCst), 3);
        let expected = if landed {
            Swap::Found(Some(value(2, 3000)))
        } else {
            Swap::Swapped
        };
        assert_eq!(append(&kv, 2).await.unwrap(), expected);
        assert_eq!(append(&kv, 3).await.unwrap(), Swap::Swapped);
    }
}

#[tokio::test]
async fn while_there_is_no_room_to_open_it_again_reads_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (free, free_space) = settable(u64::MAX);
    let (armed, opened) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (full, arm, count) = (Arc::clone(&free), Arc::clone(&armed), Arc::clone(&opened));
    let fault = move |point| {
        count.fetch_add(usize::from(point == Point::Open), Ordering::SeqCst);
        if point == Point::AfterCommit && arm.swap(false, Ordering::SeqCst) {
            full.store(0, Ordering::SeqCst);
            return broken_disk();
        }
        Ok(())
    };
    let options = Options {
        free_space,
        fault: Some(Arc::new(fault)),
        ..Options::default()
    };
    let kv = open(folder.path(), &options);
    append(&kv, 1).await.unwrap();
    armed.store(true, Ordering::SeqCst);
    assert!(matches!(append(&kv, 2).await, Err(KvError::Unknown(_))));
    // What became of it is not known, but everything else is.
    assert!(matches!(kv.get(log_key(2)).await, Err(KvError::Unknown(_))));
    assert!(matches!(
        kv.batch_get(vec![log_key(1), log_key(2)]).await,
        Err(KvError::Unknown(_))
    ));
    assert!(matches!(
        kv.scan(log_key(0), log_key(9), 9).await,
        Err(KvError::Unknown(_))
    ));
    assert_eq!(kv.get(log_key(1)).await.unwrap(), Some(value(1, 3000)));
    assert_eq!(kv.scan(log_key(0), log_key(2), 9).await.unwrap().len(), 1);
    assert!(matches!(append(&kv, 3).await, Err(KvError::Full(_))));
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    free.store(u64::MAX, Ordering::SeqCst);
    while kv.get(log_key(2)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(kv.get(log_key(2)).await.unwrap(), Some(value(2, 3000)));
    assert_eq!(append(&kv, 3).await.unwrap(), Swap::Swapped);
}
