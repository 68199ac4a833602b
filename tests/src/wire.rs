//! HTTP below gRPC, for what a gRPC client does not let one do.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::within;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The head.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What comes after the body.
    pub trailers: HeaderMap,
}

impl Answer {
    async fn read(response: http::Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = within("the end of the answer", body.collect())
            .await
            .expect("a whole answer");
        let trailers = body.trailers().cloned().unwrap_or_default();
        Self {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        }
    }

    /// The gRPC status, from the trailers or from the head.
    ///
    /// # Panics
    /// When there is none.
    pub fn grpc_status(&self) -> i32 {
        let status = self
            .trailers
            .get("grpc-status")
            .or_else(|| self.headers.get("grpc-status"));
        let status = status
            .and_then(|s| s.to_str().ok())
            .and_then(|s| s.parse().ok());
        status.unwrap_or_else(|| panic!("no grpc-status in {self:?}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request over HTTP/1.1, on a connection of its own.
///
/// # Panics
/// When the connection fails.
pub async fn http1(address: SocketAddr, request: http::request::Builder, body: Bytes) -> Answer {
    let stream = TcpStream::connect(address)
        .await
        .expect("the server accepts");
    let request = request.header("host", address.to_string());
    http1_over(stream, request, body).await
}

/// A request over HTTP/1.1, on this connection.
///
/// # Panics
/// When the connection fails.
pub async fn http1_over<S>(stream: S, request: http::request::Builder, body: Bytes) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("an HTTP/1.1 connection");
    tokio::spawn(connection);
    let request: Request<Full<Bytes>> = request.body(Full::new(body)).expect("a request");
    Answer::read(
        within("an answer", sender.send_request(request))
            .await
            .expect("an answer"),
    )
    .await
}

/// A request over HTTP/2, on a connection of its own; the path is completed to a URI.
///
/// # Panics
/// When the connection fails.
pub async fn http2(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let stream = TcpStream::connect(address)
        .await
        .expect("the server accepts");
    let mut request = Request::post(format!("http://{address}{path}"));
    for (key, value) in headers {
        request = request.header(*key, *value);
    }
    http2_over(stream, request, body).await
}

/// A request over HTTP/2, on this connection.
///
/// # Panics
/// When the connection fails.
pub async fn http2_over<S>(stream: S, request: http::request::Builder, body: Bytes) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("an HTTP/2 connection");
    tokio::spawn(connection);
    let request: Request<Full<Bytes>> = request.body(Full::new(body)).expect("a request");
    Answer::read(
        within("an answer", sender.send_request(request))
            .await
            .expect("an answer"),
    )
    .await
}

/// A message as gRPC frames it.
///
/// # Panics
/// When it has more than 4 GiB.
pub fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a message has less than 4 GiB"));
    framed.put_slice(message);
    framed.freeze()
}
