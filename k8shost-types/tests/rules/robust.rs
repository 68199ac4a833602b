//! Whatever the JSON, nothing panics; and what was put in order once stays so.

use std::sync::LazyLock;

use k8shost_types::{
    Strategy as Rules,
    addresses::{self, ServiceNetwork},
    authorization::{self, Review},
    autoscaling::scale,
    eviction, node, pod,
    selector::{FieldSelector, LabelSelector},
    strategies,
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    common::{STRATEGIES, UID, create, now, service, update, update_status},
    fields::FIELDS,
    samples::samples,
};

/// Texts that mean something in one place or another, and others.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "", "a", "Bad_Name", "a.b/c", "None", "Always", "Never", "Local", "ClientIP", "TCP",
            "NodePort", "LoadBalancer", "ExternalName", "10.96.0.7", "fd00::1", "::ffff:1.2.3.4",
            "IPv4", "IPv6", "PreferDualStack", "1", "1.5Gi", "-1", "1e99", "100%", "é", "../x",
            "metadata.labels['a']", "limits.cpu", "windows", "Localhost", "In", "Exists", "Gt",
            "Ready", "True", "Prefix", "10.0.0.0/8", "[{}]", "{\"scaleUp\":{}}", "Utilization", "Pods", "Indexed", "OnDelete", "RollingUpdate", "*/5 * * * 1-5", "@every 1h", "TZ=UTC * * * * *", "0-1,3", "2026-01-01T00:00:00Z", "x:", ":latest", "a@sha256:b", "localhost/",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(vec![-1, 0, 1, 80, 30000, 65536, i64::MIN, i64::MAX]).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ]
}

/// Any JSON, with a liking for the fields that matter.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(7, 160, 8, |inner| {
        let field = prop_oneof![
            12 => select(FIELDS).prop_map(str::to_owned),
            1 => any_text(),
        ];
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => vec((field, inner), 0..8).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A valid object of each kind, with much in it.
fn valid() -> Vec<(Rules, Value)> {
    let pod = json!({
        "metadata": {"name": "b", "namespace": "default", "labels": {"a": "b"}},
        "spec": {
            "containers": [{
                "name": "c", "image": "nginx",
                "ports": [{"name": "http", "containerPort": 80}],
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                "livenessProbe": {"httpGet": {"port": "http"}},
                "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
                "securityContext": {"runAsUser": 5},
            }],
            "initContainers": [{"name": "i", "image": "x:1"}],
            "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s", "items": [{"key": "k", "path": "p"}]}}]}}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}]}}},
            "tolerations": [{"key": "k", "operator": "Exists"}],
            "schedulingGates": [{"name": "a.b/c"}],
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "b"}}}],
        },
    });
    let node = json!({
        "metadata": {"name": "n"},
        "spec": {"podCIDR": "10.1.0.0/24", "taints": [{"key": "k", "effect": "NoExecute"}]},
        "status": {"capacity": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True"}]},
    });
    let mut service = service(json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}));
    let network = ServiceNetwork::default();
    addresses::allocate(&mut service, None, &network, &|_| false, &|_| false, 1)
        .expect("there is room");
    let namespace = json!({"metadata": {"name": "a"}});
    let objects = [pod, service, node, namespace];
    let made = STRATEGIES.iter().zip(objects).map(|(rules, object)| {
        let mut object = create(rules, object).expect("a valid object");
        object["metadata"]["resourceVersion"] = json!("3");
        (rules.clone(), object)
    });
    let others = samples()
        .into_iter()
        .map(|(row, object)| (row.clone(), object));
    made.chain(others).collect()
}

static VALID: LazyLock<Vec<(Rules, Value)>> = LazyLock::new(valid);

/// Replaces what is at the `at`th place of a tree, counted depth first.
pub(crate) fn replace(value: &mut Value, at: &mut usize, with: &mut Option<Value>) {
    if *at == 0 {
        if let Some(new) = with.take() {
            *value = new;
        }
        return;
    }
    *at -= 1;
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => return,
    };
    for value in inner {
        if with.is_some() {
            replace(value, at, with);
        }
    }
}

fn judge(rules: &Rules, object: &Value, other: &Value) {
    let mut once = object.clone();
    (rules.default)(&mut once);
    let mut twice = once.clone();
    (rules.default)(&mut twice);
    assert_eq!(once, twice, "{}: defaults change what has them", rules.kind);
    drop((rules.fields)(object));
    // The first error is as good as any here.
    drop(create(rules, object.clone()));
    for (new, old) in [(object, other), (other, object)] {
        drop(update(rules, old, |value| *value = new.clone()));
        drop(update_status(rules, old, |value| *value = new.clone()));
    }
}

fn everything(object: &Value, other: &Value) {
    strategies::all().for_each(|rules| judge(rules, object, other));
    let network = ServiceNetwork::default();
    for old in [None, Some(other)] {
        let mut service = object.clone();
        drop(addresses::allocate(
            &mut service,
            old,
            &network,
            &|_| false,
            &|_| false,
            1,
        ));
    }
    drop(addresses::claims(object));
    drop(node::heartbeat(&mut object.clone(), Some(other), now()));
    drop(pod::bind(&mut object.clone(), "n", now()));
    pod::grace_period_seconds(object, None);
    let mut new = object.clone();
    pod::prepare_ephemeral_containers_update(&mut new, other);
    drop(pod::validate_ephemeral_containers_update(&new, other));
    let mut new = object.clone();
    pod::prepare_resize_update(&mut new, other);
    drop(pod::validate_resize_update(&new, other));
    let mut scaled = object.clone();
    scale::show(&mut scaled);
    drop(scale::store(&mut scaled, other));
    drop(scale::store(&mut object.clone(), other));
    if eviction::guards(object, other) || !eviction::is_exempt(other) {
        drop(eviction::spend(&mut object.clone(), other, now()));
    }
    eviction::mark(&mut object.clone(), now());
    for review in [Review::Own, Review::Subject, Review::Local] {
        drop(authorization::validate(review, object));
    }
}

proptest! {
    #[test]
    fn no_json_is_too_odd(object in any_json(), other in any_json()) {
        everything(&object, &other);
    }

    #[test]
    fn no_valid_object_is_far_from_an_odd_one(
        places in vec((0..200usize, any_json()), 1..3),
    ) {
        for (rules, valid) in VALID.iter() {
            let mut object = valid.clone();
            for (place, value) in &places {
                let (mut place, mut value) = (*place, Some(value.clone()));
                replace(&mut object, &mut place, &mut value);
            }
            judge(rules, &object, valid);
            // What was accepted is accepted again, and is no different then.
            if let Ok(made) = create(rules, object) {
                prop_assert!(made["metadata"]["uid"] == UID);
                let again = create(rules, made.clone());
                prop_assert_eq!(again.map_err(|error| error.message), Ok(made));
            }
        }
    }

    #[test]
    fn selectors_are_read_back_as_they_are_written(text in "[a-c!=,()<> \\\\.]{0,12}|(in|notin|a|!|=|,|\\(|\\)| ){0,10}") {
        if let Ok(selector) = LabelSelector::parse(&text) {
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()).ok(), Some(selector));
        }
        if let Ok(selector) = FieldSelector::parse(&text) {
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()).ok(), Some(selector));
        }
    }

    #[test]
    fn no_selector_is_too_odd(text in any::<String>()) {
        drop(LabelSelector::parse(&text));
        drop(FieldSelector::parse(&text));
    }
}

#[test]
fn an_update_without_a_change_changes_nothing() {
    for (rules, old) in valid() {
        let new = update(&rules, &old, |_| {}).expect("a valid update");
        assert_eq!(new, old);
        if rules.has_status {
            let new = update_status(&rules, &old, |_| {}).expect("a valid status");
            assert_eq!(new, old);
        }
    }
}

#[test]
fn objects_of_too_many_values_are_refused() {
    for (rules, mut object) in valid() {
        object["spec"]["tolerations"] = vec![json!({}); 70_000].into();
        let error = create(&rules, object).expect_err("too large");
        assert_eq!(error.reason, k8shost_types::Reason::RequestEntityTooLarge);
    }
}

#[test]
fn long_lists_are_judged_in_reasonable_time() {
    let many = |item: fn(usize) -> Value| Value::from((0..15_000).map(item).collect::<Vec<_>>());
    let mut pod = crate::common::pod(json!({}));
    pod["spec"]["volumes"] = many(|i| json!({"name": format!("v{i}"), "emptyDir": {}}));
    pod["spec"]["containers"][0]["volumeMounts"] = Value::from(
        (0..5_000)
            .map(|i| json!({"name": format!("v{i}"), "mountPath": format!("/{i}")}))
            .collect::<Vec<_>>(),
    );
    let start = std::time::Instant::now();
    create(&STRATEGIES[0], pod).expect("a valid pod");
    let mut service = service(json!({}));
    service["spec"]["ports"] = many(|i| json!({"name": format!("p{i}"), "port": i + 1}));
    service["spec"]["type"] = json!("ExternalName");
    service["spec"]["externalName"] = json!("a.b");
    create(&STRATEGIES[1], service).expect("a valid service");
    let mut node = json!({"metadata": {"name": "n"}, "spec": {}});
    node["spec"]["taints"] = many(|i| json!({"key": format!("k{i}"), "effect": "NoSchedule"}));
    create(&STRATEGIES[2], node).expect("a valid node");
    let mut owned = json!({"metadata": {"name": "n"}});
    owned["metadata"]["ownerReferences"] = many(|_| json!({"controller": true}));
    create(&STRATEGIES[3], owned).expect_err("owners without names");
    // Compared one by one, this would be minutes.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
