//! Reading a tenant's projections. While one page is read from the store, the ones before it are
//! parsed by tasks of their own.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use k8shost_types::{Error, Reason};
use tokio::sync::oneshot;

use super::Schema;
use super::keys::Key;
use super::mutation::Mutation;
use super::shared::{Backoff, store_error};
use super::state::{Object, State};
use super::tenant::Tenant;
use crate::kv::{KvError, Pair};

/// A page has at most this many projections; the store cuts it by bytes.
const PAGE: usize = 2048;
/// Pages with fewer are parsed on the spot.
const SPAWN: usize = 64;
/// So many pages are parsed at once.
const AHEAD: usize = 3;

/// What the projections say.
pub(crate) struct Scanned {
    /// The state with the objects that they have.
    pub(crate) state: State,
    /// Keys with what is left of before the last birth or close below the floor.
    pub(crate) debris: Vec<Key>,
    /// Keys that can't be read.
    pub(crate) unreadable: Vec<Key>,
}

/// A projection that was read; the reason if it can't be.
type Parsed = (Key, Result<Arc<Object>, String>);

/// A page on its way.
enum Page {
    Parsed(Vec<Parsed>),
    Parsing(oneshot::Receiver<Vec<Parsed>>),
}

impl Tenant {
    /// Reads all projections into a state that is empty as yet.
    pub(crate) async fn scan(&self, empty: State) -> Result<Scanned, Error> {
        let shared = &self.shared;
        let mut scanned = Scanned {
            state: empty,
            debris: Vec::new(),
            unreadable: Vec::new(),
        };
        let (mut start, end) = self.id.projections();
        let mut pages: VecDeque<Page> = VecDeque::new();
        let mut backoff = Backoff::new(shared);
        loop {
            let page = match shared.kv.scan(start.clone(), end.clone(), PAGE).await {
                Err(KvError::Unknown(_)) => {
                    backoff.wait(shared).await;
                    continue;
                }
                result => result.map_err(|error| store_error(&error))?,
            };
            let Some((last, _)) = page.last() else {
                break;
            };
            start = behind(last);
            pages.push_back(self.parse_page(page));
            if pages.len() > AHEAD
                && let Some(page) = pages.pop_front()
            {
                self.add_page(&mut scanned, page).await?;
            }
        }
        for page in pages {
            self.add_page(&mut scanned, page).await?;
        }
        Ok(scanned)
    }

    fn parse_page(&self, page: Vec<Pair>) -> Page {
        let prefix = self.id.prefix().len();
        let schema = self.shared.schema.clone();
        if page.len() < SPAWN {
            return Page::Parsed(parse(page, prefix, schema.as_ref()));
        }
        let (sender, receiver) = oneshot::channel();
        let task = async move {
            // Who loads may have gone away.
            let _ = sender.send(parse(page, prefix, schema.as_ref()));
        };
        self.shared.env.spawn(task.boxed());
        Page::Parsing(receiver)
    }

    async fn add_page(&self, scanned: &mut Scanned, page: Page) -> Result<(), Error> {
        let parsed = match page {
            Page::Parsed(parsed) => parsed,
            Page::Parsing(receiver) => receiver.await.map_err(|_| {
                let message = "the server is stopping";
                Error::new(Reason::ServiceUnavailable, message)
            })?,
        };
        let since = scanned.state.since;
        for (key, projection) in parsed {
            match projection {
                Ok(object) if object.revision > since => {
                    scanned.state.put(object);
                }
                Ok(object) => {
                    if self.shared.mutated(Mutation::EagerDebris) && object.revision < since {
                        self.delete_at_once(&key);
                    }
                    scanned.debris.push(key);
                }
                Err(error) => {
                    tracing::error!(
                        "the projection {}{key} can't be read: {error}",
                        self.id.prefix()
                    );
                    scanned.unreadable.push(key);
                }
            }
        }
        Ok(())
    }

    /// For a mutation.
    fn delete_at_once(&self, key: &Key) {
        let (shared, key) = (self.shared.clone(), self.id.projection_key(key));
        let task = async move {
            let _ = shared.kv.write(vec![(key, None)]).await;
        };
        self.shared.env.spawn(task.boxed());
    }
}

fn parse(page: Vec<Pair>, prefix: usize, schema: &dyn Schema) -> Vec<Parsed> {
    page.into_iter()
        .map(|(key, value)| {
            let rest = key.get(prefix..).unwrap_or_default();
            let Ok(name) = std::str::from_utf8(rest) else {
                let name = String::from_utf8_lossy(rest).into_owned();
                return (name.into(), Err("the key is not text".to_owned()));
            };
            let name = Key::from(name);
            let object = schema.read(&name, &value).map(|(revision, attributes)| {
                let value = own(value);
                Arc::new(Object::new(name.clone(), revision, value, attributes))
            });
            (name, object)
        })
        .collect()
}

/// The value, without whatever larger buffer it may be a part of.
fn own(value: Bytes) -> Bytes {
    if value.is_unique() {
        value
    } else {
        Bytes::copy_from_slice(&value)
    }
}

/// The first key behind another.
pub(crate) fn behind(key: &Bytes) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}
