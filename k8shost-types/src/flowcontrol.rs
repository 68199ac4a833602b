//! Kinds of flowcontrol.apiserver.k8s.io/v1: which requests are served first.

use serde_json::{Value, json};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, list, text},
    meta, names,
    rules::{self, Errors, fill_absent, fill_zero, is_set, part, require, spec},
    strategy::{Strategy, Text},
};

/// The row of FlowSchema in the table of kinds.
pub static FLOW_SCHEMA: Strategy = Strategy {
    kind: Text::Borrowed("FlowSchema"),
    resource: Text::Borrowed("flowschemas"),
    default: |schema| {
        if let Some(spec) = tree::ensure_object(schema, "spec") {
            fill_zero(spec, "matchingPrecedence", 1000);
        }
        fill_absent(schema, "status", json!({}));
    },
    validate_create: |schema| rules::created(schema, false, names::subdomain_rule, validate_schema),
    validate_update: |new, old| rules::updated(new, old, validate_schema),
    ..FLOW
};

/// The row of PriorityLevelConfiguration in the table of kinds.
pub static PRIORITY_LEVEL_CONFIGURATION: Strategy = Strategy {
    kind: Text::Borrowed("PriorityLevelConfiguration"),
    resource: Text::Borrowed("prioritylevelconfigurations"),
    default: default_level,
    validate_create: |level| rules::created(level, false, names::subdomain_rule, validate_level),
    validate_update: |new, old| rules::updated(new, old, validate_level),
    ..FLOW
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&FLOW_SCHEMA, &PRIORITY_LEVEL_CONFIGURATION];

const FLOW: Strategy = Strategy {
    api_version: Text::Borrowed("flowcontrol.apiserver.k8s.io/v1"),
    namespaced: false,
    prepare_create: |object| rules::begin(object, json!({})),
    prepare_update: rules::prepare_update,
    prepare_status_update: rules::prepare_status_update,
    selectable: &["metadata.name"],
    has_status: true,
    unconditional_update: false,
    ..Strategy::BASE
};

fn default_level(level: &mut Value) {
    if let Some(spec) = tree::ensure_object(level, "spec") {
        if let Some(exempt) = tree::get_mut(spec, "exempt") {
            fill_absent(exempt, "nominalConcurrencyShares", 0);
            fill_absent(exempt, "lendablePercent", 0);
        }
        if let Some(limited) = tree::get_mut(spec, "limited") {
            fill_absent(limited, "nominalConcurrencyShares", 30);
            fill_absent(limited, "lendablePercent", 0);
            if let Some(queuing) = tree::get_mut(limited, "limitResponse")
                .and_then(|response| tree::get_mut(response, "queuing"))
            {
                for (field, number) in [("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)] {
                    fill_zero(queuing, field, number);
                }
            }
        }
    }
    fill_absent(level, "status", json!({}));
}

fn validate_schema(schema: &Value, errors: &mut Errors) {
    const MOST: i64 = 10_000;
    let spec = spec(schema);
    let path = Path::new("spec");
    let precedence = int(spec, "matchingPrecedence").unwrap_or_default();
    let precedence_path = path.child("matchingPrecedence");
    if !(1..=MOST).contains(&precedence) {
        let detail = format!("must be a value between 1 and {MOST}");
        errors.push(FieldError::invalid(&precedence_path, &precedence, &detail));
    } else if precedence == 1 && meta::name(schema) != "exempt" {
        errors.push(FieldError::invalid(
            &precedence_path,
            &precedence,
            "only the schema named 'exempt' may have matchingPrecedence 1",
        ));
    }
    if let Some(method) = get(spec, "distinguisherMethod") {
        let path = path.child("distinguisherMethod");
        let methods = ["ByNamespace", "ByUser"];
        let kind = text(method, "type");
        if !methods.contains(&kind) {
            errors.push(FieldError::not_supported(
                &path.child("type"),
                kind,
                &methods,
            ));
        }
    }
    let level = part(spec, "priorityLevelConfiguration");
    let level_path = path.child("priorityLevelConfiguration");
    if text(level, "name").is_empty() {
        errors.push(FieldError::required(
            &level_path.child("name"),
            "must reference a priority level",
        ));
    }
    rules::name_in(level, "name", names::dns1123_subdomain, &level_path, errors);
    let rules_path = path.child("rules");
    for (i, rule) in list(spec, "rules").iter().enumerate() {
        validate_rule(rule, &rules_path.index(i), errors);
    }
}

fn validate_rule(rule: &Value, path: &Path<'_>, errors: &mut Errors) {
    let subjects = path.child("subjects");
    if !is_set(rule, "subjects") {
        errors.push(FieldError::required(
            &subjects,
            "subjects must contain at least one value",
        ));
    }
    for (i, subject) in list(rule, "subjects").iter().enumerate() {
        let path = subjects.index(i);
        let kinds = [
            ("Group", "group"),
            ("ServiceAccount", "serviceAccount"),
            ("User", "user"),
        ];
        let kind = text(subject, "kind");
        let Some((_, field)) = kinds.iter().find(|(known, _)| *known == kind) else {
            let kinds = kinds.map(|(kind, _)| kind);
            errors.push(FieldError::not_supported(&path.child("kind"), kind, &kinds));
            continue;
        };
        for (other, other_field) in kinds {
            let path = path.child(other_field);
            if other == kind {
                match get(subject, field) {
                    Some(named) => {
                        require(named, "name", &path, errors);
                        if other == "ServiceAccount" {
                            require(named, "namespace", &path, errors);
                        }
                    }
                    None => {
                        let detail = format!("{field} is required when subject kind is '{kind}'");
                        errors.push(FieldError::required(&path, &detail));
                    }
                }
            } else if get(subject, other_field).is_some() {
                let detail =
                    format!("{other_field} is forbidden when subject kind is not '{other}'");
                errors.push(FieldError::forbidden(&path, &detail));
            }
        }
    }
    if !is_set(rule, "resourceRules") && !is_set(rule, "nonResourceRules") {
        errors.push(FieldError::required(
            path,
            "at least one of resourceRules and nonResourceRules has to be non-empty",
        ));
    }
    for (lists, fields) in [
        ("resourceRules", &["verbs", "apiGroups", "resources"][..]),
        ("nonResourceRules", &["verbs", "nonResourceURLs"]),
    ] {
        let path = path.child(lists);
        for (i, item) in list(rule, lists).iter().enumerate() {
            let path = path.index(i);
            for field in fields {
                if !is_set(item, field) {
                    errors.push(FieldError::required(&path.child(field), ""));
                }
            }
            let everywhere = rules::part(item, "clusterScope") == &Value::Bool(true);
            if lists == "resourceRules" && !everywhere && !is_set(item, "namespaces") {
                errors.push(FieldError::required(
                    &path.child("namespaces"),
                    "resource rules that are not cluster scoped must supply at least one namespace",
                ));
            }
        }
    }
}

fn validate_level(level: &Value, errors: &mut Errors) {
    let spec = spec(level);
    let path = Path::new("spec");
    let (limited, exempt) = (get(spec, "limited"), get(spec, "exempt"));
    let limited_path = path.child("limited");
    match text(spec, "type") {
        "Exempt" => {
            if limited.is_some() {
                errors.push(FieldError::forbidden(
                    &limited_path,
                    "must be nil if the type is not Limited",
                ));
            }
            if let Some(exempt) = exempt {
                validate_shares(exempt, &path.child("exempt"), errors);
            }
        }
        "Limited" => {
            if exempt.is_some() {
                errors.push(FieldError::forbidden(
                    &path.child("exempt"),
                    "must be nil if the type is Limited",
                ));
            }
            match limited {
                None => errors.push(FieldError::required(
                    &limited_path,
                    "must not be empty when type is Limited",
                )),
                Some(limited) => validate_limited(limited, &limited_path, errors),
            }
        }
        other => errors.push(FieldError::not_supported(
            &path.child("type"),
            other,
            &["Exempt", "Limited"],
        )),
    }
}

fn validate_shares(value: &Value, path: &Path<'_>, errors: &mut Errors) {
    if let Some(shares) = int(value, "nominalConcurrencyShares")
        && shares < 0
    {
        errors.push(FieldError::invalid(
            &path.child("nominalConcurrencyShares"),
            &shares,
            "must be a non-negative integer",
        ));
    }
    if let Some(percent) = int(value, "lendablePercent")
        && !(0..=100).contains(&percent)
    {
        errors.push(FieldError::invalid(
            &path.child("lendablePercent"),
            &percent,
            "must be between 0 and 100, inclusive",
        ));
    }
}

fn validate_limited(limited: &Value, path: &Path<'_>, errors: &mut Errors) {
    validate_shares(limited, path, errors);
    if let Some(percent) = int(limited, "borrowingLimitPercent")
        && percent < 0
    {
        errors.push(FieldError::invalid(
            &path.child("borrowingLimitPercent"),
            &percent,
            "if specified, must be a non-negative integer",
        ));
    }
    let response = part(limited, "limitResponse");
    let path = path.child("limitResponse");
    let queuing = get(response, "queuing");
    let queuing_path = path.child("queuing");
    match (text(response, "type"), queuing) {
        ("Reject", Some(_)) => errors.push(FieldError::forbidden(
            &queuing_path,
            "must be nil if limited.limitResponse.type is not Limited",
        )),
        ("Reject", None) => {}
        ("Queue", None) => errors.push(FieldError::required(
            &queuing_path,
            "must not be empty if limited.limitResponse.type is Limited",
        )),
        ("Queue", Some(queuing)) => validate_queuing(queuing, &queuing_path, errors),
        ("", _) => errors.push(FieldError::required(&path.child("type"), "")),
        (other, _) => errors.push(FieldError::not_supported(
            &path.child("type"),
            other,
            &["Queue", "Reject"],
        )),
    }
}

fn validate_queuing(queuing: &Value, path: &Path<'_>, errors: &mut Errors) {
    const MOST_QUEUES: i64 = 10_000_000;
    let number = |field| int(queuing, field).unwrap_or_default();
    for field in ["queueLengthLimit", "queues", "handSize"] {
        if number(field) <= 0 {
            errors.push(FieldError::invalid(
                &path.child(field),
                &number(field),
                "must be positive",
            ));
        }
    }
    let queues = number("queues");
    if queues > MOST_QUEUES {
        let detail = format!("must not be greater than {MOST_QUEUES}");
        errors.push(FieldError::invalid(&path.child("queues"), &queues, &detail));
    }
    if number("handSize") > queues {
        let detail = format!("should not be greater than queues ({queues})");
        let size = number("handSize");
        errors.push(FieldError::invalid(&path.child("handSize"), &size, &detail));
    }
}
