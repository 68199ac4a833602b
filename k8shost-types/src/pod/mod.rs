//! Pod: its defaults and rules, and what a binding and a deletion do to it.

mod admission;
mod claim;
mod containers;
mod defaults;
mod env;
mod image;
mod mounts;
mod probes;
mod profiles;
mod projected;
mod resize;
mod resources;
mod scheduling;
mod security;
mod sources;
mod status;
mod storage;
mod template;
mod total;
mod update;
mod validate;
mod volumes;
mod windows;

use std::{borrow::Cow, time::SystemTime};

use serde_json::{Value, json};

pub(crate) use admission::drop_disabled;
pub use admission::{admit_create, admit_update};
pub(crate) use claim::{MODES as ACCESS_MODES, validate_spec as validate_claim_spec};
pub(crate) use containers::{PROTOCOLS, required_choice};
pub use defaults::default;
pub(crate) use defaults::{
    exact_quantity, fill, fill_absent, fill_zero, quantities, resource_defaults,
    source_defaults as volume_source_defaults, template as template_defaults,
};
pub(crate) use probes::{validate_port, validate_port_number};
pub use resize::{prepare_resize_update, validate_resize_update};
pub(crate) use resources::{
    is_overcommit_allowed, read as read_quantity, validate_amount, validate_container_name,
    validate_name, validate_overhead, validate_readable,
};
pub(crate) use scheduling::{
    faults, strings, validate_label_selector, validate_node_selector, validate_taint_effect,
    validate_tolerations,
};
pub(crate) use security::validate_no_backsteps;
pub(crate) use sources::{Check as SourceCheck, SOURCES, require};
pub use status::{prepare_status_update, validate_status_update};
pub(crate) use template::{validate_controlled_template, validate_template};
pub use total::qos_class;
pub use update::{
    prepare_ephemeral_containers_update, validate_ephemeral_containers_update, validate_update,
};
pub use validate::validate_create;

use crate::{
    error::Error,
    field::{Path, quote},
    json::{self as tree, flag, get, int, list, text},
    meta, names,
    strategy::{Fields, Part, Strategy, Text},
    time,
};

/// The pod's row in the table of kinds.
pub const STRATEGY: Strategy = Strategy {
    kind: Text::Borrowed("Pod"),
    api_version: Text::Borrowed("v1"),
    resource: Text::Borrowed("pods"),
    namespaced: true,
    name_rule: names::subdomain_rule,
    default,
    admit_create,
    admit_update,
    prepare_create,
    validate_create,
    prepare_update,
    validate_update,
    prepare_status_update,
    validate_status_update,
    canonicalize: |_| {},
    selectable: &[
        "metadata.name",
        "metadata.namespace",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ],
    fields,
    has_status: true,
    parts: &[
        Part {
            name: "ephemeralcontainers",
            prepare: update::prepare_ephemeral_containers_update,
            validate: update::validate_ephemeral_containers_update,
        },
        Part {
            name: "resize",
            prepare: resize::prepare_resize_update,
            validate: resize::validate_resize_update,
        },
    ],
    ..Strategy::BASE
};

static NOTHING: Value = Value::Null;

/// The pod's spec; null where there is none.
fn spec_of(pod: &Value) -> &Value {
    get(pod, "spec").unwrap_or(&NOTHING)
}

/// The pod's status; null where there is none.
fn status_of(pod: &Value) -> &Value {
    get(pod, "status").unwrap_or(&NOTHING)
}

/// spec.nodeName, or "".
pub fn node_name(pod: &Value) -> &str {
    text(spec_of(pod), "nodeName")
}

/// Visits init containers, containers and ephemeral containers, with their paths.
fn visit_containers<'a>(
    spec: &'a Value,
    path: &Path<'_>,
    mut visit: impl FnMut(&'a Value, &Path<'_>),
) {
    for field in defaults::CONTAINERS {
        let path = path.child(field);
        for (i, container) in list(spec, field).iter().enumerate() {
            visit(container, &path.index(i));
        }
    }
}

/// A new pod is Pending, has its class of service, and generation 1. What belongs to features that
/// are off goes.
pub fn prepare_create(pod: &mut Value) {
    meta::set(pod, "generation", 1);
    let class = qos_class(pod);
    tree::set(
        pod,
        "status",
        json!({"phase": "Pending", "qosClass": class}),
    );
    admission::drop_disabled(pod);
    admission::gated_condition(pod);
    admission::merge_label_keys(pod);
    admission::app_armor_from_annotations(pod);
}

/// The status stays; a new spec is a new generation.
pub fn prepare_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "status");
    admission::drop_disabled(new);
    update::bump_generation(new, old);
}

/// Gives a pod to a node: sets spec.nodeName and the condition PodScheduled. Refused with Conflict
/// for a pod that is being deleted, has a node already, or has scheduling gates; with Invalid for
/// no node's name.
pub fn bind(pod: &mut Value, node: &str, now: SystemTime) -> Result<(), Error> {
    let name = meta::name(pod);
    let bound = node_name(pod);
    let refusal = if !meta::deletion_timestamp(pod).is_empty() {
        format!("pod {name} is being deleted, cannot be assigned to a host")
    } else if !bound.is_empty() {
        format!("pod {name} is already assigned to node {}", quote(bound))
    } else if !list(spec_of(pod), "schedulingGates").is_empty() {
        format!("pod {name} has non-empty .spec.schedulingGates")
    } else if node.is_empty() {
        let path = Path::new("target");
        let error = crate::FieldError::required(&path.child("name"), "");
        return Err(Error::invalid("Binding", name, vec![error]));
    } else {
        String::new()
    };
    if !refusal.is_empty() {
        return Err(Error::conflict("pods/binding", name, refusal));
    }
    if let Some(spec) = tree::ensure_object(pod, "spec") {
        tree::set(spec, "nodeName", node);
    }
    if let Some(status) = tree::ensure_object(pod, "status") {
        tree::remove(status, "nominatedNodeName");
        set_condition(
            status,
            json!({
                "type": "PodScheduled",
                "status": "True",
                "lastProbeTime": null,
                "lastTransitionTime": time::format(now),
            }),
        );
    }
    Ok(())
}

/// Puts a condition in the place of the one of its type; its time of transition stays when its
/// status does.
pub(crate) fn set_condition(status: &mut Value, mut condition: Value) {
    let kind = text(&condition, "type").to_owned();
    if tree::get(status, "conditions").is_none() {
        tree::set(status, "conditions", Value::Array(Vec::new()));
    }
    let Some(Value::Array(conditions)) = tree::get_mut(status, "conditions") else {
        return;
    };
    match conditions.iter_mut().find(|old| text(old, "type") == kind) {
        Some(old) => {
            if text(old, "status") == text(&condition, "status") {
                tree::keep(&mut condition, old, "lastTransitionTime");
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

/// How many seconds a pod that is deleted now has: what was asked for, or else what its spec says;
/// none when it has no node or is at its end.
pub fn grace_period_seconds(pod: &Value, requested: Option<i64>) -> i64 {
    let own = || int(spec_of(pod), "terminationGracePeriodSeconds");
    let phase = text(status_of(pod), "phase");
    if node_name(pod).is_empty() || matches!(phase, "Failed" | "Succeeded") {
        return 0;
    }
    match requested.or_else(own).unwrap_or_default() {
        seconds if seconds < 0 => 1,
        seconds => seconds,
    }
}

/// The fields that a selector may ask for. status.podIPs may be asked for, but is never set.
pub fn fields(pod: &Value) -> Fields<'_> {
    let (spec, status) = (spec_of(pod), status_of(pod));
    let first_ip = list(status, "podIPs")
        .first()
        .map_or("", |ip| text(ip, "ip"));
    let host_network = if flag(spec, "hostNetwork") {
        "true"
    } else {
        "false"
    };
    [
        ("spec.nodeName", text(spec, "nodeName")),
        ("spec.restartPolicy", text(spec, "restartPolicy")),
        ("spec.schedulerName", text(spec, "schedulerName")),
        ("spec.serviceAccountName", text(spec, "serviceAccountName")),
        ("spec.hostNetwork", host_network),
        ("status.phase", text(status, "phase")),
        ("status.podIP", first_ip),
        (
            "status.nominatedNodeName",
            text(status, "nominatedNodeName"),
        ),
    ]
    .into_iter()
    .map(|(field, value)| (field, Cow::Borrowed(value)))
    .collect()
}
