//! The schemas of Kubernetes and of custom resources as what a merge goes by.

use serde_json::Value;

use super::shape::{Field, Form, Scalar, Shape};
use crate::schema::{Kind, ListType, MapType, Type};

static NULL: Value = Value::Null;
/// A type that is owned as a whole, whatever it holds.
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// A schema's type, or what has none: the fields that a type keeps although it does not know them.
#[derive(Clone, Copy, Debug)]
pub enum TypeShape<'s> {
    /// As the type says.
    Of(Type<'s>),
    /// Any value: objects field by field, all else as a whole.
    Deduced,
}

impl<'s> From<Type<'s>> for TypeShape<'s> {
    fn from(of: Type<'s>) -> Self {
        Self::Of(of)
    }
}

impl<'s> TypeShape<'s> {
    fn of(self) -> Option<Type<'s>> {
        match self {
            Self::Of(of) => Some(of),
            Self::Deduced => None,
        }
    }
}

impl<'s> Shape<'s> for TypeShape<'s> {
    fn form(self) -> Form {
        let Self::Of(of) = self else {
            return Form::Open;
        };
        let kind = of.kind();
        match kind {
            Kind::Any | Kind::Object | Kind::Map if of.name() == Some(RAW_EXTENSION) => {
                Form::Opaque
            }
            Kind::Any => Form::Open,
            Kind::Object | Kind::Map => match of.map_type() {
                Some(MapType::Atomic) => Form::AtomicObject,
                _ => Form::Object,
            },
            Kind::Array => match of.list_type() {
                Some(ListType::Map) => Form::Keyed,
                Some(ListType::Set) => Form::Set,
                Some(ListType::Atomic) | None => Form::AtomicList,
            },
            Kind::String => match of.format() {
                None | Some("byte") => Form::Scalar(Scalar::String),
                Some(_) => Form::Scalar(Scalar::Any),
            },
            Kind::Integer | Kind::Number => Form::Scalar(Scalar::Number),
            Kind::Boolean => Form::Scalar(Scalar::Boolean),
            Kind::IntOrString | Kind::Quantity => Form::Scalar(Scalar::Any),
        }
    }

    fn field(self, name: &str) -> Option<Field<Self>> {
        let undeclared = |shape| Field {
            shape,
            declared: false,
        };
        let Self::Of(of) = self else {
            return Some(undeclared(self));
        };
        if let Some(shape) = of.field(name) {
            return Some(Field {
                shape: shape.into(),
                declared: true,
            });
        }
        if let Some(values) = of.values() {
            return Some(undeclared(values.into()));
        }
        // An object of which nothing is said holds anything.
        let open = of.preserves_unknown()
            || matches!(of.kind(), Kind::Any | Kind::Map)
            || of.fields().next().is_none();
        open.then_some(undeclared(Self::Deduced))
    }

    fn default(self, name: &str) -> Option<&'s Value> {
        self.of()?.field(name)?.default()
    }

    fn unset(self, name: &str) -> Option<&'s Value> {
        let of = self.of()?;
        if of.is_custom() {
            return None;
        }
        match of.field(name)?.default() {
            Some(default) => is_zero(default).then_some(default),
            None => of.required().any(|field| field == name).then_some(&NULL),
        }
    }

    fn items(self) -> Option<Self> {
        self.of()?.items().map(Self::Of)
    }

    fn key(self, place: usize) -> Option<&'s str> {
        self.of()?.list_keys().nth(place)
    }
}

/// Whether it is what Go has in a field that nobody set.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
