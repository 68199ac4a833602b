//! Environment variables of containers, and where their values come from.

use serde_json::Value;

use super::{scheduling::faults, security::validate_no_backsteps};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, list, text},
    names,
    quantity::Quantity,
};

/// What a variable may be taken from.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// What a file may be made of.
pub(super) const VOLUME_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// The rules for env.
pub(super) fn validate(variables: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (i, variable) in variables.iter().enumerate() {
        let path = path.index(i);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else {
            faults(names::env_name(name), name, &path.child("name"), errors);
        }
        if let Some(source) = get(variable, "valueFrom") {
            let has_value = !text(variable, "value").is_empty();
            validate_source(source, has_value, &path.child("valueFrom"), errors);
        }
    }
}

fn validate_source(source: &Value, has_value: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut count = 0;
    if let Some(field) = get(source, "fieldRef") {
        count += 1;
        validate_field_ref(field, &ENV_FIELDS, &path.child("fieldRef"), errors);
    }
    if let Some(resource) = get(source, "resourceFieldRef") {
        count += 1;
        validate_resource_ref(resource, false, &path.child("resourceFieldRef"), errors);
    }
    for field in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(selector) = get(source, field) {
            count += 1;
            validate_key_selector(selector, &path.child(field), errors);
        }
    }
    if let Some(file) = get(source, "fileKeyRef") {
        count += 1;
        validate_file_key(file, &path.child("fileKeyRef"), errors);
    }
    if count == 0 {
        errors.push(FieldError::invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ));
    } else if has_value {
        errors.push(FieldError::invalid(
            path,
            "",
            "may not be specified when `value` is not empty",
        ));
    } else if count > 1 {
        errors.push(FieldError::invalid(
            path,
            "",
            "may not have more than one field specified at a time",
        ));
    }
}

/// `metadata.labels['key']`, in its two parts.
fn subscript(field: &str) -> Option<(&str, &str)> {
    let (path, key) = field.strip_suffix("']")?.split_once("['")?;
    (!path.is_empty()).then_some((path, key))
}

/// The rules for a reference to a field of the pod itself.
pub(super) fn validate_field_ref(
    reference: &Value,
    supported: &[&str],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let version = text(reference, "apiVersion");
    let field = text(reference, "fieldPath");
    let field_path = path.child("fieldPath");
    if version.is_empty() {
        errors.push(FieldError::required(&path.child("apiVersion"), ""));
        return;
    }
    if field.is_empty() {
        errors.push(FieldError::required(&field_path, ""));
        return;
    }
    let split = subscript(field);
    let known = matches!(
        field,
        "metadata.annotations"
            | "metadata.labels"
            | "metadata.name"
            | "metadata.namespace"
            | "metadata.uid"
            | "spec.nodeName"
            | "spec.restartPolicy"
            | "spec.serviceAccountName"
            | "spec.schedulerName"
            | "status.phase"
            | "status.hostIP"
            | "status.hostIPs"
            | "status.podIP"
            | "status.podIPs"
            | "spec.host"
    );
    let fault = if version != "v1" {
        format!("unsupported pod version: {version}")
    } else {
        match split {
            Some(("metadata.annotations" | "metadata.labels", _)) => String::new(),
            Some(_) => format!("field label does not support subscript: {field}"),
            None if known => String::new(),
            None => format!("field label not supported: {field}"),
        }
    };
    if !fault.is_empty() {
        let detail = format!("error converting fieldPath: {fault}");
        errors.push(FieldError::invalid(&field_path, field, &detail));
        return;
    }
    match split {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            faults(names::qualified_name(&key), &key, path, errors);
        }
        Some((_, key)) => faults(names::qualified_name(key), key, path, errors),
        None => {
            let field = if field == "spec.host" {
                "spec.nodeName"
            } else {
                field
            };
            if !supported.contains(&field) {
                errors.push(FieldError::not_supported(&field_path, field, supported));
            }
        }
    }
}

/// The rules for a reference to a container's resource.
pub(super) fn validate_resource_ref(
    reference: &Value,
    in_volume: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let resource = text(reference, "resource");
    let huge =
        resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if in_volume && text(reference, "containerName").is_empty() {
        errors.push(FieldError::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(&path.child("resource"), ""));
    } else if !RESOURCES.contains(&resource) && !huge {
        errors.push(FieldError::not_supported(
            &path.child("resource"),
            resource,
            &RESOURCES,
        ));
    }
    let Some(divisor) = get(reference, "divisor") else {
        return;
    };
    let path = path.child("divisor");
    let Some(quantity) = super::resources::validate_readable(divisor, &path, errors) else {
        return;
    };
    let text = divisor.as_str().unwrap_or_default();
    if quantity == Quantity::ZERO {
        return;
    }
    let bytes = matches!(
        text,
        "1" | "1k"
            | "1M"
            | "1G"
            | "1T"
            | "1P"
            | "1E"
            | "1Ki"
            | "1Mi"
            | "1Gi"
            | "1Ti"
            | "1Pi"
            | "1Ei"
    );
    let what = match resource {
        "limits.cpu" | "requests.cpu" => {
            if !matches!(text, "1" | "1m") {
                errors.push(FieldError::invalid(
                    &path,
                    resource,
                    "only divisor's values 1m and 1 are supported with the cpu resource",
                ));
            }
            return;
        }
        "limits.memory" | "requests.memory" => "memory",
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => "local ephemeral storage",
        _ if huge => "hugepages",
        _ => return,
    };
    if !bytes {
        let detail = format!(
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the {what} resource"
        );
        errors.push(FieldError::invalid(&path, resource, &detail));
    }
}

fn validate_key_selector(selector: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name = text(selector, "name");
    faults(
        names::dns1123_subdomain(name),
        name,
        &path.child("name"),
        errors,
    );
    let key = text(selector, "key");
    if key.is_empty() {
        errors.push(FieldError::required(&path.child("key"), ""));
    } else {
        faults(names::config_key(key), key, &path.child("key"), errors);
    }
}

fn validate_file_key(selector: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let key = text(selector, "key");
    if key.is_empty() {
        errors.push(FieldError::required(&path.child("key"), ""));
    } else {
        faults(names::env_name(key), key, &path.child("key"), errors);
    }
    let volume = text(selector, "volumeName");
    if volume.is_empty() {
        errors.push(FieldError::required(&path.child("volumeName"), ""));
    } else {
        faults(
            names::dns1123_label(volume),
            volume,
            &path.child("volumeName"),
            errors,
        );
    }
    let file = text(selector, "path");
    if file.is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
    } else {
        validate_no_backsteps(file, &path.child("path"), errors);
    }
}

/// The rules for envFrom.
pub(super) fn validate_from(sources: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for (i, source) in sources.iter().enumerate() {
        let at = path.index(i);
        let prefix = text(source, "prefix");
        if !prefix.is_empty() {
            faults(names::env_name(prefix), prefix, &at.child("prefix"), errors);
        }
        let mut count = 0;
        for field in ["configMapRef", "secretRef"] {
            let Some(reference) = get(source, field) else {
                continue;
            };
            count += 1;
            let at = at.child(field);
            let name = text(reference, "name");
            if name.is_empty() {
                errors.push(FieldError::required(&at.child("name"), ""));
            } else {
                faults(
                    names::subdomain_rule(name, true),
                    name,
                    &at.child("name"),
                    errors,
                );
            }
        }
        if count == 0 {
            errors.push(FieldError::invalid(
                path,
                "",
                "must specify one of: `configMapRef` or `secretRef`",
            ));
        } else if count > 1 {
            errors.push(FieldError::invalid(
                path,
                "",
                "may not have more than one field specified at a time",
            ));
        }
    }
}

/// The volumes that variables are read from must be there, and be emptyDirs.
pub(super) fn validate_file_volumes(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    super::visit_containers(spec, path, |container, path| {
        let path = path.child("env");
        for (i, variable) in list(container, "env").iter().enumerate() {
            let Some(file) =
                get(variable, "valueFrom").and_then(|source| get(source, "fileKeyRef"))
            else {
                continue;
            };
            let path = path.index(i);
            let path = path.child("valueFrom");
            let path = path.child("fileKeyRef");
            let path = path.child("volumeName");
            let name = text(file, "volumeName");
            match list(spec, "volumes")
                .iter()
                .rfind(|volume| text(volume, "name") == name)
            {
                None => errors.push(FieldError::not_found(&path, name)),
                Some(volume) if get(volume, "emptyDir").is_none() => {
                    errors.push(FieldError::invalid(
                        &path,
                        name,
                        "referenced volume must be of type emptyDir",
                    ));
                }
                Some(_) => {}
            }
        }
    });
}
