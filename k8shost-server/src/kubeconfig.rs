//! `k8shost kubeconfig`: what a client needs to know to use a project.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use http::Uri;
use k8shost_types::tenant::TenantName;
use serde_json::Value;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::config::Config;

/// Which project, and where.
#[derive(Args, Clone, Debug)]
pub struct KubeconfigArgs {
    /// The organization. [default: the default tenant's]
    #[arg(long, requires = "project", value_name = "NAME")]
    org: Option<String>,

    /// The project.
    #[arg(long, requires = "org", value_name = "NAME")]
    project: Option<String>,

    /// Where the server is reached. [default: the first address that the server's settings say, with
    /// https if they name a certificate]
    #[arg(long, value_name = "URL")]
    server: Option<String>,

    /// The certificate, in PEM, of the authority that has signed the server's. [default: those that the
    /// client's machine trusts]
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,

    /// The name of the context, the cluster and the user. [default: organization/project]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// The kubeconfig, in YAML.
///
/// # Errors
/// A name, a URL or a file is wrong.
pub fn kubeconfig(args: &KubeconfigArgs, config: &Config) -> anyhow::Result<String> {
    let tenant = match (&args.org, &args.project) {
        (Some(org), Some(project)) => TenantName::new(org, project)?,
        _ => TenantName::default(),
    };
    let server = match &args.server {
        Some(server) => root(server)?,
        None => usual(config)?,
    };
    let name = args.context.clone().unwrap_or_else(|| tenant.to_string());
    ensure!(!name.is_empty(), "--context: a context has a name");
    let TenantName { org, project } = &tenant;
    let url = format!("{server}/orgs/{org}/projects/{project}");
    let authority = args.certificate_authority.as_deref();
    Ok(yaml(
        &name,
        &url,
        authority.map(pem).transpose()?.as_deref(),
    ))
}

/// A server's URL, without what ends it.
fn root(server: &str) -> anyhow::Result<String> {
    let uri: Option<Uri> = server.parse().ok();
    let is_root = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|a| !a.as_str().contains('@'))
            && uri.query().is_none()
    });
    ensure!(
        is_root && !server.contains('#'),
        "--server {server}: not the URL of a server: write https://host:port"
    );
    Ok(server.trim_end_matches('/').to_owned())
}

/// The URL that a server with these settings has.
fn usual(config: &Config) -> anyhow::Result<String> {
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let address = config.listen.first().map(|(address, _)| *address);
    let address = address.filter(|address| address.port() != 0);
    let address = address.context("the server picks its port: name it with --server")?;
    Ok(format!("{scheme}://{address}"))
}

/// The certificates of a file.
fn pem(path: &Path) -> anyhow::Result<String> {
    let wrong = || format!("--certificate-authority {}", path.display());
    let text = std::fs::read_to_string(path).with_context(wrong)?;
    let found = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let found = found
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(wrong)?;
    ensure!(
        !found.is_empty(),
        "{}: there is no certificate in PEM in it",
        wrong()
    );
    Ok(text)
}

fn yaml(name: &str, server: &str, authority: Option<&str>) -> String {
    // A string of JSON is one of YAML.
    let (is_tls, name, server) = (
        server.starts_with("https"),
        Value::from(name),
        Value::from(server),
    );
    // Over TLS kubectl asks for a user's name where it finds nothing to say who it is. No token is read.
    let user = if is_tls { "{token: none}" } else { "{}" };
    let authority = authority.map_or_else(String::new, |pem| {
        format!("    certificate-authority-data: {}\n", STANDARD.encode(pem))
    });
    format!(
        "\
apiVersion: v1
kind: Config
clusters:
- name: {name}
  cluster:
    server: {server}
{authority}\
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
    namespace: default
current-context: {name}
users:
- name: {name}
  user: {user}
"
    )
}
