//! Rows of volumes, their claims, classes and drivers, and of devices.

use std::time::SystemTime;

use serde_json::Value;

use super::{
    cell::{
        NONE, UNSET, age, cells, count, filled_or, items, joined, quantity, set_or, text, texts,
    },
    column::{AGE, Column, NAME},
};

pub(super) const VOLUMES: &[Column] = &[
    NAME,
    Column::text("Capacity", "How much the volume holds."),
    Column::text("Access Modes", "The ways the volume can be mounted."),
    Column::text("Reclaim Policy", "What becomes of it when it is released."),
    Column::text("Status", "Whether the volume is free, bound, released."),
    Column::text("Claim", "The claim it is bound to."),
    Column::text("StorageClass", "The storage class of the volume."),
    Column::text(
        "VolumeAttributesClass",
        "The class of the volume's attributes.",
    ),
    Column::text("Reason", "Why it is in that state, in a word."),
    AGE,
    Column::text("VolumeMode", "A file system or a block device.").wide(),
];

pub(super) fn volume(object: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let claim = match &spec["claimRef"] {
        Value::Null => String::new(),
        claim => format!("{}/{}", text(&claim["namespace"]), text(&claim["name"])),
    };
    cells![
        text(&object["metadata"]["name"]),
        quantity(&spec["capacity"]["storage"]),
        access_modes(&spec["accessModes"]),
        text(&spec["persistentVolumeReclaimPolicy"]),
        phase(object),
        claim,
        class(object),
        set_or(&spec["volumeAttributesClassName"], UNSET),
        text(&status["reason"]),
        age(object, now),
        set_or(&spec["volumeMode"], UNSET),
    ]
}

pub(super) const CLAIMS: &[Column] = &[
    NAME,
    Column::text("Status", "Whether the claim is bound."),
    Column::text("Volume", "The volume it is bound to."),
    Column::text("Capacity", "How much that volume holds."),
    Column::text("Access Modes", "The ways that volume can be mounted."),
    Column::text("StorageClass", "The storage class of the claim."),
    Column::text(
        "VolumeAttributesClass",
        "The class of the volume's attributes.",
    ),
    AGE,
    Column::text("VolumeMode", "A file system or a block device.").wide(),
];

pub(super) fn claim(object: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let volume = text(&spec["volumeName"]);
    let (capacity, modes) = match volume {
        "" => Default::default(),
        _ => (
            quantity(&status["capacity"]["storage"]),
            access_modes(&status["accessModes"]),
        ),
    };
    cells![
        text(&object["metadata"]["name"]),
        phase(object),
        volume,
        capacity,
        modes,
        class(object),
        set_or(&spec["volumeAttributesClassName"], UNSET),
        age(object, now),
        set_or(&spec["volumeMode"], UNSET),
    ]
}

fn phase(object: &Value) -> &str {
    match object["metadata"]["deletionTimestamp"] {
        Value::Null => text(&object["status"]["phase"]),
        _ => "Terminating",
    }
}

/// The class of a volume or claim; the annotation of old comes first.
fn class(object: &Value) -> &str {
    let old = &object["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"];
    set_or(old, text(&object["spec"]["storageClassName"]))
}

fn access_modes(modes: &Value) -> String {
    let short: Vec<&str> = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .into_iter()
    .filter(|(mode, _)| items(modes).iter().any(|one| one == mode))
    .map(|(_, short)| short)
    .collect();
    short.join(",")
}

pub(super) const STORAGE_CLASSES: &[Column] = &[
    NAME,
    Column::text("Provisioner", "What makes volumes of the class."),
    Column::text("ReclaimPolicy", "What becomes of released volumes."),
    Column::text("VolumeBindingMode", "When claims are bound."),
    Column::text("AllowVolumeExpansion", "Whether volumes can grow."),
    AGE,
];

pub(super) fn storage_class(object: &Value, now: SystemTime) -> Vec<Value> {
    let name = text(&object["metadata"]["name"]);
    let annotations = &object["metadata"]["annotations"];
    let default = [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ]
    .iter()
    .any(|&key| annotations[key] == "true");
    cells![
        if default {
            format!("{name} (default)")
        } else {
            name.to_owned()
        },
        text(&object["provisioner"]),
        set_or(&object["reclaimPolicy"], "Delete"),
        set_or(&object["volumeBindingMode"], "Immediate"),
        object["allowVolumeExpansion"] == true,
        age(object, now),
    ]
}

pub(super) const ATTRIBUTES_CLASSES: &[Column] = &[
    NAME,
    Column::text("DriverName", "The driver that applies the attributes."),
    AGE,
];

pub(super) fn attributes_class(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        text(&object["driverName"]),
        age(object, now),
    ]
}

pub(super) const ATTACHMENTS: &[Column] = &[
    NAME,
    Column::text("Attacher", "The driver that attaches the volume.").naming(),
    Column::text("PV", "The volume."),
    Column::text("Node", "The node it is attached to."),
    Column::flag("Attached", "Whether it is attached by now."),
    AGE,
];

pub(super) fn attachment(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    cells![
        text(&object["metadata"]["name"]),
        text(&spec["attacher"]),
        text(&spec["source"]["persistentVolumeName"]),
        text(&spec["nodeName"]),
        object["status"]["attached"] == true,
        age(object, now),
    ]
}

pub(super) const DRIVERS: &[Column] = &[
    NAME,
    Column::flag("AttachRequired", "Whether volumes have to be attached."),
    Column::flag("PodInfoOnMount", "Whether mounts are told of the pod."),
    Column::flag("StorageCapacity", "Whether pods wait for free capacity."),
    Column::text("TokenRequests", "Who the tokens that mounts get are for."),
    Column::flag("RequiresRepublish", "Whether mounts are repeated."),
    Column::text("Modes", "What kinds of volumes it has."),
    AGE,
];

pub(super) fn driver(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    let audiences = match &spec["tokenRequests"] {
        Value::Null => UNSET.to_owned(),
        requests => joined(requests, "audience", ","),
    };
    cells![
        text(&object["metadata"]["name"]),
        spec["attachRequired"].as_bool().unwrap_or(true),
        spec["podInfoOnMount"] == true,
        spec["storageCapacity"] == true,
        audiences,
        spec["requiresRepublish"] == true,
        filled_or(&texts(&spec["volumeLifecycleModes"], ","), NONE),
        age(object, now),
    ]
}

pub(super) const CSI_NODES: &[Column] = &[
    NAME,
    Column::int("Drivers", "How many drivers the node has."),
    AGE,
];

pub(super) fn csi_node(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        count(&object["spec"]["drivers"]),
        age(object, now),
    ]
}

pub(super) const DEVICE_CLAIMS: &[Column] = &[
    NAME,
    Column::text("State", "Whether devices are allocated, and reserved."),
    AGE,
];

pub(super) fn device_claim(object: &Value, now: SystemTime) -> Vec<Value> {
    let (metadata, status) = (&object["metadata"], &object["status"]);
    let deleted = !metadata["deletionTimestamp"].is_null();
    let allocated = !status["allocation"].is_null();
    let states: Vec<&str> = [
        (deleted, "deleted"),
        (!deleted && !allocated, "pending"),
        (allocated, "allocated"),
        (allocated && count(&status["reservedFor"]) > 0, "reserved"),
    ]
    .into_iter()
    .filter_map(|(holds, state)| holds.then_some(state))
    .collect();
    cells![text(&metadata["name"]), states.join(","), age(object, now)]
}

pub(super) const DEVICE_SLICES: &[Column] = &[
    NAME,
    Column::text("Node", "The node that has the devices."),
    Column::text("Driver", "The driver of the devices."),
    Column::text("Pool", "The pool that the devices are in."),
    AGE,
];

pub(super) fn device_slice(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    cells![
        text(&object["metadata"]["name"]),
        text(&spec["nodeName"]),
        text(&spec["driver"]),
        text(&spec["pool"]["name"]),
        age(object, now),
    ]
}
