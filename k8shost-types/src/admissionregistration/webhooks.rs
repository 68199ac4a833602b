//! ValidatingWebhookConfiguration and MutatingWebhookConfiguration.

use serde_json::Value;

use super::{CLUSTER, default_match, validate_conditions, validate_rule, validate_selectors};
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, int, list, list_mut, text},
    meta, names,
    pod::validate_port_number,
    rules::{self, Errors, Seen, choice, faults, fill_absent, is_set, part, require, strings},
    strategy::{Strategy, Text},
};

/// The row of ValidatingWebhookConfiguration in the table of kinds.
pub static VALIDATING_WEBHOOK_CONFIGURATION: Strategy = Strategy {
    kind: Text::Borrowed("ValidatingWebhookConfiguration"),
    resource: Text::Borrowed("validatingwebhookconfigurations"),
    default: |configuration| default(configuration, false),
    ..WEBHOOKS
};

/// The row of MutatingWebhookConfiguration in the table of kinds.
pub static MUTATING_WEBHOOK_CONFIGURATION: Strategy = Strategy {
    kind: Text::Borrowed("MutatingWebhookConfiguration"),
    resource: Text::Borrowed("mutatingwebhookconfigurations"),
    default: |configuration| default(configuration, true),
    ..WEBHOOKS
};

const WEBHOOKS: Strategy = Strategy {
    prepare_create: |configuration| meta::set(configuration, "generation", 1),
    validate_create: |configuration| {
        rules::created(configuration, false, names::subdomain_rule, validate)
    },
    prepare_update: |new, old| rules::bump_generation(new, old, &["webhooks"]),
    validate_update: |new, old| rules::updated(new, old, validate),
    ..CLUSTER
};

fn default(configuration: &mut Value, mutating: bool) {
    for webhook in list_mut(configuration, "webhooks") {
        fill_absent(webhook, "failurePolicy", "Fail");
        default_match(webhook, &["rules"]);
        fill_absent(webhook, "timeoutSeconds", 10);
        if mutating {
            fill_absent(webhook, "reinvocationPolicy", "Never");
        }
        if let Some(service) = tree::get_mut(webhook, "clientConfig")
            .and_then(|client| tree::get_mut(client, "service"))
        {
            fill_absent(service, "port", 443);
        }
    }
    rules::drop_empty(configuration, &["webhooks"]);
}

fn validate(configuration: &Value, errors: &mut Errors) {
    let path = Path::new("webhooks");
    let mut seen = Seen::new();
    for (i, webhook) in list(configuration, "webhooks").iter().enumerate() {
        let path = path.index(i);
        validate_webhook(webhook, &path, errors);
        let name = text(webhook, "name");
        if !name.is_empty() && !seen.add(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
    }
}

fn validate_webhook(webhook: &Value, path: &Path<'_>, errors: &mut Errors) {
    let name = text(webhook, "name");
    let name_path = path.child("name");
    if name.is_empty() {
        errors.push(FieldError::required(&name_path, ""));
    } else {
        let found = names::dns1123_subdomain(name);
        if found.is_empty() && name.split('.').count() < 3 {
            errors.push(FieldError::invalid(
                &name_path,
                name,
                "should be a domain with at least three segments separated by dots",
            ));
        }
        faults(found, name, &name_path, errors);
    }
    validate_versions(webhook, path, errors);
    let rules_path = path.child("rules");
    for (i, rule) in list(webhook, "rules").iter().enumerate() {
        validate_rule(rule, &rules_path.index(i), errors);
    }
    choice(webhook, "failurePolicy", &["Fail", "Ignore"], path, errors);
    choice(
        webhook,
        "matchPolicy",
        &["Equivalent", "Exact"],
        path,
        errors,
    );
    let effects = ["None", "NoneOnDryRun"];
    if get(webhook, "sideEffects").is_none() {
        errors.push(FieldError::required(
            &path.child("sideEffects"),
            "must specify one of None, NoneOnDryRun",
        ));
    }
    choice(webhook, "sideEffects", &effects, path, errors);
    let policies = ["IfNeeded", "Never"];
    choice(webhook, "reinvocationPolicy", &policies, path, errors);
    if let Some(seconds) = int(webhook, "timeoutSeconds")
        && !(1..=30).contains(&seconds)
    {
        errors.push(FieldError::invalid(
            &path.child("timeoutSeconds"),
            &seconds,
            "the timeout value must be between 1 and 30 seconds",
        ));
    }
    validate_selectors(webhook, path, errors);
    let client = part(webhook, "clientConfig");
    validate_client(client, &path.child("clientConfig"), errors);
    validate_conditions(webhook, path, errors);
}

fn validate_versions(webhook: &Value, path: &Path<'_>, errors: &mut Errors) {
    let field = "admissionReviewVersions";
    if !is_set(webhook, field) {
        errors.push(FieldError::required(
            &path.child(field),
            "must specify one of v1, v1beta1",
        ));
        return;
    }
    let path = path.child(field);
    let mut seen = Seen::new();
    for (i, version) in strings(webhook, field).enumerate() {
        if !seen.add(version) {
            errors.push(FieldError::invalid(
                &path.index(i),
                version,
                "duplicate version",
            ));
        }
        faults(
            names::dns1035_label(version),
            version,
            &path.index(i),
            errors,
        );
    }
    if !seen.has(&"v1") && !seen.has(&"v1beta1") {
        errors.push(FieldError::invalid(
            &path,
            part(webhook, field),
            "must include at least one of v1, v1beta1",
        ));
    }
}

fn validate_client(client: &Value, path: &Path<'_>, errors: &mut Errors) {
    let (url, service) = (get(client, "url"), get(client, "service"));
    if url.is_some() == service.is_some() {
        errors.push(FieldError::required(
            path,
            "exactly one of url or service is required",
        ));
        return;
    }
    if let Some(Value::String(url)) = url {
        validate_url(url, &path.child("url"), errors);
    }
    let Some(service) = service else {
        return;
    };
    let path = path.child("service");
    require(service, "name", &path, errors);
    require(service, "namespace", &path, errors);
    let port = int(service, "port").unwrap_or_default();
    validate_port_number(port, &path.child("port"), errors);
    if let Some(Value::String(target)) = get(service, "path") {
        let path = path.child("path");
        if !target.starts_with('/') {
            errors.push(FieldError::invalid(&path, target, "must start with a '/'"));
        } else if target.contains("//") {
            errors.push(FieldError::invalid(
                &path,
                target,
                "segment[1] may not be empty",
            ));
        }
    }
}

fn validate_url(url: &str, path: &Path<'_>, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[:port]/path";
    let Some((scheme, rest)) = url.split_once("://") else {
        let detail = format!("url must be a valid URL{FORM}");
        errors.push(FieldError::required(path, &detail));
        return;
    };
    let mut fault = |detail: &str, value: &str| {
        errors.push(FieldError::invalid(path, value, &format!("{detail}{FORM}")));
    };
    if scheme != "https" {
        fault("'https' is the only allowed URL scheme", scheme);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        fault("host must be specified", host);
    }
    if !user.is_empty() {
        fault("user information is not permitted in the URL", user);
    }
    if rest.contains('#') {
        fault("fragments are not permitted in the URL", url);
    }
    if rest.contains('?') {
        fault("query parameters are not permitted in the URL", url);
    }
}
