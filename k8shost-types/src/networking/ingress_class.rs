//! IngressClass.

use serde_json::Value;

use super::ingress::validate_local_reference;
use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, text},
    meta, names,
    rules::{self, Errors, faults, fill_absent, is_set, part, required_choice, spec},
    strategy::{Strategy, Text},
};

/// The row of IngressClass in the table of kinds.
pub static INGRESS_CLASS: Strategy = Strategy {
    kind: Text::Borrowed("IngressClass"),
    api_version: Text::Borrowed("networking.k8s.io/v1"),
    resource: Text::Borrowed("ingressclasses"),
    namespaced: false,
    default: |class| {
        if let Some(parameters) =
            tree::ensure_object(class, "spec").and_then(|spec| tree::get_mut(spec, "parameters"))
        {
            fill_absent(parameters, "scope", "Cluster");
        }
    },
    prepare_create: |class| meta::set(class, "generation", 1),
    validate_create: |class| {
        let mut errors = rules::metadata(class, false, names::subdomain_rule);
        let path = Path::new("spec");
        validate_controller(
            text(spec(class), "controller"),
            &path.child("controller"),
            &mut errors,
        );
        validate_parameters(class, &mut errors);
        errors
    },
    prepare_update: |new, old| rules::bump_generation(new, old, &["spec"]),
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        let path = Path::new("spec");
        rules::immutable(spec(new), spec(old), "controller", &path, &mut errors);
        validate_parameters(new, &mut errors);
        errors
    },
    selectable: &["metadata.name"],
    ..Strategy::BASE
};

const LONGEST: usize = 250;

/// A domain and a path: `example.com/controller`.
fn validate_controller(name: &str, path: &Path<'_>, errors: &mut Errors) {
    if name.len() > LONGEST {
        errors.push(FieldError::too_long(path, LONGEST));
    }
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    match name.split_once('/') {
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            faults(names::dns1123_subdomain(domain), domain, path, errors);
            let allowed = |b: u8| {
                b.is_ascii_alphanumeric()
                    || matches!(
                        b,
                        b'/' | b'-'
                            | b'.'
                            | b'_'
                            | b'~'
                            | b':'
                            | b'!'
                            | b'$'
                            | b'&'
                            | b'\''
                            | b'('
                            | b')'
                            | b'*'
                            | b'+'
                            | b','
                            | b';'
                            | b'='
                            | b'%'
                    )
            };
            if !rest.bytes().all(allowed) {
                errors.push(FieldError::invalid(path, rest, "Invalid path"));
            }
        }
        _ => errors.push(FieldError::invalid(
            path,
            name,
            "must be a domain-prefixed path (such as \"acme.io/foo\")",
        )),
    }
}

fn validate_parameters(class: &Value, errors: &mut Errors) {
    let Some(parameters) = get(spec(class), "parameters") else {
        return;
    };
    let path = Path::new("spec");
    let path = path.child("parameters");
    validate_local_reference(parameters, &path, errors);
    required_choice(
        parameters,
        "scope",
        &["Cluster", "Namespace"],
        &path,
        errors,
    );
    let namespace = path.child("namespace");
    match text(parameters, "scope") {
        "Namespace" if !is_set(parameters, "namespace") => errors.push(FieldError::required(
            &namespace,
            "`parameters.scope` is set to 'Namespace'",
        )),
        "Namespace" => {
            if let Some(name) = part(parameters, "namespace").as_str() {
                faults(names::dns1123_label(name), name, &namespace, errors);
            }
        }
        "Cluster" if get(parameters, "namespace").is_some() => {
            errors.push(FieldError::forbidden(
                &namespace,
                "`parameters.scope` is set to 'Cluster'",
            ));
        }
        _ => {}
    }
}
