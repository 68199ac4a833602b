//! A client of the REST API: paths and JSON, as curl sends them.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{NODE, Server, http1, merge, pod, until, within};

/// The header of a merge patch.
pub const MERGE: [(&str, &str); 1] = [("content-type", "application/merge-patch+json")];

/// The API of a tenant.
#[derive(Clone, Debug)]
pub struct Rest {
    address: SocketAddr,
    root: String,
}

impl Rest {
    /// The default tenant's.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            root: String::new(),
        }
    }

    /// The default tenant's of a server, once that answers.
    pub async fn of_server(server: &Server) -> Self {
        let client = server.client().await;
        until("the server", async || {
            client.list(NODE, json!({})).await.ok()
        })
        .await;
        Self::new(server.address())
    }

    /// A project's.
    #[must_use]
    pub fn of(&self, org: &str, project: &str) -> Self {
        Self {
            address: self.address,
            root: format!("/orgs/{org}/projects/{project}"),
        }
    }

    /// A request with a body of any type, and more headers; with the answer's body as JSON, or as text
    /// where it is none.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (StatusCode, Value) {
        let uri = format!("{}{path}", self.root);
        let mut request = Request::builder().method(method).uri(uri);
        for (key, value) in headers {
            request = request.header(*key, *value);
        }
        let answer = http1(self.address, request, body.into()).await;
        let text = || Value::String(answer.text());
        let body = serde_json::from_slice(&answer.body).unwrap_or_else(|_| text());
        (answer.status, body)
    }

    /// A request with JSON, which must be answered so; the answer's JSON.
    ///
    /// # Panics
    /// When it is answered in another way.
    pub async fn expect(
        &self,
        status: u16,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Value {
        let json = [("content-type", "application/json")];
        let headers = if body.is_some() { &json[..] } else { &[] };
        let body = body.map(Value::to_string).unwrap_or_default();
        let (found, answer) = self.send(method.clone(), path, headers, body).await;
        assert_eq!(found.as_u16(), status, "{method} {path}: {answer}");
        answer
    }

    /// Posts an object.
    ///
    /// # Panics
    /// When it is answered in another way.
    pub async fn post(&self, status: u16, path: &str, body: Value) -> Value {
        self.expect(status, Method::POST, path, Some(&body)).await
    }

    /// Sends a patch of a type, like [`MERGE`].
    ///
    /// # Panics
    /// When it is answered in another way.
    pub async fn patch(
        &self,
        status: u16,
        path: &str,
        media: &[(&str, &str)],
        body: &Value,
    ) -> Value {
        let (found, answer) = self
            .send(Method::PATCH, path, media, body.to_string())
            .await;
        assert_eq!(found.as_u16(), status, "{path}: {answer}");
        answer
    }

    /// Makes a pod that is bound, runs and is ready.
    pub async fn run_pod(&self, name: &str) {
        let pods = "/api/v1/namespaces/default/pods";
        let more = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"nodeName": "n1"}});
        self.post(201, pods, merge(pod(name), more)).await;
        let ready = json!({"status": {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let status = format!("{pods}/{name}/status");
        self.patch(200, &status, &MERGE, &ready).await;
    }

    /// What is there, which must be.
    pub async fn get(&self, path: &str) -> Value {
        self.expect(200, Method::GET, path, None).await
    }

    /// Opens a watch.
    ///
    /// # Panics
    /// When it is answered with anything but a stream.
    pub async fn watch(&self, path: &str) -> Lines {
        let stream = TcpStream::connect(self.address)
            .await
            .expect("the server accepts");
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.expect("an HTTP/1.1 connection");
        tokio::spawn(connection);
        let request = Request::get(format!("{}{path}", self.root));
        let request = request.header("host", self.address.to_string());
        let request = request.body(Full::<Bytes>::default()).expect("a request");
        let answer = within("an answer", sender.send_request(request)).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        Lines {
            body: answer.into_body(),
            read: Vec::new(),
        }
    }
}

/// An open watch.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    /// The next event, or `None` at the end.
    ///
    /// # Panics
    /// When what comes is no JSON.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event is JSON"));
            }
            let frame = within("a watch event", self.body.frame()).await?;
            let frame = frame.expect("the stream does not break off");
            if let Ok(data) = frame.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }

    /// The next event, which must be of this type and name; its object.
    ///
    /// # Panics
    /// When it is another one.
    pub async fn expect(&mut self, kind: &str, name: &str) -> Value {
        let mut event = self.next().await.expect("an event, not the end");
        let found = (&event["type"], crate::name(&event["object"]));
        assert_eq!(found, (&Value::from(kind), name), "{event}");
        event["object"].take()
    }
}
