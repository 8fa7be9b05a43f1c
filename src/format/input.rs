//! A file whose format is known, and where its bytes come from.

use super::container::{Archive, Blob, EvalLog, FileBlob, Handles, Origin, Peeled, Spool, Stream, Table, files, matches, peel};
use super::detect::{Format, Wanted};
use super::error::FormatError;
use super::head::{Head, Shown};
use super::split::Layout;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Archives inside each other that are looked into.
const DEEP: usize = 3;

/// A file, or an entry of an archive, that may hold traces.
#[derive(Clone)]
pub(super) struct Place {
    /// Its name in messages.
    pub path: String,
    pub origin: Origin,
    /// Archives that it is inside of.
    pub depth: usize,
}

/// An input whose format is known.
pub(super) struct Input {
    pub about: Arc<About>,
    pub body: Body,
    /// Its size on disk, where its records are read from there.
    pub size: Option<u64>,
    /// The file on a disk that it is.
    pub file: Option<Arc<FileBlob>>,
}

/// What is known of an input, also after its records are found.
pub(super) struct About {
    /// As the user named it, or found it in a folder or an archive.
    pub path: String,
    pub format: Format,
    pub layout: Layout,
    /// What its records are called in messages.
    pub unit: &'static str,
    /// The fields that all records get, as they stand in an object.
    pub outer: Vec<u8>,
    /// Where records are read again; set when it begins to be read.
    pub keep: OnceLock<Keep>,
}

/// Where records are read again.
pub(super) enum Keep {
    Bytes(Blob),
    Log(Arc<EvalLog>),
}

/// Where records are first read.
pub(super) enum Body {
    /// From the beginning, opened again; `table`: what separates its cells.
    Again { origin: Origin, table: Option<u8> },
    /// A stream that has begun, and why it ended there, if it did not end well.
    Begun { head: Vec<u8>, rest: Stream, broken: Option<io::Error> },
    /// A log whose samples are read one by one.
    Log(Arc<EvalLog>),
}

/// What a place holds.
pub(super) enum Found {
    Input(Input),
    /// Files.
    Places(Vec<Place>),
    /// No records; the text says what there is instead.
    Nothing(&'static str),
}

impl About {
    /// Of a log of Inspect.
    pub fn of_log(path: String, log: &Arc<EvalLog>) -> Arc<Self> {
        let keep = OnceLock::from(Keep::Log(Arc::clone(log)));
        Arc::new(Self { path, format: Format::Inspect, layout: Layout::Values, unit: "sample", outer: Vec::new(), keep })
    }

    /// A record as it is parsed.
    pub fn whole(&self, record: Vec<u8>) -> Vec<u8> {
        super::container::inside(&self.outer, record)
    }
}

impl Keep {
    /// Reads `len` bytes at `offset`; of a log, the sample of that number.
    pub fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Bytes(blob) => blob.read(offset, len),
            Self::Log(log) => log.read(usize::try_from(offset).unwrap_or(usize::MAX)),
        }
    }
}

impl Place {
    /// Standard input, or the file at a path.
    pub fn named(path: &str, handles: &Arc<Handles>) -> Result<Self, FormatError> {
        let origin = if path == "-" {
            Origin::once(Box::new(io::stdin()))
        } else {
            let io_error = |e| FormatError::io(path, e);
            let file = File::open(path).map_err(io_error)?;
            match file.metadata().map_err(io_error)?.is_file() {
                true => Origin::File(handles.file(Path::new(path), Some(file))),
                false => Origin::once(Box::new(file)),
            }
        };
        Ok(Self { path: path.to_owned(), origin, depth: 0 })
    }

    /// A file that was found in a folder.
    pub fn found(path: &Path, handles: &Arc<Handles>) -> Self {
        Self::on_disk(&handles.file(path, None))
    }

    /// A file on a disk.
    pub fn on_disk(file: &Arc<FileBlob>) -> Self {
        Self { path: file.path.display().to_string(), origin: Origin::File(Arc::clone(file)), depth: 0 }
    }

    /// Tells what it holds. `wanted`: what will do; `spool`: for what must be copied.
    pub fn open(self, wanted: Wanted, spool: &Arc<Spool>) -> Result<Found, FormatError> {
        let path = self.path.clone();
        let (mut stream, plain) = match peel(&path, &self.origin, spool)? {
            Peeled::Text { stream, plain } => (stream, plain),
            Peeled::Archive(archive) => return self.archive(&archive),
        };
        let mut head = Head::read(&path, &mut stream, wanted, true)?;
        let mut table = None;
        if let Shown::Table(separator) = head.shown {
            table = Some(separator);
            let whole: Stream = Box::new(Cursor::new(std::mem::take(&mut head.bytes)).chain(stream));
            stream = Box::new(Table::new(whole, separator));
            head = Head::read(&path, &mut stream, wanted, false)?;
        }
        let (format, layout, outer) = match head.shown {
            Shown::Records { format, layout, outer } => (format, layout, outer),
            Shown::Nothing(what) => return Ok(Found::Nothing(what)),
            Shown::Table(_) => return Ok(Found::Nothing("holds a table in a table")),
        };
        let file = if let (Origin::File(file), true, None) = (&self.origin, plain, table) { Some(file) } else { None };
        let size = file.and_then(|f| f.len().ok());
        tracing::info!(path, ?format, ?layout, bytes = size, "has opened a file");
        let unit = if table.is_some() { "row" } else { layout.unit() };
        let about = About { path, format, layout, unit, outer, keep: OnceLock::new() };
        if let Some(file) = file {
            let _ = about.keep.set(Keep::Bytes(Blob::File(Arc::clone(file))));
        }
        let on_disk = if let Origin::File(file) = &self.origin { Some(Arc::clone(file)) } else { None };
        let body = match self.origin.is_lasting() {
            true => Body::Again { origin: self.origin, table },
            false => Body::Begun { head: head.bytes, rest: if head.ended { Box::new(io::empty()) } else { stream }, broken: head.broken },
        };
        Ok(Found::Input(Input { about: Arc::new(about), body, size, file: on_disk }))
    }

    fn archive(self, archive: &Arc<Archive>) -> Result<Found, FormatError> {
        if let Some(log) = EvalLog::of(archive) {
            return self.log(log);
        }
        let files = archive.files();
        if files.is_empty() {
            return Ok(Found::Nothing("is an archive without files"));
        }
        if self.depth >= DEEP {
            return Err(FormatError::file(&self.path, format!("is in {DEEP} archives inside each other"), "unpack them"));
        }
        let place = |(index, name): (usize, String)| Self {
            path: format!("{}/{name}", self.path),
            origin: Origin::Entry(Arc::clone(archive), index),
            depth: self.depth + 1,
        };
        Ok(Found::Places(files.into_iter().map(place).collect()))
    }

    fn log(self, log: EvalLog) -> Result<Found, FormatError> {
        if log.len() == 0 && log.in_pieces > 0 {
            let problem = format!("is a log of Inspect with {} samples in pieces, which are not read", log.in_pieces);
            return Err(FormatError::file(&self.path, problem, "write it whole: `inspect log convert --to json`"));
        }
        if log.len() == 0 {
            return Ok(Found::Nothing("is a log of Inspect without samples"));
        }
        tracing::info!(path = self.path, samples = log.len(), "has opened a log of Inspect");
        let log = Arc::new(log);
        let about = About::of_log(self.path, &log);
        let file = if let Origin::File(file) = self.origin { Some(file) } else { None };
        Ok(Found::Input(Input { about, body: Body::Log(log), size: None, file }))
    }
}

/// What a name stands for.
pub(super) enum Named {
    /// Standard input or one file.
    One(Place),
    /// The files of a folder or a pattern, of which some may be something else.
    Several(Root, Vec<Place>),
}

/// A name that stands for files which may become more.
#[derive(Clone, Debug)]
pub(super) enum Root {
    Folder(String),
    Pattern(String),
}

impl Root {
    /// As it was named.
    pub fn name(&self) -> &str {
        match self {
            Self::Folder(name) | Self::Pattern(name) => name,
        }
    }

    /// The files that it stands for by now.
    pub fn paths(&self) -> Result<Vec<PathBuf>, FormatError> {
        match self {
            Self::Folder(folder) => files(Path::new(folder)).map_err(|e| FormatError::io(folder, e)),
            Self::Pattern(pattern) => {
                let mut out = Vec::new();
                for path in matches(pattern) {
                    match path.is_dir() {
                        true => out.extend(files(&path).map_err(|e| FormatError::io(&path.display().to_string(), e))?),
                        false if path.is_file() => out.push(path),
                        false => {}
                    }
                }
                Ok(out)
            }
        }
    }
}

/// What a name on a command line stands for: `-`, a file, a folder, a pattern that no shell has put files in the place of.
pub(super) fn named(name: &str, handles: &Arc<Handles>) -> Result<Named, FormatError> {
    let root = match name {
        "-" => None,
        _ if Path::new(name).is_dir() => Some(Root::Folder(name.to_owned())),
        _ if super::container::is_pattern(name) => Some(Root::Pattern(name.to_owned())),
        _ => None,
    };
    let Some(root) = root else { return Place::named(name, handles).map(Named::One) };
    let paths = root.paths()?;
    if paths.is_empty() {
        return Err(match root {
            Root::Folder(_) => FormatError::file(name, "is a folder without files", "name trace files, or a folder that holds some"),
            Root::Pattern(_) => FormatError::file(name, "fits no file", "name trace files, or a pattern that fits some"),
        });
    }
    let places = paths.iter().map(|p| Place::found(p, handles)).collect();
    Ok(Named::Several(root, places))
}
