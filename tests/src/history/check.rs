//! What must be true of a history, held against the order that the revisions give.

use std::collections::{BTreeMap, BTreeSet};

use super::{Asked, Call, Stream, Tenant, Told, Version, lock};

/// A change as watchers see it: what the object is after it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    kind: &'static str,
    name: String,
    uid: String,
    /// `None`: it was deleted.
    version: Option<Version>,
}

/// What happened, by revision, and what each object has been.
#[derive(Debug, Default)]
struct Truth {
    changes: BTreeMap<u64, Change>,
    /// By uid: the revision at which it was deleted.
    deleted: BTreeMap<String, u64>,
    /// By kind and name: the revisions at which it changed, and what it was from then on.
    objects: BTreeMap<(&'static str, String), BTreeMap<u64, Option<Version>>>,
}

/// How much a history has in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Changes of objects.
    pub changes: usize,
    /// Calls that were answered.
    pub answered: usize,
    /// Calls that were not, or not clearly.
    pub unknown: usize,
    /// Those among them that had taken effect.
    pub landed: usize,
    /// Watchers, each with its resumptions.
    pub streams: usize,
    /// Events that they got.
    pub events: usize,
}

impl Truth {
    /// What an object was at any moment from `least` to `most`.
    fn during(
        &self,
        kind: &'static str,
        name: &str,
        least: u64,
        most: u64,
    ) -> impl Iterator<Item = Option<&Version>> {
        let all = self.objects.get(&(kind, name.to_owned()));
        let before = all.and_then(|all| all.range(..=least).next_back());
        let later = all.into_iter().flat_map(move |all| {
            let from = least.saturating_add(1);
            all.range(from..=most.max(from))
                .filter(move |(at, _)| **at <= most)
        });
        let before = before.and_then(|(_, version)| version.as_ref());
        std::iter::once(before).chain(later.map(|(_, version)| version.as_ref()))
    }

    /// The revision of a write that was acknowledged.
    fn landed(&self, call: &Call) -> Option<u64> {
        match (&call.asked, &call.told) {
            (Asked::Create(_) | Asked::Update(..), Told::Done(version)) => Some(version.revision),
            (Asked::Delete, Told::Done(version)) => self.deleted.get(&version.uid).copied(),
            _ => None,
        }
    }

    fn at(&self, kind: &'static str, name: &str, revision: u64) -> Option<&Version> {
        self.during(kind, name, revision, revision).next().flatten()
    }

    fn listed(&self, kind: &'static str, red: bool, revision: u64) -> Vec<&Version> {
        let objects = self.objects.keys().filter(|(of, _)| *of == kind);
        let found = objects.filter_map(|(_, name)| self.at(kind, name, revision));
        found.filter(|version| version.red || !red).collect()
    }

    /// What a watcher of these sees of the change at a revision.
    fn event(&self, stream: &Stream, at: u64, change: &Change) -> Option<(&'static str, &Version)> {
        if change.kind != stream.kind.kind {
            return None;
        }
        let matches = |version: &&Version| version.red || !stream.red;
        let before = self.at(change.kind, &change.name, at - 1).filter(matches);
        let after = self.at(change.kind, &change.name, at).filter(matches);
        match (before, after) {
            (None, Some(after)) => Some(("ADDED", after)),
            (Some(_), Some(after)) => Some(("MODIFIED", after)),
            (Some(before), None) => Some(("DELETED", before)),
            (None, None) => None,
        }
    }
}

/// A check under way.
struct Check {
    truth: Truth,
    wrong: Vec<String>,
}

impl Tenant {
    /// Holds the history against what must be true:
    ///
    /// - All watchers and all answers tell one sequence of changes, each with a revision of its own and
    ///   none missing; no event comes twice, late or not at all, through a selector neither.
    /// - What was acknowledged is in it, at the revision that was told, after all that anybody had been
    ///   told of before it was asked for; what was refused is not; nothing is in it twice, or unasked.
    /// - Reads, lists and refusals say what was true at some moment between question and answer; reads
    ///   of anything that has been, what was true at some moment.
    /// - A conditional update follows the version that it names. No two Services have one cluster IP.
    ///
    /// # Errors
    /// What is wrong, a line each.
    pub fn check(&self) -> Result<Summary, Vec<String>> {
        let calls = lock(&self.calls);
        let streams = lock(&self.streams);
        let mut check = Check {
            truth: Truth::default(),
            wrong: Vec::new(),
        };
        check.gather(&calls, &streams);
        check.continuous(&streams);
        check.addresses();
        check.writes(&calls);
        let bounds = Bounds::of(&check.truth, &calls);
        for call in calls.iter() {
            let (least, most) = (bounds.least(call), bounds.most(call));
            check.call(call, least, most);
        }
        for stream in streams.iter() {
            check.stream(stream);
        }
        if !check.wrong.is_empty() {
            return Err(check.wrong);
        }
        let known = |call: &&Call| call.told != Told::Unknown;
        let numbers = check.numbers();
        let landed = calls.iter().filter(|call| match call.asked {
            Asked::Create(number) | Asked::Update(number, _) => {
                !known(call) && numbers.contains_key(&number)
            }
            Asked::Delete | Asked::Get | Asked::List { .. } => false,
        });
        Ok(Summary {
            changes: check.truth.changes.len(),
            answered: calls.iter().filter(known).count(),
            unknown: calls.iter().filter(|call| !known(call)).count(),
            landed: landed.count(),
            streams: streams.len(),
            events: streams.iter().map(|stream| stream.events.len()).sum(),
        })
    }
}

/// The revisions that the log can have been at while a call was made.
struct Bounds {
    /// When writes ended, and the highest revision of these and those before.
    ended: Vec<(u64, u64)>,
    /// When writes began, and the lowest revision of these and those after.
    began: Vec<(u64, u64)>,
}

impl Bounds {
    fn of(truth: &Truth, calls: &[Call]) -> Self {
        let writes = || {
            let landed = calls.iter().map(|call| (call, truth.landed(call)));
            landed.filter_map(|(call, revision)| Some((call, revision?)))
        };
        let mut ended: Vec<_> = writes().map(|(call, at)| (call.ended, at)).collect();
        ended.sort_unstable();
        let mut highest = 0;
        for (_, revision) in &mut ended {
            highest = highest.max(*revision);
            *revision = highest;
        }
        let mut began: Vec<_> = writes().map(|(call, at)| (call.began, at)).collect();
        began.sort_unstable();
        let mut lowest = u64::MAX;
        for (_, revision) in began.iter_mut().rev() {
            lowest = lowest.min(*revision);
            *revision = lowest;
        }
        Self { ended, began }
    }

    /// All that was known before it began.
    fn least(&self, call: &Call) -> u64 {
        let next = self.ended.partition_point(|(ended, _)| *ended < call.began);
        let written = next.checked_sub(1).map_or(0, |last| self.ended[last].1);
        written.max(call.least)
    }

    /// Nothing that was asked for after it had ended.
    fn most(&self, call: &Call) -> u64 {
        let next = self
            .began
            .partition_point(|(began, _)| *began <= call.ended);
        self.began
            .get(next)
            .map_or(u64::MAX, |(_, first)| first - 1)
    }
}

impl Check {
    fn tell(&mut self, revision: u64, change: Change) {
        match self.truth.changes.get(&revision) {
            None => {
                self.truth.changes.insert(revision, change);
            }
            Some(before) if *before == change => {}
            Some(before) => {
                let what = format!("two changes at {revision}: {before:?} and {change:?}");
                self.wrong.push(what);
            }
        }
    }

    /// The sequence of changes, from all that tells of it.
    fn gather(&mut self, calls: &[Call], streams: &[Stream]) {
        for call in calls {
            let Told::Done(version) = &call.told else {
                continue;
            };
            if let Asked::Create(_) | Asked::Update(..) = call.asked {
                self.tell(version.revision, change(version, Some(version.clone())));
            }
        }
        for stream in streams.iter().filter(|stream| !stream.red) {
            for (kind, version) in &stream.events {
                let after = (*kind != "DELETED").then(|| version.clone());
                self.tell(version.revision, change(version, after));
            }
        }
        for (revision, change) in &self.truth.changes {
            let object = (change.kind, change.name.clone());
            let versions = self.truth.objects.entry(object).or_default();
            versions.insert(*revision, change.version.clone());
            if change.version.is_none() {
                self.truth.deleted.insert(change.uid.clone(), *revision);
            }
        }
    }

    /// No revision is missing from where all kinds began to be watched.
    fn continuous(&mut self, streams: &[Stream]) {
        let mut starts: BTreeMap<&str, u64> = BTreeMap::new();
        for stream in streams.iter().filter(|stream| !stream.red) {
            let start = starts.entry(stream.kind.kind).or_insert(stream.start);
            *start = stream.start.min(*start);
        }
        let mut last = starts.into_values().max().unwrap_or(0);
        let revisions = self.truth.changes.range(last + 1..);
        let mut missing = Vec::new();
        for revision in revisions.map(|(revision, _)| *revision) {
            if revision != last + 1 {
                missing.push((last, revision));
            }
            last = revision;
        }
        for (last, next) in missing {
            self.wrong
                .push(format!("nobody saw what is between {last} and {next}"));
        }
    }

    fn addresses(&mut self) {
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        let mut twice = Vec::new();
        for (revision, change) in &self.truth.changes {
            owners.retain(|_, owner| *owner != change.name || change.kind != "Service");
            let version = change.version.as_ref().filter(|v| !v.address.is_empty());
            let Some(version) = version else {
                continue;
            };
            if let Some(other) = owners.insert(&version.address, &version.name) {
                let Version { name, address, .. } = version;
                twice.push(format!("{name} and {other} have {address} at {revision}"));
            }
        }
        self.wrong.append(&mut twice);
    }

    /// The revision of each numbered write.
    fn numbers(&self) -> BTreeMap<u64, u64> {
        let versions = self.truth.changes.iter();
        let versions = versions.filter_map(|(at, change)| Some((change.version.as_ref()?, *at)));
        versions.map(|(version, at)| (version.write, at)).collect()
    }

    /// Every change was asked for, and happened once.
    fn writes(&mut self, calls: &[Call]) {
        let mut asked = BTreeMap::new();
        let mut deletes: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut deleted = BTreeSet::new();
        let mut wrong = Vec::new();
        for call in calls {
            match (&call.asked, &call.told) {
                (Asked::Create(number) | Asked::Update(number, _), _) => {
                    asked.insert(*number, call);
                }
                (Asked::Delete, Told::Unknown) => {
                    *deletes.entry((call.kind.kind, &call.name)).or_default() += 1;
                }
                (Asked::Delete, Told::Done(version)) if !deleted.insert(&version.uid) => {
                    wrong.push(format!("deleted a second time: {version:?}"));
                }
                _ => {}
            }
        }
        let mut done = BTreeSet::new();
        for (revision, change) in &self.truth.changes {
            let before = self.truth.at(change.kind, &change.name, revision - 1);
            let Some(version) = &change.version else {
                if !deleted.contains(&change.uid) {
                    let left = deletes.entry((change.kind, &change.name)).or_default();
                    match left.checked_sub(1) {
                        Some(fewer) => *left = fewer,
                        None => wrong.push(format!("nobody deleted, at {revision}: {change:?}")),
                    }
                }
                continue;
            };
            if !done.insert(version.write) {
                wrong.push(format!("written twice, again at {revision}: {version:?}"));
            }
            let fits = asked.get(&version.write).is_some_and(|call| {
                let condition = match call.asked {
                    Asked::Create(_) => before.is_none(),
                    Asked::Update(_, None) => before.is_some(),
                    Asked::Update(_, given) => before.map(|before| before.revision) == given,
                    Asked::Delete | Asked::Get | Asked::List { .. } => false,
                };
                condition && matches!(call.told, Told::Done(_) | Told::Unknown)
            });
            if !fits {
                let call = asked.get(&version.write);
                wrong.push(format!(
                    "{call:?} cannot have made {version:?} of {before:?}"
                ));
            }
        }
        self.wrong.append(&mut wrong);
    }

    /// A call says what was true between its beginning and its end.
    fn call(&mut self, call: &Call, least: u64, most: u64) {
        let kind = call.kind.kind;
        let truth = &self.truth;
        let during = || truth.during(kind, &call.name, least, most);
        let then = least + 1..=most;
        let right = match (&call.asked, &call.told) {
            (_, Told::Unknown) => true,
            (Asked::Create(number) | Asked::Update(number, _), Told::Done(version)) => {
                version.write == *number
                    && version.name == call.name
                    && then.contains(&version.revision)
            }
            (Asked::Delete, Told::Done(version)) => {
                let landed = truth.landed(call);
                version.name == call.name && landed.is_some_and(|at| then.contains(&at))
            }
            (Asked::Get, Told::Done(version)) => during().any(|then| then == Some(version)),
            (Asked::List { red, any }, Told::Listed(revision, versions)) => {
                (*any || *revision >= least)
                    && *revision <= most
                    && truth.listed(kind, *red, *revision) == versions.iter().collect::<Vec<_>>()
            }
            (Asked::Create(_), Told::AlreadyExists) => during().any(|then| then.is_some()),
            (Asked::Update(..) | Asked::Delete | Asked::Get, Told::NotFound) => {
                during().any(|then| then.is_none())
            }
            (Asked::Update(_, Some(given)), Told::Conflict) => {
                during().any(|then| then.is_some_and(|version| version.revision != *given))
            }
            _ => false,
        };
        if !right {
            let was: Vec<_> = during().take(20).collect();
            let what = format!("was not so from {least} to {most}: {call:?}; it was {was:?}");
            self.wrong.push(what);
        }
    }

    /// A watcher saw each change once, in order.
    fn stream(&mut self, stream: &Stream) {
        let changes = self.truth.changes.range(stream.start + 1..);
        let mut expected = changes
            .take_while(|(at, _)| **at <= stream.end)
            .filter_map(|(at, change)| Some((*at, self.truth.event(stream, *at, change)?)));
        let mut wrong = None;
        let mut events = stream.events.iter();
        loop {
            let (expected, event) = (expected.next(), events.next());
            let same = match (&expected, event) {
                (None, None) => break,
                (Some((at, (kind, truth))), Some((of, version))) => {
                    kind == of
                        && *at == version.revision
                        && truth.name == version.name
                        && truth.uid == version.uid
                        && (*kind == "DELETED" || *truth == version)
                }
                _ => false,
            };
            if !same {
                let Stream {
                    start, end, red, ..
                } = stream;
                wrong = Some(format!(
                    "a watch from {start} to {end} (red: {red}) got {event:?}, not {expected:?}"
                ));
                break;
            }
        }
        self.wrong.extend(wrong);
    }
}

fn change(version: &Version, after: Option<Version>) -> Change {
    Change {
        kind: version.kind,
        name: version.name.clone(),
        uid: version.uid.clone(),
        version: after,
    }
}
