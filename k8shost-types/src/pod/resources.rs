//! Requests and limits: of containers, of the pod as a whole, and the class of service they make.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    error::{FieldError, FieldErrorKind},
    field::Path,
    json::{self as tree, get, list, object, text},
    names,
    quantity::{Quantity, QuantityError},
};

const HUGE_PAGES: &str = "hugepages-";

type Amounts<'a> = BTreeMap<&'a str, Quantity>;

fn read(value: &Value) -> Option<Quantity> {
    value.as_str()?.parse().ok()
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// A resource of another domain than Kubernetes' own, whose name has room for a quota's prefix.
fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

fn is_standard(name: &str) -> bool {
    matches!(
        name,
        "cpu"
            | "memory"
            | "ephemeral-storage"
            | "requests.cpu"
            | "requests.memory"
            | "requests.ephemeral-storage"
            | "limits.cpu"
            | "limits.memory"
            | "limits.ephemeral-storage"
            | "pods"
            | "resourcequotas"
            | "services"
            | "replicationcontrollers"
            | "secrets"
            | "configmaps"
            | "persistentvolumeclaims"
            | "storage"
            | "requests.storage"
            | "services.nodeports"
            | "services.loadbalancers"
    ) || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}

fn is_integer_resource(name: &str) -> bool {
    matches!(
        name,
        "pods"
            | "resourcequotas"
            | "services"
            | "replicationcontrollers"
            | "secrets"
            | "configmaps"
            | "persistentvolumeclaims"
            | "services.nodeports"
            | "services.loadbalancers"
    ) || is_extended(name)
}

/// Refuses what is no quantity.
pub(super) fn validate_readable(
    value: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> Option<Quantity> {
    let fault = match value.as_str().map(str::parse) {
        Some(Ok(quantity)) => return Some(quantity),
        Some(Err(fault)) => fault,
        None => QuantityError::Format,
    };
    let mut error = FieldError::invalid(path, value, &fault.to_string());
    error.kind = FieldErrorKind::TypeInvalid;
    errors.push(error);
    None
}

/// The rule for the amount of a resource, wherever it is: not negative, and whole where only whole
/// ones make sense. `None` where it cannot be read.
pub(crate) fn validate_amount(
    name: &str,
    value: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> Option<Quantity> {
    let quantity = validate_readable(value, path, errors)?;
    if quantity.is_negative() {
        errors.push(FieldError::invalid(
            path,
            value,
            "must be greater than or equal to 0",
        ));
    }
    if !quantity.is_integer() && is_integer_resource(name) {
        errors.push(FieldError::invalid(path, value, "must be an integer"));
    }
    Some(quantity)
}

fn validate_name(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) -> bool {
    let faults = names::qualified_name(name);
    for fault in &faults {
        errors.push(FieldError::invalid(path, name, fault));
    }
    if !faults.is_empty() {
        return false;
    }
    if !name.contains('/') && !is_standard(name) {
        errors.push(FieldError::invalid(
            path,
            name,
            "must be a standard resource type or fully qualified",
        ));
        return false;
    }
    true
}

fn validate_container_name(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if matches!(name, "cpu" | "memory" | "ephemeral-storage") {
        return;
    }
    validate_name(name, path, errors);
    if name.split('/').count() == 1 {
        if !is_huge_page(name) {
            errors.push(FieldError::invalid(
                path,
                name,
                "must be a standard resource for containers",
            ));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(FieldError::invalid(
            path,
            name,
            "doesn't follow extended resource name standard",
        ));
    }
}

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

/// The rules for the resources of a container.
pub(super) fn validate(
    resources: &Value,
    claim_names: &[&str],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    requirements(resources, validate_container_name, path, errors);
    let claims = list(resources, "claims");
    if !claims.is_empty() {
        validate_claims(claims, claim_names, &path.child("claims"), errors);
    }
}

/// The rules for spec.overhead: those for limits.
pub(super) fn validate_overhead(
    overhead: &Map<String, Value>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    amounts(
        Some(overhead),
        None,
        validate_container_name,
        "limits",
        path,
        errors,
    );
}

type NameRule = fn(&str, &Path<'_>, &mut Vec<FieldError>);

fn requirements(
    resources: &Value,
    name_rule: NameRule,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let limits = object(resources, "limits");
    let requests = object(resources, "requests");
    amounts(limits, requests, name_rule, "limits", path, errors);
}

/// Limits and requests together, as each has rules about the other.
fn amounts(
    limits: Option<&Map<String, Value>>,
    requests: Option<&Map<String, Value>>,
    name_rule: NameRule,
    limits_field: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let limits_path = path.child(limits_field);
    let requests_path = path.child("requests");
    let mut compute = false;
    let mut huge_pages = false;
    let mut each = |name: &str, value: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>| {
        name_rule(name, path, errors);
        compute |= matches!(name, "cpu" | "memory");
        validate_amount(name, value, path, errors)
    };
    for (name, value) in limits.into_iter().flatten() {
        let path = limits_path.key(name);
        let quantity = each(name, value, &path, errors);
        if is_huge_page(name) {
            huge_pages = true;
            validate_huge_page(name, value, quantity, &path, errors);
        }
    }
    for (name, value) in requests.into_iter().flatten() {
        let path = requests_path.key(name);
        let quantity = each(name, value, &path, errors);
        match limits.and_then(|limits| limits.get(name)) {
            Some(limit) => {
                if let (Some(request), Some(most)) = (quantity, read(limit)) {
                    let equal = !is_overcommit_allowed(name) && request != most;
                    if equal || request > most {
                        let how = if equal {
                            "equal to"
                        } else {
                            "less than or equal to"
                        };
                        let limit = limit.as_str().unwrap_or_default();
                        let detail = format!("must be {how} {name} limit of {limit}");
                        errors.push(FieldError::invalid(&requests_path, value, &detail));
                    }
                }
            }
            None if !is_overcommit_allowed(name) => errors.push(FieldError::required(
                &limits_path,
                "Limit must be set for non overcommitable resources",
            )),
            None => {}
        }
        if is_huge_page(name) {
            huge_pages = true;
            validate_huge_page(name, value, quantity, &path, errors);
        }
    }
    if huge_pages && !compute {
        errors.push(FieldError::forbidden(
            path,
            "HugePages require cpu or memory",
        ));
    }
}

fn validate_huge_page(
    name: &str,
    value: &Value,
    quantity: Option<Quantity>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(quantity) = quantity else {
        return;
    };
    let size = name
        .strip_prefix(HUGE_PAGES)
        .and_then(|size| size.parse::<Quantity>().ok());
    let divisible = size.is_some_and(|size| {
        size.is_positive() && size.is_integer() && quantity.value() % size.value() == 0
    });
    if !divisible {
        let text = value.as_str().unwrap_or_default();
        let detail = format!("{text} is not positive integer multiple of {name}");
        errors.push(FieldError::invalid(path, value, &detail));
    }
}

fn validate_claims(
    claims: &[Value],
    claim_names: &[&str],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mut seen: Vec<String> = Vec::new();
    for (i, claim) in claims.iter().enumerate() {
        let path = path.index(i);
        let (name, request) = (text(claim, "name"), text(claim, "request"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        if seen.iter().any(|key| key == name) {
            // All requests of that claim are referenced already.
            errors.push(FieldError::duplicate(&path, name));
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                for fault in names::dns1123_label(request) {
                    errors.push(FieldError::invalid(&path.child("request"), request, &fault));
                }
                key = format!("{name}/{request}");
            }
            if seen.contains(&key) {
                errors.push(FieldError::duplicate(&path, &key));
            } else if request.is_empty() {
                for _ in seen
                    .iter()
                    .filter(|key| key.split_once('/').is_some_and(|(n, _)| n == name))
                {
                    errors.push(FieldError::duplicate(&path, name));
                }
            }
            seen.push(key);
        }
        if !claim_names.contains(&name) {
            let mut error = FieldError::not_found(&path, name);
            error
                .message
                .push_str(": must be one of the names in pod.spec.resourceClaims");
            if claim_names.is_empty() {
                error.message.push_str(" which is empty");
            } else {
                let mut names = claim_names.to_vec();
                names.sort_unstable();
                error.message.push_str(": ");
                error.message.push_str(&names.join(", "));
            }
            errors.push(error);
        }
    }
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
    *entry = entry.saturating_add(amount);
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
