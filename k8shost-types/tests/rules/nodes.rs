//! Nodes: defaults, rules, heartbeats.

use std::time::Duration;

use k8shost_types::{
    Reason,
    node::{LAST_HEARTBEAT, STRATEGY, heartbeat},
};
use serde_json::{Value, json};

use crate::common::{create, faults, merge, now, stored, update, update_status};

fn node(spec: Value) -> Value {
    json!({"metadata": {"name": "n1"}, "spec": spec})
}

#[test]
fn defaults_of_a_plain_node() {
    let made = create(&STRATEGY, node(json!({}))).expect("a valid node");
    assert_eq!(
        made["spec"],
        json!({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]})
    );
    assert_eq!(
        made["status"],
        json!({
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
            "nodeInfo": {
                "architecture": "", "bootID": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "",
                "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": "",
            },
        })
    );
}

#[test]
fn a_new_node_may_bring_its_status() {
    let mut new = node(json!({"podCIDR": "10.1.0.0/24"}));
    new["status"] = json!({"capacity": {"cpu": "1000m", "memory": "1024Mi"}});
    let made = create(&STRATEGY, new).expect("a valid node");
    assert_eq!(made["spec"]["podCIDRs"], json!(["10.1.0.0/24"]));
    for field in ["capacity", "allocatable"] {
        assert_eq!(made["status"][field], json!({"cpu": "1", "memory": "1Gi"}));
    }
}

#[test]
fn taints() {
    let found = faults(create(
        &STRATEGY,
        node(json!({"taints": [
            {"key": "a b", "effect": "NoSchedule"},
            {"key": "k", "value": "-", "effect": "Sometimes"},
            {"key": "k"},
            {"key": "d", "effect": "NoExecute"},
            {"key": "d", "effect": "NoExecute", "value": "v"},
        ]})),
    ));
    assert_eq!(
        found,
        [
            "metadata.taints[0].key: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "metadata.taints[1].value: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            "metadata.taints[1].effect: Unsupported value: \"Sometimes\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\"",
            "metadata.taints[2].effect: Required value",
            "metadata.taints[4]: Duplicate value: {\"effect\":\"NoExecute\",\"key\":\"d\",\"value\":\"v\"}: taints must be unique by key and effect pair",
        ]
    );
}

#[test]
fn addresses_of_pods_and_the_provider_stay() {
    let old = stored(&STRATEGY, node(json!({})));
    let set = update(&STRATEGY, &old, |new| {
        merge(
            &mut new["spec"],
            json!({"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "providerID": "a://b"}),
        );
    })
    .expect("a valid update");
    let found = faults(update(&STRATEGY, &set, |new| {
        merge(
            &mut new["spec"],
            json!({"podCIDR": "10.2.0.0/24", "podCIDRs": ["10.2.0.0/24"], "providerID": "a://c"}),
        );
    }));
    assert_eq!(
        found,
        [
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
            "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
        ]
    );
    let found = faults(create(
        &STRATEGY,
        node(json!({"podCIDRs": ["10.1.0.0/24", "10.2.0.0/24"]})),
    ));
    assert_eq!(
        found,
        [
            "spec.podCIDRs: Invalid value: [\"10.1.0.0/24\",\"10.2.0.0/24\"]: may specify no more than one CIDR for each IP family"
        ]
    );
}

#[test]
fn amounts_in_the_status() {
    let old = stored(&STRATEGY, node(json!({})));
    let found = faults(update_status(&STRATEGY, &old, |new| {
        new["status"]["capacity"] = json!({"cpu": "-1", "pods": "1.5"});
    }));
    // What can be had is what there is, where nothing else is said.
    assert_eq!(
        found,
        [
            "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
            "status.capacity.pods: Invalid value: \"1500m\": must be an integer",
            "status.allocatable.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
            "status.allocatable.pods: Invalid value: \"1500m\": must be an integer",
        ]
    );
    let result = update_status(&STRATEGY, &old, |new| {
        new["status"]["capacity"] = json!({"cpu": "lots"});
    });
    let error = result.expect_err("no quantity");
    assert_eq!(error.reason, Reason::BadRequest);
    assert_eq!(
        error.message,
        "Node in version \"v1\" cannot be handled as a Node: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    let found = faults(update_status(&STRATEGY, &old, |new| {
        let address = json!({"type": "Hostname", "address": "h"});
        new["status"]["addresses"] = json!([address, address]);
    }));
    assert_eq!(
        found,
        ["status.addresses[1]: Duplicate value: {\"address\":\"h\",\"type\":\"Hostname\"}"]
    );
}

fn alive() -> Value {
    let mut node = stored(&STRATEGY, node(json!({})));
    let status = json!({
        "phase": "Running",
        "capacity": {"cpu": "4", "pods": "110"},
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "Starting"},
            {"type": "MemoryPressure", "status": "False"},
        ],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {"kubeletVersion": "v1.35.0"},
    });
    heartbeat(&mut node, Some(&status), now()).expect("a valid status");
    node
}

#[test]
fn a_first_heartbeat_brings_a_status() {
    let node = alive();
    let at = "2026-01-01T00:00:00Z";
    assert_eq!(node["metadata"]["annotations"][LAST_HEARTBEAT], at);
    assert_eq!(
        node["status"]["conditions"],
        json!([
            {"type": "Ready", "status": "False", "reason": "Starting", "lastHeartbeatTime": at, "lastTransitionTime": at},
            {"type": "MemoryPressure", "status": "False", "lastHeartbeatTime": at, "lastTransitionTime": at},
        ])
    );
    assert_eq!(
        node["status"]["allocatable"],
        json!({"cpu": "4", "pods": "110"})
    );
    assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "v1.35.0");
    assert_eq!(
        node["spec"]["taints"][0]["key"],
        "node.kubernetes.io/not-ready"
    );
}

#[test]
fn conditions_are_merged_by_type() {
    let mut node = alive();
    let later = now() + Duration::from_secs(10);
    let status = json!({"conditions": [
        {"type": "Ready", "status": "True"},
        {"type": "DiskPressure", "status": "False"},
    ]});
    heartbeat(&mut node, Some(&status), later).expect("a valid status");
    let (before, at) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z");
    assert_eq!(
        node["status"]["conditions"],
        json!([
            {"type": "Ready", "status": "True", "lastHeartbeatTime": at, "lastTransitionTime": at},
            {"type": "MemoryPressure", "status": "False", "lastHeartbeatTime": before, "lastTransitionTime": before},
            {"type": "DiskPressure", "status": "False", "lastHeartbeatTime": at, "lastTransitionTime": at},
        ])
    );
    // What was not told stays; and a node that is ready has no taint.
    assert_eq!(
        node["status"]["capacity"],
        json!({"cpu": "4", "pods": "110"})
    );
    assert_eq!(node["status"]["phase"], "Running");
    assert!(node["spec"].get("taints").is_none(), "{node}");
}

#[test]
fn an_empty_heartbeat_renews_the_times() {
    for status in [None, Some(json!({})), Some(Value::Null)] {
        let mut node = alive();
        let mut expected = node.clone();
        let at = "2026-01-01T00:01:00Z";
        expected["metadata"]["annotations"][LAST_HEARTBEAT] = json!(at);
        expected["status"]["conditions"][0]["lastHeartbeatTime"] = json!(at);
        heartbeat(&mut node, status.as_ref(), now() + Duration::from_secs(60))
            .expect("a heartbeat");
        assert_eq!(node, expected);
    }
}

#[test]
fn a_heartbeat_keeps_the_rules() {
    let mut node = alive();
    let status = json!({"capacity": {"cpu": "-1"}});
    let error = heartbeat(&mut node, Some(&status), now()).expect_err("less than nothing");
    assert_eq!(error.reason, Reason::Invalid);
    assert_eq!(
        error.message,
        "Node \"n1\" is invalid: status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0"
    );
}
