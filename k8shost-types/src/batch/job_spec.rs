//! The rules for the spec of a job, be it one that is there or one that a CronJob will make.

use serde_json::Value;

use super::failure_policy;
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    names, pod,
    rules::{Errors, choice, non_negative, part},
};

/// The most pods at once, or in all, of a job whose pods are numbered.
const MOST_INDEXED: i64 = 100_000;
/// The most pods in all where many run at once and each may fail so often.
const MOST_PARALLEL: i64 = 10_000;

/// Whether the job's pods are numbered.
pub(super) fn is_indexed(spec: &Value) -> bool {
    text(spec, "completionMode") == "Indexed"
}

pub(super) fn validate(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        non_negative(spec, field, path, errors);
    }
    if get(spec, "maxFailedIndexes").is_some() && get(spec, "backoffLimitPerIndex").is_none() {
        errors.push(FieldError::required(
            &path.child("backoffLimitPerIndex"),
            "when maxFailedIndexes is specified",
        ));
    }
    validate_manager(spec, path, errors);
    validate_mode(spec, path, errors);
    let failure = get(spec, "podFailurePolicy");
    if let Some(policy) = failure {
        failure_policy::validate(policy, spec, &path.child("podFailurePolicy"), errors);
    }
    if let Some(policy) = get(spec, "successPolicy") {
        failure_policy::validate_success(policy, spec, &path.child("successPolicy"), errors);
    }
    choice(
        spec,
        "podReplacementPolicy",
        &["Failed", "TerminatingOrFailed"],
        path,
        errors,
    );
    if failure.is_some() && !matches!(text(spec, "podReplacementPolicy"), "" | "Failed") {
        errors.push(FieldError::not_supported(
            &path.child("podReplacementPolicy"),
            part(spec, "podReplacementPolicy"),
            &["Failed"],
        ));
    }
    let template = part(spec, "template");
    pod::validate_template(template, &path.child("template"), errors);
    let policy = text(part(template, "spec"), "restartPolicy");
    let path = path.child("template");
    let path = path.child("spec");
    let path = path.child("restartPolicy");
    match policy {
        "" | "Always" => errors.push(FieldError::required(
            &path,
            "valid values: \"OnFailure\", \"Never\"",
        )),
        "OnFailure" if failure.is_some() => errors.push(FieldError::invalid(
            &path,
            policy,
            "only \"Never\" is supported when podFailurePolicy is specified",
        )),
        "OnFailure" | "Never" => {}
        _ => errors.push(FieldError::not_supported(
            &path,
            policy,
            &["OnFailure", "Never"],
        )),
    }
}

/// Another controller's name is a domain and a path: `example.com/jobs`.
fn validate_manager(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let Some(Value::String(manager)) = get(spec, "managedBy") else {
        return;
    };
    let path = path.child("managedBy");
    if manager.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    match manager.split_once('/') {
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            for fault in names::dns1123_subdomain(domain) {
                errors.push(FieldError::invalid(&path, domain, &fault));
            }
        }
        _ => errors.push(FieldError::invalid(
            &path,
            manager,
            "must be a domain-prefixed path (such as \"acme.io/foo\")",
        )),
    }
    if manager.len() > names::LABEL_MAX {
        errors.push(FieldError::too_long(&path, names::LABEL_MAX));
    }
}

fn validate_mode(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    if get(spec, "completionMode").is_none() {
        return;
    }
    let modes = ["Indexed", "NonIndexed"];
    choice(spec, "completionMode", &modes, path, errors);
    if !is_indexed(spec) {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(limit) = int(spec, field) {
                errors.push(FieldError::invalid(
                    &path.child(field),
                    &limit,
                    "requires indexed completion mode",
                ));
            }
        }
        return;
    }
    let Some(completions) = int(spec, "completions") else {
        errors.push(FieldError::required(
            &path.child("completions"),
            "when completion mode is Indexed",
        ));
        return;
    };
    let parallelism = int(spec, "parallelism").unwrap_or_default();
    if parallelism > MOST_INDEXED {
        let detail =
            format!("must be less than or equal to {MOST_INDEXED} when completion mode is Indexed");
        errors.push(FieldError::invalid(
            &path.child("parallelism"),
            &parallelism,
            &detail,
        ));
    }
    let failed = int(spec, "maxFailedIndexes");
    let most = completions.min(MOST_INDEXED);
    if let Some(failed) = failed.filter(|failed| *failed > most) {
        let detail = format!("must be less than or equal to {most}");
        errors.push(FieldError::invalid(
            &path.child("maxFailedIndexes"),
            &failed,
            &detail,
        ));
    }
    if get(spec, "backoffLimitPerIndex").is_some() && completions > MOST_INDEXED {
        // So many indexes may fail only if few of them may, and few run at once.
        let field = "maxFailedIndexes";
        match failed {
            None => errors.push(FieldError::required(
                &path.child(field),
                &format!("must be specified when completions is above {MOST_INDEXED}"),
            )),
            Some(failed) if failed > MOST_PARALLEL => errors.push(FieldError::invalid(
                &path.child(field),
                &failed,
                &format!("must be less than or equal to {MOST_PARALLEL} when completions are above {MOST_INDEXED} and used with backoff limit per index"),
            )),
            Some(_) => {}
        }
        if parallelism > MOST_PARALLEL {
            errors.push(FieldError::invalid(
                &path.child("parallelism"),
                &parallelism,
                &format!("must be less than or equal to {MOST_PARALLEL} when completions are above {MOST_INDEXED} and used with backoff limit per index"),
            ));
        }
    }
}

/// The names of the containers of the job's pods.
pub(super) fn container_names(spec: &Value) -> impl Iterator<Item = &str> {
    let pod = part(part(spec, "template"), "spec");
    ["containers", "initContainers"]
        .into_iter()
        .flat_map(move |field| list(pod, field))
        .map(|container| text(container, "name"))
}
