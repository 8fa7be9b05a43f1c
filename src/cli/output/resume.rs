//! `--resume`: what an earlier run already wrote.

use super::{Earlier, Output};
use crate::format::note;
use crate::trace::{Aggregation, Granularity, Sampling, Trace};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// The traces that an output file holds, with their number of candidates.
#[derive(Default)]
pub struct Written(HashMap<(String, Place), usize>);

/// What the lines of this run say of how they were made; where an earlier line says otherwise, the two do not belong in one file.
#[derive(Default)]
pub struct Made {
    /// The reward model.
    pub reward: Option<String>,
    /// Which tokens carry rewards.
    pub granularity: Option<Granularity>,
    /// How a candidate's steps become its one number.
    pub aggregation: Option<Aggregation>,
    /// How candidates are sampled.
    pub sampling: Option<Sampling>,
}

#[derive(Deserialize)]
struct Line {
    trace_id: String,
    candidate: Option<usize>,
    source: Option<Place>,
    reward_model: Option<String>,
    granularity: Option<Granularity>,
    aggregation: Option<Aggregation>,
    sampling: Option<Sampling>,
    finish: Option<serde_json::Value>,
}

impl Line {
    /// Whether the candidate broke off, so that its trace is to be made again.
    fn has_failed(&self) -> bool {
        self.finish.as_ref().is_some_and(|f| f.get("failed").is_some())
    }

    /// What was made otherwise, and the remedy.
    fn differs(&self, made: &Made) -> Option<String> {
        fn other<'a, T: PartialEq>(was: &'a Option<T>, is: &Option<T>) -> Option<&'a T> {
            was.as_ref().filter(|w| is.as_ref().is_some_and(|i| i != *w))
        }
        if let Some(model) = other(&self.reward_model, &made.reward) {
            return Some(format!("its rewards are those of {model}; name that model with --reward"));
        }
        if let Some(granularity) = other(&self.granularity, &made.granularity) {
            let k = if let Granularity::Interval(k) = granularity { format!(":{k}") } else { String::new() };
            return Some(format!("its rewards are {0}; give --granularity {0}{k}", granularity.name()));
        }
        // Where a line has rewards and names none, it is the default one.
        let aggregation = self.granularity.map(|_| self.aggregation.unwrap_or_default());
        if let Some(aggregation) = other(&aggregation, &made.aggregation) {
            return Some(format!("its outcome_reward is the {0} of its steps; give --aggregation {0}", aggregation.name()));
        }
        let Sampling { temperature, top_p, top_k, min_p, max_tokens, seed } = other(&self.sampling, &made.sampling)?;
        Some(format!(
            "it was sampled otherwise; give --temperature {temperature} --top-p {top_p} --top-k {top_k} --min-p {min_p} --max-tokens {max_tokens} --seed {seed}"
        ))
    }
}

/// Where a trace first came from.
#[derive(Clone, Default, Deserialize, PartialEq, Eq, Hash)]
struct Place {
    path: String,
    line: usize,
}

impl Place {
    /// As the first line that is written of the trace says it: a native record keeps the place that it had before.
    fn of(trace: &Trace) -> Self {
        let kept = trace.candidates.first().and_then(|c| note(c, "source")).and_then(|s| serde_json::from_str(&s).ok());
        kept.or_else(|| trace.source.as_ref().map(|s| Self { path: s.path.clone(), line: s.line })).unwrap_or_default()
    }
}

/// Tells where a trace begins among lines.
#[derive(Default)]
struct Begins(Option<String>);

impl Begins {
    fn at(&mut self, line: &Line) -> bool {
        let begins = line.candidate.is_none_or(|c| c == 0) || self.0.as_ref() != Some(&line.trace_id);
        self.0 = Some(line.trace_id.clone());
        begins
    }
}

/// The lines of one trace that an earlier run wrote.
#[derive(Default)]
struct Lines {
    key: (String, Place),
    lines: Vec<String>,
    /// One of its candidates broke off.
    failed: bool,
}

impl Lines {
    /// Copies them, unless the trace is to be made again.
    fn keep(self, written: &mut Written, output: &mut Output) -> Result<()> {
        if !self.failed && !self.lines.is_empty() {
            self.lines.iter().try_for_each(|line| output.record(line))?;
            *written.0.entry(self.key).or_default() += self.lines.len();
        }
        Ok(())
    }
}

impl Written {
    /// Opens `path`, or standard output, for a run that takes long. To `resume` is to copy an earlier run's lines as they are, also those of one that broke
    /// off, but for sampled traces with a candidate that failed; a file that is not there is an empty one.
    ///
    /// Fails where a line was made otherwise than this run's will be.
    pub fn open(path: Option<&Path>, resume: bool, made: &Made) -> Result<(Output, Self)> {
        let path_to_resume = path.filter(|p| resume && p.as_os_str() != "-");
        let earlier = path_to_resume.map(|path| Output::earlier(path, whole_traces)).transpose()?.flatten();
        let mut output = Output::open(path)?;
        let written = earlier.as_ref().map_or_else(|| Ok(Self::default()), |earlier| Self::copy(earlier, made, &mut output))?;
        Ok((output.keep(earlier.as_ref())?, written))
    }

    fn copy(earlier: &Earlier, made: &Made, output: &mut Output) -> Result<Self> {
        let (mut written, mut begins) = (Self::default(), Begins::default());
        let mut trace = Lines::default();
        for (i, line) in BufReader::new(earlier.read()).lines().enumerate() {
            let place = || format!("{}, line {}", earlier.name, i + 1);
            let line = line.with_context(place)?;
            match serde_json::from_str::<Line>(&line) {
                Ok(line) => {
                    if let Some(what) = line.differs(made) {
                        bail!("{}: {what}, or another file with -o", place());
                    }
                    if begins.at(&line) {
                        std::mem::take(&mut trace).keep(&mut written, output)?;
                        trace.key = (line.trace_id.clone(), line.source.clone().unwrap_or_default());
                    }
                    // What failed before it was scored is not sampled again by scoring it.
                    trace.failed |= made.sampling.is_some() && line.has_failed();
                }
                Err(e) => bail!("{}: not a record of an earlier run ({e}); remove the line, or leave --resume out to begin anew", place()),
            }
            trace.lines.push(line);
        }
        trace.keep(&mut written, output)?;
        Ok(written)
    }

    /// Whether the trace is there.
    pub fn has(&self, trace: &Trace) -> bool {
        self.candidates(trace) > 0
    }

    /// Candidates of the trace that are there.
    pub fn candidates(&self, trace: &Trace) -> usize {
        self.0.get(&(trace.id.clone(), Place::of(trace))).copied().unwrap_or(0)
    }

    /// Number of traces.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Bytes up to the last trace that is whole. Nothing says that the last one is, so it does not count: it is made again.
fn whole_traces(file: &mut File) -> io::Result<u64> {
    let (mut at, mut begin, mut begins) = (0, 0, Begins::default());
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        // Half a line may be of the same trace.
        if serde_json::from_slice::<Line>(&line).is_ok_and(|l| begins.at(&l)) {
            begin = at;
        }
        at += line.len() as u64 + 1;
    }
    Ok(begin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn a_line_says_what_was_made_otherwise() {
        let line = |text: &str| serde_json::from_str::<Line>(text).unwrap();
        let made = Made { aggregation: Some(Aggregation::Min), granularity: Some(Granularity::Dense), ..Made::default() };
        let scored = line(r#"{"trace_id":"a","granularity":"dense"}"#);
        assert!(scored.differs(&made).is_some_and(|what| what.contains("give --aggregation mean")));
        assert_eq!(line(r#"{"trace_id":"a","granularity":"dense","aggregation":"min"}"#).differs(&made), None);
        assert_eq!(line(r#"{"trace_id":"a"}"#).differs(&made), None, "a line without rewards has no aggregate");
        assert!(
            scored
                .differs(&Made { granularity: Some(Granularity::Step), ..Made::default() })
                .is_some_and(|what| what.contains("give --granularity dense"))
        );
    }

    #[test]
    fn a_failed_candidate_is_sampled_again_and_not_scored_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let line = |id: &str, finish: &str| format!("{{\"trace_id\":\"{id}\",\"candidate\":0,\"finish\":{finish}}}\n");
        std::fs::write(&path, line("a", "{\"failed\":\"cut\"}") + &line("b", "\"stop\"")).unwrap();
        let kept = |made: &Made| {
            let (output, written) = Written::open(Some(&path), true, made).unwrap();
            drop(output);
            ["a", "b"].map(|id| written.has(&Trace { id: id.into(), ..Trace::default() }))
        };
        assert_eq!(kept(&Made { sampling: Some(Sampling::default()), ..Made::default() }), [false, true]);
        assert_eq!(kept(&Made::default()), [true, true]);
    }

    #[test]
    fn the_last_trace_of_a_run_that_broke_off_does_not_count() {
        let line = |id: &str, k: usize| format!("{{\"trace_id\":\"{id}\",\"candidate\":{k}}}\n");
        let (a, b) = (line("a", 0) + &line("a", 1), line("b", 0));
        for (text, whole) in [
            (String::new(), 0),
            (a.clone(), 0),
            (format!("{a}{b}"), a.len()),
            (format!("{a}{b}{{\"trace_id\":\"b\",\"cand"), a.len()),
            (format!("{a}{b}{a}"), a.len() + b.len()),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.rewind().unwrap();
            assert_eq!(whole_traces(&mut file).unwrap(), whole as u64, "{text}");
        }
    }
}
