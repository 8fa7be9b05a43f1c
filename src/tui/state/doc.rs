//! One opened problem: its candidates, and what the rewards say about them.

use super::scale::scale_of;
use super::signals::{Bound, Choice, ONE_FOR_ALL, Readings, named, union};
use super::{Derived, Scale};
use crate::answer::{Ballot, Kind, Question, Vote};
use crate::check::lint::{Lint, lint};
use crate::trace::{
    AtWork, Calibration, Candidate, Detector, Deviation, Domain, GoldDeviation, Level, Orientation, Reading, Segmentation, Signal,
    SignalSource, Span, Statistic, Trace, TraceEvent, TraceStore, Unit, all_outside, rank as rank_order, ranks, step_of_each,
};
use crate::tui::labels::{Labels, mark};
use crate::tui::{Grade, Settings};

/// Where the candidates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Recorded,
    Live,
}

/// Where the user looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub candidate: usize,
    /// Shared by all candidates: they scroll together.
    pub step: usize,
    /// Index into what [`Doc::units`] gives.
    pub token: Option<usize>,
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
    pub derived: Vec<Derived>,
    /// The signals that its candidates have, rewards first.
    pub known: Vec<Signal>,
    /// What is read of every candidate, and what for.
    pub readings: Readings,
    /// Where each reading turns from bad to good; `None` where that is not known.
    pub bounds: Vec<Option<Bound>>,
    /// Candidates, best first; those that nothing ranks last.
    pub order: Vec<usize>,
    pub votes: Votes,
    /// What the votes are counted from.
    ballot: Ballot,
    /// Most severe first; of growing candidates once all have ended.
    pub lints: Vec<Lint>,
    /// The signals whose models find that they have not learned on such text, and why.
    pub outside: Vec<(String, Domain)>,
    /// They are believed all the same.
    pub trust: bool,
    /// How step values are coloured.
    pub scale: Scale,
    /// How the numbers that rank are coloured.
    pub rank_scale: Scale,
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
    /// The policy was asked to read it.
    pub read: bool,
    /// What kind of answer the problem asks for; `None`: what it shows.
    kind: Option<Kind>,
    /// First errors that the source names, before the user marked any.
    given: Vec<Option<GoldDeviation>>,
    /// What the derived values were made with.
    inputs: Option<Inputs>,
}

/// What the derived values depend on beside the candidates.
#[derive(Clone, Debug)]
struct Inputs {
    settings: Settings,
    calibration: Calibration,
    told: bool,
}

impl Doc {
    pub fn new(origin: Origin, trace: Trace, segmentation: &Segmentation, kind: Option<Kind>) -> Self {
        let derived = trace.candidates.iter().map(|_| Derived::default()).collect();
        let given = trace.candidates.iter().map(|c| c.gold).collect();
        Self {
            origin,
            kind,
            given,
            store: TraceStore::new(trace, segmentation.clone()),
            derived,
            known: Vec::new(),
            readings: Readings::default(),
            bounds: Vec::new(),
            order: Vec::new(),
            votes: Votes::default(),
            ballot: Ballot::default(),
            lints: Vec::new(),
            outside: Vec::new(),
            trust: false,
            scale: Scale::default(),
            rank_scale: Scale::default(),
            cursor: Cursor::default(),
            top: 0,
            skip: 0,
            reveal: true,
            follow: origin == Origin::Live,
            asked: false,
            read: false,
            inputs: None,
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

    pub fn derived_now(&self) -> Option<&Derived> {
        self.derived.get(self.cursor.candidate)
    }

    /// Number of steps of the longest candidate.
    pub fn steps(&self) -> usize {
        self.candidates().iter().map(|c| c.steps.len()).max().unwrap_or(0)
    }

    /// Spans of what the token cursor walks over: the policy's tokens, or else those of a model that has read the text.
    pub fn units(candidate: &Candidate) -> Vec<Span> {
        if !candidate.tokens.is_empty() {
            return candidate.tokens.iter().map(|t| t.span).collect();
        }
        let read = std::iter::once(candidate.rewards()).chain(candidate.signals.iter().map(Signal::tokens)).find(|t| !t.is_empty());
        read.unwrap_or_default().iter().map(|t| t.span).collect()
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
        self.derived.resize_with(self.candidates().len(), Derived::default);
        match event {
            TraceEvent::Started { .. } => self.derived[at] = Derived::default(),
            _ => self.derived[at].stale = true,
        }
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
        self.derived[candidate].stale = true;
        Some(marked)
    }

    /// Makes way for reward models: what they say of the candidates comes next.
    pub fn begin_rewards(&mut self, models: &[AtWork]) {
        self.store.change(|trace| trace.candidates.iter_mut().for_each(|c| c.begin_rewards(models)));
        self.derived.iter_mut().for_each(|d| d.stale = true);
    }

    /// The policy's reading of it was stopped: what it has of it goes, so that it is asked for again.
    pub fn unread(&mut self) {
        self.read = false;
        if self.origin == Origin::Recorded {
            let half = |c: &mut Candidate| {
                if c.tokens.last().is_some_and(|t| t.span.end < c.text.trim_end().len()) {
                    c.tokens.clear();
                }
            };
            self.store.change(|trace| trace.candidates.iter_mut().for_each(half));
            self.derived.iter_mut().for_each(|d| d.stale = true);
        }
    }

    /// Brings the derived values up to date with candidates and settings. `told`: with those of every signal, which the open problem shows.
    pub fn refresh(&mut self, settings: &Settings, calibration: &Calibration, told: bool) {
        let same = self.inputs.as_ref().is_some_and(|i| i.settings == *settings && i.calibration == *calibration && (i.told || !told));
        // What the lines below alone tell of is read of growing candidates only where one is selected: its text comes in pieces, and each would cost it again.
        let selected = self.cursor.candidate;
        let unread = told && self.derived.get(selected).is_some_and(|d| !d.whole);
        if same && !unread && self.derived.iter().all(|d| !d.stale) {
            return;
        }
        let changed = self.derived.iter().any(|d| d.stale);
        let told = told || self.inputs.as_ref().is_some_and(|i| i.told);
        let candidates = &self.store.trace().candidates;
        let live = self.origin == Origin::Live;
        let growing = |i: usize| live && candidates[i].finish.is_none();
        for (i, (derived, candidate)) in self.derived.iter_mut().zip(candidates).enumerate() {
            if derived.stale {
                derived.survey(candidate, growing(i));
            }
        }
        self.known = union(self.derived.iter().flat_map(|d| &d.signals));
        (self.outside, self.trust) = (all_outside(candidates), settings.trust);
        let choice = Choice { settings, calibration, known: &self.known, candidates, outside: &self.outside };
        let readings = choice.readings(told);
        let all = !same || readings != self.readings;
        for (i, (derived, candidate)) in self.derived.iter_mut().zip(candidates).enumerate() {
            let whole = i == selected || !growing(i);
            if all || derived.stale || (whole && !derived.whole) {
                derived.take(candidate, &readings, (settings.granularity, settings.aggregation), whole);
            }
        }
        self.readings = readings;
        self.bounds = (0..self.readings.all.len()).map(|i| choice.bound(&self.readings.all[i], || self.values(i))).collect();
        if changed {
            self.ballot = self.count();
        }
        self.judge(settings);
        if changed && !(0..self.candidates().len()).any(|i| self.growing(i)) {
            self.lints = lint(self.trace());
        }
        if !same {
            self.inputs = Some(Inputs { settings: settings.clone(), calibration: calibration.clone(), told });
        }
    }

    /// Everything that a reading says of the candidates' steps, or of the candidates where it knows no steps.
    fn values(&self, reading: usize) -> Vec<f32> {
        let whole = self.signal_of(reading).is_some_and(|s| !s.has_steps());
        let taken = self.derived.iter().filter_map(|d| d.taken.get(reading));
        if whole { taken.filter_map(|t| t.whole).collect() } else { taken.flat_map(|t| t.steps.iter().flatten().copied()).collect() }
    }

    /// The signal that a reading is of.
    pub fn signal_of(&self, reading: usize) -> Option<&Signal> {
        named(&self.known, &self.readings.all.get(reading)?.signal)
    }

    /// The unit of a reading's values.
    pub fn unit_of(&self, reading: Option<usize>) -> Unit {
        reading.and_then(|i| self.signal_of(i)).map(|i| i.unit).unwrap_or_default()
    }

    /// Whether the verdicts of a signal are withheld.
    pub fn withheld(&self, signal: &str) -> bool {
        !self.trust && self.outside.iter().any(|o| o.0 == signal)
    }

    /// Why the verdicts of a signal are withheld; `None` where they are not.
    pub fn why_withheld(&self, signal: &str) -> Option<String> {
        let out = self.outside.iter().find(|o| !self.trust && o.0 == signal)?;
        out.1.why()
    }

    /// The reading that ranks.
    pub fn ranked_by(&self) -> Option<&Reading> {
        self.readings.rank.and_then(|i| self.readings.all.get(i))
    }

    /// The reading that colours the steps.
    pub fn coloured_by(&self) -> Option<&Reading> {
        self.readings.colour.and_then(|i| self.readings.all.get(i))
    }

    /// What marks the first deviation, and its threshold in the signal's own unit.
    pub fn detector(&self) -> Option<(&Detector, Option<f32>)> {
        let (i, detector) = self.readings.detect.as_ref()?;
        Some((detector, self.bounds.get(*i).and_then(|b| b.as_ref()).map(|b| b.value)))
    }

    /// Ranks the candidates and marks their deviations by what was read of them.
    fn judge(&mut self, settings: &Settings) {
        let orientation = |i: usize| self.signal_of(i).map(|s| s.orientation).unwrap_or_default();
        let Readings { rank, colour, detect, beside, .. } = &self.readings;
        let scale = colour.map(|i| scale_of(self.bounds[i].as_ref(), orientation(i), self.values(i))).unwrap_or_default();
        let scale = Scale { withheld: self.coloured_by().is_some_and(|r| self.withheld(&r.signal)), ..scale };
        let wholes = |i: usize| self.derived.iter().filter_map(|d| d.taken[i].whole).collect();
        let rank_scale = match *rank {
            Some(i) if *colour == Some(i) => scale,
            Some(i) => scale_of(self.bounds[i].as_ref(), orientation(i), wholes(i)),
            None => Scale::default(),
        };
        let scores: Vec<Option<f32>> =
            self.derived.iter().map(|d| rank.and_then(|i| Some(orientation(i).turn(d.taken.get(i)?.whole?)))).collect();
        let marked = |by: &Option<(usize, Detector)>| -> Vec<Option<Deviation>> {
            let (Some((i, detector)), Some(signal)) = (by, by.as_ref().and_then(|b| self.signal_of(b.0))) else {
                return vec![None; self.derived.len()];
            };
            let threshold = self.bounds[*i].as_ref().map(|b| b.value);
            let one = |(k, d): (usize, &Derived)| {
                let steps = &d.taken[*i].steps;
                let steps = &steps[..self.store.closed(k).min(steps.len())];
                if signal.is_alike(settings.granularity) { None } else { detector.mark(signal.orientation, steps, threshold) }
            };
            self.derived.iter().enumerate().map(one).collect()
        };
        let (deviations, besides) = (marked(detect), marked(beside));
        self.order = rank_order(&scores);
        for (i, ((derived, deviation), beside)) in self.derived.iter_mut().zip(deviations).zip(besides).enumerate() {
            (derived.score, derived.deviation, derived.beside) = (scores[i], deviation, beside);
        }
        for (derived, place) in self.derived.iter_mut().zip(ranks(&scores)) {
            derived.rank = place.unwrap_or(0);
        }
        (self.scale, self.rank_scale) = (scale, rank_scale);
        let judge = rank.and_then(|i| self.signal_of(i));
        let over = judge.filter(|s| s.has_steps()).map(|_| settings.aggregation);
        let weight = |score: f32| Some(judge?.unit.vote_weight(over, score));
        let weights: Vec<Option<f32>> = scores.iter().map(|s| s.and_then(weight)).collect();
        let ballot = &self.ballot;
        self.votes = Votes { plain: ballot.votes(|_| Some(1.0)), weighted: ballot.votes(|i| weights[i].map(f64::from)) };
    }

    /// The answers of the candidates as they are now.
    fn count(&self) -> Ballot {
        let trace = self.store.trace();
        let reference = trace.gold_answer.as_deref();
        let question = Question::of(self.kind, &trace.problem, reference);
        Ballot::new(&question, &trace.id, trace.candidates.iter().map(|c| c.answer.as_deref()))
    }

    /// Why no step can be marked, where the granularity is why.
    pub fn unmarked(&self, settings: &Settings) -> Option<&'static str> {
        let signal = self.signal_of(self.readings.detect.as_ref()?.0)?;
        signal.is_alike(settings.granularity).then_some(ONE_FOR_ALL)
    }

    /// Finds the colours of a candidate's tokens under a signal, unless they are known.
    pub fn warm(&mut self, candidate: usize, signal: Option<&str>, settings: &Settings, calibration: &Calibration) {
        let steps = self.coloured_by().filter(|r| Some(r.signal.as_str()) == signal && r.statistic != Some(Statistic::Sum));
        let steps = steps
            .and_then(|r| named(&self.known, &r.signal))
            .filter(|s| s.level() == Level::Token && matches!(s.source, SignalSource::Model(_)))
            .map(|_| self.scale);
        let withheld = signal.is_some_and(|s| self.withheld(s));
        let steps = if withheld { Some(Scale { withheld, ..Scale::default() }) } else { steps };
        if let (Some(c), Some(derived)) = (self.store.trace().candidates.get(candidate), self.derived.get_mut(candidate)) {
            derived.warm(c, signal, settings.granularity, calibration, steps);
        }
    }

    /// What can mark the first deviation, beside the default.
    pub fn detectors(&self, settings: &Settings, calibration: &Calibration) -> Vec<Detector> {
        Choice { settings, calibration, known: &self.known, candidates: self.candidates(), outside: &self.outside }.detectors()
    }

    /// A candidate's place under a reading, 1 for the best; `None` where it has no value, where nothing is better or worse by it, and while candidates grow of
    /// which it is not taken.
    pub fn place_under(&self, reading: usize, candidate: usize) -> Option<usize> {
        if reading >= self.readings.needed && (0..self.derived.len()).any(|i| self.growing(i)) {
            return None;
        }
        let signal = self.signal_of(reading).filter(|s| s.orientation != Orientation::Neither)?;
        let number = |d: &Derived| Some(signal.orientation.turn(d.taken.get(reading)?.whole?));
        let own = number(self.derived.get(candidate)?)?;
        Some(1 + self.derived.iter().filter_map(number).filter(|n| *n > own).count())
    }
}

/// The labelled first wrong step, where there is one.
pub(crate) fn gold_step(candidate: &Candidate) -> Option<usize> {
    match candidate.gold {
        Some(GoldDeviation::Step(s)) => Some(s),
        _ => None,
    }
}
