//! The client that writes unconditionally, on a thread and a runtime of its own.
//!
//! A projection write takes effect within half the safety window, or never: the protocol leans on it.
//! The TiKV client sends from tasks that outlive the call, waits for connections without a bound, and
//! what was sent into a partition is sent again by the kernel for as long as the socket is open. So a
//! write that has no answer in time takes all of it along: the runtime ends, with its tasks, and its
//! sockets are closed. (The kernel goes on sending from a closed socket for about 100 seconds more.)

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;

use futures::FutureExt;
use tikv_client::{Backoff, Config, RawClient};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::connect::connect;
use super::fault::Fault;
use super::slot::CONNECT;

/// A connected client with its runtime. Both end when it is dropped and nothing is under way.
#[derive(Clone)]
pub(super) struct Session(Arc<Inner>);

struct Inner {
    runtime: Handle,
    client: RawClient,
    /// Dropping it, or sending `true`, ends the runtime.
    stop: Arc<watch::Sender<bool>>,
    /// Closed when the runtime has ended.
    ended: watch::Receiver<()>,
}

/// What a client is told.
type Connected = Result<(RawClient, Handle), String>;

impl Session {
    /// Connects.
    pub(super) async fn connect(endpoints: Vec<String>, config: Config) -> Result<Self, String> {
        let (ready, connected) = oneshot::channel();
        let (stop, stopped) = watch::channel(false);
        let (ending, ended) = watch::channel(());
        thread::Builder::new()
            .name("kv-writer".to_owned())
            .spawn(move || {
                // Dropped last.
                let _ending = ending;
                match Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => run(runtime, endpoints, config, ready, stopped),
                    // Who waits for it may be gone.
                    Err(error) => drop(ready.send(Err(error.to_string()))),
                }
            })
            .map_err(|error| error.to_string())?;
        let gone = || "the client broke as it connected".to_owned();
        let (client, runtime) = connected.await.map_err(|_| gone())??;
        Ok(Self(Arc::new(Inner {
            runtime,
            client,
            stop: Arc::new(stop),
            ended,
        })))
    }

    /// A client that sends everything once.
    pub(super) fn client(&self) -> RawClient {
        self.0.client.with_backoff(Backoff::no_backoff())
    }

    /// A client that tries again, and so learns where the regions are. The others learn with it.
    pub(super) fn patient(&self) -> RawClient {
        self.0.client.clone()
    }

    /// Runs some work, which goes on if nobody waits for it; but not beyond the deadline. If the answer
    /// does not say what became of it, or does not come, the session has ended before this returns.
    pub(super) async fn run(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<(), Fault>> + Send + 'static,
    ) -> Result<(), Fault> {
        let (answer, answered) = oneshot::channel();
        let stop = self.0.stop.clone();
        self.0.runtime.spawn(async move {
            let work = AssertUnwindSafe(work).catch_unwind();
            let outcome = match timeout_at(deadline, work).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Err(Fault::broken("the client panicked".to_owned())),
                Err(_) => Err(Fault::silence()),
            };
            let lost = matches!(&outcome, Err(fault) if fault.renew);
            // Who asked may have gone away.
            drop(answer.send(outcome));
            if lost {
                stop.send_replace(true);
            }
        });
        let gone = || Fault::broken("the client was dropped for another request's sake".to_owned());
        let outcome = answered.await.unwrap_or_else(|_| Err(gone()));
        if matches!(&outcome, Err(fault) if fault.renew) {
            // The only change there is is its end.
            let mut ended = self.0.ended.clone();
            let _ = ended.changed().await;
        }
        outcome
    }
}

fn run(
    runtime: Runtime,
    endpoints: Vec<String>,
    config: Config,
    ready: oneshot::Sender<Connected>,
    mut stopped: watch::Receiver<bool>,
) {
    runtime.block_on(async {
        let client = connect(endpoints, config);
        let connected = match timeout(CONNECT, client).await {
            Ok(Ok(client)) => Ok((client, Handle::current())),
            Ok(Err(text)) => Err(text),
            Err(_) => Err("PD does not answer".to_owned()),
        };
        let serves = connected.is_ok();
        if ready.send(connected).is_ok() && serves {
            // An error means that the session was dropped.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
    });
    // Ends all tasks, and with them the connections.
    runtime.shutdown_background();
}
