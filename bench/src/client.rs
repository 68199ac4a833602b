//! A lean HTTP/2 client of gRPC: it sends prepared bytes, and builds no message of what comes back.
//!
//! Client and server share the machine's cores, so what the client does not spend, the server has.

use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock},
};

use anyhow::Context as _;
use bytes::{Buf, Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header, uri::PathAndQuery};
use tokio::net::TcpStream;

/// Windows as Go's HTTP/2 client has them, and so kubectl and most controllers.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// Length of what precedes a message: a flag and four bytes of length.
pub(crate) const PREFIX: usize = 5;

const GRPC_STATUS: &str = "grpc-status";

/// A call that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The method.
    pub(crate) path: &'static str,
    /// The message, behind its prefix.
    pub(crate) message: Bytes,
    /// Organization and project; none is the default tenant.
    pub(crate) tenant: Option<[HeaderValue; 2]>,
}

/// Which call failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub(crate) struct CallError {
    path: &'static str,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("the connection failed: {0}")]
    Http2(#[from] h2::Error),
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("HTTP status {0}")]
    Http(StatusCode),
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
        matches!(&self.cause, Cause::Refused(status) if status.code() == tonic::Code::NotFound)
    }
}

/// Some connections to one server.
#[derive(Clone)]
pub(crate) struct Pool(Vec<Connection>);

impl Pool {
    /// Opens so many connections.
    pub(crate) async fn open(url: &str, connections: usize) -> anyhow::Result<Self> {
        let mut all = Vec::with_capacity(connections);
        for _ in 0..connections {
            all.push(Connection::open(url).await?);
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
    /// Why the connection ended, once it has.
    lost: Arc<OnceLock<String>>,
}

impl Connection {
    /// Connects to `http://address:port`.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let origin: Uri = url
            .parse()
            .with_context(|| format!("'{url}' is not a URL"))?;
        let (Some("http"), Some(authority)) = (origin.scheme_str(), origin.authority()) else {
            anyhow::bail!("'{url}': expected http://address:port");
        };
        let address = (
            authority.host().trim_matches(['[', ']']),
            authority.port_u16().unwrap_or(80),
        );
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {url}"))?;
        stream.set_nodelay(true)?;
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(stream)
            .await
            .with_context(|| format!("{url} does not speak HTTP/2"))?;
        let lost = Arc::new(OnceLock::new());
        let reason = lost.clone();
        tokio::spawn(async move {
            let end = connection.await;
            let _ = reason.set(
                end.err()
                    .map_or("it was closed".to_owned(), |e| e.to_string()),
            );
        });
        Ok(Self { send, origin, lost })
    }

    /// Sends a call whose answer is one message, and gives that message's length.
    pub(crate) async fn call(&mut self, call: Call) -> Result<usize, CallError> {
        let path = call.path;
        let (mut length, mut head) = (0, [0; PREFIX]);
        self.exchange(call, |chunk| {
            // Chunks are not empty, and the first mostly has the whole prefix.
            if length < PREFIX {
                let part = chunk.len().min(PREFIX - length);
                head[length..length + part].copy_from_slice(&chunk[..part]);
            }
            length += chunk.len();
        })
        .await
        .map_err(|cause| self.failed(path, cause))?;
        match declared(&head) {
            Some(declared) if length == PREFIX + declared => Ok(declared),
            _ => Err(self.failed(path, Cause::Framing)),
        }
    }

    /// Sends a call whose answer is one message, and keeps that message.
    pub(crate) async fn fetch(&mut self, call: Call) -> Result<Chunks, CallError> {
        let path = call.path;
        let mut chunks = Chunks::default();
        self.exchange(call, |chunk| chunks.push(chunk))
            .await
            .map_err(|cause| self.failed(path, cause))?;
        let mut head = [0; PREFIX];
        if chunks.try_copy_to_slice(&mut head).is_ok()
            && declared(&head) == Some(chunks.remaining())
        {
            return Ok(chunks);
        }
        Err(self.failed(path, Cause::Framing))
    }

    /// Sends a call whose answer is a stream of messages. It has begun when this returns.
    pub(crate) async fn stream(&mut self, call: Call) -> Result<Messages, CallError> {
        let path = call.path;
        let body = self
            .send(call)
            .await
            .map_err(|cause| self.failed(path, cause))?;
        Ok(Messages {
            path,
            body,
            rest: Bytes::new(),
        })
    }

    async fn exchange(&mut self, call: Call, mut sink: impl FnMut(Bytes)) -> Result<(), Cause> {
        let mut body = self.send(call).await?;
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            if !chunk.is_empty() {
                sink(chunk);
            }
        }
        outcome(body.trailers().await?.as_ref())
    }

    /// Sends a request, and waits for the head of the answer.
    async fn send(&mut self, call: Call) -> Result<RecvStream, Cause> {
        std::future::poll_fn(|cx| self.send.poll_ready(cx)).await?;
        let mut uri = self.origin.clone().into_parts();
        uri.path_and_query = Some(PathAndQuery::from_static(call.path));
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_parts(uri).expect("a path was put in the place of another");
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        if let Some([org, project]) = call.tenant {
            headers.insert("x-k8shost-org", org);
            headers.insert("x-k8shost-project", project);
        }
        let (response, mut body) = self.send.send_request(request, false)?;
        body.send_data(call.message, true)?;
        let response = response.await?;
        if response.status() != StatusCode::OK {
            return Err(Cause::Http(response.status()));
        }
        // A refusal comes in the head alone.
        if response.headers().contains_key(GRPC_STATUS) {
            outcome(Some(response.headers()))?;
        }
        Ok(response.into_body())
    }

    fn failed(&self, path: &'static str, cause: Cause) -> CallError {
        let cause = match (cause, self.lost.get()) {
            (Cause::Http2(_), Some(reason)) => Cause::Lost(reason.clone()),
            (cause, _) => cause,
        };
        CallError { path, cause }
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

/// The length of the message behind a prefix, if it is not compressed.
fn declared(prefix: &[u8; PREFIX]) -> Option<usize> {
    let [0, length @ ..] = prefix else {
        return None;
    };
    usize::try_from(u32::from_be_bytes(*length)).ok()
}

/// The messages of a stream.
pub(crate) struct Messages {
    path: &'static str,
    body: RecvStream,
    rest: Bytes,
}

impl Messages {
    /// The next message; nothing at the stream's end, if that is a good one.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let path = self.path;
        let failed = |cause| CallError { path, cause };
        loop {
            if let Some(head) = self.rest.first_chunk::<PREFIX>() {
                let length = declared(head).ok_or_else(|| failed(Cause::Framing))?;
                if self.rest.len() >= PREFIX + length {
                    self.rest.advance(PREFIX);
                    return Ok(Some(self.rest.split_to(length)));
                }
            }
            match self.body.data().await {
                Some(chunk) => {
                    let chunk = chunk.map_err(|e| failed(e.into()))?;
                    let released = self.body.flow_control().release_capacity(chunk.len());
                    released.map_err(|e| failed(e.into()))?;
                    self.append(chunk);
                }
                None if self.rest.is_empty() => {
                    let trailers = self.body.trailers().await.map_err(|e| failed(e.into()))?;
                    return outcome(trailers.as_ref()).map(|()| None).map_err(failed);
                }
                None => return Err(failed(Cause::Framing)),
            }
        }
    }

    /// Mostly nothing is left over, and the chunk is taken as it is.
    fn append(&mut self, chunk: Bytes) {
        if self.rest.is_empty() {
            self.rest = chunk;
        } else {
            let mut joined = BytesMut::with_capacity(self.rest.len() + chunk.len());
            joined.extend_from_slice(&self.rest);
            joined.extend_from_slice(&chunk);
            self.rest = joined.freeze();
        }
    }
}

/// Bytes as they were received, not copied together.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: VecDeque<Bytes>,
    remaining: usize,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        self.remaining += chunk.len();
        self.chunks.push_back(chunk);
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| &chunk[..])
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "no more is taken than there is");
        self.remaining -= count;
        while count > 0 {
            let front = self
                .chunks
                .front_mut()
                .expect("what remains is in the chunks");
            let part = count.min(front.len());
            front.advance(part);
            count -= part;
            if front.is_empty() {
                self.chunks.pop_front();
            }
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        if let Some(front) = self.chunks.front_mut().filter(|front| front.len() > count) {
            self.remaining -= count;
            return front.split_to(count);
        }
        let mut bytes = BytesMut::with_capacity(count);
        while bytes.len() < count {
            let part = self.chunk().len().min(count - bytes.len());
            bytes.extend_from_slice(&self.chunk()[..part]);
            self.advance(part);
        }
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_read_as_one() {
        let mut chunks = Chunks::default();
        for part in ["abc", "d", "efgh"] {
            chunks.push(Bytes::from_static(part.as_bytes()));
        }
        assert_eq!(chunks.copy_to_bytes(2), "ab");
        assert_eq!(chunks.copy_to_bytes(3), "cde");
        chunks.advance(1);
        assert_eq!(chunks.remaining(), 2);
        assert_eq!(chunks.copy_to_bytes(2), "gh");
        assert!(!chunks.has_remaining());
    }

    #[test]
    fn a_compressed_message_is_not_taken_for_a_plain_one() {
        assert_eq!(declared(&[0, 0, 0, 1, 2]), Some(258));
        assert_eq!(declared(&[1, 0, 0, 1, 2]), None);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let error = Pool::open("http://127.0.0.1:1", 1).await.err().unwrap();
        assert!(
            format!("{error:#}").contains("http://127.0.0.1:1"),
            "{error:#}"
        );
    }
}
