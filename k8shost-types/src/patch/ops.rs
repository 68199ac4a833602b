//! JSON Patch, bounded: an operation may copy what it finds, and thereby double a document each time.

use json_patch::{PatchOperation, jsonptr::Pointer};
use serde_json::Value;

use super::unprocessable;
use crate::{
    decode::{DEEPEST, LONGEST},
    error::{Error, Reason},
    field::quote,
};

const MOST: usize = 10_000;

pub(super) fn parse(ops: Vec<Value>) -> Result<Vec<PatchOperation>, Error> {
    if ops.len() > MOST {
        return Err(too_large(format_args!(
            "The allowed maximum operations in a JSON patch is {MOST}, got {}",
            ops.len()
        )));
    }
    ops.into_iter()
        .map(|op| serde_json::from_value(op).map_err(|error| unprocessable().with_cause(error)))
        .collect()
}

/// The complaints of a strict reader.
pub(super) fn unknown(ops: &[Value]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        for name in op.as_object().into_iter().flat_map(|op| op.keys()) {
            if !matches!(name.as_str(), "op" | "path" | "from" | "value") && complaints.len() < 100
            {
                complaints.push(format!(
                    "unknown field {}",
                    quote(&format!("[{index}].{name}"))
                ));
            }
        }
    }
    complaints
}

pub(super) fn apply(object: &mut Value, ops: &[PatchOperation]) -> Result<(), Error> {
    let mut copied = 0;
    for op in ops {
        let (value, copies) = match op {
            PatchOperation::Add(op) => (Some(&op.value), false),
            PatchOperation::Replace(op) => (Some(&op.value), false),
            PatchOperation::Move(op) => (object.pointer(op.from.as_str()), false),
            PatchOperation::Copy(op) => (object.pointer(op.from.as_str()), true),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => (None, false),
        };
        if let Some(value) = value {
            check_depth(op.path(), value)?;
            if copies {
                copied += value.to_string().len();
            }
            if copied > LONGEST {
                return Err(too_large(format_args!("limit is {LONGEST}")));
            }
        }
        json_patch::patch(object, std::slice::from_ref(op))
            .map_err(|error| unprocessable().with_cause(error))?;
    }
    Ok(())
}

/// Refuses to put a value where it would be too deep: what walks the object does so by recursion.
fn check_depth(path: &Pointer, value: &Value) -> Result<(), Error> {
    fn fits(value: &Value, left: usize) -> bool {
        let Some(left) = left.checked_sub(1) else {
            return false;
        };
        match value {
            Value::Array(items) => items.iter().all(|item| fits(item, left)),
            Value::Object(fields) => fields.values().all(|field| fits(field, left)),
            _ => true,
        }
    }
    let left = DEEPEST.checked_sub(path.tokens().count());
    if left.is_some_and(|left| fits(value, left)) {
        Ok(())
    } else {
        Err(Error::bad_request("the object is nested too deep"))
    }
}

fn too_large(why: std::fmt::Arguments<'_>) -> Error {
    Error::new(
        Reason::RequestEntityTooLarge,
        format!("Request entity too large: {why}"),
    )
}
