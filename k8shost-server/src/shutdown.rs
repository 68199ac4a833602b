//! The signal that the server stops, which everything that lasts listens to.

use tokio::sync::watch;

/// Tells, once, that the server stops.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown(watch::Receiver<bool>);

/// Gives the signal.
#[derive(Debug)]
pub(crate) struct Trigger(watch::Sender<bool>);

/// The two ends.
pub(crate) fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// The server stops.
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Ends when the server stops.
    pub(crate) async fn wait(&self) {
        // An error means that the trigger is gone, and the server with it.
        let _ = self.0.clone().wait_for(|stopped| *stopped).await;
    }

    /// Whether the server is stopping.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }
}
