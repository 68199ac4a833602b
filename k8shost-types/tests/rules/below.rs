//! What is below an object: resizes, scales, evictions; and reviews.

use k8shost_types::{
    Reason,
    apply::expand_fields,
    authorization::{self, Review},
    autoscaling::scale,
    certificates, eviction, pod as pods,
};
use serde_json::{Value, json};

use crate::common::{NOW, faults, made, named, now, pod, row, stored, update};

fn resize(old: &Value, change: impl FnOnce(&mut Value)) -> Result<Value, k8shost_types::Error> {
    let mut new = old.clone();
    change(&mut new);
    let part = pods::STRATEGY.part("resize").expect("pods are resized");
    pods::STRATEGY.complete(&mut new)?;
    pods::STRATEGY.update(part, &mut new, old)?;
    Ok(new)
}

fn running() -> Value {
    stored(
        &pods::STRATEGY,
        pod(json!({
            "initContainers": [
                {"name": "i", "image": "x", "resources": {"requests": {"cpu": "1"}}},
                {"name": "s", "image": "x", "restartPolicy": "Always"},
            ],
            "containers": [
                {"name": "c", "image": "x", "resources": {
                    "requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2"},
                }},
                {"name": "d", "image": "x"},
            ],
        })),
    )
}

#[test]
fn a_resize_changes_resources_and_nothing_else() {
    let old = running();
    let new = resize(&old, |pod| {
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("1500m");
        pod["spec"]["initContainers"][1]["resources"] = json!({"requests": {"memory": "1Mi"}});
        pod["spec"]["containers"][0]["image"] = json!("other");
        pod["spec"]["activeDeadlineSeconds"] = json!(4);
        pod["metadata"]["labels"] = json!({"a": "b"});
        pod["status"]["phase"] = json!("Failed");
    })
    .expect("a resize");
    let mut expected = old.clone();
    expected["metadata"]["generation"] = json!(2);
    expected["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("1500m");
    expected["spec"]["initContainers"][1]["resources"] = json!({"requests": {"memory": "1Mi"}});
    assert_eq!(new, expected);
    let same = resize(&old, |pod| {
        pod["spec"]["containers"][1]["image"] = json!("y");
    });
    assert_eq!(same.expect("nothing to do"), old);
}

#[test]
fn a_resize_is_refused_as_kubernetes_refuses_it() {
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 9] = [
        (
            |pod| {
                pod["spec"]["containers"]
                    .as_array_mut()
                    .expect("a list")
                    .pop();
                pod["spec"]["initContainers"] = json!(null);
            },
            &[
                "spec.initContainers: Forbidden: initContainers may not be added or removed on resize",
                "spec.containers: Forbidden: containers may not be added or removed on resize",
            ],
        ),
        (
            |pod| {
                pod["spec"]["containers"]
                    .as_array_mut()
                    .expect("a list")
                    .reverse();
            },
            &[
                "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize",
                "spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize",
            ],
        ),
        (
            |pod| pod["spec"]["containers"][0]["resources"] = json!({}),
            &[
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
                "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
            ],
        ),
        (
            |pod| {
                pod["spec"]["initContainers"][0]["resources"]["requests"]["cpu"] = json!("2");
            },
            &["spec: Forbidden: resources for non-sidecar init containers are immutable"],
        ),
        (
            |pod| {
                pod["spec"]["containers"][1]["resizePolicy"] =
                    json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}]);
            },
            &["spec: Forbidden: only cpu and memory resources are mutable"],
        ),
        (
            |pod| {
                pod["spec"]["containers"][1]["resources"] =
                    json!({"requests": {"ephemeral-storage": "1Gi"}});
            },
            &["spec: Forbidden: only cpu and memory resources are mutable"],
        ),
        (
            |pod| {
                pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("5");
            },
            &[
                "spec.containers[0].resources.requests: Invalid value: \"5\": must be less than or equal to cpu limit of 2",
            ],
        ),
        (
            |pod| {
                pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("-1");
            },
            &[
                "spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
            ],
        ),
        (|_| {}, &[]),
    ];
    for (change, expected) in cases {
        let mut found = faults(resize(&running(), change));
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_resize_keeps_the_class_and_needs_a_pod_that_can() {
    let asks = |pod: &mut Value| {
        pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
    };
    let best_effort = stored(&pods::STRATEGY, pod(json!({})));
    assert_eq!(
        faults(resize(&best_effort, asks)),
        [
            "spec: Invalid value: \"BestEffort\": Pod QOS Class may not change as a result of resizing"
        ]
    );
    let mut mirror = best_effort.clone();
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    mirror["spec"]["nodeName"] = json!("n");
    let static_pod = faults(resize(&mirror, asks));
    assert_eq!(static_pod, ["[]: Forbidden: static pods cannot be resized"]);
    let windows = stored(&pods::STRATEGY, pod(json!({"os": {"name": "windows"}})));
    let found = faults(resize(&windows, asks));
    assert_eq!(found, ["[]: Forbidden: windows pods cannot be resized"]);
    let mut unable = running();
    unable["status"]["containerStatuses"] = json!([{"name": "c", "state": {"running": {}}}]);
    let found = faults(resize(&unable, |pod| {
        pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("2");
    }));
    assert_eq!(
        found,
        ["spec: Forbidden: Pod running on node without support for resize"]
    );
    unable["status"]["containerStatuses"][0]["resources"] = json!({});
    assert!(resize(&unable, |_| {}).is_ok());
}

#[test]
fn a_scale_shows_the_replicas_and_writes_them() {
    let row = row("apps/v1", "deployments");
    assert!(row.part("scale").is_some() && pods::STRATEGY.part("scale").is_none());
    let mut old = stored(
        row,
        named(
            row,
            json!({
                "kind": "Deployment", "apiVersion": "apps/v1",
                "metadata": {"labels": {"l": "1"}},
                "spec": {
                    "replicas": 2,
                    "selector": {
                        "matchLabels": {"a": "b"},
                        "matchExpressions": [
                            {"key": "z", "operator": "In", "values": ["q", "p"]},
                            {"key": "n", "operator": "DoesNotExist"},
                        ],
                    },
                    "template": {
                        "metadata": {"labels": {"a": "b", "z": "p"}},
                        "spec": {"containers": [{"name": "c", "image": "x"}]},
                    },
                },
            }),
        ),
    );
    let entry = |subresource: &str, fields: Value| {
        json!({
            "manager": "m", "operation": "Update", "apiVersion": "apps/v1", "time": NOW,
            "fieldsType": "FieldsV1", "fieldsV1": fields, "subresource": subresource,
        })
    };
    old["metadata"]["managedFields"] = json!([entry(
        "scale",
        json!({"f:spec": {"f:replicas": {}, "f:paused": {}}})
    )]);
    let mut shown = old.clone();
    scale::show(&mut shown);
    let mut seen = shown.clone();
    expand_fields(&mut seen);
    assert_eq!(
        seen["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert_eq!(
        seen["metadata"]["managedFields"][0]["apiVersion"],
        "autoscaling/v1"
    );
    assert_eq!(seen["kind"], "Scale");
    assert_eq!(seen["spec"], json!({"replicas": 2}));
    assert_eq!(
        seen["status"],
        json!({"replicas": 0, "selector": "a=b,!n,z in (p,q)"})
    );
    let mut new = shown.clone();
    new["spec"]["replicas"] = json!(7);
    new["status"]["replicas"] = json!(9);
    scale::store(&mut new, &old).expect("a scale");
    expand_fields(&mut new);
    let mut expected = old.clone();
    expected["spec"]["replicas"] = json!(7);
    assert_eq!(new, expected);
    shown["spec"]["replicas"] = json!(-1);
    let error = scale::store(&mut shown, &old).unwrap_err();
    assert_eq!(
        error.message,
        "Scale.autoscaling \"x\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    );
}

#[test]
fn a_controllers_scale_has_its_map_as_selector() {
    let row = row("v1", "replicationcontrollers");
    let mut shown = made(
        row,
        json!({
            "spec": {
                "replicas": 0,
                "selector": {"b": "2", "a": "1"},
                "template": {
                    "metadata": {"labels": {"a": "1", "b": "2"}},
                    "spec": {"containers": [{"name": "c", "image": "x"}]},
                },
            },
        }),
    );
    scale::show(&mut shown);
    assert_eq!(shown["spec"], json!({}));
    assert_eq!(shown["status"]["selector"], "a=1,b=2");
    for odd in [
        json!(null),
        json!(3),
        json!({"spec": []}),
        json!({"spec": {"selector": [1]}}),
    ] {
        let mut shown = odd.clone();
        scale::show(&mut shown);
        assert_eq!(shown["kind"], "Scale", "{odd}");
    }
}

#[test]
fn decisions_about_certificates_say_when_they_were_made() {
    let old = json!({"status": {"conditions": [
        {"type": "Approved", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"},
    ]}});
    let mut new = json!({"status": {"conditions": [
        {"type": "Approved", "status": "True"},
        {"type": "Failed", "status": "True", "lastUpdateTime": "2025-02-02T00:00:00Z"},
    ]}});
    certificates::stamp(&mut new, &old, now());
    assert_eq!(
        new["status"]["conditions"],
        json!([
            {
                "type": "Approved", "status": "True", "lastUpdateTime": NOW,
                "lastTransitionTime": "2025-01-01T00:00:00Z",
            },
            {
                "type": "Failed", "status": "True", "lastUpdateTime": "2025-02-02T00:00:00Z",
                "lastTransitionTime": NOW,
            },
        ])
    );
    let stamped = new.clone();
    certificates::stamp(&mut new, &old, now());
    assert_eq!(new, stamped);
    for mut odd in [json!(null), json!({"status": {"conditions": [3]}})] {
        certificates::stamp(&mut odd, &old, now());
    }
}

fn guarded(status: Value) -> (Value, Value) {
    let mut pod = stored(&pods::STRATEGY, pod(json!({"nodeName": "n"})));
    pod["metadata"]["labels"] = json!({"a": "b"});
    pod["status"] = json!({
        "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
    });
    let row = row("policy/v1", "poddisruptionbudgets");
    let spec = json!({"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}});
    let mut budget = stored(row, named(row, json!({"spec": spec})));
    for (field, value) in status.as_object().expect("an object") {
        budget["status"][field] = value.clone();
    }
    (pod, budget)
}

#[test]
fn a_budget_is_for_what_it_selects() {
    let (pod, mut budget) = guarded(json!({}));
    assert!(eviction::guards(&budget, &pod));
    budget["spec"]["selector"] = json!({});
    assert!(eviction::guards(&budget, &pod));
    budget["spec"]["selector"] = json!({"matchLabels": {"a": "c"}});
    assert!(!eviction::guards(&budget, &pod));
    budget["spec"]["selector"] = json!(null);
    assert!(!eviction::guards(&budget, &pod));
}

#[test]
fn an_eviction_is_taken_from_the_budget() {
    let state = json!({
        "observedGeneration": 1, "disruptionsAllowed": 2, "currentHealthy": 3, "desiredHealthy": 1,
    });
    let (mut pod, mut budget) = guarded(state);
    assert!(eviction::spend(&mut budget, &pod, now()).expect("allowed"));
    assert_eq!(budget["status"]["disruptionsAllowed"], 1);
    assert_eq!(budget["status"]["disruptedPods"], json!({"b": NOW}));
    assert!(budget["status"]["conditions"].is_null());
    pod["metadata"]["name"] = json!("c");
    assert!(eviction::spend(&mut budget, &pod, now()).expect("allowed"));
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert_eq!(
        budget["status"]["conditions"],
        json!([{
            "type": "DisruptionAllowed", "status": "False", "observedGeneration": 1,
            "lastTransitionTime": NOW, "reason": "InsufficientPods", "message": "",
        }])
    );
    let before = budget.clone();
    let error = eviction::spend(&mut budget, &pod, now()).unwrap_err();
    assert_eq!(error.reason, Reason::TooManyRequests);
    assert_eq!(
        error.fields[0].message,
        "The disruption budget x does not allow evicting pods currently"
    );
    assert!(error.retry_after.is_none());
    assert_eq!(budget, before);
    pod["status"]["conditions"][0]["status"] = json!("False");
    assert!(!eviction::spend(&mut budget, &pod, now()).expect("enough others are ready"));
    assert_eq!(budget, before);
}

#[test]
fn a_budget_says_why_not() {
    let told = |state: Value| {
        let (pod, mut budget) = guarded(state);
        let error = eviction::spend(&mut budget, &pod, now()).unwrap_err();
        let cause = error.fields.first().map(|cause| cause.message.clone());
        (error.reason, cause.unwrap_or(error.message))
    };
    let busy = |words: &str| (Reason::TooManyRequests, words.to_owned());
    assert_eq!(
        told(json!({})),
        busy("The disruption budget x is still being processed by the server.")
    );
    assert_eq!(
        told(json!({"observedGeneration": 1, "currentHealthy": 1, "desiredHealthy": 1})),
        busy("The disruption budget x needs 1 healthy pods and has 1 currently")
    );
    let failed = json!([{
        "type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "why",
    }]);
    assert_eq!(
        told(json!({"observedGeneration": 1, "conditions": failed})),
        busy(
            "The disruption budget x does not allow evicting pods currently because it failed sync: why"
        )
    );
    assert_eq!(
        told(json!({"observedGeneration": 1, "disruptionsAllowed": -1})),
        (
            Reason::Forbidden,
            "poddisruptionbudget.policy \"x\" is forbidden: pdb disruptions allowed is negative"
                .to_owned()
        )
    );
    let many: serde_json::Map<_, _> = (0..=2000).map(|i| (format!("p{i}"), json!(NOW))).collect();
    let (reason, _) = told(json!({
        "observedGeneration": 1, "disruptionsAllowed": 1, "disruptedPods": many,
    }));
    assert_eq!(reason, Reason::Forbidden);
}

#[test]
fn pods_that_do_not_run_need_no_budget() {
    let (mut pod, _) = guarded(json!({}));
    assert!(!eviction::is_exempt(&pod));
    for phase in ["Succeeded", "Failed", "Pending"] {
        pod["status"]["phase"] = json!(phase);
        assert!(eviction::is_exempt(&pod), "{phase}");
    }
    pod["status"]["phase"] = json!("Running");
    pod["metadata"]["deletionTimestamp"] = json!(NOW);
    assert!(eviction::is_exempt(&pod));
    eviction::mark(&mut pod, now());
    let conditions = pod["status"]["conditions"].as_array().expect("a list");
    assert_eq!(conditions[1]["type"], "DisruptionTarget");
    eviction::mark(&mut pod, now());
    assert_eq!(
        pod["status"]["conditions"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn reviews_are_judged() {
    let told = |review: Review, object: Value| match authorization::validate(review, &object) {
        Ok(()) => Vec::new(),
        Err(error) => {
            assert!(
                error
                    .message
                    .starts_with(".authorization.k8s.io \"\" is invalid: ")
            );
            error.fields.iter().map(ToString::to_string).collect()
        }
    };
    let fine = json!({"spec": {"resourceAttributes": {"verb": "get"}, "user": "u"}});
    assert!(told(Review::Own, fine.clone()).is_empty());
    assert!(told(Review::Subject, fine.clone()).is_empty());
    assert!(told(Review::Local, fine).is_empty());
    assert_eq!(
        told(Review::Subject, json!({})),
        [
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
            "spec.user: Invalid value: \"\": at least one of user or group must be specified",
        ]
    );
    let both = json!({
        "metadata": {"name": "x", "namespace": "n"},
        "spec": {
            "nonResourceAttributes": {"path": "/"}, "resourceAttributes": {"namespace": "o"},
            "groups": ["g"],
        },
    });
    assert_eq!(
        told(Review::Local, both),
        [
            "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/\",\"Verb\":\"\"}: cannot be specified in combination with resourceAttributes",
            "metadata: Invalid value: {\"name\":\"x\",\"namespace\":\"n\"}: must be empty except for namespace",
            "spec.resourceAttributes.namespace: Invalid value: \"o\": must match metadata.namespace",
            "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/\",\"Verb\":\"\"}: disallowed on this kind of request",
        ]
    );
    let requirements = json!([
        {"key": "", "operator": "Foo", "values": ["x"]},
        {"key": "a", "operator": "Exists", "values": ["x"]},
        {"key": "a", "operator": "In"},
    ]);
    let attributes = json!({
        "fieldSelector": {"rawSelector": "a=b", "requirements": requirements}, "labelSelector": {},
    });
    let path = "spec.resourceAttributes.fieldSelector";
    assert_eq!(
        told(Review::Own, json!({"spec": {"resourceAttributes": attributes}})),
        [
            format!("{path}.rawSelector: Invalid value: \"a=b\": may not specified at the same time as requirements"),
            format!("{path}.requirements[0].key: Required value: must be specified"),
            format!("{path}.requirements[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
            format!("{path}.requirements[2].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"),
            "spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required".to_owned(),
        ]
    );
}

#[test]
fn replicas_are_a_new_generation_however_they_are_written() {
    let row = row("apps/v1", "replicasets");
    let manifest = json!({
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
        },
    });
    let old = stored(row, named(row, manifest));
    let direct = update(row, &old, |object| object["spec"]["replicas"] = json!(3)).expect("valid");
    let mut scaled = old.clone();
    scale::show(&mut scaled);
    scaled["spec"]["replicas"] = json!(3);
    scale::store(&mut scaled, &old).expect("a scale");
    let part = row.part("scale").expect("it has a scale");
    row.update(part, &mut scaled, &old).expect("valid");
    assert_eq!(scaled["metadata"]["generation"], 2);
    assert_eq!(scaled, direct);
}
