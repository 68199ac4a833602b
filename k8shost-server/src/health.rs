//! `/healthz`, `/livez` and `/readyz`, as kube-apiserver has them.

use http::StatusCode;

use crate::{readiness::Readiness, shutdown::Shutdown};

/// Whether the server lives, and whether it is ready.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) shutdown: Shutdown,
    pub(crate) readiness: Readiness,
}

impl Health {
    /// The page of this path below a root, if it is one of health, with all checks if it is to be `verbose`.
    pub(crate) fn page(&self, path: &str, query: Option<&str>) -> Option<(StatusCode, String)> {
        let name = path.strip_prefix('/').unwrap_or(path);
        let stopping = || "the server is stopping".to_owned();
        let checks = match name {
            "healthz" | "livez" => vec![("ping", None)],
            "readyz" => vec![
                ("ping", None),
                ("shutdown", self.shutdown.is_stopping().then(stopping)),
                ("store", self.readiness.reason()),
            ],
            _ => return None,
        };
        let failed = checks.iter().find_map(|(_, reason)| reason.as_deref());
        let status = match failed {
            None => StatusCode::OK,
            Some(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        if !query.into_iter().any(|(key, _)| key == "verbose") {
            return Some((status, failed.unwrap_or("ok").to_owned()));
        }
        let mut lines: Vec<String> = checks
            .iter()
            .map(|(check, reason)| match reason {
                None => format!("[+]{check} ok\n"),
                Some(reason) => format!("[-]{check} failed: {reason}\n"),
            })
            .collect();
        let outcome = if failed.is_none() { "passed" } else { "failed" };
        lines.push(format!("{name} check {outcome}\n"));
        Some((status, lines.concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{readiness, shutdown};

    #[test]
    fn what_fails_is_named() {
        let (trigger, shutdown) = shutdown::channel();
        let (reporter, readiness) = readiness::channel("no store");
        let health = Health {
            shutdown,
            readiness,
        };
        let page = |path: &str, verbose| {
            let query = if verbose { "verbose" } else { "a=verbose" };
            let (status, text) = health.page(path, Some(query)).unwrap();
            (status.as_u16(), text)
        };
        assert_eq!(page("/livez", false), (200, "ok".to_owned()));
        assert_eq!(page("/readyz", false), (503, "no store".to_owned()));
        reporter.report(None);
        assert_eq!(page("/readyz", false), (200, "ok".to_owned()));
        let all = "[+]ping ok\n[+]shutdown ok\n[+]store ok\nreadyz check passed\n";
        assert_eq!(page("readyz", true), (200, all.to_owned()));
        trigger.stop();
        let (status, text) = page("/readyz", true);
        assert_eq!(status, 503);
        assert!(
            text.contains("[-]shutdown failed: the server is stopping\n"),
            "{text}"
        );
        assert!(text.ends_with("readyz check failed\n"), "{text}");
        assert!(health.page("/readyz/x", None).is_none());
    }
}
