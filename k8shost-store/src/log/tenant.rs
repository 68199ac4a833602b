//! One tenant in memory: what is known of its log, who waits for it, and what is under way.
//!
//! Everything is behind one lock that is held for moments and never over an await. A task that waits
//! for the store remembers the generation in which it began: if the state was dropped meanwhile, the
//! generation is another, and the task's answer counts for nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use k8shost_types::{Error, Reason};
use tokio::sync::{Notify, oneshot};

use super::append::Append;
use super::apply::Step;
use super::format::Floor;
use super::keys::{Key, Revision, TenantId};
use super::mutation::Mutation;
use super::shared::{Shared, lock};
use super::state::{Life, State};
use super::tail::TailCell;
use super::{CommitFn, Committed};

/// One tenant in memory.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    /// Its number among all that this engine ever had in memory.
    pub(crate) number: u64,
    pub(crate) shared: Arc<Shared>,
    /// How many handles to it there are.
    pub(crate) handles: AtomicUsize,
    /// How many of them watch.
    pub(crate) watchers: AtomicUsize,
    /// Loaded and alive: a request need not look further.
    pub(crate) live: AtomicBool,
    /// Not known to the scheduler: the last handle to go has to tell it.
    pub(crate) parked: AtomicBool,
    /// Used since the scheduler last looked.
    pub(crate) used: AtomicBool,
    /// Somebody has asked whether it is the first to use it.
    pub(crate) greeted: AtomicBool,
    inner: Mutex<Inner>,
    pub(crate) tail: TailCell,
    /// Something was published, or the state was loaded or dropped.
    pub(crate) moved: Notify,
}

/// What is behind the lock.
#[derive(Default)]
pub(crate) struct Inner {
    /// Goes up when the state is dropped.
    pub(crate) generation: u64,
    pub(crate) phase: Phase,
    /// Commits that wait to be taken into a batch.
    pub(crate) queue: VecDeque<Pending>,
    /// Who waits for a load or a barrier.
    pub(crate) waiting: Vec<Waiter>,
    /// The ticket of who comes next to wait.
    pub(crate) tickets: u64,
    /// A writer's task runs.
    pub(crate) writing: bool,
    /// A barrier's task runs.
    pub(crate) probing: bool,
    /// Others may have committed: look.
    pub(crate) poll: bool,
    /// States for lists to continue from, the oldest first.
    pub(crate) snapshots: VecDeque<Kept>,
    /// All bytes that were ever published here, to know what a snapshot may hold on to.
    pub(crate) published_bytes: u64,
    pub(crate) maintaining: bool,
    /// So often in a row projections could not be written.
    pub(crate) failures: u32,
    pub(crate) last_truncation: Duration,
}

/// Whether there is a state.
#[derive(Default)]
pub(crate) enum Phase {
    #[default]
    Unloaded,
    Loading,
    Ready(Box<Held>),
}

/// What is known of a tenant that is loaded.
pub(crate) struct Held {
    /// The state: all of it is proved.
    pub(crate) state: State,
    /// Batches of others behind it, read and not yet proved.
    pub(crate) unproved: VecDeque<Made>,
    /// The time of the last confirmation.
    pub(crate) confirmed: Duration,
    /// The first revision that came after the last confirmation.
    pub(crate) unconfirmed: Option<Revision>,
    pub(crate) floor: KnownFloor,
    /// The batches from the floor on, all of them proved.
    pub(crate) applied: VecDeque<Applied>,
    /// Their bytes.
    pub(crate) log_bytes: usize,
    /// Keys whose projections may differ from the state.
    pub(crate) dirty: BTreeSet<Key>,
    /// Changes that were known at that time have their projections.
    pub(crate) projected: Duration,
    /// Keys that were debris when they were loaded; kept for a mutation only.
    pub(crate) debris: BTreeSet<Key>,
    /// The revisions at which keys that do not exist were deleted, from the floor on.
    pub(crate) deleted: BTreeMap<Key, Revision>,
    /// The batch that is being appended.
    pub(crate) append: Option<Append>,
    /// Why the tenant is read-only.
    pub(crate) damage: Option<Damage>,
    /// The log's keys below this revision are deleted.
    pub(crate) swept: Revision,
}

/// The floor as it was last known.
#[derive(Clone, Debug)]
pub(crate) struct KnownFloor {
    /// Exactly what is stored, for the swap.
    pub(crate) raw: Option<Bytes>,
    pub(crate) floor: Floor,
}

/// A batch that was made here or read, with what it makes of the state before it.
pub(crate) struct Made {
    pub(crate) first: Revision,
    pub(crate) last: Revision,
    pub(crate) bytes: usize,
    /// Its time stamp.
    pub(crate) time: u64,
    pub(crate) digest: u128,
    /// Made here: this server is to write its projections.
    pub(crate) own: bool,
    pub(crate) step: Step,
}

/// A batch that is part of the state.
pub(crate) struct Applied {
    pub(crate) first: Revision,
    pub(crate) last: Revision,
    pub(crate) bytes: usize,
    pub(crate) time: u64,
    /// When it was read or swapped, or later.
    pub(crate) known: Duration,
    /// Of the state after it.
    pub(crate) digest: u128,
    pub(crate) since: Revision,
    pub(crate) life: Life,
    /// What it touched.
    pub(crate) keys: Box<[Key]>,
}

impl Applied {
    /// The floor that has this batch and all before it below it.
    pub(crate) fn floor_above(&self) -> Floor {
        let uid = match &self.life {
            Life::Project(uid) => Some(&**uid),
            Life::None | Life::System => None,
        };
        Floor::new(self.last + 1, self.since, uid, self.digest)
    }
}

/// What is wrong with a tenant's stored state.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub(crate) text: String,
    /// Projections that can't be read.
    pub(crate) unreadable: Vec<Key>,
}

/// A state that lists continue from.
pub(crate) struct Kept {
    pub(crate) state: State,
    pub(crate) until: Duration,
    /// [`Inner::published_bytes`] when it was kept.
    pub(crate) bytes: u64,
}

/// What is to be appended.
pub(crate) enum Work {
    Commit(CommitFn),
    /// A birth of the project with this uid, on the state at exactly this revision.
    Birth {
        uid: String,
        at: Revision,
    },
    /// A close, on the state at exactly this revision.
    Close {
        at: Revision,
    },
    /// An acceptance of the state as it was found.
    Accept,
}

/// Something to be appended, and who waits for it.
pub(crate) struct Pending {
    pub(crate) work: Work,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What became of a [`Pending`].
pub(crate) enum Reply {
    Done(Committed),
    Refused(Error),
    /// The tenant is closed; the commit was not run.
    Closed(CommitFn),
    /// The state is not at the revision that the work is for.
    Moved,
}

/// Who waits for a load or a barrier.
pub(crate) struct Waiter {
    pub(crate) ticket: u64,
    pub(crate) wait: Wait,
}

/// What is waited for.
pub(crate) enum Wait {
    /// A load.
    Load(oneshot::Sender<Result<(), Error>>),
    /// A consistent read.
    Read(oneshot::Sender<Result<State, Error>>),
    /// A refusal, or a commit that changes nothing: to be decided again on the state that is read.
    Decide(Pending),
}

impl Held {
    /// What is known right after a load, as yet without the log's batches.
    pub(crate) fn new(state: State, confirmed: Duration, floor: KnownFloor) -> Self {
        Self {
            state,
            unproved: VecDeque::new(),
            confirmed,
            unconfirmed: None,
            floor,
            applied: VecDeque::new(),
            log_bytes: 0,
            dirty: BTreeSet::new(),
            projected: confirmed,
            debris: BTreeSet::new(),
            deleted: BTreeMap::new(),
            append: None,
            damage: None,
            swept: 0,
        }
    }

    /// The state at the end of all that was read, proved or not.
    pub(crate) fn tip(&self) -> &State {
        self.unproved.back().map_or(&self.state, |b| &b.step.state)
    }

    /// Above this revision the floor must not be, for what is unproved to be proved; without
    /// anything unproved, for the end that was found to be the end.
    pub(crate) fn low(&self, shared: &Shared) -> Revision {
        let low = self
            .unproved
            .front()
            .map_or(self.tip().next_revision(), |b| b.first);
        if shared.mutated(Mutation::LowHasTrusted) {
            return low.min(self.unconfirmed.unwrap_or(low));
        }
        low
    }

    /// Whether an answer that arrived just now is proved by time alone.
    pub(crate) fn is_trusted(&self, shared: &Shared) -> bool {
        let Some(window) = shared.window else {
            return true;
        };
        let age = shared.env.now().saturating_sub(self.confirmed);
        if shared.mutated(Mutation::Trust2W) {
            return age < window * 2;
        }
        age < window / 2
    }

    /// Whether a projection may be sent just now.
    pub(crate) fn has_premise(&self, shared: &Shared) -> bool {
        let Some(window) = shared.window else {
            return true;
        };
        if shared.mutated(Mutation::NoPremise) {
            return true;
        }
        let age = shared.env.now().saturating_sub(self.confirmed);
        if shared.mutated(Mutation::PremiseW) {
            return age < window;
        }
        age < window / 4
    }

    /// All up to some revision is proved, and its end was found by an operation that began at `at`.
    pub(crate) fn confirm(&mut self, at: Duration) {
        self.confirmed = self.confirmed.max(at);
        self.unconfirmed = None;
    }
}

impl Inner {
    /// What is known, if it is loaded and was not dropped since.
    pub(crate) fn held(&mut self, generation: u64) -> Option<&mut Held> {
        match &mut self.phase {
            Phase::Ready(held) if self.generation == generation => Some(held),
            Phase::Ready(_) | Phase::Loading | Phase::Unloaded => None,
        }
    }

    /// What is known, if it is loaded.
    pub(crate) fn ready(&mut self) -> Option<&mut Held> {
        self.held(self.generation)
    }

    fn wait(&mut self, wait: Wait) {
        let ticket = self.tickets;
        self.tickets += 1;
        self.waiting.push(Waiter { ticket, wait });
    }

    /// Lets something be decided again after a barrier.
    pub(crate) fn decide_later(&mut self, pending: Pending) {
        self.wait(Wait::Decide(pending));
    }

    /// Those who came before an operation that began when `tickets` was `mark`.
    pub(crate) fn take_waiting(&mut self, mark: u64) -> Vec<Waiter> {
        if self.waiting.first().is_none_or(|w| w.ticket >= mark) {
            return Vec::new();
        }
        let stay = self.waiting.partition_point(|w| w.ticket < mark);
        let rest = self.waiting.split_off(stay);
        std::mem::replace(&mut self.waiting, rest)
    }

    /// Puts commits back where they came from, before all that wait.
    pub(crate) fn requeue(&mut self, pending: impl DoubleEndedIterator<Item = Pending>) {
        for pending in pending.rev() {
            self.queue.push_front(pending);
        }
    }
}

impl Tenant {
    pub(crate) fn new(id: TenantId, number: u64, shared: Arc<Shared>) -> Self {
        shared.stats.tenants.add(1);
        Self {
            id,
            number,
            shared,
            handles: AtomicUsize::new(0),
            watchers: AtomicUsize::new(0),
            live: AtomicBool::new(false),
            parked: AtomicBool::new(true),
            greeted: AtomicBool::new(false),
            used: AtomicBool::new(false),
            inner: Mutex::default(),
            tail: TailCell::default(),
            moved: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Starts whatever there is work for and is not running.
    pub(crate) fn kick(self: &Arc<Self>, inner: &mut Inner) {
        let generation = inner.generation;
        match &inner.phase {
            Phase::Loading => {}
            Phase::Unloaded => {
                if !inner.queue.is_empty() || !inner.waiting.is_empty() {
                    inner.phase = Phase::Loading;
                    self.start_load(generation);
                }
            }
            Phase::Ready(held) => {
                let unproved = !held.unproved.is_empty();
                let buildable = !unproved || self.shared.mutated(Mutation::BuildOnUnproved);
                if !inner.queue.is_empty() && !inner.writing && buildable {
                    inner.writing = true;
                    let tenant = self.clone();
                    let task = async move { tenant.write(generation).await };
                    self.shared.env.spawn(task.boxed());
                }
                let wanted = !inner.waiting.is_empty() || inner.poll || unproved;
                if wanted && !inner.probing && !self.shared.exclusive() {
                    inner.probing = true;
                    let tenant = self.clone();
                    let task = async move { tenant.probe(generation).await };
                    self.shared.env.spawn(task.boxed());
                }
            }
        }
    }

    /// Loads the tenant if it is not in memory.
    pub(crate) async fn ensure_loaded(self: &Arc<Self>) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut inner = self.lock();
            if matches!(inner.phase, Phase::Ready(_)) {
                return Ok(());
            }
            inner.wait(Wait::Load(sender));
            self.kick(&mut inner);
        }
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }

    /// A state that was confirmed after this was called. It may be of a tenant that is not alive.
    pub(crate) async fn confirmed(self: &Arc<Self>) -> Result<State, Error> {
        let receiver = {
            let mut inner = self.lock();
            if let Phase::Ready(held) = &inner.phase
                && self.shared.exclusive()
            {
                return Ok(held.state.clone());
            }
            let (sender, receiver) = oneshot::channel();
            inner.wait(Wait::Read(sender));
            self.kick(&mut inner);
            receiver
        };
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }

    /// What is proved and in memory.
    pub(crate) fn cached(&self) -> Option<State> {
        match &self.lock().phase {
            Phase::Ready(held) if self.shared.mutated(Mutation::AnyTentative) => {
                Some(held.tip().clone())
            }
            Phase::Ready(held) => Some(held.state.clone()),
            Phase::Loading | Phase::Unloaded => None,
        }
    }

    /// Appends something, and tells what became of it.
    pub(crate) async fn submit(self: &Arc<Self>, work: Work) -> Reply {
        if let Err(error) = self.shared.check_running() {
            return Reply::Refused(error);
        }
        let (reply, receiver) = oneshot::channel();
        {
            let mut inner = self.lock();
            inner.queue.push_back(Pending { work, reply });
            self.kick(&mut inner);
        }
        let dropped = |_| Reply::Refused(super::shared::unknown());
        receiver.await.unwrap_or_else(dropped)
    }

    /// The end of the log as far as it is known, if the tenant is loaded.
    pub(crate) fn known(&self) -> Option<Revision> {
        let mut inner = self.lock();
        inner.ready().map(|held| held.tip().revision())
    }

    /// Looks whether others have committed.
    pub(crate) fn poll(self: &Arc<Self>) {
        let mut inner = self.lock();
        if matches!(inner.phase, Phase::Ready(_)) && !self.shared.exclusive() {
            inner.poll = true;
            self.kick(&mut inner);
        }
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.shared.stats.tenants.sub(1);
    }
}

/// The error when the task that was to answer is gone.
fn gone() -> Error {
    Error::new(Reason::ServiceUnavailable, "the server is stopping")
}
