//! One file: from where a broken connection left off, checked, and named when it is whole.

use super::cache::{Place, make_parent};
use super::client::{Meta, Web};
use super::{HubError, Repo, Store};
use crate::util::hash;
use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;
use std::fs::{self, File, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

/// How a file is coming along.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// So many bytes of it are there.
    Bytes {
        /// Path in the repository.
        path: &'a str,
        /// Bytes that are there.
        done: u64,
        /// Bytes that it has, where the hub says so.
        total: Option<u64>,
    },
    /// A try failed, and after a wait another was made.
    Retry {
        /// Path in the repository.
        path: &'a str,
        /// What happened.
        what: &'a str,
        /// How long was waited.
        wait: Duration,
    },
}

pub(super) async fn fetch(
    web: &Web,
    url: &str,
    (repo, commit, path): (&Repo, &str, &str),
    store: &Store,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<PathBuf, HubError> {
    let mut failures = 0;
    let meta = loop {
        match web.meta(url).await {
            Ok(meta) => break meta,
            Err(error) => again(web, error, &mut failures, path, progress).await?,
        }
    };
    let place = store.place(repo, commit, path, &meta.etag);
    if is_there(&place, &meta)? {
        place.publish()?;
        return Ok(place.shown().to_owned());
    }
    make_parent(&place.part)?;
    let io = |e: std::io::Error| HubError::io(&place.part, &e);
    let mut file = File::options().create(true).truncate(false).read(true).append(true).open(&place.part).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let name = place.part.display().to_string();
            return Err(HubError::new(&name, "another program is fetching this file", "wait for it"));
        }
        // Some network folders know no locks.
        Err(TryLockError::Error(_)) => {}
    }
    let mut failures = 0;
    loop {
        let before = file.metadata().map_err(io)?.len();
        let error = match download(web, (url, path), &meta, (&mut file, &place), progress).await {
            Ok(()) => break,
            Err(error) => error,
        };
        if file.metadata().map_err(io)?.len() > before {
            failures = 0;
        }
        again(web, error, &mut failures, path, progress).await?;
    }
    if let Some(expected) = meta.sha256() {
        let found = sha256(&mut file).map_err(io)?;
        if !found.eq_ignore_ascii_case(expected) {
            let _ = fs::remove_file(&place.part);
            let what = format!("the bytes that came have SHA-256 {found}, not {expected}; they are thrown away");
            return Err(HubError::new(url, what, "fetch it again"));
        }
    }
    file.sync_all().map_err(io)?;
    drop(file);
    tracing::info!(path, bytes = meta.size, checked = meta.sha256().is_some(), "has fetched a file");
    fs::rename(&place.part, &place.file).map_err(|e| HubError::io(&place.file, &e))?;
    place.publish()?;
    Ok(place.shown().to_owned())
}

/// Whether the bytes are there and are the right ones.
fn is_there(place: &Place, meta: &Meta) -> Result<bool, HubError> {
    let Ok(about) = fs::metadata(&place.file) else { return Ok(false) };
    if !about.is_file() || meta.size.is_some_and(|size| size != about.len()) {
        return Ok(false);
    }
    if place.link.is_some() {
        // In a cache the name is the tag.
        return Ok(true);
    }
    let Some(expected) = meta.sha256() else { return Ok(false) };
    let io = |e: std::io::Error| HubError::io(&place.file, &e);
    let mut file = File::open(&place.file).map_err(io)?;
    Ok(sha256(&mut file).map_err(io)?.eq_ignore_ascii_case(expected))
}

/// Waits for another try and says so.
async fn again(web: &Web, error: HubError, failures: &mut u32, path: &str, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), HubError> {
    let what = error.what().to_owned();
    let wait = web.wait(error, failures).await?;
    progress(Progress::Retry { path, what: &what, wait });
    Ok(())
}

/// Appends what is missing of the file.
async fn download(
    web: &Web,
    (url, path): (&str, &str),
    meta: &Meta,
    (file, place): (&mut File, &Place),
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), HubError> {
    let io = |e: std::io::Error| HubError::io(&place.part, &e);
    let mut done = file.metadata().map_err(io)?.len();
    if meta.size.is_some_and(|size| done > size) {
        file.set_len(0).map_err(io)?;
        done = 0;
    }
    if done > 0 && meta.size == Some(done) {
        return Ok(());
    }
    let mut response = web.get(url, done).await?;
    let starts_here = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            range.strip_prefix("bytes ").and_then(|r| r.split('-').next()).and_then(|s| s.parse().ok()) == Some(done)
        }
        StatusCode::RANGE_NOT_SATISFIABLE => false,
        _ => done == 0,
    };
    if !starts_here {
        file.set_len(0).map_err(io)?;
        done = 0;
        // A whole file is as good; a part from elsewhere in it is not.
        if response.status() != StatusCode::OK {
            return Err(HubError::new(url, "the server gave another part of the file than asked for", "try again").passing(None));
        }
    }
    progress(Progress::Bytes { path, done, total: meta.size });
    while let Some(part) = web.part(url, &mut response).await? {
        let part = part.as_ref();
        file.write_all(part).map_err(io)?;
        done += part.len() as u64;
        if meta.size.is_some_and(|size| done > size) {
            file.set_len(0).map_err(io)?;
            let what = format!("more than the {} bytes came that the file has", meta.size.unwrap_or_default());
            return Err(HubError::new(url, what, "try again").passing(None));
        }
        progress(Progress::Bytes { path, done, total: meta.size });
    }
    match meta.size {
        Some(size) if done < size => {
            let what = format!("the connection broke off after {done} of {size} bytes");
            Err(HubError::new(url, what, "try again; what is there is gone on from").passing(None))
        }
        _ => Ok(()),
    }
}

/// The SHA-256 of a whole file, hexadecimal.
fn sha256(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    hash::sha256(file)
}
