//! `--resume`: what an earlier run already wrote.

use super::{Earlier, Output};
use crate::format::note;
use crate::trace::{Aggregation, AtWork, Granularity, REWARD, Sampling, Trace};
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
    /// The reward models; where there are none, whose rewards a line has does not matter.
    pub rewards: Vec<AtWork>,
    /// Which tokens carry rewards.
    pub granularity: Option<Granularity>,
    /// How a candidate's steps become its one number.
    pub aggregation: Option<Aggregation>,
    /// How candidates are sampled.
    pub sampling: Option<Sampling>,
    /// How the policy is asked, where that is not as by default.
    pub prompt: Option<serde_json::Value>,
    /// Whether this run writes candidates, so that they were all to be asked alike.
    pub generated: bool,
}

#[derive(Deserialize)]
struct Line {
    trace_id: String,
    candidate: Option<usize>,
    source: Option<Place>,
    reward_model: Option<String>,
    #[serde(default)]
    signals: Vec<Said>,
    granularity: Option<Granularity>,
    aggregation: Option<Aggregation>,
    sampling: Option<Sampling>,
    prompt: Option<serde_json::Value>,
    finish: Option<serde_json::Value>,
}

/// What a line says of a signal.
#[derive(Deserialize)]
struct Said {
    name: String,
    #[serde(default)]
    source: serde_json::Value,
    #[serde(default)]
    beside: bool,
}

impl Line {
    /// The reward models that were at work.
    fn rewards(&self) -> Vec<AtWork> {
        let own = self.reward_model.iter().map(|model| (REWARD, model.as_str()));
        let listed = self.signals.iter().filter(|s| s.beside || s.name == REWARD);
        let listed = listed.filter_map(|s| Some((s.name.as_str(), s.source.get("model")?.as_str()?)));
        own.chain(listed).map(|(signal, model)| AtWork { signal: signal.into(), model: model.into() }).collect()
    }

    /// Whether the candidate broke off, so that its trace is to be made again.
    fn has_failed(&self) -> bool {
        self.finish.as_ref().is_some_and(|f| f.get("failed").is_some())
    }

    /// What was made otherwise, and the remedy.
    fn differs(&self, made: &Made) -> Option<String> {
        fn other<'a, T: PartialEq>(was: &'a Option<T>, is: &Option<T>) -> Option<&'a T> {
            was.as_ref().filter(|w| is.as_ref().is_some_and(|i| i != *w))
        }
        let (was, is) = (self.rewards(), &made.rewards);
        // A model that could not read the candidate may have left nothing under `reward`.
        let lacks = is.iter().any(|a| a.signal != REWARD && !was.contains(a));
        if !was.is_empty() && !is.is_empty() && (lacks || was.iter().any(|a| !is.contains(a))) {
            let models = was.iter().map(|a| a.model.as_str()).collect::<Vec<_>>().join(", ");
            let which = if was.len() > 1 { "those models, in this order," } else { "that model" };
            return Some(format!("its rewards are those of {models}; name {which} with --reward"));
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
        if made.generated && self.sampling.is_some() && self.prompt != made.prompt {
            let was = self.prompt.as_ref().map_or_else(|| "nothing in particular".to_owned(), ToString::to_string);
            return Some(format!(
                "its policy was asked otherwise ({was}); give the same address (…/v1/completions where there was no chat), --system, --template-arg and --date"
            ));
        }
        let Sampling { temperature, top_p, top_k, min_p, max_tokens, seed, unset } = other(&self.sampling, &made.sampling)?;
        let fields = [
            ("--temperature", temperature.to_string(), unset.temperature),
            ("--top-p", top_p.to_string(), unset.top_p),
            ("--top-k", top_k.to_string(), unset.top_k),
            ("--min-p", min_p.to_string(), unset.min_p),
        ];
        let give: String = fields.iter().filter(|f| !f.2).map(|(name, value, _)| format!("{name} {value} ")).collect();
        let leave: Vec<&str> = fields.iter().filter(|f| f.2).map(|f| f.0).collect();
        let leave = if leave.is_empty() { String::new() } else { format!(", and leave {} to the server", leave.join(", ")) };
        Some(format!("it was sampled otherwise; give {give}--max-tokens {max_tokens} --seed {seed}{leave}"))
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
        let by = |models: &[&str]| Made { rewards: AtWork::all(models.iter().copied()), ..Made::default() };
        let two = line(
            r#"{"trace_id":"a","reward_model":"x/a","signals":[{"name":"reward:b","source":{"model":"x/b"},"beside":true},{"name":"s","source":"file"}]}"#,
        );
        assert_eq!((two.differs(&by(&["x/a", "x/b"])), two.differs(&by(&[]))), (None, None));
        for other in [&["x/a"][..], &["x/b", "x/a"], &["x/a", "y/b"], &["x/a", "x/b", "c"]] {
            assert!(two.differs(&by(other)).is_some_and(|what| what.contains("those of x/a, x/b; name those models, in this order")));
        }
        // A published model's rewards have no field of their own, and the first may have said nothing.
        let listed = line(r#"{"trace_id":"a","signals":[{"name":"reward","source":{"model":"x/a"}}]}"#);
        assert!(listed.differs(&by(&["x/a"])).is_none() && listed.differs(&by(&["x/b"])).is_some());
        let beside = line(r#"{"trace_id":"a","signals":[{"name":"reward:b","source":{"model":"x/b"},"beside":true}]}"#);
        assert_eq!(beside.differs(&by(&["x/a", "x/b"])), None);
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
