//! The REST face: Kubernetes' HTTP API. It decodes, asks the registry, and encodes. It knows no rules
//! of Kubernetes.

mod answer;
mod compress;
mod connect;
mod discovery;
mod eviction;
mod list;
mod objects;
mod openapi;
mod query;
mod reviews;
mod route;
mod shown;
mod status;
mod token;
mod watch;
mod writes;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use k8shost_types::{Error, kinds::discovery::Root};
use serde_json::json;
use tonic::body::Body;
use tracing::Instrument as _;

use self::{
    query::Query,
    route::{Place, Route},
};
use crate::{
    health::Health,
    http::{AUDIT_ID, closing},
    metrics::{Held, Metrics},
    refusal,
    registry::{Tenant, own::Own},
    shutdown::Shutdown,
    tenancy::Tenancy,
};

/// The Kubernetes version whose API this is.
const KUBERNETES: (&str, &str, &str) = ("1", "35", "v1.35.4");

/// The REST API.
#[derive(Clone)]
pub(crate) struct Face(Arc<Inner>);

struct Inner {
    tenancy: Tenancy,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    health: Health,
}

impl Face {
    /// The face of these tenants.
    pub(crate) fn new(tenancy: Tenancy, metrics: Arc<Metrics>, health: Health) -> Self {
        Self(Arc::new(Inner {
            tenancy,
            metrics,
            shutdown: health.shutdown.clone(),
            health,
        }))
    }

    /// Answers a request that is not gRPC.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = Instant::now();
        let in_flight = Held::new(&self.0.metrics.in_flight);
        let query = Query::of(request.uri());
        let is_watch = query.flag("watch");
        let gzip = compress::is_accepted(request.headers());
        let verb = verb(request.method(), is_watch);
        let span = tracing::debug_span!(
            "request",
            method = verb,
            path = request.uri().path(),
            audit_id = request
                .headers()
                .get(AUDIT_ID)
                .and_then(|id| id.to_str().ok()),
            tenant = tracing::field::Empty,
            outcome = tracing::field::Empty,
            duration_us = tracing::field::Empty,
        );
        let respond = self.respond(request, query).instrument(span.clone());
        // The opening of a watch is bounded too; what follows is not.
        let response = match tokio::time::timeout(refusal::DEADLINE, respond).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => answer::refused(&error),
            Err(_) => closing(answer::refused(&refusal::overdue())),
        };
        let response = if gzip {
            compress::compressed(response)
        } else {
            response
        };
        drop(in_flight);
        let duration = started.elapsed();
        let code = code_name(response.status());
        let metrics = &self.0.metrics;
        metrics.answered(verb, code, (!is_watch).then_some(duration));
        span.record("outcome", code);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        span.record("duration_us", micros);
        response
    }

    async fn respond<B>(&self, request: Request<B>, query: Query) -> Result<Response<Body>, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Who asks before it is sent is told.
        let asks = request.headers().contains_key(header::EXPECT);
        if asks && request.body().size_hint().lower() > answer::MAX_REQUEST as u64 {
            return Err(answer::too_large());
        }
        let (head, body) = request.into_parts();
        let body = answer::read(body).await?;
        let request = Request::from_parts(head, body);
        let route = Route::of(request.uri())?;
        let is_read = request.method() == Method::GET;
        match route.place {
            Place::Objects(target) => {
                let tenant = self.tenant(route.tenant.as_ref()).await?;
                self.objects(&tenant, target, request, &query).await
            }
            Place::Version if is_read => Ok(version()),
            Place::Other(words) if words.is_empty() => Ok(answer::no_such_page()),
            place if is_read => {
                // What there is, is told of a tenant that there is.
                let own = self.tenant(route.tenant.as_ref()).await?.own();
                if let Place::Other(words) = &place
                    && let Some((first, words)) = words.split_first()
                    && first == "openapi"
                {
                    let root = route.tenant.map_or(String::new(), |(org, project)| {
                        format!("/orgs/{org}/projects/{project}")
                    });
                    let headers = request.headers();
                    return match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                        ["v2"] => openapi::everything(own, headers).await,
                        ["v3"] => openapi::index(own, &root, headers).await,
                        ["v3", ref name @ ..] => {
                            let hash = query.text("hash");
                            openapi::document(own, &root, &name.join("/"), hash, headers).await
                        }
                        _ => Ok(answer::no_such_page()),
                    };
                }
                let query = request.uri().query();
                self.page(own.as_deref(), &place, request.headers(), query)
            }
            Place::Other(_) => Ok(answer::no_such_page()),
            _ => Err(status::not_allowed()),
        }
    }

    /// What is there to be read that is no object.
    fn page(
        &self,
        own: Option<&Own>,
        place: &Place,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<Response<Body>, Error> {
        let host = headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        Ok(match place {
            Place::CoreVersions => discovery::root(own, headers, Root::Core, host),
            Place::Groups => discovery::root(own, headers, Root::Groups, host),
            Place::Group(group) => discovery::group(own, group),
            Place::Resources { group, version } => discovery::resources(own, group, version)?,
            // A project's server is this one.
            Place::Other(words) => match self.0.health.page(&words.join("/"), query) {
                Some((status, text)) => answer::text(status, text),
                None => answer::no_such_page(),
            },
            Place::Version | Place::Objects(_) => answer::no_such_page(),
        })
    }

    async fn tenant(&self, name: Option<&(String, String)>) -> Result<Tenant, Error> {
        let (org, project) = match name {
            Some((org, project)) => (Some(org.as_str()), Some(project.as_str())),
            None => (None, None),
        };
        self.0.tenancy.tenant(org, project).await
    }
}

/// The word for a call in metrics.
fn verb(method: &Method, is_watch: bool) -> &'static str {
    match *method {
        Method::GET if is_watch => "REST watch",
        Method::GET | Method::HEAD => "REST read",
        Method::POST => "REST create",
        Method::PUT => "REST update",
        Method::PATCH => "REST patch",
        Method::DELETE => "REST delete",
        _ => "REST other",
    }
}

/// The word for an outcome in metrics: bounded, whatever there may be.
fn code_name(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..300 => "Ok",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Gone",
        422 => "Invalid",
        400..500 => "ClientError",
        503 => "Unavailable",
        504 => "Timeout",
        _ => "ServerError",
    }
}

/// `/version`.
fn version() -> Response<Body> {
    let (major, minor, version) = KUBERNETES;
    let body = json!({
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": minor,
        "gitVersion": format!("{version}+k8shost-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    });
    answer::json(StatusCode::OK, body.to_string())
}
