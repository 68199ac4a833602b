//! PodTemplate.

use serde_json::Value;

use crate::{
    field::Path,
    json as tree, meta, names, pod,
    rules::{self, Errors, part},
    strategy::{Strategy, Text},
};

/// The row of PodTemplate in the table of kinds.
pub static POD_TEMPLATE: Strategy = Strategy {
    kind: Text::Borrowed("PodTemplate"),
    resource: Text::Borrowed("podtemplates"),
    default: |object| {
        if let Some(template) = tree::ensure_object(object, "template") {
            pod::template_defaults(template);
        }
    },
    prepare_create: |object| {
        meta::set(object, "generation", 1);
        drop_disabled(object);
    },
    validate_create,
    prepare_update: |new, old| {
        drop_disabled(new);
        rules::bump_generation(new, old, &["template"]);
    },
    validate_update,
    ..Strategy::BASE
};

fn drop_disabled(object: &mut Value) {
    if let Some(template) = tree::get_mut(object, "template") {
        pod::drop_disabled(template);
    }
}

fn validate_create(object: &Value) -> Errors {
    let mut errors = rules::metadata(object, true, names::subdomain_rule);
    pod::validate_template(
        part(object, "template"),
        &Path::new("template"),
        &mut errors,
    );
    errors
}

fn validate_update(new: &Value, old: &Value) -> Errors {
    let mut errors = rules::metadata_update(new, old);
    pod::validate_template(part(new, "template"), &Path::new("template"), &mut errors);
    errors
}
