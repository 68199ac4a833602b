//! Scripted outcomes: for a schedule that chance would take too long to find.

/// A method of the `Kv` trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    BatchGet,
    Scan,
    Swap,
    Write,
    DeleteRange,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    /// When it takes effect, after it was sent. `None`: never.
    pub(crate) apply_after: Option<u64>,
    /// When it is answered, after it took effect. `None`: never.
    pub(crate) answer_after: Option<u64>,
    /// Refused at once, with nothing done.
    pub(crate) unavailable: bool,
    /// It takes effect once more, later.
    pub(crate) duplicate: bool,
    /// In parts, if it is about several keys.
    pub(crate) split: bool,
    /// Nothing about it is drawn.
    pub(crate) scripted: bool,
}

impl Fate {
    /// A request that goes well.
    pub(crate) const PLAIN: Self = Self {
        apply_after: Some(500),
        answer_after: Some(500),
        unavailable: false,
        duplicate: false,
        split: false,
        scripted: true,
    };
}

/// Which request has which fate.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) server: usize,
    pub(crate) verb: Verb,
    /// What the request's first key contains; of a write, each of its keys goes by itself.
    pub(crate) key: &'static str,
    /// It holds for all such requests until then. `None`: for the next one.
    pub(crate) until: Option<u64>,
    pub(crate) fate: Fate,
}

/// The rules of a scripted run. Without a script, every fate is drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) on: bool,
    pub(crate) rules: Vec<Rule>,
}

impl Script {
    /// The fate of a request that is sent now, if the run is scripted.
    pub(crate) fn fate(&mut self, now: u64, server: usize, verb: Verb, key: &[u8]) -> Option<Fate> {
        if !self.on {
            return None;
        }
        let key = String::from_utf8_lossy(key);
        self.rules
            .retain(|rule| rule.until.is_none_or(|until| now < until));
        let at = self
            .rules
            .iter()
            .position(|rule| rule.server == server && rule.verb == verb && key.contains(rule.key));
        Some(match at {
            None => Fate::PLAIN,
            Some(at) if self.rules[at].until.is_some() => self.rules[at].fate,
            Some(at) => self.rules.remove(at).fate,
        })
    }
}
