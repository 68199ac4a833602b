//! The kinds that projects have of their own, made at run time, beside the built-in ones.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use k8shost_types::{Strategy, custom::Custom, kinds, schema::Schemas, tenant::TenantName};

use super::{
    Tenant,
    kind::{KINDS, Kind, KindRef, View, resource_of},
};

/// The own kinds of all projects.
#[derive(Debug, Default)]
pub(crate) struct OwnKinds(RwLock<HashMap<TenantName, Arc<Own>>>);

/// The own kinds of a project. They are never changed: others take their place, all at once.
#[derive(Debug)]
pub(crate) struct Own {
    /// By resource and group.
    kinds: HashMap<String, Arc<Kind>>,
    /// The hashes of the project's OpenAPI documents of version 3, by name, once they are known.
    pub(crate) hashes: OnceLock<BTreeMap<String, String>>,
    /// That of the document of version 2.
    pub(crate) hash_v2: OnceLock<String>,
}

impl OwnKinds {
    /// From now on a project has these kinds of its own, which are in groups that no built-in kind is in.
    pub(crate) fn set(&self, project: &TenantName, kinds: Vec<Strategy>) {
        let kinds: HashMap<_, _> = kinds
            .into_iter()
            .map(|rules| {
                let kind = Kind::own(rules);
                (kind.group_resource(), Arc::new(kind))
            })
            .collect();
        let mut projects = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kinds.is_empty() {
            projects.remove(project);
            return;
        }
        let own = Own {
            kinds,
            hashes: OnceLock::new(),
            hash_v2: OnceLock::new(),
        };
        projects.insert(project.clone(), Arc::new(own));
    }

    fn of(&self, project: &TenantName) -> Option<Arc<Own>> {
        let projects = self.0.read().unwrap_or_else(PoisonError::into_inner);
        projects.get(project).cloned()
    }
}

impl Own {
    /// As discovery tells of them.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &kinds::Kind> + Clone {
        self.custom().map(Custom::kind)
    }

    /// Their schemas.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &Schemas> {
        self.custom().map(Custom::schemas)
    }

    fn custom(&self) -> impl Iterator<Item = &Custom> + Clone {
        let kinds = self.kinds.values();
        kinds.filter_map(|kind| kind.rules.custom.as_deref())
    }
}

impl Tenant {
    /// The kinds that it has besides the built-in ones, if there are any.
    pub(crate) fn own(&self) -> Option<Arc<Own>> {
        self.context.own.of(self.name()?)
    }

    /// The row of a resource of the API, if the tenant has it; and the view of it, if that is not how it is stored.
    pub(crate) fn served(
        &self,
        group: &str,
        version: &str,
        resource: &str,
    ) -> Option<(KindRef, Option<&'static View>)> {
        if let Some((kind, view)) = Kind::served(group, version, resource) {
            return Some((kind.into(), view));
        }
        let own = self.own()?;
        let kind = own.kinds.get(&resource_of(resource, group))?;
        let is = kind.rules.version() == version;
        is.then(|| (KindRef::Own(kind.clone()), None))
    }

    /// All kinds that it has.
    pub(crate) fn kinds(&self) -> Vec<KindRef> {
        let mut kinds: Vec<KindRef> = KINDS.iter().map(|kind| KindRef::from(*kind)).collect();
        if let Some(own) = self.own() {
            kinds.extend(own.kinds.values().cloned().map(KindRef::Own));
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::read_stored;

    #[test]
    fn a_stored_object_of_a_kind_that_is_not_built_in_is_selected_by_its_labels() {
        let object = json!({"metadata": {"resourceVersion": "7", "labels": {"app": "web"}}});
        let key = "widgets.example.com/default/a";
        let (revision, attributes) = read_stored(key, object.to_string().as_bytes()).unwrap();
        assert_eq!(revision, 7);
        assert_eq!(attributes.label("app"), Some("web"));
    }
}
