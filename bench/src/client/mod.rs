//! A lean HTTP/2 client of gRPC and of REST: it sends prepared bytes, and builds no object of what
//! comes back.
//!
//! Client and server share the machine's cores, so what the client does not spend, the server has.

mod answer;
mod endpoint;
mod kubeconfig;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use bytes::{Buf as _, Bytes};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header, uri::PathAndQuery};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};

use answer::declared;
pub(crate) use answer::{Chunks, Messages};
pub(crate) use endpoint::Endpoint;
pub(crate) use tls::Certificate;

/// Windows as Go's HTTP/2 client has them, and so kubectl and most controllers.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// Length of what precedes a message of gRPC: a flag and four bytes of length.
pub(crate) const PREFIX: usize = 5;

/// As much of a refusal is read.
const REFUSAL: usize = 16 << 10;

const GRPC_STATUS: &str = "grpc-status";
const USER_AGENT: HeaderValue = HeaderValue::from_static("k8shost-bench");

/// How a call and its answer are put into HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A POST of a message behind its prefix. So are the answers, with the outcome in the trailers.
    Grpc,
    /// This method, with JSON or nothing. The outcome is the answer's status; in a stream, each line is
    /// a message.
    Rest(Method),
}

/// A call that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) wire: Wire,
    /// Path and query.
    pub(crate) path: Bytes,
    pub(crate) body: Bytes,
    /// Organization and project, where headers name them; none is the default tenant.
    pub(crate) tenant: Option<[HeaderValue; 2]>,
    /// Where the answer is kept, if it is.
    pub(crate) keep: Option<Kept>,
}

/// An answer that is kept, for later calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// Looks at the answer: it is empty before there is one.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, answer: Vec<u8>) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut kept, answer)
    }
}

/// Which call failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", String::from_utf8_lossy(path))]
pub(crate) struct CallError {
    path: Bytes,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("the path is none: {0}")]
    Path(#[from] http::uri::InvalidUri),
    #[error("the connection failed: {0}")]
    Http2(#[from] h2::Error),
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("{0}: {1}")]
    Http(StatusCode, String),
    #[error("{:?}: {}", .0.code(), .0.message())]
    Refused(Box<tonic::Status>),
    #[error("the answer has no gRPC status")]
    NoStatus,
    #[error("the answer is not one whole message")]
    Framing,
}

impl CallError {
    /// Whether the server said that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        match &self.cause {
            Cause::Refused(status) => status.code() == tonic::Code::NotFound,
            Cause::Http(status, _) => *status == StatusCode::NOT_FOUND,
            _ => false,
        }
    }
}

/// Some connections to one server.
#[derive(Clone)]
pub(crate) struct Pool(Vec<Connection>);

impl Pool {
    /// Opens so many connections.
    pub(crate) async fn open(endpoint: &Endpoint, connections: usize) -> anyhow::Result<Self> {
        let mut all = Vec::with_capacity(connections);
        for _ in 0..connections {
            all.push(Connection::open(endpoint).await?);
        }
        Ok(Self(all))
    }

    /// The connection that a caller uses: callers are spread evenly.
    pub(crate) fn connection(&self, caller: usize) -> Connection {
        self.0[caller % self.0.len()].clone()
    }
}

/// A connection; its clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    origin: Uri,
    authorization: Option<HeaderValue>,
    /// Why the connection ended, once it has.
    lost: Arc<OnceLock<String>>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(endpoint: &Endpoint) -> anyhow::Result<Self> {
        let stream = endpoint.connect().await?;
        let Some(connector) = &endpoint.tls else {
            return Self::over(stream, endpoint).await;
        };
        let stream = connector
            .connect(stream)
            .await
            .with_context(|| format!("{endpoint}: TLS failed"))?;
        Self::over(stream, endpoint).await
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        endpoint: &Endpoint,
    ) -> anyhow::Result<Self> {
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(stream)
            .await
            .with_context(|| format!("{endpoint} does not speak HTTP/2"))?;
        let lost = Arc::new(OnceLock::new());
        let reason = lost.clone();
        tokio::spawn(async move {
            let end = connection.await;
            let _ = reason.set(
                end.err()
                    .map_or("it was closed".to_owned(), |e| e.to_string()),
            );
        });
        Ok(Self {
            send,
            origin: endpoint.origin.clone(),
            authorization: endpoint.authorization.clone(),
            lost,
        })
    }

    /// Sends a call whose answer is one message.
    pub(crate) async fn call(&mut self, call: Call) -> Result<(), CallError> {
        let (path, wire, keep) = (call.path.clone(), call.wire.clone(), call.keep.clone());
        let mut kept = keep.as_ref().map(|keep| {
            let mut kept = keep.replace(Vec::new());
            kept.clear();
            kept
        });
        let (mut length, mut head) = (0, [0; PREFIX]);
        self.exchange(call, |chunk| {
            // Chunks are not empty, and the first mostly has the whole prefix.
            if length < PREFIX {
                let part = chunk.len().min(PREFIX - length);
                head[length..length + part].copy_from_slice(&chunk[..part]);
            }
            length += chunk.len();
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&chunk);
            }
        })
        .await
        .map_err(|cause| self.failed(path.clone(), cause))?;
        if wire == Wire::Grpc && declared(&head).is_none_or(|declared| length != PREFIX + declared)
        {
            return Err(self.failed(path, Cause::Framing));
        }
        if let (Some(keep), Some(kept)) = (keep, kept) {
            keep.replace(kept);
        }
        Ok(())
    }

    /// Sends a call whose answer is one message, and gives that message.
    pub(crate) async fn fetch(&mut self, call: Call) -> Result<Chunks, CallError> {
        let (path, wire) = (call.path.clone(), call.wire.clone());
        let mut chunks = Chunks::default();
        self.exchange(call, |chunk| chunks.push(chunk))
            .await
            .map_err(|cause| self.failed(path.clone(), cause))?;
        if wire == Wire::Grpc {
            let mut head = [0; PREFIX];
            let whole = chunks.try_copy_to_slice(&mut head).is_ok()
                && declared(&head) == Some(chunks.remaining());
            if !whole {
                return Err(self.failed(path, Cause::Framing));
            }
        }
        Ok(chunks)
    }

    /// Sends a call whose answer is a stream of messages. It has begun when this returns.
    pub(crate) async fn stream(&mut self, call: Call) -> Result<Messages, CallError> {
        let (path, wire) = (call.path.clone(), call.wire.clone());
        let body = self
            .send(call)
            .await
            .map_err(|cause| self.failed(path.clone(), cause))?;
        Ok(Messages::new(path, wire, body))
    }

    async fn exchange(&mut self, call: Call, sink: impl FnMut(Bytes)) -> Result<(), Cause> {
        let wire = call.wire.clone();
        let mut body = self.send(call).await?;
        receive(&mut body, sink).await?;
        match wire {
            Wire::Grpc => outcome(body.trailers().await?.as_ref()),
            Wire::Rest(_) => Ok(()),
        }
    }

    /// Sends a request, and waits for the head of the answer.
    async fn send(&mut self, call: Call) -> Result<RecvStream, Cause> {
        std::future::poll_fn(|cx| self.send.poll_ready(cx)).await?;
        let mut uri = self.origin.clone().into_parts();
        uri.path_and_query = Some(PathAndQuery::from_maybe_shared(call.path)?);
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from_parts(uri).expect("a path was put in the place of another");
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, USER_AGENT);
        let (method, content_type) = match call.wire {
            Wire::Grpc => {
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
                (Method::POST, Some("application/grpc"))
            }
            Wire::Rest(method) => {
                headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
                (
                    method,
                    (!call.body.is_empty()).then_some("application/json"),
                )
            }
        };
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        *request.method_mut() = method;
        let headers = request.headers_mut();
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        if let Some([org, project]) = call.tenant {
            headers.insert("x-k8shost-org", org);
            headers.insert("x-k8shost-project", project);
        }
        let no_body = call.body.is_empty();
        let (response, mut body) = self.send.send_request(request, no_body)?;
        if !no_body {
            body.send_data(call.body, true)?;
        }
        let response = response.await?;
        if !response.status().is_success() {
            let status = response.status();
            return Err(Cause::Http(status, refusal(response.into_body()).await));
        }
        // A refusal of gRPC comes in the head alone.
        if response.headers().contains_key(GRPC_STATUS) {
            outcome(Some(response.headers()))?;
        }
        Ok(response.into_body())
    }

    fn failed(&self, path: Bytes, cause: Cause) -> CallError {
        let cause = match (cause, self.lost.get()) {
            (Cause::Http2(_), Some(reason)) => Cause::Lost(reason.clone()),
            (cause, _) => cause,
        };
        CallError { path, cause }
    }
}

/// Takes a body to its end.
async fn receive(body: &mut RecvStream, mut sink: impl FnMut(Bytes)) -> Result<(), h2::Error> {
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        if !chunk.is_empty() {
            sink(chunk);
        }
    }
    Ok(())
}

/// What a server says when it refuses: the message of Kubernetes' Status, or else the beginning of
/// what it says.
async fn refusal(mut body: RecvStream) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let mut text = Vec::new();
    // What was received before a failure is all there is to tell.
    let _ = receive(&mut body, |chunk| {
        text.extend_from_slice(&chunk[..chunk.len().min(REFUSAL - text.len())]);
    })
    .await;
    match serde_json::from_slice::<Status>(&text) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(&text[..text.len().min(500)]).into_owned(),
    }
}

fn outcome(trailers: Option<&HeaderMap>) -> Result<(), Cause> {
    let trailers = trailers.ok_or(Cause::NoStatus)?;
    if trailers
        .get(GRPC_STATUS)
        .is_some_and(|status| status == "0")
    {
        return Ok(());
    }
    let status = tonic::Status::from_header_map(trailers).ok_or(Cause::NoStatus)?;
    Err(Cause::Refused(Box::new(status)))
}
