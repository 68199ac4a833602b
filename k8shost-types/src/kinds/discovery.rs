//! The documents that tell a client what is served, built of rows of kinds: those of old, one request
//! each, and the aggregated one.

use serde_json::{Map, Value, json};

use super::{Group, Kind, Subresource, group_version, groups};

/// `/api`: the versions of the core group. `server` is the address the client is to use,
/// `10.0.0.1:6443`.
pub fn api_versions(server: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}],
    })
}

/// `/apis`: all groups but the core one, in their order.
pub fn api_group_list<'a>(kinds: impl IntoIterator<Item = &'a Kind>) -> Value {
    let groups: Vec<Value> = groups(kinds)
        .iter()
        .filter(|group| !group.name.is_empty())
        .map(|group| Value::Object(group_fields(group)))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`: one group; `None` where no kind is of it.
pub fn api_group<'a>(kinds: impl IntoIterator<Item = &'a Kind>, group: &str) -> Option<Value> {
    let groups = groups(kinds);
    let group = groups
        .iter()
        .find(|one| one.name == group && !group.is_empty())?;
    let mut fields = group_fields(group);
    fields.insert("kind".to_owned(), "APIGroup".into());
    fields.insert("apiVersion".to_owned(), "v1".into());
    Some(fields.into())
}

fn group_fields(group: &Group<'_>) -> Map<String, Value> {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| {
            json!({"groupVersion": group_version(group.name, version), "version": version})
        })
        .collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    Map::from_iter([
        ("name".to_owned(), group.name.into()),
        ("versions".to_owned(), versions.into()),
        ("preferredVersion".to_owned(), preferred),
    ])
}

/// `/api/v1`, `/apis/GROUP/VERSION`: the resources of a version, sorted by name, each with what is
/// below it; `None` where no kind is of it.
pub fn api_resource_list<'a>(
    kinds: impl IntoIterator<Item = &'a Kind>,
    group: &str,
    version: &str,
) -> Option<Value> {
    let kinds = of_version(kinds, group, version);
    if kinds.is_empty() {
        return None;
    }
    let resources: Vec<Value> = kinds
        .into_iter()
        .flat_map(|kind| {
            let below = kind.subresources.iter();
            std::iter::once(resource(kind)).chain(below.map(|sub| subresource(kind, sub)))
        })
        .collect();
    let mut list = json!({
        "kind": "APIResourceList",
        "groupVersion": group_version(group, version),
        "resources": resources,
    });
    // The core group's list has no apiVersion of its own.
    if !group.is_empty() {
        list["apiVersion"] = "v1".into();
    }
    Some(list)
}

fn of_version<'a>(
    kinds: impl IntoIterator<Item = &'a Kind>,
    group: &str,
    version: &str,
) -> Vec<&'a Kind> {
    let mut kinds: Vec<&Kind> = kinds
        .into_iter()
        .filter(|kind| kind.group == group && kind.version == version)
        .collect();
    kinds.sort_by(|a, b| a.plural.cmp(&b.plural));
    kinds
}

fn resource(kind: &Kind) -> Value {
    let mut fields = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": kind.verbs,
    });
    add_names(&mut fields, kind);
    fields
}

fn add_names(fields: &mut Value, kind: &Kind) {
    for (field, names) in [
        ("shortNames", &kind.short_names),
        ("categories", &kind.categories),
    ] {
        if !names.is_empty() {
            fields[field] = names
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<&str>>()
                .into();
        }
    }
}

fn subresource(kind: &Kind, sub: &Subresource) -> Value {
    let mut fields = json!({
        "name": format!("{}/{}", kind.plural, sub.name),
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": sub.kind,
        "verbs": sub.verbs,
    });
    for (field, text) in [("group", &sub.group), ("version", &sub.version)] {
        if !text.is_empty() {
            fields[field] = text.as_ref().into();
        }
    }
    fields
}

/// The version of apidiscovery.k8s.io that the client asked for; they differ in name only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// `apidiscovery.k8s.io/v2`.
    #[default]
    V2,
    /// `apidiscovery.k8s.io/v2beta1`.
    V2Beta1,
}

/// Which groups an aggregated document is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// `/api`: the core group.
    Core,
    /// `/apis`: all others.
    Groups,
}

/// `/api` or `/apis` as APIGroupDiscoveryList: groups, versions and resources at once.
pub fn aggregated<'a, K>(kinds: K, root: Root, version: Version) -> Value
where
    K: IntoIterator<Item = &'a Kind> + Clone,
{
    let items: Vec<Value> = groups(kinds.clone())
        .iter()
        .filter(|group| group.name.is_empty() == (root == Root::Core))
        .map(|group| aggregated_group(kinds.clone(), group))
        .collect();
    let api_version = match version {
        Version::V2 => "apidiscovery.k8s.io/v2",
        Version::V2Beta1 => "apidiscovery.k8s.io/v2beta1",
    };
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": api_version,
        "metadata": {},
        "items": items,
    })
}

fn aggregated_group<'a, K>(kinds: K, group: &Group<'_>) -> Value
where
    K: IntoIterator<Item = &'a Kind> + Clone,
{
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|version| {
            let resources: Vec<Value> = of_version(kinds.clone(), group.name, version)
                .into_iter()
                .map(aggregated_resource)
                .collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = match group.name {
        "" => json!({}),
        name => json!({"name": name}),
    };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(kind: &Kind) -> Value {
    // Of the kinds of the version itself, group and version are told of custom ones only.
    let own = match kind.custom {
        true => (kind.group.as_ref(), kind.version.as_ref()),
        false => ("", ""),
    };
    let response = |(group, version): (&str, &str), kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut fields = json!({
        "resource": kind.plural,
        "responseKind": response(own, &kind.kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    add_names(&mut fields, kind);
    let below: Vec<Value> = kind
        .subresources
        .iter()
        .map(|sub| {
            let of = match sub.version.as_ref() {
                "" => own,
                version => (sub.group.as_ref(), version),
            };
            json!({
                "subresource": sub.name,
                "responseKind": response(of, &sub.kind),
                "verbs": sub.verbs,
            })
        })
        .collect();
    if !below.is_empty() {
        fields["subresources"] = below.into();
    }
    fields
}
