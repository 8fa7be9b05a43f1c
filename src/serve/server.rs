//! A server from its first connection to its end.

use super::http::app::{App, reason};
use super::http::door::{Door, Peer};
use super::http::routes;
use super::http::token::Token;
use super::limits::Limits;
use super::metrics::Metrics;
use super::queue::Queue;
use super::wire::Status;
use crate::runtime::Models;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// How often it is asked whether the server is to end.
const LOOK: Duration = Duration::from_millis(50);
/// Threads that read requests and write answers; the models have their own.
const THREADS: usize = 2;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is none.
    #[error("{host}: {error}; give a name or an address of this machine with --host, such as 127.0.0.1")]
    Address {
        /// As it was given.
        host: String,
        /// Why.
        error: io::Error,
    },
    /// Others could ask it, and there is no token.
    #[error(
        "{host} can be reached from other machines, so clients must prove who they are: give a token with --token-file FILE or in REASONSCOPE_TOKEN, or leave --host out"
    )]
    Open {
        /// As it was given.
        host: String,
    },
    /// Another program has the port, or it is not for everybody.
    #[error("{address}: {}; {remedy}", what(.error))]
    Bind {
        /// The address with the port.
        address: SocketAddr,
        /// Why.
        error: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A thread does not start.
    #[error("the server cannot start: {0}")]
    Start(io::Error),
}

fn what(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use".into(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have the address".into(),
        io::ErrorKind::PermissionDenied => "the port may not be used by this user".into(),
        _ => error.to_string(),
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => "choose another with --host",
        _ => "choose another with --port, or let the system choose with --port 0",
    }
}

/// A server that has its port and serves nobody yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    token: Option<Token>,
    limits: Limits,
}

/// What a server says while it runs.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A reward model can be asked; a line about it.
    Ready(String),
    /// A reward model did not load, so that requests for it are refused; why.
    Failed(String),
    /// The server takes no more requests, and ends those that it took, so many.
    Ending(usize),
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Requests that were not answered, because the patience was over.
    pub unanswered: usize,
}

impl Server {
    /// Takes the port; 0 lets the system choose one. Any address but the loopback needs a token.
    ///
    /// # Errors
    /// The address is none, is in use, or is open to others without a token.
    pub fn bind(host: &str, port: u16, token: Option<Token>, limits: Limits) -> Result<Self, ServeError> {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let wrong = |error| ServeError::Address { host: host.to_owned(), error };
        let addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs().map_err(wrong)?.collect();
        let Some(&first) = addresses.first() else {
            return Err(wrong(io::Error::new(io::ErrorKind::NotFound, "has no address")));
        };
        if token.is_none() && !addresses.iter().all(|a| a.ip().is_loopback()) {
            return Err(ServeError::Open { host: host.to_owned() });
        }
        let failed = |error: io::Error| ServeError::Bind { address: first, remedy: remedy(&error), error };
        let listener = TcpListener::bind(&addresses[..]).map_err(failed)?;
        listener.set_nonblocking(true).map_err(ServeError::Start)?;
        let address = listener.local_addr().map_err(ServeError::Start)?;
        Ok(Self { listener, address, token, limits })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the reward models, each under its name, until `stop` is set; then takes no more connections, answers what it took within
    /// [`Limits::patience`], and comes back. `heard` hears how it goes on.
    ///
    /// # Errors
    /// A thread does not start.
    pub fn run(self, rewards: Vec<(String, Models)>, stop: &AtomicBool, heard: &mut dyn FnMut(News)) -> Result<Ended, ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("serve")
            .enable_all()
            .build()
            .map_err(ServeError::Start)?;
        let ended = runtime.block_on(self.serve(rewards, stop, heard));
        runtime.shutdown_background();
        ended
    }

    async fn serve(self, rewards: Vec<(String, Models)>, stop: &AtomicBool, heard: &mut dyn FnMut(News)) -> Result<Ended, ServeError> {
        let (limits, metrics) = (Arc::new(self.limits), Arc::new(Metrics::default()));
        let listener = tokio::net::TcpListener::from_std(self.listener).map_err(ServeError::Start)?;
        let (news, mut told) = unbounded_channel();
        let mut queues = Vec::with_capacity(rewards.len());
        for (name, models) in rewards {
            let queue = Queue::start(name, models, limits.queue, metrics.clone()).map_err(ServeError::Start)?;
            tokio::spawn(follow(queue.status(), news.clone()));
            queues.push(queue);
        }
        drop(news);
        let app = Arc::new(App::new(queues, limits.clone(), metrics.clone(), self.token));
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let service = routes::router(app).into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(Door::new(listener, limits.clone(), metrics.clone()), service)
            .with_graceful_shutdown(async { drop(stopped.await) })
            .into_future();
        let mut serving = tokio::spawn(serving);
        while !stop.load(Ordering::Relaxed) {
            match tokio::time::timeout(LOOK, told.recv()).await {
                Ok(Some(news)) => heard(news),
                // All that was to be said is said.
                Ok(None) => tokio::time::sleep(LOOK).await,
                Err(_) => {}
            }
        }
        let in_flight = || usize::try_from(metrics.in_flight.load(Ordering::Relaxed)).unwrap_or(0);
        heard(News::Ending(in_flight()));
        drop(stopping);
        let in_time = tokio::time::timeout(limits.patience, &mut serving).await.is_ok();
        Ok(Ended { unanswered: if in_time { 0 } else { in_flight() } })
    }
}

/// Says how the loading of a reward model ends.
async fn follow(mut status: tokio::sync::watch::Receiver<crate::runtime::ModelsStatus>, news: UnboundedSender<News>) {
    loop {
        let (state, reason) = reason(&status.borrow_and_update());
        let end = match state {
            Status::Loading => None,
            Status::Ready => Some(News::Ready(reason)),
            Status::Failed => Some(News::Failed(reason)),
        };
        if let Some(end) = end {
            let _ = news.send(end);
            return;
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}
