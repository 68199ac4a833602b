//! TLS on the port: the certificate and its key, read again when their files change, and handshakes.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tokio::{
    net::TcpStream,
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, InconsistentKeys, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject as _},
        },
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
    server::TlsStream,
};

use crate::config::TlsFiles;

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes that may be unfinished at a time. With one more, the oldest is given up: who holds many
/// cannot keep out those who finish theirs.
const MAX_HANDSHAKES: usize = 1024;

/// The first byte that a client of TLS sends.
const HANDSHAKE_RECORD: u8 = 22;

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{0}: cannot be read: {1}")]
    Read(PathBuf, io::Error),
    #[error("{0}: there is no certificate in PEM in it")]
    NoCertificate(PathBuf),
    #[error("{0}: not a certificate: {1}")]
    Certificate(PathBuf, String),
    #[error("{0}: there is no private key in PEM in it")]
    NoKey(PathBuf),
    #[error("{0}: not a private key that can be used: {1}")]
    Key(PathBuf, String),
    #[error("{key}: not the key of the certificate in {cert}")]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The pair that is shown from now on.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(shown.clone())
    }
}

/// Both files, as they are.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| TlsError::Read(path.to_owned(), error))
        };
        Ok(Self {
            cert: read(&files.cert)?,
            key: read(&files.key)?,
        })
    }

    /// The pair, if it is one.
    fn pair(&self, files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let (cert, key) = (&files.cert, &files.key);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Certificate(cert.clone(), words(&error)))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(cert.clone()));
        }
        let wrong = |error: String| TlsError::Key(key.clone(), error);
        let read = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey(key.clone()),
            error => wrong(words(&error)),
        })?;
        let loaded = provider.key_provider.load_private_key(read);
        let pair = CertifiedKey::new(chain, loaded.map_err(|error| wrong(error.to_string()))?);
        match pair.keys_match() {
            // Of some kinds of keys it cannot be told.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
                cert: cert.clone(),
                key: key.clone(),
            }),
            Err(error) => Err(TlsError::Certificate(cert.clone(), error.to_string())),
        }
    }
}

fn words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "it ends in the middle".to_owned(),
        error => error.to_string(),
    }
}

/// TLS with the certificate of the files.
pub(crate) struct Tls {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    shown: Arc<Shown>,
    seen: Result<Contents, String>,
    renewals: Counter<u64, AtomicU64>,
    failures: Counter<u64, AtomicU64>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file is wrong, and why.
    pub(crate) fn open(files: &TlsFiles, registry: &mut Registry) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let contents = Contents::read(files)?;
        let pair = contents.pair(files, &provider)?;
        let (renewals, failures) = (Counter::default(), Counter::default());
        registry.register(
            "tls_renewals",
            "How often a new certificate was taken from its file",
            renewals.clone(),
        );
        registry.register(
            "tls_renewal_failures",
            "How often the files of certificate and key had changed and were no good",
            failures.clone(),
        );
        Ok(Self {
            files: files.clone(),
            provider,
            shown: Arc::new(Shown(RwLock::new(Arc::new(pair)))),
            seen: Ok(contents),
            renewals,
            failures,
        })
    }

    /// What opens connections with the certificate that there is at the time.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Takes new files as they come, and keeps what there is where they are no good. Never ends.
    pub(crate) async fn follow(mut self) {
        loop {
            tokio::time::sleep(POLL).await;
            let files = self.files.clone();
            let reading = tokio::task::spawn_blocking(move || Contents::read(&files));
            if let Ok(read) = reading.await {
                self.look(read);
            }
        }
    }

    fn look(&mut self, read: Result<Contents, TlsError>) {
        let read = read.map_err(|error| error.to_string());
        if read == self.seen {
            return;
        }
        let pair = match &read {
            Ok(contents) => contents
                .pair(&self.files, &self.provider)
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        self.seen = read;
        match pair {
            Ok(pair) => {
                *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                self.renewals.inc();
                tracing::info!(file = %self.files.cert.display(), "a new certificate is shown");
            }
            Err(error) => {
                self.failures.inc();
                tracing::warn!("the certificate stays as it was: {error}");
            }
        }
    }
}

/// A connection of which it is known how its client talks.
pub(crate) enum Opened {
    Tls(Box<TlsStream<TcpStream>>),
    /// In plain text.
    Plain(TcpStream),
}

/// Connections that are being opened.
#[derive(Default)]
pub(crate) struct Handshakes {
    running: JoinSet<io::Result<Opened>>,
    /// In the order in which they began; some may have ended.
    begun: VecDeque<AbortHandle>,
}

impl Handshakes {
    /// Opens a connection.
    pub(crate) fn begin(&mut self, acceptor: TlsAcceptor, stream: TcpStream) {
        while self.begun.front().is_some_and(AbortHandle::is_finished) {
            self.begun.pop_front();
        }
        if self.begun.len() > 2 * MAX_HANDSHAKES {
            self.begun.retain(|handshake| !handshake.is_finished());
        }
        if self.running.len() >= MAX_HANDSHAKES
            && let Some(oldest) = self.begun.pop_front()
        {
            oldest.abort();
        }
        let handshake = async move {
            let opened = tokio::time::timeout(HANDSHAKE, open(acceptor, stream)).await;
            opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        self.begun.push_back(self.running.spawn(handshake));
    }

    /// The next connection that is open. `None`: none is being opened.
    pub(crate) async fn next(&mut self) -> Option<Opened> {
        while let Some(ended) = self.running.join_next().await {
            match ended {
                Ok(Ok(opened)) => return Some(opened),
                Ok(Err(error)) => tracing::debug!(%error, "a handshake has failed"),
                Err(error) => tracing::debug!(%error, "a handshake was given up"),
            }
        }
        None
    }
}

async fn open(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<Opened> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE_RECORD {
        return Ok(Opened::Plain(stream));
    }
    Ok(Opened::Tls(Box::new(acceptor.accept(stream).await?)))
}
