//! Kinds of the core group that hold data, storage, limits and events; the larger ones have modules
//! of their own beside this one.

mod account;
pub mod admission;
mod claim;
mod config;
mod controller;
mod endpoints;
pub mod event;
mod limits;
mod quota;
mod secret;
mod template;
mod volume;
mod volume_sources;

pub use account::SERVICE_ACCOUNT;
pub use claim::PERSISTENT_VOLUME_CLAIM;
pub(crate) use claim::default as default_claim;
pub use config::CONFIG_MAP;
pub use controller::REPLICATION_CONTROLLER;
pub(crate) use controller::{replica_fields, replica_status_update};
pub use endpoints::ENDPOINTS;
pub use event::{EVENT, EVENTS_EVENT};
pub use limits::LIMIT_RANGE;
pub use quota::RESOURCE_QUOTA;
pub use secret::SECRET;
pub use template::POD_TEMPLATE;
pub use volume::PERSISTENT_VOLUME;
pub(crate) use volume::validate_spec as validate_volume_spec;
pub(crate) use volume_sources::validate_driver_name;

use crate::strategy::Strategy;

/// The rows of these kinds.
pub static ALL: &[&Strategy] = &[
    &CONFIG_MAP,
    &SECRET,
    &SERVICE_ACCOUNT,
    &ENDPOINTS,
    &LIMIT_RANGE,
    &RESOURCE_QUOTA,
    &PERSISTENT_VOLUME_CLAIM,
    &PERSISTENT_VOLUME,
    &EVENT,
    &EVENTS_EVENT,
    &POD_TEMPLATE,
    &REPLICATION_CONTROLLER,
];
