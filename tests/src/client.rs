//! A client made of the published descriptors: JSON in, JSON out.

use std::{collections::VecDeque, net::SocketAddr, path::Path, sync::OnceLock};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, MethodDescriptor,
    SerializeOptions, prost::Message as _,
};
use serde_json::{Value, json};
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::{Kind, objects::text, within};

/// The published descriptors.
///
/// # Panics
/// When they are broken.
pub fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(k8shost_proto::FILE_DESCRIPTOR_SET)
            .expect("the descriptors are whole")
    })
}

/// A method of the API.
#[derive(Clone, Debug)]
pub struct Method(MethodDescriptor);

impl Method {
    /// A method by its short name: `PodService/CreatePod`.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn named(name: &str) -> Self {
        let (service, method) = name.split_once('/').expect("a method is Service/Method");
        let service = pool().get_service_by_name(&format!("k8shost.v1.{service}"));
        let found = service.and_then(|s| s.methods().find(|m| m.name() == method));
        Self(found.unwrap_or_else(|| panic!("there is no method {name}")))
    }

    /// `PodService/CreatePod`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.0.parent_service().name(), self.0.name())
    }

    /// `/k8shost.v1.PodService/CreatePod`.
    pub fn path(&self) -> String {
        format!("/{}/{}", self.0.parent_service().full_name(), self.0.name())
    }

    /// Whether it answers with a stream.
    pub fn streams(&self) -> bool {
        self.0.is_server_streaming()
    }

    /// A request as bytes.
    ///
    /// # Panics
    /// When the JSON is not one of the method's requests.
    pub fn encode(&self, request: Value) -> Bytes {
        let shown = request.clone();
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let message = DynamicMessage::deserialize_with_options(self.0.input(), request, &options);
        let message = message.unwrap_or_else(|e| panic!("{}: {e}: {shown}", self.name()));
        message.encode_to_vec().into()
    }

    /// An answer as JSON.
    pub fn decode(&self, answer: &[u8]) -> Value {
        to_json(self.0.output(), answer)
    }
}

/// Every method of the API.
pub fn methods() -> Vec<Method> {
    let services = pool()
        .services()
        .filter(|s| s.package_name() == "k8shost.v1");
    services
        .flat_map(|s| s.methods().collect::<Vec<_>>())
        .map(Method)
        .collect()
}

fn to_json(descriptor: MessageDescriptor, bytes: &[u8]) -> Value {
    let message =
        DynamicMessage::decode(descriptor, bytes).expect("an answer of the published type");
    let options = SerializeOptions::new().stringify_64_bit_integers(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("an answer that JSON can say")
}

/// Bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

/// A connection, and the metadata that its calls carry.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    metadata: MetadataMap,
    gzip: bool,
}

impl Client {
    /// A client of the default tenant.
    ///
    /// # Panics
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
        Self::open_at(endpoint).await
    }

    /// The same over TLS, with a server whose certificate this authority has signed (a PEM file).
    ///
    /// # Panics
    /// When nobody listens there, or shows another certificate.
    pub async fn connect_tls(address: SocketAddr, authority: &Path) -> Self {
        let pem = std::fs::read(authority).expect("the authority's certificate");
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("a URI");
        Self::open_at(endpoint.tls_config(tls).expect("a certificate")).await
    }

    async fn open_at(endpoint: Endpoint) -> Self {
        let channel = within("a connection", endpoint.connect())
            .await
            .expect("the server accepts");
        Self {
            channel,
            metadata: MetadataMap::new(),
            gzip: false,
        }
    }

    /// The same connection for another tenant.
    #[must_use]
    pub fn of(&self, org: &str, project: &str) -> Self {
        self.with("x-k8shost-org", org)
            .with("x-k8shost-project", project)
    }

    /// The same connection with one more metadata entry.
    ///
    /// # Panics
    /// When it cannot be sent.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut client = self.clone();
        let key = AsciiMetadataKey::from_bytes(key.as_bytes()).expect("a metadata key");
        let value = AsciiMetadataValue::try_from(value.as_bytes()).expect("a metadata value");
        client.metadata.append(key, value);
        client
    }

    /// The same connection, with compressed requests, and answers that may be.
    #[must_use]
    pub fn gzip(&self) -> Self {
        Self {
            gzip: true,
            ..self.clone()
        }
    }

    fn grpc(&self) -> Grpc<Channel> {
        let grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        if self.gzip {
            grpc.send_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Gzip)
        } else {
            grpc
        }
    }

    fn request(&self, message: Bytes) -> Request<Bytes> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = self.grpc();
        grpc.ready()
            .await
            .map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(grpc)
    }

    /// Calls a method with one answer, bytes in and bytes out; with the head of the answer.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn send(
        &self,
        method: &Method,
        message: Bytes,
    ) -> Result<(Bytes, MetadataMap), Status> {
        let path = PathAndQuery::try_from(method.path()).expect("a path");
        let answer = within(&method.name(), async {
            let request = self.request(message);
            self.ready().await?.unary(request, path, Raw).await
        })
        .await?;
        let (head, bytes, _) = answer.into_parts();
        Ok((bytes, head))
    }

    /// Opens a stream with bytes.
    ///
    /// # Errors
    /// What the server answers instead of a stream.
    pub async fn stream(&self, method: &Method, message: Bytes) -> Result<Events, Status> {
        let path = PathAndQuery::try_from(method.path()).expect("a path");
        let answer = within(&method.name(), async {
            let request = self.request(message);
            self.ready()
                .await?
                .server_streaming(request, path, Raw)
                .await
        })
        .await?;
        Ok(Events {
            stream: answer.into_inner(),
            output: method.0.output(),
            read: VecDeque::new(),
        })
    }

    /// Calls a method with one answer.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn call(&self, method: &str, request: Value) -> Result<Value, Status> {
        let method = Method::named(method);
        let (answer, _) = self.send(&method, method.encode(request)).await?;
        Ok(method.decode(&answer))
    }

    /// Opens a watch.
    ///
    /// # Errors
    /// What the server answers instead of a stream.
    pub async fn open(&self, method: &str, request: Value) -> Result<Events, Status> {
        let method = Method::named(method);
        self.stream(&method, method.encode(request)).await
    }

    async fn one(&self, kind: Kind, verb: &str, request: Value) -> Result<Value, Status> {
        let method = format!("{}Service/{verb}", kind.kind);
        let mut answer = self.call(&method, request).await?;
        Ok(answer[kind.field()].take())
    }

    /// Creates an object; a node is registered.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn create(&self, kind: Kind, object: Value) -> Result<Value, Status> {
        let verb = if kind.kind == "Node" {
            "Register"
        } else {
            "Create"
        };
        self.one(
            kind,
            &format!("{verb}{}", kind.kind),
            json!({ kind.field(): object }),
        )
        .await
    }

    /// Reads an object. The namespace of a kind without namespaces is empty.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Value, Status> {
        self.one(
            kind,
            &format!("Get{}", kind.kind),
            kind.named(namespace, name),
        )
        .await
    }

    /// Replaces an object's metadata and spec.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn update(&self, kind: Kind, object: Value) -> Result<Value, Status> {
        self.one(
            kind,
            &format!("Update{}", kind.kind),
            json!({ kind.field(): object }),
        )
        .await
    }

    /// Replaces an object's status.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn update_status(&self, kind: Kind, object: Value) -> Result<Value, Status> {
        self.one(
            kind,
            &format!("Update{}Status", kind.kind),
            json!({ kind.field(): object }),
        )
        .await
    }

    /// Deletes an object with the defaults.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn delete(&self, kind: Kind, namespace: &str, name: &str) -> Result<Value, Status> {
        self.delete_with(kind, namespace, name, json!({})).await
    }

    /// Deletes an object with more in the request.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn delete_with(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        more: Value,
    ) -> Result<Value, Status> {
        let request = crate::merge(kind.named(namespace, name), more);
        self.one(kind, &format!("Delete{}", kind.kind), request)
            .await
    }

    /// Lists objects; the answer has `metadata` and `items`.
    ///
    /// # Errors
    /// What the server answers.
    pub async fn list(&self, kind: Kind, request: Value) -> Result<Value, Status> {
        let method = format!("{}Service/List{}", kind.kind, kind.plural);
        let mut list = self.call(&method, request).await?;
        if list["items"].is_null() {
            list["items"] = json!([]);
        }
        Ok(list)
    }

    /// Watches objects.
    ///
    /// # Errors
    /// What the server answers instead of a stream.
    pub async fn watch(&self, kind: Kind, request: Value) -> Result<Events, Status> {
        self.open(
            &format!("{}Service/Watch{}", kind.kind, kind.plural),
            request,
        )
        .await
    }

    /// Makes a tenant, with its organization where there is none, and returns its client.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn make_tenant(&self, org: &str, project: &str) -> Self {
        let made = self
            .call(
                "OrganizationService/CreateOrganization",
                json!({"organization": {"name": org}}),
            )
            .await;
        if let Err(status) = made {
            assert_eq!(status.code(), Code::AlreadyExists, "{status}");
        }
        let project_object = json!({"project": {"org": org, "name": project}});
        self.call("ProjectService/CreateProject", project_object)
            .await
            .expect("a new project");
        self.of(org, project)
    }
}

/// An open watch.
#[derive(Debug)]
pub struct Events {
    stream: Streaming<Bytes>,
    output: MessageDescriptor,
    read: VecDeque<Event>,
}

/// One message of a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`.
    pub kind: String,
    /// The object.
    pub object: Value,
}

impl Events {
    /// The next message; `None` at a clean end.
    ///
    /// # Errors
    /// What the server ends the stream with.
    pub async fn next(&mut self) -> Result<Option<Event>, Status> {
        if let Some(event) = self.read.pop_front() {
            return Ok(Some(event));
        }
        let Some(bytes) = within("a watch event", self.stream.message()).await? else {
            return Ok(None);
        };
        let mut message = to_json(self.output.clone(), &bytes);
        let kind = text(&message, "/type")
            .trim_start_matches("EVENT_TYPE_")
            .to_owned();
        let object = message.as_object_mut().and_then(|m| {
            let field = m.keys().find(|key| *key != "type").cloned();
            field.and_then(|field| m.remove(&field))
        });
        Ok(Some(Event {
            kind,
            object: object.unwrap_or_default(),
        }))
    }

    /// The next event, which must come.
    ///
    /// # Panics
    /// When the watch ends instead.
    pub async fn event(&mut self) -> Event {
        let next = self.next().await.expect("an event, not an error");
        next.expect("an event, not the end")
    }

    /// The next event, which must be of this kind and name; returns its object.
    ///
    /// # Panics
    /// When it is another one.
    pub async fn expect(&mut self, kind: &str, name: &str) -> Value {
        let event = self.event().await;
        let found = (event.kind.as_str(), text(&event.object, "/metadata/name"));
        assert_eq!(found, (kind, name), "{}", event.object);
        event.object
    }

    /// The next event, which must be a bookmark; returns its object.
    ///
    /// # Panics
    /// When it is something else.
    pub async fn bookmark(&mut self) -> Value {
        let event = self.event().await;
        assert_eq!(event.kind, "BOOKMARK", "{}", event.object);
        event.object
    }

    /// The initial events' objects, up to the bookmark that ends them, and that bookmark.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn initial(&mut self) -> (Vec<Value>, Value) {
        let mut objects = Vec::new();
        loop {
            let event = self.event().await;
            match event.kind.as_str() {
                "ADDED" => objects.push(event.object),
                "BOOKMARK" => {
                    let end = &event.object["metadata"]["annotations"]["k8s.io/initial-events-end"];
                    assert_eq!(end, "true", "{}", event.object);
                    return (objects, event.object);
                }
                other => panic!("{other} among the initial events: {}", event.object),
            }
        }
    }

    /// What the watch ends with, whatever comes before: `None` is a clean end.
    pub async fn end(&mut self) -> Option<Status> {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }
}

/// The status of a call that must fail with this code.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code) -> Status {
    match result {
        Err(status) if status.code() == code => status,
        Err(status) => panic!(
            "expected {code:?}, got {:?}: {}",
            status.code(),
            status.message()
        ),
        Ok(answer) => panic!("expected {code:?}, got an answer: {answer:?}"),
    }
}

/// The reason in a status' ErrorInfo.
///
/// # Panics
/// When there is no ErrorInfo of ours.
#[track_caller]
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "k8shost.io");
    info.reason.clone()
}

/// The token in an `Expired` that a list goes on with, at the present.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn fresh_token(status: &Status) -> String {
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert_eq!(reason(status), "Expired");
    let details = status.get_error_details();
    let info = details.error_info();
    let token = info.and_then(|info| info.metadata.get("continue"));
    token.expect("a token").clone()
}

/// The fields that a status complains of.
pub fn violations(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|b| b.field_violations.as_slice());
    violations
        .into_iter()
        .flatten()
        .map(|v| v.field.clone())
        .collect()
}
