//! The names of tenants: an organization and a project within it.

use std::{fmt, str::FromStr};

use crate::{error::Error, names};

/// The organization of callers that name none.
pub const DEFAULT_ORG: &str = "default-org";
/// The project of callers that name none.
pub const DEFAULT_PROJECT: &str = "default-project";

macro_rules! tenant_name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Box<str>);

        impl $type {
            /// Takes a name that is a DNS-1123 label: so it has no `/`, `@` or `.`, and 63
            /// characters at most. Anything else is a BadRequest.
            pub fn new(name: &str) -> Result<Self, Error> {
                match names::dns1123_label(name).first() {
                    None => Ok(Self(name.into())),
                    Some(fault) => Err(Error::bad_request(format!(
                        "invalid {} name {}: {fault}",
                        $what,
                        crate::field::quote(name)
                    ))),
                }
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

tenant_name!(
    /// The name of an organization.
    OrgName,
    "organization"
);
tenant_name!(
    /// The name of a project, unique within its organization.
    ProjectName,
    "project"
);

/// Whose objects: an organization and one of its projects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName {
    /// The organization.
    pub org: OrgName,
    /// The project.
    pub project: ProjectName,
}

impl TenantName {
    /// The tenant of this organization and project; a malformed name is a BadRequest.
    pub fn new(org: &str, project: &str) -> Result<Self, Error> {
        Ok(Self {
            org: OrgName::new(org)?,
            project: ProjectName::new(project)?,
        })
    }

    /// True of the tenant that exists from the start and cannot be deleted.
    pub fn is_default(&self) -> bool {
        self.org.as_str() == DEFAULT_ORG && self.project.as_str() == DEFAULT_PROJECT
    }
}

impl Default for TenantName {
    fn default() -> Self {
        Self {
            org: OrgName(DEFAULT_ORG.into()),
            project: ProjectName(DEFAULT_PROJECT.into()),
        }
    }
}

/// As it is displayed: `organization/project`.
impl FromStr for TenantName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (org, project) = text
            .split_once('/')
            .ok_or_else(|| Error::bad_request("the tenant is written as organization/project"))?;
        Self::new(org, project)
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.project)
    }
}
