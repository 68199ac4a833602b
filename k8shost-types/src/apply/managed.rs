//! metadata.managedFields: who owns what.

use std::{borrow::Cow, time::SystemTime};

use serde_json::{Map, Value};

use super::{compact, set::FieldSet};
use crate::{
    json::{get, text},
    meta, time,
};

/// How a manager came to own fields. The order is that of managedFields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    /// As managedFields has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// An entry of managedFields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Who.
    pub manager: Cow<'a, str>,
    /// How.
    pub operation: Operation,
    /// The version of the object that the fields are of.
    pub api_version: Cow<'a, str>,
    /// The subresource through which it was written; "" is the object itself.
    pub subresource: Cow<'a, str>,
    /// When it was last changed, as it is written: RFC 3339.
    pub time: Option<Cow<'a, str>>,
    /// What it owns.
    pub fields: FieldSet<'a>,
}

/// What tells managers apart; the version counts for updates only.
type Identity<'b> = (&'b str, Operation, &'b str, &'b str);

impl<'a> Entry<'a> {
    /// An entry with no time and no fields.
    pub fn new(
        manager: &'a str,
        operation: Operation,
        api_version: &'a str,
        subresource: &'a str,
    ) -> Self {
        Self {
            manager: Cow::Borrowed(manager),
            operation,
            api_version: Cow::Borrowed(api_version),
            subresource: Cow::Borrowed(subresource),
            time: None,
            fields: FieldSet::new(),
        }
    }

    /// Reads an entry, as managedFields has it or as it is stored.
    pub fn from_value(entry: &'a Value) -> Result<Self, String> {
        if !entry.is_object() {
            return Err("an entry must be an object".to_owned());
        }
        let operation = match text(entry, "operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".to_owned()),
        };
        let api_version = text(entry, "apiVersion");
        if api_version.is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text(entry, "fieldsType") {
            "FieldsV1" => {}
            "" => return Err("missing fieldsType in managed fields entry".to_owned()),
            other => {
                return Err(format!(
                    "invalid fieldsType {other:?} in managed fields entry"
                ));
            }
        }
        let time = get(entry, "time").map(|time| time.as_str().ok_or("time must be a string"));
        Ok(Self {
            manager: text(entry, "manager").into(),
            operation,
            api_version: api_version.into(),
            subresource: text(entry, "subresource").into(),
            time: time.transpose()?.map(Cow::Borrowed),
            fields: match get(entry, "fieldsV1") {
                Some(Value::String(stored)) => compact::read(stored),
                Some(fields) => FieldSet::from_value(fields)?,
                None => FieldSet::new(),
            },
        })
    }

    /// Whether it may own one of these fields, what is below one of them, or what holds one.
    pub(super) fn touches(&self, fields: &FieldSet<'_>) -> bool {
        touches(&self.fields, fields)
    }

    /// The entry, with what it owns in one of two forms.
    fn to_value(&self, fields: impl FnOnce(&FieldSet<'_>) -> Value) -> Value {
        let mut entry = Map::new();
        let mut set = |name: &str, value: &str| {
            entry.insert(name.to_owned(), Value::from(value));
        };
        set("manager", &self.manager);
        set("operation", self.operation.as_str());
        set("apiVersion", &self.api_version);
        if let Some(time) = &self.time {
            set("time", time);
        }
        set("fieldsType", "FieldsV1");
        if !self.subresource.is_empty() {
            set("subresource", &self.subresource);
        }
        entry.insert("fieldsV1".to_owned(), fields(&self.fields));
        Value::Object(entry)
    }

    pub(super) fn identity(&self) -> Identity<'_> {
        let version = match self.operation {
            Operation::Apply => "",
            Operation::Update => self.api_version.as_ref(),
        };
        (&self.manager, self.operation, version, &self.subresource)
    }

    /// When, in whole seconds; 0 where that is not said.
    pub(super) fn seconds(&self) -> i64 {
        let time = self.time.as_deref().and_then(time::parse);
        time.map_or(0, |time| {
            match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
            }
        })
    }
}

fn touches(own: &FieldSet<'_>, fields: &FieldSet<'_>) -> bool {
    fields.nodes.iter().any(|node| {
        let own = own.get(&node.element);
        own.is_some_and(|own| node.member || touches(&own.children, &node.children))
    })
}

/// The entries of managedFields, each manager once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managed<'a>(pub Vec<Entry<'a>>);

impl<'a> Managed<'a> {
    /// Reads managedFields. Of two entries of a manager the later one holds.
    pub fn from_value(entries: &'a Value) -> Result<Self, String> {
        let entries = match entries {
            Value::Array(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return Err("managedFields must be a list".to_owned()),
        };
        let mut managed = Self::default();
        for entry in entries {
            managed.put(Entry::from_value(entry)?);
        }
        Ok(managed)
    }

    /// Those of an object; none where they cannot be read.
    pub fn of(object: &'a Value) -> Self {
        get(meta::metadata(object), "managedFields")
            .and_then(|entries| Self::from_value(entries).ok())
            .unwrap_or_default()
    }

    /// The entries as managedFields has them, in Kubernetes' order: appliers first, then by time, in seconds.
    pub fn to_value(&self) -> Value {
        self.entries(|fields| fields.to_value())
    }

    /// The same with what they own in the form in which it is stored: a text, which is a tenth as long.
    pub(crate) fn to_stored(&self) -> Value {
        self.entries(|fields| compact::write(fields).into())
    }

    fn entries(&self, fields: impl Fn(&FieldSet<'_>) -> Value) -> Value {
        let mut entries: Vec<&Entry<'_>> = self.0.iter().collect();
        entries.sort_by_cached_key(|entry| {
            (
                entry.operation,
                entry.seconds(),
                &entry.manager,
                &entry.api_version,
                &entry.subresource,
            )
        });
        let entries = entries.into_iter();
        Value::Array(entries.map(|entry| entry.to_value(&fields)).collect())
    }

    /// Writes them into an object; where there are none, takes the field away.
    pub fn write(value: Value, object: &mut Value) {
        match value {
            Value::Array(entries) if entries.is_empty() => meta::remove(object, "managedFields"),
            entries => meta::set(object, "managedFields", entries),
        }
    }

    pub(super) fn find(&self, identity: Identity<'_>) -> Option<usize> {
        self.0.iter().position(|entry| entry.identity() == identity)
    }

    /// Adds an entry, in the place of the one of the same manager.
    pub(super) fn put(&mut self, entry: Entry<'a>) {
        match self.find(entry.identity()) {
            Some(at) => self.0[at] = entry,
            None => self.0.push(entry),
        }
    }
}
