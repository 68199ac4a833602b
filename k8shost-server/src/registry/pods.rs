//! What only pods have: binding to a node.

use std::{sync::Arc, time::SystemTime};

use k8shost_store::log::Object;
use k8shost_types::{Error, pod};

use super::{
    Tenant,
    kind::PODS,
    write::{Outcome, Preconditions},
};

impl Tenant {
    /// Binds a pod to a node. Conflict, if it is bound already or is being deleted.
    pub(crate) async fn bind(
        &self,
        namespace: &str,
        name: &str,
        node: String,
        preconditions: Preconditions,
        dry_run: bool,
    ) -> Result<Arc<Object>, Error> {
        let now = SystemTime::now();
        self.resource(&PODS)
            .read_modify_write(namespace, name, dry_run, move |_, old| {
                preconditions.check(&PODS, old)?;
                let mut pod = old.clone();
                pod::bind(&mut pod, &node, now)?;
                Ok(Outcome::Put(pod))
            })
            .await
    }
}
