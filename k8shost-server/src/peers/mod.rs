//! Several servers over one store: each says in the system tenant that it is there, and tells the others
//! of its commits in the tenants that they watch.
//!
//! All of it makes watches quicker and nothing else. A hint that is lost, late or wrong, a server that
//! nobody knows of, or one that is taken for dead while it lives, costs the polling interval.
//!
//! Peers are trusted as clients are: there is no authentication yet, and the server listens on loopback
//! only. Hints name tenants and their revisions, and nothing of what is in them. A caller may make a
//! server look at the log of a tenant that it watches, and remember a bounded number of names.

mod follow;
mod hub;
mod membership;
mod metrics;
mod outbox;
mod service;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use k8shost_proto::internal::v1::peer_service_server::PeerServiceServer;
use k8shost_store::log::{Engine, TenantId};
use tokio::task::JoinHandle;

use self::{hub::Hub, membership::Membership, metrics::PeerMetrics};
use crate::{metrics::Metrics, shutdown::Shutdown, tenancy};

pub(crate) use self::service::Service;

/// Hints or tenants in one message: names are short, so that a message has less than [`MAX_MESSAGE`].
const MAX_ITEMS: usize = 512;

/// Bytes of a message that is taken.
const MAX_MESSAGE: usize = 256 << 10;

/// How long a server that leaves tries to say so.
const LEAVE: Duration = Duration::from_secs(2);

/// What a server has to do with the others over the same store.
pub(crate) struct Peers {
    engine: Engine,
    hub: Arc<Hub>,
    task: Option<JoinHandle<()>>,
}

impl Peers {
    /// Listens to the engine from now on. Nobody knows of this server before [`Peers::join`].
    pub(crate) fn new(engine: Engine, metrics: &mut Metrics) -> Self {
        let hub = Arc::new(Hub::new(PeerMetrics::register(metrics.registry())));
        engine.listen(hub.clone());
        Self {
            engine,
            hub,
            task: None,
        }
    }

    /// What peers call.
    pub(crate) fn service(&self, stopping: Shutdown) -> PeerServiceServer<Service> {
        let service = Service::new(self.engine.clone(), self.hub.clone(), stopping);
        PeerServiceServer::new(service).max_decoding_message_size(MAX_MESSAGE)
    }

    /// Says that this server is there, at an address that the others can reach, and follows them.
    pub(crate) fn join(&mut self, address: String, lease: Duration) {
        let membership = Membership::new(self.engine.clone(), self.hub.clone(), address, lease);
        self.task = Some(tokio::spawn(membership.run()));
    }

    /// Says that this server goes. If that fails, its lease ends in time.
    pub(crate) async fn leave(mut self) {
        let Some(task) = self.task.take() else {
            return;
        };
        task.abort();
        // The last renewal must not come behind the end.
        let _ = task.await;
        let leave = membership::remove(&self.engine, &self.hub.id);
        match tokio::time::timeout(LEAVE, leave).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the other servers are not told of the end"),
            Err(_) => tracing::warn!("the other servers are not told of the end"),
        }
    }
}

/// The tenant that a message names, as [`TenantId`]'s text does.
fn tenant_of(text: &str) -> Option<TenantId> {
    let system = TenantId::system();
    if text == system.to_string() {
        return Some(system);
    }
    tenancy::id(&text.parse().ok()?).ok()
}
