//! What the server adds to a pod and takes out of it: the admission plugins that a kube-apiserver
//! has on (DefaultTolerationSeconds, Priority), and fields of features that are off.

use serde_json::{Value, json};

use super::{defaults::CONTAINERS, profiles, spec_of};
use crate::{
    error::Error,
    json::{self as tree, ensure_object, get, get_mut, int, list, list_mut, text},
    meta,
    scheduling::SYSTEM_CLASSES,
};

const EVICTION_SECONDS: i64 = 300;
const PREEMPTION: &str = "PreemptLowerPriority";

/// A new pod's tolerations for nodes that fail, and its priority. A priority class that there is not,
/// or a number that is not the class', is Forbidden.
pub fn admit_create(pod: &mut Value) -> Result<(), Error> {
    tolerate_failing_nodes(pod);
    let spec = spec_of(pod);
    let forbidden = |detail: String| Err(Error::forbidden("pods", meta::name(pod), detail));
    let class = text(spec, "priorityClassName");
    let priority = if class.is_empty() {
        0
    } else if let Some((_, priority)) = SYSTEM_CLASSES.iter().find(|(name, _)| *name == class) {
        *priority
    } else {
        return forbidden(format!("no PriorityClass with name {class} was found"));
    };
    if let Some(given) = int(spec, "priority")
        && given != priority
    {
        return forbidden(format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        ));
    }
    if let Some(Value::String(given)) = get(spec, "preemptionPolicy")
        && given != PREEMPTION
    {
        return forbidden(format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {PREEMPTION} from the given PriorityClass name"
        ));
    }
    if let Some(spec) = ensure_object(pod, "spec") {
        tree::set(spec, "priority", priority);
        tree::set(spec, "preemptionPolicy", PREEMPTION);
    }
    Ok(())
}

/// The same tolerations on update, and the priority that the pod had, where it is left out.
pub fn admit_update(new: &mut Value, old: &Value) -> Result<(), Error> {
    tolerate_failing_nodes(new);
    if let Some(spec) = ensure_object(new, "spec") {
        for field in ["priority", "preemptionPolicy"] {
            if get(spec, field).is_none() {
                tree::keep(spec, spec_of(old), field);
            }
        }
    }
    Ok(())
}

/// A pod that says nothing of it stays for five minutes on a node that is not ready or not reachable.
fn tolerate_failing_nodes(pod: &mut Value) {
    let Some(spec) = ensure_object(pod, "spec") else {
        return;
    };
    let missing: Vec<Value> = [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    .into_iter()
    .filter(|taint| {
        !list(spec, "tolerations").iter().any(|toleration| {
            let key = text(toleration, "key");
            let effect = text(toleration, "effect");
            (key.is_empty() || key == *taint) && matches!(effect, "" | "NoExecute")
        })
    })
    .map(|taint| {
        json!({
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": EVICTION_SECONDS,
        })
    })
    .collect();
    if missing.is_empty() {
        return;
    }
    match get_mut(spec, "tolerations") {
        Some(Value::Array(tolerations)) => tolerations.extend(missing),
        Some(_) => {}
        None => tree::set(spec, "tolerations", missing),
    }
}

/// Takes out the fields of features that Kubernetes 1.35 has off.
pub(crate) fn drop_disabled(pod: &mut Value) {
    if let Some(spec) = get_mut(pod, "spec") {
        tree::remove(spec, "workloadRef");
        for volume in list_mut(spec, "volumes") {
            let Some(projected) = get_mut(volume, "projected") else {
                continue;
            };
            for source in list_mut(projected, "sources") {
                tree::remove(source, "clusterTrustBundle");
                tree::remove(source, "podCertificate");
            }
        }
        for field in CONTAINERS {
            for container in list_mut(spec, field) {
                drop_stop_signal(container);
            }
        }
    }
    if let Some(status) = get_mut(pod, "status") {
        for field in [
            "resources",
            "allocatedResources",
            "extendedResourceClaimStatus",
        ] {
            tree::remove(status, field);
        }
        for field in [
            "initContainerStatuses",
            "containerStatuses",
            "ephemeralContainerStatuses",
        ] {
            for container in list_mut(status, field) {
                tree::remove(container, "allocatedResourcesStatus");
            }
        }
    }
}

fn drop_stop_signal(container: &mut Value) {
    let Some(lifecycle) = get_mut(container, "lifecycle") else {
        return;
    };
    let dropped = tree::remove(lifecycle, "stopSignal").is_some();
    if dropped
        && lifecycle
            .as_object()
            .is_some_and(|fields| fields.values().all(Value::is_null))
    {
        tree::remove(container, "lifecycle");
    }
}

/// A new pod with scheduling gates says why it is not scheduled.
pub(super) fn gated_condition(pod: &mut Value) {
    if list(spec_of(pod), "schedulingGates").is_empty() {
        return;
    }
    let now = text(meta::metadata(pod), "creationTimestamp").to_owned();
    if let Some(status) = get_mut(pod, "status") {
        super::set_condition(
            status,
            json!({
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": null,
                "lastTransitionTime": now,
            }),
        );
    }
}

/// matchLabelKeys and mismatchLabelKeys become requirements, with the values of the pod's own labels.
pub(super) fn merge_label_keys(pod: &mut Value) {
    let spec = spec_of(pod);
    if get(spec, "affinity").is_none() && get(spec, "topologySpreadConstraints").is_none() {
        return;
    }
    let labels = get(meta::metadata(pod), "labels")
        .cloned()
        .unwrap_or_default();
    let Some(spec) = get_mut(pod, "spec") else {
        return;
    };
    if let Some(affinity) = get_mut(spec, "affinity") {
        for field in ["podAffinity", "podAntiAffinity"] {
            let Some(pods) = get_mut(affinity, field) else {
                continue;
            };
            for weighted in list_mut(pods, "preferredDuringSchedulingIgnoredDuringExecution") {
                if let Some(term) = get_mut(weighted, "podAffinityTerm") {
                    merge_into(term, &labels);
                }
            }
            for term in list_mut(pods, "requiredDuringSchedulingIgnoredDuringExecution") {
                merge_into(term, &labels);
            }
        }
    }
    for constraint in list_mut(spec, "topologySpreadConstraints") {
        merge_into(constraint, &labels);
    }
}

fn merge_into(term: &mut Value, labels: &Value) {
    let mut more = Vec::new();
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in list(term, field).iter().filter_map(Value::as_str) {
            if let Some(Value::String(value)) = get(labels, key) {
                more.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    let Some(selector) = get_mut(term, "labelSelector").filter(|_| !more.is_empty()) else {
        return;
    };
    match get_mut(selector, "matchExpressions") {
        Some(Value::Array(expressions)) => expressions.extend(more),
        Some(_) => {}
        None => tree::set(selector, "matchExpressions", more),
    }
}

/// A container without AppArmor profile gets that of its annotation, unless the pod has it already.
pub(super) fn app_armor_from_annotations(pod: &mut Value) {
    let annotations: Vec<(String, Value)> = tree::pairs(meta::metadata(pod), "annotations")
        .filter_map(|(key, value)| {
            let container = key.strip_prefix(profiles::APP_ARMOR)?;
            Some((
                container.to_owned(),
                profiles::app_armor_of_annotation(value)?,
            ))
        })
        .collect();
    if annotations.is_empty() {
        return;
    }
    let spec = spec_of(pod);
    if get(spec, "os").is_some_and(|os| text(os, "name") == "windows") {
        return;
    }
    let of_pod = get(spec, "securityContext")
        .and_then(|c| get(c, "appArmorProfile"))
        .cloned();
    let Some(spec) = get_mut(pod, "spec") else {
        return;
    };
    for field in CONTAINERS {
        for container in list_mut(spec, field) {
            let name = text(container, "name");
            let profile = annotations
                .iter()
                .find(|(of, _)| of == name)
                .map(|(_, p)| p.clone());
            let Some(profile) = profile.filter(|profile| of_pod.as_ref() != Some(profile)) else {
                continue;
            };
            if let Some(context) = ensure_object(container, "securityContext")
                && get(context, "appArmorProfile").is_none()
            {
                tree::set(context, "appArmorProfile", profile);
            }
        }
    }
}
