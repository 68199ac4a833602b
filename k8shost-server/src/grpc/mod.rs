//! The gRPC face: it decodes, asks the registry, and encodes. It knows no rules of Kubernetes.

mod call;
mod codec;
mod encoding;
mod methods;
mod status;
mod tenancy;
mod wire;

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Stream, future::BoxFuture};
use http::HeaderMap;
use k8shost_proto::internal::v1::peer_service_server::PeerServiceServer;
use tonic::{Request, Response, Status, body::Body, codec::CompressionEncoding, server::Grpc};
use tonic_health::server::HealthReporter;
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};
use tracing::Instrument as _;

use self::{
    codec::RawCodec,
    encoding::Encodings,
    methods::{METHODS, Method, Verb},
    wire::Encoded,
};
use crate::{
    metrics::{Held, Metrics},
    peers,
    readiness::Readiness,
    refusal,
    shutdown::Shutdown,
    tenancy::Tenancy,
};

/// The largest message that is taken: an object may have 1.5 MiB of JSON.
const MAX_REQUEST: usize = 4 << 20;

/// Bytes of hot encodings that are kept.
const ENCODINGS: usize = 16 << 20;

/// A stream of ready messages.
type Messages = Pin<Box<dyn Stream<Item = Result<Encoded, Status>> + Send>>;

/// A service that comes with its crate.
type Standard = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// The gRPC API, with health and reflection.
#[derive(Clone)]
pub(crate) struct Face(Arc<Inner>);

struct Inner {
    methods: HashMap<&'static str, &'static Method>,
    tenancy: Tenancy,
    encodings: Encodings,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    /// Health, reflection, and what peers call, by what their paths begin with.
    standard: Vec<(&'static str, Standard)>,
}

impl Face {
    /// The face of these tenants. Health says that every service serves while the server is ready, until
    /// it stops. Peers are there where several servers share a store.
    pub(crate) async fn new(
        tenancy: Tenancy,
        metrics: Arc<Metrics>,
        shutdown: Shutdown,
        readiness: Readiness,
        peers: Option<PeerServiceServer<peers::Service>>,
    ) -> anyhow::Result<Self> {
        let (reporter, health) = tonic_health::server::health_reporter();
        report_health(&reporter, readiness.reason().is_none()).await;
        tokio::spawn(follow_health(reporter, readiness, shutdown.clone()));
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(k8shost_proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                // So that generic clients can show the details of errors.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let mut standard = vec![
            ("/grpc.health.v1.Health/", BoxCloneSyncService::new(health)),
            (
                "/grpc.reflection.v1.ServerReflection/",
                BoxCloneSyncService::new(reflection().build_v1()?),
            ),
            (
                "/grpc.reflection.v1alpha.ServerReflection/",
                BoxCloneSyncService::new(reflection().build_v1alpha()?),
            ),
        ];
        if let Some(peers) = peers {
            let path = "/k8shost.internal.v1.PeerService/";
            standard.push((path, BoxCloneSyncService::new(peers)));
        }
        Ok(Self(Arc::new(Inner {
            methods: METHODS.iter().map(|m| (m.path, m)).collect(),
            tenancy,
            encodings: Encodings::new(ENCODINGS),
            metrics,
            shutdown,
            standard,
        })))
    }

    /// Answers a gRPC request.
    pub(crate) async fn answer<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let Some(&method) = self.0.methods.get(request.uri().path()) else {
            return self.standard(request).await;
        };
        let started = Instant::now();
        let in_flight = Held::new(&self.0.metrics.in_flight);
        let span = tracing::debug_span!(
            "request",
            method = method.path,
            tenant = tracing::field::Empty,
            outcome = tracing::field::Empty,
            duration_us = tracing::field::Empty,
        );
        let deadline = started + timeout(request.headers()).unwrap_or(refusal::DEADLINE);
        let is_watch = method.verb == Verb::Watch;
        // A watch lasts as long as its client likes.
        let deadline =
            (!is_watch || request.headers().contains_key("grpc-timeout")).then_some(deadline);
        let call = Call {
            face: self.clone(),
            method,
            deadline,
        };
        let mut grpc = Grpc::new(RawCodec)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(MAX_REQUEST);
        let response = if is_watch {
            grpc.server_streaming(WatchCall(call), request)
                .instrument(span.clone())
                .await
        } else {
            grpc.unary(call, request).instrument(span.clone()).await
        };
        drop(in_flight);
        let response = if is_too_large(response.headers()) {
            too_large()
        } else {
            response
        };
        let code = code_name(response.headers());
        let duration = started.elapsed();
        self.0
            .metrics
            .answered(method.path, code, (!is_watch).then_some(duration));
        span.record("outcome", code);
        span.record(
            "duration_us",
            u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        );
        response
    }

    /// Health, reflection, and UNIMPLEMENTED for whatever else.
    async fn standard<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let path = request.uri().path();
        let Some((_, service)) = self.0.standard.iter().find(|(p, _)| path.starts_with(p)) else {
            let message =
                format!("there is no method {path}; reflection lists those that there are");
            self.0.metrics.answered("other", "Unimplemented", None);
            return Status::unimplemented(message).into_http();
        };
        match service.clone().oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Says of every service, and of the server as a whole, whether it serves.
async fn report_health(reporter: &HealthReporter, serves: bool) {
    let status = match serves {
        true => tonic_health::ServingStatus::Serving,
        false => tonic_health::ServingStatus::NotServing,
    };
    let services = METHODS.iter().filter_map(|m| m.path.split('/').nth(1));
    let mut services: Vec<&str> = services.chain([""]).collect();
    services.dedup();
    for service in services {
        reporter.set_service_status(service, status).await;
    }
}

async fn follow_health(reporter: HealthReporter, mut readiness: Readiness, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.wait() => return report_health(&reporter, false).await,
            () = readiness.changed() => {
                report_health(&reporter, readiness.reason().is_none()).await;
            }
        }
    }
}

/// One call of a method.
#[derive(Clone)]
struct Call {
    face: Face,
    method: &'static Method,
    deadline: Option<Instant>,
}

impl Call {
    /// An answer, or that it is not there by the deadline.
    async fn answer<T>(
        &self,
        answer: impl Future<Output = Result<T, k8shost_types::Error>>,
    ) -> Result<Response<T>, Status> {
        let answer = match self.deadline {
            None => answer.await,
            Some(at) => tokio::time::timeout_at(at.into(), answer)
                .await
                .unwrap_or_else(|_| Err(refusal::overdue())),
        };
        answer.map(Response::new).map_err(|error| refused(&error))
    }
}

impl Service<Request<Bytes>> for Call {
    type Response = Response<Encoded>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Encoded>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let call = self.clone();
        Box::pin(async move { call.answer(call.unary(request)).await })
    }
}

/// One call of a watch.
struct WatchCall(Call);

impl Service<Request<Bytes>> for WatchCall {
    type Response = Response<Messages>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Messages>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let call = self.0.clone();
        Box::pin(async move { call.answer(call.watch(request)).await })
    }
}

/// Whether an answer is tonic's own word for a message over the limit. Our own errors have details.
fn is_too_large(headers: &HeaderMap) -> bool {
    headers
        .get(Status::GRPC_STATUS)
        .is_some_and(|code| code.as_bytes() == b"11")
        && !headers.contains_key("grpc-status-details-bin")
}

fn too_large() -> http::Response<Body> {
    let error = k8shost_types::Error::new(
        k8shost_types::Reason::RequestEntityTooLarge,
        format!("the message is larger than {MAX_REQUEST} bytes, the most that is taken"),
    );
    status::status(&error).into_http()
}

/// The status of an error; what the caller is not told goes to the log.
fn refused(error: &k8shost_types::Error) -> Status {
    refusal::note(error);
    status::status(error)
}

/// The time that the caller gives, as the `grpc-timeout` header says it.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The name of an answer's code; a stream's and a whole answer's is OK unless the head says otherwise.
fn code_name(headers: &HeaderMap) -> &'static str {
    let code = headers
        .get(Status::GRPC_STATUS)
        .map_or(tonic::Code::Ok, |v| tonic::Code::from_bytes(v.as_bytes()));
    match code {
        tonic::Code::Ok => "OK",
        tonic::Code::Cancelled => "Canceled",
        tonic::Code::Unknown => "Unknown",
        tonic::Code::InvalidArgument => "InvalidArgument",
        tonic::Code::DeadlineExceeded => "DeadlineExceeded",
        tonic::Code::NotFound => "NotFound",
        tonic::Code::AlreadyExists => "AlreadyExists",
        tonic::Code::PermissionDenied => "PermissionDenied",
        tonic::Code::ResourceExhausted => "ResourceExhausted",
        tonic::Code::FailedPrecondition => "FailedPrecondition",
        tonic::Code::Aborted => "Aborted",
        tonic::Code::OutOfRange => "OutOfRange",
        tonic::Code::Unimplemented => "Unimplemented",
        tonic::Code::Internal => "Internal",
        tonic::Code::Unavailable => "Unavailable",
        tonic::Code::DataLoss => "DataLoss",
        tonic::Code::Unauthenticated => "Unauthenticated",
    }
}
