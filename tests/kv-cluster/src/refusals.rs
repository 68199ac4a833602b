//! The errors with which a store refuses a request because of its region.

use crate::faults::RegionError;
use crate::proto::{errorpb, kvrpcpb, metapb};
use crate::topology::{Region, Topology};

impl Topology {
    /// A region error out of nowhere, as a fault wants it.
    pub(crate) fn injected(&self, context: &kvrpcpb::Context, kind: RegionError) -> errorpb::Error {
        let id = context.region_id;
        let region = self.region(id);
        let mut error = errorpb::Error::default();
        match kind {
            RegionError::EpochNotMatch => {
                return match region {
                    Some(region) => self.epoch_not_match(region),
                    None => epoch_not_match(Vec::new()),
                };
            }
            RegionError::EpochNotMatchUnknown => return epoch_not_match(Vec::new()),
            RegionError::RegionNotFound => return region_not_found(id),
            RegionError::NotLeader => {
                return not_leader(id, region.and_then(Region::leader_peer));
            }
            RegionError::NotLeaderUnknown => return not_leader(id, None),
            RegionError::ServerIsBusy => return server_is_busy(),
            RegionError::StaleCommand => {
                error.stale_command = Some(errorpb::StaleCommand {});
            }
            RegionError::StoreNotMatch => {
                error.store_not_match = Some(errorpb::StoreNotMatch {
                    request_store_id: context.peer.unwrap_or_default().store_id,
                    actual_store_id: 0,
                });
            }
            RegionError::KeyNotInRegion => {
                error.key_not_in_region = Some(errorpb::KeyNotInRegion {
                    region_id: id,
                    ..Default::default()
                });
            }
            RegionError::RaftEntryTooLarge => return raft_entry_too_large(id, 0),
            RegionError::ProposalInMergingMode => {
                error.proposal_in_merging_mode =
                    Some(errorpb::ProposalInMergingMode { region_id: id });
            }
            RegionError::ReadIndexNotReady => {
                error.read_index_not_ready = Some(errorpb::ReadIndexNotReady {
                    reason: "injected".to_owned(),
                    region_id: id,
                });
            }
            RegionError::DiskFull => {
                error.disk_full = Some(errorpb::DiskFull {
                    store_id: vec![context.peer.unwrap_or_default().store_id],
                    reason: "injected".to_owned(),
                });
            }
        }
        "injected".clone_into(&mut error.message);
        error
    }
}

pub(crate) fn epoch_not_match(current_regions: Vec<metapb::Region>) -> errorpb::Error {
    errorpb::Error {
        message: "epoch not match".to_owned(),
        epoch_not_match: Some(errorpb::EpochNotMatch { current_regions }),
        ..Default::default()
    }
}

pub(crate) fn region_not_found(region_id: u64) -> errorpb::Error {
    errorpb::Error {
        message: format!("region {region_id} is missing"),
        region_not_found: Some(errorpb::RegionNotFound { region_id }),
        ..Default::default()
    }
}

pub(crate) fn not_leader(region_id: u64, leader: Option<metapb::Peer>) -> errorpb::Error {
    errorpb::Error {
        message: format!("peer is not leader for region {region_id}"),
        not_leader: Some(errorpb::NotLeader { region_id, leader }),
        ..Default::default()
    }
}

pub(crate) fn server_is_busy() -> errorpb::Error {
    errorpb::Error {
        message: "server is busy".to_owned(),
        server_is_busy: Some(errorpb::ServerIsBusy {
            reason: "injected".to_owned(),
            backoff_ms: 0,
        }),
        ..Default::default()
    }
}

pub(crate) fn raft_entry_too_large(region_id: u64, entry_size: u64) -> errorpb::Error {
    errorpb::Error {
        message: format!("raft entry is too large, region {region_id}, entry size {entry_size}"),
        raft_entry_too_large: Some(errorpb::RaftEntryTooLarge {
            region_id,
            entry_size,
        }),
        ..Default::default()
    }
}

pub(crate) fn key_not_in_region(region: &Region, key: &[u8]) -> errorpb::Error {
    errorpb::Error {
        message: format!("key {} is not in region {}", key.escape_ascii(), region.id),
        key_not_in_region: Some(errorpb::KeyNotInRegion {
            key: key.to_owned(),
            region_id: region.id,
            start_key: region.start.clone(),
            end_key: region.end.clone(),
        }),
        ..Default::default()
    }
}
