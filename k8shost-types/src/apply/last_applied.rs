//! The way from kubectl's client-side apply to server-side apply: the configuration that the client
//! left in an annotation says what it applied.

use serde_json::Value;

use super::{
    Conflict, Target,
    check::check,
    compare::{compare, fields},
    shape::Shape,
};
use crate::{json, meta};

/// Only the manager of this name is led over.
pub(super) const MANAGER: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The conflicts that are left, were all those forced that are about a field which the client applied
/// last and which is still as it applied it; Ok where none is.
pub(super) fn left<'s, S: Shape<'s>>(
    target: &Target<'_, S>,
    live: &Value,
    conflicts: Vec<Conflict>,
) -> Result<(), Vec<Conflict>> {
    let last = meta::annotation(live, ANNOTATION)
        .and_then(|last| serde_json::from_str::<Value>(last).ok())
        .filter(|last| json::text(last, "apiVersion") == target.api_version)
        .filter(|last| check(target.shape, last).is_none());
    let Some(last) = last else {
        return Err(conflicts);
    };
    let differs = compare(target.shape, &last, live);
    let applied = fields(target.shape, &last)
        .difference(&differs.modified)
        .difference(&differs.added)
        .difference(&differs.removed);
    let left: Vec<Conflict> = conflicts
        .into_iter()
        .filter(|conflict| !applied.contains(&conflict.path.0))
        .collect();
    if left.is_empty() { Ok(()) } else { Err(left) }
}

/// Keeps the annotation, where the object has it, in step with what was applied.
pub(super) fn renew(object: &mut Value, config: &Value) {
    if meta::annotation(object, ANNOTATION).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = json::get_mut(&mut config, "metadata")
        .and_then(|metadata| json::object_mut(metadata, "annotations"))
    {
        annotations.remove(ANNOTATION);
        if annotations.is_empty() {
            meta::remove(&mut config, "annotations");
        }
    }
    let text = format!("{config}\n");
    let Some(annotations) = json::get_mut(object, "metadata")
        .and_then(|metadata| json::object_mut(metadata, "annotations"))
    else {
        return;
    };
    let others = annotations
        .iter()
        .filter(|(name, _)| *name != ANNOTATION)
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len));
    if others.sum::<usize>() + ANNOTATION.len() + text.len() > meta::ANNOTATIONS_MAX {
        annotations.remove(ANNOTATION);
    } else {
        annotations.insert(ANNOTATION.to_owned(), text.into());
    }
}
