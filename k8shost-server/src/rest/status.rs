//! The last step of an error's way: [`Error`] to an HTTP status and a metav1.Status.

use http::StatusCode;
use k8shost_types::{Error, Reason};
use serde_json::{Map, Value, json};

/// The HTTP status of a reason.
pub(crate) fn code(reason: Reason) -> StatusCode {
    match reason {
        Reason::BadRequest => StatusCode::BAD_REQUEST,
        Reason::Unauthorized => StatusCode::UNAUTHORIZED,
        Reason::Forbidden => StatusCode::FORBIDDEN,
        Reason::NotFound => StatusCode::NOT_FOUND,
        Reason::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Reason::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Reason::AlreadyExists | Reason::Conflict => StatusCode::CONFLICT,
        Reason::Expired => StatusCode::GONE,
        Reason::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Reason::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Reason::Internal | Reason::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        Reason::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::Timeout | Reason::ResourceVersionTooLarge => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// MethodNotAllowed, in Kubernetes' words.
pub(crate) fn not_allowed() -> Error {
    let words = "the server does not allow this method on the requested resource";
    of_the_router(Reason::MethodNotAllowed, words)
}

/// NotFound of what is not served in a group that is.
pub(crate) fn no_such_resource() -> Error {
    let words = "the server could not find the requested resource";
    of_the_router(Reason::NotFound, words)
}

/// NotAcceptable, with what there is, at a place where objects are listed and watched, or at another.
pub(crate) fn not_acceptable(is_list: bool) -> Error {
    let watched = if is_list {
        ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
    } else {
        ""
    };
    let words = format!(
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf{watched}"
    );
    of_the_router(Reason::NotAcceptable, words)
}

/// UnsupportedMediaType of a patch that is none of those that custom kinds have.
pub(crate) fn no_such_custom_patch() -> Error {
    Error::new(
        Reason::UnsupportedMediaType,
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    )
}

/// UnsupportedMediaType of a patch that is none of the kinds that there are.
pub(crate) fn no_such_patch() -> Error {
    let words = "415: Unsupported Media Type";
    of_the_router(Reason::UnsupportedMediaType, words)
}

/// Kubernetes' router refuses with details that are empty.
fn of_the_router(reason: Reason, words: impl Into<String>) -> Error {
    Error::new(reason, words).about("", "", "")
}

/// The Status that a caller gets.
pub(crate) fn status(error: &Error) -> Value {
    let mut details = Map::new();
    if let Some(subject) = &error.subject {
        for (key, value) in [
            ("name", &subject.name),
            ("group", &subject.group),
            ("kind", &subject.resource),
        ] {
            if !value.is_empty() {
                details.insert(key.to_owned(), json!(value));
            }
        }
    }
    let mut causes: Vec<Value> = error
        .fields
        .iter()
        .map(|fault| {
            let mut cause = json!({"reason": fault.kind.cause(), "message": fault.message});
            if !fault.field.is_empty() {
                cause["field"] = json!(fault.field);
            }
            cause
        })
        .collect();
    let mut retry = error.retry_after.map(|after| after.as_secs().max(1));
    // Kubernetes knows it as a timeout with this cause.
    let reason = match error.reason {
        Reason::ResourceVersionTooLarge => {
            let message = "Too large resource version";
            causes.push(json!({"reason": "ResourceVersionTooLarge", "message": message}));
            retry = retry.or(Some(1));
            Reason::Timeout
        }
        reason => reason,
    };
    if !causes.is_empty() {
        details.insert("causes".to_owned(), Value::Array(causes));
    }
    if let Some(seconds) = retry {
        details.insert("retryAfterSeconds".to_owned(), json!(seconds));
    }
    let mut metadata = Map::new();
    if let Some(token) = &error.continue_token {
        metadata.insert("continue".to_owned(), json!(token));
    }
    let mut status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": metadata,
        "status": "Failure",
        "message": error.message,
        "code": code(error.reason).as_u16(),
    });
    if reason != Reason::Unknown {
        status["reason"] = json!(reason.as_str());
    }
    let named = error.subject.is_some() || reason == Reason::Invalid;
    if !details.is_empty() || named {
        status["details"] = Value::Object(details);
    }
    status
}

#[cfg(test)]
mod tests {
    use k8shost_types::{FieldError, FieldErrorKind};

    use super::*;

    #[test]
    fn a_status_says_what_kubernetes_says() {
        let error = Error::not_found("pods", "web");
        assert_eq!(
            status(&error),
            json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "pods \"web\" not found", "reason": "NotFound", "code": 404,
                "details": {"name": "web", "kind": "pods"},
            })
        );
        let field = FieldError {
            kind: FieldErrorKind::Required,
            field: "spec.containers".to_owned(),
            message: "Required value".to_owned(),
        };
        let status = status(&Error::invalid("Pod", "web", vec![field]));
        assert_eq!(status["code"], 422);
        assert_eq!(
            status["details"]["causes"],
            json!([{
                "reason": "FieldValueRequired", "message": "Required value",
                "field": "spec.containers",
            }])
        );
    }

    #[test]
    fn a_version_from_the_future_is_a_timeout_with_a_cause() {
        let status = status(&Error::new(Reason::ResourceVersionTooLarge, "too large"));
        assert_eq!(status["reason"], "Timeout");
        assert_eq!(status["code"], 504);
        assert_eq!(status["details"]["retryAfterSeconds"], 1);
        assert_eq!(
            status["details"]["causes"][0]["reason"],
            "ResourceVersionTooLarge"
        );
    }
}
