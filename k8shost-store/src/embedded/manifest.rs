//! The library's manifests, which say what files a keyspace consists of. It does not check them, and it
//! takes a keyspace without one for one that was never finished, and removes it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

/// Finds what is wrong with the manifests of a store, if anything is.
pub(super) fn inspect(store: &Path) -> io::Result<Result<(), String>> {
    let mut begun = Vec::new();
    for keyspace in folders(&store.join("keyspaces"))? {
        match fs::read(keyspace.join("current")) {
            Ok(current) => {
                if let Err(detail) = check(&keyspace, &current)? {
                    return Ok(Err(detail));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => begun.push(keyspace),
            Err(error) => return Err(error),
        }
    }
    for keyspace in begun {
        // The first keyspace says what others there are.
        let first = keyspace.ends_with("0") && folders(&store.join("keyspaces"))?.len() > 1;
        if first || has_files(&keyspace.join("tables"))? || has_files(&keyspace.join("blobs"))? {
            return Ok(Err(format!(
                "{} has data, but no manifest",
                keyspace.display()
            )));
        }
    }
    Ok(Ok(()))
}

/// `current` names the manifest and its checksum.
fn check(keyspace: &Path, current: &[u8]) -> io::Result<Result<(), String>> {
    let parts = current.split_first_chunk::<8>().and_then(|(number, rest)| {
        let checksum = rest.first_chunk::<16>()?;
        Some((u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
    });
    let Some((number, checksum)) = parts else {
        return Ok(Err(format!(
            "{} is too short",
            keyspace.join("current").display()
        )));
    };
    let path = keyspace.join(format!("v{number}"));
    let wrong = |what: &str| Ok(Err(format!("manifest {} {what}", path.display())));
    match fs::read(&path) {
        Ok(manifest) if xxh3_128(&manifest) == checksum => Ok(Ok(())),
        Ok(_) => wrong("has a wrong checksum"),
        Err(error) if error.kind() == ErrorKind::NotFound => wrong("is missing"),
        Err(error) => Err(error),
    }
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    entries(path)?
        .filter(|path| path.as_ref().map_or(true, |path| path.is_dir()))
        .collect()
}

fn has_files(path: &Path) -> io::Result<bool> {
    Ok(entries(path)?.next().transpose()?.is_some())
}

/// Nothing, where there is no such folder.
fn entries(path: &Path) -> io::Result<impl Iterator<Item = io::Result<PathBuf>>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(entries.into_iter().flatten().map(|entry| Ok(entry?.path())))
}
