//! What a list is to read, in order: files, and the files of folders, patterns and archives, of which some are no trace files.

use super::growth::{Followed, Stamp, stamp};
use crate::format::container::{Handles, Origin};
use crate::format::detect::Wanted;
use crate::format::error::FormatError;
use crate::format::index::{Context, Indexer};
use crate::format::input::{About, Body, Found, Input, Named, Place, Root, named};
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Files that are left out and named in the message about them.
const NAMED: usize = 3;

/// What is to be read.
pub(in crate::format) struct Queue {
    context: Arc<Context>,
    handles: Arc<Handles>,
    pub wanted: Wanted,
    work: VecDeque<Work>,
    groups: Vec<Group>,
    /// Folders and patterns, with the files of theirs that were seen.
    roots: Vec<(Root, HashSet<PathBuf>)>,
    /// Files that hold no traces yet, with their group and what they were like then; only where files are followed.
    waiting: Vec<(PathBuf, usize, Option<Stamp>)>,
}

enum Work {
    /// A file whose number is given.
    Input(usize, Input),
    /// A file of a group.
    Place(Place, usize),
    /// The group is read.
    End(usize),
}

/// Files that belong together.
struct Group {
    name: String,
    looked: usize,
    left: usize,
    examples: Vec<String>,
}

impl Queue {
    /// Opens files: each that is named, and of a folder, a pattern or an archive those before the first that is a trace file.
    pub fn open<S: AsRef<str>>(names: &[S], wanted: Wanted, context: Arc<Context>) -> Result<Self, FormatError> {
        let (work, groups, roots) = (VecDeque::new(), Vec::new(), Vec::new());
        let mut queue = Self { context, handles: Arc::default(), wanted, work, groups, roots, waiting: Vec::new() };
        let mut empty = Vec::new();
        for name in names {
            let name = name.as_ref();
            match named(name, &queue.handles)? {
                Named::One(place) => match place.open(wanted, &queue.context.spool)? {
                    Found::Input(input) => queue.add(input),
                    Found::Places(places) => queue.several(name, places)?,
                    Found::Nothing(_) if queue.context.follow && name != "-" => {
                        let group = queue.group(name);
                        queue.waiting.push((PathBuf::from(name), group, None));
                    }
                    Found::Nothing(what) => empty.push(FormatError::file(name, what, "name a file with records")),
                },
                Named::Several(root, places) => {
                    let seen = places.iter().map(|p| PathBuf::from(&p.path)).collect();
                    queue.roots.push((root, seen));
                    queue.several(name, places)?;
                }
            }
        }
        match empty.into_iter().next() {
            Some(error) if queue.work.is_empty() => return Err(error),
            Some(error) => queue.context.shared.state().report(error),
            None => {}
        }
        Ok(queue)
    }

    /// Whether there may be several files.
    pub fn has_several(&self) -> bool {
        !self.groups.is_empty() || self.context.shared.state().files.len() > 1
    }

    fn add(&mut self, input: Input) {
        let file = self.register(&input.about, input.size);
        self.work.push_back(Work::Input(file, input));
    }

    /// Lists a file; its number.
    pub fn register(&self, about: &Arc<About>, size: Option<u64>) -> usize {
        let shared = &self.context.shared;
        match size {
            Some(size) => {
                shared.total.fetch_add(size, Ordering::Relaxed);
            }
            None => shared.unmeasured.store(true, Ordering::Relaxed),
        }
        let mut state = shared.state();
        state.files.push(Arc::clone(about));
        state.files.len() - 1
    }

    /// Opens the first of several files that is a trace file; the others are opened when their turn comes.
    fn several(&mut self, name: &str, places: Vec<Place>) -> Result<(), FormatError> {
        let group = self.group(name);
        let mut places = VecDeque::from(places);
        while let Some(place) = places.pop_front() {
            match self.try_open(place, group) {
                Some(Found::Input(input)) => {
                    self.add(input);
                    self.work.extend(places.into_iter().map(|p| Work::Place(p, group)));
                    self.work.push_back(Work::End(group));
                    return Ok(());
                }
                Some(Found::Places(inner)) => inner.into_iter().rev().for_each(|p| places.push_front(p)),
                Some(Found::Nothing(_)) | None => {}
            }
        }
        let Group { looked, left, examples, .. } = &self.groups[group];
        if self.context.follow {
            self.work.push_back(Work::End(group));
            return Ok(());
        }
        let what = if *left == 0 { "they are empty".to_owned() } else { examples.join("; ") };
        Err(FormatError::file(name, format!("holds {looked} files and no traces: {what}"), "name trace files, or a folder that holds some"))
    }

    fn group(&mut self, name: &str) -> usize {
        self.groups.push(Group { name: name.to_owned(), looked: 0, left: 0, examples: Vec::new() });
        self.groups.len() - 1
    }

    /// A file of a group; `None` where it is no trace file, which is counted.
    fn try_open(&mut self, place: Place, group: usize) -> Option<Found> {
        let path = place.path.clone();
        let on_disk = if let Origin::File(file) = &place.origin { Some(file.path.clone()) } else { None };
        let on_disk = on_disk.filter(|_| self.context.follow).map(|path| (stamp(&path), path));
        let found = place.open(self.wanted, &self.context.spool);
        if let (Ok(Found::Nothing(_)) | Err(_), Some((stamp, path))) = (&found, on_disk) {
            self.waiting.push((path, group, stamp));
        }
        let group = &mut self.groups[group];
        group.looked += usize::from(!matches!(found, Ok(Found::Places(_))));
        match found {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::info!("left out: {error}");
                group.left += 1;
                if group.examples.len() < NAMED {
                    let short = path.strip_prefix(&group.name).unwrap_or(&path).trim_start_matches(['/', '\\']).to_owned();
                    let what = match error {
                        FormatError::File { problem, .. } => problem,
                        FormatError::Io { source, .. } => source.to_string(),
                        other => other.to_string(),
                    };
                    group.examples.push(format!("{short} ({what})"));
                }
                None
            }
        }
    }

    /// Reads what is to be read; what may grow goes to `followed`.
    pub fn run(&mut self, followed: &mut Vec<Followed>) {
        while let Some(work) = self.work.pop_front() {
            if self.context.shared.stop.load(Ordering::Relaxed) {
                return;
            }
            match work {
                Work::Input(file, input) => self.read(file, input, followed),
                Work::Place(place, group) => match self.try_open(place, group) {
                    Some(Found::Input(input)) => {
                        let file = self.register(&input.about, input.size);
                        self.read(file, input, followed);
                    }
                    Some(Found::Places(inner)) => inner.into_iter().rev().for_each(|p| self.work.push_front(Work::Place(p, group))),
                    Some(Found::Nothing(_)) | None => {}
                },
                Work::End(group) => {
                    let Group { name, looked, left, examples } = &mut self.groups[group];
                    if *left > 0 {
                        let more = if *left > examples.len() { "; …" } else { "" };
                        let examples = examples.join("; ") + more;
                        let error = FormatError::LeftOut { path: name.clone(), left: *left, of: *looked, examples };
                        self.context.shared.state().report(error);
                    }
                }
            }
        }
    }

    fn read(&self, file: usize, input: Input, followed: &mut Vec<Followed>) {
        let log = matches!(input.body, Body::Log(_));
        let follows = self.context.follow.then(|| Followed::new(file, &input)).flatten();
        let reached = Indexer::new(&self.context, file, &input.about).run(input.body);
        if let Some(mut follows) = follows
            && (log || reached.is_some())
        {
            follows.reached(reached.unwrap_or_default());
            followed.push(follows);
        }
    }

    /// Files that came to the folders and patterns since they were last looked through are to be read.
    pub fn look_again(&mut self) {
        let mut new = Vec::new();
        for (root, seen) in &mut self.roots {
            // A folder that cannot be read now may be readable again.
            let Ok(paths) = root.paths() else { continue };
            let name = root.name().to_owned();
            new.extend(paths.into_iter().filter(|p| seen.insert(p.clone())).map(|p| (name.clone(), p)));
        }
        for (path, group, _) in self.waiting.extract_if(.., |(path, _, was)| stamp(path) != *was) {
            self.work.push_back(Work::Place(Place::found(&path, &self.handles), group));
        }
        for (name, path) in new {
            let place = Place::found(&path, &self.handles);
            let group = match self.groups.iter().position(|g| g.name == name) {
                Some(group) => group,
                None => self.group(&name),
            };
            self.work.push_back(Work::Place(place, group));
        }
    }

    /// Whether there is something to read.
    pub fn is_waiting(&self) -> bool {
        !self.work.is_empty()
    }
}
