//! The parameters of a request, by the names that Kubernetes gives them.

use std::time::Duration;

use http::Uri;
use k8shost_types::{Error, FieldError, decode::FieldValidation, field::Path};
use serde_json::json;

use crate::registry::{
    list::{ListOptions, Selectors},
    watch::WatchOptions,
};

/// The query of a request. Of a parameter that is there twice the first one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// A parameter's text, or "".
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// All values of a parameter.
    pub(crate) fn all<'q>(&'q self, name: &str) -> impl Iterator<Item = &'q str> {
        let found = self.0.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A number, if it is there. BadRequest, if it is none, in the words of Go's parser.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Error> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                let message = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
                Error::bad_request(message)
            }),
        }
    }

    /// Whether a switch is on: as Kubernetes reads it, anything but `false` and `0` is.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let mut values = self.all(name);
        values
            .next()
            .is_some_and(|value| !matches!(value.to_lowercase().as_str(), "false" | "0"))
    }

    /// Whether nothing is to be stored.
    ///
    /// # Errors
    /// Invalid, if it says anything but `All`.
    pub(crate) fn dry_run(&self, options: &str) -> Result<bool, Error> {
        let mut all = false;
        for value in self.all("dryRun") {
            if value != "All" {
                let field =
                    FieldError::not_supported(&Path::new("dryRun"), &json!([value]), &["All"]);
                return Err(invalid(options, [field]));
            }
            all = true;
        }
        Ok(all)
    }

    /// What is to be done about fields that a kind does not have.
    ///
    /// # Errors
    /// Invalid, if it is not known.
    pub(crate) fn validation(&self, options: &str) -> Result<FieldValidation, Error> {
        FieldValidation::parse(Some(self.text("fieldValidation")), options)
    }

    fn selectors(&self, namespace: &str) -> Selectors {
        Selectors {
            namespace: namespace.to_owned(),
            labels: self.text("labelSelector").to_owned(),
            fields: self.text("fieldSelector").to_owned(),
        }
    }

    /// As a list's.
    ///
    /// # Errors
    /// BadRequest.
    pub(crate) fn list(&self, namespace: &str) -> Result<ListOptions, Error> {
        Ok(ListOptions {
            selectors: self.selectors(namespace),
            limit: self.number("limit")?.unwrap_or(0),
            continue_token: self.text("continue").to_owned(),
            resource_version: self.text("resourceVersion").to_owned(),
            resource_version_match: self.text("resourceVersionMatch").to_owned(),
        })
    }

    /// As a watch's.
    pub(crate) fn watch(&self, namespace: &str) -> WatchOptions {
        WatchOptions {
            selectors: self.selectors(namespace),
            resource_version: self.text("resourceVersion").to_owned(),
            resource_version_match: self.text("resourceVersionMatch").to_owned(),
            send_initial_events: self.flag("sendInitialEvents"),
            allow_bookmarks: self.flag("allowWatchBookmarks"),
        }
    }

    /// How long a watch may last.
    ///
    /// # Errors
    /// BadRequest.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Error> {
        let seconds = self.number("timeoutSeconds")?.unwrap_or(0);
        Ok(u64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs))
    }
}

/// What is wrong with the options of a request.
pub(crate) fn invalid(kind: &str, errors: impl Into<Vec<FieldError>>) -> Error {
    Error::invalid_in("meta.k8s.io", kind, "", errors.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Query {
        Query::of(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn parameters_are_decoded() {
        let query = of("labelSelector=app%3Dweb%2Ctier&fieldSelector=a+b&limit=7");
        assert_eq!(query.text("labelSelector"), "app=web,tier");
        assert_eq!(query.text("fieldSelector"), "a b");
        assert_eq!(query.number("limit").unwrap(), Some(7));
        assert_eq!(query.number("continue").unwrap(), None);
        assert!(of("limit=x").number("limit").is_err());
    }

    #[test]
    fn a_switch_is_on_unless_it_says_no() {
        for (text, on) in [
            ("", false),
            ("watch", true),
            ("watch=1", true),
            ("watch=true", true),
            ("watch=0", false),
            ("watch=False", false),
        ] {
            assert_eq!(of(text).flag("watch"), on, "{text}");
        }
    }

    #[test]
    fn a_dry_run_is_of_all_or_of_nothing() {
        assert!(!of("").dry_run("CreateOptions").unwrap());
        assert!(of("dryRun=All").dry_run("CreateOptions").unwrap());
        assert!(of("dryRun=Some").dry_run("CreateOptions").is_err());
    }
}
