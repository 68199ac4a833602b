//! The calls: each verb once, for every kind.

use std::sync::Arc;

use bytes::Bytes;
use k8shost_proto::v1::{EventType, ListMeta};
use k8shost_store::log::{Object, Previous, Revision};
use k8shost_types::{Error, Reason, apply::manager_name, meta, tenant::TenantName};
use prost::Message;
use serde_json::Value;
use tonic::{Request, Status, metadata::MetadataMap};

use super::{
    Call, Messages,
    encoding::{Conversion, to_value},
    methods::Verb,
    refused,
    wire::{
        BindRequest, DeleteRequest, Encoded, GetRequest, HeartbeatRequest, ListRequest,
        ObjectRequest, WatchRequest,
    },
};
use crate::{
    metrics::Held,
    registry::{
        Tenant,
        delete::DeleteOptions,
        json::at_revision,
        kind::{Kind, NAMESPACES},
        list::{ListOptions, Selectors},
        ownership::WriteOptions,
        watch::{Version, Watch, WatchItem, WatchOptions},
        write::Preconditions,
    },
};

/// The metadata keys that name the caller's tenant.
const ORG: &str = "x-k8shost-org";
const PROJECT: &str = "x-k8shost-project";

/// The namespace of a request that names none.
const DEFAULT_NAMESPACE: &str = "default";

impl Call {
    /// Answers a method with one message.
    pub(super) async fn unary(&self, request: Request<Bytes>) -> Result<Encoded, Error> {
        let (metadata, _, body) = request.into_parts();
        let Some(kind) = self.method.kind else {
            return self.face.0.tenancy_call(self.method.verb, &body).await;
        };
        let tenant = self.tenant(&metadata).await?;
        let resource = tenant.resource(kind);
        let agent = metadata
            .get("user-agent")
            .and_then(|agent| agent.to_str().ok());
        let options = WriteOptions {
            manager: manager_name("", agent.unwrap_or_default()).into(),
            dry_run: false,
        };
        let scope = |namespace: String| scope(kind, namespace);
        let object = match self.method.verb {
            Verb::Get => {
                let request: GetRequest = message(&body)?;
                let name = required(kind, &request.name)?;
                let object = resource.get(&scope(request.namespace), name, "").await?;
                return self.encode(&tenant, kind, &object).map(Encoded::object);
            }
            Verb::List => return self.list(&tenant, kind, message(&body)?).await,
            Verb::Create => {
                let object = object_of(&tenant, kind, &body)?;
                let namespace = scope(meta::namespace(&object).to_owned());
                let created = resource.create(&namespace, object, &options).await?;
                let name = tenant_name(&tenant)?;
                return self
                    .face
                    .0
                    .encodings
                    .created(name, kind, created)
                    .map(Encoded::object);
            }
            Verb::Register => {
                tenant
                    .register_node(object_of(&tenant, kind, &body)?, &options)
                    .await?
            }
            verb @ (Verb::Update | Verb::UpdateStatus) => {
                let part = if verb == Verb::Update { "" } else { "status" };
                let object = object_of(&tenant, kind, &body)?;
                let namespace = scope(meta::namespace(&object).to_owned());
                let (same, body) = (tenant.clone(), body.clone());
                let again = move || object_of(&same, kind, &body);
                let object = resource
                    .update(part, &namespace, object, again, &options)
                    .await?;
                if std::ptr::eq(kind, &raw const NAMESPACES) {
                    self.face.0.tenancy.activate(&tenant);
                }
                object
            }
            Verb::Bind => {
                let request: BindRequest = message(&body)?;
                let uid = Some(request.uid).filter(|uid| !uid.is_empty());
                let preconditions = Preconditions {
                    uid,
                    resource_version: None,
                };
                let name = required(kind, &request.name)?;
                let namespace = scope(request.namespace);
                tenant
                    .bind(&namespace, name, request.node_name, preconditions, false)
                    .await?
            }
            Verb::Heartbeat => {
                let request: HeartbeatRequest = message(&body)?;
                let status = match &request.status {
                    None => None,
                    Some(bytes) => {
                        let status: k8shost_proto::v1::NodeStatus = message(bytes)?;
                        Some(to_value(&status, "NodeStatus")?)
                    }
                };
                tenant
                    .heartbeat(required(kind, &request.name)?, status, &options)
                    .await?
            }
            Verb::Delete => {
                let request: DeleteRequest = message(&body)?;
                let preconditions = request.preconditions.unwrap_or_default();
                let options = DeleteOptions {
                    grace_period_seconds: request.grace_period_seconds,
                    propagation: None,
                    dry_run: false,
                    preconditions: Preconditions {
                        uid: preconditions.uid,
                        resource_version: preconditions.resource_version,
                    },
                };
                let name = required(kind, &request.name)?;
                let last = resource
                    .delete(&scope(request.namespace), name, options)
                    .await?;
                if std::ptr::eq(kind, &raw const NAMESPACES) {
                    self.face.0.tenancy.activate(&tenant);
                }
                let tenant = tenant_name(&tenant)?;
                return Ok(Encoded::object(self.face.0.encodings.make(
                    tenant,
                    kind,
                    &last.value,
                )?));
            }
            verb => {
                return Err(Error::new(
                    Reason::Internal,
                    format!("{verb:?} is not a call with one answer on a kind"),
                ));
            }
        };
        let name = tenant_name(&tenant)?;
        self.face
            .0
            .encodings
            .once(name, kind, &object)
            .map(Encoded::object)
    }

    async fn list(
        &self,
        tenant: &Tenant,
        kind: &'static Kind,
        request: ListRequest,
    ) -> Result<Encoded, Error> {
        let options = ListOptions {
            selectors: Selectors {
                namespace: request.namespace,
                labels: request.label_selector,
                fields: request.field_selector,
            },
            limit: request.limit,
            continue_token: request.continue_token,
            resource_version: request.resource_version,
            resource_version_match: request.resource_version_match,
        };
        let page = tenant.resource(kind).list(&options).await?;
        let metadata = ListMeta {
            resource_version: Some(page.revision.to_string()),
            continue_token: Some(page.continue_token).filter(|token| !token.is_empty()),
            remaining_item_count: page.remaining,
            ..ListMeta::default()
        };
        let mut items = Vec::with_capacity(page.items.len());
        for (at, object) in page.items.iter().enumerate() {
            items.push(self.encode(tenant, kind, object)?);
            if at % 256 == 255 {
                // A long list leaves room for others.
                tokio::task::yield_now().await;
            }
        }
        Ok(Encoded::list(metadata, items))
    }

    /// Opens a watch; its errors after that come in the stream.
    pub(super) async fn watch(&self, request: Request<Bytes>) -> Result<Messages, Error> {
        let (metadata, _, body) = request.into_parts();
        let kind = self
            .method
            .kind
            .ok_or_else(|| Error::new(Reason::Internal, "only objects of a kind are watched"))?;
        let request: WatchRequest = message(&body)?;
        let tenant = self.tenant(&metadata).await?;
        let options = WatchOptions {
            selectors: Selectors {
                namespace: request.namespace,
                labels: request.label_selector,
                fields: request.field_selector,
            },
            resource_version: request.resource_version,
            resource_version_match: request.resource_version_match,
            send_initial_events: request.send_initial_events,
            allow_bookmarks: request.allow_bookmarks,
        };
        let watch = tenant.resource(kind).watch(&options).await?;
        let held = Held::new(&self.face.0.metrics.watches);
        let stream = WatchStream {
            call: self.clone(),
            tenant,
            watch,
            _held: held,
        };
        Ok(Box::pin(futures::stream::unfold(
            Some(stream),
            WatchStream::step,
        )))
    }

    async fn tenant(&self, metadata: &MetadataMap) -> Result<Tenant, Error> {
        self.face
            .0
            .tenancy
            .tenant(word(metadata, ORG)?, word(metadata, PROJECT)?)
            .await
    }

    fn encode(&self, tenant: &Tenant, kind: &Kind, object: &Arc<Object>) -> Result<Bytes, Error> {
        self.face
            .0
            .encodings
            .get(tenant_name(tenant)?, kind, object)
    }
}

/// An open watch and what it answers to.
struct WatchStream {
    call: Call,
    tenant: Tenant,
    watch: Watch,
    _held: Held,
}

impl WatchStream {
    /// The next message; an error is the last one.
    async fn step(stream: Option<Self>) -> Option<(Result<Encoded, Status>, Option<Self>)> {
        let mut stream = stream?;
        let shutdown = stream.call.face.0.shutdown.clone();
        let deadline = stream.call.deadline;
        let expired = async move {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let item = tokio::select! {
            biased;
            // A clean end: the watcher resumes from where it is, here or at another server.
            () = shutdown.wait() => return None,
            item = stream.watch.next() => item,
            () = expired => {
                return Some((Err(Status::deadline_exceeded("the watch's deadline is over")), None));
            }
        };
        match item.and_then(|item| stream.encode(&item)) {
            Ok(bytes) => {
                stream.call.face.0.metrics.watch_events.inc();
                Some((Ok(Encoded::ready(bytes)), Some(stream)))
            }
            Err(error) => Some((Err(refused(&error)), None)),
        }
    }

    fn encode(&self, item: &WatchItem) -> Result<Bytes, Error> {
        let (event_type, version) = match item {
            WatchItem::Added(version) => (EventType::Added, version),
            WatchItem::Modified(version) => (EventType::Modified, version),
            WatchItem::Deleted(version) => (EventType::Deleted, version),
            WatchItem::Bookmark {
                revision,
                initial_end,
            } => {
                return self.bookmark(*revision, *initial_end);
            }
        };
        let kind = self.watch.kind();
        match version {
            Version::Stored(object) => {
                let object = self.call.encode(&self.tenant, kind, object)?;
                Ok(Encoded::event(event_type, &object))
            }
            Version::Shared(event, object) => {
                let make = || {
                    let object = self.call.encode(&self.tenant, kind, object)?;
                    Ok(Encoded::event(event_type, &object))
                };
                let usual = match event.previous {
                    Previous::None => EventType::Added,
                    Previous::Object(_) | Previous::Attributes(_) => EventType::Modified,
                };
                if event_type == usual {
                    shared(event, make)
                } else {
                    make()
                }
            }
            Version::Former(event, object) => {
                let make = || {
                    let json = at_revision(&object.value, event.revision)?;
                    let name = tenant_name(&self.tenant)?;
                    let object = self.call.face.0.encodings.make(name, kind, &json)?;
                    Ok(Encoded::event(event_type, &object))
                };
                if event.object.is_none() {
                    shared(event, make)
                } else {
                    make()
                }
            }
        }
    }

    fn bookmark(&self, revision: Revision, initial_end: bool) -> Result<Bytes, Error> {
        let kind = self.watch.kind();
        let object = self.watch.bookmark(revision, initial_end);
        let name = tenant_name(&self.tenant)?;
        let object = self
            .call
            .face
            .0
            .encodings
            .make(name, kind, object.to_string().as_bytes())?;
        Ok(Encoded::event(EventType::Bookmark, &object))
    }
}

/// What an event's watchers share, made by the first of them.
fn shared(
    event: &k8shost_store::log::Event,
    make: impl FnOnce() -> Result<Bytes, Error>,
) -> Result<Bytes, Error> {
    let mut failure = None;
    let bytes = event.ready(|| {
        make().unwrap_or_else(|error| {
            failure = Some(error);
            Bytes::new()
        })
    });
    match failure {
        Some(error) => Err(error),
        // An event is never empty: it has a type. An earlier watcher failed to make it.
        None if bytes.is_empty() => Err(Error::new(
            Reason::Internal,
            "a stored object cannot be read",
        )),
        None => Ok(bytes),
    }
}

/// A request's message. BadRequest, if it is none.
pub(super) fn message<M: Message + Default>(bytes: &[u8]) -> Result<M, Error> {
    M::decode(bytes).map_err(|e| Error::bad_request(format!("the request cannot be decoded: {e}")))
}

/// A metadata value as text.
fn word<'m>(metadata: &'m MetadataMap, key: &str) -> Result<Option<&'m str>, Error> {
    let mut values = metadata.get_all(key).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::bad_request(format!("{key} is sent more than once")));
    }
    let text = value
        .to_str()
        .map_err(|_| Error::bad_request(format!("{key} is not text")))?;
    Ok(Some(text))
}

/// The namespace of a request about one object: none means `default`, or nothing for a kind
/// without namespaces.
fn scope(kind: &Kind, namespace: String) -> String {
    match (kind.rules.namespaced, namespace.is_empty()) {
        (false, _) => String::new(),
        (true, true) => DEFAULT_NAMESPACE.to_owned(),
        (true, false) => namespace,
    }
}

fn required<'n>(kind: &Kind, name: &'n str) -> Result<&'n str, Error> {
    if name.is_empty() {
        return Err(Error::bad_request(format!(
            "name: say which {} is meant",
            kind.rules.kind
        )));
    }
    Ok(name)
}

/// The object that a request carries.
fn object_of(tenant: &Tenant, kind: &Kind, body: &[u8]) -> Result<Value, Error> {
    let request: ObjectRequest = message(body)?;
    let field = kind.rules.kind.to_lowercase();
    let object = request.object.ok_or_else(|| {
        Error::bad_request(format!("{field}: the request has no {}", kind.rules.kind))
    })?;
    (Conversion::for_kind(kind).decode)(tenant_name(tenant)?, &object)
}

fn tenant_name(tenant: &Tenant) -> Result<&TenantName, Error> {
    tenant.name().map(AsRef::as_ref).ok_or_else(|| {
        Error::new(
            Reason::Internal,
            "the system tenant has no objects of the gRPC API",
        )
    })
}
