//! The cluster and the unmodified client.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;
mod faults;
mod load;
mod process;
mod requests;
mod tls;
