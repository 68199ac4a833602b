//! What an error of the TiKV client means: whether something may have been done, and what to do next.

use std::error::Error as StdError;
use std::io;

use tikv_client::{Error, ProtoRegionError};

use super::connect::text;
use super::stats::Kind;
use crate::kv::KvError;

/// What became of an attempt without a good answer, for a request that goes to one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing was done; another attempt may do better.
    Refused,
    /// Nothing was done, and no other attempt does better.
    Rejected,
    /// It may have been done, or may yet be.
    Open,
}

/// An attempt without a good answer.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) fate: Fate,
    /// The client is not to be used again.
    pub(super) renew: bool,
    /// The client looked for the region in the wrong place, and will again, unless it is told.
    pub(super) misled: bool,
    pub(super) text: String,
}

impl Fault {
    fn new(kind: Kind, fate: Fate, text: String) -> Self {
        Self {
            kind,
            fate,
            renew: false,
            misled: false,
            text,
        }
    }

    fn renewing(mut self) -> Self {
        self.renew = true;
        self
    }

    /// There is no client, for this reason: nothing was sent.
    pub(super) fn unreached(text: String) -> Self {
        Self::new(Kind::Pd, Fate::Refused, text)
    }

    /// There was no answer in time.
    pub(super) fn silence() -> Self {
        Self::new(Kind::Timeout, Fate::Open, "no answer in time".to_owned()).renewing()
    }

    /// The client panicked, or its runtime ended.
    pub(super) fn broken(text: String) -> Self {
        Self::new(Kind::Client, Fate::Open, text).renewing()
    }

    /// What an error means.
    pub(super) fn of(error: Error) -> Self {
        let text = || text(&error);
        match &error {
            Error::RegionError(error) => Self::of_region(error),
            // One is for all: several are for the keys of one request.
            Error::MultipleKeyErrors(errors) | Error::ExtractedErrors(errors) => {
                let told = errors.iter().map(ToString::to_string);
                let text = told.collect::<Vec<_>>().join("; ");
                Self::of_store(text)
            }
            Error::KvError { message } => Self::of_store(message.clone()),
            // Only a connection that was never there is told of like this, and it poisons the client.
            Error::Grpc(_) => Self::new(Kind::Transport, Fate::Refused, text()).renewing(),
            Error::GrpcAPI(status) => match status.code() as i32 {
                // The client's own clock. The connection may be dead without knowing it.
                CANCELLED => Self::silence(),
                DEADLINE_EXCEEDED => Self::new(Kind::Timeout, Fate::Open, text()),
                RESOURCE_EXHAUSTED | OUT_OF_RANGE => Self::new(Kind::TooLarge, Fate::Open, text()),
                UNIMPLEMENTED => Self::new(Kind::Store, Fate::Rejected, text()),
                // A new client reads the files for TLS again.
                _ if is_tls(status) => Self::new(Kind::Transport, Fate::Open, text()).renewing(),
                _ => Self::new(Kind::Transport, Fate::Open, text()),
            },
            Error::JoinError(_) => Self::broken(text()),
            Error::UnsupportedMode
            | Error::ColumnFamilyError(_)
            | Error::MaxScanLimitExceeded { .. } => Self::new(Kind::Client, Fate::Rejected, text()),
            // An election, mostly. It asks PD again.
            Error::LeaderNotFound { .. } | Error::RegionForKeyNotFound { .. } => {
                Self::new(Kind::Pd, Fate::Refused, text())
            }
            // Whatever else there is comes before a request is sent: PD does not answer, mostly.
            _ => Self::new(Kind::Pd, Fate::Refused, text()).renewing(),
        }
    }

    fn of_region(error: &ProtoRegionError) -> Self {
        use Fate::{Open, Refused, Rejected};
        let (kind, fate) = if error.not_leader.is_some() {
            (Kind::NotLeader, Refused)
        } else if error.epoch_not_match.is_some() {
            (Kind::EpochNotMatch, Refused)
        } else if error.region_not_found.is_some() {
            // A peer that is removed says so of what it has proposed already.
            (Kind::RegionNotFound, Open)
        } else if error.server_is_busy.is_some() {
            (Kind::ServerIsBusy, Refused)
        } else if error.stale_command.is_some() {
            (Kind::StaleCommand, Open)
        } else if error.store_not_match.is_some() {
            (Kind::StoreNotMatch, Refused)
        } else if error.disk_full.is_some() {
            (Kind::DiskFull, Rejected)
        } else if error.raft_entry_too_large.is_some() {
            (Kind::Region, Rejected)
        } else if error.key_not_in_region.is_some()
            || error.proposal_in_merging_mode.is_some()
            || error.read_index_not_ready.is_some()
            || error.region_not_initialized.is_some()
            || error.mismatch_peer_id.is_some()
        {
            (Kind::Region, Refused)
        } else {
            (Kind::Region, Open)
        };
        let text = format!("{} ({})", kind.name(), error.message);
        Self {
            misled: !matches!(kind, Kind::ServerIsBusy | Kind::DiskFull) && fate != Rejected,
            ..Self::new(kind, fate, text)
        }
    }

    fn of_store(text: String) -> Self {
        const NEVER_DONE: [&str; 3] = ["max key size exceeded", "Api version", "invalid cf name"];
        let never = NEVER_DONE.iter().any(|part| text.contains(part));
        let fate = if never { Fate::Rejected } else { Fate::Open };
        Self::new(Kind::Store, fate, text)
    }

    /// The error of a read, which does nothing in any case.
    pub(super) fn of_read(self) -> KvError {
        KvError::Unavailable(self.text)
    }

    /// The error of a write to one region.
    pub(super) fn of_write(self) -> KvError {
        match self.fate {
            Fate::Open => KvError::Unknown(self.text),
            _ if self.kind == Kind::DiskFull => KvError::Full(self.text),
            Fate::Refused | Fate::Rejected => KvError::Unavailable(self.text),
        }
    }
}

/// Whether it comes from TLS, which is what finds invalid data in a connection.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
        || error.source().is_some_and(is_tls)
}

// Codes of gRPC, as numbers: the client has a tonic of its own.
const CANCELLED: i32 = 1;
const DEADLINE_EXCEEDED: i32 = 4;
const RESOURCE_EXHAUSTED: i32 = 8;
const OUT_OF_RANGE: i32 = 11;
const UNIMPLEMENTED: i32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn region(set: impl FnOnce(&mut ProtoRegionError)) -> Fault {
        let mut error = ProtoRegionError::default();
        set(&mut error);
        Fault::of(Error::RegionError(Box::new(error)))
    }

    #[test]
    fn a_region_that_refuses_has_done_nothing() {
        let busy = region(|error| error.server_is_busy = Some(Default::default()));
        assert_eq!((busy.fate, busy.misled), (Fate::Refused, false));
        let leader = region(|error| error.not_leader = Some(Default::default()));
        assert_eq!((leader.fate, leader.misled), (Fate::Refused, true));
        assert!(matches!(leader.of_write(), KvError::Unavailable(_)));
        let full = region(|error| error.disk_full = Some(Default::default()));
        assert!(matches!(full.of_write(), KvError::Full(_)));
    }

    #[test]
    fn what_was_proposed_may_be_done() {
        let stale = region(|error| error.stale_command = Some(Default::default()));
        assert!(matches!(stale.of_write(), KvError::Unknown(_)));
        let gone = region(|error| error.region_not_found = Some(Default::default()));
        assert!(matches!(gone.of_write(), KvError::Unknown(_)));
        let new = region(|_| {});
        assert!(matches!(new.of_write(), KvError::Unknown(_)));
    }

    #[test]
    fn a_store_that_knows_better_is_not_asked_again() {
        let errors = vec![Error::KvError {
            message: "max key size exceeded, size: 8193, limit: 8192".to_owned(),
        }];
        let fault = Fault::of(Error::MultipleKeyErrors(errors));
        assert_eq!(fault.fate, Fate::Rejected);
        let other = Fault::of(Error::KvError {
            message: "?".to_owned(),
        });
        assert_eq!(other.fate, Fate::Open);
    }

    #[test]
    fn before_anything_is_sent_nothing_is_done() {
        let fault = Fault::of(Error::RegionForKeyNotFound { key: vec![] });
        assert_eq!((fault.fate, fault.renew), (Fate::Refused, false));
        let message = "failed to connect".to_owned();
        let fault = Fault::of(Error::InternalError { message });
        assert_eq!((fault.fate, fault.renew), (Fate::Refused, true));
        assert!(Fault::silence().renew);
    }
}
