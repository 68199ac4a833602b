//! Service: its defaults and rules. Its addresses are in [`crate::addresses`].

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, ensure_object, flag, get, get_mut, int, list, list_mut, object, text},
    meta, names,
    net::{is_dual_stack, never, parse_ip, validate_cidr, validate_ip},
    pod::{PROTOCOLS, validate_port, validate_port_number},
    strategy::{Fields, Strategy},
};

/// The service's row in the table of kinds.
pub const STRATEGY: Strategy = Strategy {
    kind: "Service",
    api_version: "v1",
    resource: "services",
    namespaced: true,
    name_rule: names::label1035_rule,
    default,
    admit_create: |_| Ok(()),
    admit_update: |_, _| Ok(()),
    prepare_create,
    validate_create,
    prepare_update,
    validate_update,
    prepare_status_update,
    validate_status_update,
    canonicalize: |_| {},
    selectable: &[
        "metadata.name",
        "metadata.namespace",
        "spec.clusterIP",
        "spec.type",
    ],
    fields,
};

const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const CLIENT_IP_TIMEOUT: i64 = 10800;
const CLIENT_IP_TIMEOUT_MAX: i64 = 86400;

static NOTHING: Value = Value::Null;

pub(crate) fn spec_of(service: &Value) -> &Value {
    get(service, "spec").unwrap_or(&NOTHING)
}

/// spec.type.
pub(crate) fn kind_of(spec: &Value) -> &str {
    text(spec, "type")
}

/// Whether the service has cluster IPs, be it "None".
pub(crate) fn has_cluster_ip(spec: &Value) -> bool {
    kind_of(spec) != "ExternalName"
}

/// Whether the type is one with node ports.
pub(crate) fn has_node_ports(spec: &Value) -> bool {
    matches!(kind_of(spec), "NodePort" | "LoadBalancer")
}

/// Whether a load balancer asks for the nodes' health at a port of its own.
pub(crate) fn has_health_check(spec: &Value) -> bool {
    kind_of(spec) == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

/// Whether clusterIPs is "None".
pub(crate) fn is_headless(spec: &Value) -> bool {
    matches!(list(spec, "clusterIPs"), [only] if only == "None")
}

/// Whether the service can be reached from outside of the cluster.
fn is_external(spec: &Value) -> bool {
    has_node_ports(spec) || (kind_of(spec) == "ClusterIP" && !list(spec, "externalIPs").is_empty())
}

fn fill(value: &mut Value, field: &str, default: impl Into<Value>) {
    if text(value, field).is_empty() {
        tree::set(value, field, default);
    }
}

/// Puts Kubernetes' defaults where a field is not set.
pub fn default(service: &mut Value) {
    if let Some(spec) = ensure_object(service, "spec") {
        spec_defaults(spec);
    }
    let balanced = kind_of(spec_of(service)) == "LoadBalancer";
    let balancer = ensure_object(service, "status").and_then(|s| ensure_object(s, "loadBalancer"));
    if let Some(balancer) = balancer.filter(|_| balanced) {
        for ingress in list_mut(balancer, "ingress") {
            if !text(ingress, "ip").is_empty() {
                fill(ingress, "ipMode", "VIP");
            }
        }
    }
}

fn spec_defaults(spec: &mut Value) {
    fill(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => {
            tree::remove(spec, "sessionAffinityConfig");
        }
        "ClientIP" => {
            let timeout = get(spec, "sessionAffinityConfig")
                .and_then(|config| get(config, "clientIP"))
                .and_then(|client| int(client, "timeoutSeconds"));
            if timeout.is_none() {
                tree::set(
                    spec,
                    "sessionAffinityConfig",
                    json!({"clientIP": {"timeoutSeconds": CLIENT_IP_TIMEOUT}}),
                );
            }
        }
        _ => {}
    }
    fill(spec, "type", "ClusterIP");
    for port in list_mut(spec, "ports") {
        fill(port, "protocol", "TCP");
        let unset = match get(port, "targetPort") {
            None => true,
            Some(Value::String(name)) => name.is_empty(),
            Some(number) => number.as_i64() == Some(0),
        };
        if unset {
            let number = int(port, "port").unwrap_or_default();
            tree::set(port, "targetPort", number);
        }
    }
    if is_external(spec) {
        fill(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind_of(spec), "ClusterIP" | "NodePort" | "LoadBalancer")
        && get(spec, "internalTrafficPolicy").is_none()
    {
        tree::set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind_of(spec) == "LoadBalancer" && get(spec, "allocateLoadBalancerNodePorts").is_none() {
        tree::set(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// A new service has no status yet.
pub fn prepare_create(service: &mut Value) {
    tree::set(service, "status", json!({"loadBalancer": {}}));
}

/// The status stays; fields that go with the type and that the caller did not change go with it.
pub fn prepare_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "status");
    let old_spec = spec_of(old);
    if let Some(spec) = get_mut(new, "spec") {
        drop_type_dependent(spec, old_spec);
    }
    if kind_of(spec_of(new)) != "LoadBalancer"
        && let Some(status) = ensure_object(new, "status")
    {
        tree::set(status, "loadBalancer", json!({}));
    }
}

fn drop_type_dependent(new: &mut Value, old: &Value) {
    let same = |new: &Value, field: &str| get(new, field) == get(old, field);
    if has_cluster_ip(old) && !has_cluster_ip(new) {
        if same(new, "clusterIP") && same(new, "clusterIPs") {
            tree::remove(new, "clusterIP");
            tree::remove(new, "clusterIPs");
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if same(new, field) {
                tree::remove(new, field);
            }
        }
    }
    if has_node_ports(old) && !has_node_ports(new) {
        let old_ports: Vec<i64> = node_ports(old).collect();
        if node_ports(new).all(|port| old_ports.contains(&port)) {
            for port in list_mut(new, "ports") {
                tree::remove(port, "nodePort");
            }
        }
    }
    if has_health_check(old) && !has_health_check(new) && same(new, "healthCheckNodePort") {
        tree::remove(new, "healthCheckNodePort");
    }
    if kind_of(old) == "LoadBalancer" && kind_of(new) != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(new, field) {
                tree::remove(new, field);
            }
        }
    }
    if is_external(old) && !is_external(new) && same(new, "externalTrafficPolicy") {
        tree::remove(new, "externalTrafficPolicy");
    }
}

/// The node ports of a spec that are set.
pub(crate) fn node_ports(spec: &Value) -> impl Iterator<Item = i64> {
    list(spec, "ports")
        .iter()
        .filter_map(|port| int(port, "nodePort"))
        .filter(|port| *port != 0)
}

/// The rules for a new service, its addresses given already.
pub fn validate_create(service: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_create(service, true, names::label1035_rule, &mut errors);
    meta::validate_kube_finalizers(service, &mut errors);
    validate(service, None, &mut errors);
    errors
}

fn validate(service: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
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
    for (i, port) in ports.iter().enumerate() {
        validate_service_port(
            port,
            &ports[..i],
            ports.len() > 1,
            &ports_path.index(i),
            errors,
        );
    }
    meta::validate_labels(spec, "selector", &path, errors);
    validate_affinity(spec, &path, errors);
    validate_cluster_ips(spec, old.map(spec_of), &path, errors);
    let old_ips = old.map_or(&[][..], |old| list(spec_of(old), "externalIPs"));
    let ips_path = path.child("externalIPs");
    for (i, ip) in list(spec, "externalIPs")
        .iter()
        .filter_map(Value::as_str)
        .enumerate()
    {
        let path = ips_path.index(i);
        if validate_ip(&path, ip, |ip| old_ips.iter().any(|old| old == ip), errors) {
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

fn validate_service_port(
    port: &Value,
    before: &[Value],
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
        if before.iter().any(|other| text(other, "name") == name) {
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

/// The rules for clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy, as far as they go without the
/// cluster's ranges.
pub(crate) fn validate_cluster_ips(
    spec: &Value,
    old: Option<&Value>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if kind_of(spec) == "ExternalName" {
        return;
    }
    const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
    const POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    let ips_path = path.child("clusterIPs");
    let all = get(spec, "clusterIPs").unwrap_or(&NOTHING);
    let ips: Vec<&str> = list(spec, "clusterIPs")
        .iter()
        .map(|ip| ip.as_str().unwrap_or_default())
        .collect();
    let single = text(spec, "clusterIP");
    match (single.is_empty(), ips.first()) {
        (false, None) => errors.push(FieldError::required(&ips_path, "")),
        (false, Some(first)) if *first != single => errors.push(FieldError::invalid(
            &ips_path,
            all,
            "first value must match `clusterIP`",
        )),
        (true, Some(_)) => errors.push(FieldError::invalid(
            &ips_path,
            all,
            "must be empty when `clusterIP` is not specified",
        )),
        _ => {}
    }
    let families: Vec<&str> = list(spec, "ipFamilies")
        .iter()
        .map(|f| f.as_str().unwrap_or_default())
        .collect();
    let families_path = path.child("ipFamilies");
    for (i, family) in families.iter().enumerate() {
        let path = families_path.index(i);
        if !FAMILIES.contains(family) {
            errors.push(FieldError::not_supported(&path, *family, &FAMILIES));
        }
        if families[..i].contains(family) {
            errors.push(FieldError::duplicate(&path, *family));
        }
    }
    if let Some(Value::String(policy)) = get(spec, "ipFamilyPolicy")
        && !POLICIES.contains(&policy.as_str())
    {
        errors.push(FieldError::not_supported(
            &path.child("ipFamilyPolicy"),
            policy,
            &POLICIES,
        ));
    }
    let old_ips = old.map_or(&[][..], |old| list(old, "clusterIPs"));
    let mut readable = true;
    for (i, ip) in ips.iter().enumerate() {
        if i == 0 && *ip == "None" {
            if ips.len() > 1 {
                readable = false;
                errors.push(FieldError::invalid(
                    &ips_path,
                    all,
                    "'None' must be the first and only value",
                ));
            }
            continue;
        }
        readable &= validate_ip(
            &ips_path.index(i),
            ip,
            |ip| old_ips.iter().any(|old| old == ip),
            errors,
        );
    }
    if ips.len() > 2 {
        errors.push(FieldError::invalid(
            &ips_path,
            all,
            "may only hold up to 2 values",
        ));
    }
    if !readable {
        return;
    }
    if ips.len() > 1 && !is_dual_stack(ips.iter().copied()) {
        errors.push(FieldError::invalid(
            &ips_path,
            all,
            "may specify no more than one IP for each IP family",
        ));
    }
    if is_headless(spec) {
        return;
    }
    for (i, (ip, family)) in ips.iter().zip(&families).enumerate() {
        let is = family_of(ip);
        if FAMILIES.contains(family) && is != *family {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{i}]`");
            errors.push(FieldError::invalid(&ips_path.index(i), *ip, &detail));
        }
    }
}

/// The family of an address.
pub(crate) fn family_of(ip: &str) -> &'static str {
    if parse_ip(ip).is_some_and(|ip| ip.is_ipv6()) {
        "IPv6"
    } else {
        "IPv4"
    }
}

/// An address to which packets from outside may go.
fn validate_external_ip(text: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(ip) = parse_ip(text) else {
        return;
    };
    let link_local = match ip {
        std::net::IpAddr::V4(ip) => ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let link_multicast = match ip {
        std::net::IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        std::net::IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    if ip.is_unspecified() {
        let detail = format!("may not be unspecified ({text})");
        errors.push(FieldError::invalid(path, text, &detail));
    }
    for (bad, detail) in [
        (
            ip.is_loopback(),
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (
            link_local,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ),
        (
            link_multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ] {
        if bad {
            errors.push(FieldError::invalid(path, text, detail));
        }
    }
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
    let pair = |port: &Value, field: &str| {
        (
            int(port, field).unwrap_or_default(),
            text(port, "protocol").to_owned(),
        )
    };
    for (i, port) in ports.iter().enumerate() {
        let this = pair(port, "nodePort");
        if this.0 != 0
            && ports[..i]
                .iter()
                .any(|other| pair(other, "nodePort") == this)
        {
            errors.push(FieldError::duplicate(
                &path.index(i).child("nodePort"),
                &this.0,
            ));
        }
    }
    for (i, port) in ports.iter().enumerate() {
        let this = pair(port, "port");
        if ports[..i].iter().any(|other| pair(other, "port") == this) {
            // The value is shown with the names that Kubernetes has for the fields in Go.
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                crate::field::quote(&this.1),
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
        let old = old.map_or(&[][..], |old| {
            list(spec_of(old), "loadBalancerSourceRanges")
        });
        let before = |range: &str| {
            old.iter()
                .filter_map(Value::as_str)
                .any(|old| old.trim() == range)
        };
        for (i, range) in ranges.iter().filter_map(Value::as_str).enumerate() {
            validate_cidr(&path.index(i), range.trim(), before, errors);
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
            validate_cidr(&path, range.trim(), never, errors);
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

fn validate_class(spec: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
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

/// The rules for a new version of a service, its addresses given already.
pub fn validate_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    let path = Path::new("spec");
    let (spec, old_spec) = (spec_of(new), spec_of(old));
    if has_cluster_ip(spec) && has_cluster_ip(old_spec) {
        validate_ips_update(spec, old_spec, &path, &mut errors);
        validate_families_update(spec, old_spec, &path, &mut errors);
    }
    if kind_of(spec) == "LoadBalancer" && kind_of(old_spec) == "LoadBalancer" {
        let class = get(spec, "loadBalancerClass");
        if class != get(old_spec, "loadBalancerClass") {
            errors.push(FieldError::invalid(
                &path.child("loadBalancerClass"),
                class.unwrap_or(&NOTHING),
                "may not change once set",
            ));
        }
    }
    validate_class(spec, &path, &mut errors);
    if has_health_check(spec)
        && has_health_check(old_spec)
        && int(spec, "healthCheckNodePort") != int(old_spec, "healthCheckNodePort")
    {
        errors.push(FieldError::forbidden(
            &path.child("healthCheckNodePort"),
            "field is immutable",
        ));
    }
    validate(new, Some(old), &mut errors);
    errors
}

/// The primary address stays; the secondary may come, and may go with the policy.
fn validate_ips_update(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    const FIXED: &str = "may not change once set";
    if is_headless(old) && is_headless(new) {
        return;
    }
    let (ips, old_ips) = (list(new, "clusterIPs"), list(old, "clusterIPs"));
    let all = get(new, "clusterIPs").unwrap_or(&NOTHING);
    let ips_path = path.child("clusterIPs");
    if ips.len() == old_ips.len() {
        for (i, (ip, old)) in ips.iter().zip(old_ips).enumerate() {
            if ip != old {
                errors.push(FieldError::invalid(&ips_path.index(i), all, FIXED));
            }
        }
        return;
    }
    match (ips.first(), old_ips.first()) {
        (None, Some(_)) => errors.push(FieldError::invalid(
            &ips_path.index(0),
            all,
            "primary clusterIP can not be unset",
        )),
        (Some(ip), Some(old)) if ip != old => {
            errors.push(FieldError::invalid(&ips_path.index(0), all, FIXED));
        }
        _ => {}
    }
    if old_ips.len() > 1 && ips.len() == 1 {
        released_by_policy(new, "secondary clusterIP", path, errors);
    }
}

fn released_by_policy(new: &Value, what: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let policy = get(new, "ipFamilyPolicy");
    if policy.and_then(Value::as_str) != Some("SingleStack") {
        let detail = format!("must be set to 'SingleStack' when releasing the {what}");
        let policy = policy.unwrap_or(&NOTHING);
        errors.push(FieldError::invalid(
            &path.child("ipFamilyPolicy"),
            policy,
            &detail,
        ));
    }
}

fn validate_families_update(
    new: &Value,
    old: &Value,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    const FIXED: &str = "may not change once set";
    if is_headless(new) || is_headless(old) {
        return;
    }
    let (families, old_families) = (list(new, "ipFamilies"), list(old, "ipFamilies"));
    let shown = |field| get(new, field).unwrap_or(&NOTHING);
    let families_path = path.child("ipFamilies");
    let first = families_path.index(0);
    if families.len() == old_families.len() {
        for _ in families
            .iter()
            .zip(old_families)
            .filter(|(new, old)| new != old)
        {
            errors.push(FieldError::invalid(&first, shown("ipFamilies"), FIXED));
        }
        return;
    }
    let fewer = families.len() < old_families.len();
    if fewer && list(new, "clusterIPs").is_empty() {
        errors.push(FieldError::invalid(
            &first,
            shown("ipFamilies"),
            "primary ipFamily can not be unset",
        ));
    }
    if let (Some(family), Some(old)) = (families.first(), old_families.first())
        && family != old
    {
        errors.push(FieldError::invalid(&first, shown("clusterIPs"), FIXED));
    }
    if fewer && families.len() == 1 {
        released_by_policy(new, "secondary ipFamily", path, errors);
    }
}

/// Only the status is written.
pub fn prepare_status_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "spec");
}

/// The rules for a write of the status.
pub fn validate_status_update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_update(new, old, &mut errors);
    meta::validate_kube_finalizers(new, &mut errors);
    let ingress = |service| {
        get(service, "status")
            .and_then(|status| get(status, "loadBalancer"))
            .map_or(&[][..], |balancer| list(balancer, "ingress"))
    };
    let path = Path::new("status");
    let path = path.child("loadBalancer");
    let path = path.child("ingress");
    if kind_of(spec_of(new)) != "LoadBalancer" {
        if !ingress(new).is_empty() {
            errors.push(FieldError::forbidden(
                &path,
                "may only be used when `spec.type` is 'LoadBalancer'",
            ));
        }
        return errors;
    }
    for (i, point) in ingress(new).iter().enumerate() {
        let path = path.index(i);
        let before = |ip: &str| ingress(old).iter().any(|old| text(old, "ip") == ip);
        validate_ingress(point, before, &path, &mut errors);
    }
    errors
}

fn validate_ingress(
    point: &Value,
    before: impl Fn(&str) -> bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let ip = text(point, "ip");
    if !ip.is_empty() {
        validate_ip(&path.child("ip"), ip, before, errors);
    }
    let mode_path = path.child("ipMode");
    match (get(point, "ipMode").and_then(Value::as_str), ip.is_empty()) {
        (None, false) => errors.push(FieldError::required(
            &mode_path,
            "must be specified when `ip` is set",
        )),
        (Some(_), true) => errors.push(FieldError::forbidden(
            &mode_path,
            "may not be specified when `ip` is not set",
        )),
        (Some(mode), false) if !matches!(mode, "Proxy" | "VIP") => {
            errors.push(FieldError::not_supported(
                &mode_path,
                mode,
                &["Proxy", "VIP"],
            ));
        }
        _ => {}
    }
    let host = text(point, "hostname");
    if !host.is_empty() {
        let path = path.child("hostname");
        for fault in names::dns1123_subdomain(host) {
            errors.push(FieldError::invalid(&path, host, &fault));
        }
        if parse_ip(host).is_some() {
            errors.push(FieldError::invalid(
                &path,
                host,
                "must be a DNS name, not an IP address",
            ));
        }
    }
}

/// Whether the node ports of a load balancer are to be given, where it names none.
pub(crate) fn allocates_node_ports(spec: &Value) -> bool {
    match kind_of(spec) {
        "NodePort" => true,
        "LoadBalancer" => flag(spec, "allocateLoadBalancerNodePorts"),
        _ => false,
    }
}

/// Whether the service selects pods.
pub(crate) fn has_selector(spec: &Value) -> bool {
    object(spec, "selector").is_some_and(|selector| !selector.is_empty())
}

/// The fields that a selector may ask for.
pub fn fields(service: &Value) -> Fields<'_> {
    let spec = spec_of(service);
    vec![
        ("spec.clusterIP", Cow::Borrowed(text(spec, "clusterIP"))),
        ("spec.type", Cow::Borrowed(kind_of(spec))),
    ]
}
