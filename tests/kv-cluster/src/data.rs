//! The pairs themselves, in memory, and in an append-only file where they must survive a restart.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// One change of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    /// From the first key, to just before the second; an empty second key means the end.
    DeleteRange(Vec<u8>, Vec<u8>),
}

impl Write {
    /// Its kind in the file, and its two fields.
    fn fields(&self) -> (u8, &[u8], &[u8]) {
        match self {
            Write::Put(key, value) => (0, key, value),
            Write::Delete(key) => (1, key, &[]),
            Write::DeleteRange(start, end) => (2, start, end),
        }
    }

    /// The bytes that it adds to a raft entry.
    pub(crate) fn size(&self) -> usize {
        let (_, first, second) = self.fields();
        9 + first.len() + second.len()
    }

    /// The key, or the first key, that it touches.
    pub(crate) fn key(&self) -> &[u8] {
        self.fields().1
    }
}

/// All pairs of the cluster. What a store holds is the part in its regions.
#[derive(Debug, Default)]
pub(crate) struct Data {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    log: Option<File>,
}

const RECORD_HEADER: usize = 12;

impl Data {
    /// Opens or makes the file: reads what is whole, writes it anew without what is dead.
    pub(crate) fn open(folder: &Path) -> io::Result<Data> {
        let path = folder.join("data.log");
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(mut file) => {
                file.read_to_end(&mut bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut data = Data::default();
        let mut rest = bytes.as_slice();
        // The last record may be torn: it was never acknowledged.
        while let Some((writes, after)) = read_record(rest) {
            for write in writes {
                data.change(write);
            }
            rest = after;
        }
        data.log = Some(data.rewrite(&path)?);
        Ok(data)
    }

    fn rewrite(&self, path: &Path) -> io::Result<File> {
        let new: PathBuf = path.with_extension("new");
        let mut file = io::BufWriter::new(File::create(&new)?);
        for (key, value) in &self.map {
            file.write_all(&record(&[Write::Put(key.clone(), value.clone())]))?;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?;
        std::fs::rename(&new, path)?;
        OpenOptions::new().append(true).open(path)
    }

    /// Applies the writes together. They outlive the process, not the machine: there is no fsync.
    pub(crate) fn apply(&mut self, writes: Vec<Write>) -> io::Result<()> {
        if let Some(log) = &mut self.log {
            log.write_all(&record(&writes))?;
        }
        for write in writes {
            self.change(write);
        }
        Ok(())
    }

    fn change(&mut self, write: Write) {
        match write {
            Write::Put(key, value) => {
                self.map.insert(key, value);
            }
            Write::Delete(key) => {
                self.map.remove(&key);
            }
            Write::DeleteRange(start, end) => {
                let keys: Vec<Vec<u8>> = self
                    .range(&start, &end)
                    .map(|(key, _)| key.clone())
                    .collect();
                for key in keys {
                    self.map.remove(&key);
                }
            }
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Vec<u8>> {
        self.map.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// The pairs from `start` to just before `end`; an empty `end` means the end.
    pub(crate) fn range(
        &self,
        start: &[u8],
        end: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&Vec<u8>, &Vec<u8>)> {
        let upper = match end {
            [] => Bound::Unbounded,
            // BTreeMap panics on a range that ends before it starts.
            end => Bound::Excluded(end.max(start)),
        };
        let lower = if start.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Included(start)
        };
        self.map.range::<[u8], _>((lower, upper))
    }
}

fn record(writes: &[Write]) -> Vec<u8> {
    let size: usize = writes.iter().map(Write::size).sum();
    let mut bytes = Vec::with_capacity(RECORD_HEADER + size);
    bytes.extend((size as u32).to_le_bytes());
    bytes.extend([0; 8]);
    for write in writes {
        let (kind, first, second) = write.fields();
        bytes.push(kind);
        for field in [first, second] {
            bytes.extend((field.len() as u32).to_le_bytes());
            bytes.extend(field);
        }
    }
    let sum = xxh3_64(&bytes[RECORD_HEADER..]);
    bytes[4..RECORD_HEADER].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn read_record(bytes: &[u8]) -> Option<(Vec<Write>, &[u8])> {
    let (size, rest) = read_u32(bytes)?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let (mut payload, rest) = rest.split_at_checked(size)?;
    if xxh3_64(payload) != u64::from_le_bytes(*sum) {
        return None;
    }
    let mut writes = Vec::new();
    while let Some((kind, fields)) = payload.split_first() {
        let (first, fields) = read_field(fields)?;
        let (second, fields) = read_field(fields)?;
        writes.push(match kind {
            0 => Write::Put(first, second),
            1 => Write::Delete(first),
            _ => Write::DeleteRange(first, second),
        });
        payload = fields;
    }
    Some((writes, rest))
}

fn read_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*size) as usize, rest))
}

fn read_field(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (size, rest) = read_u32(bytes)?;
    let (field, rest) = rest.split_at_checked(size)?;
    Some((field.to_vec(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Write {
        Write::Put(key.into(), value.into())
    }

    #[test]
    fn a_folder_keeps_what_was_applied_and_forgets_a_torn_record() {
        let folder = tempfile::tempdir().unwrap();
        let mut data = Data::open(folder.path()).unwrap();
        data.apply(vec![put("a", "1"), put("b", "2"), put("c", "3")])
            .unwrap();
        data.apply(vec![Write::Delete("b".into())]).unwrap();
        data.apply(vec![put("d", "4"), put("e", "5")]).unwrap();
        data.apply(vec![Write::DeleteRange("c".into(), "e".into())])
            .unwrap();
        drop(data);
        let path = folder.path().join("data.log");
        let mut torn = record(&[put("f", "6")]);
        torn.pop();
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&torn).unwrap();
        for _ in 0..2 {
            let data = Data::open(folder.path()).unwrap();
            let keys: Vec<&[u8]> = data
                .range(b"", b"")
                .map(|(key, _)| key.as_slice())
                .collect();
            assert_eq!(keys, [b"a", b"e"]);
        }
    }

    #[test]
    fn an_empty_range_is_empty_also_backwards() {
        let mut data = Data::default();
        data.apply(vec![put("a", "1")]).unwrap();
        assert_eq!(data.range(b"b", b"a").count(), 0);
        assert_eq!(data.range(b"a", b"a").count(), 0);
        assert_eq!(data.range(b"a", b"").count(), 1);
    }
}
