//! The signals of an opened problem, and which of them ranks, colours and marks.

use crate::check;
use crate::trace::{
    Calibration, Candidate, Detector, Granularity, Orientation, REWARD, Reading, Signal, SignalSource, Statistic, Threshold, TokenClass,
    Unit, Values, default_signal,
};
use crate::tui::settings::{Beside, Settings};
use std::borrow::Cow;

/// Every signal of a candidate; those of the checks once it is whole.
pub(super) fn signals_of(candidate: &Candidate, growing: bool) -> Vec<Cow<'_, Signal>> {
    if growing { candidate.all_signals() } else { check::all_signals(candidate) }
}

/// What a signal has a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalLevel {
    Token,
    Step,
    Candidate,
}

/// A signal that some candidate of the problem has, without its values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SignalInfo {
    pub name: String,
    pub level: SignalLevel,
    pub orientation: Orientation,
    pub unit: Unit,
    pub statistic: Statistic,
    pub threshold: Option<Threshold>,
    /// A model's or the file's judgement, rather than a policy's numbers or a rule's.
    pub is_reward: bool,
    /// A reward model gave it, so that the granularity is its.
    pub is_model: bool,
    /// Its place among the signals: rewards of the file, of other models, of the model at work, then the rest.
    pub place: u8,
}

impl SignalInfo {
    pub fn of(signal: &Signal, candidate: &Candidate) -> Self {
        // A file of an older version has the threshold beside the step that it marked.
        let marked = candidate.deviation.as_ref().filter(|d| d.by.reading.signal == signal.name && d.threshold.is_finite());
        let old = marked.map(|d| Threshold { reading: d.by.reading.clone(), value: d.threshold, false_alarm_rate: None, task: None });
        Self {
            name: signal.name.clone(),
            level: match signal.values {
                Values::Tokens(_) => SignalLevel::Token,
                Values::Steps(_) => SignalLevel::Step,
                Values::Candidate(_) => SignalLevel::Candidate,
            },
            orientation: signal.orientation,
            unit: signal.unit,
            statistic: signal.statistic,
            threshold: signal.threshold.clone().or(old),
            is_reward: signal.is_reward(),
            is_model: matches!(signal.source, SignalSource::Model(_)),
            place: match signal.source {
                _ if !signal.is_reward() => 3,
                SignalSource::File => 0,
                _ if signal.name != REWARD => 1,
                _ => 2,
            },
        }
    }

    /// Where good and bad part by the unit alone.
    fn middle(&self) -> Option<f32> {
        match (self.unit, self.orientation) {
            (Unit::Logit, _) => Some(0.0),
            (Unit::Probability, _) => Some(0.5),
            // Counted downwards: so many faults.
            (Unit::Count, Orientation::High) => Some(0.0),
            _ => None,
        }
    }

    /// Whether it says something of single steps.
    pub fn has_steps(&self) -> bool {
        self.level != SignalLevel::Candidate
    }

    /// The reading with everything said that makes a difference: a statistic and a class of tokens where there are tokens, and nothing else.
    fn whole(&self, reading: &Reading) -> Reading {
        match self.level {
            SignalLevel::Token => Reading { statistic: Some(reading.statistic.unwrap_or(self.statistic)), ..reading.clone() },
            SignalLevel::Step | SignalLevel::Candidate => Reading::of(self.name.as_str()),
        }
    }

    /// The threshold of a reading: the calibration's, or the one that came with the signal.
    pub(super) fn threshold(&self, reading: &Reading, calibration: &Calibration) -> Option<Threshold> {
        let own = || self.threshold.as_ref().filter(|t| self.whole(&t.reading) == *reading).cloned();
        let bare = Reading::of(self.name.as_str());
        calibration.stated(reading).or_else(|| calibration.stated(&bare).filter(|_| *reading == self.whole(&bare))).or_else(own)
    }
}

/// Where a reading's values turn from bad to good.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bound {
    pub value: f32,
    /// What is stated of it; `None`: it is the middle of the unit.
    pub stated: Option<Threshold>,
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
}

/// The signals and how they are to be read.
pub(super) struct Choice<'a> {
    pub settings: &'a Settings,
    pub calibration: &'a Calibration,
    pub known: &'a [SignalInfo],
    pub candidates: &'a [Candidate],
}

/// Columns of further signals that the board may have.
const COLUMNS: usize = 3;

impl Choice<'_> {
    fn info(&self, name: &str) -> Option<&SignalInfo> {
        info(self.known, name)
    }

    /// How a signal is read where its statistic is not named.
    fn reading(&self, name: &str) -> Option<Reading> {
        self.said(&Reading::of(name))
    }

    /// The reading of a signal that has a threshold, unless the user asks for a statistic or a class of tokens.
    fn calibrated(&self, info: &SignalInfo) -> Option<Reading> {
        let asked = self.settings.statistic.is_some() || self.settings.tokens != TokenClass::All;
        let mut readings = self.calibration.thresholds.keys().filter(|r| r.signal == info.name && !asked);
        readings.clone().find(|r| **r == self.calibration.reading).or_else(|| readings.next()).map(|r| info.whole(r))
    }

    /// A reading with the settings' statistic and class of tokens where it names none; `None` where the problem has no such signal.
    fn said(&self, reading: &Reading) -> Option<Reading> {
        let info = self.info(&reading.signal)?;
        let mut reading = reading.clone();
        let calibrated = Some(&self.calibration.reading).filter(|r| r.signal == reading.signal && reading.signal == REWARD);
        if reading.statistic.is_none() && reading.tokens == TokenClass::All && self.settings.tokens == TokenClass::All {
            reading.tokens = calibrated.map_or(TokenClass::All, |r| r.tokens);
        }
        if self.settings.tokens == TokenClass::Digits {
            reading.tokens = TokenClass::Digits;
        }
        reading.statistic = reading.statistic.or(self.settings.statistic).or(calibrated.and_then(|r| r.statistic));
        Some(info.whole(&reading))
    }

    /// What ranks: what the user said, or the default.
    fn rank(&self) -> Option<Reading> {
        match &self.settings.rank_by {
            Some(reading) => self.said(reading),
            None => self.reading(default_signal(self.candidates)?),
        }
    }

    /// What colours the steps: what the user said, what ranks where it knows steps, or the first reward that does.
    fn colour(&self, rank: Option<&Reading>) -> Option<Reading> {
        let steps = |r: &Reading| self.info(&r.signal).is_some_and(SignalInfo::has_steps);
        if let Some(reading) = self.settings.colour_by.as_ref() {
            return self.said(reading).filter(|r| steps(r));
        }
        let shown = || self.settings.shown.iter().filter_map(|r| self.said(r)).find(|r| steps(r));
        let reward = || self.known.iter().find(|i| i.is_reward && i.has_steps()).and_then(|i| self.reading(&i.name));
        rank.filter(|r| steps(r)).cloned().or_else(shown).or_else(reward)
    }

    fn detect(&self, colour: Option<&Reading>) -> Option<Detector> {
        match &self.settings.detect_by {
            Some(d) => {
                let info = self.info(&d.reading.signal)?;
                Some(Detector { reading: info.whole(&d.reading), rule: d.rule })
            }
            None => colour.cloned().map(Detector::below),
        }
    }

    /// What marks beside the detector: what the user said, or the next reward that knows steps.
    fn beside(&self, detect: Option<&Detector>) -> Option<Detector> {
        let watched = &detect?.reading.signal;
        let other = |name: &str| name != watched && self.info(name).is_some_and(SignalInfo::has_steps);
        match &self.settings.beside {
            Beside::Off => None,
            Beside::By(d) => Some(Detector { reading: self.info(&d.reading.signal)?.whole(&d.reading), rule: d.rule }),
            Beside::Default => {
                let shown = self.settings.shown.iter().filter(|r| other(&r.signal)).filter_map(|r| self.said(r));
                let rewards = self.known.iter().filter(|i| i.is_reward && other(&i.name)).filter_map(|i| self.reading(&i.name));
                shown.chain(rewards).find(|r| self.may_mark(r)).map(Detector::below)
            }
        }
    }

    /// Whether a reading may have a bound.
    fn may_mark(&self, reading: &Reading) -> bool {
        let bound = |i: &SignalInfo| i.unit == Unit::Unknown || i.middle().is_some() || i.threshold(reading, self.calibration).is_some();
        self.info(&reading.signal).is_some_and(bound)
    }

    /// The readings to take. `told`: also those of signals that only the lines below tell of.
    pub fn readings(&self, told: bool) -> Readings {
        let mut all: Vec<Reading> = Vec::new();
        let mut place = |reading: Reading| {
            all.iter().position(|r| *r == reading).unwrap_or_else(|| {
                all.push(reading);
                all.len() - 1
            })
        };
        let (rank, mut out) = (self.rank(), Readings::default());
        let colour = self.colour(rank.as_ref());
        let detect = self.detect(colour.as_ref());
        let beside = self.beside(detect.as_ref());
        let shown: Vec<Reading> = self.settings.shown.iter().filter_map(|r| self.said(r)).collect();
        let rewards = self.known.iter().filter(|i| i.is_reward).filter_map(|i| self.reading(&i.name));
        let columns: Vec<Reading> =
            shown.iter().cloned().chain(rewards).filter(|r| Some(&r.signal) != rank.as_ref().map(|r| &r.signal)).collect();
        out.rank = rank.map(&mut place);
        out.colour = colour.map(&mut place);
        out.detect = detect.map(|d| (place(d.reading.clone()), d));
        out.beside = beside.map(|d| (place(d.reading.clone()), d));
        if told {
            for reading in columns {
                let at = place(reading);
                if out.columns.len() < COLUMNS && !out.columns.contains(&at) {
                    out.columns.push(at);
                }
            }
            let rest = self.known.iter().filter_map(|i| self.calibrated(i).or_else(|| self.reading(&i.name)));
            for reading in shown.into_iter().chain(rest) {
                let at = place(reading);
                if Some(at) != out.colour && !out.told.contains(&at) {
                    out.told.push(at);
                }
            }
        }
        out.all = all;
        out
    }

    /// The bound of a reading, by its threshold or the middle of its unit. `values`: all that it says of the problem.
    pub fn bound(&self, reading: &Reading, values: impl Fn() -> Vec<f32>) -> Option<Bound> {
        let info = self.info(&reading.signal)?;
        let stated = info.threshold(reading, self.calibration);
        // Numbers of both signs are taken for log-odds.
        let both_signs = || {
            let values = values();
            (values.iter().any(|v| *v < 0.0) && values.iter().any(|v| *v > 0.0)).then_some(0.0)
        };
        let middle = || if info.unit == Unit::Unknown { both_signs() } else { info.middle() };
        let value = stated.as_ref().map(|t| t.value).or_else(middle)?;
        Some(Bound { value, stated })
    }

    /// What can mark the first deviation, beside the default: the largest fall of what colours, and every other signal at a threshold that is known, or
    /// by its largest fall.
    pub fn detectors(&self) -> Vec<Detector> {
        let colour = self.colour(self.rank().as_ref());
        let mut out: Vec<Detector> = colour.iter().cloned().map(Detector::drop).collect();
        for info in self.known.iter().filter(|i| i.has_steps() && i.orientation != Orientation::Neither) {
            let calibrated = self.calibration.thresholds.keys().filter(|r| r.signal == info.name);
            let mut readings: Vec<Reading> = calibrated.map(|r| info.whole(r)).collect();
            let own = self.reading(&info.name);
            let natural = own.filter(|r| info.threshold(r, self.calibration).is_some() || info.middle().is_some());
            readings.extend(natural.filter(|r| !readings.contains(r)));
            if readings.is_empty() {
                out.extend(self.reading(&info.name).map(Detector::drop));
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

pub(crate) fn info<'a>(known: &'a [SignalInfo], name: &str) -> Option<&'a SignalInfo> {
    known.iter().find(|i| i.name == name)
}

/// Why no step can be marked: a reward model's one reward for all steps says nothing of any.
pub(crate) const ONE_FOR_ALL: &str = "one reward for all steps, so none is marked";

/// Whether a signal has the same value in every step.
pub(super) fn alike(info: &SignalInfo, granularity: Granularity) -> bool {
    granularity == Granularity::Sparse && info.is_model && info.level == SignalLevel::Token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Span, TokenValue, segment};

    fn candidate(signals: Vec<Signal>) -> Candidate {
        let text = "a 1\nb 2";
        Candidate { text: text.into(), steps: segment(text, &"line".parse().unwrap()), signals, ..Candidate::default() }
    }

    fn tokens() -> Vec<TokenValue> {
        vec![TokenValue { span: Span::new(0, 3), value: 1.0 }, TokenValue { span: Span::new(4, 7), value: -1.0 }]
    }

    fn readings(candidates: &[Candidate], settings: &Settings, calibration: &Calibration) -> (Vec<SignalInfo>, Readings, Vec<String>) {
        let mut known: Vec<SignalInfo> = Vec::new();
        for c in candidates {
            for s in signals_of(c, false).iter().filter(|s| s.has_values()) {
                if info(&known, &s.name).is_none() {
                    known.push(SignalInfo::of(s, c));
                }
            }
        }
        let choice = Choice { settings, calibration, known: &known, candidates };
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
        let choice = Choice { settings: &settings, calibration: &calibration, known: &known, candidates: &both };
        assert_eq!(choice.readings(false).rank, None);
        let bound = |r: &str| choice.bound(&r.parse().unwrap(), Vec::new).map(|b| (b.value, b.stated.is_some()));
        assert_eq!(
            (bound("reward.sum"), bound("reward.min"), bound("given")),
            (Some((-2.0, true)), Some((0.0, false)), Some((0.5, false)))
        );
    }
}
