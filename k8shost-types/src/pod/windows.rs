//! What is particular to Windows: options of security contexts, HostProcess containers, and the
//! fields that go with one operating system only.

use serde_json::Value;

use super::visit_containers;
use crate::{
    error::FieldError,
    field::Path,
    json::{flag, get, list, text},
    names,
};

const CREDENTIAL_SPEC_MAX: usize = 64 * 1024;
const DOMAIN_MAX: usize = 256;
const USER_MAX: usize = 104;

/// The rules for windowsOptions.
pub(super) fn validate_options(options: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(Value::String(name)) = get(options, "gmsaCredentialSpecName") {
        for fault in names::dns1123_subdomain(name) {
            errors.push(FieldError::invalid(
                &path.child("gmsaCredentialSpecName"),
                name,
                &fault,
            ));
        }
    }
    if let Some(Value::String(spec)) = get(options, "gmsaCredentialSpec") {
        let fault = if spec.is_empty() {
            "gmsaCredentialSpec cannot be an empty string"
        } else if spec.len() > CREDENTIAL_SPEC_MAX {
            "gmsaCredentialSpec size must be under 64 KiB"
        } else {
            ""
        };
        if !fault.is_empty() {
            errors.push(FieldError::invalid(
                &path.child("gmsaCredentialSpec"),
                spec,
                fault,
            ));
        }
    }
    if let Some(Value::String(name)) = get(options, "runAsUserName") {
        for fault in user_name_faults(name) {
            errors.push(FieldError::invalid(
                &path.child("runAsUserName"),
                name,
                fault,
            ));
        }
    }
}

/// `user` or `DOMAIN\user`.
fn user_name_faults(name: &str) -> Vec<&'static str> {
    if name.is_empty() {
        return vec!["runAsUserName cannot be an empty string"];
    }
    if name.bytes().any(|b| b.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters"];
    }
    let mut parts = name.split('\\');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    if parts.next().is_some() {
        return vec!["runAsUserName cannot contain more than one backslash"];
    }
    let (domain, user) = match second {
        Some(user) => (Some(first), user),
        None => (None, first),
    };
    let mut faults = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= DOMAIN_MAX {
            faults.push("runAsUserName's Domain length must be under 256 characters");
        }
        if !is_net_bios(domain) && !is_dns(domain) {
            faults.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        }
    }
    if user.is_empty() {
        faults.push("runAsUserName's User cannot be empty");
    } else if user.len() > USER_MAX {
        faults.push("runAsUserName's User length must not be longer than 104 characters");
    }
    if !user.is_empty() && user.bytes().all(|b| matches!(b, b'.' | b' ')) {
        faults.push("runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains([
        '"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']',
    ]) {
        faults.push(
            "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]",
        );
    }
    faults
}

fn is_net_bios(domain: &str) -> bool {
    let count = domain.chars().count();
    (1..=15).contains(&count)
        && !domain.starts_with('.')
        && !domain.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
}

fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

/// The rules for containers that run as processes of the host.
pub(super) fn validate_host_process(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let host_process = |holder: &Value| {
        get(holder, "securityContext")
            .and_then(|context| get(context, "windowsOptions"))
            .and_then(|options| get(options, "hostProcess"))
            .and_then(Value::as_bool)
    };
    let of_pod = host_process(spec);
    let (mut all, mut as_host) = (0, 0);
    visit_containers(spec, path, |container, path| {
        all += 1;
        let own = host_process(container);
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let detail =
                format!("pod hostProcess value must be identical if both are specified, was {pod}");
            let path = path.child("securityContext");
            let path = path.child("windowsOptions");
            errors.push(FieldError::invalid(
                &path.child("hostProcess"),
                &own,
                &detail,
            ));
        }
        as_host += i32::from(own.or(of_pod) == Some(true));
    });
    if as_host == 0 {
        return;
    }
    if as_host != all {
        errors.push(FieldError::invalid(
            path,
            "",
            "If pod contains any hostProcess containers then all containers must be HostProcess containers",
        ));
    }
    if !flag(spec, "hostNetwork") {
        errors.push(FieldError::invalid(
            &path.child("hostNetwork"),
            &false,
            "hostNetwork must be true if pod contains any hostProcess containers",
        ));
    }
}

/// The rules for spec.os, and for the fields that go with the one it names.
pub(super) fn validate_os(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(os) = get(spec, "os") else {
        return;
    };
    let os_path = path.child("os");
    match text(os, "name") {
        "linux" => validate_linux(spec, path, errors),
        "windows" => validate_windows(spec, path, errors),
        "" => errors.push(FieldError::required(&os_path.child("name"), "")),
        other => errors.push(FieldError::not_supported(
            &os_path,
            other,
            &["linux", "windows"],
        )),
    }
}

fn validate_linux(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const NOT_FOR_LINUX: &str = "windows options cannot be set for a linux pod";
    let mut check = |holder: &Value, path: &Path<'_>| {
        if get(holder, "securityContext").is_some_and(|c| get(c, "windowsOptions").is_some()) {
            let path = path.child("securityContext");
            errors.push(FieldError::forbidden(
                &path.child("windowsOptions"),
                NOT_FOR_LINUX,
            ));
        }
    };
    check(spec, path);
    visit_containers(spec, path, |container, path| check(container, path));
}

fn validate_windows(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const NOT_FOR_WINDOWS: &str = "cannot be set for a windows pod";
    let context = get(spec, "securityContext").unwrap_or(&Value::Null);
    let context_path = path.child("securityContext");
    let in_context: &[&str] = &["appArmorProfile", "seLinuxOptions"];
    let later: &[&str] = &[
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
    ];
    let last: &[&str] = &[
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ];
    let mut forbid = |holder: &Value, path: &Path<'_>, fields: &[&str]| {
        for field in fields {
            let set = match get(holder, field) {
                None => false,
                Some(Value::Array(_)) if *field == "sysctls" => !list(holder, field).is_empty(),
                // Values of the host's namespaces count when true; all others when they are there.
                Some(Value::Bool(on)) if matches!(*field, "hostPID" | "hostIPC") => *on,
                Some(_) => true,
            };
            if set {
                errors.push(FieldError::forbidden(&path.child(field), NOT_FOR_WINDOWS));
            }
        }
    };
    forbid(context, &context_path, in_context);
    forbid(spec, path, &["hostUsers", "hostPID", "hostIPC"]);
    forbid(context, &context_path, later);
    forbid(spec, path, &["shareProcessNamespace"]);
    forbid(context, &context_path, last);
    visit_containers(spec, path, |container, path| {
        let fields = [
            "appArmorProfile",
            "seLinuxOptions",
            "seccompProfile",
            "capabilities",
            "readOnlyRootFilesystem",
            "privileged",
            "allowPrivilegeEscalation",
            "procMount",
            "runAsUser",
            "runAsGroup",
        ];
        if let Some(context) = get(container, "securityContext") {
            forbid(context, &path.child("securityContext"), &fields);
        }
    });
}
