//! Schedules through the engine that chance does not find in a day: each breaks one mutation, and the
//! protocol as it is passes.

use k8shost_store::log::Mutation;

use crate::mix::{Mix, Recipe, WINDOW};
use crate::op::Kind;
use crate::rng::Rng;
use crate::run::{Outcome, Setup, Sim};
use crate::script::{Fate, Rule, Verb};

/// The script for a mutation, if it has one.
pub fn script_for(mutation: Mutation) -> Option<Script> {
    match mutation {
        Mutation::FloorAnyOrder => Some(floor_any_order),
        _ => None,
    }
}

/// Runs a schedule, with or without a mutation; `true` keeps the trace.
pub type Script = fn(Option<Mutation>, bool) -> Outcome;

const SYSTEM: usize = 0;

struct Run(Sim);

impl Run {
    fn new(servers: usize, mutation: Option<Mutation>, trace: bool) -> Self {
        let setup = Setup {
            seed: 0,
            recipe: Recipe::Calm,
            mutation,
            white: false,
            trace,
        };
        let sim = Sim::new(&setup, Mix::scripted(servers), Rng::new(0));
        sim.world.core().script.on = true;
        Self(sim)
    }

    fn pass(&mut self, seconds: u64) {
        let now = self.0.world.core().now;
        self.0.go_on(now + seconds * 1000);
    }

    fn ask(&mut self, server: usize, kind: Kind) {
        self.0.ask(None, server, SYSTEM, kind);
    }

    /// The next such request takes effect and is answered after so many seconds.
    fn delay(
        &mut self,
        server: usize,
        verb: Verb,
        key: &'static str,
        apply: u64,
        answer: Option<u64>,
    ) {
        self.0.world.core().script.rules.push(Rule {
            server,
            verb,
            key,
            skip: 0,
            fate: Fate {
                apply_after: Some(apply * 1000),
                answer_after: answer.map(|answer| answer * 1000),
                ..Fate::PLAIN
            },
        });
    }

    fn end(mut self) -> Outcome {
        self.0.quieten();
        self.0.finish()
    }
}

/// A floor that was read before a void batch landed says nothing of that batch.
///
/// Server 0, whose confirmation is old, looks for the end of the log, finds it, and reads the floor; the
/// answer takes its time. Meanwhile the log goes on and is truncated, server 2's append lands where it
/// was, below the floor, and server 0's own append finds it there. Then comes the answer.
fn floor_any_order(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = Run::new(3, mutation, trace);
    run.ask(1, Kind::Create(3));
    run.pass(20);
    run.ask(0, Kind::Read);
    run.ask(2, Kind::Read);
    run.pass(3 * WINDOW / 1000);
    run.delay(2, Verb::Swap, "@log/0000000000000002", 130, None);
    run.ask(2, Kind::Create(4));
    run.pass(2);
    run.0.crash(2);
    run.delay(0, Verb::Get, "@floor", 1, Some(160));
    // The floor is read once more, for what the append has found.
    run.delay(0, Verb::Get, "@floor", 1, Some(60));
    run.delay(0, Verb::Swap, "@log/0000000000000002", 145, Some(1));
    run.ask(0, Kind::Read);
    run.ask(0, Kind::Create(5));
    run.pass(5);
    run.ask(1, Kind::Update(3, None));
    run.pass(5);
    run.ask(1, Kind::Update(3, None));
    run.pass(200);
    run.end()
}
