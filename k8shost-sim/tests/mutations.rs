//! The test of the test: every rule of the protocol that the engine can break on purpose is noticed,
//! by chance or by a scripted schedule.

use std::ops::Range;

use k8shost_sim::{Setup, Sweep, recipe_for, run, script_for};
use k8shost_store::log::Mutation;

/// One of the seeds catches the mutation, and the unbroken protocol passes it.
fn caught(mutation: Mutation, seeds: Range<u64>) {
    let broken = Setup {
        seed: seeds.start,
        recipe: recipe_for(mutation),
        mutation: Some(mutation),
        // It is caught when it does harm, not when an inner rule is broken.
        white: false,
        trace: false,
    };
    let sweep = Sweep {
        start: seeds.start,
        seeds: seeds.end - seeds.start,
        time: None,
        threads: 1,
    };
    let failed = sweep.run(&broken).failed;
    let (seed, _) = failed.unwrap_or_else(|| panic!("{mutation:?} is not noticed"));
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

/// One test for each mutation that is left to chance, with the seeds to try: ten times as many as it
/// takes on average, so that an engine that has changed is still caught.
macro_rules! caught {
    ($($name:ident: $mutation:ident $seeds:expr,)*) => {
        $(
            #[test]
            fn $name() {
                caught(Mutation::$mutation, $seeds);
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
    trust_any_swap: TrustAnySwap 1..100,
    floor_before_swap: FloorBeforeSwap 1..1500,
    other_confirms: OtherConfirms 1..1500,
    conf_at_arrival: ConfAtArrival 1..200,
    barrier_no_next: BarrierNoNext 1..100,
    rebuild_unknown: RebuildUnknown 1..100,
    rerun_swapped: RerunSwapped 1..200,
    rerun_unanswered: RerunUnanswered 1..400,
    low_has_trusted: LowHasTrusted 1..200,
    no_barrier: NoBarrier 1..100,
    no_premise: NoPremise 1..200,
    trust_2w: Trust2W 1..400,
    repair_snapshot: RepairSnapshot 1..3000,
    no_readback: NoReadback 1..100,
    no_wait: NoWait 1..300,
    delete_before_floor: DeleteBeforeFloor 1..100,
    no_second_floor: NoSecondFloor 1..100,
    log_then_scan: LogThenScan 1..400,
    close_keeps: CloseKeeps 1..100,
    no_closed_flag: NoClosedFlag 1..100,
    reborn_at_1: RebornAt1 1..100,
    birth_unconfirmed: BirthUnconfirmed 1..2500,
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
