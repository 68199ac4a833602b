//! A small schema with every form in it, and random objects of it.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use k8shost_types::{
    Error,
    apply::{self, Field, Form, Managed, Reset, Scalar, Shape, Target, Writer},
};
use serde_json::{Map, Value, json};

pub(crate) struct Node {
    form: Form,
    fields: &'static [(&'static str, Toy)],
    rest: Option<Toy>,
    keys: &'static [&'static str],
}

/// A shape written by hand.
pub(crate) type Toy = &'static Node;

const fn node(form: Form, fields: &'static [(&'static str, Toy)], rest: Option<Toy>) -> Node {
    Node {
        form,
        fields,
        rest,
        keys: &[],
    }
}

const fn keyed(keys: &'static [&'static str], items: Toy) -> Node {
    Node {
        form: Form::Keyed,
        fields: &[],
        rest: Some(items),
        keys,
    }
}

static SCALAR: Node = node(Form::Scalar(Scalar::Any), &[], None);
static MAP: Node = node(Form::Object, &[], Some(&SCALAR));
static ATOMIC_MAP: Node = node(Form::AtomicObject, &[], Some(&SCALAR));
static LIST: Node = node(Form::AtomicList, &[], Some(&SCALAR));
static SET: Node = node(Form::Set, &[], Some(&SCALAR));
static OPEN: Node = node(Form::Open, &[], None);
static OPAQUE: Node = node(Form::Opaque, &[], None);
static MAP_OF_STRUCTS: Node = node(Form::Object, &[], Some(&STRUCT));
static STRUCT: Node = node(
    Form::Object,
    &[("a", &SCALAR), ("b", &SCALAR), ("m", &MAP)],
    None,
);
static SUB: Node = node(Form::Object, &[("k", &SCALAR), ("v", &SCALAR)], None);
static SUBS: Node = keyed(&["k"], &SUB);
static ITEM: Node = node(
    Form::Object,
    &[
        ("name", &SCALAR),
        ("set", &SET),
        ("st", &STRUCT),
        ("sub", &SUBS),
        ("value", &SCALAR),
    ],
    None,
);
static ITEMS: Node = keyed(&["name"], &ITEM);
static PORT: Node = node(
    Form::Object,
    &[("port", &SCALAR), ("protocol", &SCALAR), ("x", &SCALAR)],
    None,
);
static PORTS: Node = keyed(&["port", "protocol"], &PORT);
static METADATA: Node = node(
    Form::Object,
    &[
        ("labels", &MAP),
        ("managedFields", &OPAQUE),
        ("name", &SCALAR),
    ],
    None,
);
pub(crate) static ROOT: Node = node(
    Form::Object,
    &[
        ("amap", &ATOMIC_MAP),
        ("apiVersion", &SCALAR),
        ("items", &ITEMS),
        ("kind", &SCALAR),
        ("list", &LIST),
        ("map", &MAP),
        ("metadata", &METADATA),
        ("num", &SCALAR),
        ("open", &OPEN),
        ("ports", &PORTS),
        ("set", &SET),
        ("st", &STRUCT),
        ("structs", &MAP_OF_STRUCTS),
    ],
    None,
);

impl Shape<'static> for Toy {
    fn form(self) -> Form {
        self.form
    }

    fn field(self, name: &str) -> Option<Field<Self>> {
        let declared = self.fields.iter().find(|(field, _)| *field == name);
        let shape = match (declared, self.form) {
            (Some((_, shape)), _) => Some(*shape),
            (None, Form::Open) => Some(self),
            (None, _) => self.rest,
        };
        shape.map(|shape| Field {
            shape,
            declared: declared.is_some(),
        })
    }

    fn default(self, name: &str) -> Option<&'static Value> {
        static TCP: LazyLock<Value> = LazyLock::new(|| json!("TCP"));
        (name == "protocol").then(|| &*TCP)
    }

    fn unset(self, _: &str) -> Option<&'static Value> {
        None
    }

    fn items(self) -> Option<Self> {
        self.rest
    }

    fn key(self, place: usize) -> Option<&'static str> {
        self.keys.get(place).copied()
    }
}

/// Random numbers, from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    pub(crate) fn often(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn name(&mut self) -> &'static str {
        ["p", "q", "r", "s"][usize::try_from(self.below(4)).expect("small")]
    }

    fn scalar(&mut self) -> Value {
        match self.below(6) {
            0 => json!(self.below(3)),
            1 => json!(self.often(50)),
            _ => json!(self.name()),
        }
    }

    /// A value of a shape, without what the applier must not say.
    pub(crate) fn value(&mut self, shape: Toy) -> Value {
        match shape.form {
            Form::Scalar(_) => self.scalar(),
            Form::Object | Form::AtomicObject => {
                let mut fields = Map::new();
                for (name, shape) in shape.fields {
                    if !["apiVersion", "kind", "metadata", "managedFields"].contains(name)
                        && self.often(45)
                    {
                        fields.insert((*name).to_owned(), self.value(shape));
                    }
                }
                if let Some(rest) = shape.rest {
                    for _ in 0..self.below(4) {
                        let name = self.name().to_owned();
                        fields.insert(name, self.value(rest));
                    }
                }
                Value::Object(fields)
            }
            Form::AtomicList => (0..self.below(3)).map(|_| self.scalar()).collect(),
            Form::Set => self.distinct(|random| json!(random.name())),
            Form::Keyed => {
                let items = shape.rest.expect("a keyed list has items");
                let keys = self.distinct(|random| match shape.keys {
                    ["port", _] => match random.below(3) {
                        0 => json!({"port": random.below(3)}),
                        1 => json!({"port": random.below(3), "protocol": "UDP"}),
                        _ => json!({"port": random.below(3), "protocol": "TCP"}),
                    },
                    [key, ..] => json!({*key: random.name()}),
                    [] => Value::Null,
                });
                let keys = keys.as_array().cloned().unwrap_or_default();
                let mut out: Vec<Value> = Vec::new();
                for key in keys {
                    let mut item = self.value(items);
                    for name in shape.keys {
                        item.as_object_mut().expect("an object").remove(*name);
                    }
                    for (name, value) in key.as_object().into_iter().flatten() {
                        item[name] = value.clone();
                    }
                    let is = |item: &Value| {
                        let protocol = item.get("protocol").cloned();
                        let protocol = protocol.unwrap_or_else(|| json!("TCP"));
                        (item.get("port").cloned(), protocol)
                    };
                    if shape.keys[0] != "port" || out.iter().all(|other| is(other) != is(&item)) {
                        out.push(item);
                    }
                }
                Value::Array(out)
            }
            Form::Opaque | Form::Open => match self.below(3) {
                0 => self.scalar(),
                1 => json!([self.below(3)]),
                _ => {
                    let mut fields = Map::new();
                    for _ in 0..self.below(3) {
                        let name = self.name().to_owned();
                        fields.insert(name, self.value(shape));
                    }
                    Value::Object(fields)
                }
            },
        }
    }

    fn distinct(&mut self, mut make: impl FnMut(&mut Self) -> Value) -> Value {
        let mut out: Vec<Value> = Vec::new();
        for _ in 0..self.below(5) {
            let value = make(self);
            if !out.contains(&value) {
                out.push(value);
            }
        }
        Value::Array(out)
    }

    /// An object to apply.
    pub(crate) fn config(&mut self) -> Value {
        let mut config = self.value(&ROOT);
        config["apiVersion"] = json!("v1");
        config["kind"] = json!("Toy");
        config["metadata"] = json!({"name": "x"});
        if self.often(30) {
            config["metadata"]["labels"] = self.value(&MAP);
        }
        config
    }
}

pub(crate) fn empty() -> Value {
    json!({"apiVersion": "v1", "kind": "Toy", "metadata": {"name": "x"}})
}

fn target(subresource: &str) -> Target<'_, Toy> {
    Target {
        api_version: "v1",
        kind: "Toy",
        subresource,
        shape: &ROOT,
        empty: &crate::support::NOTHING,
        reset: Reset::NONE,
        convert: &|_, _| None,
    }
}

fn writer(manager: &str, second: u64) -> Writer<'_> {
    Writer {
        manager,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
    }
}

/// The object after an apply.
pub(crate) fn apply(
    live: Option<&Value>,
    manager: &str,
    second: u64,
    config: &Value,
    force: bool,
) -> Result<Value, Error> {
    let writer = writer(manager, second);
    let mut object = apply::apply(&target(""), &writer, live, config, force)?;
    if let Some(live) = live {
        apply::keep_times(&mut object, live);
    }
    Ok(object)
}

/// The object after another write.
pub(crate) fn update(live: Option<&Value>, manager: &str, second: u64, mut new: Value) -> Value {
    apply::update(&target(""), &writer(manager, second), live, &mut new);
    if let Some(live) = live {
        apply::keep_times(&mut new, live);
    }
    new
}

/// The paths that a manager owns.
pub(crate) fn owned(object: &Value, manager: &str) -> Vec<String> {
    let managed = Managed::of(object);
    let entries = managed.0.iter().filter(|entry| entry.manager == manager);
    let mut paths: Vec<String> = entries
        .flat_map(|entry| entry.fields.paths())
        .map(|path| path.to_string())
        .collect();
    paths.sort();
    paths
}
