//! The published API: what its descriptors promise, and the JSON of its resource messages.

#![allow(clippy::unwrap_used)] // What helps tests may panic as tests may.

mod json;
mod kubernetes;
mod lint;
mod manifests;
mod schema;
mod shapes;
