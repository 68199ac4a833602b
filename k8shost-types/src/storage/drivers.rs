//! CSIDriver, CSINode, CSIStorageCapacity and VolumeAttachment.

use serde_json::{Value, json};

use crate::{
    core_v1::{validate_driver_name, validate_volume_spec},
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, list, list_mut, text},
    names,
    pod::{exact_quantity, validate_readable},
    rules::{
        self, Errors, Seen, choice, faults, fill_absent, is_set, part, same, same_or_empty, spec,
        strings, validate_label_selector,
    },
    seen::ByName,
    strategy::{Strategy, Text},
};

/// The row of CSIDriver in the table of kinds.
pub static CSI_DRIVER: Strategy = Strategy {
    kind: Text::Borrowed("CSIDriver"),
    resource: Text::Borrowed("csidrivers"),
    default: default_driver,
    validate_create: |driver| {
        let mut errors = rules::metadata(driver, false, names::subdomain_rule);
        let name = crate::meta::name(driver);
        if name.len() > names::LABEL_MAX {
            let path = Path::new("metadata");
            errors.push(FieldError::too_long(&path.child("name"), names::LABEL_MAX));
        }
        validate_driver(spec(driver), &mut errors);
        errors
    },
    prepare_update: |new, old| {
        // What a driver may change of itself is a new generation.
        let fields = ["tokenRequests", "requiresRepublish", "seLinuxMount"];
        if fields
            .iter()
            .any(|field| !same_or_empty(spec(new), spec(old), field))
        {
            rules::next_generation(new, old);
        }
    },
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        let path = Path::new("spec");
        for field in ["attachRequired", "fsGroupPolicy", "volumeLifecycleModes"] {
            let shown = if field == "attachRequired" {
                "attachedRequired"
            } else {
                field
            };
            if !same_or_empty(spec(new), spec(old), field) {
                let value = part(spec(new), field);
                let path = path.child(shown);
                errors.push(FieldError::invalid(&path, value, "field is immutable"));
            }
        }
        validate_driver(spec(new), &mut errors);
        errors
    },
    ..CLUSTER
};

/// The row of CSINode in the table of kinds.
pub static CSI_NODE: Strategy = Strategy {
    kind: Text::Borrowed("CSINode"),
    resource: Text::Borrowed("csinodes"),
    empty: || json!({"spec": {"drivers": null}}),
    default: |node| {
        if let Some(spec) = tree::ensure_object(node, "spec") {
            for driver in list_mut(spec, "drivers") {
                fill_absent(driver, "topologyKeys", Value::Null);
            }
            if spec.get("drivers").is_none() {
                tree::set(spec, "drivers", Value::Null);
            }
        }
    },
    // Always shown, as null where there are none.
    canonicalize: |node| {
        if let Some(spec) = tree::get_mut(node, "spec")
            && list(spec, "drivers").is_empty()
        {
            tree::set(spec, "drivers", Value::Null);
        }
    },
    validate_create: |node| rules::created(node, false, names::subdomain_rule, validate_node),
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        validate_node(new, &mut errors);
        let before: ByName<'_> = list(spec(old), "drivers").iter().collect();
        let path = Path::new("CSINodeDriver");
        for driver in list(spec(new), "drivers") {
            let old = before.get(text(driver, "name"));
            if old.is_some_and(|old| old != driver && !grows(driver, old)) {
                errors.push(FieldError::invalid(&path, driver, "field is immutable"));
            }
        }
        errors
    },
    ..CLUSTER
};

/// The row of VolumeAttachment in the table of kinds.
pub static VOLUME_ATTACHMENT: Strategy = Strategy {
    kind: Text::Borrowed("VolumeAttachment"),
    resource: Text::Borrowed("volumeattachments"),
    default: |attachment| {
        tree::ensure_object(attachment, "spec");
        if let Some(status) = tree::ensure_object(attachment, "status") {
            fill_absent(status, "attached", false);
        }
    },
    prepare_create: |attachment| tree::set(attachment, "status", json!({"attached": false})),
    validate_create: |attachment| {
        let mut errors = rules::metadata(attachment, false, names::subdomain_rule);
        validate_attachment(spec(attachment), &mut errors);
        errors
    },
    prepare_update: |new, old| tree::keep(new, old, "status"),
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        validate_attachment(spec(new), &mut errors);
        if !same(new, old, "spec") {
            let path = Path::new("spec");
            errors.push(FieldError::invalid(&path, spec(new), "field is immutable"));
        }
        errors
    },
    prepare_status_update: rules::prepare_status_update,
    has_status: true,
    ..CLUSTER
};

/// The row of CSIStorageCapacity in the table of kinds.
pub static CSI_STORAGE_CAPACITY: Strategy = Strategy {
    kind: Text::Borrowed("CSIStorageCapacity"),
    resource: Text::Borrowed("csistoragecapacities"),
    namespaced: true,
    selectable: &["metadata.name", "metadata.namespace"],
    default: |capacity| {
        for field in ["capacity", "maximumVolumeSize"] {
            if let Some(amount) = tree::get_mut(capacity, field) {
                exact_quantity(amount);
            }
        }
    },
    validate_create: |capacity| {
        rules::created(capacity, true, names::subdomain_rule, validate_capacity)
    },
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        validate_capacity(new, &mut errors);
        for field in ["nodeTopology", "storageClassName"] {
            if !same(new, old, field) {
                let (path, value) = (Path::new(field), part(new, field));
                errors.push(FieldError::invalid(&path, value, "field is immutable"));
            }
        }
        errors
    },
    ..CLUSTER
};

const CLUSTER: Strategy = Strategy {
    api_version: Text::Borrowed("storage.k8s.io/v1"),
    namespaced: false,
    selectable: &["metadata.name"],
    unconditional_update: false,
    ..Strategy::BASE
};

fn default_driver(driver: &mut Value) {
    let Some(spec) = tree::ensure_object(driver, "spec") else {
        return;
    };
    fill_absent(spec, "attachRequired", true);
    for field in [
        "podInfoOnMount",
        "storageCapacity",
        "requiresRepublish",
        "seLinuxMount",
    ] {
        fill_absent(spec, field, false);
    }
    fill_absent(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if !is_set(spec, "volumeLifecycleModes") {
        tree::set(spec, "volumeLifecycleModes", vec!["Persistent"]);
    }
}

fn validate_driver(spec: &Value, errors: &mut Errors) {
    const SHORTEST: i64 = 10 * 60;
    const LONGEST: i64 = 1 << 32;
    let path = Path::new("spec");
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    choice(spec, "fsGroupPolicy", &policies, &path, errors);
    let requests = path.child("tokenRequests");
    let mut seen = Seen::new();
    for (i, request) in list(spec, "tokenRequests").iter().enumerate() {
        let path = requests.index(i);
        let audience = text(request, "audience");
        if !seen.add(audience) {
            errors.push(FieldError::duplicate(&path.child("audience"), audience));
        }
        let Some(seconds) = int(request, "expirationSeconds") else {
            continue;
        };
        let fault = if seconds < SHORTEST {
            "may not specify a duration less than 10 minutes"
        } else if seconds > LONGEST {
            "may not specify a duration larger than 2^32 seconds"
        } else {
            continue;
        };
        let path = path.child("expirationSeconds");
        errors.push(FieldError::invalid(&path, &seconds, fault));
    }
    for mode in strings(spec, "volumeLifecycleModes") {
        let modes = ["Ephemeral", "Persistent"];
        if !modes.contains(&mode) {
            let path = path.child("volumeLifecycleModes");
            errors.push(FieldError::not_supported(&path, mode, &modes));
        }
    }
    if let Some(seconds) = int(spec, "nodeAllocatableUpdatePeriodSeconds")
        && seconds < 10
    {
        errors.push(FieldError::invalid(
            &path.child("nodeAllocatableUpdatePeriodSeconds"),
            &seconds,
            "must be greater than or equal to 10 seconds",
        ));
    }
}

/// Whether the driver differs in what it can hold alone, which it may tell anew.
fn grows(new: &Value, old: &Value) -> bool {
    ["name", "nodeID", "topologyKeys"]
        .iter()
        .all(|field| same_or_empty(new, old, field))
}

fn validate_node(node: &Value, errors: &mut Errors) {
    const LONGEST_ID: usize = 256;
    let path = Path::new("spec");
    let path = path.child("drivers");
    let mut seen = Seen::new();
    for (i, driver) in list(spec(node), "drivers").iter().enumerate() {
        let path = path.index(i);
        let name = text(driver, "name");
        let name_path = path.child("name");
        if name.is_empty() {
            errors.push(FieldError::required(&name_path, ""));
        } else {
            validate_driver_name(name, &name_path, errors);
        }
        let id = text(driver, "nodeID");
        let id_path = path.child("nodeID");
        if id.is_empty() {
            errors.push(FieldError::required(&id_path, ""));
        } else if id.len() > LONGEST_ID {
            let detail = format!("must be {LONGEST_ID} characters or less");
            errors.push(FieldError::invalid(&id_path, id, &detail));
        }
        if let Some(allocatable) = get(driver, "allocatable") {
            let path = path.child("allocatable");
            rules::non_negative(allocatable, "count", &path, errors);
        }
        let keys = path.child("topologyKeys");
        let mut keys_seen = Seen::new();
        for key in strings(driver, "topologyKeys") {
            if !keys_seen.add(key) {
                errors.push(FieldError::duplicate(&keys, key));
            }
            faults(names::qualified_name(key), key, &keys, errors);
        }
        if !seen.add(name) {
            errors.push(FieldError::duplicate(&name_path, name));
        }
    }
}

fn validate_attachment(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let attacher = text(spec, "attacher");
    let attacher_path = path.child("attacher");
    if attacher.is_empty() {
        errors.push(FieldError::required(&attacher_path, ""));
    } else {
        validate_driver_name(attacher, &attacher_path, errors);
    }
    let source = part(spec, "source");
    let source_path = path.child("source");
    let inline = get(source, "inlineVolumeSpec");
    let name = get(source, "persistentVolumeName");
    match (inline, name) {
        (None, None) => errors.push(FieldError::required(
            &source_path,
            "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
        )),
        (Some(_), Some(_)) => errors.push(FieldError::forbidden(
            &source_path,
            "must specify exactly one of inlineVolumeSpec and persistentVolumeName",
        )),
        (None, Some(name)) => {
            let path = source_path.child("persistentVolumeName");
            let name = name.as_str().unwrap_or_default();
            if name.is_empty() {
                errors.push(FieldError::required(
                    &path,
                    "must specify non empty persistentVolumeName",
                ));
            } else {
                faults(names::dns1123_subdomain(name), name, &path, errors);
            }
        }
        (Some(inline), None) => {
            validate_volume_spec(inline, true, &source_path.child("inlineVolumeSpec"), errors);
        }
    }
    let node = text(spec, "nodeName");
    faults(
        names::dns1123_subdomain(node),
        node,
        &path.child("nodeName"),
        errors,
    );
}

fn validate_capacity(capacity: &Value, errors: &mut Errors) {
    let class = text(capacity, "storageClassName");
    let path = Path::new("storageClassName");
    if class.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        faults(names::dns1123_subdomain(class), class, &path, errors);
    }
    if let Some(topology) = get(capacity, "nodeTopology") {
        validate_label_selector(topology, &Path::new("nodeTopology"), errors);
    }
    for field in ["capacity", "maximumVolumeSize"] {
        let path = Path::new(field);
        if let Some(amount) = get(capacity, field)
            && let Some(quantity) = validate_readable(amount, &path, errors)
            && quantity.is_negative()
        {
            errors.push(FieldError::invalid(
                &path,
                amount,
                "must be greater than or equal to 0",
            ));
        }
    }
}
