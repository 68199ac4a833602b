//! The client against a small server: over TLS, by a kubeconfig.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Response;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};

use super::*;

/// A server with TLS, which wants to see certificates, and a kubeconfig for it.
struct Served {
    folder: TempDir,
}

impl Served {
    /// It answers as it is asked: with 200 and a body of two chunks, or with 404 and a Status for paths
    /// that end with `missing`, or with 401 for those who do not send the token.
    async fn new(alpn: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let sign = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (server, client) = (sign("api.example.com"), sign("client"));

        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let server_key = PrivateKeyDer::from_pem_slice(server.1.serialize_pem().as_bytes());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(vec![server.0.der().clone()], server_key.unwrap())
            .unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::new(config).into()));

        fs::write(folder.path().join("client.key"), client.1.serialize_pem()).unwrap();
        let text = format!(
            "\
current-context: trusting
contexts:
- {{ name: trusting, context: {{ cluster: trusted, user: me }} }}
- {{ name: careless, context: {{ cluster: any, user: me }} }}
- {{ name: misled, context: {{ cluster: misled, user: me }} }}
- {{ name: nobody, context: {{ cluster: any }} }}
clusters:
- name: trusted
  cluster: {{ server: 'https://{address}/root/', certificate-authority-data: {ca}, tls-server-name: api.example.com }}
- name: misled
  cluster: {{ server: 'https://{address}/root/', certificate-authority-data: {ca} }}
- name: any
  cluster: {{ server: 'https://{address}', insecure-skip-tls-verify: true }}
users:
- name: me
  user: {{ client-certificate-data: {certificate}, client-key: client.key, token: secret }}
",
            ca = STANDARD.encode(ca.pem()),
            certificate = STANDARD.encode(client.0.pem()),
        );
        fs::write(folder.path().join("config"), text).unwrap();
        Self { folder }
    }

    fn endpoint(&self, context: Option<&str>) -> Endpoint {
        Endpoint::of_kubeconfig(&self.folder.path().join("config"), context).unwrap()
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            // Those who are not let in see that themselves.
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let token = request.headers().get(header::AUTHORIZATION);
                let (status, body) = if token.is_none_or(|token| token != "Bearer secret") {
                    (401, ["nobody knows", " you"])
                } else if request.uri().path().ends_with("missing") {
                    (404, ["{\"message\": \"there is no", " such thing\"}"])
                } else {
                    (200, ["{}\n", "[]\n"])
                };
                let head = Response::builder().status(status).body(()).unwrap();
                let mut send = respond.send_response(head, false).unwrap();
                send.send_data(body[0].into(), false).unwrap();
                send.send_data(body[1].into(), true).unwrap();
            }
        });
    }
}

fn get(path: &'static str) -> Call {
    Call {
        wire: Wire::Rest(Method::GET),
        path: Bytes::from_static(path.as_bytes()),
        body: Bytes::new(),
        tenant: None,
        keep: None,
    }
}

#[tokio::test]
async fn a_kubeconfig_leads_to_its_server() {
    let served = Served::new(b"h2").await;
    let endpoint = served.endpoint(None);
    assert_eq!(endpoint.root, "/root");
    for endpoint in [endpoint, served.endpoint(Some("careless"))] {
        let mut connection = Connection::open(&endpoint).await.unwrap();
        let mut answer = connection.fetch(get("/a")).await.unwrap();
        assert_eq!(answer.copy_to_bytes(answer.remaining()), "{}\n[]\n");

        let kept = Kept::default();
        let mut call = get("/a");
        call.keep = Some(kept.clone());
        connection.call(call).await.unwrap();
        kept.with(|answer| assert_eq!(answer, b"{}\n[]\n"));

        let mut lines = connection.stream(get("/a")).await.unwrap();
        for line in [Some("{}"), Some("[]"), None] {
            let next = lines.next().await.unwrap();
            assert_eq!(next.as_deref(), line.map(str::as_bytes));
        }

        let error = connection.call(get("/missing")).await.unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(
            error.to_string(),
            "/missing: 404 Not Found: there is no such thing"
        );
    }
}

#[tokio::test]
async fn who_is_not_known_is_not_let_in_and_says_so() {
    let served = Served::new(b"h2").await;
    let error = |context| {
        let endpoint = served.endpoint(Some(context));
        async move {
            // In TLS 1.3, a client learns only when it speaks that its certificate is missed.
            match Connection::open(&endpoint).await {
                Ok(mut connection) => connection.call(get("/a")).await.err().map(Into::into),
                Err(error) => Some(error),
            }
        }
    };
    let misled: anyhow::Error = error("misled").await.unwrap();
    assert!(format!("{misled:#}").contains("certificate"), "{misled:#}");
    assert!(error("nobody").await.is_some());
}

#[tokio::test]
async fn a_server_without_http2_is_not_taken() {
    let served = Served::new(b"http/1.1").await;
    assert!(Connection::open(&served.endpoint(None)).await.is_err());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let endpoint = Endpoint::new("http://127.0.0.1:1").unwrap();
    let error = Pool::open(&endpoint, 1).await.err().unwrap();
    assert!(
        format!("{error:#}").contains("http://127.0.0.1:1"),
        "{error:#}"
    );
}
