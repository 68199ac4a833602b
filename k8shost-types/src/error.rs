//! The one error of k8shost: what went wrong, in words for the caller, and where.
//!
//! The faces map a [`Reason`] to HTTP and gRPC as one of their last steps; nothing else knows of
//! status codes.

use std::{fmt, sync::Arc, time::Duration};

use crate::{field::quote, seen::Seen};

/// Why a request was not carried out. The names are those of metav1.Status where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request could not be understood.
    BadRequest,
    /// The object breaks a rule of its kind; see [`Error::fields`].
    Invalid,
    /// The caller did not say who it is.
    Unauthorized,
    /// The caller may not do this, or the object's state does not allow it.
    Forbidden,
    /// There is no such object, tenant or kind.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// A stale resourceVersion or uid, or a write that the state does not allow now.
    Conflict,
    /// The revision is older than what is kept.
    Expired,
    /// The revision is newer than the newest there is.
    ResourceVersionTooLarge,
    /// The verb is not offered for the resource.
    MethodNotAllowed,
    /// No representation that the caller accepts.
    NotAcceptable,
    /// The body is of a type that is not read.
    UnsupportedMediaType,
    /// The request or the object is too large.
    RequestEntityTooLarge,
    /// Too many requests, or a quota of them is used up.
    TooManyRequests,
    /// The outcome is unknown: it may have been carried out.
    Timeout,
    /// Not now: the store is away or full, the server is stopping. Nothing was done.
    ServiceUnavailable,
    /// A fault of the server.
    Internal,
    /// What Kubernetes answers with code 500 and without a reason.
    Unknown,
}

impl Reason {
    /// The reason's name, as in metav1.Status and in google.rpc.ErrorInfo.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Invalid => "Invalid",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Expired => "Expired",
            Self::ResourceVersionTooLarge => "ResourceVersionTooLarge",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::TooManyRequests => "TooManyRequests",
            Self::Timeout => "Timeout",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Internal => "InternalError",
            Self::Unknown => "",
        }
    }
}

/// What is wrong with a field; the wording is that of Kubernetes' `field.ErrorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldErrorKind {
    /// The field must be set.
    Required,
    /// The value is malformed or out of range.
    Invalid,
    /// The value is not one of a fixed set.
    NotSupported,
    /// The value may occur once only.
    Duplicate,
    /// The field may not be set, or not changed, here.
    Forbidden,
    /// The value is too long.
    TooLong,
    /// The list has too many items.
    TooMany,
    /// What the field refers to is not there.
    NotFound,
    /// The value is not of the field's type, and the object could not be read.
    TypeInvalid,
    /// Another manager owns the field; of [`Reason::Conflict`], in words of its own.
    ManagerConflict,
    /// A PodDisruptionBudget keeps a pod; of [`Reason::TooManyRequests`], at no field, in words of its own.
    DisruptionBudget,
    /// The object's namespace goes; of [`Reason::Forbidden`], in words of its own.
    NamespaceTerminating,
}

impl FieldErrorKind {
    /// The kind's words at the start of a message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
            Self::ManagerConflict => "Conflict",
            Self::DisruptionBudget => "Disruption budget",
            Self::NamespaceTerminating => "Forbidden",
        }
    }

    /// The reason of a cause in metav1.Status.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::NotFound => "FieldValueNotFound",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::ManagerConflict => "FieldManagerConflict",
            Self::DisruptionBudget => "DisruptionBudget",
            Self::NamespaceTerminating => "NamespaceTerminating",
        }
    }
}

/// One broken rule, at one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// What kind of fault it is.
    pub kind: FieldErrorKind,
    /// Where, as Kubernetes writes it: `spec.containers[0].name`.
    pub field: String,
    /// The whole message after the field's path, value included where Kubernetes includes it:
    /// `Invalid value: "A": must be lower case`.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The object or kind that an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The API group, empty for core.
    pub group: String,
    /// The resource (`pods`) or, for Invalid, the kind (`Pod`).
    pub resource: String,
    /// The object's name, empty where it has none yet.
    pub name: String,
}

/// An error for a caller, with causes that only the log sees.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Why.
    pub reason: Reason,
    /// In words, for the caller.
    pub message: String,
    /// The fields at fault, for [`Reason::Invalid`] and some of [`Reason::BadRequest`].
    pub fields: Vec<FieldError>,
    /// What it is about.
    pub subject: Option<Box<Subject>>,
    /// When another try makes sense.
    pub retry_after: Option<Duration>,
    /// For [`Reason::Expired`] of a list: a token that goes on at the present.
    pub continue_token: Option<String>,
    /// For the log, never sent.
    #[source]
    pub cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a reason and a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            fields: Vec::new(),
            subject: None,
            retry_after: None,
            continue_token: None,
            cause: None,
        }
    }

    /// The same error with a cause for the log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// The same error, about this object.
    #[must_use]
    pub fn about(mut self, group: &str, resource: &str, name: &str) -> Self {
        self.subject = Some(Box::new(Subject {
            group: group.to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
        }));
        self
    }

    /// The same error, with a hint when to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// An object breaks rules of its kind: `Pod "x" is invalid: spec.containers: Required value`.
    /// A rule that is broken twice in the same words is named once.
    pub fn invalid(kind: &str, name: &str, fields: Vec<FieldError>) -> Self {
        Self::invalid_in("", kind, name, fields)
    }

    /// The same of a kind of any group: `Deployment.apps "x" is invalid: …`.
    pub fn invalid_in(group: &str, kind: &str, name: &str, fields: Vec<FieldError>) -> Self {
        let shown = match group {
            "" => kind.to_owned(),
            group => format!("{kind}.{group}"),
        };
        let lines: Vec<String> = fields.iter().map(ToString::to_string).collect();
        let mut seen = Seen::new();
        let lines: Vec<&str> = lines
            .iter()
            .map(String::as_str)
            .filter(|line| seen.add(*line))
            .collect();
        let name_quoted = quote(name);
        let message = match lines.as_slice() {
            [] => format!("{shown} {name_quoted} is invalid"),
            [line] => format!("{shown} {name_quoted} is invalid: {line}"),
            lines => format!("{shown} {name_quoted} is invalid: [{}]", lines.join(", ")),
        };
        let mut error = Self::new(Reason::Invalid, message).about(group, kind, name);
        error.fields = fields;
        error
    }

    /// `pods "x" not found`.
    pub fn not_found(resource: &str, name: &str) -> Self {
        Self::new(
            Reason::NotFound,
            format!("{resource} {} not found", quote(name)),
        )
        .about_resource(resource, name)
    }

    /// About an object of a resource, which may be named with its group: `deployments.apps`.
    fn about_resource(self, resource: &str, name: &str) -> Self {
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        self.about(group, resource, name)
    }

    /// `pods "x" already exists`.
    pub fn already_exists(resource: &str, name: &str) -> Self {
        Self::new(
            Reason::AlreadyExists,
            format!("{resource} {} already exists", quote(name)),
        )
        .about_resource(resource, name)
    }

    /// The name that was made from a generateName is taken too.
    pub fn generate_name_conflict(resource: &str, name: &str) -> Self {
        Self::new(
            Reason::AlreadyExists,
            format!(
                "{resource} {} already exists, the server was not able to generate a unique name for the object",
                quote(name)
            ),
        )
        .about_resource(resource, name)
        .retry_after(Duration::from_secs(1))
    }

    /// `Operation cannot be fulfilled on pods "x": ` and why.
    pub fn conflict(resource: &str, name: &str, detail: impl fmt::Display) -> Self {
        Self::new(
            Reason::Conflict,
            format!(
                "Operation cannot be fulfilled on {resource} {}: {detail}",
                quote(name)
            ),
        )
        .about_resource(resource, name)
    }

    /// The object's resourceVersion is not the one that the caller saw.
    pub fn modified(resource: &str, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// `pods "x" is forbidden: ` and why.
    pub fn forbidden(resource: &str, name: &str, detail: impl fmt::Display) -> Self {
        Self::new(
            Reason::Forbidden,
            format!("{resource} {} is forbidden: {detail}", quote(name)),
        )
        .about_resource(resource, name)
    }

    /// A new object in a namespace that is going away.
    pub fn namespace_terminating(resource: &str, name: &str, namespace: &str) -> Self {
        let mut error = Self::forbidden(
            resource,
            name,
            format_args!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            ),
        );
        error.fields.push(FieldError {
            kind: FieldErrorKind::NamespaceTerminating,
            field: "metadata.namespace".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
        });
        error
    }

    /// The request could not be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }
}
