//! The registry: Kubernetes' semantics, once for all kinds, over the tenant log.
//!
//! It knows no protocol and no KV. A [`Resource`] is reached through a [`Tenant`] only.

pub(crate) mod delete;
pub(crate) mod eviction;
pub(crate) mod json;
pub(crate) mod kind;
pub(crate) mod list;
pub(crate) mod namespaces;
pub(crate) mod network;
pub(crate) mod nodes;
pub(crate) mod own;
pub(crate) mod ownership;
pub(crate) mod pods;
pub(crate) mod template;
pub(crate) mod tokens;
pub(crate) mod watch;
pub(crate) mod write;

use std::{sync::Arc, time::Duration};

use k8shost_store::log::{Attributes, Object, Pairs, Revision, State, TenantLog};
use k8shost_types::{Error, addresses::ServiceNetwork, tenant::TenantName};
use serde_json::Value;

use self::{
    kind::{Kind, KindRef, View},
    own::OwnKinds,
};

/// What the rules need to know besides the objects.
#[derive(Debug)]
pub(crate) struct Context {
    /// Ranges of cluster IPs and node ports.
    pub network: ServiceNetwork,
    /// How often a watch that asked for bookmarks gets one.
    pub bookmark_interval: Duration,
    /// The kinds that projects have besides the built-in ones.
    pub own: OwnKinds,
}

/// An authenticated request's tenant: the only way to its objects.
#[derive(Clone)]
pub(crate) struct Tenant {
    /// `None`: the system tenant.
    name: Option<Arc<TenantName>>,
    log: TenantLog,
    context: Arc<Context>,
}

impl Tenant {
    /// For [`crate::tenancy`], which looks tenants up, and nobody else.
    pub(crate) fn new(
        name: Option<Arc<TenantName>>,
        log: TenantLog,
        context: Arc<Context>,
    ) -> Self {
        Self { name, log, context }
    }

    /// Its organization and project.
    pub(crate) fn name(&self) -> Option<&Arc<TenantName>> {
        self.name.as_ref()
    }

    /// Its objects of a kind.
    pub(crate) fn resource(&self, kind: impl Into<KindRef>) -> Resource<'_> {
        self.view(kind, None)
    }

    /// The same in a view of the kind.
    pub(crate) fn view(
        &self,
        kind: impl Into<KindRef>,
        view: Option<&'static View>,
    ) -> Resource<'_> {
        Resource {
            tenant: self,
            kind: kind.into(),
            view,
        }
    }

    /// Its log, for the controllers.
    pub(crate) fn log(&self) -> &TenantLog {
        &self.log
    }
}

/// A tenant's objects of one kind.
#[derive(Clone)]
pub(crate) struct Resource<'a> {
    tenant: &'a Tenant,
    kind: KindRef,
    /// What callers send is in this version, not in the stored one.
    view: Option<&'static View>,
}

impl Resource<'_> {
    /// One object, at least as new as a resourceVersion if there is one: 0 is any.
    ///
    /// # Errors
    /// NotFound, if there is none of that name; ResourceVersionTooLarge.
    pub(crate) async fn get(
        &self,
        namespace: &str,
        name: &str,
        resource_version: &str,
    ) -> Result<Arc<Object>, Error> {
        let log = &self.tenant.log;
        let state = match resource_version {
            "" => log.read().await?,
            version => match list::parse_revision(version)? {
                0 => log.cached()?,
                revision => log.at_least(revision).await?,
            },
        };
        state
            .get(&self.kind.key(namespace, name))
            .cloned()
            .ok_or_else(|| self.not_found(name))
    }

    fn not_found(&self, name: &str) -> Error {
        Error::not_found(&self.group_resource(), name)
    }
}

/// What selectors look at, of an object's tree. An empty field is left out: to a selector that is the
/// same, and most fields of most objects are empty.
pub(crate) fn attributes(kind: &Kind, object: &Value) -> Attributes {
    let fields = (kind.rules.fields)(object).into_iter();
    Attributes {
        labels: labels(object),
        fields: fields.filter(|(_, value)| !value.is_empty()).collect(),
        claims: (kind.claims)(object)
            .into_iter()
            .map(String::into_boxed_str)
            .collect(),
    }
}

fn labels(object: &Value) -> Pairs {
    let labels = object["metadata"]["labels"].as_object();
    labels
        .into_iter()
        .flatten()
        .map(|(name, value)| (name, value.as_str().unwrap_or_default()))
        .collect()
}

/// Revision and attributes of a stored object, for loading. A kind that is not built in has nothing but labels that
/// selectors look at.
pub(crate) fn read_stored(key: &str, value: &[u8]) -> Result<(Revision, Attributes), String> {
    let object: Value = serde_json::from_slice(value).map_err(|e| e.to_string())?;
    let revision = object["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|v| v.parse().ok())
        .ok_or("it has no metadata.resourceVersion")?;
    let attributes = match Kind::of_key(key) {
        Some(kind) => attributes(kind, &object),
        None => Attributes {
            labels: labels(&object),
            ..Attributes::default()
        },
    };
    Ok((revision, attributes))
}

/// Refuses a create in a namespace that is not there, or is on its way out.
pub(crate) fn admit_to_namespace(
    state: &State,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> Result<(), Error> {
    let Some(parent) = kind.parent else {
        return Ok(());
    };
    let Some(found) = state.get(&parent.key("", namespace)) else {
        return Err(Error::not_found(&parent.group_resource(), namespace));
    };
    if namespaces::is_terminating(found) {
        return Err(Error::namespace_terminating(
            &kind.group_resource(),
            name,
            namespace,
        ));
    }
    Ok(())
}
