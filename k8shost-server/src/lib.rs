//! The server: the registry of Kubernetes objects and the faces that serve it.

mod check;
mod config;
mod controllers;
mod grpc;
mod http;
mod logging;
mod metrics;
mod peers;
mod readiness;
mod registry;
mod serve;
mod shutdown;
mod tenancy;

pub use check::{accept, check};
pub use config::{
    Config, ConfigError, LogFormat, PdEndpoints, PeerAddress, PortRange, Settings, Span, StoreArgs,
    StoreKind,
};
pub use logging::start as start_logging;
pub use serve::serve;
