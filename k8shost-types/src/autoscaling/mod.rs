//! HorizontalPodAutoscaler, in both versions of autoscaling. They are the same objects: they are kept
//! in the form of v2. And Scale, in which other kinds show their replicas.

mod behavior;
mod convert;
mod metrics;
pub mod scale;

use serde_json::{Value, json};

pub use convert::{v1_to_v2, v2_to_v1};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, text},
    names,
    rules::{self, Errors, faults, fill_absent, is_set, part, spec},
    strategy::{Strategy, Text},
};

/// The row of autoscaling/v2.
pub static HORIZONTAL_POD_AUTOSCALER: Strategy = Strategy {
    kind: Text::Borrowed("HorizontalPodAutoscaler"),
    api_version: Text::Borrowed("autoscaling/v2"),
    resource: Text::Borrowed("horizontalpodautoscalers"),
    default,
    prepare_create: |scaler| {
        tree::set(
            scaler,
            "status",
            json!({"currentMetrics": null, "desiredReplicas": 0}),
        );
    },
    validate_create: |scaler| rules::created(scaler, true, names::subdomain_rule, validate),
    prepare_update: |new, old| tree::keep(new, old, "status"),
    validate_update,
    prepare_status_update: rules::prepare_status_update,
    validate_status_update,
    has_status: true,
    ..Strategy::BASE
};

/// The row of autoscaling/v1. Its functions take objects in that version's form.
pub static HORIZONTAL_POD_AUTOSCALER_V1: Strategy = Strategy {
    kind: Text::Borrowed("HorizontalPodAutoscaler"),
    api_version: Text::Borrowed("autoscaling/v1"),
    resource: Text::Borrowed("horizontalpodautoscalers"),
    default: |scaler| {
        v1_to_v2(scaler);
        default(scaler);
        v2_to_v1(scaler);
    },
    prepare_create: |scaler| {
        let status = json!({"currentReplicas": 0, "desiredReplicas": 0});
        tree::set(scaler, "status", status);
    },
    validate_create: |scaler| rules::created(&in_v2(scaler), true, names::subdomain_rule, validate),
    prepare_update: |new, old| tree::keep(new, old, "status"),
    validate_update: |new, old| validate_update(&in_v2(new), &in_v2(old)),
    prepare_status_update: rules::prepare_status_update,
    validate_status_update: |new, old| validate_status_update(&in_v2(new), &in_v2(old)),
    has_status: true,
    ..Strategy::BASE
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&HORIZONTAL_POD_AUTOSCALER, &HORIZONTAL_POD_AUTOSCALER_V1];

fn in_v2(scaler: &Value) -> Value {
    let mut scaler = scaler.clone();
    v1_to_v2(&mut scaler);
    scaler
}

/// What is scaled by where nothing is said: four fifths of the CPU that was asked for.
const UTILIZATION: i64 = 80;

fn default(scaler: &mut Value) {
    if let Some(spec) = tree::ensure_object(scaler, "spec") {
        fill_absent(spec, "minReplicas", 1);
        tree::ensure_object(spec, "scaleTargetRef");
        if !is_set(spec, "metrics") {
            let target = json!({"type": "Utilization", "averageUtilization": UTILIZATION});
            let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
            tree::set(spec, "metrics", vec![metric]);
        }
        metrics::normalize(spec);
        behavior::default(spec);
    }
    if let Some(status) = tree::ensure_object(scaler, "status") {
        fill_absent(status, "currentMetrics", Value::Null);
        fill_absent(status, "desiredReplicas", 0);
    }
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    validate(new, &mut errors);
    errors
}

fn validate(scaler: &Value, errors: &mut Errors) {
    let spec = spec(scaler);
    let path = Path::new("spec");
    let least = int(spec, "minReplicas");
    if let Some(least) = least.filter(|least| *least < 1) {
        errors.push(FieldError::invalid(
            &path.child("minReplicas"),
            &least,
            "must be greater than or equal to 1",
        ));
    }
    let most = int(spec, "maxReplicas").unwrap_or_default();
    let most_path = path.child("maxReplicas");
    if most < 1 {
        errors.push(FieldError::invalid(
            &most_path,
            &most,
            "must be greater than 0",
        ));
    }
    if least.is_some_and(|least| most < least) {
        errors.push(FieldError::invalid(
            &most_path,
            &most,
            "must be greater than or equal to `minReplicas`",
        ));
    }
    let target = part(spec, "scaleTargetRef");
    validate_reference(target, &path.child("scaleTargetRef"), errors);
    metrics::validate(spec, &path.child("metrics"), errors);
    if let Some(behavior) = get(spec, "behavior") {
        behavior::validate(behavior, &path.child("behavior"), errors);
    }
}

/// The rules for what names an object to scale, or one that has a metric.
fn validate_reference(target: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in ["kind", "name"] {
        let value = text(target, field);
        let path = path.child(field);
        if value.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else {
            faults(names::path_segment(value, false), value, &path, errors);
        }
    }
    if path.to_string() != "spec.scaleTargetRef" {
        return;
    }
    let version = text(target, "apiVersion");
    let path = path.child("apiVersion");
    match version.split_once('/') {
        Some((_, rest)) if rest.contains('/') => {
            let detail = format!("unexpected GroupVersion string: {version}");
            errors.push(FieldError::invalid(&path, version, &detail));
        }
        Some((group, _)) if !group.is_empty() => {}
        _ if version == "v1" && text(target, "kind") == "ReplicationController" => {}
        _ => errors.push(FieldError::invalid(
            &path,
            version,
            "apiVersion must specify API group",
        )),
    }
}

fn validate_status_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    let counts = ["currentReplicas", "desiredReplicas"];
    rules::counts(new, &counts, &[], &mut errors);
    errors
}
