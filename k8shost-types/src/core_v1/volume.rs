//! PersistentVolume.

use serde_json::{Value, json};

use super::{claim::protect, volume_sources};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, object, text},
    meta, names,
    pod::{
        ACCESS_MODES, quantities, validate_amount, validate_node_selector, volume_source_defaults,
    },
    rules::{self, Errors, choice, fill, fill_absent, is_set, name_in, part, spec, strings},
    strategy::{Strategy, Text},
};

/// The row of PersistentVolume in the table of kinds.
pub static PERSISTENT_VOLUME: Strategy = Strategy {
    kind: Text::Borrowed("PersistentVolume"),
    resource: Text::Borrowed("persistentvolumes"),
    namespaced: false,
    default,
    admit_create: |volume| {
        protect(volume, "kubernetes.io/pv-protection");
        Ok(())
    },
    prepare_create: |volume| {
        let now = text(meta::metadata(volume), "creationTimestamp").to_owned();
        let status = json!({"phase": "Pending", "lastPhaseTransitionTime": now});
        tree::set(volume, "status", status);
    },
    validate_create,
    prepare_update: |new, old| tree::keep(new, old, "status"),
    validate_update,
    prepare_status_update: rules::prepare_status_update,
    validate_status_update: rules::metadata_update,
    selectable: &["metadata.name"],
    has_status: true,
    ..Strategy::BASE
};

fn default(volume: &mut Value) {
    if let Some(spec) = tree::ensure_object(volume, "spec") {
        fill(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill_absent(spec, "volumeMode", "Filesystem");
        quantities(spec, "capacity");
        if let Some(fields) = spec.as_object_mut() {
            for (kind, source) in fields.iter_mut() {
                if !source.is_null() && volume_sources::is_source(kind) {
                    volume_source_defaults(kind, source);
                }
            }
        }
    }
    if let Some(status) = tree::ensure_object(volume, "status") {
        fill(status, "phase", "Pending");
    }
}

fn validate_create(volume: &Value) -> Errors {
    let mut errors = rules::metadata(volume, false, names::subdomain_rule);
    validate_spec(spec(volume), false, &Path::new("spec"), &mut errors);
    errors
}

/// The rules for the spec of a volume. One that is written within an attachment has no capacity of
/// its own to speak of, and must be a CSI volume.
pub(crate) fn validate_spec(spec: &Value, inline: bool, path: &Path<'_>, errors: &mut Errors) {
    let modes_path = path.child("accessModes");
    let modes: Vec<&str> = strings(spec, "accessModes").collect();
    if modes.is_empty() {
        errors.push(FieldError::required(&modes_path, ""));
    }
    for mode in &modes {
        if !ACCESS_MODES.contains(mode) {
            errors.push(FieldError::not_supported(&modes_path, *mode, &ACCESS_MODES));
        }
    }
    if modes.contains(&"ReadWriteOncePod") && modes.iter().any(|mode| *mode != "ReadWriteOncePod") {
        errors.push(FieldError::forbidden(
            &modes_path,
            "may not use ReadWriteOncePod with other access modes",
        ));
    }
    if !inline {
        validate_capacity(spec, &path.child("capacity"), errors);
    }
    let policies = ["Delete", "Recycle", "Retain"];
    if is_set(spec, "persistentVolumeReclaimPolicy") {
        let field = "persistentVolumeReclaimPolicy";
        if inline {
            errors.push(FieldError::forbidden(
                &path.child(field),
                "may not be specified in the context of inline volumes",
            ));
        }
        choice(spec, field, &policies, path, errors);
    }
    if let Some(affinity) = get(spec, "nodeAffinity") {
        let path = path.child("nodeAffinity");
        let path = path.child("required");
        match get(affinity, "required") {
            Some(required) => validate_node_selector(required, &path, errors),
            None => errors.push(FieldError::required(
                &path,
                "must specify required node constraints",
            )),
        }
    }
    volume_sources::validate(spec, path, errors);
    let host = get(spec, "hostPath").map(|source| text(source, "path"));
    let recycled = text(spec, "persistentVolumeReclaimPolicy") == "Recycle";
    if recycled
        && host.is_some_and(|host| host.trim_end_matches('/').is_empty() && !host.is_empty())
    {
        errors.push(FieldError::forbidden(
            &path.child("persistentVolumeReclaimPolicy"),
            "may not be 'recycle' for a hostPath mount of '/'",
        ));
    }
    name_in(
        spec,
        "storageClassName",
        names::dns1123_subdomain,
        path,
        errors,
    );
    choice(spec, "volumeMode", &["Block", "Filesystem"], path, errors);
    let class = "volumeAttributesClassName";
    if let Some(Value::String(name)) = get(spec, class) {
        if name.is_empty() {
            errors.push(FieldError::required(
                &path.child(class),
                "an empty string is disallowed",
            ));
        }
        name_in(spec, class, names::dns1123_subdomain, path, errors);
        if get(spec, "csi").is_none() {
            errors.push(FieldError::required(
                &path.child("csi"),
                "has to be specified when using volumeAttributesClassName",
            ));
        }
    }
}

fn validate_capacity(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(capacity) = object(spec, "capacity").filter(|map| !map.is_empty()) else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    if capacity.len() > 1 || !capacity.contains_key("storage") {
        errors.push(FieldError::not_supported(
            path,
            part(spec, "capacity"),
            &["storage"],
        ));
    }
    for (name, amount) in capacity {
        let path = path.key(name);
        let quantity = validate_amount(name, amount, &path, errors);
        if quantity.is_some_and(|quantity| !quantity.is_positive()) {
            errors.push(FieldError::invalid(
                &path,
                amount,
                "must be greater than zero",
            ));
        }
    }
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata(new, false, names::subdomain_rule);
    let path = Path::new("spec");
    let (new_spec, old_spec) = (spec(new), spec(old));
    validate_spec(new_spec, false, &path, &mut errors);
    errors.append(&mut rules::metadata_update(new, old));
    let changed = volume_sources::KINDS
        .iter()
        .any(|(kind, _)| !rules::same(new_spec, old_spec, kind));
    if changed {
        errors.push(FieldError::forbidden(
            &path.child("persistentvolumesource"),
            "spec.persistentvolumesource is immutable after creation",
        ));
    }
    validate_kept(new_spec, old_spec, &path, &mut errors);
    if get(old_spec, "nodeAffinity").is_some() && !rules::same(new_spec, old_spec, "nodeAffinity") {
        let detail = "field is immutable, except for updating from beta label to GA";
        rules::invalid(new_spec, "nodeAffinity", detail, &path, &mut errors);
    }
    errors
}

/// What of a volume, or of the claim to one, stays: its mode, and that it has a class of attributes.
pub(super) fn validate_kept(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Errors) {
    rules::immutable(new, old, "volumeMode", path, errors);
    let class = "volumeAttributesClassName";
    if is_set(old, class) && get(new, class).is_none() {
        errors.push(FieldError::forbidden(
            &path.child(class),
            "update from non-nil value to nil is forbidden",
        ));
    }
}
