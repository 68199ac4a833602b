//! Scans and range deletions.

use bytes::Bytes;

use super::{Done, Subject, number_of, value_of};
use crate::kv::{Pair, Swap};

/// Scans are in the order of the keys' bytes, those of the log among the others.
pub async fn scans_are_in_byte_order(subject: &Subject) -> Done {
    let mut keys: Vec<Bytes> = (0..=255_u8).map(|byte| subject.key([b'x', byte])).collect();
    keys.extend(
        ["", "x", "x/", "x/a", "x@", "a", "b/@log", "~", "ä", "x\0\0"]
            .map(|name| subject.key(name)),
    );
    subject
        .put(keys.iter().map(|key| (key.clone(), key.clone())))
        .await?;
    for revision in [1, 2, 16, 255, 256, u64::MAX] {
        let key = subject.log_key(revision);
        let swap = subject
            .kv
            .compare_and_swap(key.clone(), None, key.clone())
            .await?;
        assert_eq!(swap, Swap::Swapped);
        keys.push(key);
    }
    keys.sort();
    keys.dedup();
    let expected: Vec<Pair> = keys.into_iter().map(|key| (key.clone(), key)).collect();
    for limit in [1, 7, 1000] {
        assert!(
            subject.scan(subject.all(), limit).await? == expected,
            "limit {limit}"
        );
    }
    Ok(())
}

/// A scan begins with its start and ends before its end; an empty or inverted range has nothing.
pub async fn scans_keep_to_their_bounds(subject: &Subject) -> Done {
    let [a, b, bb, c] = ["a", "b", "bb", "c"].map(|name| subject.key(name));
    let outside = subject.key("").slice(..subject.prefix.len() - 1);
    subject
        .put([&a, &b, &bb, &c].map(|key| (key.clone(), "v".into())))
        .await?;
    assert_eq!(subject.keys(a.clone()..c.clone()).await?, [&a, &b, &bb]);
    assert_eq!(subject.keys(b.clone()..bb.clone()).await?, [&b]);
    assert_eq!(subject.keys(subject.key("b\0")..c.clone()).await?, [&bb]);
    assert_eq!(
        subject.keys(subject.key("aa")..subject.key("b\0")).await?,
        [&b]
    );
    assert_eq!(
        subject.keys(outside..subject.key("zz")).await?,
        [&a, &b, &bb, &c]
    );
    assert_eq!(subject.keys(b.clone()..b.clone()).await?, [""; 0]);
    assert_eq!(subject.keys(c..a).await?, [""; 0]);
    assert_eq!(
        subject.keys(subject.key("d")..subject.key("e")).await?,
        [""; 0]
    );
    let page = subject.kv.scan(b.clone(), subject.key("zz"), 2).await?;
    assert_eq!(page, [(b, "v".into()), (bb, "v".into())]);
    Ok(())
}

/// Pages of any size give every key once.
pub async fn pages_add_up(subject: &Subject) -> Done {
    let keys: Vec<Bytes> = (0..2500)
        .map(|number| subject.key(format!("pods/default/pod-{number:05}")))
        .collect();
    subject
        .put(
            keys.iter()
                .zip(0..)
                .map(|(key, number)| (key.clone(), value_of(number, 64))),
        )
        .await?;
    for limit in [99, 500, 2500, usize::MAX] {
        let pairs = subject.scan(subject.all(), limit).await?;
        assert!(pairs.iter().map(|(key, _)| key).eq(&keys), "limit {limit}");
        assert!(pairs.iter().map(|(_, value)| number_of(value)).eq(0..2500));
    }
    Ok(())
}

/// So they do where a page is cut for its bytes.
pub async fn pages_add_up_with_large_values(subject: &Subject) -> Done {
    let keys: Vec<Bytes> = (0..24).map(|number| subject.log_key(number * 64)).collect();
    for (key, number) in keys.iter().zip(0..) {
        let swap = subject
            .kv
            .compare_and_swap(key.clone(), None, value_of(number, 300 << 10))
            .await?;
        assert_eq!(swap, Swap::Swapped);
    }
    subject
        .put((0..24).map(|number| {
            (
                subject.key(format!("x{number:02}")),
                value_of(number, 300 << 10),
            )
        }))
        .await?;
    let pairs = subject.scan(subject.all(), usize::MAX).await?;
    assert!(
        pairs
            .iter()
            .map(|(_, value)| number_of(value))
            .eq((0..24).chain(0..24))
    );
    assert_eq!(
        subject.keys(keys[3].clone()..keys[5].clone()).await?,
        keys[3..5]
    );
    Ok(())
}

/// Bytes of 0xff are bytes like any others, in keys and in bounds.
pub async fn bounds_of_highest_bytes(subject: &Subject) -> Done {
    let keys: Vec<Bytes> = (0..4)
        .map(|length| subject.key([0xff; 4].split_at(length).0))
        .collect();
    subject
        .put(keys.iter().map(|key| (key.clone(), "v".into())))
        .await?;
    assert_eq!(
        subject
            .keys(keys[0].clone()..subject.key([0xff; 5]))
            .await?,
        keys
    );
    assert_eq!(
        subject.keys(keys[1].clone()..keys[3].clone()).await?,
        keys[1..3]
    );
    subject
        .kv
        .delete_range(keys[1].clone(), keys[2].clone())
        .await?;
    assert_eq!(
        subject.keys(subject.all()).await?,
        [&keys[0], &keys[2], &keys[3]]
    );
    subject
        .kv
        .delete_range(keys[0].clone(), subject.key([0xff; 8]))
        .await?;
    assert_eq!(subject.keys(subject.all()).await?, [""; 0]);
    Ok(())
}

/// A range deletion takes its start and what follows, not its end, and nothing if the range is empty.
pub async fn delete_range_keeps_to_its_bounds(subject: &Subject) -> Done {
    let logs: Vec<Bytes> = (1..=9).map(|revision| subject.log_key(revision)).collect();
    for key in &logs {
        subject
            .kv
            .compare_and_swap(key.clone(), None, "batch".into())
            .await?;
    }
    let (floor, pod) = (subject.key("@floor"), subject.key("pods/default/a"));
    subject
        .kv
        .compare_and_swap(floor.clone(), None, "1".into())
        .await?;
    subject.put([(pod.clone(), "json".into())]).await?;

    subject
        .kv
        .delete_range(logs[4].clone(), logs[4].clone())
        .await?;
    subject
        .kv
        .delete_range(logs[4].clone(), logs[2].clone())
        .await?;
    assert_eq!(subject.keys(subject.all()).await?.len(), 11);
    subject
        .kv
        .delete_range(subject.log_key(0), logs[4].clone())
        .await?;
    let rest: Vec<Bytes> = [&floor]
        .into_iter()
        .chain(&logs[4..])
        .chain([&pod])
        .cloned()
        .collect();
    assert_eq!(subject.keys(subject.all()).await?, rest);
    subject
        .kv
        .delete_range(subject.log_key(0), logs[4].clone())
        .await?;
    assert_eq!(subject.keys(subject.all()).await?, rest);
    subject
        .kv
        .delete_range(subject.key("@"), subject.key("A"))
        .await?;
    assert_eq!(subject.keys(subject.all()).await?, [pod]);
    Ok(())
}

/// It may be a range of thousands of keys.
pub async fn delete_range_of_many_keys(subject: &Subject) -> Done {
    let keys: Vec<Bytes> = (0..5000)
        .map(|number| subject.key(format!("pods/{number:05}")))
        .collect();
    subject
        .put(keys.iter().map(|key| (key.clone(), "v".into())))
        .await?;
    subject
        .kv
        .delete_range(keys[1].clone(), keys[4999].clone())
        .await?;
    assert_eq!(subject.keys(subject.all()).await?, [&keys[0], &keys[4999]]);
    Ok(())
}
