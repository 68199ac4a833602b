//! The place of a client: connected when it is first asked for, replaced when it has broken, by one
//! attempt at a time, with pauses that grow while there is no success.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::stats::{Client, Stats};
use crate::env::jittered;

/// How long an attempt to connect may take.
pub(super) const CONNECT: Duration = Duration::from_secs(3);
/// The first pause, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The first pause before another attempt of a request; each next one is twice as long, up to the longest.
const RETRY: Duration = Duration::from_millis(10);
const LONGEST_RETRY: Duration = Duration::from_millis(500);

/// Makes a new client.
pub(super) type Connect<C> = Box<dyn Fn() -> BoxFuture<'static, Result<C, String>> + Send + Sync>;

/// A client to come, or why there is none.
type Coming<C> = Shared<BoxFuture<'static, Result<Numbered<C>, String>>>;

/// A client, and which one it is.
#[derive(Clone, Debug)]
pub(super) struct Numbered<C> {
    pub(super) number: u64,
    pub(super) client: C,
}

/// The place of a client.
pub(super) struct Slot<C> {
    which: Client,
    connect: Connect<C>,
    stats: Arc<Stats>,
    state: Mutex<State<C>>,
}

struct State<C> {
    now: Now<C>,
    /// The number of the last client.
    number: u64,
    /// Attempts to connect that failed, and clients that broke, since the last good answer.
    failures: u32,
    /// What the last attempt to connect failed for.
    why: Option<String>,
}

enum Now<C> {
    Nothing,
    Coming(Coming<C>),
    There(Numbered<C>),
}

impl<C: Clone + Send + Sync + 'static> Slot<C> {
    pub(super) fn new(which: Client, stats: Arc<Stats>, connect: Connect<C>) -> Arc<Self> {
        Arc::new(Self {
            which,
            connect,
            stats,
            state: Mutex::new(State {
                now: Now::Nothing,
                number: 0,
                failures: 0,
                why: None,
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client, connected if need be; or why there is none.
    pub(super) async fn client(self: &Arc<Self>) -> Result<Numbered<C>, String> {
        let coming = {
            let mut state = self.state();
            match &state.now {
                Now::There(client) => return Ok(client.clone()),
                Now::Coming(coming) => coming.clone(),
                Now::Nothing => {
                    state.number += 1;
                    let coming = self.clone().connect(state.number, pause(state.failures));
                    let coming = coming.boxed().shared();
                    state.now = Now::Coming(coming.clone());
                    // It goes on whoever waits for it.
                    tokio::spawn(coming.clone());
                    coming
                }
            }
        };
        coming.await
    }

    async fn connect(self: Arc<Self>, number: u64, pause: Duration) -> Result<Numbered<C>, String> {
        tokio::time::sleep(pause).await;
        let outcome = tokio::time::timeout(CONNECT, (self.connect)()).await;
        let outcome = outcome.unwrap_or_else(|_| Err("PD does not answer".to_owned()));
        let mut state = self.state();
        match outcome {
            Ok(client) => {
                let client = Numbered { number, client };
                state.now = Now::There(client.clone());
                state.why = None;
                Ok(client)
            }
            Err(error) => {
                state.now = Now::Nothing;
                state.failures = state.failures.saturating_add(1);
                state.why = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Why there is still no client.
    pub(super) fn why(&self) -> String {
        let why = self.state().why.clone();
        why.unwrap_or_else(|| "the cluster does not answer".to_owned())
    }

    /// A client has broken: it is given to nobody any more.
    pub(super) fn replace(&self, number: u64) {
        let mut state = self.state();
        if matches!(&state.now, Now::There(client) if client.number == number) {
            state.now = Now::Nothing;
            state.failures = state.failures.saturating_add(1);
            self.stats.replaced(self.which);
        }
    }

    /// There was an answer.
    pub(super) fn answered(&self) {
        self.state().failures = 0;
    }
}

/// The pause before the next attempt to connect: none at first, nor for the first client that broke.
fn pause(failures: u32) -> Duration {
    match failures.checked_sub(2) {
        None => Duration::ZERO,
        Some(more) => jittered(PAUSE.saturating_mul(1 << more.min(10)).min(LONGEST_PAUSE)),
    }
}

/// Pauses between attempts.
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(RETRY)
    }
}

impl Pauses {
    /// Waits, unless there is no time left for another attempt.
    pub(super) async fn wait(&mut self, deadline: Instant) -> bool {
        let pause = jittered(self.0);
        self.0 = (self.0 * 2).min(LONGEST_RETRY);
        if Instant::now() + pause >= deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_there_is_an_answer() {
        let calls = Arc::new(AtomicU64::new(0));
        let counted = calls.clone();
        let stats = Arc::new(Stats::default());
        let slot = Slot::new(
            Client::Plain,
            stats.clone(),
            Box::new(move || {
                let call = counted.fetch_add(1, Ordering::Relaxed);
                async move {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    if call < 8 {
                        Err(format!("no {call}"))
                    } else {
                        Ok(call)
                    }
                }
                .boxed()
            }),
        );
        let begun = Instant::now();
        for call in 0..8 {
            // Those who wait together wait for the same attempt.
            let (one, other) = tokio::join!(slot.client(), slot.client());
            assert_eq!(one.unwrap_err(), format!("no {call}"));
            assert_eq!(other.unwrap_err(), format!("no {call}"));
        }
        let took = begun.elapsed();
        assert!(
            took > Duration::from_millis(1500) && took < Duration::from_secs(5),
            "{took:?}"
        );
        let there = slot.client().await.unwrap();
        assert_eq!(there.client, 8);
        slot.replace(there.number - 1);
        assert_eq!(slot.client().await.unwrap().client, 8);
        slot.answered();
        let begun = Instant::now();
        slot.replace(there.number);
        assert_eq!(slot.client().await.unwrap().client, 9);
        assert!(begun.elapsed() < Duration::from_millis(10));
        assert_eq!(
            stats.rebuilt().collect::<Vec<_>>(),
            [("atomic", 0), ("plain", 1)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_ends() {
        let never = Box::new(|| futures::future::pending::<Result<(), String>>().boxed());
        let slot = Slot::new(Client::Atomic, Arc::default(), never);
        assert_eq!(slot.client().await.unwrap_err(), "PD does not answer");
    }
}
