//! Fields that a write does not own, because it cannot set them.

use super::set::{FieldSet, Node};

/// What an endpoint's writes may own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// All but these fields, and what is below them.
    All(&'static [&'static [&'static str]]),
    /// Only what is below these; `*` is any item.
    Only(&'static [&'static [&'static str]]),
}

/// Fields of metadata that nobody owns, besides apiVersion and kind.
const STRIPPED: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

impl Reset {
    /// All fields can be owned.
    pub const NONE: Self = Self::All(&[]);

    /// What the endpoint of a built-in resource resets, by the rules of Kubernetes 1.35; "" is the group
    /// of core, and the subresource of the object itself. Custom resources follow the same rule: status
    /// is not written with the object, and spec not with the status.
    pub fn of(group: &str, resource: &str, subresource: &str) -> Self {
        match (group, resource, subresource) {
            (_, _, "scale") | ("networking.k8s.io", "servicecidrs", _) => Self::NONE,
            ("certificates.k8s.io", "certificatesigningrequests", "") => {
                Self::All(&[&["spec"], &["status"]])
            }
            ("certificates.k8s.io", "certificatesigningrequests", "status") => {
                Self::All(&[&["spec"], &["status", "conditions"]])
            }
            ("certificates.k8s.io", "certificatesigningrequests", "approval") => {
                Self::All(&[&["spec"], &["status", "certificate"]])
            }
            ("", "pods", "status") => Self::All(&[
                &["spec"],
                &["metadata", "deletionTimestamp"],
                &["metadata", "ownerReferences"],
            ]),
            ("", "pods", "ephemeralcontainers") => Self::Only(&[&["spec", "ephemeralContainers"]]),
            ("", "pods", "resize") => Self::Only(&[
                &["spec", "containers", "*", "resources"],
                &["spec", "containers", "*", "resizePolicy"],
                &["spec", "initContainers", "*", "resources"],
                &["spec", "initContainers", "*", "resizePolicy"],
            ]),
            ("apps", "deployments", "status") => Self::All(&[&["spec"], &["metadata", "labels"]]),
            (
                "admissionregistration.k8s.io"
                | "flowcontrol.apiserver.k8s.io"
                | "resource.k8s.io"
                | "storage.k8s.io",
                _,
                "status",
            ) => Self::All(&[&["metadata"], &["spec"]]),
            (_, _, "status") => Self::All(&[&["spec"]]),
            _ => Self::All(&[&["status"]]),
        }
    }

    /// The fields of a set that can be owned.
    #[must_use]
    pub(super) fn filter<'a>(self, set: FieldSet<'a>) -> FieldSet<'a> {
        match self {
            Self::All([]) => set,
            Self::All(reset) => set.recursive_difference(&FieldSet::of_names(reset)),
            Self::Only(patterns) => {
                let patterns: Vec<&[&str]> = patterns.to_vec();
                only(set, &patterns)
            }
        }
    }
}

fn only<'a>(set: FieldSet<'a>, patterns: &[&[&str]]) -> FieldSet<'a> {
    let nodes = set.nodes.into_iter().filter_map(|node| {
        let below: Vec<&[&str]> = patterns
            .iter()
            .filter_map(|pattern| {
                let (first, rest) = pattern.split_first()?;
                let is_there = match &node.element {
                    super::element::Element::Field(name) => *first == "*" || name == first,
                    _ => *first == "*",
                };
                is_there.then_some(rest)
            })
            .collect();
        if below.is_empty() {
            return None;
        }
        // The whole of what a pattern names; of what is on the way to it, what is a member.
        let children = match below.iter().any(|rest| rest.is_empty()) {
            true => node.children,
            false => only(node.children, &below),
        };
        let node = Node { children, ..node };
        (node.member || !node.children.is_empty()).then_some(node)
    });
    FieldSet {
        nodes: nodes.collect(),
    }
}

/// The same set without what nobody owns.
pub(super) fn strip(mut set: FieldSet<'_>) -> FieldSet<'_> {
    use super::element::Element;
    set.nodes.retain_mut(|node| {
        let Element::Field(name) = &node.element else {
            return true;
        };
        match name.as_ref() {
            "apiVersion" | "kind" => node.member = false,
            "metadata" => {
                node.member = false;
                node.children.nodes.retain_mut(|node| {
                    if let Element::Field(name) = &node.element
                        && STRIPPED.contains(&name.as_ref())
                    {
                        node.member = false;
                    }
                    node.member || !node.children.is_empty()
                });
            }
            _ => {}
        }
        node.member || !node.children.is_empty()
    });
    set
}
