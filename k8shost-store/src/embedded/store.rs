//! The LSM store as this crate uses it: two keyspaces in one database, and how they are read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::CompressionPolicy;
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions,
    OwnedWriteBatch, PersistMode, Readable, Slice,
};

use super::Options;
use super::rows::{self, Failure, Rows};
use crate::kv::{KvError, Pair};

/// A page of a scan ends after about this many bytes, whatever its limit.
const PAGE_BYTES: usize = 2 << 20;

/// Values from this size on are handed out as they were read; smaller ones are copied, for a block of
/// many values would otherwise stay in memory for as long as one of them is used.
const LARGE_BYTES: usize = 16 << 10;

const MAX_KEY_BYTES: usize = u16::MAX as usize;

/// An open store. All of it must be gone before the same files are opened again.
pub(super) struct Store {
    database: Database,
    /// Batches of the tenants' logs: large, written once, deleted minutes later about in order.
    logs: Keyspace,
    /// All else: the objects, which stay, and the floors.
    objects: Keyspace,
    memtable_bytes: u64,
}

/// How a keyspace lies on the disk. It is fixed when the keyspace is made.
fn layout(
    options: &Options,
    separate_from: u32,
    compression: CompressionType,
) -> KeyspaceCreateOptions {
    // Values stand in files of their own, and the tree is an index to them: a compaction, which has to
    // rewrite it time and again, moves a hundred bytes instead of kilobytes. Such a file goes away when
    // all in it is deleted, or is rewritten when half of it is.
    let values = KvSeparationOptions::default()
        .separation_threshold(separate_from)
        .compression(compression)
        .file_target_size(64 << 20)
        .staleness_threshold(0.5)
        .age_cutoff(1.0);
    KeyspaceCreateOptions::default()
        .max_memtable_size(options.memtable_bytes)
        .with_kv_separation(Some(values))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        .compaction_strategy(Arc::new(
            Leveled::default().with_table_target_size(16 << 20),
        ))
}

impl Store {
    pub(super) fn open(path: &Path, options: &Options) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(64 << 20)
            // Recovery would have to compress it all again, to check it.
            .journal_compression(CompressionType::None)
            // With two, one would spin while the other compacts.
            .worker_threads(1)
            .max_cached_files(Some(200))
            .open()?;
        // A log entry of any size is as short-lived as another: none is left in the tree, and none is
        // worth compressing.
        let logs = database.keyspace("logs", || layout(options, 64, CompressionType::None))?;
        let objects =
            database.keyspace("objects", || layout(options, 1024, CompressionType::Lz4))?;
        Ok(Self {
            database,
            logs,
            objects,
            memtable_bytes: options.memtable_bytes,
        })
    }

    /// Which keyspace has a key. Any rule would do that never changes.
    fn keyspace(&self, key: &[u8]) -> &Keyspace {
        if is_log(key) {
            &self.logs
        } else {
            &self.objects
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError> {
        if !is_key(key) {
            return Ok(None);
        }
        match catch_unwind(AssertUnwindSafe(|| self.keyspace(key).get(key))) {
            Ok(Ok(value)) => Ok(value.map(owned)),
            Ok(Err(error)) => Err(Failure::Error(error).at(key)),
            Err(panic) => Err(Failure::panic(panic.as_ref()).at(key)),
        }
    }

    /// The first pairs of `start..end`, as they are now.
    pub(super) fn page(
        &self,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<Pair>, KvError> {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut bytes = 0;
        for row in self.rows(start, end, true).take(limit) {
            let (key, value) = match row.value {
                Ok(value) => (row.key, value),
                // What came before it is handed out; the next page begins with the error.
                Err(_) if !pairs.is_empty() => break,
                Err(failure) => return Err(failure.at(row.key.as_deref().unwrap_or(start))),
            };
            let Some(key) = key else { continue };
            bytes += key.len() + value.len();
            pairs.push((key, value));
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(pairs)
    }

    /// The first keys of `start..end`; large values are not read.
    pub(super) fn keys(
        &self,
        start: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<Bytes>, KvError> {
        self.rows(start, end, false)
            .take(limit)
            .map(|row| {
                row.value
                    .map(|_| row.key.unwrap_or_default())
                    .map_err(|failure| failure.at(start))
            })
            .collect()
    }

    fn rows(&self, start: &[u8], end: &[u8], values: bool) -> impl Iterator<Item = rows::Row> {
        let snapshot = self.database.snapshot();
        let rows = |keyspace: &Keyspace| Rows::new(snapshot.range(keyspace, start..end), values);
        let some = start < end;
        let logs_only = is_log(shared_prefix(start, end));
        rows::merge(
            some.then(|| rows(&self.logs)).into_iter().flatten(),
            (some && !logs_only)
                .then(|| rows(&self.objects))
                .into_iter()
                .flatten(),
        )
    }

    pub(super) fn batch(&self, size: usize) -> OwnedWriteBatch {
        OwnedWriteBatch::with_capacity(self.database.clone(), size)
    }

    pub(super) fn put(&self, batch: &mut OwnedWriteBatch, key: Bytes, value: Option<Bytes>) {
        let keyspace = self.keyspace(&key);
        match value {
            Some(value) => batch.insert(keyspace, key, value),
            None => batch.remove(keyspace, key),
        }
    }

    pub(super) fn persist(&self, mode: PersistMode) -> fjall::Result<()> {
        self.database.persist(mode)
    }

    /// Begins to flush what is in memory, also where there is little.
    ///
    /// The library keeps the memory of what it has flushed until it begins to flush something else. It
    /// frees the space of what is deleted or overwritten when it merges tables, for which there have to be
    /// a few new ones; and what is then to be moved out of files that have little left, it moves when it
    /// merges the tables again that have it. So it takes some calls until a store is at rest, and each has
    /// something to flush that belongs to a merge of everything. Says whether it was one: not where the
    /// last is not over, or a merge of this many tables is to come first.
    pub(super) fn settle(&self, tables: usize) -> Result<bool, String> {
        let mut counts = true;
        for keyspace in self.keyspaces() {
            let unmerged = keyspace.tree.l0_run_count();
            if keyspace.sealed_memtable_count() > 0 || unmerged >= tables {
                counts = false;
                continue;
            }
            let mut batch = self.batch(2);
            // These keys are not there, and behind and before all that are.
            batch.remove(keyspace, absent_key(keyspace, 0)?);
            batch.remove(keyspace, absent_key(keyspace, 0xff)?);
            batch.commit().map_err(|error| error.to_string())?;
            keyspace
                .rotate_memtable()
                .map_err(|error| error.to_string())?;
        }
        Ok(counts)
    }

    /// Bytes on the disk that nothing refers to any more, where they are most of all.
    pub(super) fn stale(&self) -> u64 {
        let stale = |keyspace: &&Keyspace| keyspace.fragmented_blob_bytes();
        let mostly = |keyspace: &&&Keyspace| stale(keyspace) > keyspace.disk_space() / 2;
        self.keyspaces().iter().filter(mostly).map(stale).sum()
    }

    /// Bytes that are in memory, but not flushed.
    pub(super) fn unflushed(&self) -> u64 {
        self.keyspaces()
            .iter()
            .map(|keyspace| keyspace.tree.active_memtable().size())
            .sum()
    }

    fn keyspaces(&self) -> [&Keyspace; 2] {
        [&self.logs, &self.objects]
    }

    /// Whether the background work keeps up. Where it does not, memory would grow, or the library would
    /// wait within a commit, and for ever if that work has failed for good.
    pub(super) fn keeps_up(&self) -> bool {
        self.keyspaces().iter().all(|keyspace| {
            keyspace.tree.active_memtable().size() < 2 * self.memtable_bytes
                && keyspace.sealed_memtable_count() < 2
                && keyspace.tree.l0_run_count() < 18
        })
    }

    /// Whether background work has failed, after which nothing can be written any more.
    pub(super) fn has_failed(&self) -> bool {
        self.database.persist(PersistMode::Buffer).is_err()
    }
}

/// The shortest key of this byte only that there is not.
fn absent_key(keyspace: &Keyspace, byte: u8) -> Result<Vec<u8>, String> {
    let mut key = vec![byte];
    while keyspace
        .contains_key(&key)
        .map_err(|error| error.to_string())?
    {
        key.push(byte);
    }
    Ok(key)
}

/// Whether the library can store this key.
pub(super) fn is_key(key: &[u8]) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len())
}

/// Whether this is a key of a tenant's log.
pub(super) fn is_log(key: &[u8]) -> bool {
    const LOG: &[u8] = b"/@log/";
    key.windows(LOG.len()).any(|part| part == LOG)
}

/// Whether this is the key of a tenant's floor.
pub(super) fn is_floor(key: &[u8]) -> bool {
    key.ends_with(b"/@floor")
}

fn shared_prefix<'a>(a: &'a [u8], b: &[u8]) -> &'a [u8] {
    let length = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    &a[..length]
}

pub(super) fn owned(value: Slice) -> Bytes {
    if value.len() < LARGE_BYTES {
        Bytes::copy_from_slice(&value)
    } else {
        value.into()
    }
}
