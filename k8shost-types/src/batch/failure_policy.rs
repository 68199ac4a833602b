//! What a job makes of pods that fail, and when it counts as done before all have succeeded.

use serde_json::Value;

use super::job_spec::{container_names, is_indexed};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    names,
    rules::{Errors, Raw, Seen, check_non_negative, faults, part},
};

const MOST_RULES: usize = 20;
const MOST_CODES: usize = 255;
const MOST_CONDITIONS: usize = 20;
/// The longest list of indexes, in characters.
const MOST_INDEXES: usize = 64 * 1024;

/// A field that must be one of some, in the words that these rules have.
fn one_of(value: &Value, field: &str, choices: &[&str], path: &Path<'_>, errors: &mut Errors) {
    let given = text(value, field);
    let path = path.child(field);
    if given.is_empty() {
        let quoted: Vec<String> = choices.iter().map(|c| crate::field::quote(c)).collect();
        let detail = format!("valid values: [{}]", quoted.join(" "));
        errors.push(FieldError::required(&path, &detail));
    } else if !choices.contains(&given) {
        errors.push(FieldError::not_supported(&path, given, choices));
    }
}

pub(super) fn validate(policy: &Value, spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let path = path.child("rules");
    let rules = list(policy, "rules");
    if rules.len() > MOST_RULES {
        errors.push(FieldError::too_many(&path, rules.len(), MOST_RULES));
    }
    let containers: Seen<&str> = container_names(spec).collect();
    for (i, rule) in rules.iter().enumerate() {
        let path = path.index(i);
        let actions = ["Count", "FailIndex", "FailJob", "Ignore"];
        one_of(rule, "action", &actions, &path, errors);
        if text(rule, "action") == "FailIndex" && get(spec, "backoffLimitPerIndex").is_none() {
            errors.push(FieldError::invalid(
                &path.child("action"),
                "FailIndex",
                "requires the backoffLimitPerIndex to be set",
            ));
        }
        let codes = get(rule, "onExitCodes");
        if let Some(codes) = codes {
            validate_codes(codes, &containers, &path.child("onExitCodes"), errors);
        }
        let conditions = list(rule, "onPodConditions");
        validate_conditions(conditions, &path.child("onPodConditions"), errors);
        let fault = match (codes.is_some(), !conditions.is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        errors.push(FieldError::invalid(&path, &Raw(""), fault));
    }
}

fn validate_codes(codes: &Value, containers: &Seen<&str>, path: &Path<'_>, errors: &mut Errors) {
    one_of(codes, "operator", &["In", "NotIn"], path, errors);
    if let Some(Value::String(name)) = get(codes, "containerName")
        && !containers.has(&name.as_str())
    {
        errors.push(FieldError::invalid(
            &path.child("containerName"),
            name,
            "must be one of the container or initContainer names in the pod template",
        ));
    }
    let values = list(codes, "values");
    let path = path.child("values");
    if values.is_empty() {
        errors.push(FieldError::invalid(
            &path,
            part(codes, "values"),
            "at least one value is required",
        ));
    } else if values.len() > MOST_CODES {
        errors.push(FieldError::too_many(&path, values.len(), MOST_CODES));
    }
    let mut seen = Seen::new();
    let mut ordered = true;
    let mut before = i64::MIN;
    for (i, value) in values.iter().enumerate() {
        let code = value.as_i64().unwrap_or_default();
        if code == 0 && text(codes, "operator") == "In" {
            errors.push(FieldError::invalid(
                &path.index(i),
                &code,
                "must not be 0 for the In operator",
            ));
        }
        if !seen.add(code) {
            errors.push(FieldError::duplicate(&path.index(i), &code));
        }
        ordered &= before <= code;
        before = code;
    }
    if !ordered {
        let values = part(codes, "values");
        errors.push(FieldError::invalid(&path, values, "must be ordered"));
    }
}

fn validate_conditions(conditions: &[Value], path: &Path<'_>, errors: &mut Errors) {
    if conditions.len() > MOST_CONDITIONS {
        let count = conditions.len();
        errors.push(FieldError::too_many(path, count, MOST_CONDITIONS));
    }
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        let kind = text(condition, "type");
        faults(
            names::qualified_name(kind),
            kind,
            &path.child("type"),
            errors,
        );
        one_of(
            condition,
            "status",
            &["False", "True", "Unknown"],
            &path,
            errors,
        );
    }
}

pub(super) fn validate_success(policy: &Value, spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    if !is_indexed(spec) {
        errors.push(FieldError::invalid(
            path,
            policy,
            "requires indexed completion mode",
        ));
    }
    let path = path.child("rules");
    let rules = list(policy, "rules");
    if rules.is_empty() {
        errors.push(FieldError::required(
            &path,
            "at least one rules must be specified when the successPolicy is specified",
        ));
    }
    if rules.len() > MOST_RULES {
        errors.push(FieldError::too_many(&path, rules.len(), MOST_RULES));
    }
    let completions = int(spec, "completions").unwrap_or_default();
    for (i, rule) in rules.iter().enumerate() {
        let path = path.index(i);
        let indexes = get(rule, "succeededIndexes");
        let count = int(rule, "succeededCount");
        if indexes.is_none() && count.is_none() {
            errors.push(FieldError::required(
                &path,
                "at least one of succeededCount or succeededIndexes must be specified",
            ));
        }
        let mut total = None;
        if let Some(Value::String(indexes)) = indexes {
            let path = path.child("succeededIndexes");
            if indexes.len() > MOST_INDEXES {
                errors.push(FieldError::too_long(&path, MOST_INDEXES));
            }
            match count_indexes(indexes, completions) {
                Ok(number) => total = Some(number),
                Err(fault) => {
                    let detail = format!("error parsing succeededIndexes: {fault}");
                    errors.push(FieldError::invalid(&path, indexes, &detail));
                }
            }
        }
        if let Some(count) = count {
            let path = path.child("succeededCount");
            check_non_negative(count, &path, errors);
            for (most, of) in [
                (Some(completions), "the number of specified completions"),
                (
                    total,
                    "the number of indexes in the specified succeededIndexes field",
                ),
            ] {
                if let Some(most) = most
                    && count > most
                {
                    let detail = format!("must be less than or equal to {most} ({of})");
                    errors.push(FieldError::invalid(&path, &count, &detail));
                }
            }
        }
    }
}

/// How many indexes a list such as `0,2-4` names; each is greater than the one before, and less than
/// the number of completions.
fn count_indexes(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = |text: &str| -> Result<i64, String> {
        let number = text.parse::<i64>().map_err(|_| {
            format!(
                "cannot convert string to integer for index: {}",
                crate::field::quote(text)
            )
        })?;
        if number >= completions {
            return Err(format!("too large index: {}", crate::field::quote(text)));
        }
        Ok(number)
    };
    let mut total: i64 = 0;
    let mut before = -1;
    for interval in text.split(',') {
        let mut parts = interval.split('-');
        let (first, last) = (parts.next().unwrap_or_default(), parts.next());
        if parts.next().is_some() {
            let interval = crate::field::quote(interval);
            return Err(format!(
                "the fragment {interval} violates the requirement that an index interval can have at most two parts separated by '-'"
            ));
        }
        let first = number(first)?;
        if first <= before {
            return Err(format!(
                "non-increasing order, previous: {before}, current: {first}"
            ));
        }
        before = first;
        total += 1;
        if let Some(last) = last {
            let last = number(last)?;
            if last <= first {
                return Err(format!(
                    "non-increasing order, previous: {first}, current: {last}"
                ));
            }
            total = total.saturating_add(last - first);
            before = last;
        }
    }
    Ok(total)
}
