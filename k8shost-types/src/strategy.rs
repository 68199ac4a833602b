//! What is particular to a kind, as one table row: the order of the steps is the same for all.

use std::{borrow::Cow, time::SystemTime};

use serde_json::Value;

use crate::{
    error::{Error, FieldError},
    meta,
    names::NameRule,
};

/// The fields of an object that a field selector may ask for, besides metadata.name and
/// metadata.namespace, and their values.
pub type Fields<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// The rules of a kind. Each function takes any JSON and never panics.
#[derive(Clone, Copy)]
pub struct Strategy {
    /// `Pod`.
    pub kind: &'static str,
    /// `v1`.
    pub api_version: &'static str,
    /// `pods`.
    pub resource: &'static str,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// The form of its names.
    pub name_rule: NameRule,
    /// Puts Kubernetes' defaults where a field is not set; doing it twice changes nothing more.
    pub default: fn(&mut Value),
    /// Takes out what a caller may not set on create, and sets what the server sets.
    pub prepare_create: fn(&mut Value),
    /// What is wrong with a new object, metadata included.
    pub validate_create: fn(&Value) -> Vec<FieldError>,
    /// Takes out of the new object what an update may not touch: status stays as it was.
    pub prepare_update: fn(&mut Value, &Value),
    /// What is wrong with the new object, the old one given.
    pub validate_update: fn(&Value, &Value) -> Vec<FieldError>,
    /// As `prepare_update`, of a write of the status: all else stays as it was.
    pub prepare_status_update: fn(&mut Value, &Value),
    /// As `validate_update`, of a write of the status.
    pub validate_status_update: fn(&Value, &Value) -> Vec<FieldError>,
    /// Last touches, after validation.
    pub canonicalize: fn(&mut Value),
    /// The fields that a selector may name, metadata.name and metadata.namespace included.
    pub selectable: &'static [&'static str],
    /// The values of those fields, metadata.name and metadata.namespace left out.
    pub fields: for<'a> fn(&'a Value) -> Fields<'a>,
}

impl Strategy {
    /// Makes a new object of what the caller sent: defaults, what the server sets, a uid, a name of
    /// its generateName, and all rules. `suffix` is five random letters (see
    /// [`meta::name_suffix`]).
    ///
    /// The object's namespace must be set already. resourceVersion is the caller's to refuse and to
    /// set.
    pub fn before_create(
        &self,
        object: &mut Value,
        uid: &str,
        now: SystemTime,
        suffix: &str,
    ) -> Result<(), Error> {
        meta::set_kind(object, self.api_version, self.kind);
        (self.default)(object);
        meta::prepare_create(object, uid, now);
        (self.prepare_create)(object);
        meta::generate_name(object, suffix);
        let mut errors = (self.validate_create)(object);
        // The apiserver checks metadata of any kind once more, with the weakest rule for names.
        meta::validate_create(
            object,
            self.namespaced,
            crate::names::path_segment,
            &mut errors,
        );
        if !errors.is_empty() {
            return Err(Error::invalid(self.kind, meta::name(object), errors));
        }
        (self.canonicalize)(object);
        Ok(())
    }

    /// Makes the new version of an object of what the caller sent and the old version. Whether the
    /// resourceVersion and the uid are the right ones is the caller's to check before.
    pub fn before_update(&self, new: &mut Value, old: &Value) -> Result<(), Error> {
        meta::set_kind(new, self.api_version, self.kind);
        (self.default)(new);
        meta::prepare_update(new, old);
        (self.prepare_update)(new, old);
        meta::keep_immutable(new, old);
        let mut errors = meta_update_errors(new, old, self.namespaced);
        errors.append(&mut (self.validate_update)(new, old));
        self.finish(new, errors)
    }

    /// The same for a write of the status.
    pub fn before_status_update(&self, new: &mut Value, old: &Value) -> Result<(), Error> {
        meta::set_kind(new, self.api_version, self.kind);
        (self.default)(new);
        meta::prepare_update(new, old);
        (self.prepare_status_update)(new, old);
        meta::keep_immutable(new, old);
        let mut errors = meta_update_errors(new, old, self.namespaced);
        errors.append(&mut (self.validate_status_update)(new, old));
        self.finish(new, errors)
    }

    fn finish(&self, new: &mut Value, errors: Vec<FieldError>) -> Result<(), Error> {
        if !errors.is_empty() {
            return Err(Error::invalid(self.kind, meta::name(new), errors));
        }
        (self.canonicalize)(new);
        Ok(())
    }
}

fn meta_update_errors(new: &Value, old: &Value, namespaced: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate_create(new, namespaced, crate::names::path_segment, &mut errors);
    meta::validate_update(new, old, &mut errors);
    errors
}
