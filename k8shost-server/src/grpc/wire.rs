//! The requests and answers of the resource services, in the one shape that all kinds share.
//!
//! The published protos have a message for each kind (`CreatePodRequest { Pod pod = 1 }`), with the
//! same numbers everywhere. On the wire an embedded message is a length-delimited field, so one set
//! of structs with the object as bytes reads and writes them all. A test in k8shost-proto holds the
//! protos to these numbers.

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{encode_key, encode_varint, encoded_len_varint, key_len};

/// `CreateXRequest`, `UpdateXRequest`, `UpdateXStatusRequest`, `RegisterNodeRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ObjectRequest {
    /// The object's encoding.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) object: Option<Bytes>,
}

/// `GetXRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

/// `ListXsRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) label_selector: String,
    #[prost(string, tag = "3")]
    pub(crate) field_selector: String,
    #[prost(int64, tag = "4")]
    pub(crate) limit: i64,
    #[prost(string, tag = "5")]
    pub(crate) continue_token: String,
    #[prost(string, tag = "6")]
    pub(crate) resource_version: String,
    #[prost(string, tag = "7")]
    pub(crate) resource_version_match: String,
}

/// `Preconditions`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Preconditions {
    #[prost(string, optional, tag = "1")]
    pub(crate) uid: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) resource_version: Option<String>,
}

/// `DeleteXRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct DeleteRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(int64, optional, tag = "3")]
    pub(crate) grace_period_seconds: Option<i64>,
    #[prost(message, optional, tag = "4")]
    pub(crate) preconditions: Option<Preconditions>,
}

/// `WatchXsRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WatchRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) label_selector: String,
    #[prost(string, tag = "3")]
    pub(crate) field_selector: String,
    #[prost(string, tag = "4")]
    pub(crate) resource_version: String,
    #[prost(bool, tag = "5")]
    pub(crate) send_initial_events: bool,
    #[prost(bool, tag = "6")]
    pub(crate) allow_bookmarks: bool,
    #[prost(string, tag = "7")]
    pub(crate) resource_version_match: String,
}

/// `BindPodRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BindRequest {
    #[prost(string, tag = "1")]
    pub(crate) namespace: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) node_name: String,
    #[prost(string, tag = "4")]
    pub(crate) uid: String,
}

/// `HeartbeatRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HeartbeatRequest {
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    /// The `NodeStatus`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) status: Option<Bytes>,
}

/// `ListMeta`; `ListXsResponse.metadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListMeta {
    #[prost(message, optional, tag = "1")]
    pub(crate) metadata: Option<k8shost_proto::v1::ListMeta>,
}

/// A message that is ready to be sent, or whose parts are: the codec only copies it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    parts: Vec<Bytes>,
}

impl Encoded {
    /// The encoding of a whole message.
    pub(crate) fn message(message: &impl prost::Message) -> Self {
        Self {
            parts: vec![message.encode_to_vec().into()],
        }
    }

    /// `XResponse { X x = 1 }`.
    pub(crate) fn object(object: Bytes) -> Self {
        Self {
            parts: vec![field_head(1, object.len()), object],
        }
    }

    /// `ListXsResponse { ListMeta metadata = 1; repeated X items = 2 }`.
    pub(crate) fn list(metadata: k8shost_proto::v1::ListMeta, items: Vec<Bytes>) -> Self {
        let mut parts = Vec::with_capacity(1 + 2 * items.len());
        parts.push(
            prost::Message::encode_to_vec(&ListMeta {
                metadata: Some(metadata),
            })
            .into(),
        );
        for item in items {
            parts.push(field_head(2, item.len()));
            parts.push(item);
        }
        Self { parts }
    }

    /// A message that is already one buffer.
    pub(crate) fn ready(bytes: Bytes) -> Self {
        Self { parts: vec![bytes] }
    }

    /// `WatchXsResponse { EventType type = 1; X x = 2 }`, in one buffer that many watchers share.
    pub(crate) fn event(kind: k8shost_proto::v1::EventType, object: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(object.len() + 16);
        encode_key(1, prost::encoding::WireType::Varint, &mut out);
        encode_varint(kind as u64, &mut out);
        out.extend_from_slice(&field_head(2, object.len()));
        out.extend_from_slice(object);
        out.freeze()
    }

    /// The message's length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Appends the message.
    pub(crate) fn write(self, out: &mut impl BufMut) {
        for part in self.parts {
            out.put(part);
        }
    }
}

/// Key and length of a length-delimited field.
fn field_head(field: u32, len: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(key_len(field) + encoded_len_varint(len as u64));
    encode_key(field, prost::encoding::WireType::LengthDelimited, &mut head);
    encode_varint(len as u64, &mut head);
    head.freeze()
}
