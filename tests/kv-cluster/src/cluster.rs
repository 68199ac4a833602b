//! The cluster: its addresses, its regions, its faults, in one handle.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::counters::Counts;
use crate::data::{Data, Write};
use crate::faults::Rule;
use crate::net::Node;
use crate::pd::{self, Placement};
use crate::raw::{Core, Limits};
use crate::tikv;
use crate::tls::{self, Tls};
use crate::topology::{Region, Saved, Topology, TopologyError};

/// How a cluster is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// The port of each PD member; 0 is any. As many members as ports.
    pub pd_ports: Vec<u16>,
    /// The port of each store; 0 is any. As many stores as ports, with the ids 1, 2, ...
    pub store_ports: Vec<u16>,
    /// The peers of a region.
    pub replicas: usize,
    /// Where data, regions and addresses are kept over a restart; nowhere if absent.
    pub folder: Option<PathBuf>,
    /// From which the rules' probabilities are drawn.
    pub seed: u64,
    /// How long a region, or PD, has no leader after its leader has gone.
    pub election: Duration,
    /// How far PD is behind what the regions are.
    pub pd_lag: Duration,
    /// The limits of the stores.
    pub limits: Limits,
    /// Where a new cluster is split from the start.
    pub split_at: Vec<Vec<u8>>,
    /// How PD members and stores talk TLS; in the clear if absent.
    pub tls: Option<Tls>,
}

impl Config {
    /// One PD member and so many stores, on any ports, in memory.
    pub fn new(stores: usize) -> Config {
        Config {
            pd_ports: vec![0],
            store_ports: vec![0; stores],
            replicas: 3,
            folder: None,
            seed: 1,
            election: Duration::from_millis(200),
            pd_lag: Duration::ZERO,
            limits: Limits::default(),
            split_at: Vec::new(),
            tls: None,
        }
    }
}

/// What a folder keeps besides the data.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    pd_ports: Vec<u16>,
    store_ports: Vec<u16>,
    topology: Saved,
}

/// A running cluster; clones are the same cluster. It ends with [`Cluster::shutdown`], or with the
/// runtime that it runs on.
#[derive(Clone, Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    placement: Arc<Placement>,
    members: Vec<Node>,
    stores: Vec<Node>,
    election: Duration,
    folder: Option<PathBuf>,
    tls: Option<Tls>,
    saving: Mutex<()>,
}

async fn bind(ports: &[u16]) -> io::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for port in ports {
        nodes.push(Node::bind(*port).await?);
    }
    Ok(nodes)
}

fn addresses(nodes: &[Node]) -> Vec<String> {
    nodes
        .iter()
        .map(|node| node.address().to_string())
        .collect()
}

fn ports(nodes: &[Node]) -> Vec<u16> {
    nodes.iter().map(|node| node.address().port()).collect()
}

/// The ports asked for, and where any will do, those of the last time.
fn same_ports(asked: &[u16], before: &[u16]) -> Vec<u16> {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    asked
        .iter()
        .zip(before)
        .map(|(port, before)| if *port == 0 { before } else { *port })
        .collect()
}

impl Cluster {
    /// Starts a cluster, or continues the one that the folder keeps, on its old ports.
    pub async fn start(config: Config) -> io::Result<Cluster> {
        let mut kept = None;
        if let Some(folder) = &config.folder {
            std::fs::create_dir_all(folder)?;
            kept = read_kept(folder)?;
            let stores = kept.as_ref().map(|kept| kept.store_ports.len());
            if stores.is_some_and(|stores| stores != config.store_ports.len()) {
                let text = "the folder keeps a cluster with another number of stores";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        let before =
            |ports: fn(&Kept) -> &Vec<u16>| kept.as_ref().map_or(&[][..], |kept| ports(kept));
        let members = bind(&same_ports(&config.pd_ports, before(|kept| &kept.pd_ports))).await?;
        let stores = bind(&same_ports(
            &config.store_ports,
            before(|kept| &kept.store_ports),
        ))
        .await?;
        let data = match &config.folder {
            Some(folder) => Data::open(folder)?,
            None => Data::default(),
        };
        let count = stores.len() as u64;
        let topology = match kept {
            Some(kept) => Topology::restore(kept.topology, count, config.pd_lag),
            None => {
                let mut topology = Topology::new(count, config.replicas, config.pd_lag);
                for key in &config.split_at {
                    topology.split(key).map_err(io::Error::other)?;
                }
                topology
            }
        };
        let core = Arc::new(Core::new(topology, data, config.seed, config.limits));
        let placement = Arc::new(Placement::new(
            core.clone(),
            // Any will do, as long as it stays the same.
            7_000_000_000_000_000_001,
            config.tls.as_ref().map_or("http://", |_| "https://"),
            addresses(&members),
            addresses(&stores),
        ));
        let cluster = Cluster {
            shared: Arc::new(Shared {
                core,
                placement,
                members,
                stores,
                election: config.election,
                folder: config.folder,
                tls: config.tls,
                saving: Mutex::default(),
            }),
        };
        cluster.save()?;
        for member in 0..cluster.shared.members.len() {
            cluster.serve_pd(member).await?;
        }
        for store in 1..=count {
            cluster.serve_store(store).await?;
        }
        Ok(cluster)
    }

    /// The addresses of the PD members, `host:port`: what a client is given.
    pub fn pd_endpoints(&self) -> Vec<String> {
        self.shared.placement.members.clone()
    }

    /// The addresses of the stores, of store 1 first.
    pub fn store_addresses(&self) -> Vec<String> {
        self.shared.placement.stores.clone()
    }

    /// The regions in the order of their keys.
    pub fn regions(&self) -> Vec<Region> {
        self.shared.core.state().topology.regions()
    }

    /// The region of the key.
    pub fn region_at(&self, key: impl AsRef<[u8]>) -> Region {
        let state = self.shared.core.state();
        state.topology.region_at(key.as_ref()).clone()
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Topology) -> Result<T, TopologyError>,
    ) -> Result<T, TopologyError> {
        let result = change(&mut self.shared.core.state().topology)?;
        // A folder that cannot be written is found by the next write of data too.
        let _ = self.save();
        Ok(result)
    }

    /// Splits the region of the key, before the key.
    pub fn split(&self, key: impl AsRef<[u8]>) -> Result<(), TopologyError> {
        self.change(|topology| topology.split(key.as_ref()))
    }

    /// Merges the region of the key with the one behind it.
    pub fn merge(&self, key: impl AsRef<[u8]>) -> Result<(), TopologyError> {
        self.change(|topology| topology.merge(key.as_ref()))
    }

    /// Makes the peer on the store the leader of the region of the key.
    pub fn move_leader(&self, key: impl AsRef<[u8]>, store: u64) -> Result<(), TopologyError> {
        self.change(|topology| topology.move_leader(key.as_ref(), store))
    }

    /// Moves a peer of the region of the key to another store.
    pub fn move_peer(
        &self,
        key: impl AsRef<[u8]>,
        from: u64,
        to: u64,
    ) -> Result<(), TopologyError> {
        self.change(|topology| topology.move_peer(key.as_ref(), from, to))
    }

    /// Leaves the region of the key without a leader, until [`Cluster::move_leader`] or
    /// [`Cluster::elect`].
    pub fn depose(&self, key: impl AsRef<[u8]>) {
        self.shared.core.state().topology.depose(key.as_ref());
    }

    /// Gives every region without a leader one, where a store with a peer is up.
    pub fn elect(&self) {
        self.shared.core.state().topology.elect();
    }

    fn store(&self, store: u64) -> Result<&Node, TopologyError> {
        let index = (store as usize).wrapping_sub(1);
        let node = self.shared.stores.get(index);
        node.ok_or(TopologyError::NoStore(store))
    }

    fn member(&self, member: usize) -> Result<&Node, TopologyError> {
        let node = self.shared.members.get(member);
        node.ok_or(TopologyError::NoMember(member))
    }

    async fn serve_store(&self, store: u64) -> io::Result<()> {
        let core = self.shared.core.clone();
        let node = self.store(store).map_err(io::Error::other)?;
        let server = tls::server(self.shared.tls.as_ref())?;
        node.start(|incoming| tikv::serve(core, store, server, incoming))
            .await
    }

    async fn serve_pd(&self, member: usize) -> io::Result<()> {
        let placement = self.shared.placement.clone();
        let node = self.member(member).map_err(io::Error::other)?;
        let server = tls::server(self.shared.tls.as_ref())?;
        node.start(|incoming| pd::serve(placement, member, server, incoming))
            .await
    }

    /// Takes a store down: its connections are closed, new ones refused. After the time of an
    /// election others lead its regions.
    pub async fn stop_store(&self, store: u64) -> Result<(), TopologyError> {
        self.store(store)?.stop().await;
        self.shared.core.state().topology.set_up(store, false);
        self.elect_later();
        Ok(())
    }

    /// Brings a store back, on its port.
    pub async fn start_store(&self, store: u64) -> io::Result<()> {
        self.serve_store(store).await?;
        self.shared.core.state().topology.set_up(store, true);
        self.elect_later();
        Ok(())
    }

    /// Makes a store a black hole: it accepts connections and bytes, and answers nothing.
    pub fn freeze_store(&self, store: u64) -> Result<(), TopologyError> {
        self.store(store)?.gate().freeze();
        Ok(())
    }

    /// Ends the black hole. What was sent into it is delivered where the client still holds the
    /// connection, and lost where it does not. (To deliver in spite of that, see
    /// [`Action::held`](crate::Action::held).)
    pub fn thaw_store(&self, store: u64) -> Result<(), TopologyError> {
        self.store(store)?.gate().thaw();
        Ok(())
    }

    /// Takes a PD member down. If it led, another leads after the time of an election.
    pub async fn stop_pd(&self, member: usize) -> Result<(), TopologyError> {
        self.member(member)?.stop().await;
        self.shared.placement.roles().set_up(member, false)?;
        self.elect_later();
        Ok(())
    }

    /// Brings a PD member back, on its port.
    pub async fn start_pd(&self, member: usize) -> io::Result<()> {
        self.serve_pd(member).await?;
        let mut roles = self.shared.placement.roles();
        roles.set_up(member, true).map_err(io::Error::other)?;
        drop(roles);
        self.elect_later();
        Ok(())
    }

    /// Makes a PD member a black hole.
    pub fn freeze_pd(&self, member: usize) -> Result<(), TopologyError> {
        self.member(member)?.gate().freeze();
        Ok(())
    }

    /// Ends the black hole.
    pub fn thaw_pd(&self, member: usize) -> Result<(), TopologyError> {
        self.member(member)?.gate().thaw();
        Ok(())
    }

    /// Makes a PD member the leader; `None` leaves PD without one until the next call.
    pub fn set_pd_leader(&self, member: Option<usize>) -> Result<(), TopologyError> {
        self.shared.placement.roles().set_leader(member)
    }

    /// The PD member that leads.
    pub fn pd_leader(&self) -> Option<usize> {
        self.shared.placement.roles().leader()
    }

    fn elect_later(&self) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            tokio::time::sleep(shared.election).await;
            shared.core.state().topology.elect();
            shared.placement.roles().elect();
        });
    }

    /// Replaces all rules.
    pub fn set_faults(&self, rules: Vec<Rule>) {
        self.shared.core.faults().set(rules);
    }

    /// Adds a rule, behind the others: the first that is for a request decides.
    pub fn add_fault(&self, rule: Rule) {
        self.shared.core.faults().add(rule);
    }

    /// How often each rule has decided, in their order.
    pub fn fault_hits(&self) -> Vec<u64> {
        self.shared.core.faults().hits()
    }

    /// Delivers all requests that a rule holds.
    pub fn release_held(&self) {
        self.shared.core.released.send_modify(|count| *count += 1);
    }

    /// The requests so far, per RPC method.
    pub fn counters(&self) -> Counts {
        self.shared.core.counters.read()
    }

    /// Counts from zero again.
    pub fn reset_counters(&self) {
        self.shared.core.counters.reset();
    }

    /// What the data says of the key, past all regions and faults.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        self.shared.core.state().data.get(key.as_ref()).cloned()
    }

    /// The pairs whose keys have the prefix, past all regions and faults.
    pub fn scan(&self, prefix: impl AsRef<[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let prefix = prefix.as_ref();
        let state = self.shared.core.state();
        let range = state.data.range(prefix, &[]);
        range
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// One of the keys there are, by a number of any size.
    pub(crate) fn key_at(&self, number: u64) -> Option<Vec<u8>> {
        let state = self.shared.core.state();
        let index = number.checked_rem(state.data.len() as u64)? as usize;
        let mut keys = state.data.range(&[], &[]);
        keys.nth(index).map(|(key, _)| key.clone())
    }

    /// The number of pairs.
    pub fn len(&self) -> usize {
        self.shared.core.state().data.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes the data by hand, past all regions and faults; `None` deletes.
    pub fn put(&self, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> io::Result<()> {
        let write = match value {
            Some(value) => Write::Put(key.into(), value),
            None => Write::Delete(key.into()),
        };
        self.shared.core.state().data.apply(vec![write])
    }

    /// Takes everything down.
    pub async fn shutdown(&self) {
        for node in self.shared.members.iter().chain(&self.shared.stores) {
            node.stop().await;
        }
    }

    fn save(&self) -> io::Result<()> {
        let shared = &self.shared;
        let Some(folder) = &shared.folder else {
            return Ok(());
        };
        let _one = shared.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = Kept {
            pd_ports: ports(&shared.members),
            store_ports: ports(&shared.stores),
            topology: shared.core.state().topology.save(),
        };
        let new = folder.join("cluster.new");
        std::fs::write(&new, serde_json::to_vec_pretty(&kept)?)?;
        std::fs::rename(new, folder.join("cluster.json"))
    }
}

fn read_kept(folder: &std::path::Path) -> io::Result<Option<Kept>> {
    match std::fs::read(folder.join("cluster.json")) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
