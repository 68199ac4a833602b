//! Mutations by name, and the mix that each is caught with soonest.

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
    let known = || {
        Mutation::ALL
            .iter()
            .map(|m| format!("{m:?}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    Mutation::ALL
        .iter()
        .find(|mutation| plain(&format!("{mutation:?}")) == plain(name))
        .copied()
        .ok_or_else(|| format!("no mutation {name:?}; there are {}", known()))
}

/// The mix to look for a mutation with.
pub fn recipe_for(mutation: Mutation) -> Recipe {
    match mutation {
        _ => Recipe::Even,
    }
}
