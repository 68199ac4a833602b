//! What only nodes have: registration and heartbeats.

use std::{sync::Arc, time::SystemTime};

use k8shost_store::log::Object;
use k8shost_types::{Error, Reason, apply, meta, node};
use serde_json::{Value, json};

use super::{
    Tenant,
    kind::NODES,
    ownership::{Ownership, WriteOptions},
    write::Outcome,
};

impl Tenant {
    /// Registers a node: creates it with its status, or brings labels, annotations and status of a
    /// known one up to date.
    pub(crate) async fn register_node(
        &self,
        node: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Object>, Error> {
        let nodes = self.resource(&NODES);
        match nodes.create("", node.clone(), options).await {
            Err(e) if e.reason == Reason::AlreadyExists => {}
            outcome => return Ok(outcome?.object),
        }
        let name = meta::name(&node).to_owned();
        let [spec, status] = owners(options);
        nodes
            .read_modify_write("", &name, options.dry_run, move |_, old| {
                let mut new = old.clone();
                for map in ["labels", "annotations"] {
                    merge(&mut new["metadata"], &node["metadata"], map);
                }
                spec.update(Some(old), &mut new);
                NODES.rules.before_update(&mut new, old)?;
                if node["status"].is_object() {
                    let before = new.clone();
                    new["status"] = node["status"].clone();
                    status.update(Some(&before), &mut new);
                    NODES.rules.before_status_update(&mut new, &before)?;
                }
                apply::keep_times(&mut new, old);
                Ok(Outcome::Put(new))
            })
            .await
    }

    /// A sign of life. NotFound of an unknown node.
    pub(crate) async fn heartbeat(
        &self,
        name: &str,
        status: Option<Value>,
        options: &WriteOptions,
    ) -> Result<Arc<Object>, Error> {
        let now = SystemTime::now();
        let [_, owner] = owners(options);
        self.resource(&NODES)
            .read_modify_write("", name, options.dry_run, move |_, old| {
                let mut node = old.clone();
                node::heartbeat(&mut node, status.as_ref(), now)?;
                owner.update(Some(old), &mut node);
                Ok(Outcome::Put(node))
            })
            .await
    }
}

/// Who owns what a node says of itself, and what of its status.
fn owners(options: &WriteOptions) -> [Ownership; 2] {
    ["", "status"].map(|part| Ownership::new(&NODES, None, part, options))
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
