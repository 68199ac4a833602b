//! One run: what a seed stands for, from the first event to the last check.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use k8shost_store::log::{Config, Engine, Mutation, Schema};

use crate::client::{Server, down, next_watch};
use crate::env::SimEnv;
use crate::history::{History, Tenant};
use crate::kv::SimKv;
use crate::mix::{Mix, Recipe, WINDOW};
use crate::names::Names;
use crate::object::project_slot;
use crate::op::Kind;
use crate::rng::Rng;
use crate::schema::SimSchema;
use crate::stats::Stats;
use crate::tasks::Executor;
use crate::world::{Core, Event, World, note};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The same seed is the same run.
    pub seed: u64,
    /// How faults and load are drawn.
    pub recipe: Recipe,
    /// The rule of the protocol to break.
    pub mutation: Option<Mutation>,
    /// Also hold against the protocol what no client sees.
    pub white: bool,
    /// Keep what happened, line by line.
    pub trace: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Totals.
    pub stats: Stats,
    /// Of everything that happened, in order.
    pub hash: u64,
    /// What was found to be wrong; that was the run's end.
    pub violation: Option<String>,
    /// What happened, line by line, if that was asked for.
    pub trace: Vec<String>,
}

/// After the faults end, so long until what was asked for must be answered and read anew.
const SETTLE: u64 = 7 * WINDOW;
/// And so long until everything must be at rest.
const REST: u64 = 20 * WINDOW;

/// Runs a seed.
pub fn run(setup: &Setup) -> Outcome {
    let mut rng = Rng::new(setup.seed);
    let mix = Mix::draw(setup.recipe, &mut rng);
    let mut sim = Sim::new(setup, mix, rng);
    sim.populate();
    sim.go_on(mix.end);
    sim.quieten();
    sim.finish()
}

/// The process of a server.
struct Process {
    server: Server,
    schema: Arc<SimSchema>,
}

/// A run.
pub(crate) struct Sim {
    pub(crate) world: World,
    executor: Executor,
    names: Arc<Names>,
    processes: Vec<Option<Process>>,
    mutation: Option<Mutation>,
}

impl Sim {
    pub(crate) fn new(setup: &Setup, mix: Mix, rng: Rng) -> Self {
        let names = Arc::new(Names::new(mix.projects));
        let tenant = |(index, id): (usize, &k8shost_store::log::TenantId)| {
            Tenant::new(index, id.prefix().to_owned())
        };
        let tenants: Vec<_> = names.tenants.iter().enumerate().map(tenant).collect();
        let history = History {
            runs: 0,
            kept: vec![None; tenants.len()],
            tenants,
            ops: Vec::new(),
            exclusive: mix.exclusive,
            white: setup.white,
        };
        let mut core = Core::new(rng, mix, history, setup.trace);
        note!(core, "{mix:?}");
        let world = World::new(core);
        let mut sim = Self {
            executor: Executor::new(world.clone(), mix.servers),
            world,
            names,
            processes: (0..mix.servers).map(|_| None).collect(),
            mutation: setup.mutation,
        };
        for server in 0..mix.servers {
            sim.start(server);
        }
        sim
    }

    /// Clients, watchers and crashes.
    fn populate(&mut self) {
        let mut core = self.world.core();
        let mix = core.mix;
        for client in 0..mix.clients {
            core.after(1 + client as u64, Event::Client { client });
        }
        for watcher in 0..mix.watchers {
            core.after(WINDOW + watcher as u64, Event::Watch { watcher });
        }
        for server in 0..mix.servers {
            for _ in 0..mix.crash {
                let at = core.rng.range(WINDOW / 4, mix.end);
                core.after(at, Event::Crash { server });
            }
        }
    }

    /// A server starts, with nothing in memory.
    fn start(&mut self, server: usize) {
        let mut core = self.world.core();
        let clock = core.rng.below(1 << 40);
        let exclusive = core.mix.exclusive;
        let process = &mut core.processes[server];
        process.incarnation += 1;
        process.up = true;
        process.clock = clock;
        process.swaps.clear();
        let incarnation = process.incarnation;
        let config = self.config(&core.mix, server);
        note!(core, "S{server} starts");
        drop(core);
        let kv = Arc::new(SimKv {
            world: self.world.clone(),
            server,
            incarnation,
            exclusive,
        });
        let env = Arc::new(SimEnv {
            world: self.world.clone(),
            server,
            incarnation,
        });
        let schema = Arc::new(SimSchema::new(self.names.clone()));
        let engine = Engine::new(kv, env.clone(), schema.clone() as Arc<dyn Schema>, config);
        schema.set_engine(Some(engine.clone()));
        self.processes[server] = Some(Process {
            server: Server {
                world: self.world.clone(),
                names: self.names.clone(),
                engine,
                env,
                handles: Arc::new(Mutex::new(vec![None; self.names.tenants.len()])),
            },
            schema,
        });
    }

    fn config(&self, mix: &Mix, server: usize) -> Config {
        let ms = Duration::from_millis;
        Config {
            retention: ms(mix.retention),
            retention_bytes: mix.retention_bytes as usize,
            tail_bytes: mix.tail_bytes as usize,
            batch_bytes: mix.batch_bytes as usize,
            batch_commits: 4,
            max_commit_bytes: mix.commit_bytes as usize,
            projection_delay: ms(mix.projection_delay),
            truncation_interval: ms(mix.truncation_interval),
            idle_after: ms(mix.idle_after),
            poll_interval: ms(mix.poll_interval),
            snapshots: 4,
            retry_delay: ms(mix.retry_delay),
            mutation: self.mutation,
            stable_writer: 1 + server as u128,
            ..Config::default()
        }
    }

    /// A server is told to stop, and its process ends some time after.
    fn shut_down(&mut self, server: usize) {
        let Some(process) = &self.processes[server] else {
            return;
        };
        let engine = process.server.engine.clone();
        self.executor
            .spawn(server, Box::pin(async move { engine.shutdown().await }));
        let mut core = self.world.core();
        note!(core, "S{server} is told to stop");
        let delay = core.rng.range(1000, WINDOW / 4);
        core.after(delay, Event::Kill { server });
    }

    /// A server's process ends, with everything that was in it.
    pub(crate) fn crash(&mut self, server: usize) {
        let mut core = self.world.core();
        if !core.processes[server].up {
            return;
        }
        note!(core, "S{server} CRASHES");
        core.stats.crashes += 1;
        let process = &mut core.processes[server];
        process.up = false;
        process.paused_until = 0;
        let unsent = std::mem::take(&mut process.unsent);
        for slot in unsent {
            core.requests.remove(slot);
        }
        for watch in &mut core.watches {
            if watch.server == server {
                watch.live = false;
            }
        }
        if core.mix.exclusive {
            core.lose_power();
            core.ghosts();
        }
        let delay = 1 + core.rng.below(WINDOW);
        core.after(delay, Event::Start { server });
        drop(core);
        self.executor.kill(server);
        self.stop(server);
    }

    fn stop(&mut self, server: usize) {
        if let Some(process) = self.processes[server].take() {
            // A handle that is held keeps the engine.
            let handles = process.server.handles.lock();
            let handles = std::mem::take(&mut *handles.unwrap_or_else(PoisonError::into_inner));
            drop(handles);
            let did = process.server.engine.stats();
            let mut core = self.world.core();
            core.stats.loads += did.loads.get();
            core.stats.barriers += did.barriers.get();
            core.stats.conflicts += did.conflicts.get();
            core.stats.fallen += did.fallen.get();
            core.stats.projections += did.projections.get();
            core.stats.repairs += did.repairs.get();
            drop(core);
            process.schema.set_engine(None);
        }
    }

    /// The digest tells a server that its state is not the one that was written. That must not be, unless
    /// the time bound is broken: then it must be before anything wrong is believed.
    fn check_digests(&self) {
        for (server, process) in self.processes.iter().enumerate() {
            let Some(process) = process else {
                continue;
            };
            if process.server.engine.stats().digest_mismatches.get() == 0 {
                continue;
            }
            let mut core = self.world.core();
            if core.mix.broken_bound {
                note!(core, "S{server} finds another digest");
                core.stats.told += 1;
                core.violation = None;
                core.told = true;
            } else {
                let damaged = process.server.engine.damaged();
                core.bad(format!("5: S{server} finds another digest: {damaged:?}"));
            }
        }
    }

    /// Runs until a time.
    pub(crate) fn go_on(&mut self, until: u64) {
        loop {
            self.executor.run();
            self.check_digests();
            let mut core = self.world.core();
            if core.is_over() {
                return;
            }
            let Some(event) = core.next_event(until) else {
                core.now = core.now.max(until);
                return;
            };
            drop(core);
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        let mut core = self.world.core();
        match event {
            Event::Apply { slot, part } => core.apply(slot, part),
            Event::Deliver { slot, failed } => {
                let waker = core.deliver(slot, failed);
                drop(core);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Event::Timer { slot } => {
                let waker = core.timer(slot);
                drop(core);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Event::Resume { server } => {
                if !core.is_paused(server) && core.processes[server].up {
                    note!(core, "S{server} goes on");
                    core.send_unsent(server);
                    drop(core);
                    self.executor.resume(server);
                }
            }
            Event::Crash { server } => {
                let faults = core.faults;
                let stop = core.mix.stop;
                let gently = core.rng.chance(stop);
                drop(core);
                if faults && gently {
                    self.shut_down(server);
                } else if faults {
                    self.crash(server);
                }
            }
            Event::Kill { server } => {
                drop(core);
                self.crash(server);
            }
            Event::Start { server } => {
                let up = core.processes[server].up;
                drop(core);
                if !up {
                    self.start(server);
                }
            }
            Event::Client { client } => {
                if core.faults && core.clients[client].is_none() {
                    let (tenant, kind) = core.choose();
                    let servers = core.mix.servers as u64;
                    let server = core.rng.below(servers) as usize;
                    let patience = core.rng.range(WINDOW / 2, 4 * WINDOW);
                    drop(core);
                    let op = self.ask(Some(client), server, tenant, kind);
                    self.world
                        .core()
                        .after(patience, Event::GiveUp { client, op });
                }
            }
            Event::GiveUp { client, op } => {
                if core.clients[client] == Some(op) {
                    core.given_up(client, op);
                    // The call is dropped, or goes on with nobody to hear its answer.
                    let drop_it = core.rng.chance(5000);
                    let task = core.history.ops[op as usize].task;
                    drop(core);
                    if let (true, Some(task)) = (drop_it, task) {
                        self.executor.cancel(task);
                    }
                }
            }
            Event::Watch { watcher } => {
                if core.faults {
                    let length = core.rng.range(WINDOW / 4, 5 * WINDOW);
                    core.after(length, Event::Watch { watcher });
                    drop(core);
                    self.watch(watcher);
                }
            }
            Event::Hint {
                server,
                tenant,
                revision,
            } => {
                drop(core);
                self.hint(server, tenant, revision);
            }
        }
    }

    /// A client, or the test, asks a server for something.
    pub(crate) fn ask(
        &mut self,
        client: Option<usize>,
        server: usize,
        tenant: usize,
        kind: Kind,
    ) -> u32 {
        let mut core = self.world.core();
        let op = core.begin(client, tenant, server, kind);
        if let Some(client) = client {
            core.clients[client] = Some(op);
        }
        let Some(process) = &self.processes[server] else {
            core.failed(op, None, &down());
            return op;
        };
        drop(core);
        let task: BoxFuture<'static, ()> =
            Box::pin(process.server.clone().carry_out(op, tenant, kind));
        let task = self.executor.spawn(server, task);
        self.world.core().history.ops[op as usize].task = Some(task);
        op
    }

    fn watch(&mut self, watcher: usize) {
        let mut core = self.world.core();
        let (tenant, server, from) = next_watch(&mut core, watcher);
        let old = core.watches[watcher].task;
        drop(core);
        if let Some(old) = old {
            self.executor.cancel(old);
        }
        self.watch_at(watcher, server, tenant, from);
    }

    /// A client begins to watch.
    pub(crate) fn watch_at(&mut self, watcher: usize, server: usize, tenant: usize, from: u64) {
        let mut core = self.world.core();
        note!(
            core,
            "watcher {watcher} of T{tenant} at S{server} from {from}"
        );
        let watch = &mut core.watches[watcher];
        watch.instance += 1;
        watch.tenant = tenant;
        watch.server = server;
        watch.revision = from;
        watch.live = false;
        watch.task = None;
        let instance = watch.instance;
        if let Some(process) = &self.processes[server] {
            watch.live = true;
            drop(core);
            let task = process
                .server
                .clone()
                .watch(watcher, instance, tenant, from);
            let task = self.executor.spawn(server, Box::pin(task));
            self.world.core().watches[watcher].task = Some(task);
        }
    }

    fn hint(&mut self, server: usize, tenant: usize, revision: u64) {
        let Some(process) = &self.processes[server] else {
            return;
        };
        let server_ = process.server.clone();
        let task = async move {
            if let Ok(log) = server_.engine.tenant(&server_.names.tenants[tenant]).await {
                log.hint(revision);
            }
        };
        self.executor.spawn(server, Box::pin(task));
    }

    /// The faults end. What was asked for is answered, what was left behind is cleared away, and in the
    /// end all is at rest.
    pub(crate) fn quieten(&mut self) {
        let mut core = self.world.core();
        let end = core.now;
        core.faults = false;
        note!(core, "the faults end");
        for server in 0..core.mix.servers {
            core.processes[server].paused_until = 0;
            core.after(0, Event::Resume { server });
            core.after(0, Event::Start { server });
        }
        drop(core);
        self.go_on(end + SETTLE);
        let (servers, projects, one) = {
            let mut core = self.world.core();
            let servers = core.mix.servers;
            // What is asked for wakes a server up. A watch must come to its end without that, too.
            let one = core
                .rng
                .chance(7000)
                .then(|| core.rng.below(servers as u64) as usize);
            (servers, core.mix.projects, one)
        };
        for server in (0..servers).filter(|server| one.is_none_or(|one| one == *server)) {
            for tenant in 0..=projects {
                self.ask(None, server, tenant, Kind::Read);
            }
        }
        // Nobody asks for a project that is gone, so its end has to be brought about.
        for tenant in 1..=projects {
            let core = self.world.core();
            let project = core.history.tenants[0].last_view().objects[project_slot(tenant)];
            let touched = core.history.tenants[tenant].end() > 0;
            drop(core);
            let server = one.unwrap_or(0);
            if project.marked {
                self.ask(None, server, tenant, Kind::Finish(tenant));
            } else if !project.is_some() && touched {
                self.ask(None, server, tenant, Kind::Close);
            }
        }
        self.go_on(end + REST);
    }

    /// Holds the end of the run against what it must be.
    pub(crate) fn finish(mut self) -> Outcome {
        let mut core = self.world.core();
        if !core.is_over() && !core.mix.broken_bound {
            core.at_rest();
            core.ghosts();
            for id in 0..core.history.ops.len() {
                let op = &core.history.ops[id];
                if op.task.is_some_and(|task| self.executor.lives(task)) {
                    let what = format!("liveness: operation {id} {:?} is never answered", op.kind);
                    core.bad(what);
                }
            }
            for (i, watch) in core.watches.clone().into_iter().enumerate() {
                let end = core.history.tenants[watch.tenant].end();
                if watch.live && watch.revision != end {
                    let what = format!(
                        "liveness: watcher {i} is at {}, the log ends at {end}",
                        watch.revision
                    );
                    core.bad(what);
                }
            }
        }
        drop(core);
        self.executor.clear();
        for server in 0..self.processes.len() {
            self.stop(server);
        }
        // What tasks spawned as they were dropped.
        let spawned = std::mem::take(&mut self.world.core().spawned);
        drop(spawned);
        let mut core = self.world.core();
        Outcome {
            stats: core.stats,
            hash: core.hash,
            violation: core.violation.take(),
            trace: core.trace.take().unwrap_or_default(),
        }
    }
}
