//! metadata.managedFields: who owns what.

use std::{borrow::Cow, time::SystemTime};

use serde_json::{Map, Value};

use super::set::FieldSet;
use crate::{
    json::{self, get, list, text},
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
    /// The entry as it was read, while nobody needs to know or changes what it owns: `fields` is empty
    /// then. No entry that is given out has it.
    pub(super) unread: Option<Cow<'a, Value>>,
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
            unread: None,
        }
    }

    /// Reads an entry.
    pub fn from_value(entry: &'a Value) -> Result<Self, String> {
        let mut read = Self::unread(entry)?;
        read.read()?;
        Ok(read)
    }

    /// Reads what it owns, if that was not read yet.
    pub(super) fn read(&mut self) -> Result<(), String> {
        self.fields = match self.unread.take() {
            Some(Cow::Borrowed(entry)) => match get(entry, "fieldsV1") {
                Some(fields) => FieldSet::from_value(fields)?,
                None => FieldSet::new(),
            },
            Some(Cow::Owned(entry)) => match get(&entry, "fieldsV1") {
                Some(fields) => FieldSet::from_value(fields)?.into_owned(),
                None => FieldSet::new(),
            },
            None => return Ok(()),
        };
        Ok(())
    }

    /// Whether it may own one of these fields, what is below one of them, or what holds one.
    pub(super) fn touches(&self, fields: &FieldSet<'_>) -> bool {
        match &self.unread {
            Some(entry) => get(entry, "fieldsV1").is_some_and(|own| touches(own, fields)),
            None => true,
        }
    }

    /// Adds fields to an entry that is not read, and sets its time; false where it was read.
    pub(super) fn add_unread(&mut self, fields: &FieldSet<'_>, time: &'a str) -> bool {
        let Some(entry) = &mut self.unread else {
            return false;
        };
        let Some(own) = json::ensure_object(entry.to_mut(), "fieldsV1") else {
            return false;
        };
        fields.add_to(own);
        json::set(entry.to_mut(), "time", time);
        self.time = Some(Cow::Borrowed(time));
        true
    }

    /// Reads all but what it owns.
    fn unread(entry: &'a Value) -> Result<Self, String> {
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
            fields: FieldSet::new(),
            unread: Some(Cow::Borrowed(entry)),
        })
    }

    /// The entry as managedFields has it.
    pub fn to_value(&self) -> Value {
        if let Some(entry) = &self.unread {
            return entry.clone().into_owned();
        }
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
        entry.insert("fieldsV1".to_owned(), self.fields.to_value());
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

/// Whether FieldsV1 has something in common with a set. The names are compared as text, so it must have
/// been written here.
fn touches(own: &Value, fields: &FieldSet<'_>) -> bool {
    fields.nodes.iter().any(|node| {
        own.get(node.element.wire())
            .is_some_and(|own| node.member || touches(own, &node.children))
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

    /// Those of an object that is stored, as they were written here: what they own is not read.
    pub(super) fn stored(object: &'a Value) -> Self {
        let entries = list(meta::metadata(object), "managedFields").iter();
        let entries: Result<Vec<_>, _> = entries.map(Entry::unread).collect();
        Self(entries.unwrap_or_default())
    }

    /// The entries in Kubernetes' order: appliers first, then by time, in seconds.
    pub fn to_value(&self) -> Value {
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
        Value::Array(entries.into_iter().map(Entry::to_value).collect())
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
