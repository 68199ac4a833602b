//! The library's journal files, where it has to be done better than the library does.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const CHUNK: usize = 1 << 20;

/// Replaces the journal that was being written by a durable copy.
///
/// After an fsync failed, the kernel may hold pages that it takes for written and that are not on the
/// disk; another fsync of the same file would succeed and prove nothing. The copy is what can be read
/// now, and will be read by whoever opens the store, after a crash too.
pub(super) fn renew(store: &Path) -> io::Result<()> {
    let Some(path) = last(store)? else {
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
        // A journal is made at its full length: what was not written yet takes no room, and is to take none.
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

/// The journal with the highest number: older ones were synced before it was begun.
fn last(store: &Path) -> io::Result<Option<PathBuf>> {
    let mut last: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        let number = match (path.file_stem(), path.extension()) {
            (Some(stem), Some(extension)) if extension == "jnl" => {
                stem.to_str().and_then(|stem| stem.parse().ok())
            }
            _ => None,
        };
        if let Some(number) = number
            && last.as_ref().is_none_or(|(highest, _)| number > *highest)
        {
            last = Some((number, path));
        }
    }
    Ok(last.map(|(_, path)| path))
}
