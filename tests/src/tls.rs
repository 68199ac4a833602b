//! Connections over TLS.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::within;

/// Opens a connection to a server whose certificate this authority (a PEM file) has signed, and offers
/// these protocols.
///
/// # Errors
/// The server is not what it should be, or hangs up.
///
/// # Panics
/// When the authority cannot be read.
pub async fn offer_tls(
    address: SocketAddr,
    authority: &Path,
    protocols: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let pem = std::fs::read(authority).expect("the authority's certificate");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map(|certificate| roots.add(certificate));
        added.expect("PEM").expect("a certificate");
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    let connector = TlsConnector::from(Arc::new(config));
    within("a handshake", connector.connect(name, stream)).await
}

/// Opens a connection as [`offer_tls`], for one protocol, which the server must choose.
///
/// # Panics
/// When it does not.
pub async fn open_tls(
    address: SocketAddr,
    authority: &Path,
    protocol: &str,
) -> TlsStream<TcpStream> {
    let stream = offer_tls(address, authority, &[protocol]).await;
    let stream = stream.expect("a handshake that succeeds");
    let chosen = stream.get_ref().1.alpn_protocol();
    assert_eq!(chosen, Some(protocol.as_bytes()));
    stream
}
