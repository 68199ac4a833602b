//! The processes of the servers: how they start, and how they end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8shost_store::log::{Config, Engine, Schema};

use crate::client::Server;
use crate::env::SimEnv;
use crate::kv::SimKv;
use crate::mix::{Mix, WINDOW};
use crate::run::Sim;
use crate::schema::SimSchema;
use crate::world::{Event, note};

/// The process of a server.
pub(crate) struct Process {
    pub(crate) server: Server,
    pub(crate) schema: Arc<SimSchema>,
}

impl Sim {
    /// A server starts, with nothing in memory.
    pub(crate) fn start(&mut self, server: usize) {
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
    pub(crate) fn shut_down(&mut self, server: usize) {
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

    pub(crate) fn stop(&mut self, server: usize) {
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
    pub(crate) fn check_digests(&self) {
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
}
