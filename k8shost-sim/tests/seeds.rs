//! A few hundred seeds of every mix, the protocol unbroken.

use k8shost_sim::{REGRESSIONS, Recipe, Setup, Sweep, run};

fn setup(recipe: Recipe) -> Setup {
    Setup {
        seed: 0,
        recipe,
        mutation: None,
        white: true,
        trace: false,
    }
}

fn holds(recipe: Recipe, seeds: u64) {
    let sweep = Sweep {
        start: 1,
        seeds,
        time: None,
        threads: 1,
    };
    let swept = sweep.run(&setup(recipe));
    assert_eq!(swept.failed, None, "{recipe:?}");
    assert_eq!(swept.seeds, seeds);
    assert!(swept.stats.commits > 0 && swept.stats.reads > 0 && swept.stats.events > 0);
}

#[test]
fn the_protocol_holds_under_every_fault() {
    holds(Recipe::Even, 120);
}

#[test]
fn the_protocol_holds_while_batches_are_void() {
    holds(Recipe::Void, 60);
}

#[test]
fn the_protocol_holds_while_projections_are_stale() {
    holds(Recipe::Stale, 50);
}

#[test]
fn the_protocol_holds_while_projects_come_and_go() {
    holds(Recipe::Lives, 50);
    holds(Recipe::Debris, 50);
}

#[test]
fn the_protocol_holds_while_tenants_are_loaded() {
    holds(Recipe::Loads, 80);
}

#[test]
fn the_protocol_holds_where_one_process_has_the_store() {
    holds(Recipe::Embedded, 30);
}

#[test]
fn the_protocol_holds_without_faults() {
    holds(Recipe::Calm, 40);
}

#[test]
fn the_digest_tells_when_the_time_bound_is_broken() {
    let sweep = Sweep {
        start: 1,
        seeds: 60,
        time: None,
        threads: 1,
    };
    let swept = sweep.run(&setup(Recipe::Broken));
    assert_eq!(swept.failed, None);
    assert!(
        swept.stats.told > 0,
        "the bound was never broken to any effect"
    );
}

#[test]
fn the_same_seed_is_the_same_run() {
    for recipe in [Recipe::Even, Recipe::Lives, Recipe::Embedded] {
        for seed in 1..12 {
            let setup = Setup {
                seed,
                ..setup(recipe)
            };
            let (one, two) = (run(&setup), run(&setup));
            assert_eq!(one.hash, two.hash, "{recipe:?} {seed}");
            assert_eq!(
                one.stats.to_string(),
                two.stats.to_string(),
                "{recipe:?} {seed}"
            );
        }
    }
}

#[test]
fn another_seed_is_another_run() {
    let hash = |seed| {
        let setup = Setup {
            seed,
            ..setup(Recipe::Even)
        };
        run(&setup).hash
    };
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_trace_does_not_change_the_run() {
    let plain = Setup {
        seed: 3,
        ..setup(Recipe::Even)
    };
    let traced = run(&Setup {
        trace: true,
        ..plain
    });
    assert_eq!(run(&plain).hash, traced.hash);
    assert!(!traced.trace.is_empty());
}

#[test]
fn schedules_that_once_failed_pass() {
    for (name, script) in REGRESSIONS {
        assert_eq!(script(false).violation, None, "{name}");
    }
}
