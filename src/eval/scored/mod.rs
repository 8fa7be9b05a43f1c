//! What the metrics read: candidates with their outcome, their labelled first error and what every signal says of them.

mod column;
mod values;

pub use column::{Column, Says};
pub use values::{Readings, known};

use crate::answer::{Ballot, Kind, Question};
use crate::reward::worst;
use crate::trace::{Candidate, GoldDeviation, Granularity, Reading, Trace};
use values::read;

/// One problem with its scored candidates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoredTrace {
    /// Identity of the problem.
    pub id: String,
    /// The candidates, in the order in which they were sampled.
    pub candidates: Vec<ScoredCandidate>,
    /// Whether the policy's greedy completion, which is none of the candidates, is right; `None` where it was not asked for one.
    pub greedy: Option<bool>,
}

/// One scored candidate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoredCandidate {
    /// Whether the final answer is right; `false` where that is not known.
    pub correct: bool,
    /// Whether it is not known if the final answer is right: there is nothing to compare with, or the text was cut off before it marked one.
    pub unknown: bool,
    /// Whether the answer that the text marks is the reference (`strict-match`); `None` where nobody looked or could. Rows do not keep it.
    pub strict: Option<bool>,
    /// The same where a text that marks none is read for its last number or option letter (`flexible-extract`).
    pub flexible: Option<bool>,
    /// Whether the first error is known; localisation passes over the others.
    pub labelled: bool,
    /// 0-based first wrong step; `None`: every step is right. `n_steps` stands for a missing step at the end, which no method can mark.
    pub first_error: Option<usize>,
    /// Number of steps.
    pub n_steps: usize,
    /// Number of policy tokens.
    pub n_tokens: usize,
    /// Final answer. Those of one problem that say the same are written alike, as [`ScoredTrace::from_trace`] does: votes go by the text.
    pub answer: Option<String>,
    /// What people or a checker say of each step on its own: 1 right, 0 neither (a PRM800K rating), −1 wrong.
    pub step_labels: Vec<Option<i8>>,
    /// Kind of the candidate where results are split by it, for example the corruption or PRMBench's class.
    pub class: Option<String>,
    /// What every signal says under each of its readings.
    pub readings: Readings,
}

impl ScoredCandidate {
    /// Reads a candidate under every reading of every signal; a reward model's under `granularity`. One whose outcome is unknown counts as wrong.
    pub fn from_candidate(candidate: &Candidate, granularity: Granularity) -> Self {
        Self {
            correct: candidate.correct == Some(true),
            unknown: candidate.correct.is_none(),
            strict: None,
            flexible: None,
            labelled: candidate.gold.is_some(),
            first_error: match candidate.gold {
                Some(GoldDeviation::Step(step)) => Some(step),
                Some(GoldDeviation::None) | None => None,
            },
            n_steps: candidate.steps.len(),
            n_tokens: candidate.tokens.len(),
            answer: candidate.answer.clone(),
            step_labels: candidate.ratings(),
            class: None,
            readings: read(candidate, granularity),
        }
    }

    /// What it is read under.
    pub fn columns(&self) -> &[Column] {
        &self.readings.columns
    }

    fn at(&self, reading: &Reading) -> Option<usize> {
        let same = |c: &Column| {
            c.reading.statistic == reading.statistic && c.reading.tokens == reading.tokens && c.reading.signal == reading.signal
        };
        self.readings.columns.iter().position(same)
    }

    /// A column with its steps and its whole, turned so that high is good, NaN where they are not known; `None` where it is not read so.
    pub fn entry(&self, reading: &Reading) -> Option<(&Column, &[f32], f32)> {
        let at = self.at(reading)?;
        let (whole, steps) = self.readings.row(at).split_last()?;
        Some((&self.readings.columns[at], steps, *whole))
    }

    /// One value a step under a reading, turned so that high is good, NaN where it is not known; empty where nothing is.
    pub fn steps(&self, reading: &Reading) -> &[f32] {
        self.entry(reading).map_or(&[], |e| e.1)
    }

    /// The least of its steps' values under a reading, the worst of them; `None` where none is known.
    pub fn worst_step(&self, reading: &Reading) -> Option<f32> {
        worst(self.steps(reading).iter().copied().filter(|v| !v.is_nan()))
    }

    /// Whether a step has a value under a reading.
    pub fn has_steps(&self, reading: &Reading) -> bool {
        self.steps(reading).iter().any(|v| !v.is_nan())
    }

    /// The value of the whole under a reading, turned so that high is good: the statistic over all its tokens, or what the file says of it. `None` where it is
    /// not known.
    #[cfg(test)]
    pub fn whole(&self, reading: &Reading) -> Option<f32> {
        self.entry(reading).map(|e| e.2).filter(|v| !v.is_nan())
    }

    /// How long it is: its policy tokens; its steps where there are no tokens.
    pub fn length(&self) -> usize {
        if self.n_tokens > 0 { self.n_tokens } else { self.n_steps }
    }

    /// Adds a column, in place of the one of the same reading. `steps`: turned so that high is good, NaN where it is not known; fewer than there are steps
    /// mean that the last ones are not known.
    pub fn put(&mut self, column: Column, steps: &[f32], whole: f32) {
        let n = self.n_steps;
        let mut columns: Vec<Column> = self.readings.columns.to_vec();
        let mut values = self.readings.values.to_vec();
        if let Some(old) = self.at(&column.reading) {
            columns.remove(old);
            values.drain(old * (n + 1)..(old + 1) * (n + 1));
        }
        columns.push(column);
        values.extend((0..n).map(|i| steps.get(i).copied().unwrap_or(f32::NAN)));
        values.push(whole);
        self.readings = Readings::new(columns, values);
    }

    /// Reads it under these columns alone. `values`: for each its steps, [`n_steps`](Self::n_steps) of them, then the whole; turned so that high is good,
    /// NaN where they are not known. Values that do not fit are left out.
    pub fn set(&mut self, columns: Vec<Column>, values: Vec<f32>) {
        if values.len() == columns.len() * (self.n_steps + 1) {
            self.readings = Readings::new(columns, values);
        }
    }

    /// Leaves out the columns that are not wanted.
    pub fn keep(&mut self, wanted: impl Fn(&Column) -> bool) {
        let kept: Vec<usize> = (0..self.readings.columns.len()).filter(|&i| wanted(&self.readings.columns[i])).collect();
        if kept.len() < self.readings.columns.len() {
            let values = kept.iter().flat_map(|&i| self.readings.row(i)).copied().collect();
            let columns: Vec<Column> = kept.iter().map(|&i| self.readings.columns[i].clone()).collect();
            self.readings = Readings::new(columns, values);
        }
    }
}

impl ScoredTrace {
    /// A problem with its candidates, and no greedy completion.
    pub fn new(id: impl Into<String>, candidates: Vec<ScoredCandidate>) -> Self {
        Self { id: id.into(), candidates, greedy: None }
    }

    /// Reads a trace; its rewards under `granularity`. Answers are compared as those of a `kind`; `None`: the kind that the reference answer shows.
    pub fn from_trace(trace: &Trace, granularity: Granularity, kind: Option<Kind>) -> Self {
        let question = Question::of(kind, &trace.problem, trace.gold_answer.as_deref());
        let ballot = Ballot::new(&question, &trace.id, trace.candidates.iter().map(|c| c.answer.as_deref()));
        let read = |(i, c): (usize, &Candidate)| ScoredCandidate {
            answer: ballot.answer_of(i).map(str::to_owned),
            ..ScoredCandidate::from_candidate(c, granularity)
        };
        Self::new(&trace.id, trace.candidates.iter().enumerate().map(read).collect())
    }

    /// Who gives the same answer.
    pub fn ballot(&self) -> Ballot {
        Ballot::alike(&self.id, self.candidates.iter().map(|c| c.answer.as_deref()))
    }

    /// Indices of all candidates.
    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.candidates.len()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{CHARACTERS, DIGITS, POSITION, TOKENS};
    use crate::trace::{Signal, Span, Step, Token, TokenValue};

    fn reading(text: &str) -> Reading {
        text.parse().unwrap()
    }

    #[test]
    fn a_candidate_is_read_whole() {
        let spans = [Span::new(0, 1), Span::new(1, 2), Span::new(2, 3)];
        let token = |i: usize| Token { id: None, span: spans[i], logprob: Some(-(i as f32)), entropy: Some(i as f32) };
        let candidate = Candidate {
            text: "a\n7".into(),
            steps: vec![Step { span: spans[0], label: Some(1.0), ..Step::default() }, Step { span: spans[2], ..Step::default() }],
            tokens: (0..3).map(token).collect(),
            gold: Some(GoldDeviation::Step(1)),
            correct: Some(false),
            answer: Some("7".into()),
            signals: vec![
                Signal::given_steps("given", vec![Some(0.5), None]),
                Signal::given("pred_score", 0.75),
                Signal::given("none", f32::NAN),
            ],
            ..Candidate::default()
        }
        .with_rewards((0..3).map(|i| TokenValue { span: spans[i], value: 1.0 - i as f32 }).collect());
        let scored = ScoredCandidate::from_candidate(&candidate, Granularity::Dense);
        assert_eq!((scored.n_steps, scored.n_tokens, scored.length()), (2, 3, 3));
        assert_eq!((scored.labelled, scored.first_error, scored.correct), (true, Some(1), false));
        let columns: Vec<String> = scored.columns().iter().map(|c| c.reading.to_string()).collect();
        let expected = [
            "given",
            "pred_score",
            "reward.sum",
            "reward.mean",
            "reward.min",
            "reward.last",
            "logprob.sum",
            "logprob.mean",
            "logprob.min",
            "logprob.digits.sum",
            "logprob.digits.min",
            "entropy.sum",
            "entropy.mean",
            "entropy.max",
            "surprisal.sum",
            TOKENS,
            CHARACTERS,
            DIGITS,
            POSITION,
        ];
        assert_eq!(columns, expected);
        // The separator counts for the step it precedes. High is good: an entropy and a length are turned.
        for (name, values, whole) in [
            ("reward.min", [1.0, -1.0], None),
            ("reward.sum", [1.0, -1.0], None),
            ("reward.last", [1.0, -1.0], None),
            ("logprob.sum", [0.0, -3.0], Some(-3.0)),
            ("logprob.mean", [0.0, -1.5], Some(-1.0)),
            ("logprob.digits.sum", [0.0, -2.0], Some(-2.0)),
            ("entropy.max", [0.0, -2.0], Some(-2.0)),
            ("entropy.mean", [0.0, -1.5], Some(-1.0)),
            (TOKENS, [-1.0, -2.0], None),
            (CHARACTERS, [-1.0, -1.0], None),
            (DIGITS, [0.0, -1.0], None),
            (POSITION, [-1.0, -2.0], None),
        ] {
            assert_eq!((scored.steps(&reading(name)), scored.whole(&reading(name))), (&values[..], whole), "{name}");
        }
        assert_eq!((known(scored.steps(&reading("given"))), scored.whole(&reading("pred_score"))), (vec![Some(0.5), None], Some(0.75)));
        assert!(scored.steps(&reading("reward.max")).is_empty() && scored.whole(&reading("none")).is_none());
        let main: Vec<&str> = scored.columns().iter().filter(|c| c.main).map(|c| c.reading.signal.as_str()).collect();
        assert_eq!(
            main,
            ["given", "pred_score", "reward", "logprob", "entropy", "surprisal", TOKENS, CHARACTERS, DIGITS, POSITION],
            "one a signal"
        );
        assert_eq!(scored.step_labels, [Some(1), None]);
        let mut unknown = candidate;
        unknown.steps[0].label = Some(0.0);
        assert_eq!(ScoredCandidate::from_candidate(&unknown, Granularity::Dense).step_labels, [Some(-1), None]);
        unknown.steps[1].label = Some(-1.0);
        assert_eq!(ScoredCandidate::from_candidate(&unknown, Granularity::Dense).step_labels, [Some(0), Some(-1)]);
        unknown.tokens[1].logprob = None;
        unknown.gold = None;
        let scored = ScoredCandidate::from_candidate(&unknown, Granularity::Dense);
        assert_eq!((scored.whole(&reading("logprob.sum")), scored.labelled), (None, false));
        assert_eq!(known(scored.steps(&reading("logprob.sum"))), [Some(0.0), None]);
    }

    #[test]
    fn columns_are_put_shared_and_left_out() {
        let mut c = ScoredCandidate { n_steps: 2, ..ScoredCandidate::default() };
        c.put(Column::steps(reading("a"), Says::Check), &[1.0], f32::NAN);
        c.put(Column::steps(reading("b.sum"), Says::Model), &[3.0, 4.0], 5.0);
        assert_eq!(
            (known(c.steps(&reading("a"))), c.steps(&reading("b.sum")), c.whole(&reading("b.sum"))),
            (vec![Some(1.0), None], &[3.0, 4.0][..], Some(5.0))
        );
        c.put(Column::steps(reading("a"), Says::Check), &[7.0, 8.0], 9.0);
        assert_eq!((c.steps(&reading("a")), c.columns().len()), (&[7.0, 8.0][..], 2));
        let mut other = ScoredCandidate { n_steps: 2, ..ScoredCandidate::default() };
        let (columns, values) = (c.columns().to_vec(), vec![3.0, 4.0, 5.0, 7.0, 8.0, 9.0]);
        other.set(columns, values);
        assert!(std::ptr::eq(c.columns(), other.columns()) && c == other, "what is the same is held once");
        c.keep(|column| column.is_reward());
        assert_eq!((c.columns().len(), c.steps(&reading("b.sum")), c.steps(&reading("a")).len()), (1, &[3.0, 4.0][..], 0));
    }

    #[test]
    fn kinds_of_candidates_that_alternate_share_their_columns() {
        let of = |kind: usize| {
            let mut c = ScoredCandidate { n_steps: 1, ..ScoredCandidate::default() };
            c.put(Column::steps(Reading::of(format!("alternates {kind}")), Says::Check), &[1.0], f32::NAN);
            c
        };
        let all: Vec<ScoredCandidate> = (0..12).map(|i| of(i % 3)).collect();
        for (i, c) in all.iter().enumerate().skip(3) {
            assert!(std::ptr::eq(c.columns(), all[i - 3].columns()), "{i}");
        }
        assert_ne!(all[0].columns(), all[1].columns());
    }
}
