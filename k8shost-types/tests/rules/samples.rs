//! A valid object of each kind, as short as it can be sent.

use k8shost_types::{Strategy, strategies};
use serde_json::{Value, json};

use crate::common::{row, stored};

/// Objects of each kind, made.
pub(crate) fn samples() -> Vec<(&'static Strategy, Value)> {
    let samples: Vec<_> = sent()
        .into_iter()
        .map(|(api_version, resource, mut object)| {
            let row = row(api_version, resource);
            let addressed = resource == "ipaddresses";
            object["metadata"]["name"] = json!(if addressed { "10.0.0.1" } else { "x" });
            if row.namespaced {
                object["metadata"]["namespace"] = json!("w");
            }
            (row, stored(row, object))
        })
        .collect();
    for row in strategies::all() {
        let many = ["pods", "services", "nodes", "namespaces"];
        let here = samples.iter().any(|(other, _)| std::ptr::eq(*other, row));
        assert!(
            here || many.contains(&&*row.resource),
            "{} has no sample",
            row.kind
        );
    }
    samples
}

pub(crate) fn template() -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
}

fn sent() -> Vec<(&'static str, &'static str, Value)> {
    let core = [
        (
            "configmaps",
            json!({"data": {"k": "v"}, "binaryData": {"b": "Yg=="}}),
        ),
        (
            "secrets",
            json!({"stringData": {"a": "b"}, "data": {"c": "ZA=="}}),
        ),
        (
            "serviceaccounts",
            json!({"secrets": [{"name": "s", "kind": "Secret"}]}),
        ),
        (
            "endpoints",
            json!({"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]}),
        ),
        (
            "limitranges",
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}, "max": {"cpu": "1"}, "min": {"cpu": "1m"}, "maxLimitRequestRatio": {"cpu": "2"}}]}}),
        ),
        (
            "resourcequotas",
            json!({"spec": {"hard": {"pods": "5"}, "scopes": ["BestEffort"], "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["a"]}]}}}),
        ),
        (
            "persistentvolumeclaims",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        ),
        (
            "persistentvolumes",
            json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]}}}}),
        ),
        (
            "events",
            json!({"involvedObject": {"kind": "Pod", "name": "p", "namespace": "w"}, "reason": "R", "message": "m", "type": "Normal"}),
        ),
        ("podtemplates", json!({"template": template()})),
        (
            "replicationcontrollers",
            json!({"spec": {"template": template()}}),
        ),
    ];
    let mut sent: Vec<_> = core
        .into_iter()
        .map(|(resource, object)| ("v1", resource, object))
        .collect();
    sent.extend([
        ("events.k8s.io/v1", "events", json!({"eventTime": "2026-01-02T03:04:05.000000Z", "reportingController": "c", "reportingInstance": "i", "action": "a", "reason": "r", "type": "Normal", "regarding": {"kind": "Pod", "name": "p", "namespace": "w"}, "series": {"count": 2, "lastObservedTime": "2026-01-02T03:04:05.000000Z"}})),
    ]);
    sent.extend(work());
    sent.extend(policies());
    sent.extend(ways());
    sent.extend(others());
    sent
}

/// Controllers and jobs.
fn work() -> Vec<(&'static str, &'static str, Value)> {
    let selector = json!({"matchLabels": {"a": "b"}});
    let spec = json!({"selector": selector, "template": template()});
    let claims = json!([{"metadata": {"name": "v"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
    let failure = json!({"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [1, 2], "containerName": "c"}}, {"action": "Ignore", "onPodConditions": [{"type": "t"}]}]});
    let success = json!({"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]});
    vec![
        ("apps/v1", "deployments", json!({"spec": spec.clone()})),
        ("apps/v1", "replicasets", json!({"spec": spec.clone()})),
        (
            "apps/v1",
            "statefulsets",
            json!({"spec": {"selector": selector, "template": template(), "serviceName": "s", "volumeClaimTemplates": claims, "ordinals": {"start": 1}}}),
        ),
        ("apps/v1", "daemonsets", json!({"spec": spec})),
        (
            "apps/v1",
            "controllerrevisions",
            json!({"revision": 1, "data": {"a": 1}}),
        ),
        (
            "batch/v1",
            "jobs",
            json!({"spec": {"template": job_template(), "completions": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 2, "podFailurePolicy": failure, "successPolicy": success, "managedBy": "a.b/c"}}),
        ),
        (
            "batch/v1",
            "cronjobs",
            json!({"spec": {"schedule": "*/5 * * * *", "timeZone": "Etc/UTC", "jobTemplate": {"spec": {"template": job_template()}}}}),
        ),
    ]
}

pub(crate) fn job_template() -> Value {
    json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}})
}

/// Leases, slices, budgets, roles and classes.
fn policies() -> Vec<(&'static str, &'static str, Value)> {
    let rbac = "rbac.authorization.k8s.io/v1";
    let role =
        |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "r"});
    vec![
        (
            "coordination.k8s.io/v1",
            "leases",
            json!({"spec": {"holderIdentity": "h", "leaseDurationSeconds": 15}}),
        ),
        (
            "discovery.k8s.io/v1",
            "endpointslices",
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"], "hints": {"forZones": [{"name": "z"}]}}], "ports": [{"port": 80}]}),
        ),
        (
            "policy/v1",
            "poddisruptionbudgets",
            json!({"spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}}),
        ),
        (
            rbac,
            "roles",
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        (
            rbac,
            "clusterroles",
            json!({"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}], "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}),
        ),
        (
            rbac,
            "rolebindings",
            json!({"roleRef": role("Role"), "subjects": [{"kind": "User", "name": "u"}]}),
        ),
        (
            rbac,
            "clusterrolebindings",
            json!({"roleRef": role("ClusterRole"), "subjects": [{"kind": "ServiceAccount", "name": "u", "namespace": "n"}]}),
        ),
        (
            "scheduling.k8s.io/v1",
            "priorityclasses",
            json!({"value": 5}),
        ),
        (
            "node.k8s.io/v1",
            "runtimeclasses",
            json!({"handler": "h", "overhead": {"podFixed": {"cpu": "1"}}, "scheduling": {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]}}),
        ),
    ]
}

/// Ways in, scaling and storage.
fn ways() -> Vec<(&'static str, &'static str, Value)> {
    let net = "networking.k8s.io/v1";
    let storage = "storage.k8s.io/v1";
    let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
    let metrics = json!([
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
        {"type": "Pods", "pods": {"metric": {"name": "m", "selector": {"matchLabels": {"a": "b"}}}, "target": {"type": "AverageValue", "averageValue": "1500m"}}},
        {"type": "Object", "object": {"describedObject": {"kind": "k", "name": "n", "apiVersion": "a/v1"}, "metric": {"name": "m"}, "target": {"type": "Value", "value": "3"}}},
        {"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "3"}}},
        {"type": "ContainerResource", "containerResource": {"name": "memory", "container": "c", "target": {"type": "Utilization", "averageUtilization": 60}}},
    ]);
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"});
    let peer = json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}});
    vec![
        (
            net,
            "ingresses",
            json!({"spec": {"ingressClassName": "c", "defaultBackend": backend, "tls": [{"hosts": ["*.a.b"], "secretName": "s"}], "rules": [{"host": "a.b", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}}),
        ),
        (
            net,
            "ingressclasses",
            json!({"spec": {"controller": "x.io/c", "parameters": {"kind": "k", "name": "n"}}}),
        ),
        (
            net,
            "networkpolicies",
            json!({"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80, "endPort": 90}], "from": [peer]}], "egress": [{"to": [{"podSelector": {}}]}]}}),
        ),
        (
            net,
            "ipaddresses",
            json!({"spec": {"parentRef": {"resource": "services", "name": "s", "namespace": "n"}}}),
        ),
        (
            net,
            "servicecidrs",
            json!({"spec": {"cidrs": ["10.0.0.0/24", "fd00::/112"]}}),
        ),
        (
            "autoscaling/v2",
            "horizontalpodautoscalers",
            json!({"spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": metrics, "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 5}]}}}}),
        ),
        (
            "autoscaling/v1",
            "horizontalpodautoscalers",
            json!({"spec": {"maxReplicas": 3, "scaleTargetRef": target, "targetCPUUtilizationPercentage": 70}}),
        ),
        (
            storage,
            "storageclasses",
            json!({"provisioner": "x.io/p", "parameters": {"a": "b"}, "allowedTopologies": [{"matchLabelExpressions": [{"key": "k", "values": ["v"]}]}]}),
        ),
        (
            storage,
            "csidrivers",
            json!({"spec": {"tokenRequests": [{"audience": "a", "expirationSeconds": 600}]}}),
        ),
        (
            storage,
            "csinodes",
            json!({"spec": {"drivers": [{"name": "d", "nodeID": "i", "topologyKeys": ["k"], "allocatable": {"count": 3}}]}}),
        ),
        (
            storage,
            "volumeattachments",
            json!({"spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "v"}}}),
        ),
        (
            storage,
            "csistoragecapacities",
            json!({"storageClassName": "c", "capacity": "1Gi", "nodeTopology": {"matchLabels": {"a": "b"}}}),
        ),
        (
            storage,
            "volumeattributesclasses",
            json!({"driverName": "d", "parameters": {"a": "b"}}),
        ),
    ]
}

/// Certificates, admission, flows and devices.
fn others() -> Vec<(&'static str, &'static str, Value)> {
    let admission = "admissionregistration.k8s.io/v1";
    let flow = "flowcontrol.apiserver.k8s.io/v1";
    let devices = "resource.k8s.io/v1";
    let rules = json!([{"apiGroups": ["x.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["xs"]}]);
    let webhooks = json!([{"name": "a.b.c", "clientConfig": {"service": {"name": "s", "namespace": "n", "path": "/p"}}, "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": rules, "matchConditions": [{"name": "n", "expression": "true"}]}]);
    let claim = json!({"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}, {"name": "s", "firstAvailable": [{"name": "t", "deviceClassName": "c"}]}], "constraints": [{"requests": ["r", "s/t"], "matchAttribute": "a/b"}]}});
    vec![
        (
            "certificates.k8s.io/v1",
            "certificatesigningrequests",
            json!({"spec": {"request": SIGNING_REQUEST, "signerName": "a.b/c", "usages": ["client auth"], "expirationSeconds": 600}}),
        ),
        (
            admission,
            "validatingwebhookconfigurations",
            json!({"webhooks": webhooks}),
        ),
        (
            admission,
            "mutatingwebhookconfigurations",
            json!({"webhooks": webhooks}),
        ),
        (
            admission,
            "validatingadmissionpolicies",
            json!({"spec": {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": "true"}], "variables": [{"name": "v", "expression": "1"}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}),
        ),
        (
            admission,
            "validatingadmissionpolicybindings",
            json!({"spec": {"policyName": "p", "validationActions": ["Deny"], "paramRef": {"name": "n", "parameterNotFoundAction": "Deny"}, "matchResources": {"resourceRules": rules}}}),
        ),
        (
            flow,
            "flowschemas",
            json!({"spec": {"priorityLevelConfiguration": {"name": "p"}, "distinguisherMethod": {"type": "ByUser"}, "rules": [{"subjects": [{"kind": "Group", "group": {"name": "g"}}], "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true}]}]}}),
        ),
        (
            flow,
            "prioritylevelconfigurations",
            json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}}),
        ),
        (
            devices,
            "deviceclasses",
            json!({"spec": {"selectors": [{"cel": {"expression": "true"}}]}}),
        ),
        (devices, "resourceclaims", json!({"spec": claim})),
        (
            devices,
            "resourceclaimtemplates",
            json!({"spec": {"metadata": {"labels": {"a": "b"}}, "spec": claim}}),
        ),
        (
            devices,
            "resourceslices",
            json!({"spec": {"driver": "d.x", "nodeName": "n", "pool": {"name": "p", "resourceSliceCount": 1, "generation": 1}, "devices": [{"name": "d"}]}}),
        ),
    ]
}

/// The base64 of PEM of a sequence, as short as it can be.
pub(crate) const SIGNING_REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUFJd0FBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";
