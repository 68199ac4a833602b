//! Kinds of resource.k8s.io/v1: devices, classes of them, and claims to them. Whether an expression
//! can be compiled is not looked at, nor are the parameters of drivers.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::{
    core_v1::validate_driver_name,
    error::FieldError,
    field::Path,
    json::{self as tree, flag, get, int, list, list_mut, text},
    meta, names,
    pod::validate_node_selector,
    rules::{
        self, Errors, Seen, choice, faults, fill, fill_absent, immutable, is_set, name_in, part,
        same, spec, status, strings,
    },
    strategy::{Fields, Strategy, Text},
};

/// The row of DeviceClass in the table of kinds.
pub static DEVICE_CLASS: Strategy = Strategy {
    kind: Text::Borrowed("DeviceClass"),
    resource: Text::Borrowed("deviceclasses"),
    namespaced: false,
    selectable: &["metadata.name"],
    default: |class| {
        tree::ensure_object(class, "spec");
    },
    prepare_create: |class| meta::set(class, "generation", 1),
    validate_create: |class| {
        let mut errors = rules::metadata(class, false, names::subdomain_rule);
        validate_selectors(spec(class), &Path::new("spec"), &mut errors);
        errors
    },
    prepare_update: |new, old| rules::bump_generation(new, old, &["spec"]),
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        validate_selectors(spec(new), &Path::new("spec"), &mut errors);
        errors
    },
    ..RESOURCE
};

/// The row of ResourceClaim in the table of kinds.
pub static RESOURCE_CLAIM: Strategy = Strategy {
    kind: Text::Borrowed("ResourceClaim"),
    resource: Text::Borrowed("resourceclaims"),
    default: |claim| {
        if let Some(spec) = tree::ensure_object(claim, "spec") {
            default_claim(spec);
        }
        fill_absent(claim, "status", json!({}));
    },
    prepare_create: |claim| tree::set(claim, "status", json!({})),
    validate_create: |claim| {
        let mut errors = rules::metadata(claim, true, names::subdomain_rule);
        validate_claim(spec(claim), &Path::new("spec"), &mut errors);
        errors
    },
    prepare_update: |new, old| tree::keep(new, old, "status"),
    validate_update: validate_immutable,
    prepare_status_update: rules::prepare_status_update,
    validate_status_update: validate_claim_status,
    has_status: true,
    ..RESOURCE
};

/// The row of ResourceClaimTemplate in the table of kinds.
pub static RESOURCE_CLAIM_TEMPLATE: Strategy = Strategy {
    kind: Text::Borrowed("ResourceClaimTemplate"),
    resource: Text::Borrowed("resourceclaimtemplates"),
    default: |template| {
        if let Some(template) = tree::ensure_object(template, "spec") {
            tree::ensure_object(template, "metadata");
            if let Some(spec) = tree::ensure_object(template, "spec") {
                default_claim(spec);
            }
        }
    },
    validate_create: |template| {
        let mut errors = rules::metadata(template, true, names::subdomain_rule);
        let path = Path::new("spec");
        let made = part(spec(template), "metadata");
        let made_path = path.child("metadata");
        meta::validate_labels(made, "labels", &made_path, &mut errors);
        meta::validate_annotations(made, &made_path, &mut errors);
        validate_claim(spec(spec(template)), &path.child("spec"), &mut errors);
        errors
    },
    validate_update: validate_immutable,
    ..RESOURCE
};

/// The spec stays as it was.
fn validate_immutable(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    if !same(new, old, "spec") {
        let path = Path::new("spec");
        errors.push(FieldError::invalid(&path, spec(new), "field is immutable"));
    }
    errors
}

/// The row of ResourceSlice in the table of kinds.
pub static RESOURCE_SLICE: Strategy = Strategy {
    kind: Text::Borrowed("ResourceSlice"),
    resource: Text::Borrowed("resourceslices"),
    namespaced: false,
    default: |slice| {
        tree::ensure_object(slice, "spec");
    },
    prepare_create: |slice| meta::set(slice, "generation", 1),
    validate_create: |slice| {
        let mut errors = rules::metadata(slice, false, names::subdomain_rule);
        validate_slice(spec(slice), &mut errors);
        errors
    },
    prepare_update: |new, old| rules::bump_generation(new, old, &["spec"]),
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        validate_slice(spec(new), &mut errors);
        let path = Path::new("spec");
        for field in ["nodeName", "driver"] {
            immutable(spec(new), spec(old), field, &path, &mut errors);
        }
        let pool = |slice| part(spec(slice), "pool");
        immutable(
            pool(new),
            pool(old),
            "name",
            &path.child("pool"),
            &mut errors,
        );
        errors
    },
    selectable: &["metadata.name", "spec.driver", "spec.nodeName"],
    fields: |slice| {
        let fields: Fields<'_> = ["driver", "nodeName"]
            .into_iter()
            .zip(["spec.driver", "spec.nodeName"])
            .map(|(field, shown)| (shown, Cow::Borrowed(text(spec(slice), field))))
            .collect();
        fields
    },
    ..RESOURCE
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[
    &DEVICE_CLASS,
    &RESOURCE_CLAIM,
    &RESOURCE_CLAIM_TEMPLATE,
    &RESOURCE_SLICE,
];

const RESOURCE: Strategy = Strategy {
    api_version: Text::Borrowed("resource.k8s.io/v1"),
    ..Strategy::BASE
};

const MOST: usize = 32;
const MOST_ALTERNATIVES: usize = 8;
const MOST_DEVICES: usize = 128;
const MOST_USERS: usize = 256;

fn default_request(request: &mut Value) {
    fill(request, "allocationMode", "ExactCount");
    if text(request, "allocationMode") == "ExactCount" {
        fill_absent(request, "count", 1);
    }
}

fn default_claim(spec: &mut Value) {
    let Some(devices) = tree::ensure_object(spec, "devices") else {
        return;
    };
    for request in list_mut(devices, "requests") {
        if let Some(exactly) = tree::get_mut(request, "exactly") {
            default_request(exactly);
        }
        list_mut(request, "firstAvailable")
            .iter_mut()
            .for_each(default_request);
    }
}

/// The rules for expressions that devices are chosen by.
fn validate_selectors(value: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("selectors");
    let selectors = list(value, "selectors");
    if selectors.len() > MOST {
        errors.push(FieldError::too_many(&path, selectors.len(), MOST));
    }
    for (i, selector) in selectors.iter().enumerate() {
        let path = path.index(i);
        let path = path.child("cel");
        match get(selector, "cel") {
            None => errors.push(FieldError::required(&path, "")),
            Some(cel) => rules::require(cel, "expression", &path, errors),
        }
    }
}

fn validate_claim(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("devices");
    let devices = part(spec, "devices");
    let requests = list(devices, "requests");
    let requests_path = path.child("requests");
    if requests.len() > MOST {
        errors.push(FieldError::too_many(&requests_path, requests.len(), MOST));
    }
    let mut seen = Seen::new();
    for (i, request) in requests.iter().enumerate() {
        let path = requests_path.index(i);
        validate_request_name(text(request, "name"), &mut seen, &path, errors);
        let alternatives = list(request, "firstAvailable");
        match (get(request, "exactly"), alternatives.is_empty()) {
            (Some(exactly), true) => validate_request(exactly, &path.child("exactly"), errors),
            (None, false) => {
                let path = path.child("firstAvailable");
                if alternatives.len() > MOST_ALTERNATIVES {
                    let count = alternatives.len();
                    errors.push(FieldError::too_many(&path, count, MOST_ALTERNATIVES));
                }
                let mut seen = Seen::new();
                for (i, alternative) in alternatives.iter().enumerate() {
                    let path = path.index(i);
                    validate_request_name(text(alternative, "name"), &mut seen, &path, errors);
                    validate_request(alternative, &path, errors);
                }
            }
            (None, true) => errors.push(FieldError::required(
                &path,
                "exactly one of `exactly` or `firstAvailable` is required",
            )),
            (Some(_), false) => errors.push(FieldError::invalid(
                &path,
                request,
                "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
            )),
        }
    }
    let known = |name: &str| {
        let outer = name.split('/').next().unwrap_or_default();
        let request = requests
            .iter()
            .find(|request| text(request, "name") == outer);
        match (request, name.split_once('/')) {
            (Some(_), None) => true,
            (Some(request), Some((_, rest))) => list(request, "firstAvailable")
                .iter()
                .any(|alternative| text(alternative, "name") == rest),
            (None, _) => false,
        }
    };
    for field in ["constraints", "config"] {
        let path = path.child(field);
        let items = list(devices, field);
        if items.len() > MOST {
            errors.push(FieldError::too_many(&path, items.len(), MOST));
            continue;
        }
        for (i, item) in items.iter().enumerate() {
            let path = path.index(i);
            let named = path.child("requests");
            for (i, name) in strings(item, "requests").take(MOST).enumerate() {
                if !known(name) {
                    errors.push(FieldError::invalid(
                        &named.index(i),
                        name,
                        "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
                    ));
                }
            }
            if field == "constraints"
                && !is_set(item, "matchAttribute")
                && !is_set(item, "distinctAttribute")
            {
                errors.push(FieldError::required(&path.child("matchAttribute"), ""));
            }
            if field == "config" && get(item, "opaque").is_none() {
                errors.push(FieldError::required(&path.child("opaque"), ""));
            }
        }
    }
}

fn validate_request_name<'a>(
    name: &'a str,
    seen: &mut Seen<&'a str>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let path = path.child("name");
    if name.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    faults(names::dns1123_label(name), name, &path, errors);
    if !seen.add(name) {
        errors.push(FieldError::duplicate(&path, name));
    }
}

fn validate_request(request: &Value, path: &Path<'_>, errors: &mut Errors) {
    rules::require(request, "deviceClassName", path, errors);
    name_in(
        request,
        "deviceClassName",
        names::dns1123_subdomain,
        path,
        errors,
    );
    validate_selectors(request, path, errors);
    let count = int(request, "count").unwrap_or_default();
    let count_path = path.child("count");
    match text(request, "allocationMode") {
        "ExactCount" => {
            if count <= 0 {
                errors.push(FieldError::invalid(
                    &count_path,
                    &count,
                    "must be greater than zero",
                ));
            }
        }
        "All" => {
            if count != 0 {
                errors.push(FieldError::invalid(
                    &count_path,
                    &count,
                    "must not be specified when allocationMode is 'All'",
                ));
            }
        }
        _ => choice(
            request,
            "allocationMode",
            &["All", "ExactCount"],
            path,
            errors,
        ),
    }
}

fn validate_claim_status(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    let path = Path::new("status");
    let users = list(status(new), "reservedFor");
    let users_path = path.child("reservedFor");
    if users.len() > MOST_USERS {
        errors.push(FieldError::too_many(&users_path, users.len(), MOST_USERS));
    }
    let mut seen = Seen::new();
    for (i, user) in users.iter().take(MOST_USERS).enumerate() {
        let path = users_path.index(i);
        for field in ["resource", "name", "uid"] {
            rules::require(user, field, &path, &mut errors);
        }
        let uid = text(user, "uid");
        if !uid.is_empty() && !seen.add(uid) {
            errors.push(FieldError::duplicate(&path.child("uid"), uid));
        }
    }
    let allocation = get(status(new), "allocation");
    if !users.is_empty() && allocation.is_none() {
        errors.push(FieldError::forbidden(
            &users_path,
            "may not be specified when `allocated` is not set",
        ));
    }
    if let (Some(after), Some(before)) = (allocation, get(status(old), "allocation"))
        && after != before
    {
        let path = path.child("allocation");
        errors.push(FieldError::invalid(&path, after, "field is immutable"));
    }
    errors
}

fn validate_slice(spec: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let driver = text(spec, "driver");
    if driver.is_empty() {
        errors.push(FieldError::required(&path.child("driver"), ""));
    } else {
        validate_driver_name(driver, &path.child("driver"), errors);
    }
    let pool = part(spec, "pool");
    let pool_path = path.child("pool");
    let name = text(pool, "name");
    if name.is_empty() {
        errors.push(FieldError::required(&pool_path.child("name"), ""));
    } else {
        for segment in name.split('/') {
            let found = names::dns1123_subdomain(segment);
            faults(found, segment, &pool_path.child("name"), errors);
        }
    }
    let count = int(pool, "resourceSliceCount").unwrap_or_default();
    if count <= 0 {
        errors.push(FieldError::invalid(
            &pool_path.child("resourceSliceCount"),
            &count,
            "must be greater than zero",
        ));
    }
    rules::non_negative(pool, "generation", &pool_path, errors);
    let places = ["nodeName", "nodeSelector"]
        .iter()
        .filter(|field| is_set(spec, field))
        .count()
        + ["allNodes", "perDeviceNodeSelection"]
            .iter()
            .filter(|field| flag(spec, field))
            .count();
    let one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match places {
        0 => errors.push(FieldError::required(&path, one)),
        1 => {}
        _ => {
            let detail = format!("{one}, but multiple fields are set");
            errors.push(FieldError::invalid(&path, &rules::Raw(""), &detail));
        }
    }
    name_in(spec, "nodeName", names::dns1123_subdomain, &path, errors);
    if let Some(selector) = get(spec, "nodeSelector") {
        validate_node_selector(selector, &path.child("nodeSelector"), errors);
    }
    let devices = list(spec, "devices");
    let devices_path = path.child("devices");
    if devices.len() > MOST_DEVICES {
        errors.push(FieldError::too_many(
            &devices_path,
            devices.len(),
            MOST_DEVICES,
        ));
        return;
    }
    let mut seen = Seen::new();
    for (i, device) in devices.iter().enumerate() {
        validate_request_name(
            text(device, "name"),
            &mut seen,
            &devices_path.index(i),
            errors,
        );
    }
}
