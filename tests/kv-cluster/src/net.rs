//! Connections that can be cut, frozen and thawed, and the listeners that accept them.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::StreamExt;
use futures::stream::BoxStream;
use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::Connected;

/// How long a listener tries for its old port again: something else may hold it for a moment.
const REBIND: Duration = Duration::from_secs(5);

const OPEN: u8 = 0;
/// Nothing is read and nothing is written; what the peer sends waits in the kernel.
const FROZEN: u8 = 1;
/// Frozen until now: cut if the peer has closed meanwhile, else open.
const THAWING: u8 = 2;
const CUT: u8 = 3;

/// What is known of one connection besides its bytes.
#[derive(Debug)]
pub(crate) struct Line {
    state: AtomicU8,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Line {
    fn set(&self, state: u8) {
        if self.state.load(Ordering::Acquire) != CUT {
            self.state.store(state, Ordering::Release);
        }
        self.reader.wake();
        self.writer.wake();
    }

    /// Closes the connection, without a goodbye.
    pub(crate) fn cut(&self) {
        self.set(CUT);
    }
}

/// All connections of one listener.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    lines: Mutex<(bool, Vec<Weak<Line>>)>,
}

impl Gate {
    fn admit(&self) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Arc::new(Line {
            state: AtomicU8::new(if lines.0 { FROZEN } else { OPEN }),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        });
        lines.1.retain(|line| line.strong_count() > 0);
        lines.1.push(Arc::downgrade(&line));
        line
    }

    fn set(&self, frozen: bool, state: u8) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.0 = frozen;
        for line in lines.1.iter().filter_map(Weak::upgrade) {
            line.set(state);
        }
    }

    /// From now on a black hole: connections are accepted, bytes go nowhere.
    pub(crate) fn freeze(&self) {
        self.set(true, FROZEN);
    }

    /// Delivers what is queued on the connections that their clients still hold; the others are
    /// cut, as if their bytes had never arrived.
    pub(crate) fn thaw(&self) {
        self.set(false, THAWING);
    }

    /// Closes all connections.
    pub(crate) fn cut(&self) {
        self.set(false, CUT);
    }
}

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    line: Arc<Line>,
}

impl Wire {
    /// Whether bytes may flow; `Pending` while frozen (the waker is registered by the caller).
    fn poll_open(&self) -> Poll<io::Result<()>> {
        let line = &self.line;
        match line.state.load(Ordering::Acquire) {
            OPEN => Poll::Ready(Ok(())),
            FROZEN => Poll::Pending,
            THAWING => {
                let ready = self.stream.ready(Interest::READABLE).now_or_never();
                let closed = matches!(ready, Some(Ok(ready)) if ready.is_read_closed());
                let next = if closed { CUT } else { OPEN };
                let seen = Ordering::AcqRel;
                // Lost only to a freeze or a cut, which wake the task again.
                let _ = line
                    .state
                    .compare_exchange(THAWING, next, seen, Ordering::Acquire);
                self.poll_open()
            }
            _ => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.line.reader.register(cx.waker());
        std::task::ready!(self.poll_open())?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.line.writer.register(cx.waker());
        std::task::ready!(self.poll_open())?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connected for Wire {
    type ConnectInfo = Arc<Line>;

    fn connect_info(&self) -> Arc<Line> {
        self.line.clone()
    }
}

/// The connections of a listener, as tonic takes them.
pub(crate) type Incoming = BoxStream<'static, io::Result<Wire>>;

/// One address on which a PD member or a store is served, or not.
#[derive(Debug)]
pub(crate) struct Node {
    address: SocketAddr,
    gate: Arc<Gate>,
    serving: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    /// Bound, and not yet serving: so that all addresses are known before the first request.
    bound: Mutex<Option<TcpListener>>,
}

impl Node {
    /// Binds a port (0: any). Connections wait until [`Node::start`].
    pub(crate) async fn bind(port: u16) -> io::Result<Node> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        Ok(Node {
            address: listener.local_addr()?,
            gate: Arc::default(),
            serving: tokio::sync::Mutex::default(),
            bound: Mutex::new(Some(listener)),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Serves until stopped; nothing to do if it is serving already.
    pub(crate) async fn start<F>(&self, serve: impl FnOnce(Incoming) -> F + Send) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut serving = self.serving.lock().await;
        if serving.is_some() {
            return Ok(());
        }
        let bound = self
            .bound
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let listener = match bound {
            Some(listener) => listener,
            None => rebind(self.address).await?,
        };
        let gate = self.gate.clone();
        let incoming = TcpListenerStream::new(listener).map(move |stream| {
            let stream = stream?;
            stream.set_nodelay(true)?;
            let line = gate.admit();
            Ok(Wire { stream, line })
        });
        *serving = Some(tokio::spawn(serve(incoming.boxed())));
        Ok(())
    }

    /// Closes the listener and all its connections: what connects now is refused.
    pub(crate) async fn stop(&self) {
        let mut serving = self.serving.lock().await;
        self.bound
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = serving.take() {
            task.abort();
            // Cancelled or ended: either way the listener is closed once it is over.
            let _ = task.await;
        }
        self.gate.cut();
    }
}

async fn rebind(address: SocketAddr) -> io::Result<TcpListener> {
    let deadline = tokio::time::Instant::now() + REBIND;
    loop {
        match TcpListener::bind(address).await {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}
