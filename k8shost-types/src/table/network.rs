//! Rows of services and what leads to them.

use std::{collections::BTreeSet, time::SystemTime};

use serde_json::Value;

use super::{
    cell::{
        NONE, UNKNOWN, age, cells, count, filled_or, first_three, items, labels, number, set_or,
        shown_selector, text, texts,
    },
    column::{AGE, Column, NAME, SELECTOR},
};

pub(super) const SERVICES: &[Column] = &[
    NAME,
    Column::text("Type", "How the service is reached."),
    Column::text("Cluster-IP", "Its address inside of the cluster."),
    Column::text("External-IP", "Its addresses outside of the cluster."),
    Column::text(
        "Port(s)",
        "Its ports, and the nodes' ports that lead to them.",
    ),
    AGE,
    SELECTOR.wide(),
];

pub(super) fn service(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    let ports: Vec<String> = items(&spec["ports"]).iter().map(port).collect();
    let cluster_ip = filled_or(text(&spec["clusterIPs"][0]), text(&spec["clusterIP"]));
    cells![
        text(&object["metadata"]["name"]),
        text(&spec["type"]),
        filled_or(cluster_ip, NONE),
        external_ip(object),
        filled_or(&ports.join(","), NONE),
        age(object, now),
        labels(&spec["selector"]),
    ]
}

fn port(port: &Value) -> String {
    let (number_, protocol) = (number(&port["port"]), text(&port["protocol"]));
    match number(&port["nodePort"]) {
        node_port @ 1.. => format!("{number_}:{node_port}/{protocol}"),
        _ => format!("{number_}/{protocol}"),
    }
}

fn external_ip(service: &Value) -> String {
    let spec = &service["spec"];
    let own = &spec["externalIPs"];
    match text(&spec["type"]) {
        "ClusterIP" | "NodePort" if count(own) == 0 => NONE.to_owned(),
        "ClusterIP" | "NodePort" => texts(own, ","),
        "ExternalName" => text(&spec["externalName"]).to_owned(),
        "LoadBalancer" => balanced_ip(&load_balancer(service), own),
        _ => UNKNOWN.to_owned(),
    }
}

fn balanced_ip(balanced: &str, own: &Value) -> String {
    match (balanced, count(own)) {
        ("", 0) => "<pending>".to_owned(),
        (_, 0) => balanced.to_owned(),
        ("", _) => texts(own, ","),
        _ => format!("{balanced},{}", texts(own, ",")),
    }
}

/// The addresses of a load balancer, else its names, sorted.
fn load_balancer(object: &Value) -> String {
    let all: BTreeSet<&str> = items(&object["status"]["loadBalancer"]["ingress"])
        .iter()
        .map(|ingress| filled_or(text(&ingress["ip"]), text(&ingress["hostname"])))
        .filter(|address| !address.is_empty())
        .collect();
    Vec::from_iter(all).join(",")
}

pub(super) const ENDPOINTS: &[Column] = &[
    NAME,
    Column::text("Endpoints", "The first of the addresses and ports."),
    AGE,
];

pub(super) fn endpoints(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        shown_endpoints(items(&object["subsets"])),
        age(object, now),
    ]
}

fn shown_endpoints(subsets: &[Value]) -> String {
    if subsets.is_empty() {
        return NONE.to_owned();
    }
    let mut shown = Vec::new();
    let mut all = 0_usize;
    for subset in subsets {
        let addresses = items(&subset["addresses"]);
        let ports = items(&subset["ports"]);
        all = all.saturating_add(addresses.len().saturating_mul(ports.len().max(1)));
        let ips = || addresses.iter().map(|address| text(&address["ip"]));
        let room = 3 - shown.len();
        if ports.is_empty() {
            shown.extend(ips().map(str::to_owned).take(room));
        } else {
            let pairs = ports.iter().flat_map(|port| {
                let port = number(&port["port"]);
                ips().map(move |ip| match ip.contains([':', '%']) {
                    true => format!("[{ip}]:{port}"),
                    false => format!("{ip}:{port}"),
                })
            });
            shown.extend(pairs.take(room));
        }
    }
    match all {
        0..=3 => shown.join(","),
        _ => format!("{} + {} more...", shown.join(","), all - 3),
    }
}

pub(super) const ENDPOINT_SLICES: &[Column] = &[
    NAME,
    Column::text("AddressType", "What the addresses are: IPv4, IPv6, FQDN."),
    Column::text("Ports", "The first of the ports."),
    Column::text("Endpoints", "The first of the addresses."),
    AGE,
];

pub(super) fn endpoint_slice(object: &Value, now: SystemTime) -> Vec<Value> {
    let ports: Vec<String> = items(&object["ports"])
        .iter()
        .map(|port| match port["port"].as_i64() {
            Some(port) => port.to_string(),
            None => set_or(&port["name"], "*").to_owned(),
        })
        .collect();
    let addresses = items(&object["endpoints"])
        .iter()
        .flat_map(|endpoint| items(&endpoint["addresses"]).iter().map(text));
    cells![
        text(&object["metadata"]["name"]),
        text(&object["addressType"]),
        first_three(ports.iter().map(String::as_str)),
        first_three(addresses),
        age(object, now),
    ]
}

pub(super) const INGRESSES: &[Column] = &[
    NAME,
    Column::text("Class", "The IngressClass that is to serve it."),
    Column::text("Hosts", "The first of the hosts it is for."),
    Column::text("Address", "Where it is reached."),
    Column::text("Ports", "The ports it is reached at."),
    AGE,
];

pub(super) fn ingress(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    let ports = if count(&spec["tls"]) == 0 {
        "80"
    } else {
        "80, 443"
    };
    cells![
        text(&object["metadata"]["name"]),
        set_or(&spec["ingressClassName"], NONE),
        hosts(items(&spec["rules"])),
        load_balancer(object),
        ports,
        age(object, now),
    ]
}

/// The first three hosts. Once there are three, every rule of the list beyond the third counts as
/// more, with a host or without.
fn hosts(rules: &[Value]) -> String {
    let mut shown = Vec::new();
    let mut rest = rules.iter();
    while shown.len() < 3 {
        let Some(rule) = rest.next() else { break };
        let host = text(&rule["host"]);
        if !host.is_empty() {
            shown.push(host);
        }
    }
    let all = shown.join(",");
    match (shown.len(), rest.len()) {
        (0, _) => "*".to_owned(),
        (_, 0) => all,
        _ => format!("{all} + {} more...", rules.len() - 3),
    }
}

pub(super) const INGRESS_CLASSES: &[Column] = &[
    NAME,
    Column::text("Controller", "What serves ingresses of the class."),
    Column::text("Parameters", "The object with the class's parameters."),
    AGE,
];

pub(super) fn ingress_class(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    let parameters = match &spec["parameters"] {
        Value::Null => NONE.to_owned(),
        reference => {
            let (kind, name) = (text(&reference["kind"]), text(&reference["name"]));
            match reference["apiGroup"].as_str() {
                Some(group) => format!("{kind}.{group}/{name}"),
                None => format!("{kind}/{name}"),
            }
        }
    };
    cells![
        text(&object["metadata"]["name"]),
        text(&spec["controller"]),
        parameters,
        age(object, now),
    ]
}

pub(super) const NETWORK_POLICIES: &[Column] = &[
    NAME,
    Column::text("Pod-Selector", "The labels of the pods it is for."),
    AGE,
];

pub(super) fn network_policy(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        shown_selector(&object["spec"]["podSelector"]),
        age(object, now),
    ]
}

/// Kubernetes has no column for the third cell, the age, and kubectl leaves it out.
pub(super) const IP_ADDRESSES: &[Column] =
    &[NAME, Column::text("ParentRef", "What has the address.")];

pub(super) fn ip_address(object: &Value, now: SystemTime) -> Vec<Value> {
    let parent = match &object["spec"]["parentRef"] {
        Value::Null => NONE.to_owned(),
        parent => {
            let mut shown = text(&parent["resource"]).to_lowercase();
            let (group, namespace) = (text(&parent["group"]), text(&parent["namespace"]));
            if !group.is_empty() {
                shown = format!("{shown}.{}", group.to_lowercase());
            }
            if !namespace.is_empty() {
                shown = format!("{shown}/{namespace}");
            }
            format!("{shown}/{}", text(&parent["name"]))
        }
    };
    cells![text(&object["metadata"]["name"]), parent, age(object, now)]
}

pub(super) const SERVICE_CIDRS: &[Column] = &[
    NAME,
    Column::text("CIDRs", "The ranges that services get addresses of."),
    AGE,
];

pub(super) fn service_cidr(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        texts(&object["spec"]["cidrs"], ","),
        age(object, now),
    ]
}
