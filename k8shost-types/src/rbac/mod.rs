//! Kinds of rbac.authorization.k8s.io/v1: roles, and who has them.

mod bootstrap;

use serde_json::Value;

use crate::{
    error::FieldError,
    field::Path,
    json::{self as tree, get, list, list_mut, text},
    names,
    rules::{self, Errors, Raw, faults, fill, is_set, part, validate_label_selector},
    strategy::{Strategy, Text},
};

pub use bootstrap::bootstrap;

/// The row of Role in the table of kinds.
pub static ROLE: Strategy = Strategy {
    kind: Text::Borrowed("Role"),
    resource: Text::Borrowed("roles"),
    default: show_rules,
    validate_create: |role| validate_role(role, true),
    validate_update: |new, old| {
        let mut errors = validate_role(new, true);
        errors.append(&mut rules::metadata_update(new, old));
        errors
    },
    ..RBAC
};

/// The row of ClusterRole in the table of kinds.
pub static CLUSTER_ROLE: Strategy = Strategy {
    kind: Text::Borrowed("ClusterRole"),
    resource: Text::Borrowed("clusterroles"),
    namespaced: false,
    selectable: &["metadata.name"],
    default: show_rules,
    validate_create: |role| validate_role(role, false),
    validate_update: |new, old| {
        let mut errors = validate_role(new, false);
        errors.append(&mut rules::metadata_update(new, old));
        errors
    },
    ..RBAC
};

/// The row of RoleBinding in the table of kinds.
pub static ROLE_BINDING: Strategy = Strategy {
    kind: Text::Borrowed("RoleBinding"),
    resource: Text::Borrowed("rolebindings"),
    default: default_binding,
    validate_create: |binding| validate_binding(binding, true),
    validate_update: |new, old| validate_binding_update(new, old, true),
    ..RBAC
};

/// The row of ClusterRoleBinding in the table of kinds.
pub static CLUSTER_ROLE_BINDING: Strategy = Strategy {
    kind: Text::Borrowed("ClusterRoleBinding"),
    resource: Text::Borrowed("clusterrolebindings"),
    namespaced: false,
    selectable: &["metadata.name"],
    default: default_binding,
    validate_create: |binding| validate_binding(binding, false),
    validate_update: |new, old| validate_binding_update(new, old, false),
    ..RBAC
};

/// The rows of this group.
pub static ALL: &[&Strategy] = &[&ROLE, &CLUSTER_ROLE, &ROLE_BINDING, &CLUSTER_ROLE_BINDING];

const GROUP: &str = "rbac.authorization.k8s.io";

const RBAC: Strategy = Strategy {
    api_version: Text::Borrowed("rbac.authorization.k8s.io/v1"),
    name_rule: names::path_segment,
    create_on_update: true,
    ..Strategy::BASE
};

/// The rules are always shown, as null where there are none.
fn show_rules(role: &mut Value) {
    if get(role, "rules").is_none_or(rules::is_empty) {
        tree::set(role, "rules", Value::Null);
    }
}

fn default_binding(binding: &mut Value) {
    if let Some(role) = tree::ensure_object(binding, "roleRef") {
        fill(role, "apiGroup", GROUP);
    }
    for subject in list_mut(binding, "subjects") {
        if matches!(text(subject, "kind"), "User" | "Group") {
            fill(subject, "apiGroup", GROUP);
        }
    }
}

fn validate_role(role: &Value, namespaced: bool) -> Errors {
    let mut errors = rules::metadata(role, namespaced, names::path_segment);
    let path = Path::new("rules");
    for (i, rule) in list(role, "rules").iter().enumerate() {
        validate_rule(rule, namespaced, &path.index(i), &mut errors);
    }
    if let Some(aggregation) = get(role, "aggregationRule").filter(|_| !namespaced) {
        let path = Path::new("aggregationRule");
        let path = path.child("clusterRoleSelectors");
        let selectors = list(aggregation, "clusterRoleSelectors");
        if selectors.is_empty() {
            errors.push(FieldError::required(
                &path,
                "at least one clusterRoleSelector required if aggregationRule is non-nil",
            ));
        }
        for (i, selector) in selectors.iter().enumerate() {
            validate_label_selector(selector, &path.index(i), &mut errors);
        }
    }
    errors
}

fn validate_rule(rule: &Value, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    if !is_set(rule, "verbs") {
        errors.push(FieldError::required(
            &path.child("verbs"),
            "verbs must contain at least one value",
        ));
    }
    if is_set(rule, "nonResourceURLs") {
        let field = "nonResourceURLs";
        if namespaced {
            let detail = "namespaced rules cannot apply to non-resource URLs";
            rules::invalid(rule, field, detail, path, errors);
        }
        if ["apiGroups", "resources", "resourceNames"]
            .iter()
            .any(|field| is_set(rule, field))
        {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            rules::invalid(rule, field, detail, path, errors);
        }
        return;
    }
    for (field, detail) in [
        (
            "apiGroups",
            "resource rules must supply at least one api group",
        ),
        (
            "resources",
            "resource rules must supply at least one resource",
        ),
    ] {
        if !is_set(rule, field) {
            errors.push(FieldError::required(&path.child(field), detail));
        }
    }
}

fn validate_binding(binding: &Value, namespaced: bool) -> Errors {
    let mut errors = rules::metadata(binding, namespaced, names::path_segment);
    let role = part(binding, "roleRef");
    let path = Path::new("roleRef");
    let group = text(role, "apiGroup");
    if group != GROUP {
        let path = path.child("apiGroup");
        errors.push(FieldError::not_supported(&path, group, &[GROUP]));
    }
    let kind = text(role, "kind");
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&kind) {
        let path = path.child("kind");
        errors.push(FieldError::not_supported(&path, kind, kinds));
    }
    validate_name(role, &path, &mut errors);
    let path = Path::new("subjects");
    for (i, subject) in list(binding, "subjects").iter().enumerate() {
        validate_subject(subject, namespaced, &path.index(i), &mut errors);
    }
    errors
}

fn validate_name(role: &Value, path: &Path<'_>, errors: &mut Errors) {
    let name = text(role, "name");
    let path = path.child("name");
    if name.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        faults(names::path_segment(name, false), name, &path, errors);
    }
}

fn validate_subject(subject: &Value, namespaced: bool, path: &Path<'_>, errors: &mut Errors) {
    let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    let kind = text(subject, "kind");
    let expected = match kind {
        "ServiceAccount" => {
            if !name.is_empty() {
                let path = path.child("name");
                faults(names::dns1123_subdomain(name), name, &path, errors);
            }
            ""
        }
        "User" | "Group" => GROUP,
        _ => {
            errors.push(FieldError::not_supported(
                &path.child("kind"),
                kind,
                &["ServiceAccount", "User", "Group"],
            ));
            return;
        }
    };
    if group != expected {
        let path = path.child("apiGroup");
        errors.push(FieldError::not_supported(&path, group, &[expected]));
    }
    if kind == "ServiceAccount" && !namespaced && text(subject, "namespace").is_empty() {
        errors.push(FieldError::required(&path.child("namespace"), ""));
    }
}

fn validate_binding_update(new: &Value, old: &Value, namespaced: bool) -> Errors {
    let mut errors = validate_binding(new, namespaced);
    errors.append(&mut rules::metadata_update(new, old));
    let role = part(new, "roleRef");
    if role != part(old, "roleRef") {
        // The value is shown as Go has it, in the order of its fields.
        let shown = format!(
            r#"{{"APIGroup":{},"Kind":{},"Name":{}}}"#,
            part(role, "apiGroup"),
            part(role, "kind"),
            part(role, "name"),
        );
        errors.push(FieldError::invalid(
            &Path::new("roleRef"),
            &Raw(&shown),
            "cannot change roleRef",
        ));
    }
    errors
}
