//! The roles and bindings that a fresh cluster has.

use serde_json::{Value, json};

/// The table of them, which says how it is read.
const TABLE: &str = include_str!("bootstrap.txt");
const GROUP: &str = "rbac.authorization.k8s.io";

/// The objects, as a client would send them: kind, name, namespace, and what they say. The rules of roles that
/// are made of other roles' are all there.
pub fn bootstrap() -> Vec<Value> {
    let mut objects: Vec<Value> = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split('\t').collect();
        match words.as_slice() {
            ["", rule @ ..] => {
                let rules = objects.last_mut().map(|role| &mut role["rules"]);
                if let Some(Value::Array(rules)) = rules {
                    rules.push(policy_rule(rule));
                }
            }
            ["ClusterRole", name, labels @ ..] => objects.push(cluster_role(name, labels)),
            ["Role", name, ..] => {
                let mut role = object("Role", name);
                role["rules"] = json!([]);
                objects.push(role);
            }
            [kind @ "ClusterRoleBinding", name, role, subjects] => {
                objects.push(binding(kind, name, "ClusterRole", role, subjects));
            }
            [kind @ "RoleBinding", name, role, subjects] => {
                objects.push(binding(kind, name, "Role", role, subjects));
            }
            _ => {}
        }
    }
    aggregate(&mut objects);
    objects
}

fn list(words: &str) -> Vec<&str> {
    words.split(',').filter(|word| *word != "-").collect()
}

fn object(kind: &str, name: &str) -> Value {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": kind,
        "metadata": {
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        },
    });
    let name = match name.split_once('/') {
        Some((namespace, name)) if !kind.starts_with("Cluster") => {
            object["metadata"]["namespace"] = json!(namespace);
            name
        }
        _ => name,
    };
    object["metadata"]["name"] = json!(name);
    object
}

fn cluster_role(name: &str, labels: &[&str]) -> Value {
    let mut role = object("ClusterRole", name);
    role["rules"] = json!([]);
    let [own, selected] = [0, 1].map(|at| labels.get(at).map_or(Vec::new(), |words| list(words)));
    for label in own {
        role["metadata"]["labels"][format!("{GROUP}/{label}")] = json!("true");
    }
    if !selected.is_empty() {
        let selectors = selected
            .into_iter()
            .map(|label| json!({"matchLabels": {format!("{GROUP}/{label}"): "true"}}));
        role["aggregationRule"] = json!({"clusterRoleSelectors": selectors.collect::<Vec<_>>()});
    }
    role
}

fn policy_rule(words: &[&str]) -> Value {
    match words {
        [verbs, urls] => json!({"verbs": list(verbs), "nonResourceURLs": list(urls)}),
        [verbs, groups, resources, names @ ..] => {
            let groups = groups.split(',').map(|group| match group {
                "-" => "",
                group => group,
            });
            let mut rule = json!({
                "verbs": list(verbs),
                "apiGroups": groups.collect::<Vec<_>>(),
                "resources": list(resources),
            });
            if let [names] = names {
                rule["resourceNames"] = json!(list(names));
            }
            rule
        }
        _ => Value::Null,
    }
}

fn binding(kind: &str, name: &str, role_kind: &str, role: &str, subjects: &str) -> Value {
    let mut binding = object(kind, name);
    binding["roleRef"] = json!({"apiGroup": GROUP, "kind": role_kind, "name": role});
    let subject = |subject: &str| match subject.split_once(':') {
        Some(("ServiceAccount", account)) => {
            let (namespace, name) = account.split_once('/').unwrap_or(("", account));
            json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
        }
        Some((kind, name)) => json!({"apiGroup": GROUP, "kind": kind, "name": name}),
        None => Value::Null,
    };
    let subjects: Vec<Value> = list(subjects).into_iter().map(subject).collect();
    if !subjects.is_empty() {
        binding["subjects"] = json!(subjects);
    }
    binding
}

/// Gives roles that are made of others the rules of these, in the order of their names. One may be made of one
/// that is made of others.
fn aggregate(objects: &mut [Value]) {
    // No more roles are made of others than there are roles; it takes as many passes as there are levels.
    for _ in 0..objects.len() {
        let mut changed = false;
        for at in 0..objects.len() {
            let selectors = &objects[at]["aggregationRule"]["clusterRoleSelectors"];
            let Some(selectors) = selectors.as_array() else {
                continue;
            };
            let mut chosen: Vec<&Value> = objects
                .iter()
                .filter(|role| role["kind"] == "ClusterRole")
                .filter(|role| {
                    selectors.iter().any(|selector| {
                        let mut labels = selector["matchLabels"].as_object().into_iter().flatten();
                        labels.all(|(label, value)| role["metadata"]["labels"][label] == *value)
                    })
                })
                .collect();
            chosen.sort_by_key(|role| role["metadata"]["name"].as_str());
            let mut rules: Vec<Value> = Vec::new();
            for rule in chosen
                .iter()
                .filter_map(|role| role["rules"].as_array())
                .flatten()
            {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
            let rules = Value::Array(rules);
            changed |= objects[at]["rules"] != rules;
            objects[at]["rules"] = rules;
        }
        if !changed {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies;

    #[test]
    fn the_table_is_read_whole_and_valid() {
        let objects = bootstrap();
        let of = |kind: &str| {
            objects
                .iter()
                .filter(|object| object["kind"] == kind)
                .count()
        };
        let kinds = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"].map(of);
        let lines = |kind: &str| {
            TABLE
                .lines()
                .filter(|line| line.starts_with(&format!("{kind}\t")))
                .count()
        };
        let expected = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"].map(lines);
        assert_eq!(kinds, expected);
        assert!(kinds.iter().all(|count| *count > 5), "{kinds:?}");
        for object in &objects {
            let kind = object["kind"].as_str().unwrap();
            let row = strategies::all().find(|row| row.kind == kind && row.group() == GROUP);
            let mut made = object.clone();
            let now = std::time::SystemTime::UNIX_EPOCH;
            let result = row.unwrap().before_create(&mut made, "u", now, "xxxxx");
            assert!(result.is_ok(), "{object}: {result:?}");
            if kind.ends_with("Binding") {
                let named = |role: &&Value| {
                    role["kind"] == object["roleRef"]["kind"]
                        && role["metadata"]["name"] == object["roleRef"]["name"]
                };
                assert!(objects.iter().any(|role| named(&role)), "{object}");
            } else {
                let rules = object["rules"].as_array().unwrap();
                assert!(rules.iter().all(Value::is_object), "{object}");
            }
        }
        let role = |name: &str| {
            let found = objects
                .iter()
                .find(|object| object["metadata"]["name"] == name);
            found.unwrap()["rules"].as_array().unwrap().len()
        };
        assert_eq!(role("cluster-admin"), 2);
        assert!(role("admin") > role("edit") && role("edit") > role("view") && role("view") > 5);
    }
}
