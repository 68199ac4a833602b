//! Mutations by name, and how each is caught.

use k8shost_store::log::Mutation;

use crate::mix::Recipe;

/// The mutation with this name, however it is written: `NoBarrier`, `no_barrier`, `no-barrier`.
pub fn mutation_named(name: &str) -> Result<Mutation, String> {
    let plain = |name: &str| {
        name.chars()
            .filter(|c| c.is_ascii_alphanumeric())
            .map(|c| c.to_ascii_lowercase())
            .collect::<String>()
    };
    let all = Mutation::ALL.iter();
    let known = || {
        let names: Vec<_> = all
            .clone()
            .map(|mutation| format!("{mutation:?}"))
            .collect();
        names.join(", ")
    };
    all.clone()
        .find(|mutation| plain(&format!("{mutation:?}")) == plain(name))
        .copied()
        .ok_or_else(|| format!("no mutation {name:?}; there are {}", known()))
}

/// The mix that a mutation is caught with soonest.
pub fn recipe_for(mutation: Mutation) -> Recipe {
    match mutation {
        Mutation::TrustAnySwap
        | Mutation::BuildOnUnproved
        | Mutation::OtherConfirms
        | Mutation::MineRetryStart
        | Mutation::ConfAtArrival
        | Mutation::RerunSwapped
        | Mutation::RerunUnanswered
        | Mutation::LowHasTrusted
        | Mutation::AnyTentative
        | Mutation::FloorAnyOrder
        | Mutation::Trust2W
        | Mutation::WatchNoFloor => Recipe::Void,
        Mutation::PremiseW | Mutation::RepairSnapshot | Mutation::WaitHalf => Recipe::Stale,
        Mutation::CloseKeeps
        | Mutation::ClosedOwnConfirm
        | Mutation::BirthUnconfirmed
        | Mutation::NoClosedFlag
        | Mutation::RebornAt1 => Recipe::Lives,
        Mutation::EagerDebris => Recipe::Debris,
        Mutation::LogThenScan
        | Mutation::NoSecondFloor
        | Mutation::LoadedAtStart
        | Mutation::StableWriter => Recipe::Loads,
        Mutation::FloorBeforeSwap
        | Mutation::BarrierNoNext
        | Mutation::RebuildUnknown
        | Mutation::NoBarrier
        | Mutation::NoPremise
        | Mutation::NoReadback
        | Mutation::NoWait
        | Mutation::DeleteBeforeFloor => Recipe::Even,
    }
}
