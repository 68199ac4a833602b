//! The published API: what its descriptors promise, and the JSON of its resource messages.

mod json;
mod kubernetes;
mod lint;
mod manifests;
mod schema;
mod shapes;
