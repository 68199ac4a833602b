//! Messages that are prepared once: what is sent differs from the template in a few digits only.

use bytes::{BufMut as _, Bytes, BytesMut};
use k8shost_proto::v1;
use prost::Message;
use serde_json::json;

use crate::client::{Call, PREFIX};

/// Stands in a message for the digits that an index becomes.
pub(crate) const INDEX: &str = "@@@@@@@@";
/// Stands in a message for the digits of a revision.
const REVISION: &str = "########";

/// Odd, and so a multiplication with it can be undone; close to 2^32 divided by the golden ratio,
/// and so it spreads neighbours far apart.
const SPREAD: u32 = 0x9e37_79b1;

/// What `SPREAD` is multiplied with to make 1.
const UNSPREAD: u32 = {
    // Newton's method: each step doubles the number of right bits, from three.
    let mut inverse = SPREAD;
    let mut step = 0;
    while step < 4 {
        inverse = inverse.wrapping_mul(2u32.wrapping_sub(SPREAD.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
};

/// The digits of an index: no two are alike, and neighbours are not in order, as names that
/// controllers make are not.
fn digits(index: u64) -> [u8; 8] {
    let index = u32::try_from(index).expect("fewer than 2^32 objects are made");
    hex(index.wrapping_mul(SPREAD))
}

/// The index whose digits end this name.
pub(crate) fn index_of(name: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(name.last_chunk::<8>()?).ok()?;
    let spread = u32::from_str_radix(digits, 16).ok()?;
    Some(u64::from(spread.wrapping_mul(UNSPREAD)))
}

fn hex(number: u32) -> [u8; 8] {
    std::array::from_fn(|at| b"0123456789abcdef"[(number >> (28 - 4 * at)) as usize & 15])
}

/// The name that an index stands for in templates where `INDEX` follows `prefix`.
pub(crate) fn name(prefix: &str, index: u64) -> String {
    let digits = digits(index);
    prefix
        .chars()
        .chain(digits.iter().map(|digit| char::from(*digit)))
        .collect()
}

/// A call with places for an index and a revision.
pub(crate) struct Template {
    path: &'static str,
    message: Vec<u8>,
    indexes: Vec<usize>,
    revisions: Vec<usize>,
}

impl Template {
    /// A template of calls of this method.
    pub(crate) fn new(path: &'static str, message: &impl Message) -> Self {
        let message = framed(message).to_vec();
        let places = |mark: &str| {
            let windows = message.windows(mark.len()).enumerate();
            windows
                .filter(|(_, window)| *window == mark.as_bytes())
                .map(|(at, _)| at)
                .collect()
        };
        Self {
            path,
            indexes: places(INDEX),
            revisions: places(REVISION),
            message,
        }
    }

    /// The call for this index and revision.
    pub(crate) fn call(&self, index: u64, revision: u64) -> Call {
        let mut message = BytesMut::from(&self.message[..]);
        let (index, revision) = (digits(index), hex(revision as u32));
        for at in &self.indexes {
            message[*at..at + 8].copy_from_slice(&index);
        }
        for at in &self.revisions {
            message[*at..at + 8].copy_from_slice(&revision);
        }
        Call {
            path: self.path,
            message: message.freeze(),
            tenant: None,
        }
    }
}

/// A single call.
pub(crate) fn call(path: &'static str, message: &impl Message) -> Call {
    Call {
        path,
        message: framed(message),
        tenant: None,
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

/// The pods of one namespace, and the calls on them.
pub(crate) struct Pods {
    pub(crate) create: Template,
    pub(crate) get: Template,
    pub(crate) update: Template,
    pub(crate) delete: Template,
    /// Length of a created pod's message, without prefix.
    pub(crate) sent: usize,
}

impl Pods {
    /// Pods in this namespace.
    pub(crate) fn new(namespace: &str) -> anyhow::Result<Self> {
        let namespace = namespace.to_owned();
        let name = format!("web-{INDEX}");
        let pod = Some(pod(&namespace)?);
        let create = v1::CreatePodRequest { pod: pod.clone() };
        let sent = create.encoded_len();
        let delete = v1::DeletePodRequest {
            namespace: namespace.clone(),
            name: name.clone(),
            grace_period_seconds: Some(0),
            preconditions: None,
        };
        Ok(Self {
            create: Template::new("/k8shost.v1.PodService/CreatePod", &create),
            update: Template::new(
                "/k8shost.v1.PodService/UpdatePod",
                &v1::UpdatePodRequest { pod },
            ),
            get: Template::new(
                "/k8shost.v1.PodService/GetPod",
                &v1::GetPodRequest { namespace, name },
            ),
            delete: Template::new("/k8shost.v1.PodService/DeletePod", &delete),
            sent,
        })
    }
}

/// A pod as a deployment makes them, bound to a node. The note makes it 2 KiB of JSON once it is
/// stored with its defaults.
fn pod(namespace: &str) -> anyhow::Result<v1::Pod> {
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("web-{INDEX}"),
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": "web",
                "app.kubernetes.io/component": "frontend",
                "pod-template-hash": "7c9d8f6b5",
            },
            "annotations": {
                "example.com/revision": format!("r-{REVISION}"),
                "example.com/note": "n".repeat(NOTE),
            },
        },
        "spec": {
            "nodeName": "node-17",
            "serviceAccountName": "web",
            "terminationGracePeriodSeconds": 30,
            "containers": [{
                "name": "web",
                "image": "registry.example.com/shop/web:1.27.3",
                "args": ["--listen=:8080", "--log-level=info"],
                "ports": [{ "name": "http", "containerPort": 8080, "protocol": "TCP" }],
                "env": [
                    { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                    { "name": "BACKEND", "value": "http://backend.shop.svc:9000" },
                ],
                "resources": {
                    "requests": { "cpu": "100m", "memory": "128Mi" },
                    "limits": { "memory": "256Mi" },
                },
                "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" }, "periodSeconds": 5 },
                "volumeMounts": [{ "name": "config", "mountPath": "/etc/web", "readOnly": true }],
            }],
            "volumes": [{ "name": "config", "configMap": { "name": "web-config" } }],
        },
    });
    Ok(serde_json::from_value(manifest)?)
}

/// Length of the note.
const NOTE: usize = 193;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_found_again_in_its_name() {
        for index in [0, 1, 2, 77, 99_999, u64::from(u32::MAX)] {
            assert_eq!(index_of(name("web-", index).as_bytes()), Some(index));
        }
    }

    #[test]
    fn a_call_has_its_own_digits_and_nothing_else_differs() {
        let pods = Pods::new("shop").unwrap();
        let call = pods.update.call(7, 0xabc);
        let sent = v1::UpdatePodRequest::decode(&call.message[PREFIX..])
            .unwrap()
            .pod
            .unwrap();
        let mut expected = pod("shop").unwrap();
        let metadata = expected.metadata.as_mut().unwrap();
        metadata.name = Some(name("web-", 7));
        metadata
            .annotations
            .insert("example.com/revision".to_owned(), "r-00000abc".to_owned());
        assert_eq!(sent, expected);
        assert_eq!(call.message.len() - PREFIX, pods.sent);
    }
}
