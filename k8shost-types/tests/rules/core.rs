//! ConfigMaps, Secrets, accounts, endpoints, limits, quotas, claims, volumes, events, templates and
//! replication controllers.

use k8shost_types::core_v1::event;
use serde_json::{Value, json};

use crate::{
    common::{
        NOW, create, made, named, refused, row, stored, update, update_refused, update_status,
    },
    samples::template,
};

/// What becomes of the spec of a template as short as it can be.
pub(crate) fn defaulted_pod() -> Value {
    json!({
        "containers": [{
            "image": "i", "imagePullPolicy": "Always", "name": "c", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        }],
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always",
        "schedulerName": "default-scheduler", "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    })
}

#[test]
fn what_a_create_answers() {
    let pod_template = json!({"metadata": {"labels": {"a": "b"}}, "spec": defaulted_pod()});
    let cases = [
        (
            "configmaps",
            json!({"data": {"k": "v"}, "immutable": true}),
            json!({"metadata": {}, "data": {"k": "v"}, "immutable": true}),
        ),
        (
            "secrets",
            json!({"stringData": {"a": "b"}, "data": {"c": "ZA==", "a": "YQ=="}}),
            json!({"metadata": {}, "data": {"a": "Yg==", "c": "ZA=="}, "type": "Opaque"}),
        ),
        ("serviceaccounts", json!({}), json!({"metadata": {}})),
        (
            "endpoints",
            json!({"subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]}),
            json!({"metadata": {}, "subsets": [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80, "protocol": "TCP"}]}]}),
        ),
        (
            "limitranges",
            json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}),
            json!({"metadata": {}, "spec": {"limits": [{"default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}, "max": {"cpu": "1"}, "type": "Container"}]}}),
        ),
        (
            "limitranges",
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}]}}),
            json!({"metadata": {}, "spec": {"limits": [{"default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}, "type": "Container"}]}}),
        ),
        (
            "resourcequotas",
            json!({"spec": {"hard": {"pods": "5"}}}),
            json!({"metadata": {}, "spec": {"hard": {"pods": "5"}}, "status": {}}),
        ),
        (
            "persistentvolumeclaims",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
            json!({"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeMode": "Filesystem"}, "status": {"phase": "Pending"}}),
        ),
        (
            "persistentvolumes",
            json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}}),
            json!({"metadata": {"finalizers": ["kubernetes.io/pv-protection"]}, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x", "type": ""}, "persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"}, "status": {"lastPhaseTransitionTime": NOW, "phase": "Pending"}}),
        ),
        (
            "events",
            json!({"involvedObject": {"kind": "Pod", "name": "p", "namespace": "w"}, "reason": "R", "message": "m", "type": "Normal"}),
            json!({"metadata": {}, "eventTime": null, "firstTimestamp": null, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "w"}, "lastTimestamp": null, "message": "m", "reason": "R", "reportingComponent": "", "reportingInstance": "", "source": {}, "type": "Normal"}),
        ),
        (
            "podtemplates",
            json!({"template": template()}),
            json!({"metadata": {"generation": 1}, "template": pod_template}),
        ),
        (
            "replicationcontrollers",
            json!({"spec": {"template": template()}}),
            json!({"metadata": {"generation": 1, "labels": {"a": "b"}}, "spec": {"replicas": 1, "selector": {"a": "b"}, "template": pod_template}, "status": {"replicas": 0}}),
        ),
    ];
    for (resource, sent, answer) in cases {
        assert_eq!(made(row("v1", resource), sent), answer, "{resource}");
    }
}

#[test]
fn events_of_both_groups_are_the_same_objects() {
    let row = row("events.k8s.io/v1", "events");
    let sent = json!({"eventTime": "2026-01-02T03:04:05.000000Z", "reportingController": "c", "reportingInstance": "i", "action": "a", "reason": "r", "type": "Normal", "regarding": {"kind": "Pod", "name": "p", "namespace": "w"}});
    let answer = json!({"metadata": {}, "action": "a", "deprecatedFirstTimestamp": null, "deprecatedLastTimestamp": null, "deprecatedSource": {}, "eventTime": "2026-01-02T03:04:05.000000Z", "reason": "r", "regarding": {"kind": "Pod", "name": "p", "namespace": "w"}, "reportingController": "c", "reportingInstance": "i", "type": "Normal"});
    assert_eq!(made(row, sent.clone()), answer);
    let object = stored(row, named(row, sent));
    let mut core = object.clone();
    event::to_core(&mut core);
    assert_eq!(core["apiVersion"], "v1");
    assert_eq!(core["involvedObject"]["name"], "p");
    assert_eq!(core["reportingComponent"], "c");
    assert_eq!(core["firstTimestamp"], Value::Null);
    event::to_events(&mut core);
    assert_eq!(core, object);
    assert_eq!(
        refused(
            row,
            json!({"regarding": {"namespace": "v"}, "note": "n", "type": "x", "deprecatedCount": 1})
        ),
        r#"Event "x" is invalid: [involvedObject.namespace: Invalid value: "v": does not match event.namespace, eventTime: Required value, type: Invalid value: "": has invalid value: x, count: Invalid value: "": needs to be unset]"#
    );
    let message = update_refused(row, &object, |event| event["note"] = json!("changed"));
    assert!(
        message.contains(r#"message: Invalid value: "changed": field is immutable"#),
        "{message}"
    );
    assert!((row.fields)(&object).contains(&("involvedObject.kind", "Pod".into())));
}

#[test]
fn names_are_judged_by_the_kind() {
    for (resource, spec) in [
        ("configmaps", json!({})),
        ("serviceaccounts", json!({})),
        ("podtemplates", json!({"template": template()})),
    ] {
        let row = row("v1", resource);
        let mut object = named(row, spec);
        object["metadata"]["name"] = json!("Bad_");
        let error = create(row, object).expect_err("a bad name");
        let start = format!(
            "{} \"Bad_\" is invalid: metadata.name: Invalid value: \"Bad_\": a lowercase RFC 1123 subdomain",
            row.kind
        );
        assert!(error.message.starts_with(&start), "{}", error.message);
    }
    // An event may have any name that fits into a path.
    let row = row("v1", "events");
    let mut object = named(row, json!({"involvedObject": {"namespace": "w"}}));
    object["metadata"]["name"] = json!("Bad_");
    create(row, object).expect("any name");
}

#[test]
fn config_maps() {
    let row = row("v1", "configmaps");
    let old = stored(
        row,
        named(row, json!({"data": {"k": "v"}, "immutable": true})),
    );
    assert_eq!(
        update_refused(row, &old, |map| map["data"]["k"] = json!("w")),
        r#"ConfigMap "x" is invalid: data: Forbidden: field is immutable when `immutable` is set"#
    );
    assert_eq!(
        update_refused(row, &old, |map| map["immutable"] = json!(false)),
        r#"ConfigMap "x" is invalid: immutable: Forbidden: field is immutable when `immutable` is set"#
    );
    update(row, &old, |map| {
        map["metadata"]["labels"] = json!({"a": "b"})
    })
    .expect("metadata may change");
    assert_eq!(
        refused(row, json!({"data": {"a b": ""}})),
        r#"ConfigMap "x" is invalid: data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"#
    );
    assert_eq!(
        refused(row, json!({"data": {"k": ""}, "binaryData": {"k": ""}})),
        r#"ConfigMap "x" is invalid: data[k]: Invalid value: "k": duplicate of key present in binaryData"#
    );
    assert_eq!(
        refused(row, json!({"binaryData": {"k": "!: ?"}})),
        r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: illegal base64 data at input byte 0"#
    );
    assert_eq!(
        refused(row, json!({"data": {"k": "a".repeat(1_048_577)}})),
        r#"ConfigMap "x" is invalid: []: Too long: may not be more than 1048576 bytes"#
    );
}

#[test]
fn secrets() {
    let row = row("v1", "secrets");
    let kind = |name: &str| json!({"type": format!("kubernetes.io/{name}")});
    let cases = [
        (
            kind("tls"),
            "[data[tls.crt]: Required value, data[tls.key]: Required value]",
        ),
        (
            kind("basic-auth"),
            "[data[username]: Required value, data[password]: Required value]",
        ),
        (kind("ssh-auth"), "data[ssh-privatekey]: Required value"),
        (
            kind("service-account-token"),
            "metadata.annotations[kubernetes.io/service-account.name]: Required value",
        ),
        (kind("dockercfg"), "data[.dockercfg]: Required value"),
        (
            json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "x"}}),
            r#"data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character 'x' looking for beginning of value"#,
        ),
        (
            json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "[]"}}),
            r#"data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value of type map[string]interface {}"#,
        ),
    ];
    for (sent, message) in cases {
        assert_eq!(
            refused(row, sent),
            format!("Secret \"x\" is invalid: {message}")
        );
    }
    let old = stored(row, named(row, json!({})));
    assert_eq!(
        update_refused(row, &old, |secret| secret["type"] = json!("other")),
        r#"Secret "x" is invalid: type: Invalid value: "other": field is immutable"#
    );
    assert_eq!((row.fields)(&old), [("type", "Opaque".into())]);
}

#[test]
fn endpoints() {
    let row = row("v1", "endpoints");
    assert_eq!(
        refused(
            row,
            json!({"subsets": [{"addresses": [{"ip": "127.0.0.1"}, {"ip": "x"}], "ports": [{"port": 0, "name": "a"}, {"port": 1}]}, {}]})
        ),
        r#"Endpoints "x" is invalid: [subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128), subsets[0].addresses[1].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff), subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, subsets[0].ports[1].name: Required value, subsets[1]: Required value: must specify `addresses` or `notReadyAddresses`]"#
    );
    // The same addresses with two ports are one subset.
    let sent = json!({"subsets": [{"addresses": [{"ip": "1.2.3.5"}, {"ip": "1.2.3.4"}], "ports": [{"port": 80, "name": "a"}]}, {"addresses": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5"}], "ports": [{"port": 81, "name": "b"}]}]});
    assert_eq!(
        made(row, sent)["subsets"],
        json!([{"addresses": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5"}], "ports": [{"port": 80, "name": "a", "protocol": "TCP"}, {"port": 81, "name": "b", "protocol": "TCP"}]}])
    );
}

#[test]
fn long_lists_are_judged_in_reasonable_time() {
    let start = std::time::Instant::now();
    let scopes: Vec<Value> = (0..10_000)
        .map(|_| json!({"scopeName": "BestEffort", "operator": "Exists"}))
        .collect();
    let hard: Value = (0..10_000)
        .map(|i| (format!("count/x{i}.y"), json!("1")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    made(
        row("v1", "resourcequotas"),
        json!({"spec": {"hard": hard, "scopeSelector": {"matchExpressions": scopes}}}),
    );
    // One large address among many ports would be large as often.
    let large = json!({"ip": "1.2.3.4", "targetRef": {"name": "a".repeat(1 << 20)}});
    let subsets: Vec<Value> = (1..5_000)
        .flat_map(|i| [json!({"addresses": [{"ip": format!("1.3.{}.{}", i / 256, i % 256)}], "ports": [{"port": i}]})])
        .collect();
    let ports: Vec<Value> = (1..5_000)
        .map(|i| json!({"port": i, "name": format!("p{i}")}))
        .collect();
    let mut sent = json!({"subsets": [{"addresses": [large], "ports": ports}]});
    sent["subsets"]
        .as_array_mut()
        .expect("a list")
        .extend(subsets);
    let object = made(row("v1", "endpoints"), sent);
    assert!(object.to_string().len() < 1 << 23);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn limits_and_quotas() {
    let limits = row("v1", "limitranges");
    assert_eq!(
        refused(
            limits,
            json!({"spec": {"limits": [{"type": "Pod", "default": {"cpu": "1"}, "min": {"cpu": "2"}, "max": {"cpu": "1"}}, {"type": "Pod"}, {"type": "x"}, {"type": "PersistentVolumeClaim"}]}})
        ),
        r#"LimitRange "x" is invalid: [spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod', spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1, spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1, spec.limits[1].type: Duplicate value: "Pod", spec.limits[2].type: Invalid value: "x": must be a standard limit type or fully qualified, spec.limits[3].limits: Required value: either minimum or maximum storage value is required, but neither was provided]"#
    );
    let quotas = row("v1", "resourcequotas");
    assert_eq!(
        refused(
            quotas,
            json!({"spec": {"hard": {"cats": "1", "pods": "-1"}, "scopes": ["BestEffort", "NotBestEffort"]}})
        ),
        r#"ResourceQuota "x" is invalid: [spec.hard[cats]: Invalid value: "cats": must be a standard resource for quota, spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0, spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: unsupported scope applied to resource, spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes]"#
    );
    let old = stored(
        quotas,
        named(quotas, json!({"spec": {"hard": {"pods": "5"}}})),
    );
    assert_eq!(
        update_refused(quotas, &old, |quota| quota["spec"]["scopes"] =
            json!(["BestEffort"])),
        r#"ResourceQuota "x" is invalid: spec.scopes: Invalid value: ["BestEffort"]: field is immutable"#
    );
    let new = update_status(quotas, &old, |quota| {
        quota["status"] = json!({"used": {"pods": 1}});
        quota["spec"] = json!({});
    });
    let new = new.expect("a status");
    assert_eq!(new["status"]["used"]["pods"], "1");
    assert_eq!(new["spec"], old["spec"]);
}

#[test]
fn claims() {
    let row = row("v1", "persistentvolumeclaims");
    assert_eq!(
        refused(
            row,
            json!({"spec": {"accessModes": ["Sideways"], "resources": {}}})
        ),
        r#"PersistentVolumeClaim "x" is invalid: [spec.accessModes: Unsupported value: "Sideways": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", spec.resources[storage]: Required value]"#
    );
    let old = stored(
        row,
        named(
            row,
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}}),
        ),
    );
    let unbound = "PersistentVolumeClaim \"x\" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
    let grow = |claim: &mut Value| claim["spec"]["resources"]["requests"]["storage"] = json!("3Gi");
    assert_eq!(update_refused(row, &old, grow), unbound);
    let bound =
        update(row, &old, |claim| claim["spec"]["volumeName"] = json!("v")).expect("bound once");
    assert_eq!(
        update_refused(row, &bound, |claim| claim["spec"]["volumeName"] =
            json!("w")),
        unbound
    );
    let bound = update_status(row, &bound, |claim| {
        claim["status"] = json!({"phase": "Bound", "capacity": {"storage": "1Gi"}})
    })
    .expect("a status");
    let grown = update(row, &bound, grow).expect("it may grow");
    assert_eq!(
        update_refused(row, &grown, |claim| claim["spec"]["resources"]["requests"]
            ["storage"] = json!("1Gi")),
        r#"PersistentVolumeClaim "x" is invalid: spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"#
    );
    // What it is filled from is told in both fields.
    let sent = json!({"spec": {"accessModes": ["ReadWriteOnce"], "dataSource": {"kind": "PersistentVolumeClaim", "name": "o"}, "resources": {"requests": {"storage": "2Gi"}}}});
    assert_eq!(
        made(row, sent)["spec"]["dataSourceRef"],
        json!({"kind": "PersistentVolumeClaim", "name": "o"})
    );
}

#[test]
fn volumes() {
    let row = row("v1", "persistentvolumes");
    assert_eq!(
        refused(
            row,
            json!({"spec": {"capacity": {"cpu": "0"}, "persistentVolumeReclaimPolicy": "Keep"}})
        ),
        r#"PersistentVolume "x" is invalid: [spec.accessModes: Required value, spec.capacity: Unsupported value: {"cpu":"0"}: supported values: "storage", spec.capacity[cpu]: Invalid value: "0": must be greater than zero, spec.persistentVolumeReclaimPolicy: Unsupported value: "Keep": supported values: "Delete", "Recycle", "Retain", spec: Required value: must specify a volume type]"#
    );
    let old = stored(
        row,
        named(
            row,
            json!({"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "csi": {"driver": "d.x", "volumeHandle": "h"}}}),
        ),
    );
    assert_eq!(
        update_refused(row, &old, |volume| volume["spec"]["csi"]["volumeHandle"] =
            json!("i")),
        r#"PersistentVolume "x" is invalid: spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"#
    );
    update(row, &old, |volume| {
        volume["spec"]["claimRef"] = json!({"name": "c"})
    })
    .expect("it may be bound");
}

#[test]
fn replication_controllers() {
    let row = row("v1", "replicationcontrollers");
    assert_eq!(
        refused(
            row,
            json!({"spec": {"replicas": -1, "selector": {"a": "c"}, "template": template()}})
        ),
        r#"ReplicationController "x" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`]"#
    );
    let old = stored(row, named(row, json!({"spec": {"template": template()}})));
    let new = update(row, &old, |rc| rc["spec"]["replicas"] = json!(3)).expect("valid");
    assert_eq!(new["metadata"]["generation"], 2);
    let new = update_status(row, &new, |rc| rc["status"] = json!({"replicas": 3})).expect("valid");
    assert_eq!((row.fields)(&new), [("status.replicas", "3".into())]);
    let error = update_status(row, &new, |rc| rc["status"] = json!({"readyReplicas": 3}))
        .expect_err("more than all");
    assert!(
        error.message.ends_with(
            "status.readyReplicas: Invalid value: 3: cannot be greater than status.replicas"
        ),
        "{}",
        error.message
    );
}

#[test]
fn templates_have_the_rules_of_pods() {
    let row = row("v1", "podtemplates");
    let mut sent = json!({"template": template()});
    sent["template"]["spec"]["containers"][0]["name"] = json!("C_");
    sent["template"]["spec"]["ephemeralContainers"] = json!([{"name": "e", "image": "i"}]);
    sent["template"]["metadata"]["labels"] = json!({"a b": "c"});
    let message = refused(row, sent);
    for part in [
        "template.labels: Invalid value: \"a b\"",
        "template.spec.containers[0].name: Invalid value: \"C_\"",
        "template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let old = stored(row, named(row, json!({"template": template()})));
    let new = update(row, &old, |object| {
        object["template"]["metadata"]["labels"]["c"] = json!("d")
    });
    assert_eq!(new.expect("valid")["metadata"]["generation"], 2);
}
