//! Where the data of a PersistentVolume is: what differs from a pod's own volumes, and the rest as
//! there.

use serde_json::Value;

use crate::{
    error::FieldError,
    field::Path,
    json::{get, list, text},
    names,
    pod::{SOURCES, SourceCheck, require, validate_no_backsteps},
    rules::{Errors, faults, is_set},
};

/// The sources in the order in which they are looked at, with their rules where they are not those
/// of a pod's volumes.
pub(super) const KINDS: [(&str, Option<SourceCheck>); 22] = [
    ("hostPath", None),
    ("gcePersistentDisk", None),
    ("awsElasticBlockStore", None),
    ("glusterfs", Some(glusterfs)),
    ("flocker", None),
    ("nfs", None),
    ("rbd", Some(rbd)),
    ("quobyte", None),
    ("cephfs", Some(cephfs)),
    ("iscsi", Some(iscsi)),
    ("cinder", Some(cinder)),
    ("fc", None),
    ("flexVolume", Some(flex)),
    ("azureFile", Some(azure_file)),
    ("vsphereVolume", None),
    ("photonPersistentDisk", None),
    ("portworxVolume", None),
    ("azureDisk", None),
    ("scaleIO", Some(scale_io)),
    ("local", Some(local)),
    ("storageos", Some(storage_os)),
    ("csi", Some(csi)),
];

pub(super) fn is_source(field: &str) -> bool {
    KINDS.iter().any(|(kind, _)| *kind == field)
}

/// The rules for the one source of a volume.
pub(super) fn validate(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let mut found = false;
    for (kind, own) in KINDS {
        let Some(source) = get(spec, kind) else {
            continue;
        };
        if found {
            errors.push(FieldError::forbidden(
                &path.child(kind),
                "may not specify more than 1 volume type",
            ));
            continue;
        }
        found = true;
        let of_pod = SOURCES.iter().find(|(field, ..)| *field == kind);
        match (own, of_pod) {
            (Some(check), _) => check(source, &path.child(kind), errors),
            (None, Some((_, _, shown, check))) => check(source, &path.child(shown), errors),
            (None, None) => {}
        }
    }
    if !found {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}

fn require_list(value: &Value, field: &str, path: &Path<'_>, errors: &mut Errors) {
    if list(value, field).is_empty() {
        errors.push(FieldError::required(&path.child(field), ""));
    }
}

/// A reference to a secret, which names its namespace too.
fn secret(source: &Value, field: &str, path: &Path<'_>, errors: &mut Errors) {
    if let Some(secret) = get(source, field) {
        let path = path.child(field);
        require(secret, "name", &path, errors);
        require(secret, "namespace", &path, errors);
    }
}

fn glusterfs(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    require(source, "endpoints", path, errors);
    require(source, "path", path, errors);
    if let Some(Value::String(namespace)) = get(source, "endpointsNamespace") {
        faults(
            names::dns1123_label(namespace),
            namespace,
            &path.child("endpointsNamespace"),
            errors,
        );
    }
}

fn rbd(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    require_list(source, "monitors", path, errors);
    require(source, "image", path, errors);
}

fn cephfs(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    require_list(source, "monitors", path, errors);
}

fn iscsi(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some((_, _, _, check)) = SOURCES.iter().find(|(field, ..)| *field == "iscsi") {
        check(source, path, errors);
    }
    if let Some(secret) = get(source, "secretRef") {
        require(secret, "name", &path.child("secretRef"), errors);
    }
}

fn cinder(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    require(source, "volumeID", path, errors);
    secret(source, "secretRef", path, errors);
}

fn flex(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some((_, _, _, check)) = SOURCES.iter().find(|(field, ..)| *field == "flexVolume") {
        check(source, path, errors);
    }
}

fn azure_file(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    require(source, "secretName", path, errors);
    require(source, "shareName", path, errors);
    if let Some(Value::String(namespace)) = get(source, "secretNamespace")
        && namespace.is_empty()
    {
        errors.push(FieldError::required(&path.child("secretNamespace"), ""));
    }
}

fn scale_io(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in ["gateway", "system", "volumeName"] {
        require(source, field, path, errors);
    }
}

fn local(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let target = text(source, "path");
    if target.is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
        return;
    }
    validate_no_backsteps(target, &path.child("path"), errors);
}

fn storage_os(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    require(source, "volumeName", path, errors);
    for field in ["volumeName", "volumeNamespace"] {
        let name = text(source, field);
        if !name.is_empty() {
            faults(names::dns1123_label(name), name, &path.child(field), errors);
        }
    }
    secret(source, "secretRef", path, errors);
}

fn csi(source: &Value, path: &Path<'_>, errors: &mut Errors) {
    let driver = text(source, "driver");
    let driver_path = path.child("driver");
    if driver.is_empty() {
        errors.push(FieldError::required(&driver_path, ""));
    } else {
        validate_driver_name(driver, &driver_path, errors);
    }
    require(source, "volumeHandle", path, errors);
    for field in [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ] {
        if is_set(source, field) {
            secret(source, field, path, errors);
        }
    }
}

/// The rule for the name of a CSI driver: a DNS subdomain of any case, as long as a label.
pub(crate) fn validate_driver_name(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.len() > names::LABEL_MAX {
        errors.push(FieldError::too_long(path, names::LABEL_MAX));
    }
    let lower = name.to_lowercase();
    faults(names::dns1123_subdomain(&lower), name, path, errors);
}
