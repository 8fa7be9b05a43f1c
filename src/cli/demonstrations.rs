//! Demonstrations and problems of a task from files.

use crate::task::{Demonstration, Problem, Task, TaskError};
use crate::util::packed;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// All demonstrations of some files; fails on the first bad record.
pub fn demonstrations(task: Task, files: &[PathBuf]) -> Result<Vec<Demonstration>> {
    read(files, |lines, name| task.demonstrations(lines, name).collect())
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
    read(files, |lines, name| task.problems(lines, name).collect())
}

/// All records of some files; fails on the first bad one, and on a file without any.
fn read<T>(files: &[PathBuf], records: impl Fn(Box<dyn BufRead>, &str) -> Result<Vec<T>, TaskError>) -> Result<Vec<T>> {
    let mut out = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let some = records(lines(file)?, &name)?;
        if some.is_empty() {
            bail!("{name}: is empty; expected a record a line");
        }
        out.extend(some);
    }
    Ok(out)
}

/// A file's lines, of plain or gzip text.
fn lines(path: &Path) -> Result<Box<dyn BufRead>> {
    let name = || path.display().to_string();
    let mut file = BufReader::new(File::open(path).with_context(name)?);
    let is_packed = file.fill_buf().with_context(name)?.starts_with(&packed::MAGIC);
    Ok(if is_packed { Box::new(BufReader::new(packed::unpacked(file))) } else { Box::new(file) })
}
