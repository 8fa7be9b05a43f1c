//! What the user can turn: how rewards are read, how candidates are sampled.

use crate::trace::{Aggregation, Detector, Fitted, Granularity, Reading, Rule, Sampling, Statistic, TokenClass};

/// How rewards are read and candidates are sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Candidates a problem, ≥ 1.
    pub n: usize,
    /// How to sample.
    pub sampling: Sampling,
    /// Which tokens carry the reward.
    pub granularity: Granularity,
    /// How step rewards become one.
    pub aggregation: Aggregation,
    /// What ranks candidates; `None`: the default, see [`crate::trace::default_signal`].
    pub rank_by: Option<Reading>,
    /// What colours the steps; `None`: what ranks, or the first reward that knows steps where that does not.
    pub colour_by: Option<Reading>,
    /// How the tokens of a step become one value, where a reading does not name it; `None`: as the calibration or the signal itself says.
    pub statistic: Option<Statistic>,
    /// Which tokens of a step count.
    pub tokens: TokenClass,
    /// How the first deviation is found; `None`: by what colours, at its threshold.
    pub detect_by: Option<Detector>,
    /// What marks a second first deviation, to show where two signals disagree.
    pub beside: Beside,
    /// Signals that are shown first.
    pub shown: Vec<Reading>,
    /// A reward model is believed also where it finds that it has not learned on such text.
    pub trust: bool,
    /// The threshold that was fitted on the texts at hand, for what judges where no reward does.
    pub fitted: Option<Fitted>,
}

/// What marks beside the detector.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Beside {
    /// The first of [`Settings::shown`], or the next reward.
    #[default]
    Default,
    /// Nothing.
    Off,
    /// This detector.
    By(Detector),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            n: 8,
            sampling: Sampling::default(),
            granularity: Granularity::default(),
            aggregation: Aggregation::default(),
            rank_by: None,
            colour_by: None,
            statistic: None,
            tokens: TokenClass::All,
            detect_by: None,
            beside: Beside::Default,
            shown: Vec::new(),
            trust: false,
            fitted: None,
        }
    }
}

/// A setting, in the order of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// [`Settings::n`].
    N,
    /// [`Sampling::temperature`].
    Temperature,
    /// [`Sampling::top_p`].
    TopP,
    /// [`Sampling::top_k`].
    TopK,
    /// [`Sampling::min_p`].
    MinP,
    /// [`Sampling::max_tokens`].
    MaxTokens,
    /// [`Sampling::seed`].
    Seed,
    /// [`Settings::granularity`].
    Granularity,
    /// The k of [`Granularity::Interval`].
    Interval,
    /// [`Settings::aggregation`].
    Aggregation,
    /// [`Settings::rank_by`].
    RankBy,
    /// [`Settings::colour_by`].
    ColourBy,
    /// [`Settings::statistic`].
    Statistic,
    /// [`Settings::tokens`].
    Tokens,
    /// [`Settings::detect_by`].
    Rule,
    /// [`Settings::beside`].
    Beside,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::N,
        Self::Temperature,
        Self::TopP,
        Self::TopK,
        Self::MinP,
        Self::MaxTokens,
        Self::Seed,
        Self::Granularity,
        Self::Interval,
        Self::Aggregation,
        Self::RankBy,
        Self::ColourBy,
        Self::Statistic,
        Self::Tokens,
        Self::Rule,
        Self::Beside,
    ];

    /// Its name, and its unit or range.
    pub fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::N => ("candidates", "1 to 1024"),
            Self::Temperature => ("temperature", "0 is greedy"),
            Self::TopP => ("top-p", "1 is off"),
            Self::TopK => ("top-k", "0 is off"),
            Self::MinP => ("min-p", "0 is off"),
            Self::MaxTokens => ("max tokens", "a candidate"),
            Self::Seed => ("seed", "a stream each"),
            Self::Granularity => ("granularity", "where rewards are read"),
            Self::Interval => ("interval k", "every k-th token"),
            Self::Aggregation => ("aggregation", "steps to one"),
            Self::RankBy => ("ranked by", "a signal"),
            Self::ColourBy => ("steps by", "a signal"),
            Self::Statistic => ("statistic", "tokens to a step"),
            Self::Tokens => ("tokens", "of a step"),
            Self::Rule => ("deviation", "what marks the first"),
            Self::Beside => ("beside it", "what marks another"),
        }
    }

    /// Whether it changes what is sampled, rather than how it is read.
    pub fn is_sampling(self) -> bool {
        (self as usize) < (Self::Granularity as usize)
    }

    /// Whether a number can be typed.
    pub fn is_number(self) -> bool {
        self.is_sampling() || self == Self::Interval
    }

    /// Whether its values are signals of the opened problem.
    pub fn is_signal(self) -> bool {
        matches!(self, Self::RankBy | Self::ColourBy | Self::Rule | Self::Beside)
    }
}

/// Interval that the paper uses.
const INTERVAL: usize = 15;

impl Settings {
    /// The value as the panel shows it; nothing where it is the default of the opened problem.
    pub fn shown(&self, field: Field) -> String {
        match field {
            Field::N => self.n.to_string(),
            field if self.is_unset(field) => "server's".into(),
            Field::Temperature => decimal(self.sampling.temperature),
            Field::TopP => decimal(self.sampling.top_p),
            Field::TopK => self.sampling.top_k.to_string(),
            Field::MinP => decimal(self.sampling.min_p),
            Field::MaxTokens => self.sampling.max_tokens.to_string(),
            Field::Seed => self.sampling.seed.to_string(),
            Field::Granularity => self.granularity.name().to_string(),
            Field::Interval => match self.granularity {
                Granularity::Interval(k) => k.to_string(),
                _ => String::new(),
            },
            Field::Aggregation => self.aggregation.name().to_string(),
            Field::Statistic => {
                let named = self.rank_by.as_ref().and_then(|r| r.statistic).or(self.statistic);
                named.map_or("its own", Statistic::name).into()
            }
            Field::Tokens => token_class(self.tokens).into(),
            Field::RankBy => self.rank_by.as_ref().map_or_else(String::new, Reading::to_string),
            Field::ColourBy => self.colour_by.as_ref().map_or_else(String::new, Reading::to_string),
            Field::Rule => self.detect_by.as_ref().map_or_else(String::new, detector_name),
            Field::Beside => match &self.beside {
                Beside::Default => String::new(),
                Beside::Off => "nothing".into(),
                Beside::By(detector) => detector_name(detector),
            },
        }
    }

    /// Whether the field is left to the server that samples.
    fn is_unset(&self, field: Field) -> bool {
        let unset = self.sampling.unset;
        match field {
            Field::Temperature => unset.temperature,
            Field::TopP => unset.top_p,
            Field::TopK => unset.top_k,
            Field::MinP => unset.min_p,
            _ => false,
        }
    }

    /// From now on the field is the user's, also where it was left to the server.
    fn own(&mut self, field: Field) {
        let unset = &mut self.sampling.unset;
        match field {
            Field::Temperature => unset.temperature = false,
            Field::TopP => unset.top_p = false,
            Field::TopK => unset.top_k = false,
            Field::MinP => unset.min_p = false,
            _ => {}
        }
    }

    /// Steps a value up (`by` > 0) or down; values stay inside their ranges. Signals are chosen where the problem is known.
    pub fn nudge(&mut self, field: Field, by: i64) {
        self.own(field);
        let add = |value: usize, low: usize, high: usize| (value as i64).saturating_add(by).clamp(low as i64, high as i64) as usize;
        let sampling = &mut self.sampling;
        match field {
            Field::N => self.n = add(self.n, 1, 1024),
            Field::Temperature => sampling.temperature = rounded(sampling.temperature + 0.1 * by as f32, 0.0, 5.0),
            Field::TopP => sampling.top_p = rounded(sampling.top_p + 0.05 * by as f32, 0.05, 1.0),
            Field::TopK => sampling.top_k = add(sampling.top_k, 0, 100_000),
            Field::MinP => sampling.min_p = rounded(sampling.min_p + 0.01 * by as f32, 0.0, 0.99),
            Field::MaxTokens => sampling.max_tokens = add(sampling.max_tokens, 1, 1 << 20).max(1),
            Field::Seed => sampling.seed = sampling.seed.saturating_add_signed(by),
            Field::Granularity => {
                let all = [Granularity::Sparse, Granularity::Step, Granularity::Interval(INTERVAL), Granularity::Dense];
                let at = all.iter().position(|g| g.name() == self.granularity.name()).unwrap_or(0);
                self.granularity = all[turn(at, by, all.len())];
            }
            Field::Interval => {
                let k = if let Granularity::Interval(k) = self.granularity { add(k, 1, 100_000) } else { INTERVAL };
                self.granularity = Granularity::Interval(k);
            }
            Field::Aggregation => {
                let all = Aggregation::ALL;
                let at = all.iter().position(|a| *a == self.aggregation).unwrap_or(0);
                self.aggregation = all[turn(at, by, all.len())];
            }
            Field::Statistic => {
                let all: Vec<Option<Statistic>> = std::iter::once(None).chain(Statistic::ALL.map(Some)).collect();
                let at = all.iter().position(|s| *s == self.statistic).unwrap_or(0);
                self.statistic = all[turn(at, by, all.len())];
                // It holds for what was named with another one, too.
                [&mut self.rank_by, &mut self.colour_by].into_iter().flatten().for_each(|r| r.statistic = None);
            }
            Field::Tokens => {
                self.tokens = if self.tokens == TokenClass::All { TokenClass::Digits } else { TokenClass::All };
                [&mut self.rank_by, &mut self.colour_by].into_iter().flatten().for_each(|r| r.tokens = TokenClass::All);
            }
            Field::RankBy | Field::ColourBy | Field::Rule | Field::Beside => {}
        }
    }

    /// Takes a typed number; the error says what is allowed.
    pub fn set(&mut self, field: Field, text: &str) -> Result<(), String> {
        let (name, _) = field.label();
        let text = text.trim().replace(',', ".");
        let whole = |low: usize, high: usize| {
            let value = text.parse::<usize>().ok().filter(|v| (low..=high).contains(v));
            value.ok_or_else(|| format!("{name}: {text:?} is no whole number from {low} to {high}"))
        };
        let part = |low: f32, high: f32| {
            let value = text.parse::<f32>().ok().filter(|v| (low..=high).contains(v));
            value.ok_or_else(|| format!("{name}: {text:?} is no number from {low} to {high}"))
        };
        match field {
            Field::N => self.n = whole(1, 1024)?,
            Field::Temperature => self.sampling.temperature = part(0.0, 5.0)?,
            Field::TopP => self.sampling.top_p = part(0.01, 1.0)?,
            Field::TopK => self.sampling.top_k = whole(0, 100_000)?,
            Field::MinP => self.sampling.min_p = part(0.0, 0.99)?,
            Field::MaxTokens => self.sampling.max_tokens = whole(1, 1 << 20)?,
            Field::Seed => self.sampling.seed = text.parse().map_err(|_| format!("{name}: {text:?} is no whole number from 0 on"))?,
            Field::Interval => self.granularity = Granularity::Interval(whole(1, 100_000)?),
            _ => return Err(format!("{name}: choose with h and l")),
        }
        self.own(field);
        Ok(())
    }
}

pub(super) fn turn(at: usize, by: i64, len: usize) -> usize {
    (at as i64 + by).rem_euclid(len as i64) as usize
}

/// Rounds to hundredths: repeated steps of 0.1 stay on the grid.
fn rounded(value: f32, low: f32, high: f32) -> f32 {
    ((value * 100.0).round() / 100.0).clamp(low, high)
}

fn decimal(value: f32) -> String {
    let text = format!("{value:.2}");
    text.strip_suffix('0').map_or(text.clone(), str::to_string)
}

/// Name of a class of tokens.
fn token_class(tokens: TokenClass) -> &'static str {
    match tokens {
        TokenClass::All => "all",
        TokenClass::Digits => "with digits",
    }
}

/// Name of a detector: its reading, and the rule where it is not the threshold.
pub fn detector_name(detector: &Detector) -> String {
    match detector.rule {
        Rule::Threshold => detector.reading.to_string(),
        Rule::LargestDrop => format!("{} drop", detector.reading),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Unset;

    #[test]
    fn values_go_round_or_stop_at_their_ends() {
        let mut s = Settings::default();
        for _ in 0..4 {
            s.nudge(Field::Granularity, 1);
        }
        assert_eq!(s.granularity, Granularity::Dense, "four on is all the way round");
        s.nudge(Field::N, -100);
        assert_eq!(s.n, 1);
        (0..13).for_each(|_| s.nudge(Field::Temperature, -1));
        assert_eq!(s.sampling.temperature, 0.0);
        s.nudge(Field::Temperature, 3);
        assert_eq!(s.shown(Field::Temperature), "0.3");
        s.nudge(Field::Seed, -5);
        assert_eq!(s.sampling.seed, 0);
    }

    #[test]
    fn what_is_left_to_the_server_becomes_the_users_when_it_is_set() {
        let unset = Unset { temperature: true, top_p: true, ..Unset::default() };
        let mut s = Settings { sampling: Sampling { unset, ..Sampling::default() }, ..Settings::default() };
        assert_eq!([Field::Temperature, Field::TopP, Field::TopK].map(|f| s.shown(f)), ["server's", "server's", "0"]);
        assert!(s.set(Field::Temperature, "hot").is_err() && s.sampling.unset.temperature);
        s.set(Field::Temperature, "0.7").unwrap();
        s.nudge(Field::TopP, -1);
        assert_eq!([Field::Temperature, Field::TopP].map(|f| s.shown(f)), ["0.7", "0.95"]);
        assert_eq!(s.sampling.unset, Unset::default());
    }

    #[test]
    fn typed_numbers_are_checked() {
        let mut s = Settings::default();
        assert!(s.set(Field::Temperature, "0,7").is_ok() && s.sampling.temperature == 0.7);
        assert_eq!(s.set(Field::N, "0"), Err("candidates: \"0\" is no whole number from 1 to 1024".into()));
        assert!(s.set(Field::Temperature, "NaN").is_err() && s.set(Field::Seed, "-1").is_err());
    }
}
