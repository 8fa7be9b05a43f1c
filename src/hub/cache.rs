//! Where fetched files lie: the layout of the hub's own cache, or a plain folder.

use super::{HubError, Kind, Repo};
use crate::util::atomic;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Where fetched files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A cache that the hub's own tools share: `KIND--OWNER--NAME/{blobs, refs, snapshots}`.
    Cache(PathBuf),
    /// A plain folder with the paths of the repository.
    Folder(PathBuf),
}

/// Where one file is to lie.
pub(super) struct Place {
    /// What is there of it while it is fetched.
    pub part: PathBuf,
    /// Its bytes.
    pub file: PathBuf,
    /// In a cache: its name, a link to its bytes.
    pub link: Option<(PathBuf, PathBuf)>,
}

impl Place {
    /// The path that users see.
    pub fn shown(&self) -> &Path {
        self.link.as_ref().map_or(&self.file, |(name, _)| name)
    }

    /// Gives the bytes their name.
    pub fn publish(&self) -> Result<(), HubError> {
        let Some((name, target)) = &self.link else { return Ok(()) };
        let io = |e: io::Error| HubError::io(name, &e);
        make_parent(name)?;
        if fs::read_link(name).is_ok_and(|old| old == *target) {
            return Ok(());
        }
        let temp = beside(name);
        let _ = fs::remove_file(&temp);
        #[cfg(unix)]
        std::os::unix::fs::symlink(target, &temp).map_err(io)?;
        #[cfg(not(unix))]
        fs::copy(&self.file, &temp).map(drop).map_err(io)?;
        fs::rename(&temp, name).map_err(io)
    }
}

/// A name for what is to be renamed to `path` in a moment.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.to_path_buf().into_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    name.into()
}

pub(super) fn make_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| HubError::io(parent, &e))
}

impl Store {
    /// The place of a file with this entity tag, which names its bytes in a cache.
    pub(super) fn place(&self, repo: &Repo, commit: &str, path: &str, etag: &str) -> Place {
        match self {
            Self::Cache(root) => {
                let base = root.join(folder(repo.kind, &repo.id));
                let up = "../".repeat(path.split('/').count() + 1);
                let link = (base.join("snapshots").join(commit).join(path), PathBuf::from(format!("{up}blobs/{etag}")));
                let blobs = base.join("blobs");
                Place { part: blobs.join(format!("{etag}.part")), file: blobs.join(etag), link: Some(link) }
            }
            Self::Folder(dir) => {
                let file = dir.join(path);
                let mut part = file.clone().into_os_string();
                part.push(format!(".{}.part", etag.get(..12).unwrap_or(etag)));
                Place { part: part.into(), file, link: None }
            }
        }
    }

    pub(super) fn note(&self, repo: &Repo, commit: &str) -> Result<(), HubError> {
        let Self::Cache(root) = self else { return Ok(()) };
        if repo.revision == commit {
            return Ok(());
        }
        let path = root.join(folder(repo.kind, &repo.id)).join("refs").join(&repo.revision);
        make_parent(&path)?;
        let io = |e: io::Error| HubError::io(&path, &e);
        atomic::write(&path, commit.as_bytes()).map_err(io)
    }
}

/// A repository's folder in a cache.
fn folder(kind: Kind, id: &str) -> String {
    let kind = if kind == Kind::Model { "models" } else { "datasets" };
    format!("{kind}--{}", id.replace('/', "--"))
}

/// The cache of the hub's own tools on this machine: `HF_HUB_CACHE`, `HF_HOME/hub`, `XDG_CACHE_HOME/huggingface/hub` or `~/.cache/huggingface/hub`.
pub fn cache_dir() -> Option<PathBuf> {
    let set = |key: &str| std::env::var_os(key).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("HF_HUB_CACHE")
        .or_else(|| set("HF_HOME").map(|p| p.join("hub")))
        .or_else(|| set("XDG_CACHE_HOME").map(|p| p.join("huggingface/hub")))
        .or_else(|| set("HOME").map(|p| p.join(".cache/huggingface/hub")))
}

/// The folder in the local cache that holds the repository `owner/name` as its `main` was when it was fetched.
pub fn snapshot(kind: Kind, id: &str) -> Option<PathBuf> {
    hub_id(id)?;
    let base = cache_dir()?.join(folder(kind, id));
    let commit = fs::read_to_string(base.join("refs/main")).ok()?;
    let snapshot = base.join("snapshots").join(commit.trim());
    snapshot.is_dir().then_some(snapshot)
}

/// `owner` and `name` where `id` looks like a repository of the hub.
pub(crate) fn hub_id(id: &str) -> Option<(&str, &str)> {
    let (owner, name) = id.split_once('/')?;
    let plain = |s: &str| !s.is_empty() && !s.starts_with('.') && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    (plain(owner) && plain(name)).then_some((owner, name))
}

/// Whether a path stays inside the folder that it is appended to, on every system.
pub(super) fn is_plain_path(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', ':', '\0'])
        && path.split('/').all(|part| !part.is_empty())
        && Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for good in ["a.json", "main/train-00000-of-00001.parquet", "a/..b/c"] {
            assert!(is_plain_path(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a\\..\\b", "C:x", "./a", "a/"] {
            assert!(!is_plain_path(bad), "{bad}");
        }
    }

    #[test]
    fn a_file_in_a_cache_is_a_link_to_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repo::new(Kind::Dataset, "o/n", "main").unwrap();
        let store = Store::Cache(dir.path().into());
        let place = store.place(&repo, "c0ffee1", "a/b.txt", "e7a9");
        fs::create_dir_all(place.file.parent().unwrap()).unwrap();
        fs::write(&place.file, "bytes").unwrap();
        place.publish().unwrap();
        place.publish().unwrap();
        store.note(&repo, "c0ffee1").unwrap();
        let base = dir.path().join("datasets--o--n");
        assert_eq!(fs::read_to_string(base.join("snapshots/c0ffee1/a/b.txt")).unwrap(), "bytes");
        assert_eq!(fs::read_to_string(base.join("refs/main")).unwrap(), "c0ffee1");
        assert_eq!(place.shown(), base.join("snapshots/c0ffee1/a/b.txt"));
    }
}
