//! ServiceAccount.

use serde_json::{Value, json};

use crate::{
    json::{list_mut, text},
    names, rules,
    strategy::{Strategy, Text},
};

/// The row of ServiceAccount in the table of kinds.
pub static SERVICE_ACCOUNT: Strategy = Strategy {
    kind: Text::Borrowed("ServiceAccount"),
    resource: Text::Borrowed("serviceaccounts"),
    prepare_create: keep_secret_names,
    prepare_update: |new, _| keep_secret_names(new),
    validate_update: |new, old| {
        let mut errors = rules::metadata_update(new, old);
        errors.extend(rules::metadata(new, true, names::subdomain_rule));
        errors
    },
    ..Strategy::BASE
};

/// Of the references to secrets only the names mean something.
fn keep_secret_names(account: &mut Value) {
    for secret in list_mut(account, "secrets") {
        *secret = match text(secret, "name") {
            "" => json!({}),
            name => json!({"name": name}),
        };
    }
}
