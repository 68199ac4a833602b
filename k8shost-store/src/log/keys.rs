//! Names of tenants and of objects, and the keys under which the store has what is theirs.
//!
//! With `P` a tenant's prefix: `P <object key>` is a projection, `P @log/<16 hex digits>` a batch by
//! its first revision, and `P @floor` the floor. The keys of objects begin with a letter, so that
//! nothing of theirs sorts among the keys that begin with `@`.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use k8shost_types::{Error, Reason};

/// A tenant's revision: 1 for its first change, and then one more for each.
pub type Revision = u64;

const ROOT: &str = "k8s/";
const SYSTEM: &str = "k8s/@system/";
/// The first byte that may begin an object's key.
const FIRST: &str = "A";

/// A tenant's name: a project of an organisation, or the system tenant. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId {
    /// What all of its keys begin with; ends in `/`.
    prefix: Arc<str>,
}

impl TenantId {
    /// The tenant that says which organisations and projects there are.
    pub fn system() -> Self {
        Self {
            prefix: SYSTEM.into(),
        }
    }

    /// A project. A name that is empty, or has a `/` or an `@`, is a bad request.
    pub fn project(org: &str, project: &str) -> Result<Self, Error> {
        for (what, name) in [("organisation", org), ("project", project)] {
            if name.is_empty() || name.contains(['/', '@']) {
                let message = format!("{name:?} can't be the name of a tenant's {what}");
                return Err(Error::new(Reason::BadRequest, message));
            }
        }
        Ok(Self {
            prefix: format!("{ROOT}{org}/{project}/").into(),
        })
    }

    /// The tenant whose key this is, and what comes behind the tenant's prefix.
    pub fn of_key(key: &[u8]) -> Option<(Self, &str)> {
        let key = std::str::from_utf8(key).ok()?;
        if let Some(rest) = key.strip_prefix(SYSTEM) {
            return Some((Self::system(), rest));
        }
        let (org, rest) = key.strip_prefix(ROOT)?.split_once('/')?;
        let (project, rest) = rest.split_once('/')?;
        Some((Self::project(org, project).ok()?, rest))
    }

    /// Whether this is the system tenant.
    pub fn is_system(&self) -> bool {
        &*self.prefix == SYSTEM
    }

    /// The organisation's and the project's name; `None` for the system tenant.
    pub fn names(&self) -> Option<(&str, &str)> {
        if self.is_system() {
            return None;
        }
        self.prefix
            .strip_prefix(ROOT)?
            .strip_suffix('/')?
            .split_once('/')
    }

    /// What all keys of the tenant begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of the floor.
    pub fn floor_key(&self) -> Bytes {
        format!("{}@floor", self.prefix).into()
    }

    /// The key of the batch whose first change has this revision.
    pub fn log_key(&self, first: Revision) -> Bytes {
        format!("{}@log/{first:016x}", self.prefix).into()
    }

    /// The end (exclusive) of the keys of batches.
    pub fn log_end(&self) -> Bytes {
        format!("{}@log0", self.prefix).into()
    }

    /// The first revision that a key of a batch, without the tenant's prefix, names.
    pub fn log_revision(rest: &str) -> Option<Revision> {
        let digits = rest.strip_prefix("@log/")?;
        let well_formed = digits.len() == 16
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        well_formed
            .then(|| Revision::from_str_radix(digits, 16).ok())
            .flatten()
    }

    /// The key of an object's projection.
    pub fn projection_key(&self, key: &str) -> Bytes {
        let mut bytes = Vec::with_capacity(self.prefix.len() + key.len());
        bytes.extend_from_slice(self.prefix.as_bytes());
        bytes.extend_from_slice(key.as_bytes());
        bytes.into()
    }

    /// Where the projections begin and end (exclusive). No `@` key is between.
    pub fn projections(&self) -> (Bytes, Bytes) {
        let mut end = self.prefix.as_bytes().to_vec();
        // The prefix ends in `/`, so its last byte has a successor.
        end.pop();
        end.push(b'/' + 1);
        (self.projection_key(FIRST), end.into())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names() {
            Some((org, project)) => write!(f, "{org}/{project}"),
            None => f.write_str("@system"),
        }
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An object's key below its tenant's prefix: `pods/default/nginx`, `nodes/n1`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the log takes the key: it begins with a letter, and thus behind all `@` keys.
    pub fn is_well_formed(&self) -> bool {
        self.as_str() >= FIRST
    }
}

impl Deref for Key {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(key: &str) -> Self {
        Self(key.into())
    }
}

impl From<String> for Key {
    fn from(key: String) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> TenantId {
        TenantId::project("acme", "web").unwrap()
    }

    #[test]
    fn keys_are_laid_out_as_documented() {
        assert_eq!(web().floor_key(), "k8s/acme/web/@floor");
        assert_eq!(web().log_key(31), "k8s/acme/web/@log/000000000000001f");
        assert_eq!(
            web().projection_key("pods/default/nginx"),
            "k8s/acme/web/pods/default/nginx"
        );
        assert_eq!(TenantId::system().floor_key(), "k8s/@system/@floor");
    }

    #[test]
    fn at_keys_are_outside_the_projections() {
        for tenant in [web(), TenantId::system()] {
            let (start, end) = tenant.projections();
            let within = |key: &Bytes| *key >= start && *key < end;
            assert!(!within(&tenant.floor_key()));
            assert!(!within(&tenant.log_key(1)));
            assert!(!within(&tenant.log_end()));
            assert!(within(&tenant.projection_key("pods/default/nginx")));
            assert!(tenant.log_key(Revision::MAX) < tenant.log_end());
        }
    }

    #[test]
    fn a_key_tells_its_tenant() {
        for tenant in [web(), TenantId::system()] {
            let (of, rest) = TenantId::of_key(&tenant.log_key(9)).map(own).unwrap();
            assert_eq!(of, tenant);
            assert_eq!(TenantId::log_revision(&rest), Some(9));
            let (of, rest) = TenantId::of_key(&tenant.projection_key("nodes/n1"))
                .map(own)
                .unwrap();
            assert_eq!((of, rest.as_str()), (tenant, "nodes/n1"));
        }
        assert_eq!(TenantId::of_key(b"k8s/acme"), None);
        assert_eq!(TenantId::log_revision("@log/1f"), None);
        assert_eq!(TenantId::log_revision("@log/00000000000000FF"), None);
    }

    fn own((tenant, rest): (TenantId, &str)) -> (TenantId, String) {
        (tenant, rest.to_owned())
    }

    #[test]
    fn names_that_could_be_mistaken_for_keys_are_refused() {
        for (org, project) in [
            ("", "a"),
            ("a", ""),
            ("a/b", "c"),
            ("@system", "c"),
            ("a", "@"),
        ] {
            assert!(TenantId::project(org, project).is_err());
        }
        assert_eq!(web().names(), Some(("acme", "web")));
        assert_eq!(TenantId::system().names(), None);
        assert!(!Key::from("@floor").is_well_formed());
        assert!(Key::from("nodes/n1").is_well_formed());
    }
}
