//! Runs seeds of the simulation, traces one, or measures how many it takes to catch each mutation.
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use k8shost_sim::{Outcome, Recipe, Setup, Sweep, mutation_named, recipe_for, run, script_for};
use k8shost_store::log::Mutation;

/// Simulates several servers over a faulty store, and checks what they do against the true log.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    start: u64,
    /// Begin no new seed after so many seconds.
    #[arg(long)]
    secs: Option<u64>,
    /// How many seeds to run at once.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How faults and load are drawn: any, even, void, stale, lives, debris, loads, embedded, broken, calm.
    #[arg(long, default_value = "any")]
    mix: Recipe,
    /// The rule of the protocol to break.
    #[arg(long, value_parser = mutation_named)]
    mutation: Option<Mutation>,
    /// Print what happens in this seed, and run no other.
    #[arg(long)]
    trace: Option<u64>,
    /// Of a trace, print only so many lines at the end.
    #[arg(long)]
    last: Option<usize>,
    /// Run the scripted schedule of the mutation, if it has one, and print what happens.
    #[arg(long, requires = "mutation")]
    script: bool,
    /// With --script: leave the protocol as it is.
    #[arg(long, requires = "script")]
    unbroken: bool,
    /// Print how many seeds it takes to catch each mutation; --secs is for each, and one is run at once.
    #[arg(long)]
    table: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let setup = Setup {
        seed: args.trace.unwrap_or(args.start),
        recipe: args.mix,
        mutation: args.mutation,
        // A mutation is caught when it does harm, not when an inner rule is broken.
        white: args.mutation.is_none() && !args.table,
        trace: args.trace.is_some(),
    };
    if let (true, Some(mutation)) = (args.script, args.mutation) {
        let Some(script) = script_for(mutation) else {
            println!("{mutation:?} has no script");
            return ExitCode::FAILURE;
        };
        return trace(&args, &script((!args.unbroken).then_some(mutation), true));
    }
    if args.table {
        table(&args, &setup);
        return ExitCode::SUCCESS;
    }
    if args.trace.is_some() {
        return trace(&args, &run(&setup));
    }
    let sweep = Sweep {
        start: args.start,
        seeds: args.seeds,
        time: args.secs.map(Duration::from_secs),
        threads: args.threads,
    };
    let swept = sweep.run(&setup);
    let seconds = swept.took.as_secs_f64();
    println!(
        "{} seeds in {seconds:.1} s, {:.0} KV requests/s: {}",
        swept.seeds,
        swept.stats.kv as f64 / seconds,
        swept.stats
    );
    let Some((seed, violation)) = swept.failed else {
        return ExitCode::SUCCESS;
    };
    println!("seed {seed}: {violation}");
    let mix = recipe_name(args.mix);
    let mutation = args
        .mutation
        .map_or(String::new(), |m| format!(" --mutation {m:?}"));
    println!(
        "reproduce: cargo run --release -p k8shost-sim -- --mix {mix}{mutation} --trace {seed}"
    );
    ExitCode::FAILURE
}

fn recipe_name(recipe: Recipe) -> &'static str {
    k8shost_sim::RECIPES
        .iter()
        .find(|known| known.0 == recipe)
        .map_or("any", |known| known.1)
}

fn trace(args: &Args, outcome: &Outcome) -> ExitCode {
    let skip = args
        .last
        .map_or(0, |last| outcome.trace.len().saturating_sub(last));
    for line in &outcome.trace[skip..] {
        println!("{line}");
    }
    println!("hash {:016x}; {}", outcome.hash, outcome.stats);
    match &outcome.violation {
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

/// One lucky seed does not make a figure: each mutation is to be caught so many times.
const CATCHES: u64 = 20;

fn table(args: &Args, setup: &Setup) {
    println!("| mutation | mix | seeds to catch | script | caught first as |");
    println!("| --- | --- | --- | --- | --- |");
    for &mutation in Mutation::ALL {
        if args.mutation.is_some_and(|only| only != mutation) {
            continue;
        }
        let recipe = if args.mix == Recipe::Any {
            recipe_for(mutation)
        } else {
            args.mix
        };
        let setup = Setup {
            recipe,
            mutation: Some(mutation),
            ..*setup
        };
        let (mut seeds, mut catches, mut how) = (0, 0, None);
        let mut left = Duration::from_secs(args.secs.unwrap_or(60));
        while catches < CATCHES && seeds < args.seeds && !left.is_zero() {
            let swept = Sweep {
                start: args.start + seeds,
                seeds: args.seeds - seeds,
                time: Some(left),
                threads: 1,
            }
            .run(&setup);
            left = left.saturating_sub(swept.took);
            seeds += swept.seeds;
            if let Some((_, violation)) = swept.failed {
                catches += 1;
                how.get_or_insert(violation);
            }
        }
        let figure = match catches {
            0 => format!("none in {seeds}"),
            CATCHES => format!("{}", seeds.div_ceil(catches)),
            _ => format!("{} ({catches} in {seeds})", seeds.div_ceil(catches)),
        };
        let script = script_for(mutation).map(|script| script(Some(mutation), false).violation);
        let scripted = match &script {
            None => "",
            Some(None) => "passes",
            Some(Some(_)) => "yes",
        };
        let how = how.or(script.flatten()).unwrap_or_default();
        let how: String = how.chars().take(100).collect();
        println!(
            "| `{mutation:?}` | {} | {figure} | {scripted} | {} |",
            recipe_name(recipe),
            how.replace('|', "\\|")
        );
    }
}
