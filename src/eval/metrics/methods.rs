//! Every method that the candidates have the scores for, from the signals that are there: one list for reports, comparisons and transfer.

use super::rerank::Method;
use super::score::{Over, Score};
use crate::eval::ScoredTrace;
use crate::eval::columns::{asked, columns, default_reading, is_content_free, main_of, names};
use crate::eval::scored::{Column, Says};
use crate::trace::{Aggregation, Calibration, LOGPROB, Level, Reading, Statistic};

/// The mean log-probability of a token, which a gate may ask for by its old name.
pub fn mean_logprob() -> Score {
    Score::whole(Reading::new(LOGPROB, Statistic::Mean))
}

/// The column that ranks candidates: the reading that is asked for, or the default one (see [`default_reading`]).
pub fn main_column(columns: &[Column], rank_by: Option<&Reading>, calibration: &Calibration) -> Option<Column> {
    match rank_by {
        Some(reading) => asked(columns, reading, calibration),
        None => default_reading(columns, calibration),
    }
    .cloned()
}

/// What ranks candidates: [`main_column`] under an aggregation; the majority without one, where there are answers; else the mean log-probability.
pub fn main_method(traces: &[ScoredTrace], rank_by: Option<&Reading>, aggregation: Aggregation, calibration: &Calibration) -> Method {
    match main_column(&columns(traces), rank_by, calibration) {
        Some(column) => Method::Best(Score::by(&column, aggregation)),
        None if has_answers(traces) => Method::Majority,
        None => Method::Best(mean_logprob()),
    }
}

fn has_answers(traces: &[ScoredTrace]) -> bool {
    traces.iter().flat_map(|t| &t.candidates).any(|c| c.answer.is_some())
}

/// A score for each signal but `main`'s, fair between texts of different length: of a policy's tokens their mean, of a reward its steps aggregated, of others
/// what their steps add up to. What is content-free is left out.
pub fn other_scores(columns: &[Column], main: Option<&Reading>, aggregation: Aggregation, calibration: &Calibration) -> Vec<Score> {
    let of = |name: &str| {
        let standing = main_of(columns, name, calibration).filter(|c| !is_content_free(c))?;
        let mean = columns.iter().find(|c| c.reading.signal == name && c.reading.statistic == Some(Statistic::Mean));
        let whole = mean.into_iter().chain([standing]).flat_map(Score::all).find(|s| s.over == Over::Whole);
        let aggregation = if standing.is_reward() { aggregation } else { Aggregation::Sum };
        Some(whole.unwrap_or_else(|| Score::by(standing, aggregation)))
    };
    names(columns).into_iter().filter(|name| main.is_none_or(|m| m.signal != *name)).filter_map(of).collect()
}

/// The methods of a report, baselines first: of a policy's signals what they say of the whole, of rewards every aggregation of the reading that stands for
/// them, votes plain and weighted by the main reward, and the oracle. An aggregation that orders the candidates of every problem as one before it does is
/// left out, but for the main method's.
pub fn methods(traces: &[ScoredTrace], main: &Method, calibration: &Calibration) -> Vec<Method> {
    let columns = columns(traces);
    let answers = has_answers(traces);
    let mut out = vec![Method::Random];
    if traces.iter().all(|t| t.greedy.is_some()) {
        out.push(Method::Greedy);
    }
    out.extend([Method::Shortest, Method::Longest]);
    let mut rewards: Vec<Score> = Vec::new();
    for name in names(&columns) {
        let Some(standing) = main_of(&columns, name, calibration) else { continue };
        let standing =
            main.score().and_then(|s| columns.iter().find(|c| c.reading == s.reading && c.reading.signal == name)).unwrap_or(standing);
        if standing.is_reward() {
            rewards.extend(distinct(Score::all(standing), traces, main));
        } else if standing.says == Says::Policy && standing.level == Level::Token {
            let of = columns.iter().filter(|c| c.reading.signal == name);
            out.extend(of.flat_map(Score::all).filter(|s| s.over == Over::Whole && !is_digits(s)).map(Method::Best));
        } else if !is_content_free(standing) {
            out.push(Method::Best(Score::by(standing, Aggregation::Sum)));
        }
    }
    if answers {
        out.push(Method::Majority);
    }
    out.extend(rewards.iter().cloned().map(Method::Best));
    // What is asked for by name may be neither a reward nor a policy's.
    let known = main.score().filter(|s| columns.iter().any(|c| c.reading == s.reading));
    if let Some(score) = known.filter(|s| !rewards.contains(s) && !out.contains(&Method::Best((*s).clone()))) {
        out.push(Method::Best(score.clone()));
    }
    if answers && let Some(score) = known {
        let own: Vec<&Score> = rewards.iter().filter(|s| s.reading == score.reading).collect();
        let weighing = if own.is_empty() { vec![score] } else { own };
        out.extend(weighing.into_iter().cloned().map(Method::WeightedMajority));
    }
    out.push(Method::Oracle);
    out
}

fn is_digits(score: &Score) -> bool {
    score.reading.tokens == crate::trace::TokenClass::Digits
}

/// Every score of every signal under each reading and aggregation that makes a difference, by signal.
pub fn all_scores(columns: &[Column], traces: &[ScoredTrace]) -> Vec<(String, Vec<Score>)> {
    let of = |name: &str| {
        let scores = columns.iter().filter(|c| c.reading.signal == name).flat_map(Score::all).collect();
        (name.to_owned(), distinct(scores, traces, &Method::Oracle))
    };
    names(columns).into_iter().map(of).filter(|s| !s.1.is_empty()).collect()
}

/// The scores without those that order the candidates of every problem as one before them of the same signal does; the main method's stays.
fn distinct(scores: Vec<Score>, traces: &[ScoredTrace], main: &Method) -> Vec<Score> {
    let mut out: Vec<Score> = Vec::new();
    for score in scores {
        let is_main = main.score() == Some(&score);
        if is_main {
            out.retain(|s| !same_order(s, &score, traces));
        }
        if is_main || !out.iter().any(|s| same_order(s, &score, traces)) {
            out.push(score);
        }
    }
    out
}

/// Whether two scores order the candidates of every problem alike, ties included.
fn same_order(a: &Score, b: &Score, traces: &[ScoredTrace]) -> bool {
    traces.iter().all(|t| {
        let of = |score: &Score| t.candidates.iter().map(|c| score.of(c)).collect::<Vec<_>>();
        let (a, b) = (of(a), of(b));
        (0..a.len()).all(|i| (0..i).all(|j| a[i].partial_cmp(&a[j]) == b[i].partial_cmp(&b[j])))
    })
}
