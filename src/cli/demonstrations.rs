//! Demonstrations and problems of a task from files.

use crate::task::{Demonstration, Problem, Task};
use anyhow::{Context, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A task by its name.
pub fn task() -> impl TypedValueParser<Value = Task> {
    PossibleValuesParser::new(Task::ALL.map(Task::name)).map(|name| Task::parse(&name).unwrap_or(Task::Gsm8k))
}

/// All demonstrations of some files; fails on the first bad record.
pub fn demonstrations(task: Task, files: &[PathBuf]) -> Result<Vec<Demonstration>> {
    let mut out = Vec::new();
    for file in files {
        for d in task.demonstrations(lines(file)?, &file.display().to_string()) {
            out.push(d?);
        }
    }
    Ok(out)
}

/// The first demonstrations of some files that can be read, at most `limit`, and how many bad records were passed over.
pub fn first_demonstrations(task: Task, files: &[PathBuf], limit: usize) -> Result<(Vec<Demonstration>, usize)> {
    let (mut out, mut bad) = (Vec::new(), 0);
    for file in files {
        for d in task.demonstrations(lines(file)?, &file.display().to_string()) {
            match d {
                _ if out.len() >= limit => break,
                Ok(d) => out.push(d),
                Err(_) => bad += 1,
            }
        }
    }
    Ok((out, bad))
}

/// All problems of some files; fails on the first bad record.
pub fn problems(task: Task, files: &[PathBuf]) -> Result<Vec<Problem>> {
    let mut out = Vec::new();
    for file in files {
        for p in task.problems(lines(file)?, &file.display().to_string()) {
            out.push(p?);
        }
    }
    Ok(out)
}

/// A file's lines, of plain or gzip text.
fn lines(path: &Path) -> Result<Box<dyn BufRead>> {
    let name = || path.display().to_string();
    let mut file = BufReader::new(File::open(path).with_context(name)?);
    let packed = file.fill_buf().with_context(name)?.starts_with(&[0x1f, 0x8b]);
    Ok(if packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) })
}
