//! One opened problem: its candidates, and what the rewards say about them.

use crate::trace::{
    Aggregation, Calibration, Candidate, Deviation, FinishReason, GoldDeviation, Granularity, Rule, Span, Step, Trace, TraceEvent,
    aggregate, detect, step_rewards,
};
use crate::tui::{Grade, Settings, WrapCache};

/// Where the candidates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Recorded,
    Live,
}

/// What the tokens are coloured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heat {
    Off,
    Reward,
    LogProb,
    Entropy,
}

/// Where the user looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub candidate: usize,
    /// Shared by all candidates: they scroll together.
    pub step: usize,
    /// Index into the candidate's tokens, or its rewards where it has none.
    pub token: Option<usize>,
}

/// What is derived of one candidate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// One a step.
    pub rewards: Vec<Option<f32>>,
    /// The rule's own values, one a step.
    pub values: Vec<Option<f32>>,
    pub reward: Option<f32>,
    pub deviation: Option<Deviation>,
    /// 1 is best; 0 where there is no reward.
    pub rank: usize,
    pub wide: WrapCache,
    pub narrow: WrapCache,
    pub stale: bool,
}

/// One answer and who gave it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vote {
    pub answer: String,
    pub candidates: Vec<usize>,
    /// Sum of the weights, in [0, 1] over all answers.
    pub weight: f32,
}

/// How rewards are coloured: the pivot is neutral, `range` away from it is the end of the scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub pivot: f32,
    pub range: f32,
}

impl Scale {
    /// Place of a reward on the scale, −1 to 1.
    pub fn place(self, reward: f32) -> f32 {
        ((reward - self.pivot) / self.range).clamp(-1.0, 1.0)
    }
}

/// An opened problem.
#[derive(Clone, Debug)]
pub(crate) struct Doc {
    pub origin: Origin,
    pub trace: Trace,
    pub seen: Vec<Seen>,
    /// Candidates, best first; those without a reward last.
    pub order: Vec<usize>,
    pub votes: Vec<Vote>,
    pub scale: Scale,
    pub cursor: Cursor,
    /// First visible row of the trace view.
    pub top: usize,
    /// Rows of the selected step that are scrolled out, in the compare view.
    pub skip: usize,
    /// The selected step is to be brought into view.
    pub reveal: bool,
    /// Show the end of what is being written.
    pub follow: bool,
    /// Rewards were asked for.
    pub asked: bool,
    /// Settings the derived values were made with.
    made: Option<Made>,
}

#[derive(Clone, Debug, PartialEq)]
struct Made {
    granularity: Granularity,
    aggregation: Aggregation,
    rule: Rule,
    calibration: Calibration,
}

impl Doc {
    pub fn new(origin: Origin, trace: Trace) -> Self {
        let seen = trace.candidates.iter().map(|_| Seen { stale: true, ..Seen::default() }).collect();
        Self {
            origin,
            trace,
            seen,
            order: Vec::new(),
            votes: Vec::new(),
            scale: Scale { pivot: 0.0, range: 1.0 },
            cursor: Cursor::default(),
            top: 0,
            skip: 0,
            reveal: true,
            follow: origin == Origin::Live,
            asked: false,
            made: None,
        }
    }

    /// The selected candidate.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.trace.candidates.get(self.cursor.candidate)
    }

    pub fn seen_now(&self) -> Option<&Seen> {
        self.seen.get(self.cursor.candidate)
    }

    /// Number of steps of the longest candidate, an unfinished one included.
    pub fn steps(&self) -> usize {
        self.trace.candidates.iter().map(|c| c.steps.len()).max().unwrap_or(0)
    }

    /// Spans of what the token cursor walks over: the policy's tokens, or else the reward model's.
    pub fn units(candidate: &Candidate) -> Vec<Span> {
        if candidate.tokens.is_empty() {
            candidate.rewards.iter().map(|r| r.span).collect()
        } else {
            candidate.tokens.iter().map(|t| t.span).collect()
        }
    }

    /// The step that holds a span, or the next one.
    pub fn step_of(candidate: &Candidate, span: Span) -> usize {
        let last = span.end.saturating_sub(1).max(span.start);
        candidate.steps.iter().position(|s| last < s.span.end).unwrap_or(candidate.steps.len().saturating_sub(1))
    }

    /// Applies what a policy or a reward model says.
    pub fn apply(&mut self, event: TraceEvent, grade: Option<&Grade>) {
        let (TraceEvent::Started { candidate }
        | TraceEvent::Tokens { candidate, .. }
        | TraceEvent::Rewards { candidate, .. }
        | TraceEvent::Finished { candidate, .. }) = event;
        let Some(target) = self.trace.candidates.get_mut(candidate) else { return };
        if let Some(seen) = self.seen.get_mut(candidate) {
            seen.stale = true;
        }
        match event {
            TraceEvent::Started { .. } => *target = Candidate::default(),
            TraceEvent::Tokens { text, tokens, .. } => {
                target.text.push_str(&text);
                target.tokens.extend(tokens);
                target.steps = lines(&target.text);
            }
            TraceEvent::Rewards { from, rewards, .. } => {
                target.rewards.truncate(from);
                target.rewards.extend(rewards);
            }
            TraceEvent::Finished { reason, .. } => {
                if let Some(grade) = grade.filter(|_| !matches!(reason, FinishReason::Failed(_) | FinishReason::Cancelled)) {
                    let graded = grade(&target.text, self.trace.gold_answer.as_deref());
                    (target.answer, target.correct) = (graded.answer, graded.correct);
                }
                target.finish = Some(reason);
            }
        }
    }

    /// Brings the derived values up to date with candidates and settings.
    pub fn refresh(&mut self, settings: &Settings, calibration: &Calibration) {
        let made = Made {
            granularity: settings.granularity,
            aggregation: settings.aggregation,
            rule: settings.rule,
            calibration: calibration.clone(),
        };
        let all = self.made.as_ref() != Some(&made);
        if !all && self.seen.iter().all(|s| !s.stale) {
            return;
        }
        for (candidate, seen) in self.trace.candidates.iter().zip(&mut self.seen) {
            if all || seen.stale {
                seen.refresh(candidate, &made);
            }
        }
        self.made = Some(made);
        self.rank();
    }

    fn rank(&mut self) {
        let mut order: Vec<usize> = (0..self.seen.len()).collect();
        let key = |i: &usize| self.seen[*i].reward.filter(|r| !r.is_nan());
        order.sort_by(|a, b| match (key(a), key(b)) {
            (Some(x), Some(y)) => y.total_cmp(&x).then(a.cmp(b)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => a.cmp(b),
        });
        for (rank, &i) in order.iter().enumerate() {
            self.seen[i].rank = if self.seen[i].reward.is_some() { rank + 1 } else { 0 };
        }
        self.order = order;
    }
}

impl Seen {
    fn refresh(&mut self, candidate: &Candidate, made: &Made) {
        self.stale = false;
        self.rewards = if candidate.rewards.is_empty() {
            candidate.steps.iter().map(|s| s.given_reward.filter(|r| r.is_finite())).collect()
        } else {
            step_rewards(made.granularity, &candidate.rewards, &candidate.steps)
        };
        self.reward = aggregate(made.aggregation, &self.rewards).or(candidate.outcome_reward);
        self.values = self.rewards.clone();
        self.deviation = detect(made.rule, &self.values, &made.calibration);
    }
}

/// Steps a line each.
fn lines(text: &str) -> Vec<Step> {
    let mut at = 0;
    text.split_inclusive('\n')
        .filter_map(|line| {
            let start = at + line.len() - line.trim_start().len();
            at += line.len();
            (!line.trim().is_empty()).then(|| Step { span: Span::new(start, start + line.trim().len()), ..Step::default() })
        })
        .collect()
}

/// The labelled first wrong step, where there is one.
pub(crate) fn gold_step(candidate: &Candidate) -> Option<usize> {
    match candidate.gold {
        Some(GoldDeviation::Step(s)) => Some(s),
        _ => None,
    }
}
