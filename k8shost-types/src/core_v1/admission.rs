//! What LimitRanges do to pods and claims that are created: defaults for containers, and limits that nothing may
//! be beyond.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    error::Error,
    json::{self as tree, list, list_mut, pairs, text},
    meta,
    quantity::Quantity,
    rules::{part, spec},
};

/// Says which values came from a LimitRange.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Whether objects of a kind of the core group are limited.
pub fn limited(kind: &str) -> bool {
    matches!(kind, "Pod" | "PersistentVolumeClaim")
}

/// Gives the containers of a new pod what its namespace's LimitRanges have as defaults. Other objects have none.
pub fn set_defaults(object: &mut Value, ranges: &[Value]) {
    if text(object, "kind") != "Pod" {
        return;
    }
    for range in ranges {
        let mut said = Vec::new();
        for (field, what) in [
            ("containers", "container"),
            ("initContainers", "init container"),
        ] {
            let Some(spec) = tree::get_mut(object, "spec") else {
                continue;
            };
            for container in list_mut(spec, field) {
                let name = text(container, "name").to_owned();
                let Some(resources) = tree::ensure_object(container, "resources") else {
                    continue;
                };
                for (own, default, word) in [
                    ("requests", "defaultRequest", "request"),
                    ("limits", "default", "limit"),
                ] {
                    let set = fill(resources, own, range, default);
                    if !set.is_empty() {
                        said.push(format!("{} {word} for {what} {name}", set.join(", ")));
                    }
                }
            }
        }
        if !said.is_empty()
            && let Some(metadata) = tree::ensure_object(object, "metadata")
            && let Some(annotations) = tree::ensure_object(metadata, "annotations")
        {
            let said = format!("LimitRanger plugin set: {}", said.join("; "));
            tree::set(annotations, ANNOTATION, said);
        }
    }
}

/// Fills in the quantities that are absent, and says which.
fn fill(resources: &mut Value, own: &str, range: &Value, default: &str) -> Vec<String> {
    let mut defaults = BTreeMap::new();
    for limit in limits(range, "Container") {
        defaults.extend(pairs(limit, default));
    }
    let absent = |name: &&str| tree::get(part(resources, own), name).is_none();
    let absent: Vec<(String, String)> = defaults
        .keys()
        .filter(|name| absent(name))
        .map(|name| ((*name).to_owned(), defaults[name].to_owned()))
        .collect();
    if !absent.is_empty()
        && let Some(quantities) = tree::ensure_object(resources, own)
    {
        for (name, quantity) in &absent {
            tree::set(quantities, name, quantity.as_str());
        }
    }
    absent.into_iter().map(|(name, _)| name).collect()
}

fn limits<'a>(range: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let limits = list(spec(range), "limits").iter();
    limits.filter(move |limit| text(limit, "type") == kind)
}

/// Whether a new object is within its namespace's LimitRanges.
///
/// # Errors
/// Forbidden, with all that is beyond them.
pub fn check(object: &Value, resource: &str, ranges: &[Value]) -> Result<(), Error> {
    for range in ranges {
        let mut faults = Vec::new();
        if text(object, "kind") == "Pod" {
            let pod = spec(object);
            for limit in limits(range, "Container") {
                for field in ["containers", "initContainers"] {
                    for container in list(pod, field) {
                        let resources = part(container, "resources");
                        let of = |field: &str| quantities(part(resources, field));
                        judge(limit, &of("requests"), Some(&of("limits")), &mut faults);
                    }
                }
            }
            for limit in limits(range, "Pod") {
                let (requests, limits) = (of_pod(pod, "requests"), of_pod(pod, "limits"));
                judge(limit, &requests, Some(&limits), &mut faults);
            }
        } else {
            let resources = part(spec(object), "resources");
            for limit in limits(range, "PersistentVolumeClaim") {
                judge(
                    limit,
                    &quantities(part(resources, "requests")),
                    None,
                    &mut faults,
                );
            }
        }
        if !faults.is_empty() {
            let detail = match faults.as_slice() {
                [fault] => fault.clone(),
                faults => format!("[{}]", faults.join(", ")),
            };
            return Err(Error::forbidden(resource, meta::name(object), detail));
        }
    }
    Ok(())
}

/// Quantities by resource, and as they are written.
type Quantities = BTreeMap<String, (Quantity, String)>;

fn quantities(values: &Value) -> Quantities {
    let values = values.as_object().into_iter().flatten();
    let read = values.filter_map(|(name, text)| {
        let text = text.as_str()?;
        Some((name.clone(), (text.parse().ok()?, text.to_owned())))
    });
    read.collect()
}

/// What a pod asks for: what it says itself, or its containers together, or more where an init container needs
/// more.
fn of_pod(pod: &Value, field: &str) -> Quantities {
    let of = |container: &Value| quantities(part(part(container, "resources"), field));
    let mut running = Quantities::new();
    for container in list(pod, "containers") {
        merge(&mut running, of(container), Quantity::plus);
    }
    let mut most = Quantities::new();
    let mut beside = Quantities::new();
    for container in list(pod, "initContainers") {
        let mut needed = of(container);
        if text(container, "restartPolicy") == "Always" {
            merge(&mut running, needed.clone(), Quantity::plus);
            merge(&mut beside, needed, Quantity::plus);
            needed = beside.clone();
        } else {
            merge(&mut needed, beside.clone(), Quantity::plus);
        }
        merge(&mut most, needed, Ord::max);
    }
    merge(&mut running, most, Ord::max);
    running.extend(quantities(part(part(pod, "resources"), field)));
    running
}

fn merge(into: &mut Quantities, from: Quantities, how: fn(Quantity, Quantity) -> Quantity) {
    for (name, (quantity, text)) in from {
        match into.get_mut(&name) {
            Some(own) => {
                own.0 = how(own.0, quantity);
                own.1 = own.0.to_string();
            }
            None => {
                into.insert(name, (quantity, text));
            }
        }
    }
}

/// Judges by one limit. Without limits of its own, as of a claim, an object is judged by its requests.
fn judge(
    limit: &Value,
    requests: &Quantities,
    limits: Option<&Quantities>,
    faults: &mut Vec<String>,
) {
    let kind = text(limit, "type");
    let none = Quantities::new();
    let own = limits.unwrap_or(&none);
    for (name, (least, said)) in quantities(part(limit, "min")) {
        let base = format!("minimum {name} usage per {kind} is {said}");
        match (requests.get(&name), own.get(&name)) {
            (None, _) => faults.push(format!("{base}.  No request is specified")),
            (Some((request, text)), _) if *request < least => {
                faults.push(format!("{base}, but request is {text}"));
            }
            (_, Some((limit, text))) if *limit < least => {
                faults.push(format!("{base}, but limit is {text}"));
            }
            _ => {}
        }
    }
    for (name, (most, said)) in quantities(part(limit, "max")) {
        let base = format!("maximum {name} usage per {kind} is {said}");
        let (request, limit) = (requests.get(&name), own.get(&name));
        match (limits.is_some(), request, limit) {
            (true, _, None) => faults.push(format!("{base}.  No limit is specified")),
            (true, _, Some((limit, text))) if *limit > most => {
                faults.push(format!("{base}, but limit is {text}"));
            }
            (false, None, _) => faults.push(format!("{base}.  No request is specified")),
            (_, Some((request, text)), _) if *request > most => {
                faults.push(format!("{base}, but request is {text}"));
            }
            _ => {}
        }
    }
    let Some(limits) = limits else {
        return;
    };
    for (name, (most, said)) in quantities(part(limit, "maxLimitRequestRatio")) {
        let base = format!("{name} max limit to request ratio per {kind} is {said}");
        let milli = |of: &Quantities| {
            of.get(&name)
                .map_or(0, |(quantity, _)| quantity.milli_value())
        };
        let (request, limit) = (milli(requests), milli(limits));
        if request == 0 {
            faults.push(format!(
                "{base}, but no request is specified or request is 0"
            ));
        } else if limit == 0 {
            faults.push(format!("{base}, but no limit is specified or limit is 0"));
        } else {
            let ratio = limit as f64 / request as f64;
            if ratio * 1000.0 > most.milli_value() as f64 {
                faults.push(format!("{base}, but provided ratio is {ratio:.6}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(containers: Value) -> Value {
        json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}})
    }

    fn range(limit: Value) -> [Value; 1] {
        [json!({"spec": {"limits": [limit]}})]
    }

    #[test]
    fn containers_get_the_defaults_that_they_lack() {
        let ranges = range(json!({
            "type": "Container", "default": {"cpu": "500m", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"},
        }));
        let mut object =
            pod(json!([{"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "2"}}}]));
        set_defaults(&mut object, &ranges);
        let containers = &object["spec"]["containers"];
        assert_eq!(
            containers[0]["resources"],
            json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "500m", "memory": "1Gi"}})
        );
        assert_eq!(
            containers[1]["resources"]["limits"],
            json!({"cpu": "2", "memory": "1Gi"})
        );
        assert_eq!(
            object["metadata"]["annotations"][ANNOTATION],
            "LimitRanger plugin set: cpu request for container a; cpu, memory limit for container a; cpu request for container b; memory limit for container b"
        );
        let mut claim = json!({"kind": "PersistentVolumeClaim", "spec": {}});
        set_defaults(&mut claim, &ranges);
        assert_eq!(claim["spec"], json!({}));
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused() {
        let container = |limits: Value, requests: Value| {
            pod(json!([{"name": "c", "resources": {"limits": limits, "requests": requests}}]))
        };
        let claim = |size: &str| json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "p"}, "spec": {"resources": {"requests": {"storage": size}}}});
        for (limit, object, words) in [
            (
                json!({"type": "Container", "max": {"cpu": "1"}}),
                container(json!({"cpu": "2"}), json!({})),
                "maximum cpu usage per Container is 1, but limit is 2",
            ),
            (
                json!({"type": "Container", "max": {"cpu": "1"}}),
                container(json!({}), json!({})),
                "maximum cpu usage per Container is 1.  No limit is specified",
            ),
            (
                json!({"type": "Container", "max": {"cpu": "1"}}),
                container(json!({"cpu": "1"}), json!({"cpu": "1"})),
                "",
            ),
            (
                json!({"type": "Container", "min": {"cpu": "1"}}),
                container(json!({"cpu": "2"}), json!({"cpu": "500m"})),
                "minimum cpu usage per Container is 1, but request is 500m",
            ),
            (
                json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}),
                container(json!({"cpu": "3"}), json!({"cpu": "1"})),
                "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
            ),
            (
                json!({"type": "Pod", "max": {"cpu": "1"}}),
                pod(
                    json!([{"name": "a", "resources": {"limits": {"cpu": "600m"}}}, {"name": "b", "resources": {"limits": {"cpu": "600m"}}}]),
                ),
                "maximum cpu usage per Pod is 1, but limit is 1200m",
            ),
            (
                json!({"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}),
                claim("2Gi"),
                "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi",
            ),
            (
                json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}}),
                claim("1Gi"),
                "",
            ),
        ] {
            let found = check(&object, "pods", &range(limit));
            let expected = match words {
                "" => Ok(()),
                words => Err(format!("pods \"p\" is forbidden: {words}")),
            };
            assert_eq!(found.map_err(|error| error.message), expected);
        }
    }
}
