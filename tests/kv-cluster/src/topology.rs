//! Regions with epochs, their peers on stores, their leaders; what a store refuses because of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::proto::{errorpb, kvrpcpb, metapb};
use crate::refusals::{epoch_not_match, not_leader, region_not_found};

/// A replica of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Unique in the cluster.
    pub id: u64,
    /// The store that it is on.
    pub store: u64,
}

/// A range of keys that is served together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Unique in the cluster, and never used again.
    pub id: u64,
    /// The first key.
    pub start: Vec<u8>,
    /// Just behind the last key; empty at the end of all keys.
    pub end: Vec<u8>,
    /// Grows when peers come and go.
    pub conf_ver: u64,
    /// Grows when the range changes.
    pub version: u64,
    /// The replicas.
    pub peers: Vec<Peer>,
    /// The store of the leader, if there is one.
    pub leader: Option<u64>,
}

impl Region {
    /// Whether the key belongs to it.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && (self.end.is_empty() || key < self.end.as_slice())
    }

    fn peer_on(&self, store: u64) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.store == store)
    }

    pub(crate) fn leader_peer(&self) -> Option<metapb::Peer> {
        let peer = self.peer_on(self.leader?)?;
        Some(peer_message(peer))
    }

    pub(crate) fn message(&self) -> metapb::Region {
        metapb::Region {
            id: self.id,
            start_key: self.start.clone(),
            end_key: self.end.clone(),
            region_epoch: Some(metapb::RegionEpoch {
                conf_ver: self.conf_ver,
                version: self.version,
            }),
            peers: self.peers.iter().map(peer_message).collect(),
        }
    }
}

fn peer_message(peer: &Peer) -> metapb::Peer {
    metapb::Peer {
        id: peer.id,
        store_id: peer.store,
        role: metapb::PeerRole::Voter.into(),
    }
}

/// A request to change the regions that cannot be met.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TopologyError {
    /// A region starts there already.
    #[error("a region starts at this key already")]
    Boundary,
    /// There is nothing to merge with.
    #[error("the region is the last one")]
    LastRegion,
    /// The store has no peer of the region.
    #[error("store {0} has no peer of the region")]
    NoPeer(u64),
    /// The store has a peer of the region already.
    #[error("store {0} has a peer of the region already")]
    HasPeer(u64),
    /// There is no such store, or it is down.
    #[error("store {0} is unknown or down")]
    NoStore(u64),
    /// There is no such PD member, or it is down.
    #[error("pd member {0} is unknown or down")]
    NoMember(usize),
}

type Regions = BTreeMap<u64, Region>;

/// All regions, and which stores are up.
#[derive(Debug)]
pub(crate) struct Topology {
    regions: Regions,
    next_id: u64,
    up: BTreeMap<u64, bool>,
    /// What PD was told, and when: it is asked about the newest that is old enough.
    told: VecDeque<(Instant, Arc<Regions>)>,
    pd_lag: Duration,
}

/// What of the topology survives a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Saved {
    next_id: u64,
    regions: Vec<Region>,
}

impl Topology {
    /// One region over all keys, with peers on the first `replicas` stores.
    pub(crate) fn new(stores: u64, replicas: usize, pd_lag: Duration) -> Topology {
        // Ids are given out by PD to stores, regions and peers alike.
        let mut next_id = stores + 1;
        let id = next_id;
        let peers: Vec<Peer> = (1..=stores)
            .take(replicas)
            .map(|store| {
                next_id += 1;
                Peer { id: next_id, store }
            })
            .collect();
        let region = Region {
            id,
            start: Vec::new(),
            end: Vec::new(),
            conf_ver: peers.len() as u64,
            version: 1,
            leader: Some(1),
            peers,
        };
        let saved = Saved {
            next_id: next_id + 1,
            regions: vec![region],
        };
        Topology::restore(saved, stores, pd_lag)
    }

    pub(crate) fn restore(saved: Saved, stores: u64, pd_lag: Duration) -> Topology {
        let regions = saved.regions.into_iter().map(|region| (region.id, region));
        let mut topology = Topology {
            regions: regions.collect(),
            next_id: saved.next_id,
            up: (1..=stores).map(|store| (store, true)).collect(),
            told: VecDeque::new(),
            pd_lag,
        };
        topology.elect();
        topology
    }

    pub(crate) fn save(&self) -> Saved {
        Saved {
            next_id: self.next_id,
            regions: self.regions.values().cloned().collect(),
        }
    }

    /// The regions in the order of their keys.
    pub(crate) fn regions(&self) -> Vec<Region> {
        let mut regions: Vec<Region> = self.regions.values().cloned().collect();
        regions.sort_by(|a, b| a.start.cmp(&b.start));
        regions
    }

    pub(crate) fn region(&self, id: u64) -> Option<&Region> {
        self.regions.get(&id)
    }

    pub(crate) fn region_at(&self, key: &[u8]) -> &Region {
        self.regions
            .values()
            .find(|region| region.contains(key))
            .expect("the regions cover all keys")
    }

    fn change_at(&mut self, key: &[u8]) -> &mut Region {
        self.regions
            .values_mut()
            .find(|region| region.contains(key))
            .expect("the regions cover all keys")
    }

    /// What PD believes now.
    pub(crate) fn told(&self) -> Arc<Regions> {
        let told = self
            .told
            .iter()
            .rev()
            .find(|(at, _)| at.elapsed() >= self.pd_lag);
        let (_, regions) = told.or(self.told.front()).expect("PD is told at the start");
        regions.clone()
    }

    fn tell(&mut self) {
        let old = |(at, _): &(Instant, _)| at.elapsed() >= self.pd_lag;
        while self.told.len() > 1 && old(&self.told[1]) {
            self.told.pop_front();
        }
        self.told
            .push_back((Instant::now(), Arc::new(self.regions.clone())));
    }

    fn is_up(&self, store: u64) -> bool {
        self.up.get(&store).copied().unwrap_or(false)
    }

    /// Splits at the key. As in TiKV the old id keeps the right part.
    pub(crate) fn split(&mut self, key: &[u8]) -> Result<(), TopologyError> {
        let mut left = self.region_at(key).clone();
        if left.start == key {
            return Err(TopologyError::Boundary);
        }
        let right = self.change_at(key);
        right.version += 1;
        key.clone_into(&mut right.start);
        left.version += 1;
        key.clone_into(&mut left.end);
        left.id = self.next_id;
        for peer in &mut left.peers {
            self.next_id += 1;
            peer.id = self.next_id;
        }
        self.next_id += 1;
        self.regions.insert(left.id, left);
        self.tell();
        Ok(())
    }

    /// Merges the region of the key and the one behind it: the one behind stays.
    pub(crate) fn merge(&mut self, key: &[u8]) -> Result<(), TopologyError> {
        let source = self.region_at(key).clone();
        if source.end.is_empty() {
            return Err(TopologyError::LastRegion);
        }
        self.regions.remove(&source.id);
        let target = self.change_at(&source.end);
        target.start = source.start;
        target.version = target.version.max(source.version + 1) + 1;
        self.tell();
        Ok(())
    }

    pub(crate) fn move_leader(&mut self, key: &[u8], store: u64) -> Result<(), TopologyError> {
        if !self.is_up(store) {
            return Err(TopologyError::NoStore(store));
        }
        let region = self.change_at(key);
        if region.peer_on(store).is_none() {
            return Err(TopologyError::NoPeer(store));
        }
        region.leader = Some(store);
        self.tell();
        Ok(())
    }

    /// Leaves the region without a leader, until one is made or a store starts or stops.
    pub(crate) fn depose(&mut self, key: &[u8]) {
        self.change_at(key).leader = None;
    }

    /// Moves a peer, and with it the leadership, to another store.
    pub(crate) fn move_peer(
        &mut self,
        key: &[u8],
        from: u64,
        to: u64,
    ) -> Result<(), TopologyError> {
        if !self.is_up(to) {
            return Err(TopologyError::NoStore(to));
        }
        let id = self.next_id;
        let region = self.change_at(key);
        if region.peer_on(to).is_some() {
            return Err(TopologyError::HasPeer(to));
        }
        let peer = region.peers.iter_mut().find(|peer| peer.store == from);
        *peer.ok_or(TopologyError::NoPeer(from))? = Peer { id, store: to };
        // One for the peer that comes, one for the peer that goes.
        region.conf_ver += 2;
        if region.leader == Some(from) {
            region.leader = Some(to);
        }
        self.next_id += 1;
        self.tell();
        Ok(())
    }

    /// Notes that a store is up or down. The regions that it led have no leader then.
    pub(crate) fn set_up(&mut self, store: u64, up: bool) {
        self.up.insert(store, up);
        if !up {
            for region in self.regions.values_mut() {
                if region.leader == Some(store) {
                    region.leader = None;
                }
            }
        }
    }

    /// Gives the regions without a leader one, where a peer is up; PD hears of it.
    pub(crate) fn elect(&mut self) {
        let up = &self.up;
        for region in self.regions.values_mut() {
            if region.leader.is_none() {
                let alive = |peer: &&Peer| up.get(&peer.store).copied().unwrap_or(false);
                region.leader = region.peers.iter().find(alive).map(|peer| peer.store);
            }
        }
        self.tell();
    }

    /// The checks that a store makes, in its order. Like TiKV it holds data requests to the version
    /// of the epoch only.
    pub(crate) fn check(
        &self,
        store: u64,
        context: &kvrpcpb::Context,
    ) -> Result<&Region, Box<errorpb::Error>> {
        let asked = context.peer.unwrap_or_default();
        if asked.store_id != store {
            return Err(Box::new(errorpb::Error {
                message: "store not match".to_owned(),
                store_not_match: Some(errorpb::StoreNotMatch {
                    request_store_id: asked.store_id,
                    actual_store_id: store,
                }),
                ..Default::default()
            }));
        }
        let region = self.regions.get(&context.region_id);
        let found = region.and_then(|region| Some((region, region.peer_on(store)?)));
        let Some((region, peer)) = found else {
            return Err(Box::new(region_not_found(context.region_id)));
        };
        if region.leader != Some(store) {
            return Err(Box::new(not_leader(region.id, region.leader_peer())));
        }
        if peer.id != asked.id {
            return Err(Box::new(errorpb::Error {
                message: format!("mismatch peer id {} != {}", asked.id, peer.id),
                mismatch_peer_id: Some(errorpb::MismatchPeerId {
                    request_peer_id: asked.id,
                    store_peer_id: peer.id,
                }),
                ..Default::default()
            }));
        }
        let version = context.region_epoch.map(|epoch| epoch.version);
        if version != Some(region.version) {
            return Err(Box::new(self.epoch_not_match(region)));
        }
        Ok(region)
    }

    /// What is looked at again when a write that was accepted is applied.
    pub(crate) fn check_applied(
        &self,
        context: &kvrpcpb::Context,
    ) -> Result<&Region, Box<errorpb::Error>> {
        let region = self.regions.get(&context.region_id);
        let region = region.ok_or_else(|| Box::new(region_not_found(context.region_id)))?;
        let version = context.region_epoch.map(|epoch| epoch.version);
        if version != Some(region.version) {
            return Err(Box::new(self.epoch_not_match(region)));
        }
        Ok(region)
    }

    /// Says how the region is now, and its neighbour, from which it may have been split.
    pub(crate) fn epoch_not_match(&self, region: &Region) -> errorpb::Error {
        let mut current = vec![region.message()];
        let before = self
            .regions
            .values()
            .find(|other| other.end == region.start);
        current.extend(before.map(Region::message));
        epoch_not_match(current)
    }
}
