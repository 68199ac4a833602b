//! Who owns which fields: metadata.managedFields on every kind of write, and server-side apply.

use std::{sync::Arc, time::SystemTime};

use k8shost_types::{
    Error, Strategy,
    apply::{self, Reset, Target, TypeShape, Writer},
};
use serde_json::Value;

use super::kind::{KindRef, View};

/// How a request writes.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    /// The manager that owns the fields that it sets.
    pub(crate) manager: Arc<str>,
    /// Whether nothing is stored.
    pub(crate) dry_run: bool,
}

impl WriteOptions {
    /// For writes of the server's own.
    pub(crate) fn internal() -> Self {
        Self {
            manager: "k8shost".into(),
            dry_run: false,
        }
    }
}

/// A write, as managedFields will tell of it.
#[derive(Clone)]
pub(crate) struct Ownership {
    kind: KindRef,
    /// What is written, if that is not the version that is stored.
    view: Option<&'static View>,
    subresource: &'static str,
    manager: Arc<str>,
    now: SystemTime,
}

impl Ownership {
    /// A write of an object, or of a subresource, now.
    pub(crate) fn new(
        kind: impl Into<KindRef>,
        view: Option<&'static View>,
        subresource: &'static str,
        options: &WriteOptions,
    ) -> Self {
        Self::at(kind, view, subresource, options, SystemTime::now())
    }

    /// The same at some time.
    pub(crate) fn at(
        kind: impl Into<KindRef>,
        view: Option<&'static View>,
        subresource: &'static str,
        options: &WriteOptions,
        now: SystemTime,
    ) -> Self {
        Self {
            kind: kind.into(),
            view,
            subresource,
            manager: options.manager.clone(),
            now,
        }
    }

    /// Sets managedFields after a write that is no apply, of a complete object. Kinds without a schema,
    /// the server's own, have none.
    pub(crate) fn update(&self, old: Option<&Value>, new: &mut Value) {
        let Some(shape) = shape(self.rules()) else {
            return;
        };
        let convert = |object: &Value, version: &str| self.convert(object, version);
        let empty = (self.rules().empty)();
        let target = self.target(shape, &empty, &convert);
        apply::update(&target, &self.writer(), old, new);
    }

    /// The object with a configuration applied to it; a new one, where there is none.
    ///
    /// # Errors
    /// Conflict, if others own what it would change; BadRequest.
    pub(crate) fn apply(
        &self,
        live: Option<&Value>,
        config: &Value,
        force: bool,
    ) -> Result<Value, Error> {
        let Some(shape) = shape(self.rules()) else {
            return Err(Error::bad_request("objects of this kind are not applied"));
        };
        let convert = |object: &Value, version: &str| self.convert(object, version);
        let empty = (self.rules().empty)();
        let target = self.target(shape, &empty, &convert);
        Ok(apply::apply(&target, &self.writer(), live, config, force)?)
    }

    /// The rules of the version that is written.
    fn rules(&self) -> &Strategy {
        self.kind.rules_in(self.view)
    }

    fn target<'t>(
        &'t self,
        shape: TypeShape<'t>,
        empty: &'t Value,
        convert: apply::Convert<'t, TypeShape<'t>>,
    ) -> Target<'t, TypeShape<'t>> {
        let rules = self.rules();
        Target {
            api_version: &rules.api_version,
            kind: &rules.kind,
            subresource: self.subresource,
            shape,
            empty,
            reset: Reset::of(rules.group(), &rules.resource, self.subresource),
            convert,
        }
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            manager: &self.manager,
            now: self.now,
        }
    }

    /// The object in another version of its kind.
    fn convert(&self, object: &Value, version: &str) -> Option<(Value, TypeShape<'_>)> {
        let given = object["apiVersion"].as_str()?;
        let mut object = object.clone();
        if let Some(view) = self.kind.view(given) {
            (view.store)(&mut object, None).ok()?;
        }
        if version == self.kind.rules.api_version {
            return Some((object, shape(&self.kind.rules)?));
        }
        let view = self.kind.view(version)?;
        (view.show)(&mut object);
        Some((object, shape(view.rules)?))
    }
}

fn shape(rules: &Strategy) -> Option<TypeShape<'_>> {
    Some(rules.schema()?.into())
}
