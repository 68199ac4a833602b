//! Faults on a script or a seed: rules that say which request is treated how.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// What happens to a request, instead of being applied and answered truthfully at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Action {
    /// How long the request is under way before the store looks at it.
    pub delay_ms: u64,
    /// How long an accepted write takes until it is applied. A compare-and-swap has read by then,
    /// and holds its latch meanwhile.
    pub apply_delay_ms: u64,
    /// Whether and when it is applied.
    pub apply: Apply,
    /// What the client is told.
    pub answer: Answer,
    /// How long the answer is under way.
    pub answer_delay_ms: u64,
}

/// Whether and when a request is looked at and applied. A client that has gone away makes no
/// difference: what has arrived is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// As it arrives.
    #[default]
    Now,
    /// Not at all.
    Never,
    /// So many milliseconds later; refused then, if its region has changed.
    AfterMs(u64),
    /// When what is held is released; refused then, if its region has changed.
    Held,
}

/// What the client is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The outcome, once there is one. PD knows only this one and the gRPC kind of answers.
    #[default]
    Truth,
    /// An error of the region kind.
    RegionError(RegionError),
    /// An error in the answer's own `error` field.
    Error(String),
    /// gRPC UNAVAILABLE.
    Unavailable,
    /// gRPC DEADLINE_EXCEEDED.
    DeadlineExceeded,
    /// Nothing.
    Silence,
    /// The connection is closed.
    Disconnect,
}

/// The errors with which a store refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionError {
    /// The epoch is another, and the regions are now these.
    EpochNotMatch,
    /// The epoch is another, without the current regions.
    EpochNotMatchUnknown,
    /// The store has no such region.
    RegionNotFound,
    /// Another peer leads, this one.
    NotLeader,
    /// No leader is known.
    NotLeaderUnknown,
    /// Too much to do.
    ServerIsBusy,
    /// The leader changed while the request was under way; it may be applied or not.
    StaleCommand,
    /// The store has another id.
    StoreNotMatch,
    /// A key is outside the region.
    KeyNotInRegion,
    /// The write is too large for a raft entry.
    RaftEntryTooLarge,
    /// The region is being merged.
    ProposalInMergingMode,
    /// The read index is not known yet.
    ReadIndexNotReady,
    /// The store's disk is full.
    DiskFull,
}

impl Action {
    /// Not applied, refused with a region error.
    pub fn region_error(error: RegionError) -> Action {
        Action {
            apply: Apply::Never,
            answer: Answer::RegionError(error),
            ..Action::default()
        }
    }

    /// Not applied, answered with `UNAVAILABLE`.
    pub fn unavailable() -> Action {
        Action {
            apply: Apply::Never,
            answer: Answer::Unavailable,
            ..Action::default()
        }
    }

    /// Applied, and the answer lost: the client sees `UNAVAILABLE`.
    pub fn lost_answer() -> Action {
        Action {
            answer: Answer::Unavailable,
            ..Action::default()
        }
    }

    /// Answered with `DEADLINE_EXCEEDED` at once, applied later.
    pub fn late(after_ms: u64) -> Action {
        Action {
            apply: Apply::AfterMs(after_ms),
            answer: Answer::DeadlineExceeded,
            ..Action::default()
        }
    }

    /// Never applied, never answered.
    pub fn black_hole() -> Action {
        Action {
            apply: Apply::Never,
            answer: Answer::Silence,
            ..Action::default()
        }
    }

    /// Not answered; applied when what is held is released, whether the client is there or not.
    pub fn held() -> Action {
        Action {
            apply: Apply::Held,
            answer: Answer::Silence,
            ..Action::default()
        }
    }

    /// Slow, and right.
    pub fn delay(delay_ms: u64) -> Action {
        Action {
            delay_ms,
            ..Action::default()
        }
    }
}

/// Which requests a fault is for. A rule without limits is for all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// RPC names (`RawPut`, `GetRegion`, ...); none means all of the stores' RPCs, and none of PD's.
    pub methods: Vec<String>,
    /// At least one key of the request, or the start of one of its ranges, has this prefix.
    pub key_prefix: String,
    /// The store that is asked.
    pub store: Option<u64>,
    /// Lets so many requests pass that it would be for.
    pub skip: u64,
    /// Is over after so many.
    pub times: Option<u64>,
    /// Is for each with this probability, 0.0 to 1.0.
    pub probability: f64,
    /// What happens.
    pub action: Action,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            methods: Vec::new(),
            key_prefix: String::new(),
            store: None,
            skip: 0,
            times: None,
            probability: 1.0,
            action: Action::default(),
        }
    }
}

impl Rule {
    /// For all requests of the stores.
    pub fn new(action: Action) -> Rule {
        Rule {
            action,
            ..Rule::default()
        }
    }

    /// Only for this RPC, besides those named before.
    #[must_use]
    pub fn method(mut self, method: &str) -> Rule {
        self.methods.push(method.to_owned());
        self
    }

    /// Only where a key has this prefix.
    #[must_use]
    pub fn key_prefix(mut self, prefix: &str) -> Rule {
        prefix.clone_into(&mut self.key_prefix);
        self
    }

    /// Only at this store.
    #[must_use]
    pub fn store(mut self, store: u64) -> Rule {
        self.store = Some(store);
        self
    }

    /// Only from the request after the first `skip` on.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Rule {
        self.skip = skip;
        self
    }

    /// At most so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Rule {
        self.times = Some(times);
        self
    }

    /// With this probability each, drawn from the cluster's seed.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Rule {
        self.probability = probability;
        self
    }
}

/// The rules in force; the first that is for a request decides.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<Active>,
    random: Random,
}

#[derive(Debug)]
struct Active {
    rule: Rule,
    passed: u64,
    hits: u64,
}

/// What a rule can look at.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'static str,
    pub(crate) store: Option<u64>,
    pub(crate) keys: Vec<&'a [u8]>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Faults {
        Faults {
            rules: Vec::new(),
            random: Random::new(seed),
        }
    }

    pub(crate) fn set(&mut self, rules: Vec<Rule>) {
        self.rules.clear();
        for rule in rules {
            self.add(rule);
        }
    }

    pub(crate) fn add(&mut self, rule: Rule) {
        self.rules.push(Active {
            rule,
            passed: 0,
            hits: 0,
        });
    }

    /// How often each rule has decided.
    pub(crate) fn hits(&self) -> Vec<u64> {
        self.rules.iter().map(|active| active.hits).collect()
    }

    /// What happens to this request.
    pub(crate) fn decide(&mut self, asked: &Asked<'_>) -> Action {
        for active in &mut self.rules {
            if !active.is_for(asked) || !self.random.chance(active.rule.probability) {
                continue;
            }
            if active.passed < active.rule.skip {
                active.passed += 1;
                continue;
            }
            active.hits += 1;
            return active.rule.action.clone();
        }
        Action::default()
    }
}

impl Active {
    fn is_for(&self, asked: &Asked<'_>) -> bool {
        let rule = &self.rule;
        let prefix = rule.key_prefix.as_bytes();
        let method = match rule.methods.as_slice() {
            [] => asked.store.is_some(),
            methods => methods.iter().any(|method| method == asked.method),
        };
        method
            && rule.times.is_none_or(|times| self.hits < times)
            && (rule.store.is_none() || rule.store == asked.store)
            && (prefix.is_empty() || asked.keys.iter().any(|key| key.starts_with(prefix)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &'static str, key: &'static str) -> Asked<'static> {
        Asked {
            method,
            store: Some(1),
            keys: vec![key.as_bytes()],
        }
    }

    #[test]
    fn a_rule_skips_and_ends() {
        let mut faults = Faults::new(1);
        let action = Action::unavailable();
        faults.add(Rule::new(action.clone()).key_prefix("k/").skip(1).times(2));
        let hits: Vec<bool> = (0..5)
            .map(|_| faults.decide(&asked("RawPut", "k/a")) == action)
            .collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert_eq!(faults.hits(), [2]);
    }

    #[test]
    fn a_rule_is_for_its_method_prefix_and_store_only() {
        let mut faults = Faults::new(1);
        let rule = Rule::new(Action::black_hole()).method("RawGet");
        faults.add(rule.key_prefix("k/").store(1));
        assert_eq!(faults.decide(&asked("RawPut", "k/a")), Action::default());
        assert_eq!(faults.decide(&asked("RawGet", "j/a")), Action::default());
        let mut elsewhere = asked("RawGet", "k/a");
        elsewhere.store = Some(2);
        assert_eq!(faults.decide(&elsewhere), Action::default());
        assert_eq!(faults.decide(&asked("RawGet", "k/a")), Action::black_hole());
    }

    #[test]
    fn a_rule_is_written_as_json() {
        let json = r#"{"methods":["RawPut"],"times":1,"action":{"apply":{"after_ms":20},
            "answer":{"region_error":"stale_command"}}}"#;
        let rule: Rule = serde_json::from_str(json).unwrap();
        let action = Action {
            apply: Apply::AfterMs(20),
            answer: Answer::RegionError(RegionError::StaleCommand),
            ..Action::default()
        };
        assert_eq!(rule, Rule::new(action).method("RawPut").times(1));
        assert!(serde_json::from_str::<Rule>(r#"{"method":"RawPut"}"#).is_err());
    }
}
