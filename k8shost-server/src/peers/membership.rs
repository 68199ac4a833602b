//! Which servers there are. Each has an object in the system tenant, which it writes anew in a third of
//! its lease. Who has not seen it change for the time of the lease, by its own clock, takes the server
//! for dead. Clocks of different servers are never compared.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use k8shost_store::{
    env::jittered,
    log::{Attributes, Change, Engine, Key, Object, Revision, State, TenantId},
};
use k8shost_types::{Error, Reason, time};
use serde_json::{Value, json};
use tokio::{task::AbortHandle, time::Instant};

use super::{follow::follow, hub::Hub};
use crate::registry::json::{Template, parse};

/// Where the servers' objects stand.
const PREFIX: &str = "servers.k8shost.io/";

/// A server that was not seen alive for so many leases is removed by whoever notices.
const DEAD: u32 = 10;

/// Strangers have the system tenant read so often at most.
const LOOK: Duration = Duration::from_secs(1);

fn key(server: &str) -> Key {
    format!("{PREFIX}{server}").into()
}

/// Removes a server's object, if it is there.
pub(super) async fn remove(engine: &Engine, server: &str) -> Result<(), Error> {
    let system = engine.tenant(&TenantId::system()).await?;
    let key = key(server);
    let gone = move |state: &State| {
        let found = state.get(&key).is_some();
        Ok(found
            .then(|| Change::Delete { key: key.clone() })
            .into_iter()
            .collect())
    };
    system.commit(Box::new(gone)).await.map(drop)
}

/// This server among the others.
pub(super) struct Membership {
    engine: Engine,
    hub: Arc<Hub>,
    address: String,
    lease: Duration,
    created: SystemTime,
    peers: HashMap<Key, Peer>,
    failing: bool,
}

/// Another server.
struct Peer {
    address: String,
    lease: Duration,
    /// Its object, as it was when it had changed.
    revision: Revision,
    /// When that was seen.
    seen: Instant,
    /// Follows it, while it is alive.
    task: Option<Following>,
}

/// A task that ends when this is dropped.
struct Following(AbortHandle);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Membership {
    pub(super) fn new(engine: Engine, hub: Arc<Hub>, address: String, lease: Duration) -> Self {
        Self {
            engine,
            hub,
            address,
            lease,
            created: SystemTime::now(),
            peers: HashMap::new(),
            failing: false,
        }
    }

    /// Renews the lease and looks at the others', until the task is aborted.
    pub(super) async fn run(mut self) {
        loop {
            let outcome = self.renew().await;
            // One that has failed is tried again well before the lease ends.
            let pause = if outcome.is_ok() { 3 } else { 12 };
            self.saw(outcome);
            // Not all servers at once; and never later than a third.
            let next =
                Instant::now() + (self.lease / pause).mul_f64(0.9) + jittered(self.lease / 30);
            while self.called(next).await {
                let outcome = self.look().await;
                self.saw(outcome);
            }
        }
    }

    /// Waits until then. Whether a stranger has called before.
    async fn called(&self, until: Instant) -> bool {
        let stranger = async {
            tokio::time::sleep(LOOK.min(self.lease / 10)).await;
            self.hub.stranger.notified().await;
        };
        tokio::time::timeout_at(until, stranger).await.is_ok()
    }

    fn saw(&mut self, outcome: Result<State, Error>) {
        match outcome {
            Ok(state) => {
                self.failing = false;
                self.see(&state);
            }
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(%error, "the other servers cannot be found; it is tried again");
            }
            Err(_) => {}
        }
    }

    async fn look(&self) -> Result<State, Error> {
        self.engine.tenant(&TenantId::system()).await?.read().await
    }

    /// Writes this server's object, and takes away those of servers that are long dead.
    async fn renew(&self) -> Result<State, Error> {
        let system = self.engine.tenant(&TenantId::system()).await?;
        let (key, object) = (key(&self.hub.id), Template::new(&self.object()));
        let now = Instant::now();
        let dead: Vec<(Key, Revision)> = self
            .peers
            .iter()
            .filter(|(_, peer)| now > peer.seen + peer.lease * DEAD)
            .map(|(key, peer)| (key.clone(), peer.revision))
            .collect();
        let renew = move |state: &State| {
            let mut changes = vec![Change::Put {
                key: key.clone(),
                value: object.at(Some(state.next_revision())),
                attributes: Attributes::default(),
            }];
            for (key, revision) in &dead {
                if state.get(key).is_some_and(|o| o.revision == *revision) {
                    changes.push(Change::Delete { key: key.clone() });
                }
            }
            Ok(changes)
        };
        system.commit(Box::new(renew)).await?;
        // The commit has come to the end of the log.
        system.cached()
    }

    fn object(&self) -> Value {
        json!({
            "apiVersion": "k8shost.io/v1",
            "kind": "Server",
            "metadata": {
                "name": self.hub.id,
                "uid": self.hub.id,
                "creationTimestamp": time::format(self.created),
            },
            "spec": {
                "address": self.address,
                "leaseDurationSeconds": self.lease.as_secs().max(1),
                // For people; servers go by the change of the object.
                "renewTime": time::format(SystemTime::now()),
            },
        })
    }

    /// Takes note of the servers that there are, and follows those that are alive.
    fn see(&mut self, state: &State) {
        let now = Instant::now();
        let own = key(&self.hub.id);
        let mut there = BTreeSet::new();
        for object in state.range(PREFIX).filter(|object| object.key != own) {
            there.insert(object.key.clone());
            let known = self.peers.get(&object.key).map(|peer| peer.revision);
            if known == Some(object.revision) {
                continue;
            }
            match read(object) {
                Ok((address, lease)) => self.changed(object, address, lease, now),
                Err(error) => {
                    tracing::warn!(server = %object.key, %error, "a server is passed over")
                }
            }
        }
        self.peers.retain(|key, _| there.contains(key));
        for peer in self.peers.values_mut() {
            if now > peer.seen + peer.lease {
                peer.task = None;
            } else if peer.task.is_none() {
                let (engine, hub) = (self.engine.clone(), self.hub.clone());
                let task = tokio::spawn(follow(engine, hub, peer.address.clone()));
                peer.task = Some(Following(task.abort_handle()));
            }
        }
        let alive = self.peers.iter().filter(|(_, peer)| peer.task.is_some());
        let names = alive.map(|(key, _)| key[PREFIX.len()..].to_owned());
        self.hub.set_known(names.collect());
    }

    fn changed(&mut self, object: &Object, address: String, lease: Duration, now: Instant) {
        let before = self.peers.remove(&object.key);
        let task = before.filter(|peer| peer.address == address);
        self.peers.insert(
            object.key.clone(),
            Peer {
                address,
                lease,
                revision: object.revision,
                seen: now,
                task: task.and_then(|peer| peer.task),
            },
        );
    }
}

/// A server's address and lease.
fn read(object: &Object) -> Result<(String, Duration), Error> {
    let value = parse(&object.value)?;
    let spec = &value["spec"];
    let lease = spec["leaseDurationSeconds"]
        .as_u64()
        .filter(|s| *s > 0 && *s <= 3600);
    match (spec["address"].as_str(), lease) {
        (Some(address), Some(lease)) => Ok((address.to_owned(), Duration::from_secs(lease))),
        _ => Err(Error::new(
            Reason::Internal,
            "it has no address or no lease",
        )),
    }
}
