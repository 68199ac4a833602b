//! Requests and limits of containers.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::{
    error::{FieldError, FieldErrorKind},
    field::Path,
    json::{list, object, text},
    names,
    quantity::{Quantity, QuantityError},
    seen::Seen,
};

pub(super) const HUGE_PAGES: &str = "hugepages-";

pub(crate) fn read(value: &Value) -> Option<Quantity> {
    value.as_str()?.parse().ok()
}

pub(super) fn is_huge_page(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

pub(crate) fn is_overcommit_allowed(name: &str) -> bool {
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
pub(crate) fn validate_readable(
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

pub(crate) fn validate_name(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) -> bool {
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

pub(crate) fn validate_container_name(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
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
pub(crate) fn validate_overhead(
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

pub(super) type NameRule = fn(&str, &Path<'_>, &mut Vec<FieldError>);

pub(super) fn requirements(
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
    let divisible = size.is_some_and(|size| quantity.is_multiple_of(size));
    if !divisible {
        let text = value.as_str().unwrap_or_default();
        let detail = format!("{text} is not positive integer multiple of {name}");
        errors.push(FieldError::invalid(path, value, &detail));
    }
}

/// A message names so many claims that there are, no more.
const CLAIMS_SHOWN: usize = 100;

fn validate_claims(
    claims: &[Value],
    claim_names: &[&str],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let (mut whole, mut requests) = (Seen::new(), Seen::new());
    let mut requests_of: HashMap<&str, usize> = HashMap::new();
    for (i, claim) in claims.iter().enumerate() {
        let path = path.index(i);
        let (name, request) = (text(claim, "name"), text(claim, "request"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        if whole.has(&name) {
            // All requests of that claim are referenced already.
            errors.push(FieldError::duplicate(&path, name));
        } else if request.is_empty() {
            whole.add(name);
            for _ in 0..requests_of.get(name).copied().unwrap_or_default() {
                errors.push(FieldError::duplicate(&path, name));
            }
        } else {
            for fault in names::dns1123_label(request) {
                errors.push(FieldError::invalid(&path.child("request"), request, &fault));
            }
            if requests.add((name, request)) {
                *requests_of.entry(name).or_default() += 1;
            } else {
                errors.push(FieldError::duplicate(&path, &format!("{name}/{request}")));
            }
        }
        if claim_names.binary_search(&name).is_err() {
            let mut error = FieldError::not_found(&path, name);
            error
                .message
                .push_str(": must be one of the names in pod.spec.resourceClaims");
            if claim_names.is_empty() {
                error.message.push_str(" which is empty");
            } else {
                let few = &claim_names[..claim_names.len().min(CLAIMS_SHOWN)];
                error.message.push_str(": ");
                error.message.push_str(&few.join(", "));
            }
            errors.push(error);
        }
    }
}
