//! Kubernetes' defaults for Pod.

use serde_json::{Value, json};

use super::image;
use crate::{
    json::{self as tree, ensure_object, flag, get, get_mut, int, list, list_mut, text},
    quantity::{self, Quantity},
};

/// The lists of containers in a spec.
pub(super) const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// Puts Kubernetes' defaults where a field is not set.
pub fn default(pod: &mut Value) {
    drop_init_container_annotations(pod);
    if let Some(spec) = ensure_object(pod, "spec") {
        spec_defaults(spec);
    }
    if let Some(status) = get_mut(pod, "status") {
        status_defaults(status);
    }
}

/// Sets a field that is absent, null or an empty string.
pub(crate) fn fill(value: &mut Value, field: &str, default: impl Into<Value>) {
    let unset = match get(value, field) {
        None => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if unset {
        tree::set(value, field, default);
    }
}

/// Sets a field that is absent or null.
pub(crate) fn fill_absent(value: &mut Value, field: &str, default: impl Into<Value>) {
    if get(value, field).is_none() {
        tree::set(value, field, default);
    }
}

/// Sets a number that is absent or 0.
pub(crate) fn fill_zero(value: &mut Value, field: &str, default: i64) {
    if int(value, field).unwrap_or_default() == 0 {
        tree::set(value, field, default);
    }
}

fn drop_init_container_annotations(pod: &mut Value) {
    let Some(annotations) = get_mut(pod, "metadata").and_then(|m| get_mut(m, "annotations")) else {
        return;
    };
    for version in ["beta", "alpha"] {
        for name in ["init-containers", "init-container-statuses"] {
            tree::remove(annotations, &format!("pod.{version}.kubernetes.io/{name}"));
        }
    }
}

fn spec_defaults(spec: &mut Value) {
    for field in ["containers", "initContainers"] {
        for container in list_mut(spec, field) {
            requests_from_limits(container);
        }
    }
    shared_defaults(spec);
    if get(spec, "resources").is_some() {
        super::total::default_pod_level(spec);
    }
    fill_absent(spec, "enableServiceLinks", true);
    if let Some(resources) = get_mut(spec, "resources") {
        resource_defaults(resources);
    }
}

/// The defaults of a pod template, which are fewer than a pod's: what is worked out of other fields,
/// as requests are of limits, is left to the pods made of it.
pub(crate) fn template(template: &mut Value) {
    ensure_object(template, "metadata");
    drop_init_container_annotations(template);
    if let Some(spec) = ensure_object(template, "spec") {
        shared_defaults(spec);
        if let Some(resources) = get_mut(spec, "resources") {
            resource_defaults(resources);
        }
    }
}

/// What pods and templates have in common.
fn shared_defaults(spec: &mut Value) {
    for field in CONTAINERS {
        for container in list_mut(spec, field) {
            container_defaults(container);
        }
    }
    if flag(spec, "hostNetwork") {
        for field in ["containers", "initContainers"] {
            for container in list_mut(spec, field) {
                for port in list_mut(container, "ports") {
                    if let Some(number) = int(port, "containerPort") {
                        fill_zero(port, "hostPort", number);
                    }
                }
            }
        }
    }
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "restartPolicy", "Always");
    fill_absent(spec, "securityContext", json!({}));
    fill(spec, "schedulerName", "default-scheduler");
    match int(spec, "terminationGracePeriodSeconds") {
        None => fill_absent(spec, "terminationGracePeriodSeconds", 30),
        Some(seconds) if seconds < 0 => tree::set(spec, "terminationGracePeriodSeconds", 1),
        Some(_) => {}
    }
    service_account(spec);
    for volume in list_mut(spec, "volumes") {
        volume_defaults(volume);
    }
    quantities(spec, "overhead");
}

/// serviceAccount is the old name of serviceAccountName, and follows it.
fn service_account(spec: &mut Value) {
    let new = text(spec, "serviceAccountName");
    let old = text(spec, "serviceAccount");
    if new == old {
        return;
    }
    if new.is_empty() {
        let name = old.to_owned();
        tree::set(spec, "serviceAccountName", name);
    } else {
        let name = new.to_owned();
        tree::set(spec, "serviceAccount", name);
    }
}

fn requests_from_limits(container: &mut Value) {
    let Some(resources) = get_mut(container, "resources") else {
        return;
    };
    let missing: Vec<(String, Value)> = match (
        tree::object(resources, "limits"),
        get(resources, "requests"),
    ) {
        (None, _) => return,
        (Some(limits), requests) => limits
            .iter()
            .filter(|(name, _)| requests.is_none_or(|requests| requests.get(name).is_none()))
            .map(|(name, limit)| (name.clone(), limit.clone()))
            .collect(),
    };
    if missing.is_empty() {
        return;
    }
    if let Some(Value::Object(requests)) = ensure_object(resources, "requests") {
        requests.extend(missing);
    }
}

/// Brings the quantities in a map into the form that they are stored in. What cannot be read stays,
/// for validation to name.
pub(crate) fn quantities(value: &mut Value, field: &str) {
    let Some(map) = tree::object_mut(value, field) else {
        return;
    };
    for quantity in map.values_mut() {
        one_quantity(quantity);
    }
}

fn one_quantity(quantity: &mut Value) {
    let normal = match quantity {
        Value::String(text) => quantity::normalize(text).ok().flatten(),
        Value::Number(number) => {
            let text = number.to_string();
            quantity::normalize(&text)
                .ok()
                .map(|normal| normal.unwrap_or(text))
        }
        Value::Null => Some("0".to_owned()),
        _ => None,
    };
    if let Some(normal) = normal {
        *quantity = Value::String(normal);
    }
}

pub(crate) fn resource_defaults(resources: &mut Value) {
    quantities(resources, "limits");
    quantities(resources, "requests");
}

/// What has no version of its own is pulled anew each time.
fn fill_pull_policy(value: &mut Value, policy: &str, image: &str) {
    if text(value, policy).is_empty() {
        let latest = image::is_latest(text(value, image));
        tree::set(
            value,
            policy,
            if latest { "Always" } else { "IfNotPresent" },
        );
    }
}

fn container_defaults(container: &mut Value) {
    fill_pull_policy(container, "imagePullPolicy", "image");
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    if let Some(resources) = ensure_object(container, "resources") {
        resource_defaults(resources);
    }
    for port in list_mut(container, "ports") {
        fill(port, "protocol", "TCP");
    }
    for variable in list_mut(container, "env") {
        if let Some(source) = get_mut(variable, "valueFrom") {
            env_source_defaults(source);
        }
    }
    for probe in PROBES {
        if let Some(probe) = get_mut(container, probe) {
            fill_zero(probe, "timeoutSeconds", 1);
            fill_zero(probe, "periodSeconds", 10);
            fill_zero(probe, "successThreshold", 1);
            fill_zero(probe, "failureThreshold", 3);
            http_get_defaults(probe);
            if let Some(grpc) = get_mut(probe, "grpc") {
                fill_absent(grpc, "service", "");
            }
        }
    }
    if let Some(lifecycle) = get_mut(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = get_mut(lifecycle, hook) {
                http_get_defaults(hook);
            }
        }
    }
}

fn http_get_defaults(handler: &mut Value) {
    if let Some(http) = get_mut(handler, "httpGet") {
        fill(http, "path", "/");
        fill(http, "scheme", "HTTP");
    }
}

fn env_source_defaults(source: &mut Value) {
    if let Some(field) = get_mut(source, "fieldRef") {
        fill(field, "apiVersion", "v1");
    }
    if let Some(file) = get_mut(source, "fileKeyRef") {
        fill_absent(file, "optional", false);
    }
    resource_field_defaults(source);
}

fn resource_field_defaults(source: &mut Value) {
    if let Some(resource) = get_mut(source, "resourceFieldRef") {
        fill_absent(resource, "divisor", "0");
        if let Some(divisor) = get_mut(resource, "divisor") {
            exact_quantity(divisor);
        }
    }
}

/// As [`one_quantity`], of quantities that are not rounded.
pub(crate) fn exact_quantity(value: &mut Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    if let Ok(quantity) = text.trim().parse::<Quantity>() {
        *value = Value::String(quantity.written(text.trim()));
    }
}

fn downward_items_defaults(source: &mut Value) {
    for file in list_mut(source, "items") {
        if let Some(field) = get_mut(file, "fieldRef") {
            fill(field, "apiVersion", "v1");
        }
        resource_field_defaults(file);
    }
}

fn volume_defaults(volume: &mut Value) {
    let Value::Object(fields) = volume else {
        return;
    };
    fields.retain(|_, source| !source.is_null());
    if !fields.keys().any(|field| field != "name") {
        fields.insert("emptyDir".to_owned(), json!({}));
        return;
    }
    for (kind, source) in fields.iter_mut() {
        source_defaults(kind, source);
    }
}

/// The defaults of what a volume is made of, in a pod or in a PersistentVolume.
pub(crate) fn source_defaults(kind: &str, source: &mut Value) {
    match kind {
        "hostPath" => fill_absent(source, "type", ""),
        "secret" | "configMap" => fill_absent(source, "defaultMode", 0o644),
        "downwardAPI" => {
            fill_absent(source, "defaultMode", 0o644);
            downward_items_defaults(source);
        }
        "projected" => projected_defaults(source),
        "emptyDir" => {
            if let Some(limit) = get_mut(source, "sizeLimit") {
                exact_quantity(limit);
            }
        }
        "iscsi" => fill(source, "iscsiInterface", "default"),
        "rbd" => {
            fill(source, "pool", "rbd");
            fill(source, "user", "admin");
            fill(source, "keyring", "/etc/ceph/keyring");
        }
        "azureDisk" => {
            fill_absent(source, "cachingMode", "ReadWrite");
            fill_absent(source, "fsType", "ext4");
            fill_absent(source, "readOnly", false);
            fill_absent(source, "kind", "Shared");
        }
        "scaleIO" => {
            fill(source, "storageMode", "ThinProvisioned");
            fill(source, "fsType", "xfs");
        }
        "ephemeral" => claim_template_defaults(source),
        "image" => fill_pull_policy(source, "pullPolicy", "reference"),
        _ => {}
    }
}

fn projected_defaults(source: &mut Value) {
    fill_absent(source, "defaultMode", 0o644);
    for part in list_mut(source, "sources") {
        if let Some(downward) = get_mut(part, "downwardAPI") {
            downward_items_defaults(downward);
        }
        if let Some(token) = get_mut(part, "serviceAccountToken") {
            fill_absent(token, "expirationSeconds", 3600);
        }
    }
}

fn claim_template_defaults(source: &mut Value) {
    let Some(template) = get_mut(source, "volumeClaimTemplate") else {
        return;
    };
    fill_absent(template, "metadata", json!({}));
    if let Some(spec) = ensure_object(template, "spec") {
        fill_absent(spec, "volumeMode", "Filesystem");
        if let Some(resources) = ensure_object(spec, "resources") {
            resource_defaults(resources);
        }
    }
}

fn status_defaults(status: &mut Value) {
    for condition in list_mut(status, "conditions") {
        for time in ["lastProbeTime", "lastTransitionTime"] {
            fill_absent(condition, time, Value::Null);
        }
    }
    let lists = [
        "initContainerStatuses",
        "containerStatuses",
        "ephemeralContainerStatuses",
    ];
    for field in lists {
        for container in list_mut(status, field) {
            for state in ["state", "lastState"] {
                fill_absent(container, state, json!({}));
            }
            for text in ["image", "imageID"] {
                fill_absent(container, text, "");
            }
            fill_absent(container, "ready", false);
            fill_absent(container, "restartCount", 0);
            quantities(container, "allocatedResources");
            if let Some(resources) = get_mut(container, "resources") {
                resource_defaults(resources);
            }
        }
    }
    quantities(status, "allocatedResources");
    if let Some(resources) = get_mut(status, "resources") {
        resource_defaults(resources);
    }
    pod_ips(status);
}

/// podIP is the first of podIPs, and wins where they differ.
fn pod_ips(status: &mut Value) {
    let first = list(status, "podIPs")
        .first()
        .map_or("", |ip| text(ip, "ip"));
    let single = text(status, "podIP");
    if single == first {
        return;
    }
    if single.is_empty() {
        let ip = first.to_owned();
        tree::set(status, "podIP", ip);
    } else {
        let ip = single.to_owned();
        tree::set(status, "podIPs", json!([{"ip": ip}]));
    }
}
