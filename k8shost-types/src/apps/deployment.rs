//! Deployment.

use serde_json::{Value, json};

use super::{drop_disabled, is_zero, template_defaults, validate_selector, validate_strategy_type};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, text},
    meta, names, pod,
    rules::{
        self, Errors, at_most_all, fill, fill_absent, int_or_percent, non_negative, part, spec,
    },
    strategy::{Strategy, Text},
};

/// The row of Deployment in the table of kinds.
pub static DEPLOYMENT: Strategy = Strategy {
    kind: Text::Borrowed("Deployment"),
    api_version: Text::Borrowed("apps/v1"),
    resource: Text::Borrowed("deployments"),
    default,
    prepare_create: |object| {
        rules::begin(object, json!({}));
        drop_disabled(object);
    },
    validate_create: |object| rules::created(object, true, names::subdomain_rule, validate),
    prepare_update: |new, old| {
        drop_disabled(new);
        rules::prepare_update(new, old);
        let annotations = |object| rules::part(meta::metadata(object), "annotations").clone();
        let (after, before) = (annotations(new), annotations(old));
        if after != before && !(rules::is_empty(&after) && rules::is_empty(&before)) {
            rules::next_generation(new, old);
        }
    },
    validate_update: |new, old| super::validate_update(new, old, validate),
    prepare_status_update: |new, old| {
        rules::prepare_status_update(new, old);
        if let Some(metadata) = tree::ensure_object(new, "metadata") {
            tree::keep(metadata, meta::metadata(old), "labels");
        }
    },
    validate_status_update,
    has_status: true,
    has_scale: true,
    ..Strategy::BASE
};

fn default(object: &mut Value) {
    let Some(spec) = tree::ensure_object(object, "spec") else {
        return;
    };
    fill_absent(spec, "replicas", 1);
    if let Some(strategy) = tree::ensure_object(spec, "strategy") {
        fill(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate" {
            fill_absent(strategy, "rollingUpdate", json!({}));
            if let Some(rolling) = tree::get_mut(strategy, "rollingUpdate") {
                fill_absent(rolling, "maxUnavailable", "25%");
                fill_absent(rolling, "maxSurge", "25%");
            }
        }
    }
    fill_absent(spec, "revisionHistoryLimit", 10);
    fill_absent(spec, "progressDeadlineSeconds", 600);
    template_defaults(spec);
    fill_absent(object, "status", json!({}));
}

fn validate(object: &Value, errors: &mut Errors) {
    let spec = spec(object);
    let path = Path::new("spec");
    non_negative(spec, "replicas", &path, errors);
    let selector = validate_selector(spec, "invalid for deployment", &path, errors);
    pod::validate_controlled_template(
        part(spec, "template"),
        selector,
        "ReplicaSet",
        true,
        &path.child("template"),
        errors,
    );
    validate_strategy(part(spec, "strategy"), &path.child("strategy"), errors);
    non_negative(spec, "minReadySeconds", &path, errors);
    non_negative(spec, "revisionHistoryLimit", &path, errors);
    non_negative(spec, "progressDeadlineSeconds", &path, errors);
    if let Some(deadline) = int(spec, "progressDeadlineSeconds")
        && deadline <= int(spec, "minReadySeconds").unwrap_or_default()
    {
        errors.push(FieldError::invalid(
            &path.child("progressDeadlineSeconds"),
            &deadline,
            "must be greater than minReadySeconds",
        ));
    }
}

fn validate_strategy(strategy: &Value, path: &Path<'_>, errors: &mut Errors) {
    let rolling_path = path.child("rollingUpdate");
    let rolling = get(strategy, "rollingUpdate");
    match (text(strategy, "type"), rolling) {
        ("Recreate", Some(_)) => errors.push(FieldError::forbidden(
            &rolling_path,
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        ("RollingUpdate", None) => errors.push(FieldError::required(
            &rolling_path,
            "this should be defaulted and never be nil",
        )),
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, &rolling_path, errors),
        ("Recreate", None) => {}
        _ => validate_strategy_type(strategy, &["Recreate", "RollingUpdate"], path, errors),
    }
}

fn validate_rolling(rolling: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in ["maxUnavailable", "maxSurge"] {
        int_or_percent(part(rolling, field), &path.child(field), errors);
    }
    let unavailable = part(rolling, "maxUnavailable");
    if is_zero(rolling, "maxUnavailable") && is_zero(rolling, "maxSurge") {
        errors.push(FieldError::invalid(
            &path.child("maxUnavailable"),
            unavailable,
            "may not be 0 when `maxSurge` is 0",
        ));
    }
    at_most_all(unavailable, &path.child("maxUnavailable"), errors);
}

fn validate_status_update(new: &Value, old: &Value) -> Errors {
    const MORE: &str = "cannot be greater than status.replicas";
    let mut errors = rules::metadata_update(new, old);
    rules::counts(
        new,
        &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ],
        &[
            ("updatedReplicas", "replicas", MORE),
            ("readyReplicas", "replicas", MORE),
            ("availableReplicas", "replicas", MORE),
            (
                "availableReplicas",
                "readyReplicas",
                "cannot be greater than readyReplicas",
            ),
        ],
        &mut errors,
    );
    rules::collisions(new, old, &mut errors);
    errors
}
