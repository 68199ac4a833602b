//! Security contexts of pods and of their containers, and the annotations that were there before
//! them.

use serde_json::Value;

use super::{
    profiles::{validate_app_armor, validate_seccomp},
    scheduling::faults,
    visit_containers,
};
use crate::{
    error::FieldError,
    field::Path,
    json::{flag, get, int, list, text},
    names,
    seen::Seen,
};

const MAX_ID: i64 = i32::MAX as i64;
const ID_RANGE: &str = "must be between 0 and 2147483647, inclusive";

fn validate_id(value: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(id) = int(value, field)
        && !(0..=MAX_ID).contains(&id)
    {
        errors.push(FieldError::invalid(&path.child(field), &id, ID_RANGE));
    }
}

fn validate_ids(value: &Value, field: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child(field);
    for (i, id) in list(value, field).iter().enumerate() {
        if let Some(id) = id.as_i64()
            && !(0..=MAX_ID).contains(&id)
        {
            errors.push(FieldError::invalid(&path.index(i), &id, ID_RANGE));
        }
    }
}

/// The rules for the user that a container runs as.
pub(super) fn validate_user(user: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["uid", "gid"] {
        validate_id(user, field, path, errors);
    }
    validate_ids(user, "supplementalGroups", path, errors);
}

fn one_of(
    value: &Value,
    field: &str,
    supported: &[&str],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(Value::String(given)) = get(value, field)
        && !supported.contains(&given.as_str())
    {
        errors.push(FieldError::not_supported(
            &path.child(field),
            given,
            supported,
        ));
    }
}

/// The rules for spec.securityContext.
pub(super) fn validate_pod_context(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("securityContext");
    // In the API, but not in the rules' order, this one is a field of the spec.
    let shares_processes = flag(spec, "shareProcessNamespace") && flag(spec, "hostPID");
    let context = get(spec, "securityContext").unwrap_or(&Value::Null);
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        validate_id(context, field, &path, errors);
    }
    validate_ids(context, "supplementalGroups", &path, errors);
    if shares_processes {
        errors.push(FieldError::invalid(
            &path.child("shareProcessNamespace"),
            &true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        ));
    }
    if context.as_object().is_none_or(serde_json::Map::is_empty) {
        return;
    }
    validate_sysctls(spec, context, &path.child("sysctls"), errors);
    one_of(
        context,
        "fsGroupChangePolicy",
        &["Always", "OnRootMismatch"],
        &path,
        errors,
    );
    validate_profiles(context, &path, errors);
    one_of(
        context,
        "supplementalGroupsPolicy",
        &["Merge", "Strict"],
        &path,
        errors,
    );
    one_of(
        context,
        "seLinuxChangePolicy",
        &["Recursive"],
        &path,
        errors,
    );
}

/// What contexts of pods and of containers have in common.
fn validate_profiles(context: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(profile) = get(context, "seccompProfile") {
        validate_seccomp(profile, &path.child("seccompProfile"), errors);
    }
    if let Some(options) = get(context, "windowsOptions") {
        super::windows::validate_options(options, &path.child("windowsOptions"), errors);
    }
    if let Some(profile) = get(context, "appArmorProfile") {
        validate_app_armor(profile, &path.child("appArmorProfile"), errors);
    }
}

/// The rules for the securityContext of a container.
pub(super) fn validate_container_context(
    context: &Value,
    host_users: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for field in ["runAsUser", "runAsGroup"] {
        validate_id(context, field, path, errors);
    }
    if let Some(Value::String(mount)) = get(context, "procMount") {
        one_of(context, "procMount", &["Default", "Unmasked"], path, errors);
        if host_users && mount == "Unmasked" {
            errors.push(FieldError::invalid(
                &path.child("procMount"),
                mount,
                "`hostUsers` must be false to use `Unmasked`",
            ));
        }
    }
    if let Some(profile) = get(context, "seccompProfile") {
        validate_seccomp(profile, &path.child("seccompProfile"), errors);
    }
    if get(context, "allowPrivilegeEscalation").and_then(Value::as_bool) == Some(false) {
        if flag(context, "privileged") {
            errors.push(FieldError::invalid(
                path,
                context,
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            ));
        }
        let added = get(context, "capabilities").map_or(&[][..], |c| list(c, "add"));
        for _ in added.iter().filter(|c| c.as_str() == Some("CAP_SYS_ADMIN")) {
            errors.push(FieldError::invalid(
                path,
                context,
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            ));
        }
    }
    if let Some(options) = get(context, "windowsOptions") {
        super::windows::validate_options(options, &path.child("windowsOptions"), errors);
    }
    if let Some(profile) = get(context, "appArmorProfile") {
        validate_app_armor(profile, &path.child("appArmorProfile"), errors);
    }
}

/// A path that stays below where it starts: relative, and without `..`.
pub(super) fn validate_descending(target: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if target.starts_with('/') {
        errors.push(FieldError::invalid(path, target, "must be a relative path"));
    }
    validate_no_backsteps(target, path, errors);
}

/// A path without `..`.
pub(crate) fn validate_no_backsteps(target: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if target.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(path, target, "must not contain '..'"));
    }
}

fn is_sysctl_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 253
        && name.split(['.', '/']).all(|part| {
            let bytes = part.as_bytes();
            bytes.first().is_some_and(|b| inner(*b))
                && bytes.last().is_some_and(|b| inner(*b))
                && bytes.iter().all(|b| inner(*b) || matches!(b, b'-' | b'_'))
        })
}

/// The kernel namespace that a setting belongs to, as far as rules ask.
fn sysctl_namespace(name: &str) -> &'static str {
    // With slashes first, slashes separate and dots belong to names.
    let slashes = name
        .find(['.', '/'])
        .is_some_and(|at| name[at..].starts_with('/'));
    let separator = if slashes { '/' } else { '.' };
    let mut parts = name.split(separator);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("net"), Some(_), _) => "net",
        (Some("fs"), Some("mqueue"), Some(_)) => "ipc",
        (
            Some("kernel"),
            Some(
                "sem" | "shm" | "shmall" | "shmmax" | "shmmni" | "shm_rmid_forced" | "msg"
                | "msgmax" | "msgmnb" | "msgmni",
            ),
            None,
        ) => "ipc",
        _ => "",
    }
}

fn validate_sysctls(spec: &Value, context: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let sysctls = list(context, "sysctls");
    let mut seen = Seen::new();
    for (i, sysctl) in sysctls.iter().enumerate() {
        let path = path.index(i);
        let path = path.child("name");
        let name = text(sysctl, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else if !is_sysctl_name(name) {
            errors.push(FieldError::invalid(
                &path,
                name,
                "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            ));
        } else if !seen.add(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        for (namespace, host) in [("net", "hostNetwork"), ("ipc", "hostIPC")] {
            if flag(spec, host) && sysctl_namespace(name) == namespace {
                let detail = format!("may not be specified when '{host}' is true");
                errors.push(FieldError::invalid(&path, name, &detail));
            }
        }
    }
}

/// hostUsers: false goes with no other namespace of the host.
pub(super) fn validate_host_users(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const WITH_OWN_USERS: &str = "when `hostUsers` is false";
    if get(spec, "hostUsers").and_then(Value::as_bool) != Some(false) {
        return;
    }
    for (field, shown) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if flag(spec, field) {
            errors.push(FieldError::forbidden(&path.child(shown), WITH_OWN_USERS));
        }
    }
    visit_containers(spec, path, |container, path| {
        if !list(container, "volumeDevices").is_empty() {
            errors.push(FieldError::forbidden(
                &path.child("volumeDevices"),
                WITH_OWN_USERS,
            ));
        }
    });
}

/// The rules for the name that hostnameOverride gives.
pub(super) fn validate_host_name(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(Value::String(name)) = get(spec, "hostnameOverride") else {
        return;
    };
    let path = path.child("hostnameOverride");
    for field in ["setHostnameAsFQDN", "hostNetwork"] {
        if flag(spec, field) {
            let detail = format!("may not be specified when {field} is true");
            errors.push(FieldError::forbidden(&path, &detail));
        }
    }
    if name.len() > 64 {
        errors.push(FieldError::too_long(&path, 64));
    }
    faults(names::dns1123_subdomain(name), name, &path, errors);
}
