//! Merging a configuration into an object, and taking fields out of one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    DEEPEST,
    element::Element,
    set::{FieldSet, Node},
    shape::{Form, Shape, Walk, element, elements, walk},
};

/// Merges a configuration into an object: what the configuration does not have stays as it is.
pub(super) fn merge<'s, S: Shape<'s>>(shape: S, live: &mut Value, config: &Value) {
    merge_at(shape, live, config, 0);
}

fn merge_at<'s, S: Shape<'s>>(shape: S, live: &mut Value, config: &Value, depth: usize) {
    let form = shape.form();
    if depth <= DEEPEST {
        match (walk(form, live), live, config) {
            (Walk::Object, Value::Object(fields), Value::Object(config)) => {
                for (name, value) in config {
                    match (fields.get_mut(name), shape.field(name)) {
                        (Some(live), Some(field)) => {
                            merge_at(field.shape, live, value, depth + 1);
                        }
                        _ => {
                            fields.insert(name.clone(), value.clone());
                        }
                    }
                }
                return;
            }
            (Walk::List, Value::Array(items), Value::Array(config)) if !config.is_empty() => {
                if merge_lists(shape, items, config, depth).is_some() {
                    return;
                }
                *items = config.clone();
                return;
            }
            // Null and the empty list say nothing of what is in there.
            (Walk::Object, Value::Object(fields), Value::Null) if !fields.is_empty() => return,
            (Walk::List, Value::Array(items), Value::Null | Value::Array(_))
                if !items.is_empty() =>
            {
                return;
            }
            (_, live, config) => *live = config.clone(),
        }
        return;
    }
    *live = config.clone();
}

/// The items of both, those in both merged. What is in the configuration comes in its order; what only
/// the object has stays behind what it was behind.
fn merge_lists<'s, S: Shape<'s>>(
    shape: S,
    live: &mut Vec<Value>,
    config: &[Value],
    depth: usize,
) -> Option<()> {
    let to = elements(shape, config)?;
    let mut place: BTreeMap<&Element<'_>, usize> = BTreeMap::new();
    for (at, element) in to.iter().enumerate() {
        place.entry(element).or_insert(at);
    }
    // For each item of the object its place in the configuration.
    let from: Vec<Option<usize>> = elements(shape, live)?
        .iter()
        .map(|element| place.get(element).copied())
        .collect();
    let mut found: Vec<Found> = vec![Found::Nowhere; to.len()];
    for (at, to) in from.iter().enumerate() {
        if let Some(to) = *to {
            found[to] = match found[to] {
                Found::Nowhere => Found::At(at),
                _ => Found::Often,
            };
        }
    }
    let mut shared = found
        .iter()
        .enumerate()
        .filter(|(_, found)| **found != Found::Nowhere)
        .map(|(at, _)| at)
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    let mut items: Vec<Option<Value>> = std::mem::take(live).into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(items.len().max(config.len()));
    let merged = |at: usize, items: &mut Vec<Option<Value>>, out: &mut Vec<Value>| {
        // An item that is there more than once is not merged, but replaced.
        let before = match found[at] {
            Found::At(live) => items[live].take(),
            _ => None,
        };
        out.push(match (before, shape.items()) {
            (Some(mut before), Some(items)) => {
                merge_at(items, &mut before, &config[at], depth + 1);
                before
            }
            _ => config[at].clone(),
        });
    };
    let (mut l, mut r) = (0, 0);
    while l < from.len() || r < to.len() {
        match from.get(l) {
            Some(None) => {
                out.extend(items[l].take());
                l += 1;
                continue;
            }
            // Merged already, or to be merged where the configuration has it.
            Some(Some(at)) if *at < r || *at > r && shared.peek() != Some(at) => {
                l += 1;
                if shared.peek().is_some() {
                    continue;
                }
            }
            Some(Some(at)) if *at == r => l += 1,
            _ => {}
        }
        if r < to.len() {
            merged(r, &mut items, &mut out);
            shared.next_if_eq(&r);
            r += 1;
        }
    }
    *live = out;
    Some(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nowhere,
    At(usize),
    Often,
}

/// Takes the members of a set out of an object, with all that is below them. What gets empty by that
/// becomes null.
pub(super) fn remove<'s, S: Shape<'s>>(shape: S, value: &mut Value, set: &FieldSet<'_>) {
    if set.is_empty() {
        return;
    }
    match (walk(shape.form(), value), &mut *value) {
        (Walk::Object, Value::Object(fields)) => {
            for node in &set.nodes {
                let Element::Field(name) = &node.element else {
                    continue;
                };
                if node.member {
                    fields.remove(name.as_ref());
                } else if let Some(value) = fields.get_mut(name.as_ref())
                    && let Some(field) = shape.field(name)
                {
                    remove(field.shape, value, &node.children);
                }
            }
            if !fields.is_empty() {
                return;
            }
        }
        (Walk::List, Value::Array(items)) => {
            items.retain_mut(|item| {
                let node = element(shape, item).ok().and_then(|element| {
                    let node: Option<&Node<'_>> = set.get(&element);
                    node
                });
                let Some(node) = node else { return true };
                if node.member {
                    return false;
                }
                if let Some(items) = shape.items() {
                    remove(items, item, &node.children);
                }
                !item.is_null()
            });
            if !items.is_empty() {
                return;
            }
        }
        // Of what is owned as a whole nothing can stay. A scalar has nothing below it.
        (_, Value::Object(_) | Value::Array(_)) => {}
        _ => return,
    }
    *value = Value::Null;
}

/// The same set, with all fields that the schema names and that have members below them as members.
pub(super) fn with_named<'a, 's, S: Shape<'s>>(
    shape: Option<S>,
    set: &FieldSet<'a>,
) -> FieldSet<'a> {
    let nodes = set.nodes.iter().map(|node| {
        let (below, named) = below(shape, &node.element);
        Node {
            element: node.element.clone(),
            member: node.member || named && !node.children.is_empty(),
            children: with_named(below, &node.children),
        }
    });
    FieldSet {
        nodes: nodes.collect(),
    }
}

/// The shape of what is there, and whether it is a field that the schema names.
fn below<'s, S: Shape<'s>>(shape: Option<S>, element: &Element<'_>) -> (Option<S>, bool) {
    let Some(shape) = shape else {
        return (None, false);
    };
    match (element, shape.form()) {
        (Element::Field(name), Form::Object | Form::AtomicObject | Form::Open) => {
            match shape.field(name) {
                Some(field) => (Some(field.shape), field.declared),
                None => (None, false),
            }
        }
        (Element::Key(_), Form::Keyed) => (shape.items(), false),
        _ => (None, false),
    }
}

/// Brings a set to the form that it has by the schema of today: who owned a part of what is owned as a
/// whole now, owns the whole.
pub(super) fn reconcile<'s, S: Shape<'s>>(shape: S, set: &mut FieldSet<'_>) {
    for node in &mut set.nodes {
        let (Some(below), _) = below(Some(shape), &node.element) else {
            continue;
        };
        match below.form() {
            Form::AtomicObject | Form::AtomicList | Form::Opaque => {
                if !node.children.is_empty() {
                    node.member = true;
                    node.children = FieldSet::new();
                }
            }
            Form::Open => {}
            _ => reconcile(below, &mut node.children),
        }
    }
}

/// Takes out the nulls that a configuration set and that removal left: those that the object did not
/// have. What is owned as a whole keeps its own, and so does what has no schema: there null is a value.
pub(super) fn strip_nulls<'s, S: Shape<'s>>(shape: S, value: &mut Value, live: Option<&Value>) {
    match (walk(shape.form(), value), value) {
        (Walk::Object, Value::Object(fields)) if shape.form() == Form::Object => {
            fields.retain(|name, value| {
                let live = live.and_then(|live| live.get(name));
                let field = shape.field(name);
                if value.is_null() && !live.is_some_and(Value::is_null) {
                    // A map keeps the key of what got empty.
                    let kept = field.is_some_and(|field| {
                        !field.declared && field.shape.form() == Form::Object && live.is_some()
                    });
                    if kept {
                        *value = Value::Object(serde_json::Map::new());
                    }
                    return kept;
                }
                if let Some(field) = field {
                    strip_nulls(field.shape, value, live);
                }
                true
            })
        }
        (Walk::List, Value::Array(items)) => {
            let Some(below) = shape.items() else { return };
            let live = live
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            for item in items {
                let place = element(shape, item);
                let live = live.iter().find(|live| element(shape, live) == place);
                strip_nulls(below, item, live);
            }
        }
        _ => {}
    }
}
