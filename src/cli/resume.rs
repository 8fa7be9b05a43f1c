//! `--resume`: what an earlier run already wrote.

use super::output::Output;
use crate::trace::Trace;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

/// The traces that an output file holds, with their number of candidates.
#[derive(Default)]
pub struct Written(HashMap<(String, String, usize), usize>);

#[derive(Deserialize)]
struct Line {
    trace_id: String,
    source: Option<Place>,
    reward_model: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    path: String,
    line: usize,
}

impl Written {
    /// Opens `path`, or standard output, for a run that takes long. To `resume` is to copy an earlier run's lines as they are, also those of one that broke
    /// off; a file that is not there is an empty one.
    ///
    /// Fails where a line's rewards are those of another model than `reward`.
    pub fn open(path: Option<&Path>, resume: bool, reward: Option<&str>) -> Result<(Output, Self)> {
        let earlier = path.filter(|p| resume && p.as_os_str() != "-");
        if let Some(path) = earlier {
            Output::recover(path)?;
        }
        let mut output = Output::open(path)?;
        let written = earlier.map_or_else(|| Ok(Self::default()), |path| Self::copy(path, reward, &mut output))?;
        Ok((output.keep()?, written))
    }

    fn copy(path: &Path, reward: Option<&str>, output: &mut Output) -> Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(e).with_context(|| path.display().to_string()),
        };
        let mut written = Self::default();
        for (i, line) in BufReader::new(file).lines().enumerate() {
            let place = || format!("{}, line {}", path.display(), i + 1);
            let line = line.with_context(place)?;
            match serde_json::from_str::<Line>(&line) {
                Ok(Line { reward_model: Some(other), .. }) if reward.is_some_and(|r| r != other) => {
                    bail!("{}: its rewards are those of {other}; name that model with --reward, or another file with -o", place());
                }
                Ok(Line { trace_id, source, .. }) => {
                    let (path, number) = source.map_or((String::new(), 0), |s| (s.path, s.line));
                    *written.0.entry((trace_id, path, number)).or_default() += 1;
                }
                Err(e) => bail!("{}: not a record of an earlier run ({e}); remove the line, or leave --resume out to begin anew", place()),
            }
            output.line(&line)?;
        }
        Ok(written)
    }

    /// Whether the trace is there.
    pub fn has(&self, trace: &Trace) -> bool {
        self.candidates(trace) > 0
    }

    /// Candidates of the trace that are there.
    pub fn candidates(&self, trace: &Trace) -> usize {
        let (path, line) = trace.source.as_ref().map_or((String::new(), 0), |s| (s.path.clone(), s.line));
        self.0.get(&(trace.id.clone(), path, line)).copied().unwrap_or(0)
    }

    /// Number of traces.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
