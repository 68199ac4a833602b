//! What a write of a pod's status may change.

use serde_json::Value;

use super::{scheduling::faults, spec_of, status_of, validate};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, list, text},
    meta, names,
    net::{is_dual_stack, validate_ip},
    seen::{ByName, Seen},
};

/// All but the status stays, and so do the pod's owners; the class of service may be left out.
pub fn prepare_status_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "spec");
    if let Some(metadata) = tree::ensure_object(new, "metadata") {
        tree::remove(metadata, "deletionTimestamp");
        tree::keep(metadata, meta::metadata(old), "ownerReferences");
    }
    let old_status = status_of(old);
    if let Some(status) = tree::ensure_object(new, "status") {
        if text(status, "qosClass").is_empty() {
            tree::keep(status, old_status, "qosClass");
        }
        keep_observed_generations(status, old_status);
    }
    super::admission::drop_disabled(new);
}

/// observedGeneration, of the status and of its conditions, is kept where it is left out.
fn keep_observed_generations(status: &mut Value, old: &Value) {
    let missing = |value: &Value| int(value, "observedGeneration").unwrap_or_default() == 0;
    if missing(status) {
        tree::keep(status, old, "observedGeneration");
    }
    let old = list(old, "conditions");
    let mut used = vec![false; old.len()];
    for condition in tree::list_mut(status, "conditions") {
        let kind = text(condition, "type");
        let same = (0..old.len()).find(|at| !used[*at] && text(&old[*at], "type") == kind);
        if let Some(at) = same {
            used[at] = true;
            if missing(condition) {
                tree::keep(condition, &old[at], "observedGeneration");
            }
        }
    }
}

/// The rules for a write of the status.
pub fn validate_status_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    validate::validate_annotation_updates(new, old, &mut errors);
    let path = Path::new("status");
    let (status, old_status) = (status_of(new), status_of(old));
    let spec = spec_of(old);
    validate_conditions(status, &path, &mut errors);
    validate_nomination(status, old_status, spec, &path, &mut errors);
    let generation = int(status, "observedGeneration").unwrap_or_default();
    if generation < 0 {
        errors.push(FieldError::invalid(
            &path.child("observedGeneration"),
            &generation,
            "must be a non-negative integer",
        ));
    }
    let (class, old_class) = (text(status, "qosClass"), text(old_status, "qosClass"));
    if class != old_class {
        errors.push(FieldError::invalid(
            &path.child("qosClass"),
            class,
            "field is immutable",
        ));
    }
    validate_transitions(status, old_status, spec, &path, &mut errors);
    validate_claims(
        status,
        spec,
        &path.child("resourceClaimStatuses"),
        &mut errors,
    );
    validate_ips(status, old_status, "podIPs", &path, &mut errors);
    validate_host_ips(status, old_status, &path, &mut errors);
    validate_users(status, spec, &path, &mut errors);
    validate_amounts(status, &path, &mut errors);
    errors
}

fn validate_conditions(status: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("conditions");
    for (i, condition) in list(status, "conditions").iter().enumerate() {
        let path = path.index(i);
        let generation = int(condition, "observedGeneration").unwrap_or_default();
        if generation < 0 {
            errors.push(FieldError::invalid(
                &path.child("observedGeneration"),
                &generation,
                "must be a non-negative integer",
            ));
        }
        let kind = text(condition, "type");
        if !matches!(kind, "PodScheduled" | "Ready" | "Initialized") {
            faults(
                names::qualified_name(kind),
                kind,
                &path.child("Type"),
                errors,
            );
        }
    }
}

fn validate_nomination(
    status: &Value,
    old: &Value,
    spec: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let node = text(status, "nominatedNodeName");
    if node.is_empty() || node == text(old, "nominatedNodeName") {
        return;
    }
    let path = path.child("nominatedNodeName");
    faults(names::dns1123_subdomain(node), node, &path, errors);
    if !text(spec, "nodeName").is_empty() {
        errors.push(FieldError::forbidden(
            &path,
            "may not be set on pods that are already bound to a node",
        ));
    }
}

/// Whether a container that ended so is started again.
fn restarts(container: &Value, pod_policy: &str, exit_code: i64) -> bool {
    for rule in list(container, "restartPolicyRules") {
        let Some(codes) = get(rule, "exitCodes") else {
            continue;
        };
        let listed = list(codes, "values")
            .iter()
            .any(|code| code.as_i64() == Some(exit_code));
        let applies = match text(codes, "operator") {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        };
        if applies && text(rule, "action") == "Restart" {
            return true;
        }
    }
    let own = text(container, "restartPolicy");
    match if own.is_empty() { pod_policy } else { own } {
        "Always" => true,
        "OnFailure" => exit_code != 0,
        _ => false,
    }
}

fn terminated(status: &Value) -> Option<&Value> {
    get(get(status, "state")?, "terminated")
}

/// A container that ended, and is not started again, stays ended.
fn validate_transitions(
    status: &Value,
    old: &Value,
    spec: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let policy = text(spec, "restartPolicy");
    for (field, of) in [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
        ("ephemeralContainerStatuses", ""),
    ] {
        let path = path.child(field);
        let running: Seen<&str> = list(status, field)
            .iter()
            .filter(|now| terminated(now).is_none())
            .map(|now| text(now, "name"))
            .collect();
        let containers: ByName<'_> = list(spec, of).iter().collect();
        for (i, before) in list(old, field).iter().enumerate() {
            let Some(end) = terminated(before) else {
                continue;
            };
            let name = text(before, "name");
            if !running.has(&name) {
                continue;
            }
            let exit_code = int(end, "exitCode").unwrap_or_default();
            if !containers
                .get(name)
                .is_some_and(|container| restarts(container, policy, exit_code))
            {
                errors.push(FieldError::forbidden(
                    &path.index(i).child("state"),
                    "may not be transitioned to non-terminated state",
                ));
            }
        }
    }
}

fn validate_claims(status: &Value, spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let statuses = list(status, "resourceClaimStatuses");
    let claims: Seen<&str> = list(spec, "resourceClaims")
        .iter()
        .map(|claim| text(claim, "name"))
        .collect();
    let mut seen = Seen::new();
    for (i, claim) in statuses.iter().enumerate() {
        let path = path.index(i);
        let path = path.child("name");
        let name = text(claim, "name");
        if !claims.has(&name) {
            errors.push(FieldError::invalid(
                &path,
                name,
                "must match the name of an entry in `spec.resourceClaims`",
            ));
        }
        if !seen.add(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        if let Some(Value::String(claim)) = get(claim, "resourceClaimName") {
            faults(names::dns1123_subdomain(claim), claim, &path, errors);
        }
    }
}

/// Addresses, at most one of each family.
fn validate_ips(
    status: &Value,
    old: &Value,
    field: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let path = path.child(field);
    let ips = list(status, field);
    let before: Seen<&str> = list(old, field).iter().map(|ip| text(ip, "ip")).collect();
    for (i, ip) in ips.iter().enumerate() {
        let ip = text(ip, "ip");
        validate_ip(&path.index(i), ip, before.has(&ip), errors);
    }
    let dual = || ips.len() == 2 && is_dual_stack(ips.iter().map(|ip| text(ip, "ip")));
    if ips.len() > 1 && !dual() {
        errors.push(FieldError::invalid(
            &path,
            &Value::from(ips.to_vec()),
            "may specify no more than one IP for each IP family",
        ));
    }
}

fn validate_host_ips(status: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(first) = list(status, "hostIPs").first()
        && text(first, "ip") != text(status, "hostIP")
    {
        let path = path.child("hostIPs");
        errors.push(FieldError::invalid(
            &path.index(0).child("ip"),
            text(first, "ip"),
            "must be equal to `hostIP`",
        ));
    }
    validate_ips(status, old, "hostIPs", path, errors);
}

fn validate_users(status: &Value, spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let windows = get(spec, "os").is_some_and(|os| text(os, "name") == "windows");
    for field in [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ] {
        let path = path.child(field);
        for (i, container) in list(status, field).iter().enumerate() {
            let user = get(container, "user").and_then(|user| get(user, "linux"));
            let Some(user) = user else {
                continue;
            };
            let path = path.index(i);
            let path = path.child("user");
            let path = path.child("linux");
            if windows {
                errors.push(FieldError::forbidden(
                    &path,
                    "cannot be set for a windows pod",
                ));
            } else {
                super::security::validate_user(user, &path, errors);
            }
        }
    }
}

/// Quantities that cannot be read.
fn validate_amounts(status: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ] {
        let path = path.child(field);
        for (i, container) in list(status, field).iter().enumerate() {
            let path = path.index(i);
            let resources = get(container, "resources").unwrap_or(&Value::Null);
            for (holder, map) in [
                (container, "allocatedResources"),
                (resources, "limits"),
                (resources, "requests"),
            ] {
                let path = path.child(map);
                for (name, value) in tree::object(holder, map).into_iter().flatten() {
                    super::resources::validate_readable(value, &path.key(name), errors);
                }
            }
        }
    }
}
