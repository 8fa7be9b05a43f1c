//! What a client may ask for, and how long things may take.

use std::time::Duration;

/// The bounds of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Candidates of a request, of all its problems together.
    pub candidates: usize,
    /// Bytes of its problems and candidates together.
    pub text: usize,
    /// Requests that may wait for the reward model.
    pub queue: usize,
    /// Connections at a time; further ones wait until one is closed.
    pub connections: usize,
    /// From a request's head to the end of its answer.
    pub request: Duration,
    /// For the head of a request, from its first byte.
    pub head: Duration,
    /// For its body.
    pub upload: Duration,
    /// For a connection without a request, and for a client that does not read what it asked for.
    pub idle: Duration,
    /// For requests that were taken, once the server is to end.
    pub patience: Duration,
}

/// Bodies that are in memory at a time, in the largest that is allowed.
pub(super) const BODIES: usize = 32;

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            candidates: 1024,
            text: 2 << 20,
            queue: 256,
            connections: 1024,
            request: Duration::from_secs(300),
            head: Duration::from_secs(10),
            upload: Duration::from_secs(60),
            idle: Duration::from_secs(75),
            patience: Duration::from_secs(30),
        }
    }
}
