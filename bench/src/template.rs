//! Calls that are prepared once: what is sent differs from the template in a few digits only.

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use memchr::memmem;
use serde_json::{Value, json};

use crate::client::{Call, Wire};

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
#[cfg(test)]
pub(crate) fn name(prefix: &str, index: u64) -> String {
    let digits = digits(index);
    prefix
        .chars()
        .chain(digits.iter().map(|digit| char::from(*digit)))
        .collect()
}

/// Bytes with places for an index and a revision.
struct Marked {
    bytes: Bytes,
    indexes: Vec<usize>,
    revisions: Vec<usize>,
}

impl Marked {
    fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let places = |mark: &str| memmem::find_iter(&bytes, mark).collect();
        Self {
            indexes: places(INDEX),
            revisions: places(REVISION),
            bytes,
        }
    }

    /// The bytes with these digits in their places.
    fn with(&self, index: &[u8; 8], revision: &[u8; 8]) -> Bytes {
        if self.indexes.is_empty() && self.revisions.is_empty() {
            return self.bytes.clone();
        }
        let mut bytes = BytesMut::from(&self.bytes[..]);
        for at in &self.indexes {
            bytes[*at..at + 8].copy_from_slice(index);
        }
        for at in &self.revisions {
            bytes[*at..at + 8].copy_from_slice(revision);
        }
        bytes.freeze()
    }
}

/// A call with places for an index and a revision: in its path, in its body, in its tenant's name.
pub(crate) struct Template {
    wire: Wire,
    path: Marked,
    body: Marked,
    tenant: Option<(HeaderValue, Marked)>,
}

impl Template {
    /// A template of calls of this path, with this body.
    pub(crate) fn new(wire: Wire, path: impl Into<Bytes>, body: impl Into<Bytes>) -> Self {
        Self {
            wire,
            path: Marked::new(path),
            body: Marked::new(body),
            tenant: None,
        }
    }

    /// The same, with a tenant in its headers.
    pub(crate) fn of_tenant(mut self, tenant: Option<&Tenant>) -> Self {
        self.tenant = tenant.map(|tenant| {
            let org = HeaderValue::from_static(tenant.org);
            (org, Marked::new(tenant.project.clone()))
        });
        self
    }

    /// The call for this index and revision.
    pub(crate) fn call(&self, index: u64, revision: u64) -> Call {
        let (index, revision) = (digits(index), hex(revision as u32));
        let tenant = self.tenant.as_ref().map(|(org, project)| {
            let project = project.with(&index, &revision);
            let project = HeaderValue::from_maybe_shared(project).expect("names are ASCII");
            [org.clone(), project]
        });
        Call {
            wire: self.wire.clone(),
            path: self.path.with(&index, &revision),
            body: self.body.with(&index, &revision),
            tenant,
            keep: None,
        }
    }
}

/// A tenant whose name may have a place for an index.
pub(crate) struct Tenant {
    pub(crate) org: &'static str,
    pub(crate) project: String,
}

/// The pods of one namespace, and the calls on them.
pub(crate) struct Pods {
    pub(crate) create: Template,
    pub(crate) get: Template,
    pub(crate) update: Template,
    pub(crate) delete: Template,
    /// Whether an update is to send what the server last sent, `revised`, and has no body by itself.
    pub(crate) updates_last_known: bool,
    /// Length of a created pod as it is sent.
    pub(crate) sent: usize,
}

/// The annotation that updates change, up to its digits.
const REVISED: &str = r#""example.com/revision":"r-"#;

/// A pod's JSON, as a server sent it, with another revision in its annotation; nothing, which servers
/// refuse, if it has none.
pub(crate) fn revised(pod: &[u8], revision: u64) -> Bytes {
    let Some(at) = memmem::find(pod, REVISED.as_bytes()) else {
        return Bytes::new();
    };
    let mut bytes = BytesMut::from(pod);
    match bytes
        .get_mut(at + REVISED.len()..)
        .and_then(<[u8]>::first_chunk_mut)
    {
        Some(place) => *place = hex(revision as u32),
        None => bytes.clear(),
    }
    bytes.freeze()
}

/// A pod as a deployment makes them, bound to a node. The note makes it 2 KiB of JSON once it is
/// stored with its defaults.
pub(crate) fn pod(namespace: &str) -> Value {
    json!({
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
    })
}

/// Length of the note.
const NOTE: usize = 193;

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn an_index_is_found_again_in_its_name() {
        for index in [0, 1, 2, 77, 99_999, u64::from(u32::MAX)] {
            assert_eq!(index_of(name("web-", index).as_bytes()), Some(index));
        }
    }

    #[test]
    fn a_call_has_its_own_digits_and_nothing_else_differs() {
        let path = format!("/pods/web-{INDEX}");
        let body = format!("{{{INDEX} {REVISION} {INDEX}}}");
        let tenant = Tenant {
            org: "bench",
            project: format!("p-{INDEX}"),
        };
        let template = Template::new(Wire::Rest(Method::PUT), path, body).of_tenant(Some(&tenant));
        let call = template.call(7, 0xabc);
        let seven = name("", 7);
        assert_eq!(call.wire, Wire::Rest(Method::PUT));
        assert_eq!(call.path, format!("/pods/web-{seven}"));
        assert_eq!(call.body, format!("{{{seven} 00000abc {seven}}}"));
        let [org, project] = call.tenant.unwrap();
        assert_eq!(org, "bench");
        assert_eq!(project, name("p-", 7));
    }

    #[test]
    fn a_pod_is_revised_in_its_annotation_alone() {
        let pod = pod("shop").to_string();
        let expected = pod.replace(REVISION, "00000abc");
        assert_ne!(expected, pod);
        assert_eq!(revised(pod.as_bytes(), 0xabc), expected);
        assert_eq!(revised(b"{}", 1), "");
        assert_eq!(revised(REVISED.as_bytes(), 1), "");
    }
}
