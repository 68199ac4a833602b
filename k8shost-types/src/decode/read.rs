//! One pass over a body: the value, what a strict reader would say, and what does not fit the schema.

use std::{collections::HashSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, value::RawValue};

use super::scalar::{self, Misfit};
use crate::{
    apply,
    error::Error,
    field::quote,
    json,
    schema::{Kind, Type, builtin},
};

/// Deeper bodies are refused.
pub(crate) const DEEPEST: usize = 128;

/// More complaints than this nobody reads.
const MOST_COMPLAINTS: usize = 100;

/// What a pass has found.
#[derive(Default)]
pub(super) struct Found {
    /// Unknown and duplicate fields, in the order of the body, each once.
    pub(super) strict: Vec<String>,
    seen: HashSet<String>,
    /// The first value that is not of its field's type, in Go's words.
    pub(super) misfit: Option<String>,
    /// The misfit is apiVersion or kind.
    pub(super) unrecognized: bool,
    /// There was too much of it.
    pub(super) excess: Option<Error>,
    /// The source is JSON in memory, and managedFields are wanted as they are stored.
    stored: bool,
    values: usize,
}

impl Found {
    pub(super) fn new(stored: bool) -> Self {
        Self {
            stored,
            ..Self::default()
        }
    }

    fn complain(&mut self, words: String) {
        if self.strict.len() < MOST_COMPLAINTS && self.seen.insert(words.clone()) {
            self.strict.push(words);
        }
    }
}

/// Where in the body the reader is.
#[derive(Clone, Copy)]
struct At<'a> {
    above: Option<&'a At<'a>>,
    step: Step<'a>,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    /// A field of a type that has a name.
    Field(Type<'a>, &'a str),
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    const ROOT: At<'static> = At {
        above: None,
        step: Step::Root,
        depth: 0,
    };

    fn then(&'a self, step: Step<'a>) -> At<'a> {
        At {
            above: Some(self),
            step,
            depth: self.depth + 1,
        }
    }

    /// The names of fields alone, as Go's decoder tells a place.
    fn fields(&self, out: &mut String) {
        if let Some(above) = self.above {
            above.fields(out);
        }
        if let Step::Field(_, name) = self.step {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(name);
        }
    }

    fn owner(&self) -> Option<&'a str> {
        match self.step {
            Step::Field(owner, _) => owner.name()?.rsplit('.').next(),
            _ => self.above.and_then(At::owner),
        }
    }

    /// `Go struct field PodSpec.spec.containers`.
    fn go(&self) -> String {
        let Some(owner) = self.owner() else {
            return "Go value".to_owned();
        };
        let mut fields = String::new();
        self.fields(&mut fields);
        format!("Go struct field {owner}.{fields}")
    }

    fn is_type_meta(&self) -> bool {
        self.depth == 1 && matches!(self.step, Step::Field(_, "apiVersion" | "kind"))
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(_, name) | Step::Key(name) if self.depth > 1 => write!(f, ".{name}"),
            Step::Field(_, name) | Step::Key(name) => f.write_str(name),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Reads a value by its schema, or as it is without one.
pub(super) fn read<'de, D: Deserializer<'de>>(
    source: D,
    schema: Option<Type<'_>>,
    found: &mut Found,
) -> Result<Value, D::Error> {
    Reader {
        schema,
        at: &At::ROOT,
        found,
    }
    .deserialize(source)
}

/// A body is deeper than [`DEEPEST`].
pub(super) fn too_deep() -> Error {
    Error::bad_request("the object is nested too deep")
}

/// Reads JSON that has no schema and stands somewhere in an object: so deep, and with so many values before it, which
/// those of the JSON are added to.
pub(super) fn free(
    text: &[u8],
    depth: usize,
    values: &mut usize,
) -> (Result<Value, serde_json::Error>, Found) {
    let mut found = Found {
        values: *values,
        ..Found::default()
    };
    let at = At { depth, ..At::ROOT };
    let reader = Reader {
        schema: None,
        at: &at,
        found: &mut found,
    };
    let mut source = serde_json::Deserializer::from_slice(text);
    let value = reader
        .deserialize(&mut source)
        .and_then(|value| source.end().map(|()| value));
    *values = found.values;
    (value, found)
}

struct Reader<'r, 's> {
    schema: Option<Type<'s>>,
    at: &'r At<'r>,
    found: &'r mut Found,
}

impl<'s> Reader<'_, 's> {
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.found.values += 1;
        if self.found.values > json::MOST_VALUES {
            self.found.excess = Some(json::too_many_values());
            return Err(E::custom("too many values"));
        }
        if self.at.depth > DEEPEST {
            self.found.excess = Some(too_deep());
            return Err(E::custom("nested too deep"));
        }
        Ok(())
    }

    /// Whether it is what an entry of the object's own managedFields owns, which is to be brought into the form in
    /// which it is stored.
    fn is_owned(&self) -> bool {
        self.found.stored
            && self.at.depth == 4
            && matches!(self.at.step, Step::Field(_, "fieldsV1"))
            && self.schema.is_some_and(|schema| {
                schema.name() == Some("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1")
            })
    }

    /// The same in that form. Objects that come one after another are mostly owned alike: it is read where it is not
    /// known.
    fn owned<E: serde::de::Error>(mut self, text: &RawValue) -> Result<Value, E> {
        self.count()?;
        if text.get() == "null" {
            return Ok(Value::Null);
        }
        apply::stored(text.get(), || {
            let mut source = serde_json::Deserializer::from_str(text.get());
            let reader = Reader {
                schema: None,
                at: self.at,
                found: self.found,
            };
            reader.deserialize(&mut source).map_err(E::custom)
        })
    }

    fn misfit(&mut self, schema: Type<'_>, misfit: Misfit) -> Value {
        if self.found.misfit.is_none() {
            let words = match misfit {
                Misfit::Words(words) => words,
                Misfit::Type(what) if self.at.is_type_meta() => {
                    self.found.unrecognized = true;
                    let mut field = String::new();
                    self.at.fields(&mut field);
                    format!(
                        "json: cannot unmarshal {what} into Go struct field .{field} of type string"
                    )
                }
                Misfit::Type(what) => format!(
                    "json: cannot unmarshal {what} into {} of type {}",
                    self.at.go(),
                    scalar::go_type(schema)
                ),
            };
            self.found.misfit = Some(words);
        }
        Value::Null
    }

    fn scalar<E: serde::de::Error>(mut self, value: Value) -> Result<Value, E> {
        self.count()?;
        match self.schema {
            Some(schema) if !schema.is_custom() => match scalar::take(schema, value) {
                Ok(value) => Ok(value),
                Err(misfit) => Ok(self.misfit(schema, misfit)),
            },
            _ => Ok(value),
        }
    }

    /// The schema of an object's or a list's parts, or None if they are free; refused are built-in types that hold no
    /// such parts.
    fn parts(&mut self, what: &'static str, held: &[Kind]) -> Result<Option<Type<'s>>, Value> {
        let Some(schema) = self.schema else {
            return Ok(None);
        };
        match schema.kind() {
            kind if held.contains(&kind) => Ok(Some(schema)),
            Kind::Any => Ok(None),
            _ if schema.is_custom() => Ok(None),
            Kind::Object if schema.preserves_unknown() => Ok(None),
            _ => Err(self.misfit(schema, scalar::refuse(schema, what))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

/// Whether it is a list or a map of nothing.
fn is_empty(schema: Type<'_>, value: &Value) -> bool {
    match (schema.kind(), value) {
        (Kind::Array, Value::Array(items)) => items.is_empty(),
        (Kind::Map, Value::Object(entries)) => entries.is_empty(),
        _ => false,
    }
}

/// What becomes of a field of an object.
enum Field<'s> {
    Typed(Type<'s>),
    Free,
    Unknown,
}

fn field<'s>(schema: Option<Type<'s>>, root: bool, name: &str) -> Field<'s> {
    let Some(schema) = schema else {
        return Field::Free;
    };
    // An object of a custom kind has metadata, whatever its schema says.
    let resource = schema.is_custom() && (root || schema.is_embedded_resource());
    if resource && name == "metadata" {
        let metadata = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
        return builtin().named(metadata).map_or(Field::Free, Field::Typed);
    }
    match schema.child(name) {
        Some(field) => Field::Typed(field),
        None if schema.preserves_unknown() => Field::Free,
        None if resource && matches!(name, "apiVersion" | "kind") => Field::Free,
        None => Field::Unknown,
    }
}

impl<'de> Visitor<'de> for Reader<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: serde::de::Error>(mut self) -> Result<Value, E> {
        self.count()?;
        Ok(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        self.deserialize(source)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value)
            .ok_or_else(|| E::custom("json: unsupported value: not a finite number"))?;
        self.scalar(Value::Number(number))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.scalar(Value::from(value))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.scalar(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut source: A) -> Result<Value, A::Error> {
        self.count()?;
        let at = self.at;
        let schema = match self.parts("array", &[Kind::Array]) {
            Ok(schema) => schema.and_then(Type::items),
            Err(null) => {
                while source.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(null);
            }
        };
        let mut items = Vec::new();
        loop {
            let at = at.then(Step::Index(items.len()));
            let item = Reader {
                schema,
                at: &at,
                found: self.found,
            };
            let Some(mut item) = source.next_element_seed(item)? else {
                return Ok(Value::Array(items));
            };
            if let (Value::Null, Some(schema)) =
                (&item, schema.filter(|schema| !schema.is_custom()))
            {
                item = scalar::zero(schema);
            }
            items.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut source: A) -> Result<Value, A::Error> {
        self.count()?;
        let at = self.at;
        let schema = match self.parts("object", &[Kind::Object, Kind::Map]) {
            Ok(schema) => schema,
            Err(null) => {
                while source.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(null);
            }
        };
        let is_map = schema.is_some_and(|schema| schema.kind() == Kind::Map);
        let owner = schema.filter(|schema| !is_map && schema.name().is_some());
        let mut fields = Map::new();
        while let Some(name) = source.next_key::<String>()? {
            let step = match owner {
                Some(owner) => Step::Field(owner, &name),
                None => Step::Key(&name),
            };
            let at = at.then(step);
            let typed = match field(schema, at.depth == 1, &name) {
                Field::Typed(field) => Some(field),
                Field::Free => None,
                Field::Unknown => {
                    self.found
                        .complain(format!("unknown field {}", quote(&at.to_string())));
                    source.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let reader = Reader {
                schema: typed,
                at: &at,
                found: self.found,
            };
            let mut value = if reader.is_owned() {
                reader.owned(source.next_value()?)?
            } else {
                source.next_value_seed(reader)?
            };
            if fields.contains_key(&name) {
                self.found
                    .complain(format!("duplicate field {}", quote(&at.to_string())));
            }
            if let (Value::Null, Some(typed)) = (&value, typed.filter(|typed| !typed.is_custom())) {
                if !is_map {
                    continue;
                }
                value = scalar::zero(typed);
            }
            // As Go leaves out what is empty, where it may be left out.
            if let (Some(typed), Some(owner)) = (typed, schema)
                && !is_map
                && !typed.is_custom()
                && is_empty(typed, &value)
                && !owner.required().any(|required| required == name)
            {
                fields.remove(&name);
                continue;
            }
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}
