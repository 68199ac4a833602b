//! ValidatingAdmissionPolicy and its binding.

use serde_json::{Value, json};

use super::{CLUSTER, default_match, validate_conditions, validate_rule, validate_selectors};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, text},
    meta, names,
    rules::{
        self, Errors, Seen, choice, faults, fill_absent, is_set, part, require, spec, strings,
        validate_label_selector,
    },
    strategy::{Strategy, Text},
};

/// The row of ValidatingAdmissionPolicy in the table of kinds.
pub static VALIDATING_ADMISSION_POLICY: Strategy = Strategy {
    kind: Text::Borrowed("ValidatingAdmissionPolicy"),
    resource: Text::Borrowed("validatingadmissionpolicies"),
    default: |policy| {
        if let Some(spec) = tree::ensure_object(policy, "spec") {
            fill_absent(spec, "failurePolicy", "Fail");
            default_constraints(spec, "matchConstraints");
        }
        fill_absent(policy, "status", json!({}));
    },
    prepare_create: |policy| rules::begin(policy, json!({})),
    validate_create: |policy| rules::created(policy, false, names::subdomain_rule, validate),
    prepare_update: rules::prepare_update,
    validate_update: |new, old| rules::updated(new, old, validate),
    prepare_status_update: rules::prepare_status_update,
    has_status: true,
    ..CLUSTER
};

/// The row of ValidatingAdmissionPolicyBinding in the table of kinds.
pub static VALIDATING_ADMISSION_POLICY_BINDING: Strategy = Strategy {
    kind: Text::Borrowed("ValidatingAdmissionPolicyBinding"),
    resource: Text::Borrowed("validatingadmissionpolicybindings"),
    default: |binding| {
        if let Some(spec) = tree::ensure_object(binding, "spec") {
            default_constraints(spec, "matchResources");
        }
    },
    prepare_create: |binding| meta::set(binding, "generation", 1),
    validate_create: |binding| {
        rules::created(binding, false, names::subdomain_rule, validate_binding)
    },
    prepare_update: |new, old| rules::bump_generation(new, old, &["spec"]),
    validate_update: |new, old| rules::updated(new, old, validate_binding),
    ..CLUSTER
};

const RULES: [&str; 2] = ["resourceRules", "excludeResourceRules"];

fn default_constraints(spec: &mut Value, field: &str) {
    if let Some(constraints) = tree::get_mut(spec, field) {
        default_match(constraints, &RULES);
    }
}

fn validate_constraints(constraints: &Value, path: &Path<'_>, errors: &mut Errors) {
    choice(
        constraints,
        "matchPolicy",
        &["Equivalent", "Exact"],
        path,
        errors,
    );
    validate_selectors(constraints, path, errors);
    for field in RULES {
        let path = path.child(field);
        for (i, rule) in list(constraints, field).iter().enumerate() {
            validate_rule(rule, &path.index(i), errors);
        }
    }
}

fn validate(policy: &Value, errors: &mut Errors) {
    let spec = spec(policy);
    let path = Path::new("spec");
    choice(spec, "failurePolicy", &["Fail", "Ignore"], &path, errors);
    if let Some(kind) = get(spec, "paramKind") {
        let path = path.child("paramKind");
        require(kind, "apiVersion", &path, errors);
        require(kind, "kind", &path, errors);
    }
    let constraints_path = path.child("matchConstraints");
    match get(spec, "matchConstraints") {
        None => errors.push(FieldError::required(&constraints_path, "")),
        Some(constraints) => {
            validate_constraints(constraints, &constraints_path, errors);
            if !is_set(constraints, "resourceRules") {
                let path = constraints_path.child("resourceRules");
                errors.push(FieldError::required(&path, ""));
            }
        }
    }
    validate_conditions(spec, &path, errors);
    let variables = path.child("variables");
    let mut seen = Seen::new();
    for (i, variable) in list(spec, "variables").iter().enumerate() {
        let path = variables.index(i);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.push(FieldError::required(
                &path.child("name"),
                "name is not specified",
            ));
        } else {
            faults(names::c_identifier(name), name, &path.child("name"), errors);
            if !seen.add(name) {
                errors.push(FieldError::duplicate(&path.child("name"), name));
            }
        }
        validate_expression(variable, "expression", &path, errors);
    }
    if !is_set(spec, "validations") && !is_set(spec, "auditAnnotations") {
        errors.push(FieldError::required(
            &path.child("validations"),
            "validations or auditAnnotations must be specified",
        ));
    }
    let validations = path.child("validations");
    for (i, validation) in list(spec, "validations").iter().enumerate() {
        let path = validations.index(i);
        validate_expression(validation, "expression", &path, errors);
        let reasons = [
            "Forbidden",
            "Invalid",
            "RequestEntityTooLarge",
            "Unauthorized",
        ];
        choice(validation, "reason", &reasons, &path, errors);
    }
    let annotations = path.child("auditAnnotations");
    let mut seen = Seen::new();
    for (i, annotation) in list(spec, "auditAnnotations").iter().enumerate() {
        let path = annotations.index(i);
        let key = text(annotation, "key");
        if key.is_empty() {
            errors.push(FieldError::required(&path.child("key"), ""));
        } else {
            faults(names::qualified_name(key), key, &path.child("key"), errors);
            if !seen.add(key) {
                errors.push(FieldError::duplicate(&path.child("key"), key));
            }
        }
        validate_expression(annotation, "valueExpression", &path, errors);
    }
}

fn validate_expression(value: &Value, field: &str, path: &Path<'_>, errors: &mut Errors) {
    if text(value, field).trim().is_empty() {
        let detail = format!("{field} is not specified");
        errors.push(FieldError::required(&path.child(field), &detail));
    }
}

fn validate_binding(binding: &Value, errors: &mut Errors) {
    let spec = spec(binding);
    let path = Path::new("spec");
    let policy = text(spec, "policyName");
    if policy.is_empty() {
        errors.push(FieldError::required(&path.child("policyName"), ""));
    } else {
        let found = names::dns1123_subdomain(policy);
        faults(found, policy, &path.child("policyName"), errors);
    }
    if let Some(parameters) = get(spec, "paramRef") {
        validate_parameters(parameters, &path.child("paramRef"), errors);
    }
    if let Some(constraints) = get(spec, "matchResources") {
        validate_constraints(constraints, &path.child("matchResources"), errors);
    }
    let actions_path = path.child("validationActions");
    if !is_set(spec, "validationActions") {
        errors.push(FieldError::required(
            &actions_path,
            "at least one validation action is required",
        ));
    }
    let mut seen = Seen::new();
    for (i, action) in strings(spec, "validationActions").enumerate() {
        let path = actions_path.index(i);
        let actions = ["Audit", "Deny", "Warn"];
        if !actions.contains(&action) {
            errors.push(FieldError::not_supported(&path, action, &actions));
        }
        if !seen.add(action) {
            errors.push(FieldError::duplicate(&path, action));
        }
    }
    if seen.has(&"Deny") && seen.has(&"Warn") {
        errors.push(FieldError::invalid(
            &actions_path,
            part(spec, "validationActions"),
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
        ));
    }
}

fn validate_parameters(parameters: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (name, selector) = (text(parameters, "name"), get(parameters, "selector"));
    if name.is_empty() == selector.is_none() {
        errors.push(FieldError::required(
            path,
            "one of name or selector must be specified, and not both",
        ));
    }
    if let Some(selector) = selector {
        validate_label_selector(selector, &path.child("selector"), errors);
    }
    let actions = ["Allow", "Deny"];
    if get(parameters, "parameterNotFoundAction").is_none() {
        let path = path.child("parameterNotFoundAction");
        errors.push(FieldError::required(&path, ""));
    }
    choice(
        parameters,
        "parameterNotFoundAction",
        &actions,
        path,
        errors,
    );
}
