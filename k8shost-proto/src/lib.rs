//! Generated code of the published gRPC API, and its descriptors.
//!
//! The messages, clients and servers of package `k8shost.v1` are in [`v1`]. Resource messages also
//! implement serde's traits, which read and write exactly the JSON that Kubernetes uses; [`json`]
//! says what that means.

pub mod json;
mod resource;

pub use resource::Resource;

/// Package `k8shost.v1`: messages, clients and servers.
#[allow(missing_docs)] // Generated: prost's own accessors have no docs.
pub mod v1 {
    tonic::include_proto!("k8shost.v1");
}

/// Package `k8shost.internal.v1`: what servers tell one another. Not part of the API.
pub mod internal {
    /// The package's first version.
    #[allow(missing_docs)] // Generated: prost's own accessors have no docs.
    pub mod v1 {
        tonic::include_proto!("k8shost.internal.v1");
    }

    /// The encoded descriptors of the package, which reflection does not show.
    pub const FILE_DESCRIPTOR_SET: &[u8] =
        include_bytes!(concat!(env!("OUT_DIR"), "/internal.bin"));
}

/// An encoded `google.protobuf.FileDescriptorSet` of the API and all it imports, with comments, as
/// server reflection wants it.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
