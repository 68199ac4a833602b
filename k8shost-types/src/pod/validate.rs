//! The rules for a pod's metadata and spec.

use serde_json::Value;

use super::{
    containers::{self, required_choice},
    env, profiles, resources, scheduling,
    scheduling::faults,
    security, spec_of, total, volumes, windows,
};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, object, pairs, text},
    meta, names,
    net::validate_ip,
    seen::Seen,
};

const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The rules for a new pod.
pub fn validate_create(pod: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate_all(pod, &mut errors);
    let spec = spec_of(pod);
    let path = Path::new("spec");
    if !list(spec, "ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(
            &path.child("ephemeralContainers"),
            "cannot be set on create",
        ));
    }
    if !text(spec, "nodeName").is_empty() && !list(spec, "schedulingGates").is_empty() {
        errors.push(FieldError::forbidden(
            &path.child("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        ));
    }
    if let Some(annotations) = get(meta::metadata(pod), "annotations") {
        profiles::validate_annotations_match(annotations, spec, &path, &mut errors);
    }
    errors
}

/// The rules that hold on create and on update alike.
pub(super) fn validate_all(pod: &Value, errors: &mut Vec<FieldError>) {
    validate_metadata(pod, errors);
    validate_pod_spec(pod, errors);
}

/// Those for its metadata.
pub(super) fn validate_metadata(pod: &Value, errors: &mut Vec<FieldError>) {
    meta::validate_create(pod, true, names::subdomain_rule, errors);
    meta::validate_kube_finalizers(pod, errors);
    validate_annotations(pod, errors);
}

/// Those for its spec.
pub(super) fn validate_pod_spec(pod: &Value, errors: &mut Vec<FieldError>) {
    let spec = spec_of(pod);
    let path = Path::new("spec");
    validate_spec(pod, spec, &path, errors);
    if text(spec, "serviceAccountName").is_empty() {
        validate_no_tokens(spec, &path, errors);
    }
    for field in ["containers", "initContainers"] {
        let path = path.child(field);
        for (i, container) in list(spec, field).iter().enumerate() {
            containers::validate_image_spaces(container, &path.index(i), errors);
        }
    }
}

/// The rules for annotations that mean something for a pod.
pub(super) fn validate_annotations(pod: &Value, errors: &mut Vec<FieldError>) {
    let Some(annotations) = get(meta::metadata(pod), "annotations") else {
        return;
    };
    let path = Path::new("metadata");
    validate_pod_annotations(
        annotations,
        spec_of(pod),
        &path.child("annotations"),
        errors,
    );
}

/// The same, of a pod's annotations or a template's.
pub(super) fn validate_pod_annotations(
    annotations: &Value,
    spec: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(Value::String(value)) = get(annotations, MIRROR)
        && text(spec, "nodeName").is_empty()
    {
        errors.push(FieldError::invalid(
            &path.key(MIRROR),
            value,
            "must set spec.nodeName if mirror pod annotation is set",
        ));
    }
    if let Some(Value::String(cost)) = get(annotations, DELETION_COST) {
        let digits = cost.strip_prefix('-').unwrap_or(cost);
        let leading = cost != "0" && cost.starts_with(['0', '+']);
        if leading || digits.starts_with('+') || cost.parse::<i32>().is_err() {
            errors.push(FieldError::invalid(
                &path.key(DELETION_COST),
                cost,
                "must be a 32bit integer",
            ));
        }
    }
    profiles::validate_annotations(annotations, spec, path, errors);
}

fn validate_no_tokens(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("volumes");
    for (i, volume) in list(spec, "volumes").iter().enumerate() {
        let Some(projected) = get(volume, "projected") else {
            continue;
        };
        let path = path.index(i);
        let path = path.child("projected");
        let path = path.child("sources");
        for (i, source) in list(projected, "sources").iter().enumerate() {
            if get(source, "serviceAccountToken").is_some() {
                errors.push(FieldError::forbidden(
                    &path.index(i).child("serviceAccountToken"),
                    "must not be specified when serviceAccountName is not set",
                ));
            }
        }
    }
}

pub(super) fn validate_spec(
    pod: &Value,
    spec: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let grace = int(spec, "terminationGracePeriodSeconds");
    if grace.is_none() {
        errors.push(FieldError::required(
            &path.child("terminationGracePeriodSeconds"),
            "",
        ));
    }
    let claims = list(spec, "resourceClaims");
    let volumes = volumes::validate(pod, list(spec, "volumes"), &path.child("volumes"), errors);
    validate_claims(pod, claims, &path.child("resourceClaims"), errors);
    let mut claims: Vec<&str> = claims
        .iter()
        .map(|claim| text(claim, "name"))
        .filter(|name| !name.is_empty())
        .collect();
    claims.sort_unstable();
    let context = containers::Pod {
        volumes,
        claims,
        grace,
        restart_policy: text(spec, "restartPolicy"),
        host_users: get(spec, "hostUsers").and_then(Value::as_bool) != Some(false),
    };
    let regular = list(spec, "containers");
    containers::validate(regular, &context, &path.child("containers"), errors);
    let init = list(spec, "initContainers");
    containers::validate_init(
        init,
        regular,
        &context,
        &path.child("initContainers"),
        errors,
    );
    containers::validate_ephemeral(spec, &context, &path.child("ephemeralContainers"), errors);
    total::validate_pod_level(spec, path, errors);
    validate_host_network_ports(spec, path, errors);
    required_choice(
        spec,
        "restartPolicy",
        &["Always", "OnFailure", "Never"],
        path,
        errors,
    );
    required_choice(
        spec,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        path,
        errors,
    );
    meta::validate_labels(spec, "nodeSelector", path, errors);
    security::validate_pod_context(spec, path, errors);
    if let Some(affinity) = get(spec, "affinity") {
        scheduling::validate_affinity(affinity, &path.child("affinity"), errors);
    }
    validate_dns(spec, &path.child("dnsConfig"), errors);
    let gates = path.child("readinessGates");
    for (i, gate) in list(spec, "readinessGates").iter().enumerate() {
        let kind = text(gate, "conditionType");
        let path = gates.index(i);
        faults(
            names::qualified_name(kind),
            kind,
            &path.child("conditionType"),
            errors,
        );
    }
    let gates = list(spec, "schedulingGates");
    scheduling::validate_gates(gates, &path.child("schedulingGates"), errors);
    let constraints = list(spec, "topologySpreadConstraints");
    let spread_path = path.child("topologySpreadConstraints");
    scheduling::validate_topology_spread(constraints, &spread_path, errors);
    windows::validate_host_process(spec, path, errors);
    security::validate_host_users(spec, path, errors);
    security::validate_host_name(spec, path, errors);
    validate_names(spec, path, errors);
    if let Some(overhead) = object(spec, "overhead") {
        resources::validate_overhead(overhead, &path.child("overhead"), errors);
    }
    windows::validate_os(spec, path, errors);
    env::validate_file_volumes(spec, path, errors);
}

/// The names of other objects, and the other fields that stand for themselves.
fn validate_names(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["serviceAccountName", "nodeName"] {
        let name = text(spec, field);
        if !name.is_empty() {
            faults(
                names::dns1123_subdomain(name),
                name,
                &path.child(field),
                errors,
            );
        }
    }
    if let Some(seconds) = int(spec, "activeDeadlineSeconds")
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        errors.push(FieldError::invalid(
            &path.child("activeDeadlineSeconds"),
            &seconds,
            "must be between 1 and 2147483647, inclusive",
        ));
    }
    for field in ["hostname", "subdomain"] {
        let name = text(spec, field);
        if !name.is_empty() {
            faults(names::dns1123_label(name), name, &path.child(field), errors);
        }
    }
    let tolerations = list(spec, "tolerations");
    scheduling::validate_tolerations(tolerations, &path.child("tolerations"), errors);
    let aliases = path.child("hostAliases");
    for (i, alias) in list(spec, "hostAliases").iter().enumerate() {
        let path = aliases.index(i);
        validate_ip(&path.child("ip"), text(alias, "ip"), false, errors);
        let path = path.child("hostnames");
        for (i, name) in list(alias, "hostnames")
            .iter()
            .filter_map(Value::as_str)
            .enumerate()
        {
            faults(names::dns1123_subdomain(name), name, &path.index(i), errors);
        }
    }
    let class = text(spec, "priorityClassName");
    if !class.is_empty() {
        faults(
            names::dns1123_subdomain(class),
            class,
            &path.child("priorityClassName"),
            errors,
        );
    }
    if let Some(Value::String(class)) = get(spec, "runtimeClassName") {
        faults(
            names::dns1123_subdomain(class),
            class,
            &path.child("runtimeClassName"),
            errors,
        );
    }
    if get(spec, "preemptionPolicy").is_some() {
        required_choice(
            spec,
            "preemptionPolicy",
            &["PreemptLowerPriority", "Never"],
            path,
            errors,
        );
    }
}

fn validate_claims(pod: &Value, claims: &[Value], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let fields = ["resourceClaimName", "resourceClaimTemplateName"];
    let mut seen = Seen::new();
    for (i, claim) in claims.iter().enumerate() {
        if meta::annotation(pod, MIRROR).is_some() {
            errors.push(FieldError::forbidden(
                &Path::new(""),
                "static pods do not support resource claims",
            ));
            continue;
        }
        let path = path.index(i);
        let name = text(claim, "name");
        let name_path = path.child("name");
        if name.is_empty() {
            errors.push(FieldError::required(&name_path, ""));
        } else if !seen.add(name) {
            errors.push(FieldError::duplicate(&name_path, name));
        } else {
            faults(names::dns1123_label(name), name, &name_path, errors);
        }
        match fields.iter().filter(|field| get(claim, field).is_some()).count() {
            0 => errors.push(FieldError::invalid(
                &path,
                claim,
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            )),
            1 => {}
            _ => errors.push(FieldError::invalid(
                &path,
                claim,
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            )),
        }
        for field in fields {
            if let Some(Value::String(name)) = get(claim, field) {
                faults(
                    names::dns1123_subdomain(name),
                    name,
                    &path.child(field),
                    errors,
                );
            }
        }
    }
}

fn validate_host_network_ports(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !crate::json::flag(spec, "hostNetwork") {
        return;
    }
    let path = path.child("containers");
    for (i, container) in list(spec, "containers").iter().enumerate() {
        let path = path.index(i);
        let path = path.child("ports");
        for (i, port) in list(container, "ports").iter().enumerate() {
            let host = int(port, "hostPort").unwrap_or_default();
            if host != int(port, "containerPort").unwrap_or_default() {
                errors.push(FieldError::invalid(
                    &path.index(i).child("hostPort"),
                    &host,
                    "must match `containerPort` when `hostNetwork` is true",
                ));
            }
        }
    }
}

fn validate_dns(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const SERVERS_MAX: usize = 3;
    const SEARCHES_MAX: usize = 32;
    const SEARCH_CHARS_MAX: usize = 2048;
    let none = text(spec, "dnsPolicy") == "None";
    let Some(config) = get(spec, "dnsConfig") else {
        if none {
            errors.push(FieldError::required(
                path,
                "must provide `dnsConfig` when `dnsPolicy` is None",
            ));
        }
        return;
    };
    let servers = list(config, "nameservers");
    let servers_path = path.child("nameservers");
    if none && servers.is_empty() {
        errors.push(FieldError::required(
            &servers_path,
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        ));
        return;
    }
    let all = |field| get(config, field).unwrap_or(&Value::Null);
    if servers.len() > SERVERS_MAX {
        let detail = format!("must not have more than {SERVERS_MAX} nameservers");
        errors.push(FieldError::invalid(
            &servers_path,
            all("nameservers"),
            &detail,
        ));
    }
    for (i, server) in servers.iter().filter_map(Value::as_str).enumerate() {
        validate_ip(&servers_path.index(i), server, false, errors);
    }
    let searches: Vec<&str> = list(config, "searches")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let searches_path = path.child("searches");
    if searches.len() > SEARCHES_MAX {
        let detail = format!("must not have more than {SEARCHES_MAX} search paths");
        errors.push(FieldError::invalid(
            &searches_path,
            all("searches"),
            &detail,
        ));
    }
    let length: usize = searches.iter().map(|search| search.len() + 1).sum();
    if length > SEARCH_CHARS_MAX + 1 {
        let detail = format!(
            "must not have more than {SEARCH_CHARS_MAX} characters (including spaces) in the search list"
        );
        errors.push(FieldError::invalid(
            &searches_path,
            all("searches"),
            &detail,
        ));
    }
    for (i, search) in searches
        .into_iter()
        .enumerate()
        .filter(|(_, search)| *search != ".")
    {
        let search = search.strip_suffix('.').unwrap_or(search);
        let found = names::dns1123_subdomain_with_underscore(search);
        faults(found, search, &searches_path.index(i), errors);
    }
    let options = path.child("options");
    for (i, option) in list(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.push(FieldError::required(&options.index(i), "must not be empty"));
        }
    }
}

/// Whether a mirror of a static pod, which some operations refuse.
pub(super) fn is_mirror(pod: &Value) -> bool {
    meta::annotation(pod, MIRROR).is_some()
}

/// The annotations that an update may neither add, change nor remove.
pub(super) fn validate_annotation_updates(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let path = Path::new("metadata");
    let path = path.child("annotations");
    let kind = |key: &str| {
        if key.starts_with(profiles::APP_ARMOR) {
            Some("AppArmor annotations")
        } else if key == MIRROR {
            Some("mirror pod annotation")
        } else {
            None
        }
    };
    let (new_meta, old_meta) = (meta::metadata(new), meta::metadata(old));
    for (key, value) in pairs(old_meta, "annotations") {
        if let Some(what) = kind(key)
            && meta::annotation(new, key) != Some(value)
        {
            let detail = format!("may not remove or update {what}");
            errors.push(FieldError::forbidden(&path.key(key), &detail));
        }
    }
    for (key, _) in pairs(new_meta, "annotations") {
        if let Some(what) = kind(key)
            && meta::annotation(old, key).is_none()
        {
            let detail = format!("may not add {what}");
            errors.push(FieldError::forbidden(&path.key(key), &detail));
        }
    }
    validate_annotations(new, errors);
}
