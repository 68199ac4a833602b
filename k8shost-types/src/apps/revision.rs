//! ControllerRevision.

use serde_json::Value;

use crate::{
    error::FieldError,
    field::Path,
    json::{get, int},
    names,
    rules::{self, Errors, check_non_negative},
    strategy::{Strategy, Text},
};

/// The row of ControllerRevision in the table of kinds.
pub static CONTROLLER_REVISION: Strategy = Strategy {
    kind: Text::Borrowed("ControllerRevision"),
    api_version: Text::Borrowed("apps/v1"),
    resource: Text::Borrowed("controllerrevisions"),
    default: |object| rules::fill_absent(object, "revision", 0),
    validate_create,
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        errors.append(&mut validate_create(new));
        if !rules::same(new, old, "data") {
            errors.push(FieldError::invalid(
                &Path::new("data"),
                rules::part(new, "data"),
                "field is immutable",
            ));
        }
        errors
    },
    ..Strategy::BASE
};

fn validate_create(object: &Value) -> Errors {
    let mut errors = rules::metadata(object, true, names::subdomain_rule);
    if get(object, "data").is_none() {
        errors.push(FieldError::required(
            &Path::new("data"),
            "data is mandatory",
        ));
    }
    let revision = int(object, "revision").unwrap_or_default();
    check_non_negative(revision, &Path::new("revision"), &mut errors);
    errors
}
