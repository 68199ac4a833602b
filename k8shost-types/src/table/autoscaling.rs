//! Rows of autoscalers, of either version.

use std::{borrow::Cow, time::SystemTime};

use serde_json::{Value, json};

use super::{
    cell::{NONE, UNKNOWN, UNSET, age, cells, items, number, quantity, text},
    column::{AGE, Column, NAME},
};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Reference", "What is scaled."),
    Column::text(
        "Targets",
        "The metrics: where they are, where they should be.",
    ),
    Column::text("MinPods", "The fewest pods there may be."),
    Column::text("MaxPods", "The most pods there may be."),
    Column::text("Replicas", "How many pods there were when last counted."),
    AGE,
];

pub(super) fn row(object: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let target = &spec["scaleTargetRef"];
    let least = spec["minReplicas"].as_i64();
    let (metrics, current) = metrics(object);
    cells![
        text(&object["metadata"]["name"]),
        format!("{}/{}", text(&target["kind"]), text(&target["name"])),
        targets(&metrics, &current),
        least.map_or_else(|| UNSET.to_owned(), |least| least.to_string()),
        number(&spec["maxReplicas"]),
        number(&status["currentReplicas"]),
        age(object, now),
    ]
}

/// The metrics and what they were, in v2's lists. v1 has a field for the processors and, as JSON in
/// annotations, all else; of nothing, 80 percent of the processors are meant.
fn metrics(object: &Value) -> (Cow<'_, [Value]>, Cow<'_, [Value]>) {
    let (spec, status) = (&object["spec"], &object["status"]);
    if object["apiVersion"] != "autoscaling/v1" {
        let (metrics, current) = (items(&spec["metrics"]), items(&status["currentMetrics"]));
        return (metrics.into(), current.into());
    }
    let annotated = |name: &str| -> Vec<Value> {
        let key = format!("autoscaling.alpha.kubernetes.io/{name}");
        let text = text(&object["metadata"]["annotations"][key.as_str()]);
        serde_json::from_str(text).unwrap_or_default()
    };
    let mut metrics = annotated("metrics");
    let mut current = annotated("current-metrics");
    if let Some(target) = spec["targetCPUUtilizationPercentage"].as_i64() {
        metrics.push(cpu(json!({"targetAverageUtilization": target})));
    }
    if metrics.is_empty() {
        metrics.push(cpu(json!({"targetAverageUtilization": 80})));
    }
    if let (true, Some(now)) = (
        current.is_empty(),
        status["currentCPUUtilizationPercentage"].as_i64(),
    ) {
        current.push(cpu(json!({"currentAverageUtilization": now})));
    }
    (metrics.into(), current.into())
}

fn cpu(mut resource: Value) -> Value {
    resource["name"] = "cpu".into();
    json!({"type": "Resource", "resource": resource})
}

fn targets(metrics: &[Value], current: &[Value]) -> String {
    if metrics.is_empty() {
        return NONE.to_owned();
    }
    let shown: Vec<String> = metrics
        .iter()
        .take(2)
        .enumerate()
        .map(|(i, metric)| target(metric, current.get(i).unwrap_or(&Value::Null)))
        .collect();
    let shown = shown.join(", ");
    match metrics.len() {
        0..=2 => shown,
        many => format!("{shown} + {} more...", many - 2),
    }
}

fn target(metric: &Value, current: &Value) -> String {
    let source = match text(&metric["type"]) {
        "External" => "external",
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let (metric, current) = (&metric[source], &current[source]);
    let wanted_average = amount(metric, "target", "AverageValue");
    let average = amount(current, "current", "AverageValue");
    let known = |value: &Value| match current {
        Value::Null => UNKNOWN.to_owned(),
        _ => pointed(value),
    };
    let name = text(&metric["name"]);
    match source {
        "pods" => format!("{}/{}", known(average), pointed(wanted_average)),
        "external" | "object" if wanted_average.is_null() => {
            let value = known(amount(current, "current", "Value"));
            format!("{value}/{}", pointed(amount(metric, "target", "Value")))
        }
        "external" | "object" => {
            let average = match average {
                Value::Null => UNKNOWN.to_owned(),
                average => quantity(average),
            };
            format!("{average}/{} (avg)", quantity(wanted_average))
        }
        _ if wanted_average.is_null() => {
            let percent = |value: &Value, other: &str| match value.as_i64() {
                Some(percent) => format!("{percent}%"),
                None => other.to_owned(),
            };
            let used = percent(amount(current, "current", "AverageUtilization"), UNKNOWN);
            let wanted = percent(amount(metric, "target", "AverageUtilization"), "<auto>");
            format!("{name}: {used}/{wanted}")
        }
        _ => format!("{name}: {}/{}", known(average), quantity(wanted_average)),
    }
}

/// A quantity; of none, what Go prints.
fn pointed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        value => quantity(value),
    }
}

/// `target.averageValue` as v2 has it, else `targetAverageValue`, else `averageValue` as v1 does.
fn amount<'a>(source: &'a Value, when: &str, field: &str) -> &'a Value {
    let mut plain = field.to_owned();
    plain[..1].make_ascii_lowercase();
    let joined = format!("{when}{field}");
    [&source[when][&plain], &source[&joined], &source[&plain]]
        .into_iter()
        .find(|value| !value.is_null())
        .unwrap_or(&Value::Null)
}
