//! How k8shost keeps state: a raw key-value store ([`kv`]) and the tenant log on top of it ([`log`]).
//!
//! The store knows bytes, keys and revisions; of Kubernetes it knows nothing.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod embedded;
pub mod env;
pub mod kv;
pub mod log;
pub mod memory;
pub mod tikv;
