//! Reviews of what somebody may do: their rules. They are answered, not stored.

use serde_json::{Value, json};

use crate::{
    error::{Error, FieldError},
    field::{Path, Shown},
    json::{get, list, text},
    meta, names,
    rules::{Errors, Raw, is_empty, part, spec},
};

/// Whom a review is about, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// SelfSubjectAccessReview: the caller.
    Own,
    /// SubjectAccessReview: whom it names.
    Subject,
    /// LocalSubjectAccessReview: whom it names, in its namespace.
    Local,
}

/// The rules for a review of access.
///
/// # Errors
/// Invalid. Kubernetes names no kind in it.
pub fn validate(review: Review, object: &Value) -> Result<(), Error> {
    let errors = faults(review, object);
    if errors.is_empty() {
        return Ok(());
    }
    Err(Error::invalid_in("authorization.k8s.io", "", "", errors))
}

fn faults(review: Review, object: &Value) -> Errors {
    let mut errors = Errors::new();
    let spec = spec(object);
    let path = Path::new("spec");
    let resource = get(spec, "resourceAttributes");
    let other = get(spec, "nonResourceAttributes");
    let other_path = path.child("nonResourceAttributes");
    // As Go has it.
    let shown = format!(
        r#"{{"Path":{},"Verb":{}}}"#,
        text(other.unwrap_or(&Value::Null), "path").shown(),
        text(other.unwrap_or(&Value::Null), "verb").shown(),
    );
    match (resource, other) {
        (Some(_), Some(_)) => errors.push(FieldError::invalid(
            &other_path,
            &Raw(&shown),
            "cannot be specified in combination with resourceAttributes",
        )),
        (None, None) => errors.push(FieldError::invalid(
            &path.child("resourceAttributes"),
            &Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => {}
    }
    if review != Review::Own && text(spec, "user").is_empty() && list(spec, "groups").is_empty() {
        let detail = "at least one of user or group must be specified";
        errors.push(FieldError::invalid(&path.child("user"), "", detail));
    }
    let resource_path = path.child("resourceAttributes");
    if let Some(resource) = resource {
        for (field, of_labels) in [("fieldSelector", false), ("labelSelector", true)] {
            if let Some(selector) = get(resource, field) {
                let path = resource_path.child(field);
                validate_selector(selector, of_labels, &path, &mut errors);
            }
        }
    }
    let metadata = meta::metadata(object);
    let mut rest = metadata.as_object().cloned().unwrap_or_default();
    rest.retain(|field, value| {
        !is_empty(value)
            && field != "managedFields"
            && !(field == "namespace" && review == Review::Local)
    });
    if !rest.is_empty() {
        let detail = match review {
            Review::Local => "must be empty except for namespace",
            _ => "must be empty",
        };
        errors.push(FieldError::invalid(
            &Path::new("metadata"),
            metadata,
            detail,
        ));
    }
    if review == Review::Local {
        let namespace = text(part(spec, "resourceAttributes"), "namespace");
        if resource.is_some() && namespace != meta::namespace(object) {
            let detail = "must match metadata.namespace";
            let path = resource_path.child("namespace");
            errors.push(FieldError::invalid(&path, namespace, detail));
        }
        if other.is_some() {
            let detail = "disallowed on this kind of request";
            errors.push(FieldError::invalid(&other_path, &Raw(&shown), detail));
        }
    }
    errors
}

fn validate_selector(selector: &Value, of_labels: bool, path: &Path<'_>, errors: &mut Errors) {
    let requirements = list(selector, "requirements");
    let raw = text(selector, "rawSelector");
    if !raw.is_empty() && !requirements.is_empty() {
        let detail = "may not specified at the same time as requirements";
        errors.push(FieldError::invalid(&path.child("rawSelector"), raw, detail));
    }
    let path_of = path.child("requirements");
    if raw.is_empty() && requirements.is_empty() {
        let detail = format!("when {path} is specified, requirements or rawSelector is required");
        errors.push(FieldError::required(&path_of, &detail));
    }
    for (i, requirement) in requirements.iter().enumerate() {
        let path = path_of.index(i);
        let values = path.child("values");
        let given = !list(requirement, "values").is_empty();
        match text(requirement, "operator") {
            "In" | "NotIn" if !given => errors.push(FieldError::required(
                &values,
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if given => errors.push(FieldError::forbidden(
                &values,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            _ => {}
        }
        let key = text(requirement, "key");
        if of_labels {
            for fault in names::qualified_name(key) {
                errors.push(FieldError::invalid(&path.child("key"), key, &fault));
            }
        } else if key.is_empty() {
            errors.push(FieldError::required(
                &path.child("key"),
                "must be specified",
            ));
        }
    }
}

/// What may be done by somebody who may do all.
pub fn all_rules() -> Value {
    json!({
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    })
}
