//! The measure of what gRPC costs by itself: a bare unary echo, in a process of its own as the
//! server is.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io::{Read as _, Write as _},
    pin::Pin,
    task::{Context, Poll},
    thread,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    client::Grpc as ClientGrpc,
    codegen::Service,
    server::{Grpc, UnaryService},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use crate::process::LISTENING;

/// The one method there is.
pub(crate) const PATH: &str = "/k8shost.bench.Echo/Echo";

/// What is sent and comes back.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) bytes: Bytes,
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

#[derive(Clone)]
struct Echo;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Payload, Payload>::default());
            Ok(grpc.unary(Back, request).await)
        })
    }
}

struct Back;

impl UnaryService<Payload> for Back {
    type Response = Payload;
    type Future = Ready<Result<Response<Payload>, Status>>;

    fn call(&mut self, request: Request<Payload>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

/// Serves until the process that started this one is gone.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("the echo cannot listen")?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{LISTENING}http://{}", listener.local_addr()?)?;
    out.flush()?;
    drop(out);
    thread::spawn(|| {
        // Nobody writes there: reading ends when the other end is closed.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder()
        .serve_with_incoming(Echo, incoming)
        .await?)
}

/// Calls the echo with tonic's own client, as most programs would.
#[derive(Clone)]
pub(crate) struct Client(ClientGrpc<Channel>);

impl Client {
    /// Connects.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        Ok(Self(ClientGrpc::new(
            Endpoint::from_shared(url.to_owned())?.connect().await?,
        )))
    }

    /// Sends a payload and checks that it came back.
    pub(crate) async fn call(&mut self, payload: Payload) -> anyhow::Result<()> {
        self.0.ready().await?;
        let length = payload.bytes.len();
        let codec = ProstCodec::<Payload, Payload>::default();
        let path = PathAndQuery::from_static(PATH);
        let answer = self.0.unary(Request::new(payload), path, codec).await?;
        anyhow::ensure!(
            answer.get_ref().bytes.len() == length,
            "the echo is not what was sent"
        );
        Ok(())
    }
}
