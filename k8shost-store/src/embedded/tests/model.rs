//! Random work beside a map that does the same, with everything flushed and merged all the time, and the
//! store opened again now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn key(&mut self) -> Bytes {
        match self.below(3) {
            0 => log_key(self.below(60)),
            1 => floor(),
            _ => pod(self.below(200)),
        }
    }

    fn value(&mut self) -> Bytes {
        let length = match self.below(10) {
            0 => 20_000 + self.below(60_000),
            1..4 => 1 + self.below(60),
            _ => 500 + self.below(3000),
        };
        value(self.below(u64::MAX), length as usize)
    }
}

async fn work(seed: u64, steps: usize) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        settle_interval: Duration::from_millis(3),
        ..without_memory()
    };
    let mut kv = open(folder.path(), &options);
    let mut map: BTreeMap<Bytes, Bytes> = BTreeMap::new();
    let mut random = Random(seed);
    for step in 0..steps {
        match random.below(100) {
            0..35 => {
                let (key, new) = (random.key(), random.value());
                let found = map.get(&key).cloned();
                let expected = if random.below(4) == 0 {
                    None
                } else {
                    found.clone()
                };
                let swap = kv
                    .compare_and_swap(key.clone(), expected.clone(), new.clone())
                    .await
                    .unwrap();
                if expected == found {
                    assert_eq!(swap, Swap::Swapped);
                    map.insert(key, new);
                } else {
                    assert!(swap == Swap::Found(found), "seed {seed}, step {step}");
                }
            }
            35..65 => {
                let writes: Vec<_> = (0..1 + random.below(30))
                    .map(|_| (random.key(), (random.below(3) > 0).then(|| random.value())))
                    .collect();
                for (key, value) in &writes {
                    match value {
                        Some(value) => map.insert(key.clone(), value.clone()),
                        None => map.remove(key),
                    };
                }
                kv.write(writes).await.unwrap();
            }
            65..72 => {
                let (a, b) = (random.key(), random.key());
                kv.delete_range(a.clone(), b.clone()).await.unwrap();
                map.retain(|key, _| !(a <= *key && *key < b));
            }
            72..90 => {
                let keys: Vec<Bytes> = (0..10).map(|_| random.key()).collect();
                let values = kv.batch_get(keys.clone()).await.unwrap();
                let expected: Vec<_> = keys.iter().map(|key| map.get(key).cloned()).collect();
                assert!(values == expected, "seed {seed}, step {step}");
            }
            90..97 => {
                let (a, b) = (random.key(), random.key());
                let page = kv
                    .scan(a.clone(), b.clone(), 1 + random.below(50) as usize)
                    .await
                    .unwrap();
                let expected = map.iter().filter(|(key, _)| a <= **key && **key < b);
                assert!(
                    page.iter()
                        .map(|(key, value)| (key, value))
                        .eq(expected.take(page.len()))
                );
            }
            _ => {
                drop(kv);
                kv = open(folder.path(), &options);
            }
        }
    }
    let mut pairs: Vec<(Bytes, Bytes)> = Vec::new();
    loop {
        let start = pairs
            .last()
            .map_or("a".into(), |(key, _)| [key, &b"\0"[..]].concat().into());
        let page = kv.scan(start, "z".into(), 100).await.unwrap();
        if page.is_empty() {
            break;
        }
        pairs.extend(page);
    }
    assert!(pairs.into_iter().eq(map), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_work_is_what_a_map_would_do() {
    let seeds = (1..=8).map(|seed| tokio::spawn(work(seed, 400)));
    for seed in futures::future::join_all(seeds).await {
        seed.unwrap();
    }
}
