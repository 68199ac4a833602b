//! Who owns what after writes of many, in many versions and ways.

use std::time::SystemTime;

use k8shost_types::{
    Error,
    apply::{self, Managed, Reset, Target, TypeShape, Writer, from_scale, manager_name, to_scale},
    schema,
};
use serde_json::{Value, json};

use crate::support::{CONFIG_MAP, DEPLOYMENT, Live};

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

#[test]
fn an_eleventh_writer_makes_the_oldest_ancient() {
    let mut live = Live::new(CONFIG_MAP);
    live.put("m0", "", map(json!({"k0": "v"})));
    for i in 1..10 {
        live.edit(&format!("m{i}"), "", |new| {
            new["data"][format!("k{i}")] = json!("v");
        });
    }
    assert_eq!(live.managed().len(), 10);
    assert_eq!(live.managed()[0].0, "m0 Update @01");
    for (i, ancient) in [
        (10, r#"{"f:data":{".":{},"f:k0":{},"f:k1":{}}}"#),
        (11, r#"{"f:data":{".":{},"f:k0":{},"f:k1":{},"f:k2":{}}}"#),
    ] {
        live.edit(&format!("m{i}"), "", |new| {
            new["data"][format!("k{i}")] = json!("v");
        });
        let managed = live.managed();
        assert_eq!(managed.len(), 10);
        // It has the time of the newest that it holds.
        let time = format!("ancient-changes Update @{:02}", i - 8);
        assert_eq!(managed[0], (time, ancient.to_owned()));
        assert_eq!(managed[9].0, format!("m{i} Update @{}", i + 1));
    }
    // Appliers are not counted.
    live.apply("a", &map(json!({"a": "1"})), false)
        .expect("applies");
    assert_eq!(live.managed().len(), 11);
}

#[test]
fn managed_fields_that_a_client_sends() {
    let mut live = Live::new(CONFIG_MAP);
    live.put("m", "", map(json!({"k": "v"})));
    let own = r#"{"f:data":{".":{},"f:k":{}}}"#;
    // Left out, or not to be read: those of the old object hold, and no write was made.
    for sent in [
        Value::Null,
        json!("x"),
        json!([{"manager": "x"}]),
        json!([{"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"bad": {}}}]),
    ] {
        live.edit("n", "", |new| new["metadata"]["managedFields"] = sent);
        live.assert_managed(&[("m Update @01", own)]);
    }
    // One who reads them may write them.
    live.edit("n", "", |new| {
        new["metadata"]["managedFields"][0]["manager"] = json!("other");
    });
    live.assert_managed(&[("other Update @01", own)]);
    for wiped in [json!([]), json!([{}])] {
        let mut live = Live::new(CONFIG_MAP);
        live.put("m", "", map(json!({"k": "v"})));
        live.edit("n", "", |new| {
            new["metadata"]["managedFields"] = wiped.clone();
            new["data"]["l"] = json!("w");
        });
        assert_eq!(live.get()["metadata"].get("managedFields"), None);
        // On create there is nothing to wipe.
        let mut live = Live::new(CONFIG_MAP);
        let mut new = map(json!({"k": "v"}));
        new["metadata"]["managedFields"] = wiped;
        live.put("m", "", new);
        live.assert_managed(&[("m Update @01", own)]);
    }
}

#[test]
fn only_a_change_has_a_new_time() {
    let mut live = Live::new(CONFIG_MAP);
    live.put("m", "", map(json!({"k": "v", "l": "w"})));
    live.edit("m", "", |_| {});
    let both = r#"{"f:data":{".":{},"f:k":{},"f:l":{}}}"#;
    live.assert_managed(&[("m Update @01", both)]);
    // Who takes away owns nothing by it, and sets nothing.
    live.edit("n", "", |new| new["data"] = json!({"k": "v"}));
    let one = r#"{"f:data":{".":{},"f:k":{}}}"#;
    live.assert_managed(&[("m Update @01", one)]);
    live.edit("m", "", |new| new["data"]["k"] = json!("x"));
    live.assert_managed(&[("m Update @04", one)]);
    // Who changes what another one owns has it then, alone; what held it is the other's still.
    live.edit("n", "", |new| new["data"]["k"] = json!("y"));
    live.assert_managed(&[
        ("m Update @04", r#"{"f:data":{}}"#),
        ("n Update @05", r#"{"f:data":{"f:k":{}}}"#),
    ]);
}

#[test]
fn times_of_a_write_that_changes_nothing_are_the_old_ones() {
    let object = |time: &str, data: &str| json!({"metadata": {"name": "c", "managedFields": [{"manager": "m", "time": time}]}, "data": data});
    let old = object("1", "x");
    let mut new = object("2", "x");
    apply::keep_times(&mut new, &old);
    assert_eq!(new, old);
    let mut new = object("2", "y");
    apply::keep_times(&mut new, &old);
    assert_eq!(new, object("2", "y"));
    let mut new = object("2", "x");
    new["metadata"]["managedFields"][0]["manager"] = json!("n");
    let same = new.clone();
    apply::keep_times(&mut new, &old);
    assert_eq!(new, same);
}

#[test]
fn conflicts_with_many() {
    let mut live = Live::new(CONFIG_MAP);
    live.apply("b", &map(json!({"x": "1", "y": "1"})), false)
        .expect("creates");
    live.edit("a", "", |new| new["data"]["z"] = json!("1"));
    let error = live
        .apply(
            "c",
            &map(json!({"x": "2", "y": "2", "z": "2", "n": "2"})),
            false,
        )
        .expect_err("conflicts");
    assert_eq!(
        error.message,
        "Apply failed with 3 conflicts: conflicts with \"a\" using v1:\n- .data.z\nconflicts with \"b\":\n- .data.x\n- .data.y"
    );
    let causes: Vec<&str> = error.fields.iter().map(|cause| &*cause.field).collect();
    assert_eq!(causes, [".data.z", ".data.x", ".data.y"]);
    // The same name by update is another manager.
    let error = live
        .apply("a", &map(json!({"z": "2"})), false)
        .expect_err("a conflict");
    assert!(
        error.message.contains("\"a\" using v1"),
        "{}",
        error.message
    );
    live.apply("a", &map(json!({"z": "1"})), false)
        .expect("shares with itself");
    assert_eq!(live.managed().len(), 3);
}

#[test]
fn kubectl_s_way_from_client_side_to_server_side_apply() {
    const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let mut live = Live::new(CONFIG_MAP);
    let applied = map(json!({"x": "1", "y": "1"}));
    let mut object = applied.clone();
    object["metadata"]["annotations"] = json!({LAST: applied.to_string()});
    live.put("kubectl-client-side-apply", "", object);
    live.edit("editor", "", |new| new["data"]["y"] = json!("2"));

    // x is as it was applied last, y is not.
    let next = map(json!({"x": "3", "y": "3"}));
    assert!(live.apply("other", &next, false).is_err());
    let error = live.apply("kubectl", &next, false).expect_err("a conflict");
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.y"
    );
    let next = map(json!({"x": "3"}));
    live.apply("kubectl", &next, false).expect("is its own");
    assert_eq!(live.get()["data"], json!({"x": "3", "y": "2"}));
    let last = live.get()["metadata"]["annotations"][LAST].as_str();
    assert_eq!(last, Some(format!("{next}\n").as_str()));
}

#[test]
fn managers_by_name() {
    for (manager, agent, expected) in [
        ("m", "kubectl/v1.35", "m"),
        ("", "kubectl/v1.35 (linux/amd64)", "kubectl"),
        ("", "curl\u{7}x", "curlx"),
        ("", "", ""),
    ] {
        assert_eq!(manager_name(manager, agent), expected);
    }
    assert_eq!(manager_name("", &"é".repeat(100)), "é".repeat(64));
    let mut live = Live::new(CONFIG_MAP);
    live.put("", "", map(json!({"k": "v"})));
    assert_eq!(live.managed()[0].0, "unknown Update @01");
}

#[test]
fn what_an_endpoint_resets() {
    let mut live = Live::new(DEPLOYMENT);
    let new = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"a": "b"}},
        "spec": {"replicas": 1}, "status": {"replicas": 1},
    });
    live.put("m", "", new);
    let main = r#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:replicas":{}}}"#;
    live.assert_managed(&[("m Update @01", main)]);
    // A deployment's status takes no labels; the replicas are the main resource's.
    live.edit("m", "status", |new| {
        new["metadata"]["labels"]["a"] = json!("c");
        new["spec"]["replicas"] = json!(2);
        new["status"]["replicas"] = json!(2);
    });
    live.assert_managed(&[
        ("m Update @01", main),
        ("m Update status @02", r#"{"f:status":{"f:replicas":{}}}"#),
    ]);
}

#[test]
fn a_pod_s_resize_owns_resources_only() {
    let mut live = Live::new(crate::support::POD);
    let resources = |cpu: &str| json!({"requests": {"cpu": cpu}});
    live.put(
        "m",
        "",
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": resources("1")}]}}),
    );
    live.edit("vpa", "resize", |new| {
        new["spec"]["containers"][0]["image"] = json!("j");
        new["spec"]["containers"][0]["resources"] = resources("2");
    });
    assert_eq!(
        live.managed()[1],
        (
            "vpa Update resize @02".to_owned(),
            r#"{"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{"f:resources":{"f:requests":{"f:cpu":{}}}}}}}"#.to_owned()
        )
    );
}

#[test]
fn scale_takes_the_replicas() {
    let replicas = |version: &str| -> Option<&'static [&'static str]> {
        (version == "apps/v1").then_some(&["spec", "replicas"])
    };
    let entry = |manager: &str, operation: &str, subresource: &str, fields: Value| {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "subresource": subresource,
            "time": "2026-01-02T03:04:05Z", "fieldsType": "FieldsV1", "fieldsV1": fields})
    };
    let owns = json!({"f:spec": {"f:replicas": {}, "f:paused": {}}});
    let parent = json!([
        entry("one", "Apply", "", owns.clone()),
        entry("two", "Apply", "", json!({"f:spec": {"f:paused": {}}})),
        entry("edit", "Update", "", owns),
    ]);
    let parent = Managed::from_value(&parent).expect("is read");
    let scale = to_scale(&parent, &replicas);
    let names: Vec<&str> = scale.0.iter().map(|entry| &*entry.manager).collect();
    assert_eq!(names, ["one", "edit"]);
    assert!(
        scale
            .0
            .iter()
            .all(|entry| entry.api_version == "autoscaling/v1")
    );

    // A write of the scale by another manager leaves its own entry only.
    let written = json!([{"manager": "hpa", "operation": "Update", "apiVersion": "autoscaling/v1", "subresource": "scale",
        "time": "2026-01-02T03:04:06Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
    let written = Managed::from_value(&written).expect("is read");
    let result = from_scale(&parent, &written, "apps/v1", &replicas).to_value();
    let shown: Vec<(&Value, &Value, bool, String)> = result
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            let fields = entry["fieldsV1"]["f:spec"].to_string();
            let time = entry.get("time").is_some();
            (&entry["manager"], &entry["apiVersion"], time, fields)
        })
        .collect();
    let version = json!("apps/v1");
    let paused = r#"{"f:paused":{}}"#.to_owned();
    assert_eq!(
        shown,
        [
            (&json!("one"), &version, true, paused.clone()),
            (&json!("two"), &version, true, paused.clone()),
            (
                &json!("hpa"),
                &version,
                false,
                r#"{"f:replicas":{}}"#.to_owned()
            ),
            (&json!("edit"), &version, true, paused),
        ]
    );
}

/// The versions of a HorizontalPodAutoscaler have different fields for the same thing.
#[test]
fn managers_of_different_versions() {
    let v1 = |cpu: i64| json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": cpu}});
    let to_v2 = |object: &Value| {
        let mut object = object.clone();
        if let Some(cpu) = object["spec"]
            .as_object_mut()?
            .remove("targetCPUUtilizationPercentage")
        {
            object["spec"]["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": cpu}}}]);
        }
        object["apiVersion"] = json!("autoscaling/v2");
        Some(object)
    };
    let to_v1 = |object: &Value| {
        let mut object = object.clone();
        if let Some(metrics) = object["spec"].as_object_mut()?.remove("metrics") {
            object["spec"]["targetCPUUtilizationPercentage"] =
                metrics[0]["resource"]["target"]["averageUtilization"].clone();
        }
        object["apiVersion"] = json!("autoscaling/v1");
        Some(object)
    };
    let shape = |version: &str| {
        let of = schema::builtin().of("autoscaling", version, "HorizontalPodAutoscaler");
        of.map(TypeShape::from)
    };
    let convert = |object: &Value, version: &str| match version {
        "autoscaling/v1" => Some((to_v1(object)?, shape("v1")?)),
        "autoscaling/v2" => Some((to_v2(object)?, shape("v2")?)),
        _ => None,
    };
    let apply = |version: &str, manager: &str, live: Option<&Value>, config: &Value, force| {
        let (_, short) = version.split_once('/').expect("a group");
        let target = Target {
            api_version: version,
            kind: "HorizontalPodAutoscaler",
            subresource: "",
            shape: shape(short).expect("a built-in kind"),
            empty: &crate::support::NOTHING,
            reset: Reset::of("autoscaling", "horizontalpodautoscalers", ""),
            convert: &convert,
        };
        let writer = Writer {
            manager,
            now: SystemTime::UNIX_EPOCH,
        };
        apply::apply(&target, &writer, live, config, force).map_err(Error::from)
    };
    let live = apply("autoscaling/v1", "one", None, &v1(50), false).expect("creates");
    let live = to_v2(&live).expect("converts");
    let mut two = to_v2(&v1(60)).expect("converts");
    let error = apply("autoscaling/v2", "two", Some(&live), &two, false).expect_err("conflicts");
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"one\": .spec.targetCPUUtilizationPercentage"
    );
    let live = apply("autoscaling/v2", "two", Some(&live), &two, true).expect("is forced");
    let managed = Managed::of(&live);
    let versions: Vec<(&str, &str, usize)> = managed
        .0
        .iter()
        .map(|entry| (&*entry.manager, &*entry.api_version, entry.fields.len()))
        .collect();
    assert_eq!(
        versions,
        [("one", "autoscaling/v1", 1), ("two", "autoscaling/v2", 2)]
    );
    // An applier is the same in every version: what it applied in v1 goes when it applies v2 without.
    let taken = to_v2(&v1(70)).expect("converts");
    let live = apply("autoscaling/v2", "one", Some(&live), &taken, true).expect("is forced");
    two["spec"]
        .as_object_mut()
        .expect("an object")
        .remove("metrics");
    let live = apply(
        "autoscaling/v1",
        "one",
        Some(&to_v1(&live).expect("converts")),
        &to_v1(&two).expect("converts"),
        false,
    )
    .expect("gives up the metrics");
    assert_eq!(live["spec"], json!({"maxReplicas": 3}));
    // Entries of a version that there is no more go with the next write.
    let mut live = live;
    live["metadata"]["managedFields"][0]["apiVersion"] = json!("autoscaling/v0");
    let live = apply("autoscaling/v1", "three", Some(&live), &v1(1), true).expect("is forced");
    assert!(
        Managed::of(&live)
            .0
            .iter()
            .all(|entry| entry.api_version != "autoscaling/v0")
    );
}

#[test]
fn the_stored_form_is_not_taken_from_a_client() {
    let mut live = Live::new(CONFIG_MAP);
    let sent = json!({
        "metadata": {"name": "c", "managedFields": [{
            "manager": "x", "operation": "Update", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": "H(I)",
        }]},
        "data": {"k": "v"},
    });
    live.put("m", "", sent);
    live.assert_managed(&[("m Update @01", r#"{"f:data":{".":{},"f:k":{}}}"#)]);
}
