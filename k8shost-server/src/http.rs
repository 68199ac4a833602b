//! One port for everything: gRPC, gRPC-Web, health and metrics, told apart by content type and path.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::sync::Arc;
use tonic::body::Body;
use tower::{Layer as _, ServiceExt as _, service_fn};
use uuid::Uuid;

use crate::{grpc, health::Health, metrics::Metrics, rest};

/// Content type of the metrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The header that names a request.
pub(crate) const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

const TEXT: &str = "text/plain; charset=utf-8";

/// Where the paths of what servers ask each other begin.
const PEERS: &str = "/k8shost.internal.v1.PeerService/";

/// What answers requests.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) grpc: grpc::Face,
    pub(crate) rest: rest::Face,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
    /// Only other servers are answered: they talk in plain text where everybody else talks TLS.
    pub(crate) peers_only: bool,
}

impl App {
    /// Answers any request.
    pub(crate) async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        if self.peers_only && !request.uri().path().starts_with(PEERS) {
            let message = "Client sent an HTTP request to an HTTPS server.\n".to_owned();
            return closing(text(StatusCode::BAD_REQUEST, TEXT, message));
        }
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .map_or(&b""[..], HeaderValue::as_bytes);
        if content_type.starts_with(b"application/grpc-web") {
            let face = self.grpc.clone();
            let inner = service_fn(move |request: Request<Body>| {
                let face = face.clone();
                async move { Ok::<_, Infallible>(face.answer(request).await) }
            });
            let web = tonic_web::GrpcWebLayer::new().layer(inner);
            return match web.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        }
        if content_type.starts_with(b"application/grpc") {
            return self.grpc.answer(request).await;
        }
        let audit_id = audit_id(&mut request);
        let mut response = match self.page(&request) {
            Some(page) => page,
            None => self.rest.answer(request).await,
        };
        response.headers_mut().insert(AUDIT_ID, audit_id);
        response
    }

    /// What is neither gRPC nor Kubernetes'.
    fn page(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let known = match request.uri().path() {
            "/metrics" => (StatusCode::OK, OPENMETRICS, self.metrics.text()),
            path => {
                let (status, body) = self.health.page(path, request.uri().query())?;
                (status, TEXT, body)
            }
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let message = format!("{} is not offered here, GET is\n", request.method());
            return Some(closing(text(StatusCode::METHOD_NOT_ALLOWED, TEXT, message)));
        }
        Some(text(known.0, known.1, known.2))
    }
}

/// The id of a request, which its answer repeats: the caller's own, or a new one.
fn audit_id<B>(request: &mut Request<B>) -> HeaderValue {
    let headers = request.headers_mut();
    let id = headers.entry(AUDIT_ID).or_insert_with(|| {
        let id = Uuid::new_v4().to_string();
        HeaderValue::try_from(id).expect("a UUID is made of digits, letters and dashes")
    });
    id.clone()
}

/// The last answer of its connection, by HTTP/1: to a request that was not read to its end. The client would
/// send its next one while hyper closes the connection, if it was not told.
pub(crate) fn closing(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
