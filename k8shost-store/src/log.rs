//! The tenant log: how state is kept, for any number of servers over one raw key-value store, with
//! no leader and no lock. The protocol is told in `docs/engine.md`.
//!
//! [`Engine`] has all tenants, [`TenantLog`] is a handle to one: it commits, reads and watches.

mod append;
mod apply;
mod build;
mod check;
mod engine;
pub mod format;
mod handle;
mod hints;
mod keys;
mod load;
mod mutation;
mod pairs;
mod probe;
mod project;
mod prove;
mod scan;
mod schedule;
mod shared;
mod state;
mod stats;
mod tail;
mod tenant;
#[cfg(test)]
mod tests;
mod truncate;
mod watch;

use std::time::Duration;

use futures::future::BoxFuture;
use k8shost_types::Error;

pub use check::{Checked, Found};
pub use engine::Engine;
pub use handle::{Committed, TenantLog};
pub use hints::Listener;
pub use keys::{Key, Revision, TenantId};
#[cfg(feature = "simulation")]
pub use mutation::Mutation;
pub use pairs::Pairs;
pub use state::{Attributes, Change, Event, Object, Previous, State, Template};
pub use stats::{Figure, Lag, Observer, Stats};
pub use watch::{Delivery, Watcher};

/// A commit's function: what the commit changes, given the state it is decided against, or why it is
/// refused. It is pure, and may run again on another state.
///
/// The i-th change gets revision `state.next_revision() + i`. No change at all is an answer about the
/// current state, and so is a refusal.
pub type CommitFn = Box<dyn FnMut(&State) -> Result<Vec<Change>, Error> + Send>;

/// What the engine asks of the layer above.
pub trait Schema: Send + Sync + 'static {
    /// The revision and the attributes of a stored object's JSON. An error says what is wrong with it.
    fn read(&self, key: &str, value: &[u8]) -> Result<(Revision, Attributes), String>;

    /// A consistent read of the system tenant, begun when this is called: the uid of the project, if
    /// it exists and is not marked as terminating. Never asked for the system tenant itself.
    fn project(&self, tenant: &TenantId) -> BoxFuture<'_, Result<Option<String>, Error>>;

    /// What a new project has. The changes follow the birth's; the first of them gets revision `first`.
    fn born(&self, tenant: &TenantId, uid: &str, first: Revision) -> Vec<Change>;

    /// What a project has from its birth without its being stored: always the same of a tenant.
    fn template(&self, _tenant: &TenantId) -> Template {
        Template::default()
    }
}

/// How the engine behaves; [`Config::default`] is what a server uses.
#[derive(Clone, Debug)]
pub struct Config {
    /// How far back a watch resumes and a list continues, unless [`Config::retention_bytes`] is less.
    pub retention: Duration,
    /// How many bytes of a tenant's log are kept at most for the sake of the retention.
    pub retention_bytes: usize,
    /// How many bytes of events are kept in memory, over all tenants.
    pub tail_bytes: usize,
    /// A batch takes commits up to about this many bytes.
    pub batch_bytes: usize,
    /// A batch takes at most this many commits.
    pub batch_commits: usize,
    /// A commit may have this many bytes.
    pub max_commit_bytes: usize,
    /// An object may have this many bytes.
    pub max_object_bytes: usize,
    /// How long changes wait, and gather, before they are projected.
    pub projection_delay: Duration,
    /// How often a tenant's log is truncated at most.
    pub truncation_interval: Duration,
    /// How long a tenant that nobody uses stays in memory at least.
    pub idle_after: Duration,
    /// How often watched tenants are looked at for others' commits.
    pub poll_interval: Duration,
    /// How many snapshots of a tenant are kept for lists to continue from.
    pub snapshots: usize,
    /// The first pause before a request to the store is tried again; the pauses grow fiftyfold.
    pub retry_delay: Duration,
    /// How long [`Engine::shutdown`] waits for work to end.
    pub shutdown_timeout: Duration,
    /// The rule that is broken, to see that the simulation notices.
    #[cfg(feature = "simulation")]
    pub mutation: Option<Mutation>,
    /// The id that [`Mutation::StableWriter`] writes with.
    #[cfg(feature = "simulation")]
    pub stable_writer: u128,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(300),
            retention_bytes: 64 << 20,
            tail_bytes: 4 << 20,
            batch_bytes: 256 << 10,
            batch_commits: 1024,
            max_commit_bytes: 4 << 20,
            max_object_bytes: 3 << 19,
            projection_delay: Duration::from_secs(1),
            truncation_interval: Duration::from_secs(10),
            idle_after: Duration::from_secs(60),
            poll_interval: Duration::from_secs(1),
            snapshots: 64,
            retry_delay: Duration::from_millis(20),
            shutdown_timeout: Duration::from_secs(5),
            #[cfg(feature = "simulation")]
            mutation: None,
            #[cfg(feature = "simulation")]
            stable_writer: 0,
        }
    }
}

impl Config {
    /// With more bytes than this in its log, a tenant is truncated to the retention's bytes.
    fn most_log_bytes(&self) -> usize {
        self.retention_bytes + self.retention_bytes / 4
    }

    #[cfg(feature = "simulation")]
    fn stable_writer(&self) -> u128 {
        self.stable_writer
    }

    #[cfg(not(feature = "simulation"))]
    const fn stable_writer(&self) -> u128 {
        0
    }

    #[cfg(feature = "simulation")]
    fn mutated(&self, mutation: mutation::Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    #[cfg(not(feature = "simulation"))]
    #[inline(always)]
    const fn mutated(&self, _: mutation::Mutation) -> bool {
        false
    }
}
