//! The rules for each source of a volume.

use serde_json::Value;

use super::{
    claim,
    env::{VOLUME_FIELDS, validate_field_ref, validate_resource_ref},
    projected,
    scheduling::faults,
    security::{validate_descending, validate_no_backsteps},
    storage::{fibre_channel, iscsi, quobyte},
};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    names,
};

pub(crate) type Check = fn(&Value, &Path<'_>, &mut Vec<FieldError>);

/// The sources in the order in which they are looked at: the field, the name by which a second
/// source is refused, the name in the paths of its own fields, and its rules.
pub(crate) const SOURCES: [(&str, &str, &str, Check); 30] = [
    ("emptyDir", "emptyDir", "emptyDir", empty_dir),
    ("hostPath", "hostPath", "hostPath", host_path),
    ("gitRepo", "gitRepo", "gitRepo", git_repo),
    (
        "gcePersistentDisk",
        "gcePersistentDisk",
        "persistentDisk",
        gce_disk,
    ),
    (
        "awsElasticBlockStore",
        "awsElasticBlockStore",
        "awsElasticBlockStore",
        aws_store,
    ),
    ("secret", "secret", "secret", secret),
    ("nfs", "nfs", "nfs", nfs),
    ("iscsi", "iscsi", "iscsi", iscsi),
    ("glusterfs", "glusterfs", "glusterfs", glusterfs),
    ("flocker", "flocker", "flocker", flocker),
    (
        "persistentVolumeClaim",
        "persistentVolumeClaim",
        "persistentVolumeClaim",
        claim_source,
    ),
    ("rbd", "rbd", "rbd", rbd),
    ("cinder", "cinder", "cinder", cinder),
    ("cephfs", "cephFS", "cephfs", cephfs),
    ("quobyte", "quobyte", "quobyte", quobyte),
    // The missing letter is Kubernetes'.
    ("downwardAPI", "downwarAPI", "downwardAPI", downward_api),
    ("fc", "fc", "fc", fibre_channel),
    ("flexVolume", "flexVolume", "flexVolume", flex_volume),
    ("configMap", "configMap", "configMap", config_map),
    ("azureFile", "azureFile", "azureFile", azure_file),
    ("vsphereVolume", "vsphereVolume", "vsphereVolume", vsphere),
    (
        "photonPersistentDisk",
        "photonPersistentDisk",
        "photonPersistentDisk",
        photon,
    ),
    (
        "portworxVolume",
        "portworxVolume",
        "portworxVolume",
        portworx,
    ),
    ("azureDisk", "azureDisk", "azureDisk", azure_disk),
    ("storageos", "storageos", "storageos", storage_os),
    ("projected", "projected", "projected", projected::validate),
    ("scaleIO", "scaleIO", "scaleIO", scale_io),
    ("csi", "csi", "csi", csi),
    (
        "ephemeral",
        "ephemeral",
        "ephemeral",
        claim::validate_ephemeral,
    ),
    ("image", "image", "image", image),
];

/// A field that must be set.
pub(crate) fn require(value: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if text(value, field).is_empty() {
        errors.push(FieldError::required(&path.child(field), ""));
    }
}

pub(super) fn range(
    value: &Value,
    field: &str,
    (least, most): (i64, i64),
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(number) = int(value, field)
        && !(least..=most).contains(&number)
    {
        // A partition of 0 means none; the message says otherwise.
        let least = if field == "partition" { 1 } else { least };
        let detail = format!("must be between {least} and {most}, inclusive");
        errors.push(FieldError::invalid(&path.child(field), &number, &detail));
    }
}

/// The rule for the mode of files.
pub(super) fn validate_mode(
    value: &Value,
    field: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(mode) = int(value, field)
        && !(0..=0o777).contains(&mode)
    {
        errors.push(FieldError::invalid(
            &path.child(field),
            &mode,
            "must be a number between 0 and 0777 (octal), both inclusive",
        ));
    }
}

/// A path below a volume, which does not begin with `..` either.
pub(super) fn validate_local_path(target: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    validate_descending(target, path, errors);
    if target.starts_with("..") && !target.starts_with("../") {
        errors.push(FieldError::invalid(
            path,
            target,
            "must not start with '..'",
        ));
    }
}

/// The rules for an item of a ConfigMap or a Secret that becomes a file.
pub(super) fn validate_key_to_path(item: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(item, "key", path, errors);
    require(item, "path", path, errors);
    validate_local_path(text(item, "path"), &path.child("path"), errors);
    validate_mode(item, "mode", path, errors);
}

fn validate_items(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    validate_mode(source, "defaultMode", path, errors);
    let path = path.child("items");
    for (i, item) in list(source, "items").iter().enumerate() {
        validate_key_to_path(item, &path.index(i), errors);
    }
}

/// The rules for a file made of a field of the pod.
pub(super) fn validate_downward_file(file: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(file, "path", path, errors);
    validate_local_path(text(file, "path"), &path.child("path"), errors);
    match (get(file, "fieldRef"), get(file, "resourceFieldRef")) {
        (Some(field), resource) => {
            validate_field_ref(field, &VOLUME_FIELDS, &path.child("fieldRef"), errors);
            if resource.is_some() {
                errors.push(FieldError::invalid(
                    path,
                    "resource",
                    "fieldRef and resourceFieldRef can not be specified simultaneously",
                ));
            }
        }
        (None, Some(resource)) => {
            validate_resource_ref(resource, true, &path.child("resourceFieldRef"), errors);
        }
        (None, None) => errors.push(FieldError::required(
            path,
            "one of fieldRef and resourceFieldRef is required",
        )),
    }
    validate_mode(file, "mode", path, errors);
}

fn empty_dir(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(limit) = get(source, "sizeLimit") else {
        return;
    };
    let path = path.child("sizeLimit");
    let limit = super::resources::validate_readable(limit, &path, errors);
    if limit.is_some_and(|limit| limit.is_negative()) {
        errors.push(FieldError::forbidden(
            &path,
            "SizeLimit field must be a valid resource quantity",
        ));
    }
}

fn host_path(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const TYPES: [&str; 8] = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    let target = text(source, "path");
    if target.is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
        return;
    }
    validate_no_backsteps(target, &path.child("path"), errors);
    let kind = text(source, "type");
    if !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, &TYPES));
    }
}

fn git_repo(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "repository", path, errors);
    validate_descending(text(source, "directory"), &path.child("directory"), errors);
}

fn gce_disk(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "pdName", path, errors);
    range(source, "partition", (0, 255), path, errors);
}

fn aws_store(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "volumeID", path, errors);
    range(source, "partition", (0, 255), path, errors);
}

fn secret(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "secretName", path, errors);
    validate_items(source, path, errors);
}

fn config_map(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "name", path, errors);
    validate_items(source, path, errors);
}

fn nfs(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "server", path, errors);
    require(source, "path", path, errors);
    let target = text(source, "path");
    if !target.starts_with('/') {
        errors.push(FieldError::invalid(
            &path.child("path"),
            target,
            "must be an absolute path",
        ));
    }
}

fn glusterfs(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "endpoints", path, errors);
    require(source, "path", path, errors);
}

fn flocker(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let (name, uuid) = (text(source, "datasetName"), text(source, "datasetUUID"));
    match (name.is_empty(), uuid.is_empty()) {
        (true, true) => errors.push(FieldError::required(
            path,
            "one of datasetName and datasetUUID is required",
        )),
        (false, false) => errors.push(FieldError::invalid(
            path,
            "resource",
            "datasetName and datasetUUID can not be specified simultaneously",
        )),
        _ => {}
    }
    if name.contains('/') {
        errors.push(FieldError::invalid(
            &path.child("datasetName"),
            name,
            "must not contain '/'",
        ));
    }
}

fn claim_source(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "claimName", path, errors);
}

fn require_list(value: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if list(value, field).is_empty() {
        errors.push(FieldError::required(&path.child(field), ""));
    }
}

fn rbd(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require_list(source, "monitors", path, errors);
    require(source, "image", path, errors);
}

fn require_secret_name(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(secret) = get(source, "secretRef") {
        require(secret, "name", &path.child("secretRef"), errors);
    }
}

fn cinder(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "volumeID", path, errors);
    require_secret_name(source, path, errors);
}

fn cephfs(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require_list(source, "monitors", path, errors);
}

fn downward_api(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    validate_mode(source, "defaultMode", path, errors);
    for file in list(source, "items") {
        validate_downward_file(file, path, errors);
    }
}

fn flex_volume(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "driver", path, errors);
    let path = path.child("options");
    for (key, _) in crate::json::pairs(source, "options") {
        let namespace = key.split('/').next().unwrap_or_default().to_lowercase();
        let reserved = |domain: &str| {
            namespace == domain
                || namespace
                    .strip_suffix(domain)
                    .is_some_and(|head| head.ends_with('.'))
        };
        if reserved("kubernetes.io") || reserved("k8s.io") {
            errors.push(FieldError::invalid(
                &path.key(key),
                key,
                "kubernetes.io and k8s.io namespaces are reserved",
            ));
        }
    }
}

fn azure_file(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "secretName", path, errors);
    require(source, "shareName", path, errors);
}

fn vsphere(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "volumePath", path, errors);
}

fn photon(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "pdID", path, errors);
}

fn portworx(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "volumeID", path, errors);
}

fn azure_disk(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const CACHING: [&str; 3] = ["None", "ReadOnly", "ReadWrite"];
    const KINDS: [&str; 3] = ["Dedicated", "Managed", "Shared"];
    const MANAGED: [&str; 1] = [
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
    ];
    const BLOB: [&str; 1] =
        ["https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"];
    require(source, "diskName", path, errors);
    require(source, "diskURI", path, errors);
    for (field, choices) in [("cachingMode", &CACHING), ("kind", &KINDS)] {
        let chosen = text(source, field);
        if get(source, field).is_some() && !choices.contains(&chosen) {
            errors.push(FieldError::not_supported(
                &path.child(field),
                chosen,
                choices,
            ));
        }
    }
    let (kind, uri) = (text(source, "kind"), text(source, "diskURI"));
    let path = path.child("diskURI");
    if kind == "Managed" && !uri.starts_with("/subscriptions/") {
        errors.push(FieldError::not_supported(&path, uri, &MANAGED));
    }
    if get(source, "kind").is_some() && kind != "Managed" && !uri.starts_with("https://") {
        errors.push(FieldError::not_supported(&path, uri, &BLOB));
    }
}

fn storage_os(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "volumeName", path, errors);
    for field in ["volumeName", "volumeNamespace"] {
        let name = text(source, field);
        if !name.is_empty() {
            faults(names::dns1123_label(name), name, &path.child(field), errors);
        }
    }
    require_secret_name(source, path, errors);
}

fn scale_io(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["gateway", "system", "volumeName"] {
        require(source, field, path, errors);
    }
}

fn csi(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let driver = text(source, "driver");
    let driver_path = path.child("driver");
    if driver.is_empty() {
        errors.push(FieldError::required(&driver_path, ""));
    } else {
        if driver.len() > 63 {
            errors.push(FieldError::too_long(&driver_path, 63));
        }
        faults(
            names::dns1123_subdomain(&driver.to_lowercase()),
            driver,
            &driver_path,
            errors,
        );
    }
    if let Some(secret) = get(source, "nodePublishSecretRef") {
        let name = text(secret, "name");
        if name.is_empty() {
            let path = path.child("nodePublishSecretRef");
            errors.push(FieldError::required(&path.child("name"), ""));
        } else {
            faults(
                names::dns1123_subdomain(name),
                name,
                &path.child("name"),
                errors,
            );
        }
    }
}

fn image(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    require(source, "reference", path, errors);
    super::containers::required_choice(
        source,
        "pullPolicy",
        &["Always", "IfNotPresent", "Never"],
        path,
        errors,
    );
}
