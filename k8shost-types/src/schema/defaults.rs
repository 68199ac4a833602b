//! Defaults by schema, as custom resources have them.

use serde_json::Value;

use super::Type;

/// Puts the schema's defaults where a field is absent, or is null and may not be; where there is no default such a
/// null goes. Doing it twice changes nothing more.
///
/// Only what is there is gone through: the fields of an absent object get no defaults unless the object itself has
/// one. Deeper than 128 levels, where a schema that holds itself may lead, nothing is set.
pub fn defaults(schema: Type<'_>, value: &mut Value) {
    fill(schema, value, 128);
}

fn fill(schema: Type<'_>, value: &mut Value, deeper: usize) {
    let Some(deeper) = deeper.checked_sub(1) else {
        return;
    };
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| {
                !value.is_null() || schema.child(name).is_none_or(Type::nullable)
            });
            for (name, field) in schema.fields() {
                if let (Some(default), false) = (field.default(), fields.contains_key(name)) {
                    fields.insert(name.to_owned(), default.clone());
                }
            }
            for (name, value) in fields {
                // The metadata of a custom kind is of a built-in type, which has no defaults to be set.
                if let Some(field) = schema.child(name)
                    && field.is_custom() == schema.is_custom()
                {
                    fill(field, value, deeper);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item) = schema.items() {
                items.iter_mut().for_each(|value| fill(item, value, deeper));
            }
        }
        _ => {}
    }
}
