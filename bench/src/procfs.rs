//! CPU time and memory of processes, from /proc. Where there is none, nothing is known.

use std::{fs, time::Instant};

use serde::{Deserialize, Serialize};

/// What a run cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Length of the run, its warm-up included.
    pub(crate) seconds: f64,
    /// CPU seconds of the server, user and system.
    pub(crate) server_cpu_seconds: Option<f64>,
    /// CPU seconds of this tool.
    pub(crate) client_cpu_seconds: Option<f64>,
    /// Resident memory of the server at the end.
    pub(crate) server_rss_mb: Option<f64>,
}

/// Measures what a run costs, from its making on.
pub(crate) struct Meter {
    server: Option<u32>,
    began: Instant,
    server_cpu: Option<f64>,
    client_cpu: Option<f64>,
}

impl Meter {
    /// Begins, for this server process.
    pub(crate) fn new(server: Option<u32>) -> Self {
        Self {
            server,
            began: Instant::now(),
            server_cpu: server.and_then(cpu_seconds),
            client_cpu: cpu_seconds(std::process::id()),
        }
    }

    /// What it was since.
    pub(crate) fn usage(&self) -> Usage {
        let since = |before: Option<f64>, now: Option<f64>| Some(now? - before?);
        Usage {
            seconds: self.began.elapsed().as_secs_f64(),
            server_cpu_seconds: since(self.server_cpu, self.server.and_then(cpu_seconds)),
            client_cpu_seconds: since(self.client_cpu, cpu_seconds(std::process::id())),
            server_rss_mb: self.server.and_then(rss_mb),
        }
    }
}

/// User and system time of a process, all of its threads.
fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let ticks = cpu_ticks(&stat)?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name may have blanks; what follows its parenthesis begins with field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory of a process, in millions of bytes.
pub(crate) fn rss_mb(pid: u32) -> Option<f64> {
    status_mb(pid, "VmRSS:")
}

/// The most resident memory that a process ever had, in millions of bytes.
pub(crate) fn peak_mb(pid: u32) -> Option<f64> {
    status_mb(pid, "VmHWM:")
}

fn status_mb(pid: u32, key: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_mislead() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 5 0 0";
        assert_eq!(cpu_ticks(stat), Some(300));
    }
}
