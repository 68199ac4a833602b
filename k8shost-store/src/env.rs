//! What the engine needs of the world besides the store: time, tasks and randomness. The simulation
//! brings its own.

use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;

/// Time, tasks and randomness.
pub trait Env: Send + Sync + 'static {
    /// Time since some fixed point, by a clock that never goes back and runs through suspension.
    fn now(&self) -> Duration;
    /// The wall clock, for time stamps only: nothing safe leans on it.
    fn wall(&self) -> SystemTime;
    /// Ends after this long by [`Env::now`], or later.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
    /// Runs a task to its end, in the background.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// A number that nobody else has: 120 random bits or more.
    fn random(&self) -> u128;
}

/// The clock that runs through suspension.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
/// On Darwin the monotonic clock does.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// The machine's clocks and randomness, and tokio's tasks.
#[derive(Clone, Debug)]
pub struct SystemEnv {
    runtime: Handle,
}

impl SystemEnv {
    /// Runs tasks on this runtime.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime }
    }
}

impl Env for SystemEnv {
    fn now(&self) -> Duration {
        let now = clock_gettime(CLOCK);
        // Both are positive by what the clock is, and the nanoseconds are below a thousand million.
        Duration::new(
            u64::try_from(now.tv_sec).unwrap_or(0),
            u32::try_from(now.tv_nsec).unwrap_or(0),
        )
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.runtime.spawn(task);
    }

    fn random(&self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }
}

/// At random between half of this time and all of it, so that those who failed together, or began
/// together, do not do the same at once. Where it need not be simulated.
pub fn jittered(time: Duration) -> Duration {
    let [random, ..] = *uuid::Uuid::new_v4().as_bytes();
    time.mul_f64(0.5 + f64::from(random) / 512.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_goes_on_and_tasks_run() {
        let env = SystemEnv::new(Handle::current());
        let before = env.now();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        env.spawn(
            async move {
                sender.send(()).unwrap();
            }
            .boxed(),
        );
        receiver.await.unwrap();
        env.sleep(Duration::from_millis(5)).await;
        assert!(env.now() >= before + Duration::from_millis(5));
        assert_ne!(env.random(), env.random());
    }
}
