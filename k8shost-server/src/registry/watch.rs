//! Watches: the log's events as a selector sees them, initial events, bookmarks.

use std::{sync::Arc, time::Duration};

use k8shost_store::log::{Delivery, Event, Object, Previous, Revision, State, Watcher};
use k8shost_types::{Error, FieldError, FieldErrorKind};
use serde_json::{Value, json};

use super::{
    Resource,
    kind::Kind,
    list::{Filter, Selectors, parse_revision},
};

/// The annotation of the bookmark that ends the initial events.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// A watch request.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchOptions {
    pub(crate) selectors: Selectors,
    /// Empty: from now, with what there is as ADDED events. "0": the same, of what is in memory.
    /// Else: everything after this revision.
    pub(crate) resource_version: String,
    pub(crate) resource_version_match: String,
    /// First what there is, then a bookmark that says so, then what happens.
    pub(crate) send_initial_events: bool,
    pub(crate) allow_bookmarks: bool,
}

/// What a watcher is told.
#[derive(Debug)]
pub(crate) enum WatchItem {
    /// It is there, as the watch began or since it is selected.
    Added(Version),
    /// It has changed.
    Modified(Version),
    /// It is gone, or no longer selected.
    Deleted(Version),
    /// Everything up to this revision was told.
    Bookmark {
        /// Where to resume from.
        revision: Revision,
        /// The end of the initial events.
        initial_end: bool,
    },
}

/// The object that an event shows.
#[derive(Debug)]
pub(crate) enum Version {
    /// A version of it.
    Stored(Arc<Object>),
    /// The new version of a change that every watcher sees in the same way; the event keeps what was
    /// made of it.
    Shared(Arc<Event>, Arc<Object>),
    /// A former version, under the revision of the change that took it away.
    Former(Arc<Event>, Arc<Object>),
}

/// An open watch.
pub(crate) struct Watch {
    filter: Filter,
    /// What there was, not yet told. Taken from the end.
    initial: Vec<Arc<Object>>,
    /// The revision of the initial events, while they are not ended.
    initial_revision: Option<Revision>,
    watcher: Watcher,
    delivery: Option<(Delivery, usize)>,
    bookmarks: Option<tokio::time::Interval>,
}

impl Resource<'_> {
    /// Opens a watch. Expired, if the revision to resume from is too old, comes with the first item.
    pub(crate) async fn watch(&self, options: &WatchOptions) -> Result<Watch, Error> {
        let filter = Filter::new(&self.kind, &options.selectors)?;
        let version = options.resource_version.as_str();
        let log = &self.tenant.log;
        check_match(options)?;
        let revision = if version.is_empty() {
            None
        } else {
            Some(parse_revision(version)?)
        };
        let (state, initial) = match revision {
            None => (log.read().await?, true),
            Some(0) => (log.cached()?, true),
            Some(revision) => (log.at_least(revision).await?, options.send_initial_events),
        };
        let from = if initial {
            state.revision()
        } else {
            revision.unwrap_or(0)
        };
        let every = self.tenant.context.bookmark_interval;
        Ok(Watch {
            initial: if initial {
                selected(&filter, &state)
            } else {
                Vec::new()
            },
            initial_revision: options.send_initial_events.then_some(from),
            filter,
            watcher: log.watch(from),
            delivery: None,
            bookmarks: options.allow_bookmarks.then(|| interval(every)),
        })
    }
}

fn interval(every: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

/// What there is, last first.
fn selected(filter: &Filter, state: &State) -> Vec<Arc<Object>> {
    let all = state.range(filter.prefix());
    let mut objects: Vec<_> = all
        .filter(|o| filter.takes_all() || filter.matches(&o.key, &o.attributes))
        .cloned()
        .collect();
    objects.reverse();
    objects
}

/// resourceVersionMatch belongs to initial events, and then says NotOlderThan.
fn check_match(options: &WatchOptions) -> Result<(), Error> {
    let message = match (
        options.resource_version_match.as_str(),
        options.send_initial_events,
    ) {
        ("", _) | ("NotOlderThan", true) => return Ok(()),
        (_, true) => {
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        }
        (_, false) => {
            "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        }
    };
    let field = FieldError {
        kind: FieldErrorKind::Forbidden,
        field: "resourceVersionMatch".to_owned(),
        message: message.to_owned(),
    };
    Err(Error::invalid_in(
        "meta.k8s.io",
        "ListOptions",
        "",
        vec![field],
    ))
}

impl Watch {
    /// What to tell next; waits for it. After an error the watch is over.
    pub(crate) async fn next(&mut self) -> Result<WatchItem, Error> {
        loop {
            if let Some(object) = self.initial.pop() {
                return Ok(WatchItem::Added(Version::Stored(object)));
            }
            if let Some(revision) = self.initial_revision.take() {
                return Ok(WatchItem::Bookmark {
                    revision,
                    initial_end: true,
                });
            }
            while let Some((delivery, at)) = &mut self.delivery {
                let Some(event) = delivery.events.get(*at).cloned() else {
                    self.delivery = None;
                    break;
                };
                *at += 1;
                if let Some(item) = see(&self.filter, event) {
                    return Ok(item);
                }
            }
            match &mut self.bookmarks {
                None => self.delivery = Some((self.watcher.next().await?, 0)),
                Some(interval) => tokio::select! {
                    biased;
                    delivery = self.watcher.next() => self.delivery = Some((delivery?, 0)),
                    _ = interval.tick() => {
                        let revision = self.watcher.revision();
                        return Ok(WatchItem::Bookmark { revision, initial_end: false });
                    }
                },
            }
        }
    }

    /// The object that a bookmark shows.
    pub(crate) fn bookmark(&self, revision: Revision, initial_end: bool) -> Value {
        let rules = &self.kind().rules;
        let mut object = json!({
            "apiVersion": rules.api_version,
            "kind": rules.kind,
            "metadata": {"resourceVersion": revision.to_string()},
        });
        if initial_end {
            object["metadata"]["annotations"] = json!({INITIAL_EVENTS_END: "true"});
        }
        object
    }

    /// The kind that is watched.
    pub(crate) fn kind(&self) -> &Kind {
        self.filter.kind()
    }
}

/// An event as a selector sees it: an object that begins to match is added, one that no longer does
/// is deleted. `None`: none of its business.
fn see(filter: &Filter, event: Arc<Event>) -> Option<WatchItem> {
    if !event.key.starts_with(filter.prefix()) {
        return None;
    }
    let matched = |previous: &Previous| match previous {
        Previous::None => false,
        Previous::Object(object) => filter.matches(&event.key, &object.attributes),
        Previous::Attributes(attributes) => filter.matches(&event.key, attributes),
    };
    let before = matched(&event.previous);
    let now = event
        .object
        .as_ref()
        .filter(|o| filter.matches(&event.key, &o.attributes))
        .cloned();
    match (before, now) {
        (false, None) => None,
        (false, Some(object)) => Some(WatchItem::Added(Version::Shared(event, object))),
        (true, Some(object)) => Some(WatchItem::Modified(Version::Shared(event, object))),
        (true, None) => {
            let former = match (&event.previous, &event.object) {
                (Previous::Object(former), _) => former.clone(),
                // Read from the log, which keeps of the version before only what was selected by.
                (_, Some(new)) => new.clone(),
                (_, None) => return None,
            };
            Some(WatchItem::Deleted(Version::Former(event, former)))
        }
    }
}
