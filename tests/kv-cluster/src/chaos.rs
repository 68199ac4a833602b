//! Everything at random, from a seed: regions split, merge and move, leaders change, stores and PD
//! members go and come back, requests meet faults.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::faults::{Action, RegionError, Rule};
use crate::random::Random;

/// What happens how often. The choices follow from the seed; what they meet depends on timing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chaos {
    /// The source of all choices.
    pub seed: u64,
    /// The time from one change of the cluster to the next, on average.
    pub interval_ms: u64,
    /// How long a store or PD member stays away, and PD without a leader, on average.
    pub outage_ms: u64,
    /// The regions at which splits stop and merges go on.
    pub max_regions: usize,
    /// The weight of splits among the changes.
    pub split: u32,
    /// The weight of merges.
    pub merge: u32,
    /// The weight of leaders that change.
    pub move_leader: u32,
    /// The weight of peers that move.
    pub move_peer: u32,
    /// The weight of regions that lose their leader for a while.
    pub depose: u32,
    /// The weight of stores that go down for a while.
    pub stop_store: u32,
    /// The weight of stores that are a black hole for a while.
    pub freeze_store: u32,
    /// The weight of PD members that go down for a while.
    pub stop_pd: u32,
    /// The weight of times without a PD leader.
    pub no_pd_leader: u32,
    /// The part of the stores' requests that are refused with a region error, 0.0 to 1.0.
    pub region_errors: f64,
    /// The part that are delayed.
    pub delays: f64,
    /// The part that are applied, and the answer lost.
    pub lost_answers: f64,
    /// The part that are answered with an error at once, and applied later.
    pub late: f64,
    /// The part that are not applied, and answered with UNAVAILABLE.
    pub unavailable: f64,
    /// The part that vanish.
    pub vanish: f64,
    /// The longest delay, and the latest that a late request is applied.
    pub max_delay_ms: u64,
    /// Only requests with a key of this prefix meet faults.
    pub key_prefix: String,
}

impl Default for Chaos {
    fn default() -> Chaos {
        Chaos {
            seed: 1,
            interval_ms: 50,
            outage_ms: 300,
            max_regions: 32,
            split: 8,
            merge: 6,
            move_leader: 8,
            move_peer: 4,
            depose: 1,
            stop_store: 1,
            freeze_store: 1,
            stop_pd: 1,
            no_pd_leader: 1,
            region_errors: 0.03,
            delays: 0.05,
            lost_answers: 0.01,
            late: 0.01,
            unavailable: 0.01,
            vanish: 0.002,
            max_delay_ms: 50,
            key_prefix: String::new(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Split,
    Merge,
    MoveLeader,
    MovePeer,
    Depose,
    StopStore,
    FreezeStore,
    StopPd,
    NoPdLeader,
}

impl Chaos {
    /// The default rates, from this seed.
    pub fn new(seed: u64) -> Chaos {
        Chaos {
            seed,
            ..Chaos::default()
        }
    }

    /// No change takes anything down: what is left are splits, merges, moves and what requests meet.
    #[must_use]
    pub fn without_outages(mut self) -> Chaos {
        self.depose = 0;
        self.stop_store = 0;
        self.freeze_store = 0;
        self.stop_pd = 0;
        self.no_pd_leader = 0;
        self
    }

    fn rules(&self, random: &mut Random) -> Vec<Rule> {
        const ERRORS: [RegionError; 8] = [
            RegionError::EpochNotMatch,
            RegionError::EpochNotMatchUnknown,
            RegionError::RegionNotFound,
            RegionError::NotLeader,
            RegionError::NotLeaderUnknown,
            RegionError::ServerIsBusy,
            RegionError::StaleCommand,
            RegionError::ProposalInMergingMode,
        ];
        let mut rules = Vec::new();
        let mut add = |probability: f64, action: Action| {
            let rule = Rule::new(action).key_prefix(&self.key_prefix);
            rules.push(rule.probability(probability));
        };
        for error in ERRORS {
            let each = self.region_errors / ERRORS.len() as f64;
            add(each, Action::region_error(error));
        }
        add(self.lost_answers, Action::lost_answer());
        add(self.unavailable, Action::unavailable());
        add(self.vanish, Action::black_hole());
        // A few lengths each: a rule has one.
        for _ in 0..4 {
            let delay = 1 + random.below(self.max_delay_ms);
            add(self.delays / 4.0, Action::delay(delay));
            let late = 1 + random.below(self.max_delay_ms);
            add(self.late / 4.0, Action::late(late));
        }
        rules
    }

    fn draw(&self, random: &mut Random) -> Option<Change> {
        let weights = [
            (self.split, Change::Split),
            (self.merge, Change::Merge),
            (self.move_leader, Change::MoveLeader),
            (self.move_peer, Change::MovePeer),
            (self.depose, Change::Depose),
            (self.stop_store, Change::StopStore),
            (self.freeze_store, Change::FreezeStore),
            (self.stop_pd, Change::StopPd),
            (self.no_pd_leader, Change::NoPdLeader),
        ];
        let total: u64 = weights.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut drawn = random.below(total);
        weights.into_iter().find_map(|(weight, change)| {
            let weight = u64::from(weight);
            if drawn < weight {
                return Some(change);
            }
            drawn -= weight;
            None
        })
    }
}

/// A chaos under way. It goes on until it is stopped, also if this is dropped.
#[derive(Debug)]
pub struct ChaosHandle {
    stop: oneshot::Sender<()>,
    task: JoinHandle<u64>,
}

impl ChaosHandle {
    /// Ends it: no rules, everything up, a leader for every region. Returns how many changes there
    /// were.
    pub async fn stop(self) -> u64 {
        // An error means that the task has ended.
        let _ = self.stop.send(());
        self.task.await.unwrap_or(0)
    }
}

impl Cluster {
    /// Starts a chaos. Its rules replace all others.
    pub fn chaos(&self, chaos: Chaos) -> ChaosHandle {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(self.clone(), chaos, stopped));
        ChaosHandle { stop, task }
    }
}

async fn run(cluster: Cluster, chaos: Chaos, mut stopped: oneshot::Receiver<()>) -> u64 {
    let mut random = Random::new(chaos.seed);
    cluster.set_faults(chaos.rules(&mut random));
    let mut changes = 0;
    loop {
        let pause = Duration::from_millis(random.below(2 * chaos.interval_ms + 1));
        tokio::select! {
            _ = &mut stopped => break,
            () = tokio::time::sleep(pause) => {}
        }
        let Some(change) = chaos.draw(&mut random) else {
            continue;
        };
        let outage = Duration::from_millis(random.below(2 * chaos.outage_ms + 1));
        changes += 1;
        tokio::select! {
            _ = &mut stopped => break,
            () = make(&cluster, &chaos, &mut random, change, outage) => {}
        }
    }
    repair(&cluster).await;
    changes
}

/// What a change is refused for (a boundary, the last region, a store without a peer) is no matter:
/// the next one comes soon.
async fn make(
    cluster: &Cluster,
    chaos: &Chaos,
    random: &mut Random,
    change: Change,
    outage: Duration,
) {
    let store = 1 + random.below(cluster.store_addresses().len() as u64);
    let member = random.below(cluster.pd_endpoints().len() as u64) as usize;
    let regions = cluster.regions();
    let start = random.pick(&regions).map(|region| region.start.clone());
    let start = start.unwrap_or_default();
    match change {
        Change::Split => {
            if regions.len() < chaos.max_regions
                && let Some(key) = cluster.key_at(random.next())
            {
                let _ = cluster.split(key);
            }
        }
        Change::Merge => {
            let _ = cluster.merge(start);
        }
        Change::MoveLeader => {
            let _ = cluster.move_leader(start, store);
        }
        Change::MovePeer => {
            let peers = cluster.region_at(&start).peers;
            if let Some(peer) = random.pick(&peers) {
                let _ = cluster.move_peer(start, peer.store, store);
            }
        }
        Change::Depose => {
            cluster.depose(start);
            tokio::time::sleep(outage).await;
            cluster.elect();
        }
        Change::StopStore => {
            let _ = cluster.stop_store(store).await;
            tokio::time::sleep(outage).await;
            let _ = cluster.start_store(store).await;
        }
        Change::FreezeStore => {
            let _ = cluster.freeze_store(store);
            tokio::time::sleep(outage).await;
            let _ = cluster.thaw_store(store);
        }
        Change::StopPd => {
            let _ = cluster.stop_pd(member).await;
            tokio::time::sleep(outage).await;
            let _ = cluster.start_pd(member).await;
        }
        Change::NoPdLeader => {
            let _ = cluster.set_pd_leader(None);
            tokio::time::sleep(outage).await;
            let _ = cluster.set_pd_leader(Some(member));
        }
    }
}

async fn repair(cluster: &Cluster) {
    cluster.set_faults(Vec::new());
    for store in 1..=cluster.store_addresses().len() as u64 {
        let _ = cluster.thaw_store(store);
        let _ = cluster.start_store(store).await;
    }
    for member in 0..cluster.pd_endpoints().len() {
        let _ = cluster.thaw_pd(member);
        let _ = cluster.start_pd(member).await;
    }
    if cluster.pd_leader().is_none() {
        let _ = cluster.set_pd_leader(Some(0));
    }
    cluster.elect();
}
