//! Kinds of networking.k8s.io/v1: ways into a cluster, what pods may speak to, and addresses.

mod addresses;
mod ingress;
mod ingress_class;
mod policy;

pub use addresses::{IP_ADDRESS, SERVICE_CIDR};
pub use ingress::INGRESS;
pub use ingress_class::INGRESS_CLASS;
pub use policy::NETWORK_POLICY;

use crate::strategy::Strategy;

/// The rows of these kinds.
pub static ALL: &[&Strategy] = &[
    &INGRESS,
    &INGRESS_CLASS,
    &NETWORK_POLICY,
    &IP_ADDRESS,
    &SERVICE_CIDR,
];
