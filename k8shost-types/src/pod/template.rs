//! The rules for a template of pods, in the objects that make pods.

use serde_json::Value;

use super::validate;
use crate::{
    error::FieldError,
    field::Path,
    json::{get, list, text},
    meta,
    rules::{NOTHING, matches, part, selector_of},
};

/// The rules for a template: those for a pod, but for what a pod has of its own.
pub(crate) fn validate_template(template: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    validate_template_labels(template, path, errors);
    let spec = part(template, "spec");
    let spec_path = path.child("spec");
    validate::validate_spec(&NOTHING, spec, &spec_path, errors);
    if !list(spec, "ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(
            &spec_path.child("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        ));
    }
}

/// The rules for a template's labels and annotations. The paths are Kubernetes', which leaves out
/// that they are in metadata.
fn validate_template_labels(template: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let metadata = part(template, "metadata");
    meta::validate_labels(metadata, "labels", path, errors);
    meta::validate_annotations(metadata, path, errors);
    validate::validate_pod_annotations(
        part(metadata, "annotations"),
        part(template, "spec"),
        &path.child("annotations"),
        errors,
    );
}

/// The rules for the template of a controller whose pods run until they are told to stop, and which
/// finds them by a selector. `full` is whether the pods' own rules are looked at.
pub(crate) fn validate_controlled_template(
    template: &Value,
    selector: Option<&Value>,
    controller: &str,
    full: bool,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let metadata = part(template, "metadata");
    let selected = selector
        .and_then(selector_of)
        .is_some_and(|selector| matches(&selector, metadata));
    if !selected {
        errors.push(FieldError::invalid(
            &path.child("metadata").child("labels"),
            part(metadata, "labels"),
            "`selector` does not match template `labels`",
        ));
    }
    if full {
        validate_template(template, path, errors);
    } else {
        validate_template_labels(template, path, errors);
    }
    let spec = part(template, "spec");
    let path = path.child("spec");
    let policy = text(spec, "restartPolicy");
    // An empty or unknown policy is refused by the rules for the spec as well.
    if policy != "Always" {
        errors.push(FieldError::not_supported(
            &path.child("restartPolicy"),
            policy,
            &["Always"],
        ));
    }
    if get(spec, "activeDeadlineSeconds").is_some() {
        let detail = format!("activeDeadlineSeconds in {controller} is not Supported");
        errors.push(FieldError::forbidden(
            &path.child("activeDeadlineSeconds"),
            &detail,
        ));
    }
}
