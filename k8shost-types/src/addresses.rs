//! Cluster IPs and node ports of Services: which a Service holds, and which it is given.
//!
//! Pure: what is in use is asked for, and the caller writes the Service and its claims in one
//! commit.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde_json::Value;

use crate::error::Error;

/// The addresses and ports that a project's Services are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceNetwork {
    /// One range, or one of each family; the first is that of a Service which asks for none.
    pub cidrs: Vec<IpNet>,
    /// The ports of NodePort and LoadBalancer Services.
    pub node_ports: RangeInclusive<u16>,
}

/// What a Service holds exclusively: `ip/10.96.0.10`, `port/TCP/30080`.
pub fn claims(_service: &Value) -> Vec<String> {
    Vec::new()
}

/// Gives a new Service, or a new version of one, the addresses and ports that it needs and has not
/// got, and takes those away that its type does not have.
///
/// `in_use` says whether a claim is held, by this Service (as `old`) or by any other;
/// `recently_released` whether it was held a moment ago, and so is better not handed out. `seed`
/// decides where the search begins. A request that cannot be met is Invalid; a range without free
/// addresses is an Internal error, as in Kubernetes.
pub fn allocate(
    _service: &mut Value,
    _old: Option<&Value>,
    _network: &ServiceNetwork,
    _in_use: &dyn Fn(&str) -> bool,
    _recently_released: &dyn Fn(&str) -> bool,
    _seed: u64,
) -> Result<(), Error> {
    Ok(())
}
