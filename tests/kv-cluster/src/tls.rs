//! TLS as TiKV has it: both sides show a certificate that the CA has signed.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

/// The PEM files for TLS. They are read when a PD member or a store starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificates of those who sign the clients' certificates.
    pub ca: PathBuf,
    /// The certificate of PD members and stores.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Tls {
    fn config(&self) -> io::Result<ServerTlsConfig> {
        let read = |path: &Path| {
            let named = |error| io::Error::other(format!("{}: {error}", path.display()));
            std::fs::read(path).map_err(named)
        };
        let identity = Identity::from_pem(read(&self.cert)?, read(&self.key)?);
        Ok(ServerTlsConfig::new()
            .identity(identity)
            .client_ca_root(Certificate::from_pem(read(&self.ca)?)))
    }
}

/// A server, in the clear or with TLS.
pub(crate) fn server(tls: Option<&Tls>) -> io::Result<Server> {
    let server = Server::builder();
    match tls {
        None => Ok(server),
        Some(tls) => server.tls_config(tls.config()?).map_err(io::Error::other),
    }
}

/// An authority that signs certificates for this machine, as servers and as clients, for tests.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new() -> io::Result<Authority> {
        let make = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            let key = KeyPair::generate()?;
            // Authorities are told apart by their names.
            let bytes = key.public_key_raw().iter().rev().take(4);
            let name: String = bytes.map(|byte| format!("{byte:02x}")).collect();
            params.distinguished_name.push(DnType::CommonName, name);
            let pem = params.self_signed(&key)?.pem();
            let issuer = Issuer::new(params, key);
            Ok(Authority { issuer, pem })
        };
        make().map_err(|error: rcgen::Error| io::Error::other(error))
    }

    /// Writes a new certificate and its key, and that of the authority, to `cert.pem`, `key.pem` and
    /// `ca.pem` in the folder, over what is there.
    pub fn issue(&self, folder: &Path) -> io::Result<Tls> {
        let sign = || {
            let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
            let mut params = CertificateParams::new(names)?;
            params.extended_key_usages = vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let key = KeyPair::generate()?;
            let cert = params.signed_by(&key, &self.issuer)?.pem();
            Ok((cert, key.serialize_pem()))
        };
        let (cert, key) = sign().map_err(|error: rcgen::Error| io::Error::other(error))?;
        std::fs::create_dir_all(folder)?;
        let write = |name: &str, pem: &str| {
            let path = folder.join(name);
            std::fs::write(&path, pem).map(|()| path)
        };
        Ok(Tls {
            ca: write("ca.pem", &self.pem)?,
            cert: write("cert.pem", &cert)?,
            key: write("key.pem", &key)?,
        })
    }
}
