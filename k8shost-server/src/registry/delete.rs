//! Delete: preconditions, grace periods, finalizers.
//!
//! An object goes at once unless something holds it: a grace period (a bound pod waits for its node),
//! a finalizer, or what its kind says (a namespace waits until it is empty). Until then it carries
//! `metadata.deletionTimestamp`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use k8shost_store::log::Object;
use k8shost_types::{Error, meta, time};
use serde_json::{Value, json};

use super::{
    Resource,
    kind::{Kind, NAMESPACES},
    write::{Outcome, Preconditions},
};

/// Namespaces that a cluster does not work without.
const UNDELETABLE: [&str; 3] = ["default", "kube-system", "kube-public"];

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They go after it.
    Background,
    /// It waits for them.
    Foreground,
    /// They stay, and it waits until they are nobody's.
    Orphan,
}

/// The finalizers that the collector of garbage removes when it is done.
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What a delete asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    /// Seconds until the object goes; of a kind without grace periods, no meaning.
    pub(crate) grace_period_seconds: Option<i64>,
    /// As asked for; if not, finalizers stay as they are.
    pub(crate) propagation: Option<Propagation>,
    /// What must be true of the object.
    pub(crate) preconditions: Preconditions,
    /// Whether nothing is stored.
    pub(crate) dry_run: bool,
}

impl Resource<'_> {
    /// Deletes an object, or marks it for deletion. The answer is the object as it is now, or
    /// as it was when it went.
    pub(crate) async fn delete(
        &self,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Arc<Object>, Error> {
        let kind = self.kind.clone();
        let now = SystemTime::now();
        self.read_modify_write(namespace, name, options.dry_run, move |_, old| {
            options.preconditions.check(&kind, old)?;
            let mut new = old.clone();
            if !begin(&kind, &mut new, &options, now)? {
                return Ok(Outcome::Keep);
            }
            Ok(if is_done(&kind, &new) {
                // A pod that goes at once is answered with the marks that it would have had.
                Outcome::Delete((kind.grace)(old, Some(0)).map(|_| new))
            } else {
                Outcome::Put(new)
            })
        })
        .await
    }
}

/// Begins the deletion of an object. False: it has begun before, and this delete changes nothing about that.
pub(crate) fn begin(
    kind: &Kind,
    object: &mut Value,
    options: &DeleteOptions,
    now: SystemTime,
) -> Result<bool, Error> {
    (kind.begin_delete)(object)?;
    let held = propagate(object, options.propagation.or(kind.propagation));
    Ok(mark(kind, object, options.grace_period_seconds, now) || held)
}

/// Sets the finalizers that stand for a propagation. Whether that has changed any.
fn propagate(object: &mut Value, propagation: Option<Propagation>) -> bool {
    let Some(propagation) = propagation else {
        return false;
    };
    let finalizers = object["metadata"]["finalizers"].as_array();
    let before = finalizers.cloned().unwrap_or_default();
    let mut after = before.clone();
    after.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN);
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => after.push(FOREGROUND.into()),
        Propagation::Orphan => after.push(ORPHAN.into()),
    }
    if after == before {
        return false;
    }
    object["metadata"]["finalizers"] = after.into();
    true
}

/// Whether nothing holds an object that is being deleted.
pub(crate) fn is_done(kind: &Kind, object: &Value) -> bool {
    let metadata = &object["metadata"];
    !metadata["deletionTimestamp"].is_null()
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) <= 0
        && metadata["finalizers"].as_array().is_none_or(Vec::is_empty)
        && !(kind.is_held)(object)
}

/// Puts the marks of a deletion on an object. False: it is being deleted already, and this delete
/// changes nothing about that.
pub(crate) fn mark(
    kind: &Kind,
    object: &mut Value,
    requested: Option<i64>,
    now: SystemTime,
) -> bool {
    // As in Kubernetes, where a negative period means "now, nearly".
    let requested = requested.map(|seconds| if seconds < 0 { 1 } else { seconds });
    let pending = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let deletion = object["metadata"]["deletionTimestamp"]
        .as_str()
        .and_then(time::parse);
    if let Some(at) = deletion {
        let (Some(pending), Some(requested)) = (pending, requested) else {
            return false;
        };
        // A pending deletion may only be made shorter.
        if requested >= pending {
            return false;
        }
        let begun = at.checked_sub(seconds(pending)).unwrap_or(now);
        set_deletion(object, begun + seconds(requested), requested);
        return true;
    }
    let grace = (kind.grace)(object, requested).unwrap_or(0);
    set_deletion(object, now + seconds(grace), grace);
    if std::ptr::eq(kind, &raw const NAMESPACES) {
        // What holds a namespace is what is in it.
        meta::remove(object, "deletionGracePeriodSeconds");
    }
    if let Some(generation) = object["metadata"]["generation"].as_i64()
        && generation > 0
    {
        object["metadata"]["generation"] = json!(generation + 1);
    }
    true
}

fn set_deletion(object: &mut Value, at: SystemTime, grace: i64) {
    object["metadata"]["deletionTimestamp"] = json!(time::format(at));
    object["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
}

/// A grace period, a hundred years at most: what is longer has no date.
fn seconds(grace: i64) -> Duration {
    Duration::from_secs(grace.clamp(0, 100 * 365 * 86_400).unsigned_abs())
}

/// A namespace begins to go: nothing new is made in it.
pub(crate) fn begin_namespace_delete(namespace: &mut Value) -> Result<(), Error> {
    let name = meta::name(namespace);
    if UNDELETABLE.contains(&name) {
        return Err(Error::forbidden(
            "namespaces",
            name,
            "this namespace may not be deleted",
        ));
    }
    namespace["status"]["phase"] = json!("Terminating");
    Ok(())
}

/// A namespace stays until its spec's finalizers are gone: until it is empty.
pub(crate) fn namespace_is_held(namespace: &Value) -> bool {
    namespace["spec"]["finalizers"]
        .as_array()
        .is_some_and(|f| !f.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{super::kind::PODS, *};

    fn pod(node: &str) -> Value {
        json!({"metadata": {"name": "a", "generation": 1}, "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30}, "status": {"phase": "Running"}})
    }

    #[test]
    fn an_unbound_pod_goes_at_once_and_a_bound_one_waits() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let mut unbound = pod("");
        assert!(mark(&PODS, &mut unbound, None, now) && is_done(&PODS, &unbound));
        let mut bound = pod("n1");
        assert!(mark(&PODS, &mut bound, None, now) && !is_done(&PODS, &bound));
        assert_eq!(bound["metadata"]["deletionGracePeriodSeconds"], 30);
        assert_eq!(
            bound["metadata"]["deletionTimestamp"],
            "1970-01-01T00:17:10Z"
        );
        assert_eq!(bound["metadata"]["generation"], 2);
    }

    #[test]
    fn a_pending_deletion_is_only_made_shorter() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let mut object = pod("n1");
        assert!(mark(&PODS, &mut object, Some(60), now));
        assert!(!mark(&PODS, &mut object, Some(60), now) && !mark(&PODS, &mut object, None, now));
        assert!(mark(&PODS, &mut object, Some(10), now));
        assert_eq!(
            object["metadata"]["deletionTimestamp"],
            "1970-01-01T00:16:50Z"
        );
        assert_eq!(object["metadata"]["generation"], 2, "counted once");
        assert!(mark(&PODS, &mut object, Some(0), now) && is_done(&PODS, &object));
    }

    #[test]
    fn a_finalizer_holds_whatever_the_grace_period() {
        let mut object = pod("");
        object["metadata"]["finalizers"] = json!(["x.io/f"]);
        assert!(mark(&PODS, &mut object, Some(0), SystemTime::UNIX_EPOCH));
        assert!(!is_done(&PODS, &object));
    }

    #[test]
    fn a_grace_period_beyond_all_time_does_not_overflow() {
        let mut object = pod("n1");
        assert!(mark(&PODS, &mut object, Some(i64::MAX), SystemTime::now()));
        assert!(mark(&PODS, &mut object, Some(5), SystemTime::now()));
    }
}
