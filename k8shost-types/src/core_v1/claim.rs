//! PersistentVolumeClaim.

use serde_json::{Value, json};

use super::volume::validate_kept;
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, object, text},
    meta, names,
    pod::{quantities, read_quantity, resource_defaults, validate_amount, validate_claim_spec},
    rules::{self, Errors, fill, fill_absent, part, same_or_empty, spec, status},
    strategy::{Strategy, Text},
};

/// The row of PersistentVolumeClaim in the table of kinds.
pub static PERSISTENT_VOLUME_CLAIM: Strategy = Strategy {
    kind: Text::Borrowed("PersistentVolumeClaim"),
    resource: Text::Borrowed("persistentvolumeclaims"),
    default,
    admit_create: |claim| {
        protect(claim, "kubernetes.io/pvc-protection");
        Ok(())
    },
    prepare_create: |claim| {
        tree::set(claim, "status", json!({"phase": "Pending"}));
        agree(claim);
    },
    validate_create,
    prepare_update: |new, old| {
        tree::keep(new, old, "status");
        agree(new);
    },
    validate_update,
    prepare_status_update: rules::prepare_status_update,
    validate_status_update,
    has_status: true,
    ..Strategy::BASE
};

/// Holds a new object until nothing uses it any more.
pub(super) fn protect(object: &mut Value, finalizer: &str) {
    let mut finalizers = list(meta::metadata(object), "finalizers").to_vec();
    if !finalizers.iter().any(|other| other == finalizer) {
        finalizers.push(finalizer.into());
        meta::set(object, "finalizers", finalizers);
    }
}

/// Puts Kubernetes' defaults where a field is not set.
pub(crate) fn default(claim: &mut Value) {
    if let Some(spec) = tree::ensure_object(claim, "spec") {
        fill_absent(spec, "volumeMode", "Filesystem");
        if let Some(resources) = tree::ensure_object(spec, "resources") {
            resource_defaults(resources);
        }
    }
    if let Some(status) = tree::ensure_object(claim, "status") {
        fill(status, "phase", "Pending");
        quantities(status, "capacity");
        quantities(status, "allocatedResources");
    }
}

/// The two fields that name what a volume is filled from follow each other.
fn agree(claim: &mut Value) {
    let Some(spec) = tree::get_mut(claim, "spec") else {
        return;
    };
    match (get(spec, "dataSource"), get(spec, "dataSourceRef")) {
        (Some(source), None) => {
            let mut reference = source.clone();
            tree::remove(&mut reference, "namespace");
            tree::set(spec, "dataSourceRef", reference);
        }
        (None, Some(reference)) if text(reference, "namespace").is_empty() => {
            let source = reference.clone();
            tree::set(spec, "dataSource", source);
        }
        _ => {}
    }
}

fn validate_create(claim: &Value) -> Errors {
    let mut errors = rules::metadata(claim, true, names::subdomain_rule);
    validate_claim_spec(spec(claim), &Path::new("spec"), &mut errors);
    errors
}

fn storage(requests: &Value) -> Option<&Value> {
    get(part(part(requests, "resources"), "requests"), "storage")
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    let path = Path::new("spec");
    validate_claim_spec(spec(new), &path, &mut errors);
    let (new_spec, old_spec) = (spec(new), spec(old));
    let bound = text(status(new), "phase") == "Bound";
    if !is_the_same(new_spec, old_spec, bound) {
        errors.push(FieldError::forbidden(
            &path,
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        ));
    }
    let amount = |value: Option<&Value>| value.and_then(read_quantity);
    if let (Some(size), Some(before)) = (amount(storage(new_spec)), amount(storage(old_spec)))
        && size < before
    {
        let capacity = amount(get(part(status(old), "capacity"), "storage"));
        if capacity.is_none_or(|capacity| size <= capacity) {
            errors.push(FieldError::forbidden(
                &path.child("resources").child("requests").child("storage"),
                "field can not be less than status.capacity",
            ));
        }
    }
    validate_kept(new_spec, old_spec, &path, &mut errors);
    errors
}

/// Whether two specs differ only in what may change: the volume and the class of storage are given
/// once; a bound claim may ask for another size.
fn is_the_same(new: &Value, old: &Value, bound: bool) -> bool {
    let fields = object_fields(new).chain(object_fields(old));
    for field in fields {
        let same = match field {
            "volumeName" => same_or_empty(new, old, field) || text(old, field).is_empty(),
            "storageClassName" => same_or_empty(new, old, field) || get(old, field).is_none(),
            "volumeAttributesClassName" => bound || same_or_empty(new, old, field),
            "resources" if bound => {
                same_or_empty(part(new, field), part(old, field), "limits")
                    && other_requests(new).eq(other_requests(old))
            }
            field => same_or_empty(new, old, field),
        };
        if !same {
            return false;
        }
    }
    true
}

fn object_fields(spec: &Value) -> impl Iterator<Item = &str> {
    spec.as_object()
        .into_iter()
        .flat_map(|fields| fields.keys())
        .map(String::as_str)
}

fn other_requests(spec: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object(part(spec, "resources"), "requests")
        .into_iter()
        .flatten()
        .filter(|(name, _)| *name != "storage")
}

fn validate_status_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    let path = Path::new("status");
    for field in ["capacity", "allocatedResources"] {
        let path = path.child(field);
        for (name, amount) in object(status(new), field).into_iter().flatten() {
            validate_amount(name, amount, &path.key(name), &mut errors);
        }
    }
    errors
}
