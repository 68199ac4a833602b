//! The domain of k8shost, pure: no I/O, no protocol, no store.
//!
//! Objects are JSON trees ([`serde_json::Value`]) in Kubernetes' own shape; what is here reads and
//! judges them.

pub mod error;

pub use error::{Error, FieldError, FieldErrorKind, Reason};
