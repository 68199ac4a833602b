//! Rows of what grants, orders and admits: bindings of roles, certificate requests, classes of
//! priority and runtime, webhooks and policies, flow control.

use std::time::SystemTime;

use serde_json::Value;

use super::{
    cell::{NONE, UNSET, age, cells, count, filled_or, items, number, set_or, text, texts},
    column::{AGE, Column, NAME},
    duration::human,
};

/// RoleBindings and ClusterRoleBindings.
pub(super) const BINDINGS: &[Column] = &[
    NAME,
    Column::text("Role", "The role that is granted."),
    AGE,
    Column::text("Users", "The users it is granted to.").wide(),
    Column::text("Groups", "The groups it is granted to.").wide(),
    Column::text("ServiceAccounts", "The service accounts it is granted to.").wide(),
];

pub(super) fn binding(object: &Value, now: SystemTime) -> Vec<Value> {
    let role = &object["roleRef"];
    let subjects = |kind: &str| {
        let of_kind = items(&object["subjects"])
            .iter()
            .filter(|subject| subject["kind"] == kind);
        let names: Vec<String> = of_kind
            .map(|subject| match (kind, text(&subject["name"])) {
                ("ServiceAccount", name) => format!("{}/{name}", text(&subject["namespace"])),
                (_, name) => name.to_owned(),
            })
            .collect();
        names.join(", ")
    };
    cells![
        text(&object["metadata"]["name"]),
        format!("{}/{}", text(&role["kind"]), text(&role["name"])),
        age(object, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

pub(super) const CERTIFICATE_REQUESTS: &[Column] = &[
    NAME,
    AGE,
    Column::text("SignerName", "Who is to sign."),
    Column::text("Requestor", "Who asked for it."),
    Column::text("RequestedDuration", "How long it is to be valid."),
    Column::text("Condition", "What has become of the request."),
];

pub(super) fn certificate_request(object: &Value, now: SystemTime) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let is = |kind: &str| {
        items(&status["conditions"])
            .iter()
            .any(|condition| condition["type"] == kind)
    };
    let mut state = if is("Denied") {
        "Denied"
    } else if is("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if is("Failed") {
        state.push_str(",Failed");
    }
    if !text(&status["certificate"]).is_empty() {
        state.push_str(",Issued");
    }
    let duration = spec["expirationSeconds"].as_i64();
    cells![
        text(&object["metadata"]["name"]),
        age(object, now),
        filled_or(text(&spec["signerName"]), NONE),
        text(&spec["username"]),
        duration.map_or_else(|| NONE.to_owned(), human),
        state,
    ]
}

pub(super) const PRIORITY_CLASSES: &[Column] = &[
    NAME,
    Column::int("Value", "The priority; larger comes first."),
    Column::flag("Global-Default", "Whether pods without a class get it."),
    AGE,
    Column::text("PreemptionPolicy", "Whether its pods drive others out."),
];

pub(super) fn priority_class(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        number(&object["value"]),
        object["globalDefault"] == true,
        age(object, now),
        text(&object["preemptionPolicy"]),
    ]
}

/// Kubernetes has no description of the handler.
pub(super) const RUNTIME_CLASSES: &[Column] = &[NAME, Column::text("Handler", ""), AGE];

pub(super) fn runtime_class(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        text(&object["handler"]),
        age(object, now),
    ]
}

pub(super) const WEBHOOKS: &[Column] = &[
    NAME,
    Column::int("Webhooks", "How many webhooks it has."),
    AGE,
];

pub(super) fn webhooks(object: &Value, now: SystemTime) -> Vec<Value> {
    cells![
        text(&object["metadata"]["name"]),
        count(&object["webhooks"]),
        age(object, now),
    ]
}

const PARAM_KIND: Column = Column::text("ParamKind", "The kind of the policy's parameters.");

pub(super) const VALIDATING_POLICIES: &[Column] = &[
    NAME,
    Column::int("Validations", "How many rules it has."),
    PARAM_KIND,
    AGE,
];

pub(super) fn validating_policy(object: &Value, now: SystemTime) -> Vec<Value> {
    policy(object, "validations", now)
}

pub(super) const MUTATING_POLICIES: &[Column] = &[
    NAME,
    Column::int("Mutations", "How many mutations it has."),
    PARAM_KIND,
    AGE,
];

pub(super) fn mutating_policy(object: &Value, now: SystemTime) -> Vec<Value> {
    policy(object, "mutations", now)
}

fn policy(object: &Value, rules: &str, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    let kind = match &spec["paramKind"] {
        Value::Null => UNSET.to_owned(),
        kind => format!("{}/{}", text(&kind["apiVersion"]), text(&kind["kind"])),
    };
    cells![
        text(&object["metadata"]["name"]),
        count(&spec[rules]),
        kind,
        age(object, now),
    ]
}

/// Bindings of validating and of mutating policies.
pub(super) const POLICY_BINDINGS: &[Column] = &[
    NAME,
    Column::text("PolicyName", "The policy that is bound."),
    Column::text("ParamRef", "The object with the policy's parameters."),
    AGE,
];

pub(super) fn policy_binding(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    let reference = &spec["paramRef"];
    let (namespace, name) = (text(&reference["namespace"]), text(&reference["name"]));
    let param = if !name.is_empty() {
        format!("{}/{name}", filled_or(namespace, "*"))
    } else if reference["selector"].is_null() {
        UNSET.to_owned()
    } else {
        go_selector(&reference["selector"])
    };
    cells![
        text(&object["metadata"]["name"]),
        text(&spec["policyName"]),
        param,
        age(object, now),
    ]
}

/// A selector as Go prints the structure: that is what stands in the cell.
fn go_selector(selector: &Value) -> String {
    let mut out = "&LabelSelector{MatchLabels:map[string]string{".to_owned();
    let labels = selector["matchLabels"].as_object();
    let mut labels: Vec<_> = labels.into_iter().flatten().collect();
    labels.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in labels {
        out.push_str(&format!("{key}: {},", text(value)));
    }
    out.push_str("},MatchExpressions:[]LabelSelectorRequirement{");
    for expression in items(&selector["matchExpressions"]) {
        out.push_str(&format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
            text(&expression["key"]),
            text(&expression["operator"]),
            texts(&expression["values"], " "),
        ));
    }
    out.push_str("},}");
    out
}

pub(super) const FLOW_SCHEMAS: &[Column] = &[
    NAME,
    Column::text("PriorityLevel", "The priority level of its requests."),
    Column::text(
        "MatchingPrecedence",
        "Of the schemas that match, the lowest counts.",
    ),
    Column::text("DistinguisherMethod", "How requests are told apart."),
    AGE,
    Column::text("MissingPL", "Whether its priority level is not there."),
];

pub(super) fn flow_schema(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    let method = match &spec["distinguisherMethod"] {
        Value::Null => NONE,
        method => text(&method["type"]),
    };
    let dangling = items(&object["status"]["conditions"])
        .iter()
        .find(|condition| condition["type"] == "Dangling");
    cells![
        text(&object["metadata"]["name"]),
        text(&spec["priorityLevelConfiguration"]["name"]),
        number(&spec["matchingPrecedence"]),
        method,
        age(object, now),
        dangling.map_or("?", |condition| text(&condition["status"])),
    ]
}

/// Where a flow schema stands in a list: by precedence, then by name.
pub(super) fn flow_schema_order(object: &Value) -> (i64, &str) {
    let precedence = number(&object["spec"]["matchingPrecedence"]);
    (precedence, text(&object["metadata"]["name"]))
}

pub(super) const PRIORITY_LEVELS: &[Column] = &[
    NAME,
    Column::text("Type", "Whether its requests are limited."),
    Column::text(
        "NominalConcurrencyShares",
        "Its part of the requests that may run.",
    ),
    Column::text("Queues", "How many queues it has."),
    Column::text("HandSize", "How many queues a flow may use."),
    Column::text("QueueLengthLimit", "How many requests a queue holds."),
    AGE,
];

pub(super) fn priority_level(object: &Value, now: SystemTime) -> Vec<Value> {
    let spec = &object["spec"];
    let limited = &spec["limited"];
    let queuing = &limited["limitResponse"]["queuing"];
    let of = |holder: &Value, field: &str| match holder {
        Value::Null => Value::from(NONE),
        holder => Value::from(number(&holder[field])),
    };
    cells![
        text(&object["metadata"]["name"]),
        set_or(&spec["type"], ""),
        of(limited, "nominalConcurrencyShares"),
        of(queuing, "queues"),
        of(queuing, "handSize"),
        of(queuing, "queueLengthLimit"),
        age(object, now),
    ]
}
