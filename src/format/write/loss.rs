//! What a format cannot say of traces, found by reading its records again.

use super::pieces::{bare, has_outside};
use super::target::Target;
use crate::answer::Question;
use crate::trace::{Candidate, FinishReason, StepKind, Token, Trace};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Something that is lost, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// The problem's own name.
    Names,
    /// The problem's text, as it was.
    Problems,
    /// The reference answer.
    References,
    /// The candidate's text, as it was.
    Texts,
    /// What stands outside of the steps.
    Outside,
    /// Spaces and line feeds between the steps.
    Spacing,
    /// Where steps begin and end.
    Cuts,
    /// Which steps are the answer.
    Kinds,
    /// Labels of single steps.
    Labels,
    /// The labelled first wrong step.
    FirstWrong,
    /// The policy's tokens.
    Tokens,
    /// Ids of tokens.
    TokenIds,
    /// Log-probabilities.
    Logprobs,
    /// Entropies.
    Entropies,
    /// The final answer.
    Answers,
    /// Whether the answer is right.
    Verdicts,
    /// Who wrote the text.
    Policies,
    /// Why the text ended.
    Ends,
    /// The predicted first deviation.
    Deviations,
    /// Values of single steps or tokens of a signal, of which one for the candidate is kept.
    Values,
}

impl Lost {
    /// What it is, for people: of problems, or of candidates.
    fn words(self) -> (&'static str, &'static str) {
        const OF_PROBLEMS: &str = "problem";
        const OF_CANDIDATES: &str = "candidate";
        let what = match self {
            Self::Names => return ("names", OF_PROBLEMS),
            Self::Problems => return ("exact texts", OF_PROBLEMS),
            Self::References => return ("reference answers", OF_PROBLEMS),
            Self::Texts => "exact texts",
            Self::Outside => "text outside of the steps",
            Self::Spacing => "spacing between the steps",
            Self::Cuts => "where steps begin and end",
            Self::Kinds => "which steps are the answer",
            Self::Labels => "labels of single steps",
            Self::FirstWrong => "labelled first wrong steps",
            Self::Tokens => "tokens",
            Self::TokenIds => "ids of tokens",
            Self::Logprobs => "log-probabilities",
            Self::Entropies => "entropies",
            Self::Answers => "final answers",
            Self::Verdicts => "verdicts",
            Self::Policies => "names of policies",
            Self::Ends => "reasons why texts ended",
            Self::Deviations => "predicted first deviations",
            Self::Values => "values of single steps and tokens",
        };
        (what, OF_CANDIDATES)
    }
}

/// Names that are listed; the others are counted.
const NAMED: usize = 8;

/// What is lost, and of how many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses {
    /// Of so many problems or candidates.
    pub counts: BTreeMap<Lost, usize>,
    /// Signals by name, of so many candidates.
    pub signals: BTreeMap<String, usize>,
    /// Fields that this program does not know, of so many candidates.
    pub fields: BTreeMap<String, usize>,
}

impl Losses {
    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.signals.is_empty() && self.fields.is_empty()
    }

    /// What is lost, for people.
    pub fn words(&self) -> Vec<String> {
        let count = |(lost, n): (&Lost, &usize)| {
            let (what, of) = lost.words();
            format!("{what} of {n} {of}{}", if *n == 1 { "" } else { "s" })
        };
        let named = |what: &str, names: &BTreeMap<String, usize>| {
            let most = names.values().max()?;
            let shown: Vec<String> = names.keys().take(NAMED).map(|n| format!("`{n}`")).collect();
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (s, c) = (if names.len() == 1 { "" } else { "s" }, if *most == 1 { "" } else { "s" });
            Some(format!("{what}{s} {}{more} of {most} candidate{c}", shown.join(", ")))
        };
        let (signals, fields) = (named("the signal", &self.signals), named("the further field", &self.fields));
        self.counts.iter().map(count).chain(signals).chain(fields).collect()
    }

    /// Counts what a record lost: the problem once, by what was read again of it, and each of its candidates.
    pub(super) fn record(&mut self, target: Target, trace: &Trace, first: bool, again: &Trace, pairs: &[(&Candidate, &Candidate)]) {
        if first {
            self.count(Lost::Names, again.id != trace.id && has_own_name(trace));
            self.count(Lost::Problems, again.problem != trace.problem);
            self.count(Lost::References, trace.gold_answer.is_some() && again.gold_answer != trace.gold_answer);
        }
        for (c, a) in pairs {
            self.text(target, c, a);
            self.said(c, again, a);
        }
    }

    pub(super) fn count(&mut self, what: Lost, lost: bool) {
        if lost {
            *self.counts.entry(what).or_default() += 1;
        }
    }

    /// Text and steps.
    fn text(&mut self, target: Target, c: &Candidate, a: &Candidate) {
        let cut = |c: &Candidate| c.steps.iter().map(|s| (s.span.start, s.span.of(&c.text).trim().len())).collect::<Vec<_>>();
        let squashed = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let shepherd = target == Target::MathShepherd;
        if c.text == a.text {
            self.count(Lost::Cuts, cut(c) != cut(a));
        } else if shepherd || bare(c) == bare(a) {
            // A record of Math-Shepherd that says other steps is not written.
            let outside = has_outside(c) && !(shepherd && c.text.trim_end() == a.text);
            self.count(if outside { Lost::Outside } else { Lost::Spacing }, outside || !shepherd);
        } else if squashed(&c.text) == squashed(&a.text) {
            self.count(Lost::Cuts, true);
        } else {
            self.count(Lost::Texts, true);
        }
        let answers = |c: &Candidate| c.steps.iter().map(|s| s.kind == StepKind::Answer).collect::<Vec<_>>();
        self.count(Lost::Kinds, c.steps.iter().any(|s| s.kind == StepKind::Answer) && answers(c) != answers(a));
        let labels = |c: &Candidate| c.steps.iter().map(|s| s.label).collect::<Vec<_>>();
        self.count(
            Lost::Labels,
            c.steps.iter().zip(labels(a).into_iter().chain(std::iter::repeat(None))).any(|(s, l)| s.label.is_some() && s.label != l),
        );
        self.count(Lost::FirstWrong, c.gold.is_some() && a.gold != c.gold);
    }

    /// What is said of a candidate beside its text.
    fn said(&mut self, c: &Candidate, again: &Trace, a: &Candidate) {
        let differ = |of: &dyn Fn(&Token) -> Option<u64>| {
            c.tokens
                .iter()
                .zip(a.tokens.iter().map(Some).chain(std::iter::repeat(None)))
                .any(|(c, a)| of(c).is_some() && a.and_then(of) != of(c))
        };
        let spans = |c: &Candidate| c.tokens.iter().map(|t| t.span).collect::<Vec<_>>();
        if !c.tokens.is_empty() && (a.tokens.is_empty() || spans(a) != spans(c)) {
            self.count(Lost::Tokens, true);
        } else {
            self.count(Lost::TokenIds, differ(&|t| t.id.map(u64::from)));
            self.count(Lost::Logprobs, differ(&|t| t.logprob.map(|l| l.to_bits().into())));
            self.count(Lost::Entropies, differ(&|t| t.entropy.map(|e| e.to_bits().into())));
        }
        // What the text itself says is read off it again.
        let judged = || Question::of(None, &again.problem, again.gold_answer.as_deref()).judge(&a.text, a.is_cut());
        if c.answer.is_some() && a.answer != c.answer {
            self.count(Lost::Answers, a.answer.is_some() || judged().answer != c.answer);
        }
        if c.correct.is_some() && a.correct != c.correct {
            let ended = a.answer.is_some() || a.finish == Some(FinishReason::Stop);
            let read = || judged().correct.filter(|_| ended || judged().answer.is_some());
            self.count(Lost::Verdicts, a.correct.is_some() || read() != c.correct);
        }
        self.count(Lost::Policies, c.policy.is_some() && a.policy != c.policy);
        self.count(Lost::Ends, c.finish.is_some() && a.finish != c.finish);
        self.count(Lost::Deviations, c.deviation.is_some() && a.deviation != c.deviation);
        self.names(c, |name| a.signal(name).is_some_and(|s| s.has_values()));
        if a.extra != c.extra {
            self.fields(c);
        }
    }

    /// The signals with values of which `kept` does not hold.
    pub(super) fn names(&mut self, c: &Candidate, kept: impl Fn(&str) -> bool) {
        for signal in c.signals.iter().filter(|s| s.has_values() && !kept(&s.name)) {
            *self.signals.entry(signal.name.clone()).or_default() += 1;
        }
    }

    /// The fields that this program does not know; where a record first came from is none of them.
    pub(super) fn fields(&mut self, c: &Candidate) {
        let extra: Map<String, Value> = c.extra.as_deref().and_then(|e| serde_json::from_str(e).ok()).unwrap_or_default();
        for (name, _) in extra.into_iter().filter(|(name, _)| name != "source") {
            *self.fields.entry(name).or_default() += 1;
        }
    }
}

/// Whether a problem's name came with its file, and was not made from its place in it.
fn has_own_name(trace: &Trace) -> bool {
    let made = |s: &crate::trace::Source| trace.id == format!("{}-{}", s.format, s.line.saturating_sub(1));
    !trace.id.is_empty() && !trace.source.as_ref().is_some_and(made)
}
