//! The rules for a service.

use serde_json::Value;

use super::{
    has_health_check,
    ips::{validate_cluster_ips, validate_external_ip},
    is_external, is_headless, kind_of, spec_of,
};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    meta, names,
    net::{validate_cidr, validate_ip},
    pod::{PROTOCOLS, validate_port, validate_port_number},
    seen::Seen,
};

const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const CLIENT_IP_TIMEOUT_MAX: i64 = 86400;

/// The rules for a new service, its addresses given already.
pub fn validate_create(service: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_create(service, true, names::label1035_rule, &mut errors);
    meta::validate_kube_finalizers(service, &mut errors);
    validate(service, None, &mut errors);
    errors
}

pub(super) fn validate(service: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = spec_of(service);
    let path = Path::new("spec");
    let kind = kind_of(spec);
    validate_topology(service, errors);
    let ports = list(spec, "ports");
    if ports.is_empty() && !is_headless(spec) && kind != "ExternalName" {
        errors.push(FieldError::required(&path.child("ports"), ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(spec) => {
            let path = path.child("clusterIPs");
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid(&path.index(0), "None", &detail));
        }
        "ExternalName" => validate_external_name(spec, &path, errors),
        _ => {}
    }
    let ports_path = path.child("ports");
    let mut port_names = Seen::new();
    for (i, port) in ports.iter().enumerate() {
        validate_service_port(
            port,
            &mut port_names,
            ports.len() > 1,
            &ports_path.index(i),
            errors,
        );
    }
    meta::validate_labels(spec, "selector", &path, errors);
    validate_affinity(spec, &path, errors);
    validate_cluster_ips(spec, old.map(spec_of), &path, errors);
    let old_ips: Seen<&str> = old
        .map_or(&[][..], |old| list(spec_of(old), "externalIPs"))
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let ips_path = path.child("externalIPs");
    for (i, ip) in list(spec, "externalIPs")
        .iter()
        .filter_map(Value::as_str)
        .enumerate()
    {
        let path = ips_path.index(i);
        if validate_ip(&path, ip, old_ips.has(&ip), errors) {
            validate_external_ip(ip, &path, errors);
        }
    }
    const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if kind.is_empty() {
        errors.push(FieldError::required(&path.child("type"), ""));
    } else if !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, &TYPES));
    }
    validate_port_pairs(spec, &ports_path, errors);
    validate_source_ranges(service, old, &path, errors);
    validate_balancer(spec, &path, errors);
    validate_traffic(spec, &path, errors);
}

fn validate_topology(service: &Value, errors: &mut Vec<FieldError>) {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const MODE: &str = "service.kubernetes.io/topology-mode";
    if let (Some(mode), Some(hints)) = (
        meta::annotation(service, MODE),
        meta::annotation(service, HINTS),
    ) && mode != hints
    {
        let path = Path::new("metadata");
        let path = path.child("annotations");
        let detail = format!("must match annotations[{HINTS}] when both are specified");
        errors.push(FieldError::invalid(&path.key(MODE), mode, &detail));
    }
}

fn validate_external_name(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let set = match get(spec, field) {
            Some(Value::Array(items)) => !items.is_empty(),
            other => other.is_some(),
        };
        if set {
            errors.push(FieldError::forbidden(
                &path.child(field),
                "may not be set for ExternalName services",
            ));
        }
    }
    let name = text(spec, "externalName");
    let name = name.strip_suffix('.').unwrap_or(name);
    let path = path.child("externalName");
    if name.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        for fault in names::dns1123_subdomain(name) {
            errors.push(FieldError::invalid(&path, name, &fault));
        }
    }
}

fn validate_service_port<'a>(
    port: &'a Value,
    names_before: &mut Seen<&'a str>,
    needs_name: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let name = text(port, "name");
    let name_path = path.child("name");
    if name.is_empty() {
        if needs_name {
            errors.push(FieldError::required(&name_path, ""));
        }
    } else {
        for fault in names::dns1123_label(name) {
            errors.push(FieldError::invalid(&name_path, name, &fault));
        }
        if !names_before.add(name) {
            errors.push(FieldError::duplicate(&name_path, name));
        }
    }
    validate_port_number(
        int(port, "port").unwrap_or_default(),
        &path.child("port"),
        errors,
    );
    let protocol = text(port, "protocol");
    if protocol.is_empty() {
        errors.push(FieldError::required(&path.child("protocol"), ""));
    } else if !PROTOCOLS.contains(&protocol) {
        errors.push(FieldError::not_supported(
            &path.child("protocol"),
            protocol,
            &PROTOCOLS,
        ));
    }
    validate_port(get(port, "targetPort"), &path.child("targetPort"), errors);
    if let Some(Value::String(protocol)) = get(port, "appProtocol") {
        for fault in names::qualified_name(protocol) {
            errors.push(FieldError::invalid(
                &path.child("appProtocol"),
                protocol,
                &fault,
            ));
        }
    }
}

fn validate_affinity(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const AFFINITIES: [&str; 2] = ["ClientIP", "None"];
    const WHEN: &str = "when session affinity type is ClientIP";
    let affinity = text(spec, "sessionAffinity");
    let config = get(spec, "sessionAffinityConfig");
    let config_path = path.child("sessionAffinityConfig");
    if affinity.is_empty() {
        errors.push(FieldError::required(&path.child("sessionAffinity"), ""));
    } else if !AFFINITIES.contains(&affinity) {
        errors.push(FieldError::not_supported(
            &path.child("sessionAffinity"),
            affinity,
            &AFFINITIES,
        ));
    }
    if affinity == "None" && config.is_some() {
        errors.push(FieldError::forbidden(
            &config_path,
            "must not be set when session affinity is None",
        ));
    }
    if affinity != "ClientIP" {
        return;
    }
    let Some(config) = config else {
        errors.push(FieldError::required(&config_path, WHEN));
        return;
    };
    let path = config_path.child("clientIP");
    let Some(client) = get(config, "clientIP") else {
        errors.push(FieldError::required(&path, WHEN));
        return;
    };
    let path = path.child("timeoutSeconds");
    match int(client, "timeoutSeconds") {
        None => errors.push(FieldError::required(&path, WHEN)),
        Some(seconds) if !(1..=CLIENT_IP_TIMEOUT_MAX).contains(&seconds) => {
            let detail = format!("must be greater than 0 and less than {CLIENT_IP_TIMEOUT_MAX}");
            errors.push(FieldError::invalid(&path, &seconds, &detail));
        }
        Some(_) => {}
    }
}

fn number_and_protocol<'a>(port: &'a Value, field: &str) -> (i64, &'a str) {
    (int(port, field).unwrap_or_default(), text(port, "protocol"))
}

fn validate_port_pairs(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let ports = list(spec, "ports");
    if kind_of(spec) == "ClusterIP" {
        for (i, port) in ports.iter().enumerate() {
            if int(port, "nodePort").unwrap_or_default() != 0 {
                errors.push(FieldError::forbidden(
                    &path.index(i).child("nodePort"),
                    "may not be used when `type` is 'ClusterIP'",
                ));
            }
        }
    }
    let (mut node_ports, mut pairs) = (Seen::new(), Seen::new());
    for (i, port) in ports.iter().enumerate() {
        let this = number_and_protocol(port, "nodePort");
        if this.0 != 0 && !node_ports.add(this) {
            errors.push(FieldError::duplicate(
                &path.index(i).child("nodePort"),
                &this.0,
            ));
        }
    }
    for (i, port) in ports.iter().enumerate() {
        let this = number_and_protocol(port, "port");
        if !pairs.add(this) {
            // The value is shown with the names that Kubernetes has for the fields in Go.
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                crate::field::quote(this.1),
                this.0
            );
            let mut error = FieldError::duplicate(&path.index(i), "");
            error.message = format!("Duplicate value: {shown}");
            errors.push(error);
        }
    }
}

fn validate_source_ranges(
    service: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    const ONLY_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
    let spec = spec_of(service);
    let balanced = kind_of(spec) == "LoadBalancer";
    let ranges = list(spec, "loadBalancerSourceRanges");
    if !ranges.is_empty() {
        let path = path.child("LoadBalancerSourceRanges");
        if !balanced {
            errors.push(FieldError::forbidden(&path, ONLY_BALANCER));
        }
        let before: Seen<&str> = old
            .map_or(&[][..], |old| {
                list(spec_of(old), "loadBalancerSourceRanges")
            })
            .iter()
            .filter_map(Value::as_str)
            .map(str::trim)
            .collect();
        for (i, range) in ranges.iter().filter_map(Value::as_str).enumerate() {
            let range = range.trim();
            validate_cidr(&path.index(i), range, before.has(&range), errors);
        }
        return;
    }
    let Some(annotation) = meta::annotation(service, SOURCE_RANGES) else {
        return;
    };
    let path = Path::new("metadata");
    let path = path.child("annotations");
    let path = path.key(SOURCE_RANGES);
    if !balanced {
        errors.push(FieldError::forbidden(&path, ONLY_BALANCER));
    }
    let unchanged = old.and_then(|old| meta::annotation(old, SOURCE_RANGES)) == Some(annotation);
    if !unchanged && !annotation.trim().is_empty() {
        for range in annotation.trim().split(',') {
            validate_cidr(&path, range.trim(), false, errors);
        }
    }
}

fn validate_balancer(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const ONLY_BALANCER: &str = "may only be used when `type` is 'LoadBalancer'";
    let balanced = kind_of(spec) == "LoadBalancer";
    let allocates = get(spec, "allocateLoadBalancerNodePorts").is_some();
    if allocates && !balanced {
        errors.push(FieldError::forbidden(
            &path.child("allocateLoadBalancerNodePorts"),
            ONLY_BALANCER,
        ));
    }
    if balanced && !allocates {
        errors.push(FieldError::required(
            &Path::new("allocateLoadBalancerNodePorts"),
            "",
        ));
    }
    validate_class(spec, path, errors);
}

pub(super) fn validate_class(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(class) = get(spec, "loadBalancerClass") else {
        return;
    };
    let path = path.child("loadBalancerClass");
    if kind_of(spec) == "LoadBalancer" {
        let class = class.as_str().unwrap_or_default();
        for fault in names::qualified_name(class) {
            errors.push(FieldError::invalid(&path, class, &fault));
        }
    } else {
        errors.push(FieldError::forbidden(
            &path,
            "may only be used when `type` is 'LoadBalancer'",
        ));
    }
}

fn validate_traffic(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const POLICIES: [&str; 2] = ["Cluster", "Local"];
    const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    let external = text(spec, "externalTrafficPolicy");
    let external_path = path.child("externalTrafficPolicy");
    if !is_external(spec) {
        if !external.is_empty() {
            errors.push(FieldError::invalid(
                &external_path,
                external,
                "may only be set for externally-accessible services",
            ));
        }
    } else if external.is_empty() {
        errors.push(FieldError::required(&external_path, ""));
    } else if !POLICIES.contains(&external) {
        errors.push(FieldError::not_supported(
            &external_path,
            external,
            &POLICIES,
        ));
    }
    let port = int(spec, "healthCheckNodePort").unwrap_or_default();
    let port_path = path.child("healthCheckNodePort");
    match (has_health_check(spec), port) {
        (false, 0) => {}
        (false, port) => errors.push(FieldError::invalid(
            &port_path,
            &port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        )),
        (true, 0) => errors.push(FieldError::required(&port_path, "")),
        (true, port) => validate_port_number(port, &port_path, errors),
    }
    let internal_path = path.child("internalTrafficPolicy");
    match get(spec, "internalTrafficPolicy") {
        None => {
            if matches!(kind_of(spec), "ClusterIP" | "NodePort" | "LoadBalancer") {
                errors.push(FieldError::required(&internal_path, ""));
            }
        }
        Some(policy) => {
            let policy = policy.as_str().unwrap_or_default();
            if !POLICIES.contains(&policy) {
                errors.push(FieldError::not_supported(&internal_path, policy, &POLICIES));
            }
        }
    }
    if let Some(Value::String(distribution)) = get(spec, "trafficDistribution")
        && !DISTRIBUTIONS.contains(&distribution.as_str())
    {
        errors.push(FieldError::not_supported(
            &path.child("trafficDistribution"),
            distribution,
            &DISTRIBUTIONS,
        ));
    }
}
