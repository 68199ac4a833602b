//! What kube-apiserver 1.35 answers, request by request.

use k8shost_types::{Error, Reason};
use serde_json::{Value, json};

use crate::support::{CONFIG_MAP, DEPLOYMENT, Live, POD, SERVICE, set};

fn deployment(spec: &Value, container: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "d", "labels": {"l": "1"}},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    });
    for (name, value) in spec.as_object().into_iter().flatten() {
        object["spec"][name] = value.clone();
    }
    for (name, value) in container.as_object().into_iter().flatten() {
        object["spec"]["template"]["spec"]["containers"][0][name] = value.clone();
    }
    object
}

const NO_REPLICAS: &str = r#"{"f:metadata":{"f:labels":{"f:l":{}}},"f:spec":{"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}"#;
const WITH_REPLICAS: &str = r#"{"f:metadata":{"f:labels":{"f:l":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}"#;
const TWO: &str = r#"{"f:metadata":{"f:labels":{"f:l":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:name":{}}}}}}}"#;
const ENV: &str = r#"{"f:metadata":{"f:labels":{"f:l":{}}},"f:spec":{"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:env":{"k:{\"name\":\"X\"}":{".":{},"f:name":{},"f:value":{}}},"f:image":{},"f:name":{}}}}}}}"#;

fn conflict(error: &Error) -> (&str, Vec<(&str, &str, &str)>) {
    assert_eq!(error.reason, Reason::Conflict);
    assert!(error.subject.is_none());
    let causes = error.fields.iter().map(|cause| {
        (
            cause.kind.cause(),
            cause.field.as_str(),
            cause.message.as_str(),
        )
    });
    (&error.message, causes.collect())
}

#[test]
fn a_deployment_between_two_appliers_an_editor_and_a_scaler() {
    let ports = json!({"ports": [{"containerPort": 80}]});
    let bare = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}});
    let three = deployment(&json!({"replicas": 3}), &Value::Null);
    let five = deployment(&json!({"replicas": 5}), &Value::Null);
    let mut live = Live::new(DEPLOYMENT);

    // Creates.
    let first = deployment(&json!({"replicas": 3}), &ports);
    assert!(live.apply("one", &first, false).expect("creates"));
    live.assert_managed(&[("one Apply @01", WITH_REPLICAS)]);
    // The server's defaults are nobody's.
    live.object.as_mut().expect("there is an object")["spec"]["template"]["spec"]["containers"]
        [0]["ports"][0]["protocol"] = json!("TCP");
    set(
        live.object.as_mut().expect("there is an object"),
        "spec.template.spec.containers.0.imagePullPolicy",
        json!("Always"),
    );

    // The same again changes nothing.
    assert!(!live.apply("one", &first, false).expect("again"));
    live.assert_managed(&[("one Apply @01", WITH_REPLICAS)]);

    let error = live.apply("two", &five, false).expect_err("a conflict");
    let message = r#"Apply failed with 1 conflict: conflict with "one": .spec.replicas"#;
    let cause = (
        "FieldManagerConflict",
        ".spec.replicas",
        r#"conflict with "one""#,
    );
    assert_eq!(conflict(&error), (message, vec![cause]));

    // The same value is shared; the object did not change, so there is no time.
    assert!(live.apply("two", &three, false).expect("shares"));
    live.assert_managed(&[("two Apply", TWO), ("one Apply @01", WITH_REPLICAS)]);

    let error = live.apply("two", &five, false).expect_err("a conflict");
    assert_eq!(conflict(&error), (message, vec![cause]));
    assert!(live.apply("two", &five, true).expect("is forced"));
    live.assert_managed(&[("one Apply @01", NO_REPLICAS), ("two Apply @06", TWO)]);
    assert_eq!(live.get()["spec"]["replicas"], 5);

    let without = deployment(&Value::Null, &ports);
    assert!(!live.apply("one", &without, false).expect("has nothing new"));
    assert_eq!(live.get()["spec"]["replicas"], 5);

    let env = deployment(&Value::Null, &json!({"env": [{"name": "X", "value": "1"}]}));
    assert!(live.apply("one", &env, false).expect("applies"));
    live.assert_managed(&[("two Apply @06", TWO), ("one Apply @08", ENV)]);
    assert_eq!(
        live.get()["spec"]["template"]["spec"]["containers"],
        json!([{"name": "c", "image": "i", "imagePullPolicy": "Always", "env": [{"name": "X", "value": "1"}]}])
    );

    assert!(live.apply("two", &bare, false).expect("gives up all"));
    live.assert_managed(&[("one Apply @08", ENV)]);
    assert_eq!(live.get()["spec"].get("replicas"), None);
    live.object.as_mut().expect("there is an object")["spec"]["replicas"] = json!(1);

    live.edit("kubectl-edit", "", |new| new["spec"]["replicas"] = json!(9));
    let replicas = r#"{"f:spec":{"f:replicas":{}}}"#;
    live.assert_managed(&[
        ("one Apply @08", ENV),
        ("kubectl-edit Update @10", replicas),
    ]);
    let two = deployment(&json!({"replicas": 2}), &Value::Null);
    let error = live.apply("one", &two, false).expect_err("a conflict");
    assert_eq!(
        conflict(&error),
        (
            r#"Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas"#,
            vec![(
                "FieldManagerConflict",
                ".spec.replicas",
                r#"conflict with "kubectl-edit" using apps/v1"#
            )]
        )
    );

    // Status by apply: of the spec there it owns nothing.
    let mut status = bare.clone();
    status["status"] = json!({"replicas": 1});
    status["spec"] = json!({"replicas": 1});
    live.apply_to("ctl", "status", &status, true)
        .expect("applies the status");
    live.assert_managed(&[
        ("one Apply @08", ENV),
        ("ctl Apply status @12", r#"{"f:status":{"f:replicas":{}}}"#),
        ("kubectl-edit Update @10", replicas),
    ]);

    // One empty entry wipes all, and nothing is tracked from then on.
    live.edit("x", "", |new| {
        new["metadata"]["managedFields"] = json!([{}])
    });
    assert_eq!(live.get()["metadata"].get("managedFields"), None);
    live.edit("x", "", |new| new["spec"]["replicas"] = json!(4));
    assert_eq!(live.get()["metadata"].get("managedFields"), None);

    // Until something is applied.
    live.apply("one", &env, false).expect("nothing differs");
    let managed = live.managed();
    assert_eq!(managed[0].0, "one Apply");
    assert_eq!(managed[1].0, "before-first-apply Update @15");
}

#[test]
fn what_is_no_apply_of_the_kind() {
    let mut live = Live::new(DEPLOYMENT);
    let mut tell = |config: Value| {
        let error = live.apply("one", &config, false).expect_err("refused");
        (error.reason, error.message)
    };
    let whole = deployment(&Value::Null, &Value::Null);
    let with = |pointer: &str, value: Value| {
        let mut config = whole.clone();
        set(&mut config, pointer, value);
        config
    };
    for (config, reason, message) in [
        (
            with("metadata.managedFields", json!([{"manager": "x"}])),
            Reason::BadRequest,
            "metadata.managedFields must be nil",
        ),
        (
            json!({"kind": "Deployment", "metadata": {"name": "d"}}),
            Reason::BadRequest,
            "invalid object type: /, Kind=Deployment",
        ),
        (
            with("apiVersion", json!("apps/v2")),
            Reason::BadRequest,
            "invalid object type: apps/v2, Kind=Deployment",
        ),
        (
            with("spec.nonsense", json!(1)),
            Reason::Unknown,
            "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.nonsense: field not declared in schema",
        ),
        (
            with("spec.replicas", json!("3")),
            Reason::Unknown,
            "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string",
        ),
        (
            with(
                "spec.template.spec.containers",
                json!([{"name": "c"}, {"name": "c"}]),
            ),
            Reason::Unknown,
            "failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=\"c\"]",
        ),
    ] {
        assert_eq!(tell(config), (reason, message.to_owned()));
    }
}

#[test]
fn service_ports_are_told_apart_by_port_and_protocol() {
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}});
    let mut live = Live::new(SERVICE);
    live.apply(
        "one",
        &service(json!([{"port": 80, "protocol": "TCP"}])),
        false,
    )
    .expect("creates");
    let both = service(json!([
        {"port": 80, "protocol": "TCP", "name": "t"},
        {"port": 80, "protocol": "UDP", "name": "u"},
    ]));
    live.apply("two", &both, false).expect("adds");
    live.assert_managed(&[
        (
            "one Apply @01",
            r#"{"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:protocol":{}}}}}"#,
        ),
        (
            "two Apply @02",
            r#"{"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{}},"k:{\"port\":80,\"protocol\":\"UDP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{}}}}}"#,
        ),
    ]);
    assert_eq!(live.get()["spec"], both["spec"]);
}

#[test]
fn a_config_map_and_the_set_of_its_finalizers() {
    let map = |metadata: Value, data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    let mut live = Live::new(CONFIG_MAP);
    let one = map(
        json!({"name": "c", "finalizers": ["x.io/a"]}),
        json!({"a": "1", "b": "2"}),
    );
    live.apply("one", &one, false).expect("creates");
    let two = map(
        json!({"name": "c", "finalizers": ["x.io/b"]}),
        json!({"c": "3"}),
    );
    live.apply("two", &two, false).expect("adds");
    let of_two = r#"{"f:data":{"f:c":{}},"f:metadata":{"f:finalizers":{"v:\"x.io/b\"":{}}}}"#;
    live.assert_managed(&[
        (
            "one Apply @01",
            r#"{"f:data":{"f:a":{},"f:b":{}},"f:metadata":{"f:finalizers":{"v:\"x.io/a\"":{}}}}"#,
        ),
        ("two Apply @02", of_two),
    ]);
    assert_eq!(
        live.get()["metadata"]["finalizers"],
        json!(["x.io/a", "x.io/b"])
    );

    let less = map(json!({"name": "c"}), json!({"b": "2"}));
    live.apply("one", &less, false).expect("takes away");
    live.assert_managed(&[
        ("two Apply @02", of_two),
        ("one Apply @03", r#"{"f:data":{"f:b":{}}}"#),
    ]);
    assert_eq!(live.get()["data"], json!({"b": "2", "c": "3"}));
    assert_eq!(live.get()["metadata"]["finalizers"], json!(["x.io/b"]));

    live.put("editor", "", map(json!({"name": "c"}), json!({"b": "4"})));
    live.assert_managed(&[("editor Update @04", r#"{"f:data":{"f:b":{}}}"#)]);
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "a", "namespace": "n", "labels": {"app": "x"}},
        "spec": {
            "containers": [{
                "name": "c", "image": "nginx:1.27", "imagePullPolicy": "IfNotPresent", "resources": {},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "restartPolicy": "Always",
            "schedulerName": "default-scheduler", "securityContext": {}, "terminationGracePeriodSeconds": 30,
        },
        "status": {"phase": "Running"},
    })
}

const POD_SPEC: &str = r#""f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{},"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:enableServiceLinks":{},"f:restartPolicy":{},"f:schedulerName":{},"f:securityContext":{},"f:terminationGracePeriodSeconds":{}}}"#;

#[test]
fn a_pod_its_labels_and_its_status() {
    let mut live = Live::new(POD);
    live.put("wire", "", pod());
    let first = format!(r#"{{"f:metadata":{{"f:labels":{{".":{{}},"f:app":{{}}}}}},{POD_SPEC}"#);
    live.assert_managed(&[("wire Update @01", &first)]);
    // The server's own: identity, status, and what admission adds after the caller's fields are told.
    let object = live.object.as_mut().expect("there is an object");
    object["metadata"]["uid"] = json!("u");
    object["spec"]["preemptionPolicy"] = json!("PreemptLowerPriority");
    object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});

    live.edit("wire", "", |new| {
        new["metadata"]["labels"]["v"] = json!("1")
    });
    let second =
        format!(r#"{{"f:metadata":{{"f:labels":{{".":{{}},"f:app":{{}},"f:v":{{}}}}}},{POD_SPEC}"#);
    live.assert_managed(&[("wire Update @02", &second)]);

    live.edit("wire", "status", |new| {
        new["status"]["phase"] = json!("Running");
        new["spec"]["nodeName"] = json!("not by the status");
        new["metadata"]["managedFields"] = json!([]);
    });
    live.assert_managed(&[
        ("wire Update @02", &second),
        ("wire Update status @03", r#"{"f:status":{"f:phase":{}}}"#),
    ]);
    live.edit("wire", "status", |new| {
        new["status"]["conditions"] =
            json!([{"type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": null}]);
    });
    let conditions = r#"{"f:status":{"f:conditions":{".":{},"k:{\"type\":\"Ready\"}":{".":{},"f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},"f:phase":{}}}"#;
    live.assert_managed(&[
        ("wire Update @02", &second),
        ("wire Update status @04", conditions),
    ]);

    live.edit("wire", "", |new| {
        new["metadata"]["labels"] = json!({"v": "1", "m": "2"});
        new["metadata"]["annotations"] = json!({"a": "b"});
    });
    let third = format!(
        r#"{{"f:metadata":{{"f:annotations":{{".":{{}},"f:a":{{}}}},"f:labels":{{".":{{}},"f:m":{{}},"f:v":{{}}}}}},{POD_SPEC}"#
    );
    live.assert_managed(&[
        ("wire Update status @04", conditions),
        ("wire Update @05", &third),
    ]);
}

#[test]
fn a_load_balancer_s_status() {
    let mut live = Live::new(SERVICE);
    live.put(
        "wire",
        "",
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "lb"},
            "spec": {
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "selector": {"a": "b"},
                "sessionAffinity": "None", "type": "ClusterIP", "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        }),
    );
    let spec = r#"{"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}"#;
    live.assert_managed(&[("wire Update @01", spec)]);
    live.edit("wire", "status", |new| {
        new["status"]["loadBalancer"]["ingress"] = json!([{"ip": "1.2.3.4", "ipMode": "VIP"}]);
    });
    live.assert_managed(&[
        ("wire Update @01", spec),
        (
            "wire Update status @02",
            r#"{"f:status":{"f:loadBalancer":{"f:ingress":{}}}}"#,
        ),
    ]);
}
