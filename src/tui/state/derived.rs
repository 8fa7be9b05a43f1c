//! What is derived of one candidate.

use super::Sheet;
use super::scale::token_scale;
use super::signals::{Readings, header, named};
use crate::check;
use crate::trace::{
    Aggregation, Calibration, Candidate, Deviation, Folds, Granularity, Reading, Scale, Signal, SignalSource, Span, TokenClass, TokenValue,
    step_of_each, token_rewards,
};
use crate::tui::theme::Role;

/// What a reading says of a candidate, in the signal's own unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    /// One a step; empty where the signal is not there.
    pub steps: Vec<Option<f32>>,
    /// The candidate as one number.
    pub whole: Option<f32>,
}

/// The values that tokens are coloured by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heat {
    /// The signal; `None`: nothing is coloured.
    signal: Option<String>,
    /// Tokens with their places on the scale, ascending.
    pub tokens: Vec<(Span, f32)>,
}

/// What is derived of one candidate.
#[derive(Clone, Debug)]
pub(crate) struct Derived {
    /// What the readings say, in their order.
    pub taken: Vec<Taken>,
    /// The signals that it has, without values.
    pub signals: Vec<Signal>,
    /// The signals that are not stored but made: of the policy's tokens, of labels, of the checks.
    made: Vec<Signal>,
    /// Its number under the reading that ranks, turned so that high is good.
    pub score: Option<f32>,
    pub deviation: Option<Deviation>,
    /// What the second detector marks.
    pub beside: Option<Deviation>,
    /// 1 is best; 0 where nothing ranks it.
    pub rank: usize,
    /// One a token of the reward model at work: its reward under the granularity.
    pub shared: Vec<f32>,
    pub heat: Heat,
    pub wide: Sheet,
    pub narrow: Sheet,
    /// Colours of code, ascending.
    pub code: Vec<(Span, Role)>,
    /// Code blocks that the colours are of.
    pub coloured: Vec<Span>,
    /// Colours are being found.
    pub colouring: bool,
    /// The candidate has changed.
    pub stale: bool,
    /// Every reading was taken.
    pub whole: bool,
    /// Where the values of the reading that colours stand among `taken`.
    colour: Option<usize>,
}

impl Default for Derived {
    fn default() -> Self {
        Self {
            taken: Vec::new(),
            signals: Vec::new(),
            made: Vec::new(),
            score: None,
            deviation: None,
            beside: None,
            rank: 0,
            shared: Vec::new(),
            heat: Heat::default(),
            wide: Sheet::default(),
            narrow: Sheet::default(),
            code: Vec::new(),
            coloured: Vec::new(),
            colouring: false,
            stale: true,
            whole: false,
            colour: None,
        }
    }
}

impl Derived {
    /// One a step under the reading that colours; empty where nothing does.
    pub fn colours(&self) -> &[Option<f32>] {
        self.colour.and_then(|i| self.taken.get(i)).map_or(&[], |t| &t.steps)
    }

    /// The colouring value of a step.
    pub fn colour_of(&self, step: usize) -> Option<f32> {
        self.colours().get(step).copied().flatten()
    }

    /// The step that the second detector marks, where it is another one than the detector's.
    pub fn apart(&self) -> Option<usize> {
        let step = self.beside.as_ref()?.step;
        (self.deviation.as_ref().map(|d| d.step) != Some(step)).then_some(step)
    }

    /// Finds out which signals a candidate has; those of the checks once it is whole.
    pub fn survey(&mut self, candidate: &Candidate, growing: bool) {
        self.made.clear();
        self.made.extend(candidate.derived_signals());
        if !growing {
            self.made.extend(check::signals(candidate));
        }
        let all = candidate.signals.iter().chain(&self.made);
        self.signals = all.filter(|s| s.has_values()).map(|s| header(s, candidate)).collect();
    }

    /// Takes the readings of a candidate; with `whole` also those of which the lines below alone tell.
    pub fn take(&mut self, candidate: &Candidate, readings: &Readings, how: (Granularity, Aggregation), whole: bool) {
        let (granularity, aggregation) = how;
        self.stale = false;
        self.whole = whole;
        self.heat = Heat::default();
        self.colour = readings.colour;
        let steps = candidate.steps.len();
        // A stored signal stands before one that is made and has its name.
        let all = || candidate.signals.iter().chain(&self.made);
        // Readings of one signal stand side by side, and its tokens are read once for all of them.
        let mut folds: Option<(&Signal, TokenClass, Option<Folds>)> = None;
        let one = |reading: &Reading| {
            let Some(signal) = all().find(|s| s.name == reading.signal) else {
                return Taken { steps: vec![None; steps], whole: None };
            };
            let (_, _, folded) = match folds.take_if(|f| std::ptr::eq(f.0, signal) && f.1 == reading.tokens) {
                Some(same) => folds.insert(same),
                None => {
                    folds.insert((signal, reading.tokens, signal.folds(reading.tokens, granularity, &candidate.text, &candidate.steps)))
                }
            };
            let values = match folded {
                Some(folds) => folds.steps(reading.statistic.unwrap_or(signal.statistic)).collect(),
                None => candidate.step_values(signal, reading, granularity),
            };
            let whole = signal.candidate_value(aggregation, &values);
            Taken { steps: values, whole }
        };
        let wanted = if whole { readings.all.len() } else { readings.needed };
        self.taken = readings.all.iter().take(wanted).map(one).collect();
        self.taken.resize_with(readings.all.len(), Taken::default);
        self.shared = if granularity == Granularity::Dense { Vec::new() } else { shared(candidate, candidate.rewards(), granularity) };
    }

    /// Finds the places of the tokens on a signal's scale, unless they are known. `steps`: the scale of the steps, where it is of the same signal.
    pub fn warm(
        &mut self,
        candidate: &Candidate,
        signal: Option<&str>,
        granularity: Granularity,
        calibration: &Calibration,
        steps: Option<Scale>,
    ) {
        if self.heat.signal.as_deref() == signal {
            return;
        }
        self.heat = Heat { signal: signal.map(str::to_owned), tokens: Vec::new() };
        let mut all = candidate.signals.iter().chain(&self.made);
        let Some(found) = signal.and_then(|name| all.find(|s| s.name == name)) else { return };
        let Some(header) = named(&self.signals, &found.name) else { return };
        let tokens = found.tokens();
        let values: Vec<f32> = match found.source {
            SignalSource::Model(_) => shared(candidate, tokens, granularity),
            _ => tokens.iter().map(|t| t.value).collect(),
        };
        let scale = steps.unwrap_or_else(|| token_scale(header, calibration, || values.clone()));
        self.heat.tokens = tokens.iter().zip(&values).map(|(t, v)| (t.span, scale.place(*v))).collect();
    }
}

/// A reward model's tokens with the reward that each has under the granularity.
fn shared(candidate: &Candidate, tokens: &[TokenValue], granularity: Granularity) -> Vec<f32> {
    let logits: Vec<f32> = tokens.iter().map(|t| t.value).collect();
    if candidate.steps.is_empty() || granularity == Granularity::Dense {
        return logits;
    }
    let owner = step_of_each(tokens.iter().map(|t| t.span), &candidate.steps);
    let ends: Vec<usize> = (0..owner.len()).filter(|&i| owner.get(i + 1) != Some(&owner[i])).collect();
    token_rewards(granularity, &logits, &ends)
}
