//! Where connections come in: so many at a time, and none that keeps its place without a request.

use crate::serve::limits::Limits;
use crate::serve::metrics::Metrics;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Pause after a connection could not be taken, where the system has no room for one more.
const PAUSE: Duration = Duration::from_millis(100);

/// The listener.
pub(in crate::serve) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
}

impl Door {
    pub fn new(listener: TcpListener, limits: Arc<Limits>, metrics: Arc<Metrics>) -> Self {
        Self { places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))), listener, limits, metrics }
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else { return std::future::pending().await };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Without it a stream's events wait for one another.
                    let _ = stream.set_nodelay(true);
                    self.metrics.connections.fetch_add(1, Ordering::Relaxed);
                    let peer = Peer(Arc::new(Mutex::new(Phase::Idle(Instant::now()))));
                    let (limits, metrics) = (self.limits.clone(), self.metrics.clone());
                    let timer = || Box::pin(sleep(Duration::ZERO));
                    return (
                        Connection { stream, peer, reading: timer(), writing: timer(), stalled: false, limits, metrics, _place: place },
                        address,
                    );
                }
                Err(error) => {
                    tracing::debug!(%error, "could not take a connection");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a connection is at.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing, since then.
    Idle(Instant),
    /// The head of a request has begun to come in.
    Head(Instant),
    /// So many requests of it are being served.
    Busy(usize),
}

/// What a connection is at, as the requests on it say.
#[derive(Clone)]
pub(in crate::serve) struct Peer(Arc<Mutex<Phase>>);

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().peer.clone()
    }
}

impl Peer {
    fn change(&self, change: impl FnOnce(Phase) -> Phase) -> Phase {
        let mut phase = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *phase = change(*phase);
        *phase
    }

    /// A request has begun.
    pub fn begin(&self) {
        self.change(|phase| Phase::Busy(if let Phase::Busy(n) = phase { n + 1 } else { 1 }));
    }

    /// A request is through.
    pub fn end(&self) {
        self.change(|phase| match phase {
            Phase::Busy(n) if n > 1 => Phase::Busy(n - 1),
            _ => Phase::Idle(Instant::now()),
        });
    }
}

/// A connection that ends with an error where its client takes too long.
pub(in crate::serve) struct Connection {
    stream: TcpStream,
    peer: Peer,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
    /// The client does not take what is written; `writing` runs.
    stalled: bool,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Follows what a write came to: one that goes on restarts the clocks, one that stands still for too long is an error.
    fn wrote(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = false;
            self.peer.change(|phase| if let Phase::Idle(_) = phase { Phase::Idle(Instant::now()) } else { phase });
            return written;
        }
        if !std::mem::replace(&mut self.stalled, true) {
            self.writing = Box::pin(sleep_until(Instant::now() + self.limits.idle));
        }
        self.writing.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            this.peer.change(|phase| if let Phase::Idle(_) = phase { Phase::Head(Instant::now()) } else { phase });
            return Poll::Ready(read);
        }
        let until = match this.peer.change(|phase| phase) {
            Phase::Busy(_) => return Poll::Pending,
            Phase::Idle(since) => since + this.limits.idle,
            Phase::Head(since) => since + this.limits.head,
        };
        if this.reading.deadline() != until {
            this.reading.as_mut().reset(until);
        }
        this.reading.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
