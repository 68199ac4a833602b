//! Kubernetes' REST API, in JSON.

use anyhow::{Context as _, ensure};
use bytes::{Buf as _, Bytes};
use http::Method;
use memchr::memmem;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{Added, Api, Page};
use crate::{
    client::{Call, Chunks, Wire},
    template::{INDEX, Pods, Template, Tenant, index_of, pod},
};

/// REST: the tenant is in the path, and an update sends the last object that the server sent.
pub(super) struct Rest {
    /// The path before `/api`.
    root: String,
}

impl Rest {
    pub(super) fn new(root: &str) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    fn namespace(&self, method: Method, name: &str, body: impl Into<Bytes>) -> Call {
        let collection = format!("{}/api/v1/namespaces", self.root);
        let path = match name {
            "" => collection,
            name => format!("{collection}/{name}"),
        };
        single(method, path, body)
    }

    /// The path of the pods of a namespace, or of all.
    fn collection(&self, namespace: &str) -> String {
        match namespace {
            "" => format!("{}/api/v1/pods", self.root),
            namespace => format!("{}/api/v1/namespaces/{namespace}/pods", self.root),
        }
    }
}

fn single(method: Method, path: String, body: impl Into<Bytes>) -> Call {
    Template::new(Wire::Rest(method), path, body).call(0, 0)
}

impl Api for Rest {
    fn pods(&self, tenant: Option<&Tenant>, namespace: &str) -> anyhow::Result<Pods> {
        let tenant = match tenant {
            Some(tenant) => format!("/orgs/{}/projects/{}", tenant.org, tenant.project),
            None => String::new(),
        };
        let collection = format!("{tenant}{}", self.collection(namespace));
        let item = format!("{collection}/web-{INDEX}");
        let pod = serde_json::to_vec(&pod(namespace))?;
        let options = r#"{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0}"#;
        let template = |method, path, body| Template::new(Wire::Rest(method), path, body);
        Ok(Pods {
            sent: pod.len(),
            create: template(Method::POST, collection, pod),
            get: template(Method::GET, item.clone(), Vec::new()),
            update: template(Method::PUT, item.clone(), Vec::new()),
            delete: template(Method::DELETE, item, options.into()),
            updates_last_known: true,
        })
    }

    fn create_namespace(&self, name: &str) -> Call {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name },
        });
        self.namespace(Method::POST, "", namespace.to_string())
    }

    fn get_namespace(&self, name: &str) -> Call {
        self.namespace(Method::GET, name, "")
    }

    fn delete_namespace(&self, name: &str) -> Call {
        self.namespace(Method::DELETE, name, "")
    }

    fn list(&self, namespace: &str, limit: i64, token: &str) -> Call {
        let mut path = self.collection(namespace);
        if limit > 0 {
            path.push_str(&format!("?limit={limit}"));
        }
        if !token.is_empty() {
            // Servers are free in what a token is.
            let token = form_urlencoded::byte_serialize(token.as_bytes());
            path.push_str("&continue=");
            path.extend(token);
        }
        single(Method::GET, path, "")
    }

    fn page(&self, mut answer: Chunks) -> anyhow::Result<Page> {
        #[derive(Deserialize)]
        struct List {
            metadata: Metadata,
            items: Vec<IgnoredAny>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            resource_version: String,
            #[serde(default)]
            r#continue: String,
        }
        let text = answer.copy_to_bytes(answer.remaining());
        let list: List = serde_json::from_slice(&text).context("the answer is no list")?;
        Ok(Page {
            items: list.items.len(),
            continue_token: list.metadata.r#continue,
            resource_version: list.metadata.resource_version,
        })
    }

    fn watch(&self, namespace: &str, resource_version: &str) -> Call {
        let pods = self.collection(namespace);
        let path = format!("{pods}?watch=true&resourceVersion={resource_version}");
        single(Method::GET, path, "")
    }

    /// Nothing is parsed: what is wanted is looked for, by its key.
    fn added(&self, message: Bytes) -> anyhow::Result<Added> {
        let shown = || String::from_utf8_lossy(&message[..message.len().min(300)]).into_owned();
        ensure!(
            message.starts_with(br#"{"type":"ADDED","object":{"#),
            "an event is not of a pod that was added: {}",
            shown()
        );
        let name = behind(&message, br#""name":"web-"#).and_then(|digits| digits.get(..8));
        let version = behind(&message, br#""resourceVersion":""#)
            .and_then(|rest| rest.split(|byte| *byte == b'"').next())
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        Ok(Added {
            index: name
                .and_then(index_of)
                .with_context(|| format!("an event is of another pod: {}", shown()))?,
            resource_version: version
                .with_context(|| format!("an event has no resourceVersion: {}", shown()))?,
        })
    }

    fn stored(&self, mut answer: Chunks) -> anyhow::Result<usize> {
        let text = answer.copy_to_bytes(answer.remaining());
        let pod: Value = serde_json::from_slice(&text)?;
        ensure!(
            pod["spec"]["nodeName"]
                .as_str()
                .is_some_and(|node| !node.is_empty()),
            "the pod is not bound to a node"
        );
        Ok(text.len())
    }

    fn health(&self) -> (Call, &'static [u8]) {
        (single(Method::GET, "/readyz".to_owned(), ""), b"ok")
    }
}

/// What follows the first of these.
fn behind<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    memmem::find(bytes, mark).map(|at| &bytes[at + mark.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::name;

    #[test]
    fn paths_are_below_the_root_and_the_tenant() {
        let tenant = Tenant {
            org: "bench",
            project: format!("p-{INDEX}"),
        };
        let pods = Rest::new("").pods(Some(&tenant), "default").unwrap();
        let (project, pod) = (name("p-", 7), name("web-", 7));
        let collection = format!("/orgs/bench/projects/{project}/api/v1/namespaces/default/pods");
        assert_eq!(pods.create.call(7, 0).path, collection);
        assert_eq!(pods.get.call(7, 0).path, format!("{collection}/{pod}"));

        let rest = Rest::new("/root");
        assert_eq!(rest.list("", 0, "").path, "/root/api/v1/pods");
        let page = rest.list("shop", 500, "a+b=");
        assert_eq!(
            page.path,
            "/root/api/v1/namespaces/shop/pods?limit=500&continue=a%2Bb%3D"
        );
    }

    #[test]
    fn an_event_says_which_pod_was_added_and_when() {
        let event = |kind: &str, name: &str, version: &str| {
            let text = format!(
                r#"{{"type":"{kind}","object":{{"kind":"Pod","apiVersion":"v1","metadata":{{"labels":{{"app.kubernetes.io/name":"web-"}},"managedFields":[{{"f:name":{{}}}}],"name":"{name}","resourceVersion":"{version}"}},"spec":{{"containers":[{{"name":"web-1"}}]}}}}}}"#
            );
            Rest::new("").added(text.into())
        };
        let name = name("web-", 7);
        let added = Added {
            index: 7,
            resource_version: 12,
        };
        assert_eq!(event("ADDED", &name, "12").unwrap(), added);
        assert!(event("MODIFIED", &name, "12").is_err());
        assert!(event("ADDED", "db", "12").is_err());
        assert!(event("ADDED", &name, "").is_err());
    }

    #[test]
    fn an_answer_that_is_no_list_is_an_error() {
        let answer =
            |text: &'static str| Rest::new("").page(Bytes::from_static(text.as_bytes()).into());
        let page = Page {
            items: 2,
            continue_token: "c".to_owned(),
            resource_version: "5".to_owned(),
        };
        let text = r#"{"metadata":{"resourceVersion":"5","continue":"c"},"items":[{},{"a":[]}]}"#;
        assert_eq!(answer(text).unwrap(), page);
        assert!(answer(r#"{"metadata":{"resourceVersion":"5"}}"#).is_err());
    }
}
