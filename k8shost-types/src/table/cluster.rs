//! Rows of the core group that are neither pods nor their makers nor networks: nodes, namespaces,
//! events, configuration, quotas; and of leases.

use std::{collections::BTreeSet, time::SystemTime};

use serde_json::Value;

use super::{
    cell::{
        NONE, UNKNOWN, age, cells, count, filled_or, items, moment, number, quantity, since, text,
    },
    column::{AGE, Column, NAME},
};

pub(super) const NODES: &[Column] = &[
    NAME,
    Column::text("Status", "Whether the node is ready, and takes pods."),
    Column::text("Roles", "What the node is labelled to be."),
    AGE,
    Column::text("Version", "The version of the node's kubelet."),
    Column::text("Internal-IP", "The node's address inside of the cluster.").wide(),
    Column::text("External-IP", "The node's address outside of the cluster.").wide(),
    Column::text("OS-Image", "The node's operating system.").wide(),
    Column::text("Kernel-Version", "The version of the node's kernel.").wide(),
    Column::text(
        "Container-Runtime",
        "The node's container runtime and its version.",
    )
    .wide(),
];

pub(super) fn node(object: &Value, now: SystemTime) -> Vec<Value> {
    let (status, info) = (&object["status"], &object["status"]["nodeInfo"]);
    // Of two conditions of a type the last counts.
    let ready = items(&status["conditions"])
        .iter()
        .rfind(|condition| condition["type"] == "Ready");
    let mut state = match ready {
        Some(ready) if ready["status"] == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if object["spec"]["unschedulable"] == true {
        state.push_str(",SchedulingDisabled");
    }
    let address = |kind: &str| {
        items(&status["addresses"])
            .iter()
            .find(|address| address["type"] == kind)
            .map_or(NONE, |address| text(&address["address"]))
    };
    cells![
        text(&object["metadata"]["name"]),
        state,
        roles(object),
        age(object, now),
        text(&info["kubeletVersion"]),
        address("InternalIP"),
        address("ExternalIP"),
        filled_or(text(&info["osImage"]), UNKNOWN),
        filled_or(text(&info["kernelVersion"]), UNKNOWN),
        filled_or(text(&info["containerRuntimeVersion"]), UNKNOWN),
    ]
}

fn roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object();
    let roles: BTreeSet<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                None if key == "kubernetes.io/role" => value.as_str(),
                role => role,
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    filled_or(&Vec::from_iter(roles).join(","), NONE).to_owned()
}

pub(super) const NAMESPACES: &[Column] = &[
    NAME,
    Column::text("Status", "Whether the namespace is there to stay."),
    AGE,
];

pub(super) fn namespace(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        text(&object["status"]["phase"]),
        age(object, now),
    ]
}

pub(super) const SECRETS: &[Column] = &[
    NAME,
    Column::text("Type", "What the secret is for."),
    Column::text("Data", "How many keys it has."),
    AGE,
];

pub(super) fn secret(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        text(&object["type"]),
        count(&object["data"]),
        age(object, now),
    ]
}

pub(super) const CONFIG_MAPS: &[Column] =
    &[NAME, Column::text("Data", "How many keys it has."), AGE];

pub(super) fn config_map(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        count(&object["data"]) + count(&object["binaryData"]),
        age(object, now),
    ]
}

/// Kinds of which there is nothing to tell.
pub(super) const NAMED: &[Column] = &[NAME, AGE];

pub(super) fn named(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![text(&object["metadata"]["name"]), age(object, now)]
}

pub(super) const RESOURCE_QUOTAS: &[Column] = &[
    NAME,
    Column::text("Request", "What is used of what may be requested."),
    Column::text("Limit", "What is used of what limits may come to."),
    AGE,
];

pub(super) fn resource_quota(object: &Value, now: SystemTime) -> Vec<Value> {
    let status = &object["status"];
    let mut resources: Vec<_> = status["hard"].as_object().into_iter().flatten().collect();
    resources.sort_unstable_by_key(|(resource, _)| *resource);
    let (limits, requests): (Vec<_>, Vec<_>) = resources
        .into_iter()
        .partition(|(resource, _)| resource.starts_with("limits."));
    let shown = |resources: Vec<(&String, &Value)>| {
        let each: Vec<String> = resources
            .into_iter()
            .map(|(resource, hard)| {
                let used = quantity(&status["used"][resource]);
                format!("{resource}: {used}/{}", quantity(hard))
            })
            .collect();
        each.join(", ")
    };
    cells![
        text(&object["metadata"]["name"]),
        shown(requests),
        shown(limits),
        age(object, now),
    ]
}

pub(super) const COMPONENT_STATUSES: &[Column] = &[
    NAME,
    Column::text("Status", "Whether the component is healthy."),
    Column::text("Message", "What the component says."),
    Column::text("Error", "What is wrong with it."),
];

pub(super) fn component_status(object: &Value, _: SystemTime) -> Vec<Value> {
    let healthy = items(&object["conditions"])
        .iter()
        .find(|condition| condition["type"] == "Healthy");
    let condition = healthy.unwrap_or(&Value::Null);
    let status = match healthy {
        Some(healthy) if healthy["status"] == "True" => "Healthy",
        Some(_) => "Unhealthy",
        None => "Unknown",
    };
    cells![
        text(&object["metadata"]["name"]),
        status,
        text(&condition["message"]),
        text(&condition["error"]),
    ]
}

pub(super) const EVENTS: &[Column] = &[
    Column::text("Last Seen", "The time since it last happened."),
    Column::text("Type", "Normal or Warning."),
    Column::text("Reason", "Why it was told, in a word."),
    Column::text("Object", "What it is about."),
    Column::text("Subobject", "Which part of the object it is about.").wide(),
    Column::text("Source", "Who told it.").wide(),
    Column::text("Message", "What happened."),
    Column::text("First Seen", "The time since it first happened.").wide(),
    Column::text("Count", "How often it happened.").wide(),
    NAME.wide(),
];

/// An event of either group: the same object under other names of fields.
pub(super) fn event(object: &Value, now: SystemTime) -> Vec<Value> {
    let [subject, source, message, first, last, times, reporter] =
        if text(&object["apiVersion"]).starts_with("events.k8s.io/") {
            [
                "regarding",
                "deprecatedSource",
                "note",
                "deprecatedFirstTimestamp",
                "deprecatedLastTimestamp",
                "deprecatedCount",
                "reportingController",
            ]
        } else {
            [
                "involvedObject",
                "source",
                "message",
                "firstTimestamp",
                "lastTimestamp",
                "count",
                "reportingComponent",
            ]
        }
        .map(|field| &object[field]);
    let first_seen = match moment(first) {
        Some(_) => since(first, now),
        None => since(&object["eventTime"], now),
    };
    let series = &object["series"];
    let last_seen = if !series.is_null() {
        since(&series["lastObservedTime"], now)
    } else if moment(last).is_some() {
        since(last, now)
    } else {
        first_seen.clone()
    };
    let times = match (series, number(times)) {
        (Value::Null, 0) => 1,
        (Value::Null, times) => times,
        _ => number(&series["count"]),
    };
    let mut target = text(&subject["kind"]).to_lowercase();
    let name = text(&subject["name"]);
    if !name.is_empty() {
        target = format!("{target}/{name}");
    }
    let component = filled_or(text(&source["component"]), text(reporter));
    let host = filled_or(text(&source["host"]), text(&object["reportingInstance"]));
    let teller = match host {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    };
    cells![
        last_seen,
        text(&object["type"]),
        text(&object["reason"]),
        target,
        text(&subject["fieldPath"]),
        teller,
        text(message).trim(),
        first_seen,
        times,
        text(&object["metadata"]["name"]),
    ]
}

pub(super) const LEASES: &[Column] = &[NAME, Column::text("Holder", "Who has the lease."), AGE];

pub(super) fn lease(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        text(&object["spec"]["holderIdentity"]),
        age(object, now),
    ]
}
