//! What a run is made of: how many servers and clients, which faults and how often, how the engine is
//! set. Drawn from the seed, by one of several recipes.

use crate::rng::Rng;

/// The safety window of the simulated cluster. A round trip takes 2 to 6 seconds, so the scale is
/// smaller than life: what takes hours there happens here in minutes of simulated time.
pub(crate) const WINDOW: u64 = 40_000;

/// A recipe for runs. [`Recipe::Even`] draws everything evenly; the others aim at what is rare there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// One of the others, mostly [`Recipe::Even`].
    Any,
    /// Every fault, evenly.
    Even,
    /// Long pauses, and appends that land late: batches that are void, and servers that believe them.
    Void,
    /// Projections as late as the bound allows, much truncation, pauses: stale projections.
    Stale,
    /// Projects made, terminated and made again all the time.
    Lives,
    /// Projects made again before what was projected for their former lives is gone, loads, long pauses.
    Debris,
    /// Crashes, restarts and tenants dropped from memory: loads between everything.
    Loads,
    /// One server whose store is its own, which crashes and starts again.
    Embedded,
    /// Projections later than the bound: not one of [`Recipe::Any`]. The digest must tell.
    Broken,
    /// A busy system without faults but for delays.
    Calm,
}

/// All recipes and their names.
pub const RECIPES: &[(Recipe, &str)] = &[
    (Recipe::Any, "any"),
    (Recipe::Even, "even"),
    (Recipe::Void, "void"),
    (Recipe::Stale, "stale"),
    (Recipe::Lives, "lives"),
    (Recipe::Debris, "debris"),
    (Recipe::Loads, "loads"),
    (Recipe::Embedded, "embedded"),
    (Recipe::Broken, "broken"),
    (Recipe::Calm, "calm"),
];

impl std::str::FromStr for Recipe {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || RECIPES.iter().map(|r| r.1).collect::<Vec<_>>().join(", ");
        RECIPES
            .iter()
            .find(|r| r.1 == name)
            .map(|r| r.0)
            .ok_or_else(|| format!("no mix {name:?}; there are {}", known()))
    }
}

/// How often clients ask for what, relative to each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    pub(crate) create: u64,
    pub(crate) claim: u64,
    pub(crate) update: u64,
    pub(crate) delete: u64,
    pub(crate) bulk: u64,
    pub(crate) empty: u64,
    pub(crate) touch: u64,
    pub(crate) read: u64,
    pub(crate) cached: u64,
    pub(crate) at_least: u64,
    pub(crate) list: u64,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

/// Times in milliseconds, chances in 10,000.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    /// One server, whose store answers finally.
    pub(crate) exclusive: bool,
    pub(crate) servers: usize,
    pub(crate) projects: usize,
    pub(crate) keys: usize,
    pub(crate) clients: usize,
    pub(crate) watchers: usize,
    /// A request's way, in one direction.
    pub(crate) way: (u64, u64),
    pub(crate) drop: u64,
    pub(crate) lost: u64,
    pub(crate) unavailable: u64,
    pub(crate) late: u64,
    pub(crate) late_projection: u64,
    /// Projections land up to twice the window late, which the protocol does not allow for.
    pub(crate) broken_bound: bool,
    pub(crate) duplicate: u64,
    /// Requests over several keys are carried out in parts.
    pub(crate) split: u64,
    pub(crate) give_up: u64,
    pub(crate) pause: u64,
    /// Of four pauses, how many are longer than half the window.
    pub(crate) pause_long: u64,
    /// Crashes per server.
    pub(crate) crash: u64,
    /// Tasks run in a drawn order, not in that of their waking.
    pub(crate) shuffle: bool,
    pub(crate) think: u64,
    pub(crate) bulk: u64,
    pub(crate) weights: Weights,
    pub(crate) end: u64,
    pub(crate) hint: u64,
    /// How often a handle to a tenant is held on to.
    pub(crate) hold: u64,
    /// Of the crashes, how many are no crashes: the server is told to stop first.
    pub(crate) stop: u64,
    pub(crate) commit_bytes: u64,
    pub(crate) projection_delay: u64,
    pub(crate) truncation_interval: u64,
    pub(crate) idle_after: u64,
    pub(crate) poll_interval: u64,
    pub(crate) retention: u64,
    pub(crate) retention_bytes: u64,
    pub(crate) tail_bytes: u64,
    pub(crate) batch_bytes: u64,
    pub(crate) retry_delay: u64,
}

impl Mix {
    pub(crate) fn draw(recipe: Recipe, rng: &mut Rng) -> Self {
        let recipe = match recipe {
            Recipe::Any => rng.pick(&[
                Recipe::Even,
                Recipe::Even,
                Recipe::Even,
                Recipe::Even,
                Recipe::Void,
                Recipe::Stale,
                Recipe::Lives,
                Recipe::Debris,
                Recipe::Loads,
                Recipe::Embedded,
                Recipe::Calm,
            ]),
            other => other,
        };
        let mut mix = Self::even(rng);
        match recipe {
            Recipe::Any | Recipe::Even => {}
            Recipe::Void => mix.aim_void(rng),
            Recipe::Stale => mix.aim_stale(rng),
            Recipe::Lives => mix.aim_lives(rng),
            Recipe::Debris => mix.aim_debris(rng),
            Recipe::Loads => mix.aim_loads(rng),
            Recipe::Embedded => mix.aim_embedded(rng),
            Recipe::Broken => {
                mix.aim_stale(rng);
                mix.broken_bound = true;
                mix.crash = 8;
                mix.idle_after = 5000;
            }
            Recipe::Calm => {
                mix.drop = 0;
                mix.lost = 0;
                mix.unavailable = 0;
                mix.late = 0;
                mix.crash = 0;
                mix.pause = 0;
            }
        }
        mix
    }

    /// For a scripted run: nothing happens that the script does not say.
    pub(crate) fn scripted(servers: usize) -> Self {
        Self {
            servers,
            projects: 1,
            keys: 5,
            clients: 0,
            watchers: 1,
            way: (500, 500),
            drop: 0,
            lost: 0,
            unavailable: 0,
            late: 0,
            late_projection: 0,
            broken_bound: false,
            duplicate: 0,
            split: 0,
            give_up: 14_000,
            pause: 0,
            crash: 0,
            shuffle: false,
            hint: 0,
            hold: 0,
            stop: 0,
            commit_bytes: 4 << 20,
            projection_delay: 1000,
            truncation_interval: 3000,
            idle_after: 1000 * WINDOW,
            poll_interval: 1000 * WINDOW,
            retention: 0,
            retention_bytes: 1 << 20,
            tail_bytes: 1 << 20,
            batch_bytes: 256 << 10,
            retry_delay: 200,
            exclusive: false,
            ..Self::even(&mut Rng::new(0))
        }
    }

    fn even(rng: &mut Rng) -> Self {
        let wild = rng.chance(7000);
        let rate = |rng: &mut Rng| {
            if wild {
                rng.pick(&[0, 100, 400, 1000])
            } else {
                50
            }
        };
        Self {
            exclusive: false,
            servers: rng.range(1, 3).max(rng.range(1, 3)) as usize,
            projects: rng.range(1, 2) as usize,
            keys: rng.range(2, 5) as usize,
            clients: rng.range(2, 5) as usize,
            watchers: rng.range(1, 3) as usize,
            way: (1000, 3000),
            drop: rate(rng),
            lost: rate(rng),
            unavailable: rng.pick(&[0, 0, 50, 300]),
            late: rng.pick(&[0, 100, 300, 1000]),
            late_projection: rng.pick(&[100, 1000, 5000]),
            broken_bound: false,
            duplicate: rng.pick(&[0, 0, 100, 500]),
            split: rng.pick(&[0, 3000, 8000]),
            give_up: rng.pick(&[14_000, 14_000, 14_000, 30_000, 60_000]),
            pause: rng.pick(&[2, 8, 25, 60]),
            pause_long: rng.pick(&[1, 2, 4]),
            crash: rng.pick(&[0, 1, 3, 8]),
            shuffle: rng.chance(7000),
            think: rng.pick(&[2000, 6000, 15_000, 40_000]),
            bulk: rng.pick(&[3, 6, 14]),
            weights: Weights {
                create: rng.range(1, 10),
                claim: rng.range(0, 4),
                update: rng.range(1, 10),
                delete: rng.range(1, 10),
                bulk: rng.range(0, 4),
                empty: rng.range(0, 4),
                touch: rng.range(0, 2),
                read: rng.range(1, 10),
                cached: rng.range(0, 6),
                at_least: rng.range(0, 3),
                list: rng.range(0, 4),
                begin: rng.range(2, 6),
                end: rng.range(0, 3),
            },
            end: rng.pick(&[600_000, 1_200_000, 2_000_000]),
            hint: rng.pick(&[0, 3000, 9000]),
            hold: rng.pick(&[0, 500, 3000]),
            stop: rng.pick(&[0, 3000]),
            commit_bytes: rng.pick(&[4 << 20, 4 << 20, 1200]),
            projection_delay: rng.pick(&[1000, 5000, 15_000]),
            truncation_interval: rng.pick(&[3000, 10_000, 30_000]),
            idle_after: rng.pick(&[5000, 30_000, 120_000]),
            poll_interval: rng.pick(&[3000, 10_000, 30_000]),
            retention: rng.pick(&[0, 0, 30_000, 100_000]),
            retention_bytes: rng.pick(&[0, 1000, 1 << 20]),
            tail_bytes: rng.pick(&[0, 600, 3000, 1 << 20]),
            batch_bytes: rng.pick(&[150, 600, 256 << 10]),
            retry_delay: rng.pick(&[20, 200]),
        }
    }

    fn aim_void(&mut self, rng: &mut Rng) {
        self.servers = rng.range(2, 3) as usize;
        self.pause = rng.pick(&[40, 100, 200]);
        self.pause_long = 4;
        self.late = rng.pick(&[0, 300, 1000]);
        self.lost = rng.pick(&[0, 400, 1000]);
        self.retention = 0;
        self.truncation_interval = 3000;
        self.projection_delay = 1000;
        self.end = 2_000_000;
        self.think = rng.pick(&[2000, 6000, 15_000]);
    }

    fn aim_stale(&mut self, rng: &mut Rng) {
        self.servers = rng.range(2, 3) as usize;
        self.late_projection = rng.pick(&[5000, 8000]);
        self.pause = rng.pick(&[25, 60, 100]);
        self.retention = 0;
        self.truncation_interval = 3000;
        self.keys = rng.range(2, 3) as usize;
        self.end = 2_000_000;
        self.weights.read = 1;
        self.weights.cached = 0;
        self.weights.list = 0;
    }

    fn aim_lives(&mut self, rng: &mut Rng) {
        self.weights.begin = rng.range(6, 14);
        self.weights.end = rng.range(4, 10);
        self.projects = 1;
        self.retention = 0;
        self.truncation_interval = 3000;
        self.end = 2_000_000;
    }

    fn aim_debris(&mut self, rng: &mut Rng) {
        self.aim_lives(rng);
        self.servers = rng.range(2, 3) as usize;
        self.weights.begin = 14;
        self.weights.end = 14;
        self.weights.create = 20;
        self.keys = rng.range(2, 3) as usize;
        self.drop = rng.pick(&[500, 1500, 3000]);
        self.lost = 0;
        self.late = 0;
        self.late_projection = 5000;
        self.crash = rng.pick(&[8, 20]);
        self.idle_after = rng.pick(&[5000, 30_000]);
        self.pause = rng.pick(&[60, 150]);
        self.pause_long = 4;
        self.think = rng.pick(&[2000, 6000]);
        self.projection_delay = rng.pick(&[5000, 15_000]);
        self.end = 2_000_000;
    }

    fn aim_loads(&mut self, rng: &mut Rng) {
        self.crash = rng.pick(&[8, 20, 40]);
        self.idle_after = 5000;
        self.retention = rng.pick(&[0, 0, 30_000]);
        self.truncation_interval = 3000;
        self.split = 8000;
        self.late_projection = 5000;
    }

    fn aim_embedded(&mut self, rng: &mut Rng) {
        self.exclusive = true;
        self.servers = 1;
        self.way = (1, 20);
        self.give_up = 1000;
        self.late = 0;
        self.late_projection = 0;
        self.duplicate = 0;
        self.drop = rng.pick(&[0, 20, 100]);
        self.lost = rng.pick(&[0, 20, 100]);
        self.unavailable = rng.pick(&[0, 50, 300]);
        self.pause = 0;
        self.crash = rng.pick(&[3, 8, 20]);
        self.think = rng.pick(&[100, 500, 5000]);
        self.end = rng.pick(&[100_000, 300_000, 600_000]);
        self.retention = rng.pick(&[0, 5000, 30_000]);
    }
}
