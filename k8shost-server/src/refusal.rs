//! What both faces say and note of a request that was not carried out.

use std::time::Duration;

use k8shost_types::{Error, Reason};

/// How long a call may take that says nothing of it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// There is no answer by the deadline.
pub(crate) fn overdue() -> Error {
    Error::new(
        Reason::Timeout,
        "the deadline is over; a write may still be carried out",
    )
}

/// What the caller is not told goes to the log.
pub(crate) fn note(error: &Error) {
    match error.reason {
        Reason::Internal => tracing::error!(%error, cause = ?error.cause, "a request failed"),
        Reason::ServiceUnavailable | Reason::Timeout => {
            tracing::warn!(%error, cause = ?error.cause, "a request could not be carried out");
        }
        _ => {}
    }
}
