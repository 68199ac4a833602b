//! What an update may change in a pod.

use serde_json::{Map, Value};

use super::{scheduling::validate_tolerations, spec_of, validate};
use crate::{
    error::FieldError,
    field::{Path, quote},
    json::{self as tree, get, int, list, object, text},
    meta,
    quantity::Quantity,
    seen::Seen,
};

const MUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// A changed spec is the next generation.
pub(super) fn bump_generation(new: &mut Value, old: &Value) {
    let (spec, before) = (spec_of(new), spec_of(old));
    if spec != before && !same(spec, before) {
        let next = meta::generation(new) + 1;
        meta::set(new, "generation", next);
    }
}

/// Whether two values mean the same.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => same_fields(a, b, |_| false),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (a, b) => a == b,
    }
}

fn same_fields(a: &Map<String, Value>, b: &Map<String, Value>, skip: fn(&str) -> bool) -> bool {
    let same_as_other = |(field, value): (&String, &Value)| {
        skip(field) || same_field(field, Some(value), b.get(field))
    };
    let only_there = |(field, _): &(&String, &Value)| !skip(field) && !a.contains_key(*field);
    a.iter().all(same_as_other)
        && b.iter()
            .filter(only_there)
            .all(|(field, value)| is_unset(field, value))
}

fn same_field(field: &str, a: Option<&Value>, b: Option<&Value>) -> bool {
    let set = |value: Option<&Value>| value.is_some_and(|value| !is_unset(field, value));
    match (a, b) {
        (Some(Value::Object(a)), Some(Value::Object(b))) if is_amounts(field) => {
            let amount = |value: &Value| value.as_str()?.parse::<Quantity>().ok();
            a.len() == b.len()
                && a.iter().all(|(name, value)| {
                    b.get(name)
                        .is_some_and(|b| value == b || amount(value) == amount(b))
                })
        }
        (Some(a), Some(b)) if same(a, b) => true,
        _ => !set(a) && !set(b),
    }
}

fn is_amounts(field: &str) -> bool {
    matches!(field, "limits" | "requests" | "overhead")
}

/// Whether a field with this value is as good as absent: an empty text, list or map, and the zero of
/// those fields that have no other way to be unset.
fn is_unset(field: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => {
            fields.is_empty()
                && (is_amounts(field)
                    || matches!(
                        field,
                        "nodeSelector" | "matchLabels" | "options" | "resources"
                    ))
        }
        Value::Number(number) => {
            number.as_i64() == Some(0) && matches!(field, "hostPort" | "initialDelaySeconds")
        }
        Value::Bool(on) => {
            !on && matches!(
                field,
                "hostNetwork" | "hostPID" | "hostIPC" | "stdin" | "stdinOnce" | "tty" | "readOnly"
            )
        }
    }
}

/// The rules for a new version of a pod.
pub fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    validate::validate_metadata(new, &mut errors);
    // What is as it was stored was judged then.
    let changed = spec_of(new) != spec_of(old);
    if changed {
        validate::validate_pod_spec(new, &mut errors);
    }
    validate::validate_annotation_updates(new, old, &mut errors);
    if changed {
        validate_spec_update(spec_of(new), spec_of(old), &mut errors);
    }
    errors
}

fn validate_spec_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::new("spec");
    for field in ["containers", "initContainers"] {
        let path = path.child(field);
        let (new, old) = (list(new, field), list(old, field));
        if new.len() != old.len() {
            errors.push(FieldError::forbidden(
                &path,
                "pod updates may not add or remove containers",
            ));
            return;
        }
        for (i, container) in new.iter().enumerate() {
            let path = path.index(i);
            if text(container, "image").is_empty() {
                errors.push(FieldError::required(&path.child("image"), ""));
            }
            super::containers::validate_image_spaces(container, &path, errors);
        }
    }
    if !validate_deadline(new, old, &path, errors) {
        return;
    }
    let tolerations = list(new, "tolerations");
    let tolerations_path = path.child("tolerations");
    let kept: Seen<_> = tolerations.iter().map(what_is_tolerated).collect();
    if list(old, "tolerations")
        .iter()
        .all(|old| kept.has(&what_is_tolerated(old)))
    {
        validate_tolerations(tolerations, &tolerations_path, errors);
    } else {
        errors.push(FieldError::forbidden(
            &tolerations_path,
            "existing toleration can not be modified except its tolerationSeconds",
        ));
    }
    let gates_path = path.child("schedulingGates");
    let old_gates: Seen<&str> = list(old, "schedulingGates")
        .iter()
        .map(|gate| text(gate, "name"))
        .collect();
    for (i, gate) in list(new, "schedulingGates").iter().enumerate() {
        let name = text(gate, "name");
        if !old_gates.has(&name) {
            let detail =
                format!("only deletion is allowed, but found new scheduling gate '{name}'");
            errors.push(FieldError::forbidden(
                &gates_path.index(i).child("name"),
                &detail,
            ));
        }
    }
    validate_rest(new, old, &path, errors);
}

/// A toleration but for its seconds.
fn what_is_tolerated(toleration: &Value) -> [&str; 4] {
    ["key", "operator", "value", "effect"].map(|field| text(toleration, field))
}

/// The deadline may be set once, and then only come closer.
fn validate_deadline(
    new: &Value,
    old: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> bool {
    let field = "activeDeadlineSeconds";
    let path = path.child(field);
    match (int(new, field), int(old, field)) {
        (Some(seconds), _) if !(0..=i64::from(i32::MAX)).contains(&seconds) => {
            errors.push(FieldError::invalid(
                &path,
                &seconds,
                "must be between 0 and 2147483647, inclusive",
            ));
            false
        }
        (Some(seconds), Some(before)) if before < seconds => {
            errors.push(FieldError::invalid(
                &path,
                &seconds,
                "must be less than or equal to previous value",
            ));
            false
        }
        (None, Some(_)) => {
            errors.push(FieldError::invalid(
                &path,
                &Value::Null,
                "must not update from a positive integer to nil value",
            ));
            true
        }
        _ => true,
    }
}

/// All that has no rule of its own must stay; a gated pod's choice of nodes may be narrowed. The
/// message names the fields that changed.
fn validate_rest(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let gated = !list(old, "schedulingGates").is_empty();
    if gated {
        validate_gated(new, old, path, errors);
    }
    let (Value::Object(new_fields), Value::Object(old_fields)) = (new, old) else {
        return;
    };
    let free = |field: &str| {
        matches!(
            field,
            "activeDeadlineSeconds" | "schedulingGates" | "tolerations" | "serviceAccount"
        ) || (gated && matches!(field, "nodeSelector" | "affinity"))
    };
    let mut changed = Vec::new();
    let removed = old_fields
        .keys()
        .filter(|field| !new_fields.contains_key(*field));
    for field in new_fields
        .keys()
        .chain(removed)
        .filter(|field| !free(field))
    {
        let (new, old) = (new_fields.get(field), old_fields.get(field));
        if matches!(field.as_str(), "containers" | "initContainers") {
            let (new, old) = (new.map_or(&[][..], items), old.map_or(&[][..], items));
            for (i, (new, old)) in new.iter().zip(old).enumerate() {
                if let (Value::Object(new), Value::Object(old)) = (new, old) {
                    container_changes(&format!("spec.{field}[{i}]"), new, old, &mut changed);
                }
            }
        } else if !same_field(field, new, old) && !is_grace_repair(field, new, old) {
            changed.push(change(&format!("spec.{field}"), new, old));
        }
    }
    if gated {
        let rest = |spec: &Value| {
            let mut affinity = get(spec, "affinity").cloned().unwrap_or(Value::Null);
            tree::remove(&mut affinity, "nodeAffinity");
            if affinity.as_object().is_some_and(Map::is_empty) {
                affinity = Value::Null;
            }
            affinity
        };
        let (new, old) = (rest(new), rest(old));
        if new != old {
            changed.push(change("spec.affinity", Some(&new), Some(&old)));
        }
    }
    if !changed.is_empty() {
        changed.sort_unstable();
        let detail = format!("{MUTABLE}\n{}", changed.concat());
        errors.push(FieldError::forbidden(path, &detail));
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A negative grace period of old times may become 1.
fn is_grace_repair(field: &str, new: Option<&Value>, old: Option<&Value>) -> bool {
    let number = |value: Option<&Value>| value.and_then(Value::as_i64);
    field == "terminationGracePeriodSeconds"
        && number(new) == Some(1)
        && number(old).is_some_and(|old| old < 0)
}

fn change(path: &str, new: Option<&Value>, old: Option<&Value>) -> String {
    let (new, old) = (new.unwrap_or(&Value::Null), old.unwrap_or(&Value::Null));
    format!("- {path}: {old}\n+ {path}: {new}\n")
}

/// What changed in a container besides its image.
fn container_changes(
    path: &str,
    new: &Map<String, Value>,
    old: &Map<String, Value>,
    changed: &mut Vec<String>,
) {
    let removed = old.keys().filter(|field| !new.contains_key(*field));
    for field in new.keys().chain(removed).filter(|field| *field != "image") {
        if !same_field(field, new.get(field), old.get(field)) {
            changed.push(change(
                &format!("{path}.{field}"),
                new.get(field),
                old.get(field),
            ));
        }
    }
}

fn validate_gated(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let selector = get(new, "nodeSelector").unwrap_or(&Value::Null);
    let kept = |key: &String, value: &Value| get(selector, key) == Some(value);
    if !object(old, "nodeSelector")
        .into_iter()
        .flatten()
        .all(|(key, value)| kept(key, value))
    {
        errors.push(FieldError::invalid(
            &path.child("nodeSelector"),
            selector,
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ));
    }
    let required = |spec| {
        get(spec, "affinity")
            .and_then(|affinity| get(affinity, "nodeAffinity"))
            .and_then(|node| get(node, "requiredDuringSchedulingIgnoredDuringExecution"))
    };
    let terms =
        |spec| required(spec).map_or(&[][..], |required| list(required, "nodeSelectorTerms"));
    let (new_terms, old_terms) = (terms(new), terms(old));
    if old_terms.is_empty() {
        return;
    }
    let path = path.child("affinity");
    let path = path.child("nodeAffinity");
    let path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
    let path = path.child("nodeSelectorTerms");
    if new_terms.len() != old_terms.len() {
        let shown = required(new).and_then(|required| get(required, "nodeSelectorTerms"));
        errors.push(FieldError::invalid(
            &path,
            shown.unwrap_or(&Value::Null),
            "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        ));
        return;
    }
    for (i, (new, old)) in new_terms.iter().zip(old_terms).enumerate() {
        if !only_adds(new, old) {
            errors.push(FieldError::invalid(
                &path.index(i),
                new,
                "only additions are allowed (no mutations or deletions)",
            ));
        }
    }
}

fn only_adds(new: &Value, old: &Value) -> bool {
    let fields = ["matchExpressions", "matchFields"];
    let count = |term: &Value| {
        fields
            .iter()
            .map(|field| list(term, field).len())
            .sum::<usize>()
    };
    if count(old) == 0 && count(new) > 0 {
        return false;
    }
    fields.iter().all(|field| {
        let (new, old) = (list(new, field), list(old, field));
        new.len() >= old.len() && new.iter().zip(old).all(|(new, old)| same(new, old))
    })
}

/// Only ephemeral containers are written, besides some metadata.
pub fn prepare_ephemeral_containers_update(new: &mut Value, old: &Value) {
    let added =
        tree::get_mut(new, "spec").and_then(|spec| tree::remove(spec, "ephemeralContainers"));
    for field in ["spec", "status"] {
        tree::keep(new, old, field);
    }
    meta::keep_for_subresource(new, old);
    if let Some(spec) = tree::ensure_object(new, "spec") {
        match added {
            Some(added) => tree::set(spec, "ephemeralContainers", added),
            None => {
                tree::remove(spec, "ephemeralContainers");
            }
        }
    }
    super::admission::drop_disabled(new);
    bump_generation(new, old);
}

/// The rules for a write of ephemeral containers: none that is there may change or go.
pub fn validate_ephemeral_containers_update(new: &Value, old: &Value) -> Vec<FieldError> {
    if validate::is_mirror(old) {
        let path = Path::new("");
        let detail = "static pods do not support ephemeral containers";
        return vec![FieldError::forbidden(&path, detail)];
    }
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    validate::validate_all(new, &mut errors);
    validate::validate_annotation_updates(new, old, &mut errors);
    let path = Path::new("spec");
    let path = path.child("ephemeralContainers");
    let containers = list(spec_of(new), "ephemeralContainers");
    for old in list(spec_of(old), "ephemeralContainers") {
        let name = text(old, "name");
        let what = match containers.iter().rfind(|new| text(new, "name") == name) {
            None => "removed",
            Some(new) if !same(new, old) => "changed",
            Some(_) => continue,
        };
        let detail = format!(
            "existing ephemeral containers {} may not be {what}\n",
            quote(name)
        );
        errors.push(FieldError::forbidden(&path, &detail));
    }
    errors
}
