//! What the table of schemas says, and that it is small.

use serde_json::json;

use super::*;

fn container() -> Type<'static> {
    builtin().named("io.k8s.api.core.v1.Container").unwrap()
}

#[test]
fn all_of_kubernetes_1_35_is_there() {
    assert_eq!(builtin().all().count(), 570);
    let fields: usize = builtin()
        .all()
        .map(|(_, schema)| schema.fields().count())
        .sum();
    assert_eq!(fields, 2411);
    assert_eq!(builtin().kinds().count(), 257);
    for (name, schema) in builtin().all() {
        assert_eq!(schema.name(), Some(name));
        for required in schema.required() {
            assert!(schema.field(required).is_some(), "{name}.{required}");
        }
    }
}

#[test]
fn a_kind_is_found_by_group_version_and_kind() {
    let of = |group, version, kind| builtin().of(group, version, kind).and_then(Type::name);
    assert_eq!(of("", "v1", "Pod"), Some("io.k8s.api.core.v1.Pod"));
    assert_eq!(
        of("apps", "v1", "Deployment"),
        Some("io.k8s.api.apps.v1.Deployment")
    );
    assert_eq!(
        of("apps", "v1", "DeleteOptions"),
        Some("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
    );
    assert_eq!(of("apps", "v1", "Pod"), None);
    let pod = builtin().of("", "v1", "Pod").unwrap();
    assert_eq!(
        pod.group_version_kinds().collect::<Vec<_>>(),
        [("", "v1", "Pod")]
    );
}

#[test]
fn a_cursor_follows_fields_items_and_references() {
    let deployment = builtin().of("apps", "v1", "Deployment").unwrap();
    let containers = ["spec", "template", "spec", "containers"]
        .iter()
        .try_fold(deployment, |at, field| at.field(field))
        .unwrap();
    assert_eq!(containers.kind(), Kind::Array);
    assert_eq!(containers.list_type(), Some(ListType::Map));
    assert_eq!(containers.list_keys().collect::<Vec<_>>(), ["name"]);
    assert_eq!(containers.patch_merge_key(), Some("name"));
    assert!(containers.patch_strategy().merge);
    let item = containers.items().unwrap();
    assert_eq!(item.name(), container().name());
    assert_eq!(item.required().collect::<Vec<_>>(), ["name"]);
}

#[test]
fn what_is_said_of_a_type_is_told() {
    let ports = container().field("ports").unwrap();
    assert_eq!(
        ports.list_keys().collect::<Vec<_>>(),
        ["containerPort", "protocol"]
    );
    let port = ports.items().unwrap();
    let number = port.field("containerPort").unwrap();
    assert_eq!(
        (number.kind(), number.format()),
        (Kind::Integer, Some("int32"))
    );
    let protocol = port.field("protocol").unwrap();
    assert_eq!(protocol.default(), Some(&json!("TCP")));
    assert_eq!(
        protocol.enum_values().collect::<Vec<_>>(),
        ["SCTP", "TCP", "UDP"]
    );

    let args = container().field("args").unwrap();
    assert_eq!(args.list_type(), Some(ListType::Atomic));
    assert_eq!(args.items().unwrap().kind(), Kind::String);

    let resources = container().field("resources").unwrap();
    assert_eq!(resources.default(), Some(&json!({})));
    let limits = resources.field("limits").unwrap();
    assert_eq!(limits.kind(), Kind::Map);
    assert_eq!(limits.values().unwrap().kind(), Kind::Quantity);
    assert_eq!(limits.child("cpu").unwrap().kind(), Kind::Quantity);

    let named = |name| builtin().named(name).unwrap();
    let pod = named("io.k8s.api.core.v1.PodSpec");
    assert_eq!(
        pod.field("nodeSelector").unwrap().map_type(),
        Some(MapType::Atomic)
    );
    let retain = pod.field("volumes").unwrap().patch_strategy();
    assert!(retain.merge && retain.retain_keys && !retain.replace);
    let claim = named("io.k8s.api.core.v1.PersistentVolumeSpec")
        .field("claimRef")
        .unwrap();
    assert_eq!(claim.map_type(), Some(MapType::Granular));
    assert_eq!(
        named(claim.name().unwrap()).map_type(),
        Some(MapType::Atomic)
    );
    let budget = named("io.k8s.api.policy.v1.PodDisruptionBudgetSpec");
    assert!(budget.field("selector").unwrap().patch_strategy().replace);
    assert_eq!(
        budget.field("minAvailable").unwrap().kind(),
        Kind::IntOrString
    );
    let secret = builtin().of("", "v1", "Secret").unwrap();
    assert_eq!(
        secret.field("data").unwrap().values().unwrap().format(),
        Some("byte")
    );
    let time = named("io.k8s.apimachinery.pkg.apis.meta.v1.Time");
    assert_eq!(
        (time.kind(), time.format()),
        (Kind::String, Some("date-time"))
    );
    let raw = named("io.k8s.apimachinery.pkg.runtime.RawExtension");
    assert!(raw.preserves_unknown());
    assert!(
        named("io.k8s.api.core.v1.SeccompProfile")
            .unions()
            .is_some()
    );
    assert!(!container().preserves_unknown() && !container().is_custom());
}

#[test]
fn the_table_is_small() {
    let table = builtin();
    let bytes = table.text.len()
        + size_of_val(&*table.nodes)
        + size_of_val(&*table.fields)
        + size_of_val(&*table.words)
        + size_of_val(&*table.named)
        + size_of_val(&*table.kinds)
        + table.values.len() * 200;
    assert!(bytes < 300_000, "{bytes}");
}

fn widgets() -> Schemas {
    let schema = json!({"com.example.v1.Widget": {
        "type": "object",
        "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Widget"}],
        "properties": {
            "metadata": {"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}], "default": {}},
            "spec": {"type": "object", "required": ["size"], "default": {"size": 3}, "properties": {
                "size": {"type": "integer", "format": "int64"},
                "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "port": {"x-kubernetes-int-or-string": true},
                "none": {"type": "string", "nullable": true, "default": "x"},
                "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "string", "default": "w"}}}},
                "more": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/com.example.v1.More"}},
            }},
        },
    }, "com.example.v1.More": {"type": "object", "properties": {"x": {"type": "number", "default": 1.5}}}});
    Schemas::from_openapi(schema.as_object().unwrap()).unwrap()
}

#[test]
fn a_custom_schema_has_the_same_cursors() {
    let table = widgets();
    let widget = table.of("example.com", "v1", "Widget").unwrap();
    assert!(widget.is_custom());
    let metadata = widget.field("metadata").unwrap();
    assert_eq!(
        metadata.name(),
        Some("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    );
    assert!(!metadata.is_custom());
    assert_eq!(metadata.default(), Some(&json!({})));
    assert_eq!(
        metadata.field("labels").unwrap().values().unwrap().kind(),
        Kind::String
    );
    let spec = widget.field("spec").unwrap();
    assert_eq!(spec.field("port").unwrap().kind(), Kind::IntOrString);
    assert!(spec.field("any").unwrap().preserves_unknown());
    assert_eq!(
        spec.field("items").unwrap().list_keys().collect::<Vec<_>>(),
        ["k"]
    );
    let more = spec.field("more").unwrap().values().unwrap();
    assert_eq!(more.field("x").unwrap().kind(), Kind::Number);
    assert!(spec.field("nothing").is_none());
}

#[test]
fn defaults_fill_what_is_there() {
    let table = widgets();
    let widget = table.of("example.com", "v1", "Widget").unwrap();
    for (given, wanted) in [
        (
            json!({"metadata": {}}),
            json!({"metadata": {}, "spec": {"size": 3, "color": "red", "none": "x"}}),
        ),
        (
            json!({"metadata": {}, "spec": {"size": 1, "color": null, "none": null, "items": [{"k": "a"}], "more": {"m": {}}}}),
            json!({"metadata": {}, "spec": {"size": 1, "color": "red", "none": null, "items": [{"k": "a", "v": "w"}], "more": {"m": {"x": 1.5}}}}),
        ),
        (
            json!({"metadata": {}, "spec": 5}),
            json!({"metadata": {}, "spec": 5}),
        ),
    ] {
        let mut value = given;
        for _ in 0..2 {
            defaults(widget, &mut value);
            assert_eq!(value, wanted);
        }
    }
}

#[test]
fn what_is_no_schema_is_refused() {
    let deep = (0..200).fold(
        json!({"type": "string"}),
        |inner, _| json!({"type": "array", "items": inner}),
    );
    for (schema, message) in [
        (json!(5), "A: must be an object"),
        (json!({"type": "thing"}), "A: thing is no type"),
        (
            json!({"$ref": "#/components/schemas/B"}),
            "A: refers to B, which is not known",
        ),
        (
            json!({"$ref": "#/components/schemas/A"}),
            "A: is referred to, and is a reference itself",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "x"}),
            "A: x is no list type",
        ),
        (deep, "items: is nested too deep"),
    ] {
        let schemas = json!({ "A": schema });
        let error = Schemas::from_openapi(schemas.as_object().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn defaults_of_a_schema_that_holds_itself_end() {
    let own = json!({"allOf": [{"$ref": "#/components/schemas/A"}], "default": {}});
    let schemas = json!({"A": {"type": "object", "properties": {"a": own}}});
    let table = Schemas::from_openapi(schemas.as_object().unwrap()).unwrap();
    let mut value = json!({});
    defaults(table.named("A").unwrap(), &mut value);
    assert!(value.pointer(&"/a".repeat(100)).is_some());
}
