//! Who owns which fields of an object, and server-side apply.
//!
//! Every write says in metadata.managedFields which fields its manager set ([`update`]), and an apply
//! merges a configuration into an object by what its manager owned and owns now ([`apply`]). The rules
//! are those of Kubernetes 1.35 (KEP-555): of structured-merge-diff, and of the field managers that the
//! API server puts around it. What a schema says is asked through [`Shape`].
//!
//! A set of fields borrows its names from the objects it was read off: nothing of an object is copied
//! but what an apply merges.

mod check;
mod compact;
mod compare;
mod conflict;
mod element;
mod fields_v1;
mod last_applied;
mod managed;
mod merge;
mod prune;
mod reset;
mod scale;
mod schema;
mod server_side;
mod set;
mod shape;
mod update;

use std::time::SystemTime;

use serde_json::Value;

pub(crate) use compact::stored;
pub use compact::{expand, expand_fields, store_fields};
pub use compare::{Changes, compare, fields};
pub use conflict::{ApplyError, Conflict};
pub use element::Element;
pub use managed::{Entry, Managed, Operation};
pub use reset::Reset;
pub use scale::{from_scale, to_scale};
pub use schema::TypeShape;
pub use server_side::apply;
pub use set::{FieldPath, FieldSet};
pub use shape::{Field, Form, Scalar, Shape};
pub use update::{keep_times, manager_name, update};

/// Deeper than this no object is walked; the readers of JSON do not go deeper either.
const DEEPEST: usize = 128;

/// The object in another version of its kind, and the shape of that.
pub type Convert<'t, S> = &'t dyn Fn(&Value, &str) -> Option<(Value, S)>;

/// The endpoint that is written to.
#[derive(Clone, Copy)]
pub struct Target<'t, S> {
    /// The version in which the object is written: `apps/v1`.
    pub api_version: &'t str,
    /// `Deployment`.
    pub kind: &'t str,
    /// The subresource; "" is the object itself.
    pub subresource: &'t str,
    /// The object's schema.
    pub shape: S,
    /// An object in which nothing is set: a create owns no field that is as it is here.
    pub empty: &'t Value,
    /// What writes here do not own.
    pub reset: Reset,
    /// Brings an object, which may be in any version of its kind, into a version: that of another manager's
    /// entry, or this one again. None where the kind has no such version: the entry goes then. An object
    /// of this version is never asked for in this version.
    pub convert: Convert<'t, S>,
}

/// Who writes, and when.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'t> {
    /// The manager's name (see [`manager_name`]); "" counts as `unknown`.
    pub manager: &'t str,
    /// The time that a changed entry gets.
    pub now: SystemTime,
}

impl Writer<'_> {
    fn name(&self) -> &str {
        match self.manager {
            "" => "unknown",
            name => name,
        }
    }
}
