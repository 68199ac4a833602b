//! Where a pod may run: affinity, tolerations, topology spread, gates.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    meta::validate_labels,
    names::{self, Faults},
    seen::Seen,
};

const NOT_AN_OPERATOR: &str = "not a valid selector operator";

/// Adds an Invalid for each fault of a value.
pub(crate) fn faults(faults: Faults, value: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for fault in faults {
        errors.push(FieldError::invalid(path, value, &fault));
    }
}

pub(crate) fn strings<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    list(value, field).iter().filter_map(Value::as_str)
}

/// The rules for a LabelSelector in an object.
pub(crate) fn validate_label_selector(
    selector: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    validate_labels(selector, "matchLabels", path, errors);
    let path = path.child("matchExpressions");
    for (i, expression) in list(selector, "matchExpressions").iter().enumerate() {
        let path = path.index(i);
        let values = path.child("values");
        let operator = text(expression, "operator");
        validate_operator(expression, operator, &path, errors);
        faults(
            names::qualified_name(text(expression, "key")),
            text(expression, "key"),
            &path.child("key"),
            errors,
        );
        for (i, value) in strings(expression, "values").enumerate() {
            faults(names::label_value(value), value, &values.index(i), errors);
        }
    }
}

fn validate_operator(
    expression: &Value,
    operator: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let empty = list(expression, "values").is_empty();
    let values = path.child("values");
    match operator {
        "In" | "NotIn" if empty => errors.push(FieldError::required(
            &values,
            "must be specified when `operator` is 'In' or 'NotIn'",
        )),
        "Exists" | "DoesNotExist" if !empty => errors.push(FieldError::forbidden(
            &values,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.push(FieldError::invalid(
            &path.child("operator"),
            operator,
            NOT_AN_OPERATOR,
        )),
    }
}

/// The rules for spec.affinity.
pub(super) fn validate_affinity(affinity: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    if let Some(node) = get(affinity, "nodeAffinity") {
        let path = path.child("nodeAffinity");
        if let Some(required) = get(node, REQUIRED) {
            validate_node_selector(required, &path.child(REQUIRED), errors);
        }
        let path = path.child(PREFERRED);
        for (i, term) in list(node, PREFERRED).iter().enumerate() {
            let path = path.index(i);
            validate_weight(term, &path, errors);
            if let Some(preference) = get(term, "preference") {
                validate_node_term(preference, false, &path.child("preference"), errors);
            }
        }
    }
    for field in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = get(affinity, field) else {
            continue;
        };
        let path = path.child(field);
        let required = path.child(REQUIRED);
        for (i, term) in list(pods, REQUIRED).iter().enumerate() {
            validate_pod_term(term, &required.index(i), errors);
        }
        let preferred = path.child(PREFERRED);
        for (i, weighted) in list(pods, PREFERRED).iter().enumerate() {
            let path = preferred.index(i);
            validate_weight(weighted, &path, errors);
            let term = get(weighted, "podAffinityTerm").unwrap_or(&Value::Null);
            validate_pod_term(term, &path.child("podAffinityTerm"), errors);
        }
    }
}

fn validate_weight(term: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let weight = int(term, "weight").unwrap_or_default();
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(
            &path.child("weight"),
            &weight,
            "must be in the range 1-100",
        ));
    }
}

pub(crate) fn validate_node_selector(
    selector: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let path = path.child("nodeSelectorTerms");
    let terms = list(selector, "nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(FieldError::required(
            &path,
            "must have at least one node selector term",
        ));
    }
    for (i, term) in terms.iter().enumerate() {
        validate_node_term(term, true, &path.index(i), errors);
    }
}

fn validate_node_term(
    term: &Value,
    strict_values: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let expressions = path.child("matchExpressions");
    for (i, expression) in list(term, "matchExpressions").iter().enumerate() {
        let path = expressions.index(i);
        let values = path.child("values");
        let operator = text(expression, "operator");
        if matches!(operator, "Gt" | "Lt") {
            if list(expression, "values").len() != 1 {
                errors.push(FieldError::required(
                    &values,
                    "must be specified single value when `operator` is 'Lt' or 'Gt'",
                ));
            }
        } else {
            validate_operator(expression, operator, &path, errors);
        }
        let key = text(expression, "key");
        faults(names::qualified_name(key), key, &path.child("key"), errors);
        if strict_values {
            for (i, value) in strings(expression, "values").enumerate() {
                faults(names::label_value(value), value, &values.index(i), errors);
            }
        }
    }
    let fields = path.child("matchFields");
    for (i, requirement) in list(term, "matchFields").iter().enumerate() {
        let path = fields.index(i);
        let values = path.child("values");
        let operator = text(requirement, "operator");
        if !matches!(operator, "In" | "NotIn") {
            errors.push(FieldError::invalid(
                &path.child("operator"),
                operator,
                NOT_AN_OPERATOR,
            ));
        } else if list(requirement, "values").len() != 1 {
            errors.push(FieldError::required(
                &values,
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ));
        }
        let key = text(requirement, "key");
        if key == "metadata.name" {
            for (i, value) in strings(requirement, "values").enumerate() {
                faults(
                    names::dns1123_subdomain(value),
                    value,
                    &values.index(i),
                    errors,
                );
            }
        } else {
            errors.push(FieldError::invalid(
                &path.child("key"),
                key,
                "not a valid field selector key",
            ));
        }
    }
}

fn validate_pod_term(term: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["labelSelector", "namespaceSelector"] {
        if let Some(selector) = get(term, field) {
            validate_label_selector(selector, &path.child(field), errors);
        }
    }
    for namespace in strings(term, "namespaces") {
        faults(
            names::dns1123_label(namespace),
            namespace,
            &path.child("namespace"),
            errors,
        );
    }
    validate_label_keys(term, path, errors);
    let key = text(term, "topologyKey");
    let path = path.child("topologyKey");
    if key.is_empty() {
        errors.push(FieldError::required(&path, "can not be empty"));
    }
    faults(names::qualified_name(key), key, &path, errors);
}

/// matchLabelKeys and mismatchLabelKeys: keys, each in one of the two only, and the former not in
/// the selector but where the server put them itself.
fn validate_label_keys(term: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let selector = get(term, "labelSelector");
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        if list(term, field).is_empty() {
            continue;
        }
        let path = path.child(field);
        if selector.is_none() {
            errors.push(FieldError::forbidden(
                &path,
                "must not be specified when labelSelector is not set",
            ));
            continue;
        }
        for (i, key) in strings(term, field).enumerate() {
            faults(names::qualified_name(key), key, &path.index(i), errors);
        }
    }
    let matching: Vec<&str> = strings(term, "matchLabelKeys").collect();
    if matching.is_empty() {
        return;
    }
    if let Some(selector) = selector {
        let last: HashMap<&str, usize> = matching.iter().copied().zip(0..).collect();
        let mut seen: Seen<&str> = crate::json::pairs(selector, "matchLabels")
            .map(|(key, _)| key)
            .collect();
        for expression in list(selector, "matchExpressions") {
            let key = text(expression, "key");
            // Once is the server's own; twice is not.
            if !seen.add(key)
                && let Some(i) = last.get(key)
            {
                errors.push(FieldError::invalid(
                    &path.index(*i),
                    key,
                    "exists in both matchLabelKeys and labelSelector",
                ));
            }
        }
    }
    let others: Seen<&str> = strings(term, "mismatchLabelKeys").collect();
    let path = path.child("matchLabelKeys");
    for (i, key) in matching.iter().enumerate() {
        if others.has(key) {
            errors.push(FieldError::invalid(
                &path.index(i),
                *key,
                "exists in both matchLabelKeys and mismatchLabelKeys",
            ));
        }
    }
}

/// The rule for the effect of a taint or of a toleration.
pub(crate) fn validate_taint_effect(effect: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    if !EFFECTS.contains(&effect) {
        errors.push(FieldError::not_supported(path, effect, &EFFECTS));
    }
}

/// The rules for tolerations.
pub(crate) fn validate_tolerations(
    tolerations: &[Value],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for (i, toleration) in tolerations.iter().enumerate() {
        let path = path.index(i);
        let key = text(toleration, "key");
        let operator = text(toleration, "operator");
        let value = text(toleration, "value");
        let effect = text(toleration, "effect");
        let operator_path = path.child("operator");
        if !key.is_empty() {
            faults(names::qualified_name(key), key, &path.child("key"), errors);
        } else if operator != "Exists" {
            errors.push(FieldError::invalid(
                &operator_path,
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ));
        }
        if get(toleration, "tolerationSeconds").is_some() && effect != "NoExecute" {
            errors.push(FieldError::invalid(
                &path.child("effect"),
                effect,
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            ));
        }
        match operator {
            "" | "Equal" => {
                let faults = names::label_value(value);
                if !faults.is_empty() {
                    errors.push(FieldError::invalid(
                        &operator_path,
                        value,
                        &faults.join(";"),
                    ));
                }
            }
            "Exists" => {
                if !value.is_empty() {
                    errors.push(FieldError::invalid(
                        &operator_path,
                        value,
                        "value must be empty when `operator` is 'Exists'",
                    ));
                }
            }
            "Lt" | "Gt" => errors.push(FieldError::not_supported(
                &operator_path,
                operator,
                &["Equal", "Exists", "Lt", "Gt"],
            )),
            _ => errors.push(FieldError::not_supported(
                &operator_path,
                operator,
                &["Equal", "Exists"],
            )),
        }
        if !effect.is_empty() {
            validate_taint_effect(effect, &path.child("effect"), errors);
        }
    }
}

/// The rules for topologySpreadConstraints.
pub(super) fn validate_topology_spread<'a>(
    constraints: &'a [Value],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let pair = |constraint: &'a Value| {
        let field = |name| text(constraint, name);
        (field("topologyKey"), field("whenUnsatisfiable"))
    };
    let mut later = HashMap::new();
    for constraint in constraints {
        *later.entry(pair(constraint)).or_insert(0) += 1;
    }
    for (i, constraint) in constraints.iter().enumerate() {
        let path = path.index(i);
        validate_positive(constraint, "maxSkew", &path, errors);
        let key = text(constraint, "topologyKey");
        if key.is_empty() {
            errors.push(FieldError::required(
                &path.child("topologyKey"),
                "can not be empty",
            ));
        }
        let action = text(constraint, "whenUnsatisfiable");
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            errors.push(FieldError::not_supported(
                &path.child("whenUnsatisfiable"),
                action,
                &["DoNotSchedule", "ScheduleAnyway"],
            ));
        }
        let count = later.entry(pair(constraint)).or_insert(1);
        *count -= 1;
        if *count > 0 {
            errors.push(FieldError::duplicate(
                &path.child("{topologyKey, whenUnsatisfiable}"),
                &format!("{{{key}, {action}}}"),
            ));
        }
        if let Some(domains) = int(constraint, "minDomains") {
            validate_positive(constraint, "minDomains", &path, errors);
            if action != "DoNotSchedule" {
                let detail = format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                );
                errors.push(FieldError::invalid(
                    &path.child("minDomains"),
                    &domains,
                    &detail,
                ));
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if let Some(Value::String(policy)) = get(constraint, field)
                && !matches!(policy.as_str(), "Honor" | "Ignore")
            {
                errors.push(FieldError::not_supported(
                    &path.child(field),
                    policy,
                    &["Honor", "Ignore"],
                ));
            }
        }
        validate_label_keys(constraint, &path, errors);
        if let Some(selector) = get(constraint, "labelSelector") {
            validate_label_selector(selector, &path.child("labelSelector"), errors);
        }
    }
}

fn validate_positive(value: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let number = int(value, field).unwrap_or_default();
    if number <= 0 {
        errors.push(FieldError::invalid(
            &path.child(field),
            &number,
            "must be greater than zero",
        ));
    }
}

/// The rules for schedulingGates.
pub(super) fn validate_gates(gates: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = Seen::new();
    for (i, gate) in gates.iter().enumerate() {
        let path = path.index(i);
        let name = text(gate, "name");
        faults(names::qualified_name(name), name, &path, errors);
        if !seen.add(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
    }
}
