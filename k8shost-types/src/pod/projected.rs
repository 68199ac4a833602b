//! The rules for projected volumes.

use serde_json::Value;

use super::sources::{validate_downward_file, validate_key_to_path, validate_mode};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, int, list, text},
    seen::Seen,
};

const TEN_MINUTES: i64 = 600;
const LONGEST: i64 = 1 << 32;

/// The rules for a projected volume.
pub(super) fn validate(source: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    validate_mode(source, "defaultMode", path, errors);
    let sources_path = path.child("sources");
    let mut paths: Seen<&str> = Seen::new();
    for (i, part) in list(source, "sources").iter().enumerate() {
        let part_path = sources_path.index(i);
        let mut count = 0;
        for kind in ["secret", "configMap"] {
            let Some(object) = get(part, kind) else {
                continue;
            };
            count += 1;
            let at = part_path.child(kind);
            let name = text(object, "name");
            if name.is_empty() {
                errors.push(FieldError::required(&at.child("name"), ""));
            }
            let items = at.child("items");
            for (i, item) in list(object, "items").iter().enumerate() {
                validate_key_to_path(item, &items.index(i), errors);
                claim_path(text(item, "path"), name, &mut paths, path, errors);
            }
        }
        if let Some(downward) = get(part, "downwardAPI") {
            count += 1;
            let at = part_path.child("downwardAPI");
            for file in list(downward, "items") {
                validate_downward_file(file, &at, errors);
                let target = text(file, "path");
                claim_path(target, target, &mut paths, path, errors);
            }
        }
        if let Some(token) = get(part, "serviceAccountToken") {
            count += 1;
            validate_token(token, &part_path.child("serviceAccountToken"), path, errors);
        }
        if count > 1 {
            errors.push(FieldError::forbidden(
                &part_path,
                "may not specify more than 1 volume type per source",
            ));
        }
    }
}

/// Notes a file's path, and refuses it where it is taken.
fn claim_path<'a>(
    target: &'a str,
    shown: &str,
    paths: &mut Seen<&'a str>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if !target.is_empty() && !paths.add(target) {
        errors.push(FieldError::invalid(
            path,
            shown,
            "conflicting duplicate paths",
        ));
    }
}

fn validate_token(
    token: &Value,
    path: &Path<'_>,
    volume_path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let seconds = int(token, "expirationSeconds").unwrap_or_default();
    let seconds_path = path.child("expirationSeconds");
    if seconds < TEN_MINUTES {
        errors.push(FieldError::invalid(
            &seconds_path,
            &seconds,
            "may not specify a duration less than 10 minutes",
        ));
    }
    if seconds > LONGEST {
        errors.push(FieldError::invalid(
            &seconds_path,
            &seconds,
            "may not specify a duration larger than 2^32 seconds",
        ));
    }
    let target = text(token, "path");
    let path = volume_path.child("path");
    if target.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        super::sources::validate_local_path(target, &path, errors);
    }
}
