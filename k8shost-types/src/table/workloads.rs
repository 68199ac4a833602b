//! Rows of what makes pods: controllers, jobs, templates, and their budgets.

use std::time::SystemTime;

use serde_json::Value;

use super::{
    cell::{
        NONE, UNSET, age, cells, containers, count, int_or_text, is_true, items, labels, moment,
        number, selector, set_or, shown_selector, since, span, text,
    },
    column::{AGE, CONTAINERS, Column, IMAGES, NAME, SELECTOR},
};

pub(super) const POD_TEMPLATES: &[Column] = &[
    NAME,
    CONTAINERS,
    IMAGES,
    Column::text("Pod Labels", "The labels that pods of the template get."),
];

pub(super) fn pod_template(object: &Value, _: SystemTime) -> Vec<Value> {
    let (names, images) = containers(&object["template"]["spec"]);
    let pod_labels = labels(&object["template"]["metadata"]["labels"]);
    cells![text(&object["metadata"]["name"]), names, images, pod_labels]
}

/// ReplicationControllers and ReplicaSets.
pub(super) const REPLICAS: &[Column] = &[
    NAME,
    Column::int("Desired", "How many pods there should be."),
    Column::int("Current", "How many pods there are."),
    Column::int("Ready", "How many of the pods are ready."),
    AGE,
    CONTAINERS.wide(),
    IMAGES.wide(),
    SELECTOR.wide(),
];

pub(super) fn replication_controller(object: &Value, now: SystemTime) -> Vec<Value> {
    replicas(object, labels(&object["spec"]["selector"]), now)
}

pub(super) fn replica_set(object: &Value, now: SystemTime) -> Vec<Value> {
    replicas(object, shown_selector(&object["spec"]["selector"]), now)
}

fn replicas(object: &Value, selector: String, now: SystemTime) -> Vec<Value> {
    let (names, images) = containers(&object["spec"]["template"]["spec"]);
    cells![
        text(&object["metadata"]["name"]),
        number(&object["spec"]["replicas"]),
        number(&object["status"]["replicas"]),
        number(&object["status"]["readyReplicas"]),
        age(object, now),
        names,
        images,
        selector,
    ]
}

pub(super) const DEPLOYMENTS: &[Column] = &[
    NAME,
    Column::text("Ready", "How many of the wanted pods are ready."),
    Column::text("Up-to-date", "How many pods have the present template."),
    Column::text("Available", "How many pods have been ready long enough."),
    AGE,
    CONTAINERS.wide(),
    IMAGES.wide(),
    SELECTOR.wide(),
];

pub(super) fn deployment(object: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let (names, images) = containers(&spec["template"]["spec"]);
    cells![
        text(&object["metadata"]["name"]),
        ready(object),
        number(&status["updatedReplicas"]),
        number(&status["availableReplicas"]),
        age(object, now),
        names,
        images,
        selector(&spec["selector"]).unwrap_or_else(|| "<invalid>".to_owned()),
    ]
}

fn ready(object: &Value) -> String {
    let ready = number(&object["status"]["readyReplicas"]);
    format!("{ready}/{}", number(&object["spec"]["replicas"]))
}

pub(super) const STATEFUL_SETS: &[Column] = &[
    NAME,
    Column::text("Ready", "How many of the wanted pods are ready."),
    AGE,
    CONTAINERS.wide(),
    IMAGES.wide(),
];

pub(super) fn stateful_set(object: &Value, now: SystemTime) -> Vec<Value> {
    let (names, images) = containers(&object["spec"]["template"]["spec"]);
    cells![
        text(&object["metadata"]["name"]),
        ready(object),
        age(object, now),
        names,
        images,
    ]
}

pub(super) const DAEMON_SETS: &[Column] = &[
    NAME,
    Column::int("Desired", "How many nodes should run the pod."),
    Column::int("Current", "How many of those nodes have the pod."),
    Column::int("Ready", "How many of the pods are ready."),
    Column::int("Up-to-date", "How many pods have the present template."),
    Column::int("Available", "How many pods have been ready long enough."),
    Column::text("Node Selector", "The labels of the nodes that are meant."),
    AGE,
    CONTAINERS.wide(),
    IMAGES.wide(),
    SELECTOR.wide(),
];

pub(super) fn daemon_set(object: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let (names, images) = containers(&spec["template"]["spec"]);
    cells![
        text(&object["metadata"]["name"]),
        number(&status["desiredNumberScheduled"]),
        number(&status["currentNumberScheduled"]),
        number(&status["numberReady"]),
        number(&status["updatedNumberScheduled"]),
        number(&status["numberAvailable"]),
        labels(&spec["template"]["spec"]["nodeSelector"]),
        age(object, now),
        names,
        images,
        shown_selector(&spec["selector"]),
    ]
}

pub(super) const CONTROLLER_REVISIONS: &[Column] = &[
    NAME,
    Column::text("Controller", "The controller whose state this is."),
    Column::text("Revision", "The number of the state; larger is later."),
    AGE,
];

pub(super) fn controller_revision(object: &Value, now: SystemTime) -> Vec<Value> {
    let owner = items(&object["metadata"]["ownerReferences"])
        .iter()
        .find(|owner| owner["controller"] == true);
    let controller = owner.map_or_else(
        || NONE.to_owned(),
        |owner| {
            let (kind, name) = (text(&owner["kind"]), text(&owner["name"]));
            let kind = match text(&owner["apiVersion"]).split_once('/') {
                Some((group, _)) => format!("{kind}.{group}"),
                None => kind.to_owned(),
            };
            match kind.as_str() {
                "" => name.to_owned(),
                kind => format!("{}/{name}", kind.to_lowercase()),
            }
        },
    );
    cells![
        text(&object["metadata"]["name"]),
        controller,
        number(&object["revision"]),
        age(object, now),
    ]
}

pub(super) const JOBS: &[Column] = &[
    NAME,
    Column::text("Status", "What the job has come to."),
    Column::text("Completions", "How many of the wanted pods have succeeded."),
    Column::text("Duration", "How long the job took, or runs by now."),
    AGE,
    CONTAINERS.wide(),
    IMAGES.wide(),
    SELECTOR.wide(),
];

pub(super) fn job(object: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let succeeded = number(&status["succeeded"]);
    let parallelism = number(&spec["parallelism"]);
    let completions = match spec["completions"].as_i64() {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    };
    let duration = moment(&status["startTime"]).map_or_else(String::new, |start| {
        span(start, moment(&status["completionTime"]).unwrap_or(now))
    });
    let (names, images) = containers(&spec["template"]["spec"]);
    cells![
        text(&object["metadata"]["name"]),
        job_status(object),
        completions,
        duration,
        age(object, now),
        names,
        images,
        shown_selector(&spec["selector"]),
    ]
}

fn job_status(object: &Value) -> &'static str {
    let is = |kind| is_true(&object["status"]["conditions"], kind);
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if !object["metadata"]["deletionTimestamp"].is_null() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

pub(super) const CRON_JOBS: &[Column] = &[
    NAME,
    Column::text("Schedule", "When jobs start, in cron's form."),
    Column::text("Timezone", "The time zone of the schedule."),
    Column::flag("Suspend", "Whether no further jobs are started."),
    Column::int("Active", "How many jobs run now."),
    Column::text("Last Schedule", "The time since a job was last due."),
    AGE,
    CONTAINERS.wide(),
    IMAGES.wide(),
    SELECTOR.wide(),
];

pub(super) fn cron_job(object: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let suspend = match spec["suspend"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => UNSET,
    };
    let last = match &status["lastScheduleTime"] {
        Value::Null => NONE.to_owned(),
        time => since(time, now),
    };
    let job = &spec["jobTemplate"]["spec"];
    let (names, images) = containers(&job["template"]["spec"]);
    cells![
        text(&object["metadata"]["name"]),
        text(&spec["schedule"]),
        set_or(&spec["timeZone"], NONE),
        suspend,
        count(&status["active"]),
        last,
        age(object, now),
        names,
        images,
        shown_selector(&job["selector"]),
    ]
}

pub(super) const BUDGETS: &[Column] = &[
    NAME,
    Column::text("Min Available", "How many pods must stay available."),
    Column::text("Max Unavailable", "How many pods may be unavailable."),
    Column::int(
        "Allowed Disruptions",
        "How many pods may be evicted at this time.",
    ),
    AGE,
];

pub(super) fn budget(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        int_or_text(&object["spec"]["minAvailable"], "N/A"),
        int_or_text(&object["spec"]["maxUnavailable"], "N/A"),
        number(&object["status"]["disruptionsAllowed"]),
        age(object, now),
    ]
}

pub(super) const SCALES: &[Column] = &[
    Column::text(
        "Name",
        "The object's name, unique among its kind in its namespace.",
    ),
    Column::int("Desired", "How many pods there should be."),
    Column::int("Available", "How many pods there are."),
    AGE,
];

pub(super) fn scale(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        number(&object["spec"]["replicas"]),
        number(&object["status"]["replicas"]),
        age(object, now),
    ]
}
