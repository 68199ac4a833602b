//! Server-side apply.

use serde_json::Value;

use super::{
    ApplyError, Target, Writer,
    check::check,
    compare::fields,
    last_applied,
    managed::{Entry, Managed, Operation},
    merge::{merge, strip_nulls},
    prune::prune,
    reset,
    shape::Shape,
    update::{
        before_first_apply, changes, conflicts, nothing, renew, renew_touched, same_but_managed,
        stamp, take_over,
    },
};
use crate::{
    error::Error,
    json::{get, list, text},
    meta,
};

/// The object with a configuration applied to it, managedFields included; without defaults, and before
/// admission and the kind's own preparation. Where there is no live object it is a new one.
///
/// What only this manager owned, and applies no more, is taken out. Where the configuration would change
/// what others own it is refused, unless it is forced: then they own it no more. An entry has a new time
/// when the object changes; before the object is written, [`super::keep_times`] has to be asked.
pub fn apply<'s, S: Shape<'s>>(
    target: &Target<'_, S>,
    writer: &Writer<'_>,
    live: Option<&Value>,
    config: &Value,
    force: bool,
) -> Result<Value, ApplyError> {
    refuse(target, config)?;
    let result = match apply_once(target, writer, live, config, force) {
        Err(ApplyError::Conflicts(conflicts)) if writer.manager == last_applied::MANAGER => {
            match last_applied::left(target, live.unwrap_or(&Value::Null), conflicts) {
                Ok(()) => apply_once(target, writer, live, config, true),
                Err(conflicts) => Err(ApplyError::Conflicts(conflicts)),
            }
        }
        result => result,
    };
    let mut object = result?;
    if writer.manager == last_applied::MANAGER {
        last_applied::renew(&mut object, config);
    }
    Ok(object)
}

fn refuse<'s, S: Shape<'s>>(target: &Target<'_, S>, config: &Value) -> Result<(), ApplyError> {
    let group_version = |version: &str| match version.contains('/') {
        true => version.to_owned(),
        false => format!("/{version}"),
    };
    let (version, kind) = (text(config, "apiVersion"), text(config, "kind"));
    let gvk = format!("{}, Kind={kind}", group_version(version));
    if (version, kind) != (target.api_version, target.kind) {
        return Err(ApplyError::Refused(Error::bad_request(format!(
            "invalid object type: {gvk}"
        ))));
    }
    let metadata = meta::metadata(config);
    if matches!(get(metadata, "managedFields"), Some(Value::Array(_))) {
        return Err(ApplyError::Refused(Error::bad_request(
            "metadata.managedFields must be nil",
        )));
    }
    match check(target.shape, config) {
        None => Ok(()),
        Some(fault) => Err(ApplyError::Untyped(format!(
            "failed to create typed patch object ({}/{}; {}, Kind={kind}): {fault}",
            meta::namespace(config),
            meta::name(config),
            version,
        ))),
    }
}

fn apply_once<'s, S: Shape<'s>>(
    target: &Target<'_, S>,
    writer: &Writer<'_>,
    live: Option<&Value>,
    config: &Value,
    force: bool,
) -> Result<Value, ApplyError> {
    let now = stamp(writer.now);
    let nothing = nothing();
    let old = live.unwrap_or(&nothing);
    let mut managed = match live {
        Some(live) if list(meta::metadata(live), "managedFields").is_empty() => {
            before_first_apply(target, &nothing, live, &now)
        }
        _ => Managed::of(old),
    };
    let mut own = Entry::new(
        writer.name(),
        Operation::Apply,
        target.api_version,
        target.subresource,
    );
    let mut last = managed
        .find(own.identity())
        .map(|at| managed.0.swap_remove(at));
    if let Some(last) = &mut last {
        renew(target, old, last);
    }
    own.time = last.as_ref().and_then(|last| last.time.clone());
    own.fields = target.reset.filter(fields(target.shape, config));
    let mut merged = without_managed(old);
    merge(target.shape, &mut merged, config);
    let gives_up = last
        .filter(|last| last.api_version != own.api_version || !last.fields.is_subset(&own.fields));
    if let Some(last) = &gives_up {
        managed.0.push(own);
        merged = prune(target, merged, &mut managed, last);
        own = managed.0.pop().unwrap_or_else(|| last.clone());
    }
    let changed = live.is_none_or(|live| !same_but_managed(live, &merged));

    let differs = changes(target, old, &merged);
    renew_touched(target, &mut managed, old, &differs);
    if !force {
        let conflicts = conflicts(target, &managed, old, &merged, &differs);
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    take_over(target, &mut managed, old, &merged, &differs);
    own.fields = reset::strip(own.fields);
    if changed {
        own.time = Some(now.as_str().into());
    }
    if !own.fields.is_empty() {
        managed.0.push(own);
    }
    let entries = managed.to_stored();
    if gives_up.is_some() || has_null(config) {
        strip_nulls(target.shape, &mut merged, Some(old));
    }
    Managed::write(entries, &mut merged);
    Ok(merged)
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

/// A copy of the object without managedFields, which are often the larger part of it.
fn without_managed(object: &Value) -> Value {
    let Value::Object(fields) = object else {
        return object.clone();
    };
    let copy = fields.iter().map(|(name, value)| {
        let value = match value {
            Value::Object(metadata) if name == "metadata" => metadata
                .iter()
                .filter(|(name, _)| *name != "managedFields")
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            value => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(copy.collect())
}
