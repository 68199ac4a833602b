//! The protocol's rules that the simulation breaks, one at a time, to see that it would notice.

/// A rule left out, or read another way. Each of them loses, doubles or disorders something.
// Without the feature nothing outside of the crate can name it.
#[cfg_attr(not(feature = "simulation"), allow(unreachable_pub, missing_docs))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// Trust a swap, however old the confirmation.
    TrustAnySwap,
    /// Read the floor before the swap instead of after.
    FloorBeforeSwap,
    /// Count another's batch as a confirmation.
    OtherConfirms,
    /// Append on top of a batch that is not proved.
    BuildOnUnproved,
    /// Date a confirmation by the last attempt instead of the first.
    MineRetryStart,
    /// Date a confirmation by the arrival of the answer instead of the start of the operation.
    ConfAtArrival,
    /// An empty barrier with nothing unproved before it is proved, whatever the floor.
    BarrierNoNext,
    /// Build another batch when the outcome of one is unknown.
    RebuildUnknown,
    /// The floor has passed: run again what was sent once and answered as swapped.
    RerunSwapped,
    /// The floor has passed: run again what had an attempt without an answer.
    RerunUnanswered,
    /// Compare the floor with batches that were proved already, and run again what was swapped.
    LowHasTrusted,
    /// Read and refuse without a barrier.
    NoBarrier,
    /// Answer `resourceVersion=0` from batches that are not proved.
    AnyTentative,
    /// One read of the floor vouches for batches that were read after it was sent.
    FloorAnyOrder,
    /// Write projections however old the confirmation.
    NoPremise,
    /// A premise of `W` instead of `W/4`.
    PremiseW,
    /// Trust for `2W` instead of `W/2`.
    Trust2W,
    /// Truncation repairs from the state as it was when the truncation began.
    RepairSnapshot,
    /// Truncate without reading back.
    NoReadback,
    /// Truncate without waiting for `W`.
    NoWait,
    /// Truncate `W/2` after a batch was read or swapped.
    WaitHalf,
    /// The log is deleted when the floor's move is sent, not when it is known.
    DeleteBeforeFloor,
    /// Load without reading the floor again.
    NoSecondFloor,
    /// Load the log first, then the projections.
    LogThenScan,
    /// A loader takes objects from before a close for alive.
    CloseKeeps,
    /// A loader deletes debris as it sees it, premise or not.
    EagerDebris,
    /// Debris is removed by key, without looking at whether the state has the key again.
    ClosedOwnConfirm,
    /// What a load has read counts as read when the load began.
    LoadedAtStart,
    /// The floor does not say that the tenant is closed.
    NoClosedFlag,
    /// A tenant that is closed loses its floor: born again, it starts at revision 1.
    RebornAt1,
    /// A birth is run again at any revision, on what the system tenant said before.
    BirthUnconfirmed,
    /// A watch from the log does not read the floor after the batch.
    WatchNoFloor,
    /// The writer's id survives a restart, and sequence numbers start over.
    StableWriter,
}

impl Mutation {
    /// All of them.
    #[cfg(feature = "simulation")]
    pub const ALL: &[Self] = &[
        Self::TrustAnySwap,
        Self::FloorBeforeSwap,
        Self::OtherConfirms,
        Self::BuildOnUnproved,
        Self::MineRetryStart,
        Self::ConfAtArrival,
        Self::BarrierNoNext,
        Self::RebuildUnknown,
        Self::RerunSwapped,
        Self::RerunUnanswered,
        Self::LowHasTrusted,
        Self::NoBarrier,
        Self::AnyTentative,
        Self::FloorAnyOrder,
        Self::NoPremise,
        Self::PremiseW,
        Self::Trust2W,
        Self::RepairSnapshot,
        Self::NoReadback,
        Self::NoWait,
        Self::WaitHalf,
        Self::DeleteBeforeFloor,
        Self::NoSecondFloor,
        Self::LogThenScan,
        Self::CloseKeeps,
        Self::EagerDebris,
        Self::ClosedOwnConfirm,
        Self::LoadedAtStart,
        Self::NoClosedFlag,
        Self::RebornAt1,
        Self::BirthUnconfirmed,
        Self::WatchNoFloor,
        Self::StableWriter,
    ];
}
