//! Lists: selectors, pages of one snapshot, and which revision they show.

use std::sync::Arc;

use k8shost_store::log::{Attributes, Object, Revision, State};
use k8shost_types::{
    Error, FieldError, FieldErrorKind, Reason,
    continue_token::ContinueToken,
    selector::{FieldSelector, LabelSelector},
};

use super::{
    Resource,
    kind::{Kind, KindRef},
};

/// What a list or a watch is about, as asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selectors {
    /// Empty: all namespaces.
    pub(crate) namespace: String,
    pub(crate) labels: String,
    pub(crate) fields: String,
}

/// The same, understood.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    kind: KindRef,
    prefix: String,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Filter {
    /// BadRequest, where a selector cannot be read or names a field that the kind does not select by.
    pub(crate) fn new(kind: &KindRef, selectors: &Selectors) -> Result<Self, Error> {
        let rules = &kind.rules;
        let fields = FieldSelector::parse(&selectors.fields)?;
        let known = |field: &&str| rules.selectable.contains(field);
        if rules.custom.is_some()
            && let Some(unknown) = fields.fields().find(|field| !known(field))
        {
            // Kubernetes has other words where a kind is built in.
            let message = format!("field label not supported: {unknown}");
            return Err(Error::bad_request(message));
        }
        Ok(Self {
            kind: kind.clone(),
            prefix: kind.prefix(&selectors.namespace),
            labels: LabelSelector::parse(&selectors.labels)?,
            fields: fields.supported(rules.selectable)?,
        })
    }

    /// The kind that is selected from.
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Where the keys of what is selected begin.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether everything below the prefix is selected.
    pub(crate) fn takes_all(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object with this key and these attributes is selected.
    pub(crate) fn matches(&self, key: &str, attributes: &Attributes) -> bool {
        if !key.starts_with(&self.prefix) {
            return false;
        }
        let label = |name: &str| attributes.label(name);
        let field = |path: &str| match path {
            "metadata.name" => Some(self.kind.split(key).1),
            "metadata.namespace" => Some(self.kind.split(key).0),
            _ => attributes.field(path),
        };
        (self.labels.is_empty() || self.labels.matches(label))
            && (self.fields.is_empty() || self.fields.matches(field))
    }
}

/// A list request.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListOptions {
    pub(crate) selectors: Selectors,
    /// 0: no limit.
    pub(crate) limit: i64,
    pub(crate) continue_token: String,
    pub(crate) resource_version: String,
    pub(crate) resource_version_match: String,
}

/// A list's answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Arc<Object>>,
    /// What the page shows: all pages of one list show the same.
    pub(crate) revision: Revision,
    /// Empty on the last page.
    pub(crate) continue_token: String,
    /// How many objects follow, where that is known without looking at each.
    pub(crate) remaining: Option<i64>,
}

/// Which revision a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The newest.
    Latest,
    /// Whatever is in memory.
    Any,
    /// This or a newer one.
    NotOlderThan(Revision),
    /// This one.
    Exact(Revision),
}

impl Resource<'_> {
    /// The objects that are selected, in the order of their keys, a page of them if there is a limit.
    pub(crate) async fn list(&self, options: &ListOptions) -> Result<Page, Error> {
        if options.limit < 0 {
            return Err(Error::bad_request(format!(
                "limit: {} is negative; 0 means no limit",
                options.limit
            )));
        }
        let filter = Filter::new(&self.kind, &options.selectors)?;
        let at = which_revision(options)?;
        let log = &self.tenant.log;
        let (state, after) = if options.continue_token.is_empty() {
            let state = match at {
                At::Latest => log.read().await?,
                At::Any => log.cached()?,
                At::NotOlderThan(revision) => log.at_least(revision).await?,
                At::Exact(revision) => {
                    let newest = log.at_least(revision).await?;
                    if newest.revision() == revision {
                        newest
                    } else {
                        log.snapshot(revision)
                            .await
                            .ok_or_else(|| too_old(revision))?
                    }
                }
            };
            (state, String::new())
        } else {
            let token = ContinueToken::read(&options.continue_token, filter.prefix())?;
            let state = match token.revision {
                None => log.read().await?,
                Some(revision) => match log.snapshot(revision).await {
                    Some(state) => state,
                    None => return Err(continue_expired(&token, filter.prefix())),
                },
            };
            (state, format!("{}{}", filter.prefix(), token.after))
        };
        Ok(self.page(&filter, &state, &after, options.limit))
    }

    fn page(&self, filter: &Filter, state: &State, after: &str, limit: i64) -> Page {
        let limit = usize::try_from(limit)
            .ok()
            .filter(|l| *l > 0)
            .unwrap_or(usize::MAX);
        let mut items = Vec::new();
        let mut rest = state.range_after(filter.prefix(), after);
        let mut more = false;
        for object in rest.by_ref() {
            if filter.takes_all() || filter.matches(&object.key, &object.attributes) {
                if items.len() == limit {
                    more = true;
                    break;
                }
                items.push(object.clone());
            }
        }
        let mut page = Page {
            items,
            revision: state.revision(),
            continue_token: String::new(),
            remaining: None,
        };
        if more && let Some(last) = page.items.last() {
            self.tenant.log.keep_snapshot(state);
            let token = ContinueToken {
                revision: Some(state.revision()),
                after: last.key[filter.prefix().len()..].to_owned(),
            };
            page.continue_token = token.write(filter.prefix());
            if filter.takes_all() {
                page.remaining = i64::try_from(1 + rest.count()).ok();
            }
        }
        page
    }
}

/// resourceVersion and resourceVersionMatch, with Kubernetes' meaning.
fn which_revision(options: &ListOptions) -> Result<At, Error> {
    let forbidden = |message: &str| {
        let field = FieldError {
            kind: FieldErrorKind::Forbidden,
            field: "resourceVersionMatch".to_owned(),
            message: format!("Forbidden: {message}"),
        };
        Err(Error::invalid_in(
            "meta.k8s.io",
            "ListOptions",
            "",
            vec![field],
        ))
    };
    let version = options.resource_version.as_str();
    let rule = options.resource_version_match.as_str();
    if !rule.is_empty() {
        if !options.continue_token.is_empty() {
            return forbidden("resourceVersionMatch is forbidden when continue is provided");
        }
        if version.is_empty() {
            return forbidden(
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            );
        }
        if rule != "Exact" && rule != "NotOlderThan" {
            let field = FieldError {
                kind: FieldErrorKind::NotSupported,
                field: "resourceVersionMatch".to_owned(),
                message: format!(
                    "Unsupported value: \"{rule}\": supported values: \"Exact\", \"NotOlderThan\", \"\""
                ),
            };
            return Err(Error::invalid_in(
                "meta.k8s.io",
                "ListOptions",
                "",
                vec![field],
            ));
        }
    }
    if version.is_empty() {
        return Ok(At::Latest);
    }
    let revision = parse_revision(version)?;
    if !options.continue_token.is_empty() {
        // 0 means "any", which a token narrows down; anything else contradicts it.
        if revision != 0 {
            return Err(Error::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        return Ok(At::Latest);
    }
    Ok(match (revision, rule) {
        (0, "Exact") => {
            return forbidden(
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            );
        }
        (0, _) => At::Any,
        (_, "Exact") => At::Exact(revision),
        (_, "NotOlderThan") => At::NotOlderThan(revision),
        // What clients older than resourceVersionMatch rely on.
        _ if options.limit > 0 => At::Exact(revision),
        _ => At::NotOlderThan(revision),
    })
}

/// A resourceVersion that a caller sent.
pub(crate) fn parse_revision(version: &str) -> Result<Revision, Error> {
    version.parse().map_err(|_| {
        Error::bad_request(format!(
            "resourceVersion: \"{version}\" is not a resourceVersion: send back what a list or a watch gave, \"0\", or nothing"
        ))
    })
}

fn too_old(revision: Revision) -> Error {
    Error::new(
        Reason::Expired,
        format!(
            "the provided resource version is no longer available: {revision}; list again without one"
        ),
    )
}

/// The snapshot is gone: the token in the error goes on where the list stopped, at the present.
fn continue_expired(token: &ContinueToken, prefix: &str) -> Error {
    let mut error = Error::new(
        Reason::Expired,
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    error.continue_token = Some(
        ContinueToken {
            revision: None,
            after: token.after.clone(),
        }
        .write(prefix),
    );
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(version: &str, rule: &str, limit: i64) -> ListOptions {
        ListOptions {
            resource_version: version.to_owned(),
            resource_version_match: rule.to_owned(),
            limit,
            ..ListOptions::default()
        }
    }

    #[test]
    fn resource_version_and_match_mean_what_kubernetes_says() {
        let of = |version, rule, limit| which_revision(&options(version, rule, limit));
        assert_eq!(of("", "", 0).unwrap(), At::Latest);
        assert_eq!(of("0", "", 0).unwrap(), At::Any);
        assert_eq!(of("0", "NotOlderThan", 5).unwrap(), At::Any);
        assert_eq!(of("7", "", 0).unwrap(), At::NotOlderThan(7));
        assert_eq!(of("7", "", 5).unwrap(), At::Exact(7));
        assert_eq!(of("7", "Exact", 0).unwrap(), At::Exact(7));
        assert_eq!(of("7", "NotOlderThan", 5).unwrap(), At::NotOlderThan(7));
        for (version, rule) in [
            ("", "Exact"),
            ("0", "Exact"),
            ("7", "Newest"),
            ("x", ""),
            ("-1", ""),
        ] {
            assert!(of(version, rule, 0).is_err(), "{version} {rule}");
        }
    }
}
