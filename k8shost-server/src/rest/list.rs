//! Lists of objects in JSON, made of the objects as they are stored, while they are sent.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};
use k8shost_store::log::Object;
use k8shost_types::Strategy;
use serde_json::Value;
use tonic::body::Body;

use super::answer::{self, Encoding};
use crate::registry::json::show;

/// How much is made at a time. A list that is no longer is sent with its length.
const CHUNK: usize = 64 << 10;

/// The answer with these objects of a kind.
pub(super) fn answer(
    rules: &Strategy,
    metadata: &Value,
    items: Vec<Arc<Object>>,
) -> Response<Body> {
    let (kind, version) = (&rules.kind, &rules.api_version);
    let mut chunk = Vec::with_capacity(1024);
    chunk.extend_from_slice(
        format!(
            "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":["
        )
        .as_bytes(),
    );
    let mut list = List {
        stored: items.iter().map(|object| object.value.len()).sum(),
        type_of: format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\","),
        items: items.into_iter(),
        chunk,
    };
    list.fill();
    if list.items.as_slice().is_empty() {
        list.chunk.extend_from_slice(b"]}");
        return answer::json(StatusCode::OK, list.chunk);
    }
    answer::stream(StatusCode::OK, Encoding::Json.media(), list)
}

/// What is still to be sent of a list.
struct List {
    items: std::vec::IntoIter<Arc<Object>>,
    /// The bytes of these objects, as they are stored.
    stored: usize,
    /// With what an object begins; the items of a list go without.
    type_of: String,
    chunk: Vec<u8>,
}

impl List {
    /// Adds objects to the chunk until it is full or there are no more. Only before the first one stands a bracket.
    fn fill(&mut self) {
        while self.chunk.len() < CHUNK
            && let Some(object) = self.items.next()
        {
            self.stored -= object.value.len();
            if !self.chunk.ends_with(b"[") {
                self.chunk.push(b',');
            }
            let typed = object.value.starts_with(self.type_of.as_bytes());
            let skip = if typed { self.type_of.len() } else { 0 };
            if typed {
                self.chunk.push(b'{');
            }
            if !show(&object.value, skip, &mut self.chunk) {
                self.chunk.extend_from_slice(&object.value[skip..]);
            }
        }
    }
}

impl http_body::Body for List {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.chunk.is_empty() {
            return Poll::Ready(None);
        }
        let mut chunk = std::mem::take(&mut self.chunk);
        if self.items.as_slice().is_empty() {
            chunk.extend_from_slice(b"]}");
        } else {
            self.chunk.reserve(CHUNK + CHUNK / 4);
            self.fill();
        }
        Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunk.is_empty()
    }

    /// At least what is stored, but for the types.
    fn size_hint(&self) -> SizeHint {
        let types = self.type_of.len() * self.items.as_slice().len();
        let mut hint = SizeHint::new();
        hint.set_lower((self.chunk.len() + self.stored.saturating_sub(types)) as u64);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use k8shost_store::log::Attributes;
    use k8shost_types::pod;
    use serde_json::json;

    use super::*;
    use crate::registry::json::Template;

    fn object(name: &str, note: &str) -> Value {
        json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "managedFields": [{"manager": "m", "fieldsType": "FieldsV1", "fieldsV1": "H(I)"}],
                "name": name, "note": note,
            },
        })
    }

    #[tokio::test]
    async fn a_list_of_any_length_is_whole() {
        let note = "x".repeat(1000);
        for count in [0, 1, 2, 10, 60, 61, 62, 63, 64, 65, 66, 1000] {
            let names: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
            let items = names.iter().map(|name| {
                let value = Template::new(&object(name, &note)).at(Some(7));
                let key = format!("pods/default/{name}").as_str().into();
                Arc::new(Object::new(key, 7, value, Attributes::default()))
            });
            let metadata = json!({"resourceVersion": "9"});
            let items: Vec<_> = items.collect();
            let stored: usize = items.iter().map(|item| item.value.len()).sum();
            let answer = answer(&pod::STRATEGY, &metadata, items);
            let length = http_body::Body::size_hint(answer.body());
            assert_eq!(length.exact().is_some(), stored < CHUNK, "{count}");
            let sent = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(length.lower() <= sent.len() as u64);
            let list: Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(
                (&list["kind"], &list["apiVersion"]),
                (&json!("PodList"), &json!("v1"))
            );
            assert_eq!(list["metadata"], metadata);
            let items = list["items"].as_array().unwrap();
            let found: Vec<_> = items.iter().map(|item| &item["metadata"]["name"]).collect();
            assert_eq!(found, names.iter().collect::<Vec<_>>());
            for item in items {
                assert_eq!(item.get("kind"), None);
                let fields = &item["metadata"]["managedFields"][0]["fieldsV1"];
                assert_eq!(fields, &json!({"f:metadata": {"f:labels": {}}}));
            }
        }
    }
}
