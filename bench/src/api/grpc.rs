//! k8shost's gRPC API.

use anyhow::{Context as _, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use k8shost_proto::v1;
use prost::Message;

use super::{Added, Api, Page};
use crate::{
    client::{Call, Chunks, PREFIX, Wire},
    template::{INDEX, Pods, Template, Tenant, index_of, pod},
};

/// gRPC: the tenant is in the headers, and an update is unconditional.
pub(super) struct Grpc;

/// A template of calls of this method.
pub(crate) fn template(path: &'static str, message: &impl Message) -> Template {
    Template::new(
        Wire::Grpc,
        Bytes::from_static(path.as_bytes()),
        framed(message),
    )
}

/// A single call.
pub(crate) fn call(path: &'static str, message: &impl Message) -> Call {
    Call {
        wire: Wire::Grpc,
        path: Bytes::from_static(path.as_bytes()),
        body: framed(message),
        tenant: None,
        keep: None,
    }
}

/// A message behind its prefix.
fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("the messages of this tool are small"));
    message.encode_raw(&mut bytes);
    bytes.freeze()
}

impl Api for Grpc {
    fn pods(&self, tenant: Option<&Tenant>, namespace: &str) -> anyhow::Result<Pods> {
        let (namespace, name) = (namespace.to_owned(), format!("web-{INDEX}"));
        let pod: Option<v1::Pod> = Some(serde_json::from_value(pod(&namespace))?);
        let create = v1::CreatePodRequest { pod: pod.clone() };
        let update = v1::UpdatePodRequest { pod };
        let get = v1::GetPodRequest {
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let delete = v1::DeletePodRequest {
            namespace,
            name,
            grace_period_seconds: Some(0),
            preconditions: None,
        };
        Ok(Pods {
            sent: create.encoded_len(),
            create: template("/k8shost.v1.PodService/CreatePod", &create).of_tenant(tenant),
            get: template("/k8shost.v1.PodService/GetPod", &get).of_tenant(tenant),
            update: template("/k8shost.v1.PodService/UpdatePod", &update).of_tenant(tenant),
            delete: template("/k8shost.v1.PodService/DeletePod", &delete).of_tenant(tenant),
            updates_last_known: false,
        })
    }

    fn create_namespace(&self, name: &str) -> Call {
        let metadata = v1::ObjectMeta {
            name: Some(name.to_owned()),
            ..Default::default()
        };
        let namespace = v1::Namespace {
            metadata: Some(metadata),
            ..Default::default()
        };
        let request = v1::CreateNamespaceRequest {
            namespace: Some(namespace),
        };
        call("/k8shost.v1.NamespaceService/CreateNamespace", &request)
    }

    fn get_namespace(&self, name: &str) -> Call {
        let request = v1::GetNamespaceRequest {
            name: name.to_owned(),
        };
        call("/k8shost.v1.NamespaceService/GetNamespace", &request)
    }

    fn delete_namespace(&self, name: &str) -> Call {
        let request = v1::DeleteNamespaceRequest {
            name: name.to_owned(),
            ..Default::default()
        };
        call("/k8shost.v1.NamespaceService/DeleteNamespace", &request)
    }

    fn list(&self, namespace: &str, limit: i64, token: &str) -> Call {
        let request = v1::ListPodsRequest {
            namespace: namespace.to_owned(),
            limit,
            continue_token: token.to_owned(),
            ..Default::default()
        };
        call("/k8shost.v1.PodService/ListPods", &request)
    }

    fn page(&self, answer: Chunks) -> anyhow::Result<Page> {
        let list = List::decode(answer)?;
        let metadata = list.metadata.unwrap_or_default();
        Ok(Page {
            items: list.items.len(),
            continue_token: metadata.continue_token.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
        })
    }

    fn watch(&self, namespace: &str, resource_version: &str) -> Call {
        let request = v1::WatchPodsRequest {
            namespace: namespace.to_owned(),
            resource_version: resource_version.to_owned(),
            ..Default::default()
        };
        call("/k8shost.v1.PodService/WatchPods", &request)
    }

    fn added(&self, message: Bytes) -> anyhow::Result<Added> {
        let event = Event::decode(message)?;
        ensure!(
            event.kind == v1::EventType::Added as i32,
            "an event has the type {}",
            event.kind
        );
        let metadata = event
            .pod
            .and_then(|pod| pod.metadata)
            .context("an event has no metadata")?;
        let version = std::str::from_utf8(&metadata.resource_version)?;
        Ok(Added {
            index: index_of(&metadata.name)
                .with_context(|| format!("{:?} was not created here", metadata.name))?,
            resource_version: version
                .parse()
                .context("a resourceVersion is not a number")?,
        })
    }

    fn stored(&self, answer: Chunks) -> anyhow::Result<usize> {
        let pod = v1::GetPodResponse::decode(answer)?
            .pod
            .context("the answer has no pod")?;
        let bound = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        ensure!(
            bound.is_some_and(|node| !node.is_empty()),
            "the pod is not bound to a node"
        );
        Ok(serde_json::to_vec(&pod)?.len())
    }

    fn health(&self) -> (Call, &'static [u8]) {
        // An empty HealthCheckRequest; a HealthCheckResponse with the status SERVING.
        (call("/grpc.health.v1.Health/Check", &()), &[8, 1])
    }
}

/// A list of which no item is decoded.
#[derive(Clone, PartialEq, prost::Message)]
struct List {
    #[prost(message, optional, tag = "1")]
    metadata: Option<v1::ListMeta>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    items: Vec<Bytes>,
}

/// As much of an event as says which it is; the rest is skipped.
#[derive(Clone, PartialEq, prost::Message)]
struct Event {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    pod: Option<Pod>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Pod {
    #[prost(message, optional, tag = "3")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    resource_version: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::name;

    #[test]
    fn a_pod_is_sent_as_the_template_has_it() {
        let pods = Grpc.pods(None, "shop").unwrap();
        let call = pods.update.call(7, 0xabc);
        let sent = v1::UpdatePodRequest::decode(&call.body[PREFIX..])
            .unwrap()
            .pod
            .unwrap();
        let mut expected: v1::Pod = serde_json::from_value(pod("shop")).unwrap();
        let metadata = expected.metadata.as_mut().unwrap();
        metadata.name = Some(name("web-", 7));
        metadata
            .annotations
            .insert("example.com/revision".to_owned(), "r-00000abc".to_owned());
        assert_eq!(sent, expected);
        assert_eq!(call.body.len() - PREFIX, pods.sent);
    }

    #[test]
    fn an_event_says_which_pod_was_added_and_when() {
        let metadata = v1::ObjectMeta {
            name: Some(name("web-", 7)),
            resource_version: Some("12".to_owned()),
            ..Default::default()
        };
        let pod = v1::Pod {
            metadata: Some(metadata),
            ..Default::default()
        };
        let mut event = v1::WatchPodsResponse {
            r#type: v1::EventType::Added as i32,
            pod: Some(pod),
        };
        let added = Added {
            index: 7,
            resource_version: 12,
        };
        assert_eq!(Grpc.added(event.encode_to_vec().into()).unwrap(), added);
        event.r#type = v1::EventType::Modified as i32;
        assert!(Grpc.added(event.encode_to_vec().into()).is_err());
    }
}
