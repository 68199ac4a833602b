//! StatefulSet.

use serde_json::{Value, json};

use super::{drop_disabled, template_defaults, validate_selector};
use crate::{
    core_v1,
    error::FieldError,
    field::Path,
    json::{self as tree, get, list_mut, text},
    meta, names, pod,
    rules::{self, Errors, fill, fill_absent, non_negative, part, same_or_empty, spec},
    strategy::{Strategy, Text},
};

/// The row of StatefulSet in the table of kinds.
pub static STATEFUL_SET: Strategy = Strategy {
    kind: Text::Borrowed("StatefulSet"),
    api_version: Text::Borrowed("apps/v1"),
    resource: Text::Borrowed("statefulsets"),
    name_rule: names::label_rule,
    default,
    prepare_create: |object| {
        rules::begin(object, json!({"availableReplicas": 0, "replicas": 0}));
        drop_features(object);
    },
    validate_create: |object| rules::created(object, true, names::label_rule, validate),
    prepare_update: |new, old| {
        drop_features(new);
        rules::prepare_update(new, old);
    },
    validate_update,
    prepare_status_update: rules::prepare_status_update,
    validate_status_update,
    has_status: true,
    has_scale: true,
    ..Strategy::BASE
};

fn default(object: &mut Value) {
    if let Some(spec) = tree::ensure_object(object, "spec") {
        spec_defaults(spec);
    }
    rules::zeros(object, &["availableReplicas", "replicas"]);
}

fn spec_defaults(spec: &mut Value) {
    fill(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = tree::ensure_object(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate" {
            fill_absent(strategy, "rollingUpdate", json!({}));
            if let Some(rolling) = tree::get_mut(strategy, "rollingUpdate") {
                fill_absent(rolling, "partition", 0);
            }
        }
    }
    if let Some(policy) = tree::ensure_object(spec, "persistentVolumeClaimRetentionPolicy") {
        fill(policy, "whenDeleted", "Retain");
        fill(policy, "whenScaled", "Retain");
    }
    fill_absent(spec, "replicas", 1);
    fill_absent(spec, "revisionHistoryLimit", 10);
    template_defaults(spec);
    for claim in list_mut(spec, "volumeClaimTemplates") {
        if claim.is_object() {
            meta::set_kind(claim, "v1", "PersistentVolumeClaim");
            tree::ensure_object(claim, "metadata");
            core_v1::default_claim(claim);
        }
    }
}

/// What belongs to features that are off goes.
fn drop_features(object: &mut Value) {
    drop_disabled(object);
    if let Some(rolling) = tree::get_mut(object, "spec")
        .and_then(|spec| tree::get_mut(spec, "updateStrategy"))
        .and_then(|strategy| tree::get_mut(strategy, "rollingUpdate"))
    {
        tree::remove(rolling, "maxUnavailable");
    }
}

/// The pods' own rules are not looked at: their volumes are those of the claims too, which are not
/// in the template.
fn validate(object: &Value, errors: &mut Errors) {
    let spec = spec(object);
    let path = Path::new("spec");
    validate_policy(spec, &path, errors);
    validate_strategy(
        part(spec, "updateStrategy"),
        &path.child("updateStrategy"),
        errors,
    );
    let policy = part(spec, "persistentVolumeClaimRetentionPolicy");
    for field in ["whenDeleted", "whenScaled"] {
        let path = path.child("persistentVolumeClaimRetentionPolicy");
        let choices = ["Delete", "Retain"];
        rules::required_choice(policy, field, &choices, &path, errors);
    }
    non_negative(spec, "replicas", &path, errors);
    non_negative(spec, "minReadySeconds", &path, errors);
    if let Some(ordinals) = get(spec, "ordinals") {
        non_negative(ordinals, "start", &path.child("ordinals"), errors);
    }
    let selector = validate_selector(spec, "not valid for statefulset", &path, errors);
    pod::validate_controlled_template(
        part(spec, "template"),
        selector,
        "StatefulSet",
        false,
        &path.child("template"),
        errors,
    );
    non_negative(spec, "revisionHistoryLimit", &path, errors);
}

fn validate_policy(spec: &Value, path: &Path<'_>, errors: &mut Errors) {
    let policy = text(spec, "podManagementPolicy");
    let path = path.child("podManagementPolicy");
    match policy {
        "" => errors.push(FieldError::required(&path, "")),
        "OrderedReady" | "Parallel" => {}
        _ => errors.push(FieldError::invalid(
            &path,
            policy,
            "must be 'OrderedReady' or 'Parallel'",
        )),
    }
}

fn validate_strategy(strategy: &Value, path: &Path<'_>, errors: &mut Errors) {
    let rolling = get(strategy, "rollingUpdate");
    match text(strategy, "type") {
        "" => errors.push(FieldError::required(path, "")),
        "OnDelete" => {
            if let Some(rolling) = rolling {
                errors.push(FieldError::invalid(
                    &path.child("rollingUpdate"),
                    rolling,
                    "only allowed for updateStrategy 'RollingUpdate'",
                ));
            }
        }
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            non_negative(part(strategy, "rollingUpdate"), "partition", &path, errors);
        }
        _ => errors.push(FieldError::invalid(
            path,
            strategy,
            "must be 'RollingUpdate' or 'OnDelete'",
        )),
    }
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    const MAY_CHANGE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let mut errors = rules::metadata_update(new, old);
    validate(new, &mut errors);
    let (new_spec, old_spec) = (spec(new), spec(old));
    let fields = [new_spec, old_spec]
        .into_iter()
        .filter_map(Value::as_object);
    let changed = fields
        .flat_map(|fields| fields.keys())
        .filter(|field| !MAY_CHANGE.contains(&field.as_str()))
        .any(|field| !same_or_empty(new_spec, old_spec, field));
    if changed {
        errors.push(FieldError::forbidden(
            &Path::new("spec"),
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
    errors
}

fn validate_status_update(new: &Value, old: &Value) -> Errors {
    const MORE: &str = "cannot be greater than status.replicas";
    let mut errors = Errors::new();
    rules::counts(
        new,
        &[
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
            "observedGeneration",
            "collisionCount",
        ],
        &[
            ("readyReplicas", "replicas", MORE),
            ("currentReplicas", "replicas", MORE),
            ("updatedReplicas", "replicas", MORE),
            ("availableReplicas", "replicas", MORE),
            (
                "availableReplicas",
                "readyReplicas",
                "cannot be greater than status.readyReplicas",
            ),
        ],
        &mut errors,
    );
    errors.append(&mut rules::metadata_update(new, old));
    rules::collisions(new, old, &mut errors);
    errors
}
