//! The world that a run happens in: simulated time and its events, the servers, the store, the history.
//!
//! One lock holds all of it; the driver takes it for each event, the engine's tasks for each request.
//! Nothing that belongs to the engine (a future, its drop) runs while it is held.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::check::Watch;
use crate::history::History;
use crate::mix::Mix;
use crate::rng::{Rng, mix};
use crate::script::Script;
use crate::stats::Stats;
use crate::store::InFlight;

/// Something that happens at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A part of a request takes effect.
    Apply {
        slot: u32,
        part: u16,
    },
    /// A request is answered, or its sender gives up.
    Deliver {
        slot: u32,
        failed: bool,
    },
    /// A sleep is over.
    Timer {
        slot: u32,
    },
    /// A paused server runs again.
    Resume {
        server: usize,
    },
    Crash {
        server: usize,
    },
    /// The end of a server that was told to stop.
    Kill {
        server: usize,
    },
    Start {
        server: usize,
    },
    /// A client asks for something.
    Client {
        client: usize,
    },
    /// A client gives an operation up.
    GiveUp {
        client: usize,
        op: u32,
    },
    /// A watcher begins, or lets go and begins anew.
    Watch {
        watcher: usize,
    },
    /// A server hears of a commit by another.
    Hint {
        server: usize,
        tenant: usize,
        revision: u64,
    },
}

struct Item {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Item {}
impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Item {
    // The heap gives the greatest first: the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// A server's process.
#[derive(Debug, Default)]
pub(crate) struct Process {
    /// Counts the starts. What an earlier one left behind is not this one.
    pub(crate) incarnation: u64,
    pub(crate) up: bool,
    pub(crate) paused_until: u64,
    /// Its clocks start anywhere: no two agree.
    pub(crate) clock: u64,
    /// Requests that it was about to send when it was paused.
    pub(crate) unsent: Vec<u32>,
    /// The last swaps that it asked for, and how many runs of commits' functions there had been when it
    /// first did.
    pub(crate) swaps: VecDeque<(Bytes, Bytes, u64)>,
}

/// Who sent a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub(crate) server: usize,
    pub(crate) incarnation: u64,
    /// Of a swap: how many runs of commits' functions there had been when it was first asked for.
    pub(crate) runs: u64,
}

/// A sleep that goes on.
pub(crate) struct Timer {
    pub(crate) waker: Option<Waker>,
    pub(crate) over: bool,
    pub(crate) dropped: bool,
}

/// A task that the engine spawned and the executor has not seen yet.
pub(crate) struct Spawned {
    pub(crate) server: usize,
    pub(crate) future: BoxFuture<'static, ()>,
}

/// What the lock holds.
pub(crate) struct Core {
    pub(crate) now: u64,
    order: u64,
    heap: BinaryHeap<Item>,
    pub(crate) rng: Rng,
    pub(crate) mix: Mix,
    /// Off in the quiet time at the end.
    pub(crate) faults: bool,
    pub(crate) script: Script,
    pub(crate) processes: Vec<Process>,
    pub(crate) spawned: Vec<Spawned>,
    pub(crate) timers: Slab<Timer>,
    pub(crate) requests: Slab<InFlight>,
    pub(crate) map: BTreeMap<Bytes, Bytes>,
    /// What a crash of the embedded store may take back: keys and what they had, oldest first.
    pub(crate) journal: Vec<(Bytes, Option<Bytes>)>,
    /// How many entries of the journal were dropped from its front.
    pub(crate) durable: usize,
    pub(crate) history: History,
    /// What each client waits for.
    pub(crate) clients: Vec<Option<u32>>,
    pub(crate) watches: Vec<Watch>,
    pub(crate) stats: Stats,
    /// How often the task that runs has looked at the clock.
    pub(crate) looks: u64,
    /// Of all that happened so far.
    pub(crate) hash: u64,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) violation: Option<String>,
    /// The run is over early: the time bound was broken on purpose, and a digest has told.
    pub(crate) told: bool,
}

/// A handle to the world, for what runs in it.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Core>>);

/// Adds a line to the trace, if there is one.
macro_rules! note {
    ($core:expr, $($what:tt)*) => {
        if $core.trace.is_some() {
            let line = format!($($what)*);
            $core.line(line);
        }
    };
}
pub(crate) use note;

impl World {
    pub(crate) fn new(core: Core) -> Self {
        Self(Arc::new(Mutex::new(core)))
    }

    // A panic ends the run, and is reported as what it is; the lock's poison would only hide it.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    pub(crate) fn new(rng: Rng, mix: Mix, history: History, trace: bool) -> Self {
        let processes = (0..mix.servers).map(|_| Process::default()).collect();
        Self {
            now: 1000,
            order: 0,
            heap: BinaryHeap::new(),
            rng,
            mix,
            faults: true,
            script: Script::default(),
            processes,
            spawned: Vec::new(),
            timers: Slab::default(),
            requests: Slab::default(),
            map: BTreeMap::new(),
            journal: Vec::new(),
            durable: 0,
            history,
            clients: vec![None; mix.clients],
            watches: vec![Watch::default(); mix.watchers],
            stats: Stats::default(),
            looks: 0,
            hash: 0,
            trace: trace.then(Vec::new),
            violation: None,
            told: false,
        }
    }

    /// Lets something happen after a while.
    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.order += 1;
        self.heap.push(Item {
            at: self.now + delay,
            order: self.order,
            event,
        });
    }

    /// The next event, no later than `until`; time moves to it.
    pub(crate) fn next_event(&mut self, until: u64) -> Option<Event> {
        if self.heap.peek()?.at > until {
            return None;
        }
        let item = self.heap.pop()?;
        self.now = self.now.max(item.at);
        Some(item.event)
    }

    /// Puts a fact into the run's hash.
    pub(crate) fn stir(&mut self, fact: u64) {
        self.hash = mix(self.hash ^ fact ^ self.now << 20);
    }

    pub(crate) fn line(&mut self, line: String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:8}.{:03} {line}", now / 1000, now % 1000));
        }
    }

    /// The protocol is broken. The first violation ends the run.
    pub(crate) fn bad(&mut self, what: String) {
        note!(self, "VIOLATION {what}");
        if self.violation.is_none() {
            self.violation = Some(format!("at {} s: {what}", self.now / 1000));
        }
    }

    /// Nothing more is to happen.
    pub(crate) fn is_over(&self) -> bool {
        self.told || self.violation.is_some()
    }

    /// Stops a server for a while: its tasks don't run and what it was about to send is not sent.
    pub(crate) fn pause(&mut self, server: usize, length: u64) {
        let until = self.now + length;
        if self.processes[server].paused_until >= until {
            return;
        }
        note!(self, "S{server} is paused for {length} ms");
        self.stats.pauses += 1;
        self.processes[server].paused_until = until;
        self.after(length, Event::Resume { server });
    }

    pub(crate) fn is_paused(&self, server: usize) -> bool {
        self.processes[server].paused_until > self.now
    }

    /// Whether this server's tasks belong to the process that runs now.
    pub(crate) fn is_current(&self, server: usize, incarnation: u64) -> bool {
        let process = &self.processes[server];
        process.up && process.incarnation == incarnation
    }

    /// A sleep is over.
    pub(crate) fn timer(&mut self, slot: u32) -> Option<Waker> {
        let timer = self.timers.get_mut(slot)?;
        if timer.dropped {
            self.timers.remove(slot);
            return None;
        }
        timer.over = true;
        timer.waker.take()
    }

    /// A pause, if the dice say so.
    pub(crate) fn maybe_pause(&mut self, server: usize) {
        if !self.faults || !self.rng.chance(self.mix.pause) {
            return;
        }
        let window = crate::mix::WINDOW;
        let length = if self.rng.below(4) < self.mix.pause_long {
            self.rng.range(window / 2, 4 * window)
        } else {
            self.rng.range(1000, window / 2)
        };
        self.pause(server, length);
    }
}

/// A vector with holes.
pub(crate) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        let slot = self.reserve();
        self.fill(slot, item);
        slot
    }

    /// A slot to be filled at once.
    pub(crate) fn reserve(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            self.items.len() as u32 - 1
        })
    }

    pub(crate) fn fill(&mut self, slot: u32, item: T) {
        self.items[slot as usize] = Some(item);
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.items.get(slot as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.items.get_mut(slot as usize)?.as_mut()
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let item = self.items.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(item)
    }

    /// Takes out all that `which` picks.
    pub(crate) fn drain(&mut self, which: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for (slot, item) in self.items.iter_mut().enumerate() {
            if item.as_ref().is_some_and(&which) {
                taken.extend(item.take());
                self.free.push(slot as u32);
            }
        }
        taken
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().flatten()
    }
}
