//! The domain of k8shost, pure: no I/O, no protocol, no store.
//!
//! Objects are JSON trees ([`serde_json::Value`]) in Kubernetes' own shape; what is here reads and
//! judges them.

pub mod addresses;
pub mod admissionregistration;
pub mod apply;
pub mod apps;
pub mod authentication;
pub mod authorization;
pub mod autoscaling;
mod base64;
pub mod batch;
pub mod certificates;
pub mod continue_token;
pub mod coordination;
pub mod core_v1;
pub mod custom;
pub mod decode;
pub mod discovery;
pub mod error;
pub mod eviction;
pub mod field;
pub mod flowcontrol;
mod json;
pub mod kinds;
pub mod meta;
pub mod names;
pub mod namespace;
mod net;
pub mod networking;
pub mod node;
pub mod openapi;
pub mod patch;
pub mod pod;
pub mod policy;
pub mod protobuf;
pub mod quantity;
pub mod rbac;
pub mod resource;
mod rules;
pub mod runtime_class;
pub mod scheduling;
pub mod schema;
mod seen;
pub mod selector;
pub mod service;
pub mod storage;
pub mod strategies;
pub mod strategy;
pub mod table;
pub mod tenant;
pub mod time;

pub use error::{Error, FieldError, FieldErrorKind, Reason};
pub use strategy::Strategy;
