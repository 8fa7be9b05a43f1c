//! Reranking: how often the candidate that a method picks is right.

use super::passk::pass_at_k;
use super::resample::Resampled;
use super::stats::{Bootstrap, Interval};
use super::{EvalError, ScoredCandidate, ScoredTrace};
use crate::answer::Ballot;
use crate::trace::{Aggregation, vote_weight};
use crate::util::seed;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::Serialize;

/// How one candidate of N is picked. Ties go to the candidate sampled first, between answers to one by chance (see [`Ballot`]); a candidate without the
/// score is picked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A random pick, by its expectation.
    Random,
    /// No pick: the policy's greedy completion, [`ScoredTrace::greedy`], the same at every N.
    Greedy,
    /// The fewest tokens (steps where there are no tokens).
    Shortest,
    /// The most tokens.
    Longest,
    /// The highest sum of policy log-probabilities.
    LogProbSum,
    /// The highest mean per token of policy log-probabilities.
    LogProbMean,
    /// Lowest mean entropy of the policy.
    EntropyMean,
    /// The highest sum of log-probabilities under the reward model's own decoder, without its head.
    CriticLogProbSum,
    /// The highest mean per token of the same.
    CriticLogProbMean,
    /// The highest reward, [`ScoredCandidate::reward`].
    Reward(Aggregation),
    /// The most frequent answer; candidates without an answer do not vote; the first candidate where none has one.
    Majority,
    /// The answer with the largest sum of vote weights (σ of the aggregated reward; e^ for the product, a log-probability).
    WeightedMajority(Aggregation),
    /// A right candidate where there is one.
    Oracle,
}

impl Method {
    /// Every method, baselines first.
    pub fn all() -> Vec<Method> {
        let mut all = vec![Method::Random, Method::Greedy, Method::Shortest, Method::Longest, Method::LogProbSum, Method::LogProbMean];
        all.extend([Method::EntropyMean, Method::CriticLogProbSum, Method::CriticLogProbMean, Method::Majority]);
        all.extend(Aggregation::ALL.map(Method::Reward));
        all.extend(Aggregation::ALL.map(Method::WeightedMajority));
        all.push(Method::Oracle);
        all
    }

    /// Its name in reports.
    pub fn name(self) -> String {
        match self {
            Method::Random => "random".into(),
            Method::Greedy => "greedy, one sample".into(),
            Method::Shortest => "shortest".into(),
            Method::Longest => "longest".into(),
            Method::LogProbSum => "log-prob sum".into(),
            Method::LogProbMean => "log-prob mean".into(),
            Method::EntropyMean => "entropy mean".into(),
            Method::CriticLogProbSum => "critic log-prob sum".into(),
            Method::CriticLogProbMean => "critic log-prob mean".into(),
            Method::Majority => "majority".into(),
            Method::Reward(a) => format!("reward {}", a.name()),
            Method::WeightedMajority(a) => format!("weighted majority {}", a.name()),
            Method::Oracle => "oracle".into(),
        }
    }

    /// Whether it needs rewards.
    pub fn uses_reward(self) -> bool {
        matches!(self, Method::Reward(_) | Method::WeightedMajority(_))
    }
}

/// The candidate that a method picks; `None` for no candidates, for `Random` and `Greedy`, and for `Oracle` where none is right.
pub fn pick(method: Method, trace: &ScoredTrace) -> Option<usize> {
    Picker::new(method, trace).choose(&trace.all())
}

/// Chance that the pick of a method is right: 0 or 1, a share for `Random`; 0 where there is no pick.
pub fn accuracy(method: Method, trace: &ScoredTrace) -> f64 {
    Picker::new(method, trace).chance(&trace.all())
}

/// By what each candidate is picked, or the weight of its vote; nothing for `Random`, `Greedy` and `Oracle`.
fn scores(method: Method, candidates: &[ScoredCandidate]) -> Vec<Option<f32>> {
    let mean = |sum: Option<f32>, c: &ScoredCandidate| sum.filter(|_| c.n_tokens > 0).map(|s| s / c.n_tokens as f32);
    let one = |c: &ScoredCandidate| match method {
        Method::Random | Method::Greedy | Method::Oracle => None,
        Method::Shortest => Some(-(c.length() as f32)),
        Method::Longest => Some(c.length() as f32),
        Method::LogProbSum => c.logprob_sum,
        Method::LogProbMean => mean(c.logprob_sum, c),
        Method::EntropyMean => c.entropy_mean.map(|h| -h),
        Method::CriticLogProbSum => c.critic_logprob_sum,
        Method::CriticLogProbMean => mean(c.critic_logprob_sum, c),
        Method::Reward(a) => c.reward(a),
        Method::Majority => Some(1.0),
        Method::WeightedMajority(a) => c.reward(a).map(|r| vote_weight(a, r)),
    };
    candidates.iter().map(|c| one(c).filter(|s| !s.is_nan())).collect()
}

/// A method over one problem's candidates, ready to pick among any of them.
struct Picker<'a> {
    method: Method,
    candidates: &'a [ScoredCandidate],
    scores: Vec<Option<f32>>,
    /// Who gives the same answer; of no candidates for a method that does not vote.
    ballot: Ballot,
}

impl<'a> Picker<'a> {
    fn new(method: Method, trace: &'a ScoredTrace) -> Self {
        let candidates = &trace.candidates;
        let votes = matches!(method, Method::Majority | Method::WeightedMajority(_));
        let ballot = if votes { trace.ballot() } else { Ballot::default() };
        Self { method, candidates, scores: scores(method, candidates), ballot }
    }

    /// The candidate that is picked among some.
    fn choose(&self, among: &[usize]) -> Option<usize> {
        match self.method {
            Method::Random | Method::Greedy => None,
            Method::Oracle => among.iter().copied().find(|&i| self.candidates[i].correct),
            Method::Majority | Method::WeightedMajority(_) => {
                self.ballot.winner(among, |i| self.scores[i].map(f64::from)).or(among.first().copied())
            }
            _ => self.first_best(among),
        }
    }

    fn chance(&self, among: &[usize]) -> f64 {
        match self.method {
            Method::Random => among.iter().filter(|&&i| self.candidates[i].correct).count() as f64 / among.len().max(1) as f64,
            _ => self.choose(among).is_some_and(|i| self.candidates[i].correct).into(),
        }
    }

    fn first_best(&self, among: &[usize]) -> Option<usize> {
        let mut best: Option<(usize, f32)> = None;
        for &i in among {
            let Some(score) = self.scores[i] else { continue };
            if best.is_none_or(|(_, b)| score > b) {
                best = Some((i, score));
            }
        }
        best.map(|b| b.0).or(among.first().copied())
    }

    /// The mean over subsets of `n`, drawn by the problem's id.
    fn over_subsets(&self, id: &str, n: usize) -> f64 {
        let mut rng = seed::named(0, id);
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        let (mut sum, mut subsets) = (0.0, 0);
        let mut add = |subset: &[usize]| {
            sum += self.chance(subset);
            subsets += 1;
        };
        if combinations(order.len(), n) <= ALL_SUBSETS {
            order.shuffle(&mut rng);
            each_subset(&order, n, &mut add);
        } else {
            let each = order.len() / n;
            for _ in 0..SUBSETS.div_ceil(each) {
                order.shuffle(&mut rng);
                order.chunks_exact(n).for_each(&mut add);
            }
        }
        sum / subsets as f64
    }
}

/// Random subsets that a value at an N below a problem's candidates is averaged over, at least …
const SUBSETS: usize = 4;
/// … where there are more than so many; fewer are all taken.
const ALL_SUBSETS: f64 = 32.0;

/// One value a problem: the method's accuracy at N. `Random` and `Oracle` are exact expectations over all subsets of N; `Greedy` is NaN where a problem has no
/// greedy completion. The others are averaged over all
/// subsets where these are at most 32, elsewhere over random ones, disjoint as far as the candidates go and drawn by the problem's id. Candidates may be recorded
/// in an order that means something, such as the better model's first, and it must not decide ties: the order drawn does, the same for every method.
///
/// # Errors
/// `n` is 0, or a problem has fewer candidates than `n`; it is named.
pub fn per_problem(method: Method, traces: &[ScoredTrace], n: usize) -> Result<Vec<f64>, EvalError> {
    Ok(per_problem_at(method, traces, &[n])?.swap_remove(0))
}

/// As [`per_problem`] for several N, each candidate being scored once.
///
/// # Errors
/// As [`per_problem`], for any of the sizes.
pub fn per_problem_at(method: Method, traces: &[ScoredTrace], sizes: &[usize]) -> Result<Vec<Vec<f64>>, EvalError> {
    for (n, t) in traces.iter().flat_map(|t| sizes.iter().map(move |n| (*n, t))) {
        if n == 0 || t.candidates.len() < n {
            return Err(EvalError::Input(format!("best-of-{n} of problem {}, which has {} candidates", t.id, t.candidates.len())));
        }
    }
    let of = |t: &ScoredTrace| -> Vec<f64> {
        let picker = Picker::new(method, t);
        let right = t.candidates.iter().filter(|c| c.correct).count();
        let at = |&n: &usize| match method {
            Method::Random => picker.chance(&t.all()),
            Method::Greedy => t.greedy.map_or(f64::NAN, |right| f64::from(u8::from(right))),
            Method::Oracle => pass_at_k(t.candidates.len(), right, n).unwrap_or(f64::NAN),
            _ => picker.over_subsets(&t.id, n),
        };
        sizes.iter().map(at).collect()
    };
    let rows: Vec<Vec<f64>> = traces.par_iter().map(of).collect();
    Ok((0..sizes.len()).map(|k| rows.iter().map(|r| r[k]).collect()).collect())
}

/// Subsets of k of n.
fn combinations(n: usize, k: usize) -> f64 {
    (0..k.min(n - k)).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

/// Hands over every subset of n, each in the order of the whole.
fn each_subset(order: &[usize], n: usize, take: &mut impl FnMut(&[usize])) {
    let mut at: Vec<usize> = (0..n).collect();
    loop {
        take(&at.iter().map(|&i| order[i]).collect::<Vec<_>>());
        // The last place that can still move, and those after it close behind.
        let Some(last) = (0..n).rfind(|&i| at[i] < order.len() - n + i) else { return };
        at[last] += 1;
        (last + 1..n).for_each(|i| at[i] = at[i - 1] + 1);
    }
}

/// One method at one N.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The method.
    pub method: Method,
    /// Candidates to pick from.
    pub n: usize,
    /// Share of problems whose pick is right.
    pub accuracy: Interval,
}

/// Every method at every N, methods outermost.
///
/// # Errors
/// As [`per_problem`] and [`Resampled::of`].
pub fn curve(traces: &[ScoredTrace], methods: &[Method], sizes: &[usize], options: Bootstrap) -> Result<Vec<Point>, EvalError> {
    let mut columns = Vec::with_capacity(methods.len() * sizes.len());
    for &method in methods {
        columns.extend(per_problem_at(method, traces, sizes)?);
    }
    let drawn = Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?;
    let pairs = methods.iter().flat_map(|m| sizes.iter().map(move |n| (*m, *n)));
    let point = |(k, (method, n)): (usize, (Method, usize))| Point { method, n, accuracy: drawn.interval(|s| s[k] / traces.len() as f64) };
    Ok(pairs.enumerate().map(point).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(answer: Option<&str>, correct: bool, tokens: usize, logprob: f32, rewards: &[f32]) -> ScoredCandidate {
        ScoredCandidate {
            correct,
            n_steps: rewards.len(),
            n_tokens: tokens,
            logprob_sum: Some(logprob),
            step_rewards: rewards.iter().map(|r| Some(*r)).collect(),
            answer: answer.map(str::to_string),
            ..ScoredCandidate::default()
        }
    }

    fn group() -> Vec<ScoredCandidate> {
        vec![
            candidate(Some("5"), false, 10, -9.0, &[1.0, -2.0]),
            candidate(Some("7"), true, 20, -10.0, &[3.0, 2.0]),
            candidate(Some("5"), false, 8, -8.8, &[-3.0, 4.0]),
            candidate(None, false, 30, -30.0, &[0.0]),
        ]
    }

    #[test]
    fn each_method_picks_by_hand() {
        let pick = |method, g: &[ScoredCandidate]| pick(method, &ScoredTrace::new("p", g.to_vec()));
        let accuracy = |method, g: &[ScoredCandidate]| accuracy(method, &ScoredTrace::new("p", g.to_vec()));
        let mut g = group();
        for (c, sum) in g.iter_mut().zip([-9.0, -10.0, -3.0, -30.0]) {
            c.critic_logprob_sum = Some(sum);
        }
        for (method, expected) in [
            (Method::Shortest, 2),
            (Method::Longest, 3),
            (Method::LogProbSum, 2),
            (Method::LogProbMean, 1),
            (Method::Reward(Aggregation::Mean), 1),
            (Method::Reward(Aggregation::Min), 1),
            (Method::Reward(Aggregation::Last), 2),
            (Method::Reward(Aggregation::Product), 1),
            (Method::Reward(Aggregation::Sum), 1),
            // (0.9 · 1 − 2) / 1.9, (0.9 · 3 + 2) / 1.9 against (−0.9 · 3 + 4) / 1.9
            (Method::Reward(Aggregation::Discounted), 1),
            // -10 / 20 against -3 / 8
            (Method::CriticLogProbSum, 2),
            (Method::CriticLogProbMean, 2),
            (Method::Majority, 0),
            // sigma(-0.5) + sigma(0.5) = 1 against sigma(2.5) = 0.924
            (Method::WeightedMajority(Aggregation::Mean), 0),
            // sigma(-2) + sigma(-3) = 0.167 against sigma(2) = 0.881
            (Method::WeightedMajority(Aggregation::Min), 1),
            (Method::Oracle, 1),
        ] {
            assert_eq!(pick(method, &g), Some(expected), "{}", method.name());
        }
        assert_eq!(pick(Method::Random, &g), None);
        assert_eq!(accuracy(Method::Random, &g), 0.25);
        assert_eq!(accuracy(Method::Oracle, &g[2..]), 0.0);
    }

    #[test]
    fn ties_go_to_the_first_and_missing_scores_last() {
        let pick = |method, g: &[ScoredCandidate]| pick(method, &ScoredTrace::new("p", g.to_vec()));
        let mut g = vec![candidate(Some("a"), false, 5, -1.0, &[1.0]), candidate(Some("b"), true, 5, -1.0, &[1.0])];
        let votes = |m: &Method| matches!(m, Method::Majority | Method::WeightedMajority(_));
        let other = |m: &Method| !votes(m) && !matches!(m, Method::Random | Method::Greedy | Method::Oracle);
        for method in Method::all().into_iter().filter(other) {
            assert_eq!(pick(method, &g), Some(0), "{}", method.name());
        }
        let swapped = [g[1].clone(), g[0].clone()];
        for method in Method::all().into_iter().filter(votes) {
            let [one, two] = [&g[..], &swapped].map(|g| g[pick(method, g).unwrap()].answer.clone());
            assert_eq!(one, two, "{}: the order decides no tie between answers", method.name());
        }
        g[0].step_rewards = vec![None];
        g[0].logprob_sum = None;
        for method in [Method::Reward(Aggregation::Mean), Method::LogProbSum, Method::WeightedMajority(Aggregation::Mean)] {
            assert_eq!(pick(method, &g), Some(1), "{}", method.name());
        }
        g[1].step_rewards = vec![Some(f32::NAN)];
        assert_eq!(pick(Method::Reward(Aggregation::Last), &g), Some(0), "nobody has a reward");
        assert!(Method::all().into_iter().all(|m| pick(m, &[]).is_none() && accuracy(m, &ScoredTrace::default()) == 0.0));
    }

    #[test]
    fn small_n_draws_subsets() {
        let trace = ScoredTrace { greedy: Some(false), ..ScoredTrace::new("p", group()) };
        let at = |m, n| per_problem(m, std::slice::from_ref(&trace), n).unwrap()[0];
        assert_eq!(at(Method::Reward(Aggregation::Mean), 1), 0.25);
        assert_eq!(at(Method::Reward(Aggregation::Mean), 2), 0.5);
        // One of the four subsets of three is without the right one; every other method is bounded by the oracle.
        assert_eq!(at(Method::Reward(Aggregation::Mean), 3), 0.75);
        assert!([1, 2, 3, 4].iter().all(|&n| Method::all().into_iter().all(|m| at(m, n) <= at(Method::Oracle, n))));
        assert_eq!((at(Method::Random, 3), at(Method::Random, 4)), (0.25, 0.25));
        let greedy = ScoredTrace { greedy: Some(true), ..trace.clone() };
        assert_eq!([1, 4].map(|n| per_problem(Method::Greedy, std::slice::from_ref(&greedy), n).unwrap()[0]), [1.0, 1.0]);
        assert_eq!((pick(Method::Greedy, &greedy), at(Method::Greedy, 2)), (None, 0.0));
        assert!(per_problem(Method::Greedy, &[ScoredTrace::new("q", group())], 1).unwrap()[0].is_nan());
        assert_eq!((at(Method::Oracle, 2), at(Method::Oracle, 3), at(Method::Oracle, 4)), (0.5, 0.75, 1.0));
        // Three groups: 3 of 12 are right and the best of all, and 220 subsets of three are too many to take each: 1 − C(9, 3)/C(12, 3).
        let twelve = |i: usize| ScoredTrace::new(format!("p{i}"), [group(), group(), group()].concat());
        let many: Vec<ScoredTrace> = (0..400).map(twelve).collect();
        let mean = per_problem(Method::Reward(Aggregation::Mean), &many, 3).unwrap().iter().sum::<f64>() / 400.0;
        assert!((mean - (1.0 - 84.0 / 220.0)).abs() < 0.04, "{mean}");
        let error = per_problem(Method::Random, &[trace], 5).unwrap_err().to_string();
        assert!(error.contains("problem p") && error.contains('5') && error.contains('4'), "{error}");
    }

    #[test]
    fn every_subset_comes_once() {
        let mut seen = Vec::new();
        each_subset(&[7, 3, 5, 9], 2, &mut |s| seen.push(s.to_vec()));
        assert_eq!(seen, [[7, 3], [7, 5], [7, 9], [3, 5], [3, 9], [5, 9]]);
        assert_eq!((combinations(4, 2), combinations(8, 8), combinations(56, 1), combinations(16, 4)), (6.0, 1.0, 56.0, 1820.0));
    }

    #[test]
    fn the_order_of_a_file_decides_no_tie() {
        // Two candidates of the same length, the right one recorded first in every problem: by length the picks are right half of the time.
        let pair = || vec![candidate(Some("a"), true, 5, -1.0, &[]), candidate(Some("b"), false, 5, -1.0, &[])];
        let trace = |i: usize| ScoredTrace::new(format!("p{i}"), pair());
        let traces: Vec<ScoredTrace> = (0..400).map(trace).collect();
        for method in [Method::Longest, Method::Majority] {
            let right = per_problem(method, &traces, 2).unwrap();
            assert!(right.iter().all(|x| *x == 0.0 || *x == 1.0), "one pick a problem");
            // Binomial with n = 400: five standard deviations are 50.
            assert!((150.0..=250.0).contains(&right.iter().sum::<f64>()), "{method:?} {}", right.iter().sum::<f64>());
        }
    }
}
