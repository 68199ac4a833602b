//! What `kubectl get hpa` shows.

use serde_json::{Value, json};

use crate::tables::cells;

#[test]
fn autoscalers_show_two_targets_of_either_version() {
    let metric = |kind: &str, field: &str, fields: Value| json!({"type": kind, field: fields});
    let cpu = metric(
        "Resource",
        "resource",
        json!({"name": "cpu", "target": {"averageUtilization": 80}}),
    );
    let pods = metric("Pods", "pods", json!({"target": {"averageValue": "1k"}}));
    let outside = |target: Value| metric("External", "external", json!({"target": target}));
    for (metrics, current, expected) in [
        (json!([]), json!([]), "<none>"),
        (json!([cpu]), json!([]), "cpu: <unknown>/80%"),
        (
            json!([cpu]),
            json!([metric(
                "Resource",
                "resource",
                json!({"current": {"averageUtilization": 50}})
            )]),
            "cpu: 50%/80%",
        ),
        (
            json!([pods]),
            json!([metric(
                "Pods",
                "pods",
                json!({"current": {"averageValue": "500m"}})
            )]),
            "500m/1k",
        ),
        (
            json!([outside(json!({"averageValue": "5"}))]),
            json!([]),
            "<unknown>/5 (avg)",
        ),
        (
            json!([outside(json!({"value": "5"}))]),
            json!([metric(
                "External",
                "external",
                json!({"current": {"value": "3"}})
            )]),
            "3/5",
        ),
        (
            json!([metric(
                "ContainerResource",
                "containerResource",
                json!({"name": "memory", "target": {}})
            )]),
            json!([]),
            "memory: <unknown>/<auto>",
        ),
        (
            json!([metric("Other", "other", json!({}))]),
            json!([]),
            "<unknown type>",
        ),
        (
            json!([cpu, pods, cpu, cpu]),
            json!([]),
            "cpu: <unknown>/80%, <unknown>/1k + 2 more...",
        ),
    ] {
        let object = json!({"spec": {"metrics": metrics}, "status": {"currentMetrics": current}});
        assert_eq!(
            cells("autoscaling", "horizontalpodautoscalers", object)[2],
            expected,
            "{metrics}"
        );
    }
    let other = r#"[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}]"#;
    let object = json!({
        "apiVersion": "autoscaling/v1",
        "metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": other}},
        "spec": {"targetCPUUtilizationPercentage": 70},
    });
    let expected = "memory: <unknown>/1Gi, cpu: <unknown>/70%";
    assert_eq!(
        cells("autoscaling", "horizontalpodautoscalers", object)[2],
        expected
    );
    let object = json!({
        "apiVersion": "autoscaling/v1", "spec": {"targetCPUUtilizationPercentage": 70},
        "status": {"currentCPUUtilizationPercentage": 20},
    });
    assert_eq!(
        cells("autoscaling", "horizontalpodautoscalers", object)[2],
        "cpu: 20%/70%"
    );
    let object = json!({"apiVersion": "autoscaling/v1"});
    let shown = cells("autoscaling", "horizontalpodautoscalers", object);
    assert_eq!(shown[2], "cpu: <unknown>/80%");
}
