//! One opened problem: its candidates, and what the rewards say about them.

use super::Sheet;
use crate::answer::{Ballot, Kind, Question, Vote};
use crate::check::lint::{Lint, lint};
use crate::trace::{
    Aggregation, Calibration, Candidate, Detector, Deviation, ENTROPY, GoldDeviation, Granularity, LOGPROB, REWARD, Reading, Segmentation,
    Signal, Span, Statistic, Trace, TraceEvent, TraceStore, Unit, default_signal, rank, step_of_each, token_rewards, vote_weight,
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
    /// One a step: the signal that ranks, turned so that high is good.
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
    /// What kind of answer the problem asks for; `None`: what it shows.
    kind: Option<Kind>,
    /// First errors that the source names, before the user marked any.
    given: Vec<Option<GoldDeviation>>,
    /// Settings the derived values were made with.
    made: Option<Made>,
}

#[derive(Clone, Debug, PartialEq)]
struct Made {
    granularity: Granularity,
    aggregation: Aggregation,
    rank_by: Option<Reading>,
    detect_by: Option<Detector>,
    calibration: Calibration,
}

impl Doc {
    pub fn new(origin: Origin, trace: Trace, segmentation: &Segmentation, kind: Option<Kind>) -> Self {
        let seen = trace.candidates.iter().map(|_| Seen { stale: true, ..Seen::default() }).collect();
        let given = trace.candidates.iter().map(|c| c.gold).collect();
        Self {
            origin,
            kind,
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
            candidate.rewards().iter().map(|r| r.span).collect()
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
        if let (TraceEvent::Finished { .. }, Some(grade)) = (event, grade) {
            let judged = (grade.judge)(self.trace(), at);
            self.store.set_answer(at, judged.answer, judged.correct);
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
            rank_by: settings.rank_by.clone(),
            detect_by: settings.detect_by.clone(),
            calibration: calibration.clone(),
        };
        let all = self.made.as_ref() != Some(&made);
        if !all && self.seen.iter().all(|s| !s.stale) {
            return;
        }
        let reading = made.rank_by.clone().or_else(|| self.default_reading(&made.calibration));
        let detector = made.detect_by.clone().or_else(|| reading.clone().map(Detector::below));
        let calibration = self.calibrate(reading.as_ref(), &made.calibration);
        let read =
            Read { reading: reading.as_ref(), detector: detector.as_ref(), granularity: made.granularity, aggregation: made.aggregation };
        for (i, seen) in self.seen.iter_mut().enumerate() {
            if all || seen.stale {
                seen.refresh(&self.store.trace().candidates[i], self.store.closed(i), &read, &calibration);
            }
        }
        self.rank(made.aggregation);
        if !(0..self.candidates().len()).any(|i| self.growing(i)) {
            self.lints = lint(self.trace());
        }
        self.made = Some(made);
    }

    /// What ranks where the user said nothing: the default signal, a reward model's under the statistic that it was calibrated with.
    fn default_reading(&self, calibration: &Calibration) -> Option<Reading> {
        let name = default_signal(self.candidates())?;
        Some(if name == REWARD { calibration.reading.clone() } else { Reading::of(name) })
    }

    /// The pivot of the scale: the threshold of the reading, or the middle of its unit where none is known. The calibration that comes back has it.
    fn calibrate(&mut self, reading: Option<&Reading>, calibration: &Calibration) -> Calibration {
        let signal = reading.and_then(|r| self.candidates().iter().find_map(|c| c.signal(&r.signal)));
        let own = signal.and_then(|s| s.threshold.as_ref()).filter(|t| reading == Some(&t.reading)).map(|t| t.value);
        let calibrated = reading.and_then(|r| calibration.threshold(r)).or(own);
        let middle = if signal.is_some_and(|s| s.unit == Unit::Probability) { 0.5 } else { 0.0 };
        let threshold = calibrated.unwrap_or(middle);
        self.scale.pivot = signal.map_or(threshold, |s| s.orientation.turn(threshold));
        self.scale.calibrated = calibrated.is_some();
        let mut out = calibration.clone();
        if let Some(reading) = reading {
            out.thresholds.entry(reading.clone()).or_insert(threshold);
        }
        out
    }

    fn rank(&mut self, aggregation: Aggregation) {
        let scores: Vec<Option<f32>> = self.seen.iter().map(|s| s.reward).collect();
        self.order = rank(&scores);
        for (place, &i) in self.order.iter().enumerate() {
            self.seen[i].rank = if scores[i].is_some() { place + 1 } else { 0 };
        }
        let weights: Vec<Option<f32>> = scores.iter().map(|s| s.map(|s| vote_weight(aggregation, s))).collect();
        let trace = self.store.trace();
        let reference = trace.gold_answer.as_deref();
        let question =
            self.kind.map_or_else(|| Question::guess(&trace.problem, reference), |k| Question::new(k, &trace.problem, reference));
        let ballot = Ballot::new(&question, &trace.id, trace.candidates.iter().map(|c| c.answer.as_deref()));
        self.votes = Votes { plain: ballot.votes(|_| Some(1.0)), weighted: ballot.votes(|i| weights[i].map(f64::from)) };
        let mut far: Vec<f32> = self.seen.iter().flat_map(|s| &s.rewards).flatten().map(|r| (r - self.scale.pivot).abs()).collect();
        far.sort_by(f32::total_cmp);
        let high = far.get(far.len() * 9 / 10).copied().unwrap_or(1.0);
        let steps = [0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 50.0, 100.0];
        self.scale.range = steps.into_iter().find(|s| *s >= high).unwrap_or(high);
    }
}

/// How signals are read.
struct Read<'a> {
    reading: Option<&'a Reading>,
    detector: Option<&'a Detector>,
    granularity: Granularity,
    aggregation: Aggregation,
}

impl Seen {
    fn refresh(&mut self, candidate: &Candidate, closed: usize, read: &Read<'_>, calibration: &Calibration) {
        self.stale = false;
        let all = candidate.all_signals();
        let find = |name: &str| all.iter().find(|s| s.name == name).map(AsRef::as_ref);
        let steps = |signal: Option<&Signal>, reading: &Reading| {
            signal.map_or_else(|| vec![None; candidate.steps.len()], |s| candidate.step_values(s, reading, read.granularity))
        };
        let ranks = read.reading.and_then(|r| Some((find(&r.signal)?, r)));
        (self.rewards, self.reward) = match ranks {
            Some((signal, reading)) => {
                let values = steps(Some(signal), reading);
                let whole = signal.candidate_value(read.aggregation, &values).filter(|r| r.is_finite());
                let turn = |v: Option<f32>| v.map(|v| signal.orientation.turn(v));
                (values.into_iter().map(turn).collect(), turn(whole))
            }
            None => (vec![None; candidate.steps.len()], None),
        };
        let rewards = candidate.rewards();
        self.tokens = if candidate.steps.is_empty() {
            rewards.iter().map(|r| r.value).collect()
        } else {
            let owner = step_of_each(rewards.iter().map(|r| r.span), &candidate.steps);
            let ends: Vec<usize> = (0..owner.len()).filter(|&i| owner.get(i + 1) != Some(&owner[i])).collect();
            let logits: Vec<f32> = rewards.iter().map(|r| r.value).collect();
            token_rewards(read.granularity, &logits, &ends)
        };
        self.logprobs = steps(find(LOGPROB), &Reading::new(LOGPROB, Statistic::Min));
        self.entropies = steps(find(ENTROPY), &Reading::new(ENTROPY, Statistic::Max));
        // One reward for all steps marks none; step values that came with the file have their places whatever the granularity is.
        let alike = |s: &Signal| read.granularity == Granularity::Sparse && matches!(s.source, crate::trace::SignalSource::Model(_));
        let watched = read.detector.and_then(|d| Some((d, find(&d.reading.signal).filter(|s| !alike(s))?)));
        self.deviation = watched.and_then(|(d, s)| d.first(s, candidate, closed, read.granularity, calibration));
    }
}

/// The labelled first wrong step, where there is one.
pub(crate) fn gold_step(candidate: &Candidate) -> Option<usize> {
    match candidate.gold {
        Some(GoldDeviation::Step(s)) => Some(s),
        _ => None,
    }
}
