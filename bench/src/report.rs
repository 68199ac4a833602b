//! What was measured, as data: figures beside their goals and the peer's, and the runs behind them.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::procfs::Usage;

/// Everything of one call of the tool.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What it ran on.
    pub(crate) machine: Machine,
    /// How it was run.
    pub(crate) settings: Settings,
    /// One for each scenario.
    pub(crate) sections: Vec<Section>,
}

/// The machine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Cores that may be used.
    pub(crate) cores: usize,
    /// The processor's name.
    pub(crate) cpu: Option<String>,
    /// The kernel's version.
    pub(crate) kernel: Option<String>,
    /// Type of the file system that the data are in.
    pub(crate) file_system: Option<String>,
}

/// The tool's settings.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The numbers are too small to say anything.
    pub(crate) quick: bool,
    /// The server: its URL or its command.
    pub(crate) server: String,
    /// What is spoken: `gRPC` or `REST`.
    pub(crate) api: String,
    /// Callers of closed loops.
    pub(crate) callers: usize,
    /// Their connections.
    pub(crate) connections: usize,
    /// Threads of the tool.
    pub(crate) threads: usize,
}

/// One scenario.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Section {
    /// Its name.
    pub(crate) scenario: String,
    /// What was done, with the numbers that matter.
    pub(crate) about: String,
    /// What came out.
    pub(crate) figures: Vec<Figure>,
    /// The runs behind the figures.
    pub(crate) runs: Vec<Run>,
    /// Why it did not come to its end.
    pub(crate) failure: Option<String>,
}

impl Section {
    /// One that has not begun.
    pub(crate) fn new(scenario: &str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a figure, to be given its goal and the peer's.
    pub(crate) fn figure(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: Unit,
    ) -> &mut Figure {
        self.figures.push(Figure {
            name: name.into(),
            value,
            unit,
            goal: None,
            peer: None,
        });
        self.figures.last_mut().expect("one was pushed")
    }
}

/// One number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What it is of.
    pub(crate) name: String,
    /// The number.
    pub(crate) value: f64,
    /// In what.
    pub(crate) unit: Unit,
    /// What it should be.
    pub(crate) goal: Option<Goal>,
    /// What kube-apiserver on etcd has.
    pub(crate) peer: Option<f64>,
}

impl Figure {
    /// It should be so much or more.
    pub(crate) fn at_least(&mut self, goal: f64) -> &mut Self {
        self.goal = Some(Goal::AtLeast(goal));
        self
    }

    /// It should be less.
    pub(crate) fn under(&mut self, goal: f64) -> &mut Self {
        self.goal = Some(Goal::Under(goal));
        self
    }

    /// What the peer has.
    pub(crate) fn peer(&mut self, value: f64) -> &mut Self {
        self.peer = Some(value);
        self
    }
}

/// Units of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// How often in a second.
    PerSecond,
    /// Milliseconds.
    Ms,
    /// Millions of bytes.
    Mb,
    /// Bytes.
    Bytes,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// This or more.
    AtLeast(f64),
    /// Less than this.
    Under(f64),
}

impl Goal {
    /// By which part of the goal a value misses it; nothing if it does not.
    pub(crate) fn missed_by(self, value: f64) -> Option<f64> {
        match self {
            Self::AtLeast(goal) => (value < goal).then(|| (goal - value) / goal),
            Self::Under(goal) => (value >= goal).then(|| (value - goal) / goal),
        }
    }
}

/// One run: many of the same.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// What was run.
    pub(crate) name: String,
    /// How often in a second, where that says something.
    pub(crate) per_second: Option<f64>,
    /// How long each took.
    pub(crate) latency: Latency,
    /// What it cost.
    pub(crate) usage: Usage,
}

/// Latencies, in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// How many.
    pub(crate) count: u64,
    /// Half of them took less.
    pub(crate) p50_ms: f64,
    /// 99 of 100 took less.
    pub(crate) p99_ms: f64,
    /// 999 of 1,000 took less.
    pub(crate) p999_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(micros: &Histogram<u64>) -> Self {
        let ms = |quantile| micros.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            count: micros.len(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: micros.max() as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_missed_from_the_wrong_side_only() {
        assert_eq!(Goal::AtLeast(100.0).missed_by(100.0), None);
        assert_eq!(Goal::AtLeast(100.0).missed_by(75.0), Some(0.25));
        assert_eq!(Goal::Under(100.0).missed_by(99.0), None);
        assert_eq!(Goal::Under(100.0).missed_by(150.0), Some(0.5));
    }
}
