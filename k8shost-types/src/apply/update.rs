//! Ownership after a write that is no apply.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map},
    time::SystemTime,
};

use serde_json::{Map, Value};

use super::{
    Target, Writer,
    compare::{Changes, compare},
    conflict::Conflict,
    element::same,
    managed::{Entry, Managed, Operation},
    merge::reconcile,
    reset,
    shape::Shape,
};
use crate::{
    json::{get, get_mut, list, remove},
    meta, time,
};

/// More managers by update than this are not kept apart.
const MOST_UPDATERS: usize = 10;
/// Who owns what the oldest of more owned.
const ANCIENT: &str = "ancient-changes";

/// The object that Kubernetes takes for the old one of a create.
pub(super) fn nothing() -> Value {
    Value::Object(Map::new())
}

/// Sets managedFields after a create (where there is no old object), an update, or a patch other than
/// apply, with the object as the caller wants it: with defaults, before admission and before the kind's
/// own preparation.
///
/// managedFields that the caller sent hold where they can be read and are not empty, and it did not
/// write a subresource; else those of the old object do. An empty list, or one empty entry, wipes them;
/// and an object without is not tracked until something is applied to it.
pub fn update<'s, S: Shape<'s>>(
    target: &Target<'_, S>,
    writer: &Writer<'_>,
    old: Option<&Value>,
    new: &mut Value,
) {
    let sent = get_mut(new, "metadata").and_then(|metadata| remove(metadata, "managedFields"));
    let stored = || old.map(Managed::of).unwrap_or_default();
    let before = old.and_then(|old| get(meta::metadata(old), "managedFields"));
    let mut managed = match &sent {
        // Mostly they are sent back as they are.
        Some(sent) if target.subresource.is_empty() && before != Some(sent) => {
            match Managed::from_value(sent) {
                _ if is_wipe(sent) => Managed::default(),
                Ok(managed) if !managed.0.is_empty() => managed,
                _ => stored(),
            }
        }
        _ => stored(),
    };
    if managed.0.is_empty() && old.is_some() {
        return;
    }
    let now = time::format(writer.now);
    let old = old.unwrap_or(target.empty);
    own_changes(target, &mut managed, writer.name(), &now, old, new);
    cap(&mut managed, |entry| renew(target, old, entry));
    let entries = managed.to_stored();
    Managed::write(entries, new);
}

fn is_wipe(sent: &Value) -> bool {
    match sent {
        Value::Array(entries) => match entries.as_slice() {
            [] => true,
            [Value::Object(entry)] => entry.values().all(Value::is_null),
            _ => false,
        },
        _ => false,
    }
}

/// Brings what an entry owns to the form that it has by the schema of today.
pub(super) fn renew<'s, S: Shape<'s>>(target: &Target<'_, S>, live: &Value, entry: &mut Entry<'_>) {
    if entry.api_version == target.api_version {
        reconcile(target.shape, &mut entry.fields);
    } else if let Some((_, shape)) = (target.convert)(live, &entry.api_version) {
        reconcile(shape, &mut entry.fields);
    }
}

/// The same for those entries that something changes for.
pub(super) fn renew_touched<'s, S: Shape<'s>>(
    target: &Target<'_, S>,
    managed: &mut Managed<'_>,
    old: &Value,
    changes: &Changes<'_>,
) {
    for entry in &mut managed.0 {
        let touched = entry.api_version != target.api_version
            || [&changes.added, &changes.modified, &changes.removed]
                .iter()
                .any(|fields| entry.touches(fields));
        if touched {
            renew(target, old, entry);
        }
    }
}

/// Gives a manager, as one by update, what differs between two objects.
pub(super) fn own_changes<'a, 's: 'a, S: Shape<'s>>(
    target: &Target<'a, S>,
    managed: &mut Managed<'a>,
    manager: &'a str,
    now: &'a str,
    old: &'a Value,
    new: &'a Value,
) {
    let changes = changes(target, old, new);
    let mut entry = Entry::new(
        manager,
        Operation::Update,
        target.api_version,
        target.subresource,
    );
    renew_touched(target, managed, old, &changes);
    take_over(target, managed, old, new, &changes);
    let fields = reset::strip(changes.added.union(changes.modified));
    if fields.is_empty() {
        return;
    }
    entry.time = Some(Cow::Borrowed(now));
    entry.fields = fields;
    if let Some(at) = managed.find(entry.identity()) {
        let before = managed.0.swap_remove(at);
        entry.fields = entry.fields.union(before.fields);
    }
    managed.0.push(entry);
}

/// What differs, without what is reset.
pub(super) fn changes<'a, 's: 'a, S: Shape<'s>>(
    target: &Target<'_, S>,
    old: &'a Value,
    new: &'a Value,
) -> Changes<'a> {
    filtered(target, compare(target.shape, old, new))
}

fn filtered<'a, S>(target: &Target<'_, S>, changes: Changes<'a>) -> Changes<'a> {
    Changes {
        added: target.reset.filter(changes.added),
        modified: target.reset.filter(changes.modified),
        removed: target.reset.filter(changes.removed),
    }
}

/// What managers own of what is added or modified.
pub(super) fn conflicts<'s, S: Shape<'s>>(
    target: &Target<'_, S>,
    managed: &Managed<'_>,
    old: &Value,
    new: &Value,
    changes: &Changes<'_>,
) -> Vec<Conflict> {
    let mut entries: Vec<&Entry<'_>> = managed.0.iter().collect();
    entries.sort_by_key(|entry| entry.identity());
    let conflicts = entries.into_iter().flat_map(|entry| {
        let taken = |changes: &Changes<'_>| {
            let modified = entry.fields.intersection(&changes.modified);
            modified.union(entry.fields.intersection(&changes.added))
        };
        let taken = at_version(target, &entry.api_version, old, new, changes, taken);
        Conflict::with(entry, taken.unwrap_or_default())
    });
    conflicts.collect()
}

/// Takes from managers what is added, modified or removed. Who has nothing left is gone,
/// and who wrote a version that there is no more.
pub(super) fn take_over<'s, S: Shape<'s>>(
    target: &Target<'_, S>,
    managed: &mut Managed<'_>,
    old: &Value,
    new: &Value,
    changes: &Changes<'_>,
) {
    managed.0.retain_mut(|entry| {
        let fields = std::mem::take(&mut entry.fields);
        let rest = |changes: &Changes<'_>| {
            fields
                .difference(&changes.modified)
                .difference(&changes.added)
                .difference(&changes.removed)
        };
        let rest = at_version(target, &entry.api_version, old, new, changes, rest);
        entry.fields = rest.unwrap_or_default();
        !entry.fields.is_empty()
    });
}

/// Calls with the changes as they are in a version; none where there is no such version.
fn at_version<'s, S: Shape<'s>, R>(
    target: &Target<'_, S>,
    version: &str,
    old: &Value,
    new: &Value,
    changes: &Changes<'_>,
    call: impl FnOnce(&Changes<'_>) -> R,
) -> Option<R> {
    if version == target.api_version {
        return Some(call(changes));
    }
    let (old, _) = (target.convert)(old, version)?;
    let (new, shape) = (target.convert)(new, version)?;
    let changes = filtered(target, compare(shape, &old, &new));
    Some(call(&changes))
}

/// Puts the oldest of too many updaters together, those of a version into one entry.
fn cap(managed: &mut Managed<'_>, renew: impl Fn(&mut Entry<'_>)) {
    let updaters = |managed: &Managed<'_>| {
        let updates = managed
            .0
            .iter()
            .filter(|entry| entry.operation == Operation::Update);
        updates.count()
    };
    let mut left = updaters(managed);
    if left <= MOST_UPDATERS {
        return;
    }
    let (appliers, mut updaters): (Vec<_>, Vec<_>) = std::mem::take(&mut managed.0)
        .into_iter()
        .partition(|entry| entry.operation == Operation::Apply);
    updaters.sort_by_cached_key(|entry| {
        let (manager, _, version, subresource) = entry.identity();
        let names = [manager, version, subresource].map(str::to_owned);
        (entry.seconds(), names)
    });
    // The oldest entry of each version waits for another one to be put together with.
    let mut first: BTreeMap<Cow<'_, str>, Entry<'_>> = BTreeMap::new();
    let mut ancient: Vec<Entry<'_>> = Vec::new();
    let mut kept = Vec::new();
    for mut entry in updaters {
        if left <= MOST_UPDATERS {
            kept.push(entry);
            continue;
        }
        renew(&mut entry);
        if let Some(bucket) = ancient
            .iter_mut()
            .find(|bucket| bucket.api_version == entry.api_version)
        {
            merge_into(bucket, entry);
            left -= 1;
            continue;
        }
        match first.entry(entry.api_version.clone()) {
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
            }
            btree_map::Entry::Occupied(occupied) => {
                let before = occupied.remove();
                entry.fields = entry.fields.union(before.fields);
                entry.manager = Cow::Borrowed(ANCIENT);
                entry.subresource = Cow::Borrowed("");
                ancient.push(entry);
                left -= 1;
            }
        }
    }
    managed.0 = appliers;
    managed.0.extend(first.into_values());
    managed.0.extend(ancient);
    for mut entry in kept {
        // The bucket of an earlier time may be among them.
        match managed.find(entry.identity()) {
            Some(at) => {
                renew(&mut entry);
                merge_into(&mut managed.0[at], entry);
            }
            None => managed.0.push(entry),
        }
    }
}

fn merge_into<'a>(bucket: &mut Entry<'a>, entry: Entry<'a>) {
    let before = std::mem::take(&mut bucket.fields);
    bucket.fields = before.union(entry.fields);
    bucket.time = entry.time;
}

/// Gives the entries their old times where a write changes nothing else, so that it is no write. It is
/// to be called when all else of the new object is done.
pub fn keep_times(new: &mut Value, old: &Value) {
    let (before, after) = (entries(old), entries(new));
    let differ_in_time = before != after
        && before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .all(|(a, b)| same_without(a, b, "time"));
    if differ_in_time && same_but_managed(new, old) {
        meta::set(new, "managedFields", before.to_vec());
    }
}

fn entries(object: &Value) -> &[Value] {
    list(meta::metadata(object), "managedFields")
}

/// Whether two objects are the same, managedFields aside.
pub(super) fn same_but_managed(a: &Value, b: &Value) -> bool {
    same_without(meta::metadata(a), meta::metadata(b), "managedFields")
        && same_without(a, b, "metadata")
}

/// Whether two objects are the same but for a field.
fn same_without(a: &Value, b: &Value, field: &str) -> bool {
    let fields = |object: &Value| {
        let fields = object.as_object();
        fields.map_or(0, |fields| {
            fields.len() - usize::from(fields.contains_key(field))
        })
    };
    let mut these = a.as_object().into_iter().flatten();
    fields(a) == fields(b)
        && these.all(|(name, a)| name == field || b.get(name).is_some_and(|b| same(a, b)))
}

/// The manager of a write: what the request's fieldManager says, else the part of its user agent before
/// the first slash, printable and cut to 128 bytes.
pub fn manager_name<'t>(field_manager: &'t str, user_agent: &'t str) -> Cow<'t, str> {
    if !field_manager.is_empty() {
        return Cow::Borrowed(field_manager);
    }
    let program = user_agent.split('/').next().unwrap_or_default();
    let mut name = String::new();
    for c in program.chars().filter(|c| !c.is_control()) {
        if name.len() + c.len_utf8() > meta::MANAGER_MAX {
            break;
        }
        name.push(c);
    }
    Cow::Owned(name)
}

/// All fields of an object, as those of one who made it.
pub(super) fn before_first_apply<'a, 's: 'a, S: Shape<'s>>(
    target: &Target<'a, S>,
    nothing: &'a Value,
    live: &'a Value,
    now: &'a str,
) -> Managed<'a> {
    let mut managed = Managed::default();
    own_changes(
        target,
        &mut managed,
        "before-first-apply",
        now,
        nothing,
        live,
    );
    managed
}

/// A time as entries have it.
pub(super) fn stamp(now: SystemTime) -> String {
    time::format(now)
}
