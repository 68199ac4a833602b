//! What there is: groups, versions, resources. Made of the table of kinds; what is not served is left
//! out.

use std::{borrow::Cow, sync::LazyLock};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use k8shost_types::{
    Error,
    kinds::{
        BUILT_IN, Kind, Subresource,
        discovery::{self, Root, Version},
    },
};
use serde_json::Value;
use tonic::body::Body;

use super::{answer, connect::Connect, objects::is_sent, reviews, status};
use crate::registry::{kind, own::Own};

/// The rows that are served, each with what of it is.
static SERVED: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let rows = BUILT_IN.iter().filter_map(|row| {
        if reviews::is_virtual(row) || (row.group.is_empty() && row.plural == "bindings") {
            return Some(row.clone());
        }
        let (kind, _) = kind::Kind::served(&row.group, &row.version, &row.plural)?;
        let has = |below: &&Subresource| {
            let part = &*below.name;
            kind.rules.part(part).is_some()
                || is_sent(kind, part)
                || Connect::of(kind, part).is_some()
        };
        let below: Vec<_> = row.subresources.iter().filter(has).cloned().collect();
        Some(Kind {
            subresources: Cow::Owned(below),
            ..row.clone()
        })
    });
    rows.collect()
});

/// The rows that are served to a project with these kinds of its own.
pub(super) fn served(own: Option<&Own>) -> impl Iterator<Item = &Kind> + Clone {
    SERVED.iter().chain(own.into_iter().flat_map(Own::rows))
}

/// `/api` or `/apis`: the document that the caller accepts.
pub(super) fn root(
    own: Option<&Own>,
    headers: &HeaderMap,
    root: Root,
    server: &str,
) -> Response<Body> {
    let asked = answer::ranges(headers).find_map(|range| {
        let range = range.replace(' ', "");
        let aggregated = range.contains("g=apidiscovery.k8s.io")
            && range.contains("as=APIGroupDiscoveryList")
            && range.starts_with("application/json");
        match (aggregated, range.starts_with("application/json")) {
            (true, _) if range.contains("v=v2beta1") => Some(Some(Version::V2Beta1)),
            (true, _) if range.contains("v=v2") => Some(Some(Version::V2)),
            (false, true) => Some(None),
            _ => None,
        }
    });
    let Some(version) = asked.flatten() else {
        let document = match root {
            Root::Core => discovery::api_versions(server),
            Root::Groups => discovery::api_group_list(served(own)),
        };
        return document_of(&document);
    };
    let mut response = document_of(&discovery::aggregated(served(own), root, version));
    let content_type = match version {
        Version::V2 => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        Version::V2Beta1 => {
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// Nothing of this name is served: of a group that is, Kubernetes says so, and has no page for others.
///
/// # Errors
/// NotFound.
pub(super) fn unknown(own: Option<&Own>, group: &str) -> Result<Response<Body>, Error> {
    if served(own).any(|row| row.group == group) {
        return Err(status::no_such_resource());
    }
    Ok(answer::no_such_page())
}

/// `/apis/<group>`
pub(super) fn group(own: Option<&Own>, name: &str) -> Response<Body> {
    let group = discovery::api_group(served(own), name);
    group.map_or_else(answer::no_such_page, |it| document_of(&it))
}

/// `/api/v1`, `/apis/<group>/<version>`
pub(super) fn resources(
    own: Option<&Own>,
    group: &str,
    version: &str,
) -> Result<Response<Body>, Error> {
    let list = discovery::api_resource_list(served(own), group, version);
    match list {
        Some(list) => Ok(document_of(&list)),
        None => unknown(own, group),
    }
}

fn document_of(document: &Value) -> Response<Body> {
    answer::json(StatusCode::OK, answer::bytes(document))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// The table of what is served, for people.
    fn table() -> String {
        let mut table = String::from(
            "# Kinds\n\nWhat of Kubernetes 1.35's API is served, and what is not. This page is made from the code: with\n`K8SHOST_WRITE_DOCS=1`, the test that holds it against the code writes it.\n\n| version | resource | kind | verbs | below it | not there |\n| --- | --- | --- | --- | --- | --- |\n",
        );
        for row in BUILT_IN {
            let same = |served: &&Kind| {
                (&served.group, &served.version, &served.plural)
                    == (&row.group, &row.version, &row.plural)
            };
            let served = SERVED.iter().find(same);
            let below = |kind: &Kind| -> Vec<String> {
                kind.subresources
                    .iter()
                    .map(|it| it.name.to_string())
                    .collect()
            };
            let there = served.map(below).unwrap_or_default();
            let missing: Vec<String> = below(row)
                .into_iter()
                .filter(|name| !there.contains(name))
                .collect();
            let missing = match served {
                Some(_) => missing.join(", "),
                None => "all of it".to_owned(),
            };
            let version = match &*row.group {
                "" => row.version.to_string(),
                group => format!("{group}/{}", row.version),
            };
            let verbs = served.map_or(String::new(), |kind| kind.verbs.join(", "));
            writeln!(
                table,
                "| {version} | {} | {} | {verbs} | {} | {missing} |",
                row.plural,
                row.kind,
                there.join(", "),
            )
            .unwrap();
        }
        table.push_str(
            "\napiextensions.k8s.io (custom resources) and apiregistration.k8s.io (aggregated APIs) are not served.\n",
        );
        table
    }

    #[test]
    fn the_page_of_kinds_says_what_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kinds.md");
        let table = table();
        if std::env::var_os("K8SHOST_WRITE_DOCS").is_some() {
            std::fs::write(path, &table).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == table, "docs/kinds.md is not of this code");
    }
}
