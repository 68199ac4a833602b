//! The fields of an object, and what differs between two versions of it.

use serde_json::{Map, Value};

use super::{
    DEEPEST,
    element::{Element, same},
    set::FieldSet,
    shape::{Field, Shape, Walk, elements, walk},
};

/// What a new version of an object has other than the old one. No field is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// In the new version only.
    pub added: FieldSet<'a>,
    /// In both, with different values.
    pub modified: FieldSet<'a>,
    /// In the old version only.
    pub removed: FieldSet<'a>,
}

impl<'a> Changes<'a> {
    fn add(&mut self, element: &Element<'a>, own: Option<Change>, below: Self) {
        let is = |change| own == Some(change);
        self.added.add(element, is(Change::Added), below.added);
        self.modified
            .add(element, is(Change::Modified), below.modified);
        self.removed
            .add(element, is(Change::Removed), below.removed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Modified,
    Removed,
}

/// What the new version has other than the old one. Both are in the form in which they are stored or
/// sent: with null only where it means something.
pub fn compare<'a, 's: 'a, S: Shape<'s>>(shape: S, old: &'a Value, new: &'a Value) -> Changes<'a> {
    both(shape, old, new, 0).1
}

/// The change of a value that is in both, and those below it.
fn both<'a, 's: 'a, S: Shape<'s>>(
    shape: S,
    old: &'a Value,
    new: &'a Value,
    depth: usize,
) -> (Option<Change>, Changes<'a>) {
    // What is the same needs no schema; most is.
    if old == new {
        return (None, Changes::default());
    }
    let leaf = || {
        (
            (!same(old, new)).then_some(Change::Modified),
            Changes::default(),
        )
    };
    if depth > DEEPEST {
        return leaf();
    }
    let form = shape.form();
    let (from, to) = (walk(form, old), walk(form, new));
    if is_empty(old) && is_empty(new) || from == Walk::Leaf && to == Walk::Leaf {
        return leaf();
    }
    let mut changes = Changes::default();
    if from != to && !(old.is_null() || new.is_null()) {
        // A value of another kind takes the place: what was below is gone, what is there is new.
        changes.removed = below(shape, old, depth, Members::All);
        changes.added = below(shape, new, depth, Members::All);
        return (Some(Change::Modified), changes);
    }
    if from == Walk::List || to == Walk::List {
        let (Some(old), Some(new)) = (indexed(shape, old), indexed(shape, new)) else {
            return leaf();
        };
        lists(shape, &old, &new, depth, &mut changes);
    } else {
        objects(shape, old.as_object(), new.as_object(), depth, &mut changes);
    }
    (None, changes)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// The change of a value that is in one or both.
fn one<'a, 's: 'a, S: Shape<'s>>(
    shape: S,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    depth: usize,
) -> (Option<Change>, Changes<'a>) {
    let mut changes = Changes::default();
    match (old, new) {
        (Some(old), Some(new)) => both(shape, old, new, depth),
        (Some(old), None) => {
            changes.removed = below(shape, old, depth, Members::All);
            (Some(Change::Removed), changes)
        }
        (None, Some(new)) => {
            changes.added = below(shape, new, depth, Members::All);
            (Some(Change::Added), changes)
        }
        (None, None) => (None, changes),
    }
}

fn objects<'a, 's: 'a, S: Shape<'s>>(
    shape: S,
    old: Option<&'a Map<String, Value>>,
    new: Option<&'a Map<String, Value>>,
    depth: usize,
    changes: &mut Changes<'a>,
) {
    let is_new = |name: &str| new.is_some_and(|new| new.contains_key(name));
    let gone = old.into_iter().flatten().filter(|(name, _)| !is_new(name));
    for (name, _) in new.into_iter().flatten().chain(gone) {
        let value = |fields: Option<&'a Map<String, Value>>| match fields {
            Some(fields) => fields.get(name).or_else(|| shape.unset(name)),
            None => None,
        };
        let (from, to) = (value(old), value(new));
        let (own, below) = match shape.field(name) {
            Some(field) => one(field.shape, from, to, depth + 1),
            None => unknown(from, to),
        };
        changes.add(&Element::field(name.as_str()), own, below);
    }
}

/// A field that the schema does not have is owned as a whole.
fn unknown<'a>(old: Option<&Value>, new: Option<&Value>) -> (Option<Change>, Changes<'a>) {
    let change = match (old, new) {
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(old), Some(new)) if !same(old, new) => Some(Change::Modified),
        _ => None,
    };
    (change, Changes::default())
}

/// The items of a list, sorted by where they are; of the same place in their order in the list.
type Indexed<'a> = Vec<(Element<'a>, &'a Value)>;

fn indexed<'a, 's: 'a, S: Shape<'s>>(shape: S, list: &'a Value) -> Option<Indexed<'a>> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut indexed: Indexed<'a> = elements(shape, items)?.into_iter().zip(items).collect();
    if !indexed.is_sorted_by(|a, b| a.0 <= b.0) {
        indexed.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Some(indexed)
}

fn lists<'a, 's: 'a, S: Shape<'s>>(
    shape: S,
    mut old: &[(Element<'a>, &'a Value)],
    mut new: &[(Element<'a>, &'a Value)],
    depth: usize,
    changes: &mut Changes<'a>,
) {
    loop {
        let element = match (old.first(), new.first()) {
            (None, None) => return,
            (Some((element, _)), None) | (None, Some((element, _))) => element,
            (Some((a, _)), Some((b, _))) => a.min(b),
        }
        .clone();
        let (from, to) = (take(&mut old, &element), take(&mut new, &element));
        let item = |old: &[(Element<'a>, &'a Value)], new: &[(Element<'a>, &'a Value)]| {
            let value = |list: &[(Element<'a>, &'a Value)]| list.first().map(|item| item.1);
            match shape.items() {
                Some(items) => one(items, value(old), value(new), depth + 1),
                None => unknown(value(old), value(new)),
            }
        };
        let (own, below) = match (from.len(), to.len()) {
            (0 | 1, 0 | 1) => item(from, to),
            // Items that are there more than once are owned together, as a whole.
            (2.., 2..) => {
                let equal =
                    from.len() == to.len() && from.iter().zip(to).all(|(a, b)| same(a.1, b.1));
                ((!equal).then_some(Change::Modified), Changes::default())
            }
            (2.., 0) => (Some(Change::Removed), Changes::default()),
            (0, 2..) => (Some(Change::Added), Changes::default()),
            (2.., _) => {
                let (_, below) = item(&[], to);
                changes.add(&element, Some(Change::Removed), Changes::default());
                (Some(Change::Added), below)
            }
            (_, 2..) => {
                let (_, below) = item(from, &[]);
                changes.add(&element, Some(Change::Removed), Changes::default());
                (Some(Change::Added), below)
            }
        };
        changes.add(&element, own, below);
    }
}

/// Takes those of this place off the front.
fn take<'b, 'a>(
    list: &mut &'b [(Element<'a>, &'a Value)],
    element: &Element<'a>,
) -> &'b [(Element<'a>, &'a Value)] {
    let count = list.iter().take_while(|item| item.0 == *element).count();
    let (front, rest) = list.split_at(count);
    *list = rest;
    front
}

/// The fields that a configuration sets: leaves, items of lists, keys of maps, and what is empty.
pub fn fields<'a, 's: 'a, S: Shape<'s>>(shape: S, object: &'a Value) -> FieldSet<'a> {
    below(shape, object, 0, Members::Set)
}

/// Which fields are members, besides leaves and items of lists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Members {
    /// All on the way.
    All,
    /// Those that a schema does not name, and what is empty.
    Set,
}

/// The fields below a value.
fn below<'a, 's: 'a, S: Shape<'s>>(
    shape: S,
    value: &'a Value,
    depth: usize,
    members: Members,
) -> FieldSet<'a> {
    let mut set = FieldSet::new();
    if depth > DEEPEST {
        return set;
    }
    match (walk(shape.form(), value), value) {
        (Walk::Object, Value::Object(fields)) => {
            set.nodes.reserve_exact(fields.len());
            for (name, value) in fields {
                let field = shape.field(name);
                let below = match field {
                    Some(field) => below(field.shape, value, depth + 1, members),
                    None => FieldSet::new(),
                };
                let member = members == Members::All || is_member(field, value);
                set.add(&Element::field(name.as_str()), member, below);
            }
        }
        (Walk::List, Value::Array(_)) => {
            let items = indexed(shape, value).unwrap_or_default();
            let mut items: &[(Element<'a>, &'a Value)] = &items;
            while let Some((element, value)) = items.first() {
                let element = element.clone();
                let below = match (take(&mut items, &element).len(), shape.items()) {
                    (1, Some(shape)) => below(shape, value, depth + 1, members),
                    _ => FieldSet::new(),
                };
                set.add(&element, true, below);
            }
        }
        _ => {}
    }
    set
}

fn is_member<'s, S: Shape<'s>>(field: Option<Field<S>>, value: &Value) -> bool {
    let Some(field) = field else { return true };
    if !field.declared || value.is_null() {
        return true;
    }
    match value {
        Value::Object(fields) if fields.is_empty() => true,
        // An empty list with items that are owned each for itself is owned by nobody.
        value => walk(field.shape.form(), value) == Walk::Leaf,
    }
}
