//! What a path is about: the tenant, and a resource, an object, a part of one, or discovery.

use http::Uri;
use k8shost_types::Error;
use percent_encoding::percent_decode_str;

/// The tenant that a path names, and what it names there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Organization and project; `None`: the default tenant.
    pub(crate) tenant: Option<(String, String)>,
    pub(crate) place: Place,
}

/// What a path names below a tenant's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/<group>`
    Group(String),
    /// `/api/v1`, `/apis/<group>/<version>`
    Resources { group: String, version: String },
    /// `/version`
    Version,
    /// Objects.
    Objects(Target),
    /// Something else, of which the segments are given: `healthz`.
    Other(Vec<String>),
}

/// Objects of a resource, or one of them, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    /// Empty: all namespaces, or a resource without them.
    pub(crate) namespace: String,
    pub(crate) resource: String,
    /// Empty: all of them.
    pub(crate) name: String,
    /// Empty: the object itself.
    pub(crate) subresource: String,
    /// Whether the path itself asks for a watch, as paths did before there was a parameter for it.
    pub(crate) watch: bool,
}

impl Route {
    /// Reads a path.
    ///
    /// # Errors
    /// BadRequest, if a segment is no UTF-8.
    pub(crate) fn of(uri: &Uri) -> Result<Self, Error> {
        let segments = uri.path().split('/').filter(|segment| !segment.is_empty());
        let decoded = segments.map(|segment| {
            let text = percent_decode_str(segment).decode_utf8();
            text.map(String::from)
                .map_err(|_| Error::bad_request(format!("the path is no UTF-8: {segment}")))
        });
        let segments: Vec<String> = decoded.collect::<Result<_, _>>()?;
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        Ok(match words.as_slice() {
            ["orgs", org, "projects", project, rest @ ..] => Self {
                tenant: Some(((*org).to_owned(), (*project).to_owned())),
                place: place(rest),
            },
            rest => Self {
                tenant: None,
                place: place(rest),
            },
        })
    }
}

fn place(words: &[&str]) -> Place {
    let text = |word: &str| word.to_owned();
    match words {
        ["api"] => Place::CoreVersions,
        ["apis"] => Place::Groups,
        ["apis", group] => Place::Group(text(group)),
        ["version"] => Place::Version,
        ["api", version] => Place::Resources {
            group: String::new(),
            version: text(version),
        },
        ["apis", group, version] => Place::Resources {
            group: text(group),
            version: text(version),
        },
        ["api", version, rest @ ..] => Place::Objects(target("", version, rest)),
        ["apis", group, version, rest @ ..] => Place::Objects(target(group, version, rest)),
        _ => Place::Other(words.iter().map(|word| text(word)).collect()),
    }
}

fn target(group: &str, version: &str, words: &[&str]) -> Target {
    let (watch, words) = match words {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        words => (false, words),
    };
    // A namespace has parts of its own; anything else behind it is what is in it.
    let (namespace, words) = match words {
        ["namespaces", _, "status" | "finalize", ..] => ("", words),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        _ => ("", words),
    };
    let word = |at: usize| words.get(at).copied().unwrap_or_default().to_owned();
    Target {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        resource: word(0),
        name: word(1),
        subresource: words.get(2..).unwrap_or_default().join("/"),
        watch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Route {
        Route::of(&path.parse().unwrap()).unwrap()
    }

    fn object(path: &str) -> [String; 6] {
        let Place::Objects(target) = of(path).place else {
            panic!("{path} is no object");
        };
        [
            target.group,
            target.version,
            target.namespace,
            target.resource,
            target.name,
            target.subresource,
        ]
    }

    #[test]
    fn objects_are_found_as_kubernetes_finds_them() {
        for (path, expected) in [
            ("/api/v1/pods", ["", "v1", "", "pods", "", ""]),
            ("/api/v1/namespaces", ["", "v1", "", "namespaces", "", ""]),
            (
                "/api/v1/namespaces/a",
                ["", "v1", "", "namespaces", "a", ""],
            ),
            (
                "/api/v1/namespaces/a/status",
                ["", "v1", "", "namespaces", "a", "status"],
            ),
            ("/api/v1/namespaces/a/pods", ["", "v1", "a", "pods", "", ""]),
            (
                "/api/v1/namespaces/a/pods/b/status",
                ["", "v1", "a", "pods", "b", "status"],
            ),
            (
                "/apis/apps/v1/namespaces/a/deployments/b/scale",
                ["apps", "v1", "a", "deployments", "b", "scale"],
            ),
            (
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                [
                    "rbac.authorization.k8s.io",
                    "v1",
                    "",
                    "clusterroles",
                    "system:node",
                    "",
                ],
            ),
            (
                "/api/v1/nodes/n/proxy/metrics/cadvisor",
                ["", "v1", "", "nodes", "n", "proxy/metrics/cadvisor"],
            ),
        ] {
            assert_eq!(object(path), expected, "{path}");
        }
    }

    #[test]
    fn a_project_has_a_root_of_its_own() {
        let route = of("/orgs/acme/projects/web/apis/apps/v1");
        let tenant = Some(("acme".to_owned(), "web".to_owned()));
        assert_eq!(route.tenant, tenant);
        assert_eq!(
            route.place,
            Place::Resources {
                group: "apps".to_owned(),
                version: "v1".to_owned()
            }
        );
        assert_eq!(of("/orgs/acme/projects/web").place, Place::Other(vec![]));
        assert_eq!(of("/orgs/acme/projects").tenant, None);
        assert_eq!(of("/version/").place, Place::Version);
        assert!(Route::of(&"/api/v1/pods/%ff".parse().unwrap()).is_err());
    }
}
