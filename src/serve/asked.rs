//! From the JSON of a request to traces that can be read; what is missing, too much or contradictory is said with its field.

use super::limits::Limits;
use super::refusal::Refusal;
use super::wire::{Candidate, CandidateObject, Item, ScoreRequest};
use crate::format::join_steps;
use crate::trace::{self, Aggregation, FinishReason, Granularity, Reading, Rule, Segmentation, Statistic, Trace, segment};
use axum::http::StatusCode;

/// How the candidates of a request are judged.
#[derive(Clone, Debug)]
pub(super) struct How {
    pub aggregation: Aggregation,
    pub granularity: Granularity,
    /// The reading that was asked for; `None` for the one that was calibrated.
    pub reading: Option<Reading>,
    pub rule: Rule,
    /// One that was asked for.
    pub threshold: Option<f32>,
    /// Whether the values of tokens are wanted.
    pub tokens: bool,
    /// Whether the model is believed outside of what it has learned.
    pub trust: bool,
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// One a problem, cut into steps.
    pub traces: Vec<Trace>,
    /// Their names.
    pub ids: Vec<Option<String>>,
    pub how: How,
    pub reward: Option<String>,
    pub stream: bool,
}

/// A field that is wrong.
fn wrong(field: &str, what: impl std::fmt::Display) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("{field}: {what}"))
}

impl Asked {
    /// Checks a request against the limits and cuts its candidates into steps.
    pub fn read(request: ScoreRequest, limits: &Limits) -> Result<Self, Refusal> {
        let segmentation = match &request.segmentation {
            Some(text) => text.parse().map_err(|e| wrong("segmentation", e))?,
            None => Segmentation::Auto,
        };
        let named = |field: &str, text: &Option<String>| text.clone().map(|t| (field.to_owned(), t));
        let aggregation = one_of(named("aggregation", &request.aggregation), &Aggregation::ALL.map(|a| (a.name(), a)))?;
        let statistic = one_of(named("statistic", &request.statistic), &Statistic::ALL.map(|s| (s.name(), s)))?;
        let rules = [("threshold", Rule::Threshold), ("largest_drop", Rule::LargestDrop)];
        let rule = one_of(named("rule", &request.rule), &rules)?;
        let granularity = request.granularity.as_deref().map(|g| g.parse().map_err(|e| wrong("granularity", e))).transpose()?;
        if let Some(threshold) = request.threshold.filter(|t| !t.is_finite()) {
            return Err(wrong("threshold", format!("is {threshold}; give a finite number")));
        }
        let how = How {
            aggregation: aggregation.unwrap_or_default(),
            granularity: granularity.unwrap_or_default(),
            reading: statistic.map(|s| Reading::new(trace::REWARD, s)),
            rule: rule.unwrap_or_default(),
            threshold: request.threshold,
            tokens: request.tokens,
            trust: request.trust,
        };
        let (reward, stream) = (request.reward.clone(), request.stream);
        let items = items(request)?;
        within(&items, limits)?;
        let (mut traces, mut ids) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for (at, item) in items {
            let candidates = candidates(&at, item.completion, item.steps, item.finished, item.candidates, &segmentation)?;
            traces.push(Trace { problem: item.problem, candidates, ..Trace::default() });
            ids.push(item.id);
        }
        Ok(Self { traces, ids, how, reward, stream })
    }
}

/// The one of some names that a field has.
fn one_of<T: Copy>(field: Option<(String, String)>, names: &[(&str, T)]) -> Result<Option<T>, Refusal> {
    let Some((field, text)) = field else { return Ok(None) };
    let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let all = || names.iter().map(|n| n.0).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| wrong(&field, format!("is '{text}'; give one of {}", all())))
}

/// The problems of a request, each with where it stands in it.
fn items(request: ScoreRequest) -> Result<Vec<(String, Item)>, Refusal> {
    let ScoreRequest { problem, completion, steps, candidates, finished, items, .. } = request;
    match (problem, items) {
        (Some(problem), None) => Ok(vec![(String::new(), Item { id: None, problem, completion, steps, candidates, finished })]),
        (None, Some(items)) => match [completion.is_some(), steps.is_some(), candidates.is_some(), finished.is_some()] {
            [false, false, false, false] => Ok(items.into_iter().enumerate().map(|(i, item)| (format!("items[{i}]."), item)).collect()),
            _ => Err(wrong("items", "stands beside completion, steps, candidates or finished; put these into the items")),
        },
        (Some(_), Some(_)) => Err(wrong("items", "stands beside problem; give one of the two")),
        (None, None) => Err(wrong("problem", "is missing; give problem with completion, steps or candidates, or items")),
    }
}

/// Refuses what is more than the server takes.
fn within(items: &[(String, Item)], limits: &Limits) -> Result<(), Refusal> {
    let length = |completion: &Option<String>, steps: &Option<Vec<String>>| {
        completion.as_ref().map_or(0, String::len) + steps.iter().flatten().map(|s| s.len() + 2).sum::<usize>()
    };
    let (mut count, mut bytes) = (0usize, 0usize);
    for (_, item) in items {
        count += item.candidates.as_ref().map_or(1, Vec::len);
        bytes += item.problem.len() + length(&item.completion, &item.steps);
        for candidate in item.candidates.iter().flatten() {
            bytes += match candidate {
                Candidate::Text(text) => text.len(),
                Candidate::Object(object) => length(&object.completion, &object.steps),
            };
        }
    }
    let large = |what: String| Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, what));
    match () {
        () if count > limits.candidates => {
            large(format!("{count} candidates are more than the {} that a request may have; send several requests", limits.candidates))
        }
        () if bytes > limits.text => {
            large(format!("{bytes} bytes of text are more than the {} that a request may have; send several requests", limits.text))
        }
        () => Ok(()),
    }
}

/// The candidates of the problem that stands at `at`.
fn candidates(
    at: &str,
    completion: Option<String>,
    steps: Option<Vec<String>>,
    finished: Option<bool>,
    several: Option<Vec<Candidate>>,
    segmentation: &Segmentation,
) -> Result<Vec<trace::Candidate>, Refusal> {
    let Some(several) = several else {
        return one(at, CandidateObject { completion, steps, finished }, segmentation).map(|c| vec![c]);
    };
    if completion.is_some() || steps.is_some() || finished.is_some() {
        return Err(wrong(&format!("{at}candidates"), "stands beside completion, steps or finished; put these into the candidates"));
    }
    if several.is_empty() {
        return Err(wrong(&format!("{at}candidates"), "is empty; give at least one"));
    }
    let object = |candidate| match candidate {
        Candidate::Text(text) => CandidateObject { completion: Some(text), ..CandidateObject::default() },
        Candidate::Object(object) => object,
    };
    several.into_iter().enumerate().map(|(i, c)| one(&format!("{at}candidates[{i}]."), object(c), segmentation)).collect()
}

fn one(at: &str, from: CandidateObject, segmentation: &Segmentation) -> Result<trace::Candidate, Refusal> {
    let (text, steps) = match (from.completion, from.steps) {
        (Some(text), None) => {
            let steps = segment(&text, segmentation);
            (text, steps)
        }
        (None, Some(steps)) => join_steps(&steps.iter().map(String::as_str).collect::<Vec<_>>(), "\n\n"),
        (Some(_), Some(_)) => return Err(wrong(&format!("{at}steps"), "stands beside completion; give one of the two")),
        (None, None) => return Err(wrong(&format!("{at}completion"), "is missing; give completion or steps")),
    };
    let finish = (from.finished == Some(false)).then_some(FinishReason::Length);
    Ok(trace::Candidate { text, steps, finish, ..trace::Candidate::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Span;
    use serde_json::{Value, json};

    fn read(value: Value) -> Result<Asked, String> {
        let request = serde_json::from_value(value).map_err(|e| e.to_string())?;
        let limits = Limits { candidates: 3, text: 40, ..Limits::default() };
        Asked::read(request, &limits).map_err(|r| format!("{} {}", r.status.as_u16(), r.message))
    }

    #[test]
    fn one_problem_and_several_are_read() {
        let asked = read(json!({"problem": "p", "completion": "a\n\nb"})).unwrap();
        assert_eq!(asked.traces[0].candidates[0].steps.len(), 2);
        assert_eq!(asked.traces[0].candidates[0].finish, None);
        let asked = read(json!({"problem": "p", "steps": ["a ", " b"], "finished": false, "segmentation": "line"})).unwrap();
        let candidate = &asked.traces[0].candidates[0];
        assert_eq!(candidate.text, "a \n\n b");
        assert_eq!(candidate.steps.iter().map(|s| s.span).collect::<Vec<_>>(), [Span::new(0, 1), Span::new(5, 6)]);
        assert_eq!(candidate.finish, Some(FinishReason::Length));
        let asked = read(
            json!({"items": [{"id": "x", "problem": "p", "completion": "a"}, {"problem": "q", "candidates": ["b", {"steps": ["c"]}]}],
            "aggregation": "min", "granularity": "interval:4", "statistic": "sum", "rule": "largest_drop", "tokens": true, "stream": true}),
        )
        .unwrap();
        assert_eq!((asked.traces.len(), asked.traces[1].candidates.len()), (2, 2));
        assert_eq!(asked.ids, [Some("x".to_owned()), None]);
        let how = asked.how;
        assert_eq!((how.aggregation, how.granularity, how.rule), (Aggregation::Min, Granularity::Interval(4), Rule::LargestDrop));
        assert_eq!(how.reading, Some(Reading::new("reward", Statistic::Sum)));
        assert!(how.tokens && asked.stream);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        for (value, says) in [
            (json!({}), "400 problem: is missing"),
            (json!({"problem": "p"}), "400 completion: is missing"),
            (json!({"problem": "p", "completion": "a", "steps": []}), "400 steps: stands beside completion"),
            (json!({"problem": "p", "completion": "a", "candidates": ["b"]}), "400 candidates: stands beside"),
            (json!({"problem": "p", "candidates": []}), "400 candidates: is empty"),
            (json!({"problem": "p", "items": []}), "400 items: stands beside problem"),
            (json!({"items": [{"problem": "p", "candidates": ["a", {}]}]}), "400 items[0].candidates[1].completion: is missing"),
            (json!({"items": [], "steps": ["a"]}), "400 items: stands beside completion"),
            (json!({"problem": "p", "completion": "a", "aggregation": "median"}), "400 aggregation: is 'median'; give one of mean, min"),
            (json!({"problem": "p", "completion": "a", "granularity": "interval:0"}), "400 granularity: K must be"),
            (json!({"problem": "p", "completion": "a", "segmentation": "verse"}), "400 segmentation: 'verse'"),
            (json!({"problem": "p", "completion": "a", "rule": "x"}), "400 rule: is 'x'; give one of threshold, largest_drop"),
            (json!({"problem": "p", "candidates": ["a", "b", "c", "d"]}), "413 4 candidates are more than the 3"),
            (json!({"problem": "p", "completion": "a".repeat(40)}), "413 41 bytes of text are more than the 40"),
            (json!({"problem": "p", "completion": "a", "agregation": "min"}), "unknown field `agregation`"),
            (json!({"problem": "p", "candidates": [3]}), "a text, or an object with completion or steps"),
            (json!({"problem": "p", "candidates": [{"text": "a"}]}), "unknown field `text`"),
        ] {
            let said = read(value.clone()).unwrap_err();
            assert!(said.contains(says), "{value}: {said}");
        }
        let far = read(json!({"problem": "p", "completion": "a", "threshold": 1e300})).unwrap_err();
        assert!(far.contains("threshold"), "{far}");
    }
}
