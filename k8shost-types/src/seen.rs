//! What occurred before in a list: lists in objects may be long, and must not cost their square.

use std::{collections::HashSet, hash::Hash};

use serde_json::Value;

use crate::json::text;

const FEW: usize = 8;

/// A set that costs nothing while it is small, as most are.
pub(crate) struct Seen<T> {
    few: [Option<T>; FEW],
    count: usize,
    many: Option<HashSet<T>>,
}

impl<T: Eq + Hash> Seen<T> {
    pub(crate) fn new() -> Self {
        Self {
            few: [const { None }; FEW],
            count: 0,
            many: None,
        }
    }

    pub(crate) fn has(&self, item: &T) -> bool {
        match &self.many {
            Some(many) => many.contains(item),
            None => self.few[..self.count]
                .iter()
                .flatten()
                .any(|other| other == item),
        }
    }

    /// Notes an item; true when it is new.
    pub(crate) fn add(&mut self, item: T) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(item);
        }
        if self.has(&item) {
            return false;
        }
        if let Some(place) = self.few.get_mut(self.count) {
            *place = Some(item);
            self.count += 1;
            return true;
        }
        let mut many: HashSet<T> = self.few.iter_mut().filter_map(Option::take).collect();
        many.insert(item);
        self.many = Some(many);
        true
    }
}

impl<T: Eq + Hash> FromIterator<T> for Seen<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut seen = Self::new();
        for item in items {
            seen.add(item);
        }
        seen
    }
}

/// The items of a list by their names; of several with one name, the first.
pub(crate) struct ByName<'a> {
    sorted: Vec<(&'a str, &'a Value)>,
}

impl<'a> ByName<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        let at = self.sorted.partition_point(|(other, _)| *other < name);
        let (found, item) = self.sorted.get(at)?;
        (*found == name).then_some(*item)
    }
}

impl<'a> FromIterator<&'a Value> for ByName<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Value>>(items: I) -> Self {
        let mut sorted: Vec<_> = items
            .into_iter()
            .map(|item| (text(item, "name"), item))
            .collect();
        sorted.sort_by_key(|(name, _)| *name);
        Self { sorted }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn few_and_many_items_are_noted_once() {
        let mut seen = Seen::new();
        for number in 0..100 {
            assert!(!seen.has(&number));
            assert!(seen.add(number));
            assert!((0..=number).all(|other| seen.has(&other) && !seen.add(other)));
        }
    }

    #[test]
    fn items_are_found_by_name() {
        let items = [
            json!({"name": "b", "at": 0}),
            json!({"name": "a", "at": 1}),
            json!({"name": "b", "at": 2}),
            json!("none"),
        ];
        let by_name: ByName<'_> = items.iter().collect();
        assert_eq!(by_name.get("b"), Some(&items[0]));
        assert_eq!(by_name.get("a"), Some(&items[1]));
        assert_eq!(by_name.get("c"), None);
        assert_eq!(by_name.get(""), Some(&items[3]));
    }
}
