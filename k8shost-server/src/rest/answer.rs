//! Bodies: what is read of a request, what an answer is made of, and in which form.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use k8shost_types::{Error, Reason, protobuf, table::Version};
use serde_json::Value;
use tonic::body::Body;

use super::status;
use crate::{http::closing, refusal};

/// The largest request that is taken; Kubernetes' own limit.
pub(crate) const MAX_REQUEST: usize = 3 << 20;

/// How much of a larger one is read and dropped, and for how long, before it is refused: a client that is
/// sending may miss an answer that the end of its connection follows.
const MAX_DISCARDED: usize = 32 << 20;
const LINGER: Duration = Duration::from_millis(500);

/// The media types that Kubernetes names where it takes none of what a caller offers.
const FORMATS: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    typed(status, JSON, body.into())
}

/// An answer in words.
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    typed(status, TEXT, body.into())
}

/// What Kubernetes answers for a path or a resource that is not there.
pub(crate) fn no_such_page() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// An answer of some other type.
pub(crate) fn typed(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Body> {
    stream(status, content_type, Full::new(body))
}

/// An answer whose body comes bit by bit.
pub(crate) fn stream<B>(status: StatusCode, content_type: HeaderValue, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

/// The Status of an error.
pub(crate) fn refused(error: &Error) -> Response<Body> {
    refusal::note(error);
    let mut response = json(
        status::code(error.reason),
        status::status(error).to_string(),
    );
    if let Some(after) = error.retry_after {
        let seconds = HeaderValue::from(after.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    match error.reason {
        Reason::RequestEntityTooLarge => closing(response),
        _ => response,
    }
}

/// RequestEntityTooLarge.
pub(crate) fn too_large() -> Error {
    let message = format!("Request entity too large: limit is {MAX_REQUEST}");
    Error::new(Reason::RequestEntityTooLarge, message)
}

/// The whole body of a request.
///
/// # Errors
/// RequestEntityTooLarge; BadRequest, if it breaks off.
pub(crate) async fn read<B>(body: B) -> Result<Bytes, Error>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = pin!(body);
    let error = match Limited::new(body.as_mut(), MAX_REQUEST).collect().await {
        Ok(whole) => return Ok(whole.to_bytes()),
        Err(error) => error,
    };
    if !error.is::<LengthLimitError>() {
        let message = format!("the request's body breaks off: {error}");
        return Err(Error::bad_request(message));
    }
    let mut rest = Limited::new(body, MAX_DISCARDED);
    let discard = async { while let Some(Ok(_)) = rest.frame().await {} };
    let _ = tokio::time::timeout(LINGER, discard).await;
    Err(too_large())
}

/// The media type of a body, without parameters; JSON, where it does not say.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or("");
    match given.split(';').next().unwrap_or("").trim() {
        "" => "application/json",
        given => given,
    }
}

/// A form that objects are answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Object,
    /// As rows, for people.
    Table(Version),
    /// Their metadata.
    Metadata(Version),
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// JSON.
    Json,
    /// YAML, of which JSON is a part: it is written as JSON.
    Yaml,
    /// Kubernetes' protobuf.
    Protobuf,
}

impl Encoding {
    /// The media type.
    pub(crate) fn media(self) -> HeaderValue {
        match self {
            Self::Json => JSON,
            Self::Yaml => HeaderValue::from_static("application/yaml"),
            Self::Protobuf => HeaderValue::from_static(protobuf::CONTENT_TYPE),
        }
    }
}

/// The media ranges that a caller accepts, with their parameters, in the order in which they are sent.
pub(crate) fn ranges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let sent = headers.get_all(header::ACCEPT).iter();
    sent.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
}

/// The first form that a caller accepts and that there is, of objects that are listed or of one; and how it is
/// written. `messages` says whether there is protobuf of the kind, `tables` whether there are tables.
///
/// # Errors
/// NotAcceptable.
pub(crate) fn accepted(
    headers: &HeaderMap,
    is_list: bool,
    messages: bool,
    tables: bool,
) -> Result<(Form, Encoding), Error> {
    let given: Vec<&str> = ranges(headers).collect();
    if given.is_empty() {
        return Ok((Form::Object, Encoding::Json));
    }
    let form = |range: &&str| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let encoding = match media {
            "application/json" | "application/*" | "*/*" => Encoding::Json,
            "application/yaml" => Encoding::Yaml,
            protobuf::CONTENT_TYPE if messages => Encoding::Protobuf,
            _ => return None,
        };
        let parameters: Vec<(&str, &str)> = parts.filter_map(|p| p.split_once('=')).collect();
        let parameter = |name: &str| {
            let found = parameters.iter().find(|(key, _)| *key == name);
            found.map_or("", |(_, value)| *value)
        };
        let version = match (parameter("g"), parameter("v")) {
            ("meta.k8s.io", "v1") => Some(Version::V1),
            ("meta.k8s.io", "v1beta1") => Some(Version::V1Beta1),
            _ => None,
        };
        let form = match parameter("as") {
            "" => Some(Form::Object),
            "Table" if tables => version.map(Form::Table),
            "PartialObjectMetadata" | "PartialObjectMetadataList" => version.map(Form::Metadata),
            _ => None,
        };
        // Of these there are no messages.
        let form = form.filter(|form| {
            let json_only = matches!(form, Form::Table(_) | Form::Metadata(Version::V1Beta1));
            encoding != Encoding::Protobuf || !json_only
        });
        form.map(|form| (form, encoding))
    };
    // Kubernetes asks twice: for a media type first, and then for what is to be made of the object.
    let is_known = |range: &&str| {
        let media = range.split(';').next().unwrap_or("").trim();
        matches!(media, "*/*" | "application/*") || FORMATS.contains(&media)
    };
    given.iter().find_map(form).ok_or_else(|| {
        if messages && !given.iter().any(is_known) {
            return status::not_acceptable(is_list);
        }
        let known = formats(messages).join(", ");
        let message = format!("only the following media types are accepted: {known}");
        Error::new(Reason::NotAcceptable, message)
    })
}

/// The same answer with warnings, as kubectl shows them.
pub(crate) fn warned(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        // What no header can carry is left out: there is a limit to the words of a warning.
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// The media types that there are of a kind with messages, or without.
fn formats(messages: bool) -> &'static [&'static str] {
    match messages {
        true => &FORMATS,
        false => &FORMATS[..2],
    }
}

/// UnsupportedMediaType of an object of a kind with messages, or without, in Kubernetes' words.
pub(crate) fn unsupported(messages: bool) -> Error {
    let known = formats(messages).join(", ");
    Error::new(
        Reason::UnsupportedMediaType,
        format!(
            "the body of the request was in an unknown format - accepted media types include: {known}"
        ),
    )
}

/// Bytes of a tree.
pub(crate) fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &str) -> Result<(Form, Encoding), Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        accepted(&headers, true, true, true)
    }

    #[test]
    fn the_first_form_that_there_is_is_taken() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        for (accept, form) in [
            ("application/json", Form::Object),
            ("*/*", Form::Object),
            (table, Form::Table(Version::V1)),
            (
                &format!("{table},application/json"),
                Form::Table(Version::V1),
            ),
            (
                "application/json; as=Table; v=v1beta1; g=meta.k8s.io, application/json",
                Form::Table(Version::V1Beta1),
            ),
            (
                "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
                Form::Metadata(Version::V1),
            ),
        ] {
            assert_eq!(of(accept).unwrap(), (form, Encoding::Json), "{accept}");
        }
        let messages = "application/vnd.kubernetes.protobuf";
        for (accept, form, encoding) in [
            (
                format!("{messages},application/json"),
                Form::Object,
                Encoding::Protobuf,
            ),
            (
                format!("{messages};as=Table;v=v1;g=meta.k8s.io,application/json"),
                Form::Object,
                Encoding::Json,
            ),
            (
                format!("{messages};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
                Form::Metadata(Version::V1),
                Encoding::Protobuf,
            ),
            ("application/yaml".to_owned(), Form::Object, Encoding::Yaml),
        ] {
            assert_eq!(of(&accept).unwrap(), (form, encoding), "{accept}");
        }
        let usual = (Form::Object, Encoding::Json);
        assert_eq!(
            accepted(&HeaderMap::new(), true, true, true).unwrap(),
            usual
        );
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/vnd.kubernetes.protobuf, */*"),
        );
        assert_eq!(
            accepted(&headers, true, false, true).unwrap(),
            usual,
            "a kind without messages"
        );
        for (accept, words) in [
            ("text/html, image/*;q=0.8", "406: Not Acceptable"),
            (
                "application/json;as=Nonsense;v=v1;g=meta.k8s.io",
                "only the following",
            ),
        ] {
            let error = of(accept).unwrap_err();
            assert_eq!(error.reason, Reason::NotAcceptable);
            assert!(error.message.starts_with(words), "{}", error.message);
        }
    }
}
