//! The rules for containers of all three sorts.

use serde_json::Value;

use super::{env, mounts, probes, resources, scheduling::faults, security, volumes::Volumes};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    names,
    seen::Seen,
};

/// What the rules for a container need to know of its pod.
pub(super) struct Pod<'a> {
    pub(super) volumes: Volumes<'a>,
    /// The names of spec.resourceClaims, sorted.
    pub(super) claims: Vec<&'a str>,
    pub(super) grace: Option<i64>,
    pub(super) restart_policy: &'a str,
    /// False when the pod's users are not the host's.
    pub(super) host_users: bool,
}

/// The rules for spec.containers.
pub(super) fn validate(
    containers: &[Value],
    pod: &Pod<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if containers.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let mut seen = Seen::new();
    for (i, container) in containers.iter().enumerate() {
        let at = path.index(i);
        validate_common(container, pod, &at, errors);
        let name = text(container, "name");
        if !seen.add(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        if let Some(lifecycle) = get(container, "lifecycle") {
            probes::validate_lifecycle(lifecycle, pod.grace, &at.child("lifecycle"), errors);
        }
        probes::validate_all(container, &at, errors);
        validate_restart_policy(container, &at, errors);
    }
    validate_host_ports(containers, path, errors);
}

/// The rules for spec.initContainers.
pub(super) fn validate_init(
    containers: &[Value],
    regular: &[Value],
    pod: &Pod<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    const NOT_FOR_INIT: &str = "may not be set for init containers without restartPolicy=Always";
    let regular: Seen<&str> = regular.iter().map(|other| text(other, "name")).collect();
    let mut seen = Seen::new();
    for (i, container) in containers.iter().enumerate() {
        let at = path.index(i);
        validate_common(container, pod, &at, errors);
        let policy = text(container, "restartPolicy");
        let rules = list(container, "restartPolicyRules");
        match (policy, rules.is_empty()) {
            ("", true) => {}
            ("", false) => errors.push(FieldError::required(
                &at.child("restartPolicy"),
                "must specify restartPolicy when restart rules are used",
            )),
            ("Always", true) => {}
            ("Always", false) => errors.push(FieldError::forbidden(
                &at.child("restartPolicyRules"),
                "restartPolicyRules are not allowed for init containers with restart policy Always",
            )),
            _ => validate_restart_policy(container, &at, errors),
        }
        let name = text(container, "name");
        if regular.has(&name) || (!seen.add(name) && !name.is_empty()) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        // One after another: each has the ports for itself.
        validate_host_ports(std::slice::from_ref(container), path, errors);
        if policy == "Always" {
            if let Some(lifecycle) = get(container, "lifecycle") {
                probes::validate_lifecycle(lifecycle, pod.grace, &at.child("lifecycle"), errors);
            }
            probes::validate_all(container, &at, errors);
        } else {
            for field in [
                "lifecycle",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
            ] {
                if get(container, field).is_some() {
                    errors.push(FieldError::forbidden(&at.child(field), NOT_FOR_INIT));
                }
            }
        }
    }
}

/// The rules for spec.ephemeralContainers.
pub(super) fn validate_ephemeral(
    spec: &Value,
    pod: &Pod<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    const NOT_HERE: &str = "cannot be set for an Ephemeral Container";
    let containers = list(spec, "ephemeralContainers");
    if containers.is_empty() {
        return;
    }
    let others: Seen<&str> = list(spec, "containers")
        .iter()
        .chain(list(spec, "initContainers"))
        .map(|other| text(other, "name"))
        .collect();
    let mut seen = Seen::new();
    for (i, container) in containers.iter().enumerate() {
        let at = path.index(i);
        validate_common(container, pod, &at, errors);
        validate_image_spaces(container, &at, errors);
        let name = text(container, "name");
        if !seen.add(name) || others.has(&name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        let target = text(container, "targetContainerName");
        if !target.is_empty() && !others.has(&target) {
            errors.push(FieldError::not_found(
                &at.child("targetContainerName"),
                target,
            ));
        }
        for field in [
            "ports",
            "resources",
            "resizePolicy",
            "restartPolicy",
            "restartPolicyRules",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
        ] {
            let set = match get(container, field) {
                None => false,
                Some(Value::Object(fields)) if field == "resources" => !fields.is_empty(),
                Some(Value::Array(items)) => !items.is_empty(),
                Some(_) => true,
            };
            if set {
                errors.push(FieldError::forbidden(&at.child(field), NOT_HERE));
            }
        }
        let mounts = at.child("volumeMounts");
        for (i, mount) in list(container, "volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if !text(mount, field).is_empty() {
                    errors.push(FieldError::forbidden(
                        &mounts.index(i).child(field),
                        NOT_HERE,
                    ));
                }
            }
        }
    }
}

/// An image's name has no space around it, in a pod.
pub(super) fn validate_image_spaces(
    container: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let image = text(container, "image");
    if image.trim() != image {
        errors.push(FieldError::invalid(
            &path.child("image"),
            image,
            "must not have leading or trailing whitespace",
        ));
    }
}

fn validate_common(
    container: &Value,
    pod: &Pod<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let name = text(container, "name");
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    } else {
        faults(
            names::dns1123_label(name),
            name,
            &path.child("name"),
            errors,
        );
    }
    if text(container, "image").is_empty() {
        errors.push(FieldError::required(&path.child("image"), ""));
    }
    required_choice(
        container,
        "terminationMessagePolicy",
        &["File", "FallbackToLogsOnError"],
        path,
        errors,
    );
    validate_ports(list(container, "ports"), &path.child("ports"), errors);
    env::validate(list(container, "env"), &path.child("env"), errors);
    env::validate_from(list(container, "envFrom"), &path.child("envFrom"), errors);
    mounts::validate_mounts(container, pod, &path.child("volumeMounts"), errors);
    mounts::validate_devices(container, pod, &path.child("volumeDevices"), errors);
    required_choice(
        container,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
        path,
        errors,
    );
    if let Some(own) = get(container, "resources") {
        resources::validate(own, &pod.claims, &path.child("resources"), errors);
    }
    validate_resize_policy(container, pod, &path.child("resizePolicy"), errors);
    if let Some(context) = get(container, "securityContext") {
        let path = path.child("securityContext");
        security::validate_container_context(context, pod.host_users, &path, errors);
    }
}

/// A field that must be set, to one of some values.
pub(crate) fn required_choice(
    value: &Value,
    field: &str,
    choices: &[&str],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let chosen = text(value, field);
    if chosen.is_empty() {
        errors.push(FieldError::required(&path.child(field), ""));
    } else if !choices.contains(&chosen) {
        errors.push(FieldError::not_supported(
            &path.child(field),
            chosen,
            choices,
        ));
    }
}

/// The protocols of ports.
pub(crate) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

fn validate_ports(ports: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = Seen::new();
    for (i, port) in ports.iter().enumerate() {
        let path = path.index(i);
        let name = text(port, "name");
        if !name.is_empty() {
            let name_path = path.child("name");
            let found = names::port_name(name);
            if found.is_empty() && !seen.add(name) {
                errors.push(FieldError::duplicate(&name_path, name));
            }
            faults(found, name, &name_path, errors);
        }
        let number = int(port, "containerPort").unwrap_or_default();
        let number_path = path.child("containerPort");
        if number == 0 {
            errors.push(FieldError::required(&number_path, ""));
        } else {
            probes::validate_port_number(number, &number_path, errors);
        }
        let host_port = int(port, "hostPort").unwrap_or_default();
        if host_port != 0 {
            probes::validate_port_number(host_port, &path.child("hostPort"), errors);
        }
        required_choice(port, "protocol", &PROTOCOLS, &path, errors);
    }
}

/// A port of the host is taken once per protocol and address.
fn validate_host_ports(containers: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mut taken = Seen::new();
    for (i, container) in containers.iter().enumerate() {
        let path = path.index(i);
        let path = path.child("ports");
        for (i, port) in list(container, "ports").iter().enumerate() {
            let number = int(port, "hostPort").unwrap_or_default();
            if number == 0 {
                continue;
            }
            let (protocol, ip) = (text(port, "protocol"), text(port, "hostIP"));
            if !taken.add((protocol, ip, number)) {
                let shown = format!("{protocol}/{ip}/{number}");
                errors.push(FieldError::duplicate(
                    &path.index(i).child("hostPort"),
                    &shown,
                ));
            }
        }
    }
}

fn validate_resize_policy(
    container: &Value,
    pod: &Pod<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    const RESOURCES: [&str; 2] = ["cpu", "memory"];
    const POLICIES: [&str; 2] = ["NotRequired", "RestartContainer"];
    let policies = list(container, "resizePolicy");
    let mut seen = Seen::new();
    for (i, policy) in policies.iter().enumerate() {
        let resource = text(policy, "resourceName");
        if !seen.add(resource) {
            errors.push(FieldError::duplicate(&path.index(i), resource));
        }
        let restart = text(policy, "restartPolicy");
        for (value, choices) in [(resource, &RESOURCES), (restart, &POLICIES)] {
            if value.is_empty() {
                errors.push(FieldError::required(path, ""));
            } else if !choices.contains(&value) {
                errors.push(FieldError::not_supported(path, value, choices));
            }
        }
        if pod.restart_policy == "Never" && restart != "NotRequired" {
            errors.push(FieldError::invalid(
                path,
                restart,
                "must be 'NotRequired' when `restartPolicy` is 'Never'",
            ));
        }
    }
}

fn validate_restart_policy(container: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
    let policy = get(container, "restartPolicy").and_then(Value::as_str);
    let rules = list(container, "restartPolicyRules");
    match policy {
        None if rules.is_empty() => return,
        None => errors.push(FieldError::required(
            &path.child("restartPolicy"),
            "must specify restartPolicy when restart rules are used",
        )),
        Some(policy) if !POLICIES.contains(&policy) => {
            errors.push(FieldError::not_supported(
                &path.child("restartPolicy"),
                policy,
                &POLICIES,
            ));
        }
        Some(_) => {}
    }
    let path = path.child("restartPolicyRules");
    if rules.len() > 20 {
        errors.push(FieldError::too_long(&path, 20));
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = path.index(i);
        let action = text(rule, "action");
        if action != "Restart" {
            errors.push(FieldError::not_supported(
                &path.child("action"),
                action,
                &["Restart"],
            ));
        }
        let path = path.child("exitCodes");
        let Some(codes) = get(rule, "exitCodes") else {
            errors.push(FieldError::required(&path, "must be specified"));
            continue;
        };
        let operator = text(codes, "operator");
        if !matches!(operator, "In" | "NotIn") {
            errors.push(FieldError::not_supported(
                &path.child("operator"),
                operator,
                &["In", "NotIn"],
            ));
        }
        if list(codes, "values").len() > 255 {
            errors.push(FieldError::too_long(&path.child("values"), 255));
        }
    }
}
