//! Where a server is, and how one gets in.

use std::{fmt, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use http::{HeaderValue, Uri};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, pki_types::ServerName},
};

use super::{
    kubeconfig,
    tls::{self, Trust},
};

/// A server: its address, the API's root there, TLS, and credentials.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Scheme and authority.
    pub(super) origin: Uri,
    /// The path below which Kubernetes' API is, without a slash at its end.
    pub(crate) root: String,
    pub(super) tls: Option<Connector>,
    pub(super) authorization: Option<HeaderValue>,
}

impl Endpoint {
    /// The server at `http://address:port/root`, in the clear.
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let endpoint = Self::at(url)?;
        ensure!(
            endpoint.origin.scheme_str() == Some("http"),
            "'{url}': expected http://address:port, or a kubeconfig for TLS"
        );
        Ok(endpoint)
    }

    /// The server at this URL, whose certificate is the one given.
    pub(crate) fn trusting(url: &str, certificate: &tls::Certificate) -> anyhow::Result<Self> {
        let mut endpoint = Self::at(url)?;
        let config = tls::config(Trust::Authorities(certificate.pem.as_bytes()), None)?;
        endpoint.tls = Some(endpoint.connector(config, None)?);
        Ok(endpoint)
    }

    /// The server of a kubeconfig's context: the current one, unless named.
    pub(crate) fn of_kubeconfig(file: &Path, context: Option<&str>) -> anyhow::Result<Self> {
        let access = kubeconfig::read(file, context)
            .with_context(|| format!("the kubeconfig {}", file.display()))?;
        let mut endpoint = Self::at(&access.server)?;
        if endpoint.origin.scheme_str() == Some("https") {
            let trust = match (&access.authorities, access.insecure) {
                (Some(pem), false) => Trust::Authorities(pem),
                (None, true) => Trust::Anyone,
                (Some(_), true) => anyhow::bail!(
                    "certificate-authority and insecure-skip-tls-verify exclude each other"
                ),
                (None, false) => anyhow::bail!(
                    "{}: no certificate-authority, and no insecure-skip-tls-verify",
                    file.display()
                ),
            };
            let config = tls::config(trust, access.identity.as_ref())?;
            let name = access.tls_server_name.as_deref();
            endpoint.tls = Some(endpoint.connector(config, name)?);
        }
        endpoint.authorization = match access.token {
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
                    .context("the token cannot be sent")?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(endpoint)
    }

    fn at(url: &str) -> anyhow::Result<Self> {
        let failed = || format!("'{url}' is not a URL");
        let origin: Uri = url.parse().with_context(failed)?;
        ensure!(
            matches!(origin.scheme_str(), Some("http" | "https")) && origin.authority().is_some(),
            "'{url}': expected http://address:port or https://address:port"
        );
        Ok(Self {
            root: origin.path().trim_end_matches('/').to_owned(),
            origin,
            tls: None,
            authorization: None,
        })
    }

    fn host(&self) -> &str {
        self.origin
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
    }

    fn connector(&self, config: ClientConfig, name: Option<&str>) -> anyhow::Result<Connector> {
        let name = name.unwrap_or_else(|| self.host()).to_owned();
        Ok(Connector {
            name: ServerName::try_from(name).context("the server's name has no certificates")?,
            tls: Arc::new(config).into(),
        })
    }

    /// Connects to it, without TLS.
    pub(super) async fn connect(&self) -> anyhow::Result<TcpStream> {
        let standard = if self.tls.is_some() { 443 } else { 80 };
        let port = self.origin.port_u16().unwrap_or(standard);
        let stream = TcpStream::connect((self.host(), port))
            .await
            .with_context(|| format!("cannot connect to {self}"))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// How it is named in errors and reports.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.origin.scheme_str().unwrap_or_default();
        let authority = self.origin.authority().map_or("", |a| a.as_str());
        write!(f, "{scheme}://{authority}{}", self.root)
    }
}

/// TLS to one server.
#[derive(Clone)]
pub(super) struct Connector {
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Connector {
    /// Shakes hands: the server is who it says, and speaks HTTP/2.
    pub(super) async fn connect(&self, stream: TcpStream) -> anyhow::Result<TlsStream<TcpStream>> {
        let stream = self.tls.connect(self.name.clone(), stream).await?;
        ensure!(
            stream.get_ref().1.alpn_protocol() == Some(tls::HTTP2),
            "the server does not speak HTTP/2"
        );
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_root_below_which_the_api_is() {
        for (url, root) in [
            ("http://127.0.0.1:6443", ""),
            ("http://127.0.0.1:6443/", ""),
            ("http://[::1]:80/orgs/a/projects/b/", "/orgs/a/projects/b"),
        ] {
            assert_eq!(Endpoint::new(url).unwrap().root, root);
        }
        assert_eq!(Endpoint::new("http://[::1]:80/").unwrap().host(), "::1");
        for url in ["127.0.0.1:6443", "https://127.0.0.1:6443", "ftp://a/", "/"] {
            assert!(Endpoint::new(url).is_err(), "{url}");
        }
    }
}
