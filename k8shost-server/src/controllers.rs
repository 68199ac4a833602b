//! Reconcilers. They take no input: an activation looks at the state and does the next step, until
//! there is nothing to do; so they may be activated too often, by anybody, after any crash.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use k8shost_types::tenant::TenantName;

use crate::registry::{Tenant, namespaces::Emptying};

/// The first wait after a failed step, and the longest.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The reconcilers that run now, by tenant. The flag: activated again since its last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controllers {
    running: Arc<Mutex<HashMap<Arc<TenantName>, bool>>>,
}

impl Controllers {
    /// Something was deleted that takes more than one commit.
    pub(crate) fn activate(&self, tenant: Tenant) {
        let Some(name) = tenant.name().cloned() else {
            return;
        };
        let running = {
            let mut running = crate::lock(&self.running);
            let known = running.contains_key(&name);
            running.insert(name.clone(), true);
            known
        };
        if !running {
            let controllers = self.clone();
            tokio::spawn(async move { controllers.run(name, tenant).await });
        }
    }

    async fn run(&self, name: Arc<TenantName>, tenant: Tenant) {
        let mut backoff = BACKOFF;
        while self.begin(&name) {
            match tenant.empty_namespaces().await {
                Ok(Emptying::Done) => {}
                Ok(Emptying::More) => self.again(&name),
                Ok(Emptying::Waits(revision)) => {
                    // An end of the watch is news too: the step then tells whether the tenant is gone.
                    let mut watcher = tenant.log().watch(revision);
                    let _ = watcher.next().await;
                    self.again(&name);
                }
                Err(error) if error.reason == k8shost_types::Reason::NotFound => {}
                Err(error) => {
                    tracing::warn!(tenant = %name, %error, "emptying a namespace is tried again");
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    self.again(&name);
                    continue;
                }
            }
            backoff = BACKOFF;
        }
    }

    /// Whether another look is due; if not, the tenant's reconciler is over.
    fn begin(&self, name: &Arc<TenantName>) -> bool {
        let mut running = crate::lock(&self.running);
        match running.get_mut(name) {
            Some(again) if *again => {
                *again = false;
                true
            }
            _ => {
                running.remove(name);
                false
            }
        }
    }

    fn again(&self, name: &Arc<TenantName>) {
        let mut running = crate::lock(&self.running);
        running.insert(name.clone(), true);
    }
}
