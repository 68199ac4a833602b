//! The paths of a group version and their operations, made of the rows of its kinds.

use crate::{
    kinds::{self, Kind, Subresource},
    schema::{Schemas, builtin},
};

use super::{
    operations::{
        ALL, ANY, Body, CUSTOM_PATCHES, DELETE, DELETE_COLLECTION, Item, JSON, JSON_YAML, LIST,
        LOG, LOGGED, Model, Operation, PATCH, PATCHES, PRETTY, Parameter, WATCHED, WRITE, connect,
        in_path, query,
    },
    schemas,
};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// A document that tells of discovery alone: `api`, `apis`, `version`, `apis/apps`.
pub(super) fn discovery<'a>(name: &str) -> Item<'a> {
    let (operation, kind, produces) = match name {
        "api" => ("getAPIVersions", "APIVersions", ALL),
        "apis" => ("getAPIVersions", "APIGroupList", ALL),
        "version" => ("getCodeVersion", "", JSON),
        _ => ("getAPIGroup", "APIGroup", ALL),
    };
    let answer = if kind.is_empty() {
        "io.k8s.apimachinery.pkg.version.Info".to_owned()
    } else {
        format!("{META}.{kind}")
    };
    let path = format!("/{name}/");
    let operation = discover(&path, operation, &answer, produces);
    Item {
        path,
        operations: vec![operation],
    }
}

fn discover<'a>(
    path: &str,
    id: &str,
    answer: &str,
    produces: &'static [&'static str],
) -> Operation<'a> {
    let (id, tag) = id_and_tag(path, "get", &id["get".len()..]);
    Operation {
        method: "get",
        id,
        tag,
        action: None,
        of: None,
        parameters: Vec::new(),
        body: None,
        codes: &[200],
        answer: known(answer),
        produces,
    }
}

/// All paths of a group version, sorted. The kinds are all of it; `top` is where they are: `apis/apps/v1`.
pub(super) fn of_version<'a>(
    top: &str,
    kinds: &[&'a Kind],
    tables: &[&'a Schemas],
) -> Vec<Item<'a>> {
    let path = format!("/{top}/");
    let answer = format!("{META}.APIResourceList");
    let resources = discover(&path, "getAPIResources", &answer, ALL);
    let mut items = vec![Item {
        path,
        operations: vec![resources],
    }];
    for kind in kinds {
        let paths = Paths {
            kind,
            tables,
            items: &mut items,
        };
        paths.all(top);
    }
    items.sort_by(|a, b| a.path.cmp(&b.path));
    items
}

/// The paths of a kind in the making.
struct Paths<'a, 'p> {
    kind: &'a Kind,
    tables: &'p [&'a Schemas],
    items: &'p mut Vec<Item<'a>>,
}

impl<'a> Paths<'a, '_> {
    fn all(mut self, top: &str) {
        let kind = self.kind;
        let spaced = if kind.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let collection = format!("/{top}{spaced}/{}", kind.plural);
        let object = format!("{collection}/{{name}}");
        self.collection(&collection);
        self.object(&object);
        for sub in kind.subresources.iter() {
            self.below(&format!("{object}/{}", sub.name), sub);
        }
        let everywhere =
            (kind.namespaced && kind.can("list")).then(|| format!("/{top}/{}", kind.plural));
        if let Some(path) = &everywhere {
            let operation = self.list(path, &format!("{}ForAllNamespaces", kind.kind));
            self.add(path, vec![operation]);
        }
        if kind.can("watch") && !kind.custom {
            let watch = |path: &str| path.replacen(top, &format!("{top}/watch"), 1);
            let name = self.name();
            self.watch(&watch(&object), "watch", name.clone());
            self.watch(&watch(&collection), "watchlist", format!("{name}List"));
            if let Some(path) = &everywhere {
                let name = format!("{}ListForAllNamespaces", kind.kind);
                self.watch(&watch(path), "watchlist", name);
            }
        }
    }

    /// `NamespacedPod`, `Node`
    fn name(&self) -> String {
        let spaced = if self.kind.namespaced {
            "Namespaced"
        } else {
            ""
        };
        format!("{spaced}{}", self.kind.kind)
    }

    fn add(&mut self, path: &str, operations: Vec<Operation<'a>>) {
        if !operations.is_empty() {
            self.items.push(Item {
                path: path.to_owned(),
                operations,
            });
        }
    }

    fn collection(&mut self, path: &str) {
        let kind = self.kind;
        let name = self.name();
        let mut operations = Vec::new();
        if kind.can("list") {
            operations.push(self.list(path, &name));
        }
        if kind.can("create") {
            operations.push(self.create(path, &name, self.own()));
        }
        if kind.can("deletecollection") {
            operations.push(Operation {
                body: Some(self.options()),
                ..self.operation(
                    path,
                    "delete",
                    ("deletecollection", "delete", &format!("Collection{name}")),
                    DELETE_COLLECTION,
                    self.meta("Status"),
                )
            });
        }
        self.add(path, operations);
    }

    fn object(&mut self, path: &str) {
        let kind = self.kind;
        let name = self.name();
        let mut operations = self.updates(path, &name, kind.verbs, &self.own());
        if kind.can("delete") {
            let with_object = kinds::answers_with_deleted(&kind.group, &kind.plural);
            let (model, _) = self.own();
            let answer = if with_object {
                model
            } else {
                self.meta("Status").0
            };
            operations.push(Operation {
                body: Some(self.options()),
                codes: &[200, 202],
                ..self.operation(
                    path,
                    "delete",
                    ("delete", "delete", &name),
                    DELETE,
                    (answer, self.gvk()),
                )
            });
        }
        self.add(path, operations);
    }

    fn below(&mut self, path: &str, sub: &'a Subresource) {
        let mut title = sub.name.to_string();
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let name = format!("{}{title}", self.name());
        if let Some(parameters) = connect(&sub.name).filter(|_| !self.kind.custom) {
            let gvk = [&*self.kind.group, &*self.kind.version, &*sub.kind];
            self.connect(path, &name, sub.verbs, parameters, gvk);
            if sub.name == "proxy" {
                let path = format!("{path}/{{path}}");
                let name = format!("{name}WithPath");
                self.connect(&path, &name, sub.verbs, parameters, gvk);
            }
            return;
        }
        if sub.name == "log" && !self.kind.custom {
            let of = (Model::Text, self.gvk());
            let mut operation = self.operation(path, "get", ("get", "read", &name), LOG, of);
            operation.produces = LOGGED;
            return self.add(path, vec![operation]);
        }
        let gvk = match &*sub.version {
            "" => [&*self.kind.group, &*self.kind.version, &*sub.kind],
            version => [&*sub.group, version, &*sub.kind],
        };
        let of = (schemas::model(self.tables, gvk), gvk);
        let mut operations = self.updates(path, &name, sub.verbs, &of);
        if sub.verbs.contains(&"create") {
            operations.push(self.create(path, &name, of));
        }
        self.add(path, operations);
    }

    fn connect(
        &mut self,
        path: &str,
        name: &str,
        verbs: &[&str],
        parameters: &'static [&'static str],
        gvk: [&'a str; 3],
    ) {
        let methods = [
            ("create", "post", "Post"),
            ("delete", "delete", "Delete"),
            ("get", "get", "Get"),
            // Discovery has no verbs for these two.
            ("update", "head", "Head"),
            ("update", "options", "Options"),
            ("patch", "patch", "Patch"),
            ("update", "put", "Put"),
        ];
        let operations = methods
            .into_iter()
            .filter(|(verb, ..)| verbs.contains(verb))
            .map(|(_, method, word)| Operation {
                produces: ANY,
                ..self.operation(
                    path,
                    method,
                    ("connect", "connect", &format!("{word}{name}")),
                    parameters,
                    (Model::Text, gvk),
                )
            })
            .collect();
        self.add(path, operations);
    }

    /// get, put and patch, as far as the verbs have them.
    fn updates(
        &self,
        path: &str,
        name: &str,
        verbs: &[&str],
        of: &(Model<'a>, [&'a str; 3]),
    ) -> Vec<Operation<'a>> {
        let mut operations = Vec::new();
        if verbs.contains(&"get") {
            let of = of.clone();
            operations.push(self.operation(path, "get", ("get", "read", name), PRETTY, of));
        }
        if verbs.contains(&"update") {
            operations.push(Operation {
                body: Some(self.sent(of.0.clone())),
                codes: &[200, 201],
                ..self.operation(path, "put", ("put", "replace", name), WRITE, of.clone())
            });
        }
        if verbs.contains(&"patch") {
            operations.push(Operation {
                body: Some(Body {
                    model: self.meta("Patch").0,
                    required: true,
                    consumes: if self.kind.custom {
                        CUSTOM_PATCHES
                    } else {
                        PATCHES
                    },
                }),
                codes: &[200, 201],
                ..self.operation(path, "patch", ("patch", "patch", name), PATCH, of.clone())
            });
        }
        operations
    }

    fn create(&self, path: &str, name: &str, of: (Model<'a>, [&'a str; 3])) -> Operation<'a> {
        Operation {
            body: Some(self.sent(of.0.clone())),
            codes: &[200, 201, 202],
            ..self.operation(path, "post", ("post", "create", name), WRITE, of)
        }
    }

    fn list(&self, path: &str, name: &str) -> Operation<'a> {
        let model = schemas::list_model(self.tables, self.kind);
        let mut operation = self.operation(
            path,
            "get",
            ("list", "list", name),
            LIST,
            (model, self.gvk()),
        );
        if !self.kind.custom {
            operation.produces = WATCHED;
        }
        operation
    }

    fn watch(&mut self, path: &str, action: &'static str, name: String) {
        let of = self.meta("WatchEvent");
        let mut operation = self.operation(path, "get", (action, "watch", &name), LIST, of);
        operation.produces = WATCHED;
        self.add(path, vec![operation]);
    }

    /// An operation that sends nothing and answers 200. The three names: its action, its verb, and what it is done to.
    fn operation(
        &self,
        path: &str,
        method: &'static str,
        (action, verb, name): (&'static str, &str, &str),
        parameters: &'static [&'static str],
        (answer, gvk): (Model<'a>, [&'a str; 3]),
    ) -> Operation<'a> {
        let (id, tag) = id_and_tag(path, verb, name);
        let mut parameters: Vec<Parameter> = in_path(path).chain(query(parameters)).collect();
        parameters.sort_unstable();
        Operation {
            method,
            id,
            tag,
            action: Some(action),
            of: Some(gvk),
            parameters,
            body: None,
            codes: &[200],
            answer,
            produces: if self.kind.custom { JSON_YAML } else { ALL },
        }
    }

    fn gvk(&self) -> [&'a str; 3] {
        [&self.kind.group, &self.kind.version, &self.kind.kind]
    }

    /// The kind's own schema.
    fn own(&self) -> (Model<'a>, [&'a str; 3]) {
        (schemas::model(self.tables, self.gvk()), self.gvk())
    }

    fn meta(&self, kind: &str) -> (Model<'a>, [&'a str; 3]) {
        (known(&format!("{META}.{kind}")), self.gvk())
    }

    fn sent(&self, model: Model<'a>) -> Body<'a> {
        Body {
            model,
            required: true,
            consumes: if self.kind.custom { JSON_YAML } else { ANY },
        }
    }

    fn options(&self) -> Body<'a> {
        Body {
            required: false,
            ..self.sent(self.meta("DeleteOptions").0)
        }
    }
}

/// A schema of Kubernetes that is always there.
fn known<'a>(name: &str) -> Model<'a> {
    builtin()
        .named(name)
        .and_then(|of| Some(Model::Type(of.name()?, of)))
        .unwrap_or(Model::Text)
}

/// `readCoreV1NamespacedPod` and `core_v1`, as Kubernetes makes them of the path and an operation's own name.
fn id_and_tag(path: &str, verb: &str, name: &str) -> (String, String) {
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if parts.first() == Some(&"api") {
        parts.splice(..1, ["apis", "core"]);
    }
    let (mut id, tag) = match parts[..] {
        ["apis", group, ref rest @ ..] => {
            let group = group.strip_suffix(".k8s.io").unwrap_or(group);
            let mut id = format!("{verb}{}", camel(group, true));
            let mut tag = camel(group, false);
            if let Some(version) = rest.first() {
                id.push_str(&camel(version, true));
                tag = format!("{tag}_{}", camel(version, false));
            }
            (id, tag)
        }
        [first, ..] => (verb.to_owned(), camel(first, false)),
        [] => (verb.to_owned(), String::new()),
    };
    id.push_str(&camel(name, true));
    (id, tag)
}

/// Letters, digits and underscores; what stood behind something else begins with a capital.
fn camel(text: &str, mut capital: bool) -> String {
    let mut camel = String::new();
    for (at, letter) in text.char_indices() {
        if !(letter.is_alphabetic() || letter == '_' || (at > 0 && letter.is_numeric())) {
            capital = true;
        } else if std::mem::take(&mut capital) {
            camel.extend(letter.to_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}
