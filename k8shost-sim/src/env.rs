//! What else the engine needs of the world: simulated time, tasks that can be paused and killed, chance.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use k8shost_store::env::Env;

use crate::world::{Event, Spawned, Timer, World};

/// So many looks at the clock without waiting mean that a task never will.
const SPIN: u64 = 1_000_000;

/// The world, as one start of one server sees it.
pub(crate) struct SimEnv {
    pub(crate) world: World,
    pub(crate) server: usize,
    pub(crate) incarnation: u64,
}

/// A sleep. Its time runs from when it was made.
struct Sleep {
    world: World,
    until: u64,
    slot: Option<u32>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut core = this.world.core();
        if core.now >= this.until {
            return Poll::Ready(());
        }
        let waker = Some(context.waker().clone());
        match this.slot {
            Some(slot) => {
                if let Some(timer) = core.timers.get_mut(slot) {
                    timer.waker = waker;
                }
            }
            None => {
                let slot = core.timers.insert(Timer {
                    waker,
                    over: false,
                    dropped: false,
                });
                this.slot = Some(slot);
                let left = this.until - core.now;
                core.after(left, Event::Timer { slot });
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            let mut core = self.world.core();
            match core.timers.get_mut(slot) {
                // Its event is still to come, and frees the slot.
                Some(timer) if !timer.over => {
                    timer.dropped = true;
                    timer.waker = None;
                }
                _ => drop(core.timers.remove(slot)),
            }
        }
    }
}

impl Env for SimEnv {
    fn now(&self) -> Duration {
        let mut core = self.world.core();
        core.looks += 1;
        if core.looks > SPIN {
            core.looks = 0;
            drop(core);
            // Caught by the executor; nothing else ends such a task.
            panic!("a task looks at the clock for ever, and never waits");
        }
        Duration::from_millis(core.now + core.processes[self.server].clock)
    }

    fn wall(&self) -> SystemTime {
        // No two wall clocks agree, by up to half an hour.
        let skew = self.server as u64 * 900;
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + skew) + self.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let length = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX / 4);
        let until = self.world.core().now.saturating_add(length.max(1));
        Box::pin(Sleep {
            world: self.world.clone(),
            until,
            slot: None,
        })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let mut core = self.world.core();
        if core.is_current(self.server, self.incarnation) {
            core.spawned.push(Spawned {
                server: self.server,
                future: task,
            });
        } else {
            // Dropped without the lock: what is in it may need it.
            drop(core);
            drop(task);
        }
    }

    fn random(&self) -> u128 {
        let mut core = self.world.core();
        u128::from(core.rng.next()) << 64 | u128::from(core.rng.next())
    }
}
