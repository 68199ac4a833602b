//! Names and their values in one piece: a state keeps some for every object.

use std::fmt;

/// Pairs of a name and a value, sorted by name; names occur once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Name, value, name, value…
    text: Box<str>,
    /// Where each of them ends.
    ends: Box<[u32]>,
}

impl Pairs {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let (found, value) = self.at(middle);
            match found.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// All pairs, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        (0..self.len()).map(|index| self.at(index))
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes they take.
    pub(crate) fn size(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }

    fn at(&self, index: usize) -> (&str, &str) {
        let end = |at: usize| self.ends[at] as usize;
        let start = (2 * index).checked_sub(1).map_or(0, end);
        let (middle, end) = (end(2 * index), end(2 * index + 1));
        (&self.text[start..middle], &self.text[middle..end])
    }
}

/// Of several values of a name, the last counts.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        pairs.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(2 * pairs.len()));
        for (index, (name, value)) in pairs.iter().enumerate() {
            let next = pairs.get(index + 1);
            if next.is_some_and(|(next, _)| next.as_ref() == name.as_ref()) {
                continue;
            }
            for part in [name.as_ref(), value.as_ref()] {
                text.push_str(part);
                // An object has less than that, by far.
                ends.push(u32::try_from(text.len()).expect("less than 4 GiB of text"));
            }
        }
        Self {
            text: text.into(),
            ends: ends.into(),
        }
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn they_are_a_map() {
        for pairs in [
            vec![],
            vec![("", "")],
            vec![("app", "web")],
            vec![
                ("b", "2"),
                ("", "empty"),
                ("a", ""),
                ("c", "drei"),
                ("ä", "ö"),
            ],
            vec![("a", "1"), ("b", "2"), ("a", "3")],
        ] {
            let map: BTreeMap<&str, &str> = pairs.iter().copied().collect();
            let made: Pairs = pairs.into_iter().collect();
            assert_eq!(made.len(), map.len());
            assert_eq!(made.is_empty(), map.is_empty());
            assert!(made.iter().eq(map.iter().map(|(n, v)| (*n, *v))));
            for name in ["", "a", "aa", "app", "b", "c", "z", "ä"] {
                assert_eq!(made.get(name), map.get(name).copied());
            }
        }
    }

    #[test]
    fn the_same_pairs_are_equal_in_any_order() {
        let one: Pairs = [("a", "1"), ("b", "2")].into_iter().collect();
        let other: Pairs = [("b", "2"), ("a", "1")].into_iter().collect();
        assert_eq!(one, other);
        // The same text, cut differently.
        let third: Pairs = [("a1", ""), ("b", "2")].into_iter().collect();
        assert_ne!(one, third);
    }
}
