//! Arbitrary objects, as Kubernetes' own types write them, come back unchanged from messages.

use std::collections::HashMap;
use std::fmt::Debug;

use k8s_openapi::api::core::v1 as kubernetes;
use k8shost_proto::{Resource, v1};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::schema::{Schema, Type, schema};

/// Makes strategies from the schema.
struct Strategies<'a> {
    schema: &'a Schema,
    /// How likely a property is there that need not be.
    density: f64,
    made: HashMap<&'a str, BoxedStrategy<Value>>,
}

impl<'a> Strategies<'a> {
    fn new(schema: &'a Schema, density: f64) -> Self {
        Self {
            schema,
            density,
            made: HashMap::new(),
        }
    }

    fn of(&mut self, text: &'a str) -> BoxedStrategy<Value> {
        let full = self.density == 1.0;
        let size = if full { 1..2 } else { 0..3 };
        match Type::of(text) {
            Type::List(item) => vec(self.one(item), size).prop_map(Value::from).boxed(),
            Type::Map(value) => btree_map(string(), self.one(value), size)
                .prop_map(|entries| Value::from(Map::from_iter(entries)))
                .boxed(),
            Type::One(name) => self.one(name),
        }
    }

    fn one(&mut self, name: &'a str) -> BoxedStrategy<Value> {
        if let Some(made) = self.made.get(name) {
            return made.clone();
        }
        let strategy = match name {
            "string" => string().prop_map(Value::from).boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            "int32" => any::<i32>().prop_map(Value::from).boxed(),
            "int64" => any::<i64>().prop_map(Value::from).boxed(),
            "Quantity" => "[0-9]{1,4}(\\.[0-9]{1,3})?(m|k|Mi|Gi|e3)?"
                .prop_map(Value::from)
                .boxed(),
            "IntOrString" => prop_oneof![
                any::<i32>().prop_map(Value::from),
                string().prop_map(Value::from)
            ]
            .boxed(),
            "Time" => time().boxed(),
            "FieldsV1" => fields().boxed(),
            _ => self.object(name),
        };
        self.made.insert(name, strategy.clone());
        strategy
    }

    fn object(&mut self, name: &'a str) -> BoxedStrategy<Value> {
        let definition = &self.schema[name];
        let properties: Vec<BoxedStrategy<Option<(String, Value)>>> = definition
            .properties
            .iter()
            .map(|(property, text)| {
                let property = property.clone();
                let required = definition.required.contains(property.as_str());
                let entry = self
                    .of(text)
                    .prop_map(move |value| (property.clone(), value));
                match self.density {
                    density if density < 1.0 && !required => {
                        proptest::option::weighted(density, entry).boxed()
                    }
                    _ => entry.prop_map(Some).boxed(),
                }
            })
            .collect();
        properties
            .prop_map(|entries| Value::from(Map::from_iter(entries.into_iter().flatten())))
            .boxed()
    }
}

/// Arbitrary objects of a kind.
fn objects(schema: &Schema, kind: &'static str, density: f64) -> impl Strategy<Value = Value> {
    Strategies::new(schema, density)
        .object(kind)
        .prop_map(move |mut object| {
            // Kubernetes' types accept no others.
            object["apiVersion"] = "v1".into();
            object["kind"] = kind.into();
            object
        })
}

fn string() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,8}",
        any::<String>().prop_map(|s| s.chars().take(12).collect())
    ]
}

fn time() -> impl Strategy<Value = Value> {
    (1..=9999, 1..=12, 1..=28, 0..24, 0..60, 0..60).prop_map(
        |(year, month, day, hour, minute, second)| {
            Value::from(format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
            ))
        },
    )
}

fn fields() -> impl Strategy<Value = Value> {
    let leaf = Union::new([
        Just(json!({})),
        Just(json!([])),
        Just(json!(-7)),
        Just(json!(0.5)),
        Just(json!("t")),
        Just(json!(true)),
    ]);
    let object = |inner| {
        btree_map(string(), inner, 0..3).prop_map(|entries| Value::from(Map::from_iter(entries)))
    };
    object(leaf.prop_recursive(3, 12, 3, object).boxed())
}

/// Drops what equals absence in Kubernetes: `null`, empty lists, and empty maps. An empty object is
/// something else: it says that the object is there.
fn without_empty(value: &Value, text: &str, schema: &Schema) -> Value {
    match (value, Type::of(text)) {
        (Value::Array(items), Type::List(item)) => items
            .iter()
            .map(|value| without_empty(value, item, schema))
            .collect(),
        (Value::Object(entries), Type::One(name)) if schema.contains_key(name) => {
            let present = entries.iter().filter_map(|(key, value)| {
                let text = &schema[name].properties[key];
                let empty = match (value, Type::of(text)) {
                    (Value::Null, _) => true,
                    (Value::Array(items), _) => items.is_empty(),
                    (Value::Object(entries), Type::Map(_)) => entries.is_empty(),
                    _ => false,
                };
                (!empty).then(|| (key.clone(), without_empty(value, text, schema)))
            });
            Value::from(Map::from_iter(present))
        }
        _ => value.clone(),
    }
}

/// Checks one object: JSON as Kubernetes' types write it → message → bytes → message → JSON.
fn check<K, T>(object: Value, schema: &Schema) -> Result<(), TestCaseError>
where
    K: Serialize + DeserializeOwned,
    T: Resource + Debug,
{
    let read: K = serde_json::from_value(object).unwrap();
    let before = serde_json::to_string(&read).unwrap();
    let message: T = serde_json::from_str(&before).unwrap();
    let decoded = T::decode(message.encode_to_vec().as_slice()).unwrap();
    prop_assert_eq!(&decoded, &message);
    let after = decoded.to_json().unwrap();

    let before: Value = serde_json::from_str(&before).unwrap();
    let after_value: Value = serde_json::from_slice(&after).unwrap();
    prop_assert_eq!(&after_value, &without_empty(&before, T::KIND, schema));
    // The text is sorted, as that of a sorted map is, and Kubernetes' types read it.
    prop_assert_eq!(
        String::from_utf8(after.clone()).unwrap(),
        after_value.to_string()
    );
    let again: K = serde_json::from_slice(&after).unwrap();
    let again = serde_json::to_value(&again).unwrap();
    prop_assert_eq!(without_empty(&again, T::KIND, schema), after_value);
    Ok(())
}

fn check_many<K, T>(density: f64, cases: u32)
where
    K: Serialize + DeserializeOwned,
    T: Resource + Debug,
{
    let schema = schema();
    let objects = objects(&schema, T::KIND, density);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&objects, |object| check::<K, T>(object, &schema))
        .unwrap();
}

fn check_kind<K, T>()
where
    K: Serialize + DeserializeOwned,
    T: Resource + Debug,
{
    check_many::<K, T>(0.1, 1024);
    check_many::<K, T>(0.3, 512);
    // Everything is there.
    check_many::<K, T>(1.0, 32);
}

#[test]
fn pods_come_back_unchanged() {
    check_kind::<kubernetes::Pod, v1::Pod>();
}

#[test]
fn services_come_back_unchanged() {
    check_kind::<kubernetes::Service, v1::Service>();
}

#[test]
fn nodes_come_back_unchanged() {
    check_kind::<kubernetes::Node, v1::Node>();
}

#[test]
fn namespaces_come_back_unchanged() {
    check_kind::<kubernetes::Namespace, v1::Namespace>();
}

#[test]
fn kubernetes_types_know_all_of_the_schema() {
    fn assert_known<K: Serialize + DeserializeOwned>(kind: &'static str) {
        let (schema, mut runner) = (schema(), TestRunner::deterministic());
        let object = objects(&schema, kind, 1.0).new_tree(&mut runner);
        let object = object.unwrap().current();
        let read: K = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), object);
    }
    assert_known::<kubernetes::Pod>("Pod");
    assert_known::<kubernetes::Service>("Service");
    assert_known::<kubernetes::Node>("Node");
    assert_known::<kubernetes::Namespace>("Namespace");
}
