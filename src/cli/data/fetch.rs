//! `data fetch`: a task's data as JSON lines, or a model, from the Hugging Face hub.

use crate::cli::args::{OutputArgs, task};
use crate::cli::console;
use crate::cli::exit::{Exit, Usage};
use crate::cli::progress::Reporter;
use crate::hub::{Hub, Kind, Listing, Progress, Repo, Settings, Store, cache_dir, model_files};
use crate::task::Task;
use crate::task::catalogue::SplitFiles;
use crate::util::atomic::AtomicFile;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Arguments of `data fetch`.
#[derive(Args, Debug)]
pub(super) struct Fetch {
    /// Whose data; `data list` says what there is
    #[arg(value_name = "TASK", required_unless_present = "model", conflicts_with = "model", value_parser = task(Task::ALL))]
    name: Option<Task>,
    /// Parts of it, several after one another with commas; without, all but the large ones
    #[arg(long, value_name = "SPLIT", value_delimiter = ',', conflicts_with = "model")]
    split: Vec<String>,
    /// A model instead: OWNER/NAME; then `--policy OWNER/NAME` opens it
    #[arg(long, value_name = "OWNER/NAME")]
    model: Option<String>,
    /// Files of the model's repository instead of those that a model needs, such as one GGUF file
    #[arg(long, value_name = "PATH", value_delimiter = ',', requires = "model")]
    file: Vec<String>,
    /// Branch, tag or commit of the repository
    #[arg(long, value_name = "REVISION", default_value = "main")]
    revision: String,
    /// Folder for the files: data as TASK-SPLIT.jsonl, a model as it is; without, they go as they are into the hub's cache on this machine
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Fetch {
    pub(super) fn run(self, messages: &OutputArgs) -> Result<Exit> {
        let hub = Hub::new(Settings::from_env())?;
        let mut reporter = Reporter::new(messages, "KiB");
        let paths = match (&self.model, self.name) {
            (Some(id), _) => self.fetch_model(&hub, id, &mut reporter)?,
            (None, Some(task)) => self.fetch_task(&hub, task, &mut reporter)?,
            (None, None) => bail!(Usage("name a task or a --model".into())),
        };
        drop(reporter);
        let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        match messages.json {
            true => console::print_record(&paths.into())?,
            false => console::print(&(paths.join("\n") + "\n"))?,
        }
        Ok(Exit::Ok)
    }

    /// Where fetched files go as they are.
    fn store(&self) -> Result<Store> {
        if let Some(dir) = &self.output {
            fs::create_dir_all(dir).with_context(|| format!("{}: cannot be created", dir.display()))?;
            return Ok(Store::Folder(dir.clone()));
        }
        let cache = cache_dir()
            .ok_or_else(|| anyhow!("there is no home folder with a cache in it; name a folder with --output, or set HF_HOME"))?;
        Ok(Store::Cache(cache))
    }

    fn fetch_model(&self, hub: &Hub, id: &str, reporter: &mut Reporter) -> Result<Vec<PathBuf>> {
        let repo = self.repo(Kind::Model, id)?;
        let store = self.store()?;
        let listing = hub.listing(&repo)?;
        let files = if self.file.is_empty() { model_files(&listing.files).map_err(|e| anyhow!("{id}: {e}"))? } else { self.file.clone() };
        let paths = fetch(hub, &repo, &listing, &files, &store, reporter)?;
        hub.note(&repo, &listing.commit, &store)?;
        let name = self.output.as_ref().map_or_else(|| id.to_owned(), |dir| dir.display().to_string());
        reporter.say(&format!("{} files of {id} at {}; open it with --policy {name}", paths.len(), short(&listing.commit)));
        Ok(paths)
    }

    fn fetch_task(&self, hub: &Hub, task: Task, reporter: &mut Reporter) -> Result<Vec<PathBuf>> {
        let source = task.source().ok_or_else(|| anyhow!("{}: not in the catalogue", task.name()))?;
        let name = task.name();
        match task {
            Task::Stories => bail!(Usage(
                "stories are made by this program; recipes and `eval` name a split and a seed, and there is nothing to fetch".into()
            )),
            _ if source.splits.is_empty() => bail!("{name}: is not on the hub; get it from {}", source.origin),
            _ => {}
        }
        let known: Vec<&str> = source.splits.iter().map(|s| s.name).collect();
        if let Some(wrong) = self.split.iter().find(|s| !known.contains(&s.as_str())) {
            bail!(Usage(format!("{name} has no split {wrong:?}; it has {}", known.join(", "))));
        }
        let wanted =
            source.splits.iter().filter(|s| if self.split.is_empty() { !s.on_request } else { self.split.iter().any(|n| n == s.name) });
        let mut paths = Vec::new();
        for split in wanted {
            if self.output.is_some() && !cfg!(feature = "parquet") && split.files.iter().any(|f| f.ends_with(".parquet")) {
                bail!(
                    "{name} {} is in Parquet, which this build does not read; build with --features parquet (the default has it), or leave --output out",
                    split.name
                );
            }
            paths.extend(self.fetch_split(hub, task, split, reporter)?);
        }
        Ok(paths)
    }

    fn fetch_split(&self, hub: &Hub, task: Task, split: &SplitFiles, reporter: &mut Reporter) -> Result<Vec<PathBuf>> {
        let repo = self.repo(Kind::Dataset, split.repo)?;
        let listing = hub.listing(&repo)?;
        let files: Vec<String> = split.files.iter().map(|f| (*f).to_owned()).collect();
        let Some(dir) = &self.output else {
            let store = self.store()?;
            let paths = fetch(hub, &repo, &listing, &files, &store, reporter)?;
            hub.note(&repo, &listing.commit, &store)?;
            if files.iter().any(|f| f.ends_with(".parquet")) {
                reporter.say(&format!("{} {} is in Parquet; --output DIR makes JSON lines of it", task.name(), split.name));
            }
            return Ok(paths);
        };
        fs::create_dir_all(dir).with_context(|| format!("{}: cannot be created", dir.display()))?;
        // What was interrupted is gone on from there.
        let raw = dir.join(format!(".{}-{}", task.name(), split.name));
        let paths = fetch(hub, &repo, &listing, &files, &Store::Folder(raw.clone()), reporter)?;
        let path = dir.join(format!("{}-{}.jsonl", task.name(), split.name));
        let records = to_lines(&paths, &path)?;
        fs::remove_dir_all(&raw).with_context(|| raw.display().to_string())?;
        reporter.say(&format!("{records} records of {} at {} in {}", split.repo, short(&listing.commit), path.display()));
        Ok(vec![path])
    }

    fn repo(&self, kind: Kind, id: &str) -> Result<Repo> {
        Ok(Repo::new(kind, id, &self.revision).map_err(Usage)?)
    }
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

/// Fetches files after one another, saying how it goes.
fn fetch(hub: &Hub, repo: &Repo, listing: &Listing, files: &[String], store: &Store, reporter: &mut Reporter) -> Result<Vec<PathBuf>> {
    if let Some(missing) = files.iter().find(|f| !listing.files.contains(f)) {
        let mut shown: Vec<&str> = listing.files.iter().map(String::as_str).collect();
        let more = if shown.len() > 12 { ", …" } else { "" };
        shown.truncate(12);
        bail!("{}: has no file {missing} at {}; it has {}{more}", repo.id(), short(&listing.commit), shown.join(", "));
    }
    let mut paths = Vec::new();
    for file in files {
        reporter.stage(file);
        let mut progress = |p: Progress<'_>| match p {
            Progress::Bytes { path, done, total } => reporter.progress(done.div_ceil(1024), total.map(|t| t.div_ceil(1024)), path),
            Progress::Retry { path, what, wait } => {
                reporter.warn(&format!("{path}: {what}; another try after {:.1} s", wait.as_secs_f32()));
            }
        };
        paths.push(hub.fetch(repo, &listing.commit, file, store, &mut progress)?);
    }
    Ok(paths)
}

/// Writes the records of files, Parquet or JSON lines, one after another as JSON lines; returns how many.
fn to_lines(files: &[PathBuf], path: &Path) -> Result<usize> {
    let context = || format!("{}: cannot be written", path.display());
    let mut out = BufWriter::new(AtomicFile::new(path).with_context(context)?);
    let mut records = 0;
    for file in files {
        records +=
            if file.extension().is_some_and(|e| e == "parquet") { from_parquet(file, &mut out)? } else { copy_lines(file, &mut out)? };
    }
    out.into_inner().map_err(io::IntoInnerError::into_error).and_then(AtomicFile::commit).with_context(context)?;
    Ok(records)
}

#[cfg(feature = "parquet")]
fn from_parquet(file: &Path, out: &mut (dyn Write + Send)) -> Result<usize> {
    crate::format::to_json_lines(file, out).map_err(|e| anyhow!(e))
}

#[cfg(not(feature = "parquet"))]
fn from_parquet(file: &Path, _: &mut (dyn Write + Send)) -> Result<usize> {
    bail!("{}: this build reads no Parquet; build with --features parquet", file.display())
}

fn copy_lines(file: &Path, out: &mut dyn Write) -> Result<usize> {
    let context = || file.display().to_string();
    let mut records = 0;
    for line in io::BufRead::split(io::BufReader::new(File::open(file).with_context(context)?), b'\n') {
        let line = line.with_context(context)?;
        if !line.trim_ascii().is_empty() {
            out.write_all(&line)?;
            out.write_all(b"\n")?;
            records += 1;
        }
    }
    Ok(records)
}
