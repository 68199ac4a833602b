//! The rules for volumes; those for each of their sources are in a file of their own.

use serde_json::Value;

use super::{scheduling::faults, sources::SOURCES};
use crate::{
    error::FieldError,
    field::Path,
    json::{get, text},
    meta, names,
    seen::{ByName, Seen},
};

/// The volumes of a pod that are in order, as containers refer to them.
pub(super) struct Volumes<'a> {
    valid: ByName<'a>,
}

impl Volumes<'_> {
    /// Whether there is a volume of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.valid.get(name).is_some()
    }

    /// Whether the volume of that name is a claim, which can be a block device.
    pub(super) fn is_claim(&self, name: &str) -> Option<bool> {
        let volume = self.valid.get(name)?;
        let claim = |kind| get(volume, kind).is_some();
        Some(claim("persistentVolumeClaim") || claim("ephemeral"))
    }
}

/// The rules for spec.volumes. Those without fault are what containers may refer to.
pub(super) fn validate<'a>(
    pod: &Value,
    volumes: &'a [Value],
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> Volumes<'a> {
    let mut valid: Vec<&Value> = Vec::with_capacity(volumes.len());
    let mut names_seen = Seen::new();
    let made: Seen<&str> = volumes
        .iter()
        .filter(|volume| get(volume, "ephemeral").is_some())
        .map(|volume| text(volume, "name"))
        .collect();
    let pod_name = meta::name(pod);
    for (i, volume) in volumes.iter().enumerate() {
        let path = path.index(i);
        let before = errors.len();
        let name = text(volume, "name");
        validate_sources(volume, pod_name, &path, errors);
        let name_path = path.child("name");
        if name.is_empty() {
            errors.push(FieldError::required(&name_path, ""));
        } else {
            faults(names::dns1123_label(name), name, &name_path, errors);
        }
        if names_seen.has(&name) {
            errors.push(FieldError::duplicate(&name_path, name));
        }
        if errors.len() == before {
            valid.push(volume);
            names_seen.add(name);
        }
        validate_not_own_claim(volume, &made, pod_name, &path, errors);
    }
    Volumes {
        valid: valid.into_iter().collect(),
    }
}

/// A claim that an ephemeral volume of the same pod makes is not for another volume.
fn validate_not_own_claim(
    volume: &Value,
    made: &Seen<&str>,
    pod_name: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(claim) = get(volume, "persistentVolumeClaim") else {
        return;
    };
    let claim = text(claim, "claimName");
    let Some(made_for) = claim
        .strip_prefix(pod_name)
        .and_then(|rest| rest.strip_prefix('-'))
    else {
        return;
    };
    if !pod_name.is_empty() && made.has(&made_for) {
        let path = path.child("persistentVolumeClaim");
        errors.push(FieldError::invalid(
            &path.child("claimName"),
            claim,
            "must not reference a PVC that gets created for an ephemeral volume",
        ));
    }
}

fn validate_sources(volume: &Value, pod_name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Value::Object(fields) = volume else {
        errors.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    // Most volumes have one source: it is found by its own name.
    let mut present: Vec<(usize, &Value)> = fields
        .iter()
        .filter(|(kind, source)| *kind != "name" && !source.is_null())
        .filter_map(|(kind, source)| {
            let at = SOURCES.iter().position(|(field, ..)| field == kind)?;
            Some((at, source))
        })
        .collect();
    present.sort_unstable_by_key(|(at, _)| *at);
    let name = text(volume, "name");
    for (i, (at, source)) in present.iter().enumerate() {
        let (field, refused, shown, check) = SOURCES[*at];
        if i > 0 {
            errors.push(FieldError::forbidden(
                &path.child(refused),
                "may not specify more than 1 volume type",
            ));
        } else {
            check(source, &path.child(shown), errors);
        }
        match field {
            "iscsi" => {
                let length = name.len() + 1 + text(source, "targetPortal").len();
                if get(source, "initiatorName").is_some() && length > 64 {
                    errors.push(FieldError::invalid(
                        &path.child("name"),
                        name,
                        "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
                    ));
                }
            }
            "ephemeral" if i == 0 && !pod_name.is_empty() && !name.is_empty() => {
                let claim = format!("{pod_name}-{name}");
                for fault in names::dns1123_subdomain(&claim) {
                    let detail = format!("PVC name {}: {fault}", crate::field::quote(&claim));
                    errors.push(FieldError::invalid(&path.child("name"), name, &detail));
                }
            }
            _ => {}
        }
    }
    if present.is_empty() {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}
