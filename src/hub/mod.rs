//! The Hugging Face hub: its cache on this machine, and fetching files from it.
//!
//! Files go where the hub's own tools keep them ([`Store::Cache`]), so that either finds what the other fetched, or into a plain folder.

mod cache;
mod client;
mod error;
mod fetch;
mod weights;

pub(crate) use cache::hub_id;
pub use cache::{Store, cache_dir, snapshot};
pub use error::HubError;
pub use fetch::Progress;
pub use weights::model_files;

use client::Web;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Where the hub is, unless `HF_ENDPOINT` says otherwise.
pub const ENDPOINT: &str = "https://huggingface.co";

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

/// A repository of the hub at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    kind: Kind,
    id: String,
    revision: String,
}

impl Repo {
    /// The repository `owner/name` at `revision`, a branch, a tag or a commit; the error says what is wrong with the names.
    pub fn new(kind: Kind, id: &str, revision: &str) -> Result<Self, String> {
        if cache::hub_id(id).is_none() {
            return Err(format!("{id:?} is no repository; it is written OWNER/NAME"));
        }
        let plain = |s: &str| !s.is_empty() && !s.starts_with('.') && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !revision.split('/').all(plain) {
            return Err(format!("{revision:?} is no revision; give a branch, a tag or a commit"));
        }
        Ok(Self { kind, id: id.into(), revision: revision.into() })
    }

    /// `owner/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its part of the addresses of files: models have none.
    fn prefix(&self) -> &'static str {
        match self.kind {
            Kind::Model => "",
            Kind::Dataset => "datasets/",
        }
    }

    /// Its kind in the addresses of the interface for programs.
    fn plural(&self) -> &'static str {
        match self.kind {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
        }
    }
}

/// How to reach the hub.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address without a final slash.
    pub endpoint: String,
    /// Goes along to that address as bearer token, and to no other.
    pub token: Option<String>,
    /// Failures in a row, in passing, after which a file is given up.
    pub retries: u32,
    /// The first wait between two tries; it doubles.
    pub pause: Duration,
    /// Longest wait for the head of an answer, and for each further part of it.
    pub patience: Duration,
}

impl Settings {
    /// The hub that `HF_ENDPOINT` names, with the token in `HF_TOKEN`.
    pub fn from_env() -> Self {
        let set = |name: &str| std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        Self {
            endpoint: set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.into()).trim_end_matches('/').to_owned(),
            token: set("HF_TOKEN"),
            retries: 5,
            pause: Duration::from_millis(500),
            patience: Duration::from_secs(60),
        }
    }
}

/// A commit of a repository and the files in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The commit, hexadecimal.
    pub commit: String,
    /// Paths of the files inside the repository.
    pub files: Vec<String>,
}

/// The hub.
pub struct Hub {
    web: Web,
    runtime: tokio::runtime::Runtime,
}

impl Hub {
    /// A connection is made when something is asked for.
    pub fn new(settings: Settings) -> Result<Self, HubError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| HubError::new(&settings.endpoint, format!("no connection can be made: {e}"), "try again"))?;
        Ok(Self { web: Web::new(settings), runtime })
    }

    /// The commit that the repository's revision stands for, and its files.
    pub fn listing(&self, repo: &Repo) -> Result<Listing, HubError> {
        let revision = client::encode(&repo.revision, false);
        let url = format!("{}/api/{}/{}/revision/{revision}", self.web.endpoint(), repo.plural(), repo.id);
        let value = self.runtime.block_on(self.web.json(&url))?;
        let unlike = |what: &str| {
            HubError::new(&url, format!("the answer is not what the hub gives: {what}"), "check that HF_ENDPOINT is the address of a hub")
        };
        let commit = value["sha"].as_str().filter(|sha| sha.len() >= 7 && sha.bytes().all(|b| b.is_ascii_hexdigit()));
        let commit = commit.ok_or_else(|| unlike("`sha` is no commit"))?.to_owned();
        let files = value["siblings"].as_array().ok_or_else(|| unlike("`siblings` is no list of files"))?;
        let files = files.iter().filter_map(|f| f["rfilename"].as_str()).filter(|f| cache::is_plain_path(f)).map(str::to_owned).collect();
        Ok(Listing { commit, files })
    }

    /// Fetches the file `path` of a commit into `store`, unless it is there already; `progress` hears how it goes. Returns where it is.
    ///
    /// What a broken connection left behind is gone on from; a file with a known SHA-256 is checked against it, and only then given its name.
    pub fn fetch(
        &self,
        repo: &Repo,
        commit: &str,
        path: &str,
        store: &Store,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, HubError> {
        let encoded = client::encode(path, true);
        let url = format!("{}/{}{}/resolve/{commit}/{encoded}", self.web.endpoint(), repo.prefix(), repo.id);
        if !cache::is_plain_path(path) {
            return Err(HubError::new(&url, format!("{path:?} is no path inside a repository"), "name a file without .. in it"));
        }
        self.runtime.block_on(fetch::fetch(&self.web, &url, (repo, commit, path), store, progress))
    }

    /// Notes in a cache which commit the revision stands for, so that the repository is found by its name from now on.
    pub fn note(&self, repo: &Repo, commit: &str, store: &Store) -> Result<(), HubError> {
        store.note(repo, commit)
    }
}

/// What an error of the hub says, in the body of an answer; not more of it than fits a message.
fn message(bytes: &[u8]) -> String {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    match value["error"].as_str() {
        Some(text) => crate::http::repeated(text),
        None => crate::http::repeated(&String::from_utf8_lossy(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_repository_are_refused() {
        assert!(Repo::new(Kind::Model, "owner/name", "main").is_ok());
        assert!(Repo::new(Kind::Dataset, "owner/name", "refs/convert/parquet").is_ok());
        for (id, revision) in [("name", "main"), ("a/b/c", "main"), ("../x", "main"), ("a/b", ""), ("a/b", "../.."), ("a/b", "x y")] {
            assert!(Repo::new(Kind::Model, id, revision).is_err(), "{id} {revision}");
        }
    }
}
