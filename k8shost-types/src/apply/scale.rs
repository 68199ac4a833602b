//! managedFields of the subresource scale, which is an object of its own: what its managers do to
//! spec.replicas there they do to the object's replicas.

use std::borrow::Cow;

use super::{
    element::Element,
    managed::{Managed, Operation},
    set::FieldSet,
};

/// The version of the object that scale shows.
const SCALE: &str = "autoscaling/v1";

fn path<'p>(names: &[&'p str]) -> Vec<Element<'p>> {
    names.iter().copied().map(Element::field).collect()
}

/// The entries of the scale object: those who own the replicas, in any of the object's versions.
/// `replicas` says for a version where they are, `["spec", "replicas"]` for all built-in kinds.
pub fn to_scale<'a>(
    parent: &Managed<'a>,
    replicas: &dyn Fn(&str) -> Option<&'static [&'static str]>,
) -> Managed<'a> {
    let mut scale = Managed::default();
    for entry in &parent.0 {
        let owns =
            replicas(&entry.api_version).is_some_and(|names| entry.fields.contains(&path(names)));
        if owns {
            let mut entry = entry.clone();
            entry.api_version = Cow::Borrowed(SCALE);
            entry.fields = FieldSet::of_names(&[&["spec", "replicas"]]);
            scale.put(entry);
        }
    }
    scale
}

/// The object's entries after a write of its scale, in this version of it. Entries of versions that
/// there are no more go. A new entry has no time.
pub fn from_scale<'a>(
    parent: &Managed<'a>,
    scale: &Managed<'a>,
    api_version: &'a str,
    replicas: &dyn Fn(&str) -> Option<&'static [&'static str]>,
) -> Managed<'a> {
    let mut result = Managed::default();
    for entry in &parent.0 {
        let Some(names) = replicas(&entry.api_version) else {
            continue;
        };
        let keeps = scale.find(entry.identity()).is_some();
        let mut entry = entry.clone();
        if !keeps {
            let stolen = FieldSet::of_names(&[names]);
            entry.fields = std::mem::take(&mut entry.fields).difference(&stolen);
        }
        if !entry.fields.is_empty() {
            result.put(entry);
        }
    }
    let Some(names) = replicas(api_version) else {
        return result;
    };
    for entry in &scale.0 {
        let known = entry.operation == Operation::Apply && parent.find(entry.identity()).is_some();
        if known || !entry.fields.contains(&path(&["spec", "replicas"])) {
            continue;
        }
        let mut entry = entry.clone();
        entry.api_version = Cow::Borrowed(api_version);
        entry.fields = FieldSet::of_names(&[names]);
        entry.time = None;
        // An updater has its other fields in an entry of its own.
        match result.find(entry.identity()) {
            Some(at) => {
                let before = std::mem::take(&mut result.0[at].fields);
                result.0[at].fields = before.union(entry.fields);
            }
            None => result.0.push(entry),
        }
    }
    result
}
