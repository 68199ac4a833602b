//! buf's STANDARD and COMMENTS rules, as far as descriptors show them, so that breaking one is seen
//! without buf at hand.

use std::collections::{BTreeMap, BTreeSet};

use k8shost_proto::{FILE_DESCRIPTOR_SET, internal};
use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

// Numbers of fields in descriptor.proto, of which the paths in source info consist.
const FILE_MESSAGES: i32 = 4;
const FILE_ENUMS: i32 = 5;
const FILE_SERVICES: i32 = 6;
const MESSAGE_FIELDS: i32 = 2;
const ENUM_VALUES: i32 = 2;
const SERVICE_METHODS: i32 = 2;

fn files() -> Vec<FileDescriptorProto> {
    let mut files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    files.retain(|file| !file.name().starts_with("google/protobuf/"));
    assert!(files.len() > 10);
    assert!(files.iter().all(|file| file.package() == "k8shost.v1"));
    let internal = FileDescriptorSet::decode(internal::FILE_DESCRIPTOR_SET).unwrap();
    files.extend(internal.file);
    files
}

fn is_pascal_case(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric())
}

fn is_lower_snake_case(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// `EventType` as `EVENT_TYPE_`.
fn value_prefix(name: &str) -> String {
    let mut prefix = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.push(letter.to_ascii_uppercase());
    }
    prefix + "_"
}

#[test]
fn files_and_packages_are_in_their_places() {
    for file in files() {
        let (directory, name) = file.name().rsplit_once('/').unwrap();
        assert_eq!(directory.replace('/', "."), file.package());
        assert!(["k8shost.v1", "k8shost.internal.v1"].contains(&file.package()));
        assert_eq!(file.syntax(), "proto3");
        assert!(
            is_lower_snake_case(name.strip_suffix(".proto").unwrap()),
            "{name}"
        );
        assert!(
            file.public_dependency.is_empty() && file.weak_dependency.is_empty(),
            "{name}"
        );
    }
}

#[test]
fn names_have_their_cases() {
    for file in files() {
        for message in &file.message_type {
            assert!(is_pascal_case(message.name()), "{}", message.name());
            let nested: Vec<_> = message
                .nested_type
                .iter()
                .filter(|m| !is_map_entry(m))
                .collect();
            assert!(
                nested.is_empty(),
                "{} has messages of its own",
                message.name()
            );
            for field in &message.field {
                let name = (message.name(), field.name());
                assert!(is_lower_snake_case(field.name()), "{name:?}");
                assert!(
                    !["descriptor", "Descriptor"].contains(&field.name()),
                    "{name:?}"
                );
            }
        }
        for each in &file.enum_type {
            enum_is_right(each);
        }
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}

fn enum_is_right(each: &EnumDescriptorProto) {
    let prefix = value_prefix(each.name());
    assert!(is_pascal_case(each.name()), "{}", each.name());
    assert_eq!(each.value[0].name(), format!("{prefix}UNSPECIFIED"));
    assert_eq!(each.value[0].number(), 0);
    assert!(
        !each
            .options
            .as_ref()
            .is_some_and(|options| options.allow_alias())
    );
    for value in &each.value {
        assert!(value.name().starts_with(&prefix), "{}", value.name());
        assert_eq!(value.name(), value.name().to_ascii_uppercase());
    }
}

#[test]
fn requests_and_responses_belong_to_one_method() {
    let mut seen = BTreeSet::new();
    for file in files() {
        for service in &file.service {
            assert!(is_pascal_case(service.name()) && service.name().ends_with("Service"));
            for method in &service.method {
                let name = method.name();
                assert!(is_pascal_case(name), "{name}");
                let package = file.package();
                assert_eq!(method.input_type(), format!(".{package}.{name}Request"));
                assert_eq!(method.output_type(), format!(".{package}.{name}Response"));
                assert!(seen.insert(name.to_owned()), "{name} is in two services");
            }
        }
    }
}

#[test]
fn json_names_and_numbers_are_unique_in_a_message() {
    for file in files() {
        for message in &file.message_type {
            let names: BTreeSet<_> = message.field.iter().map(|f| f.json_name()).collect();
            let numbers: BTreeSet<_> = message.field.iter().map(|f| f.number()).collect();
            assert_eq!(
                names.len(),
                message.field.len(),
                "names of {}",
                message.name()
            );
            assert_eq!(
                numbers.len(),
                message.field.len(),
                "numbers of {}",
                message.name()
            );
        }
    }
}

#[test]
fn everything_has_a_comment() {
    for file in files() {
        let info = file.source_code_info.as_ref().unwrap();
        let comments: BTreeMap<&[i32], &str> = info
            .location
            .iter()
            .map(|location| (location.path.as_slice(), location.leading_comments()))
            .collect();
        let check = |path: &[i32], what: &str, name: &str| {
            let comment = comments.get(path).copied().unwrap_or_default().trim();
            assert!(
                comment.len() > 3,
                "{what} {name} in {} has no comment",
                file.name()
            );
            assert!(
                comment.ends_with('.'),
                "the comment of {what} {name} is no sentence"
            );
        };
        for (m, message) in (0..).zip(&file.message_type) {
            check(&[FILE_MESSAGES, m], "message", message.name());
            for (f, field) in (0..).zip(&message.field) {
                check(
                    &[FILE_MESSAGES, m, MESSAGE_FIELDS, f],
                    message.name(),
                    field.name(),
                );
            }
        }
        for (e, each) in (0..).zip(&file.enum_type) {
            check(&[FILE_ENUMS, e], "enum", each.name());
            for (v, value) in (0..).zip(&each.value) {
                check(&[FILE_ENUMS, e, ENUM_VALUES, v], each.name(), value.name());
            }
        }
        for (s, service) in (0..).zip(&file.service) {
            check(&[FILE_SERVICES, s], "service", service.name());
            for (r, method) in (0..).zip(&service.method) {
                check(
                    &[FILE_SERVICES, s, SERVICE_METHODS, r],
                    service.name(),
                    method.name(),
                );
            }
        }
    }
}
