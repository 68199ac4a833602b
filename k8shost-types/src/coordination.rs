//! Lease, the one kind of coordination.k8s.io/v1.

use serde_json::Value;

use crate::{
    field::Path,
    json as tree, names,
    rules::{self, Errors, non_negative, positive, spec},
    strategy::{Strategy, Text},
};

/// The row of Lease in the table of kinds.
pub static LEASE: Strategy = Strategy {
    kind: Text::Borrowed("Lease"),
    api_version: Text::Borrowed("coordination.k8s.io/v1"),
    resource: Text::Borrowed("leases"),
    default: |lease| {
        tree::ensure_object(lease, "spec");
    },
    prepare_create: drop_disabled,
    validate_create: |lease| rules::created(lease, true, names::subdomain_rule, validate),
    prepare_update: |new, _| drop_disabled(new),
    validate_update: |new, old| rules::updated(new, old, validate),
    create_on_update: true,
    unconditional_update: false,
    ..Strategy::BASE
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&LEASE];

/// The fields of coordinated leader election, which is off.
fn drop_disabled(lease: &mut Value) {
    if let Some(spec) = tree::get_mut(lease, "spec") {
        tree::remove(spec, "strategy");
        tree::remove(spec, "preferredHolder");
    }
}

fn validate(lease: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    positive(spec(lease), "leaseDurationSeconds", &path, errors);
    non_negative(spec(lease), "leaseTransitions", &path, errors);
}
