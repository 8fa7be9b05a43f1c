//! How far a task's grader agrees with verdicts that came with candidates.

use super::{Problem, Task};
use crate::trace::Trace;
use serde::Serialize;
use std::collections::BTreeMap;

/// Bytes of a candidate's end that an example shows.
const TAIL: usize = 160;

/// How grader and stored verdict differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disagreement {
    /// Stored as right; the grader finds no answer.
    RightButNoAnswer,
    /// Stored as right; the grader finds an answer that is not the reference.
    RightButOtherAnswer,
    /// Stored as wrong; the grader finds the reference answer, which the stored answer is not.
    WrongButAnswerRead,
    /// Stored as wrong, though the stored answer is the reference answer, too.
    WrongThoughStoredAnswerIsRight,
    /// Stored as wrong without a stored answer; the grader finds the reference answer.
    WrongWithoutStoredAnswer,
}

impl Disagreement {
    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::RightButNoAnswer => "stored as right, no answer found",
            Self::RightButOtherAnswer => "stored as right, another answer found",
            Self::WrongButAnswerRead => "stored as wrong with another answer, reference answer found",
            Self::WrongThoughStoredAnswerIsRight => "stored as wrong though the stored answer is the reference",
            Self::WrongWithoutStoredAnswer => "stored as wrong without an answer, reference answer found",
        }
    }
}

/// A candidate on which grader and stored verdict differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// How.
    pub kind: Disagreement,
    /// Where the trace was read, `file:line`.
    pub place: String,
    /// The trace.
    pub id: String,
    /// 0-based.
    pub candidate: usize,
    /// Who wrote it.
    pub policy: Option<String>,
    /// Reference answer.
    pub gold: String,
    /// The answer that came with it.
    pub stored: Option<String>,
    /// The answer that the grader reads off the text.
    pub found: Option<String>,
    /// The end of the text.
    pub tail: String,
}

/// Counts over candidates with a verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Agreement {
    task: Task,
    /// Candidates that were graded.
    pub graded: usize,
    /// Of those, how many the grader judges as the stored verdict does.
    pub agree: usize,
    /// Candidates without a stored verdict.
    pub without_verdict: usize,
    /// Candidates with one that the grader cannot judge: their trace has no reference answer.
    pub without_reference: usize,
    /// Candidates with one that the grader does not judge: they were cut off before they marked an answer.
    pub unfinished: usize,
    /// Of the graded candidates, how many are right by the stored verdict.
    pub stored_right: usize,
    /// … by the marked answer, the grader's own verdict (`strict-match`).
    pub strict_right: usize,
    /// … by the last number or option letter of those that mark no answer, too (`flexible-extract`).
    pub flexible_right: usize,
    /// How many the flexible reading judges as the stored verdict does.
    pub flexible_agree: usize,
    /// Disagreements by kind.
    pub kinds: BTreeMap<Disagreement, usize>,
    /// The first of every kind.
    pub examples: Vec<Example>,
    #[serde(skip)]
    keep: usize,
}

impl Agreement {
    /// Nothing counted yet; of every kind of disagreement the first `keep` are kept.
    pub fn new(task: Task, keep: usize) -> Self {
        let (kinds, examples) = (BTreeMap::new(), Vec::new());
        Self {
            task,
            graded: 0,
            agree: 0,
            without_verdict: 0,
            without_reference: 0,
            unfinished: 0,
            stored_right: 0,
            strict_right: 0,
            flexible_right: 0,
            flexible_agree: 0,
            kinds,
            examples,
            keep,
        }
    }

    /// The part on which both agree; `None` where nothing was graded.
    pub fn share(&self) -> Option<f64> {
        (self.graded > 0).then(|| self.agree as f64 / self.graded as f64)
    }

    /// Grades the candidates of a trace.
    pub fn add(&mut self, trace: &Trace) {
        let problem = Problem { id: trace.id.clone(), text: trace.problem.clone(), gold: trace.gold_answer.clone(), ..Problem::default() };
        for (i, c) in trace.candidates.iter().enumerate() {
            let Some(verdict) = c.correct else {
                self.without_verdict += 1;
                continue;
            };
            let judged = self.task.judge(&problem, &c.text, c.is_cut());
            let Some(grade) = judged.correct else {
                match c.is_cut() && problem.gold.is_some() {
                    true => self.unfinished += 1,
                    false => self.without_reference += 1,
                }
                continue;
            };
            self.graded += 1;
            self.stored_right += usize::from(verdict);
            self.strict_right += usize::from(grade);
            self.flexible_right += usize::from(judged.flexible == Some(true));
            self.flexible_agree += usize::from(judged.flexible == Some(verdict));
            if grade == verdict {
                self.agree += 1;
                continue;
            }
            let found = judged.answer;
            let kind = match (verdict, &c.answer) {
                (true, _) if found.is_none() => Disagreement::RightButNoAnswer,
                (true, _) => Disagreement::RightButOtherAnswer,
                (false, None) => Disagreement::WrongWithoutStoredAnswer,
                // as a completion that says nothing else
                (false, Some(stored)) if self.task.grade(&problem, &format!("The answer is {stored}")) == Some(true) => {
                    Disagreement::WrongThoughStoredAnswerIsRight
                }
                (false, Some(_)) => Disagreement::WrongButAnswerRead,
            };
            let count = self.kinds.entry(kind).or_default();
            *count += 1;
            if *count <= self.keep {
                let place = trace.source.as_ref().map(|s| format!("{}:{}", s.path, s.line)).unwrap_or_default();
                let gold = problem.gold.clone().unwrap_or_default();
                let (id, policy, stored) = (trace.id.clone(), c.policy.clone(), c.answer.clone());
                self.examples.push(Example { kind, place, id, candidate: i, policy, gold, stored, found, tail: tail(&c.text) });
            }
        }
    }
}

fn tail(text: &str) -> String {
    let text = text.trim_end();
    let start = (text.len().saturating_sub(TAIL)..text.len()).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len());
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Candidate, FinishReason};

    #[test]
    fn every_kind_is_counted() {
        let c = |text: &str, answer: Option<&str>, correct: Option<bool>| Candidate {
            text: text.into(),
            answer: answer.map(Into::into),
            correct,
            ..Candidate::default()
        };
        let candidates = vec![
            c("#### 4", None, Some(true)),
            c("#### 5", None, Some(false)),
            c("four", Some("4"), Some(true)),
            c("#### 5", Some("4"), Some(true)),
            c("#### 4", Some("5"), Some(false)),
            c("#### 4", Some("4.0"), Some(false)),
            c("#### 4", None, Some(false)),
            c("#### 4", None, None),
        ];
        let trace = Trace { id: "t".into(), gold_answer: Some("4".into()), candidates, ..Trace::default() };
        let mut a = Agreement::new(Task::Gsm8k, 1);
        a.add(&trace);
        a.add(&Trace { gold_answer: None, ..trace.clone() });
        assert_eq!((a.graded, a.agree, a.without_verdict, a.without_reference), (7, 2, 2, 7));
        // `four` has no number; the others mark an answer.
        assert_eq!((a.stored_right, a.strict_right, a.flexible_right, a.flexible_agree, a.unfinished), (3, 4, 4, 2, 0));
        let cut = Candidate { finish: Some(FinishReason::Length), ..c("so 4", None, Some(true)) };
        let whole = c("so 4", None, Some(true));
        a.add(&Trace { gold_answer: Some("4".into()), candidates: vec![cut, whole], ..Trace::default() });
        assert_eq!((a.graded, a.unfinished, a.strict_right, a.flexible_right, a.flexible_agree), (8, 1, 4, 5, 3));
        let mut a = Agreement::new(Task::Gsm8k, 1);
        a.add(&trace);
        assert!(a.kinds.len() == 5 && a.kinds.values().all(|n| *n == 1) && a.examples.len() == 5);
        assert!((a.share().unwrap() - 2.0 / 7.0).abs() < 1e-12 && Agreement::new(Task::Gsm8k, 1).share().is_none());
        assert_eq!(a.examples[0].stored.as_deref(), Some("4"));
    }

    #[test]
    fn tails_end_on_characters() {
        assert_eq!(tail("ab\n"), "ab");
        assert!(tail(&"é".repeat(200)).len() <= TAIL);
    }
}
