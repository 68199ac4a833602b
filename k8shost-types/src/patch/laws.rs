//! The laws that patches keep, on objects drawn at random along the schemas.

use proptest::prelude::*;
use serde_json::json;

use super::{
    tests::{schema, strategic},
    *,
};
use crate::schema::Kind;

/// The strategic patch that makes one object of another.
fn diff(schema: Type<'_>, from: &Object, to: &Object) -> Object {
    let mut patch = Object::new();
    for (name, _) in from.iter().filter(|(name, _)| !to.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, new) in to {
        let Some(field) = schema.child(name) else {
            unreachable!("{name}")
        };
        let strategy = field.patch_strategy();
        let change = match (from.get(name), new) {
            (Some(old), new) if old == new => continue,
            (Some(Value::Object(_)), new @ Value::Object(_))
                if strategy.replace || field.preserves_unknown() =>
            {
                new.clone()
            }
            (Some(Value::Object(old)), Value::Object(new)) => {
                let mut change = diff(field, old, new);
                if strategy.retain_keys {
                    change.insert("$retainKeys".to_owned(), new.keys().cloned().collect());
                }
                Value::Object(change)
            }
            (Some(Value::Array(old)), Value::Array(new)) if strategy.merge => {
                let item = field.items().unwrap();
                let key = field.patch_merge_key();
                let id = |item: &Value| key.map_or(item.clone(), |key| json!({ key: item[key] }));
                let gone = old
                    .iter()
                    .filter(|old| new.iter().all(|new| id(new) != id(old)))
                    .map(id);
                if key.is_none() {
                    patch.insert(
                        format!("$deleteFromPrimitiveList/{name}"),
                        gone.clone().collect(),
                    );
                }
                patch.insert(
                    format!("$setElementOrder/{name}"),
                    new.iter().map(id).collect(),
                );
                let mut changes: Vec<Value> = Vec::new();
                for new in new {
                    match (old.iter().find(|old| id(old) == id(new)), new) {
                        (Some(old), new) if old == new => {}
                        (Some(Value::Object(old)), Value::Object(new_fields)) => {
                            let mut change = diff(item, old, new_fields);
                            change.extend(id(new).as_object().unwrap().clone());
                            if strategy.retain_keys {
                                change.insert(
                                    "$retainKeys".to_owned(),
                                    new_fields.keys().cloned().collect(),
                                );
                            }
                            changes.push(Value::Object(change));
                        }
                        _ => changes.push(new.clone()),
                    }
                }
                if key.is_some() {
                    changes.extend(gone.map(|mut gone| {
                        gone["$patch"] = "delete".into();
                        gone
                    }));
                }
                Value::Array(changes)
            }
            _ => new.clone(),
        };
        patch.insert(name.clone(), change);
    }
    patch
}

/// A merge patch that makes one object of another.
fn merge_diff(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return to.clone();
    };
    let gone = from
        .keys()
        .filter(|name| !to.contains_key(*name))
        .map(|name| (name.clone(), Value::Null));
    let changed = to.iter().filter(|&(name, new)| from.get(name) != Some(new));
    gone.chain(changed.map(|(name, new)| {
        (
            name.clone(),
            merge_diff(from.get(name).unwrap_or(&Value::Null), new),
        )
    }))
    .collect()
}

/// Draws small numbers from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    /// Any value of a type, with few fields and few different scalars, so that two have much in common.
    fn value(&mut self, schema: Type<'_>, depth: usize) -> Value {
        match schema.kind() {
            Kind::Object if !schema.preserves_unknown() => {
                let mut fields = Object::new();
                for (name, field) in schema.fields() {
                    let inner = matches!(field.kind(), Kind::Object | Kind::Array | Kind::Map);
                    if self.below(if inner { 3 } else { 5 }) == 0 && (depth > 0 || !inner) {
                        fields.insert(name.to_owned(), self.value(field, depth.saturating_sub(1)));
                    }
                }
                Value::Object(fields)
            }
            Kind::Map => {
                let values = schema.values().unwrap();
                (0..self.below(3))
                    .map(|_| {
                        (
                            ["a", "b", "c"][self.below(3)].to_owned(),
                            self.value(values, depth.saturating_sub(1)),
                        )
                    })
                    .collect()
            }
            Kind::Array => {
                let item = schema.items().unwrap();
                let mut items: Vec<Value> = Vec::new();
                for _ in 0..self.below(4) {
                    let mut value = self.value(item, depth.saturating_sub(1));
                    if let Some(key) = schema.patch_merge_key() {
                        value[key] = self.value(item.field(key).unwrap(), 0);
                        if items.iter().any(|other| other[key] == value[key]) {
                            continue;
                        }
                    } else if items.contains(&value) {
                        continue;
                    }
                    items.push(value);
                }
                Value::Array(items)
            }
            Kind::String => match schema.format() {
                Some("byte") => json!(["", "YQ=="][self.below(2)]),
                Some("date-time") if schema.name().unwrap().ends_with("MicroTime") => {
                    json!("2026-01-02T03:04:05.000000Z")
                }
                Some("date-time") => json!("2026-01-02T03:04:05Z"),
                _ => json!(["a", "b", "c", "d"][self.below(4)]),
            },
            Kind::Integer | Kind::Number | Kind::IntOrString => json!(self.below(4)),
            Kind::Boolean => json!(self.below(2) == 0),
            Kind::Quantity => json!(["1", "2Gi"][self.below(2)]),
            Kind::Any | Kind::Object => json!({"x": self.below(3)}),
        }
    }
}

const KINDS: [(&str, &str); 8] = [
    ("", "Pod"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("", "Service"),
    ("", "Node"),
    ("", "ServiceAccount"),
    ("policy", "PodDisruptionBudget"),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
    ),
];

fn pair(seed: u64) -> (Type<'static>, Value, Value) {
    let mut draw = Draw(seed);
    let (group, kind) = KINDS[draw.below(KINDS.len())];
    let schema = schema(group, kind);
    let from = draw.value(schema, 7);
    // Half of the time the other one has the same root.
    let to = if draw.below(2) == 0 {
        draw.value(schema, 7)
    } else {
        mutated(&mut draw, schema, &from, 7)
    };
    // As it is stored: without what is empty and may be left out.
    let stored = |value| decode::conform(value, schema).unwrap().value;
    (schema, stored(from), stored(to))
}

/// The value with some parts drawn anew and others gone.
fn mutated(draw: &mut Draw, schema: Type<'_>, value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(fields) if !schema.preserves_unknown() => fields
            .iter()
            .filter_map(|(name, value)| {
                if draw.below(6) == 0 {
                    return None;
                }
                let field = schema.child(name).unwrap();
                Some((
                    name.clone(),
                    mutated(draw, field, value, depth.saturating_sub(1)),
                ))
            })
            .collect(),
        Value::Array(items) if schema.patch_merge_key().is_some() => {
            let key = schema.patch_merge_key().unwrap();
            let item = schema.items().unwrap();
            let mut items: Vec<Value> = items
                .iter()
                .filter_map(|value| {
                    let mut new = mutated(draw, item, value, depth.saturating_sub(1));
                    new[key] = value[key].clone();
                    (draw.below(4) > 0).then_some(new)
                })
                .collect();
            if !items.is_empty() {
                let turn = draw.below(items.len());
                items.rotate_left(turn);
            }
            items.into()
        }
        _ if draw.below(3) == 0 => draw.value(schema, depth),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_strategic_patch_of_a_difference_gives_the_target(seed: u64) {
        let (schema, from, to) = pair(seed);
        let change = Value::Object(diff(schema, from.as_object().unwrap(), to.as_object().unwrap()));
        prop_assert_eq!(strategic(schema, &from, &change).unwrap(), to, "{}", change);
    }

    #[test]
    fn the_merge_patch_of_a_difference_gives_the_target(seed: u64) {
        let (schema, from, to) = pair(seed);
        let change = merge_diff(&from, &to).to_string();
        let patched = patch(PatchKind::Merge, schema, &from, change.as_bytes(), FieldValidation::Strict).unwrap();
        prop_assert_eq!(patched.object, to);
    }

    #[test]
    fn patching_twice_with_the_same_changes_nothing_more(seed: u64) {
        let (schema, from, change) = pair(seed);
        let body = change.to_string();
        for kind in [PatchKind::Merge, PatchKind::Strategic] {
            let apply = |value| patch(kind, schema, value, body.as_bytes(), FieldValidation::Strict).unwrap().object;
            let once = apply(&from);
            prop_assert_eq!(apply(&once), once);
        }
    }

    #[test]
    fn an_empty_patch_changes_nothing(seed: u64) {
        let (schema, from, _) = pair(seed);
        for (kind, body) in [(PatchKind::Json, "[]"), (PatchKind::Merge, "{}"), (PatchKind::Strategic, "{}")] {
            let patched = patch(kind, schema, &from, body.as_bytes(), FieldValidation::Strict).unwrap();
            prop_assert_eq!(&patched.object, &from);
        }
    }

    #[test]
    fn no_patch_panics(
        seed: u64,
        body: Vec<u8>,
        words in prop::collection::vec((
            prop::sample::select(vec!["containers", "$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "finalizers", "labels", "$setElementOrder/x", "volumes"]),
            prop::sample::select(vec![json!(null), json!("replace"), json!("delete"), json!(["name"]), json!([{"name": "a"}, {"name": "a", "$patch": "delete"}]), json!([{"$patch": "replace"}, null]), json!([[1]]), json!({"$patch": 5}), json!([1, "a"])]),
        ), 0..6),
        ops in prop::collection::vec((prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]), "(/(spec|metadata|containers|0|-|a)){0,4}", "(/(spec|metadata|containers|0|a)){0,4}"), 0..6),
    ) {
        let (schema, from, _) = pair(seed);
        let change: Object = words.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let change = json!({"spec": change, "metadata": change, "x": change}).to_string();
        let ops: Vec<Value> = ops.into_iter().map(|(op, path, from)| json!({"op": op, "path": path, "from": from, "value": [1]})).collect();
        let ops = Value::from(ops).to_string();
        for kind in [PatchKind::Json, PatchKind::Merge, PatchKind::Strategic] {
            for body in [&body[..], change.as_bytes(), ops.as_bytes()] {
                let _ = patch(kind, schema, &from, body, FieldValidation::Strict);
            }
        }
    }
}
