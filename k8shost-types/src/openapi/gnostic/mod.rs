//! Documents put together, as JSON or as the protobuf messages of gnostic.

mod messages;
#[cfg(test)]
mod tests;
mod wire;

use serde_json::{Value, json};

use super::{Format, render::Dialect};
use messages::{Of, v2, v3};

/// The paths or the schemas of a document, written as they come.
pub(super) struct Entries {
    format: Format,
    /// The message that they are entries of.
    of: &'static Of,
    bytes: Vec<u8>,
}

impl Entries {
    pub(super) fn paths(dialect: Dialect, format: Format) -> Self {
        Self::new(format, [&v2::PATHS, &v3::PATHS], dialect)
    }

    pub(super) fn schemas(dialect: Dialect, format: Format) -> Self {
        Self::new(format, [&v2::SCHEMAS, &v3::SCHEMAS], dialect)
    }

    fn new(format: Format, [v2, v3]: [&'static Of; 2], dialect: Dialect) -> Self {
        Self {
            format,
            of: match dialect {
                Dialect::V2 => v2,
                Dialect::V3 => v3,
            },
            bytes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, name: &str, value: &Value) {
        match self.format {
            Format::Json => {
                if !self.bytes.is_empty() {
                    self.bytes.push(b',');
                }
                self.bytes
                    .extend(format!("{}:{value}", json!(name)).into_bytes());
            }
            Format::Protobuf => wire::entry(&mut self.bytes, self.of, name, value),
        }
    }
}

/// The whole document: paths, schemas, ways to authenticate, and what else stands in it.
pub(super) fn join(
    dialect: Dialect,
    format: Format,
    paths: Entries,
    schemas: Entries,
    security: &Value,
    others: &Value,
) -> Vec<u8> {
    let (paths, schemas) = (paths.bytes, schemas.bytes);
    let mut document = Vec::with_capacity(paths.len() + schemas.len() + 8 * 1024);
    match format {
        Format::Json => {
            let security = security.to_string();
            let others = others.to_string();
            let (open, close, security_in) = match dialect {
                Dialect::V2 => (r#"{"definitions":{"#, "},", r#""securityDefinitions":"#),
                Dialect::V3 => (
                    r#"{"components":{"schemas":{"#,
                    "},",
                    r#""securitySchemes":"#,
                ),
            };
            // The components end behind the security schemes.
            let end = match dialect {
                Dialect::V2 => "",
                Dialect::V3 => "}",
            };
            for part in [
                open.as_bytes(),
                &schemas,
                close.as_bytes(),
                security_in.as_bytes(),
                security.as_bytes(),
                end.as_bytes(),
                br#","paths":{"#,
                &paths,
                b"},",
                &others.as_bytes()[1..],
            ] {
                document.extend_from_slice(part);
            }
        }
        Format::Protobuf => match dialect {
            Dialect::V2 => {
                wire::fields(&mut document, &v2::DOCUMENT, others);
                wire::bytes(&mut document, v2::IN_PATHS, &paths);
                wire::bytes(&mut document, v2::IN_SCHEMAS, &schemas);
                wire::field(&mut document, v2::IN_SECURITY, &v2::SECURITY, security);
            }
            Dialect::V3 => {
                let mut components = Vec::with_capacity(schemas.len() + 1024);
                wire::bytes(&mut components, v3::IN_SCHEMAS, &schemas);
                wire::field(&mut components, v3::IN_SECURITY, &v3::SECURITY, security);
                wire::fields(&mut document, &v3::DOCUMENT, others);
                wire::bytes(&mut document, v3::IN_PATHS, &paths);
                wire::bytes(&mut document, v3::IN_COMPONENTS, &components);
            }
        },
    }
    document
}
