//! Whether a configuration fits the schema.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    DEEPEST,
    element::Element,
    shape::{Form, Scalar, Shape, element},
};

/// What does not fit, as Kubernetes says it; none where all does.
pub(super) fn check<'s, S: Shape<'s>>(shape: S, config: &Value) -> Option<String> {
    let mut faults = Faults {
        path: String::new(),
        found: Vec::new(),
    };
    value(shape, config, 0, &mut faults);
    match faults.found.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("errors:\n  {}", many.join("\n  "))),
    }
}

/// More than this nobody reads.
const MOST: usize = 64;

struct Faults {
    path: String,
    found: Vec<String>,
}

impl Faults {
    fn add(&mut self, message: &str) {
        if self.found.len() < MOST {
            let colon = if self.path.is_empty() { "" } else { ": " };
            self.found.push(format!("{}{colon}{message}", self.path));
        }
    }

    fn at(&mut self, element: &Element<'_>, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        super::element::push(&mut self.path, format_args!("{element}"));
        check(self);
        self.path.truncate(length);
    }
}

fn value<'s, S: Shape<'s>>(shape: S, config: &Value, depth: usize, faults: &mut Faults) {
    if depth > DEEPEST {
        faults.add("nested too deeply");
        return;
    }
    match (shape.form(), config) {
        (_, Value::Null) | (Form::Opaque, _) => {}
        (Form::Open, Value::Object(_)) | (Form::Object | Form::AtomicObject, Value::Object(_)) => {
            fields(shape, config, depth, faults);
        }
        (Form::Open, _) => {}
        (Form::Object | Form::AtomicObject, _) => {
            faults.add(&format!("expected map, got &{{{}}}", shown(config)));
        }
        (Form::AtomicList | Form::Set | Form::Keyed, Value::Array(list)) => {
            items(shape, list, depth, faults);
        }
        (Form::AtomicList | Form::Set | Form::Keyed, _) => {
            faults.add(&format!("expected list, got &{{{}}}", shown(config)));
        }
        (Form::Scalar(scalar), config) => {
            if let Some(fault) = scalar_fault(scalar, config) {
                faults.add(&fault);
            }
        }
    }
}

fn scalar_fault(scalar: Scalar, config: &Value) -> Option<String> {
    let fits = match scalar {
        Scalar::Any => !(config.is_object() || config.is_array()),
        Scalar::String => config.is_string(),
        Scalar::Number => config.is_number(),
        Scalar::Boolean => config.is_boolean(),
    };
    if fits {
        return None;
    }
    Some(match scalar {
        Scalar::Any => format!("expected any scalar, got &{{{}}}", shown(config)),
        Scalar::String => {
            format!("expected string, got &value.valueUnstructured{{Value:{config}}}")
        }
        Scalar::Number => format!("expected numeric (int or float), got {}", go_type(config)),
        Scalar::Boolean => format!("expected boolean, got &{{{}}}", shown(config)),
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn fields<'s, S: Shape<'s>>(shape: S, config: &Value, depth: usize, faults: &mut Faults) {
    for (name, below) in config.as_object().into_iter().flatten() {
        let field = shape.field(name);
        faults.at(&Element::field(name.as_str()), |faults| match field {
            Some(field) => value(field.shape, below, depth + 1, faults),
            None => faults.add("field not declared in schema"),
        });
        if field.is_none() {
            return;
        }
    }
}

fn items<'s, S: Shape<'s>>(shape: S, list: &[Value], depth: usize, faults: &mut Faults) {
    let Some(below) = shape.items() else { return };
    let mut seen = BTreeSet::new();
    for (at, item) in list.iter().enumerate() {
        let place = match shape.form() {
            Form::AtomicList => Element::Index(i64::try_from(at).unwrap_or(i64::MAX)),
            _ => match element(shape, item) {
                Ok(place) => place,
                Err(fault) => {
                    faults.add(&format!("element {at}: {fault}"));
                    return;
                }
            },
        };
        faults.at(&place, |faults| value(below, item, depth + 1, faults));
        if seen.contains(&place) {
            faults.add(&format!("duplicate entries for key {place}"));
        }
        seen.insert(place);
    }
}
