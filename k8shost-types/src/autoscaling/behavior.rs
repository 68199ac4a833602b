//! How fast an autoscaler may go up and down.

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, list, text},
    rules::{Errors, check_non_negative, choice, fill_absent, is_set},
};

const LONGEST_WINDOW: i64 = 3600;
const LONGEST_PERIOD: i64 = 1800;

/// Fills what is said of neither direction as soon as anything is said of one.
pub(super) fn default(spec: &mut Value) {
    let Some(behavior) = tree::get_mut(spec, "behavior") else {
        return;
    };
    if get(behavior, "scaleUp").is_none() && get(behavior, "scaleDown").is_none() {
        return;
    }
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    for (field, policies) in [
        ("scaleUp", vec![pods, percent.clone()]),
        ("scaleDown", vec![percent]),
    ] {
        fill_absent(behavior, field, json!({}));
        let Some(rules) = tree::get_mut(behavior, field) else {
            continue;
        };
        if field == "scaleUp" {
            fill_absent(rules, "stabilizationWindowSeconds", 0);
        }
        fill_absent(rules, "selectPolicy", "Max");
        if get(rules, "policies").is_none() {
            tree::set(rules, "policies", policies);
        }
    }
}

pub(super) fn validate(behavior: &Value, path: &Path<'_>, errors: &mut Errors) {
    for field in ["scaleUp", "scaleDown"] {
        if let Some(rules) = get(behavior, field) {
            validate_rules(rules, &path.child(field), errors);
        }
    }
}

fn validate_rules(rules: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(window) = int(rules, "stabilizationWindowSeconds") {
        let path = path.child("stabilizationWindowSeconds");
        if window < 0 {
            let detail = "must be greater than or equal to zero";
            errors.push(FieldError::invalid(&path, &window, detail));
        } else if window > LONGEST_WINDOW {
            let detail = format!("must be less than or equal to {LONGEST_WINDOW}");
            errors.push(FieldError::invalid(&path, &window, &detail));
        }
    }
    let choices = ["Disabled", "Max", "Min"];
    choice(rules, "selectPolicy", &choices, path, errors);
    let policies_path = path.child("policies");
    if !is_set(rules, "policies") {
        errors.push(FieldError::required(
            &policies_path,
            "must specify at least one Policy",
        ));
    }
    for (i, policy) in list(rules, "policies").iter().enumerate() {
        let path = policies_path.index(i);
        let kind = text(policy, "type");
        if !matches!(kind, "Percent" | "Pods") {
            let kinds = ["Percent", "Pods"];
            errors.push(FieldError::not_supported(&path.child("type"), kind, &kinds));
        }
        for field in ["value", "periodSeconds"] {
            let number = int(policy, field).unwrap_or_default();
            let path = path.child(field);
            if number <= 0 {
                let detail = "must be greater than zero";
                errors.push(FieldError::invalid(&path, &number, detail));
            }
            if field == "periodSeconds" && number > LONGEST_PERIOD {
                let detail = format!("must be less than or equal to {LONGEST_PERIOD}");
                errors.push(FieldError::invalid(&path, &number, &detail));
            }
        }
    }
    if let Some(tolerance) = get(rules, "tolerance") {
        let path = path.child("tolerance");
        let quantity = crate::pod::validate_readable(tolerance, &path, errors);
        if quantity.is_some_and(|quantity| quantity.is_negative()) {
            check_non_negative(-1, &path, errors);
        }
    }
}
