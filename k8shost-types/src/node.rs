//! Node: its defaults and rules, and what a heartbeat does to it.

use std::{borrow::Cow, time::SystemTime};

use serde_json::{Map, Value, json};

use crate::{
    error::{Error, FieldError},
    field::Path,
    json::{self as tree, ensure_object, flag, get, get_mut, int, list, list_mut, object, text},
    meta, names,
    net::{parse_cidr, validate_cidr},
    pod::{quantities, validate_amount, validate_taint_effect},
    seen::Seen,
    strategy::{Fields, Strategy, Text},
    time,
};

/// The annotation with the time of the last heartbeat.
pub const LAST_HEARTBEAT: &str = "k8shost.io/last-heartbeat";
/// The taint of a node that has not said that it is ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// The node's row in the table of kinds.
pub const STRATEGY: Strategy = Strategy {
    kind: Text::Borrowed("Node"),
    api_version: Text::Borrowed("v1"),
    resource: Text::Borrowed("nodes"),
    namespaced: false,
    name_rule: names::subdomain_rule,
    default,
    admit_create,
    admit_update: |_, _| Ok(()),
    prepare_create,
    validate_create,
    prepare_update,
    validate_update,
    prepare_status_update,
    validate_status_update,
    canonicalize: |_| {},
    selectable: &["metadata.name", "spec.unschedulable"],
    fields,
    has_status: true,
    ..Strategy::BASE
};

static NOTHING: Value = Value::Null;

fn spec_of(node: &Value) -> &Value {
    get(node, "spec").unwrap_or(&NOTHING)
}

fn status_of(node: &Value) -> &Value {
    get(node, "status").unwrap_or(&NOTHING)
}

/// allocatable is capacity where it is not told; podCIDR is the first of podCIDRs; and the fields
/// that a node always shows.
pub fn default(node: &mut Value) {
    if let Some(spec) = ensure_object(node, "spec") {
        pod_cidrs(spec);
    }
    let Some(status) = ensure_object(node, "status") else {
        return;
    };
    quantities(status, "capacity");
    if get(status, "allocatable").is_none()
        && let Some(capacity) = get(status, "capacity").cloned()
    {
        tree::set(status, "allocatable", capacity);
    }
    quantities(status, "allocatable");
    for condition in list_mut(status, "conditions") {
        for field in ["lastHeartbeatTime", "lastTransitionTime"] {
            if get(condition, field).is_none() {
                tree::set(condition, field, Value::Null);
            }
        }
    }
    if let Some(info) = ensure_object(status, "nodeInfo") {
        for field in [
            "architecture",
            "bootID",
            "containerRuntimeVersion",
            "kernelVersion",
            "kubeProxyVersion",
            "kubeletVersion",
            "machineID",
            "operatingSystem",
            "osImage",
            "systemUUID",
        ] {
            if get(info, field).is_none() {
                tree::set(info, field, "");
            }
        }
    }
    if let Some(endpoints) = ensure_object(status, "daemonEndpoints")
        && let Some(kubelet) = ensure_object(endpoints, "kubeletEndpoint")
        && get(kubelet, "Port").is_none()
    {
        tree::set(kubelet, "Port", 0);
    }
}

fn pod_cidrs(spec: &mut Value) {
    let single = text(spec, "podCIDR");
    let first = list(spec, "podCIDRs")
        .first()
        .and_then(Value::as_str)
        .unwrap_or_default();
    if single == first {
        return;
    }
    if single.is_empty() {
        let first = first.to_owned();
        tree::set(spec, "podCIDR", first);
    } else {
        let single = single.to_owned();
        tree::set(spec, "podCIDRs", vec![single]);
    }
}

/// A new node is tainted until it is ready.
fn admit_create(node: &mut Value) -> Result<(), Error> {
    let Some(spec) = ensure_object(node, "spec") else {
        return Ok(());
    };
    if list(spec, "taints").iter().any(is_not_ready_taint) {
        return Ok(());
    }
    let taint = json!({"key": NOT_READY, "effect": "NoSchedule"});
    match get_mut(spec, "taints") {
        Some(Value::Array(taints)) => taints.push(taint),
        Some(_) => {}
        None => tree::set(spec, "taints", vec![taint]),
    }
    Ok(())
}

fn is_not_ready_taint(taint: &Value) -> bool {
    text(taint, "key") == NOT_READY && text(taint, "effect") == "NoSchedule"
}

/// A new node may bring its status; only what belongs to removed features goes.
pub fn prepare_create(node: &mut Value) {
    if let Some(spec) = get_mut(node, "spec") {
        tree::remove(spec, "configSource");
    }
    drop_disabled(node);
}

fn drop_disabled(node: &mut Value) {
    if let Some(status) = get_mut(node, "status") {
        tree::remove(status, "config");
        tree::remove(status, "declaredFeatures");
    }
}

/// The rules for a new node.
pub fn validate_create(node: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate(node, &mut errors);
    errors
}

fn validate(node: &Value, errors: &mut Vec<FieldError>) {
    meta::validate_create(node, false, names::subdomain_rule, errors);
    meta::validate_kube_finalizers(node, errors);
    validate_taints(node, errors);
    validate_resources(node, errors);
    if let Some(capacity) = get(status_of(node), "nodeInfo")
        .and_then(|info| get(info, "swap"))
        .and_then(|swap| int(swap, "capacity"))
        && capacity <= 0
    {
        let path = Path::new("metadata.nodeSwapStatus");
        errors.push(FieldError::invalid(
            &path.child("capacity"),
            &capacity,
            "must be greater than zero",
        ));
    }
    let cidrs = list(spec_of(node), "podCIDRs");
    let path = Path::new("spec");
    let path = path.child("podCIDRs");
    for (i, cidr) in cidrs.iter().filter_map(Value::as_str).enumerate() {
        validate_cidr(&path.index(i), cidr, false, errors);
    }
    let six = |cidr: &Value| parse_cidr(cidr.as_str()?).map(|(ip, _)| ip.is_ipv6());
    let dual = || {
        cidrs.len() == 2 && matches!((six(&cidrs[0]), six(&cidrs[1])), (Some(a), Some(b)) if a != b)
    };
    if cidrs.len() > 1 && !dual() {
        errors.push(FieldError::invalid(
            &path,
            &Value::from(cidrs.to_vec()),
            "may specify no more than one CIDR for each IP family",
        ));
    }
}

/// The rules for spec.taints. The paths are those of Kubernetes, which are not where taints are.
fn validate_taints(node: &Value, errors: &mut Vec<FieldError>) {
    let taints = list(spec_of(node), "taints");
    let path = Path::new("metadata");
    let path = path.child("taints");
    let mut seen = Seen::new();
    for (i, taint) in taints.iter().enumerate() {
        let path = path.index(i);
        let (key, value) = (text(taint, "key"), text(taint, "value"));
        for fault in names::qualified_name(key) {
            errors.push(FieldError::invalid(&path.child("key"), key, &fault));
        }
        let faults = names::label_value(value);
        if !faults.is_empty() {
            errors.push(FieldError::invalid(
                &path.child("value"),
                value,
                &faults.join(";"),
            ));
        }
        let effect = text(taint, "effect");
        if effect.is_empty() {
            errors.push(FieldError::required(&path.child("effect"), ""));
        } else {
            validate_taint_effect(effect, &path.child("effect"), errors);
        }
        if !seen.add((key, effect)) {
            let mut error = FieldError::duplicate(&path, taint);
            error
                .message
                .push_str(": taints must be unique by key and effect pair");
            errors.push(error);
        }
    }
}

fn validate_resources(node: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::new("status");
    for field in ["capacity", "allocatable"] {
        let path = path.child(field);
        for (name, value) in object(status_of(node), field).into_iter().flatten() {
            validate_amount(name, value, &path.child(name), errors);
        }
    }
}

fn validate_addresses(node: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::new("status");
    let path = path.child("addresses");
    let addresses = list(status_of(node), "addresses");
    let mut seen = Seen::new();
    for (i, address) in addresses.iter().enumerate() {
        if !seen.add((text(address, "type"), text(address, "address"))) {
            errors.push(FieldError::duplicate(&path.index(i), address));
        }
    }
}

/// The status stays.
pub fn prepare_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "status");
    if let Some(spec) = get_mut(new, "spec") {
        tree::remove(spec, "configSource");
    }
}

/// The rules for a new version of a node.
pub fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate(new, &mut errors);
    validate_changes(new, old, &mut errors);
    errors
}

fn validate_changes(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    meta::validate_update(new, old, errors);
    meta::validate_kube_finalizers(new, errors);
    validate_resources(new, errors);
    validate_addresses(new, errors);
    let path = Path::new("spec");
    let (new_spec, old_spec) = (spec_of(new), spec_of(old));
    let (cidrs, old_cidrs) = (list(new_spec, "podCIDRs"), list(old_spec, "podCIDRs"));
    let changed = if old_cidrs.len() == cidrs.len() {
        old_cidrs
            .iter()
            .zip(cidrs)
            .filter(|(old, new)| old != new)
            .count()
    } else {
        usize::from(!old_cidrs.is_empty())
    };
    for _ in 0..changed {
        errors.push(FieldError::forbidden(
            &path.child("podCIDRs"),
            "node updates may not change podCIDR except from \"\" to valid",
        ));
    }
    let (provider, old_provider) = (text(new_spec, "providerID"), text(old_spec, "providerID"));
    if !old_provider.is_empty() && old_provider != provider {
        errors.push(FieldError::forbidden(
            &path.child("providerID"),
            "node updates may not change providerID except from \"\" to valid",
        ));
    }
    validate_taints(new, errors);
    if text(new_spec, "externalID") != text(old_spec, "externalID") {
        errors.push(FieldError::forbidden(
            &path.child("externalID"),
            "may not be updated",
        ));
    }
}

/// Only the status is written.
pub fn prepare_status_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "spec");
    drop_disabled(new);
}

/// The rules for a write of the status.
pub fn validate_status_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate_changes(new, old, &mut errors);
    errors
}

/// The fields that a selector may ask for.
pub fn fields(node: &Value) -> Fields<'_> {
    let unschedulable = if flag(spec_of(node), "unschedulable") {
        "true"
    } else {
        "false"
    };
    vec![("spec.unschedulable", Cow::Borrowed(unschedulable))]
}

/// A sign of life. What `status` has replaces what was there: absent fields stay, maps are replaced
/// whole, conditions are merged by type. Without a status, or with an empty one, only the times are
/// renewed: the annotation [`LAST_HEARTBEAT`] and lastHeartbeatTime of the condition Ready.
///
/// A node that says it is ready loses the taint that it was registered with. What breaks a rule is
/// Invalid.
pub fn heartbeat(node: &mut Value, status: Option<&Value>, now: SystemTime) -> Result<(), Error> {
    let now = time::format(now);
    let Some(current) = ensure_object(node, "status") else {
        return Ok(());
    };
    let told = status.and_then(Value::as_object);
    for (field, value) in told.into_iter().flatten() {
        match (field.as_str(), value) {
            (_, Value::Null) => {}
            ("conditions", Value::Array(conditions)) => {
                for condition in conditions {
                    merge_condition(current, condition, &now);
                }
            }
            // An empty list or object says nothing.
            (_, Value::Array(items)) if items.is_empty() => {}
            (_, Value::Object(fields)) if fields.is_empty() => {}
            ("nodeInfo" | "daemonEndpoints", Value::Object(fields)) => {
                merge_object(current, field, fields);
            }
            (field, value) => tree::set(current, field, value.clone()),
        }
    }
    let mut ready = false;
    for condition in list_mut(current, "conditions") {
        if text(condition, "type") == "Ready" {
            tree::set(condition, "lastHeartbeatTime", now.clone());
            ready = text(condition, "status") == "True";
        }
    }
    meta::set_annotation(node, LAST_HEARTBEAT, &now);
    if ready {
        remove_not_ready_taint(node);
    }
    if told.is_none_or(Map::is_empty) {
        return Ok(());
    }
    default(node);
    drop_disabled(node);
    let mut errors = Vec::new();
    validate_resources(node, &mut errors);
    validate_addresses(node, &mut errors);
    if errors.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("Node", meta::name(node), errors))
}

fn merge_object(current: &mut Value, field: &str, fields: &Map<String, Value>) {
    let Some(target) = ensure_object(current, field) else {
        return;
    };
    for (name, value) in fields {
        // An empty text is what an unset field looks like.
        if !value.is_null() && value.as_str() != Some("") {
            tree::set(target, name, value.clone());
        }
    }
}

/// Puts a condition in the place of that of its type. A missing time of transition is that of the old
/// one, unless the condition's status changed: then it is now.
fn merge_condition(status: &mut Value, condition: &Value, now: &str) {
    let kind = text(condition, "type");
    if kind.is_empty() {
        return;
    }
    let mut condition = condition.clone();
    if text(&condition, "lastHeartbeatTime").is_empty() {
        tree::set(&mut condition, "lastHeartbeatTime", now);
    }
    let no_transition = text(&condition, "lastTransitionTime").is_empty();
    if get(status, "conditions").is_none() {
        tree::set(status, "conditions", Value::Array(Vec::new()));
    }
    let Some(Value::Array(conditions)) = get_mut(status, "conditions") else {
        return;
    };
    let old = conditions
        .iter_mut()
        .find(|old| text(old, "type") == text(&condition, "type"));
    if no_transition {
        let unchanged = old
            .as_deref()
            .filter(|old| text(old, "status") == text(&condition, "status"))
            .map(|old| text(old, "lastTransitionTime"))
            .filter(|time| !time.is_empty())
            .unwrap_or(now)
            .to_owned();
        tree::set(&mut condition, "lastTransitionTime", unchanged);
    }
    match old {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}

fn remove_not_ready_taint(node: &mut Value) {
    let Some(spec) = get_mut(node, "spec") else {
        return;
    };
    if let Some(Value::Array(taints)) = get_mut(spec, "taints") {
        taints.retain(|taint| !is_not_ready_taint(taint));
        if taints.is_empty() {
            tree::remove(spec, "taints");
        }
    }
}
