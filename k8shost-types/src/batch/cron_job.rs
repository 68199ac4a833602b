//! CronJob.

use serde_json::{Value, json};

use super::{job_spec, schedule};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, flag, get, text},
    meta, names, pod,
    rules::{self, Errors, fill, fill_absent, non_negative, part, required_choice, spec},
    strategy::{Strategy, Text},
};

/// The row of CronJob in the table of kinds.
pub static CRON_JOB: Strategy = Strategy {
    kind: Text::Borrowed("CronJob"),
    api_version: Text::Borrowed("batch/v1"),
    resource: Text::Borrowed("cronjobs"),
    default,
    prepare_create: |object| {
        rules::begin(object, json!({}));
        drop_disabled(object);
    },
    validate_create: |object| {
        let mut errors = rules::metadata(object, true, names::subdomain_rule);
        validate_name(object, &mut errors);
        validate(object, None, &mut errors);
        errors
    },
    prepare_update: |new, old| {
        drop_disabled(new);
        rules::prepare_update(new, old);
    },
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        validate(new, Some(old), &mut errors);
        errors
    },
    prepare_status_update: rules::prepare_status_update,
    has_status: true,
    ..Strategy::BASE
};

/// The longest name, to which eleven characters come in the names of jobs.
const NAME_MAX: usize = 52;

fn job_template(object: &mut Value) -> Option<&mut Value> {
    tree::get_mut(tree::get_mut(object, "spec")?, "jobTemplate")
}

fn drop_disabled(object: &mut Value) {
    if let Some(template) = job_template(object)
        .and_then(|job| tree::get_mut(job, "spec"))
        .and_then(|spec| tree::get_mut(spec, "template"))
    {
        pod::drop_disabled(template);
    }
}

/// The jobs' own defaults are left to the jobs made of the template.
fn default(object: &mut Value) {
    if let Some(spec) = tree::ensure_object(object, "spec") {
        fill(spec, "concurrencyPolicy", "Allow");
        fill_absent(spec, "suspend", false);
        fill_absent(spec, "successfulJobsHistoryLimit", 3);
        fill_absent(spec, "failedJobsHistoryLimit", 1);
        if let Some(job) = tree::ensure_object(spec, "jobTemplate") {
            tree::ensure_object(job, "metadata");
            if let Some(template) = tree::ensure_object(job, "spec")
                .and_then(|spec| tree::ensure_object(spec, "template"))
            {
                pod::template_defaults(template);
            }
        }
    }
    fill_absent(object, "status", json!({}));
}

fn validate_name(object: &Value, errors: &mut Errors) {
    let name = meta::name(object);
    if name.len() > NAME_MAX {
        let path = Path::new("metadata");
        let detail = format!("must be no more than {NAME_MAX} characters");
        errors.push(FieldError::invalid(&path.child("name"), name, &detail));
    }
}

fn validate(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = spec(object);
    let path = Path::new("spec");
    validate_schedule(spec, old.map(rules::spec), &path, errors);
    non_negative(spec, "startingDeadlineSeconds", &path, errors);
    let unchanged = old.is_some_and(|old| rules::same(spec, rules::spec(old), "timeZone"));
    if let Some(zone) = get(spec, "timeZone")
        && !unchanged
    {
        validate_time_zone(
            zone.as_str().unwrap_or_default(),
            &path.child("timeZone"),
            errors,
        );
    }
    let policies = ["Allow", "Forbid", "Replace"];
    required_choice(spec, "concurrencyPolicy", &policies, &path, errors);
    let job = part(part(spec, "jobTemplate"), "spec");
    let job_path = path.child("jobTemplate");
    let job_path = job_path.child("spec");
    job_spec::validate(job, &job_path, errors);
    if let Some(selector) = get(job, "selector") {
        errors.push(FieldError::invalid(
            &job_path.child("selector"),
            selector,
            "`selector` will be auto-generated",
        ));
    }
    if flag(job, "manualSelector") {
        errors.push(FieldError::not_supported(
            &job_path.child("manualSelector"),
            &true,
            &["nil", "false"],
        ));
    }
    non_negative(spec, "successfulJobsHistoryLimit", &path, errors);
    non_negative(spec, "failedJobsHistoryLimit", &path, errors);
}

fn validate_schedule(spec: &Value, old: Option<&Value>, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("schedule");
    let given = text(spec, "schedule");
    if given.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    if let Err(fault) = schedule::parse(given) {
        errors.push(FieldError::invalid(&path, given, &fault));
    }
    if !given.contains("TZ") {
        return;
    }
    let had_before = old.is_some_and(|old| text(old, "schedule").contains("TZ"));
    let fault = if !had_before {
        "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    } else if get(spec, "timeZone").is_some() {
        "cannot use both timeZone field and TZ or CRON_TZ in schedule"
    } else {
        return;
    };
    errors.push(FieldError::invalid(&path, given, fault));
}

fn validate_time_zone(zone: &str, path: &Path<'_>, errors: &mut Errors) {
    let fault = if zone.is_empty() {
        "timeZone must be nil or non-empty string".to_owned()
    } else if zone.eq_ignore_ascii_case("Local") {
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
            .to_owned()
    } else if !schedule::is_time_zone(zone) {
        format!("unknown time zone {zone}")
    } else {
        return;
    };
    errors.push(FieldError::invalid(path, zone, &fault));
}
