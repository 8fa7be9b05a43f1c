//! What a query asks of a candidate, and how it is answered.

use super::Asked;
use super::lex::Operator;
use crate::answer::Question;
use crate::check;
use crate::format::Scoring;
use crate::trace::{
    Aggregation, Calibration, Candidate, Detector, GoldDeviation, Granularity, Reading, Trace, candidate_scores, outside, ranks,
};
use regex::{Regex, RegexBuilder};

/// Bytes of a compiled regular expression.
const LARGEST_REGEX: usize = 1 << 20;
/// Before a signal's name: some step's value rather than the candidate's.
const STEP: &str = "step.";

/// Under which readings a query looks at candidates: those of whoever asks, so that it finds what they see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lens {
    /// Which tokens carry a reward.
    pub granularity: Granularity,
    /// From the steps to the candidate.
    pub aggregation: Aggregation,
    /// What predicts the first deviation.
    pub detector: Detector,
    /// Its thresholds.
    pub calibration: Calibration,
    /// What ranks the candidates of a problem; `None`: nothing.
    pub rank_by: Option<Reading>,
    /// Deviations are predicted also where a reward model has not learned on such text.
    pub trust: bool,
}

impl Lens {
    /// The step that deviates first, from 0, where something judges the candidate or its file says it; `Some(None)`: none does.
    fn first(&self, trace: &Trace, candidate: &Candidate) -> Option<Option<usize>> {
        let found = self.scoring(&self.detector).first(trace, candidate);
        found.map(|d| d.map(|d| d.step)).or_else(|| candidate.deviation.as_ref().map(|d| Some(d.step)))
    }

    /// The same by the threshold of another reading.
    fn first_by(&self, reading: &Reading, trace: &Trace, candidate: &Candidate) -> Option<Option<usize>> {
        let detector = Detector { reading: reading.clone(), rule: self.detector.rule };
        self.scoring(&detector).first(trace, candidate).map(|d| d.map(|d| d.step))
    }

    fn scoring<'a>(&'a self, detector: &'a Detector) -> Scoring<'a> {
        let (granularity, aggregation) = (self.granularity, self.aggregation);
        Scoring { granularity, aggregation, detector, calibration: &self.calibration, trust: self.trust }
    }
}

/// A text of a candidate or its problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    Problem,
    Text,
    Step,
    Answer,
    Source,
    Id,
}

impl Place {
    /// The text that a query calls by this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "problem" => Self::Problem,
            "text" => Self::Text,
            "step" => Self::Step,
            "answer" => Self::Answer,
            "policy" | "source" => Self::Source,
            "id" => Self::Id,
            _ => return None,
        })
    }

    /// Whether one of the place's texts is such.
    fn any(self, asked: &Asked<'_>, mut is: impl FnMut(&str) -> bool) -> bool {
        let (trace, c) = (asked.trace, asked.candidate);
        match self {
            Self::Anywhere => is(&trace.id) || is(&trace.problem) || is(&c.text) || c.answer.as_deref().is_some_and(is),
            Self::Problem => is(&trace.problem),
            Self::Text => is(&c.text),
            Self::Step => c.steps.iter().any(|s| is(s.span.of(&c.text))),
            Self::Answer => c.answer.as_deref().is_some_and(is),
            Self::Source => c.policy.as_deref().is_some_and(&mut is) || trace.source.as_ref().is_some_and(|s| is(&s.path)),
            Self::Id => is(&trace.id),
        }
    }
}

/// What a text is searched for.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Option<Regex>);

impl Pattern {
    /// This text; case is ignored unless it has a capital.
    pub fn text(text: &str) -> Self {
        let exact = text.chars().any(char::is_uppercase);
        // What is too long to be looked for is found nowhere.
        Self(RegexBuilder::new(&regex::escape(text)).case_insensitive(!exact).size_limit(LARGEST_REGEX).build().ok())
    }

    /// This regular expression, over several lines; case is ignored unless it has a capital letter outside of escapes.
    pub fn regex(regex: &str) -> Result<Self, String> {
        let mut before = ' ';
        let exact = regex.chars().any(|c| c.is_uppercase() && std::mem::replace(&mut before, c) != '\\');
        let built = RegexBuilder::new(regex).case_insensitive(!exact).multi_line(true).size_limit(LARGEST_REGEX).build();
        built.map(|r| Self(Some(r))).map_err(|e| {
            let last = e.to_string().lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
            format!("is no regular expression: {last}")
        })
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|r| r.is_match(text))
    }
}

/// A number that can be compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Measured {
    Deviation,
    Gold,
    Steps,
    Length,
    Characters,
    Candidates,
    Candidate,
    Rank,
    /// A signal's value for the candidate: the name as it was written, and as a reading.
    Signal(String, Reading),
    /// Its value for a step.
    OfStep(String, Reading),
}

impl Measured {
    /// The number that a query calls by this name.
    pub fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "dev" => Self::Deviation,
            "gold" => Self::Gold,
            "steps" => Self::Steps,
            "len" => Self::Length,
            "chars" => Self::Characters,
            "candidates" => Self::Candidates,
            "candidate" => Self::Candidate,
            "rank" => Self::Rank,
            _ => match name.strip_prefix(STEP) {
                Some(name) => Self::OfStep(name.to_owned(), name.parse()?),
                None => Self::Signal(name.to_owned(), name.parse()?),
            },
        })
    }

    /// Whether one of its values is such.
    fn any(&self, asked: &Asked<'_>, is: impl Fn(f64) -> bool) -> bool {
        let (c, lens) = (asked.candidate, asked.lens);
        let number = |n: usize| is(n as f64);
        match self {
            Self::Deviation => lens.first(asked.trace, c).flatten().is_some_and(|step| number(step + 1)),
            Self::Gold => matches!(c.gold, Some(GoldDeviation::Step(step)) if number(step + 1)),
            Self::Steps => number(c.steps.len()),
            Self::Length => number(if c.tokens.is_empty() { c.text.split_whitespace().count() } else { c.tokens.len() }),
            Self::Characters => number(c.text.chars().count()),
            Self::Candidates => number(asked.trace.candidates.len()),
            Self::Candidate => number(asked.number + 1),
            Self::Rank => {
                let Some(reading) = &lens.rank_by else { return false };
                let scores = candidate_scores(&asked.trace.candidates, reading, lens.granularity, lens.aggregation);
                ranks(&scores).get(asked.number).copied().flatten().is_some_and(number)
            }
            Self::Signal(name, reading) => {
                let value = values(asked, name, reading, |signal, steps| signal.candidate_value(lens.aggregation, &steps));
                value.flatten().is_some_and(|v| is(f64::from(v)))
            }
            Self::OfStep(name, reading) => {
                let steps = values(asked, name, reading, |_, steps| steps).unwrap_or_default();
                steps.into_iter().flatten().any(|v| is(f64::from(v)))
            }
        }
    }
}

/// What a signal says of the steps: that of the whole name where there is one, else that of the name before a statistic.
fn values<T>(
    asked: &Asked<'_>,
    name: &str,
    reading: &Reading,
    take: impl FnOnce(&crate::trace::Signal, Vec<Option<f32>>) -> T,
) -> Option<T> {
    let c = asked.candidate;
    let (signal, reading) = match check::find(c, name) {
        Some(signal) => (signal, Reading::of(name)),
        None => (check::find(c, &reading.signal)?, reading.clone()),
    };
    let steps = c.step_values(&signal, &reading, asked.lens.granularity);
    Some(take(&signal, steps))
}

/// One thing that is asked.
#[derive(Clone, Debug)]
pub(super) enum Term {
    Has(Place, Pattern),
    /// The place's text is this one, but for case and outer whitespace.
    Is(Place, String),
    /// The final answer is this one, as the problem's answers are compared.
    Answer(String),
    Compare(Measured, Operator, f64),
    Right,
    Wrong,
    Ungraded,
    Unanswered,
    Cut,
    Marked,
    Unmarked,
    Disagree,
    Agree,
    Apart(Reading, Reading),
    Outside,
    Gold(Option<bool>),
    Label(Option<Option<i8>>),
}

impl Term {
    /// What a word means by itself.
    pub fn keyword(word: &str) -> Option<Self> {
        Some(match word {
            "right" => Self::Right,
            "wrong" => Self::Wrong,
            "ungraded" => Self::Ungraded,
            "unanswered" => Self::Unanswered,
            "cut" => Self::Cut,
            "marked" => Self::Marked,
            "unmarked" => Self::Unmarked,
            "disagree" => Self::Disagree,
            "agree" => Self::Agree,
            "outside" => Self::Outside,
            "gold:none" => Self::Gold(None),
            "gold:right" => Self::Gold(Some(true)),
            "gold:wrong" => Self::Gold(Some(false)),
            "label:none" => Self::Label(None),
            "label:any" => Self::Label(Some(None)),
            "label:good" => Self::Label(Some(Some(1))),
            "label:bad" => Self::Label(Some(Some(-1))),
            _ => return None,
        })
    }

    /// The signals that it names.
    pub fn signals<'a>(&'a self, out: &mut Vec<&'a str>) {
        match self {
            Self::Compare(Measured::Signal(name, _) | Measured::OfStep(name, _), ..) => out.push(name),
            Self::Apart(a, b) => out.extend([a.signal.as_str(), b.signal.as_str()]),
            _ => {}
        }
    }

    pub fn holds(&self, asked: &Asked<'_>) -> bool {
        let c = asked.candidate;
        let first = || asked.lens.first(asked.trace, c);
        // Where both are known: the labelled step and the predicted one.
        let pair = || {
            let gold = match c.gold? {
                GoldDeviation::None => None,
                GoldDeviation::Step(step) => Some(step),
            };
            Some((gold, first()?))
        };
        match self {
            Self::Has(place, pattern) => place.any(asked, |text| pattern.is_in(text)),
            Self::Is(place, wanted) => place.any(asked, |text| text.trim().to_lowercase() == wanted.trim().to_lowercase()),
            Self::Answer(wanted) => c.answer.as_deref().is_some_and(|answer| {
                let reference = asked.trace.gold_answer.as_deref();
                Question::guess(&asked.trace.problem, reference.or(Some(wanted))).same(answer, wanted)
            }),
            Self::Compare(measured, operator, wanted) => measured.any(asked, |value| match operator {
                Operator::Less => value < *wanted,
                Operator::AtMost => value <= *wanted,
                Operator::Greater => value > *wanted,
                Operator::AtLeast => value >= *wanted,
                Operator::Unequal => value != *wanted,
                // A number of a file is kept in single precision.
                _ => value == *wanted || value as f32 == *wanted as f32,
            }),
            Self::Right => c.correct == Some(true),
            Self::Wrong => c.correct == Some(false),
            Self::Ungraded => c.correct.is_none(),
            Self::Unanswered => c.answer.is_none(),
            Self::Cut => c.is_cut(),
            Self::Marked => matches!(first(), Some(Some(_))),
            Self::Unmarked => first() == Some(None),
            Self::Disagree => pair().is_some_and(|(gold, found)| gold != found),
            Self::Agree => pair().is_some_and(|(gold, found)| gold == found),
            Self::Apart(a, b) => {
                let by = |reading| asked.lens.first_by(reading, asked.trace, c);
                by(a).zip(by(b)).is_some_and(|(a, b)| a != b)
            }
            Self::Outside => c.signals.iter().any(|s| s.domain.is_some() && outside(&asked.trace.candidates, &s.name).is_some()),
            Self::Gold(None) => c.gold.is_none(),
            Self::Gold(Some(right)) => c.gold.is_some_and(|g| (g == GoldDeviation::None) == *right),
            Self::Label(None) => c.steps.iter().all(|s| s.label.is_none()),
            Self::Label(Some(None)) => c.steps.iter().any(|s| s.label.is_some()),
            Self::Label(Some(rating)) => c.ratings().contains(rating),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KEYWORDS, QUANTITIES, Query, TEXTS};
    use super::*;
    use crate::trace::{FinishReason, Signal, Source, Token, segment};

    /// Two candidates: a right one, and a wrong one that was cut and has a label, a gold step and a signal of steps.
    fn trace() -> Trace {
        let candidate =
            |text: &str| Candidate { text: text.into(), steps: segment(text, &"line".parse().unwrap()), ..Candidate::default() };
        let right = Candidate {
            answer: Some("18".into()),
            correct: Some(true),
            gold: Some(GoldDeviation::None),
            policy: Some("gpt-oss-20b".into()),
            ..candidate("14 + 9 = 23\n23 - 5 = 18")
        };
        let mut wrong = Candidate {
            answer: Some("19".into()),
            correct: Some(false),
            gold: Some(GoldDeviation::Step(0)),
            finish: Some(FinishReason::Length),
            signals: vec![
                Signal::given_steps("prm", vec![Some(0.75), Some(0.25), None]),
                Signal::given_steps("other", vec![Some(0.25), Some(0.75), Some(0.75)]),
                Signal::given("metrics.min", 0.5),
            ],
            ..candidate("14 + 9 = 24\n24 - 5 = 19\nso É 19")
        };
        wrong.steps[1].label = Some(-1.0);
        wrong.tokens = (0..4).map(|i| Token { span: crate::trace::Span::new(i, i + 1), logprob: Some(-2.0), ..Token::default() }).collect();
        let source = Some(Source { format: "verl".into(), path: "runs/20.jsonl".into(), line: 1 });
        Trace {
            id: "q-7".into(),
            problem: "A shelf holds 14 jars".into(),
            gold_answer: Some("18".into()),
            candidates: vec![right, wrong],
            source,
        }
    }

    /// Of which of the two it holds.
    fn holding(query: &str) -> Vec<usize> {
        let (trace, query) = (trace(), Query::parse(query).unwrap());
        let mut calibration = Calibration::at(Reading::of("prm"), 0.5);
        calibration.thresholds.insert(Reading::of("other"), 0.5);
        let detector = Detector { reading: Reading::of("prm"), ..Detector::default() };
        let lens = Lens { calibration, detector, rank_by: Some(Reading::of("prm")), ..Lens::default() };
        let held: Vec<usize> = (0..2).filter(|&i| query.holds(&trace, i, &lens)).collect();
        assert_eq!(query.matches(&trace, &lens), !held.is_empty());
        held
    }

    #[test]
    fn every_word_holds_of_what_it_says() {
        for (query, of) in [
            ("", &[0, 1][..]),
            ("right", &[0]),
            ("wrong", &[1]),
            ("ungraded", &[]),
            ("not unanswered", &[0, 1]),
            ("cut", &[1]),
            ("marked", &[1]),
            ("unmarked", &[]),
            ("disagree", &[1]),
            ("agree", &[]),
            ("disagree:prm.min,other.min", &[1]),
            ("disagree:prm.min,prm.min", &[]),
            ("disagree:prm.min,nothing", &[]),
            ("outside", &[]),
            ("gold:none", &[]),
            ("gold:right", &[0]),
            ("gold:wrong", &[1]),
            ("label:none", &[0]),
            ("label:any label:bad", &[1]),
            ("label:good", &[]),
            ("dev=2", &[1]),
            ("dev<=1", &[]),
            ("gold=1", &[1]),
            ("steps>2", &[1]),
            ("len=4", &[1]),
            ("len=10", &[0]),
            ("chars>28", &[1]),
            ("candidates=2", &[0, 1]),
            ("candidate=1", &[0]),
            ("rank=1", &[1]),
            ("prm=0.5", &[1]),
            ("prm.min<0.3", &[]),
            ("step.prm<0.3", &[1]),
            ("step.prm<0.2", &[]),
            ("metrics.min=0.5", &[1]),
            ("nothing>0", &[]),
            ("check:digits>4", &[0]),
            ("logprob<-1", &[1]),
            ("answer=18.0", &[0]),
            ("answer!=18", &[1]),
            ("answer~9", &[1]),
            ("id=Q-7", &[0, 1]),
            ("source~GPT", &[]),
            ("source~gpt", &[0]),
            ("by:gpt", &[0]),
            ("policy~gpt", &[0]),
            ("source~runs/20", &[0, 1]),
            ("problem~shelf 24", &[1]),
            ("step~/^24.*19$/", &[1]),
            ("step!~/^24.*19$/", &[0]),
            ("é", &[1]),
            ("/= 2[34]$/ right", &[0]),
            ("\"- 5 = 18\"", &[0]),
            ("(right or wrong) and not wrong", &[0]),
        ] {
            assert_eq!(holding(query), of, "{query}");
        }
    }

    #[test]
    fn what_help_names_is_read() {
        for (word, _) in KEYWORDS.into_iter().filter(|k| !matches!(k.0, "and" | "or" | "disagree:" | "by:")) {
            assert!(Term::keyword(word).is_some(), "{word}");
        }
        for (name, _) in QUANTITIES {
            assert!(!matches!(Measured::named(name), Ok(Measured::Signal(..)) | Err(_)), "{name}");
        }
        assert!(TEXTS.iter().all(|(name, _)| Place::named(name).is_some()));
    }

    #[test]
    fn a_problem_without_candidates_is_searched_too() {
        let bare = Trace { candidates: Vec::new(), ..trace() };
        let holds = |query: &str| Query::parse(query).unwrap().matches(&bare, &Lens::default());
        assert!(holds("shelf ungraded") && !holds("right") && !holds("\"24 - 5\""));
    }

    #[test]
    fn signals_that_are_named_are_known() {
        let query = Query::parse("reward.min<1 or (not step.prm>0 disagree:a,b.sum) len>2").unwrap();
        assert_eq!(query.signals(), ["reward.min", "prm", "a", "b"]);
    }
}
