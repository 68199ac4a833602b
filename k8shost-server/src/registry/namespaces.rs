//! Namespaces: those that a project is born with, and the emptying of those that are deleted.

use std::time::SystemTime;

use k8shost_store::log::{Change, Object, Revision, State};
use k8shost_types::{Error, meta};
use serde_json::{Value, json};

use super::{
    Tenant,
    delete::{is_done, mark},
    json::parse,
    kind::{Kind, KindRef, NAMESPACES, NODES, PODS},
    write::{Outcome, Prepared, deletion, settle},
};

/// What a project has from its birth.
pub(super) const INITIAL: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The finalizer in a namespace's spec that stands for "not empty yet".
const FINALIZER: &str = "kubernetes";

/// Objects in one commit of an emptying, and bytes: a commit has 4 MiB at most, and a delete carries
/// the object.
const CHUNK_OBJECTS: usize = 1_000;
const CHUNK_BYTES: usize = 1 << 20;

/// Whether a namespace is on its way out, told from what selectors see.
pub(crate) fn is_terminating(namespace: &Object) -> bool {
    namespace.attributes.field("status.phase") == Some("Terminating")
}

/// The namespaces of a new project; the first of them gets this revision.
pub(crate) fn initial(first: Revision) -> Vec<Change> {
    let make = |(name, revision): (&str, Revision)| {
        let mut namespace = json!({"metadata": {"name": name}});
        let uid = uuid::Uuid::new_v4().to_string();
        NAMESPACES
            .rules
            .before_create(&mut namespace, &uid, SystemTime::now(), "")
            .expect("the names of the initial namespaces are valid");
        Prepared::new(&NAMESPACES, &namespace).change(&NAMESPACES.key("", name), Some(revision))
    };
    INITIAL.into_iter().zip(first..).map(make).collect()
}

/// How far the emptying of a tenant's terminating namespaces has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emptying {
    /// There is no terminating namespace.
    Done,
    /// There is more to do now.
    More,
    /// What is left waits for others: for nodes to end pods, for finalizers to be removed.
    Waits(Revision),
}

impl Tenant {
    /// One step of emptying the namespaces that are being deleted. Takes no input and may be called
    /// at any time, any number of times.
    pub(crate) async fn empty_namespaces(&self) -> Result<Emptying, Error> {
        let state = self.log().read().await?;
        let terminating: Vec<String> = state
            .range(&NAMESPACES.prefix(""))
            .filter(|namespace| is_terminating(namespace))
            .map(|namespace| NAMESPACES.split(&namespace.key).1.to_owned())
            .collect();
        let mut progress = Emptying::Done;
        for namespace in terminating {
            let (chunk, left) = doomed(&state, &self.kinds(), &namespace);
            if !chunk.is_empty() {
                self.delete_all(chunk).await?;
                return Ok(Emptying::More);
            }
            if left == 0 {
                self.release(&namespace).await?;
            } else {
                progress = Emptying::Waits(state.revision());
            }
        }
        Ok(progress)
    }

    /// Deletes, or marks for deletion, what is there of these objects.
    async fn delete_all(&self, keys: Vec<(KindRef, String)>) -> Result<(), Error> {
        let now = SystemTime::now();
        let commit = move |state: &State| {
            let mut changes = Vec::new();
            for (kind, key) in &keys {
                let Some(object) = state.get(key) else {
                    continue;
                };
                let mut value = parse(&object.value)?;
                let orphaned = is_orphaned(state, kind, &value);
                if !mark(kind, &mut value, orphaned.then_some(0), now) {
                    continue;
                }
                let revision = state.next_revision() + changes.len() as u64;
                if is_done(kind, &value) {
                    changes.append(&mut deletion(state, key, revision));
                } else {
                    changes.push(Prepared::new(kind, &value).change(key, Some(revision)));
                }
            }
            Ok(changes)
        };
        self.log().commit(Box::new(commit)).await?;
        Ok(())
    }

    /// An empty namespace loses its finalizer, and with the last one goes. Something may have been
    /// created before the namespace was marked and be seen only now: the commit looks again.
    async fn release(&self, namespace: &str) -> Result<(), Error> {
        let name = namespace.to_owned();
        let key = NAMESPACES.key("", namespace);
        let kinds = self.kinds();
        let commit = move |state: &State| {
            let Some(object) = state.get(&key).filter(|object| is_terminating(object)) else {
                return Ok(vec![]);
            };
            if contents(state, &kinds, &name).next().is_some() {
                return Ok(vec![]);
            }
            let mut value = parse(&object.value)?;
            if let Some(finalizers) = value["spec"]["finalizers"].as_array_mut() {
                finalizers.retain(|f| f != FINALIZER);
            }
            let old = parse(&object.value)?;
            Ok(match settle(&NAMESPACES, value) {
                Outcome::Delete(_) => deletion(state, &key, state.next_revision()),
                Outcome::Put(value) if value != old => {
                    vec![
                        Prepared::new(&NAMESPACES, &value)
                            .change(&key, Some(state.next_revision())),
                    ]
                }
                Outcome::Put(_) | Outcome::Keep => vec![],
            })
        };
        self.log().commit(Box::new(commit)).await?;
        Ok(())
    }
}

/// All objects in a namespace.
fn contents<'s>(
    state: &'s State,
    kinds: &'s [KindRef],
    namespace: &str,
) -> impl Iterator<Item = (&'s KindRef, &'s std::sync::Arc<Object>)> {
    let prefixes: Vec<_> = kinds
        .iter()
        .filter(|kind| kind.rules.namespaced)
        .map(|kind| (kind, kind.prefix(namespace)))
        .collect();
    prefixes.into_iter().flat_map(move |(kind, prefix)| {
        state
            .range(&prefix)
            .map(move |object| (kind, object))
            .collect::<Vec<_>>()
    })
}

/// What of a namespace can be deleted or marked now, a commit's worth, and how many objects are left
/// in all.
fn doomed(state: &State, kinds: &[KindRef], namespace: &str) -> (Vec<(KindRef, String)>, usize) {
    let (mut chunk, mut bytes, mut left) = (Vec::new(), 0, 0);
    for (kind, object) in contents(state, kinds, namespace) {
        left += 1;
        if chunk.len() == CHUNK_OBJECTS || bytes >= CHUNK_BYTES {
            break;
        }
        let waits = parse(&object.value).is_ok_and(|value| {
            let marked = !meta::deletion_timestamp(&value).is_empty();
            let grace = meta::deletion_grace_period_seconds(&value).unwrap_or(0);
            marked && (grace == 0 || !is_orphaned(state, kind, &value))
        });
        if !waits {
            bytes += object.value.len();
            chunk.push((kind.clone(), object.key.as_str().to_owned()));
        }
    }
    (chunk, left)
}

/// A pod whose node is not there: nobody will end it.
fn is_orphaned(state: &State, kind: &Kind, object: &Value) -> bool {
    let node = object["spec"]["nodeName"].as_str().unwrap_or_default();
    std::ptr::eq(kind, &raw const PODS)
        && !node.is_empty()
        && state.get(&NODES.key("", node)).is_none()
}
