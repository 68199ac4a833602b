//! What an apply is refused for.

use std::fmt::Write as _;

use super::{
    managed::{Entry, Operation},
    set::{FieldPath, FieldSet},
};
use crate::{
    error::{Error, FieldError, FieldErrorKind, Reason},
    field::quote,
};

/// A field that an apply would change and that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The other manager.
    pub manager: String,
    /// How it came to own the field.
    pub operation: Operation,
    /// The version that it wrote.
    pub api_version: String,
    /// The subresource that it wrote; "" is the object itself.
    pub subresource: String,
    /// When its entry last changed, as the entry has it.
    pub time: Option<String>,
    /// The field.
    pub path: FieldPath<'static>,
}

impl Conflict {
    /// Those of a manager.
    pub(super) fn with(entry: &Entry<'_>, fields: FieldSet<'_>) -> Vec<Self> {
        let paths = fields.into_owned().paths();
        let conflict = |path| Self {
            manager: entry.manager.clone().into_owned(),
            operation: entry.operation,
            api_version: entry.api_version.clone().into_owned(),
            subresource: entry.subresource.clone().into_owned(),
            time: entry.time.clone().map(std::borrow::Cow::into_owned),
            path,
        };
        paths.into_iter().map(conflict).collect()
    }

    /// `"name" with subresource "scale" using apps/v1`.
    fn with_whom(&self) -> String {
        let mut text = quote(&self.manager);
        if !self.subresource.is_empty() {
            let _ = write!(text, " with subresource {}", quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            let _ = write!(text, " using {}", self.api_version);
        }
        text
    }
}

/// Why an apply is refused.
#[derive(Clone, Debug)]
pub enum ApplyError {
    /// Others own fields that it would change; of a manager all after each other.
    Conflicts(Vec<Conflict>),
    /// The request is not an apply of this kind.
    Refused(Error),
    /// The configuration does not fit the schema. Kubernetes answers with code 500 and no reason.
    Untyped(String),
}

impl From<ApplyError> for Error {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Conflicts(conflicts) => {
                let mut error = Self::new(Reason::Conflict, message(&conflicts));
                let causes = conflicts.iter().map(|conflict| FieldError {
                    kind: FieldErrorKind::ManagerConflict,
                    field: conflict.path.to_string(),
                    message: format!("conflict with {}", conflict.with_whom()),
                });
                error.fields = causes.collect();
                error
            }
            ApplyError::Refused(error) => error,
            ApplyError::Untyped(message) => Self::new(Reason::Unknown, message),
        }
    }
}

fn message(conflicts: &[Conflict]) -> String {
    if let [conflict] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            conflict.with_whom(),
            conflict.path
        );
    }
    let mut lines = Vec::new();
    let mut before = None;
    for conflict in conflicts {
        let whom = conflict.with_whom();
        if before.as_ref() != Some(&whom) {
            lines.push(format!("conflicts with {whom}:"));
            before = Some(whom);
        }
        lines.push(format!("- {}", conflict.path));
    }
    format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        lines.join("\n")
    )
}
