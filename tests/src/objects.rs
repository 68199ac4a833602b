//! Objects as JSON, and what tests look at in them.

use serde_json::{Value, json};

/// A kind of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `Pod`.
    pub kind: &'static str,
    /// `Pods`.
    pub plural: &'static str,
    /// Whether it is in namespaces.
    pub namespaced: bool,
}

/// Pods.
pub const POD: Kind = Kind {
    kind: "Pod",
    plural: "Pods",
    namespaced: true,
};
/// Services.
pub const SERVICE: Kind = Kind {
    kind: "Service",
    plural: "Services",
    namespaced: true,
};
/// Nodes.
pub const NODE: Kind = Kind {
    kind: "Node",
    plural: "Nodes",
    namespaced: false,
};
/// Namespaces.
pub const NAMESPACE: Kind = Kind {
    kind: "Namespace",
    plural: "Namespaces",
    namespaced: false,
};
/// All of them.
pub const KINDS: [Kind; 4] = [POD, SERVICE, NODE, NAMESPACE];

impl Kind {
    /// The field of requests and answers that holds the object.
    pub fn field(self) -> &'static str {
        match self.kind {
            "Pod" => "pod",
            "Service" => "service",
            "Node" => "node",
            _ => "namespace",
        }
    }

    /// A request about one object.
    pub fn named(self, namespace: &str, name: &str) -> Value {
        if self.namespaced {
            json!({"namespace": namespace, "name": name})
        } else {
            json!({"name": name})
        }
    }

    /// A small object of this kind.
    pub fn object(self, name: &str) -> Value {
        match self.kind {
            "Pod" => pod(name),
            "Service" => service(name),
            "Node" => node(name),
            _ => namespace(name),
        }
    }
}

/// A small pod.
pub fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "nginx:1.27"}]},
    })
}

/// A small service.
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    })
}

/// A small node.
pub fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
}

/// A namespace.
pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// The first with what the second has put over it: objects are merged, all else is replaced, and
/// null takes away.
#[must_use]
pub fn merge(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    base.remove(&key);
                } else {
                    let old = base.remove(&key).unwrap_or_default();
                    base.insert(key, merge(old, value));
                }
            }
            Value::Object(base)
        }
        (_, over) => over,
    }
}

/// The text at a JSON pointer, or "".
pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// metadata.name.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// metadata.resourceVersion of an object or a list, as a number.
///
/// # Panics
/// When there is none.
pub fn revision(object: &Value) -> u64 {
    let version = text(object, "/metadata/resourceVersion");
    version
        .parse()
        .unwrap_or_else(|_| panic!("no resourceVersion in {object}"))
}

/// The names of a list's items.
///
/// # Panics
/// When it is no list.
pub fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .expect("a list has items")
        .iter()
        .map(name)
        .collect()
}
