//! What clients do: which operation comes next, and how it is carried out through the engine's interface.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use k8shost_store::env::Env;
use k8shost_store::log::{Engine, Event, State, TenantLog};
use k8shost_types::{Error, Reason};

use crate::env::SimEnv;
use crate::history::Fate;
use crate::mix::WINDOW;
use crate::names::{Before, Names, refusal, refusal_number};
use crate::object::{self, ordinary, project_slot};
use crate::op::Kind;
use crate::world::{Core, Event as Happening, World, note};

/// A server, to what runs in it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) world: World,
    pub(crate) names: Arc<Names>,
    pub(crate) engine: Engine,
    pub(crate) env: Arc<SimEnv>,
    /// Handles that are held for long, as those of clients with a session are.
    pub(crate) handles: Arc<Mutex<Vec<Option<TenantLog>>>>,
}

impl Core {
    /// What a client asks for next, and of which tenant.
    pub(crate) fn choose(&mut self) -> (usize, Kind) {
        let mix = self.mix;
        let w = mix.weights;
        let rng = &mut self.rng;
        // The system tenant has less to do.
        let tenant = if rng.chance(2000) {
            0
        } else {
            1 + rng.below(mix.projects as u64) as usize
        };
        let slots = ordinary(tenant, mix.keys);
        let slot = slots.start + rng.below(slots.len() as u64) as usize;
        let truth = self.history.tenants[tenant].last_view();
        let known = self.history.known(tenant);
        let project = 1 + rng.below(mix.projects as u64) as usize;
        let gone = |tenant: usize| {
            let found = self.history.tenants[0].last_view().objects[project_slot(tenant)];
            (!found.is_some(), found.marked)
        };
        // Most clients of a project make sure first that there is one.
        if tenant != 0 && rng.chance(6000) {
            match gone(tenant) {
                (true, _) => return (0, Kind::Begin(project_slot(tenant))),
                (_, true) => return (0, Kind::Finish(tenant)),
                _ => {}
            }
        }
        let all = [
            w.create, w.claim, w.update, w.delete, w.bulk, w.empty, w.touch, w.read, w.cached,
            w.at_least, w.list, w.begin, w.end,
        ];
        let mut drawn = rng.below(all.iter().sum());
        let mut which = 0;
        while drawn >= all[which] {
            drawn -= all[which];
            which += 1;
        }
        let kind = match which {
            0 => Kind::Create(slot),
            1 => Kind::Claim(slot),
            2 => {
                let expected = rng.chance(5000).then(|| {
                    let known = rng.chance(8000);
                    if known {
                        truth.objects[slot].revision
                    } else {
                        truth.revision
                    }
                });
                Kind::Update(slot, expected)
            }
            3 => Kind::Delete(slot),
            4 => Kind::Bulk(rng.range(2, mix.bulk) as usize),
            5 => Kind::Empty,
            6 => Kind::Touch(slot),
            7 => Kind::Read,
            8 => Kind::Cached,
            9 => Kind::AtLeast((known + rng.below(3)).saturating_sub(1)),
            10 => match self.history.kept[tenant] {
                Some(revision) if rng.chance(5000) => Kind::Page(revision),
                _ => Kind::List,
            },
            11 => return (0, Kind::Begin(project_slot(project))),
            _ if rng.chance(5000) => return (0, Kind::Mark(project_slot(project))),
            _ => return (0, Kind::Finish(project)),
        };
        (tenant, kind)
    }

    /// A client waits no longer.
    pub(crate) fn given_up(&mut self, client: usize, op: u32) {
        note!(self, "op {op} is given up");
        self.stats.given_up += 1;
        let it = &mut self.history.ops[op as usize];
        if it.fate == Fate::Pending {
            it.fate = Fate::Unknown;
        }
        self.answered(client, op);
    }

    /// Other servers hear of a commit, or not.
    pub(crate) fn spread(&mut self, tenant: usize, by: usize, revision: u64) {
        if !self.faults {
            return;
        }
        for server in 0..self.mix.servers {
            if server != by && self.rng.chance(self.mix.hint) {
                let delay = self.rng.range(1000, WINDOW / 4);
                self.after(
                    delay,
                    Happening::Hint {
                        server,
                        tenant,
                        revision,
                    },
                );
            }
        }
    }

    /// A client was answered, or told to look elsewhere: it thinks, and asks for something else.
    pub(crate) fn answered(&mut self, client: usize, op: u32) {
        if self.clients[client] == Some(op) {
            self.clients[client] = None;
            let think = 1 + self.rng.below(self.mix.think * 2);
            self.after(think, Happening::Client { client });
        }
    }
}

impl Server {
    /// Carries an operation out.
    pub(crate) async fn carry_out(self, id: u32, tenant: usize, kind: Kind) {
        match kind {
            Kind::Finish(project) => self.finish(id, project).await,
            Kind::Close => self.close(id, tenant).await,
            Kind::Create(_)
            | Kind::Claim(_)
            | Kind::Update(..)
            | Kind::Delete(_)
            | Kind::Bulk(_)
            | Kind::Empty
            | Kind::Touch(_)
            | Kind::Begin(_)
            | Kind::Mark(_)
            | Kind::Remove(..) => self.commit(id, tenant).await,
            Kind::Read | Kind::Cached | Kind::AtLeast(_) | Kind::List | Kind::Page(_) => {
                match self.read(tenant, kind).await {
                    Ok(Some(state)) => {
                        let view = self.names.view(tenant, &state);
                        self.world.core().read(id, view);
                    }
                    // The page is no longer there: the list begins anew.
                    Ok(None) => self.world.core().settle(id, Fate::Done),
                    Err(error) => self.world.core().failed(id, None, &error),
                }
            }
        }
    }

    async fn log(&self, tenant: usize) -> Result<TenantLog, Error> {
        let (use_held, hold) = {
            let mut core = self.world.core();
            let hold = core.mix.hold;
            (core.rng.chance(2 * hold), core.rng.chance(hold))
        };
        if use_held && let Some(held) = self.handle(tenant, |held| held.clone()) {
            return Ok(held);
        }
        let log = self.engine.tenant(&self.names.tenants[tenant]).await?;
        // Held, or what was held is let go.
        drop(self.handle(tenant, |held| {
            std::mem::replace(held, hold.then(|| log.clone()))
        }));
        Ok(log)
    }

    fn handle<T>(&self, tenant: usize, f: impl FnOnce(&mut Option<TenantLog>) -> T) -> T {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut handles[tenant])
    }

    async fn commit(&self, id: u32, tenant: usize) {
        let log = match self.log(tenant).await {
            Ok(log) => log,
            Err(error) => return self.world.core().failed(id, None, &error),
        };
        let (world, names) = (self.world.clone(), self.names.clone());
        let place = (self.env.server, self.env.incarnation);
        let decide = Box::new(move |state: &State| {
            let view = names.view(tenant, state);
            let decided = world.core().decide(id, place, view);
            let changes = decided.map_err(refusal)?.into_iter();
            Ok(changes.map(|change| names.change(tenant, change)).collect())
        });
        match log.commit(decide).await {
            Ok(committed) => match self.events(tenant, committed.events.iter().map(|e| &**e)) {
                Ok(events) => self
                    .world
                    .core()
                    .committed(id, committed.state_revision, events),
                Err(error) => self
                    .world
                    .core()
                    .bad(format!("2: operation {id} is told of {error}")),
            },
            Err(error) => self.world.core().failed(id, refusal_number(&error), &error),
        }
    }

    fn events<'a>(
        &self,
        tenant: usize,
        events: impl Iterator<Item = &'a Event>,
    ) -> Result<Vec<(u64, object::Change, Before)>, String> {
        let one = |event: &Event| {
            let (change, before) = self.names.event(tenant, event)?;
            Ok((event.revision, change, before))
        };
        events.map(one).collect()
    }

    async fn read(&self, tenant: usize, kind: Kind) -> Result<Option<State>, Error> {
        let log = self.log(tenant).await?;
        match kind {
            Kind::Cached => log.cached().map(Some),
            Kind::AtLeast(revision) => log.at_least(revision).await.map(Some),
            Kind::Page(revision) => Ok(log.snapshot(revision).await),
            Kind::List => {
                let state = log.read().await?;
                log.keep_snapshot(&state);
                self.world.core().history.kept[tenant] = Some(state.revision());
                Ok(Some(state))
            }
            _ => log.read().await.map(Some),
        }
    }

    /// A step of an operation that has several, with a record of its own.
    async fn step(&self, tenant: usize, kind: Kind) -> Fate {
        let id = self.world.core().begin(None, tenant, self.env.server, kind);
        Box::pin(self.clone().carry_out(id, tenant, kind)).await;
        self.world.core().history.ops[id as usize].fate
    }

    /// Ends a terminating project: closes its log, then removes it.
    async fn finish(&self, id: u32, project: usize) {
        let slot = project_slot(project);
        if let Ok(Some(state)) = self.read(0, Kind::Read).await {
            let found = self.names.view(0, &state).map(|view| view.objects[slot]);
            if let Ok(found) = found
                && found.marked
                && self.step(project, Kind::Close).await == Fate::Done
            {
                self.step(0, Kind::Remove(slot, found.uid)).await;
            }
        }
        self.world.core().settle(id, Fate::Done);
    }

    async fn close(&self, id: u32, tenant: usize) {
        match self.engine.close(&self.names.tenants[tenant]).await {
            Ok(()) => self.world.core().closed(id),
            Err(error) => self.world.core().failed(id, None, &error),
        }
    }

    /// Watches a tenant from a revision until the watch ends.
    pub(crate) async fn watch(self, watcher: usize, instance: u64, tenant: usize, from: u64) {
        let log = match self.log(tenant).await {
            Ok(log) => log,
            Err(error) => {
                return self
                    .world
                    .core()
                    .watch_ended(watcher, instance, Some(&error));
            }
        };
        let mut watch = log.watch(from);
        drop(log);
        loop {
            // A client that looks elsewhere for a while drops the call, and loses nothing by it.
            let patience = {
                let mut core = self.world.core();
                let impatient = core.faults && core.rng.chance(3000);
                impatient.then(|| core.rng.range(1, WINDOW / 4))
            };
            let next = match patience {
                None => watch.next().await,
                Some(patience) => {
                    let over = self.env.sleep(Duration::from_millis(patience));
                    match select(Box::pin(watch.next()), over).await {
                        Either::Left((next, _)) => next,
                        Either::Right(_) => continue,
                    }
                }
            };
            match next {
                Ok(delivery) => {
                    let events = self.events(tenant, delivery.events.iter().map(|e| &**e));
                    let mut core = self.world.core();
                    core.delivered(watcher, instance, events, delivery.revision);
                }
                Err(error) => {
                    return self
                        .world
                        .core()
                        .watch_ended(watcher, instance, Some(&error));
                }
            }
        }
    }
}

/// An error that says that nothing was done because the server is down.
pub(crate) fn down() -> Error {
    Error::new(Reason::ServiceUnavailable, "the server is down")
}

/// The next watch of a client: of which tenant, at which server, from which revision.
pub(crate) fn next_watch(core: &mut Core, watcher: usize) -> (usize, usize, u64) {
    let mix = core.mix;
    let old = core.watches[watcher];
    let tenant = if core.rng.chance(2000) {
        0
    } else {
        1 + core.rng.below(mix.projects as u64) as usize
    };
    let server = core.rng.below(mix.servers as u64) as usize;
    let end = core.history.known(tenant);
    if old.revision > 0 && core.rng.chance(5000) {
        return (old.tenant, server, old.revision);
    }
    let back = core.rng.below(12);
    note!(core, "watcher {watcher} of T{tenant} at S{server}");
    (tenant, server, end.saturating_sub(back))
}
