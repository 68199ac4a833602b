//! The head of a table: its columns.

use serde_json::{Value, json};

/// A column of a table, as `columnDefinitions` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The words above it; kubectl prints them in capitals.
    pub name: &'static str,
    /// An OpenAPI type: `string`, `integer`, `boolean`, `date` …
    pub kind: &'static str,
    /// An OpenAPI format; `name` marks the column that names the object.
    pub format: &'static str,
    /// What is in it.
    pub description: &'static str,
    /// 0 is always shown, 1 with `-o wide` only.
    pub priority: i32,
}

impl Column {
    /// The column in a Table.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    const fn typed(name: &'static str, kind: &'static str, description: &'static str) -> Self {
        Self {
            name,
            kind,
            format: "",
            description,
            priority: 0,
        }
    }

    pub(super) const fn text(name: &'static str, description: &'static str) -> Self {
        Self::typed(name, "string", description)
    }

    pub(super) const fn int(name: &'static str, description: &'static str) -> Self {
        Self::typed(name, "integer", description)
    }

    pub(super) const fn flag(name: &'static str, description: &'static str) -> Self {
        Self::typed(name, "boolean", description)
    }

    pub(super) const fn date(name: &'static str, description: &'static str) -> Self {
        Self::typed(name, "date", description)
    }

    /// The same, but a name.
    pub(super) const fn naming(self) -> Self {
        Self {
            format: "name",
            ..self
        }
    }

    /// The same, but shown with `-o wide` only.
    pub(super) const fn wide(self) -> Self {
        Self {
            priority: 1,
            ..self
        }
    }
}

pub(super) const NAME: Column = Column::text(
    "Name",
    "The object's name, unique among its kind in its namespace.",
)
.naming();
pub(super) const AGE: Column = Column::text("Age", "The time since the object was created.");
pub(super) const CONTAINERS: Column =
    Column::text("Containers", "The names of the template's containers.");
pub(super) const IMAGES: Column =
    Column::text("Images", "The images of the template's containers.");
pub(super) const SELECTOR: Column =
    Column::text("Selector", "The labels by which the pods are selected.");
