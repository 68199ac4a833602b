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

/// More values than this are not looked at or moved for one patch: some tenths of a second.
const MOST_WORK: usize = 1 << 26;

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
    let mut work = MOST_WORK;
    for op in ops {
        let (value, from) = match op {
            PatchOperation::Add(op) => (Some(&op.value), None),
            PatchOperation::Replace(op) => (Some(&op.value), None),
            PatchOperation::Move(op) => (object.pointer(op.from.as_str()), Some(&op.from)),
            PatchOperation::Copy(op) => (object.pointer(op.from.as_str()), Some(&op.from)),
            PatchOperation::Remove(_) | PatchOperation::Test(_) => (None, None),
        };
        if let Some(value) = value {
            let room = DEEPEST.checked_sub(op.path().tokens().count());
            if !room.is_some_and(|room| fits(value, room, &mut work)) {
                return Err(Error::bad_request("the object is nested too deep"));
            }
            if matches!(op, PatchOperation::Copy(_)) {
                copied += value.to_string().len();
            }
        }
        work = work
            .saturating_sub(siblings(object, op.path()))
            .saturating_sub(from.map_or(0, |from| siblings(object, from)));
        if copied > LONGEST || work == 0 {
            return Err(too_large(format_args!("limit is {LONGEST}")));
        }
        // As the patches of Go have it, what is not there is null.
        if let PatchOperation::Test(test) = op
            && test.value.is_null()
            && let Some(parent) = test.path.parent()
            && object.pointer(parent.as_str()).is_some()
            && object.pointer(test.path.as_str()).is_none()
        {
            continue;
        }
        json_patch::patch(object, std::slice::from_ref(op))
            .map_err(|error| unprocessable().with_cause(error))?;
    }
    Ok(())
}

/// Whether a value is no deeper than there is room where it is put: what walks the object does so by recursion.
fn fits(value: &Value, room: usize, work: &mut usize) -> bool {
    *work = work.saturating_sub(1);
    let Some(room) = room.checked_sub(1) else {
        return false;
    };
    match value {
        Value::Array(items) => items.iter().all(|item| fits(item, room, work)),
        Value::Object(fields) => fields.values().all(|field| fits(field, room, work)),
        _ => true,
    }
}

/// How many items of a list may have to move when one comes or goes.
fn siblings(object: &Value, path: &Pointer) -> usize {
    let list = path
        .parent()
        .and_then(|parent| object.pointer(parent.as_str()));
    list.and_then(Value::as_array).map_or(0, Vec::len)
}

fn too_large(why: std::fmt::Arguments<'_>) -> Error {
    Error::new(
        Reason::RequestEntityTooLarge,
        format!("Request entity too large: {why}"),
    )
}
