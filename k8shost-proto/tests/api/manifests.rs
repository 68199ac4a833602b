//! Manifests through any language's standard protobuf JSON, for which prost-reflect stands here.

use k8shost_proto::v1::{Namespace, Node, Pod, Service};
use k8shost_proto::{FILE_DESCRIPTOR_SET, Resource};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

fn read_by_standard_json(kind: &str, manifest: &str) -> DynamicMessage {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let message = pool
        .get_message_by_name(&format!("k8shost.v1.{kind}"))
        .unwrap();
    let mut json = serde_json::Deserializer::from_str(manifest);
    let message = DynamicMessage::deserialize(message, &mut json).unwrap();
    json.end().unwrap();
    message
}

fn check<T: Resource + std::fmt::Debug>(manifest: &str) {
    let standard = read_by_standard_json(T::KIND, manifest);
    let message: T = serde_json::from_str(manifest).unwrap();
    assert_eq!(
        standard.transcode_to::<T>().unwrap(),
        message,
        "both readers agree"
    );

    let plain: Value = serde_json::from_str(manifest).unwrap();
    let written: Value = serde_json::from_slice(&message.to_json().unwrap()).unwrap();
    assert_eq!(written, plain, "what was read is written");

    // As grpcurl prints: 64-bit integers as texts, numbers in a Value as doubles.
    let printed = serde_json::to_string(&standard).unwrap();
    assert_eq!(T::from_json(printed.as_bytes()).unwrap(), message);

    // With empty lists and zeros, as some clients are told to print.
    let options = SerializeOptions::new().skip_default_fields(false);
    let mut printed = Vec::new();
    let mut json = serde_json::Serializer::new(&mut printed);
    standard
        .serialize_with_options(&mut json, &options)
        .unwrap();
    assert_eq!(T::from_json(&printed).unwrap(), message);
}

#[test]
fn a_pod() {
    check::<Pod>(include_str!("../data/manifests/pod.json"));
}

#[test]
fn a_service() {
    check::<Service>(include_str!("../data/manifests/service.json"));
}

#[test]
fn a_node() {
    check::<Node>(include_str!("../data/manifests/node.json"));
}

#[test]
fn a_namespace() {
    check::<Namespace>(include_str!("../data/manifests/namespace.json"));
}

#[test]
fn a_request_with_a_manifest_in_it() {
    let manifest = include_str!("../data/manifests/pod.json");
    let request = format!(r#"{{"pod": {manifest}}}"#);
    let request = read_by_standard_json("CreatePodRequest", &request);
    let request: k8shost_proto::v1::CreatePodRequest = request.transcode_to().unwrap();
    assert_eq!(
        request.pod,
        Some(Pod::from_json(manifest.as_bytes()).unwrap())
    );
}
