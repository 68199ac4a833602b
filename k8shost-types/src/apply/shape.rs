//! What a merge needs to know of a schema.

use std::borrow::Cow;

use serde_json::Value;

use super::element::Element;

/// The schema of a value, as far as ownership and merging go; a small handle, passed by value.
pub trait Shape<'s>: Copy {
    /// How values of this shape are merged.
    fn form(self) -> Form;

    /// What is known of a field of an object, of the values of a map, or of whatever [`Form::Open`] holds;
    /// none where there is no such field.
    fn field(self, name: &str) -> Option<Field<Self>>;

    /// The default of an object's field: an item of a list that leaves out a key field has this there.
    fn default(self, name: &str) -> Option<&'s Value>;

    /// What Kubernetes' own types have in place of an object's field that is not set, where they have
    /// anything: an empty object for a structure, null for a list that is always written, "", 0 or false
    /// for a scalar that is. Nothing for the fields of a custom kind.
    fn unset(self, name: &str) -> Option<&'s Value>;

    /// The shape of a list's items.
    fn items(self) -> Option<Self>;

    /// The names of the key fields of a [`Form::Keyed`] list, by their places from 0 on.
    fn key(self, place: usize) -> Option<&'s str>;
}

/// How values of a shape are merged and owned. Null is a value of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// No list and no object.
    Scalar(Scalar),
    /// An object or a map whose fields are each owned for themselves.
    Object,
    /// An object or a map that is owned as a whole.
    AtomicObject,
    /// A list that is owned as a whole.
    AtomicList,
    /// A list of different scalars, each owned for itself.
    Set,
    /// A list of objects with key fields that say which is which.
    Keyed,
    /// Any value, owned as a whole.
    Opaque,
    /// Any value: objects have fields that are owned each for itself, and are of this form again; all
    /// else is owned as a whole.
    Open,
}

/// What a scalar may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Any of them.
    Any,
    /// A string.
    String,
    /// A number, whole or not.
    Number,
    /// true or false.
    Boolean,
}

/// A field of an object, or the values of a map.
#[derive(Clone, Copy, Debug)]
pub struct Field<S> {
    /// The shape of its value.
    pub shape: S,
    /// It is named in the schema; false for what is known of any key of a map.
    pub declared: bool,
}

/// How this value of a shape is walked through; what does not fit its shape is owned as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    Leaf,
    Object,
    List,
}

/// As the shape alone says it, null being nothing yet.
pub(super) fn walk(form: Form, value: &Value) -> Walk {
    match (form, value) {
        (Form::Object | Form::Open, Value::Object(_)) | (Form::Object, Value::Null) => Walk::Object,
        (Form::Set | Form::Keyed, Value::Array(_) | Value::Null) => Walk::List,
        _ => Walk::Leaf,
    }
}

/// Where each item of a list is: none where one of them has no key, or cannot be in a set.
pub(super) fn elements<'a, 's: 'a, S: Shape<'s>>(
    shape: S,
    items: &'a [Value],
) -> Option<Vec<Element<'a>>> {
    items.iter().map(|item| element(shape, item).ok()).collect()
}

/// Where an item of a list is, or why it is nowhere.
pub(super) fn element<'a, 's: 'a, S: Shape<'s>>(
    shape: S,
    item: &'a Value,
) -> Result<Element<'a>, String> {
    if shape.form() == Form::Set {
        return match item {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => {
                Err("not supported: associative list with lists as elements".to_owned())
            }
            Value::Null => Err(
                "associative list without keys has an element that's an explicit null".to_owned(),
            ),
            value => Ok(Element::Value(Cow::Borrowed(value))),
        };
    }
    let Value::Object(fields) = item else {
        return Err(if item.is_null() {
            "associative list with keys may not have a null element".to_owned()
        } else {
            "associative list with keys may not have non-map elements".to_owned()
        });
    };
    let items = shape.items();
    let mut key = Vec::new();
    for name in keys(shape) {
        let default = || items.and_then(|items| items.default(name));
        if let Some(value) = fields.get(name).or_else(default) {
            key.push((Cow::Borrowed(name), Cow::Borrowed(value)));
        }
    }
    if key.is_empty() {
        let names: Vec<&str> = keys(shape).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields {} (and doesn't have default values for any key fields)",
            format!("{names:?}").replace(", ", " ")
        ));
    }
    Ok(Element::key(key))
}

fn keys<'s, S: Shape<'s>>(shape: S) -> impl Iterator<Item = &'s str> {
    (0..).map_while(move |place| shape.key(place))
}
