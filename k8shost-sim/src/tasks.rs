//! The executor: runs the tasks of all servers on one thread, in an order that the seed decides, and not
//! at all while their server is paused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use futures::future::BoxFuture;

use crate::world::{Slab, World};

/// The tasks that were woken.
#[derive(Default)]
struct Ready(Mutex<Vec<u64>>);

impl Ready {
    fn list(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One task, to those who wake it.
struct Handle {
    key: u64,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.list().push(self.key);
        }
    }
}

struct Task {
    key: u64,
    server: usize,
    /// Absent while it runs.
    future: Option<BoxFuture<'static, ()>>,
    handle: Arc<Handle>,
    waker: Waker,
}

/// All tasks of a run.
pub(crate) struct Executor {
    world: World,
    tasks: Slab<Task>,
    ready: Arc<Ready>,
    /// Woken while their server was paused.
    held: Vec<Vec<u64>>,
    /// Counts the tasks, for keys that never come again.
    count: u64,
}

/// So many polls without time going on mean that a task wakes itself for ever.
const SPIN: u64 = 100_000;

impl Executor {
    pub(crate) fn new(world: World, servers: usize) -> Self {
        Self {
            world,
            tasks: Slab::default(),
            ready: Arc::default(),
            held: vec![Vec::new(); servers],
            count: 0,
        }
    }

    /// Starts a task of a server.
    pub(crate) fn spawn(&mut self, server: usize, future: BoxFuture<'static, ()>) -> u64 {
        let slot = self.tasks.reserve();
        self.count += 1;
        let key = self.count << 24 | u64::from(slot);
        let handle = Arc::new(Handle {
            key,
            queued: AtomicBool::new(true),
            ready: self.ready.clone(),
        });
        let task = Task {
            key,
            server,
            future: Some(future),
            waker: Waker::from(handle.clone()),
            handle,
        };
        self.tasks.fill(slot, task);
        self.ready.list().push(key);
        key
    }

    fn slot(key: u64) -> u32 {
        (key & 0xFF_FFFF) as u32
    }

    /// Whether the task is not over.
    pub(crate) fn lives(&self, key: u64) -> bool {
        self.tasks
            .get(Self::slot(key))
            .is_some_and(|task| task.key == key)
    }

    /// Drops a task where it stands.
    pub(crate) fn cancel(&mut self, key: u64) {
        if self.lives(key) {
            drop(self.tasks.remove(Self::slot(key)));
        }
    }

    /// Drops all tasks of a server.
    pub(crate) fn kill(&mut self, server: usize) {
        let of_server = self.tasks.drain(|task| task.server == server);
        self.held[server].clear();
        drop(of_server);
    }

    /// Drops all tasks.
    pub(crate) fn clear(&mut self) {
        drop(self.tasks.drain(|_| true));
    }

    /// A paused server runs again.
    pub(crate) fn resume(&mut self, server: usize) {
        let held = std::mem::take(&mut self.held[server]);
        self.ready.list().extend(held);
    }

    /// Runs tasks until all wait.
    pub(crate) fn run(&mut self) {
        let mut polls = 0;
        loop {
            let mut core = self.world.core();
            if core.is_over() {
                break;
            }
            let spawned = std::mem::take(&mut core.spawned);
            if !spawned.is_empty() {
                drop(core);
                for task in spawned {
                    self.spawn(task.server, task.future);
                }
                continue;
            }
            let key = {
                let mut ready = self.ready.list();
                let count = ready.len();
                match count {
                    0 => break,
                    1 => ready.remove(0),
                    _ if core.mix.shuffle => {
                        ready.swap_remove(core.rng.below(count as u64) as usize)
                    }
                    _ => ready.remove(0),
                }
            };
            let Some(task) = self.tasks.get_mut(Self::slot(key)) else {
                continue;
            };
            if task.key != key {
                continue;
            }
            core.maybe_pause(task.server);
            if core.is_paused(task.server) {
                self.held[task.server].push(key);
                continue;
            }
            core.looks = 0;
            core.stats.polls += 1;
            core.stir(key);
            polls += 1;
            if polls > SPIN {
                core.bad("liveness: a task wakes itself for ever".into());
                break;
            }
            drop(core);
            task.handle.queued.store(false, Ordering::Relaxed);
            let Some(mut future) = task.future.take() else {
                continue;
            };
            let waker = task.waker.clone();
            let mut context = Context::from_waker(&waker);
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))) {
                Ok(std::task::Poll::Pending) => {
                    if let Some(task) = self.tasks.get_mut(Self::slot(key)) {
                        task.future = Some(future);
                    }
                }
                Ok(std::task::Poll::Ready(())) => {
                    drop(self.tasks.remove(Self::slot(key)));
                    drop(future);
                }
                Err(panic) => {
                    let what = panic
                        .downcast_ref::<String>()
                        .cloned()
                        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                        .unwrap_or_default();
                    self.world.core().bad(format!("panic: {what}"));
                }
            }
        }
    }
}
