//! Single keys and their values.

use bytes::Bytes;

use super::{Done, Subject, found, number_of, value_of};
use crate::kv::Swap;

/// A key that was never written is absent, however it is read, and deleting it does nothing.
pub async fn absent_keys_have_no_value(subject: &Subject) -> Done {
    let key = subject.key("pods/default/nobody");
    assert_eq!(subject.kv.get(key.clone()).await?, None);
    assert_eq!(
        subject
            .kv
            .batch_get(vec![key.clone(), subject.log_key(1)])
            .await?,
        [None, None]
    );
    assert_eq!(subject.scan(subject.all(), 10).await?, []);
    assert_eq!(subject.kv.batch_get(vec![]).await?, []);
    subject.kv.write(vec![(key.clone(), None)]).await?;
    subject.kv.write(vec![]).await?;
    subject
        .kv
        .delete_range(subject.all().start, subject.all().end)
        .await?;
    assert_eq!(subject.kv.get(key).await?, None);
    Ok(())
}

/// Writes put and delete whatever was there before.
pub async fn writes_put_and_delete(subject: &Subject) -> Done {
    let [a, b, c] = ["a", "b", "c"].map(|name| subject.key(name));
    subject
        .put([(a.clone(), "1".into()), (b.clone(), "2".into())])
        .await?;
    subject
        .kv
        .write(vec![
            (b.clone(), Some("3".into())),
            (a.clone(), None),
            (c.clone(), Some("4".into())),
        ])
        .await?;
    let all = subject.scan(subject.all(), 10).await?;
    assert_eq!(all, [(b.clone(), "3".into()), (c.clone(), "4".into())]);
    subject.kv.write(vec![(b, None), (c, None)]).await?;
    assert_eq!(subject.scan(subject.all(), 10).await?, []);
    subject.put([(a.clone(), "5".into())]).await?;
    assert_eq!(subject.kv.get(a).await?, Some("5".into()));
    Ok(())
}

/// The values of a batch get stand where their keys stood, repeated and absent ones too.
pub async fn batch_get_answers_in_order(subject: &Subject) -> Done {
    let keys: Vec<Bytes> = (0..300)
        .map(|number| subject.key(format!("{number:03}")))
        .collect();
    let even = keys.iter().step_by(2).map(|key| (key.clone(), key.clone()));
    subject.put(even).await?;
    let asked: Vec<usize> = (0..300).rev().chain([7, 8, 8, 299, 0]).collect();
    let values = subject
        .kv
        .batch_get(asked.iter().map(|index| keys[*index].clone()).collect())
        .await?;
    let expected: Vec<Option<Bytes>> = asked
        .iter()
        .map(|index| (index % 2 == 0).then(|| keys[*index].clone()))
        .collect();
    assert_eq!(values, expected);
    Ok(())
}

/// Values may have 4 MiB.
pub async fn large_values(subject: &Subject) -> Done {
    for (number, length) in [(1, 1 << 20), (2, 3 << 19), (3, 4 << 20)] {
        let (log, object) = (
            subject.log_key(number),
            subject.key(format!("big-{number}")),
        );
        let value = value_of(number, length);
        let swap = subject
            .kv
            .compare_and_swap(log.clone(), None, value.clone())
            .await?;
        assert_eq!(swap, Swap::Swapped);
        subject.put([(object.clone(), value.clone())]).await?;
        let found = subject
            .kv
            .compare_and_swap(log.clone(), None, "x".into())
            .await?;
        assert!(found == Swap::Found(Some(value.clone())));
        let values = subject.kv.batch_get(vec![object, log]).await?;
        assert!(values == [Some(value.clone()), Some(value)]);
    }
    let numbers = subject.scan(subject.all(), 10).await?;
    assert!(
        numbers
            .iter()
            .map(|(_, value)| number_of(value))
            .eq([1, 2, 3, 1, 2, 3])
    );
    Ok(())
}

/// Keys may have 4 KiB.
pub async fn long_keys(subject: &Subject) -> Done {
    let fill = 4096 - subject.prefix.len();
    let keys = [fill - 1, fill].map(|length| subject.key("k".repeat(length)));
    subject
        .put(keys.iter().map(|key| (key.clone(), "v".into())))
        .await?;
    let swapped = subject.key("s".repeat(fill));
    assert_eq!(subject.swap(&swapped, None, "v").await?, Swap::Swapped);
    assert_eq!(subject.swap(&swapped, None, "v").await?, found("v"));
    assert_eq!(subject.kv.get(keys[1].clone()).await?, Some("v".into()));
    assert_eq!(
        subject.keys(subject.all()).await?,
        [&keys[0], &keys[1], &swapped]
    );
    subject
        .kv
        .delete_range(keys[0].clone(), keys[1].clone())
        .await?;
    assert_eq!(subject.keys(subject.all()).await?, [&keys[1], &swapped]);
    Ok(())
}
