//! The JSON of the server: what a client sends and what it gets. Every number is written with the fewest digits that read back as the same `f32`; what is not
//! known is `null` or left out. Spans are half-open ranges of UTF-8 bytes of a candidate's text.

use crate::trace::{Domain, Level, Span, Unit};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What `POST /score` reads: candidates for one problem (`problem` with `completion`, `steps` or `candidates`), or for several (`items`), and how they are judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreRequest {
    /// The problem, without chat template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The text of the only candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<String>,
    /// The steps of the only candidate; its text is these, joined by a blank line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<String>>,
    /// Several candidates: texts, or objects with `completion` or `steps`. They are read as one batch, as `reasonscope score` reads those of one problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<Candidate>>,
    /// Whether the only candidate was ended by its writer; `false` where it was cut off, so that no end of the text is judged. Left out: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<bool>,
    /// Several problems, in place of the fields above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Item>>,
    /// Which reward model, by its `id` in `GET /v1/models`. Left out: the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<String>,
    /// How text without given steps is cut: `auto`, `blank`, `line`, `step`, `sentence` or `sep:TEXT`. Left out: `auto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<String>,
    /// How the values of steps become the value of the candidate: `mean`, `min`, `last`, `product`, `sum` or `discounted`. Left out: `mean`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregation: Option<String>,
    /// Which tokens carry the reward, where the model judges tokens: `dense`, `step`, `sparse`, `interval` or `interval:K`. Left out: `dense`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granularity: Option<String>,
    /// How the tokens of a step become its value: `sum`, `mean`, `min`, `max` or `last`. Left out: as the model was calibrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// What marks the first deviation: `threshold` or `largest_drop`. Left out: `threshold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// A step below this deviates, in the unit of the model. Left out: the calibrated threshold of the model, where it has one for the statistic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Whether the values of tokens are wanted too.
    #[serde(skip_serializing_if = "is_false")]
    pub tokens: bool,
    /// Whether deviations are told also of text that lies outside of what the model has learned.
    #[serde(skip_serializing_if = "is_false")]
    pub trust: bool,
    /// Whether the answer is a stream: an event a step as soon as it is judged, then the whole. JSON lines (`application/x-ndjson`), or Server-Sent Events where
    /// the request accepts `text/event-stream`.
    #[serde(skip_serializing_if = "is_false")]
    pub stream: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One problem of several, with `completion`, `steps` or `candidates`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// A name that comes back with the scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The problem, without chat template.
    pub problem: String,
    /// The text of the only candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<String>,
    /// The steps of the only candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<String>>,
    /// Several candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<Candidate>>,
    /// Whether the only candidate was ended by its writer. Left out: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<bool>,
}

/// One candidate: its text, or an object with its text or its steps.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Candidate {
    /// Its text.
    Text(String),
    /// Its text or its steps.
    Object(CandidateObject),
}

/// A candidate with its text or its steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidateObject {
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<String>,
    /// Its steps; its text is these, joined by a blank line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<String>>,
    /// Whether its writer ended it. Left out: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<bool>,
}

impl<'de> Deserialize<'de> for Candidate {
    /// By hand, because serde's own way with untagged choices does not say which field is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Candidate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or an object with completion or steps")
            }

            fn visit_str<E>(self, text: &str) -> Result<Candidate, E> {
                Ok(Candidate::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Candidate, E> {
                Ok(Candidate::Text(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Candidate, A::Error> {
                CandidateObject::deserialize(MapAccessDeserializer::new(map)).map(Candidate::Object)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// What `POST /score` answers, and the last event of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoreResponse {
    /// The reward model, by its `id` in `GET /v1/models`.
    pub reward: String,
    /// What the numbers are: `logit`, `probability`, `nats`, `count` or `unknown`. High values are good.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// What marks the first deviation.
    pub detector: Detector,
    /// One a problem, in the order of the request.
    pub items: Vec<ItemScore>,
}

/// What marks the first deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Detector {
    /// The signal and its statistic, such as `reward.min`.
    pub reading: String,
    /// `threshold` or `largest_drop`.
    pub rule: String,
    /// A step below it deviates; `null` where none is known for the reading.
    pub threshold: Option<f32>,
    /// The chance that a right candidate of `task` is marked, as its calibration states it; `null` where none is stated, and for a threshold of the request's own.
    pub false_alarm_rate: Option<f32>,
    /// The task that the rate holds for.
    pub task: Option<String>,
}

/// The scores of the candidates for one problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ItemScore {
    /// The name that the request gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// One a candidate, in the order of the request.
    pub candidates: Vec<CandidateScore>,
}

/// The scores of one candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CandidateScore {
    /// The value of the candidate; `null` where nothing of it could be judged.
    pub value: Option<f32>,
    /// One a step.
    pub steps: Vec<StepScore>,
    /// One a token of the reward model, where the request wants them and the model judges tokens. The end of the text is a token without bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<TokenScore>>,
    /// Whether its steps could be held against the detector; without that, `deviation` says nothing.
    pub judged: bool,
    /// The first step that deviates; `null` where none does.
    pub deviation: Option<Deviation>,
    /// Whether the context of the reward model ended before the text did, so that the end has no values.
    pub cut: bool,
    /// Whether the problem and its candidates are unlike what the reward model has learned on, so that its values say nothing. Then no deviation is told, unless
    /// the request trusts the model. Left out where the model does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<bool>,
    /// The numbers by which that is told, for this candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub domain: Option<Domain>,
    /// Why it has no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The score of one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepScore {
    /// Its bytes in the candidate's text (where steps were given, in these joined by a blank line), without outer whitespace.
    #[schema(value_type = Vec<usize>)]
    pub span: Span,
    /// Its value; `null` where it was not read, and where the model judges the whole alone.
    pub value: Option<f32>,
}

/// The score of one token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenScore {
    /// Its bytes in the candidate's text.
    #[schema(value_type = Vec<usize>)]
    pub span: Span,
    /// Its value, before any granularity.
    pub value: Option<f32>,
}

/// The first step that deviates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deviation {
    /// Its number, from 0.
    pub step: usize,
    /// Its value, or the size of the fall.
    pub value: f32,
    /// What it was held against; `null` for the largest drop.
    pub threshold: Option<f32>,
}

/// One event of a stream: steps in any order, each at least once (one that is said again replaces what was said before), then `done`, or `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum StreamEvent {
    /// A step is judged.
    Step(StepEvent),
    /// All is judged: what a request without `stream` is answered, bit for bit.
    Done(ScoreResponse),
    /// The request failed after it had begun to be answered.
    Error(ErrorBody),
}

/// A step that was judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepEvent {
    /// The problem, from 0.
    pub item: usize,
    /// The candidate, from 0.
    pub candidate: usize,
    /// The step, from 0.
    pub step: usize,
    /// Its bytes in the candidate's text.
    #[schema(value_type = Vec<usize>)]
    pub span: Span,
    /// Its value.
    pub value: Option<f32>,
}

/// What every answer that is no success holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: Problem,
}

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The status, which is that of the answer unless that had begun.
    pub status: u16,
    /// The cause and the remedy, for people.
    pub message: String,
}

/// What `GET /v1/models` answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The reward models.
    pub data: Vec<ModelInfo>,
}

/// What is known of a reward model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelInfo {
    /// Its name, as requests give it in `reward`.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// `loading`, `ready` or `failed`.
    pub status: Status,
    /// A line for people: parameters, storage, device, what it was trained on or taken for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What its numbers are: `logit`, `probability`, `nats`, `count` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// What it gives a value for: `token`, `step` or `candidate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub level: Option<Level>,
    /// The threshold of its first deviation, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationInfo>,
}

/// Where a reward model's threshold comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CalibrationInfo {
    /// The reading that it holds for, such as `reward.min`.
    pub reading: String,
    /// The threshold, in the unit of the model.
    pub threshold: f32,
    /// The chance that a right candidate is marked, as stated by the calibration.
    pub false_alarm_rate: Option<f32>,
    /// The task that the rate holds for.
    pub task: Option<String>,
    /// Number of candidates that it was found on; 0 where that is not known.
    pub samples: usize,
    /// How it was found.
    pub method: String,
}

/// Whether a reward model can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It loads; requests wait for it.
    Loading,
    /// It can be asked.
    Ready,
    /// It could not be loaded.
    Failed,
}

/// What `GET /health` answers, with status 200 where all is ready and 503 else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// The worst of the reward models' states.
    pub status: Status,
    /// What is loaded and how far, or why it failed; only for those who may ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
