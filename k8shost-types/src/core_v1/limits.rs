//! LimitRange.

use serde_json::{Map, Value};

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, list, list_mut, object, text},
    names,
    pod::{
        is_overcommit_allowed, quantities, read_quantity, validate_container_name, validate_name,
        validate_readable,
    },
    quantity::Quantity,
    rules::{self, Errors, Seen, faults, is_set, spec},
    strategy::{Strategy, Text},
};

/// The row of LimitRange in the table of kinds.
pub static LIMIT_RANGE: Strategy = Strategy {
    kind: Text::Borrowed("LimitRange"),
    resource: Text::Borrowed("limitranges"),
    default,
    validate_create: |range| rules::created(range, true, names::subdomain_rule, validate),
    validate_update: |new, old| rules::updated(new, old, validate),
    create_on_update: true,
    ..Strategy::BASE
};

const MAPS: [&str; 5] = [
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];

fn default(range: &mut Value) {
    let Some(spec) = tree::ensure_object(range, "spec") else {
        return;
    };
    for item in list_mut(spec, "limits") {
        for field in MAPS {
            quantities(item, field);
        }
        if text(item, "type") == "Container" {
            // Each limit that is not given is the largest, each request the limit, or the least.
            fill_from(item, "default", "max");
            fill_from(item, "defaultRequest", "default");
            fill_from(item, "defaultRequest", "min");
        }
    }
}

fn fill_from(item: &mut Value, field: &str, other: &str) {
    let Some(other) = object(item, other).filter(|map| !map.is_empty()).cloned() else {
        return;
    };
    if let Some(Value::Object(map)) = tree::ensure_object(item, field) {
        for (name, amount) in other {
            map.entry(name).or_insert(amount);
        }
    }
}

fn validate(range: &Value, errors: &mut Errors) {
    let path = Path::new("spec");
    let path = path.child("limits");
    let mut types = Seen::new();
    for (i, item) in list(spec(range), "limits").iter().enumerate() {
        let path = path.index(i);
        let kind = text(item, "type");
        validate_type(kind, &path.child("type"), errors);
        if !types.add(kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
        validate_item(item, kind, &path, errors);
    }
}

fn validate_type(kind: &str, path: &Path<'_>, errors: &mut Errors) {
    let found = names::qualified_name(kind);
    let standard = matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim");
    if found.is_empty() && !kind.contains('/') && !standard {
        errors.push(FieldError::invalid(
            path,
            kind,
            "must be a standard limit type or fully qualified",
        ));
    }
    faults(found, kind, path, errors);
}

fn validate_item(item: &Value, kind: &str, path: &Path<'_>, errors: &mut Errors) {
    for field in MAPS {
        let path = path.child(field);
        if kind == "Pod" && matches!(field, "default" | "defaultRequest") {
            if is_set(item, field) {
                errors.push(FieldError::forbidden(
                    &path,
                    "may not be specified when `type` is 'Pod'",
                ));
            }
            continue;
        }
        for (name, amount) in object(item, field).into_iter().flatten() {
            let path = path.key(name);
            if matches!(kind, "Pod" | "Container") {
                validate_container_name(name, &path, errors);
            } else {
                validate_name(name, &path, errors);
            }
            validate_readable(amount, &path, errors);
        }
    }
    let has_storage = |field| object(item, field).is_some_and(|map| map.contains_key("storage"));
    if kind == "PersistentVolumeClaim" && !has_storage("min") && !has_storage("max") {
        errors.push(FieldError::required(
            &path.child("limits"),
            "either minimum or maximum storage value is required, but neither was provided",
        ));
    }
    let mut all: Vec<&String> = MAPS
        .iter()
        .filter_map(|field| object(item, field))
        .flat_map(Map::keys)
        .collect();
    all.sort_unstable();
    all.dedup();
    for name in all {
        validate_order(item, name, path, errors);
    }
}

/// The least, the default request, the default and the greatest amount of a resource, in that order.
fn validate_order(item: &Value, name: &str, path: &Path<'_>, errors: &mut Errors) {
    let amount = |field: &str| -> Option<(&str, Quantity)> {
        let value = object(item, field)?.get(name)?;
        Some((value.as_str()?, read_quantity(value)?))
    };
    let (min, max) = (amount("min"), amount("max"));
    let (request, limit) = (amount("defaultRequest"), amount("default"));
    let mut check = |low: Option<(&str, Quantity)>,
                     high: Option<(&str, Quantity)>,
                     at: &str,
                     words: &dyn Fn(&str, &str) -> String| {
        if let (Some((low_text, low)), Some((high_text, high))) = (low, high)
            && low > high
        {
            let at = path.child(at);
            let shown = if words("", "").starts_with("min") {
                low_text
            } else {
                high_text
            };
            let detail = words(low_text, high_text);
            errors.push(FieldError::invalid(&at.key(name), shown, &detail));
        }
    };
    check(min, max, "min", &|low, high| {
        format!("min value {low} is greater than max value {high}")
    });
    check(min, request, "defaultRequest", &|low, high| {
        format!("min value {low} is greater than default request value {high}")
    });
    check(request, max, "defaultRequest", &|low, high| {
        format!("default request value {low} is greater than max value {high}")
    });
    check(request, limit, "defaultRequest", &|low, high| {
        format!("default request value {low} is greater than default limit value {high}")
    });
    check(min, limit, "default", &|low, high| {
        format!("min value {low} is greater than default value {high}")
    });
    check(limit, max, "default", &|low, high| {
        format!("default value {low} is greater than max value {high}")
    });
    if let (Some((request, a)), Some((limit, b))) = (request, limit)
        && a != b
        && !is_overcommit_allowed(name)
    {
        let detail =
            format!("default value {limit} must equal to defaultRequest value {request} in {name}");
        let at = path.child("default");
        errors.push(FieldError::invalid(&at.key(name), limit, &detail));
    }
    validate_ratio(amount("maxLimitRequestRatio"), min, max, name, path, errors);
}

fn validate_ratio(
    ratio: Option<(&str, Quantity)>,
    min: Option<(&str, Quantity)>,
    max: Option<(&str, Quantity)>,
    name: &str,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let Some((text, ratio)) = ratio else {
        return;
    };
    let at = path.child("maxLimitRequestRatio");
    let one: Quantity = "1".parse().expect("1 is a quantity");
    if ratio < one {
        let detail = format!("ratio {text} is less than 1");
        errors.push(FieldError::invalid(&at.key(name), text, &detail));
    }
    // What is compared in Kubernetes, too, are rounded numbers.
    let number = |quantity: Quantity| -> f64 { quantity.milli_value() as f64 };
    if let (Some((_, min)), Some((_, max))) = (min, max)
        && min.is_positive()
        && number(ratio) / 1000.0 > number(max) / number(min)
    {
        let most = number(max) / number(min);
        let detail = format!("ratio {text} is greater than max/min = {most:.6}");
        errors.push(FieldError::invalid(&at.key(name), text, &detail));
    }
}
