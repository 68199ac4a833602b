//! The domain of k8shost, pure: no I/O, no protocol, no store.
//!
//! Objects are JSON trees ([`serde_json::Value`]) in Kubernetes' own shape; what is here reads and
//! judges them.

pub mod addresses;
pub mod apply;
pub mod error;
pub mod field;
mod json;
pub mod meta;
pub mod names;
pub mod namespace;
mod net;
pub mod node;
pub mod pod;
pub mod quantity;
pub mod schema;
mod seen;
pub mod selector;
pub mod service;
pub mod strategy;
pub mod tenant;
pub mod time;

pub use error::{Error, FieldError, FieldErrorKind, Reason};
pub use strategy::Strategy;
