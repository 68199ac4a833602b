//! The rules for profiles of seccomp and AppArmor, in fields and in the annotations that were there
//! before.

use serde_json::Value;

use super::{security::validate_descending, visit_containers};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, list, text},
    seen::Seen,
};

const PROFILE_TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

pub(super) fn validate_seccomp(profile: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let kind = text(profile, "type");
    let kind_path = path.child("type");
    if kind.is_empty() {
        errors.push(FieldError::required(
            &kind_path,
            "type is required when seccompProfile is set",
        ));
    } else if !PROFILE_TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&kind_path, kind, &PROFILE_TYPES));
    }
    let path = path.child("localhostProfile");
    match (kind == "Localhost", get(profile, "localhostProfile")) {
        (true, None) => errors.push(FieldError::required(
            &path,
            "must be set when seccomp type is Localhost",
        )),
        (true, Some(_)) => {
            validate_descending(text(profile, "localhostProfile"), &path, errors);
        }
        (false, Some(_)) => errors.push(FieldError::invalid(
            &path,
            profile,
            "can only be set when seccomp type is Localhost",
        )),
        (false, None) => {}
    }
}

pub(super) fn validate_app_armor(profile: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let local_path = path.child("localhostProfile");
    let local = get(profile, "localhostProfile").and_then(Value::as_str);
    match (text(profile, "type"), local) {
        ("Localhost", None) => errors.push(FieldError::required(
            &local_path,
            "must be set when AppArmor type is Localhost",
        )),
        ("Localhost", Some(local)) => {
            if local.trim() != local {
                errors.push(FieldError::invalid(
                    &local_path,
                    local,
                    "must not be padded with whitespace",
                ));
            } else if local.is_empty() {
                errors.push(FieldError::required(
                    &local_path,
                    "must be set when AppArmor type is Localhost",
                ));
            }
            if local.len() > 4095 {
                errors.push(FieldError::too_long(&local_path, 4095));
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(local)) => errors.push(FieldError::invalid(
            &local_path,
            local,
            "can only be set when AppArmor type is Localhost",
        )),
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => errors.push(FieldError::required(
            &path.child("type"),
            "type is required when appArmorProfile is set",
        )),
        (other, _) => {
            errors.push(FieldError::not_supported(
                &path.child("type"),
                other,
                &PROFILE_TYPES,
            ));
        }
    }
}

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// The prefix of annotations that named a container's AppArmor profile before there was a field.
pub(super) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The rules for the annotations of old times that name profiles.
pub(super) fn validate_annotations(
    annotations: &Value,
    spec: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(annotations) = annotations.as_object() else {
        return;
    };
    let containers: Seen<&str> = ["containers", "initContainers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|field| list(spec, field))
        .map(|container| text(container, "name"))
        .collect();
    for (key, value) in annotations {
        let value = value.as_str().unwrap_or_default();
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER) {
            let path = path.child(key);
            if let Some(local) = value.strip_prefix("localhost/") {
                validate_descending(local, &path, errors);
            } else if !matches!(value, "runtime/default" | "docker/default" | "unconfined") {
                errors.push(FieldError::invalid(
                    &path,
                    value,
                    "must be a valid seccomp profile",
                ));
            }
        }
        if let Some(container) = key.strip_prefix(APP_ARMOR) {
            let path = path.key(key);
            if !containers.has(&container) {
                errors.push(FieldError::invalid(&path, container, "container not found"));
            }
            let valid = matches!(value, "" | "runtime/default" | "unconfined")
                || value.starts_with("localhost/");
            if !valid {
                let detail = format!(
                    "invalid AppArmor profile name: {}",
                    crate::field::quote(value)
                );
                errors.push(FieldError::invalid(&path, value, &detail));
            }
        }
    }
}

/// The profile that an AppArmor annotation means.
pub(super) fn app_armor_of_annotation(value: &str) -> Option<Value> {
    match value {
        "unconfined" => Some(serde_json::json!({"type": "Unconfined"})),
        "runtime/default" => Some(serde_json::json!({"type": "RuntimeDefault"})),
        _ => {
            let local = value
                .strip_prefix("localhost/")
                .filter(|local| !local.is_empty())?;
            let profile = serde_json::json!({"type": "Localhost", "localhostProfile": local});
            let mut errors = Vec::new();
            validate_app_armor(&profile, &Path::new(""), &mut errors);
            errors.is_empty().then_some(profile)
        }
    }
}

/// An annotation and a field that name a profile for the same thing must name the same one.
pub(super) fn validate_annotations_match(
    annotations: &Value,
    spec: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if annotations
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
    {
        return;
    }
    let context = get(spec, "securityContext").unwrap_or(&Value::Null);
    let context_path = path.child("securityContext");
    let seccomp = get(context, "seccompProfile");
    if let (Some(profile), Some(value)) = (seccomp, get(annotations, SECCOMP_POD)) {
        let path = context_path.child("seccompProfile");
        validate_match(value, profile, "seccomp", &path, errors);
    }
    let mut of_containers = |prefix: &str, field: &str, what: &str, of_pod: Option<&Value>| {
        visit_containers(spec, path, |container, path| {
            let key = format!("{prefix}{}", text(container, "name"));
            let own = get(container, "securityContext").and_then(|c| get(c, field));
            if let (Some(profile), Some(value)) = (own.or(of_pod), get(annotations, &key)) {
                let path = path.child("securityContext");
                validate_match(value, profile, what, &path.child(field), errors);
            }
        });
    };
    of_containers(SECCOMP_CONTAINER, "seccompProfile", "seccomp", None);
    if get(spec, "os").is_some_and(|os| text(os, "name") == "windows") {
        return;
    }
    let of_pod = get(context, "appArmorProfile");
    of_containers(APP_ARMOR, "appArmorProfile", "apparmor", of_pod);
}

fn validate_match(
    annotation: &Value,
    profile: &Value,
    what: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let annotation = annotation.as_str().unwrap_or_default();
    let local = annotation.strip_prefix("localhost/");
    let same_type = match text(profile, "type") {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => {
            annotation == "runtime/default" || (what == "seccomp" && annotation == "docker/default")
        }
        "Localhost" => local.is_some(),
        _ => true,
    };
    if !same_type {
        errors.push(FieldError::forbidden(
            &path.child("type"),
            &format!("{what} type in annotation and field must match"),
        ));
    } else if text(profile, "type") == "Localhost"
        && local != get(profile, "localhostProfile").and_then(Value::as_str)
    {
        errors.push(FieldError::forbidden(
            &path.child("localhostProfile"),
            &format!("{what} profile in annotation and field must match"),
        ));
    }
}
