//! Kinds that are made at run time: defaults, rules, status and generation, by their schema.

use std::time::SystemTime;

use k8shost_types::{
    Error, Reason, Strategy,
    custom::Custom,
    kinds::{CUSTOM_VERBS, Kind, Subresource, UPDATE_VERBS},
    table::custom::CustomColumns,
};
use serde_json::{Value, json};

fn kind(subresources: Vec<Subresource>) -> Kind {
    Kind {
        group: "w.example.com".into(),
        version: "v1".into(),
        kind: "Widget".into(),
        list_kind: "WidgetList".into(),
        plural: "widgets".into(),
        singular: "widget".into(),
        namespaced: true,
        short_names: vec!["wd".into()].into(),
        categories: vec!["all".into()].into(),
        verbs: CUSTOM_VERBS,
        subresources: subresources.into(),
        custom: true,
    }
}

fn status() -> Subresource {
    Subresource {
        name: "status".into(),
        group: "".into(),
        version: "".into(),
        kind: "Widget".into(),
        verbs: UPDATE_VERBS,
    }
}

fn strategy(subresources: Vec<Subresource>) -> Strategy {
    let schema = json!({
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 0, "maximum": 20},
                    "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                    "replicas": {"type": "integer", "default": 1},
                    "name": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
                    "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": true, "multipleOf": 0.5},
                    "level": {"type": "integer", "enum": [1, 2]},
                    "port": {"x-kubernetes-int-or-string": true},
                    "none": {"type": "string", "nullable": true},
                    "on": {"type": "boolean"},
                    "tags": {"type": "array", "minItems": 1, "maxItems": 2,
                        "items": {"type": "string", "maxLength": 3}, "x-kubernetes-list-type": "set"},
                    "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                        "items": {"type": "object", "required": ["k"], "properties": {
                            "k": {"type": "string"}, "v": {"type": "string", "default": "x", "maxLength": 1}}}},
                    "limits": {"type": "object", "maxProperties": 1,
                        "additionalProperties": {"type": "integer", "maximum": 5}},
                    "template": {"type": "object", "x-kubernetes-embedded-resource": true,
                        "x-kubernetes-preserve-unknown-fields": true},
                },
            },
            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
        },
    });
    let custom = Custom::new(kind(subresources), &schema, CustomColumns::age());
    custom.expect("a schema that can be read").strategy()
}

fn create(rules: &Strategy, spec: Value) -> Result<Value, Error> {
    let mut object = json!({"metadata": {"name": "a", "namespace": "n"}, "spec": spec, "status": {"ready": true}});
    rules.before_create(&mut object, "u", SystemTime::UNIX_EPOCH, "")?;
    object["metadata"]["resourceVersion"] = json!("7");
    Ok(object)
}

#[test]
fn what_is_not_set_gets_its_default_and_a_null_goes() {
    let rules = strategy(vec![status()]);
    let given = json!({"size": 5, "on": null, "none": null, "color": null, "items": [{"k": "a"}]});
    let made = create(&rules, given).unwrap();
    assert_eq!(
        made["spec"],
        json!({"size": 5, "color": "red", "replicas": 1, "none": null, "items": [{"k": "a", "v": "x"}]})
    );
    assert_eq!(made["apiVersion"], "w.example.com/v1");
    assert_eq!(made["kind"], "Widget");
    assert_eq!(made["metadata"]["generation"], 1);
    assert!(made.get("status").is_none(), "{made}");
    let mut again = made.clone();
    rules.complete(&mut again).unwrap();
    assert_eq!(again, made);
    // Without a subresource the status is a field like others.
    let made = create(&strategy(vec![]), json!({"size": 5})).unwrap();
    assert_eq!(made["status"]["ready"], true);
}

#[test]
fn an_object_that_breaks_its_schema_is_refused_in_kubernetes_words() {
    let rules = strategy(vec![status()]);
    for (spec, words) in [
        (json!({}), "spec.size: Required value"),
        (
            json!({"size": "big"}),
            r#"spec.size: Invalid value: "string": spec.size in body must be of type integer: "string""#,
        ),
        (
            json!({"size": 1.5}),
            r#"spec.size: Invalid value: "number": spec.size in body must be of type integer: "number""#,
        ),
        (
            json!({"size": 50}),
            "spec.size: Invalid value: 50: spec.size in body should be less than or equal to 20",
        ),
        (
            json!({"size": -1}),
            "spec.size: Invalid value: -1: spec.size in body should be greater than or equal to 0",
        ),
        (
            json!({"size": 1, "ratio": 0}),
            "spec.ratio: Invalid value: 0: spec.ratio in body should be greater than 0",
        ),
        (
            json!({"size": 1, "ratio": 0.7}),
            "spec.ratio: Invalid value: 0.7: spec.ratio in body should be a multiple of 0.5",
        ),
        (
            json!({"size": 1, "color": "green"}),
            r#"spec.color: Unsupported value: "green": supported values: "red", "blue""#,
        ),
        (
            json!({"size": 1, "level": 3}),
            r#"spec.level: Unsupported value: 3: supported values: "1", "2""#,
        ),
        (
            json!({"size": 1, "name": "a"}),
            r#"spec.name: Invalid value: "a": spec.name in body should be at least 2 chars long"#,
        ),
        (
            json!({"size": 1, "name": "abcde"}),
            "spec.name: Too long: may not be more than 4 bytes",
        ),
        (
            json!({"size": 1, "name": "A1"}),
            r#"spec.name: Invalid value: "A1": spec.name in body should match '^[a-z]+$'"#,
        ),
        (
            json!({"size": 1, "port": true}),
            r#"spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean""#,
        ),
        (
            json!({"size": 1, "tags": []}),
            "spec.tags: Invalid value: 0: spec.tags in body should have at least 1 items",
        ),
        (
            json!({"size": 1, "tags": ["a", "b", "c"]}),
            "spec.tags: Too many: 3: must have at most 2 items",
        ),
        (
            json!({"size": 1, "tags": ["a", "long"]}),
            "spec.tags[1]: Too long: may not be more than 3 bytes",
        ),
        (
            json!({"size": 1, "tags": ["a", "a"]}),
            r#"spec.tags[1]: Duplicate value: "a""#,
        ),
        (
            json!({"size": 1, "items": [{"k": "a"}, {"k": "a", "v": "y"}]}),
            r#"spec.items[1]: Duplicate value: {"k":"a"}"#,
        ),
        (
            json!({"size": 1, "items": [{}]}),
            "spec.items[0].k: Required value",
        ),
        (
            json!({"size": 1, "limits": {"cpu": 7}}),
            "spec.limits.cpu: Invalid value: 7: spec.limits.cpu in body should be less than or equal to 5",
        ),
        (
            json!({"size": 1, "limits": {"a": 1, "b": 1}}),
            "spec.limits: Too many: 2: must have at most 1 item",
        ),
        (
            json!({"size": 1, "template": {"apiVersion": "v1"}}),
            "spec.template.kind: Required value: must not be empty",
        ),
    ] {
        let error = create(&rules, spec).unwrap_err();
        assert_eq!(error.reason, Reason::Invalid);
        let expected = format!("Widget.w.example.com \"a\" is invalid: {words}");
        assert_eq!(error.message, expected);
    }
    for spec in [
        json!({"size": 5.0, "ratio": 1.5, "port": "http", "name": "abc", "level": 2}),
        json!({"size": 20, "port": 8080, "limits": {"cpu": 5}, "tags": ["abc"]}),
        json!({"size": 0, "template": {"apiVersion": "v1", "kind": "Pod", "spec": {}}}),
    ] {
        assert!(create(&rules, spec.clone()).is_ok(), "{spec}");
    }
}

#[test]
fn an_update_counts_generations_and_leaves_the_status() {
    let rules = strategy(vec![status()]);
    let old = create(&rules, json!({"size": 5})).unwrap();
    let mut new = old.clone();
    new["status"] = json!({"ready": true});
    new["metadata"]["labels"] = json!({"a": "b"});
    rules.before_update(&mut new, &old).unwrap();
    assert!(new.get("status").is_none());
    assert_eq!(new["metadata"]["generation"], 1);
    assert_eq!(new["metadata"]["labels"], json!({"a": "b"}));
    new["spec"]["size"] = json!(6);
    rules.before_update(&mut new, &old).unwrap();
    assert_eq!(new["metadata"]["generation"], 2);

    let mut reported = new.clone();
    reported["status"] = json!({"ready": true});
    reported["spec"]["size"] = json!(9);
    reported["metadata"]["labels"] = json!({});
    rules.before_status_update(&mut reported, &new).unwrap();
    assert_eq!(reported["status"], json!({"ready": true}));
    assert_eq!(reported["spec"], new["spec"]);
    assert_eq!(reported["metadata"], new["metadata"]);
    reported["status"]["ready"] = json!("yes");
    let error = rules.before_status_update(&mut reported, &new).unwrap_err();
    assert!(error.message.contains("must be of type boolean"), "{error}");
}

#[test]
fn what_was_wrong_before_the_rules_were_may_stay_as_it_is() {
    let rules = strategy(vec![status()]);
    let mut old = create(
        &rules,
        json!({"size": 5, "items": [{"k": "a"}, {"k": "b"}]}),
    )
    .unwrap();
    old["spec"]["size"] = json!(50);
    old["spec"]["items"][1]["v"] = json!("long");
    old["spec"]["tags"] = json!(["a", "a"]);
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(2);
    new["spec"]["items"] = json!([{"k": "b", "v": "long"}, {"k": "a"}]);
    rules.before_update(&mut new, &old).unwrap();
    new["spec"]["items"][0]["v"] = json!("longer");
    let error = rules.before_update(&mut new, &old).unwrap_err();
    assert_eq!(error.fields.len(), 1, "{error}");
    assert_eq!(error.fields[0].field, "spec.items[0].v");
}

#[test]
fn a_schema_that_cannot_be_read_makes_no_kind() {
    for schema in [
        json!({"type": "thing"}),
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
        json!([]),
    ] {
        let made = Custom::new(kind(vec![]), &schema, CustomColumns::age());
        assert!(made.is_err(), "{schema}");
    }
}
