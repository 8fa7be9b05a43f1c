//! Signals in native records: the list `signals`, an object each, beside the fields that the reward model at work has of its own.

use super::Scoring;
use crate::check;
use crate::format::error::FieldError;
use crate::format::fields::{Fields, numbers, one_of, spans, wrong};
use crate::trace::{Candidate, REWARD, Signal, SignalSource, TokenValue, Values};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Name of the numbers a step that came with a file without more being known of them: the field `step_rewards` (or `given_rewards` beside token rewards).
pub(super) const GIVEN: &str = "given";
/// Name of the number of the whole candidate of that kind: the field `outcome_reward`.
pub(super) const OUTCOME: &str = "outcome";

/// A signal's step values.
pub(super) fn steps(signal: &Signal) -> Option<&[Option<f32>]> {
    if let Values::Steps(values) = &signal.values { Some(values) } else { None }
}

/// Whether the fields of its own hold all that a signal says; any other stands in the list. Beside a reward model's token rewards `outcome_reward` is their
/// aggregate, and the file's own number is in the list.
pub(super) fn has_fields(signal: &Signal, scored: bool) -> bool {
    let plain = match (signal.name.as_str(), &signal.values) {
        (REWARD, Values::Tokens(_)) => {
            let SignalSource::Model(model) = &signal.source else { return false };
            Signal { statistic: signal.statistic, threshold: signal.threshold.clone(), ..Signal::reward(model.as_str(), Vec::new()) }
        }
        (GIVEN, Values::Steps(values)) => Signal { values: Values::Steps(Vec::new()), ..Signal::given_steps(GIVEN, values.clone()) },
        (OUTCOME, Values::Candidate(_)) if !scored => Signal::given(OUTCOME, f32::NAN),
        _ => return false,
    };
    // Values that are not a number are not equal to themselves: the rest is what is compared.
    let same = |a: &Signal, b: &Signal| {
        (&a.source, a.orientation, a.unit, a.statistic, &a.threshold) == (&b.source, b.orientation, b.unit, b.statistic, &b.threshold)
    };
    same(signal, &plain)
}

/// The signals of a candidate that no other field holds, with `scoring` those of the checks too, and the thresholds of the reward models at work.
pub(super) fn written(candidate: &Candidate, scored: bool, scoring: Option<&Scoring<'_>>) -> Vec<Value> {
    let listed = candidate.signals.iter().filter(|s| !has_fields(s, scored));
    let mut out: Vec<Value> = listed.map(|s| object(&calibrated(s, scoring))).collect();
    if scoring.is_some() {
        out.extend(check::signals(candidate).iter().filter(|s| candidate.signal(&s.name).is_none()).map(object));
    }
    out
}

/// A signal with the threshold and the statistic of its reward model's calibration, where that is at work.
fn calibrated<'a>(signal: &'a Signal, scoring: Option<&Scoring<'_>>) -> Cow<'a, Signal> {
    let by = scoring.map(|s| s.calibration).filter(|_| matches!(signal.source, SignalSource::Model(_)));
    let threshold = by.and_then(|c| c.stated(&c.of(&signal.name).reading)).filter(|t| t.reading.signal == signal.name);
    let Some(threshold) = threshold else { return Cow::Borrowed(signal) };
    let statistic = threshold.reading.statistic.unwrap_or(signal.statistic);
    Cow::Owned(Signal { statistic, threshold: Some(threshold), ..signal.clone() })
}

/// `name`, `source`, `orientation`, `unit`, `statistic` and, by level, `token_spans` with `token_values`, `step_values` or `value`.
fn object(signal: &Signal) -> Value {
    let mut out = json!({
        "name": signal.name, "source": signal.source, "orientation": signal.orientation, "unit": signal.unit, "statistic": signal.statistic,
    });
    match &signal.values {
        Values::Tokens(tokens) => {
            out["token_spans"] = tokens.iter().map(|t| json!(t.span)).collect();
            out["token_values"] = tokens.iter().map(|t| json!(t.value)).collect();
        }
        Values::Steps(values) => out["step_values"] = json!(values),
        Values::Candidate(value) => out["value"] = json!(value),
    }
    if let Some(threshold) = &signal.threshold {
        out["threshold"] = json!(threshold);
    }
    if signal.beside {
        out["beside"] = json!(true);
    }
    if let Some(domain) = &signal.domain {
        out["domain"] = json!(domain);
    }
    out
}

/// Reads the list; a name that is there already is an error. What a check of this program said is left out: it says it anew, of the text as it is now.
pub(super) fn read(record: &Fields<'_>, text: &str, steps: usize, signals: &mut Vec<Signal>) -> Result<(), FieldError> {
    if record.get("signals").is_none() {
        return Ok(());
    }
    for (i, object) in record.objects("signals")?.into_iter().enumerate() {
        let name = object.text("name")?;
        if signals.iter().any(|s| s.name == name) {
            return Err(FieldError::new(
                format!("signals[{i}].name"),
                format!("{name:?} is there twice"),
                "give each signal a name of its own",
            ));
        }
        let values = values(&object, text, steps)?;
        let mut signal = Signal::new(name, SignalSource::File, values);
        signal.source = one_of(&object, "source", "{\"model\": NAME}, policy, file, check or person")?.unwrap_or(signal.source);
        signal.orientation = one_of(&object, "orientation", "high, low or neither")?.unwrap_or_default();
        signal.unit = one_of(&object, "unit", "logit, probability, nats, count or unknown")?.unwrap_or_default();
        signal.statistic = one_of(&object, "statistic", "sum, mean, min, max or last")?.unwrap_or_default();
        signal.threshold = one_of(&object, "threshold", "an object with `reading` and `value`")?;
        signal.beside = object.opt_bool("beside")?.unwrap_or_default();
        signal.domain = one_of(&object, "domain", "an object with `task`, `problem`, `text` and `vocabulary`")?;
        if signal.source != SignalSource::Check || !check::makes(&signal.name) {
            signals.push(signal);
        }
    }
    Ok(())
}

fn values(object: &Fields<'_>, text: &str, steps: usize) -> Result<Values, FieldError> {
    if let Some(spans) = spans(object, "token_spans", text)? {
        let numbers = numbers(object, "token_values", spans.len(), "token_spans")?.unwrap_or_default();
        let token = |(span, value): (_, Option<f32>)| TokenValue { span, value: value.unwrap_or(f32::NAN) };
        return Ok(Values::Tokens(spans.into_iter().zip(numbers).map(token).collect()));
    }
    if let Some(values) = numbers(object, "step_values", steps, "steps")? {
        return Ok(Values::Steps(values));
    }
    match object.get("value") {
        None | Some(Value::Null) => Ok(Values::Candidate(f32::NAN)),
        Some(Value::Number(n)) => Ok(Values::Candidate(n.as_f64().map_or(f32::NAN, |x| x as f32))),
        Some(v) => Err(wrong(&object.name("value"), v, "a number or null")),
    }
}
