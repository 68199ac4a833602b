//! What the engine needs of the world besides the store: time, tasks and randomness. The simulation
//! brings its own.

use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;

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
    /// 128 random bits.
    fn random(&self) -> u128;
}
