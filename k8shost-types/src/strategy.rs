//! What is particular to a kind, as one table row: the order of the steps is the same for all.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use serde_json::Value;

pub use crate::kinds::Text;
use crate::{
    custom::Custom,
    error::{Error, FieldError, FieldErrorKind, Reason},
    field::quote,
    json, meta,
    names::{self, NameRule},
    rules,
    schema::{self, Type},
    table::Printer,
};

/// The fields of an object that a field selector may ask for, besides metadata.name and
/// metadata.namespace, and their values.
pub type Fields<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// A part of an object that is written by itself: the object without its status, or what a subresource
/// is about.
#[derive(Clone, Copy)]
pub struct Part {
    /// The subresource's name: `status`; "" is the object itself.
    pub name: &'static str,
    /// Takes out of the new object what such a write may not touch: all of that stays as it was.
    pub prepare: fn(&mut Value, &Value),
    /// What is wrong with the new object, the old one given.
    pub validate: fn(&Value, &Value) -> Vec<FieldError>,
}

/// The rules of a kind. Each function takes any JSON and never panics.
#[derive(Clone)]
pub struct Strategy {
    /// `Pod`.
    pub kind: Text,
    /// `v1`.
    pub api_version: Text,
    /// `pods`.
    pub resource: Text,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// The form of its names.
    pub name_rule: NameRule,
    /// What Go writes of an object in which nothing is set, besides empty structs: nulls of fields that it
    /// does not leave out. A create owns no field that is as it is here.
    pub empty: fn() -> Value,
    /// Puts Kubernetes' defaults where a field is not set; doing it twice changes nothing more.
    pub default: fn(&mut Value),
    /// What admission adds to a new object, or refuses.
    pub admit_create: fn(&mut Value) -> Result<(), Error>,
    /// What admission adds to a new version of an object; the old one is given.
    pub admit_update: fn(&mut Value, &Value) -> Result<(), Error>,
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
    /// Whether there is a subresource `status`, to which alone the status is written.
    pub has_status: bool,
    /// Whether there is a subresource `scale`, by which the replicas are written.
    pub has_scale: bool,
    /// The other parts that are written by themselves.
    pub parts: &'static [Part],
    /// Whether an update of an object that is not there makes it.
    pub create_on_update: bool,
    /// Whether an update may leave out the resourceVersion, and so overwrite what it did not see.
    pub unconditional_update: bool,
    /// Of a kind that was made at run time: what it goes by besides these functions.
    pub custom: Option<Arc<Custom>>,
}

impl Strategy {
    /// A row to start from: a namespaced kind without a status and without rules beyond those for
    /// metadata, which are those of [`names::subdomain_rule`].
    pub const BASE: Self = Self {
        kind: Text::Borrowed(""),
        api_version: Text::Borrowed("v1"),
        resource: Text::Borrowed(""),
        namespaced: true,
        name_rule: names::subdomain_rule,
        empty: || Value::Object(json::Object::new()),
        default: |_| {},
        admit_create: |_| Ok(()),
        admit_update: |_, _| Ok(()),
        prepare_create: |_| {},
        validate_create: |object| rules::metadata(object, true, names::subdomain_rule),
        prepare_update: |_, _| {},
        validate_update: rules::metadata_update,
        prepare_status_update: |_, _| {},
        validate_status_update: rules::metadata_update,
        canonicalize: |_| {},
        selectable: &["metadata.name", "metadata.namespace"],
        fields: |_| Vec::new(),
        has_status: false,
        has_scale: false,
        parts: &[],
        create_on_update: false,
        unconditional_update: true,
        custom: None,
    };

    /// The API group: `apps`, and "" for core.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// The version within the group: `v1`.
    pub fn version(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or(&self.api_version, |(_, version)| version)
    }

    /// What its objects look like; `None` for kinds that are the server's own.
    pub fn schema(&self) -> Option<Type<'_>> {
        let table = match &self.custom {
            Some(custom) => custom.schemas(),
            None => schema::builtin(),
        };
        table.of(self.group(), self.version(), &self.kind)
    }

    /// What prints its objects as rows.
    pub fn printer(&self) -> Printer<'_> {
        match &self.custom {
            Some(custom) => Printer::custom(custom.columns()),
            None => Printer::of(self.group(), &self.resource),
        }
    }

    /// The part of a subresource; "" is the object itself.
    pub fn part(&self, subresource: &str) -> Option<Part> {
        match subresource {
            "" => Some(Part {
                name: "",
                prepare: self.prepare_update,
                validate: self.validate_update,
            }),
            "status" if self.has_status => Some(Part {
                name: "status",
                prepare: self.prepare_status_update,
                validate: self.validate_status_update,
            }),
            "scale" if self.has_scale => Some(Part {
                name: "scale",
                prepare: self.prepare_update,
                validate: self.validate_update,
            }),
            _ => self
                .parts
                .iter()
                .find(|part| part.name == subresource)
                .copied(),
        }
    }

    /// Completes what a caller sent: its type, and defaults. What the caller owns is told after this
    /// and before anything else is done.
    ///
    /// # Errors
    /// BadRequest, if it is no object or too large.
    pub fn complete(&self, object: &mut Value) -> Result<(), Error> {
        self.check_shape(object)?;
        meta::set_kind(object, &self.api_version, &self.kind);
        (self.default)(object);
        if let Some(custom) = &self.custom {
            custom.default(object);
        }
        Ok(())
    }

    /// Makes a new object of one that is complete: admission, what the server sets, a uid, a name of its
    /// generateName, and all rules. `suffix` is five random letters (see [`meta::name_suffix`]).
    ///
    /// The object's namespace must be set already. resourceVersion is the caller's to refuse and to
    /// set. A Service has its addresses from [`crate::addresses::allocate`] by now.
    pub fn create(
        &self,
        object: &mut Value,
        uid: &str,
        now: SystemTime,
        suffix: &str,
    ) -> Result<(), Error> {
        (self.admit_create)(object)?;
        meta::prepare_create(object, uid, now);
        meta::generate_name(object, suffix);
        (self.prepare_create)(object);
        let mut errors = (self.validate_create)(object);
        if let Some(custom) = &self.custom {
            errors.append(&mut custom.validate(object, None));
        }
        self.finish(object, errors)
    }

    /// [`Strategy::complete`] and [`Strategy::create`].
    pub fn before_create(
        &self,
        object: &mut Value,
        uid: &str,
        now: SystemTime,
        suffix: &str,
    ) -> Result<(), Error> {
        self.complete(object)?;
        self.create(object, uid, now, suffix)
    }

    /// Makes the new version of an object, by a write of a part of it, of one that is complete and of the
    /// old version. Whether the resourceVersion and the uid are the right ones is the caller's to check
    /// before.
    pub fn update(&self, part: Part, new: &mut Value, old: &Value) -> Result<(), Error> {
        if part.name.is_empty() {
            (self.admit_update)(new, old)?;
        }
        meta::prepare_update(new, old);
        (part.prepare)(new, old);
        meta::keep_immutable(new, old);
        let mut errors = self.common_errors(new, old);
        errors.append(&mut (part.validate)(new, old));
        if let Some(custom) = &self.custom {
            errors.append(&mut custom.validate(new, Some(old)));
        }
        self.finish(new, errors)
    }

    /// [`Strategy::complete`] and [`Strategy::update`] of the object itself.
    pub fn before_update(&self, new: &mut Value, old: &Value) -> Result<(), Error> {
        self.before_update_of("", new, old)
    }

    /// The same for a write of the status.
    pub fn before_status_update(&self, new: &mut Value, old: &Value) -> Result<(), Error> {
        self.before_update_of("status", new, old)
    }

    fn before_update_of(&self, part: &str, new: &mut Value, old: &Value) -> Result<(), Error> {
        let part = self.part(part).ok_or_else(|| {
            let message = format!("{} has no part {}", self.kind, quote(part));
            Error::new(Reason::Internal, message)
        })?;
        self.complete(new)?;
        self.update(part, new, old)
    }

    fn check_shape(&self, object: &Value) -> Result<(), Error> {
        if object.is_object() {
            return json::check_size(object);
        }
        Err(Error::bad_request(format!(
            "the object provided is unrecognized (must be of type {})",
            self.kind
        )))
    }

    /// The apiserver checks the metadata of any kind first, and the kind's own rules check it again:
    /// what is wrong there is told twice.
    fn common_errors(&self, new: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        meta::validate_create(new, self.namespaced, names::path_segment, &mut errors);
        meta::validate_update(new, old, &mut errors);
        errors
    }

    fn finish(&self, object: &mut Value, errors: Vec<FieldError>) -> Result<(), Error> {
        if errors.is_empty() {
            (self.canonicalize)(object);
            return Ok(());
        }
        // What a custom kind's decoder takes, its rules refuse.
        let unreadable = errors
            .iter()
            .find(|error| error.kind == FieldErrorKind::TypeInvalid && self.custom.is_none());
        let Some(unreadable) = unreadable else {
            // Events are of the core group to their rules, whichever version was asked for.
            let group = if self.kind == "Event" && self.custom.is_none() {
                ""
            } else {
                self.group()
            };
            let name = meta::name(object);
            return Err(Error::invalid_in(group, &self.kind, name, errors));
        };
        // Kubernetes' decoder would have refused it, naming no field.
        let detail = unreadable
            .message
            .splitn(3, ": ")
            .last()
            .unwrap_or_default();
        let message = format!(
            "{} in version {} cannot be handled as a {}: {detail}",
            self.kind,
            quote(self.version()),
            self.kind
        );
        let mut error = Error::bad_request(message);
        error.fields = errors;
        Err(error)
    }
}
