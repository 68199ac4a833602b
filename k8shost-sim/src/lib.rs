//! A deterministic simulation of the tenant log: the engine itself, over a simulated store with every
//! fault that the protocol allows for, on simulated time, with a checker that knows the true log.
//!
//! [`run`] runs a seed. What is modelled and checked is told in `docs/simulation.md`.

mod aim;
mod check;
mod client;
mod env;
mod format;
mod ghost;
#[cfg(test)]
mod harness;
mod history;
mod kv;
mod landed;
mod mix;
mod names;
mod object;
mod op;
mod request;
mod rng;
mod run;
mod schema;
mod script;
mod scripts;
mod servers;
mod stats;
mod store;
mod sweep;
mod tasks;
mod world;

pub use aim::{mutation_named, recipe_for};
pub use mix::{RECIPES, Recipe};
pub use run::{Outcome, Setup, run};
pub use scripts::{REGRESSIONS, Regression, Script, script_for};
pub use stats::Stats;
pub use sweep::{Sweep, Swept};
