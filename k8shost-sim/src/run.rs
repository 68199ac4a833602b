//! One run: what a seed stands for, from the first event to the last check.

use std::sync::Arc;

use futures::future::BoxFuture;
use k8shost_store::log::Mutation;

use crate::client::{down, next_watch};
use crate::history::{History, Tenant};
use crate::mix::{Mix, Recipe, WINDOW};
use crate::names::Names;
use crate::object::project_slot;
use crate::op::Kind;
use crate::rng::Rng;
use crate::servers::Process;
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

/// A run.
pub(crate) struct Sim {
    pub(crate) world: World,
    pub(crate) executor: Executor,
    pub(crate) names: Arc<Names>,
    pub(crate) processes: Vec<Option<Process>>,
    pub(crate) mutation: Option<Mutation>,
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
