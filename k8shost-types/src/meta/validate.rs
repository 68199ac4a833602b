//! The rules for metadata of any kind.

use serde_json::Value;

use super::{ABSENT, finalizers, metadata};
use crate::{
    error::FieldError,
    field::{Path, quote},
    json::{self, get, int, list, pairs, text},
    names::{self, NameRule},
    seen::Seen,
};

/// The annotations of an object, keys and values, may take this many bytes.
pub const ANNOTATIONS_MAX: usize = 256 * 1024;
/// The name of a field manager has at most as many bytes.
pub(crate) const MANAGER_MAX: usize = 128;

/// The rules for the metadata of a new object, its name made already.
pub fn validate_create(
    object: &Value,
    namespaced: bool,
    rule: NameRule,
    errors: &mut Vec<FieldError>,
) {
    let metadata = metadata(object);
    let path = Path::new("metadata");
    let generate_name = text(metadata, "generateName");
    if !generate_name.is_empty() {
        for fault in rule(generate_name, true) {
            let path = path.child("generateName");
            errors.push(FieldError::invalid(&path, generate_name, &fault));
        }
    }
    let name = text(metadata, "name");
    if name.is_empty() {
        errors.push(FieldError::required(
            &path.child("name"),
            "name or generateName is required",
        ));
    } else {
        for fault in rule(name, false) {
            errors.push(FieldError::invalid(&path.child("name"), name, &fault));
        }
    }
    let namespace = text(metadata, "namespace");
    let namespace_path = path.child("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => errors.push(FieldError::required(&namespace_path, "")),
        (true, false) => {
            for fault in names::dns1123_label(namespace) {
                errors.push(FieldError::invalid(&namespace_path, namespace, &fault));
            }
        }
        (false, false) => {
            errors.push(FieldError::forbidden(
                &namespace_path,
                "not allowed on this type",
            ));
        }
        (false, true) => {}
    }
    if let Some(generation) = int(metadata, "generation")
        && generation < 0
    {
        errors.push(FieldError::invalid(
            &path.child("generation"),
            &generation,
            "must be greater than or equal to 0",
        ));
    }
    validate_maps(metadata, &path, errors);
    validate_owners(metadata, &path.child("ownerReferences"), errors);
    validate_finalizers(metadata, &path.child("finalizers"), errors);
    validate_managed_fields(metadata, &path.child("managedFields"), errors);
}

/// The rules for what an update may change in metadata.
pub fn validate_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (new, old) = (metadata(new), metadata(old));
    let path = Path::new("metadata");
    if !text(old, "deletionTimestamp").is_empty() {
        validate_no_new_finalizers(new, old, &path.child("finalizers"), errors);
    }
    if text(new, "resourceVersion").is_empty() {
        errors.push(FieldError::invalid(
            &path.child("resourceVersion"),
            "",
            "must be specified for an update",
        ));
    }
    let generation = int(new, "generation").unwrap_or_default();
    if generation < int(old, "generation").unwrap_or_default() {
        errors.push(FieldError::invalid(
            &path.child("generation"),
            &generation,
            "must not be decremented",
        ));
    }
    for field in ["name", "namespace", "uid"] {
        let (new, old) = (text(new, field), text(old, field));
        if new != old {
            errors.push(FieldError::invalid(
                &path.child(field),
                new,
                "field is immutable",
            ));
        }
    }
    for field in [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let (new, old) = (get(new, field), get(old, field));
        if new != old {
            let new = new.unwrap_or(&ABSENT);
            let shown = match new {
                // A time is shown as JSON, not quoted once more.
                Value::String(text) => Value::String(text.clone()).to_string(),
                other => other.to_string(),
            };
            errors.push(FieldError {
                kind: crate::FieldErrorKind::Invalid,
                field: path.child(field).to_string(),
                message: format!("Invalid value: {shown}: field is immutable"),
            });
        }
    }
    validate_maps(new, &path, errors);
    validate_owners(new, &path.child("ownerReferences"), errors);
    validate_managed_fields(new, &path.child("managedFields"), errors);
}

fn validate_maps(metadata: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    validate_labels(metadata, "labels", path, errors);
    validate_annotations(metadata, path, errors);
}

/// The rules for annotations, in an object's metadata or a template's.
pub(crate) fn validate_annotations(
    metadata: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let path = path.child("annotations");
    let mut size = 0;
    for (key, value) in pairs(metadata, "annotations") {
        // Upper case is allowed in the prefix of an annotation's key, and only there it matters.
        let faults = if key.bytes().any(|b| b.is_ascii_uppercase()) {
            names::qualified_name(&key.to_lowercase())
        } else {
            names::qualified_name(key)
        };
        for fault in faults {
            errors.push(FieldError::invalid(&path, key, &fault));
        }
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_MAX {
        errors.push(FieldError::too_long(&path, ANNOTATIONS_MAX));
    }
}

/// The rules for a map of labels, wherever it is.
pub(crate) fn validate_labels(
    parent: &Value,
    field: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for (key, value) in pairs(parent, field) {
        for fault in names::qualified_name(key) {
            errors.push(FieldError::invalid(&path.child(field), key, &fault));
        }
        for fault in names::label_value(value) {
            errors.push(FieldError::invalid(&path.child(field), value, &fault));
        }
    }
}

fn validate_owners(metadata: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let owners = list(metadata, "ownerReferences");
    let mut controller: Option<String> = None;
    for owner in owners {
        let (api_version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
        // A version that cannot be read counts as none.
        let readable = match api_version.split_once('/') {
            None => !api_version.is_empty(),
            Some((_, version)) => !version.is_empty() && !version.contains('/'),
        };
        if !readable {
            errors.push(FieldError::invalid(
                &path.child("apiVersion"),
                api_version,
                "version must not be empty",
            ));
        }
        for field in ["kind", "name", "uid"] {
            if text(owner, field).is_empty() {
                errors.push(FieldError::invalid(
                    &path.child(field),
                    "",
                    "must not be empty",
                ));
            }
        }
        if api_version == "v1" && kind == "Event" {
            errors.push(FieldError::invalid(
                path,
                owner,
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if json::flag(owner, "controller") {
            let this = format!("{kind}/{}", text(owner, "name"));
            if let Some(first) = &controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                let owners = get(metadata, "ownerReferences").unwrap_or(&ABSENT);
                errors.push(FieldError::invalid(path, owners, &detail));
            } else {
                controller = Some(this);
            }
        }
    }
}

fn validate_finalizers(metadata: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let finalizers = list(metadata, "finalizers");
    let has = |name: &str| finalizers.iter().any(|f| f.as_str() == Some(name));
    for finalizer in finalizers.iter().filter_map(Value::as_str) {
        for fault in names::qualified_name(finalizer) {
            errors.push(FieldError::invalid(path, finalizer, &fault));
        }
    }
    if has("orphan") && has("foregroundDeletion") {
        let finalizers = get(metadata, "finalizers").unwrap_or(&ABSENT);
        errors.push(FieldError::invalid(
            path,
            finalizers,
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
}

/// Judges one finalizer of one of Kubernetes' own kinds: qualified, or one of the old short names.
pub(crate) fn validate_kube_finalizer(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !name.contains('/') && !matches!(name, "kubernetes" | "orphan" | "foregroundDeletion") {
        errors.push(FieldError::invalid(
            path,
            name,
            "name is neither a standard finalizer name nor is it fully qualified",
        ));
    }
}

/// The further rule for finalizers of Kubernetes' own kinds.
pub(crate) fn validate_kube_finalizers(object: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::new("metadata");
    let path = path.child("finalizers");
    for (i, finalizer) in finalizers(object).enumerate() {
        validate_kube_finalizer(finalizer, &path.index(i), errors);
    }
}

fn validate_no_new_finalizers(
    new: &Value,
    old: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let names = |metadata| {
        list(metadata, "finalizers")
            .iter()
            .filter_map(Value::as_str)
    };
    let old: Seen<&str> = names(old).collect();
    let mut extra: Vec<&str> = names(new).filter(|name| !old.has(name)).collect();
    extra.sort_unstable();
    extra.dedup();
    if !extra.is_empty() {
        let extra: Vec<String> = extra.into_iter().map(quote).collect();
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            extra.join(", ")
        );
        errors.push(FieldError::forbidden(path, &detail));
    }
}

/// What is wrong with the name of a field manager.
pub fn validate_manager(manager: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if manager.len() > MANAGER_MAX {
        errors.push(FieldError::too_long(path, MANAGER_MAX));
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let detail = format!(
            "invalid character U+{:04X} (at position {at})",
            u32::from(c)
        );
        errors.push(FieldError::invalid(path, manager, &detail));
    }
}

fn validate_managed_fields(metadata: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (i, entry) in list(metadata, "managedFields").iter().enumerate() {
        let path = path.index(i);
        let operation = text(entry, "operation");
        if !matches!(operation, "Apply" | "Update") {
            errors.push(FieldError::invalid(
                &path.child("operation"),
                operation,
                "must be `Apply` or `Update`",
            ));
        }
        let fields_type = text(entry, "fieldsType");
        if !matches!(fields_type, "" | "FieldsV1") {
            errors.push(FieldError::invalid(
                &path.child("fieldsType"),
                fields_type,
                "must be `FieldsV1`",
            ));
        }
        validate_manager(text(entry, "manager"), &path.child("manager"), errors);
        if text(entry, "subresource").len() > 256 {
            errors.push(FieldError::too_long(&path.child("subresource"), 256));
        }
    }
}
