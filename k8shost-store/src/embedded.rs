//! The embedded store: an LSM tree in a folder of this machine, used by one process.
//!
//! One thread writes. All compare-and-swaps that wait, of all tenants, go into one batch of the store's
//! journal and share its fsync; only then do readers see them, and only then are they answered. Other
//! writes go along with them and need no fsync of their own: the store has one journal, which recovery
//! reads in order and never past a gap, so what was written before a compare-and-swap is as durable as
//! that is. Reads run at once, on what was last written.
//!
//! A failed write or fsync leaves open what is on the disk. Nothing is written after it until the store
//! has been opened again; then it is known, and the writes are completed and answered. If it can't be
//! opened again, they are answered as unknown.

mod committer;
mod folder;
mod journal;
mod manifest;
mod queue;
mod rows;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use fjall::{Error, LsmError};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use self::committer::Committer;
use self::folder::Folder;
use self::journal::Fault;
use self::queue::{Queue, SwapRequest, WriteRequest, Writes};
use self::rows::panic_text;
use self::store::Store;
use crate::kv::{Kv, KvError, Pair, Safety, Swap};

/// Keys that a range deletion looks for at a time.
const DELETE_KEYS: usize = 2048;

/// How the embedded store is run.
#[derive(Clone)]
pub struct Options {
    /// New data is collected in memory up to about this many bytes, twice: for logs and for objects.
    pub memtable_bytes: u64,
    /// What was read from the disk is kept up to this many bytes.
    pub cache_bytes: u64,
    /// Log entries are refused while the disk has less room than this; projections, floors and deletions,
    /// by which room is made, while it has less than half of it.
    pub reserve_bytes: u64,
    /// How often a quiet store takes a step towards rest, where it takes no memory for what was written,
    /// and no space for what was deleted.
    pub settle_interval: Duration,
    /// Free bytes on the disk that a folder is on.
    pub free_space: FreeSpace,
    /// Is told of every fsync.
    pub observer: Option<Observer>,
    /// Makes things fail, or panics, at these points.
    #[cfg(test)]
    pub(crate) fault: Option<Arc<dyn Fn(Point) -> fjall::Result<()> + Send + Sync>>,
}

/// Where a test can make something fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    Open,
    BeforeCommit,
    AfterCommit,
}

impl Options {
    #[cfg(test)]
    fn at(&self, point: Point) -> fjall::Result<()> {
        self.fault.as_ref().map_or(Ok(()), |fault| fault(point))
    }

    #[cfg(not(test))]
    fn at(&self, _: Point) -> fjall::Result<()> {
        Ok(())
    }
}

/// Says how many bytes are free on the disk that a folder is on.
pub type FreeSpace = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// Is called by the writing thread, which waits for it.
pub type Observer = Arc<dyn Fn(&Synced) + Send + Sync>;

/// What one fsync made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Requests that shared it.
    pub requests: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
    /// Time to write and sync them.
    pub took: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memtable_bytes: 4 << 20,
            cache_bytes: 2 << 20,
            reserve_bytes: 256 << 20,
            settle_interval: Duration::from_secs(2),
            free_space: Arc::new(free_space),
            observer: None,
            #[cfg(test)]
            fault: None,
        }
    }
}

fn free_space(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Why a data folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the data folder {} is in use by another process{}", folder.display(), pid.map(|pid| format!(", {pid}")).unwrap_or_default())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// That process, if it says so.
        pid: Option<u32>,
    },
    /// A later version of this program has written it.
    #[error("the data folder {} has format {found}, newer than {supported}, which this version reads", folder.display())]
    NewerFormat {
        /// The folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that can be read.
        supported: u32,
    },
    /// Something else is in it.
    #[error("the folder {} is not a data folder: {detail}", folder.display())]
    NotAStore {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        detail: String,
    },
    /// What is stored can't be read.
    #[error("the data in {} is damaged: {detail}", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The file system says no.
    #[error("can't use {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// The embedded store. Dropping it, or [`EmbeddedKv::close`], finishes what waits and closes the files.
pub struct EmbeddedKv {
    shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

fn open_store(folder: &Path, options: &Options) -> Result<Store, OpenError> {
    let path = folder::store(folder);
    let damaged = |detail: String| OpenError::Damaged {
        folder: folder.to_owned(),
        detail,
    };
    manifest::inspect(&path)
        .map_err(|error| OpenError::io(&path, error))?
        .map_err(damaged)?;
    journal::inspect(&path).map_err(|fault| match fault {
        Fault::Io(path, error) => OpenError::io(&path, error),
        Fault::Damaged(detail) => damaged(detail),
    })?;
    let open = || {
        options
            .at(Point::Open)
            .and_then(|()| Store::open(&path, options))
    };
    let error = match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(store)) => return Ok(store),
        Ok(Err(error)) => error,
        Err(panic) => return Err(damaged(panic_text(panic.as_ref()).to_owned())),
    };
    Err(match error {
        Error::Io(error) | Error::Storage(LsmError::Io(error)) if !rows::is_damage(&error) => {
            OpenError::io(&path, error)
        }
        error => damaged(error.to_string()),
    })
}

/// What readers and the writing thread share.
struct Shared {
    folder: PathBuf,
    options: Options,
    queue: Queue,
    state: RwLock<State>,
}

struct State {
    store: Option<Store>,
    /// Why there is no store.
    closed: String,
    /// Keys of which it is not known what was written last.
    doubt: HashSet<Bytes>,
}

/// What the free space is enough for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Room {
    Nothing,
    /// For what ends in less space used: projections, floors, deletions.
    Tidying,
    Everything,
}

impl EmbeddedKv {
    /// Opens the store in a folder, which is made where there is none.
    ///
    /// # Errors
    ///
    /// Another process has the folder, it has something else in it, or what is stored can't be read.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let folder = Folder::open(folder.as_ref())?;
        let store = open_store(folder.path(), &options)?;
        let state = State {
            store: Some(store),
            closed: String::new(),
            doubt: HashSet::new(),
        };
        let shared = Arc::new(Shared {
            folder: folder.path().to_owned(),
            options,
            queue: Queue::default(),
            state: RwLock::new(state),
        });
        let committer = Committer::new(Arc::clone(&shared), folder);
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || committer.run());
        let thread = thread.map_err(|error| OpenError::io(&shared.folder, error))?;
        Ok(Self {
            shared,
            committer: Mutex::new(Some(thread)),
        })
    }

    /// Writes what waits and closes the files; whatever comes later is refused. Blocks until it is done.
    pub fn close(&self) {
        self.shared.queue.close();
        let thread = self
            .committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writing thread panicked");
        }
    }
}

impl Drop for EmbeddedKv {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    // A panic within a read leaves nothing half done.
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the store after it failed.
    fn open_again(&self) -> Result<Store, OpenError> {
        let path = folder::store(&self.folder);
        journal::renew(&path).map_err(|error| OpenError::io(&path, error))?;
        open_store(&self.folder, &self.options)
    }

    /// Takes the store away from the readers, who are told why.
    fn take_store(&self, why: &str) -> Option<Store> {
        let mut state = self.change();
        state.closed = why.to_owned();
        state.store.take()
    }

    fn put_store(&self, store: Store) {
        let mut state = self.change();
        state.store = Some(store);
        state.doubt.clear();
    }

    fn doubt<'a>(&self, keys: impl Iterator<Item = &'a Bytes>) {
        self.change().doubt.extend(keys.cloned());
    }

    fn room(&self) -> Room {
        match (self.options.free_space)(&self.folder) {
            Ok(free) if free < self.options.reserve_bytes / 2 => Room::Nothing,
            Ok(free) if free < self.options.reserve_bytes => Room::Tidying,
            // If it can't be told, the writes will.
            Ok(_) | Err(_) => Room::Everything,
        }
    }

    /// Reads, unless it is not known what is there at a key that is asked for.
    fn read<T>(
        &self,
        asked: impl Fn(&Bytes) -> bool,
        read: impl FnOnce(&Store) -> Result<T, KvError>,
    ) -> Result<T, KvError> {
        let state = self.state();
        if let Some(key) = state.doubt.iter().find(|key| asked(key)) {
            return Err(KvError::Unknown(format!(
                "a write failed at {}",
                String::from_utf8_lossy(key)
            )));
        }
        match &state.store {
            Some(store) => read(store),
            None => Err(KvError::Unavailable(state.closed.clone())),
        }
    }

    fn get(&self, key: &Bytes) -> Result<Option<Bytes>, KvError> {
        self.read(|doubt| doubt == key, |store| store.get(key))
    }

    async fn write(&self, writes: Writes) -> Result<(), KvError> {
        let (answer, answered) = oneshot::channel();
        self.queue.write(WriteRequest { writes, answer });
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// The queue took no request: it is closed.
fn gone() -> KvError {
    KvError::Unavailable("it is closed".into())
}

/// Runs what may read much from the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, KvError> + Send + 'static,
) -> Result<T, KvError> {
    spawn_blocking(read)
        .await
        .unwrap_or_else(|error| Err(KvError::Unavailable(error.to_string())))
}

impl Kv for EmbeddedKv {
    fn safety(&self) -> Safety {
        Safety::Exclusive
    }

    fn get(&self, key: Bytes) -> BoxFuture<'_, Result<Option<Bytes>, KvError>> {
        // One value, mostly from memory: not worth another thread.
        async move { self.shared.get(&key) }.boxed()
    }

    fn batch_get(&self, keys: Vec<Bytes>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, KvError>> {
        let shared = Arc::clone(&self.shared);
        blocking(move || keys.iter().map(|key| shared.get(key)).collect()).boxed()
    }

    fn scan(
        &self,
        start: Bytes,
        end: Bytes,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Pair>, KvError>> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.read(
                |doubt| start <= *doubt && *doubt < end,
                |store| store.page(&start, &end, limit),
            )
        })
        .boxed()
    }

    fn compare_and_swap(
        &self,
        key: Bytes,
        expected: Option<Bytes>,
        new: Bytes,
    ) -> BoxFuture<'_, Result<Swap, KvError>> {
        async move {
            let (answer, answered) = oneshot::channel();
            self.shared.queue.swap(SwapRequest {
                key,
                expected,
                new,
                answer,
            });
            answered.await.unwrap_or_else(|_| Err(gone()))
        }
        .boxed()
    }

    fn write(&self, writes: Writes) -> BoxFuture<'_, Result<(), KvError>> {
        async move {
            for part in queue::parts(writes) {
                self.shared.write(part).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn delete_range(&self, start: Bytes, end: Bytes) -> BoxFuture<'_, Result<(), KvError>> {
        async move {
            let mut start = start;
            loop {
                let (shared, from, to) = (Arc::clone(&self.shared), start.clone(), end.clone());
                let keys =
                    move || shared.read(|_| false, |store| store.keys(&from, &to, DELETE_KEYS));
                let keys = blocking(keys).await?;
                let Some(last) = keys.last() else {
                    return Ok(());
                };
                start = [last, &b"\0"[..]].concat().into();
                self.shared
                    .write(keys.into_iter().map(|key| (key, None)).collect())
                    .await?;
            }
        }
        .boxed()
    }
}
