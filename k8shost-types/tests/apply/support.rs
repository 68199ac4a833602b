//! An object under writes, and its managedFields in a short form.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use k8shost_types::{
    Error,
    apply::{self, ApplyError, Managed, Reset, Target, TypeShape, Writer},
    schema,
};
use serde_json::{Map, Value};

/// An object in which nothing is set.
pub(crate) static NOTHING: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));

/// An object of a built-in kind, and a clock that each write moves on.
pub(crate) struct Live {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    resource: &'static str,
    pub(crate) object: Option<Value>,
    seconds: u64,
}

pub(crate) const DEPLOYMENT: [&str; 4] = ["apps", "v1", "Deployment", "deployments"];
pub(crate) const POD: [&str; 4] = ["", "v1", "Pod", "pods"];
pub(crate) const SERVICE: [&str; 4] = ["", "v1", "Service", "services"];
pub(crate) const CONFIG_MAP: [&str; 4] = ["", "v1", "ConfigMap", "configmaps"];

impl Live {
    pub(crate) fn new([group, version, kind, resource]: [&'static str; 4]) -> Self {
        Self {
            group,
            version,
            kind,
            resource,
            object: None,
            seconds: 0,
        }
    }

    fn at<R>(
        &mut self,
        manager: &str,
        subresource: &str,
        write: impl FnOnce(&Target<'_, TypeShape<'static>>, &Writer<'_>) -> R,
    ) -> R {
        self.seconds += 1;
        let api_version = match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        };
        let shape = schema::builtin().of(self.group, self.version, self.kind);
        let target = Target {
            api_version: &api_version,
            kind: self.kind,
            subresource,
            shape: shape.expect("a built-in kind").into(),
            empty: &NOTHING,
            reset: Reset::of(self.group, self.resource, subresource),
            convert: &|_, _| None,
        };
        let writer = Writer {
            manager,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds),
        };
        write(&target, &writer)
    }

    /// Applies, and keeps the object; says whether it differs from the one before.
    pub(crate) fn apply(
        &mut self,
        manager: &str,
        config: &Value,
        force: bool,
    ) -> Result<bool, Error> {
        self.apply_to(manager, "", config, force)
            .map_err(Error::from)
    }

    pub(crate) fn apply_to(
        &mut self,
        manager: &str,
        subresource: &str,
        config: &Value,
        force: bool,
    ) -> Result<bool, ApplyError> {
        let live = self.object.clone();
        let mut object = self.at(manager, subresource, |target, writer| {
            apply::apply(target, writer, live.as_ref(), config, force)
        })?;
        if let Some(live) = &live {
            apply::keep_times(&mut object, live);
        }
        let changed = live.as_ref() != Some(&object);
        self.object = Some(object);
        Ok(changed)
    }

    /// Writes the object as a client sends it.
    pub(crate) fn put(&mut self, manager: &str, subresource: &str, mut new: Value) {
        apply::store_fields(&mut new);
        let old = self.object.take();
        self.at(manager, subresource, |target, writer| {
            apply::update(target, writer, old.as_ref(), &mut new);
        });
        if let Some(old) = &old {
            apply::keep_times(&mut new, old);
        }
        self.object = Some(new);
    }

    /// Writes the object, as a client sees it, with some change.
    pub(crate) fn edit(&mut self, manager: &str, subresource: &str, edit: impl FnOnce(&mut Value)) {
        let mut new = self.object.clone().expect("there is an object");
        apply::expand_fields(&mut new);
        edit(&mut new);
        self.put(manager, subresource, new);
    }

    pub(crate) fn get(&self) -> &Value {
        self.object.as_ref().expect("there is an object")
    }

    /// The entries: manager, operation, subresource, second (0 for none), fields as JSON text.
    pub(crate) fn managed(&self) -> Vec<(String, String)> {
        let entries = Managed::of(self.get()).to_value();
        let entries = entries.as_array().expect("a list").iter().map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let mut who = format!("{} {}", text("manager"), text("operation"));
            if !text("subresource").is_empty() {
                who = format!("{who} {}", text("subresource"));
            }
            if let Some(time) = entry["time"].as_str() {
                let second = time.trim_start_matches("1970-01-01T00:00:").to_owned();
                who = format!("{who} @{}", second.trim_end_matches('Z'));
            }
            (who, entry["fieldsV1"].to_string())
        });
        entries.collect()
    }

    pub(crate) fn assert_managed(&self, expected: &[(&str, &str)]) {
        let managed = self.managed();
        let managed: Vec<(&str, &str)> = managed
            .iter()
            .map(|(who, fields)| (who.as_str(), fields.as_str()))
            .collect();
        assert_eq!(managed, expected);
    }
}

/// Sets a value at a path of names and indices, with objects made on the way.
pub(crate) fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut at = object;
    for step in pointer.split('.') {
        at = match step.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[step],
        };
    }
    *at = value;
}
