//! One opened problem: its candidates, and what the rewards say about them.

use super::Sheet;
use crate::diagnose::{Lint, lint};
use crate::trace::{
    Aggregation, Calibration, Candidate, Deviation, FinishReason, GoldDeviation, Granularity, Rule, Segmentation, Span, Trace, TraceEvent,
    TraceStore, Vote, aggregate, detect, majority, rank, step_entropy_max, step_logprob_min, step_of_each, step_rewards, token_rewards,
    vote_weight, weighted_majority,
};
use crate::tui::labels::{Labels, mark};
use crate::tui::{Grade, Role, Settings};

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
    /// Least log-probability of each step.
    pub logprobs: Vec<Option<f32>>,
    /// Highest entropy of each step.
    pub entropies: Vec<Option<f32>>,
    /// One a reward token: its reward under the granularity.
    pub tokens: Vec<f32>,
    /// The step rewards as one number.
    pub reward: Option<f32>,
    pub deviation: Option<Deviation>,
    /// 1 is best; 0 where there is no reward.
    pub rank: usize,
    pub wide: Sheet,
    pub narrow: Sheet,
    /// Colours of code, ascending.
    pub code: Vec<(Span, Role)>,
    /// Code blocks that the colours are of.
    pub coloured: Vec<Span>,
    /// Colours are being found.
    pub colouring: bool,
    stale: bool,
}

/// How rewards are coloured: the pivot is neutral, `range` away from it is the end of the scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub pivot: f32,
    pub range: f32,
    /// The pivot is the calibrated threshold.
    pub calibrated: bool,
}

impl Scale {
    /// Place of a reward on the scale, −1 to 1; NaN stays NaN.
    pub fn place(self, reward: f32) -> f32 {
        ((reward - self.pivot) / self.range).clamp(-1.0, 1.0)
    }
}

/// What answers the candidates gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Votes {
    pub plain: Vec<Vote>,
    pub weighted: Vec<Vote>,
}

/// An opened problem.
#[derive(Clone, Debug)]
pub(crate) struct Doc {
    pub origin: Origin,
    pub store: TraceStore,
    pub seen: Vec<Seen>,
    /// Candidates, best first; those without a reward last.
    pub order: Vec<usize>,
    pub votes: Votes,
    /// Most severe first; of growing candidates once all have ended.
    pub lints: Vec<Lint>,
    pub scale: Scale,
    pub cursor: Cursor,
    /// First visible line of the trace view.
    pub top: usize,
    /// Lines of the selected step that are scrolled out, in the compare view.
    pub skip: usize,
    /// The selected step is to be brought into view.
    pub reveal: bool,
    /// Show the end of what is being written.
    pub follow: bool,
    /// Rewards were asked for.
    pub asked: bool,
    /// First errors that the source names, before the user marked any.
    given: Vec<Option<GoldDeviation>>,
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
    pub fn new(origin: Origin, trace: Trace, segmentation: &Segmentation) -> Self {
        let seen = trace.candidates.iter().map(|_| Seen { stale: true, ..Seen::default() }).collect();
        let given = trace.candidates.iter().map(|c| c.gold).collect();
        Self {
            origin,
            given,
            store: TraceStore::new(trace, segmentation.clone()),
            seen,
            order: Vec::new(),
            votes: Votes::default(),
            lints: Vec::new(),
            scale: Scale { pivot: 0.0, range: 1.0, calibrated: false },
            cursor: Cursor::default(),
            top: 0,
            skip: 0,
            reveal: true,
            follow: origin == Origin::Live,
            asked: false,
            made: None,
        }
    }

    pub fn trace(&self) -> &Trace {
        self.store.trace()
    }

    pub fn candidates(&self) -> &[Candidate] {
        &self.store.trace().candidates
    }

    /// The selected candidate.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidates().get(self.cursor.candidate)
    }

    pub fn seen_now(&self) -> Option<&Seen> {
        self.seen.get(self.cursor.candidate)
    }

    /// Number of steps of the longest candidate.
    pub fn steps(&self) -> usize {
        self.candidates().iter().map(|c| c.steps.len()).max().unwrap_or(0)
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
        if candidate.steps.is_empty() { 0 } else { step_of_each([span], &candidate.steps)[0] }
    }

    /// Whether something is still written or read.
    pub fn growing(&self, candidate: usize) -> bool {
        self.origin == Origin::Live && self.candidates().get(candidate).is_some_and(|c| c.finish.is_none())
    }

    /// Applies what a policy or a reward model says.
    pub fn apply(&mut self, event: &TraceEvent, grade: Option<&Grade>) {
        let at = self.store.apply(event).candidate;
        self.seen.resize_with(self.candidates().len(), || Seen { stale: true, ..Seen::default() });
        self.seen[at].stale = true;
        if let TraceEvent::Finished { reason: FinishReason::Stop | FinishReason::Length, .. } = event
            && let Some(grade) = grade
        {
            let trace = self.trace();
            let graded = grade(&trace.candidates[at].text, trace.gold_answer.as_deref());
            self.store.set_answer(at, graded.answer, graded.correct);
        }
    }

    /// Puts labels on the steps that were kept.
    pub fn label(&mut self, labels: &Labels) {
        self.store.change(|trace| labels.put_on(trace));
    }

    /// Marks the selected step; whether it has the mark now, `None` where there is no step or it may still change.
    pub fn mark(&mut self, right: bool) -> Option<bool> {
        let Cursor { candidate, step, .. } = self.cursor;
        if self.growing(candidate) || self.candidates().get(candidate).is_none_or(|c| step >= c.steps.len()) {
            return None;
        }
        let given = self.given.get(candidate).copied().flatten();
        let mut marked = false;
        self.store.change(|trace| marked = mark(&mut trace.candidates[candidate], step, right, given));
        self.seen[candidate].stale = true;
        Some(marked)
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
        let calibration = self.calibrate(&made.calibration);
        for (i, seen) in self.seen.iter_mut().enumerate() {
            if all || seen.stale {
                seen.refresh(&self.store.trace().candidates[i], self.store.closed(i), &made, &calibration);
            }
        }
        self.rank(made.aggregation);
        if !(0..self.candidates().len()).any(|i| self.growing(i)) {
            self.lints = lint(self.trace());
        }
        self.made = Some(made);
    }

    /// The pivot of the scale: the calibrated threshold, or the middle where rewards came with the file.
    fn calibrate(&mut self, calibration: &Calibration) -> Calibration {
        let given = || self.candidates().iter().filter(|c| c.rewards.is_empty()).flat_map(|c| &c.steps).filter_map(|s| s.given_reward);
        let own = self.candidates().iter().all(|c| c.rewards.is_empty()) && given().next().is_some();
        let pivot = match calibration.threshold.filter(|_| !own) {
            Some(threshold) => threshold,
            // A probability is neutral at one half, a logit at nought.
            None if own && given().all(|r| (0.0..=1.0).contains(&r)) => 0.5,
            None => 0.0,
        };
        self.scale.pivot = pivot;
        self.scale.calibrated = calibration.threshold.is_some() && !own;
        Calibration { threshold: Some(pivot), ..calibration.clone() }
    }

    fn rank(&mut self, aggregation: Aggregation) {
        let scores: Vec<Option<f32>> = self.seen.iter().map(|s| s.reward).collect();
        self.order = rank(&scores);
        for (place, &i) in self.order.iter().enumerate() {
            self.seen[i].rank = if scores[i].is_some() { place + 1 } else { 0 };
        }
        let weights: Vec<Option<f32>> = scores.iter().map(|s| s.map(|s| vote_weight(aggregation, s))).collect();
        self.votes = Votes { plain: majority(self.candidates()), weighted: weighted_majority(self.candidates(), &weights) };
        let mut far: Vec<f32> = self.seen.iter().flat_map(|s| &s.rewards).flatten().map(|r| (r - self.scale.pivot).abs()).collect();
        far.sort_by(f32::total_cmp);
        let high = far.get(far.len() * 9 / 10).copied().unwrap_or(1.0);
        let steps = [0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 100.0];
        self.scale.range = steps.into_iter().find(|s| *s >= high).unwrap_or(high);
    }
}

impl Seen {
    fn refresh(&mut self, candidate: &Candidate, closed: usize, made: &Made, calibration: &Calibration) {
        self.stale = false;
        let finite = |r: Option<f32>| r.filter(|r| r.is_finite());
        self.rewards = if candidate.rewards.is_empty() {
            candidate.steps.iter().map(|s| finite(s.given_reward)).collect()
        } else {
            step_rewards(made.granularity, &candidate.rewards, &candidate.steps)
        };
        self.tokens = if candidate.steps.is_empty() {
            candidate.rewards.iter().map(|r| r.logit).collect()
        } else {
            let owner = step_of_each(candidate.rewards.iter().map(|r| r.span), &candidate.steps);
            let ends: Vec<usize> = (0..owner.len()).filter(|&i| owner.get(i + 1) != Some(&owner[i])).collect();
            let logits: Vec<f32> = candidate.rewards.iter().map(|r| r.logit).collect();
            token_rewards(made.granularity, &logits, &ends)
        };
        self.logprobs = step_logprob_min(&candidate.tokens, &candidate.steps);
        self.entropies = step_entropy_max(&candidate.tokens, &candidate.steps);
        self.reward = finite(aggregate(made.aggregation, &self.rewards).or(candidate.outcome_reward));
        let values = self.values(made.rule);
        // Rewards that came a step each with the file have their places whatever the granularity is.
        let alike = made.granularity == Granularity::Sparse && !candidate.rewards.is_empty();
        let reads_rewards = matches!(made.rule, Rule::Threshold | Rule::LargestDrop);
        self.deviation = if alike && reads_rewards { None } else { detect(made.rule, &values[..closed.min(values.len())], calibration) };
    }

    /// A rule's own values, one a step.
    pub fn values(&self, rule: Rule) -> &[Option<f32>] {
        match rule {
            Rule::Threshold | Rule::LargestDrop => &self.rewards,
            Rule::LogProb => &self.logprobs,
            Rule::Entropy => &self.entropies,
        }
    }
}

/// The labelled first wrong step, where there is one.
pub(crate) fn gold_step(candidate: &Candidate) -> Option<usize> {
    match candidate.gold {
        Some(GoldDeviation::Step(s)) => Some(s),
        _ => None,
    }
}
