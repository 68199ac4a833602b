//! How long the rules take: `cargo bench -p k8shost-types`.

// Figures on the terminal are what this is for.
#![allow(clippy::print_stdout)]

use std::{
    cell::RefCell,
    collections::HashSet,
    hint::black_box,
    time::{Duration, Instant, SystemTime},
};

use k8shost_types::{
    addresses::{ServiceNetwork, allocate, claims},
    apply::{self, Reset, Target, Writer},
    decode::{self, Expected, FieldValidation, Format},
    patch::{PatchKind, patch},
    pod, schema,
    selector::LabelSelector,
};
use serde_json::{Value, json};

/// The best round, per call; making the inputs and dropping the outputs does not count.
fn time<T, U>(what: &str, calls: u32, mut setup: impl FnMut() -> T, mut f: impl FnMut(T) -> U) {
    let mut best = Duration::MAX;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(500) {
        let inputs: Vec<T> = (0..calls).map(|_| setup()).collect();
        let mut outputs = Vec::with_capacity(inputs.len());
        let start = Instant::now();
        for input in inputs {
            outputs.push(black_box(f(black_box(input))));
        }
        best = best.min(start.elapsed() / calls);
    }
    println!("{what:<60} {best:>12.2?}");
}

/// A pod of about two KiB, as a deployment makes them.
fn manifest() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-6d4b75cb6d-hx2vn",
            "namespace": "default",
            "labels": {"app": "web", "tier": "frontend", "app.kubernetes.io/name": "web", "pod-template-hash": "6d4b75cb6d"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090", "example.com/note": "n".repeat(200)},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4b75cb6d", "uid": "d9607e19-f88f-11e6-a518-42010a800195", "controller": true, "blockOwnerDeletion": true}]
        },
        "spec": {
            "nodeName": "node-17",
            "serviceAccountName": "web",
            "containers": [{
                "name": "web",
                "image": "registry.example.com/team/web:1.27.3",
                "args": ["--listen=:8080", "--metrics=:9090"],
                "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
                "env": [
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "DATABASE", "valueFrom": {"secretKeyRef": {"name": "web", "key": "database"}}},
                    {"name": "LOG_LEVEL", "value": "info"}
                ],
                "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "initialDelaySeconds": 5},
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
                "securityContext": {"runAsNonRoot": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/web"}, {"name": "tmp", "mountPath": "/tmp"}, {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}]
            }, {
                "name": "proxy",
                "image": "envoyproxy/envoy:v1.30.1",
                "ports": [{"name": "admin", "containerPort": 9901}],
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}
            }],
            "volumes": [
                {"name": "config", "configMap": {"name": "web"}},
                {"name": "tmp", "emptyDir": {}},
                {"name": "token", "projected": {"sources": [
                    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}
                ]}}
            ]
        }
    })
}

fn bodies(pod: &Value) {
    let start = Instant::now();
    let table = schema::builtin();
    println!("the table of schemas: {:?}", start.elapsed());
    let schema = table.of("", "v1", "Pod").expect("a Pod is built in");
    let expected = Expected {
        group: "",
        version: "v1",
        kind: "Pod",
        schema,
    };
    let body = pod.to_string();
    time(
        "JSON without a schema",
        50,
        || (),
        |()| serde_json::from_str::<Value>(&body).expect("JSON"),
    );
    let read = |format| {
        move |()| {
            decode::object(body.as_bytes(), format, &expected, FieldValidation::Strict)
                .expect("valid")
        }
    };
    let json = read.clone()(Format::Json);
    time("decode JSON", 50, || (), json);
    time("decode YAML", 50, || (), read(Format::Yaml));
    for kind in [PatchKind::Merge, PatchKind::Strategic] {
        let change = br#"{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"web","image":"x"}]}}"#;
        time(
            &format!("{kind:?} patch"),
            50,
            || (),
            |()| patch(kind, schema, pod, change, FieldValidation::Strict).expect("valid"),
        );
    }
}

fn ownership(pod: &Value, now: SystemTime) {
    let shape = schema::builtin().of("", "v1", "Pod").expect("built in");
    let empty = Value::Object(serde_json::Map::new());
    let target = |subresource| Target {
        api_version: "v1",
        kind: "Pod",
        subresource,
        shape: apply::TypeShape::from(shape),
        empty: &empty,
        reset: Reset::of("", "pods", subresource),
        convert: &|_, _| None,
    };
    let (main, status) = (target(""), target("status"));
    let writer = Writer {
        manager: "kubectl",
        now,
    };
    time(
        "managedFields of a create",
        50,
        || pod.clone(),
        |mut pod| {
            apply::update(&main, &writer, None, &mut pod);
            pod
        },
    );
    let mut old = pod.clone();
    apply::update(&main, &writer, None, &mut old);
    let fields = old["metadata"]["managedFields"].to_string().len();
    println!("managedFields of {fields} bytes");
    let mut new = old.clone();
    new["metadata"]["labels"]["app"] = json!("other");
    time(
        "managedFields of an update of a label",
        50,
        || new.clone(),
        |mut new| {
            apply::update(&main, &writer, Some(&old), &mut new);
            new
        },
    );
    let mut new = old.clone();
    new["status"] = json!({"phase": "Running"});
    time(
        "managedFields of an update of the status",
        50,
        || new.clone(),
        |mut new| {
            apply::update(&status, &writer, Some(&old), &mut new);
            new
        },
    );
    let mut config = manifest();
    config["metadata"]["labels"]["app"] = json!("other");
    time(
        "apply",
        50,
        || (),
        |()| apply::apply(&main, &writer, Some(&old), &config, true).expect("applies"),
    );
    let applied = apply::apply(&main, &writer, Some(&old), &config, true).expect("applies");
    time(
        "apply, of what is applied",
        50,
        || (),
        |()| apply::apply(&main, &writer, Some(&applied), &config, true).expect("applies"),
    );
}

fn main() {
    let pod = manifest();
    println!("a pod of {} bytes", pod.to_string().len());
    let now = SystemTime::now();
    bodies(&pod);
    ownership(&pod, now);
    time(
        "default",
        50,
        || pod.clone(),
        |mut pod| {
            pod::default(&mut pod);
            pod
        },
    );
    let mut full = pod.clone();
    pod::default(&mut full);
    println!("with defaults {} bytes", full.to_string().len());
    time(
        "default, of one that has them",
        50,
        || full.clone(),
        |mut pod| {
            pod::default(&mut pod);
            pod
        },
    );
    time(
        "validate_create",
        50,
        || (),
        |()| {
            assert!(pod::validate_create(black_box(&full)).is_empty());
        },
    );
    time(
        "before_create",
        50,
        || pod.clone(),
        |mut pod| {
            pod::STRATEGY
                .before_create(&mut pod, "u", now, "abcde")
                .expect("valid");
            pod
        },
    );
    let mut old = pod.clone();
    pod::STRATEGY
        .before_create(&mut old, "u", now, "abcde")
        .expect("valid");
    old["metadata"]["resourceVersion"] = json!("7");
    time(
        "before_update",
        50,
        || old.clone(),
        |mut new| {
            pod::STRATEGY.before_update(&mut new, &old).expect("valid");
            new
        },
    );
    ownership(&full, now);
    time("clone, for comparison", 50, || (), |()| old.clone());
    time("drop, for comparison", 50, || old.clone(), drop);
    let bytes = old.to_string();
    time(
        "parse of the JSON, for comparison",
        50,
        || (),
        |()| serde_json::from_str::<Value>(&bytes).expect("JSON"),
    );
    time(
        "label selector, parse",
        50,
        || (),
        |()| LabelSelector::parse("app=web,tier in (frontend,backend),!canary").expect("valid"),
    );

    let network = ServiceNetwork::default();
    let held: RefCell<HashSet<String>> = RefCell::default();
    let service =
        json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let give = |seed| {
        let mut service = service.clone();
        let in_use = |claim: &str| held.borrow().contains(claim);
        allocate(&mut service, None, &network, &in_use, &|_| false, seed).map(|()| service)
    };
    time(
        "allocate, in an empty range",
        50,
        || (),
        |()| give(7).expect("free"),
    );
    for third in 0..=255 {
        for fourth in 0..=255 {
            if held.borrow().len() < 65_000 {
                held.borrow_mut()
                    .insert(format!("ip/10.96.{third}.{fourth}"));
            }
        }
    }
    let mut seed = 0;
    time(
        "allocate, with 65,000 of a /16 in use",
        10,
        || (),
        |()| {
            seed += 1;
            claims(&give(seed).expect("free"))
        },
    );
    for third in 253..=255 {
        for fourth in 0..=255 {
            held.borrow_mut()
                .insert(format!("ip/10.96.{third}.{fourth}"));
        }
    }
    time(
        "allocate, with none of a /16 free",
        1,
        || (),
        |()| {
            assert!(give(7).is_err());
        },
    );
}
