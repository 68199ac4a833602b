//! Pages of a scan, of what the client returns for a range: each region's first pairs, in any order.

use bytes::Bytes;
use tikv_client::KvPair;

use crate::kv::{KvError, Pair};

/// A page has about so many bytes at most, unless a single value is larger.
pub(super) const PAGE_BYTES: usize = 4 << 20;
/// So many pairs are asked for at first, until it is known how large they are, and at most.
const FIRST: usize = 16;
const MOST: usize = 1024;

/// How many pairs to ask for next.
#[derive(Debug)]
pub(super) struct Size {
    most: usize,
    next: usize,
}

impl Size {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            most: MOST,
            next: FIRST.min(limit),
        }
    }

    /// How many to ask for.
    pub(super) fn ask(&self) -> usize {
        self.next
    }

    /// The answer would be too large. Whether fewer can be asked for.
    pub(super) fn shrink(&mut self) -> bool {
        let can = self.next > 1;
        self.next = (self.next / 4).max(1);
        self.most = self.next;
        can
    }

    /// What there is of the page now. `false`: it is full.
    pub(super) fn grow(&mut self, pairs: usize, bytes: usize, limit: usize) -> bool {
        let room = PAGE_BYTES.saturating_sub(bytes);
        let average = (bytes / pairs.max(1)).max(1);
        self.next = (room / average)
            .clamp(1, self.most)
            .min(limit.saturating_sub(pairs));
        room > 0 && self.next > 0
    }
}

/// The first `limit` pairs of a range, in order and without the prefix of their keys, from what was
/// returned for it: the first `limit` or more of each region.
///
/// What can't be an answer is refused.
pub(super) fn page(
    found: Vec<KvPair>,
    (start, end): (&[u8], &[u8]),
    limit: usize,
    prefix: usize,
) -> Result<Vec<Pair>, KvError> {
    let refuse = |key: &[u8], detail: &str| KvError::Corrupt {
        key: String::from_utf8_lossy(key).into_owned(),
        detail: detail.to_owned(),
    };
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = found
        .into_iter()
        .map(|KvPair(key, value)| (key.into(), value))
        .collect();
    pairs.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    if let Some([(key, _), _]) = pairs
        .array_windows()
        .find(|[(one, _), (other, _)]| one == other)
    {
        return Err(refuse(key, "a scan has found it twice"));
    }
    let outside = |key: &[u8]| key < start || key >= end;
    if let Some((key, _)) = pairs.iter().find(|(key, _)| outside(key)) {
        return Err(refuse(key, "a scan of other keys has found it"));
    }
    pairs.truncate(limit);
    let own = |(key, value): (Vec<u8>, Vec<u8>)| (Bytes::from(key).slice(prefix..), value.into());
    Ok(pairs.into_iter().map(own).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(keys: &[&str]) -> Vec<KvPair> {
        let pair = |key: &&str| KvPair((*key).to_owned().into(), key.as_bytes().to_vec());
        keys.iter().map(pair).collect()
    }

    fn keys(found: &[&str], limit: usize) -> Result<Vec<String>, KvError> {
        let page = page(pairs(found), (b"p/b", b"p/y"), limit, 2)?;
        let text = |(key, _): Pair| String::from_utf8(key.to_vec()).unwrap();
        Ok(page.into_iter().map(text).collect())
    }

    #[test]
    fn regions_in_any_order_make_a_page_in_order() {
        assert_eq!(
            keys(&["p/m", "p/n", "p/b", "p/c"], 3).unwrap(),
            ["b", "c", "m"]
        );
        assert_eq!(keys(&[], 3).unwrap(), [""; 0]);
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        for wrong in ["p/a", "p/y", "q"] {
            let error = keys(&["p/c", wrong], 3).unwrap_err();
            assert!(matches!(error, KvError::Corrupt { key, .. } if key == wrong));
        }
    }

    #[test]
    fn what_is_there_twice_is_refused() {
        let error = keys(&["p/d", "p/c", "p/d"], 1).unwrap_err();
        assert!(matches!(error, KvError::Corrupt { key, .. } if key == "p/d"));
    }

    #[test]
    fn pages_are_asked_for_by_size() {
        let mut size = Size::new(2048);
        assert_eq!(size.ask(), 16);
        assert!(size.grow(16, 16 * 8192, 2048));
        assert_eq!(size.ask(), 496);
        assert!(!size.grow(512, 512 * 8192, 2048));
        let mut size = Size::new(10);
        assert_eq!(size.ask(), 10);
        assert!(size.shrink());
        assert_eq!(size.ask(), 2);
        assert!(size.grow(2, 20, 10));
        assert_eq!(size.ask(), 2);
        assert!(size.shrink() && !size.shrink());
        assert!(!Size::new(10).grow(10, 20, 10));
    }
}
