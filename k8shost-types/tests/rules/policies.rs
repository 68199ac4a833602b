//! Leases, EndpointSlices, disruption budgets, roles and their bindings, classes of priority and of
//! runtimes.

use serde_json::{Value, json};

use crate::common::{create, made, named, refused, row, stored, update, update_refused};

#[test]
fn what_a_create_answers() {
    let rbac = "rbac.authorization.k8s.io/v1";
    let role =
        |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "x"});
    let cases = [
        (
            ("coordination.k8s.io/v1", "leases"),
            json!({"spec": {"holderIdentity": "h", "leaseDurationSeconds": 15}}),
            json!({"metadata": {}, "spec": {"holderIdentity": "h", "leaseDurationSeconds": 15}}),
        ),
        (
            ("discovery.k8s.io/v1", "endpointslices"),
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"]}], "ports": [{"port": 80}]}),
            json!({"metadata": {"generation": 1}, "addressType": "IPv4", "endpoints": [{"addresses": ["1.2.3.4"], "conditions": {}}], "ports": [{"name": "", "port": 80, "protocol": "TCP"}]}),
        ),
        (
            ("policy/v1", "poddisruptionbudgets"),
            json!({"spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}}),
            json!({"metadata": {"generation": 1}, "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}}, "status": {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}}),
        ),
        (
            (rbac, "roles"),
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
            json!({"metadata": {}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        ),
        (
            (rbac, "rolebindings"),
            json!({"roleRef": role("Role"), "subjects": [{"kind": "User", "name": "u"}]}),
            json!({"metadata": {}, "roleRef": role("Role"), "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "u"}]}),
        ),
        (
            (rbac, "clusterrolebindings"),
            json!({"roleRef": {"kind": "ClusterRole", "name": "x"}}),
            json!({"metadata": {}, "roleRef": role("ClusterRole")}),
        ),
        (
            ("scheduling.k8s.io/v1", "priorityclasses"),
            json!({"value": 5}),
            json!({"metadata": {"generation": 1}, "preemptionPolicy": "PreemptLowerPriority", "value": 5}),
        ),
        (
            ("node.k8s.io/v1", "runtimeclasses"),
            json!({"handler": "h"}),
            json!({"metadata": {}, "handler": "h"}),
        ),
    ];
    for ((version, resource), sent, answer) in cases {
        assert_eq!(made(row(version, resource), sent), answer, "{resource}");
    }
}

#[test]
fn faults_are_told() {
    let rbac = "rbac.authorization.k8s.io/v1";
    let cases = [
        (
            "coordination.k8s.io/v1",
            "leases",
            json!({"spec": {"leaseDurationSeconds": 0}}),
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        ),
        (
            "policy/v1",
            "poddisruptionbudgets",
            json!({"spec": {"minAvailable": 1, "maxUnavailable": 1}}),
            r#"spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set"#,
        ),
        (
            "policy/v1",
            "poddisruptionbudgets",
            json!({"spec": {"minAvailable": "x"}}),
            r#"spec.minAvailable: Invalid value: "x": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"#,
        ),
        (
            rbac,
            "roles",
            json!({"rules": [{"verbs": []}]}),
            "[rules[0].verbs: Required value: verbs must contain at least one value, rules[0].apiGroups: Required value: resource rules must supply at least one api group, rules[0].resources: Required value: resource rules must supply at least one resource]",
        ),
        (
            rbac,
            "roles",
            json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}),
            r#"rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs"#,
        ),
        (
            rbac,
            "clusterrolebindings",
            json!({"roleRef": {"kind": "Role"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}, {"kind": "x"}]}),
            r#"[roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole", roleRef.name: Required value, subjects[0].namespace: Required value, subjects[1].name: Required value, subjects[1].kind: Unsupported value: "x": supported values: "ServiceAccount", "User", "Group"]"#,
        ),
        (
            "scheduling.k8s.io/v1",
            "priorityclasses",
            json!({"value": 2_000_000_000}),
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        (
            "discovery.k8s.io/v1",
            "endpointslices",
            json!({"addressType": "IPv6", "endpoints": [{"addresses": ["1.2.3.4", "fe80::1"]}, {}], "ports": [{"name": "a"}, {"name": "a", "protocol": "X"}]}),
            r#"[endpoints[0].addresses[0]: Invalid value: "1.2.3.4": must be a valid IPv6 address, endpoints[0].addresses[1]: Invalid value: "fe80::1": may not be in the link-local range (169.254.0.0/16, fe80::/10), endpoints[1].addresses: Required value: must contain at least 1 address, ports[1].name: Duplicate value: "a", ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"]"#,
        ),
        (
            "node.k8s.io/v1",
            "runtimeclasses",
            json!({"handler": "a.b"}),
            r#"handler: Invalid value: "a.b": must not contain dots"#,
        ),
    ];
    for (version, resource, sent, message) in cases {
        let row = row(version, resource);
        let expected = format!("{}.{} \"x\" is invalid: {message}", row.kind, row.group());
        assert_eq!(refused(row, sent), expected);
    }
}

#[test]
fn names_of_roles_and_budgets_are_any_that_fit_into_a_path() {
    let budgets = ("policy/v1", "poddisruptionbudgets");
    let roles = ("rbac.authorization.k8s.io/v1", "clusterroles");
    for ((version, resource), name, fault) in [
        (budgets, "Bad_", None),
        (roles, "system:a:b", None),
        (
            roles,
            "Bad_/",
            Some(
                "ClusterRole.rbac.authorization.k8s.io \"Bad_/\" is invalid: metadata.name: Invalid value: \"Bad_/\": may not contain '/'",
            ),
        ),
    ] {
        let row = row(version, resource);
        let mut object = named(row, json!({}));
        object["metadata"]["name"] = json!(name);
        let answer = create(row, object);
        assert_eq!(answer.err().map(|error| error.message).as_deref(), fault);
    }
}

#[test]
fn what_an_update_may_not_change() {
    let rbac = "rbac.authorization.k8s.io/v1";
    let binding = row(rbac, "rolebindings");
    let old = stored(
        binding,
        named(binding, json!({"roleRef": {"kind": "Role", "name": "r"}})),
    );
    assert_eq!(
        update_refused(binding, &old, |object| object["roleRef"]["name"] =
            json!("q")),
        r#"RoleBinding.rbac.authorization.k8s.io "x" is invalid: roleRef: Invalid value: {"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"q"}: cannot change roleRef"#
    );
    let classes = row("scheduling.k8s.io/v1", "priorityclasses");
    let old = stored(classes, named(classes, json!({"value": 5})));
    assert_eq!(
        update_refused(classes, &old, |object| object["value"] = json!(6)),
        r#"PriorityClass.scheduling.k8s.io "x" is invalid: value: Forbidden: may not be changed in an update."#
    );
    let slices = row("discovery.k8s.io/v1", "endpointslices");
    let old = stored(slices, named(slices, json!({"addressType": "IPv4"})));
    assert_eq!(old["ports"], Value::Null);
    assert_eq!(
        update_refused(slices, &old, |object| object["addressType"] = json!("IPv6")),
        r#"EndpointSlice.discovery.k8s.io "x" is invalid: addressType: Invalid value: "IPv6": field is immutable"#
    );
    let new = update(slices, &old, |object| {
        object["metadata"]["labels"] = json!({"z": "1"})
    });
    assert_eq!(new.expect("valid")["metadata"]["generation"], 2);
    let runtimes = row("node.k8s.io/v1", "runtimeclasses");
    let old = stored(runtimes, named(runtimes, json!({"handler": "h"})));
    assert_eq!(
        update_refused(runtimes, &old, |object| object["handler"] = json!("i")),
        r#"RuntimeClass.node.k8s.io "x" is invalid: handler: Invalid value: "i": field is immutable"#
    );
}
