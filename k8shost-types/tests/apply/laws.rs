//! What holds for all objects and all configurations.

use std::collections::BTreeSet;

use k8shost_types::apply::{FieldSet, Managed, compare, fields};
use proptest::prelude::*;
use serde_json::Value;

use crate::toy::{ROOT, Random, apply, empty, owned, update};

fn paths(set: &FieldSet<'_>) -> BTreeSet<String> {
    set.paths().iter().map(ToString::to_string).collect()
}

/// The fields of an object that can be owned.
fn all(object: &Value) -> BTreeSet<String> {
    let mut all = paths(&fields(&ROOT, object));
    all.retain(|path| {
        ![".apiVersion", ".kind", ".metadata", ".metadata.name"].contains(&path.as_str())
            && !path.starts_with(".metadata.managedFields")
    });
    all
}

/// An object that some have applied to and some have written.
fn history(random: &mut Random) -> Value {
    let mut object = apply(None, "m0", 1, &random.config(), false).expect("creates");
    for second in 2..2 + random.below(4) {
        let manager = format!("m{}", random.below(3));
        object = if random.often(70) {
            apply(Some(&object), &manager, second, &random.config(), true).expect("is forced")
        } else {
            let mut new = random.config();
            new["metadata"]["managedFields"] = object["metadata"]["managedFields"].clone();
            update(Some(&object), &manager, second, new)
        };
    }
    object
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1 << 20, ..ProptestConfig::default() })]

    #[test]
    fn to_apply_again_changes_nothing(seed in any::<u64>()) {
        let mut random = Random(seed);
        let live = history(&mut random);
        let config = random.config();
        let once = apply(Some(&live), "a", 50, &config, true).expect("is forced");
        let twice = apply(Some(&once), "a", 51, &config, false).expect("is its own");
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn managers_of_disjoint_fields_never_conflict(seed in any::<u64>()) {
        let mut random = Random(seed);
        let (first, mut second) = (random.config(), random.config());
        // Of each field that both would set the first one has it.
        if let Value::Object(fields) = &mut second {
            fields.retain(|name, _| ["apiVersion", "kind", "metadata"].contains(&name.as_str())
                || first.get(name).is_none()
                || random.often(5));
        }
        // Nor does one set what holds a field of the other.
        let (p, q) = (all(&first), all(&second));
        let holds = |p: &BTreeSet<String>, q: &BTreeSet<String>| {
            p.iter().any(|above| q.iter().any(|below| below.starts_with(above.as_str())))
        };
        prop_assume!(!holds(&p, &q) && !holds(&q, &p));
        let object = apply(None, "a", 1, &first, false).expect("creates");
        let object = apply(Some(&object), "b", 2, &second, false);
        prop_assert!(object.is_ok(), "{:?}", object);
        let object = object.expect("no conflict");
        for (manager, config) in [("a", &first), ("b", &second)] {
            let mut expected: Vec<String> = all(config).into_iter().collect();
            expected.sort();
            prop_assert_eq!(owned(&object, manager), expected);
            prop_assert!(apply(Some(&object), manager, 3, config, false).is_ok());
        }
    }

    #[test]
    fn what_is_applied_is_there_and_owned(seed in any::<u64>()) {
        let mut random = Random(seed);
        let live = history(&mut random);
        let config = random.config();
        let object = apply(Some(&live), "a", 50, &config, true).expect("is forced");
        let mut expected: Vec<String> = all(&config).into_iter().collect();
        expected.sort();
        prop_assert_eq!(owned(&object, "a"), expected);
        let differs = compare(&ROOT, &config, &object);
        prop_assert!(differs.removed.is_empty(), "{:?}", differs.removed);
        prop_assert!(differs.modified.is_empty(), "{:?}", differs.modified);
    }

    #[test]
    fn an_empty_configuration_takes_out_what_it_alone_owned(seed in any::<u64>()) {
        let mut random = Random(seed);
        let live = history(&mut random);
        let live = apply(Some(&live), "a", 50, &random.config(), true).expect("is forced");
        let live = if random.often(60) {
            apply(Some(&live), "b", 51, &random.config(), true).expect("is forced")
        } else {
            live
        };
        let managed = Managed::of(&live);
        let (own, others): (Vec<_>, Vec<_>) =
            managed.0.iter().partition(|entry| entry.manager == "a");
        let others: BTreeSet<String> =
            others.iter().flat_map(|entry| paths(&entry.fields)).collect();
        let mut alone: BTreeSet<String> =
            own.iter().flat_map(|entry| paths(&entry.fields)).collect();
        alone.retain(|path| !others.contains(path));

        let object = apply(Some(&live), "a", 52, &empty(), false).expect("has no conflict");
        prop_assert!(owned(&object, "a").is_empty());
        let (before, after) = (all(&live), all(&object));
        for path in &others {
            prop_assert!(!before.contains(path) || after.contains(path), "{}", path);
        }
        for path in before.difference(&after) {
            // What nobody owns goes with what is above it, and so does an object that is empty.
            let unowned = !others.contains(path);
            let above = alone.iter().any(|above| path.starts_with(above.as_str()));
            let object = [".st", ".m", ".map", ".amap", ".structs", ".open", ".labels"]
                .iter()
                .any(|name| path.ends_with(name));
            prop_assert!(
                alone.contains(path) || unowned && (above || object),
                "{} went",
                path
            );
        }
        for path in alone.intersection(&after) {
            // Only what holds something that stays.
            let holds = after.iter().any(|below| below != path && below.starts_with(path.as_str()));
            prop_assert!(holds, "{} stayed", path);
        }
    }

    #[test]
    fn what_is_not_read_of_managed_fields_makes_no_difference(seed in any::<u64>()) {
        let mut random = Random(seed);
        let live = history(&mut random);
        prop_assume!(live["metadata"].get("managedFields").is_some());
        let mut new = if random.often(50) { live.clone() } else { random.config() };
        for (name, value) in random.config().as_object().into_iter().flatten() {
            if name != "metadata" && random.often(20) {
                new[name] = value.clone();
            }
        }
        new["metadata"]["managedFields"] = live["metadata"]["managedFields"].clone();
        // Not what is stored, and so read.
        let mut other = new.clone();
        other["metadata"]["managedFields"][0]["x"] = Value::Null;
        for manager in ["m0", "m1", "m2", "new"] {
            prop_assert_eq!(
                update(Some(&live), manager, 60, new.clone()),
                update(Some(&live), manager, 60, other.clone())
            );
        }
    }

    #[test]
    fn fields_v1_is_read_as_it_was_written(seed in any::<u64>()) {
        let config = Random(seed).config();
        let set = fields(&ROOT, &config);
        let value = set.to_value();
        prop_assert_eq!(&FieldSet::from_value(&value).expect("is FieldsV1"), &set);
        let json = set.to_json();
        let read: Value = serde_json::from_str(&json).expect("is JSON");
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(&FieldSet::from_value(&read).expect("is FieldsV1"), &set);
    }

    #[test]
    fn sets_are_sets(seed in any::<u64>()) {
        let mut random = Random(seed);
        let (a, b) = (random.config(), random.config());
        let (a, b) = (fields(&ROOT, &a), fields(&ROOT, &b));
        let (p, q) = (paths(&a), paths(&b));
        prop_assert_eq!(a.len(), p.len());
        let union: BTreeSet<String> = p.union(&q).cloned().collect();
        prop_assert_eq!(paths(&a.clone().union(b.clone())), union);
        let both: BTreeSet<String> = p.intersection(&q).cloned().collect();
        prop_assert_eq!(paths(&a.intersection(&b)), both.clone());
        prop_assert_eq!(a.intersects(&b), !both.is_empty());
        let less: BTreeSet<String> = p.difference(&q).cloned().collect();
        let difference = a.clone().difference(&b);
        prop_assert_eq!(paths(&difference), less.clone());
        prop_assert_eq!(difference.is_empty(), less.is_empty());
        prop_assert!(difference.is_subset(&a));
        prop_assert_eq!(a.is_subset(&b), p.is_subset(&q));
        for path in a.paths() {
            prop_assert!(a.contains(&path.0));
            prop_assert_eq!(b.contains(&path.0), q.contains(&path.to_string()));
        }
        let without = a.clone().recursive_difference(&b);
        prop_assert!(without.is_subset(&difference));
        prop_assert!(!without.intersects(&b));
        prop_assert!(a.clone().leaves().is_subset(&a));
        prop_assert!(a.difference(&without).union(without).paths().len() == p.len());
    }

    #[test]
    fn writes_of_anything_never_panic(seed in any::<u64>()) {
        let mut random = Random(seed);
        let mut live = history(&mut random);
        // Fields of any kind in any place, and managedFields too.
        for name in ["items", "st", "set", "map", "ports", "metadata", "list"] {
            if random.often(40) {
                live[name] = random.value(&ROOT);
            }
        }
        if random.often(30) {
            live["metadata"] = serde_json::json!({"managedFields": random.value(&ROOT)});
        }
        let new = random.config();
        let _ = update(Some(&live), "a", 1, new);
        let _ = apply(Some(&live), "a", 2, &random.config(), random.often(50));
        let _ = apply(None, "a", 2, &live, random.often(50));
    }
}
