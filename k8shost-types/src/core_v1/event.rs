//! Event. The events of the core group and those of events.k8s.io are the same objects: they are kept
//! in the core group's form.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, text},
    meta, names,
    rules::{self, Errors, fill_absent, is_set, part},
    strategy::{Fields, Strategy, Text},
};

/// The row of the core group's Event in the table of kinds.
pub static EVENT: Strategy = Strategy {
    kind: Text::Borrowed("Event"),
    resource: Text::Borrowed("events"),
    empty: || json!({"eventTime": null, "firstTimestamp": null, "lastTimestamp": null}),
    default,
    validate_create: |event| {
        let mut errors = Errors::new();
        meta::validate_create(event, true, names::path_segment, &mut errors);
        validate_lenient(event, "reportingComponent", &mut errors);
        errors
    },
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        validate_lenient(new, "reportingComponent", &mut errors);
        errors
    },
    selectable: SELECTABLE,
    fields,
    create_on_update: true,
    ..Strategy::BASE
};

/// The row of Event in events.k8s.io. Its functions take objects in that group's form.
pub static EVENTS_EVENT: Strategy = Strategy {
    kind: Text::Borrowed("Event"),
    api_version: Text::Borrowed("events.k8s.io/v1"),
    resource: Text::Borrowed("events"),
    empty: || json!({"eventTime": null, "deprecatedFirstTimestamp": null, "deprecatedLastTimestamp": null}),
    default: |event| {
        to_core(event);
        default(event);
        to_events(event);
    },
    validate_create: |event| {
        let event = &core_form(event);
        let mut errors = Errors::new();
        validate_lenient(event, "reportingController", &mut errors);
        errors.append(&mut rules::metadata(event, true, names::subdomain_rule));
        validate_strict(event, &mut errors);
        errors
    },
    validate_update: |new, old| {
        let (new, old) = (&core_form(new), &core_form(old));
        let mut errors = Errors::new();
        validate_lenient(new, "reportingController", &mut errors);
        errors.append(&mut rules::metadata_update(new, old));
        validate_series(new, &mut errors);
        validate_changes(new, old, &mut errors);
        errors
    },
    selectable: SELECTABLE,
    fields: |event| {
        let owned = |(field, value): (_, Cow<'_, str>)| (field, Cow::Owned(value.into_owned()));
        fields(&core_form(event)).into_iter().map(owned).collect()
    },
    create_on_update: true,
    ..Strategy::BASE
};

const SELECTABLE: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// The names of a field in the core group and in events.k8s.io.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Brings an event from the form of events.k8s.io into that of the core group. What is in that form
/// already stays as it is.
pub fn to_core(event: &mut Value) {
    rename(event, |(core, events)| (events, core));
    tree::set(event, "apiVersion", "v1");
    for field in ["reportingComponent", "reportingInstance"] {
        fill_absent(event, field, "");
    }
}

/// Brings an event from the form of the core group into that of events.k8s.io.
pub fn to_events(event: &mut Value) {
    rename(event, |names| names);
    tree::set(event, "apiVersion", "events.k8s.io/v1");
    // What is empty is shown in the core group only.
    rules::drop_empty(event, &["reportingController", "reportingInstance", "note"]);
}

fn rename(
    event: &mut Value,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    for names in NAMES {
        let (from, to) = direction(names);
        if let Some(value) = tree::remove(event, from) {
            tree::set(event, to, value);
        }
    }
}

fn core_form(event: &Value) -> Value {
    let mut event = event.clone();
    to_core(&mut event);
    event
}

/// The fields that an event always shows.
fn default(event: &mut Value) {
    for field in ["eventTime", "firstTimestamp", "lastTimestamp"] {
        fill_absent(event, field, Value::Null);
    }
    for field in ["involvedObject", "source"] {
        fill_absent(event, field, json!({}));
    }
    for field in ["reportingComponent", "reportingInstance"] {
        fill_absent(event, field, "");
    }
}

/// The rules for every event: those for events without a time of their own, as old clients send
/// them, are about the namespace alone.
fn validate_lenient(event: &Value, controller: &str, errors: &mut Errors) {
    const MOST: usize = 128;
    const MOST_TEXT: usize = 1024;
    let namespace = meta::namespace(event);
    let about = text(part(event, "involvedObject"), "namespace");
    let fits = match about {
        "" => matches!(namespace, "" | "default"),
        about => about == namespace,
    };
    if !fits {
        let path = Path::new("involvedObject");
        errors.push(FieldError::invalid(
            &path.child("namespace"),
            about,
            "does not match event.namespace",
        ));
    }
    if !is_set(event, "eventTime") {
        return;
    }
    let reporter = text(event, "reportingComponent");
    let path = Path::new(controller);
    if reporter.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        rules::faults(names::qualified_name(reporter), reporter, &path, errors);
    }
    for field in ["reportingInstance", "action", "reason"] {
        let path = Path::new(field);
        let value = text(event, field);
        if value.is_empty() {
            errors.push(FieldError::required(&path, ""));
        }
        if value.len() > MOST {
            let detail = format!("can have at most {MOST} characters");
            errors.push(FieldError::invalid(&path, "", &detail));
        }
    }
    if text(event, "message").len() > MOST_TEXT {
        let detail = format!("can have at most {MOST_TEXT} characters");
        errors.push(FieldError::invalid(&Path::new("message"), "", &detail));
    }
}

/// What events.k8s.io asks for besides: nothing of the old fields is set.
fn validate_strict(event: &Value, errors: &mut Errors) {
    validate_series(event, errors);
    if !is_set(event, "eventTime") {
        errors.push(FieldError::required(&Path::new("eventTime"), ""));
    }
    let kind = text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        let detail = format!("has invalid value: {kind}");
        errors.push(FieldError::invalid(&Path::new("type"), "", &detail));
    }
    let source = part(event, "source");
    for (field, set) in [
        ("firstTimestamp", is_set(event, "firstTimestamp")),
        ("lastTimestamp", is_set(event, "lastTimestamp")),
        ("count", int(event, "count").unwrap_or_default() != 0),
        (
            "source",
            is_set(source, "component") || is_set(source, "host"),
        ),
    ] {
        if set {
            errors.push(FieldError::invalid(
                &Path::new(field),
                "",
                "needs to be unset",
            ));
        }
    }
}

fn validate_series(event: &Value, errors: &mut Errors) {
    let Some(series) = get(event, "series") else {
        return;
    };
    let path = Path::new("series");
    if int(series, "count").unwrap_or_default() < 2 {
        errors.push(FieldError::invalid(
            &path.child("count"),
            "",
            "should be at least 2",
        ));
    }
    if !is_set(series, "lastObservedTime") {
        errors.push(FieldError::required(&path.child("lastObservedTime"), ""));
    }
}

/// Of an event only the series goes on.
fn validate_changes(new: &Value, old: &Value, errors: &mut Errors) {
    for field in [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ] {
        if !rules::same_or_empty(new, old, field) {
            let shown = if field == "reportingComponent" {
                "reportingController"
            } else {
                field
            };
            errors.push(FieldError::invalid(
                &Path::new(shown),
                part(new, field),
                "field is immutable",
            ));
        }
    }
}

fn fields(event: &Value) -> Fields<'_> {
    let about = part(event, "involvedObject");
    let reporter = text(event, "reportingComponent");
    let source = match text(part(event, "source"), "component") {
        "" => reporter,
        component => component,
    };
    [
        ("involvedObject.kind", text(about, "kind")),
        ("involvedObject.namespace", text(about, "namespace")),
        ("involvedObject.name", text(about, "name")),
        ("involvedObject.uid", text(about, "uid")),
        ("involvedObject.apiVersion", text(about, "apiVersion")),
        (
            "involvedObject.resourceVersion",
            text(about, "resourceVersion"),
        ),
        ("involvedObject.fieldPath", text(about, "fieldPath")),
        ("reason", text(event, "reason")),
        ("reportingComponent", reporter),
        ("source", source),
        ("type", text(event, "type")),
    ]
    .into_iter()
    .map(|(field, value)| (field, Cow::Borrowed(value)))
    .collect()
}
