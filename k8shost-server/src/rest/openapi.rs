//! The OpenAPI documents, made anew for each request: clients keep what they have by its hash.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use k8shost_types::{
    Error, Reason,
    openapi::{self, Documents, Format},
};
use tonic::body::Body;

use super::{KUBERNETES, answer, discovery};
use crate::registry::own::Own;

/// How long a document may be kept that is asked for by its hash, in seconds: a year.
const FOR_EVER: &str = "public, immutable, max-age=31536000";

/// What of the documents is kept: their hashes, by name. A project with kinds of its own keeps those of its own.
static HASHES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
static HASH_V2: OnceLock<String> = OnceLock::new();

fn documents(own: Option<&Own>) -> Documents<'_> {
    let schemas = own.into_iter().flat_map(Own::schemas);
    Documents::new(discovery::served(own), schemas, KUBERNETES.2)
}

fn hashes_of(own: Option<&Own>) -> &BTreeMap<String, String> {
    let Some(own) = own else {
        return HASHES.get_or_init(|| hash_all(&documents(None)));
    };
    own.hashes.get_or_init(|| {
        let mut hashes = hash_all(&Documents::new(own.rows(), own.schemas(), KUBERNETES.2));
        // Documents of built-in kinds are the same for all.
        hashes.extend(hashes_of(None).clone());
        hashes
    })
}

fn hash_all(documents: &Documents<'_>) -> BTreeMap<String, String> {
    let names = documents.names().into_iter();
    let hashed = names.filter_map(|name| {
        let hash = openapi::hash(&documents.v3(&name, Format::Json)?);
        Some((name, hash))
    });
    hashed.collect()
}

/// `/openapi/v3`: where the documents are. `root` is the path of the API that is asked.
pub(super) async fn index(
    own: Option<Arc<Own>>,
    root: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, Error> {
    let own = hashed(own).await?;
    let pairs = hashes_of(own.as_deref())
        .iter()
        .map(|(name, hash)| (name.as_str(), hash.as_str()));
    let mut index = openapi::index(pairs);
    // Clients of old take the address as it is; those of today do so unless it begins with /openapi/v3.
    let documents = index["paths"].as_object_mut();
    for document in documents
        .into_iter()
        .flatten()
        .map(|(_, document)| document)
    {
        let url = document["serverRelativeURL"].as_str().unwrap_or_default();
        document["serverRelativeURL"] = format!("{root}{url}").into();
    }
    let body = answer::bytes(&index);
    let hash = openapi::hash(&body);
    Ok(respond(
        headers,
        &hash,
        HeaderValue::from_static("application/json"),
        body,
    ))
}

/// `/openapi/v3/<name>`: the document of a group version, `api/v1`. `wanted` is the hash that is asked for.
pub(super) async fn document(
    own: Option<Arc<Own>>,
    root: &str,
    name: &str,
    wanted: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, Error> {
    let own = hashed(own).await?;
    let Some(hash) = hashes_of(own.as_deref()).get(name) else {
        return Ok(answer::no_such_page());
    };
    if !wanted.is_empty() && wanted != hash {
        let mut response = answer::text(StatusCode::MOVED_PERMANENTLY, "");
        let location = format!("{root}/openapi/v3/{name}?hash={hash}");
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        return Ok(response);
    }
    let (format, media) = format(headers, "v3");
    let (of, name) = (own.clone(), name.to_owned());
    let body = off_the_runtime(move || documents(of.as_deref()).v3(&name, format)).await?;
    let mut response = respond(headers, hash, media, body.unwrap_or_default().into());
    if !wanted.is_empty() {
        let kept = HeaderValue::from_static(FOR_EVER);
        response.headers_mut().insert(header::CACHE_CONTROL, kept);
    }
    Ok(response)
}

/// `/openapi/v2`: one document of everything.
pub(super) async fn everything(
    own: Option<Arc<Own>>,
    headers: &HeaderMap,
) -> Result<Response<Body>, Error> {
    let (format, media) = format(headers, "v2");
    let made = off_the_runtime(move || {
        let documents = documents(own.as_deref());
        let body = documents.v2(format);
        let hash = own.as_deref().map_or(&HASH_V2, |own| &own.hash_v2);
        let hash = hash.get_or_init(|| match format {
            Format::Json => openapi::hash(&body),
            Format::Protobuf => openapi::hash(&documents.v2(Format::Json)),
        });
        (body, hash.clone())
    });
    let (body, hash) = made.await?;
    Ok(respond(headers, &hash, media, body.into()))
}

/// The same project, of which the hashes are known now.
async fn hashed(own: Option<Arc<Own>>) -> Result<Option<Arc<Own>>, Error> {
    off_the_runtime(move || {
        hashes_of(own.as_deref());
        own
    })
    .await
}

/// Some milliseconds of work.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(Reason::Internal, "the document could not be made").with_cause(error)
    })
}

/// The first form that the caller accepts, and how it is called; JSON, if none is.
fn format(headers: &HeaderMap, version: &str) -> (Format, HeaderValue) {
    let spec = format!("application/com.github.proto-openapi.spec.{version}");
    let protobuf = [
        format!("{spec}.v1.0+protobuf"),
        format!("{spec}@v1.0+protobuf"),
    ];
    let mut ranges =
        answer::ranges(headers).map(|range| range.split(';').next().unwrap_or_default().trim());
    let json = ["application/json", "application/*", "*/*"];
    let wanted = ranges.find(|range| json.contains(range) || protobuf.iter().any(|p| p == range));
    match wanted {
        Some(range) if !json.contains(&range) => {
            let media = HeaderValue::from_str(&protobuf[0]);
            let media = media.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            (Format::Protobuf, media)
        }
        _ => (Format::Json, HeaderValue::from_static("application/json")),
    }
}

/// A document, unless the caller has it.
fn respond(headers: &HeaderMap, hash: &str, media: HeaderValue, body: Bytes) -> Response<Body> {
    let tag = format!("\"{hash}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut response = if known {
        answer::text(StatusCode::NOT_MODIFIED, "")
    } else {
        answer::typed(StatusCode::OK, media, body)
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}
