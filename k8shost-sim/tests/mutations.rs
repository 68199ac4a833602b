//! The test of the test: every rule of the protocol that the engine can break on purpose is noticed.
//!
//! For each there is a seed that is known to catch it. If the engine has changed, so that the seed is
//! another run, others are looked for. The unbroken protocol passes the seed that caught it.

use k8shost_sim::{Setup, Sweep, recipe_for, run, script_for};
use k8shost_store::log::Mutation;

/// So many other seeds are run when the known one no longer catches.
const SEARCH: u64 = 20_000;

fn caught(mutation: Mutation, seed: u64) {
    let broken = Setup {
        seed,
        recipe: recipe_for(mutation),
        mutation: Some(mutation),
        white: false,
        trace: false,
    };
    let seed = if run(&broken).violation.is_some() {
        seed
    } else {
        let sweep = Sweep {
            start: 1,
            seeds: SEARCH,
            time: None,
            threads: 2,
        };
        let failed = sweep.run(&broken).failed;
        let (seed, _) = failed.unwrap_or_else(|| panic!("{mutation:?} is not noticed"));
        seed
    };
    let whole = Setup {
        seed,
        mutation: None,
        white: true,
        ..broken
    };
    assert_eq!(
        run(&whole).violation,
        None,
        "{mutation:?}, seed {seed}, unbroken"
    );
}

/// One test for each mutation, with a seed that catches it.
macro_rules! caught {
    ($($name:ident: $mutation:ident $seed:literal,)*) => {
        $(
            #[test]
            fn $name() {
                caught(Mutation::$mutation, $seed);
            }
        )*

        #[test]
        fn every_mutation_has_a_test() {
            let tested = [$(Mutation::$mutation,)*];
            for mutation in Mutation::ALL {
                let scripted = script_for(*mutation).is_some();
                assert!(scripted != tested.contains(mutation), "{mutation:?}");
            }
        }
    };
}

caught! {
SEEDS
}

#[test]
fn scripted_schedules_catch_what_chance_does_not() {
    for &mutation in Mutation::ALL {
        let Some(script) = script_for(mutation) else {
            continue;
        };
        assert_eq!(
            script(None, false).violation,
            None,
            "{mutation:?}, unbroken"
        );
        assert!(
            script(Some(mutation), false).violation.is_some(),
            "{mutation:?}"
        );
    }
}
