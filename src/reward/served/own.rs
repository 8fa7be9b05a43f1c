//! What this program's own server is sent, and what it answers.

use crate::reward::{Piece, Said, Scored};
use crate::trace::{self, Calibration, Domain, REWARD, Reading, Span, TokenValue, Unit, Values};
use serde::Deserialize;
use serde_json::{Value, json};

/// Bytes of an answer for each byte of text, and beside it.
const BYTES_A_BYTE: usize = 256;
const BYTES_BESIDE: usize = 1 << 20;

/// What the model there gives a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Token,
    Step,
    Candidate,
}

impl Level {
    /// As the server lists it.
    pub fn of(info: &Value) -> Self {
        match info["level"].as_str() {
            Some("step") => Self::Step,
            Some("candidate") => Self::Candidate,
            _ => Self::Token,
        }
    }
}

/// What the numbers of the model there are, and what it has one for, as the server lists it.
pub(super) fn says(info: &Value) -> (Unit, trace::Level) {
    let level = match Level::of(info) {
        Level::Token => trace::Level::Token,
        Level::Step => trace::Level::Step,
        Level::Candidate => trace::Level::Candidate,
    };
    (unit(info["unit"].as_str().unwrap_or_default()), level)
}

/// The threshold that the server lists.
pub(super) fn calibration(info: &Value) -> Calibration {
    let known = &info["calibration"];
    let (Some(reading), Some(threshold)) = (known["reading"].as_str(), known["threshold"].as_f64()) else { return Calibration::default() };
    let rate = known["false_alarm_rate"].as_f64().map(|r| r as f32);
    let reading = reading.parse().unwrap_or_else(|_| Reading::of(REWARD));
    let samples = known["samples"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    Calibration {
        false_alarm_rate: rate,
        task: known["task"].as_str().map(str::to_owned),
        samples,
        method: known["method"].as_str().unwrap_or_default().to_owned(),
        ..Calibration::at(reading, threshold as f32)
    }
}

/// Text of a candidate that is judged now: all of it where it is finished, else its closed steps.
fn text<'a>(piece: &'a Piece) -> &'a str {
    match piece.finished {
        true => piece.text,
        false => piece.text.get(..piece.steps.last().map_or(0, |s| s.end)).unwrap_or(""),
    }
}

/// The body of a request. A model of tokens is sent the text as it is and asked for its tokens; a model of steps is sent the steps as they are cut here.
pub(super) fn request(model: &str, problem: &str, level: Level, pieces: &[&Piece]) -> Value {
    let candidate = |piece: &&Piece| {
        let finished = piece.finished && !piece.cut_short;
        match level {
            Level::Step => {
                let steps =
                    if piece.steps.is_empty() { vec![piece.text.trim()] } else { piece.steps.iter().map(|s| s.of(piece.text)).collect() };
                json!({ "steps": steps, "finished": finished })
            }
            _ => json!({ "completion": text(piece), "finished": finished }),
        }
    };
    let candidates: Vec<Value> = pieces.iter().map(candidate).collect();
    json!({ "reward": model, "problem": problem, "candidates": candidates, "tokens": level == Level::Token })
}

/// Bytes that the answer may have.
pub(super) fn most(pieces: &[&Piece]) -> usize {
    pieces.iter().map(|p| p.text.len()).sum::<usize>().saturating_mul(BYTES_A_BYTE).saturating_add(BYTES_BESIDE)
}

/// What the model there finds of each candidate's text beside its own task's; `None` where it does not know.
pub(super) fn domains<'a>(answer: &'a Value, pieces: &'a [&Piece]) -> impl Iterator<Item = (usize, Option<Domain>)> + 'a {
    let all = answer["items"][0]["candidates"].as_array().map_or(&[][..], Vec::as_slice);
    pieces.iter().zip(all).map(|(piece, one)| (piece.candidate, Domain::deserialize(&one["domain"]).ok()))
}

/// What the answer says of each candidate. The error says what is wrong with it.
pub(super) fn judged(answer: &Value, level: Level, pieces: &[&Piece]) -> Result<Vec<Scored>, String> {
    let unit = unit(answer["unit"].as_str().unwrap_or_default());
    let all = answer["items"][0]["candidates"].as_array().ok_or("the answer has no candidates")?;
    if all.len() != pieces.len() {
        return Err(format!("{} candidates were sent and {} came back", pieces.len(), all.len()));
    }
    let mut out = Vec::new();
    for (piece, one) in pieces.iter().zip(all) {
        if let (Some(error), Value::Null) = (one["error"].as_str(), &one["value"]) {
            return Err(format!("it does not score a candidate: {}", crate::http::repeated(error)));
        }
        let values = match level {
            Level::Candidate if !piece.finished => continue,
            Level::Candidate => match number(&one["value"]) {
                Some(value) => Values::Candidate(value),
                None => continue,
            },
            Level::Step => {
                let steps = one["steps"].as_array().ok_or("the answer has no steps")?;
                if steps.len() != piece.steps.len().max(1) {
                    return Err(format!("{} steps were sent and {} came back", piece.steps.len(), steps.len()));
                }
                Values::Steps(steps.iter().map(|s| number(&s["value"])).collect())
            }
            Level::Token => {
                let tokens = one["tokens"].as_array().ok_or("the answer has no tokens")?;
                let (length, mut end) = (text(piece).len(), 0);
                let mut token = |t: &Value| {
                    let edge = |i: usize| t["span"][i].as_u64().and_then(|b| usize::try_from(b).ok()).filter(|b| *b <= length);
                    let (start, stop) = (edge(0)?, edge(1)?);
                    let fits = end <= start && start <= stop;
                    end = stop;
                    fits.then_some(TokenValue { span: Span::new(start, stop), value: number(&t["value"]).unwrap_or(f32::NAN) })
                };
                let tokens: Option<Vec<TokenValue>> = tokens.iter().map(&mut token).collect();
                Values::Tokens(tokens.ok_or("the answer has tokens that do not follow each other in the text")?)
            }
        };
        out.push(Scored { candidate: piece.candidate, said: Said::Judged { unit, values } });
    }
    Ok(out)
}

/// What the server's word for a unit means.
fn unit(text: &str) -> Unit {
    match text {
        "logit" => Unit::Logit,
        "probability" => Unit::Probability,
        "nats" => Unit::Nats,
        "count" => Unit::Count,
        _ => Unit::Unknown,
    }
}

fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|v| v as f32).filter(|v| v.is_finite())
}
