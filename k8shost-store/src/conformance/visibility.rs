//! What is seen while others write.

use futures::future::try_join_all;

use super::{Done, Subject, number_of, value_of};
use crate::kv::Swap;

/// What was answered is seen by every read that begins afterwards, whoever else is writing.
pub async fn answered_writes_are_visible(subject: &Subject) -> Done {
    let write = async |writer: u64| {
        let object = subject.key(format!("pods/{writer:02}"));
        for round in 1..=20 {
            let log = subject.log_key(round << 32 | writer);
            let value = value_of(round, 700);
            let swap = subject
                .kv
                .compare_and_swap(log.clone(), None, value.clone())
                .await?;
            assert_eq!(swap, Swap::Swapped);
            assert_eq!(subject.kv.get(log.clone()).await?.as_ref(), Some(&value));
            subject.put([(object.clone(), value.clone())]).await?;
            let values = subject.kv.batch_get(vec![object.clone(), log]).await?;
            assert_eq!(values, [Some(value.clone()), Some(value.clone())]);
            let end = [&object, &b"\0"[..]].concat().into();
            let page = subject.kv.scan(object.clone(), end, 10).await?;
            assert_eq!(page, [(object.clone(), value)]);
            if round % 5 == 0 {
                subject.kv.write(vec![(object.clone(), None)]).await?;
                assert_eq!(subject.kv.get(object.clone()).await?, None);
            }
        }
        Ok(())
    };
    try_join_all((0..64).map(write)).await?;
    assert_eq!(subject.keys(subject.all()).await?.len(), 20 * 64);
    Ok(())
}

/// A reader sees whole values, and never an older one after a newer.
pub async fn readers_see_whole_values_in_order(subject: &Subject) -> Done {
    const LAST: u64 = 200;
    let key = subject.key("@floor");
    let write = async {
        let mut value = None;
        for number in 1..=LAST {
            let new = value_of(number, 40 * number as usize);
            let swap = subject
                .kv
                .compare_and_swap(key.clone(), value.replace(new.clone()), new)
                .await?;
            assert_eq!(swap, Swap::Swapped);
        }
        Ok(())
    };
    let read = async |scanning: bool| {
        let mut seen = 0;
        while seen < LAST {
            let value = match scanning {
                true => subject
                    .scan(subject.all(), 10)
                    .await?
                    .pop()
                    .map(|(_, value)| value),
                false => subject.kv.get(key.clone()).await?,
            };
            let number = value.map_or(0, |value| number_of(&value));
            assert!(number >= seen, "{number} after {seen}");
            seen = number;
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    futures::try_join!(write, read(false), read(true))?;
    Ok(())
}
