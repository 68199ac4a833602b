//! DaemonSet.

use serde_json::{Value, json};

use super::{
    drop_disabled, is_zero, template_defaults, validate_given_selector, validate_strategy_type,
};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, text},
    meta, names, pod,
    rules::{
        self, Errors, at_most_all, fill, fill_absent, int_or_percent, non_negative, part, spec,
    },
    strategy::{Strategy, Text},
};

/// The row of DaemonSet in the table of kinds.
pub static DAEMON_SET: Strategy = Strategy {
    kind: Text::Borrowed("DaemonSet"),
    api_version: Text::Borrowed("apps/v1"),
    resource: Text::Borrowed("daemonsets"),
    default,
    prepare_create: |object| {
        rules::begin(object, json!({}));
        rules::zeros(object, &COUNTS);
        if template_generation(object) < 1 {
            meta::set_annotation(object, GENERATION, "1");
        }
        drop_disabled(object);
    },
    validate_create: |object| rules::created(object, true, names::subdomain_rule, validate),
    prepare_update,
    validate_update: |new, old| super::validate_update(new, old, validate),
    prepare_status_update: rules::prepare_status_update,
    validate_status_update,
    has_status: true,
    ..Strategy::BASE
};

/// The annotation with the generation of the template, which was a field once.
const GENERATION: &str = "deprecated.daemonset.template.generation";
/// What a status always shows.
const COUNTS: [&str; 4] = [
    "currentNumberScheduled",
    "desiredNumberScheduled",
    "numberMisscheduled",
    "numberReady",
];

fn template_generation(object: &Value) -> i64 {
    let text = meta::annotation(object, GENERATION);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn default(object: &mut Value) {
    if meta::annotation(object, GENERATION).is_none() {
        meta::set_annotation(object, GENERATION, "0");
    }
    if let Some(spec) = tree::ensure_object(object, "spec") {
        template_defaults(spec);
        if let Some(strategy) = tree::ensure_object(spec, "updateStrategy") {
            fill(strategy, "type", "RollingUpdate");
            if text(strategy, "type") == "RollingUpdate" {
                fill_absent(strategy, "rollingUpdate", json!({}));
                if let Some(rolling) = tree::get_mut(strategy, "rollingUpdate") {
                    fill_absent(rolling, "maxUnavailable", 1);
                    fill_absent(rolling, "maxSurge", 0);
                }
            }
        }
        fill_absent(spec, "revisionHistoryLimit", 10);
    }
    rules::zeros(object, &COUNTS);
}

fn prepare_update(new: &mut Value, old: &Value) {
    drop_disabled(new);
    rules::prepare_update(new, old);
    let mut generation = template_generation(old);
    if !rules::same(spec(new), spec(old), "template") {
        generation = generation.saturating_add(1);
    }
    meta::set_annotation(new, GENERATION, &generation.to_string());
}

fn validate(object: &Value, errors: &mut Errors) {
    let spec = spec(object);
    let path = Path::new("spec");
    let selector = validate_given_selector(spec, "invalid for daemonset", &path, errors);
    pod::validate_controlled_template(
        part(spec, "template"),
        selector,
        "DaemonSet",
        true,
        &path.child("template"),
        errors,
    );
    non_negative(spec, "minReadySeconds", &path, errors);
    validate_strategy(
        part(spec, "updateStrategy"),
        &path.child("updateStrategy"),
        errors,
    );
    non_negative(spec, "revisionHistoryLimit", &path, errors);
}

fn validate_strategy(strategy: &Value, path: &Path<'_>, errors: &mut Errors) {
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            match get(strategy, "rollingUpdate") {
                Some(rolling) => validate_rolling(rolling, &path, errors),
                None => errors.push(FieldError::required(&path, "")),
            }
        }
        _ => validate_strategy_type(strategy, &["RollingUpdate", "OnDelete"], path, errors),
    }
}

fn validate_rolling(rolling: &Value, path: &Path<'_>, errors: &mut Errors) {
    let fields = ["maxUnavailable", "maxSurge"];
    for field in fields {
        int_or_percent(part(rolling, field), &path.child(field), errors);
    }
    for field in fields {
        at_most_all(part(rolling, field), &path.child(field), errors);
    }
    match fields.map(|field| is_zero(rolling, field)) {
        [false, false] => errors.push(FieldError::invalid(
            &path.child("maxSurge"),
            part(rolling, "maxSurge"),
            "may not be set when maxUnavailable is non-zero",
        )),
        [true, true] => errors.push(FieldError::required(
            &path.child("maxUnavailable"),
            "cannot be 0 when maxSurge is 0",
        )),
        _ => {}
    }
}

fn validate_status_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    rules::counts(
        new,
        &[
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "observedGeneration",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
            "collisionCount",
        ],
        &[],
        &mut errors,
    );
    rules::collisions(new, old, &mut errors);
    errors
}
