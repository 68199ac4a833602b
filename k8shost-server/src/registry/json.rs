//! Objects between their two forms: a JSON tree to decide on, and bytes that are stored and sent.

use std::borrow::Cow;

use bytes::Bytes;
use k8shost_store::log::Revision;
use k8shost_types::{Error, Reason, apply};
use serde_json::{Map, Value};

/// What says of what type an object is.
const TYPE: [&str; 2] = ["kind", "apiVersion"];
const MANAGED: &str = "managedFields";
const VERSION: &str = "resourceVersion";
/// With what the metadata of an object begins whose fields are managed.
const MANAGED_HEAD: &str = "\"metadata\":{\"managedFields\":";

/// A serialized object with a hole where its `metadata.resourceVersion` goes: the revision is known
/// only when the object is committed, and then only the number is left to write.
///
/// kind, apiVersion and metadata come first, and in metadata managedFields and the resourceVersion: what
/// is done to an object's JSON without reading it goes by that. All else is in alphabetical order.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    hole: usize,
}

impl Template {
    /// Serializes an object; a resourceVersion in it is left out.
    pub(crate) fn new(object: &Value) -> Self {
        let mut bytes = Vec::with_capacity(4096);
        bytes.push(b'{');
        for key in TYPE {
            if let Some(value) = object.get(key) {
                field(&mut bytes, key);
                write(&mut bytes, value);
            }
        }
        let none = Map::new();
        let metadata = object.get("metadata").and_then(Value::as_object);
        let metadata = metadata.unwrap_or(&none);
        field(&mut bytes, "metadata");
        bytes.push(b'{');
        if let Some(fields) = metadata.get(MANAGED) {
            field(&mut bytes, MANAGED);
            write(&mut bytes, fields);
        }
        let hole = bytes.len();
        for (key, value) in metadata {
            if key != MANAGED && key != VERSION {
                field(&mut bytes, key);
                write(&mut bytes, value);
            }
        }
        bytes.push(b'}');
        for (key, value) in object.as_object().into_iter().flatten() {
            if key != "metadata" && !TYPE.contains(&key.as_str()) {
                field(&mut bytes, key);
                write(&mut bytes, value);
            }
        }
        bytes.push(b'}');
        Self { bytes, hole }
    }

    /// The object at a revision; at none, without a resourceVersion.
    pub(crate) fn at(&self, revision: Option<Revision>) -> Bytes {
        let (before, after) = self.bytes.split_at(self.hole);
        let Some(revision) = revision else {
            return self.bytes.clone().into();
        };
        let revision = revision.to_string();
        // Of just the right size: it stays in memory.
        let mut out = Vec::with_capacity(self.bytes.len() + revision.len() + VERSION.len() + 6);
        out.extend_from_slice(before);
        field(&mut out, VERSION);
        out.push(b'"');
        out.extend_from_slice(revision.as_bytes());
        out.push(b'"');
        if before.ends_with(b"{") && !after.starts_with(b"}") {
            out.push(b',');
        }
        out.extend_from_slice(after);
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

/// Where the managedFields of a stored object are, from `[` to `]`.
fn managed(stored: &[u8]) -> Option<std::ops::Range<usize>> {
    // Kind and version are short, and what they say has no braces.
    let head = &stored[..stored.len().min(256)];
    let start = head.iter().skip(1).position(|byte| *byte == b'{')? + 1;
    let start = start.checked_sub("\"metadata\":".len())?;
    let list = stored.get(start..)?.strip_prefix(MANAGED_HEAD.as_bytes())?;
    let start = stored.len() - list.len();
    let mut quoted = false;
    let mut bytes = list.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(start..start + at + 1),
            _ => {}
        }
    }
    None
}

/// A stored object as callers get it: with managedFields in full.
pub(crate) fn shown(stored: &Bytes) -> Bytes {
    let mut out = Vec::new();
    if show(stored, 0, &mut out) {
        out.into()
    } else {
        stored.clone()
    }
}

/// Adds a stored object to other bytes, with managedFields in full, without its first bytes, which lie before its
/// metadata; false, and nothing is added, where it is the stored bytes.
pub(crate) fn show(stored: &[u8], skip: usize, out: &mut Vec<u8>) -> bool {
    const FIELDS: &[u8] = b"\"fieldsV1\":\"";
    let Some(range) = managed(stored) else {
        return false;
    };
    out.reserve(stored.len() + 8 * range.len());
    out.extend_from_slice(stored.get(skip..range.start).unwrap_or_default());
    let mut list = &stored[range.clone()];
    while let Some(at) = memchr::memmem::find(list, FIELDS) {
        let (before, rest) = list.split_at(at + FIELDS.len() - 1);
        out.extend_from_slice(before);
        let mut texts = serde_json::Deserializer::from_slice(rest).into_iter::<Cow<'_, str>>();
        let Some(Ok(text)) = texts.next() else {
            // Nothing was stored so.
            list = rest;
            continue;
        };
        list = &rest[texts.byte_offset()..];
        apply::expand(&text, out);
    }
    out.extend_from_slice(list);
    out.extend_from_slice(&stored[range.end..]);
    true
}

/// A stored object without its managedFields.
pub(crate) fn without_managed(stored: &[u8]) -> Cow<'_, [u8]> {
    let Some(range) = managed(stored) else {
        return stored.into();
    };
    let head = range.start - "\"managedFields\":".len();
    let rest = &stored[range.end..];
    let rest = rest.strip_prefix(b",").unwrap_or(rest);
    [&stored[..head], rest].concat().into()
}

/// The same stored object with another `metadata.resourceVersion`: what a DELETED event carries.
pub(crate) fn at_revision(bytes: &[u8], revision: Revision) -> Result<Bytes, Error> {
    Ok(Template::new(&parse(bytes)?).at(Some(revision)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_revision_is_written_where_it_belongs() {
        let managed = json!([{"manager": "a]\"\\", "fieldsV1": "H(I)"}]);
        for object in [
            json!({"apiVersion": "v1", "metadata": {"name": "a", "uid": "u", "resourceVersion": "7"}, "spec": {}}),
            json!({"metadata": {}}),
            json!({"metadata": {"managedFields": managed}}),
            json!({"metadata": {"managedFields": managed, "name": "a"}}),
            json!({"metadata": {"zone": "\"resourceVersion\":"}}),
            json!({"metadata": {"annotations": {"resourceVersion": "1"}, "uid": "u"}}),
        ] {
            let mut expected = object.clone();
            expected["metadata"]["resourceVersion"] = json!("42");
            let template = Template::new(&object);
            let read = |bytes: Bytes| serde_json::from_slice::<Value>(&bytes).unwrap();
            assert_eq!(read(template.at(Some(42))), expected);
            expected["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("resourceVersion");
            assert_eq!(read(template.at(None)), expected);
        }
    }

    #[test]
    fn managed_fields_are_shown_in_full_and_left_out() {
        let object = json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "name": "a",
                "managedFields": [
                    {"manager": "a]\"\\\"fieldsV1\":\"", "fieldsV1": "H(I{'3:f:a})"},
                    {"manager": "b", "fieldsV1": "J(K(=3:ä\"{L})'4:f:x\")", "operation": "Update"},
                ],
            },
            "spec": {"managedFields": [{"fieldsV1": "A"}]},
        });
        let stored = Template::new(&object).at(Some(7));
        let mut full = parse(&stored).unwrap();
        apply::expand_fields(&mut full);
        assert!(full["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"].is_object());
        assert_eq!(parse(&shown(&stored)).unwrap(), full);
        let mut without = full;
        without["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("managedFields");
        assert_eq!(parse(&without_managed(&stored)).unwrap(), without);

        let plain = Template::new(&without).at(Some(7));
        assert_eq!(shown(&plain), plain);
        assert_eq!(without_managed(&plain), &plain[..]);
        assert_eq!(shown(&Bytes::from_static(b"{}")), "{}");
    }

    #[test]
    fn an_object_moves_to_another_revision() {
        let old = Template::new(&json!({"metadata": {"name": "a"}})).at(Some(5));
        assert_eq!(
            at_revision(&old, 6).unwrap(),
            Template::new(&json!({"metadata": {"name": "a"}})).at(Some(6))
        );
    }
}
