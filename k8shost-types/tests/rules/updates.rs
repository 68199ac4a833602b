//! What updates of pods may change, and bindings and deletions.

use k8shost_types::{Reason, pod as pods};
use serde_json::{Value, json};

use crate::common::{NOW, container, faults, merge, now, pod, stored, update, update_status};

const MUTABLE: &str = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";

fn old() -> Value {
    stored(&pods::STRATEGY, pod(json!({})))
}

fn change(old: &Value, change: impl FnOnce(&mut Value)) -> Vec<String> {
    faults(update(&pods::STRATEGY, old, change))
}

#[test]
fn images_may_change_and_make_a_new_generation() {
    let old = old();
    let same = update(&pods::STRATEGY, &old, |pod| {
        pod["metadata"]["labels"] = json!({"v": "2"});
    });
    assert_eq!(same.expect("valid")["metadata"]["generation"], 1);
    let new = update(&pods::STRATEGY, &old, |pod| {
        pod["spec"]["containers"][0]["image"] = json!("nginx:1.28");
    });
    assert_eq!(new.expect("valid")["metadata"]["generation"], 2);
}

#[test]
fn other_fields_may_not() {
    let found = change(&old(), |pod| pod["spec"]["restartPolicy"] = json!("Never"));
    assert_eq!(
        found,
        [format!(
            "{MUTABLE}- spec.restartPolicy: \"Always\"\n+ spec.restartPolicy: \"Never\"\n"
        )]
    );
    for (field, value) in [
        ("automountServiceAccountToken", json!(false)),
        ("hostNetwork", json!(true)),
        ("nodeName", json!("n1")),
        ("terminationGracePeriodSeconds", json!(0)),
        ("securityContext", json!({"runAsUser": 0})),
        ("nodeSelector", json!({"a": "b"})),
        ("priority", json!(5)),
    ] {
        let found = change(&old(), |pod| pod["spec"][field] = value.clone());
        assert!(
            found.iter().any(|fault| fault.starts_with(MUTABLE)),
            "{field}: {found:?}"
        );
    }
    let found = change(&old(), |pod| {
        pod["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    });
    assert!(found[0].starts_with(MUTABLE));
    let found = change(&old(), |pod| {
        pod["spec"]["containers"] = json!([]);
    });
    assert!(found.contains(
        &"spec.containers: Forbidden: pod updates may not add or remove containers".to_owned()
    ));
}

#[test]
fn what_means_the_same_is_no_change() {
    let manifest = container(json!({"resources": {"requests": {"cpu": "1500m"}}}));
    let old = stored(&pods::STRATEGY, manifest);
    let found = change(&old, |pod| {
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("1.500");
        pod["spec"]["volumes"] = json!([]);
        pod["spec"]["nodeSelector"] = json!({});
        pod["spec"]["hostNetwork"] = json!(false);
        pod["spec"]["hostname"] = json!("");
        pod["spec"]["affinity"] = Value::Null;
    });
    assert_eq!(found, [""; 0]);
    let found = change(&old, |pod| {
        pod["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "0"}]);
    });
    assert_eq!(found.len(), 1);
}

#[test]
fn tolerations_may_be_added_and_their_seconds_changed() {
    let old = old();
    let found = change(&old, |pod| {
        let tolerations = pod["spec"]["tolerations"].as_array_mut().expect("a list");
        tolerations[0]["tolerationSeconds"] = json!(5);
        tolerations.push(json!({"key": "k", "operator": "Exists"}));
    });
    assert_eq!(found, [""; 0]);
    let old = stored(
        &pods::STRATEGY,
        pod(json!({"tolerations": [{"key": "a", "operator": "Exists"}]})),
    );
    let found = change(&old, |pod| {
        pod["spec"]["tolerations"][0]["key"] = json!("k")
    });
    assert_eq!(
        found,
        [
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
        ]
    );
}

#[test]
fn the_deadline_only_comes_closer() {
    let old = stored(&pods::STRATEGY, pod(json!({"activeDeadlineSeconds": 100})));
    let set = |seconds: Value| {
        change(&old, |pod| {
            merge(&mut pod["spec"], json!({"activeDeadlineSeconds": seconds}))
        })
    };
    assert_eq!(set(json!(50)), [""; 0]);
    assert_eq!(
        set(json!(101)),
        [
            "spec.activeDeadlineSeconds: Invalid value: 101: must be less than or equal to previous value"
        ]
    );
    assert_eq!(
        set(Value::Null),
        [
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
        ]
    );
}

#[test]
fn gates_only_go_and_gated_pods_may_be_narrowed() {
    let old = stored(
        &pods::STRATEGY,
        pod(
            json!({"schedulingGates": [{"name": "a.io/x"}, {"name": "a.io/y"}], "nodeSelector": {"a": "b"}}),
        ),
    );
    let found = change(&old, |pod| {
        pod["spec"]["schedulingGates"] = json!([{"name": "a.io/y"}]);
        pod["spec"]["nodeSelector"] = json!({"a": "b", "c": "d"});
        pod["spec"]["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]
        }}});
    });
    assert_eq!(found, [""; 0]);
    let found = change(&old, |pod| {
        pod["spec"]["schedulingGates"][0]["name"] = json!("a.io/z");
        pod["spec"]["nodeSelector"] = json!({"a": "c"});
    });
    assert_eq!(
        found,
        [
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a.io/z'",
            "spec.nodeSelector: Invalid value: {\"a\":\"c\"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ]
    );
}

#[test]
fn metadata_that_is_fixed() {
    let mut old = old();
    let found = change(&old, |pod| pod["metadata"]["uid"] = json!("other"));
    let line = "metadata.uid: Invalid value: \"other\": field is immutable";
    assert_eq!(found, [line, line]);
    let error = update(&pods::STRATEGY, &old, |pod| {
        pod["metadata"]["uid"] = json!("other")
    });
    assert_eq!(
        error.expect_err("invalid").message,
        format!("Pod \"b\" is invalid: {line}")
    );
    // What is left out, or is the server's, is kept.
    let new = update(&pods::STRATEGY, &old, |pod| {
        merge(
            &mut pod["metadata"],
            json!({"uid": null, "creationTimestamp": null, "generation": 77, "resourceVersion": null}),
        );
    });
    assert_eq!(new.expect("valid")["metadata"], old["metadata"]);
    old["metadata"]["deletionTimestamp"] = json!(NOW);
    old["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    let new = update(&pods::STRATEGY, &old, |pod| {
        merge(
            &mut pod["metadata"],
            json!({"deletionTimestamp": null, "deletionGracePeriodSeconds": null}),
        );
    });
    assert_eq!(new.expect("valid")["metadata"], old["metadata"]);
    let found = change(&old, |pod| {
        pod["metadata"]["finalizers"] = json!(["x.io/g"])
    });
    let line = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x.io/g\"}";
    assert_eq!(found, [line, line]);
}

#[test]
fn the_status_has_its_own_way() {
    let old = old();
    let new = update(&pods::STRATEGY, &old, |pod| {
        pod["status"]["phase"] = json!("Running")
    });
    assert_eq!(new.expect("valid")["status"]["phase"], "Pending");
    let new = update_status(&pods::STRATEGY, &old, |pod| {
        pod["status"] = json!({"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]});
        pod["spec"]["nodeName"] = json!("x");
    });
    let new = new.expect("valid");
    assert_eq!(
        new["status"],
        json!({
            "phase": "Running",
            "qosClass": "BestEffort",
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": null}]
        })
    );
    assert_eq!(new["spec"], old["spec"]);
    assert_eq!(new["metadata"]["generation"], 1);
}

#[test]
fn statuses_that_cannot_be() {
    let old = old();
    let set = |fields: Value| {
        faults(update_status(&pods::STRATEGY, &old, |pod| {
            merge(&mut pod["status"], fields)
        }))
    };
    assert_eq!(
        set(json!({"podIPs": [{"ip": "x"}]})),
        [
            "status.podIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        ]
    );
    assert_eq!(
        set(json!({"qosClass": "Guaranteed"})),
        ["status.qosClass: Invalid value: \"Guaranteed\": field is immutable"]
    );
    assert_eq!(
        set(json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]})),
        [
            "status.podIPs: Invalid value: [{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]: may specify no more than one IP for each IP family"
        ]
    );
}

#[test]
fn containers_that_ended_stay_ended() {
    let mut old = stored(&pods::STRATEGY, pod(json!({"restartPolicy": "OnFailure"})));
    let ended = |code: i64| json!([{"name": "c", "state": {"terminated": {"exitCode": code}}}]);
    let running = json!([{"name": "c", "state": {"running": {}}}]);
    old["status"]["containerStatuses"] = ended(0);
    let start = |old: &Value| {
        faults(update_status(&pods::STRATEGY, old, |pod| {
            pod["status"]["containerStatuses"] = running.clone();
        }))
    };
    assert_eq!(
        start(&old),
        [
            "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
        ]
    );
    old["status"]["containerStatuses"] = ended(1);
    assert_eq!(start(&old), [""; 0]);
}

#[test]
fn a_pod_is_bound_once() {
    let mut pod = old();
    pods::bind(&mut pod, "n1", now()).expect("free");
    assert_eq!(pod["spec"]["nodeName"], "n1");
    assert_eq!(
        pod["status"]["conditions"],
        json!([{"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": NOW}])
    );
    let error = pods::bind(&mut pod, "n2", now()).expect_err("bound");
    assert_eq!(error.reason, Reason::Conflict);
    assert_eq!(
        error.message,
        "Operation cannot be fulfilled on pods/binding \"b\": pod b is already assigned to node \"n1\""
    );
    let mut gated = stored(
        &pods::STRATEGY,
        self::pod(json!({"schedulingGates": [{"name": "a.io/x"}]})),
    );
    let error = pods::bind(&mut gated, "n1", now()).expect_err("gated");
    assert!(
        error
            .message
            .ends_with("pod b has non-empty .spec.schedulingGates")
    );
    let mut going = old();
    going["metadata"]["deletionTimestamp"] = json!(NOW);
    let error = pods::bind(&mut going, "n1", now()).expect_err("going");
    assert!(
        error
            .message
            .ends_with("pod b is being deleted, cannot be assigned to a host")
    );
    let error = pods::bind(&mut old(), "", now()).expect_err("no name");
    assert_eq!(error.reason, Reason::Invalid);
}

#[test]
fn how_long_a_deleted_pod_has() {
    let mut pod = old();
    assert_eq!(pods::grace_period_seconds(&pod, Some(60)), 0);
    pods::bind(&mut pod, "n1", now()).expect("free");
    assert_eq!(pods::grace_period_seconds(&pod, None), 30);
    assert_eq!(pods::grace_period_seconds(&pod, Some(60)), 60);
    assert_eq!(pods::grace_period_seconds(&pod, Some(0)), 0);
    assert_eq!(pods::grace_period_seconds(&pod, Some(-1)), 1);
    pod["status"]["phase"] = json!("Succeeded");
    assert_eq!(pods::grace_period_seconds(&pod, Some(60)), 0);
}

#[test]
fn ephemeral_containers_come_and_stay() {
    let old = old();
    let mut new = old.clone();
    new["spec"]["ephemeralContainers"] = json!([{"name": "dbg", "image": "busybox"}]);
    new["spec"]["restartPolicy"] = json!("Never");
    pods::default(&mut new);
    pods::prepare_ephemeral_containers_update(&mut new, &old);
    assert_eq!(new["spec"]["restartPolicy"], "Always");
    assert_eq!(pods::validate_ephemeral_containers_update(&new, &old), []);
    let mut gone = new.clone();
    gone["spec"]
        .as_object_mut()
        .expect("a spec")
        .remove("ephemeralContainers");
    let found = pods::validate_ephemeral_containers_update(&gone, &new);
    assert_eq!(
        found[0].to_string(),
        "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"dbg\" may not be removed\n"
    );
}
