//! Verifies what a store has, tenant by tenant: that each log is whole and can be read, that each
//! projection can be read, and that both together give the state whose digest was written.
//!
//! A tenant is read exactly as a load reads it, and forgotten again: nothing is written.

use bytes::Bytes;
use k8shost_types::Error;

use super::engine::Engine;
use super::keys::{Revision, TenantId};
use super::shared::store_error;
use super::tenant::Tenant;

/// What there is of a tenant.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The tenant.
    pub id: TenantId,
    /// The revision of its state.
    pub revision: Revision,
    /// Its live objects.
    pub objects: usize,
    /// Bytes of their JSON.
    pub object_bytes: u64,
    /// Batches in its log.
    pub batches: usize,
    /// Bytes of its log.
    pub log_bytes: usize,
    /// Projections that the log overrules and that are still to be written.
    pub pending: usize,
    /// What is wrong, if anything is.
    pub damage: Option<String>,
}

/// What a check finds, in the order of the keys.
#[derive(Clone, Debug)]
pub enum Found {
    /// A tenant that can be read. Something may be wrong with it: see [`Checked::damage`].
    Tenant(Checked),
    /// A tenant that can't be loaded. The error names the key, and what is wrong with it.
    Unreadable(TenantId, Error),
    /// A key that is no tenant's.
    Stray(String),
}

impl Engine {
    /// Verifies all that the store has, and tells `each` of it. An error: the store can't be read.
    pub async fn check(&self, mut each: impl FnMut(Found)) -> Result<(), Error> {
        let mut start = Bytes::from_static(b"k8s/");
        loop {
            let page = self
                .shared()
                .kv
                .scan(start, Bytes::from_static(b"k8s0"), 1)
                .await;
            let page = page.map_err(|error| store_error(&error))?;
            let Some((key, _)) = page.first() else {
                return Ok(());
            };
            match TenantId::of_key(key) {
                Some((id, _)) => {
                    start = end_of(id.prefix().as_bytes());
                    each(match self.check_tenant(&id).await {
                        Ok(checked) => Found::Tenant(checked),
                        Err(error) => Found::Unreadable(id, error),
                    });
                }
                None => {
                    each(Found::Stray(key.escape_ascii().to_string()));
                    start = [key, &b"\0"[..]].concat().into();
                }
            }
        }
    }

    async fn check_tenant(&self, id: &TenantId) -> Result<Checked, Error> {
        let tenant = Tenant::new(id.clone(), 0, self.shared().clone());
        let (held, _) = tenant.assemble(tenant.read_all().await?)?;
        let state = &held.state;
        let objects = || state.stored().map(|object| object.value.len() as u64);
        Ok(Checked {
            id: id.clone(),
            revision: state.revision(),
            objects: objects().count(),
            object_bytes: objects().sum(),
            batches: held.applied.len(),
            log_bytes: held.log_bytes,
            pending: held.dirty.len(),
            damage: held.damage.as_ref().map(|damage| damage.text.clone()),
        })
    }
}

/// The first key behind all keys that begin with a prefix, which ends in `/`.
fn end_of(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end.into()
}
