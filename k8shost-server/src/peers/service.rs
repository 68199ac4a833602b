//! The called side: a peer says what it watches, and gets hints of what is committed here.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use k8shost_proto::internal::v1::{
    FollowRequest, FollowResponse, Hint, peer_service_server::PeerService,
};
use k8shost_store::log::{Engine, Revision, TenantId};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tonic::{Request, Response, Status, Streaming};

use super::{
    MAX_ITEMS,
    hub::{Hub, Subscription},
    tenant_of,
};
use crate::shutdown::Shutdown;

/// Peers that may follow at once.
const MAX_PEERS: usize = 256;

/// The time between two messages to one peer, in which hints gather.
const PACE: Duration = Duration::from_millis(5);

/// What peers call.
#[derive(Clone)]
pub(crate) struct Service {
    engine: Engine,
    hub: Arc<Hub>,
    stopping: Shutdown,
    room: Arc<Semaphore>,
}

impl Service {
    pub(super) fn new(engine: Engine, hub: Arc<Hub>, stopping: Shutdown) -> Self {
        Self {
            engine,
            hub,
            stopping,
            room: Arc::new(Semaphore::new(MAX_PEERS)),
        }
    }
}

#[tonic::async_trait]
impl PeerService for Service {
    type FollowStream = BoxStream<'static, Result<FollowResponse, Status>>;

    async fn follow(
        &self,
        request: Request<Streaming<FollowRequest>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let room = self.room.clone().try_acquire_owned();
        let room = room.map_err(|_| Status::resource_exhausted("too many peers follow"))?;
        let session = Session {
            engine: self.engine.clone(),
            stopping: self.stopping.clone(),
            subscription: self.hub.subscribe(),
            hub: self.hub.clone(),
            requests: request.into_inner(),
            pace: Instant::now(),
            _room: room,
        };
        let answers = futures::stream::unfold(Some(session), Session::next);
        Ok(Response::new(answers.boxed()))
    }
}

/// One peer that follows.
struct Session {
    engine: Engine,
    hub: Arc<Hub>,
    stopping: Shutdown,
    subscription: Subscription,
    requests: Streaming<FollowRequest>,
    /// When the next message may be sent.
    pace: Instant,
    _room: OwnedSemaphorePermit,
}

impl Session {
    /// The next message, and who sends the one behind it. Nothing is read of a peer that does not read.
    async fn next(session: Option<Self>) -> Option<(Result<FollowResponse, Status>, Option<Self>)> {
        let mut session = session?;
        let outbox = session.subscription.outbox.clone();
        loop {
            let pace = session.pace;
            let hints = async {
                tokio::time::sleep_until(pace).await;
                outbox.take(MAX_ITEMS).await
            };
            tokio::select! {
                biased;
                () = session.stopping.wait() => return None,
                request = session.requests.message() => {
                    let outcome = match request {
                        Ok(Some(request)) => session.requested(&request),
                        // It has gone.
                        Ok(None) | Err(_) => return None,
                    };
                    if let Err(status) = outcome {
                        return Some((Err(status), None));
                    }
                }
                hints = hints => {
                    session.pace = Instant::now() + PACE;
                    let sent = session.response(hints);
                    return Some((Ok(sent), Some(session)));
                }
            }
        }
    }

    fn requested(&mut self, request: &FollowRequest) -> Result<(), Status> {
        if !request.server.is_empty() {
            self.hub.called(&request.server);
        }
        for tenant in &request.removed {
            self.subscription.remove(&named(tenant)?);
        }
        for tenant in &request.added {
            let tenant = named(tenant)?;
            if !self.subscription.add(&tenant) {
                continue;
            }
            // What was committed before hints were wanted, or while there was no connection.
            if let Some(revision) = self.engine.known(&tenant) {
                self.subscription.outbox.put_first(&tenant, revision);
            }
        }
        Ok(())
    }

    fn response(&self, hints: Vec<(TenantId, Revision)>) -> FollowResponse {
        self.hub.metrics.sent.inc_by(hints.len() as u64);
        let hint = |(tenant, revision): (TenantId, Revision)| Hint {
            tenant: tenant.to_string(),
            revision,
        };
        FollowResponse {
            hints: hints.into_iter().map(hint).collect(),
        }
    }
}

fn named(tenant: &str) -> Result<TenantId, Status> {
    tenant_of(tenant).ok_or_else(|| Status::invalid_argument("a tenant's name is malformed"))
}
