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

impl Usage {
    /// The client's part of the CPU time that both took.
    pub(crate) fn client_part(&self) -> Option<f64> {
        let (server, client) = (self.server_cpu_seconds?, self.client_cpu_seconds?);
        (server + client > 0.0).then(|| client / (server + client))
    }
}

/// Measures what a run costs, from its making on.
pub(crate) struct Meter {
    server: Vec<u32>,
    began: Instant,
    server_cpu: Option<f64>,
    client_cpu: Option<f64>,
}

impl Meter {
    /// Begins, for a server of these processes.
    pub(crate) fn new(server: &[u32]) -> Self {
        Self {
            server: server.to_vec(),
            began: Instant::now(),
            server_cpu: sum(server, cpu_seconds),
            client_cpu: cpu_seconds(std::process::id()),
        }
    }

    /// What it was since.
    pub(crate) fn usage(&self) -> Usage {
        let since = |before: Option<f64>, now: Option<f64>| Some(now? - before?);
        Usage {
            seconds: self.began.elapsed().as_secs_f64(),
            server_cpu_seconds: since(self.server_cpu, sum(&self.server, cpu_seconds)),
            client_cpu_seconds: since(self.client_cpu, cpu_seconds(std::process::id())),
            server_rss_mb: rss_mb(&self.server),
        }
    }
}

/// The sum over processes; nothing, if there are none, or one of them is gone.
fn sum(pids: &[u32], one: impl Fn(u32) -> Option<f64>) -> Option<f64> {
    let sum: f64 = pids.iter().map(|pid| one(*pid)).sum::<Option<f64>>()?;
    (!pids.is_empty()).then_some(sum)
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

/// Resident memory of processes, in millions of bytes.
pub(crate) fn rss_mb(pids: &[u32]) -> Option<f64> {
    sum(pids, |pid| status_mb(pid, "VmRSS:"))
}

/// The most resident memory that processes ever had, in millions of bytes.
pub(crate) fn peak_mb(pids: &[u32]) -> Option<f64> {
    sum(pids, |pid| status_mb(pid, "VmHWM:"))
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
    fn a_sum_has_all_of_its_parts_or_is_not_known() {
        let one = |pid| (pid != 3).then_some(f64::from(pid));
        assert_eq!(sum(&[1, 2], one), Some(3.0));
        assert_eq!(sum(&[1, 3], one), None);
        assert_eq!(sum(&[], one), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_mislead() {
        let stat = "17 (a ) b) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 5 0 0";
        assert_eq!(cpu_ticks(stat), Some(300));
    }
}
