//! The last step of an error's way: [`Error`] to a gRPC status with google.rpc details.

use std::{collections::HashMap, time::Duration};

use k8shost_types::{Error, Reason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The domain of the reasons in `google.rpc.ErrorInfo`.
pub(crate) const ERROR_DOMAIN: &str = "k8shost.io";

/// The header list of an HTTP/2 answer may have 16 KiB with most clients, and there the message stands
/// twice, once in base64 and once with each odd byte as three. What is longer than this is cut.
const MAX_MESSAGE: usize = 1024;
/// Bytes of a field violation's description, and of all violations.
const MAX_VIOLATION: usize = 512;
const MAX_VIOLATIONS: usize = 3 * 1024;

/// The gRPC code of a reason.
pub(crate) fn code(reason: Reason) -> Code {
    match reason {
        Reason::BadRequest | Reason::Invalid => Code::InvalidArgument,
        Reason::Unauthorized => Code::Unauthenticated,
        Reason::Forbidden => Code::PermissionDenied,
        Reason::NotFound => Code::NotFound,
        Reason::AlreadyExists => Code::AlreadyExists,
        Reason::Conflict => Code::Aborted,
        Reason::Expired | Reason::ResourceVersionTooLarge => Code::OutOfRange,
        Reason::MethodNotAllowed | Reason::NotAcceptable | Reason::UnsupportedMediaType => {
            Code::Unimplemented
        }
        Reason::RequestEntityTooLarge | Reason::TooManyRequests => Code::ResourceExhausted,
        Reason::Timeout => Code::DeadlineExceeded,
        Reason::ServiceUnavailable => Code::Unavailable,
        Reason::Internal | Reason::Unknown => Code::Internal,
    }
}

/// The status that a caller gets, with ErrorInfo and, where they apply, BadRequest, ResourceInfo and
/// RetryInfo.
pub(crate) fn status(error: &Error) -> Status {
    let mut metadata = HashMap::new();
    if let Some(token) = &error.continue_token {
        metadata.insert("continue".to_owned(), token.clone());
    }
    let mut details = ErrorDetails::new();
    details.set_error_info(error.reason.as_str(), ERROR_DOMAIN, metadata);
    if !error.fields.is_empty() {
        let mut bytes = 0;
        let violations = error.fields.iter().map(|fault| {
            let (field, text) = (
                cut(&fault.field, MAX_VIOLATION),
                cut(&fault.message, MAX_VIOLATION),
            );
            FieldViolation::new(field, text)
        });
        let fits = |violation: &FieldViolation| {
            bytes += violation.field.len() + violation.description.len() + 16;
            bytes <= MAX_VIOLATIONS
        };
        details.set_bad_request(violations.take_while(fits).collect::<Vec<_>>());
    }
    if let Some(subject) = &error.subject {
        let resource_type = if subject.group.is_empty() {
            subject.resource.clone()
        } else {
            format!("{}.{}", subject.resource, subject.group)
        };
        details.set_resource_info(resource_type, cut(&subject.name, MAX_VIOLATION), "", "");
    }
    let retry = error.retry_after.or(match error.reason {
        Reason::ResourceVersionTooLarge => Some(Duration::from_secs(1)),
        _ => None,
    });
    if let Some(after) = retry {
        details.set_retry_info(Some(after));
    }
    Status::with_error_details(
        code(error.reason),
        cut(&error.message, MAX_MESSAGE),
        details,
    )
}

/// The text, or its beginning with a mark where it is too long.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use k8shost_types::{FieldError, FieldErrorKind};

    use super::*;

    #[test]
    fn an_invalid_object_names_its_fields_and_itself() {
        let mut error = Error::new(Reason::Invalid, "Pod \"x\" is invalid").about("", "Pod", "x");
        error.fields.push(FieldError {
            kind: FieldErrorKind::Required,
            field: "spec.containers".to_owned(),
            message: "Required value".to_owned(),
        });
        let status = status(&error);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violations = &details.bad_request().expect("bad request").field_violations;
        assert_eq!(violations[0].field, "spec.containers");
        assert_eq!(details.error_info().expect("info").reason, "Invalid");
        assert_eq!(
            details.resource_info().expect("resource").resource_name,
            "x"
        );
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let status = status(&Error::new(Reason::BadRequest, "é".repeat(10_000)));
        assert!(status.message().len() <= MAX_MESSAGE + 4);
    }

    #[test]
    fn the_future_says_when_to_try_again() {
        let status = status(&Error::new(Reason::ResourceVersionTooLarge, "too large"));
        assert!(status.get_error_details().retry_info().is_some());
    }
}
