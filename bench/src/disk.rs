//! The disk by itself: appending a record and making it durable, one after another.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;

use crate::load::{histogram, micros};

/// No more than this is written: a disk may have a budget that the scenarios are to find unspent.
const MOST: usize = 32 << 20;

/// Appends and syncs records of this size, for this time at the most.
pub(crate) fn append_and_sync(
    folder: &Path,
    size: usize,
    run: Duration,
) -> anyhow::Result<Histogram<u64>> {
    let path = folder.join("append");
    let failed = || format!("cannot append to {}", path.display());
    let record: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
    let mut file = File::create(&path).with_context(failed)?;
    let mut latencies = histogram();
    let begin = Instant::now();
    for _ in 0..MOST / size {
        if begin.elapsed() >= run {
            break;
        }
        let started = Instant::now();
        file.write_all(&record)
            .and_then(|()| file.sync_data())
            .with_context(failed)?;
        latencies.saturating_record(micros(started.elapsed()));
    }
    fs::remove_file(&path).with_context(failed)?;
    Ok(latencies)
}

/// The type of the file system that a folder is in: `ext4`, `tmpfs`.
pub(crate) fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    // Of mounts in one place, the last one is seen.
    let mounts = mounts.filter(|(place, _)| folder.starts_with(place));
    mounts
        .max_by_key(|(place, _)| place.len())
        .map(|(_, kind)| kind.to_owned())
}
