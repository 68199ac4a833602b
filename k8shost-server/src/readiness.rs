//! Whether the server can do its work, and if not, why: what health checks and `/readyz` tell.

use tokio::sync::watch;

/// Tells whether the server is ready.
#[derive(Clone, Debug)]
pub(crate) struct Readiness(watch::Receiver<Option<String>>);

/// Says so.
#[derive(Debug)]
pub(crate) struct Reporter(watch::Sender<Option<String>>);

/// The two ends. It is not ready, for this reason, until something else is reported.
pub(crate) fn channel(reason: &str) -> (Reporter, Readiness) {
    let (sender, receiver) = watch::channel(Some(reason.to_owned()));
    (Reporter(sender), Readiness(receiver))
}

impl Reporter {
    /// It is ready, or not, for this reason. A change goes to the log.
    pub(crate) fn report(&self, reason: Option<String>) {
        self.0.send_if_modified(|now| {
            let changed = *now != reason;
            match &reason {
                Some(reason) if changed => tracing::warn!("not ready: {reason}"),
                None if changed => tracing::info!("ready"),
                _ => {}
            }
            *now = reason;
            changed
        });
    }
}

impl Readiness {
    /// Why it is not ready; `None` if it is.
    pub(crate) fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Ends when something has changed since this was last asked, or the last change was waited for.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Whoever reports has gone: it stays as it is.
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn only_changes_are_told() {
        let (reporter, mut readiness) = channel("new");
        assert_eq!(readiness.reason().as_deref(), Some("new"));
        assert!(readiness.changed().now_or_never().is_none());
        reporter.report(None);
        readiness.changed().await;
        assert_eq!(readiness.reason(), None);
        reporter.report(None);
        assert!(readiness.changed().now_or_never().is_none());
        drop(reporter);
        assert!(readiness.changed().now_or_never().is_none());
    }
}
