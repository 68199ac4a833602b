//! Kubeconfig files, as far as a client needs them that has a certificate, a token, or nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};

/// How a context's server is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Access {
    /// Its URL, with the path of the API's root.
    pub(super) server: String,
    /// PEM certificates of those who sign the server's.
    pub(super) authorities: Option<Vec<u8>>,
    /// Its certificate is not looked at.
    pub(super) insecure: bool,
    /// The name that its certificate has, if it is not the URL's.
    pub(super) tls_server_name: Option<String>,
    /// The client's certificates and key, as PEM.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// A bearer token.
    pub(super) token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Config {
    #[serde(default)]
    current_context: String,
    contexts: Vec<NamedContext>,
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
    username: Option<IgnoredAny>,
}

/// Reads a file, and what it says of a context: the current one, unless named.
pub(super) fn read(file: &Path, context: Option<&str>) -> anyhow::Result<Access> {
    let text = fs::read_to_string(file).context("cannot be read")?;
    access(
        &text,
        context,
        file.parent().unwrap_or_else(|| Path::new("")),
    )
}

/// Files are named in it as from `folder`.
fn access(text: &str, context: Option<&str>, folder: &Path) -> anyhow::Result<Access> {
    let config: Config = serde_saphyr::from_str(text).context("makes no sense")?;
    let wanted = context.unwrap_or(&config.current_context);
    let context = config.contexts.into_iter().find(|c| c.name == wanted);
    let context = context
        .with_context(|| format!("has no context '{wanted}'"))?
        .context;
    let cluster = config
        .clusters
        .into_iter()
        .find(|c| c.name == context.cluster);
    let cluster = cluster
        .with_context(|| format!("has no cluster '{}'", context.cluster))?
        .cluster;
    let user = if context.user.is_empty() {
        User::default()
    } else {
        let user = config.users.into_iter().find(|u| u.name == context.user);
        user.with_context(|| format!("has no user '{}'", context.user))?
            .user
    };
    for (name, is_there) in [
        ("proxy-url", cluster.proxy_url.is_some()),
        ("exec", user.exec.is_some()),
        ("auth-provider", user.auth_provider.is_some()),
        ("username", user.username.is_some()),
    ] {
        if is_there {
            bail!("has {name}, which this tool does not know");
        }
    }

    let pem = |name, data, path| pem(name, data, path, folder);
    let certificate = pem(
        "client-certificate",
        user.client_certificate_data,
        user.client_certificate,
    )?;
    let key = pem("client-key", user.client_key_data, user.client_key)?;
    let token = match (user.token, user.token_file) {
        (Some(token), _) => Some(token),
        (None, Some(path)) => Some(
            fs::read_to_string(folder.join(&path))
                .with_context(|| format!("tokenFile {}", path.display()))?,
        ),
        (None, None) => None,
    };
    Ok(Access {
        server: cluster.server,
        authorities: pem(
            "certificate-authority",
            cluster.certificate_authority_data,
            cluster.certificate_authority,
        )?,
        insecure: cluster.insecure_skip_tls_verify,
        tls_server_name: cluster.tls_server_name,
        identity: match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => bail!("has one of client-certificate and client-key, and not the other"),
        },
        token,
    })
}

/// PEM that is in the file itself, or else in another.
fn pem(
    name: &str,
    data: Option<String>,
    path: Option<PathBuf>,
    folder: &Path,
) -> anyhow::Result<Option<Vec<u8>>> {
    match (data, path) {
        (Some(data), _) => {
            let bytes = STANDARD.decode(data.trim());
            Ok(Some(
                bytes.with_context(|| format!("{name}-data is not base64"))?,
            ))
        }
        (None, Some(path)) => {
            let bytes = fs::read(folder.join(&path));
            Ok(Some(
                bytes.with_context(|| format!("{name} {}", path.display()))?,
            ))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
apiVersion: v1
kind: Config
preferences: {}
current-context: web
contexts:
- name: web
  context: { cluster: near, user: me, namespace: shop }
- name: open
  context: { cluster: far }
- name: lost
  context: { cluster: nowhere }
- name: helped
  context: { cluster: far, user: helper }
clusters:
- name: near
  cluster:
    server: https://127.0.0.1:6443/orgs/acme/projects/web
    certificate-authority-data: Y2E=
    tls-server-name: k8shost
- name: far
  cluster: { server: 'https://10.0.0.1', insecure-skip-tls-verify: true }
users:
- name: me
  user: { client-certificate-data: Y2VydA==, client-key: key.pem, tokenFile: token }
- name: helper
  user: { exec: { command: helper, apiVersion: client.authentication.k8s.io/v1 } }
";

    #[test]
    fn a_context_leads_to_its_cluster_and_its_user() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key.pem"), "key").unwrap();
        fs::write(folder.path().join("token"), "secret\n").unwrap();
        let near = access(TEXT, None, folder.path()).unwrap();
        assert_eq!(
            near,
            Access {
                server: "https://127.0.0.1:6443/orgs/acme/projects/web".to_owned(),
                authorities: Some(b"ca".to_vec()),
                insecure: false,
                tls_server_name: Some("k8shost".to_owned()),
                identity: Some((b"cert".to_vec(), b"key".to_vec())),
                token: Some("secret\n".to_owned()),
            }
        );
        let far = access(TEXT, Some("open"), folder.path()).unwrap();
        assert!(far.insecure && far.identity.is_none() && far.token.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (context, word) in [
            ("lost", "nowhere"),
            ("helped", "exec"),
            ("none", "none"),
            ("web", "key.pem"),
        ] {
            let folder = Path::new("/there-is-nothing-here");
            let error = access(TEXT, Some(context), folder).unwrap_err();
            assert!(format!("{error:#}").contains(word), "{error:#}");
        }
    }
}
