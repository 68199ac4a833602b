//! ResourceQuota.

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, object, text},
    names,
    pod::{quantities, validate_amount},
    rules::{self, Errors, Seen, is_empty, keys, part, same_or_empty, spec, status, strings},
    strategy::{Strategy, Text},
};

/// The row of ResourceQuota in the table of kinds.
pub static RESOURCE_QUOTA: Strategy = Strategy {
    kind: Text::Borrowed("ResourceQuota"),
    resource: Text::Borrowed("resourcequotas"),
    default,
    prepare_create: |quota| tree::set(quota, "status", json!({})),
    validate_create: |quota| rules::created(quota, true, names::subdomain_rule, validate),
    prepare_update: |new, old| tree::keep(new, old, "status"),
    validate_update,
    prepare_status_update: rules::prepare_status_update,
    validate_status_update,
    has_status: true,
    ..Strategy::BASE
};

const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

fn default(quota: &mut Value) {
    for (part, fields) in [("spec", &["hard"][..]), ("status", &["hard", "used"])] {
        if let Some(part) = tree::ensure_object(quota, part) {
            fields.iter().for_each(|field| quantities(part, field));
        }
    }
}

/// The rule for the name of what a quota counts.
fn validate_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    let found = names::qualified_name(name);
    let standard = || {
        let own = matches!(
            name,
            "cpu"
                | "memory"
                | "ephemeral-storage"
                | "pods"
                | "resourcequotas"
                | "services"
                | "replicationcontrollers"
                | "secrets"
                | "configmaps"
                | "persistentvolumeclaims"
                | "requests.cpu"
                | "requests.memory"
                | "requests.ephemeral-storage"
                | "requests.storage"
                | "limits.cpu"
                | "limits.memory"
                | "limits.ephemeral-storage"
                | "services.nodeports"
                | "services.loadbalancers"
        );
        own || name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
    };
    if found.is_empty() && !name.contains('/') && !standard() {
        errors.push(FieldError::invalid(
            path,
            name,
            "must be a standard resource for quota",
        ));
    }
    rules::faults(found, name, path, errors);
}

fn validate_amounts(parent: &Value, field: &str, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child(field);
    for (name, amount) in object(parent, field).into_iter().flatten() {
        let path = path.key(name);
        validate_name(name, &path, errors);
        validate_amount(name, amount, &path, errors);
    }
}

fn validate(quota: &Value, errors: &mut Errors) {
    let spec = spec(quota);
    let path = Path::new("spec");
    validate_amounts(spec, "hard", &path, errors);
    let scopes: Vec<&str> = strings(spec, "scopes").collect();
    validate_scopes(spec, &scopes, &path.child("scopes"), errors);
    if let Some(selector) = get(spec, "scopeSelector") {
        let path = path.child("scopeSelector");
        validate_selector(selector, spec, &path, errors);
    }
}

/// Whether a scope means something for a resource.
fn applies(scope: &str, resource: &str) -> bool {
    let pods = resource == "pods";
    let claims = matches!(resource, "persistentvolumeclaims" | "requests.storage");
    let compute = matches!(
        resource,
        "pods"
            | "cpu"
            | "memory"
            | "requests.cpu"
            | "requests.memory"
            | "limits.cpu"
            | "limits.memory"
            | "ephemeral-storage"
            | "requests.ephemeral-storage"
            | "limits.ephemeral-storage"
    );
    match scope {
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => compute,
        "BestEffort" => pods,
        "VolumeAttributesClass" => claims || resource.ends_with("persistentvolumeclaims"),
        _ => true,
    }
}

fn validate_scopes(spec: &Value, scopes: &[&str], path: &Path<'_>, errors: &mut Errors) {
    if scopes.is_empty() {
        return;
    }
    let shown = part(spec, "scopes");
    let mut seen = Seen::new();
    for scope in scopes.iter().copied() {
        if !seen.add(scope) {
            continue;
        }
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(path, shown, "unsupported scope"));
            continue;
        }
        for resource in keys(spec, "hard") {
            let standard = resource.split('/').count() == 1;
            if standard && !applies(scope, resource) {
                let detail = "unsupported scope applied to resource";
                errors.push(FieldError::invalid(path, shown, detail));
            }
        }
    }
    conflicts(&seen, shown, path, errors);
}

fn conflicts(seen: &Seen<&str>, shown: &Value, path: &Path<'_>, errors: &mut Errors) {
    for (one, other) in [
        ("BestEffort", "NotBestEffort"),
        ("Terminating", "NotTerminating"),
    ] {
        if seen.has(&one) && seen.has(&other) {
            errors.push(FieldError::invalid(path, shown, "conflicting scopes"));
        }
    }
}

fn validate_selector(selector: &Value, spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let expressions = path.child("matchExpressions");
    let shown = part(selector, "matchExpressions");
    let mut seen = Seen::new();
    for expression in list(selector, "matchExpressions") {
        let (scope, operator) = (text(expression, "scopeName"), text(expression, "operator"));
        if !SCOPES.contains(&scope) {
            let path = expressions.child("scopeName");
            errors.push(FieldError::invalid(&path, scope, "unsupported scope"));
        }
        // Each scope once: there are few scopes, but there may be many expressions.
        let first = seen.add(scope) && SCOPES.contains(&scope);
        for resource in keys(spec, "hard").filter(|_| first) {
            if !resource.contains('/') && !applies(scope, resource) {
                let detail = "unsupported scope applied to resource";
                errors.push(FieldError::invalid(&expressions, shown, detail));
            }
        }
        let exists_only = matches!(
            scope,
            "BestEffort"
                | "NotBestEffort"
                | "Terminating"
                | "NotTerminating"
                | "CrossNamespacePodAffinity"
        );
        if exists_only && operator != "Exists" {
            errors.push(FieldError::invalid(
                &expressions.child("operator"),
                operator,
                "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            ));
        }
        let without = is_empty(part(expression, "values"));
        let values = expressions.child("values");
        match operator {
            "In" | "NotIn" if without => errors.push(FieldError::required(
                &values,
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
            "Exists" | "DoesNotExist" if !without => errors.push(FieldError::invalid(
                &values,
                part(expression, "values"),
                "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.push(FieldError::invalid(
                &expressions.child("operator"),
                operator,
                "not a valid selector operator",
            )),
        }
    }
    conflicts(&seen, shown, &expressions, errors);
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    validate(new, &mut errors);
    let sorted = |object| {
        let mut scopes: Vec<&str> = strings(spec(object), "scopes").collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    };
    let path = Path::new("spec");
    if sorted(new) != sorted(old) {
        rules::invalid(
            spec(new),
            "scopes",
            "field is immutable",
            &path,
            &mut errors,
        );
    }
    if !same_or_empty(spec(new), spec(old), "scopeSelector") {
        let detail = "field is immutable";
        rules::invalid(spec(new), "scopeSelector", detail, &path, &mut errors);
    }
    errors
}

fn validate_status_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    let path = Path::new("status");
    for field in ["hard", "used"] {
        validate_amounts(status(new), field, &path, &mut errors);
    }
    errors
}
