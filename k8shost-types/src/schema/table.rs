//! Reads the table of built-in schemas; how it is laid out stands at its head.

use super::{
    Kind, ListType, MapType, PatchStrategy, Schemas,
    build::{Builder, Node, SchemaError, Shape, error},
};

pub(super) fn parse(table: &str) -> Result<Schemas, SchemaError> {
    let mut builder = Builder::default();
    let mut package = "";
    for line in lines(table) {
        if let Some(name) = line.strip_prefix('@') {
            package = name;
        } else if !line.starts_with('\t') {
            let name = line.split('\t').next().unwrap_or_default();
            builder.declare(&format!("{package}.{name}"))?;
        }
    }
    let mut at = 0;
    let mut lines = lines(table).peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix('@') {
            package = name;
            continue;
        }
        let (name, words) = line.split_once('\t').unwrap_or((line, ""));
        let mut reader = Reader {
            builder: &mut builder,
            package,
            kind: (name, at),
        };
        let mut schema = reader.schema(words)?;
        let mut fields = Vec::new();
        let mut required = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
            let (name, words) = line[1..].split_once('\t').unwrap_or((line, ""));
            let field = name.strip_suffix('!').unwrap_or(name);
            if field.len() < name.len() {
                required.push(field);
            }
            let schema = reader.schema(words)?;
            fields.push((field, reader.builder.add(schema)?));
        }
        schema.fields = builder.fields(fields);
        schema.required = builder.words(required);
        builder.define(at, schema);
        at += 1;
    }
    builder.finish(false)
}

fn lines(table: &str) -> impl Iterator<Item = &str> {
    table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
}

struct Reader<'a> {
    builder: &'a mut Builder,
    package: &'a str,
    /// The schema that is read, which may be a kind.
    kind: (&'a str, u32),
}

impl Reader<'_> {
    /// A type and what is said of it; the type of items and values follows in the same words.
    fn schema(&mut self, words: &str) -> Result<Node, SchemaError> {
        let (word, mut rest) = words.split_once('\t').unwrap_or((words, ""));
        let (word, format) = word.split_once(':').unwrap_or((word, ""));
        let kind = match word {
            "any" => Kind::Any,
            "object" | "free" => Kind::Object,
            "{}" => Kind::Map,
            "[]" => Kind::Array,
            "string" => Kind::String,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "boolean" => Kind::Boolean,
            "int-or-string" => Kind::IntOrString,
            "quantity" => Kind::Quantity,
            _ => Kind::Any,
        };
        let mut node = Node::new(Shape::Is(kind));
        node.preserve = matches!(word, "any" | "free");
        node.format = self.builder.text(format);
        if let Some(name) = word.strip_prefix('*') {
            let local = format!("{}.{name}", self.package);
            let name = if name.contains('.') { name } else { &local };
            node.shape = Shape::Ref;
            node.target = self
                .builder
                .declared(name)
                .ok_or_else(|| self.unknown(name))?;
        } else if kind == Kind::Any && word != "any" {
            return Err(self.unknown(word));
        }
        while !rest.is_empty() {
            let (said, after) = rest.split_once('\t').unwrap_or((rest, ""));
            if !said.contains('=') {
                break;
            }
            self.say(&mut node, said)?;
            rest = after;
        }
        if matches!(kind, Kind::Map | Kind::Array) {
            let inner = self.schema(rest)?;
            node.target = self.builder.add(inner)?;
        }
        Ok(node)
    }

    fn say(&mut self, node: &mut Node, said: &str) -> Result<(), SchemaError> {
        let (what, value) = said.split_once('=').unwrap_or((said, ""));
        match what {
            "" => node.default = self.json(value)?,
            "unions" => node.unions = self.json(value)?,
            "enum" => node.enums = self.builder.words(value.split('|')),
            "key" => node.merge_key = self.builder.text(value),
            "list" => {
                let (list, keys) = value.split_once(':').unwrap_or((value, ""));
                node.list = Some(list_type(list).ok_or_else(|| self.unknown(said))?);
                node.keys = self
                    .builder
                    .words(keys.split(',').filter(|key| !key.is_empty()));
            }
            "map" => node.map = Some(map_type(value).ok_or_else(|| self.unknown(said))?),
            "patch" => node.patch = Some(patch_strategy(value)),
            "gvk" => {
                for group_version in value.split(',') {
                    let (group, version) = group_version.split_once('/').unwrap_or_default();
                    self.builder.kind(group, version, self.kind.0, self.kind.1);
                }
            }
            _ => return Err(self.unknown(said)),
        }
        Ok(())
    }

    fn json(&mut self, text: &str) -> Result<u32, SchemaError> {
        let value = serde_json::from_str(text).map_err(|_| self.unknown(text))?;
        Ok(self.builder.value(value))
    }

    fn unknown(&self, what: &str) -> SchemaError {
        error(self.kind.0, format!("{what} is not known"))
    }
}

pub(super) fn list_type(name: &str) -> Option<ListType> {
    match name {
        "atomic" => Some(ListType::Atomic),
        "set" => Some(ListType::Set),
        "map" => Some(ListType::Map),
        _ => None,
    }
}

pub(super) fn map_type(name: &str) -> Option<MapType> {
    match name {
        "atomic" => Some(MapType::Atomic),
        "granular" => Some(MapType::Granular),
        _ => None,
    }
}

pub(super) fn patch_strategy(names: &str) -> PatchStrategy {
    let mut strategy = PatchStrategy::default();
    for name in names.split(',') {
        match name {
            "merge" => strategy.merge = true,
            "replace" => strategy.replace = true,
            "retainKeys" => strategy.retain_keys = true,
            _ => {}
        }
    }
    strategy
}
