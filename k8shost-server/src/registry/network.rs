//! Cluster IPs and node ports: taken inside the Service's own commit, from the index of what is in use.

use k8shost_store::log::State;
use k8shost_types::{Error, addresses};
use serde_json::Value;

use super::Context;

/// Gives a Service the addresses and ports that it needs and does not have.
pub(crate) fn allocate(
    context: &Context,
    state: &State,
    service: &mut Value,
    old: Option<&Value>,
    uid: &str,
) -> Result<(), Error> {
    addresses::allocate(
        service,
        old,
        &context.network,
        &|claim| state.claim(claim).is_some(),
        &|claim| state.recently_released(claim),
        seed(uid),
    )
}

/// Where the search for free addresses begins. The commit function is pure, so the randomness comes
/// from the object: its uid is random.
fn seed(uid: &str) -> u64 {
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).take(16);
    digits.fold(0, |seed, digit| {
        (seed << 4) | u64::from(char::from(digit).to_digit(16).unwrap_or(0))
    })
}
