//! The server: the registry of Kubernetes objects and the faces that serve it.

mod check;
mod config;
mod controllers;
mod grpc;
mod health;
mod http;
mod jwt;
mod kubeconfig;
mod logging;
mod metrics;
mod peers;
mod readiness;
mod refusal;
mod registry;
mod rest;
mod serve;
mod shutdown;
mod stall;
mod tenancy;
mod tls;

pub use check::{accept, check};
pub use config::{
    Config, ConfigError, LogFormat, PdEndpoints, PeerAddress, PortRange, Settings, Span, StoreArgs,
    StoreKind, TlsFiles,
};
pub use kubeconfig::{KubeconfigArgs, kubeconfig};
pub use logging::start as start_logging;
pub use serve::serve;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. Whoever panicked with the lock has left nothing half done: what is under one is changed in
/// single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
