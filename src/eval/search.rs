//! Search guided by the reward: the policy writes a step at a time, and the reward says which beginnings go on (beam search; DVTS, Beeching et al. 2024).

use crate::eval::EvalError;
use crate::eval::parts::{Cell, Report, Table};
use crate::eval::stats::{Bootstrap, bootstrap_mean, holm, paired_bootstrap};
use crate::generate::{Completion, Prompt, decode_until};
use crate::model::{Decoder, ModelError, TextTokenizer};
use crate::reward::{RewardNet, Sequence, score};
use crate::trace::{Aggregation, Granularity, Sampling, Statistic, aggregate};
use crate::util::seed::mix;
use std::ops::ControlFlow;

/// How the budget of N candidates is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// N whole candidates, the one with the highest reward picked.
    BestOf,
    /// N beginnings; after every step the best N/width go on, each `width` times.
    Beam {
        /// Continuations of each beginning.
        width: usize,
    },
    /// Diverse verifier tree search: N/width beginnings that do not compete; each is continued `width` times and keeps its best.
    Dvts {
        /// Continuations of each beginning.
        width: usize,
    },
}

impl Strategy {
    /// Its name in reports.
    pub fn name(self) -> String {
        match self {
            Strategy::BestOf => "best of N".into(),
            Strategy::Beam { width } => format!("beam search, width {width}"),
            Strategy::Dvts { width } => format!("DVTS, width {width}"),
        }
    }

    /// Beginnings that go on after every step, and continuations of each.
    fn plan(self, n: usize) -> (usize, usize) {
        match self {
            Strategy::BestOf => (n, 1),
            Strategy::Beam { width } | Strategy::Dvts { width } => (n / width, width),
        }
    }
}

/// What writes and what judges.
pub struct Guide<'a> {
    /// Writes.
    pub policy: &'a Decoder,
    /// Judges; its tokens are the policy's.
    pub reward: &'a RewardNet,
    /// Of both.
    pub tokenizer: &'a TextTokenizer,
    /// Which tokens carry the reward.
    pub granularity: Granularity,
    /// How the step rewards of a beginning become one number.
    pub aggregation: Aggregation,
    /// How the rewards of a step's tokens become one.
    pub statistic: Statistic,
    /// How to sample; `max_tokens` is for a whole candidate, the seed is passed over.
    pub sampling: &'a Sampling,
    /// Whether a token closes a line.
    pub ends_line: &'a (dyn Fn(u32) -> bool + Sync),
}

/// What a search gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The candidate with the highest reward.
    pub best: Completion,
    /// Tokens that were sampled for it, in all.
    pub tokens: usize,
}

#[derive(Clone, Default)]
struct Beam {
    completion: Completion,
    /// The beginning of [`Strategy::Dvts`] that it descends from.
    tree: usize,
    value: f32,
    done: bool,
}

/// Searches one problem with a budget of `n` candidates.
///
/// A candidate that has ended keeps its place among those that go on. Fails as [`decode_until`] and [`score`] do; `n` must be a multiple of the width.
pub fn search(guide: &Guide, prompt: &[u32], strategy: Strategy, n: usize, seed: u64) -> Result<Found, ModelError> {
    let (kept, width) = strategy.plan(n);
    if kept == 0 || kept * width != n {
        return Err(ModelError::Input(format!("{}: a budget of {n} candidates is no multiple of the width", strategy.name())));
    }
    let mut beams: Vec<Beam> = (0..kept).map(|tree| Beam { tree, ..Beam::default() }).collect();
    let mut tokens = 0;
    for round in 0_u64.. {
        let live: Vec<&Beam> = beams.iter().filter(|b| !b.done).collect();
        if live.is_empty() {
            break;
        }
        let longest = live.iter().map(|b| b.completion.ids.len()).max().unwrap_or(0);
        let sampling = Sampling { max_tokens: guide.sampling.max_tokens.saturating_sub(longest).max(1), ..guide.sampling.clone() };
        let prompts: Vec<Prompt> = live
            .iter()
            .enumerate()
            .map(|(i, b)| Prompt { ids: [prompt, &b.completion.ids].concat(), seed: mix(seed, round << 16 | i as u64) })
            .collect();
        // Without competition nothing is decided between steps.
        let ends = |id: u32| strategy != Strategy::BestOf && (guide.ends_line)(id);
        let grown = decode_until(guide.policy, &prompts, width, &sampling, &ends, &mut |_, _, _| ControlFlow::Continue(()))?;
        let mut next: Vec<Beam> = Vec::with_capacity(n);
        for (beam, more) in live.iter().zip(grown) {
            for c in more {
                tokens += c.ids.len();
                let mut completion = beam.completion.clone();
                let closed = c.ids.last().is_some_and(|&id| ends(id));
                completion.ids.extend(c.ids);
                completion.logprobs.extend(c.logprobs);
                completion.entropies.extend(c.entropies);
                completion.stopped = c.stopped;
                let full =
                    completion.ids.len() >= guide.sampling.max_tokens || prompt.len() + completion.ids.len() + 1 >= guide.policy.context();
                let done = c.stopped || full || !closed;
                next.push(Beam { completion, tree: beam.tree, value: 0.0, done });
            }
        }
        let values = guide.values(prompt, &next)?;
        next.iter_mut().zip(values).for_each(|(b, v)| b.value = v);
        next.extend(beams.into_iter().filter(|b| b.done));
        beams = select(next, strategy, kept);
    }
    let best = beams.into_iter().reduce(|a, b| if b.value > a.value { b } else { a }).unwrap_or_default();
    Ok(Found { best: best.completion, tokens })
}

/// Those that go on: the best `kept` of all, or the best of each tree; the earlier of equals.
fn select(mut beams: Vec<Beam>, strategy: Strategy, kept: usize) -> Vec<Beam> {
    beams.sort_by(|a, b| b.value.total_cmp(&a.value));
    match strategy {
        Strategy::BestOf => {}
        Strategy::Beam { .. } => beams.truncate(kept),
        Strategy::Dvts { .. } => {
            let mut seen = vec![false; kept];
            beams.retain(|b| !std::mem::replace(&mut seen[b.tree], true));
        }
    }
    beams
}

impl Guide<'_> {
    /// The aggregated reward of every beginning; that of one without a scored step is −∞.
    fn values(&self, prompt: &[u32], beams: &[Beam]) -> Result<Vec<f32>, ModelError> {
        let sequences: Vec<Sequence> = beams.iter().map(|b| Sequence::new(prompt, &b.completion.ids)).collect();
        let scores = score(self.reward, &sequences)?;
        let value = |(beam, scores): (&Beam, crate::reward::TokenScores)| {
            let mut c = beam.completion.candidate(self.tokenizer);
            c.set_rewards(scores.logits);
            aggregate(self.aggregation, &c.step_rewards(self.statistic, self.granularity)).unwrap_or(f32::NEG_INFINITY)
        };
        Ok(beams.iter().zip(scores).map(value).collect())
    }
}

/// What a strategy did on every problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Searched {
    /// The strategy.
    pub strategy: Strategy,
    /// 1 where the candidate found is right, one a problem.
    pub right: Vec<f64>,
    /// Tokens sampled, one a problem.
    pub tokens: Vec<f64>,
}

/// Accuracy and tokens of every strategy, each beside the first.
///
/// # Errors
/// As [`bootstrap_mean`]; no strategies.
pub fn report(title: &str, searched: &[Searched], bootstrap: Bootstrap) -> Result<Report, EvalError> {
    let Some(first) = searched.first() else { return Err(EvalError::Empty("no search".into())) };
    let against = format!("lead over {}", first.strategy.name());
    let mut table = Table::new(
        "Search at the same budget: share of problems whose pick is right",
        &["search", "right", "tokens a problem", &against, "p (bootstrap)", "p (Holm)"],
    );
    let tests = searched[1..].iter().map(|s| paired_bootstrap(&s.right, &first.right, bootstrap)).collect::<Result<Vec<_>, _>>()?;
    let adjusted = holm(&tests.iter().map(|t| t.p).collect::<Vec<_>>());
    let mut report = Report { title: title.into(), ..Report::default() };
    for (i, s) in searched.iter().enumerate() {
        let right = bootstrap_mean(&s.right, bootstrap)?;
        let tokens = s.tokens.iter().sum::<f64>() / s.tokens.len().max(1) as f64;
        report.figures.insert(format!("search_{}", key(s.strategy)), 100.0 * right.estimate);
        let mut row = vec![Cell::Text(s.strategy.name()), Cell::Interval(right), Cell::Number(tokens)];
        row.extend(match i.checked_sub(1) {
            None => [Cell::Empty, Cell::Empty, Cell::Empty],
            Some(i) => [Cell::Interval(tests[i].difference), Cell::P(tests[i].p), Cell::P(adjusted[i])],
        });
        table.rows.push(row);
    }
    report.tables.push(table);
    report.notes.push(format!(
        "{} problems. Tokens are those sampled, whether they were kept or not; shares in percent with bootstrap intervals over problems.",
        first.right.len()
    ));
    Ok(report)
}

fn key(strategy: Strategy) -> String {
    match strategy {
        Strategy::BestOf => "best_of_n".into(),
        Strategy::Beam { width } => format!("beam_{width}"),
        Strategy::Dvts { width } => format!("dvts_{width}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beam(tree: usize, value: f32) -> Beam {
        Beam { tree, value, ..Beam::default() }
    }

    #[test]
    fn beams_compete_and_trees_do_not() {
        let all = || vec![beam(0, 1.0), beam(0, 3.0), beam(1, -1.0), beam(1, -2.0)];
        let values = |s| select(all(), s, 2).iter().map(|b| b.value).collect::<Vec<_>>();
        assert_eq!(values(Strategy::Beam { width: 2 }), [3.0, 1.0]);
        assert_eq!(values(Strategy::Dvts { width: 2 }), [3.0, -1.0]);
    }

    #[test]
    fn the_report_sets_each_beside_the_first() {
        let of = |strategy, right: &[f64], tokens: &[f64]| Searched { strategy, right: right.to_vec(), tokens: tokens.to_vec() };
        let all = [of(Strategy::BestOf, &[0.0, 1.0, 0.0, 1.0], &[10.0; 4]), of(Strategy::Beam { width: 2 }, &[1.0; 4], &[8.0; 4])];
        let report = report("t", &all, Bootstrap::default()).unwrap();
        assert_eq!((report.figures["search_best_of_n"], report.figures["search_beam_2"]), (50.0, 100.0));
        let Cell::Interval(lead) = report.tables[0].rows[1][3] else { panic!("{report:?}") };
        assert_eq!(lead.estimate, 0.5);
    }
}
