//! Sets of fields in the form of managedFields: FieldsV1.

use serde_json::{Map, Value};

use super::{
    DEEPEST,
    element::{Element, Json, push},
    set::{FieldSet, Node},
};

/// Says of a node with others below it that it is a member itself.
const SELF: &str = ".";

impl<'a> FieldSet<'a> {
    /// Reads FieldsV1. What says that it is of a kind not known is left out; all else that is wrong
    /// is an error, in words for the log.
    pub fn from_value(fields: &'a Value) -> Result<Self, String> {
        Ok(read(fields, 0)?.1)
    }

    /// FieldsV1 as a JSON tree.
    pub fn to_value(&self) -> Value {
        let fields = self.nodes.iter().map(|node| {
            let mut below = node.children.to_value();
            if let (Value::Object(below), true) = (&mut below, node.member)
                && !node.children.is_empty()
            {
                below.insert(SELF.to_owned(), Value::Object(Map::new()));
            }
            (node.element.wire(), below)
        });
        Value::Object(fields.collect())
    }

    /// FieldsV1 as JSON text, byte for byte what Kubernetes writes. A JSON tree of the same, when it is
    /// written, has the fields sorted as text: `k:{"port":443}` before `k:{"port":80}`.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(false, &mut out);
        out
    }

    fn write(&self, member: bool, out: &mut String) {
        out.push('{');
        let mut comma = "";
        if member && !self.is_empty() {
            out.push_str("\".\":{}");
            comma = ",";
        }
        for node in &self.nodes {
            push(out, format_args!("{comma}{}:", Json(&node.element.wire())));
            node.children.write(node.member, out);
            comma = ",";
        }
        out.push('}');
    }
}

/// Whether what holds these fields is a member too, and they themselves.
fn read(fields: &Value, depth: usize) -> Result<(bool, FieldSet<'_>), String> {
    if depth > DEEPEST {
        return Err("fields are nested too deeply".to_owned());
    }
    let fields = match fields {
        Value::Object(fields) => fields,
        Value::Null => return Ok((true, FieldSet::new())),
        _ => return Err("fields must be an object".to_owned()),
    };
    let mut member = false;
    let mut set = FieldSet::new();
    for (name, below) in fields {
        if name == SELF {
            member = true;
            continue;
        }
        let Some(element) = Element::parse(name)? else {
            continue;
        };
        let (member, children) = read(below, depth + 1)?;
        set.put(Node {
            element,
            member,
            children,
        });
    }
    Ok((member || set.is_empty(), set))
}
