//! What only nodes have: registration and heartbeats.

use std::{sync::Arc, time::SystemTime};

use k8shost_store::log::Object;
use k8shost_types::{Error, Reason, meta, node};
use serde_json::{Value, json};

use super::{Tenant, kind::NODES, write::Outcome};

impl Tenant {
    /// Registers a node: creates it with its status, or brings labels, annotations and status of a
    /// known one up to date.
    pub(crate) async fn register_node(&self, node: Value) -> Result<Arc<Object>, Error> {
        let nodes = self.resource(&NODES);
        match nodes.create("", node.clone()).await {
            Err(e) if e.reason == Reason::AlreadyExists => {}
            outcome => return Ok(outcome?.object),
        }
        let name = meta::name(&node).to_owned();
        nodes
            .read_modify_write("", &name, move |_, old| {
                let mut new = old.clone();
                for map in ["labels", "annotations"] {
                    merge(&mut new["metadata"], &node["metadata"], map);
                }
                NODES.rules.before_update(&mut new, old)?;
                if node["status"].is_object() {
                    let before = new.clone();
                    new["status"] = node["status"].clone();
                    NODES.rules.before_status_update(&mut new, &before)?;
                }
                Ok(Outcome::Put(new))
            })
            .await
    }

    /// A sign of life. NotFound of an unknown node.
    pub(crate) async fn heartbeat(
        &self,
        name: &str,
        status: Option<Value>,
    ) -> Result<Arc<Object>, Error> {
        let now = SystemTime::now();
        self.resource(&NODES)
            .read_modify_write("", name, move |_, old| {
                let mut node = old.clone();
                node::heartbeat(&mut node, status.as_ref(), now)?;
                Ok(Outcome::Put(node))
            })
            .await
    }
}

/// Puts the entries of a map into another.
fn merge(into: &mut Value, from: &Value, map: &str) {
    let Some(entries) = from[map].as_object() else {
        return;
    };
    if !into[map].is_object() {
        into[map] = json!({});
    }
    for (key, value) in entries {
        into[map][key] = value.clone();
    }
}
