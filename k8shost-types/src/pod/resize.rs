//! The subresource `resize`: more or less processor and memory for containers that run.

use serde_json::{Map, Value};

use super::{defaults::CONTAINERS, qos_class, spec_of, status_of, update, validate};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, object, text},
    meta,
};

/// The lists whose containers may be resized.
const LISTS: [&str; 2] = ["containers", "initContainers"];
/// What of a container may change.
const RESIZED: [&str; 2] = ["cpu", "memory"];

/// Only resources of containers are written, besides some metadata.
pub fn prepare_resize_update(new: &mut Value, old: &Value) {
    let sent = LISTS.map(|field| get(spec_of(new), field).cloned());
    for field in ["spec", "status"] {
        tree::keep(new, old, field);
    }
    meta::keep_for_subresource(new, old);
    if let Some(spec) = tree::ensure_object(new, "spec") {
        for (field, sent) in LISTS.into_iter().zip(sent) {
            match sent {
                Some(sent) => tree::set(spec, field, resized(sent, list(spec_of(old), field))),
                None => {
                    tree::remove(spec, field);
                }
            }
        }
    }
    super::drop_disabled(new);
    update::bump_generation(new, old);
}

/// The old containers with new resources. Others than those that there are stay as they were sent, to be refused.
fn resized(sent: Value, old: &[Value]) -> Value {
    let containers = sent.as_array().map_or(&[][..], Vec::as_slice);
    if !same_names(containers, old) {
        return sent;
    }
    let with_new = old.iter().zip(containers).map(|(old, sent)| {
        let mut container = old.clone();
        for field in ["resources", "resizePolicy"] {
            tree::keep(&mut container, sent, field);
        }
        container
    });
    with_new.collect()
}

fn same_names(new: &[Value], old: &[Value]) -> bool {
    let mut pairs = new.iter().zip(old);
    new.len() == old.len() && pairs.all(|(new, old)| text(new, "name") == text(old, "name"))
}

/// The rules for a resize.
pub fn validate_resize_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    validate::validate_all(new, &mut errors);
    validate::validate_annotation_updates(new, old, &mut errors);
    let of_pod = |pod| get(spec_of(pod), "resources").is_some();
    let os = get(spec_of(old), "os").map_or("", |os| text(os, "name"));
    let never = if of_pod(new) || of_pod(old) {
        "resize of pods with pod-level resources is forbidden when InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled"
    } else if validate::is_mirror(old) {
        "static pods cannot be resized"
    } else if os == "windows" {
        "windows pods cannot be resized"
    } else {
        ""
    };
    if !never.is_empty() {
        return vec![FieldError::forbidden(&Path::new(""), never)];
    }
    let path = Path::new("spec");
    let given = text(status_of(old), "qosClass");
    let class = if given.is_empty() {
        qos_class(old)
    } else {
        given
    };
    if class != qos_class(new) {
        errors.push(FieldError::invalid(
            &path,
            text(status_of(new), "qosClass"),
            "Pod QOS Class may not change as a result of resizing",
        ));
    }
    let running = list(status_of(old), "containerStatuses")
        .iter()
        .find(|container| {
            get(container, "state").is_some_and(|state| get(state, "running").is_some())
        });
    if running.is_some_and(|container| get(container, "resources").is_none()) {
        let detail = "Pod running on node without support for resize";
        errors.push(FieldError::forbidden(&path, detail));
    }
    if validate_order(new, old, &path, &mut errors) {
        validate_resources(new, old, &path, &mut errors);
    }
    errors
}

/// Whether the containers are those that there were, in their order.
fn validate_order(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) -> bool {
    let before = errors.len();
    for field in CONTAINERS {
        let path = path.child(field);
        let (new, old) = (list(spec_of(new), field), list(spec_of(old), field));
        if new.len() != old.len() {
            let detail = format!("{field} may not be added or removed on resize");
            errors.push(FieldError::forbidden(&path, &detail));
            continue;
        }
        for (i, (new, old)) in new.iter().zip(old).enumerate() {
            if text(new, "name") != text(old, "name") {
                let detail = format!("{field} may not be renamed or reordered on resize");
                errors.push(FieldError::forbidden(&path.index(i).child("name"), &detail));
            }
        }
    }
    errors.len() == before
}

fn validate_resources(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut others = false;
    for field in ["initContainers", "containers"] {
        let path = path.child(field);
        let pairs = list(spec_of(new), field)
            .iter()
            .zip(list(spec_of(old), field));
        for (i, (new, old)) in pairs.enumerate() {
            let stays = field == "containers" || text(old, "restartPolicy") == "Always";
            if !stays {
                continue;
            }
            let path = path.index(i);
            let path = path.child("resources");
            for what in ["requests", "limits"] {
                if was_removed(resources(new, what), resources(old, what)) {
                    let detail = format!("resource {what} cannot be removed");
                    errors.push(FieldError::forbidden(&path.child(what), &detail));
                }
            }
            others |= !update::same(&rest(new), &rest(old));
        }
    }
    let init = list(spec_of(new), "initContainers")
        .iter()
        .zip(list(spec_of(old), "initContainers"));
    for (new, old) in init {
        if text(old, "restartPolicy") != "Always" && !update::same(new, old) {
            let detail = "resources for non-sidecar init containers are immutable";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
    if others {
        let detail = "only cpu and memory resources are mutable";
        errors.push(FieldError::forbidden(path, detail));
    }
}

fn resources<'c>(container: &'c Value, what: &str) -> Option<&'c Map<String, Value>> {
    get(container, "resources").and_then(|resources| object(resources, what))
}

fn was_removed(new: Option<&Map<String, Value>>, old: Option<&Map<String, Value>>) -> bool {
    let mut names = old.into_iter().flat_map(Map::keys);
    names.any(|name| new.is_none_or(|new| !new.contains_key(name)))
}

/// A container but for what may change.
fn rest(container: &Value) -> Value {
    let mut rest = container.clone();
    if let Some(resources) = tree::get_mut(&mut rest, "resources") {
        for what in ["requests", "limits"] {
            if let Some(amounts) = tree::get_mut(resources, what) {
                for name in RESIZED {
                    tree::remove(amounts, name);
                }
                if amounts.as_object().is_some_and(Map::is_empty) {
                    tree::remove(resources, what);
                }
            }
        }
    }
    rest
}
