//! Rows of pods: what of a pod's containers is worth a line.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{
    cell::{NONE, age, cells, count, filled_or, is_true, items, moment, number, span, text},
    column::{AGE, Column, NAME},
};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Ready", "How many of the pod's containers are ready."),
    Column::text("Status", "The state of the pod's containers in a word."),
    Column::text(
        "Restarts",
        "How often containers were restarted, and when the last time was.",
    ),
    AGE,
    Column::text("IP", "The first address of the pod.").wide(),
    Column::text("Node", "The node the pod is bound to.").wide(),
    Column::text(
        "Nominated Node",
        "The node where room is being made for the pod.",
    )
    .wide(),
    Column::text(
        "Readiness Gates",
        "How many of the pod's readiness gates are true.",
    )
    .wide(),
];

/// Restarts, and the last of them.
#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<SystemTime>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count = self
            .count
            .saturating_add(number(&container["restartCount"]));
        let finished = moment(&container["lastState"]["terminated"]["finishedAt"]);
        self.last = self.last.max(finished);
    }

    fn shown(&self, now: SystemTime) -> String {
        match self.last {
            Some(last) if self.count != 0 => format!("{} ({} ago)", self.count, span(last, now)),
            _ => self.count.to_string(),
        }
    }
}

/// What is gathered over the containers.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts,
}

pub(super) fn row(pod: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let summary = summary(pod);
    let first_ip = text(&status["podIPs"][0]["ip"]);
    cells![
        text(&pod["metadata"]["name"]),
        format!("{}/{}", summary.ready, summary.total),
        summary.reason,
        summary.restarts.shown(now),
        age(pod, now),
        filled_or(filled_or(text(&status["podIP"]), first_ip), NONE),
        filled_or(text(&spec["nodeName"]), NONE),
        filled_or(text(&status["nominatedNodeName"]), NONE),
        readiness_gates(spec, status),
    ]
}

/// A finished pod's row says so: clients may leave it out or grey it.
pub(super) fn conditions(pod: &Value) -> Option<Value> {
    let phase = text(&pod["status"]["phase"]);
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

fn summary(pod: &Value) -> Summary {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let phase = text(&status["phase"]);
    let sidecars = items(&spec["initContainers"])
        .iter()
        .filter(|container| is_sidecar(container))
        .count();
    let mut summary = Summary {
        ready: 0,
        total: count(&spec["containers"]) + sidecars,
        reason: filled_or(text(&status["reason"]), phase).to_owned(),
        restarts: Restarts::default(),
    };
    let gated = items(&status["conditions"]).iter().any(|condition| {
        condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated"
    });
    if gated {
        summary.reason = "SchedulingGated".to_owned();
    }
    let (initializing, sidecar_restarts) = look_at_init_containers(spec, status, &mut summary);
    if !initializing || is_true(&status["conditions"], "Initialized") {
        summary.restarts = sidecar_restarts;
        look_at_containers(status, &mut summary);
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        if status["reason"] == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !matches!(phase, "Succeeded" | "Failed") {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

/// Whether the pod is still initializing, and the restarts of its sidecars.
fn look_at_init_containers(
    spec: &Value,
    status: &Value,
    summary: &mut Summary,
) -> (bool, Restarts) {
    let declared = items(&spec["initContainers"]);
    let mut sidecar_restarts = Restarts::default();
    for (i, container) in items(&status["initContainerStatuses"]).iter().enumerate() {
        summary.restarts.add(container);
        // Of two of one name the last counts.
        let sidecar = declared
            .iter()
            .rfind(|one| text(&one["name"]) == text(&container["name"]))
            .is_some_and(is_sidecar);
        if sidecar {
            sidecar_restarts.add(container);
        }
        let state = &container["state"];
        let terminated = state["terminated"].is_object();
        if terminated && number(&state["terminated"]["exitCode"]) == 0 {
            continue;
        }
        if sidecar && container["started"] == true {
            if container["ready"] == true {
                summary.ready += 1;
            }
            continue;
        }
        let waiting = text(&state["waiting"]["reason"]);
        summary.reason = if terminated {
            format!("Init:{}", end_of(&state["terminated"]))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{i}/{}", declared.len())
        };
        return (true, sidecar_restarts);
    }
    (false, sidecar_restarts)
}

fn look_at_containers(status: &Value, summary: &mut Summary) {
    let mut running = false;
    let mut failure = None;
    for container in items(&status["containerStatuses"]).iter().rev() {
        summary.restarts.add(container);
        let state = &container["state"];
        let waiting = text(&state["waiting"]["reason"]);
        if !waiting.is_empty() {
            summary.reason = waiting.to_owned();
        } else if state["terminated"].is_object() {
            summary.reason = end_of(&state["terminated"]);
            if number(&state["terminated"]["exitCode"]) != 0 {
                failure = Some(summary.reason.clone());
            }
        } else if container["ready"] == true && state["running"].is_object() {
            running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" {
        if running && any_ready(&status["conditions"]) {
            summary.reason = "Running".to_owned();
        } else if let Some(failure) = failure {
            summary.reason = failure;
        } else if running {
            summary.reason = "NotReady".to_owned();
        }
    }
}

/// How a container ended: its reason, else its signal, else its exit code.
fn end_of(terminated: &Value) -> String {
    let reason = text(&terminated["reason"]);
    let signal = number(&terminated["signal"]);
    if !reason.is_empty() {
        reason.to_owned()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!("ExitCode:{}", number(&terminated["exitCode"]))
    }
}

fn any_ready(conditions: &Value) -> bool {
    items(conditions)
        .iter()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn readiness_gates(spec: &Value, status: &Value) -> String {
    let gates = items(&spec["readinessGates"]);
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let passed = gates
        .iter()
        .filter(|gate| is_true(&status["conditions"], text(&gate["conditionType"])))
        .count();
    format!("{passed}/{}", gates.len())
}
