//! What can go wrong with a server, and who may still do the work.

use std::time::Duration;

/// A server could not be used; the message names its address, what happened and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{url}: {what}; {remedy}")]
pub struct EndpointError {
    /// The address.
    url: String,
    /// What happened, with the server's own words.
    what: String,
    /// What to do.
    remedy: String,
    trouble: Trouble,
}

/// Whose trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It may work later: overload, restart, a broken connection. The server may have said when.
    Passing(Option<Duration>),
    /// This server will not do it; another may.
    Server,
    /// No server will do it.
    Request,
}

impl EndpointError {
    pub(super) fn new(url: &str, trouble: Trouble, what: impl Into<String>) -> Self {
        Self { url: crate::http::shown(url), what: what.into(), remedy: "look at the server's log".into(), trouble }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    pub(super) fn trouble(&self) -> Trouble {
        self.trouble
    }

    /// What happened, without address and remedy.
    pub(super) fn what(&self) -> &str {
        &self.what
    }
}
