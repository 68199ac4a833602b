//! The table of Kubernetes' kinds: one row for each.

use crate::{
    admissionregistration, apps, autoscaling, batch, certificates, coordination, core_v1,
    discovery, flowcontrol, namespace, networking, node, pod, policy, rbac, resource,
    runtime_class, scheduling, service, storage, strategy::Strategy,
};

/// The rows by group.
pub static GROUPS: &[&[&Strategy]] = &[
    &[
        &pod::STRATEGY,
        &service::STRATEGY,
        &node::STRATEGY,
        &namespace::STRATEGY,
    ],
    core_v1::ALL,
    apps::ALL,
    batch::ALL,
    coordination::ALL,
    discovery::ALL,
    policy::ALL,
    rbac::ALL,
    scheduling::ALL,
    runtime_class::ALL,
    networking::ALL,
    autoscaling::ALL,
    storage::ALL,
    certificates::ALL,
    admissionregistration::ALL,
    flowcontrol::ALL,
    resource::ALL,
];

/// All rows.
pub fn all() -> impl Iterator<Item = &'static Strategy> {
    GROUPS.iter().copied().flatten().copied()
}

/// The row of a resource: `find("apps/v1", "deployments")`.
pub fn find(api_version: &str, resource: &str) -> Option<&'static Strategy> {
    all().find(|row| row.api_version == api_version && row.resource == resource)
}
