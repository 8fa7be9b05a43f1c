//! What can go wrong between this machine and the hub.

use std::io;
use std::path::Path;
use std::time::Duration;

/// Something could not be fetched; the message names address or file, what happened and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {what}; {remedy}")]
pub struct HubError {
    place: String,
    what: String,
    remedy: String,
    /// It may work later; the hub may have said when.
    pub(super) passing: Option<Option<Duration>>,
}

impl HubError {
    /// `url` is shown without password and query.
    pub(super) fn new(url: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: crate::http::shown(url), what: what.into(), remedy: remedy.into(), passing: None }
    }

    pub(super) fn io(path: &Path, source: &io::Error) -> Self {
        let remedy = match source.kind() {
            io::ErrorKind::StorageFull => "free some space; what is there of the file is gone on from",
            io::ErrorKind::PermissionDenied => "make the folder writable, or choose another with --output or HF_HOME",
            _ => "choose another folder with --output or HF_HOME",
        };
        Self::new(&path.display().to_string(), source.to_string(), remedy)
    }

    pub(super) fn passing(mut self, wait: Option<Duration>) -> Self {
        self.passing = Some(wait);
        self
    }

    /// What happened, without place and remedy.
    pub(super) fn what(&self) -> &str {
        &self.what
    }
}
