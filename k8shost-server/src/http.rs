//! One port for everything: gRPC, gRPC-Web, health and metrics, told apart by content type and path.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::sync::Arc;
use tonic::body::Body;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{grpc, metrics::Metrics, readiness::Readiness, rest, shutdown::Shutdown};

/// Content type of the metrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const TEXT: &str = "text/plain; charset=utf-8";

/// Where the paths of what servers ask each other begin.
const PEERS: &str = "/k8shost.internal.v1.PeerService/";

/// What answers requests.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) grpc: grpc::Face,
    pub(crate) rest: rest::Face,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shutdown: Shutdown,
    pub(crate) readiness: Readiness,
    /// Only other servers are answered: they talk in plain text where everybody else talks TLS.
    pub(crate) peers_only: bool,
}

impl App {
    /// Answers any request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if self.peers_only && !request.uri().path().starts_with(PEERS) {
            let message = "Client sent an HTTP request to an HTTPS server.\n".to_owned();
            return text(StatusCode::BAD_REQUEST, TEXT, message);
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
        match self.page(&request) {
            Some(page) => page,
            None => self.rest.answer(request).await,
        }
    }

    /// What is neither gRPC nor Kubernetes'.
    fn page(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let known = match request.uri().path() {
            "/healthz" | "/livez" => (StatusCode::OK, TEXT, "ok".to_owned()),
            "/readyz" if self.shutdown.is_stopping() => (
                StatusCode::SERVICE_UNAVAILABLE,
                TEXT,
                "the server is stopping".to_owned(),
            ),
            "/readyz" => match self.readiness.reason() {
                Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, reason),
                None => (StatusCode::OK, TEXT, "ok".to_owned()),
            },
            "/metrics" => (StatusCode::OK, OPENMETRICS, self.metrics.text()),
            _ => return None,
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let message = format!("{} is not offered here, GET is\n", request.method());
            return Some(text(StatusCode::METHOD_NOT_ALLOWED, TEXT, message));
        }
        Some(text(known.0, known.1, known.2))
    }
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
