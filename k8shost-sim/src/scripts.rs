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
        Mutation::BuildOnUnproved => Some(build_on_unproved),
        Mutation::LoadedAtStart => Some(loaded_at_start),
        Mutation::EagerDebris => Some(eager_debris),
        Mutation::ClosedOwnConfirm => Some(closed_own_confirm),
        Mutation::MineRetryStart => Some(mine_retry_start),
        Mutation::WaitHalf => Some(wait_half),
        Mutation::PremiseW => Some(premise_w),
        Mutation::StableWriter => Some(stable_writer),
        Mutation::AnyTentative => Some(any_tentative),
        Mutation::WatchNoFloor => Some(watch_no_floor),
        _ => None,
    }
}

/// Runs a schedule, with or without a mutation; `true` keeps the trace.
pub type Script = fn(Option<Mutation>, bool) -> Outcome;

/// Schedules that the protocol once did not pass: their names, and `true` keeps the trace.
pub const REGRESSIONS: &[(&str, Regression)] = &[(
    "a watch is told when the log was truncated while it could not look",
    watch_cut_off,
)];

/// Runs such a schedule; `true` keeps the trace.
pub type Regression = fn(bool) -> Outcome;

const SYSTEM: usize = 0;
const PROJECT: usize = 1;

struct Run(Sim);

impl Run {
    fn new(servers: usize, mutation: Option<Mutation>, trace: bool) -> Self {
        Self::with(Mix::scripted(servers), mutation, trace)
    }

    fn with(mix: Mix, mutation: Option<Mutation>, trace: bool) -> Self {
        let setup = Setup {
            seed: 0,
            recipe: Recipe::Calm,
            mutation,
            white: mutation.is_none(),
            trace,
        };
        let sim = Sim::new(&setup, mix, Rng::new(0));
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

    fn ask_project(&mut self, server: usize, kind: Kind) {
        self.0.ask(None, server, PROJECT, kind);
    }

    fn rule(&mut self, server: usize, verb: Verb, key: &'static str, fate: Fate) -> &mut Self {
        let rule = Rule {
            server,
            verb,
            key,
            until: None,
            fate,
        };
        self.0.world.core().script.rules.push(rule);
        self
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
        let fate = Fate {
            apply_after: Some(apply * 1000),
            answer_after: answer.map(|answer| answer * 1000),
            ..Fate::PLAIN
        };
        self.rule(server, verb, key, fate);
    }

    /// Such requests are lost for so many seconds.
    fn lose(&mut self, server: usize, verb: Verb, key: &'static str, seconds: u64) {
        let fate = Fate {
            apply_after: None,
            ..Fate::PLAIN
        };
        self.rule(server, verb, key, fate);
        let mut core = self.0.world.core();
        let until = core.now + seconds * 1000;
        if let Some(rule) = core.script.rules.last_mut() {
            rule.until = Some(until);
        }
    }

    fn end(mut self) -> Outcome {
        self.0.quieten();
        self.0.finish()
    }
}

/// Servers 0 and 2 know revision 1, and have not looked for long. Server 2 sends an append for revision 2,
/// which will land after so many seconds, and dies.
fn stale_append(mutation: Option<Mutation>, trace: bool, lands: u64) -> Run {
    let run = Run::new(3, mutation, trace);
    with_stale_append(run, lands)
}

fn with_stale_append(mut run: Run, lands: u64) -> Run {
    run.ask(1, Kind::Create(3));
    run.pass(20);
    run.ask(0, Kind::Read);
    run.ask(2, Kind::Read);
    run.pass(3 * WINDOW / 1000);
    run.delay(2, Verb::Swap, "@log/0000000000000002", lands, None);
    run.ask(2, Kind::Create(4));
    run.pass(2);
    run.0.crash(2);
    run
}

/// A floor that was read before a void batch landed says nothing of that batch.
///
/// Server 0, whose confirmation is old, looks for the end of the log, finds it, and reads the floor; the
/// answer takes its time. Meanwhile the log goes on and is truncated, server 2's append lands where it
/// was, below the floor, and server 0's own append finds it there. Then comes the answer.
fn floor_any_order(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = stale_append(mutation, trace, 130);
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

/// What is built on a void batch may land on the log all the same.
///
/// Revision 2 is truncated, and server 2's append lands there. Server 0, which is still at 1, finds it; the
/// batch that follows it would be the log's next.
fn build_on_unproved(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = stale_append(mutation, trace, 130);
    run.ask(1, Kind::Update(3, None));
    run.pass(150);
    // On the log's own revision 2 this is a conflict.
    run.ask(0, Kind::Update(3, Some(1)));
    run.pass(30);
    run.end()
}

/// A load that lasts for the window has read its last batches at its end, not at its beginning.
///
/// Server 0 projects an object, and the write is as late as it may be; meanwhile the object is deleted. Server
/// 1, whose load began long ago, reads that deletion, and must not truncate it before the write is over.
fn loaded_at_start(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = Run::new(2, mutation, trace);
    run.ask(0, Kind::Create(3));
    // What is watched stays in memory.
    run.0.watch_at(0, 0, SYSTEM, 0);
    run.pass(3 * WINDOW / 1000);
    run.delay(1, Verb::Scan, "@system/A", 1, Some(WINDOW / 1000 + 5));
    run.ask(1, Kind::Read);
    run.pass(WINDOW / 1000 + 1);
    run.delay(
        0,
        Verb::Write,
        "credentials/acme/b",
        WINDOW / 2000 - 1,
        Some(1),
    );
    run.ask(0, Kind::Create(4));
    run.pass(4);
    run.ask(0, Kind::Delete(4));
    run.pass(WINDOW / 1000);
    run.end()
}

/// A project is made again, and with it an object; its projection is still the one of the former life, and
/// the floor is between the birth and the object's creation.
fn debris(mutation: Option<Mutation>, trace: bool) -> Run {
    let mut run = Run::new(2, mutation, trace);
    run.ask(0, Kind::Begin(1));
    run.pass(5);
    run.ask_project(0, Kind::Create(1));
    run.pass(3 * WINDOW / 1000);
    run.lose(0, Verb::Write, "pods/default/a", 85);
    run.ask(0, Kind::Mark(1));
    run.pass(5);
    run.ask(0, Kind::Finish(PROJECT));
    run.pass(15);
    run.ask(0, Kind::Begin(1));
    run.pass(5);
    run.ask_project(0, Kind::Touch(1));
    run.pass(25);
    run.ask_project(0, Kind::Create(1));
    run.pass(32);
    run
}

/// What a loader has seen to be debris may be something else when its delete is sent.
///
/// Server 1 scans the debris; until it is answered, the object's projection is written and read back, and
/// the log forgets the object's creation.
fn eager_debris(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = debris(mutation, trace);
    run.delay(1, Verb::Scan, "p0/A", 1, Some(150));
    run.ask_project(1, Kind::Read);
    run.pass(200);
    run.end()
}

/// Debris is what the state does not have when the write is sent, not what it did not have once.
///
/// Server 1 loads while there is debris, and can't remove it for a while; meanwhile the key has a projection
/// that is right, and the log forgets it.
fn closed_own_confirm(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = debris(mutation, trace);
    run.lose(1, Verb::Write, "pods/default/a", 150);
    run.ask_project(1, Kind::Read);
    run.pass(400);
    run.end()
}

/// An append that took several attempts has found the end of the log when the first of them began.
///
/// Server 0's first attempt takes effect, and it hears of that only with the third. Meanwhile server 1 has
/// changed the object again, and so server 0's state is no longer one to project.
fn mine_retry_start(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = Run::new(2, mutation, trace);
    run.ask(0, Kind::Read);
    run.ask(1, Kind::Read);
    run.pass(10);
    let first = "@log/0000000000000001";
    run.delay(0, Verb::Swap, first, 1, None);
    run.ask(0, Kind::Create(3));
    run.pass(2);
    run.lose(0, Verb::Swap, first, 20);
    run.delay(
        0,
        Verb::Write,
        "credentials/acme/a",
        WINDOW / 2000 - 1,
        None,
    );
    run.ask(1, Kind::Update(3, None));
    run.pass(2 * WINDOW / 1000);
    run.end()
}

/// A projection that was sent with the oldest confirmation that will do lands as late as it may; till then
/// the log must not forget what it is overruled by.
fn wait_half(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut mix = Mix::scripted(2);
    mix.projection_delay = WINDOW / 4 - 2000;
    let mut run = Run::with(mix, mutation, trace);
    run.ask(0, Kind::Create(3));
    run.pass(3 * WINDOW / 1000);
    run.ask(0, Kind::Read);
    run.ask(1, Kind::Read);
    run.pass(20);
    run.delay(
        0,
        Verb::Write,
        "credentials/acme/a",
        WINDOW / 2000 - 1,
        None,
    );
    run.ask(0, Kind::Update(3, None));
    run.pass(1);
    run.ask(1, Kind::Update(3, None));
    run.pass(2 * WINDOW / 1000);
    run.end()
}

/// A projection that is sent again and again has to be confirmed again.
///
/// Server 0's projections are lost for a while. When one is not, the object has long been changed by server
/// 1, and the log forgets that before the projection lands.
fn premise_w(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = Run::new(2, mutation, trace);
    run.ask(1, Kind::Read);
    run.ask(0, Kind::Read);
    run.pass(10);
    let key = "credentials/acme/a";
    run.lose(0, Verb::Write, key, 33);
    run.delay(0, Verb::Write, key, WINDOW / 2000 - 1, None);
    run.ask(0, Kind::Create(3));
    run.pass(2);
    run.ask(1, Kind::Update(3, None));
    run.pass(2 * WINDOW / 1000);
    run.end()
}

/// What a process has left behind is not its successor's.
///
/// Server 0 sends an append, dies, starts again, and sends another for the same revision. The first one
/// lands first.
fn stable_writer(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = Run::new(1, mutation, trace);
    run.ask(0, Kind::Read);
    run.pass(10);
    let first = "@log/0000000000000001";
    run.delay(0, Verb::Swap, first, 20, None);
    run.ask(0, Kind::Create(3));
    run.pass(2);
    run.0.crash(0);
    run.0.start(0);
    run.delay(0, Verb::Swap, first, 30, Some(1));
    run.ask(0, Kind::Create(4));
    run.pass(2 * WINDOW / 1000);
    run.end()
}

/// What is read from memory is proved.
///
/// Revision 2 is truncated, and server 2's append lands there. Server 0 finds it, and has asked for the floor.
fn any_tentative(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut run = stale_append(mutation, trace, 130);
    run.ask(1, Kind::Update(3, None));
    run.pass(150);
    run.delay(0, Verb::Get, "@floor", 1, Some(30));
    run.ask(0, Kind::Read);
    run.pass(10);
    run.ask(0, Kind::Cached);
    run.pass(60);
    run.end()
}

/// A batch where server 0 knows one to be may be another, once the log is truncated.
///
/// Server 0 knows revision 2, but does not keep its events. Server 1 truncates it, which server 0 does not hear
/// of, and server 2's append lands there.
fn watch_no_floor(mutation: Option<Mutation>, trace: bool) -> Outcome {
    let mut mix = Mix::scripted(3);
    mix.tail_bytes = 0;
    let mut run = with_stale_append(Run::with(mix, mutation, trace), 130);
    run.ask(1, Kind::Update(3, None));
    run.pass(10);
    run.ask(0, Kind::Read);
    run.pass(10);
    run.lose(0, Verb::Get, "@floor", 200);
    run.pass(150);
    run.0.watch_at(0, 0, SYSTEM, 1);
    run.pass(100);
    run.end()
}

/// Server 1 watches, and can't look at the log for longer than the window. Server 0 has committed and
/// truncated meanwhile: what server 1 would have found is gone.
fn watch_cut_off(trace: bool) -> Outcome {
    let mut mix = Mix::scripted(2);
    mix.poll_interval = 10_000;
    let mut run = Run::with(mix, None, trace);
    run.ask(0, Kind::Create(3));
    run.pass(20);
    run.0.watch_at(0, 1, SYSTEM, 1);
    run.pass(20);
    run.lose(
        1,
        Verb::BatchGet,
        "@log/0000000000000002",
        10 * WINDOW / 1000,
    );
    run.ask(0, Kind::Update(3, None));
    run.pass(20 * WINDOW / 1000);
    // Nobody asks server 1 for anything.
    run.0.finish()
}
