//! Seeds of every mix, the protocol unbroken: together more than a million operations of clients.

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

/// Seeds that nothing is wrong with, and how many operations they come to at least.
fn hold(recipe: Recipe, seeds: u64, operations: u64) {
    let sweep = Sweep {
        start: 1,
        seeds,
        time: None,
        threads: 1,
    };
    let swept = sweep.run(&setup(recipe));
    assert_eq!(swept.failed, None, "{recipe:?}");
    assert_eq!(swept.seeds, seeds);
    let stats = swept.stats;
    assert!(stats.commits > 0 && stats.reads > 0 && stats.events > 0);
    let came_to = stats.operations;
    assert!(came_to >= operations, "{recipe:?}: {came_to} operations");
}

#[test]
fn the_protocol_holds_under_every_fault() {
    hold(Recipe::Even, 1800, 200_000);
}

#[test]
fn the_protocol_holds_while_batches_are_void() {
    hold(Recipe::Void, 800, 100_000);
}

#[test]
fn the_protocol_holds_while_projections_are_stale() {
    hold(Recipe::Stale, 700, 110_000);
}

#[test]
fn the_protocol_holds_while_projects_come_and_go() {
    hold(Recipe::Lives, 550, 100_000);
}

#[test]
fn the_protocol_holds_while_former_lives_leave_things_behind() {
    hold(Recipe::Debris, 450, 60_000);
}

#[test]
fn the_protocol_holds_while_tenants_are_loaded() {
    hold(Recipe::Loads, 700, 60_000);
}

#[test]
fn the_protocol_holds_where_one_process_has_the_store() {
    hold(Recipe::Embedded, 80, 300_000);
}

#[test]
fn the_protocol_holds_without_faults() {
    hold(Recipe::Calm, 400, 80_000);
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
