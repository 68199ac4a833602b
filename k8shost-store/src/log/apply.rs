//! What a batch makes of a state: the state after it, the events that tell of it, and the keys whose
//! projections it makes out of date.

use std::sync::Arc;

use super::format::{Batch, FormatError, Kind, Record};
use super::keys::{Key, Revision};
use super::state::{Attributes, Change, Event, Life, Object, Previous, State};

/// A key that a change touched.
#[derive(Clone, Debug)]
pub(crate) struct Touched {
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    /// Whether the change took the object away.
    pub(crate) gone: bool,
}

/// A state on its way from one batch to the next.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) state: State,
    pub(crate) events: Vec<Arc<Event>>,
    /// In the order of the changes; a key may be there several times.
    pub(crate) touched: Vec<Touched>,
    /// The last change that ends watches: a birth, a close, an acceptance.
    pub(crate) reset: Option<Revision>,
    /// Whether an operator accepted the state: who has another one must load again.
    pub(crate) accepted: bool,
}

impl Step {
    /// A step from this state, with nothing done yet.
    pub(crate) fn from(state: State) -> Self {
        Self {
            state,
            events: Vec::new(),
            touched: Vec::new(),
            reset: None,
            accepted: false,
        }
    }

    /// Does what a batch from the log says.
    pub(crate) fn batch(&mut self, batch: &Batch) -> Result<(), FormatError> {
        for record in &batch.records {
            self.record(record)?;
        }
        Ok(())
    }

    /// For a mutation: a close leaves the objects as they are.
    pub(crate) fn batch_without_closes(&mut self, batch: &Batch) -> Result<(), FormatError> {
        for record in &batch.records {
            if record.change() == Kind::Close {
                self.state.revision += 1;
                self.state.life = Life::None;
            } else {
                self.record(record)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<(), FormatError> {
        match record.change() {
            Kind::Put => {
                let revision = self.state.next_revision();
                self.put(Arc::new(put_of(record, revision)));
            }
            Kind::Delete => {
                // What the log takes away is there, or the digest will tell; but the log's word counts.
                let old = self.delete(&record.key);
                if old.is_none() {
                    self.touch(record.key.as_str().into(), true);
                    self.tell(deleted_of(record));
                }
            }
            Kind::Birth => self.reset(Life::Project(record.uid.as_str().into())),
            Kind::Close => self.reset(Life::None),
            Kind::Accept => self.accept(),
            Kind::Unspecified => {
                return Err(FormatError::Content("an unknown kind of change".to_owned()));
            }
        }
        Ok(())
    }

    /// Does a change of our own, which was found to be possible, and gives its record.
    pub(crate) fn change(&mut self, change: Change) -> Record {
        match change {
            Change::Put {
                key,
                value,
                attributes,
            } => {
                let revision = self.state.next_revision();
                let object = Arc::new(Object::new(key, revision, value, attributes));
                let previous = self.put(object.clone());
                record_of(Kind::Put, &object, previous.as_deref())
            }
            Change::Delete { key } => {
                let old = self
                    .delete(&key)
                    .expect("a commit that deletes what is not there is refused");
                record_of(Kind::Delete, &old, Some(&old))
            }
        }
    }

    /// The project with this uid begins to live here.
    pub(crate) fn birth(&mut self, uid: &str) -> Record {
        self.reset(Life::Project(uid.into()));
        Record::marker(Kind::Birth, uid)
    }

    /// What lives here ends.
    pub(crate) fn close(&mut self) -> Record {
        self.reset(Life::None);
        Record::marker(Kind::Close, "")
    }

    /// The state is right as it is.
    pub(crate) fn accept(&mut self) {
        self.state.revision += 1;
        self.reset = Some(self.state.revision);
        self.accepted = true;
    }

    fn put(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        self.state.revision += 1;
        let previous = self.state.put(object.clone());
        self.touch(object.key.clone(), false);
        let before = previous.clone().map_or(Previous::None, Previous::Object);
        self.events.push(Arc::new(Event::new(
            self.state.revision,
            object.key.clone(),
            Some(object),
            before,
        )));
        previous
    }

    fn delete(&mut self, key: &str) -> Option<Arc<Object>> {
        self.state.revision += 1;
        let old = self.state.delete(key)?;
        self.touch(old.key.clone(), true);
        self.tell(old.clone());
        Some(old)
    }

    fn tell(&mut self, old: Arc<Object>) {
        let (revision, key) = (self.state.revision, old.key.clone());
        let event = Event::new(revision, key, None, Previous::Object(old));
        self.events.push(Arc::new(event));
    }

    fn reset(&mut self, life: Life) {
        self.state.revision += 1;
        let revision = self.state.revision;
        for key in self.state.reset(life) {
            self.touched.push(Touched {
                key,
                revision,
                gone: true,
            });
        }
        self.reset = Some(revision);
    }

    fn touch(&mut self, key: Key, gone: bool) {
        self.touched.push(Touched {
            key,
            revision: self.state.revision,
            gone,
        });
    }
}

/// The events of a batch that is told from the log alone, without the state before it.
pub(crate) fn events_of(batch: &Batch) -> Vec<Arc<Event>> {
    let numbered = (batch.first..).zip(&batch.records);
    numbered
        .filter_map(|(revision, record)| {
            let (key, object, previous) = match record.change() {
                Kind::Put => {
                    let object = Arc::new(put_of(record, revision));
                    let before = record
                        .previous()
                        .map_or(Previous::None, Previous::Attributes);
                    (object.key.clone(), Some(object), before)
                }
                Kind::Delete => {
                    let old = deleted_of(record);
                    (old.key.clone(), None, Previous::Object(old))
                }
                Kind::Birth | Kind::Close | Kind::Accept | Kind::Unspecified => return None,
            };
            Some(Arc::new(Event::new(revision, key, object, previous)))
        })
        .collect()
}

/// The last change of a batch that ends watches.
pub(crate) fn reset_of(batch: &Batch) -> Option<Revision> {
    let ends =
        |record: &Record| matches!(record.change(), Kind::Birth | Kind::Close | Kind::Accept);
    let at = batch.records.iter().rposition(ends)?;
    Some(batch.first + at as Revision)
}

fn put_of(record: &Record, revision: Revision) -> Object {
    let key = record.key.as_str().into();
    Object::new(key, revision, record.value.clone(), record.attributes())
}

fn deleted_of(record: &Record) -> Arc<Object> {
    Arc::new(put_of(record, record.previous_revision))
}

fn record_of(kind: Kind, object: &Object, previous: Option<&Object>) -> Record {
    let before: Option<(Revision, &Attributes)> = previous.map(|p| (p.revision, &p.attributes));
    Record::object(
        kind,
        &object.key,
        object.value.clone(),
        &object.attributes,
        before,
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::state::Template;
    use super::*;

    fn put(key: &str) -> Change {
        Change::Put {
            key: key.into(),
            value: Bytes::from(format!("{{\"name\":\"{key}\"}}")),
            attributes: Attributes::default(),
        }
    }

    /// A batch made of changes, and the step that made it.
    fn own(state: &State, make: impl FnOnce(&mut Step) -> Vec<Record>) -> (Step, Batch) {
        let mut step = Step::from(state.clone());
        let records = make(&mut step);
        let mut batch = Batch::new(state.next_revision(), 1, 1, step.state.digest(), 0);
        batch.records = records;
        let decoded = Batch::decode(batch.first, &batch.encode()).unwrap();
        (step, decoded)
    }

    fn template(names: &[&str]) -> Template {
        Template::new(names.iter().map(|name| {
            let value = Bytes::from(format!("{{\"name\":\"{name}\"}}"));
            ((*name).into(), value, Attributes::default())
        }))
    }

    #[test]
    fn what_of_a_template_is_touched_is_told_by_the_log_and_by_projections() {
        let born = |names: &[&str]| {
            let empty = State::empty(0, 0, Life::None).with(template(names));
            own(&empty, |s| vec![s.birth("u1")]).0.state
        };
        let state = born(&["a/x", "a/y", "a/z"]);
        let names = |state: &State| -> Vec<String> {
            state
                .range("a/")
                .map(|object| object.key.to_string())
                .collect()
        };
        assert_eq!(names(&state), ["a/x", "a/y", "a/z"]);
        assert_eq!((state.digest(), state.stored().count()), (0, 0));
        assert!(state.needs_mark("a/x") && !state.needs_mark("a/w"));
        let (step, batch) = own(&state, |s| {
            vec![
                s.change(Change::Delete { key: "a/x".into() }),
                s.change(put(&Template::mark("a/x"))),
                s.change(put("a/y")),
            ]
        });
        assert_eq!(names(&step.state), ["a/y", "a/z"]);
        assert!(!step.state.needs_mark("a/x"));
        assert_eq!(step.events.len(), 3);
        assert!(matches!(&step.events[0].previous, Previous::Object(old) if old.revision == 1));

        // Servers whose template is another one agree about what was touched.
        for others in [&["a/x", "a/y", "a/z"][..], &["a/z", "a/q"], &[]] {
            let mut replayed = Step::from(born(others));
            replayed.batch(&batch).unwrap();
            assert_eq!(replayed.state.digest(), step.state.digest(), "{others:?}");
            assert!(!names(&replayed.state).contains(&"a/x".to_owned()));
            // A load sees what is stored, in the order of the keys.
            let life = Life::Project("u1".into());
            let mut loaded = State::empty(4, 1, life).with(template(others));
            for object in step.state.stored() {
                loaded.put(object.clone());
            }
            assert_eq!(loaded.digest(), step.state.digest(), "{others:?}");
            assert_eq!(names(&loaded), names(&replayed.state), "{others:?}");
        }

        // What was deleted may come back, and go again.
        let (back, _) = own(&step.state, |s| vec![s.change(put("a/x"))]);
        assert_eq!(names(&back.state), ["a/x", "a/y", "a/z"]);
        let (gone, _) = own(&back.state, |s| {
            vec![s.change(Change::Delete { key: "a/x".into() })]
        });
        assert_eq!(gone.state.digest(), step.state.digest());

        // The end takes what is stored, and a new life begins with the template.
        let (closed, _) = own(&step.state, |s| vec![s.close()]);
        assert!(closed.state.is_empty());
        let gone: Vec<&str> = closed.touched.iter().map(|touched| &*touched.key).collect();
        assert_eq!(gone, ["DELETED/a/x", "a/y"]);
        let (again, _) = own(&closed.state, |s| vec![s.birth("u2")]);
        assert_eq!(names(&again.state), ["a/x", "a/y", "a/z"]);
    }

    #[test]
    fn another_server_makes_the_same_of_a_batch() {
        let empty = State::empty(0, 0, Life::None);
        let (first, one) = own(&empty, |s| {
            vec![s.birth("u1"), s.change(put("a/x")), s.change(put("a/y"))]
        });
        let (second, two) = own(&first.state, |s| {
            vec![
                s.change(put("a/x")),
                s.change(Change::Delete { key: "a/y".into() }),
            ]
        });
        let (third, three) = own(&second.state, |s| vec![s.close()]);
        let mut state = empty;
        for (mine, batch) in [(first, one), (second, two), (third, three)] {
            let mut step = Step::from(state);
            step.batch(&batch).unwrap();
            assert_eq!(step.state.digest(), batch.digest());
            assert_eq!(step.state.revision(), batch.last());
            assert_eq!(format!("{:?}", step.state), format!("{:?}", mine.state));
            assert_eq!(format!("{:?}", step.touched), format!("{:?}", mine.touched));
            assert_eq!(step.reset, mine.reset);
            assert_eq!(reset_of(&batch), mine.reset);
            let told = |events: &[Arc<Event>]| {
                let each = events.iter().map(|e| (e.revision, e.key.clone()));
                each.collect::<Vec<_>>()
            };
            assert_eq!(told(&step.events), told(&mine.events));
            assert_eq!(told(&events_of(&batch)), told(&mine.events));
            state = step.state;
        }
        assert!(!state.is_alive() && state.is_empty() && state.revision() == 6);
    }

    #[test]
    fn a_deletion_tells_what_the_object_was() {
        let (born, _) = own(&State::empty(0, 0, Life::None), |s| {
            vec![s.birth("u1"), s.change(put("a/x"))]
        });
        let (_, batch) = own(&born.state, |s| {
            vec![s.change(Change::Delete { key: "a/x".into() })]
        });
        let events = events_of(&batch);
        let Previous::Object(old) = &events[0].previous else {
            panic!("a deletion has the object");
        };
        assert_eq!((events[0].revision, old.revision), (3, 2));
        assert_eq!(old.value, "{\"name\":\"a/x\"}");
        assert!(events[0].object.is_none());
    }

    #[test]
    fn a_reset_touches_all_that_was_there() {
        let (born, _) = own(&State::empty(0, 0, Life::None), |s| {
            vec![s.birth("u1"), s.change(put("a/x")), s.change(put("a/y"))]
        });
        let (closed, _) = own(&born.state, |s| vec![s.close()]);
        assert_eq!(closed.touched.len(), 2);
        assert!(closed.touched.iter().all(|t| t.gone && t.revision == 4));
        assert_eq!(closed.state.since, 4);
    }
}
