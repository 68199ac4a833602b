//! TLS, as clients of Kubernetes have it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{Error as PemError, PemObject as _},
    },
};

/// The protocol's name in a handshake.
pub(super) const HTTP2: &[u8] = b"h2";

/// Which servers are believed.
pub(super) enum Trust<'a> {
    /// Those whose certificates these have signed: PEM.
    Authorities(&'a [u8]),
    /// All of them.
    Anyone,
}

/// A client's side of TLS, with its certificates and its key if it has any, as PEM.
pub(super) fn config(
    trust: Trust<'_>,
    identity: Option<&(Vec<u8>, Vec<u8>)>,
) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = match trust {
        Trust::Authorities(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem).context("the authority's certificate")? {
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        }
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider))),
    };
    let mut config = match identity {
        Some((chain, key)) => {
            let chain = certificates(chain).context("the client's certificate")?;
            let key = PrivateKeyDer::from_pem_slice(key).context("the client's key")?;
            builder
                .with_client_auth_cert(chain, key)
                .context("the client's certificate and key")?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all?;
    ensure!(!all.is_empty(), "there is none in the PEM");
    Ok(all)
}

/// Believes any server that has the key of the certificate which it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate for servers on this machine, which signs itself, in files.
pub(crate) struct Certificate {
    pub(super) pem: String,
    /// The certificate's file.
    pub(crate) cert: PathBuf,
    /// The file of its key.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// A new one, below this folder.
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Self> {
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names)?;
        let certificate = Self {
            pem: made.cert.pem(),
            cert: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        };
        std::fs::write(&certificate.cert, &certificate.pem)?;
        std::fs::write(&certificate.key, made.signing_key.serialize_pem())?;
        Ok(certificate)
    }
}
