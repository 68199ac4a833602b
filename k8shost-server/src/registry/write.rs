//! Create and update: the caller's object is prepared outside the commit, and judged again inside it.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use k8shost_store::log::{
    Attributes, Change, CommitFn, Event, Object, Previous, Revision, State, Template,
};
use k8shost_types::{
    Error, FieldError, Reason, Strategy, apply, core_v1::admission, field::Path, meta,
};
use serde_json::{Value, json};

use super::{
    Resource, admit_to_namespace, attributes,
    delete::is_done,
    json::{self, parse},
    kind::{Kind, resource_of},
    ownership::{Ownership, WriteOptions},
};

/// How often a generated name that is taken is generated again.
const GENERATE_TRIES: usize = 8;

/// An object that only waits for its revision.
#[derive(Clone)]
pub(crate) struct Prepared {
    template: json::Template,
    attributes: Attributes,
}

impl Prepared {
    pub(crate) fn new(kind: &Kind, object: &Value) -> Self {
        Self {
            template: json::Template::new(object),
            attributes: attributes(kind, object),
        }
    }

    /// At no revision it is for a caller to see, not to be stored.
    pub(crate) fn change(&self, key: &str, revision: Option<Revision>) -> Change {
        Change::Put {
            key: key.into(),
            value: self.template.at(revision),
            attributes: self.attributes.clone(),
        }
    }

    /// The object at a revision, for a caller to see.
    fn object(&self, key: &str, revision: Revision) -> Arc<Object> {
        let value = self.template.at(Some(revision));
        Arc::new(Object::new(
            key.into(),
            revision,
            value,
            self.attributes.clone(),
        ))
    }
}

/// An object that was created.
pub(crate) struct Created {
    /// As it is stored.
    pub(crate) object: Arc<Object>,
    /// The same as a tree, but for the resourceVersion, if there is one at hand.
    pub(crate) tree: Option<Value>,
}

/// What an apply came to.
pub(crate) enum Applied {
    /// A new object.
    Created(Created),
    /// The object as it is now.
    Changed(Arc<Object>),
}

/// What a read-modify-write makes of an object.
pub(crate) enum Outcome {
    /// Nothing changes.
    Keep,
    /// This is the object now.
    Put(Value),
    /// The object goes; the answer is this, or the object as it was.
    Delete(Option<Value>),
}

/// The same, serialized.
#[derive(Clone)]
enum Decision {
    Keep,
    Put(Prepared),
    Delete(Option<Prepared>),
}

/// What must be true of the object that a write is for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preconditions {
    /// The object's uid.
    pub(crate) uid: Option<String>,
    /// The object's resourceVersion.
    pub(crate) resource_version: Option<String>,
}

/// What a patch makes of an object.
pub(crate) type PatchFn = Box<dyn Fn(&Value) -> Result<Value, Error> + Send>;
/// What gives the object that a caller sent, each time anew: where an update is decided on more than once, which is
/// rare, it is read again and not kept.
pub(crate) type SentFn = Box<dyn FnMut() -> Result<Value, Error> + Send>;

/// What a read-modify-write does to an object, of which it gets a view.
pub(crate) enum Update {
    /// The caller's object takes its place.
    Replace(SentFn),
    /// It becomes what this makes of it.
    Patch(PatchFn),
    /// A configuration is applied to it.
    Apply {
        /// What the manager wants.
        config: Value,
        /// Whether other managers lose what they own of it.
        force: bool,
    },
}

impl Resource<'_> {
    /// The rules of the version in which callers send and get objects.
    pub(crate) fn rules(&self) -> &Strategy {
        self.kind.rules_in(self.view)
    }

    /// Stores a new object in a namespace (of a cluster-scoped kind: ""). The object may name that
    /// namespace, or none.
    pub(crate) async fn create(
        &self,
        namespace: &str,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<Created, Error> {
        check_request(self.rules(), namespace, &mut object)?;
        self.rules().complete(&mut object)?;
        Ownership::new(self.kind.clone(), self.view, "", options).update(None, &mut object);
        self.create_owned(namespace, object, options).await
    }

    /// Applies a configuration: creates the object, or changes it.
    pub(crate) async fn apply(
        &self,
        namespace: &str,
        name: &str,
        config: Value,
        force: bool,
        options: &WriteOptions,
    ) -> Result<Applied, Error> {
        loop {
            let update = Update::Apply {
                config: config.clone(),
                force,
            };
            match self.modify("", namespace, name, update, options).await {
                Err(error) if error.reason == Reason::NotFound => {}
                outcome => return outcome.map(Applied::Changed),
            }
            let mut object = config.clone();
            check_request(self.rules(), namespace, &mut object)?;
            if !meta::uid(&object).is_empty() {
                return Err(Error::conflict(
                    &self.group_resource(),
                    name,
                    format_args!(
                        "uid mismatch: the provided object specified uid {}, and no existing object was found",
                        meta::uid(&object)
                    ),
                ));
            }
            let ownership = Ownership::new(self.kind.clone(), self.view, "", options);
            let mut object = ownership.apply(None, &object, force)?;
            self.rules().complete(&mut object)?;
            match self.create_owned(namespace, object, options).await {
                // Somebody else was faster.
                Err(error) if error.reason == Reason::AlreadyExists => {}
                outcome => return outcome.map(Applied::Created),
            }
        }
    }

    /// Stores a new object that is complete and says who owns it.
    async fn create_owned(
        &self,
        namespace: &str,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Created, Error> {
        if !meta::resource_version(&object).is_empty() {
            return Err(Error::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let generated = meta::name(&object).is_empty()
            && !object["metadata"]["generateName"]
                .as_str()
                .unwrap_or_default()
                .is_empty();
        if !generated {
            return self.create_named(namespace, object, options).await;
        }
        for _ in 1..GENERATE_TRIES {
            match self.create_named(namespace, object.clone(), options).await {
                Err(e) if e.reason == Reason::AlreadyExists => {}
                outcome => return outcome,
            }
        }
        self.create_named(namespace, object, options)
            .await
            .map_err(|e| match e.subject {
                Some(subject) if e.reason == Reason::AlreadyExists => {
                    Error::generate_name_conflict(&self.group_resource(), &subject.name)
                }
                _ => e,
            })
    }

    async fn create_named(
        &self,
        namespace: &str,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<Created, Error> {
        let (kind, rules) = (self.kind.clone(), self.rules());
        // Kubernetes judges the namespace before the object; the commit judges it again.
        if let Ok(state) = self.tenant.log.cached() {
            admit_to_namespace(&state, &kind, namespace, meta::name(&object))?;
        }
        let id = uuid::Uuid::new_v4();
        let (uid, now) = (id.to_string(), SystemTime::now());
        let suffix = meta::name_suffix(id.as_u128() as u64);
        meta::generate_name(&mut object, &suffix);
        let name = meta::name(&object).to_owned();
        let key = kind.key(namespace, &name);
        let (prepared, tree) = match kind.allocate {
            None => {
                let ranges = self.limit_ranges(namespace).await?;
                admission::set_defaults(&mut object, &ranges);
                rules.create(&mut object, &uid, now, &suffix)?;
                admission::check(&object, kind.resource(), &ranges)?;
                self.store(&mut object)?;
                (Ok(Prepared::new(&kind, &object)), Some(object))
            }
            Some(allocate) => (Err((allocate, object)), None),
        };
        let namespace = namespace.to_owned();
        let context = self.tenant.context.clone();
        let taken = Error::already_exists(&self.group_resource(), &name);
        let dry_run = options.dry_run;
        let commit: CommitFn = Box::new(move |state| {
            admit_to_namespace(state, &kind, &namespace, &name)?;
            if state.get(&key).is_some() {
                return Err(taken.clone());
            }
            let revision = (!dry_run).then(|| state.next_revision());
            Ok(vec![match &prepared {
                Ok(prepared) => prepared.change(&key, revision),
                Err((allocate, object)) => {
                    let mut object = object.clone();
                    allocate(&context, state, &mut object, None, &uid)?;
                    kind.rules.create(&mut object, &uid, now, &suffix)?;
                    Prepared::new(&kind, &object).change(&key, revision)
                }
            }])
        });
        let object = self.commit(commit, dry_run).await?.ok_or_else(lost)?;
        Ok(Created { object, tree })
    }

    /// The LimitRanges that a new object has to be within. As in Kubernetes, one that comes or changes at the same
    /// moment may not count.
    async fn limit_ranges(&self, namespace: &str) -> Result<Vec<Value>, Error> {
        let rules = &self.kind.rules;
        if rules.custom.is_some() || !admission::limited(&rules.kind) {
            return Ok(Vec::new());
        }
        let log = &self.tenant.log;
        let state = match log.cached() {
            Ok(state) => state,
            Err(_) => log.read().await?,
        };
        let ranges = state.range(&format!("limitranges/{namespace}/"));
        ranges.map(|range| parse(&range.value)).collect()
    }

    /// Commits at most one change, or acts as if; the object as it is then, or as it was when it went.
    async fn commit(
        &self,
        mut commit: CommitFn,
        dry_run: bool,
    ) -> Result<Option<Arc<Object>>, Error> {
        if !dry_run {
            let committed = self.tenant.log.commit(commit).await?;
            return Ok(committed.events.first().and_then(|event| changed(event)));
        }
        let state = self.tenant.log.read().await?;
        let change = commit(&state)?.into_iter().next();
        Ok(change.and_then(|change| match change {
            Change::Put {
                key,
                value,
                attributes,
            } => Some(Arc::new(Object::new(
                key,
                state.revision(),
                value,
                attributes,
            ))),
            Change::Delete { key } => state.get(&key).cloned(),
        }))
    }

    /// Replaces an object, or a part of it. Without a resourceVersion in `new` the write is unconditional. `again`
    /// gives the same object as `new`.
    pub(crate) async fn update(
        &self,
        subresource: &str,
        namespace: &str,
        mut new: Value,
        again: impl Fn() -> Result<Value, Error> + Send + 'static,
        options: &WriteOptions,
    ) -> Result<Arc<Object>, Error> {
        check_request(self.rules(), namespace, &mut new)?;
        let name = meta::name(&new).to_owned();
        if name.is_empty() {
            return Err(Error::bad_request(
                "metadata.name must be set: it says which object",
            ));
        }
        let (kind, view, place) = (self.kind.clone(), self.view, namespace.to_owned());
        let mut first = Some(new);
        let sent = move || match first.take() {
            Some(new) => Ok(new),
            None => {
                let mut new = again()?;
                check_request(kind.rules_in(view), &place, &mut new)?;
                Ok(new)
            }
        };
        let update = Update::Replace(Box::new(sent));
        self.modify(subresource, namespace, &name, update, options)
            .await
    }

    /// Changes an object, or a part of it.
    pub(crate) async fn modify(
        &self,
        subresource: &str,
        namespace: &str,
        name: &str,
        mut update: Update,
        options: &WriteOptions,
    ) -> Result<Arc<Object>, Error> {
        let (kind, view) = (self.kind.clone(), self.view);
        // An object in another version is judged as it is there; a part of one, by what it makes of the whole.
        let version = view.filter(|view| !view.is_part);
        let part = kind.rules_in(version).part(subresource).ok_or_else(|| {
            let message = format!("{kind:?} has no subresource {subresource}");
            Error::new(Reason::Internal, message)
        })?;
        let context = self.tenant.context.clone();
        let ownership = Ownership::new(kind.clone(), view, part.name, options);
        let now = SystemTime::now();
        let resource = self.group_resource();
        let modify = move |state: &State, old: &Value| {
            let (rules, judge) = (kind.rules_in(view), kind.rules_in(version));
            let mut shown = Cow::Borrowed(old);
            if let Some(view) = view {
                (view.show)(shown.to_mut());
            }
            let mut new = match &mut update {
                Update::Replace(sent) => sent()?,
                Update::Patch(patch) => patch(&shown)?,
                Update::Apply { config, force } => ownership.apply(Some(&shown), config, *force)?,
            };
            check_resource_version(&resource, old, meta::resource_version(&new))?;
            if meta::resource_version(&new).is_empty() && !kind.rules.unconditional_update {
                let metadata = Path::new("metadata");
                let path = metadata.child("resourceVersion");
                let field = FieldError::invalid(&path, &0_i64, "must be specified for an update");
                let (group, name) = (rules.group(), meta::name(old));
                return Err(Error::invalid_in(group, &rules.kind, name, vec![field]));
            }
            let uid = meta::uid(&new);
            let replaces = matches!(update, Update::Replace(_));
            if replaces && !uid.is_empty() && uid != meta::uid(old) {
                return Err(Error::conflict(
                    &resource,
                    meta::name(old),
                    format_args!(
                        "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                        meta::uid(old)
                    ),
                ));
            }
            rules.complete(&mut new)?;
            if !matches!(update, Update::Apply { .. }) {
                ownership.update(Some(&shown), &mut new);
            }
            if let (Some(allocate), "") = (kind.allocate, part.name) {
                allocate(&context, state, &mut new, Some(old), meta::uid(old))?;
            }
            if version.is_some() {
                judge.update(part, &mut new, &shown)?;
            }
            if let Some(view) = view {
                (view.store)(&mut new, Some(old))?;
                kind.rules.complete(&mut new)?;
            }
            if version.is_none() {
                judge.update(part, &mut new, old)?;
            }
            (kind.stamp)(&mut new, old, now);
            meta::set(&mut new, "resourceVersion", meta::resource_version(old));
            apply::keep_times(&mut new, old);
            Ok(settle(&kind, new))
        };
        self.read_modify_write(namespace, name, options.dry_run, modify)
            .await
    }

    /// The one read-modify-write. `modify` gets the state and the object as it is, and says what becomes of it. It
    /// runs on the latest state first, so that the commit has nothing left to compute, and again inside the commit if
    /// the object has changed since, or if it depends on others. The answer is the object as it is afterwards, or as it
    /// was when it went.
    pub(crate) async fn read_modify_write(
        &self,
        namespace: &str,
        name: &str,
        dry_run: bool,
        mut modify: impl FnMut(&State, &Value) -> Result<Outcome, Error> + Send + 'static,
    ) -> Result<Arc<Object>, Error> {
        let kind = self.kind.clone();
        let key = kind.key(namespace, name);
        let missing = self.not_found(name);
        let mut decide = move |state: &State, object: &Object| -> Result<Decision, Error> {
            let old = parse(&object.value)?;
            Ok(match modify(state, &old)? {
                Outcome::Keep => Decision::Keep,
                Outcome::Delete(last) => {
                    Decision::Delete(last.map(|last| Prepared::new(&kind, &last)))
                }
                Outcome::Put(mut new) => {
                    meta::set(&mut new, "resourceVersion", meta::resource_version(&old));
                    if new == old {
                        Decision::Keep
                    } else {
                        Decision::Put(Prepared::new(&kind, &new))
                    }
                }
            })
        };
        let mut early = None;
        if self.kind.allocate.is_none()
            && let Ok(state) = self.tenant.log.cached()
            && let Some(object) = state.get(&key)
        {
            early = Some((object.clone(), decide(&state, object)));
        }
        // What is answered, where that is not what the commit tells.
        let told: Arc<Mutex<Option<Arc<Object>>>> = Arc::default();
        let tell = told.clone();
        let commit: CommitFn = Box::new(move |state| {
            let object = state.get(&key).ok_or_else(|| missing.clone())?;
            // What was decided on holds for that very object: a state that others were faster than has another one at
            // the same revision.
            let decision = match &early {
                Some((seen, decision)) if Arc::ptr_eq(seen, object) => decision.clone()?,
                _ => decide(state, object)?,
            };
            let (changes, answer) = match decision {
                Decision::Keep => (vec![], Some(object.clone())),
                Decision::Put(prepared) => {
                    let next = if dry_run {
                        object.revision
                    } else {
                        state.next_revision()
                    };
                    (vec![prepared.change(&key, Some(next))], None)
                }
                Decision::Delete(last) => (
                    deletion(state, &key, state.next_revision()),
                    last.map(|last| last.object(&key, object.revision)),
                ),
            };
            // Nothing of an earlier state is left.
            *crate::lock(&tell) = answer;
            Ok(changes)
        });
        let committed = self.commit(commit, dry_run).await?;
        let told = crate::lock(&told).take();
        told.or(committed).ok_or_else(lost)
    }

    /// Brings an object of the caller's version into the stored one.
    fn store(&self, object: &mut Value) -> Result<(), Error> {
        if let Some(view) = self.view {
            (view.store)(object, None)?;
            self.kind.rules.complete(object)?;
        }
        Ok(())
    }

    /// As errors name it.
    pub(super) fn group_resource(&self) -> String {
        let rules = match self.view {
            Some(view) if !view.is_part => view.rules,
            _ => &self.kind.rules,
        };
        resource_of(&rules.resource, rules.group())
    }
}

impl Preconditions {
    /// Conflict, if the object is another one, or another version. As Kubernetes words it for deletes.
    pub(crate) fn check(&self, kind: &Kind, object: &Value) -> Result<(), Error> {
        let conflict = |what: &str, wanted: &str, found: &str, why: &str| {
            Error::conflict(
                &kind.rules.kind,
                meta::name(object),
                format_args!(
                    "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {why}"
                ),
            )
        };
        if let Some(uid) = &self.uid
            && uid != meta::uid(object)
        {
            return Err(conflict(
                "UID",
                uid,
                meta::uid(object),
                "deleted and then recreated",
            ));
        }
        if let Some(version) = &self.resource_version
            && version != meta::resource_version(object)
        {
            let found = meta::resource_version(object);
            return Err(conflict("ResourceVersion", version, found, "modified"));
        }
        Ok(())
    }
}

/// Checks what the request says of itself against where it was made, and fills it in. The object
/// has metadata afterwards.
fn check_request(rules: &Strategy, namespace: &str, object: &mut Value) -> Result<(), Error> {
    for (field, expected) in [("apiVersion", &*rules.api_version), ("kind", &*rules.kind)] {
        let given = object[field].as_str().unwrap_or_default();
        if !given.is_empty() && given != expected {
            return Err(Error::bad_request(format!(
                "{field}: the object says \"{given}\", this is the API of \"{expected}\""
            )));
        }
    }
    let object = object
        .as_object_mut()
        .ok_or_else(|| Error::bad_request("the object is not a JSON object"))?;
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    let metadata = metadata
        .as_object_mut()
        .ok_or_else(|| Error::bad_request("metadata is not a JSON object"))?;
    let given = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !rules.namespaced {
        return Ok(());
    }
    if !given.is_empty() && given != namespace {
        return Err(elsewhere());
    }
    metadata.insert("namespace".to_owned(), json!(namespace));
    Ok(())
}

/// An object of another namespace than the request's.
pub(crate) fn elsewhere() -> Error {
    Error::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    )
}

/// Conflict, if the caller saw another version.
fn check_resource_version(resource: &str, old: &Value, expected: &str) -> Result<(), Error> {
    if expected.is_empty() || expected == meta::resource_version(old) {
        return Ok(());
    }
    if expected.parse::<Revision>().is_err() {
        return Err(Error::bad_request(format!(
            "metadata.resourceVersion: \"{expected}\" is not a resourceVersion: send back what a read gave, or leave it out"
        )));
    }
    Err(Error::modified(resource, meta::name(old)))
}

/// The changes that take an object away, of which the first has this revision.
pub(crate) fn deletion(state: &State, key: &str, first: Revision) -> Vec<Change> {
    let mut changes = vec![Change::Delete { key: key.into() }];
    if state.needs_mark(key) {
        changes.push(Change::Put {
            key: Template::mark(key).as_str().into(),
            value: json::Template::new(&json!({})).at(Some(first + 1)),
            attributes: Attributes::default(),
        });
    }
    changes
}

/// An object that is being deleted goes with its last finalizer.
pub(crate) fn settle(kind: &Kind, new: Value) -> Outcome {
    if is_done(kind, &new) {
        Outcome::Delete(Some(new))
    } else {
        Outcome::Put(new)
    }
}

/// The object that an event is about: the new version, or the last one.
pub(crate) fn changed(event: &Event) -> Option<Arc<Object>> {
    match (&event.object, &event.previous) {
        (Some(object), _) | (None, Previous::Object(object)) => Some(object.clone()),
        _ => None,
    }
}

pub(crate) fn lost() -> Error {
    Error::new(Reason::Internal, "the commit did not say what it changed")
}
