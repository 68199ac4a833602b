//! What an applier applied before, applies no more, and nobody else owns goes out of the object.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value;

use super::{
    Target,
    compare::fields,
    managed::{Entry, Managed},
    merge::{remove, with_named},
    set::FieldSet,
    shape::Shape,
    update::renew,
};
use crate::json::text;

/// Takes out of a merged object what the applier's last entry owned and no entry owns any more.
///
/// What is below such a field goes with it unless somebody owns it; of a field that stays, what the
/// applier did not own stays too.
pub(super) fn prune<'s, S: Shape<'s>>(
    target: &Target<'_, S>,
    merged: Value,
    managed: &mut Managed<'_>,
    last: &Entry<'_>,
) -> Value {
    for entry in &mut managed.0 {
        renew(target, &merged, entry);
    }
    let mut owned: BTreeMap<&str, FieldSet<'_>> = BTreeMap::new();
    for entry in &managed.0 {
        let set = owned.entry(&entry.api_version).or_default();
        *set = std::mem::take(set).union(entry.fields.clone());
    }
    let version = last.api_version.as_ref();
    let now = owned.remove(version).unwrap_or_default();
    if last.fields.is_subset(&now) {
        return merged;
    }
    let Some((before, shape)) = at(target, &merged, version) else {
        return merged;
    };
    let last = with_named(Some(shape), &last.fields);
    let mut pruned = without(shape, &before, &last);
    pruned = without(shape, &before, &gone(shape, &before, &pruned, &now));
    for (version_there, owned) in owned {
        // What is owned as a field of another version stays as well.
        let there = |object| at(target, object, version_there);
        let (Some((before, shape)), Some((less, _))) = (there(&before), there(&pruned)) else {
            continue;
        };
        let less = without(shape, &before, &gone(shape, &before, &less, &owned));
        if let Some((back, _)) = at(target, &less, version) {
            pruned = back.into_owned();
        }
    }
    // What went although it was never the applier's comes back.
    let went = gone(shape, &before, &pruned, &FieldSet::new()).intersection(&last);
    let pruned = without(shape, &before, &went);
    match at(target, &pruned, target.api_version) {
        Some((Cow::Owned(object), _)) => object,
        Some((Cow::Borrowed(_), _)) => pruned,
        None => merged,
    }
}

/// The object in a version, and its shape there.
fn at<'v, 's, S: Shape<'s>>(
    target: &Target<'_, S>,
    object: &'v Value,
    version: &str,
) -> Option<(Cow<'v, Value>, S)> {
    if version == target.api_version && text(object, "apiVersion") == version {
        return Some((Cow::Borrowed(object), target.shape));
    }
    let (object, shape) = (target.convert)(object, version)?;
    Some((Cow::Owned(object), shape))
}

/// The fields that are in one object, and neither in the other nor owned.
fn gone<'v, 's: 'v, S: Shape<'s>>(
    shape: S,
    before: &'v Value,
    after: &'v Value,
    owned: &FieldSet<'_>,
) -> FieldSet<'v> {
    let named = |set: &FieldSet<'v>| with_named(Some(shape), set);
    named(&fields(shape, before))
        .difference(&named(&fields(shape, after)))
        .difference(&with_named(Some(shape), owned))
}

fn without<'s, S: Shape<'s>>(shape: S, object: &Value, set: &FieldSet<'_>) -> Value {
    let mut object = object.clone();
    remove(shape, &mut object, set);
    object
}
