//! What all kinds have in common.

use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::v1::{Namespace, Node, ObjectMeta, Pod, Service};

/// An object of a kind that the API serves.
pub trait Resource: Message + Default + Clone + PartialEq + Serialize + DeserializeOwned {
    /// The kind's name, as in `kind: Pod`.
    const KIND: &'static str;
    /// Group and version, as in `apiVersion: v1`.
    const API_VERSION: &'static str;
    /// The name in URLs: lower case, plural.
    const PLURAL: &'static str;
    /// Whether objects of the kind live in namespaces.
    const NAMESPACED: bool;

    /// The object as Kubernetes JSON. Fails only on what JSON cannot say: an `IntOrString` that is
    /// neither, or a time outside of the years 1 to 9999.
    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error>;

    /// The object that Kubernetes JSON describes.
    fn from_json(json: &[u8]) -> Result<Self, serde_json::Error>;

    /// The object's metadata, absent if nobody set any.
    fn metadata(&self) -> Option<&ObjectMeta>;

    /// The place of the object's metadata.
    fn metadata_mut(&mut self) -> &mut Option<ObjectMeta>;
}

macro_rules! resource {
    ($type:ident, $plural:literal, $namespaced:literal) => {
        impl Resource for $type {
            const KIND: &'static str = stringify!($type);
            const API_VERSION: &'static str = "v1";
            const PLURAL: &'static str = $plural;
            const NAMESPACED: bool = $namespaced;

            // Not provided methods of the trait, so that they are compiled here, once.
            fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
                let mut json = Vec::with_capacity(2048);
                serde_json::to_writer(&mut json, self)?;
                Ok(json)
            }

            fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
                // Checked as a whole, which is faster than text by text.
                let json = std::str::from_utf8(json).map_err(serde::de::Error::custom)?;
                serde_json::from_str(json)
            }

            fn metadata(&self) -> Option<&ObjectMeta> {
                self.metadata.as_ref()
            }

            fn metadata_mut(&mut self) -> &mut Option<ObjectMeta> {
                &mut self.metadata
            }
        }
    };
}

resource!(Pod, "pods", true);
resource!(Service, "services", true);
resource!(Node, "nodes", false);
resource!(Namespace, "namespaces", false);
