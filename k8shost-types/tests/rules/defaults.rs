//! What a create answers, field by field, beside what kube-apiserver 1.35 answers.

use crate::common::{NOW, STRATEGIES, UID, container, create, merge, pod, service};
use k8shost_types::{namespace, node, pod as pods, service as services};
use serde_json::{Value, json};

fn tolerations() -> Value {
    json!([
        {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
        {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300}
    ])
}

#[test]
fn a_small_pod() {
    let created = create(&pods::STRATEGY, pod(json!({}))).expect("valid");
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"creationTimestamp": NOW, "generation": 1, "name": "b", "namespace": "default", "uid": UID},
        "spec": {
            "containers": [{
                "image": "nginx:1.27",
                "imagePullPolicy": "IfNotPresent",
                "name": "c",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File"
            }],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
            "tolerations": tolerations()
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"}
    });
    assert_eq!(created, expected);
}

#[test]
fn a_pod_with_many_fields() {
    let manifest = json!({
        "metadata": {"name": "full", "namespace": "default"},
        "spec": {
            "initContainers": [{"name": "i", "image": "busybox"}],
            "restartPolicy": "Never",
            "hostNetwork": true,
            "containers": [{
                "name": "c",
                "image": "nginx",
                "ports": [{"containerPort": 80}],
                "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
                "readinessProbe": {"exec": {"command": ["true"]}},
                "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "lifecycle": {"preStop": {"httpGet": {"port": "web"}}},
                "volumeMounts": [{"name": "s", "mountPath": "/s"}]
            }],
            "volumes": [
                {"name": "s", "secret": {"secretName": "x"}},
                {"name": "m", "configMap": {"name": "y"}},
                {"name": "e", "emptyDir": {}},
                {"name": "h", "hostPath": {"path": "/x"}},
                {"name": "n"}
            ]
        }
    });
    let created = create(&pods::STRATEGY, manifest).expect("valid");
    let expected = json!({
        "containers": [{
            "env": [{"name": "N", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
            "image": "nginx",
            "imagePullPolicy": "Always",
            "lifecycle": {"preStop": {"httpGet": {"path": "/", "port": "web", "scheme": "HTTP"}}},
            "livenessProbe": {
                "failureThreshold": 3,
                "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
                "periodSeconds": 10,
                "successThreshold": 1,
                "timeoutSeconds": 1
            },
            "name": "c",
            "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}],
            "readinessProbe": {
                "exec": {"command": ["true"]},
                "failureThreshold": 3,
                "periodSeconds": 10,
                "successThreshold": 1,
                "timeoutSeconds": 1
            },
            "resources": {
                "limits": {"cpu": "1500m", "memory": "1Gi"},
                "requests": {"cpu": "1500m", "memory": "1Gi"}
            },
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "volumeMounts": [{"mountPath": "/s", "name": "s"}]
        }],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": true,
        "hostNetwork": true,
        "initContainers": [{
            "image": "busybox",
            "imagePullPolicy": "Always",
            "name": "i",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File"
        }],
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Never",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "tolerations": tolerations(),
        "volumes": [
            {"name": "s", "secret": {"defaultMode": 420, "secretName": "x"}},
            {"configMap": {"defaultMode": 420, "name": "y"}, "name": "m"},
            {"emptyDir": {}, "name": "e"},
            {"hostPath": {"path": "/x", "type": ""}, "name": "h"},
            {"emptyDir": {}, "name": "n"}
        ]
    });
    assert_eq!(created["spec"], expected);
    assert_eq!(created["status"]["qosClass"], "Burstable");
}

#[test]
fn a_generated_name() {
    let mut manifest = pod(json!({}));
    manifest["metadata"] = json!({"generateName": "gen-", "namespace": "default"});
    let created = create(&pods::STRATEGY, manifest).expect("valid");
    assert_eq!(created["metadata"]["name"], "gen-x7k2q");
    assert_eq!(created["metadata"]["generateName"], "gen-");
}

#[test]
fn a_negative_grace_period_is_one_second() {
    let created = create(
        &pods::STRATEGY,
        pod(json!({"terminationGracePeriodSeconds": -1})),
    );
    assert_eq!(
        created.expect("valid")["spec"]["terminationGracePeriodSeconds"],
        1
    );
}

#[test]
fn tolerations_are_added_where_there_are_none_for_failing_nodes() {
    let own = json!([
        {"key": "a", "operator": "Exists"},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    ]);
    let created = create(&pods::STRATEGY, pod(json!({"tolerations": own}))).expect("valid");
    let tolerations = created["spec"]["tolerations"].as_array().expect("a list");
    let keys: Vec<_> = tolerations
        .iter()
        .map(|t| t["key"].as_str().expect("a key"))
        .collect();
    assert_eq!(
        keys,
        [
            "a",
            "node.kubernetes.io/unreachable",
            "node.kubernetes.io/not-ready"
        ]
    );
    let all = pod(json!({"tolerations": [{"operator": "Exists"}]}));
    let created = create(&pods::STRATEGY, all).expect("valid");
    assert_eq!(
        created["spec"]["tolerations"],
        json!([{"operator": "Exists"}])
    );
}

#[test]
fn priority_follows_the_class() {
    let of = |spec| create(&pods::STRATEGY, pod(spec));
    let created = of(json!({"priorityClassName": "system-node-critical"})).expect("valid");
    assert_eq!(created["spec"]["priority"], 2_000_001_000);
    let error = of(json!({"priorityClassName": "nope"})).expect_err("no such class");
    assert_eq!(
        error.message,
        "pods \"b\" is forbidden: no PriorityClass with name nope was found"
    );
    let error = of(json!({"priority": 7})).expect_err("not the class' number");
    assert_eq!(error.reason.as_str(), "Forbidden");
    of(json!({"priority": 0})).expect("the class' number");
}

#[test]
fn service_accounts_go_by_two_names() {
    let created = create(&pods::STRATEGY, pod(json!({"serviceAccount": "old"}))).expect("valid");
    assert_eq!(created["spec"]["serviceAccountName"], "old");
    let created = create(
        &pods::STRATEGY,
        pod(json!({"serviceAccount": "old", "serviceAccountName": "new"})),
    );
    assert_eq!(created.expect("valid")["spec"]["serviceAccount"], "new");
}

#[test]
fn quantities_become_canonical_and_requests_follow_limits() {
    let manifest = container(json!({"resources": {
        "limits": {"cpu": "0.5", "memory": "1024Mi"},
        "requests": {"memory": "1000000"}
    }}));
    let created = create(&pods::STRATEGY, manifest).expect("valid");
    assert_eq!(
        created["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1M"}})
    );
}

#[test]
fn the_class_of_service() {
    let of = |containers: Value| {
        let created = create(&pods::STRATEGY, pod(json!({"containers": containers})));
        created.expect("valid")["status"]["qosClass"].clone()
    };
    let c =
        |name: &str, resources: Value| json!({"name": name, "image": "i", "resources": resources});
    let all = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
    assert_eq!(of(json!([c("a", json!({}))])), "BestEffort");
    assert_eq!(of(json!([c("a", all.clone())])), "Guaranteed");
    assert_eq!(
        of(json!([c("a", all.clone()), c("b", json!({}))])),
        "Burstable"
    );
    assert_eq!(
        of(json!([c("a", json!({"limits": {"cpu": "1"}}))])),
        "Burstable"
    );
    let less = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}});
    assert_eq!(of(json!([c("a", less)])), "Burstable");
    assert_eq!(
        of(json!([c("a", json!({"requests": {"cpu": "0"}}))])),
        "BestEffort"
    );
}

#[test]
fn a_gated_pod_says_so() {
    let created = create(
        &pods::STRATEGY,
        pod(json!({"schedulingGates": [{"name": "example.com/quota"}]})),
    );
    let created = created.expect("valid");
    let condition = &created["status"]["conditions"][0];
    assert_eq!(condition["reason"], "SchedulingGated");
    assert_eq!(condition["lastTransitionTime"], NOW);
}

#[test]
fn label_keys_are_merged_into_selectors() {
    let mut manifest = pod(json!({"topologySpreadConstraints": [{
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "x"}},
        "matchLabelKeys": ["pod-template-hash", "absent"]
    }]}));
    manifest["metadata"]["labels"] = json!({"pod-template-hash": "abc"});
    let created = create(&pods::STRATEGY, manifest).expect("valid");
    assert_eq!(
        created["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchExpressions"],
        json!([{"key": "pod-template-hash", "operator": "In", "values": ["abc"]}])
    );
}

#[test]
fn fields_of_features_that_are_off_go() {
    let created = create(
        &pods::STRATEGY,
        pod(
            json!({"workloadRef": {"name": "w", "podGroup": "g"}, "containers": [{
                "name": "c", "image": "i", "lifecycle": {"stopSignal": "SIGTERM"}
            }]}),
        ),
    );
    let created = created.expect("valid");
    assert_eq!(created["spec"].get("workloadRef"), None);
    assert_eq!(created["spec"]["containers"][0].get("lifecycle"), None);
}

#[test]
fn services_of_each_type() {
    let mut manifest = service(
        json!({"clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}),
    );
    let created = create(&services::STRATEGY, manifest.clone()).expect("valid");
    assert_eq!(
        created,
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"creationTimestamp": NOW, "name": "t", "namespace": "default", "uid": UID},
            "spec": {
                "clusterIP": "10.96.0.10",
                "clusterIPs": ["10.96.0.10"],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
                "selector": {"a": "b"},
                "sessionAffinity": "None",
                "type": "ClusterIP"
            },
            "status": {"loadBalancer": {}}
        })
    );
    manifest["spec"]["type"] = json!("LoadBalancer");
    manifest["spec"]["sessionAffinity"] = json!("ClientIP");
    let created = create(&services::STRATEGY, manifest).expect("valid");
    let spec = &created["spec"];
    assert_eq!(spec["externalTrafficPolicy"], "Cluster");
    assert_eq!(spec["allocateLoadBalancerNodePorts"], true);
    assert_eq!(
        spec["sessionAffinityConfig"],
        json!({"clientIP": {"timeoutSeconds": 10800}})
    );
    let external = json!({
        "metadata": {"name": "e", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "example.com"}
    });
    let created = create(&services::STRATEGY, external).expect("valid");
    assert_eq!(
        created["spec"],
        json!({"externalName": "example.com", "sessionAffinity": "None", "type": "ExternalName"})
    );
}

#[test]
fn a_node() {
    let manifest = json!({
        "metadata": {"name": "w-n"},
        "spec": {"podCIDR": "10.1.0.0/24"},
        "status": {
            "capacity": {"cpu": "4"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kubeletVersion": "v1.35.0"}
        }
    });
    let created = create(&node::STRATEGY, manifest).expect("valid");
    assert_eq!(
        created,
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"creationTimestamp": NOW, "name": "w-n", "uid": UID},
            "spec": {
                "podCIDR": "10.1.0.0/24",
                "podCIDRs": ["10.1.0.0/24"],
                "taints": [{"effect": "NoSchedule", "key": "node.kubernetes.io/not-ready"}]
            },
            "status": {
                "allocatable": {"cpu": "4"},
                "capacity": {"cpu": "4"},
                "conditions": [{"lastHeartbeatTime": null, "lastTransitionTime": null, "status": "True", "type": "Ready"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
                "nodeInfo": {
                    "architecture": "",
                    "bootID": "",
                    "containerRuntimeVersion": "",
                    "kernelVersion": "",
                    "kubeProxyVersion": "",
                    "kubeletVersion": "v1.35.0",
                    "machineID": "",
                    "operatingSystem": "",
                    "osImage": "",
                    "systemUUID": ""
                }
            }
        })
    );
}

#[test]
fn a_namespace() {
    let created = create(
        &namespace::STRATEGY,
        json!({"metadata": {"name": "w-ns-x"}}),
    );
    assert_eq!(
        created.expect("valid"),
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "creationTimestamp": NOW,
                "labels": {"kubernetes.io/metadata.name": "w-ns-x"},
                "name": "w-ns-x",
                "uid": UID
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"}
        })
    );
    let created = create(
        &namespace::STRATEGY,
        json!({"metadata": {"generateName": "g-"}}),
    );
    assert_eq!(
        created.expect("valid")["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "g-x7k2q"})
    );
}

#[test]
fn what_the_server_sets_is_not_the_callers() {
    let mut manifest = pod(json!({}));
    merge(
        &mut manifest["metadata"],
        json!({"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "deletionTimestamp": "2001-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5, "selfLink": "/x", "generation": 9}),
    );
    manifest["status"] = json!({"phase": "Running", "podIP": "10.0.0.1"});
    let created = create(&pods::STRATEGY, manifest).expect("valid");
    assert_eq!(
        created["metadata"],
        json!({"name": "b", "namespace": "default", "uid": UID, "creationTimestamp": NOW, "generation": 1})
    );
    assert_eq!(
        created["status"],
        json!({"phase": "Pending", "qosClass": "BestEffort"})
    );
}

#[test]
fn defaults_twice_are_defaults_once() {
    let manifests = [
        pod(json!({"volumes": [{"name": "v"}], "hostNetwork": true})),
        service(json!({"type": "LoadBalancer"})),
        json!({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "0.1"}}}),
        json!({"metadata": {"name": "n"}}),
    ];
    for (strategy, manifest) in STRATEGIES.iter().zip(manifests) {
        let mut once = manifest;
        (strategy.default)(&mut once);
        let mut twice = once.clone();
        (strategy.default)(&mut twice);
        assert_eq!(once, twice, "{}", strategy.kind);
    }
}
