//! Kinds of batch/v1: work that ends, and work that begins by the clock.

mod cron_job;
mod failure_policy;
mod job;
mod job_spec;
pub mod schedule;

pub use cron_job::CRON_JOB;
pub use job::JOB;

use crate::strategy::Strategy;

/// The rows of these kinds.
pub static ALL: &[&Strategy] = &[&JOB, &CRON_JOB];
