//! What a document tells of, before it is written in a version's own shape: paths, operations, parameters.

use crate::schema::Type;

/// A path and what can be done there.
pub(super) struct Item<'a> {
    pub(super) path: String,
    pub(super) operations: Vec<Operation<'a>>,
}

pub(super) struct Operation<'a> {
    /// `get`, `post`…
    pub(super) method: &'static str,
    /// `readCoreV1NamespacedPod`
    pub(super) id: String,
    /// `core_v1`
    pub(super) tag: String,
    /// `x-kubernetes-action`; of discovery none.
    pub(super) action: Option<&'static str>,
    /// Group, version and kind of what is sent or answered.
    pub(super) of: Option<[&'a str; 3]>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body<'a>>,
    /// The codes of success.
    pub(super) codes: &'static [u16],
    pub(super) answer: Model<'a>,
    pub(super) produces: &'static [&'static str],
}

/// What is sent.
pub(super) struct Body<'a> {
    pub(super) model: Model<'a>,
    pub(super) required: bool,
    pub(super) consumes: &'static [&'static str],
}

/// A schema that operations refer to.
#[derive(Clone)]
pub(super) enum Model<'a> {
    /// One of a table, which has a name.
    Type(&'a str, Type<'a>),
    /// The kind of a custom resource without a schema: it may hold anything.
    Free(String, [&'a str; 3]),
    /// A list of a custom resource: its name, its kind, what its items are.
    List(String, [&'a str; 3], Box<Model<'a>>),
    /// Text, of which nothing is known.
    Text,
}

impl Model<'_> {
    /// The name to refer to it by.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Type(name, _) => Some(name),
            Self::Free(name, _) | Self::List(name, ..) => Some(name),
            Self::Text => None,
        }
    }
}

/// A parameter of the path or the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Of the path, where it is required; otherwise of the query.
    pub(super) in_path: bool,
    /// `string`, `boolean`, `integer`
    pub(super) of: &'static str,
}

/// Those of the query that these words name: a name, and behind a colon the type if it is no text.
pub(super) fn query(words: &'static [&'static str]) -> impl Iterator<Item = Parameter> {
    words.iter().map(|word| {
        let (name, of) = word.split_once(':').unwrap_or((word, "string"));
        Parameter {
            name,
            in_path: false,
            of,
        }
    })
}

/// Those of the path's `{…}`.
pub(super) fn in_path(path: &str) -> impl Iterator<Item = Parameter> {
    ["name", "namespace", "path"]
        .into_iter()
        .filter(|name| path.contains(&format!("{{{name}}}")))
        .map(|name| Parameter {
            name,
            in_path: true,
            of: "string",
        })
}

pub(super) const PRETTY: &[&str] = &["pretty"];
pub(super) const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "pretty"];
pub(super) const PATCH: &[&str] = &[
    "dryRun",
    "fieldManager",
    "fieldValidation",
    "force:boolean",
    "pretty",
];
pub(super) const LIST: &[&str] = &[
    "allowWatchBookmarks:boolean",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit:integer",
    "pretty",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents:boolean",
    "timeoutSeconds:integer",
    "watch:boolean",
];
pub(super) const DELETE: &[&str] = &[
    "dryRun",
    "gracePeriodSeconds:integer",
    "ignoreStoreReadErrorWithClusterBreakingPotential:boolean",
    "orphanDependents:boolean",
    "pretty",
    "propagationPolicy",
];
pub(super) const DELETE_COLLECTION: &[&str] = &[
    "continue",
    "dryRun",
    "fieldSelector",
    "gracePeriodSeconds:integer",
    "ignoreStoreReadErrorWithClusterBreakingPotential:boolean",
    "labelSelector",
    "limit:integer",
    "orphanDependents:boolean",
    "pretty",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents:boolean",
    "timeoutSeconds:integer",
];
pub(super) const LOG: &[&str] = &[
    "container",
    "follow:boolean",
    "insecureSkipTLSVerifyBackend:boolean",
    "limitBytes:integer",
    "pretty",
    "previous:boolean",
    "sinceSeconds:integer",
    "stream",
    "tailLines:integer",
    "timestamps:boolean",
];

/// The parameters of what is connected to; `None` of all other subresources.
pub(super) fn connect(subresource: &str) -> Option<&'static [&'static str]> {
    match subresource {
        "attach" => Some(&[
            "container",
            "stderr:boolean",
            "stdin:boolean",
            "stdout:boolean",
            "tty:boolean",
        ]),
        "exec" => Some(&[
            "command",
            "container",
            "stderr:boolean",
            "stdin:boolean",
            "stdout:boolean",
            "tty:boolean",
        ]),
        "portforward" => Some(&["ports:integer"]),
        "proxy" => Some(&["path"]),
        _ => None,
    }
}

pub(super) const ANY: &[&str] = &["*/*"];
pub(super) const JSON: &[&str] = &["application/json"];
/// What of custom resources there is.
pub(super) const JSON_YAML: &[&str] = &["application/json", "application/yaml"];
pub(super) const ALL: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
pub(super) const LOGGED: &[&str] = &[
    "text/plain",
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
pub(super) const WATCHED: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
pub(super) const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
pub(super) const CUSTOM_PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
];
