//! Objects between their two forms: a JSON tree to decide on, and bytes that are stored and sent.

use bytes::Bytes;
use k8shost_store::log::Revision;
use k8shost_types::{Error, Reason};
use serde_json::Value;

/// What says of what type an object is.
const TYPE: [&str; 2] = ["kind", "apiVersion"];

/// A serialized object with a hole where its `metadata.resourceVersion` goes: the revision is known
/// only when the object is committed, and then only the number is left to write.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    hole: usize,
}

impl Template {
    /// Serializes an object; a resourceVersion in it is left out. kind and apiVersion come first, which
    /// the items of a list go without; the other keys are in alphabetical order.
    pub(crate) fn new(object: &Value) -> Self {
        let mut bytes = Vec::with_capacity(2048);
        let mut hole = 0;
        bytes.push(b'{');
        for key in TYPE {
            if let Some(value) = object.get(key) {
                field(&mut bytes, key);
                write(&mut bytes, value);
            }
        }
        let fields = object.as_object().into_iter().flatten();
        for (key, value) in fields.filter(|(key, _)| !TYPE.contains(&key.as_str())) {
            field(&mut bytes, key);
            match value {
                Value::Object(metadata) if key == "metadata" => {
                    bytes.push(b'{');
                    let mut written = false;
                    for (key, value) in metadata {
                        if !written && key.as_str() >= "resourceVersion" {
                            field(&mut bytes, "resourceVersion");
                            hole = bytes.len();
                            written = true;
                        }
                        if key != "resourceVersion" {
                            field(&mut bytes, key);
                            write(&mut bytes, value);
                        }
                    }
                    if !written {
                        field(&mut bytes, "resourceVersion");
                        hole = bytes.len();
                    }
                    bytes.push(b'}');
                }
                _ => write(&mut bytes, value),
            }
        }
        bytes.push(b'}');
        Self { bytes, hole }
    }

    /// The object at a revision.
    pub(crate) fn at(&self, revision: Revision) -> Bytes {
        let revision = revision.to_string();
        // Of just the right size: it stays in memory.
        let mut out = Vec::with_capacity(self.bytes.len() + revision.len() + 2);
        out.extend_from_slice(&self.bytes[..self.hole]);
        out.push(b'"');
        out.extend_from_slice(revision.as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.bytes[self.hole..]);
        out.into()
    }
}

/// `"key":`, after a comma where something stands before it.
fn field(out: &mut Vec<u8>, key: &str) {
    if !out.ends_with(b"{") {
        out.push(b',');
    }
    write(out, key);
    out.push(b':');
}

fn write(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect("a tree with string keys is written to memory");
}

/// The tree of a stored object.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::new(Reason::Internal, "a stored object cannot be read").with_cause(e))
}

/// The same stored object with another `metadata.resourceVersion`: what a DELETED event carries.
pub(crate) fn at_revision(bytes: &[u8], revision: Revision) -> Result<Bytes, Error> {
    Ok(Template::new(&parse(bytes)?).at(revision))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_revision_is_written_where_it_belongs() {
        for object in [
            json!({"apiVersion": "v1", "metadata": {"name": "a", "uid": "u", "resourceVersion": "7"}, "spec": {}}),
            json!({"metadata": {}}),
            json!({"metadata": {"zone": "\"resourceVersion\":"}}),
            json!({"metadata": {"annotations": {"resourceVersion": "1"}, "uid": "u"}}),
        ] {
            let mut expected = object.clone();
            expected["metadata"]["resourceVersion"] = json!("42");
            let bytes = Template::new(&object).at(42);
            assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
            assert_eq!(
                bytes,
                serde_json::to_vec(&expected).unwrap(),
                "keys stay in order"
            );
        }
    }

    #[test]
    fn an_object_moves_to_another_revision() {
        let old = Template::new(&json!({"metadata": {"name": "a"}})).at(5);
        assert_eq!(
            at_revision(&old, 6).unwrap(),
            Template::new(&json!({"metadata": {"name": "a"}})).at(6)
        );
    }
}
