//! What is counted of the requests to a cluster.

use crate::log::Figure;

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Get,
    BatchGet,
    Scan,
    CompareAndSwap,
    Write,
    DeleteRange,
}

const OPERATIONS: [&str; 6] = [
    "get",
    "batch_get",
    "scan",
    "compare_and_swap",
    "write",
    "delete_range",
];

/// Why there was no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    NotLeader,
    EpochNotMatch,
    RegionNotFound,
    ServerIsBusy,
    StaleCommand,
    StoreNotMatch,
    DiskFull,
    /// Another error of the region kind.
    Region,
    /// No connection, or one that broke, or a gRPC status.
    Transport,
    /// No answer in time.
    Timeout,
    /// PD does not answer, or knows no region or leader.
    Pd,
    /// The store did not do it, for a reason of its own.
    Store,
    /// The answer is larger than can be sent.
    TooLarge,
    /// The client broke.
    Client,
}

const KINDS: [&str; 14] = [
    "not_leader",
    "epoch_not_match",
    "region_not_found",
    "server_is_busy",
    "stale_command",
    "store_not_match",
    "disk_full",
    "region",
    "transport",
    "timeout",
    "pd",
    "store",
    "too_large",
    "client",
];

impl Kind {
    /// Its name in metrics and messages.
    pub(super) fn name(self) -> &'static str {
        KINDS[self as usize]
    }
}

/// Which of the two clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// For what is read and swapped.
    Atomic,
    /// For unconditional writes.
    Plain,
}

const CLIENTS: [&str; 2] = ["atomic", "plain"];

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Stats {
    requests: [Figure; 6],
    retries: [Figure; 6],
    errors: [Figure; 14],
    rebuilt: [Figure; 2],
}

/// A label's value, and the count.
pub type Labeled = (&'static str, u64);

fn labeled<'a>(names: &'a [&'static str], figures: &'a [Figure]) -> impl Iterator<Item = Labeled> {
    names.iter().copied().zip(figures.iter().map(Figure::get))
}

impl Stats {
    /// Attempts that were sent, by operation. What the client sends for one attempt may be several
    /// requests, to several regions.
    pub fn requests(&self) -> impl Iterator<Item = Labeled> {
        labeled(&OPERATIONS, &self.requests)
    }

    /// Those among them that were not the first of their request.
    pub fn retries(&self) -> impl Iterator<Item = Labeled> {
        labeled(&OPERATIONS, &self.retries)
    }

    /// Attempts without a good answer, by the kind of error.
    pub fn errors(&self) -> impl Iterator<Item = Labeled> {
        labeled(&KINDS, &self.errors)
    }

    /// Clients that were replaced by new ones: the atomic one, and the plain one.
    pub fn rebuilt(&self) -> impl Iterator<Item = Labeled> {
        labeled(&CLIENTS, &self.rebuilt)
    }

    pub(super) fn sent(&self, operation: Operation) {
        self.requests[operation as usize].add(1);
    }

    pub(super) fn retried(&self, operation: Operation) {
        self.retries[operation as usize].add(1);
    }

    pub(super) fn failed(&self, kind: Kind) {
        self.errors[kind as usize].add(1);
    }

    pub(super) fn replaced(&self, client: Client) {
        self.rebuilt[client as usize].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_counts_belong_together() {
        let stats = Stats::default();
        stats.sent(Operation::DeleteRange);
        stats.retried(Operation::Get);
        stats.failed(Kind::Client);
        stats.failed(Kind::TooLarge);
        stats.replaced(Client::Plain);
        let ones = |all: &mut dyn Iterator<Item = Labeled>| -> Vec<&str> {
            all.filter(|(_, count)| *count == 1)
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(ones(&mut stats.requests()), ["delete_range"]);
        assert_eq!(ones(&mut stats.retries()), ["get"]);
        assert_eq!(ones(&mut stats.errors()), ["too_large", "client"]);
        assert_eq!(ones(&mut stats.rebuilt()), ["plain"]);
        assert_eq!(Kind::Pd.name(), "pd");
    }
}
