//! The resources of a pod as a whole, and the class of service that they make.

use std::collections::BTreeMap;

use serde_json::Value;

use super::resources::{
    HUGE_PAGES, is_huge_page, is_overcommit_allowed, read, requirements, validate_name,
};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, object, text},
    quantity::Quantity,
};

type Amounts<'a> = BTreeMap<&'a str, Quantity>;

fn validate_pod_level_name(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if validate_name(name, path, errors) && !is_pod_level(name) {
        errors.push(FieldError::not_supported(
            path,
            name,
            &["cpu", HUGE_PAGES, "memory"],
        ));
    }
}

fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_page(name)
}

/// The rules for spec.resources, of the pod as a whole.
pub(super) fn validate_pod_level(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(resources) = get(spec, "resources") else {
        return;
    };
    let path = path.child("resources");
    if get(spec, "os").is_some_and(|os| text(os, "name") == "windows") {
        errors.push(FieldError::forbidden(
            &path,
            "may not be set for a windows pod",
        ));
        return;
    }
    if get(resources, "claims").is_some() {
        errors.push(FieldError::forbidden(
            &path.child("claims"),
            "claims may not be set for Resources at pod-level",
        ));
    }
    requirements(resources, validate_pod_level_name, &path, errors);
    consistent(spec, resources, &path, errors);
}

/// What the containers ask for must fit into what the pod has.
fn consistent(spec: &Value, resources: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let requests_path = path.child("requests");
    for (name, sum) in aggregate(spec, "requests") {
        if let Some(value) = get(resources, "requests").and_then(|requests| get(requests, name))
            && read(value).is_some_and(|of_pod| sum > of_pod)
        {
            let detail =
                format!("must be greater than or equal to aggregate container requests of {sum}");
            errors.push(FieldError::invalid(
                &requests_path.key(name),
                value,
                &detail,
            ));
        }
    }
    let limits = get(resources, "limits");
    let limits_path = path.child("limits");
    for (name, sum) in aggregate(spec, "limits") {
        if is_huge_page(name)
            && let Some(value) = limits.and_then(|limits| get(limits, name))
            && read(value).is_some_and(|of_pod| sum > of_pod)
        {
            let detail =
                format!("must be greater than or equal to aggregate container limits of {sum}");
            errors.push(FieldError::invalid(&limits_path.key(name), value, &detail));
        }
    }
    let containers_path = path.child("containers");
    for (i, container) in list(spec, "containers").iter().enumerate() {
        let path = containers_path.index(i);
        let own = get(container, "resources").and_then(|resources| object(resources, "limits"));
        for (name, value) in own.into_iter().flatten() {
            let Some(of_pod) = limits.and_then(|limits| get(limits, name)) else {
                continue;
            };
            if let (Some(own), Some(most)) = (read(value), read(of_pod))
                && own > most
            {
                let of_pod = of_pod.as_str().unwrap_or_default();
                let detail = format!("must be less than or equal to pod limits of {of_pod}");
                let path = path.key(name);
                errors.push(FieldError::invalid(&path.child("limits"), value, &detail));
            }
        }
    }
}

fn add<'a>(sum: &mut Amounts<'a>, name: &'a str, amount: Quantity) {
    let entry = sum.entry(name).or_insert(Quantity::ZERO);
    *entry = entry.plus(amount);
}

fn amounts_of<'a>(container: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, Quantity)> {
    get(container, "resources")
        .and_then(|resources| object(resources, field))
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), read(value)?)))
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

/// What a pod's containers need together at the most: those that run side by side are summed up, and
/// an init container counts with the sidecars started before it.
fn aggregate<'a>(spec: &'a Value, field: &str) -> Amounts<'a> {
    let mut all = Amounts::new();
    for container in list(spec, "containers") {
        for (name, amount) in amounts_of(container, field) {
            add(&mut all, name, amount);
        }
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for container in list(spec, "initContainers") {
        let mut now = sidecars.clone();
        for (name, amount) in amounts_of(container, field) {
            add(&mut now, name, amount);
            if is_sidecar(container) {
                add(&mut all, name, amount);
                add(&mut sidecars, name, amount);
            }
        }
        for (name, amount) in now {
            let most = starting.entry(name).or_insert(amount);
            *most = (*most).max(amount);
        }
    }
    for (name, amount) in starting {
        let most = all.entry(name).or_insert(amount);
        *most = (*most).max(amount);
    }
    all
}

/// Completes spec.resources, where it is partly set: limits of huge pages from the containers',
/// requests from the containers' or else the limits.
pub(super) fn default_pod_level(spec: &mut Value) {
    let limits: Vec<(String, Value)> = huge_page_limits(spec);
    let Some(resources) = tree::get_mut(spec, "resources") else {
        return;
    };
    extend(resources, "limits", limits);
    let requests = missing_requests(spec);
    let Some(resources) = tree::get_mut(spec, "resources") else {
        return;
    };
    extend(resources, "requests", requests);
}

fn extend(resources: &mut Value, field: &str, more: Vec<(String, Value)>) {
    if more.is_empty() {
        return;
    }
    if let Some(Value::Object(map)) = tree::ensure_object(resources, field) {
        map.extend(more);
    }
}

fn has(resources: &Value, field: &str, name: &str) -> bool {
    object(resources, field).is_some_and(|map| map.contains_key(name))
}

fn huge_page_limits(spec: &Value) -> Vec<(String, Value)> {
    let Some(resources) = get(spec, "resources") else {
        return Vec::new();
    };
    let set = |field| object(resources, field).is_some_and(|map| !map.is_empty());
    if !set("limits") && !set("requests") {
        return Vec::new();
    }
    aggregate(spec, "limits")
        .into_iter()
        .filter(|(name, _)| is_huge_page(name))
        .filter(|(name, _)| !has(resources, "requests", name) && !has(resources, "limits", name))
        .map(|(name, amount)| (name.to_owned(), Value::String(amount.to_string())))
        .collect()
}

fn missing_requests(spec: &Value) -> Vec<(String, Value)> {
    let Some(resources) = get(spec, "resources") else {
        return Vec::new();
    };
    let Some(limits) = object(resources, "limits").filter(|limits| !limits.is_empty()) else {
        return Vec::new();
    };
    let mut missing: BTreeMap<String, Value> = aggregate(spec, "requests")
        .into_iter()
        .filter(|(name, _)| is_pod_level(name) && is_overcommit_allowed(name))
        .filter(|(name, _)| !has(resources, "requests", name))
        .map(|(name, amount)| (name.to_owned(), Value::String(amount.to_string())))
        .collect();
    for (name, limit) in limits {
        if is_pod_level(name) && !has(resources, "requests", name) {
            missing.entry(name.clone()).or_insert_with(|| limit.clone());
        }
    }
    missing.into_iter().collect()
}

/// The class of service: `Guaranteed` when all limits are set and equal to the requests,
/// `BestEffort` when nothing is, else `Burstable`.
pub fn qos_class(pod: &Value) -> &'static str {
    let Some(spec) = get(pod, "spec") else {
        return "BestEffort";
    };
    let mut requests = Amounts::new();
    let mut limits = Amounts::new();
    let mut guaranteed = true;
    let mut count = |holder: &Value| {
        // Collected with names that outlive the holder.
        let mut limited = 0;
        for (field, sum) in [("requests", &mut requests), ("limits", &mut limits)] {
            for (name, amount) in amounts_of(holder, field).filter(|(_, q)| q.is_positive()) {
                let name = match name {
                    "cpu" => "cpu",
                    "memory" => "memory",
                    _ => continue,
                };
                limited += i32::from(field == "limits");
                add(sum, name, amount);
            }
        }
        limited
    };
    if get(spec, "resources").is_some() {
        let limited = count(spec);
        let has_limits = get(spec, "resources")
            .and_then(|resources| object(resources, "limits"))
            .is_some_and(|limits| !limits.is_empty());
        guaranteed &= !has_limits || limited == 2;
    } else {
        for container in list(spec, "containers")
            .iter()
            .chain(list(spec, "initContainers"))
        {
            guaranteed &= count(container) == 2;
        }
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
