//! PodDisruptionBudget, the one kind of policy/v1 that is stored.

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get},
    meta, names,
    rules::{
        self, Errors, Raw, at_most_all, choice, int_or_percent, part, spec, validate_label_selector,
    },
    strategy::{Strategy, Text},
};

/// The row of PodDisruptionBudget in the table of kinds.
pub static POD_DISRUPTION_BUDGET: Strategy = Strategy {
    kind: Text::Borrowed("PodDisruptionBudget"),
    api_version: Text::Borrowed("policy/v1"),
    resource: Text::Borrowed("poddisruptionbudgets"),
    name_rule: names::path_segment,
    default: |budget| {
        tree::ensure_object(budget, "spec");
        rules::zeros(budget, &COUNTS);
    },
    prepare_create: |budget| {
        rules::begin(budget, json!({}));
        rules::zeros(budget, &COUNTS);
    },
    validate_create: |budget| {
        let mut errors = Errors::new();
        meta::validate_create(budget, true, names::path_segment, &mut errors);
        validate(budget, &mut errors);
        errors
    },
    prepare_update: rules::prepare_update,
    validate_update: |new, _| {
        let mut errors = Errors::new();
        validate(new, &mut errors);
        errors
    },
    prepare_status_update: rules::prepare_status_update,
    validate_status_update: |new, _| {
        let mut errors = Errors::new();
        rules::counts(new, &COUNTS, &[], &mut errors);
        errors
    },
    has_status: true,
    unconditional_update: false,
    ..Strategy::BASE
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&POD_DISRUPTION_BUDGET];

/// What a status always shows.
const COUNTS: [&str; 4] = [
    "disruptionsAllowed",
    "currentHealthy",
    "desiredHealthy",
    "expectedPods",
];

fn validate(budget: &Value, errors: &mut Errors) {
    let spec = spec(budget);
    let path = Path::new("spec");
    let amounts = ["minAvailable", "maxUnavailable"].map(|field| (field, get(spec, field)));
    if amounts.iter().all(|(_, amount)| amount.is_some()) {
        // The value is shown as Go has it, in the order of its fields.
        let shown = format!(
            r#"{{"MinAvailable":{},"Selector":{},"MaxUnavailable":{},"UnhealthyPodEvictionPolicy":{}}}"#,
            part(spec, "minAvailable"),
            part(spec, "selector"),
            part(spec, "maxUnavailable"),
            part(spec, "unhealthyPodEvictionPolicy"),
        );
        errors.push(FieldError::invalid(
            &path,
            &Raw(&shown),
            "minAvailable and maxUnavailable cannot be both set",
        ));
    }
    for (field, amount) in amounts {
        if let Some(amount) = amount {
            int_or_percent(amount, &path.child(field), errors);
            at_most_all(amount, &path.child(field), errors);
        }
    }
    if let Some(selector) = get(spec, "selector") {
        validate_label_selector(selector, &path.child("selector"), errors);
    }
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    choice(spec, "unhealthyPodEvictionPolicy", &policies, &path, errors);
}
