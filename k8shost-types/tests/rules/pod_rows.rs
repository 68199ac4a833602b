//! What `kubectl get pods` makes of a pod's containers.

use serde_json::{Value, json};

use crate::tables::{MADE, cells};

/// A pod's READY, STATUS and RESTARTS.
fn pod_state(pod: Value) -> [String; 3] {
    let cells = cells("", "pods", pod);
    [1, 2, 3].map(|i| cells[i].as_str().unwrap_or_default().to_owned())
}

#[test]
fn pods_tell_their_state_in_a_word() {
    let two = json!([{"name": "a"}, {"name": "b"}]);
    let up =
        |restarts: u32| json!({"ready": true, "restartCount": restarts, "state": {"running": {}}});
    let exited =
        |code: i32| json!({"restartCount": 0, "state": {"terminated": {"exitCode": code}}});
    let done = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let failed = json!({"state": {"terminated": {"exitCode": 1, "reason": "Error"}}});
    let waiting =
        |reason: &str| json!({"restartCount": 3, "state": {"waiting": {"reason": reason}}});
    let ready = json!([{"type": "Ready", "status": "True"}]);
    let ago = |count: u32, time: &str| {
        json!({"ready": true, "restartCount": count, "state": {"running": {}},
               "lastState": {"terminated": {"finishedAt": time}}})
    };
    for (status, expected) in [
        (json!({"phase": "Pending"}), ["0/2", "Pending", "0"]),
        (
            json!({"phase": "Failed", "reason": "Evicted"}),
            ["0/2", "Evicted", "0"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [up(1), up(2)]}),
            ["2/2", "Running", "3"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [up(0), waiting("CrashLoopBackOff")]}),
            ["1/2", "CrashLoopBackOff", "3"],
        ),
        (
            json!({"phase": "Pending", "containerStatuses": [waiting("ImagePullBackOff"), waiting("ErrImagePull")]}),
            ["0/2", "ImagePullBackOff", "6"],
        ),
        (
            json!({"phase": "Failed", "containerStatuses": [exited(3), exited(0)]}),
            ["0/2", "ExitCode:3", "0"],
        ),
        (
            json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"signal": 9, "exitCode": 137}}}]}),
            ["0/2", "Signal:9", "0"],
        ),
        (
            json!({"phase": "Succeeded", "containerStatuses": [done, done]}),
            ["0/2", "Completed", "0"],
        ),
        (
            json!({"phase": "Running", "conditions": ready, "containerStatuses": [done, up(0)]}),
            ["1/2", "Running", "0"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [done, up(0)]}),
            ["1/2", "NotReady", "0"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [done, failed]}),
            ["0/2", "Error", "0"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [ago(2, "2025-12-31T23:55:00Z"), ago(1, "2025-12-31T22:00:00Z")]}),
            ["2/2", "Running", "3 (5m ago)"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [ago(0, "2025-12-31T23:55:00Z")]}),
            ["1/2", "Running", "0"],
        ),
        (
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}),
            ["0/2", "SchedulingGated", "0"],
        ),
    ] {
        let pod = json!({"spec": {"containers": two}, "status": status});
        assert_eq!(pod_state(pod), expected, "{status}");
    }
}

#[test]
fn init_containers_come_first() {
    let init = json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}, {"name": "j"}]);
    let spec = json!({"containers": [{"name": "c"}], "initContainers": init});
    let done = json!({"name": "i", "restartCount": 1, "state": {"terminated": {"exitCode": 0}}});
    let sidecar = json!({"name": "s", "started": true, "ready": true, "restartCount": 2, "state": {"running": {}}});
    let end =
        |fields: Value| json!({"name": "i", "restartCount": 4, "state": {"terminated": fields}});
    let up = json!({"name": "c", "ready": true, "restartCount": 1, "state": {"running": {}}});
    for (status, expected) in [
        (
            json!([{"name": "i", "state": {"running": {}}}]),
            ["0/2", "Init:0/3", "0"],
        ),
        (
            json!([done, {"name": "s", "state": {}}]),
            ["0/2", "Init:1/3", "1"],
        ),
        (
            json!([done, sidecar, {"name": "j", "state": {"running": {}}}]),
            ["1/2", "Init:2/3", "3"],
        ),
        (
            json!([done, sidecar, {"name": "j", "state": {"waiting": {"reason": "PodInitializing"}}}]),
            ["1/2", "Init:2/3", "3"],
        ),
        (
            json!([{"name": "i", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]),
            ["0/2", "Init:CrashLoopBackOff", "0"],
        ),
        (
            json!([end(json!({"exitCode": 2}))]),
            ["0/2", "Init:ExitCode:2", "4"],
        ),
        (
            json!([end(json!({"exitCode": 2, "signal": 9}))]),
            ["0/2", "Init:Signal:9", "4"],
        ),
        (
            json!([end(json!({"exitCode": 2, "reason": "Error"}))]),
            ["0/2", "Init:Error", "4"],
        ),
    ] {
        let pod =
            json!({"spec": spec, "status": {"phase": "Pending", "initContainerStatuses": status}});
        assert_eq!(pod_state(pod), expected, "{status}");
    }
    // All through: the restarts are those of sidecars and containers.
    let through = json!([done, sidecar, {"name": "j", "restartCount": 5, "state": {"terminated": {"exitCode": 0}}}]);
    let status =
        json!({"phase": "Running", "initContainerStatuses": through, "containerStatuses": [up]});
    assert_eq!(
        pod_state(json!({"spec": spec, "status": status})),
        ["2/2", "Running", "3"]
    );
    // A sidecar that came down again, of an initialized pod.
    let down = json!([done, {"name": "s", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]);
    let status = json!({
        "phase": "Running", "conditions": [{"type": "Initialized", "status": "True"}],
        "initContainerStatuses": down, "containerStatuses": [up],
    });
    let expected = ["1/2", "Init:CrashLoopBackOff", "2"];
    assert_eq!(pod_state(json!({"spec": spec, "status": status})), expected);
}

#[test]
fn deleted_pods_terminate_unless_they_ended_or_their_node_is_lost() {
    for (status, expected) in [
        (json!({"phase": "Running"}), "Terminating"),
        (json!({"phase": "Succeeded"}), "Succeeded"),
        (json!({"phase": "Running", "reason": "NodeLost"}), "Unknown"),
    ] {
        let metadata = json!({"name": "a", "deletionTimestamp": MADE});
        let pod = json!({"metadata": metadata, "status": status});
        assert_eq!(pod_state(pod), ["0/0", expected, "0"]);
    }
}

#[test]
fn pods_have_addresses_nodes_and_gates() {
    let pod = json!({
        "metadata": {"name": "a"},
        "spec": {"nodeName": "n", "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]},
        "status": {
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}], "nominatedNodeName": "m",
            "conditions": [{"type": "x", "status": "True"}, {"type": "y", "status": "False"}],
        },
    });
    let expected = json!(["a", "0/0", "", "0", "5m30s", "10.0.0.1", "n", "m", "1/2"]);
    assert_eq!(cells("", "pods", pod), expected);
}
