//! What Kubernetes writes and reads is what is written and read here.
use proptest::prelude::*;
use serde_json::json;

use super::{
    table::{Base, Shape},
    *,
};
use crate::{base64, json::MOST_VALUES, schema};

/// What Kubernetes writes: objects and their bytes.
fn vectors() -> impl Iterator<Item = (Value, &'static str, Vec<u8>)> {
    let lines = include_str!("vectors.txt").lines();
    lines.filter(|line| !line.starts_with('#')).map(|line| {
        let (json, bytes) = line.split_once('\t').expect("two words");
        let object = serde_json::from_str(json).expect("JSON");
        (object, json, base64::decode(bytes).expect("base64"))
    })
}

fn kind_of(object: &Value) -> (&str, &str) {
    (json::text(object, "apiVersion"), json::text(object, "kind"))
}

/// A message in the envelope of a kind.
fn sealed(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    Kind::of(api_version, kind).unwrap().seal(message)
}

fn pod(message: &[u8]) -> Result<Value, Error> {
    decode(&sealed("v1", "Pod", message), None)
}

/// A field of bytes.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_field(&mut out, number, bytes);
    out
}

#[test]
fn every_kind_is_written_and_read_as_kubernetes_does() {
    let mut kinds = Vec::new();
    for (object, json, bytes) in vectors() {
        let (api_version, kind) = kind_of(&object);
        assert!(encode(&object).unwrap() == bytes, "{json}");
        let of = Kind::of(api_version, kind).unwrap();
        assert!(of.encode_json(json.as_bytes()).unwrap() == bytes, "{json}");
        assert_eq!(decode(&bytes, None).unwrap(), object);
        kinds.push((kind.to_owned(), api_version.to_owned()));
    }
    for (kind, api_version, _) in table().kinds() {
        let found = kinds.iter().any(|(found, version)| {
            kind == found && (api_version == version || api_version == "any")
        });
        assert!(found, "{api_version} {kind}");
    }
}

#[test]
fn the_stored_kinds_and_their_subresources_are_served() {
    for kind in crate::kinds::BUILT_IN {
        assert!(serves(&kind.group, &kind.version, &kind.kind), "{kind:?}");
        if !kind.list_kind.is_empty() {
            assert!(
                serves(&kind.group, &kind.version, &kind.list_kind),
                "{kind:?}"
            );
        }
        for sub in kind.subresources.iter() {
            let (group, version) = match sub.version.as_ref() {
                "" => (&kind.group, &kind.version),
                _ => (&sub.group, &sub.version),
            };
            assert!(serves(group, version, &sub.kind), "{sub:?}");
        }
    }
    assert!(serves("", "v1", "Status") && serves("example.com", "v1", "DeleteOptions"));
    assert!(serves("meta.k8s.io", "v1", "PartialObjectMetadataList"));
    assert!(!serves("example.com", "v1", "Widget") && !serves("", "v2", "Pod"));
    assert!(!serves("meta.k8s.io", "v1", "Table"));
}

#[test]
fn what_is_read_is_as_if_it_had_come_as_json() {
    let mut compared = 0;
    for (object, json, bytes) in vectors() {
        let (api_version, kind) = kind_of(&object);
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let Some(schema) = schema::builtin().of(group, version, kind) else {
            continue;
        };
        compared += 1;
        let read = decode(&bytes, None).unwrap();
        let conformed = crate::decode::conform(read.clone(), schema).unwrap();
        assert_eq!(
            (conformed.strict, conformed.misfit),
            (vec![], None),
            "{json}"
        );
        assert_eq!(conformed.value, read);
    }
    assert!(compared > 120, "{compared}");
}

#[test]
fn messages_have_the_fields_of_the_schemas() {
    let mut compared = 0;
    for (api_version, kind, message) in table().kinds().map(|(kind, of, is)| (of, kind, is)) {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        if let Some(schema) = schema::builtin().of(group, version, kind) {
            compare(message, schema, &mut compared);
        }
    }
    assert!(compared > 5000, "{compared}");
}

/// A message's fields in JSON and their types, and so on below, are those of a schema.
fn compare(message: &'static Message, schema: schema::Type<'_>, compared: &mut usize) {
    for (name, schema) in schema.fields() {
        let Some(slot) = message.slot(name) else {
            let in_envelope = matches!(name, "apiVersion" | "kind");
            assert!(in_envelope, "{}.{name}", message.name);
            continue;
        };
        *compared += 1;
        let field = message.field(slot);
        let inner = match field.shape {
            Shape::List => schema.items().expect("a list"),
            Shape::Map => schema.values().expect("a map"),
            Shape::One | Shape::Inline => schema,
        };
        let format = inner.format().unwrap_or_default();
        let fits = match (field.base, inner.kind()) {
            (Base::String, schema::Kind::String) => format.is_empty(),
            (Base::Bytes, schema::Kind::String) => format == "byte",
            (Base::Time | Base::MicroTime, schema::Kind::String) => format == "date-time",
            (Base::Int32, schema::Kind::Integer) => format == "int32",
            (Base::Int64, schema::Kind::Integer) => format == "int64",
            (Base::Raw, schema::Kind::Object) => inner.fields().count() == 0,
            (Base::Message(_), schema::Kind::Object) => true,
            (Base::Bool, schema::Kind::Boolean)
            | (Base::Quantity, schema::Kind::Quantity)
            | (Base::IntOrString, schema::Kind::IntOrString)
            | (Base::Strings, schema::Kind::Array) => true,
            _ => false,
        };
        assert!(fits, "{}.{name}: {:?} {inner:?}", message.name, field.base);
        if let Some(below) = field.base.message() {
            compare(below, inner, compared);
        }
    }
}

#[test]
fn no_message_holds_one_of_its_own_kind() {
    fn depth(message: &Message, left: usize) -> usize {
        assert!(left > 0, "{} holds itself", message.name);
        let fields = message.fields.iter();
        let below = fields.filter_map(|field| field.base.message());
        1 + below.map(|one| depth(one, left - 1)).max().unwrap_or(0)
    }
    let deepest = table().messages().iter().map(|one| depth(one, 30)).max();
    assert!(deepest.is_some_and(|depth| depth > 5));
}

#[test]
fn faults_are_told_in_the_words_of_kubernetes() {
    let prefix =
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
    let long = [0xff; 11];
    for (bytes, words) in [
        (&b""[..], "empty data"),
        (b"k8s", prefix),
        (b"{\"kind\":\"Pod\"}", prefix),
        (b"k8s\x01\x0a\0", prefix),
        (b"k8s\0", "empty body"),
        (b"k8s\0\x0a", "unexpected EOF"),
        (b"k8s\0\x0a\x05\x0a", "unexpected EOF"),
        (
            b"k8s\0\x08\x01",
            "proto: wrong wireType = 0 for field TypeMeta",
        ),
        (
            b"k8s\0\x0a\x02\x0a\0",
            "Object 'Kind' is missing in 'runtime.TypeMeta{APIVersion:\"\", Kind:\"\"}'",
        ),
        (
            b"k8s\0\x0a\x05\x12\x03Pod",
            "Object 'apiVersion' is missing in 'runtime.TypeMeta{APIVersion:\"\", Kind:\"Pod\"}'",
        ),
        (
            b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Dog",
            "no kind \"Dog\" is registered for version \"v1\" in scheme \"pkg/runtime/scheme.go:111\"",
        ),
    ] {
        assert_eq!(decode(bytes, None).unwrap_err().to_string(), words);
    }
    for (message, words) in [
        (&b"\x0a"[..], "unexpected EOF"),
        (b"\x0a\x05\x0a", "unexpected EOF"),
        (
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "proto: negative length found during unmarshaling",
        ),
        (
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            "unexpected EOF",
        ),
        (&long, "proto: integer overflow"),
        (
            b"\x08\x01",
            "proto: wrong wireType = 0 for field ObjectMeta",
        ),
        (b"\x00\x01", "proto: Pod: illegal tag 0 (wire type 0)"),
        (
            b"\xf8\xff\xff\xff\x7f\x01",
            "proto: Pod: illegal tag -1 (wire type 34359738360)",
        ),
        (b"\x0c", "proto: Pod: wiretype end group for non-group"),
        (b"\x3f\x01", "proto: illegal wireType 7"),
        (b"\x3d\x01", "unexpected EOF"),
        (b"\x39\x01", "unexpected EOF"),
        (b"\x0a\x03\x0a\x01\xff", "proto: invalid UTF-8 in string"),
        (b"\x0a\x06\x42\x04\x08\x01\x10\xff", "unexpected EOF"),
    ] {
        assert_eq!(pod(message).unwrap_err().to_string(), words, "{message:x?}");
    }
    let quota = |message: &[u8]| decode(&sealed("v1", "ResourceQuota", message), None);
    let hard = field(
        2,
        &field(
            1,
            &[field(1, b"cpu"), field(2, &field(1, b"lots"))].concat(),
        ),
    );
    assert!(matches!(quota(&hard), Err(Error::Quantity(_))));
    let at = |seconds: &[u8]| pod(&field(1, &field(8, &[b"\x08", seconds].concat())));
    let far = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert_eq!(at(&far), Err(Error::Time(i64::MAX)));
    let revision = |data: &[u8]| {
        let message = field(2, &field(1, data));
        decode(&sealed("apps/v1", "ControllerRevision", &message), None)
    };
    assert!(matches!(revision(b"{\"a\":"), Err(Error::Raw(_))));
    assert_eq!(revision(b"[null,1]").unwrap()["data"], json!([null, 1]));
    assert_eq!(revision(b"null").unwrap().get("data"), None);
}

#[test]
fn what_is_not_known_is_passed_over() {
    let unknown = [
        &b"\x50\x01\x51\x01\x02\x03\x04\x05\x06\x07\x08\x52\x01x\x55\x01\x02\x03\x04"[..],
        // A group in a group.
        b"\x53\x5b\x08\x01\x5c\x54",
    ];
    let message = [unknown[0], &field(1, &field(1, b"a")), unknown[1]].concat();
    let read = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}, "status": {}});
    assert_eq!(pod(&message).unwrap(), read);
    assert_eq!(pod(b"\x53\x5c\x5c").unwrap_err(), Error::EndGroup("Pod"));
    assert_eq!(pod(b"\x53\x5b\x5c").unwrap_err(), Error::Truncated);
}

#[test]
fn fields_that_come_twice_are_merged() {
    let name = |name: &[u8]| field(1, &field(1, name));
    let spec = |spec: &[u8]| field(2, spec);
    let message = [
        name(b"a"),
        field(1, &field(3, b"n")),
        name(b"b"),
        spec(&field(10, b"node")),
        spec(&field(10, b"")),
        spec(&field(2, &field(1, b"one"))),
        spec(&field(2, &field(1, b"two"))),
        // Packed and not.
        spec(&field(14, b"\x22\x02\x01\x02\x20\x03")),
    ]
    .concat();
    let container = |name: &str| json!({"name": name, "resources": {}});
    let read = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b", "namespace": "n"}, "status": {},
        "spec": {"containers": [container("one"), container("two")], "securityContext": {"supplementalGroups": [1, 2, 3]}}});
    assert_eq!(pod(&message).unwrap(), read);
}

#[test]
fn what_the_envelope_does_not_say_is_taken_from_the_default() {
    let bare = [&MAGIC[..], &field(2, &field(1, &field(1, b"a")))].concat();
    let read = decode(&bare, Some(("v1", "ConfigMap"))).unwrap();
    let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    assert_eq!(read, expected);
    assert!(matches!(decode(&bare, None), Err(Error::NoKind { .. })));
    let named = sealed("v1", "Secret", b"");
    let read = decode(&named, Some(("apps/v1", "Deployment"))).unwrap();
    assert_eq!(kind_of(&read), ("v1", "Secret"));
}

#[test]
fn too_much_is_refused() {
    // A container of two bytes has two fields in JSON.
    let containers = field(2, &b"\x12\x00".repeat(MOST_VALUES / 3));
    assert_eq!(pod(&containers), Err(Error::TooManyValues));
    let few = field(2, &b"\x12\x00".repeat(MOST_VALUES / 3 - 10));
    assert!(pod(&few).is_ok());
    let revision = |data: &str| {
        let message = field(2, &field(1, data.as_bytes()));
        decode(&sealed("apps/v1", "ControllerRevision", &message), None)
    };
    let deep = |depth: usize| revision(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let read_again = |object: Value| serde_json::from_str::<Value>(&object.to_string());
    assert!(read_again(deep(126).unwrap()).is_ok());
    assert_eq!(deep(127), Err(Error::TooDeep(crate::decode::DEEPEST)));
    assert!(deep(100_000).is_err());
    let wide = format!("[{}1]", "1,".repeat(MOST_VALUES));
    assert_eq!(revision(&wide), Err(Error::TooManyValues));
    let groups = [0x53].repeat(1 << 20);
    assert_eq!(pod(&groups), Err(Error::Truncated));
}

#[test]
fn an_object_that_is_none_of_its_kind_is_not_written() {
    for (object, words) in [
        (
            json!({"metadata": {"name": 5}}),
            "invalid type: integer `5`, expected a string",
        ),
        (
            json!({"metadata": []}),
            "invalid type: sequence, expected ObjectMeta",
        ),
        (
            json!({"metadata": {"labels": []}}),
            "invalid type: sequence, expected a map",
        ),
        (
            json!({"metadata": {"finalizers": {}}}),
            "invalid type: map, expected a list",
        ),
        (
            json!({"metadata": {"creationTimestamp": "now"}}),
            "invalid value: string \"now\", expected a time",
        ),
        (
            json!({"metadata": {"generation": 1.5}}),
            "invalid type: floating point `1.5`, expected an int64",
        ),
        (
            json!({"spec": {"priority": 3_000_000_000_u32}}),
            "invalid type: integer `3000000000`, expected an int32",
        ),
        (
            json!({"spec": {"hostNetwork": "yes"}}),
            "invalid type: string \"yes\", expected a bool",
        ),
    ] {
        let kind = Kind::of("v1", "Pod").unwrap();
        assert_eq!(kind.encode(&object), Err(Error::Misfit(words.to_owned())));
        assert!(kind.encode_json(object.to_string().as_bytes()).is_err());
    }
    let kind = Kind::of("v1", "Pod").unwrap();
    assert!(kind.encode_json(b"{\"metadata\":{").is_err() && kind.encode_json(b"[]").is_err());
    assert!(matches!(encode(&json!({})), Err(Error::UnknownKind { .. })));
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget"});
    assert!(matches!(encode(&widget), Err(Error::UnknownKind { .. })));
}

#[test]
fn null_is_absent_and_order_does_not_matter() {
    let kind = Kind::of("v1", "ConfigMap").unwrap();
    let plain = br#"{"metadata":{"name":"a","labels":{"a":"","b":"2"}},"data":{"x":"y"}}"#;
    let other = br#"{"unknown":[1,{}],"data":{"x":"y"},"immutable":null,"metadata":{"labels":{"b":"1","a":null,"b":"2"},
        "finalizers":[],"annotations":{},"name":"b","name":"a","creationTimestamp":null}}"#;
    assert_eq!(kind.encode_json(plain), kind.encode_json(other));
    let tree: Value = serde_json::from_slice(other).unwrap();
    assert_eq!(kind.encode_json(plain), kind.encode(&tree));
}

#[test]
fn lists_are_written_item_by_item() {
    let pod = |name: &str| json!({"metadata": {"name": name, "labels": {"a": "b"}}, "spec": {"nodeName": "n"}});
    let metadata = json!({"resourceVersion": "5", "remainingItemCount": 3});
    let items = [pod("a"), pod("b"), pod("c")];
    let whole =
        json!({"apiVersion": "v1", "kind": "PodList", "metadata": metadata, "items": items});
    let whole = encode(&whole).unwrap();
    assert_eq!(
        encode_list("v1", "PodList", &metadata, &items).unwrap(),
        whole
    );
    let mut list = List::new("v1", "PodList", &metadata, 100).unwrap();
    list.push(&items[0]).unwrap();
    let broken = br#"{"metadata":{"labels":{"a":"b","c":["#;
    assert!(list.push_json(broken).is_err() && list.push(&json!({"spec": 1})).is_err());
    list.push_json(items[1].to_string().as_bytes()).unwrap();
    list.push_message(&Kind::of("v1", "Pod").unwrap().message(&items[2]).unwrap());
    assert_eq!(list.finish().concat(), whole);
    for (api_version, kind) in [("v1", "Pod"), ("v1", "List"), ("v1", "DogList")] {
        assert!(List::new(api_version, kind, &json!({}), 0).is_err());
    }
    // Of whole objects, only the metadata is written.
    let partial = ("meta.k8s.io/v1", "PartialObjectMetadataList");
    let list = encode_list(partial.0, partial.1, &json!({}), &items[..1]).unwrap();
    let read = json!({"apiVersion": partial.0, "kind": partial.1, "metadata": {}, "items": [{"metadata": items[0]["metadata"]}]});
    assert_eq!(decode(&list, None).unwrap(), read);
}

#[test]
fn an_event_is_a_frame_of_a_message_without_an_envelope() {
    let status = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": 410});
    let frame = encode_watch_event("ERROR", &status).unwrap();
    let object = encode(&status).unwrap();
    assert_eq!(frame, watch_event("ERROR", &object));
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = "0000003b0a054552524f5212320a306b3873000a0c0a027631120653746174757312180a060a0012001a00\
        12074661696c7572651a002200309a031a002200";
    assert_eq!(hex, written);
    assert_eq!(decode(&object, None).unwrap(), status);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes, None);
        let _ = pod(&bytes);
        let _ = Kind::of("v1", "Pod").unwrap().encode_json(&bytes);
    }

    /// What could be read of broken bytes can be written, and read again.
    #[test]
    fn what_is_read_of_changed_bytes_can_be_written(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, any::<u8>()), 1..4),
    ) {
        for (_, _, mut bytes) in vectors() {
            for (at, how, byte) in &changes {
                let at = at.index(bytes.len().max(1));
                match how {
                    0 => bytes.truncate(at),
                    1 if at < bytes.len() => { bytes.remove(at); }
                    2 if at < bytes.len() => bytes[at] = *byte,
                    _ => bytes.insert(at, *byte),
                }
            }
            if let Ok(object) = decode(&bytes, None) {
                let again = encode(&object);
                prop_assert!(again.is_ok(), "{again:?} {object}");
                prop_assert_eq!(decode(&again.unwrap_or_default(), None), Ok(object));
            }
        }
    }
}
