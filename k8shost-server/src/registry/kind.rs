//! The table of kinds. A kind is a row: its rules, and what of it needs the state or the time. All
//! verbs are written once, in the rest of the registry, for every row.

use std::{
    borrow::Cow,
    collections::HashMap,
    ops::Deref,
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use k8shost_store::log::State;
use k8shost_types::{
    Error, Strategy, addresses,
    autoscaling::{self, scale},
    certificates,
    core_v1::event,
    namespace, node, pod, service, strategies,
};
use serde_json::Value;

use super::{
    Context,
    delete::{self, Propagation},
    network,
};

/// A kind in another form than the one that is stored: in another group or version the same objects, or
/// what a subresource shows of them.
pub(crate) struct View {
    /// The rules of that form.
    pub(crate) rules: &'static Strategy,
    /// Whether it is a subresource's, and shows a part of the object only.
    pub(crate) is_part: bool,
    /// Brings an object of the stored version into this form.
    pub(crate) show: fn(&mut Value),
    /// And back. Of an object that there is, the one before is given.
    pub(crate) store: fn(&mut Value, Option<&Value>) -> Result<(), Error>,
}

/// Replicas, as the subresource `scale` of several kinds shows them.
pub(crate) static SCALE: View = View {
    rules: &scale::SCALE,
    is_part: true,
    show: scale::show,
    store: |object, old| old.map_or(Ok(()), |old| scale::store(object, old)),
};

/// Takes what an object needs from what is free in the state, given the object before and its uid. Runs
/// inside the commit, before validation: so an object is judged with what it was given.
type Allocate = fn(&Context, &State, &mut Value, Option<&Value>, &str) -> Result<(), Error>;

/// A row of the table.
pub(crate) struct Kind {
    /// Names, defaults, validation and selectable fields.
    pub(crate) rules: Cow<'static, Strategy>,
    /// What a namespaced kind's namespaces are: an object is made only where one stands and stays.
    pub(crate) parent: Option<&'static Kind>,
    /// What an object holds exclusively, as names: `ip/10.96.0.10`.
    pub(crate) claims: fn(&Value) -> Vec<String>,
    /// For a kind whose objects get something at commit time.
    pub(crate) allocate: Option<Allocate>,
    /// Sets the times that a new version of an object gets, the old one given.
    pub(crate) stamp: fn(&mut Value, &Value, SystemTime),
    /// How long a delete of the object takes when the caller asked for so many seconds. `None`: it
    /// goes at once, as it is.
    pub(crate) grace: fn(&Value, Option<i64>) -> Option<i64>,
    /// What becomes of an object's dependents if a delete does not say.
    pub(crate) propagation: Option<Propagation>,
    /// What a delete refuses, or changes in an object that then stays until something finishes it.
    pub(crate) begin_delete: fn(&mut Value) -> Result<(), Error>,
    /// What keeps a deleted object besides metadata.finalizers.
    pub(crate) is_held: fn(&Value) -> bool,
    /// Its other groups and versions.
    pub(crate) views: &'static [View],
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.rules.kind)
    }
}

/// A handle to a row: of a built-in kind, which costs nothing, or of one that was made at run time.
#[derive(Clone, Debug)]
pub(crate) enum KindRef {
    BuiltIn(&'static Kind),
    Own(Arc<Kind>),
}

impl From<&'static Kind> for KindRef {
    fn from(kind: &'static Kind) -> Self {
        Self::BuiltIn(kind)
    }
}

impl Deref for KindRef {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        match self {
            Self::BuiltIn(kind) => kind,
            Self::Own(kind) => kind,
        }
    }
}

impl Kind {
    /// A kind with nothing special: a row to start from.
    pub(crate) const BASE: Self = Self {
        rules: Cow::Borrowed(&Strategy::BASE),
        parent: None,
        claims: |_| Vec::new(),
        allocate: None,
        stamp: |_, _, _| {},
        grace: |_, _| None,
        propagation: None,
        begin_delete: |_| Ok(()),
        is_held: |_| false,
        views: &[],
    };

    /// The row of a kind that is made at run time.
    pub(crate) fn own(rules: Strategy) -> Self {
        Self {
            parent: rules.namespaced.then_some(&NAMESPACES),
            rules: Cow::Owned(rules),
            ..Self::BASE
        }
    }

    /// Its rules in a view, or as it is stored.
    pub(crate) fn rules_in(&self, view: Option<&'static View>) -> &Strategy {
        view.map_or(&self.rules, |view| view.rules)
    }

    /// Its view in a group and version that is not the stored one.
    pub(crate) fn view(&self, api_version: &str) -> Option<&'static View> {
        let mut views = self.views.iter();
        views.find(|view| view.rules.api_version == api_version)
    }

    /// `pods`.
    pub(crate) fn resource(&self) -> &str {
        &self.rules.resource
    }

    /// As errors name it: `pods`, `deployments.apps`.
    pub(crate) fn group_resource(&self) -> String {
        resource_of(self.resource(), self.rules.group())
    }

    /// Where this kind's objects stand: `pods/`, in a namespace `pods/default/`.
    pub(crate) fn prefix(&self, namespace: &str) -> String {
        let mut prefix = String::with_capacity(64);
        push_resource(&mut prefix, self.resource(), self.rules.group());
        prefix.push('/');
        if self.rules.namespaced && !namespace.is_empty() {
            prefix.push_str(namespace);
            prefix.push('/');
        }
        prefix
    }

    /// An object's key: `pods/default/nginx`, `nodes/n1`.
    pub(crate) fn key(&self, namespace: &str, name: &str) -> String {
        let mut key = self.prefix(namespace);
        key.push_str(name);
        key
    }

    /// Namespace (empty for a cluster-scoped kind) and name in a key of this kind.
    pub(crate) fn split<'k>(&self, key: &'k str) -> (&'k str, &'k str) {
        let rest = key.split_once('/').map_or("", |(_, rest)| rest);
        match rest.split_once('/') {
            Some(parts) if self.rules.namespaced => parts,
            _ => ("", rest),
        }
    }

    /// The built-in row of a resource of the API, if it is served; and the view of it, if that is not how it is stored.
    pub(crate) fn served(
        group: &str,
        version: &str,
        resource: &str,
    ) -> Option<(&'static Kind, Option<&'static View>)> {
        let kind = *TABLE.get(resource_of(resource, group).as_str())?;
        let is = |rules: &Strategy| rules.group() == group && rules.version() == version;
        if is(&kind.rules) {
            return Some((kind, None));
        }
        let view = kind.views.iter().find(|view| is(view.rules))?;
        Some((kind, Some(view)))
    }

    /// The built-in row that a stored key belongs to.
    pub(crate) fn of_key(key: &str) -> Option<&'static Kind> {
        TABLE.get(key.split_once('/')?.0).copied()
    }
}

pub(crate) static PODS: Kind = Kind {
    rules: Cow::Borrowed(&pod::STRATEGY),
    parent: Some(&NAMESPACES),
    grace: |pod, requested| Some(pod::grace_period_seconds(pod, requested)),
    ..Kind::BASE
};

pub(crate) static SERVICES: Kind = Kind {
    rules: Cow::Borrowed(&service::STRATEGY),
    parent: Some(&NAMESPACES),
    claims: addresses::claims,
    allocate: Some(network::allocate),
    ..Kind::BASE
};

pub(crate) static NODES: Kind = Kind {
    rules: Cow::Borrowed(&node::STRATEGY),
    ..Kind::BASE
};

pub(crate) static NAMESPACES: Kind = Kind {
    rules: Cow::Borrowed(&namespace::STRATEGY),
    begin_delete: delete::begin_namespace_delete,
    is_held: delete::namespace_is_held,
    ..Kind::BASE
};

static EVENTS: Kind = Kind {
    rules: Cow::Borrowed(&event::EVENT),
    parent: Some(&NAMESPACES),
    views: &[View {
        rules: &event::EVENTS_EVENT,
        is_part: false,
        show: event::to_events,
        store: |object, _| {
            event::to_core(object);
            Ok(())
        },
    }],
    ..Kind::BASE
};

static AUTOSCALERS: Kind = Kind {
    rules: Cow::Borrowed(&autoscaling::HORIZONTAL_POD_AUTOSCALER),
    parent: Some(&NAMESPACES),
    views: &[View {
        rules: &autoscaling::HORIZONTAL_POD_AUTOSCALER_V1,
        is_part: false,
        show: autoscaling::v2_to_v1,
        store: |object, _| {
            autoscaling::v1_to_v2(object);
            Ok(())
        },
    }],
    ..Kind::BASE
};

static CERTIFICATE_REQUESTS: Kind = Kind {
    rules: Cow::Borrowed(&certificates::CERTIFICATE_SIGNING_REQUEST),
    stamp: certificates::stamp,
    ..Kind::BASE
};

/// Rows with something of their own.
static OWN: [&Kind; 7] = [
    &PODS,
    &SERVICES,
    &NODES,
    &NAMESPACES,
    &EVENTS,
    &AUTOSCALERS,
    &CERTIFICATE_REQUESTS,
];

/// Kinds whose objects' dependents stay if a delete does not say: as it was before there was a collector.
const ORPHANING: [(&str, &str); 2] = [("v1", "replicationcontrollers"), ("batch/v1", "jobs")];

/// Every kind that is served.
pub(crate) static KINDS: LazyLock<Vec<&'static Kind>> = LazyLock::new(|| {
    let is_view = |rules: &Strategy| {
        OWN.iter().any(|own| {
            own.view(&rules.api_version)
                .is_some_and(|view| view.rules.resource == rules.resource)
        })
    };
    let rows = strategies::all().filter(|rules| !is_view(rules));
    rows.map(|rules| {
        let same = |kind: &&&Kind| {
            kind.resource() == rules.resource && kind.rules.api_version == rules.api_version
        };
        let own = OWN.iter().find(same);
        own.copied().unwrap_or_else(|| {
            Box::leak(Box::new(Kind {
                rules: Cow::Borrowed(rules),
                parent: rules.namespaced.then_some(&NAMESPACES),
                propagation: ORPHANING
                    .contains(&(&rules.api_version, &rules.resource))
                    .then_some(Propagation::Orphan),
                ..Kind::BASE
            }))
        })
    })
    .collect()
});

/// The same by resource and group: `pods`, `deployments.apps`. Keys begin with those of the stored version.
static TABLE: LazyLock<HashMap<String, &'static Kind>> = LazyLock::new(|| {
    let rows = KINDS.iter().copied().flat_map(|kind| {
        let views = kind.views.iter().map(|view| view.rules);
        let all = std::iter::once(&*kind.rules).chain(views);
        all.map(move |rules| (resource_of(&rules.resource, rules.group()), kind))
    });
    rows.collect()
});

pub(crate) fn resource_of(resource: &str, group: &str) -> String {
    let mut text = String::new();
    push_resource(&mut text, resource, group);
    text
}

fn push_resource(text: &mut String, resource: &str, group: &str) {
    text.push_str(resource);
    if !group.is_empty() {
        text.push('.');
        text.push_str(group);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_and_names_agree() {
        assert_eq!(PODS.key("default", "a"), "pods/default/a");
        assert_eq!(PODS.split("pods/default/a"), ("default", "a"));
        assert_eq!(NODES.key("", "n1"), "nodes/n1");
        assert_eq!(NODES.split("nodes/n1"), ("", "n1"));
        assert_eq!(Kind::of_key("nodes/n1").map(Kind::resource), Some("nodes"));
        assert!(Kind::of_key("widgets.example.com/default/a").is_none());
        let keys: HashSet<_> = KINDS.iter().map(|kind| kind.prefix("")).collect();
        assert_eq!(keys.len(), KINDS.len(), "two rows have one key");
        for (group, version, resource) in [
            ("events.k8s.io", "v1", "events"),
            ("autoscaling", "v1", "horizontalpodautoscalers"),
        ] {
            let served = Kind::served(group, version, resource);
            assert!(
                served.is_some_and(|(_, view)| view.is_some()),
                "{group}/{version}"
            );
        }
        for own in OWN {
            let served = Kind::served(own.rules.group(), own.rules.version(), own.resource());
            assert!(
                served.is_some_and(|(kind, view)| std::ptr::eq(kind, own) && view.is_none()),
                "{own:?}"
            );
        }
    }
}
