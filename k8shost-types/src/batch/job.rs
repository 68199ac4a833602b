//! Job.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::job_spec::{self, is_indexed};
use crate::{
    apps::drop_disabled,
    error::FieldError,
    field::Path,
    json::{self as tree, flag, get, int, list_mut},
    meta, names, pod,
    rules::{
        self, Errors, fill, fill_absent, immutable, is_set, matches, part, selector_of, spec,
        validate_label_selector,
    },
    strategy::{Fields, Strategy, Text},
};

/// The row of Job in the table of kinds.
pub static JOB: Strategy = Strategy {
    kind: Text::Borrowed("Job"),
    api_version: Text::Borrowed("batch/v1"),
    resource: Text::Borrowed("jobs"),
    default,
    prepare_create,
    validate_create,
    prepare_update: |new, old| {
        drop_disabled(new);
        rules::prepare_update(new, old);
    },
    validate_update,
    prepare_status_update: rules::prepare_status_update,
    validate_status_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        let counts = ["active", "succeeded", "failed", "ready", "terminating"];
        rules::counts(new, &counts, &[], &mut errors);
        errors
    },
    selectable: &["metadata.name", "metadata.namespace", "status.successful"],
    fields: |job| {
        let succeeded = int(rules::status(job), "succeeded").unwrap_or_default();
        let fields: Fields<'_> = vec![("status.successful", Cow::Owned(succeeded.to_string()))];
        fields
    },
    has_status: true,
    ..Strategy::BASE
};

/// The labels that a job gives its pods, with and without the group's name.
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

fn default(object: &mut Value) {
    let Some(spec) = tree::ensure_object(object, "spec") else {
        return;
    };
    if get(spec, "completions").is_none() && get(spec, "parallelism").is_none() {
        tree::set(spec, "completions", 1);
    }
    fill_absent(spec, "parallelism", 1);
    let backoff = if get(spec, "backoffLimitPerIndex").is_some() {
        i32::MAX
    } else {
        6
    };
    fill_absent(spec, "backoffLimit", backoff);
    fill_absent(spec, "completionMode", "NonIndexed");
    fill_absent(spec, "suspend", false);
    fill_absent(spec, "manualSelector", false);
    let mut replacement = "TerminatingOrFailed";
    if let Some(policy) = tree::get_mut(spec, "podFailurePolicy") {
        replacement = "Failed";
        for rule in list_mut(policy, "rules") {
            for condition in list_mut(rule, "onPodConditions") {
                fill(condition, "status", "True");
            }
        }
    }
    fill_absent(spec, "podReplacementPolicy", replacement);
    if let Some(template) = tree::ensure_object(spec, "template") {
        pod::template_defaults(template);
    }
    label_as_pods(object);
    fill_absent(object, "status", json!({}));
}

fn template_labels(object: &Value) -> &Value {
    part(part(part(spec(object), "template"), "metadata"), "labels")
}

/// A job without labels has those of its pods.
fn label_as_pods(object: &mut Value) {
    let labels = template_labels(object).clone();
    if !rules::is_empty(&labels) && !is_set(meta::metadata(object), "labels") {
        meta::set(object, "labels", labels);
    }
}

fn prepare_create(object: &mut Value) {
    rules::begin(object, json!({}));
    drop_disabled(object);
    if flag(spec(object), "manualSelector") {
        return;
    }
    // Labels that came from the template become more as the template's do.
    let own = part(meta::metadata(object), "labels");
    if own == template_labels(object) {
        meta::remove(object, "labels");
    }
    select_own_pods(object);
    label_as_pods(object);
}

/// The job's pods are told from others by its uid.
fn select_own_pods(object: &mut Value) {
    let (uid, name) = (meta::uid(object).to_owned(), meta::name(object).to_owned());
    let Some(spec) = tree::get_mut(object, "spec") else {
        return;
    };
    if let Some(labels) = tree::ensure_object(spec, "template")
        .and_then(|template| tree::ensure_object(template, "metadata"))
        .and_then(|metadata| tree::ensure_object(metadata, "labels"))
    {
        for (keys, value) in [(UID_LABELS, &uid), (NAME_LABELS, &name)] {
            for key in keys {
                fill_absent(labels, key, value.as_str());
            }
        }
    }
    if let Some(labels) = tree::ensure_object(spec, "selector")
        .and_then(|selector| tree::ensure_object(selector, "matchLabels"))
    {
        fill_absent(labels, UID_LABELS[1], uid);
    }
}

fn validate_create(object: &Value) -> Errors {
    let mut errors = rules::metadata(object, true, names::subdomain_rule);
    if part(meta::metadata(object), "labels") == template_labels(object) {
        // What is wrong with the template's labels is told of them.
        errors.retain(|error| error.field != "metadata.labels");
    }
    validate_own_labels(object, &mut errors);
    validate(object, &mut errors);
    let spec = spec(object);
    if let Some(completions) = int(spec, "completions")
        && completions > 0
        && is_indexed(spec)
    {
        // Each pod has the job's name and its index for a host name.
        let name = meta::name(object);
        let last = format!("{name}-{}", completions - 1);
        if !names::dns1123_label(&last).is_empty() {
            let path = Path::new("metadata");
            let detail = format!("will not able to create pod with invalid DNS label: {last}");
            errors.push(FieldError::invalid(&path.child("name"), name, &detail));
        }
    }
    errors
}

/// The labels by which a job knows its pods are there, and are its own.
fn validate_own_labels(object: &Value, errors: &mut Errors) {
    let spec = spec(object);
    let Some(selector) = get(spec, "selector").filter(|_| !flag(spec, "manualSelector")) else {
        return;
    };
    let path = Path::new("spec");
    if meta::uid(object).is_empty() {
        let path = Path::new("metadata");
        errors.push(FieldError::required(&path.child("uid"), ""));
    }
    let labels = template_labels(object);
    let labels_path = path.child("template");
    let labels_path = labels_path.child("metadata");
    let labels_path = labels_path.child("labels");
    let (uid, name) = (meta::uid(object), meta::name(object));
    let mut expected = serde_json::Map::new();
    for (keys, value) in [(UID_LABELS, uid), (NAME_LABELS, name)] {
        for key in keys {
            expected.insert(key.to_owned(), value.into());
            let detail = format!("must be '{value}'");
            match get(labels, key) {
                None => errors.push(FieldError::required(&labels_path.key(key), &detail)),
                Some(Value::String(actual)) if actual == value => {}
                Some(actual) => {
                    errors.push(FieldError::invalid(&labels_path.key(key), actual, &detail));
                }
            }
        }
    }
    let expected = json!({"labels": expected});
    if selector_of(selector).is_some_and(|selector| !matches(&selector, &expected)) {
        errors.push(FieldError::invalid(
            &path.child("selector"),
            selector,
            "`selector` not auto-generated",
        ));
    }
}

fn validate(object: &Value, errors: &mut Errors) {
    let spec = spec(object);
    let path = Path::new("spec");
    job_spec::validate(spec, &path, errors);
    let Some(selector) = get(spec, "selector") else {
        errors.push(FieldError::required(&path.child("selector"), ""));
        return;
    };
    validate_label_selector(selector, &path.child("selector"), errors);
    let template = part(part(spec, "template"), "metadata");
    if selector_of(selector).is_some_and(|selector| !matches(&selector, template)) {
        errors.push(FieldError::invalid(
            &path.child("template").child("metadata").child("labels"),
            part(template, "labels"),
            "`selector` does not match template `labels`",
        ));
    }
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    validate(new, &mut errors);
    let path = Path::new("spec");
    let (new_spec, old_spec) = (spec(new), spec(old));
    validate_completions(new_spec, old_spec, &path, &mut errors);
    immutable(new_spec, old_spec, "selector", &path, &mut errors);
    let not_started = flag(old_spec, "suspend") && get(rules::status(old), "startTime").is_none();
    let (template, before) = (part(new_spec, "template"), part(old_spec, "template"));
    let same = if not_started {
        without_directives(template) == without_directives(before)
    } else {
        template == before
    };
    if !same {
        let detail = "field is immutable";
        rules::invalid(new_spec, "template", detail, &path, &mut errors);
    }
    for field in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        immutable(new_spec, old_spec, field, &path, &mut errors);
    }
    errors
}

/// A template without what may be decided later of where its pods go.
fn without_directives(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = tree::get_mut(&mut template, "metadata") {
        tree::remove(metadata, "labels");
        tree::remove(metadata, "annotations");
    }
    if let Some(spec) = tree::get_mut(&mut template, "spec") {
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            tree::remove(spec, field);
        }
        if let Some(affinity) = tree::get_mut(spec, "affinity") {
            tree::remove(affinity, "nodeAffinity");
        }
        rules::drop_empty(spec, &["affinity"]);
    }
    template
}

fn validate_completions(new: &Value, old: &Value, path: &Path<'_>, errors: &mut Errors) {
    if rules::same(new, old, "completions") {
        return;
    }
    if !is_indexed(new) {
        immutable(new, old, "completions", path, errors);
    } else if !matches!((int(new, "completions"), int(new, "parallelism")), (a, b) if a == b) {
        let detail = "can only be modified in tandem with spec.parallelism";
        rules::invalid(new, "completions", detail, path, errors);
    }
}
