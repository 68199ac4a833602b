//! The calling side: follows one peer for as long as its lease runs, over any number of connections.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use k8shost_proto::internal::v1::{
    FollowRequest, FollowResponse, peer_service_client::PeerServiceClient,
};
use k8shost_store::{
    env::jittered,
    log::{Engine, TenantId},
};
use tonic::{Status, transport::Endpoint};

use super::{
    MAX_ITEMS, MAX_MESSAGE,
    hub::{Announcement, Hub},
    tenant_of,
};
use crate::metrics::Held;

/// How long connecting may take, and the answer to the call.
const CONNECT: Duration = Duration::from_secs(5);

/// Pings, and how long an answer may take: a peer that is stopped is noticed in the sum of both.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The first pause before another try, and the longest.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Why following has ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no connection: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("no answer within {CONNECT:?}")]
    Timeout(#[from] tokio::time::error::Elapsed),
    #[error("the call has failed: {}", .0.message())]
    Call(#[from] Status),
    #[error("the peer has ended the call")]
    Ended,
}

/// Follows the peer at an address until the task is aborted.
pub(super) async fn follow(engine: Engine, hub: Arc<Hub>, address: String) {
    let mut backoff = BACKOFF;
    loop {
        let lost = match call(&hub, &address).await {
            Err(lost) => lost,
            Ok(answers) => {
                backoff = BACKOFF;
                let _held = Held::new(&hub.metrics.connections);
                listen(&engine, &hub, answers).await
            }
        };
        hub.metrics.lost.inc();
        tracing::debug!(%address, "a peer is lost: {lost}");
        tokio::time::sleep(jittered(backoff)).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn call(hub: &Arc<Hub>, address: &str) -> Result<tonic::Streaming<FollowResponse>, Lost> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect()
        .await?;
    let mut client = PeerServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
    let requests = requests(hub.id.clone(), hub.announce());
    let answers = tokio::time::timeout(CONNECT, client.follow(requests)).await??;
    Ok(answers.into_inner())
}

/// Who calls, and then what is watched here, as it changes.
fn requests(server: String, announcement: Announcement) -> impl Stream<Item = FollowRequest> {
    let first = FollowRequest {
        server,
        ..FollowRequest::default()
    };
    let changes = stream::unfold(announcement, async |announcement| {
        let words = announcement.outbox.take(MAX_ITEMS).await;
        Some((request(words), announcement))
    });
    stream::iter([first]).chain(changes)
}

fn request(words: Vec<(TenantId, bool)>) -> FollowRequest {
    let (added, removed): (Vec<_>, Vec<_>) = words.into_iter().partition(|(_, watched)| *watched);
    let names = |words: Vec<(TenantId, bool)>| words.iter().map(|w| w.0.to_string()).collect();
    FollowRequest {
        server: String::new(),
        added: names(added),
        removed: names(removed),
    }
}

/// Takes hints until the connection is lost.
async fn listen(engine: &Engine, hub: &Hub, mut answers: tonic::Streaming<FollowResponse>) -> Lost {
    loop {
        let hints = match answers.message().await {
            Ok(Some(answer)) => answer.hints,
            Ok(None) => return Lost::Ended,
            Err(status) => return Lost::Call(status),
        };
        hub.metrics.received.inc_by(hints.len() as u64);
        for hint in hints {
            if let Some(tenant) = tenant_of(&hint.tenant) {
                engine.hint(&tenant, hint.revision);
            }
        }
    }
}
