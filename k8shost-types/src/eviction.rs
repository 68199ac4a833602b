//! Evictions: when a pod may go, and what that takes of a PodDisruptionBudget.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::{
    error::{Error, FieldError, FieldErrorKind, Reason},
    field::quote,
    json::{self as tree, get, int, list, object, text},
    meta, pod,
    rules::{matches, part, selector_of, spec, status},
    time,
};

/// More evictions than this may not wait for the controller of budgets to see them.
const MOST_DISRUPTED: usize = 2000;
/// When a budget that is not up to date is worth another look.
const SETTLED: Duration = Duration::from_secs(10);

/// The pod is counted by no budget: it has not begun, has ended, or is being deleted.
pub fn is_exempt(pod: &Value) -> bool {
    let phase = text(status(pod), "phase");
    matches!(phase, "Succeeded" | "Failed" | "Pending") || !meta::deletion_timestamp(pod).is_empty()
}

/// Whether a budget is for the pod, which is of the same namespace.
pub fn guards(budget: &Value, pod: &Value) -> bool {
    get(spec(budget), "selector")
        .and_then(selector_of)
        .is_some_and(|selector| matches(&selector, meta::metadata(pod)))
}

/// Takes an eviction of the pod from its budget. A pod that is not ready may go without, where enough
/// others are, or where the budget allows that always. True: the budget has changed.
///
/// # Errors
/// TooManyRequests, if the budget does not allow it now; Forbidden, if it is not in order.
pub fn spend(budget: &mut Value, pod: &Value, now: SystemTime) -> Result<bool, Error> {
    let state = status(budget);
    let count = |field: &str| int(state, field).unwrap_or_default();
    let (healthy, desired) = (count("currentHealthy"), count("desiredHealthy"));
    if !is_ready(pod) {
        let always = text(spec(budget), "unhealthyPodEvictionPolicy") == "AlwaysAllow";
        if always || (healthy >= desired && desired > 0) {
            return Ok(false);
        }
    }
    let name = meta::name(budget);
    let forbidden = |detail: &str| {
        let message = format!(
            "poddisruptionbudget.policy {} is forbidden: {detail}",
            quote(name)
        );
        Error::new(Reason::Forbidden, message).about("policy", "poddisruptionbudget", name)
    };
    let seen = count("observedGeneration");
    if seen < meta::generation(budget) {
        let words = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refused(words).retry_after(SETTLED));
    }
    let allowed = count("disruptionsAllowed");
    if allowed < 0 {
        return Err(forbidden("pdb disruptions allowed is negative"));
    }
    let disrupted = object(state, "disruptedPods");
    if disrupted.map_or(0, serde_json::Map::len) > MOST_DISRUPTED {
        return Err(forbidden(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    if allowed == 0 {
        let failed = list(state, "conditions").iter().find(|condition| {
            text(condition, "type") == "DisruptionAllowed"
                && text(condition, "status") == "False"
                && text(condition, "reason") == "SyncFailed"
        });
        let budget = format!("The disruption budget {name}");
        return Err(refused(match failed {
            Some(condition) => format!(
                "{budget} does not allow evicting pods currently because it failed sync: {}",
                text(condition, "message")
            ),
            None if healthy <= desired => {
                format!("{budget} needs {desired} healthy pods and has {healthy} currently")
            }
            None => format!("{budget} does not allow evicting pods currently"),
        }));
    }
    if let Some(state) = tree::ensure_object(budget, "status") {
        tree::set(state, "disruptionsAllowed", allowed - 1);
        if let Some(disrupted) = tree::ensure_object(state, "disruptedPods") {
            tree::set(disrupted, meta::name(pod), time::format(now));
        }
        if allowed == 1 {
            let condition = json!({
                "type": "DisruptionAllowed",
                "status": "False",
                "observedGeneration": seen,
                "lastTransitionTime": time::format(now),
                "reason": "InsufficientPods",
                "message": "",
            });
            pod::set_condition(state, condition);
        }
    }
    Ok(true)
}

/// A pod that is evicted says so.
pub fn mark(pod: &mut Value, now: SystemTime) {
    if let Some(state) = tree::ensure_object(pod, "status") {
        let evicting = json!({
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": null,
            "lastTransitionTime": time::format(now),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        });
        pod::set_condition(state, evicting);
    }
}

/// What Kubernetes says of a pod that two budgets guard.
pub fn guarded_twice() -> Error {
    Error::new(
        Reason::Unknown,
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    )
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = list(part(pod, "status"), "conditions").iter();
    conditions
        .any(|condition| text(condition, "type") == "Ready" && text(condition, "status") == "True")
}

fn refused(words: String) -> Error {
    let mut error = Error::new(
        Reason::TooManyRequests,
        "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    error.fields.push(FieldError {
        kind: FieldErrorKind::DisruptionBudget,
        field: String::new(),
        message: words,
    });
    error
}
