//! Writes, for every resource message, how its fields are read from and written to Kubernetes JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

const PACKAGE: &str = "k8shost.v1";

/// The messages that users write as JSON; everything they refer to follows.
const ROOTS: [&str; 5] = ["Pod", "Service", "Node", "Namespace", "ListMeta"];

/// Fields that hold quantities, which manifests may also give as numbers: `cpu: 2`.
const QUANTITIES: [&str; 8] = [
    "allocatable",
    "allocated_resources",
    "capacity",
    "divisor",
    "limits",
    "overhead",
    "requests",
    "size_limit",
];

/// Fields that gRPC has and Kubernetes has not: they are read, and never written.
const READ_ONLY: [&str; 2] = ["org_id", "project_id"];

/// The text of a Rust file with one `impl Fields` for each message that can be reached.
pub(crate) fn generate(set: &FileDescriptorSet) -> String {
    let messages: BTreeMap<&str, &DescriptorProto> = set
        .file
        .iter()
        .filter(|file| file.package() == PACKAGE)
        .flat_map(|file| &file.message_type)
        .map(|message| (message.name(), message))
        .collect();
    let mut text = String::new();
    for name in reachable(&messages) {
        implementation(messages[name], &mut text);
    }
    text
}

fn reachable<'a>(messages: &BTreeMap<&'a str, &'a DescriptorProto>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut queue = ROOTS.to_vec();
    while let Some(name) = queue.pop() {
        let (&name, message) = messages
            .get_key_value(name)
            .unwrap_or_else(|| panic!("no message {name}"));
        if found.insert(name) {
            queue.extend(message.field.iter().filter_map(own_type));
        }
    }
    found
}

/// The name of the message that a field holds, if it is one of this package's own and no map.
fn own_type(field: &FieldDescriptorProto) -> Option<&str> {
    let name = field.type_name.as_deref()?;
    let name = name
        .strip_prefix('.')?
        .strip_prefix(PACKAGE)?
        .strip_prefix('.')?;
    (field.r#type() == Type::Message && !name.contains('.')).then_some(name)
}

fn implementation(message: &DescriptorProto, text: &mut String) {
    let mut fields: Vec<&FieldDescriptorProto> = message.field.iter().collect();
    fields.sort_by_key(|field| field.json_name());

    let mut names = String::new();
    let mut read = String::new();
    let mut write = String::new();
    for (index, field) in fields.iter().enumerate() {
        let json = field.json_name();
        let member = member(field.name());
        let kind = if is_quantity(message, field) {
            "quantity"
        } else {
            "field"
        };
        names += &format!("        {json:?},\n");
        read += &format!("            {index} => read_{kind}(map, &mut self.{member}),\n");
        if !READ_ONLY.contains(&field.name()) {
            write += &format!("        write_field(map, {json:?}, &self.{member})?;\n");
        }
    }
    let name = type_name(message.name());
    write!(
        text,
        "\
impl Fields for {name} {{
    const NAMES: &'static [&'static str] = &[
{names}    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {{
        match index {{
{read}            _ => skip(map),
        }}
    }}

    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {{
{write}        Ok(())
    }}
}}
message!({name});

"
    )
    .expect("writing to a string does not fail");
}

fn is_quantity(message: &DescriptorProto, field: &FieldDescriptorProto) -> bool {
    let text = match field.r#type() {
        Type::String => field.label() != Label::Repeated,
        // A map is a repeated message of a nested type.
        Type::Message => message.nested_type.iter().any(|entry| {
            field
                .type_name()
                .ends_with(&format!(".{}.{}", message.name(), entry.name()))
        }),
        _ => false,
    };
    text && QUANTITIES.contains(&field.name())
}

/// A field's name in Rust.
fn member(name: &str) -> String {
    match name {
        "type" => format!("r#{name}"),
        _ => name.to_owned(),
    }
}

/// A message's name in Rust, as prost spells it: `PodOS` is `PodOs`, `NFSVolumeSource` is
/// `NfsVolumeSource`.
fn type_name(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (index, &letter) in letters.iter().enumerate() {
        let inside = index > 0 && letters[index - 1].is_ascii_uppercase();
        let ends_word = letters
            .get(index + 1)
            .is_none_or(|next| !next.is_ascii_lowercase());
        if inside && ends_word {
            text.push(letter.to_ascii_lowercase());
        } else {
            text.push(letter);
        }
    }
    text
}
