//! A test tool, never for production: PD and stores that speak TiKV's protocol, with faults on demand.
//!
//! One process hosts PD members and stores, each on a port of its own, for the unmodified TiKV
//! client in raw mode (API V1, without TTL). Regions have epochs; they split, merge and move, their
//! leaders change, and what a store refuses because of it is what TiKV refuses. There is no Raft:
//! the stores share one map in memory, replicated perfectly, so that what goes wrong is only what a
//! test asks for. See the README for the whole.

mod chaos;
mod cluster;
mod control;
mod counters;
mod data;
mod faults;
mod net;
mod pd;
mod proto;
mod random;
mod raw;
mod refusals;
mod tikv;
mod tls;
mod topology;

pub use chaos::{Chaos, ChaosHandle};
pub use cluster::{Cluster, Config};
pub use control::{Command, Control, serve_control};
pub use counters::{Count, Counts};
pub use faults::{Action, Answer, Apply, RegionError, Rule};
pub use raw::Limits;
pub use tls::{Authority, Tls};
pub use topology::{Peer, Region, TopologyError};
