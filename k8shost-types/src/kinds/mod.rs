//! The kinds of Kubernetes 1.35 as discovery tells of them: names, scope, verbs, subresources; and in
//! which order groups and versions come.
//!
//! [`BUILT_IN`] has a row for every kind in every version that kube-apiserver 1.35 serves when nothing
//! is configured, apiextensions and apiregistration aside. Rows made at run time stand beside them:
//! all that is built of rows takes both.

mod built_in;
pub mod discovery;
mod order;

use std::borrow::Cow;

pub use self::{built_in::BUILT_IN, order::compare_versions};

/// Text that is known when the program is built, or made at run time.
pub type Text = Cow<'static, str>;

/// The verbs of what is stored.
pub const ALL_VERBS: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The verbs of custom resources, in the order discovery has them.
pub const CUSTOM_VERBS: &[&str] = &[
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// The verbs of a status, a scale and the like.
pub const UPDATE_VERBS: &[&str] = &["get", "patch", "update"];

/// A kind in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `apps`; "" is the core group.
    pub group: Text,
    /// `v1`.
    pub version: Text,
    /// `Deployment`.
    pub kind: Text,
    /// `DeploymentList`; of what cannot be listed, "".
    pub list_kind: Text,
    /// The resource: `deployments`.
    pub plural: Text,
    /// `deployment`.
    pub singular: Text,
    /// Whether its objects live in a namespace.
    pub namespaced: bool,
    /// `deploy`.
    pub short_names: Cow<'static, [Text]>,
    /// `all` and the like.
    pub categories: Cow<'static, [Text]>,
    /// What can be done with it, in the order discovery has them.
    pub verbs: &'static [&'static str],
    /// What is below an object, in the order discovery has it.
    pub subresources: Cow<'static, [Subresource]>,
    /// Whether a CustomResourceDefinition made it. Of those, aggregated discovery spells the group and
    /// version out.
    pub custom: bool,
}

/// What is below an object of a kind, as `pods/log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// `log`.
    pub name: Text,
    /// The group of its kind; with the version, "" where both are its resource's own.
    pub group: Text,
    /// The version of its kind.
    pub version: Text,
    /// The kind of what is sent or answered.
    pub kind: Text,
    /// What can be done with it.
    pub verbs: &'static [&'static str],
}

impl Kind {
    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|one| one.name == name)
    }

    /// Whether the verb is among the kind's.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }
}

/// The kind whose objects are at this group, version and plural name.
pub fn find<'a>(
    kinds: impl IntoIterator<Item = &'a Kind>,
    group: &str,
    version: &str,
    plural: &str,
) -> Option<&'a Kind> {
    kinds
        .into_iter()
        .find(|one| one.group == group && one.version == version && one.plural == plural)
}

/// `apps/v1`; of the core group the version alone.
pub fn group_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// A group and its versions, both as discovery orders them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// `apps`; "" is the core group.
    pub name: &'a str,
    /// The preferred version first.
    pub versions: Vec<&'a str>,
}

/// The groups of these kinds: by Kubernetes' priorities, then by name; the core group is the first.
/// Groups that Kubernetes does not know come last. Versions come by priority too, then newest and
/// most stable first.
pub fn groups<'a>(kinds: impl IntoIterator<Item = &'a Kind>) -> Vec<Group<'a>> {
    order::groups(kinds)
}

/// Kinds whose delete answers with the object, not with a Status.
const ANSWER_WITH_THE_DELETED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
    ),
    (
        "resource.k8s.io",
        &[
            "deviceclasses",
            "resourceclaims",
            "resourceclaimtemplates",
            "resourceslices",
        ],
    ),
    (
        "storage.k8s.io",
        &[
            "csidrivers",
            "csinodes",
            "storageclasses",
            "volumeattachments",
            "volumeattributesclasses",
        ],
    ),
];

/// Whether a delete of an object of this kind answers with the object; of others, with a Status.
pub fn answers_with_deleted(group: &str, plural: &str) -> bool {
    let mut kinds = ANSWER_WITH_THE_DELETED.iter();
    kinds.any(|(of, plurals)| *of == group && plurals.contains(&plural))
}
