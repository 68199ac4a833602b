//! The library's journal files, where more care is needed than the library takes.
//!
//! A journal is a row of batches: a start (how many items follow), the items, an end (their checksum).
//! The file is made at its full length, so that there are zeros behind the last batch.
//!
//! At the first thing that makes no sense the library takes the journal to end, and cuts it off there:
//! right where a write was torn by a crash, and a loss without a word where a byte went wrong in what was
//! durable long before. And it refuses to open a store whose last write was torn in such a way that only
//! its checksum tells. So the journals are read before it does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::store::{is_floor, is_log};

const CHUNK: usize = 1 << 18;

/// What a disk writes whole.
const SECTOR: usize = 512;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// A kind of item.
const PUT: u8 = 0;
const TRAILER: [u8; 4] = *b"FJL\x03";

/// What is wrong with a journal.
pub(super) enum Fault {
    Io(PathBuf, io::Error),
    Damaged(String),
}

/// Reads all journals: what was durable has to be there. A torn end is cut off.
pub(super) fn inspect(store: &Path) -> Result<(), Fault> {
    let journals = list(store).map_err(|error| Fault::Io(store.to_owned(), error))?;
    let last = journals.len().saturating_sub(1);
    let mut highest = 0;
    for (index, path) in journals.iter().enumerate() {
        let failed = |error| Fault::Io(path.clone(), error);
        let mut reader = BufReader::with_capacity(CHUNK, File::open(path).map_err(failed)?);
        let mut end = 0;
        while let Read::Batch(batch) = read_batch(&mut reader).map_err(failed)? {
            // The checksum does not cover it, and by it recovery tells what is in a table already.
            if batch.number < highest {
                let detail = format!("journal {} is out of order at byte {end}", path.display());
                return Err(Fault::Damaged(detail));
            }
            highest = batch.number;
            end += batch.length;
        }
        let rest = rest(reader.get_mut(), end).map_err(failed)?;
        if rest.is_empty() {
            continue;
        }
        // Another journal is begun after the one before it was synced.
        if index < last || !is_torn(&rest) {
            let detail = format!(
                "journal {} can't be read from byte {end} on",
                path.display()
            );
            return Err(Fault::Damaged(detail));
        }
        tracing::warn!(journal = %path.display(), end, "cut off a write that was never finished");
        let cut = || -> io::Result<()> {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(end)?;
            file.sync_all()
        };
        cut().map_err(failed)?;
    }
    Ok(())
}

/// What follows after `end`, without the zeros at its end.
fn rest(file: &mut File, end: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(end))?;
    let mut chunk = vec![0; CHUNK];
    let (mut rest, mut zeros) = (Vec::new(), 0);
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return Ok(rest);
        }
        let used = chunk[..length]
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        if used > 0 {
            rest.resize(rest.len() + zeros, 0);
            rest.extend_from_slice(&chunk[..used]);
            zeros = 0;
        }
        zeros += length - used;
    }
}

/// Whether these bytes, which begin with something that is no batch, can be what a crash has left of
/// writes that were not synced.
fn is_torn(rest: &[u8]) -> bool {
    let ends = rest
        .windows(TRAILER.len())
        .enumerate()
        .filter(|(_, window)| *window == TRAILER);
    let mut is_cut_off = matches!(read_batch(&mut &*rest), Ok(Read::Cut));
    for (at, _) in ends {
        is_cut_off = false;
        let mut after = &rest[at + TRAILER.len()..];
        while let Ok(Read::Batch(batch)) = read_batch(&mut after) {
            // Whatever was written after a synced batch was written after the sync, and that made
            // everything before it durable.
            if batch.synced && !after.is_empty() {
                return false;
            }
        }
    }
    // The end of the last write is missing, or some sector, where there are zeros then.
    is_cut_off
        || rest
            .windows(SECTOR)
            .any(|window| window.iter().all(|byte| *byte == 0))
}

enum Read {
    Batch(Batch),
    /// A batch may begin here, but there is no more of it.
    Cut,
    /// No batch begins here.
    Wrong,
}

struct Batch {
    length: u64,
    /// Later batches have higher ones.
    number: u64,
    /// Whether it was written by a compare-and-swap.
    synced: bool,
}

fn read_batch(reader: &mut impl io::Read) -> io::Result<Read> {
    match read_whole_batch(reader) {
        Ok(Some(batch)) => Ok(Read::Batch(batch)),
        Ok(None) => Ok(Read::Wrong),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Read::Cut),
        Err(error) => Err(error),
    }
}

fn read_whole_batch(reader: &mut impl io::Read) -> io::Result<Option<Batch>> {
    let [tag, c0, c1, c2, c3, number @ ..] = take::<13>(reader)?;
    if tag != START {
        return Ok(None);
    }
    let (mut length, mut synced) = (13, false);
    let mut hasher = Xxh3::new();
    for _ in 0..u32::from_le_bytes([c0, c1, c2, c3]) {
        match take::<1>(reader)? {
            [CLEAR] => {
                hasher.update(&[CLEAR]);
                hasher.update(&take::<8>(reader)?);
                length += 9;
            }
            [ITEM] => {
                // Kind, compression, keyspace (8 bytes), and the lengths of the key (2), of the value (4)
                // and of the value as it stands here (4).
                let head = take::<20>(reader)?;
                hasher.update(&[ITEM]);
                hasher.update(&head);
                let [
                    kind,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    k0,
                    k1,
                    _,
                    _,
                    _,
                    _,
                    value @ ..,
                ] = head;
                let value = u32::from_le_bytes(value);
                let mut key = vec![0; usize::from(u16::from_le_bytes([k0, k1]))];
                reader.read_exact(&mut key)?;
                hasher.update(&key);
                synced |= kind == PUT && (is_log(&key) || is_floor(&key));
                hash(reader, value.into(), &mut hasher)?;
                length += 21 + key.len() as u64 + u64::from(value);
            }
            _ => return Ok(None),
        }
    }
    let [tag, c @ .., t0, t1, t2, t3] = take::<13>(reader)?;
    let checksum = u64::from_le_bytes(c);
    let whole = tag == END && checksum == hasher.digest() && [t0, t1, t2, t3] == TRAILER;
    let number = u64::from_le_bytes(number);
    Ok(whole.then_some(Batch {
        length: length + 13,
        number,
        synced,
    }))
}

fn take<const N: usize>(reader: &mut impl io::Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn hash(reader: &mut impl io::Read, mut length: u64, hasher: &mut Xxh3) -> io::Result<()> {
    let mut chunk = [0; 4096];
    while length > 0 {
        let part = &mut chunk[..length.min(4096) as usize];
        reader.read_exact(part)?;
        hasher.update(part);
        length -= part.len() as u64;
    }
    Ok(())
}

/// Replaces the journal that was being written by a durable copy.
///
/// After an fsync failed, the kernel may hold pages that it takes for written and that are not on the
/// disk; another fsync of the same file would succeed and prove nothing. The copy is what can be read
/// now, and will be read by whoever opens the store, after a crash too.
pub(super) fn renew(store: &Path) -> io::Result<()> {
    let Some(path) = list(store)?.pop() else {
        return Ok(());
    };
    let copy = path.with_extension("copy");
    let mut from = File::open(&path)?;
    let mut to = File::create(&copy)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk)?;
        let read = &chunk[..length];
        if read.is_empty() {
            break;
        }
        // What was not written yet takes no room, and is to take none.
        if read.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(length as i64))?;
        } else {
            to.write_all(read)?;
        }
    }
    to.set_len(from.metadata()?.len())?;
    to.sync_all()?;
    fs::rename(&copy, &path)?;
    File::open(store)?.sync_all()
}

/// The journals in the order in which they were written.
fn list(store: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|stem| stem.parse().ok());
        if is_journal && let Some(number) = number {
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}
