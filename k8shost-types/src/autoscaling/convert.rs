//! The two forms of an autoscaler. What v1 has no fields for, it has in annotations, as JSON.

use serde_json::{Map, Value, json};

use super::metrics::KINDS;
use crate::{
    json::{self as tree, get, int, list, text},
    meta,
    rules::{is_empty, part},
};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The fields in v1 of what describes a metric, with their places in v2.
type Plain = &'static [(&'static str, &'static [&'static str])];
/// The names in v1 of amounts, after `target` or `current`, with their names there in v2.
type Amounts = [(&'static str, &'static str); 3];

/// The fields of a metric, by the field of its kind.
fn names(kind: &str) -> (Plain, Amounts) {
    let utilization = ("AverageUtilization", "averageUtilization");
    let average = ("AverageValue", "averageValue");
    let value = ("Value", "value");
    match kind {
        "resource" => (&[("name", &["name"])], [utilization, average, ("", "")]),
        "containerResource" => (
            &[("name", &["name"]), ("container", &["container"])],
            [utilization, average, ("", "")],
        ),
        "pods" => (
            &[
                ("metricName", &["metric", "name"]),
                ("selector", &["metric", "selector"]),
            ],
            [average, ("", ""), ("", "")],
        ),
        "object" => (
            &[
                ("target", &["describedObject"]),
                ("metricName", &["metric", "name"]),
                ("selector", &["metric", "selector"]),
            ],
            [value, average, ("", "")],
        ),
        _ => (
            &[
                ("metricName", &["metric", "name"]),
                ("metricSelector", &["metric", "selector"]),
            ],
            [value, average, ("", "")],
        ),
    }
}

/// The name in v1 of an amount: `targetAverageValue`, but for the average of an object's metric.
fn amount_name(kind: &str, prefix: &str, name: &str) -> String {
    match (kind, name) {
        ("object", "AverageValue") => "averageValue".to_owned(),
        _ => format!("{prefix}{name}"),
    }
}

fn metric_to_v1(metric: &Value, prefix: &str) -> Value {
    let mut v1 = json!({"type": text(metric, "type")});
    for (_, kind) in KINDS {
        let Some(source) = get(metric, kind) else {
            continue;
        };
        let (plain, amounts) = names(kind);
        let mut fields = Map::new();
        for (name, places) in plain {
            let found = places.iter().try_fold(source, |at, place| get(at, place));
            if let Some(value) = found {
                fields.insert((*name).to_owned(), value.clone());
            }
        }
        for (name, place) in amounts.into_iter().filter(|(name, _)| !name.is_empty()) {
            if let Some(value) = get(part(source, prefix), place) {
                fields.insert(amount_name(kind, prefix, name), value.clone());
            }
        }
        tree::set(&mut v1, kind, fields);
    }
    v1
}

fn metric_to_v2(metric: &Value, prefix: &str) -> Value {
    let mut v2 = json!({"type": text(metric, "type")});
    for (_, kind) in KINDS {
        let Some(source) = get(metric, kind) else {
            continue;
        };
        let (plain, amounts) = names(kind);
        let mut fields = json!({});
        for (name, places) in plain {
            let Some(value) = get(source, name) else {
                continue;
            };
            match places {
                [place] => tree::set(&mut fields, place, value.clone()),
                [outer, inner] => {
                    if let Some(outer) = tree::ensure_object(&mut fields, outer) {
                        tree::set(outer, inner, value.clone());
                    }
                }
                _ => {}
            }
        }
        let mut target = json!({});
        for (name, place) in amounts.into_iter().filter(|(name, _)| !name.is_empty()) {
            if let Some(value) = get(source, &amount_name(kind, prefix, name)) {
                tree::set(&mut target, place, value.clone());
            }
        }
        if prefix == "target" {
            let kinds = [
                ("averageUtilization", "Utilization"),
                ("averageValue", "AverageValue"),
                ("value", "Value"),
            ];
            let found = kinds
                .iter()
                .find(|(place, _)| get(&target, place).is_some());
            let fallback = if kind.ends_with("esource") {
                "Utilization"
            } else {
                "Value"
            };
            let kind = found.map_or(fallback, |(_, kind)| *kind);
            tree::set(&mut target, "type", kind);
        }
        tree::set(&mut fields, prefix, target);
        tree::set(&mut v2, kind, fields);
    }
    v2
}

fn is_cpu(metric: &Value) -> bool {
    let resource = part(metric, "resource");
    text(metric, "type") == "Resource"
        && text(resource, "name") == "cpu"
        && int(part(resource, "target"), "averageUtilization").is_some()
}

/// Brings an autoscaler from the form of v1 into that of v2; one in that form already stays as it
/// is. Annotations that cannot be read are left as they are.
pub fn v1_to_v2(scaler: &mut Value) {
    tree::set(scaler, "apiVersion", "autoscaling/v2");
    let read = |scaler: &Value, key: &str| -> Option<Value> {
        serde_json::from_str(meta::annotation(scaler, key)?).ok()
    };
    let all = |metrics: &Value, prefix: &str| -> Option<Vec<Value>> {
        let metrics = metrics.as_array()?;
        Some(
            metrics
                .iter()
                .map(|metric| metric_to_v2(metric, prefix))
                .collect(),
        )
    };
    let metrics = read(scaler, METRICS).and_then(|metrics| all(&metrics, "target"));
    let current = read(scaler, CURRENT_METRICS).and_then(|metrics| all(&metrics, "current"));
    let conditions = read(scaler, CONDITIONS).filter(Value::is_array);
    let behavior = read(scaler, BEHAVIOR).filter(Value::is_object);
    for (key, taken) in [
        (METRICS, metrics.is_some()),
        (CURRENT_METRICS, current.is_some()),
        (CONDITIONS, conditions.is_some()),
        (BEHAVIOR, behavior.is_some()),
    ] {
        if taken {
            drop_annotation(scaler, key);
        }
    }
    if let Some(spec) = tree::get_mut(scaler, "spec") {
        let cpu = tree::remove(spec, "targetCPUUtilizationPercentage").filter(|cpu| !cpu.is_null());
        let cpu = cpu.map(|cpu| cpu_metric(cpu, "target"));
        extend(spec, "metrics", cpu, metrics);
        if let Some(behavior) = behavior {
            tree::set(spec, "behavior", behavior);
        }
    }
    if current.is_none() && conditions.is_none() && get(scaler, "status").is_none() {
        return;
    }
    if let Some(status) = tree::ensure_object(scaler, "status") {
        let cpu = tree::remove(status, "currentCPUUtilizationPercentage");
        let cpu = cpu
            .filter(|cpu| !cpu.is_null())
            .map(|cpu| cpu_metric(cpu, "current"));
        extend(status, "currentMetrics", cpu, current);
        if let Some(conditions) = conditions {
            tree::set(status, "conditions", conditions);
        }
    }
}

fn cpu_metric(percent: Value, place: &str) -> Value {
    let mut amount = json!({"averageUtilization": percent});
    if place == "target" {
        tree::set(&mut amount, "type", "Utilization");
    }
    let mut resource = json!({"name": "cpu"});
    tree::set(&mut resource, place, amount);
    json!({"type": "Resource", "resource": resource})
}

/// What comes from the field goes first, what comes from the annotation after it.
fn extend(parent: &mut Value, field: &str, first: Option<Value>, rest: Option<Vec<Value>>) {
    if first.is_none() && rest.is_none() {
        return;
    }
    let mut all: Vec<Value> = first.into_iter().collect();
    all.extend(rest.unwrap_or_default());
    tree::set(parent, field, all);
}

fn drop_annotation(scaler: &mut Value, key: &str) {
    let Some(metadata) = tree::get_mut(scaler, "metadata") else {
        return;
    };
    if let Some(annotations) = tree::get_mut(metadata, "annotations") {
        tree::remove(annotations, key);
    }
    if is_empty(part(metadata, "annotations")) {
        tree::remove(metadata, "annotations");
    }
}

/// No field of these has a fraction, and as text it might not be read back as it was.
fn drop_fractions(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => *value = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(drop_fractions),
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_fractions);
            fields.retain(|_, field| !field.is_null());
        }
        _ => {}
    }
}

/// Brings an autoscaler from the form of v2 into that of v1.
pub fn v2_to_v1(scaler: &mut Value) {
    tree::set(scaler, "apiVersion", "autoscaling/v1");
    let mut annotations: Vec<(&str, Value)> = Vec::new();
    if let Some(spec) = tree::get_mut(scaler, "spec") {
        if matches!(get(spec, "metrics"), Some(Value::Array(_))) {
            let mut metrics = list(spec, "metrics").to_vec();
            tree::remove(spec, "metrics");
            if let Some(at) = metrics.iter().position(is_cpu) {
                let cpu = metrics.remove(at);
                let target = part(part(&cpu, "resource"), "target");
                let percent = part(target, "averageUtilization").clone();
                tree::set(spec, "targetCPUUtilizationPercentage", percent);
            }
            if !metrics.is_empty() {
                let metrics = metrics.iter().map(|metric| metric_to_v1(metric, "target"));
                annotations.push((METRICS, metrics.collect()));
            }
        }
        if let Some(behavior) = tree::remove(spec, "behavior").filter(|b| !b.is_null()) {
            annotations.push((BEHAVIOR, behavior));
        }
    }
    if let Some(status) = tree::get_mut(scaler, "status") {
        let mut current = list(status, "currentMetrics").to_vec();
        if matches!(get(status, "currentMetrics"), None | Some(Value::Array(_))) {
            tree::remove(status, "currentMetrics");
        }
        let cpu = |metric: &Value| {
            let resource = part(metric, "resource");
            text(metric, "type") == "Resource"
                && text(resource, "name") == "cpu"
                && int(part(resource, "current"), "averageUtilization").is_some()
        };
        if let Some(metric) = current.iter().find(|metric| cpu(metric)) {
            let found = part(part(metric, "resource"), "current");
            let percent = part(found, "averageUtilization").clone();
            tree::set(status, "currentCPUUtilizationPercentage", percent);
            current.retain(|metric| !cpu(metric));
        }
        if !current.is_empty() {
            let metrics = current.iter().map(|metric| metric_to_v1(metric, "current"));
            annotations.push((CURRENT_METRICS, metrics.collect()));
        }
        let conditions = tree::remove(status, "conditions").filter(|c| !is_empty(c));
        if let Some(conditions) = conditions {
            annotations.push((CONDITIONS, conditions));
        }
        crate::rules::fill_absent(status, "currentReplicas", 0);
    }
    for (key, mut value) in annotations {
        drop_fractions(&mut value);
        meta::set_annotation(scaler, key, &value.to_string());
    }
}
