//! The harness of the black-box tests: it starts the real binary and talks to it over the wire.
//!
//! Requests and answers are JSON, as a user of grpcurl writes and reads them, and go through the
//! published descriptors: nothing here knows how the server is made.

mod client;
pub mod history;
mod objects;
mod random;
mod rest;
mod server;
mod tls;
mod wire;

use std::{future::Future, time::Duration};

pub use client::{
    Client, Event, Events, Method, fresh_token, methods, pool, reason, refused, violations,
};
pub use objects::{
    KINDS, Kind, NAMESPACE, NODE, POD, SERVICE, merge, name, names, namespace, node, pod, revision,
    service, text,
};
pub use random::Random;
pub use rest::{Lines, MERGE, Rest};
pub use server::{Output, Server, binary, run};
pub use tls::{offer_tls, open_tls};
pub use wire::{Answer, frame, http1, http1_over, http2, http2_over};

/// How long a test waits for what must come. It is long because it is only reached by a failure.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits for a result, and fails the test by name where it does not come.
///
/// # Panics
/// When [`PATIENCE`] is over.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing came within {PATIENCE:?}"),
    }
}

/// Asks again until there is an answer: for what the server does in the background and tells nobody.
///
/// # Panics
/// When [`PATIENCE`] is over.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    within(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    })
    .await
}
