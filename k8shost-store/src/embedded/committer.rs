//! The one thread that writes. Whatever waits is written together and made durable by one fsync.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fjall::{Error, PersistMode};

use super::folder::Folder;
use super::queue::{Group, Next, SwapRequest, WriteRequest};
use super::rows::panic_text;
use super::store::{Store, is_key, is_log};
use super::{Point, Room, Shared, Synced};
use crate::kv::{KvError, Swap};

/// How long to wait before opening the store again, where that follows closely on the last time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An interval in which less than this was written is a quiet one.
const QUIET_BYTES: u64 = 256 << 10;

/// What the store is to forget about when it is quiet: less than this may stay in memory.
const SETTLE_BYTES: u64 = 512 << 10;

/// So many flushed tables are merged.
const MERGED_TABLES: usize = 4;

/// One flush more frees what the merge has replaced.
const SETTLE_FLUSHES: usize = MERGED_TABLES + 1;

/// It is not worth another merge to free less than this.
const STALE_BYTES: u64 = 1 << 20;

/// A deletion counts as this much written: what it frees is mostly more than what it takes.
const DELETION_BYTES: u64 = 4 << 10;

/// How often one group is tried on a store that was opened again for it.
const ATTEMPTS: usize = 3;

pub(super) struct Committer {
    shared: Arc<Shared>,
    /// Locked until the store is closed.
    _folder: Folder,
    /// Set while the store takes no writes.
    broken: Option<Broken>,
    /// When the store is opened again after the next failure: at once, unless it failed just before.
    pause: Duration,
    healthy_since: Instant,
    /// Something was written without being synced.
    unsynced: bool,
    settling: Settling,
}

/// Brings the store to rest when little is written: memory and disk space are given back.
struct Settling {
    next: Instant,
    /// Written since `next` was set.
    recent: u64,
    /// Written since the store was at rest.
    written: u64,
    /// Flushes to be begun.
    flushes: usize,
    /// How often there was something else to wait for.
    waited: usize,
    /// Bytes that could be freed when that was last begun: it is done again while it helps.
    stale: u64,
}

struct Broken {
    /// What callers are told.
    error: KvError,
    /// It is not opened again before.
    until: Instant,
}

/// Why a group was not written.
enum Failed {
    /// None of it.
    Nothing(String),
    /// Perhaps it was, all or some.
    Unknown(String),
}

/// What the callers are told once a group is written.
struct Answers {
    swaps: Vec<Result<Swap, KvError>>,
    writes: Vec<Result<(), KvError>>,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, folder: Folder) -> Self {
        let settling = Settling {
            next: Instant::now() + shared.options.settle_interval,
            recent: 0,
            written: shared.state().store.as_ref().map_or(0, Store::unflushed),
            flushes: 0,
            waited: 0,
            stale: u64::MAX,
        };
        Self {
            shared,
            _folder: folder,
            broken: None,
            pause: Duration::ZERO,
            healthy_since: Instant::now(),
            unsynced: false,
            settling,
        }
    }

    /// Runs until the queue is closed and empty, then closes the store.
    pub(super) fn run(mut self) {
        loop {
            let next = self
                .broken
                .as_ref()
                .map_or(self.settling.next, |broken| broken.until);
            match self
                .shared
                .queue
                .next(next.saturating_duration_since(Instant::now()))
            {
                Next::Group(group) => {
                    let mut rest = group;
                    while !rest.is_empty() {
                        let group;
                        (group, rest) = rest.apart();
                        self.serve(group);
                    }
                }
                Next::Idle => drop(self.ready()),
                Next::Closed => break,
            }
            if self.broken.is_none() && Instant::now() >= self.settling.next {
                self.settle();
            }
        }
        close(self.shared.take_store("it is closed"));
    }

    fn settle(&mut self) {
        let settling = &mut self.settling;
        settling.next = Instant::now() + self.shared.options.settle_interval;
        if std::mem::take(&mut settling.recent) > QUIET_BYTES {
            return;
        }
        // A few deletions may free much, and where there is no room nothing else is written that would
        // bring them to the disk.
        let least = match self.shared.room() {
            Room::Everything => SETTLE_BYTES,
            Room::Tidying | Room::Nothing => 0,
        };
        let state = self.shared.state();
        let Some(store) = &state.store else { return };
        if settling.written > least {
            settling.written = 0;
            settling.flushes = SETTLE_FLUSHES;
            settling.stale = u64::MAX;
        } else if settling.flushes == 0 && (STALE_BYTES..settling.stale).contains(&store.stale()) {
            settling.flushes = SETTLE_FLUSHES;
            settling.stale = store.stale();
        }
        if settling.flushes == 0 {
            return;
        }
        let done = store.settle(MERGED_TABLES + settling.waited);
        drop(state);
        match done {
            Ok(true) => {
                settling.flushes -= 1;
                settling.waited = 0;
            }
            // A merge that does not come, because others are more urgent, comes with more tables.
            Ok(false) => settling.waited += 1,
            Err(reason) => self.fail(&KvError::Unavailable(reason)),
        }
    }

    fn serve(&mut self, group: Group) {
        let mut tried = vec![false; group.swaps.len()];
        let mut doubt = false;
        let mut error = KvError::Unavailable(String::new());
        for _ in 0..ATTEMPTS {
            if let Err(refused) = self.ready() {
                error = refused;
                break;
            }
            let reason = match self.write(&group, &mut tried) {
                Ok(answers) => return group.answer(answers.swaps, answers.writes),
                Err(Failed::Nothing(reason)) => reason,
                Err(Failed::Unknown(reason)) => {
                    doubt = true;
                    self.shared.doubt(group.keys());
                    reason
                }
            };
            error = KvError::Unavailable(reason);
            self.fail(&error);
        }
        if doubt {
            error = KvError::Unknown(error.to_string());
        }
        let (swaps, writes) = (group.swaps.len(), group.writes.len());
        group.answer(vec![Err(error.clone()); swaps], vec![Err(error); writes]);
    }

    fn fail(&mut self, error: &KvError) {
        tracing::error!(%error, "no more writes until the store is opened again");
        if self.healthy_since.elapsed() > LONGEST_PAUSE {
            self.pause = Duration::ZERO;
        }
        self.broken = Some(Broken {
            error: error.clone(),
            until: Instant::now() + self.pause,
        });
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
    }

    /// Whether the store takes writes. One that failed is opened again, if it is time.
    fn ready(&mut self) -> Result<(), KvError> {
        let Some(broken) = &mut self.broken else {
            return Ok(());
        };
        if Instant::now() < broken.until {
            return Err(broken.error.clone());
        }
        if self.shared.room() == Room::Nothing {
            // Opening needs room itself; until there is some, the failed store still serves reads.
            broken.error = KvError::Full(format!("it failed, {}", broken.error));
            broken.until = Instant::now() + FIRST_PAUSE;
            return Err(broken.error.clone());
        }
        close(self.shared.take_store("it is being opened again"));
        match self.shared.open_again() {
            Ok(store) => {
                tracing::warn!("the store is open again");
                self.shared.put_store(store);
                self.broken = None;
                self.healthy_since = Instant::now();
                self.unsynced = false;
                Ok(())
            }
            Err(error) => {
                let reason = format!("it can't be opened again: {error}");
                drop(self.shared.take_store(&reason));
                let error = KvError::Unavailable(reason);
                self.fail(&error);
                Err(error)
            }
        }
    }
}

impl Committer {
    /// Writes a group, in which no key is written twice. Notes which swaps it tried: should the attempt
    /// fail, it may be their own value that they find at the next.
    fn write(&mut self, group: &Group, tried: &mut [bool]) -> Result<Answers, Failed> {
        let state = self.shared.state();
        let Some(store) = &state.store else {
            return Err(Failed::Nothing(state.closed.clone()));
        };
        keep_pace(store).map_err(Failed::Nothing)?;
        let room = self.shared.room();
        let mut batch = store.batch(group.swaps.len());
        let (mut bytes, mut deletions) = (0, 0);

        let swap = |(swap, tried): (&SwapRequest, &mut bool)| {
            check_key(&swap.key)?;
            let found = store.get(&swap.key)?;
            let landed = *tried && found.as_ref() == Some(&swap.new);
            if found != swap.expected && !landed {
                return Ok(Swap::Found(found));
            }
            let needed = if is_log(&swap.key) {
                Room::Everything
            } else {
                Room::Tidying
            };
            check_room(room, needed)?;
            bytes += swap.key.len() + swap.new.len();
            store.put(&mut batch, swap.key.clone(), Some(swap.new.clone()));
            *tried = true;
            Ok(Swap::Swapped)
        };
        let swaps: Vec<_> = group.swaps.iter().zip(tried).map(swap).collect();

        let write = |request: &WriteRequest| {
            check_room(room, Room::Tidying)?;
            request
                .writes
                .iter()
                .try_for_each(|(key, _)| check_key(key))?;
            // A batch has no order: of several writes of one key it gets the last.
            let last: HashMap<_, _> = request
                .writes
                .iter()
                .map(|(key, value)| (key, value))
                .collect();
            for (key, value) in last {
                bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
                deletions += u64::from(value.is_none());
                store.put(&mut batch, key.clone(), value.clone());
            }
            Ok(())
        };
        let writes: Vec<_> = group.writes.iter().map(write).collect();

        // An answer to a swap, whichever it is, vouches for the writes before it.
        let sync = !swaps.is_empty() && (self.unsynced || !batch.is_empty());
        let mode = if sync {
            PersistMode::SyncData
        } else {
            PersistMode::Buffer
        };
        let started = Instant::now();
        let options = &self.shared.options;
        let done = catch_unwind(AssertUnwindSafe(|| {
            options.at(Point::BeforeCommit)?;
            match batch.is_empty() {
                true => store.persist(mode)?,
                false => batch.durability(Some(mode)).commit()?,
            }
            options.at(Point::AfterCommit)
        }));
        match done {
            Ok(Ok(())) => {}
            // It says so before it writes anything.
            Ok(Err(Error::Poisoned)) => return Err(Failed::Nothing("it failed earlier".into())),
            Ok(Err(error)) => return Err(Failed::Unknown(error.to_string())),
            Err(panic) => return Err(Failed::Unknown(panic_text(panic.as_ref()).to_owned())),
        }
        self.unsynced = !sync && (self.unsynced || bytes > 0);
        let written = bytes as u64 + deletions * DELETION_BYTES;
        self.settling.recent += written;
        self.settling.written += written;
        if sync && let Some(observe) = &options.observer {
            observe(&Synced {
                requests: swaps.len() + writes.len(),
                bytes,
                took: started.elapsed(),
            });
        }
        Ok(Answers { swaps, writes })
    }
}

/// Waits until the background work has caught up.
fn keep_pace(store: &Store) -> Result<(), String> {
    let mut waited = 0;
    while !store.keeps_up() {
        if store.has_failed() {
            return Err("its background work failed".into());
        }
        // It may not know that there is some: after recovery, or where it chose to do other things first.
        if waited % 1000 == 0 {
            store.settle(24)?;
        }
        sleep(Duration::from_millis(1));
        waited += 1;
    }
    Ok(())
}

fn check_key(key: &[u8]) -> Result<(), KvError> {
    if is_key(key) {
        Ok(())
    } else {
        Err(KvError::Unavailable("a key has 1 to 65,535 bytes".into()))
    }
}

fn check_room(room: Room, needed: Room) -> Result<(), KvError> {
    if room >= needed {
        Ok(())
    } else {
        Err(KvError::Full("too little free space on its disk".into()))
    }
}

/// Closes a store: flushes what it has buffered, and ends its threads.
fn close(store: Option<Store>) {
    // One that failed may panic here too; all that is lost by it is some memory.
    if catch_unwind(AssertUnwindSafe(|| drop(store))).is_err() {
        tracing::error!("the store could not be closed in order");
    }
}
