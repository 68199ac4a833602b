//! The protobuf form is read back, by the tables and, in places, by the numbers of the `.proto` files alone.

use serde_json::{Map, Number, Value};

use super::{
    super::{Documents, Format, tests::widgets},
    messages::{Field, Of, v2, v3},
};
use crate::kinds::{BUILT_IN, Kind};

/// A field as it stands on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    EightBytes([u8; 8]),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => panic!("a number where a text or a message is wanted"),
        }
    }

    fn text(self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0.. {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// All fields of a message, with their numbers.
fn parse(mut bytes: &[u8]) -> Vec<(u32, Wire<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Wire::Varint(varint(&mut bytes)),
            1 => {
                let (value, rest) = bytes.split_at(8);
                bytes = rest;
                Wire::EightBytes(value.try_into().unwrap())
            }
            2 => {
                let len = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(len);
                bytes = rest;
                Wire::Bytes(value)
            }
            other => panic!("the wire type {other}"),
        };
        fields.push((u32::try_from(tag >> 3).unwrap(), value));
    }
    fields
}

fn numbered<'a>(fields: &[(u32, Wire<'a>)], number: u32) -> Vec<Wire<'a>> {
    let of = fields.iter().filter(|(one, _)| *one == number);
    of.map(|(_, value)| *value).collect()
}

/// A number, which is whole if it may be.
fn double(bytes: [u8; 8]) -> Value {
    let number = f64::from_le_bytes(bytes);
    let whole = Number::from(number as i64);
    let whole = (number.fract() == 0.0).then_some(whole);
    whole.or_else(|| Number::from_f64(number)).into()
}

/// Fields of one number as JSON.
fn read(of: &Of, values: &[Wire<'_>]) -> Value {
    if let Of::Many(of) = of {
        return values.iter().map(|value| read(of, &[*value])).collect();
    }
    let [value] = values else {
        panic!("{} fields where one is wanted", values.len());
    };
    match of {
        Of::Text => value.text().into(),
        Of::Flag => match value {
            Wire::Varint(flag) => (*flag == 1).into(),
            _ => panic!("no flag"),
        },
        Of::Count => match value {
            Wire::Varint(count) => (*count).into(),
            _ => panic!("no count"),
        },
        Of::Number => match value {
            Wire::EightBytes(number) => double(*number),
            _ => panic!("no number"),
        },
        Of::Yaml => {
            let [(2, yaml)] = parse(value.bytes())[..] else {
                panic!("no YAML");
            };
            serde_json::from_str(yaml.text()).unwrap()
        }
        Of::Default => match parse(value.bytes())[..] {
            [(1, Wire::EightBytes(number))] => double(number),
            [(2, Wire::Varint(flag))] => (flag == 1).into(),
            [(3, text)] => text.text().into(),
            [] => Value::Object(Map::new()),
            _ => panic!("no default"),
        },
        Of::Many(_) => unreachable!("lists are read above"),
        Of::Message(fields, rest) => message(fields, *rest, value.bytes()),
        Of::Within(number, of) => {
            let fields = parse(value.bytes());
            assert!(fields.iter().all(|(one, _)| one == number));
            read(of, &numbered(&fields, *number))
        }
        Of::Either(_, then, otherwise) => {
            let [(number, _)] = parse(value.bytes())[..] else {
                panic!("not one of two");
            };
            let of = [then, otherwise]
                .into_iter()
                .find(|of| matches!(of, Of::Within(one, _) if *one == number));
            read(of.unwrap(), &[*value])
        }
    }
}

fn message(fields: &[Field], rest: Option<(u32, &Of)>, bytes: &[u8]) -> Value {
    let found = parse(bytes);
    let mut read_back = Map::new();
    for (name, number, of) in fields {
        let values = numbered(&found, *number);
        if !values.is_empty() {
            read_back.insert((*name).to_owned(), read(of, &values));
        }
    }
    for (number, value) in &found {
        if fields.iter().any(|(_, one, _)| one == number) {
            continue;
        }
        let (rest, of) = rest.unwrap();
        assert_eq!(*number, rest);
        let [(1, name), (2, value)] = parse(value.bytes())[..] else {
            panic!("no name and value");
        };
        let name = name.text().to_owned();
        assert!(read_back.insert(name, read(of, &[value])).is_none());
    }
    read_back.into()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The document with what is written apart taken out and read.
fn document(bytes: &[u8], of: &Of, apart: &[(&str, u32, &Of)]) -> Value {
    let fields = parse(bytes);
    let Of::Message(known, None) = of else {
        panic!("a document is a message");
    };
    let mut all = Map::new();
    for (name, number, of) in known.iter().chain(apart) {
        all.insert((*name).to_owned(), read(of, &numbered(&fields, *number)));
    }
    assert_eq!(
        fields
            .iter()
            .filter(|(one, _)| known
                .iter()
                .chain(apart)
                .all(|(_, number, _)| number != one))
            .count(),
        0
    );
    all.into()
}

#[test]
fn what_is_written_is_read_back() {
    let (kinds, schemas) = widgets();
    let kinds: Vec<&Kind> = kinds.iter().chain(BUILT_IN).collect();
    let documents = Documents::new(kinds, [&schemas], "v1.35.4");
    let read_v2 = document(
        &documents.v2(Format::Protobuf),
        &v2::DOCUMENT,
        &[
            ("paths", 8, &v2::PATHS),
            ("definitions", 9, &v2::SCHEMAS),
            ("securityDefinitions", 13, &v2::SECURITY),
        ],
    );
    assert!(read_v2 == json(&documents.v2(Format::Json)));

    static COMPONENTS: Of = Of::Message(
        &[
            ("schemas", 1, &v3::SCHEMAS),
            ("securitySchemes", 7, &v3::SECURITY),
        ],
        None,
    );
    for name in documents.names() {
        let read_v3 = document(
            &documents.v3(&name, Format::Protobuf).unwrap(),
            &v3::DOCUMENT,
            &[("paths", 4, &v3::PATHS), ("components", 5, &COMPONENTS)],
        );
        assert!(
            read_v3 == json(&documents.v3(&name, Format::Json).unwrap()),
            "{name}"
        );
    }
}

/// What is at these numbers, one within the other. A number and a text: of the messages there, the one whose field 1
/// is that text.
fn at<'a>(bytes: &'a [u8], numbers: &[(u32, &str)]) -> Vec<Wire<'a>> {
    let mut found = vec![Wire::Bytes(bytes)];
    for (number, name) in numbers {
        let inner = found
            .iter()
            .flat_map(|one| numbered(&parse(one.bytes()), *number));
        found = inner
            .filter(|one| name.is_empty() || numbered(&parse(one.bytes()), 1)[0].text() == *name)
            .collect();
    }
    found
}

fn texts(found: &[Wire<'_>]) -> Vec<String> {
    found.iter().map(|one| one.text().to_owned()).collect()
}

#[test]
fn the_numbers_are_those_of_gnostic() {
    let documents = Documents::new(BUILT_IN, [], "v1.35.4");
    let all = documents.v2(Format::Protobuf);
    assert_eq!(texts(&at(&all, &[(1, "")])), ["2.0"]);
    assert_eq!(texts(&at(&all, &[(2, ""), (2, "")])), ["v1.35.4"]);
    // Document.paths.path[…].value.patch
    let patch: &[_] = &[
        (8, ""),
        (2, "/api/v1/namespaces/{namespace}/pods/{name}"),
        (2, ""),
        (8, ""),
    ];
    let of = |rest: &[(u32, &'static str)]| texts(&at(&all, &[patch, rest].concat()));
    assert_eq!(of(&[(5, "")]), ["patchCoreV1NamespacedPod"]);
    // parameters.parameter.non_body_parameter.query_parameter_sub_schema.name
    assert_eq!(
        of(&[(8, ""), (1, ""), (2, ""), (3, ""), (4, "")]),
        ["dryRun", "fieldValidation"]
    );
    // parameters.json_reference._ref
    assert_eq!(
        of(&[(8, ""), (2, ""), (1, "")])[0],
        "#/parameters/Patch-body"
    );
    // vendor_extension[…].value.yaml
    assert_eq!(
        of(&[(13, "x-kubernetes-group-version-kind"), (2, ""), (2, "")]),
        [r#"{"group":"","kind":"Pod","version":"v1"}"#]
    );
    // Document.definitions.additional_properties[…].value.properties.additional_properties[…].value
    let replicas: &[_] = &[
        (9, ""),
        (1, "io.k8s.api.apps.v1.DeploymentSpec"),
        (2, ""),
        (25, ""),
        (1, "replicas"),
        (2, ""),
    ];
    let of = |rest: &[(u32, &'static str)]| texts(&at(&all, &[replicas, rest].concat()));
    assert_eq!(of(&[(22, ""), (1, "")]), ["integer"]);
    assert_eq!(of(&[(2, "")]), ["int32"]);

    let apps = documents.v3("apis/apps/v1", Format::Protobuf).unwrap();
    assert_eq!(texts(&at(&apps, &[(1, "")])), ["3.0.0"]);
    assert_eq!(texts(&at(&apps, &[(2, ""), (6, "")])), ["v1.35.4"]);
    // Document.components.schemas.additional_properties[…].value.schema.properties.additional_properties[…].value.schema
    let strategy: &[_] = &[
        (5, ""),
        (1, ""),
        (1, "io.k8s.api.apps.v1.DeploymentSpec"),
        (2, ""),
        (1, ""),
        (31, ""),
        (1, "strategy"),
        (2, ""),
        (1, ""),
    ];
    let of = |rest: &[(u32, &'static str)]| texts(&at(&apps, &[strategy, rest].concat()));
    // all_of.reference._ref
    assert_eq!(
        of(&[(26, ""), (2, ""), (1, "")]),
        ["#/components/schemas/io.k8s.api.apps.v1.DeploymentStrategy"]
    );
    assert_eq!(
        of(&[(36, "x-kubernetes-patch-strategy"), (2, ""), (2, "")]),
        [r#""retainKeys""#]
    );
    // Document.paths.path[…].value.patch.parameters.parameter.name
    let parameters: &[_] = &[
        (4, ""),
        (1, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"),
        (2, ""),
        (10, ""),
        (6, ""),
        (1, ""),
        (1, ""),
    ];
    assert_eq!(
        texts(&at(&apps, parameters)),
        ["dryRun", "fieldManager", "fieldValidation", "force"]
    );
}
