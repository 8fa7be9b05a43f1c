//! Recorded traces: read by a thread of their own, so that the screen never waits for a file.

use crate::collection::query::{Lens, Query};
use crate::trace::{FitText, GoldDeviation, Trace};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Item {
    /// A problem the user wrote, by number.
    Own(usize),
    /// An entry of the source.
    Recorded(usize),
}

/// Where traces are read from; indices are stable and grow.
pub trait TraceSource: Send {
    /// How many traces are known by now, and whether that is all of them.
    fn known(&mut self) -> (usize, bool);
    /// Whether more may come after all that is known was read.
    fn follows(&self) -> bool {
        false
    }
    /// Reads one trace. The error names file, line, field and remedy.
    fn read(&mut self, index: usize) -> Result<Arc<Trace>, String>;
    /// Traces that were read while they were not whole and have got more candidates since; each is named once.
    fn grown(&mut self) -> Vec<usize> {
        Vec::new()
    }
    /// What was skipped or doubtful since the last call, for people.
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Traces in memory.
impl TraceSource for Vec<Trace> {
    fn known(&mut self) -> (usize, bool) {
        (self.len(), true)
    }
    fn read(&mut self, index: usize) -> Result<Arc<Trace>, String> {
        self.get(index).cloned().map(Arc::new).ok_or_else(|| format!("there is no trace {}", index + 1))
    }
}

/// What the list shows of a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// The problem on one line, cut.
    pub problem: String,
    /// Number of candidates.
    pub candidates: usize,
    /// How many candidates are known to be right, of those known.
    pub correct: Option<(usize, usize)>,
    /// Label of the only candidate, or of the first labelled one.
    pub gold: Option<GoldDeviation>,
    /// Who wrote the candidates, each once, in their order; `None` where nobody is named.
    pub policy: Option<String>,
    /// What a threshold of the file's own log-probabilities is fitted on; empty where it has none.
    pub texts: Vec<FitText>,
    /// It could not be read.
    pub failed: bool,
}

impl Row {
    /// The row of `trace`.
    pub fn of(trace: &Trace) -> Self {
        let judged: Vec<bool> = trace.candidates.iter().filter_map(|c| c.correct).collect();
        Self {
            id: trace.id.clone(),
            problem: trace.problem.split_whitespace().take(60).collect::<Vec<_>>().join(" ").chars().take(240).collect(),
            candidates: trace.candidates.len(),
            correct: (!judged.is_empty()).then(|| (judged.iter().filter(|c| **c).count(), judged.len())),
            gold: trace.candidates.iter().find_map(|c| c.gold),
            policy: policies(trace),
            texts: trace.candidates.iter().filter_map(FitText::of).collect(),
            failed: false,
        }
    }
}

/// Policies that are named in a list.
const POLICIES: usize = 4;

fn policies(trace: &Trace) -> Option<String> {
    let mut named: Vec<&str> = Vec::new();
    for policy in trace.candidates.iter().filter_map(|c| c.policy.as_deref()) {
        if named.len() <= POLICIES && !named.contains(&policy) {
            named.push(policy);
        }
    }
    let more = named.len() > POLICIES;
    named.truncate(POLICIES);
    (!named.is_empty()).then(|| named.join(", ") + if more { ", …" } else { "" })
}

/// A question to the file thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Read a trace whole.
    Trace(usize),
    /// Read what the list shows of these traces.
    Rows(Vec<usize>),
    /// Find the next trace that matches, from `from` on (downwards or upwards), going round.
    Find {
        /// What to look for.
        words: Words,
        /// Where to begin.
        from: usize,
        /// Towards the end.
        forward: bool,
    },
    /// Find every trace that matches; a new filter ends the one before. `None` lists all again.
    Filter(Option<Box<Filter>>),
}

/// What the list is narrowed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Tells one filter from those before it.
    pub number: u64,
    /// What a problem must be like.
    pub query: Query,
    /// How its candidates are looked at.
    pub lens: Lens,
}

/// An answer of the file thread.
#[derive(Clone, Debug)]
pub enum Report {
    /// How many traces are known, and whether that is all.
    Known {
        /// Number.
        len: usize,
        /// That is all.
        complete: bool,
    },
    /// A trace.
    Trace(usize, Result<Arc<Trace>, String>),
    /// A trace that was given before and has got more candidates.
    Grown(usize, Arc<Trace>),
    /// Rows of the list.
    Rows(Vec<(usize, Row)>),
    /// Where the search ended: the match, or `None`.
    Found(Option<usize>),
    /// More matches of the filter.
    Matches {
        /// The number of the filter they are of.
        filter: u64,
        /// Ascending indices.
        indices: Vec<usize>,
        /// How many traces were looked at.
        looked: usize,
        /// Nothing more will come.
        complete: bool,
    },
    /// Something to tell.
    Note(String),
    /// Something went wrong that the user must know.
    Failed(String),
}

/// Words that a trace must have, all of them; case is ignored unless a capital is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// The words of a text.
    pub fn of(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Whether the trace has them, in its name, its problem or its candidates.
    pub fn are_in(&self, trace: &Trace) -> bool {
        self.0.iter().all(|w| {
            let has = |text: &str| find_in(text, w).next().is_some();
            has(&trace.id) || has(&trace.problem) || trace.candidates.iter().any(|c| has(&c.text))
        })
    }
}

/// Byte ranges of `text` that equal `needle`; case is ignored (ASCII) unless the needle has a capital.
pub fn find_in<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
    let exact = needle.chars().any(char::is_uppercase);
    let (hay, pin) = (text.as_bytes(), needle.as_bytes());
    let mut at = 0;
    std::iter::from_fn(move || {
        while !pin.is_empty() && at + pin.len() <= hay.len() {
            let here = &hay[at..at + pin.len()];
            let hit = if exact { here == pin } else { here.eq_ignore_ascii_case(pin) };
            at += if hit { pin.len() } else { 1 };
            if hit && text.is_char_boundary(at - pin.len()) {
                return Some(at - pin.len()..at);
            }
        }
        None
    })
}

/// Starts the file thread; it ends when the sender of questions is dropped.
pub fn spawn(source: Box<dyn TraceSource>, tell: impl Fn(Report) -> bool + Send + 'static) -> std::io::Result<Sender<Ask>> {
    let (asks, questions) = channel();
    std::thread::Builder::new()
        .name("traces".into())
        .spawn(move || Reader { source, tell, known: (0, false), job: None, given: HashSet::new() }.run(&questions))?;
    Ok(asks)
}

struct Reader<F> {
    source: Box<dyn TraceSource>,
    tell: F,
    known: (usize, bool),
    /// The filter, how many traces it has looked at, and whether it was told that these are all.
    job: Option<(Box<Filter>, usize, bool)>,
    /// Traces that were given before all were known.
    given: HashSet<usize>,
}

impl<F: Fn(Report) -> bool> Reader<F> {
    fn run(&mut self, questions: &Receiver<Ask>) {
        loop {
            if !self.tell_known() {
                return;
            }
            let busy = self.job.as_ref().is_some_and(|j| j.1 < self.known.0);
            let wait = Duration::from_millis(match () {
                () if busy => 0,
                () if !self.known.1 => 50,
                () if self.source.follows() => 250,
                () => 3_600_000,
            });
            match questions.recv_timeout(wait) {
                Ok(ask) => {
                    if !self.answer(ask, questions) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if !self.filter_on() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn tell_known(&mut self) -> bool {
        let known = self.source.known();
        let changed = known != self.known;
        self.known = known;
        let told = self.source.notes().into_iter().all(|n| (self.tell)(Report::Note(n)));
        told && (!changed || (self.tell)(Report::Known { len: known.0, complete: known.1 })) && self.tell_grown()
    }

    fn tell_grown(&mut self) -> bool {
        let grown = self.source.grown();
        let rows = grown.iter().map(|&i| (i, self.row(i))).collect::<Vec<_>>();
        (rows.is_empty() || (self.tell)(Report::Rows(rows)))
            && grown.into_iter().filter(|i| self.given.contains(i)).all(|i| match self.source.read(i) {
                Ok(trace) => (self.tell)(Report::Grown(i, trace)),
                Err(_) => true,
            })
    }

    fn answer(&mut self, ask: Ask, questions: &Receiver<Ask>) -> bool {
        match ask {
            Ask::Trace(i) => {
                if !self.known.1 || self.source.follows() {
                    self.given.insert(i);
                }
                (self.tell)(Report::Trace(i, self.source.read(i)))
            }
            Ask::Rows(indices) => {
                let rows = indices.into_iter().map(|i| (i, self.row(i))).collect();
                (self.tell)(Report::Rows(rows))
            }
            Ask::Find { words, from, forward } => {
                let len = self.known.0;
                let mut deferred = None;
                let found = (0..len).map(|k| if forward { (from + k) % len } else { (from + len - k) % len }).find(|&i| {
                    // A newer question makes a long search moot.
                    deferred = deferred.take().or_else(|| questions.try_recv().ok());
                    deferred.is_some() || self.source.read(i).is_ok_and(|t| words.are_in(&t))
                });
                match deferred {
                    Some(ask) => self.answer(ask, questions),
                    None => (self.tell)(Report::Found(found)),
                }
            }
            Ask::Filter(filter) => {
                self.job = filter.map(|f| (f, 0, false));
                self.filter_on()
            }
        }
    }

    fn row(&mut self, index: usize) -> Row {
        match self.source.read(index) {
            Ok(trace) => Row::of(&trace),
            Err(error) => Row { problem: error, failed: true, ..Row::default() },
        }
    }

    fn filter_on(&mut self) -> bool {
        let Some((filter, at, all)) = self.job.take() else { return true };
        let end = (at + 256).min(self.known.0);
        let indices: Vec<usize> =
            (at..end).filter(|&i| self.source.read(i).is_ok_and(|t| filter.query.matches(&t, &filter.lens))).collect();
        let complete = self.known.1 && end == self.known.0;
        // What is followed is told only when something has come.
        let told = at == end && all || (self.tell)(Report::Matches { filter: filter.number, indices, looked: end, complete });
        self.job = (!complete || self.source.follows()).then_some((filter, end, complete));
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Candidate;

    fn trace(id: &str, problem: &str, gold: Option<GoldDeviation>) -> Trace {
        Trace { id: id.into(), problem: problem.into(), candidates: vec![Candidate { gold, ..Candidate::default() }], ..Trace::default() }
    }

    #[test]
    fn all_words_must_occur() {
        let anna = trace("a-1", "Anna has 3 apples", None);
        let has = |t: &str| Words::of(t).are_in(&anna);
        assert!(has("apples anna a-1") && has(""));
        assert!(has("anna") && !has("ANNA"), "a capital makes case count");
        assert!(!has("anna pears"));
    }

    #[test]
    fn matches_do_not_split_characters() {
        assert_eq!(find_in("aé aé", "é").collect::<Vec<_>>(), [1..3, 5..7]);
        assert_eq!(find_in("Step one, STEP two", "step").count(), 2);
        assert_eq!(find_in("x", "").count(), 0);
    }

    #[test]
    fn the_thread_answers_and_ends() {
        let (tx, rx) = channel();
        let traces: Vec<Trace> = (0..600).map(|i| trace(&format!("t-{i}"), if i % 300 == 7 { "needle" } else { "hay" }, None)).collect();
        let asks = spawn(Box::new(traces), move |r| tx.send(r).is_ok()).expect("thread");
        asks.send(Ask::Find { words: Words::of("needle"), from: 8, forward: true }).expect("ask");
        let filter = Filter { number: 1, query: Query::parse("needle").expect("a word"), lens: Lens::default() };
        asks.send(Ask::Filter(Some(Box::new(filter)))).expect("ask");
        let mut found = None;
        let mut all = Vec::new();
        for report in rx.iter() {
            match report {
                Report::Found(i) => found = i,
                Report::Matches { indices, complete, .. } => {
                    all.extend(indices);
                    if complete {
                        break;
                    }
                }
                _ => {}
            }
        }
        assert!(found == Some(307) || found.is_none(), "a newer question may end a search");
        assert_eq!(all, [7, 307]);
        drop(asks);
        assert!(rx.iter().count() < 2, "the thread ends with the sender");
    }
}
