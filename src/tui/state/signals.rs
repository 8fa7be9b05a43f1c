//! The signals of an opened problem, and which of them ranks, colours and marks.

use crate::check;
use crate::trace::{
    Calibration, Candidate, Detector, Domain, Fitted, Orientation, Reading, Signal, Threshold, TokenClass, Unit, judging_reading,
};
use crate::tui::settings::{Beside, Settings};

/// A signal without its values. A file of an older version has its threshold beside the step that it marked.
pub(super) fn header(signal: &Signal, candidate: &Candidate) -> Signal {
    let marked = candidate.deviation.as_ref().filter(|d| d.by.reading.signal == signal.name && d.threshold.is_finite());
    let old = || marked.map(|d| Threshold { reading: d.by.reading.clone(), value: d.threshold, false_alarm_rate: None, task: None });
    let mut header = signal.header();
    header.threshold = header.threshold.or_else(old);
    header
}

/// Where a reading's values turn from bad to good.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub value: f32,
    /// What is stated of it; `None`: it was fitted, or is the middle of the unit.
    pub stated: Option<Threshold>,
    /// How it was fitted on the texts at hand, where it was.
    pub fitted: Option<Fitted>,
}

/// The readings that are taken of every candidate, and what each is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Readings {
    pub all: Vec<Reading>,
    /// Which of them ranks the candidates.
    pub rank: Option<usize>,
    /// Which of them colours the steps.
    pub colour: Option<usize>,
    /// Which marks the first deviation, and how.
    pub detect: Option<(usize, Detector)>,
    /// Which marks beside it, to show where the two disagree.
    pub beside: Option<(usize, Detector)>,
    /// Those that have a column on the board beside the one that ranks.
    pub columns: Vec<usize>,
    /// Those that the lines below tell of, in their order.
    pub told: Vec<usize>,
    /// So many of all, the first ones, are needed of every candidate; the lines below alone tell of the rest.
    pub needed: usize,
}

impl Readings {
    /// Where a reading stands among all; it is added where it is not there.
    fn place(&mut self, reading: Reading) -> usize {
        self.all.iter().position(|r| *r == reading).unwrap_or_else(|| {
            self.all.push(reading);
            self.all.len() - 1
        })
    }
}

/// The signals and how they are to be read.
pub(super) struct Choice<'a> {
    pub settings: &'a Settings,
    pub calibration: &'a Calibration,
    /// The signals of all candidates, without values.
    pub known: &'a [Signal],
    pub candidates: &'a [Candidate],
    /// The signals whose models have not learned on such text.
    pub outside: &'a [(String, Domain)],
}

/// Columns of further signals that the board may have.
const COLUMNS: usize = 3;

impl Choice<'_> {
    fn signal(&self, name: &str) -> Option<&Signal> {
        named(self.known, name)
    }

    /// How a signal is read where its statistic is not named.
    fn reading(&self, name: &str) -> Option<Reading> {
        self.said(&Reading::of(name))
    }

    /// The reading of a signal that has a threshold, unless the user asks for a statistic or a class of tokens.
    fn calibrated(&self, signal: &Signal) -> Option<Reading> {
        let asked = self.settings.statistic.is_some() || self.settings.tokens != TokenClass::All;
        let mut readings = self.calibration.readings(&signal.name).filter(|_| !asked);
        let own = || signal.threshold.as_ref().filter(|_| !asked).map(|t| &t.reading);
        let chosen = readings.clone().find(|r| **r == self.calibration.of(&signal.name).reading);
        chosen.or_else(|| readings.next()).or_else(own).map(|r| signal.full_reading(r))
    }

    /// A reading with the settings' statistic and class of tokens where it names none; `None` where the problem has no such signal.
    fn said(&self, reading: &Reading) -> Option<Reading> {
        let signal = self.signal(&reading.signal)?;
        let mut reading = reading.clone();
        // What the model was calibrated with, or else what came with the signal.
        let chosen = &self.calibration.of(&signal.name).reading;
        let chosen = Some(chosen).filter(|r| r.signal == signal.name && self.calibration.threshold(r).is_some());
        let calibrated = chosen.or(signal.threshold.as_ref().map(|t| &t.reading));
        if reading.statistic.is_none() && reading.tokens == TokenClass::All && self.settings.tokens == TokenClass::All {
            reading.tokens = calibrated.map_or(TokenClass::All, |r| r.tokens);
        }
        if self.settings.tokens == TokenClass::Digits {
            reading.tokens = TokenClass::Digits;
        }
        reading.statistic = reading.statistic.or(self.settings.statistic).or(calibrated.and_then(|r| r.statistic));
        Some(signal.full_reading(&reading))
    }

    /// What ranks: what the user said, or the default.
    fn rank(&self) -> Option<Reading> {
        if let Some(reading) = self.settings.rank_by.as_ref().filter(|r| !self.withheld(&r.signal)) {
            return self.said(reading);
        }
        // They are in the order of `trace::default_signal`.
        match self.known.iter().find(|s| s.is_reward() && !self.withheld(&s.name)) {
            Some(signal) => self.reading(&signal.name),
            None => self.unjudged().filter(|_| self.candidates.len() > 1),
        }
    }

    /// Whether the verdicts of a signal are withheld.
    fn withheld(&self, signal: &str) -> bool {
        !self.settings.trust && self.outside.iter().any(|o| o.0 == signal)
    }

    /// What judges where no reward does: how surprising the text is to a policy.
    fn unjudged(&self) -> Option<Reading> {
        self.reading(&judging_reading().signal)
    }

    /// What colours the steps: what the user said, what ranks where it knows steps, or the first reward that does.
    fn colour(&self, rank: Option<&Reading>) -> Option<Reading> {
        let steps = |r: &Reading| self.signal(&r.signal).is_some_and(Signal::has_steps);
        if let Some(reading) = self.settings.colour_by.as_ref() {
            return self.said(reading).filter(|r| steps(r));
        }
        let shown = || self.settings.shown.iter().filter_map(|r| self.said(r)).find(|r| steps(r));
        let rewards = || self.known.iter().filter(|s| s.is_reward() && s.has_steps());
        let reward = || rewards().find(|s| !self.withheld(&s.name)).and_then(|i| self.reading(&i.name));
        let judged = rank.filter(|r| steps(r)).cloned().or_else(shown).or_else(reward).or_else(|| self.unjudged());
        // What is withheld is shown without colour.
        judged.or_else(|| rewards().next().and_then(|i| self.reading(&i.name)))
    }

    fn detect(&self, colour: Option<&Reading>) -> Option<Detector> {
        match &self.settings.detect_by {
            Some(d) if self.withheld(&d.reading.signal) => None,
            Some(d) => Some(Detector { reading: self.said(&d.reading)?, rule: d.rule }),
            // What no model judges is held against the check that has an opinion of its own.
            None => colour.filter(|r| !self.withheld(&r.signal)).cloned().or_else(|| self.reading(check::EQUATIONS)).map(Detector::below),
        }
    }

    /// What marks beside the detector: what the user said, or the next reward that knows steps.
    fn beside(&self, detect: Option<&Detector>) -> Option<Detector> {
        let watched = &detect?.reading.signal;
        let other = |name: &str| name != watched && !self.withheld(name) && self.signal(name).is_some_and(Signal::has_steps);
        match &self.settings.beside {
            Beside::Off => None,
            Beside::By(d) if self.withheld(&d.reading.signal) => None,
            Beside::By(d) => Some(Detector { reading: self.said(&d.reading)?, rule: d.rule }),
            Beside::Default => {
                let shown = self.settings.shown.iter().filter(|r| other(&r.signal)).filter_map(|r| self.said(r));
                let rewards = self.known.iter().filter(|s| s.is_reward() && other(&s.name)).filter_map(|s| self.reading(&s.name));
                shown.chain(rewards).find(|r| self.may_mark(r)).map(Detector::below)
            }
        }
    }

    /// Whether a reading may have a bound.
    fn may_mark(&self, reading: &Reading) -> bool {
        let known = |s: &Signal| {
            s.neutral(Vec::new).is_some() || s.threshold_of(reading, self.calibration).is_some() || self.fitted(reading).is_some()
        };
        let bound = |s: &Signal| s.unit == Unit::Unknown || known(s);
        self.signal(&reading.signal).is_some_and(bound)
    }

    /// The readings to take. `told`: also those of signals that only the lines below tell of.
    pub fn readings(&self, told: bool) -> Readings {
        let (rank, mut out) = (self.rank(), Readings::default());
        let colour = self.colour(rank.as_ref());
        let detect = self.detect(colour.as_ref());
        let beside = self.beside(detect.as_ref());
        let shown: Vec<Reading> = self.settings.shown.iter().filter_map(|r| self.said(r)).collect();
        let rewards = self.known.iter().filter(|s| s.is_reward()).filter_map(|s| self.reading(&s.name));
        let columns: Vec<Reading> =
            shown.iter().cloned().chain(rewards).filter(|r| Some(&r.signal) != rank.as_ref().map(|r| &r.signal)).collect();
        out.rank = rank.map(|r| out.place(r));
        out.colour = colour.map(|r| out.place(r));
        out.detect = detect.map(|d| (out.place(d.reading.clone()), d));
        out.beside = beside.map(|d| (out.place(d.reading.clone()), d));
        out.needed = out.all.len();
        if told {
            for reading in columns {
                let at = out.place(reading);
                if out.columns.len() < COLUMNS && !out.columns.contains(&at) {
                    out.columns.push(at);
                }
            }
            out.needed = out.all.len();
            let rest = self.known.iter().filter_map(|s| self.calibrated(s).or_else(|| self.reading(&s.name)));
            for reading in shown.into_iter().chain(rest) {
                let at = out.place(reading);
                if Some(at) != out.colour && !out.told.contains(&at) {
                    out.told.push(at);
                }
            }
        }
        out
    }

    /// The threshold that was fitted on the texts at hand for this very reading.
    fn fitted(&self, reading: &Reading) -> Option<&Fitted> {
        self.settings.fitted.as_ref().filter(|f| f.reading == *reading)
    }

    /// The bound of a reading, by its threshold, by what was fitted, or the middle of its unit. `values`: all that it says of the problem.
    pub fn bound(&self, reading: &Reading, values: impl FnOnce() -> Vec<f32>) -> Option<Bound> {
        let signal = self.signal(&reading.signal)?;
        let stated = signal.threshold_of(reading, self.calibration);
        let fitted = if stated.is_none() { self.fitted(reading).cloned() } else { None };
        let fitted_value = fitted.as_ref().map(|f| signal.orientation.turn(f.value));
        let value = stated.as_ref().map(|t| t.value).or(fitted_value).or_else(|| signal.neutral(values))?;
        Some(Bound { value, stated, fitted })
    }

    /// What can mark the first deviation, beside the default: the largest fall of what colours, and every other signal at a threshold that is known, or
    /// by its largest fall.
    pub fn detectors(&self) -> Vec<Detector> {
        let colour = self.colour(self.rank().as_ref());
        let mut out: Vec<Detector> = colour.iter().filter(|r| !self.withheld(&r.signal)).cloned().map(Detector::drop).collect();
        let may = |s: &&Signal| s.has_steps() && s.orientation != Orientation::Neither && !self.withheld(&s.name);
        for signal in self.known.iter().filter(may) {
            let calibrated = self.calibration.readings(&signal.name);
            let mut readings: Vec<Reading> = calibrated.map(|r| signal.full_reading(r)).collect();
            let own = self.reading(&signal.name);
            let natural = own.filter(|r| {
                self.fitted(r).is_some() || signal.threshold_of(r, self.calibration).is_some() || signal.neutral(Vec::new).is_some()
            });
            readings.extend(natural.filter(|r| !readings.contains(r)));
            if readings.is_empty() {
                out.extend(self.reading(&signal.name).map(Detector::drop));
            }
            out.extend(readings.into_iter().map(Detector::below));
        }
        out.retain(|d| Some(d) != colour.clone().map(Detector::below).as_ref());
        let mut unique: Vec<Detector> = Vec::new();
        out.into_iter().for_each(|d| {
            if !unique.contains(&d) {
                unique.push(d);
            }
        });
        unique
    }
}

/// The signal of a name.
pub(super) fn named<'a>(known: &'a [Signal], name: &str) -> Option<&'a Signal> {
    known.iter().find(|s| s.name == name)
}

/// The signals of all candidates without their values, those that may rank first. A threshold is taken from whichever candidate has one.
pub(super) fn union<'a>(headers: impl IntoIterator<Item = &'a Signal>) -> Vec<Signal> {
    let mut known: Vec<Signal> = Vec::new();
    for signal in headers {
        match known.iter_mut().find(|s| s.name == signal.name) {
            None => known.push(signal.clone()),
            Some(first) if first.threshold.is_none() => first.threshold.clone_from(&signal.threshold),
            Some(_) => {}
        }
    }
    known.sort_by_key(Signal::place);
    known
}

/// Why no step can be marked: a reward model's one reward for all steps says nothing of any.
pub(crate) const ONE_FOR_ALL: &str = "one reward for all steps, so none is marked";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use crate::trace::{Span, Statistic, TokenValue, all_outside, segment};

    fn candidate(signals: Vec<Signal>) -> Candidate {
        let text = "a 1\nb 2";
        Candidate { text: text.into(), steps: segment(text, &"line".parse().unwrap()), signals, ..Candidate::default() }
    }

    fn tokens() -> Vec<TokenValue> {
        vec![TokenValue { span: Span::new(0, 3), value: 1.0 }, TokenValue { span: Span::new(4, 7), value: -1.0 }]
    }

    fn readings(candidates: &[Candidate], settings: &Settings, calibration: &Calibration) -> (Vec<Signal>, Readings, Vec<String>) {
        let of = |c: &Candidate| check::all_signals(c).iter().filter(|s| s.has_values()).map(|s| header(s, c)).collect::<Vec<_>>();
        let known = union(&candidates.iter().flat_map(of).collect::<Vec<_>>());
        let choice = Choice { settings, calibration, known: &known, candidates, outside: &all_outside(candidates) };
        let (readings, detectors) = (choice.readings(true), choice.detectors().iter().map(crate::tui::detector_name).collect());
        (known, readings, detectors)
    }

    fn name(readings: &Readings, at: Option<usize>) -> Option<String> {
        at.map(|i| readings.all[i].to_string())
    }

    #[test]
    fn the_files_number_ranks_and_what_knows_steps_colours_and_marks() {
        let both = [candidate(vec![Signal::reward("m", tokens()), Signal::given("score", 0.5)])];
        let (_, r, detectors) = readings(&both, &Settings::default(), &Calibration::default());
        assert_eq!(name(&r, r.rank).as_deref(), Some("score"));
        assert_eq!(name(&r, r.colour).as_deref(), Some("reward.min"));
        assert_eq!(r.detect.as_ref().map(|d| d.1.reading.to_string()).as_deref(), Some("reward.min"));
        assert_eq!((r.beside, r.columns.len()), (None, 1), "a number for the whole marks no step");
        assert_eq!(detectors, ["reward.min drop", "check:characters drop", "check:digits drop", "check:position drop"]);
        let (_, r, _) = readings(&[candidate(Vec::new())], &Settings::default(), &Calibration::default());
        assert_eq!((r.rank, r.colour, r.detect), (None, None, None));
    }

    #[test]
    fn what_the_user_says_comes_first() {
        let given = Signal::given_steps("given", vec![Some(0.9), Some(0.1)]);
        let both = [candidate(vec![given, Signal::reward("m", tokens())])];
        let settings = Settings {
            rank_by: Some("reward".parse().unwrap()),
            statistic: Some(Statistic::Sum),
            tokens: TokenClass::Digits,
            ..Settings::default()
        };
        let (known, r, _) = readings(&both, &settings, &Calibration::default());
        assert_eq!(name(&r, r.rank).as_deref(), Some("reward.digits.sum"));
        assert_eq!(r.beside.as_ref().map(|d| d.1.reading.to_string()).as_deref(), Some("given"), "a statistic is of tokens");
        let calibration = Calibration::at("reward.sum".parse().unwrap(), -2.0);
        let (_, r, _) = readings(&both, &Settings { rank_by: Some("reward".parse().unwrap()), ..Settings::default() }, &calibration);
        assert_eq!(name(&r, r.rank).as_deref(), Some("reward.sum"), "the statistic that it was calibrated with");
        let settings = Settings { rank_by: Some("nothing".parse().unwrap()), ..Settings::default() };
        let choice = Choice { settings: &settings, calibration: &calibration, known: &known, candidates: &both, outside: &[] };
        assert_eq!(choice.readings(false).rank, None);
        let bound = |r: &str| choice.bound(&r.parse().unwrap(), Vec::new).map(|b| (b.value, b.stated.is_some()));
        assert_eq!(
            (bound("reward.sum"), bound("reward.min"), bound("given")),
            (Some((-2.0, true)), Some((0.0, false)), Some((0.5, false)))
        );
    }

    #[test]
    fn a_threshold_that_one_candidate_brings_holds_for_all() {
        let threshold = Threshold { reading: "reward.sum".parse().unwrap(), value: -3.0, false_alarm_rate: None, task: None };
        let marked = Signal { threshold: Some(threshold), ..Signal::reward("m", tokens()) };
        let both = [candidate(vec![Signal::reward("m", tokens())]), candidate(vec![marked])];
        let (known, r, _) = readings(&both, &Settings::default(), &Calibration::default());
        assert_eq!(name(&r, r.rank).as_deref(), Some("reward.sum"), "read as it was calibrated");
        let (settings, calibration) = (Settings::default(), Calibration::default());
        let choice = Choice { settings: &settings, calibration: &calibration, known: &known, candidates: &both, outside: &[] };
        assert_eq!(choice.bound(&"reward.sum".parse().unwrap(), Vec::new).map(|b| (b.value, b.stated.is_some())), Some((-3.0, true)));
    }
}
