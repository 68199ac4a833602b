//! Compare-and-swap.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{join_all, try_join_all};

use super::{Done, Subject, found, value_of};
use crate::kv::{KvError, Swap};

/// A swap happens if, and only if, the key has the expected value, and tells what else it has.
pub async fn swaps_decide_by_the_value(subject: &Subject) -> Done {
    let key = subject.log_key(1);
    assert_eq!(subject.swap(&key, Some("a"), "b").await?, Swap::Found(None));
    assert_eq!(subject.kv.get(key.clone()).await?, None);
    assert_eq!(subject.swap(&key, None, "a").await?, Swap::Swapped);
    assert_eq!(subject.swap(&key, None, "b").await?, found("a"));
    assert_eq!(subject.swap(&key, None, "a").await?, found("a"));
    assert_eq!(subject.swap(&key, Some("b"), "c").await?, found("a"));
    assert_eq!(subject.swap(&key, Some("a "), "c").await?, found("a"));
    assert_eq!(subject.kv.get(key.clone()).await?, Some("a".into()));
    assert_eq!(subject.swap(&key, Some("a"), "b").await?, Swap::Swapped);
    assert_eq!(subject.swap(&key, Some("b"), "b").await?, Swap::Swapped);
    assert_eq!(subject.swap(&key, Some("a"), "c").await?, found("b"));
    assert_eq!(subject.kv.get(key.clone()).await?, Some("b".into()));
    subject
        .kv
        .delete_range(key.clone(), subject.log_key(2))
        .await?;
    assert_eq!(subject.swap(&key, Some("b"), "c").await?, Swap::Found(None));
    assert_eq!(subject.swap(&key, None, "d").await?, Swap::Swapped);
    assert_eq!(subject.kv.get(key).await?, Some("d".into()));
    Ok(())
}

/// Of many swaps of an absent key exactly one wins, and the others find its value.
pub async fn one_of_many_swaps_wins(subject: &Subject) -> Done {
    for round in 0..20 {
        let key = subject.log_key(round);
        let values: Vec<String> = (0..16).map(|number| format!("{round} {number}")).collect();
        let swaps =
            try_join_all(values.iter().map(|value| subject.swap(&key, None, value))).await?;
        let winners: Vec<usize> = (0..16)
            .filter(|number| swaps[*number] == Swap::Swapped)
            .collect();
        assert_eq!(winners.len(), 1, "{swaps:?}");
        let value = &values[winners[0]];
        assert_eq!(
            swaps.iter().filter(|swap| **swap == found(value)).count(),
            15,
            "{swaps:?}"
        );
        assert_eq!(
            subject.kv.get(key).await?.as_deref(),
            Some(value.as_bytes())
        );
    }
    Ok(())
}

/// Many who count up one number, each by swapping what it read, lose no count.
pub async fn swaps_count_without_loss(subject: &Subject) -> Done {
    let number = |value: &str| -> u64 {
        let number = value
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok());
        number.expect("only numbers are written, and by whom")
    };
    let text = |value: Option<Bytes>| {
        let value = value.expect("it is never deleted");
        String::from_utf8_lossy(&value).into_owned()
    };
    let key = subject.key("@floor");
    assert_eq!(subject.swap(&key, None, "0").await?, Swap::Swapped);
    let count = async |writer: u64| {
        let (mut done, mut open, mut tries) = (0, 0, 0);
        let mut now = "0".to_owned();
        while done < 25 {
            tries += 1;
            let next = format!("{} {writer} {tries}", number(&now) + 1);
            match subject.swap(&key, Some(&now), &next).await {
                Ok(Swap::Swapped) => done += 1,
                Ok(Swap::Found(found)) => now = text(found),
                // It may have counted, and others from there on.
                Err(KvError::Unknown(_)) if subject.faulty => {
                    open += 1;
                    now = text(subject.kv.get(key.clone()).await?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(open)
    };
    let open: u64 = try_join_all((0..8).map(count)).await?.into_iter().sum();
    let counted = number(&text(subject.kv.get(key.clone()).await?));
    assert!(
        (200..=200 + open).contains(&counted),
        "{counted}, {open} open"
    );
    Ok(())
}

/// A request whose future is dropped happens wholly or not at all, and is over before long.
pub async fn dropped_requests_are_done_or_not(subject: &Subject) -> Done {
    let mut asked = BTreeMap::new();
    for revision in 0..50 {
        let key = subject.log_key(revision);
        let value = value_of(revision, 2000);
        let swap = subject
            .kv
            .compare_and_swap(key.clone(), None, value.clone());
        // Polled once: sent, but mostly not answered.
        let _ = swap.now_or_never();
        asked.insert(key, value);
    }
    // One that is swapped afterwards has its outcome, whatever became of the first.
    let again = asked.iter().map(|(key, value)| {
        subject
            .kv
            .compare_and_swap(key.clone(), None, value.clone())
    });
    for (swap, value) in join_all(again).await.into_iter().zip(asked.values()) {
        let swap = swap?;
        assert!(
            swap == Swap::Swapped || swap == Swap::Found(Some(value.clone())),
            "{swap:?}"
        );
    }
    let pairs = subject.scan(subject.all(), 100).await?;
    assert!(pairs.into_iter().eq(asked));
    Ok(())
}
