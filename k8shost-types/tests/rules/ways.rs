//! Ingresses, network policies, autoscalers and storage.

use k8shost_types::autoscaling;
use serde_json::{Value, json};

use crate::common::{create, made, merge, named, refused, row, stored, update, update_refused};

const NET: &str = "networking.k8s.io/v1";
const STORAGE: &str = "storage.k8s.io/v1";

#[test]
fn what_a_create_answers() {
    let ingress = json!({"rules": [{"host": "a.b", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]});
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
    let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]);
    let cases = [
        (
            (NET, "ingresses"),
            json!({"spec": ingress}),
            json!({"metadata": {"generation": 1}, "spec": ingress, "status": {"loadBalancer": {}}}),
        ),
        (
            (NET, "ingressclasses"),
            json!({"spec": {"controller": "x.io/c"}}),
            json!({"metadata": {"generation": 1}, "spec": {"controller": "x.io/c"}}),
        ),
        (
            (NET, "networkpolicies"),
            json!({"spec": {"podSelector": {}}}),
            json!({"metadata": {"generation": 1}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}),
        ),
        (
            ("autoscaling/v2", "horizontalpodautoscalers"),
            json!({"spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": metrics}}),
            json!({"metadata": {}, "spec": {"maxReplicas": 3, "metrics": metrics, "minReplicas": 1, "scaleTargetRef": target}, "status": {"currentMetrics": null, "desiredReplicas": 0}}),
        ),
        (
            ("autoscaling/v1", "horizontalpodautoscalers"),
            json!({"spec": {"maxReplicas": 3, "scaleTargetRef": target}}),
            json!({"metadata": {}, "spec": {"maxReplicas": 3, "minReplicas": 1, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 80}, "status": {"currentReplicas": 0, "desiredReplicas": 0}}),
        ),
        (
            (STORAGE, "storageclasses"),
            json!({"provisioner": "x.io/p"}),
            json!({"metadata": {}, "provisioner": "x.io/p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
        ),
        (
            (STORAGE, "csidrivers"),
            json!({"spec": {}}),
            json!({"metadata": {}, "spec": {"attachRequired": true, "fsGroupPolicy": "ReadWriteOnceWithFSType", "podInfoOnMount": false, "requiresRepublish": false, "seLinuxMount": false, "storageCapacity": false, "volumeLifecycleModes": ["Persistent"]}}),
        ),
        (
            (STORAGE, "csinodes"),
            json!({"spec": {"drivers": []}}),
            json!({"metadata": {}, "spec": {"drivers": null}}),
        ),
    ];
    for ((version, resource), sent, answer) in cases {
        assert_eq!(made(row(version, resource), sent), answer, "{resource}");
    }
}

#[test]
fn faults_are_told() {
    let path =
        |path: Value| json!({"spec": {"rules": [{"host": "a.b", "http": {"paths": [path]}}]}});
    let hpa = ("autoscaling/v2", "horizontalpodautoscalers");
    let cases = [
        (
            (NET, "ingresses"),
            path(json!({"path": "x", "pathType": "Prefix", "backend": {}})),
            r#"[spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path, spec.rules[0].http.paths[0].backend: Invalid value: "": resource or service backend is required]"#,
        ),
        (
            (NET, "ingresses"),
            path(
                json!({"path": "/a//b/..", "backend": {"service": {"name": "s"}}, "pathType": "Exact"}),
            ),
            r#"[spec.rules[0].http.paths[0].path: Invalid value: "/a//b/..": must not contain '//', spec.rules[0].http.paths[0].path: Invalid value: "/a//b/..": cannot end with '/..', spec.rules[0].http.paths[0].backend: Required value: port name or number is required]"#,
        ),
        (
            (NET, "ingresses"),
            json!({}),
            "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified",
        ),
        (
            (NET, "ingressclasses"),
            json!({"spec": {"controller": "c", "parameters": {"scope": "Namespace", "kind": "k", "name": "n"}}}),
            r#"[spec.controller: Invalid value: "c": must be a domain-prefixed path (such as "acme.io/foo"), spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace']"#,
        ),
        (
            (NET, "networkpolicies"),
            json!({"spec": {"ingress": [{"ports": [{"port": 80, "endPort": 70}, {"endPort": 1}], "from": [{}, {"ipBlock": {"cidr": "10.0.0.0/16", "except": ["10.0.0.0/16", "11.0.0.0/24"]}}]}], "policyTypes": ["X"]}}),
            r#"[spec.ingress[0].ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`, spec.ingress[0].ports[1].endPort: Invalid value: 1: may not be specified when `port` is not specified, spec.ingress[0].from[0]: Required value: must specify a peer, spec.ingress[0].from[1].ipBlock.except[0]: Invalid value: "10.0.0.0/16": must be a strict subset of `cidr`, spec.ingress[0].from[1].ipBlock.except[1]: Invalid value: "11.0.0.0/24": must be a strict subset of `cidr`, spec.policyTypes[0]: Unsupported value: "X": supported values: "Egress", "Ingress"]"#,
        ),
        (
            hpa,
            json!({"spec": {"minReplicas": 5, "maxReplicas": 3, "scaleTargetRef": {"kind": "D", "name": "d"}}}),
            r#"[spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`, spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group]"#,
        ),
        (
            hpa,
            json!({"spec": {"maxReplicas": 1, "scaleTargetRef": {"apiVersion": "a/v1", "kind": "D", "name": "d"}, "metrics": [{"type": "Pods", "resource": {}}], "behavior": {"scaleUp": {"stabilizationWindowSeconds": 4000, "policies": []}}}}),
            "[spec.metrics[0].resource: Forbidden: must populate the given metric source only, spec.metrics[0].pods: Required value: must populate information for the given metric source, spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600, spec.behavior.scaleUp.policies: Required value: must specify at least one Policy]",
        ),
        (
            (STORAGE, "storageclasses"),
            json!({"reclaimPolicy": "x"}),
            r#"[provisioner: Required value, reclaimPolicy: Unsupported value: "x": supported values: "Delete", "Retain"]"#,
        ),
        (
            (STORAGE, "csinodes"),
            json!({"spec": {"drivers": [{"name": "d", "nodeID": "i"}, {"name": "d"}]}}),
            r#"[spec.drivers[1].nodeID: Required value, spec.drivers[1].name: Duplicate value: "d"]"#,
        ),
        (
            (STORAGE, "volumeattachments"),
            json!({"spec": {"attacher": "a", "nodeName": "n"}}),
            "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
        ),
    ];
    for ((version, resource), sent, message) in cases {
        let row = row(version, resource);
        let expected = format!("{}.{} \"x\" is invalid: {message}", row.kind, row.group());
        assert_eq!(refused(row, sent), expected);
    }
}

#[test]
fn what_an_update_may_not_change() {
    let classes = row(STORAGE, "storageclasses");
    let old = stored(classes, named(classes, json!({"provisioner": "x.io/p"})));
    assert_eq!(
        update_refused(classes, &old, |class| class["parameters"] =
            json!({"a": "b"})),
        r#"StorageClass.storage.k8s.io "x" is invalid: parameters: Forbidden: updates to parameters are forbidden."#
    );
    let ingress_classes = row(NET, "ingressclasses");
    let old = stored(
        ingress_classes,
        named(ingress_classes, json!({"spec": {"controller": "x.io/c"}})),
    );
    assert_eq!(
        update_refused(ingress_classes, &old, |class| class["spec"]["controller"] =
            json!("x.io/d")),
        r#"IngressClass.networking.k8s.io "x" is invalid: spec.controller: Invalid value: "x.io/d": field is immutable"#
    );
    let policies = row(NET, "networkpolicies");
    let old = stored(policies, named(policies, json!({})));
    let new = update(policies, &old, |policy| {
        policy["spec"]["egress"] = json!([{}])
    })
    .expect("valid");
    assert_eq!(new["metadata"]["generation"], 2);
}

#[test]
fn an_address_is_named_in_one_way() {
    let row = row(NET, "ipaddresses");
    for (name, fault) in [
        ("10.0.0.1", None),
        ("fd00::1", None),
        ("10.0.0.01", Some("must be a canonical format IP address")),
        ("FD00::1", Some("must be a canonical format IP address")),
        ("x", Some("must be a valid IP address")),
    ] {
        let mut object = named(
            row,
            json!({"spec": {"parentRef": {"resource": "services", "name": "s"}}}),
        );
        object["metadata"]["name"] = json!(name);
        let answer = create(row, object).err().map(|error| error.message);
        let expected = fault.map(|fault| format!("IPAddress.networking.k8s.io \"{name}\" is invalid: metadata.name: Invalid value: \"{name}\": {fault}"));
        assert_eq!(answer, expected);
    }
}

#[test]
fn autoscalers_of_both_versions_are_the_same_objects() {
    let row = row("autoscaling/v2", "horizontalpodautoscalers");
    let metric = |kind: &str, field: &str, source: Value| {
        let mut metric = json!({"type": kind});
        metric[field] = source;
        metric
    };
    let metrics = json!([
        metric(
            "Resource",
            "resource",
            json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}})
        ),
        metric(
            "Resource",
            "resource",
            json!({"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}})
        ),
        metric(
            "Pods",
            "pods",
            json!({"metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}}, "target": {"type": "AverageValue", "averageValue": "1500m"}})
        ),
        metric(
            "Object",
            "object",
            json!({"describedObject": {"kind": "k", "name": "n", "apiVersion": "a/v1"}, "metric": {"name": "m"}, "target": {"type": "Value", "value": "3"}})
        ),
        metric(
            "External",
            "external",
            json!({"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "3"}})
        ),
        metric(
            "ContainerResource",
            "containerResource",
            json!({"name": "memory", "container": "c", "target": {"type": "Utilization", "averageUtilization": 60}})
        ),
    ]);
    let spec = json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "metrics": metrics, "behavior": {"scaleDown": {}}});
    let mut object = stored(row, named(row, json!({"spec": spec})));
    merge(
        &mut object["status"],
        json!({"conditions": [{"type": "AbleToScale", "status": "True"}], "currentReplicas": 2, "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 5}}}]}),
    );
    assert_eq!(
        object["spec"]["behavior"]["scaleUp"]["policies"][0],
        json!({"type": "Pods", "value": 4, "periodSeconds": 15})
    );
    let mut v1 = object.clone();
    autoscaling::v2_to_v1(&mut v1);
    assert_eq!(v1["apiVersion"], "autoscaling/v1");
    assert_eq!(v1["spec"]["targetCPUUtilizationPercentage"], 60);
    assert_eq!(
        v1["status"],
        json!({"currentCPUUtilizationPercentage": 5, "currentReplicas": 2, "desiredReplicas": 0})
    );
    let annotations = v1["metadata"]["annotations"]
        .as_object()
        .expect("annotations");
    assert_eq!(annotations.len(), 3);
    let metrics = annotations["autoscaling.alpha.kubernetes.io/metrics"]
        .as_str()
        .expect("text");
    let metrics: Value = serde_json::from_str(metrics).expect("JSON");
    assert_eq!(
        metrics[0],
        json!({"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "1Gi"}})
    );
    assert_eq!(
        metrics[2]["object"],
        json!({"target": {"kind": "k", "name": "n", "apiVersion": "a/v1"}, "metricName": "m", "targetValue": "3"})
    );
    autoscaling::v1_to_v2(&mut v1);
    assert_eq!(v1, object);
}
