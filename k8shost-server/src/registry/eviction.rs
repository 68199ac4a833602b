//! Evictions: the deletion of a pod and what it takes of a budget are one commit.

use std::time::SystemTime;

use k8shost_store::log::{Change, CommitFn, State};
use k8shost_types::{Error, Reason, eviction};
use serde_json::Value;

use super::{
    Tenant,
    delete::{self, DeleteOptions},
    json::parse,
    kind::{Kind, PODS},
    ownership::{Ownership, WriteOptions},
    write::Prepared,
};

impl Tenant {
    /// Evicts a pod: deletes it, if its PodDisruptionBudget allows that.
    ///
    /// # Errors
    /// NotFound; TooManyRequests, if the budget does not allow it now; Conflict, if the preconditions do
    /// not hold.
    pub(crate) async fn evict(
        &self,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<(), Error> {
        let key = PODS.key(namespace, name);
        let missing = Error::not_found(PODS.resource(), name);
        let namespace = namespace.to_owned();
        let now = SystemTime::now();
        let dry_run = options.dry_run;
        let mut commit: CommitFn = Box::new(move |state| {
            let object = state.get(&key).ok_or_else(|| missing.clone())?;
            let pod = parse(&object.value)?;
            let mut changes = Vec::new();
            let mut revision = state.next_revision();
            if let Some((kind, key, budget)) = spent(state, &namespace, &pod, now)? {
                changes.push(Prepared::new(kind, &budget).change(&key, Some(revision)));
                revision += 1;
            }
            options.preconditions.check(&PODS, &pod)?;
            let mut evicted = pod.clone();
            eviction::mark(&mut evicted, now);
            delete::begin(&PODS, &mut evicted, &options, now)?;
            if delete::is_done(&PODS, &evicted) {
                changes.push(Change::Delete {
                    key: key.as_str().into(),
                });
            } else if evicted != pod {
                changes.push(Prepared::new(&PODS, &evicted).change(&key, Some(revision)));
            }
            Ok(changes)
        });
        if dry_run {
            commit(&self.log.read().await?)?;
        } else {
            self.log.commit(commit).await?;
        }
        Ok(())
    }
}

/// The budget of a pod after an eviction, if that changes it; with its kind and its key.
fn spent(
    state: &State,
    namespace: &str,
    pod: &Value,
    now: SystemTime,
) -> Result<Option<(&'static Kind, String, Value)>, Error> {
    if eviction::is_exempt(pod) {
        return Ok(None);
    }
    let Some((kind, _)) = Kind::served("policy", "v1", "poddisruptionbudgets") else {
        return Err(Error::new(Reason::Internal, "there are no budgets"));
    };
    let mut found = None;
    for object in state.range(&kind.prefix(namespace)) {
        let budget = parse(&object.value)?;
        if !eviction::guards(&budget, pod) {
            continue;
        }
        if found.is_some() {
            return Err(eviction::guarded_twice());
        }
        found = Some((object.key.to_string(), budget));
    }
    let Some((key, old)) = found else {
        return Ok(None);
    };
    let mut budget = old.clone();
    if !eviction::spend(&mut budget, pod, now)? {
        return Ok(None);
    }
    Ownership::new(kind, None, "status", &WriteOptions::internal()).update(Some(&old), &mut budget);
    Ok(Some((kind, key, budget)))
}
