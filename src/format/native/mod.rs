//! The native format: a JSON line a candidate; consecutive lines of one `trace_id` are one trace.

mod line;
pub(super) mod run_samples;
mod signals;

pub(super) use line::Line;

use super::chat::dialogue::problem_of;
use super::error::{FieldError, FormatError};
use super::fields::{Fields, aligned, numbers, one_of, spans};
use super::own::KNOWN;
use crate::check;
use crate::trace::{
    Aggregation, Calibration, Candidate, Detector, Deviation, Domain, ENTROPY, FinishReason, GoldDeviation, Granularity, LOGPROB, REWARD,
    Reading, Rule, Segmentation, Signal, Source, Span, Statistic, Step, StepKind, Threshold, Token, TokenValue, Trace, outside, segment,
};
use crate::util::atomic;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::Write;
use std::path::Path;

/// The version that this program writes, and the newest that it reads.
pub const SCHEMA_VERSION: u64 = 1;

pub(super) fn fits(record: &Map<String, Value>) -> bool {
    record.contains_key("schema_version") && record.contains_key("trace_id")
}

/// Under which granularity and rule the derived fields of a record are computed.
#[derive(Clone, Copy, Debug)]
pub struct Scoring<'a> {
    /// Granularity of `step_rewards`.
    pub granularity: Granularity,
    /// How the step rewards become the `outcome_reward`.
    pub aggregation: Aggregation,
    /// What finds `first_deviation`; its statistic is that of `step_rewards` where it watches the reward.
    pub detector: &'a Detector,
    /// Its thresholds.
    pub calibration: &'a Calibration,
    /// A verdict is given also on a trace that lies outside of what the reward model has learned.
    pub trust: bool,
}

impl Scoring<'_> {
    /// How the reward's tokens become `step_rewards`.
    fn reading(&self) -> &Reading {
        if self.detector.reading.signal == REWARD { &self.detector.reading } else { &self.calibration.reading }
    }

    /// Whether the verdicts of this signal are withheld from a trace.
    pub fn withholds(&self, trace: &Trace, signal: &str) -> bool {
        !self.trust && outside(&trace.candidates, signal).is_some()
    }

    /// Whether the detector can judge a candidate of a trace, and if so its first deviation.
    pub fn first(&self, trace: &Trace, candidate: &Candidate) -> Option<Option<Deviation>> {
        if self.withholds(trace, &self.detector.reading.signal) {
            return None;
        }
        let watched = check::find(candidate, &self.detector.reading.signal).filter(|w| w.has_values())?;
        let can = self.detector.can_judge(&watched, self.granularity, self.calibration);
        can.then(|| self.detector.first(&watched, candidate, candidate.steps.len(), self.granularity, self.calibration))
    }
}

#[derive(Serialize)]
struct Record<'a> {
    schema_version: u64,
    trace_id: &'a str,
    candidate: usize,
    problem: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gold_answer: Option<&'a str>,
    text: &'a str,
    steps: Vec<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_kinds: Option<Vec<StepKind>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_spans: Option<Vec<Span>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_ids: Option<Vec<Option<u32>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<Option<f32>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entropies: Option<Vec<Option<f32>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward_spans: Option<Vec<Span>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_rewards: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granularity: Option<Granularity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregation: Option<Aggregation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistic: Option<Statistic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_rewards: Option<Vec<Option<f32>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_rewards: Option<Vec<Option<f32>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome_reward: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<Option<f32>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gold_deviation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_deviation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deviation_rule: Option<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deviation_signal: Option<Reading>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deviation_value: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deviation_threshold: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correct: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish: Option<&'a FinishReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward_model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward_threshold: Option<Threshold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward_domain: Option<&'a Domain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward_outside: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signals: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a Source>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

/// The native lines of a trace, one a candidate, without line ends. Values that are not finite become `null`.
///
/// `token_rewards` are the reward model's logits as they are, whatever the granularity. With `scoring`, `step_rewards` and `first_deviation`
/// (−1: none is marked) are computed under it; without, step rewards are dense and the deviation is the source's own. A trace without candidates has no line.
pub fn to_lines(trace: &Trace, scoring: Option<&Scoring<'_>>) -> Vec<String> {
    let line = |(i, c)| serde_json::to_string(&record(trace, i, c, scoring)).unwrap_or_default();
    trace.candidates.iter().enumerate().map(line).collect()
}

/// Writes traces as a native file: to a temporary file beside it first, so that `path` holds either all of them or what it held before.
pub fn write_file<'a>(path: &Path, traces: impl IntoIterator<Item = &'a Trace>, scoring: Option<&Scoring<'_>>) -> Result<(), FormatError> {
    let name = path.display().to_string();
    let fail = |e: std::io::Error| FormatError::io(&name, e);
    let mut lines = traces.into_iter().flat_map(|trace| to_lines(trace, scoring));
    atomic::write_with(path, |out| lines.try_for_each(|line| writeln!(out, "{line}"))).map_err(fail)
}

fn record<'a>(trace: &'a Trace, index: usize, c: &'a Candidate, scoring: Option<&Scoring<'_>>) -> Record<'a> {
    let spans: Vec<Span> = c.tokens.iter().map(|t| t.span).collect();
    let reward = c.signal(REWARD).filter(|s| signals::has_fields(s, true) && !s.tokens().is_empty());
    let rewards = reward.map_or(&[][..], Signal::tokens);
    let reward_spans: Vec<Span> = rewards.iter().map(|r| r.span).collect();
    let scored = reward.is_some();
    let own = |name: &str| c.signal(name).filter(|s| signals::has_fields(s, scored));
    let given = own(signals::GIVEN).and_then(signals::steps);
    let granularity = scoring.map_or(Granularity::Dense, |s| s.granularity);
    // Where nothing is calibrated now, a reward is read as it was calibrated before.
    let own_bound = reward.is_some_and(|r| r.threshold.is_some());
    let now = scoring.filter(|s| !own_bound || s.calibration.threshold(s.reading()).is_some());
    let reading = now.map_or_else(|| Reading::of(REWARD), |s| s.reading().clone());
    let statistic = reading.statistic.or(reward.map(|r| r.statistic)).unwrap_or_default();
    let steps = reward.map(|r| c.step_values(r, &reading, granularity));
    let first = scoring.and_then(|s| s.first(trace, c));
    let judged = first.is_some();
    // A verdict of before goes where it would be withheld now.
    let stays = |d: &&Deviation| scoring.is_none_or(|s| !s.withholds(trace, &d.by.reading.signal));
    let deviation = if let Some(found) = &first { found.as_ref() } else { c.deviation.as_ref().filter(stays) };
    let by = deviation.map(|d| &d.by).or_else(|| scoring.filter(|_| judged).map(|s| s.detector));
    let aggregate = |r: &Signal| r.candidate_value(scoring?.aggregation, steps.as_deref().unwrap_or_default());
    let outcome = reward.map_or_else(|| own(signals::OUTCOME).and_then(Signal::whole), aggregate);
    let stated = |r: &Signal| scoring.and_then(|s| r.threshold_of(s.reading(), s.calibration)).or_else(|| r.threshold.clone());
    let gold = |g| match g {
        GoldDeviation::None => -1,
        GoldDeviation::Step(s) => s as i64,
    };
    let extra: Map<String, Value> = c.extra.as_deref().and_then(|e| serde_json::from_str(e).ok()).unwrap_or_default();
    // A field of another format may have the name of one of ours.
    let apart = |(key, value): (String, Value)| (if KNOWN.contains(&key.as_str()) { format!("record.{key}") } else { key }, value);
    let extra: Map<String, Value> = extra.into_iter().map(apart).collect();
    Record {
        schema_version: SCHEMA_VERSION,
        trace_id: &trace.id,
        candidate: index,
        problem: &trace.problem,
        gold_answer: trace.gold_answer.as_deref(),
        text: &c.text,
        steps: c.steps.iter().map(|s| s.span).collect(),
        step_kinds: c.steps.iter().any(|s| s.kind != StepKind::Reasoning).then(|| c.steps.iter().map(|s| s.kind).collect()),
        token_ids: c.tokens.iter().any(|t| t.id.is_some()).then(|| c.tokens.iter().map(|t| t.id).collect()),
        logprobs: c.tokens.iter().any(|t| t.logprob.is_some()).then(|| c.tokens.iter().map(|t| t.logprob).collect()),
        entropies: c.tokens.iter().any(|t| t.entropy.is_some()).then(|| c.tokens.iter().map(|t| t.entropy).collect()),
        reward_spans: (scored && reward_spans != spans).then_some(reward_spans),
        token_spans: (!spans.is_empty()).then_some(spans),
        token_rewards: scored.then(|| rewards.iter().map(|r| r.value).collect()),
        granularity: scored.then_some(granularity),
        aggregation: scoring.filter(|_| scored).map(|s| s.aggregation).filter(|a| *a != Aggregation::default()),
        statistic: scored.then_some(statistic).filter(|s| *s != Statistic::default()),
        step_rewards: steps.or_else(|| given.map(<[_]>::to_vec)),
        given_rewards: given.filter(|_| scored).map(<[_]>::to_vec),
        outcome_reward: outcome.filter(|x| !x.is_nan()),
        labels: c.steps.iter().any(|s| s.label.is_some()).then(|| c.steps.iter().map(|s| s.label).collect()),
        gold_deviation: c.gold.map(gold),
        first_deviation: deviation.map(|d| d.step as i64).or(judged.then_some(-1)),
        deviation_rule: by.map(|d| d.rule),
        deviation_signal: by.map(|d| d.reading.clone()),
        deviation_value: deviation.map(|d| d.value).filter(|v| v.is_finite()),
        deviation_threshold: deviation.map(|d| d.threshold).filter(|v| v.is_finite()),
        answer: c.answer.as_deref(),
        correct: c.correct,
        finish: c.finish.as_ref(),
        policy: c.policy.as_deref(),
        reward_model: reward.and(c.reward_model()),
        reward_threshold: reward.and_then(stated),
        reward_domain: reward.and_then(|r| r.domain.as_ref()),
        reward_outside: reward.filter(|r| r.domain.is_some()).map(|_| outside(&trace.candidates, REWARD).is_some()),
        signals: signals::written(c, scored, scoring),
        source: trace.source.as_ref().filter(|_| !extra.contains_key("source")),
        extra,
    }
}

/// Reads one line: a trace of one candidate.
pub(super) fn parse(line: &Line) -> Result<Trace, FieldError> {
    let record = line.fields()?;
    let version = record.integer("schema_version")?;
    if version > SCHEMA_VERSION as i64 || version < 1 {
        let problem = format!("is {version}, this program reads {SCHEMA_VERSION}");
        return Err(FieldError::new("schema_version", problem, "use a newer reasonscope"));
    }
    let problem = match record.opt_text("problem")? {
        Some(problem) => problem.to_owned(),
        None if record.get("messages").is_some() => problem_of(&record.objects("messages")?)?,
        None => String::new(),
    };
    let trace = Trace {
        id: record.text("trace_id")?.to_owned(),
        problem,
        gold_answer: record.opt_text("gold_answer")?.map(Into::into),
        ..Trace::default()
    };
    Ok(Trace { candidates: vec![candidate(line, &record)?], ..trace })
}

fn candidate(line: &Line, record: &Fields<'_>) -> Result<Candidate, FieldError> {
    let text = record.text("text")?.to_owned();
    let mut steps = match spans(record, "steps", &text)? {
        Some(spans) => {
            if let Some(i) = (1..spans.len()).find(|&i| spans[i].start < spans[i - 1].end) {
                return Err(FieldError::new(
                    format!("steps[{i}]"),
                    "starts before the step before it ends",
                    "give steps in order, not overlapping",
                ));
            }
            spans.into_iter().map(|span| Step { span, ..Step::default() }).collect()
        }
        None => segment(&text, &Segmentation::Auto),
    };
    let n = steps.len();
    if let Some(kinds) = record.opt_array("step_kinds")? {
        aligned("step_kinds", kinds.len(), n, "steps")?;
        for (i, (step, kind)) in steps.iter_mut().zip(kinds).enumerate() {
            step.kind = StepKind::deserialize(kind)
                .map_err(|_| FieldError::new(format!("step_kinds[{i}]"), "is unknown", "give reasoning or answer"))?;
        }
    }
    let scored = line.has("token_rewards");
    let mut signals = Vec::new();
    let given = if record.get("given_rewards").is_some() { "given_rewards" } else { "step_rewards" };
    if (given == "given_rewards" || !scored)
        && let Some(values) = numbers(record, given, n, "steps")?
    {
        signals.push(Signal::given_steps(signals::GIVEN, values));
    }
    // Beside token rewards it is their aggregate, made anew.
    if let Some(outcome) = record.opt_f32("outcome_reward")?.filter(|_| !scored) {
        signals.push(Signal::given(signals::OUTCOME, outcome));
    }
    for (step, v) in steps.iter_mut().zip(numbers(record, "labels", n, "steps")?.unwrap_or_default()) {
        step.label = v;
    }

    let token_spans = line.spans("token_spans", &text)?;
    let count = token_spans.as_ref().map_or(0, Vec::len);
    let logprobs = line.numbers("logprobs", count, "token_spans")?;
    let entropies = line.numbers("entropies", count, "token_spans")?;
    let ids = line.ids("token_ids", count, "token_spans")?;
    let mut tokens = Vec::with_capacity(count);
    for (i, &span) in token_spans.iter().flatten().enumerate() {
        let id = ids.as_ref().and_then(|ids| ids[i]);
        let at = |values: &Option<Vec<Option<f32>>>| values.as_ref().and_then(|v| v[i]);
        tokens.push(Token { id, span, logprob: at(&logprobs), entropy: at(&entropies) });
    }

    if scored {
        let (name, reward_spans) = match line.spans("reward_spans", &text)? {
            Some(spans) => ("reward_spans", spans),
            None => ("token_spans", token_spans.unwrap_or_default()),
        };
        let logits = line.numbers("token_rewards", reward_spans.len(), name)?.unwrap_or_default();
        let tokens = reward_spans.into_iter().zip(logits).map(|(span, l)| TokenValue { span, value: l.unwrap_or(f32::NAN) }).collect();
        signals.push(Signal {
            statistic: one_of(record, "statistic", "sum, mean, min, max or last")?.unwrap_or_default(),
            threshold: one_of(record, "reward_threshold", "an object with `reading` and `value`")?,
            domain: one_of(record, "reward_domain", "an object with `task`, `problem`, `text` and `vocabulary`")?,
            ..Signal::reward(record.opt_text("reward_model")?.unwrap_or_default(), tokens)
        });
    }
    signals::read(record, &text, n, &mut signals)?;

    let extra: Map<String, Value> =
        record.map.iter().filter(|(k, _)| !KNOWN.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect();
    Ok(Candidate {
        signals,
        tokens,
        answer: record.opt_text("answer")?.map(Into::into),
        correct: record.opt_bool("correct")?,
        gold: step_index(record, "gold_deviation", n)?.map(|i| i.map_or(GoldDeviation::None, GoldDeviation::Step)),
        policy: record.opt_text("policy")?.map(Into::into),
        finish: one_of(record, "finish", "stop, length, cancelled or {\"failed\": \"…\"}")?,
        deviation: match step_index(record, "first_deviation", n)? {
            Some(Some(step)) => Some(Deviation {
                step,
                by: detector(record)?,
                value: record.opt_f32("deviation_value")?.unwrap_or(f32::NAN),
                threshold: record.opt_f32("deviation_threshold")?.unwrap_or(f32::NAN),
            }),
            _ => None,
        },
        extra: (!extra.is_empty()).then(|| Value::Object(extra).to_string()),
        text,
        steps,
    })
}

/// What marked the deviation. Files of before named the signal by the rule.
fn detector(record: &Fields<'_>) -> Result<Detector, FieldError> {
    let rule = record.opt_text("deviation_rule")?;
    let (rule, old) = match rule {
        Some("log_prob") => (Rule::Threshold, Reading::new(LOGPROB, Statistic::Min)),
        Some("entropy") => (Rule::Threshold, Reading::new(ENTROPY, Statistic::Max)),
        _ => (one_of(record, "deviation_rule", "threshold or largest_drop")?.unwrap_or_default(), Detector::default().reading),
    };
    let reading = one_of(record, "deviation_signal", "NAME.STATISTIC, for example reward.min")?.unwrap_or(old);
    Ok(Detector { reading, rule })
}

/// −1 is `Some(None)`.
fn step_index(record: &Fields<'_>, key: &str, steps: usize) -> Result<Option<Option<usize>>, FieldError> {
    if record.get(key).is_none() {
        return Ok(None);
    }
    let index = record.integer(key)?;
    match usize::try_from(index) {
        Err(_) if index == -1 => Ok(Some(None)),
        Ok(i) if i < steps => Ok(Some(Some(i))),
        _ => Err(FieldError::new(record.name(key), format!("is {index} with {steps} steps"), "give a 0-based step, or -1 for none")),
    }
}
