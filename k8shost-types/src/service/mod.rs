//! Service: its defaults and rules. Its addresses are in [`crate::addresses`].

mod ips;
mod update;
mod validate;

use std::borrow::Cow;

use serde_json::{Value, json};

pub(crate) use ips::{family_of, validate_cluster_ips, validate_external_ip};
pub use update::{validate_status_update, validate_update};
pub use validate::validate_create;

use crate::{
    json::{self as tree, ensure_object, flag, get, get_mut, int, list, list_mut, object, text},
    names,
    strategy::{Fields, Strategy, Text},
};

/// The service's row in the table of kinds.
pub const STRATEGY: Strategy = Strategy {
    kind: Text::Borrowed("Service"),
    api_version: Text::Borrowed("v1"),
    resource: Text::Borrowed("services"),
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
    has_status: true,
    create_on_update: true,
    ..Strategy::BASE
};

const CLIENT_IP_TIMEOUT: i64 = 10800;

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
        for field in ["ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
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

/// Only the status is written.
pub fn prepare_status_update(new: &mut Value, old: &Value) {
    tree::keep(new, old, "spec");
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
