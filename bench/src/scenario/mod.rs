//! What can be measured, one file each.

mod list;
mod machine;
mod memory;
mod objects;
mod start;
mod tenants;
mod watch;

use crate::{
    args::Scenario,
    host::Bench,
    load::Load,
    procfs::Usage,
    report::{Run, Section},
};

/// All scenarios, in the order in which they are run.
pub(crate) const ALL: [Scenario; 10] = [
    Scenario::Machine,
    Scenario::Creates,
    Scenario::Gets,
    Scenario::Updates,
    Scenario::Deletes,
    Scenario::List,
    Scenario::Watch,
    Scenario::Memory,
    Scenario::Start,
    Scenario::Tenants,
];

impl Scenario {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Creates => "creates",
            Self::Gets => "gets",
            Self::Updates => "updates",
            Self::Deletes => "deletes",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Memory => "memory",
            Self::Start => "start",
            Self::Tenants => "tenants",
        }
    }

    /// Whether it starts and stops servers, and so needs their binary.
    pub(crate) fn needs_binary(self) -> bool {
        matches!(self, Self::Start | Self::Tenants)
    }

    /// Runs it; what was measured before a failure is in the section.
    pub(crate) async fn run(self, bench: &mut Bench, section: &mut Section) -> anyhow::Result<()> {
        match self {
            Self::Machine => machine::run(bench, section).await,
            Self::Creates => objects::creates(bench, section).await,
            Self::Gets => objects::gets(bench, section).await,
            Self::Updates => objects::updates(bench, section).await,
            Self::Deletes => objects::deletes(bench, section).await,
            Self::List => list::run(bench, section).await,
            Self::Watch => watch::run(bench, section).await,
            Self::Memory => memory::run(bench, section).await,
            Self::Start => start::run(bench, section).await,
            Self::Tenants => tenants::run(bench, section).await,
        }
    }
}

/// A run of load, for the report.
fn run_of(name: &str, load: &Load, usage: Usage) -> Run {
    Run {
        name: name.to_owned(),
        per_second: Some(load.rate()),
        latency: (&load.latencies).into(),
        usage,
    }
}
