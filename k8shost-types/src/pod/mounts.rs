//! The rules for the mounts and devices of a container.

use serde_json::Value;

use super::{containers::Pod, security::validate_descending};
use crate::{
    error::FieldError,
    field::Path,
    json::{flag, get, list, text},
    seen::Seen,
};

/// The rules for volumeMounts.
pub(super) fn validate_mounts(
    container: &Value,
    pod: &Pod<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mounts = list(container, "volumeMounts");
    let devices = list(container, "volumeDevices");
    let (device_names, device_paths) = (all(devices, "name"), all(devices, "devicePath"));
    let mut targets = Seen::new();
    for (i, mount) in mounts.iter().enumerate() {
        let at = path.index(i);
        let (name, target) = (text(mount, "name"), text(mount, "mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), ""));
        }
        if !pod.volumes.has(name) {
            errors.push(FieldError::not_found(&at.child("name"), name));
        }
        if target.is_empty() {
            errors.push(FieldError::required(&at.child("mountPath"), ""));
        }
        if !targets.add(target) {
            errors.push(FieldError::invalid(
                &at.child("mountPath"),
                target,
                "must be unique",
            ));
        }
        if device_names.has(&name) {
            errors.push(FieldError::invalid(
                &at.child("name"),
                name,
                "must not already exist in volumeDevices",
            ));
        }
        if device_paths.has(&target) {
            errors.push(FieldError::invalid(
                &at.child("mountPath"),
                target,
                "must not already exist as a path in volumeDevices",
            ));
        }
        let (sub, expression) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        if !sub.is_empty() {
            validate_descending(sub, &path.child("subPath"), errors);
        }
        if !expression.is_empty() {
            if !sub.is_empty() {
                errors.push(FieldError::invalid(
                    &at.child("subPathExpr"),
                    expression,
                    "subPathExpr and subPath are mutually exclusive",
                ));
            }
            validate_descending(expression, &path.child("subPathExpr"), errors);
        }
        validate_propagation(container, mount, path, errors);
    }
}

fn all<'a>(items: &'a [Value], field: &str) -> Seen<&'a str> {
    items.iter().map(|item| text(item, field)).collect()
}

fn validate_propagation(
    container: &Value,
    mount: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    const PROPAGATION: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
    const RECURSION: [&str; 3] = ["Disabled", "Enabled", "IfPossible"];
    let propagation = get(mount, "mountPropagation").and_then(Value::as_str);
    if let Some(mode) = propagation {
        let path = path.child("mountPropagation");
        if !PROPAGATION.contains(&mode) {
            errors.push(FieldError::not_supported(&path, mode, &PROPAGATION));
        }
        let privileged = get(container, "securityContext").is_some_and(|c| flag(c, "privileged"));
        if mode == "Bidirectional" && !privileged {
            errors.push(FieldError::forbidden(
                &path,
                "Bidirectional mount propagation is available only to privileged containers",
            ));
        }
    }
    let path = path.child("recursiveReadOnly");
    match get(mount, "recursiveReadOnly").and_then(Value::as_str) {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if !flag(mount, "readOnly") {
                errors.push(FieldError::forbidden(
                    &path,
                    "may only be specified when readOnly is true",
                ));
            }
            if propagation.is_some_and(|mode| mode != "None") {
                errors.push(FieldError::forbidden(
                    &path,
                    "may only be specified when mountPropagation is None or not specified",
                ));
            }
        }
        Some(other) => errors.push(FieldError::not_supported(&path, other, &RECURSION)),
    }
}

/// The rules for volumeDevices.
pub(super) fn validate_devices(
    container: &Value,
    pod: &Pod<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let devices = list(container, "volumeDevices");
    let mounts = list(container, "volumeMounts");
    if devices.is_empty() {
        return;
    }
    let (mount_names, mount_paths) = (all(mounts, "name"), all(mounts, "mountPath"));
    let (mut names, mut paths) = (Seen::new(), Seen::new());
    for (i, device) in devices.iter().enumerate() {
        let at = path.index(i);
        let (name_path, device_path) = (at.child("name"), at.child("devicePath"));
        let (name, target) = (text(device, "name"), text(device, "devicePath"));
        if name.is_empty() {
            errors.push(FieldError::required(&name_path, ""));
        } else if !names.add(name) {
            errors.push(FieldError::invalid(&name_path, name, "must be unique"));
        }
        match pod.volumes.is_claim(name) {
            Some(true) => {}
            Some(false) => errors.push(FieldError::invalid(
                &name_path,
                name,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            )),
            None => errors.push(FieldError::not_found(&name_path, name)),
        }
        if target.is_empty() {
            errors.push(FieldError::required(&device_path, ""));
        }
        if paths.has(&target) {
            errors.push(FieldError::invalid(&device_path, target, "must be unique"));
        }
        if target.split('/').any(|part| part == "..") {
            errors.push(FieldError::invalid(
                &device_path,
                target,
                "can not contain backsteps ('..')",
            ));
        } else {
            paths.add(target);
        }
        if mount_names.has(&name) {
            errors.push(FieldError::invalid(
                &name_path,
                name,
                "must not already exist in volumeMounts",
            ));
        }
        if mount_paths.has(&target) {
            errors.push(FieldError::invalid(
                &device_path,
                target,
                "must not already exist as a path in volumeMounts",
            ));
        }
    }
}
