//! Reranking: how often the candidate that a method picks is right.

use super::passk::pass_at_k;
use super::score::Score;
use crate::answer::Ballot;
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, Interval};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};
use crate::util::seed;
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// How one candidate of N is picked. Ties go to the candidate sampled first, between answers to one by chance (see [`Ballot`]); a candidate without the
/// score is picked last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A random pick, by its expectation.
    Random,
    /// No pick: the policy's greedy completion, [`ScoredTrace::greedy`], the same at every N.
    Greedy,
    /// The fewest tokens (steps where there are no tokens).
    Shortest,
    /// The most tokens.
    Longest,
    /// The best value of a signal.
    Best(Score),
    /// The most frequent answer; candidates without an answer do not vote; the first candidate where none has one.
    Majority,
    /// The answer with the largest sum of vote weights, [`Score::weight`].
    WeightedMajority(Score),
    /// A right candidate where there is one.
    Oracle,
}

impl Method {
    /// Its name in reports.
    pub fn name(&self) -> String {
        match self {
            Method::Random => "random".into(),
            Method::Greedy => "greedy, one sample".into(),
            Method::Shortest => "shortest".into(),
            Method::Longest => "longest".into(),
            Method::Majority => "majority".into(),
            Method::Best(score) => score.to_string(),
            Method::WeightedMajority(score) => format!("weighted majority {score}"),
            Method::Oracle => "oracle".into(),
        }
    }

    /// What it picks or weighs by.
    pub fn score(&self) -> Option<&Score> {
        match self {
            Method::Best(score) | Method::WeightedMajority(score) => Some(score),
            _ => None,
        }
    }
}

/// A method over one problem's candidates, ready to pick among any of them.
struct Picker<'a> {
    method: &'a Method,
    candidates: &'a [ScoredCandidate],
    /// By what each candidate is picked, or the weight of its vote; nothing for `Random`, `Greedy` and `Oracle`.
    scores: Vec<Option<f32>>,
    /// Who gives the same answer.
    ballot: &'a Ballot,
}

impl<'a> Picker<'a> {
    fn new(method: &'a Method, trace: &'a ScoredTrace, ballot: &'a Ballot) -> Self {
        let candidates = &trace.candidates;
        let scores = match method {
            Method::Random | Method::Greedy | Method::Oracle => Vec::new(),
            Method::Shortest => candidates.iter().map(|c| Some(-(c.length() as f32))).collect(),
            Method::Longest => candidates.iter().map(|c| Some(c.length() as f32)).collect(),
            Method::Best(score) => candidates.iter().map(|c| score.of(c)).collect(),
            Method::Majority => vec![Some(1.0); candidates.len()],
            Method::WeightedMajority(score) => candidates.iter().map(|c| score.weight(c)).collect(),
        };
        Self { method, candidates, scores, ballot }
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
}

/// Random subsets that a value at an N below a problem's candidates is averaged over, at least …
const SUBSETS: usize = 4;
/// … where there are more than so many; fewer are all taken.
const ALL_SUBSETS: f64 = 32.0;

/// For several methods and several N, methods outermost, a column of one value a problem: the method's accuracy at N. `Random` and `Oracle` are exact
/// expectations over all subsets of N; `Greedy` is NaN where a problem has no greedy completion. The others are averaged over all
/// subsets where these are at most 32, elsewhere over random ones, disjoint as far as the candidates go and drawn by the problem's id. Candidates may be recorded
/// in an order that means something, such as the better model's first, and it must not decide ties: the order drawn does, the same for every method.
///
/// # Errors
/// A size is 0, or a problem has fewer candidates than one; it is named.
pub fn per_problem_at(methods: &[Method], traces: &[ScoredTrace], sizes: &[usize]) -> Result<Vec<Vec<f64>>, EvalError> {
    for (n, t) in traces.iter().flat_map(|t| sizes.iter().map(move |n| (*n, t))) {
        if n == 0 || t.candidates.len() < n {
            return Err(EvalError::Input(format!("best-of-{n} of problem {}, which has {} candidates", t.id, t.candidates.len())));
        }
    }
    let of = |t: &ScoredTrace| -> Vec<f64> {
        let (all, ballot) = (t.all(), t.ballot());
        let right = t.candidates.iter().filter(|c| c.correct).count();
        let subsets: Vec<Vec<Vec<usize>>> = sizes.iter().map(|&n| subsets(&t.id, all.len(), n)).collect();
        let mut out = Vec::with_capacity(methods.len() * sizes.len());
        for method in methods {
            let picker = Picker::new(method, t, &ballot);
            out.extend(sizes.iter().zip(&subsets).map(|(&n, subsets)| match method {
                Method::Random => picker.chance(&all),
                Method::Greedy => t.greedy.map_or(f64::NAN, |right| f64::from(u8::from(right))),
                Method::Oracle => pass_at_k(all.len(), right, n).unwrap_or(f64::NAN),
                _ => subsets.iter().map(|s| picker.chance(s)).sum::<f64>() / subsets.len() as f64,
            }));
        }
        out
    };
    let rows: Vec<Vec<f64>> = traces.par_iter().map(of).collect();
    Ok((0..methods.len() * sizes.len()).map(|k| rows.iter().map(|r| r[k]).collect()).collect())
}

/// The subsets of `n` of a problem's candidates that are looked at, drawn by the problem's id.
fn subsets(id: &str, candidates: usize, n: usize) -> Vec<Vec<usize>> {
    let mut rng = seed::named(0, id);
    let mut order: Vec<usize> = (0..candidates).collect();
    let mut out = Vec::new();
    if combinations(order.len(), n) <= ALL_SUBSETS {
        order.shuffle(&mut rng);
        each_subset(&order, n, &mut |s| out.push(s.to_vec()));
    } else {
        let each = order.len() / n;
        for _ in 0..SUBSETS.div_ceil(each) {
            order.shuffle(&mut rng);
            out.extend(order.chunks_exact(n).map(<[usize]>::to_vec));
        }
    }
    out
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
#[derive(Clone, Debug, PartialEq)]
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
/// As [`per_problem_at`] and [`Resampled::of`].
pub fn curve(traces: &[ScoredTrace], methods: &[Method], sizes: &[usize], options: Bootstrap) -> Result<Vec<Point>, EvalError> {
    points(methods, sizes, &per_problem_at(methods, traces, sizes)?, options)
}

/// The same from the columns of [`per_problem_at`].
///
/// # Errors
/// As [`Resampled::of`].
pub fn points(methods: &[Method], sizes: &[usize], columns: &[Vec<f64>], options: Bootstrap) -> Result<Vec<Point>, EvalError> {
    let drawn = Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?;
    let problems = columns.first().map_or(0, Vec::len) as f64;
    let pairs = methods.iter().flat_map(|m| sizes.iter().map(move |n| (m.clone(), *n)));
    let point = |(k, (method, n)): (usize, (Method, usize))| Point { method, n, accuracy: drawn.interval(|s| s[k] / problems) };
    Ok(pairs.enumerate().map(point).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(method: &Method, trace: &ScoredTrace) -> Option<usize> {
        Picker::new(method, trace, &trace.ballot()).choose(&trace.all())
    }

    fn accuracy(method: &Method, trace: &ScoredTrace) -> f64 {
        Picker::new(method, trace, &trace.ballot()).chance(&trace.all())
    }

    fn per_problem(method: &Method, traces: &[ScoredTrace], n: usize) -> Result<Vec<f64>, EvalError> {
        Ok(per_problem_at(std::slice::from_ref(method), traces, &[n])?.swap_remove(0))
    }
    use crate::eval::metrics::methods::{main_method, mean_logprob, methods};
    use crate::eval::scored::{Column, Says};
    use crate::trace::{Aggregation, Calibration, Level, Reading, Unit};

    fn reading(text: &str) -> Reading {
        text.parse().unwrap()
    }

    fn logprobs() -> Column {
        Column { level: Level::Token, unit: Unit::Nats, main: false, ..Column::steps(reading("logprob.mean"), Says::Policy) }
    }

    fn candidate(answer: Option<&str>, correct: bool, tokens: usize, logprob: f32, rewards: &[f32]) -> ScoredCandidate {
        let answer = answer.map(str::to_string);
        let mut c = ScoredCandidate { correct, n_steps: rewards.len(), n_tokens: tokens, answer, ..ScoredCandidate::default() };
        c.put(Column { unit: Unit::Logit, ..Column::steps(reading("reward.min"), Says::Model) }, rewards, f32::NAN);
        c.put(Column { reading: reading("logprob.sum"), main: true, ..logprobs() }, &[], logprob);
        c.put(logprobs(), &[], logprob / tokens as f32);
        c
    }

    fn group() -> Vec<ScoredCandidate> {
        vec![
            candidate(Some("5"), false, 10, -9.0, &[1.0, -2.0]),
            candidate(Some("7"), true, 20, -10.0, &[3.0, 2.0]),
            candidate(Some("5"), false, 8, -8.8, &[-3.0, 4.0]),
            candidate(None, false, 30, -30.0, &[0.0]),
        ]
    }

    fn trace(candidates: Vec<ScoredCandidate>) -> ScoredTrace {
        ScoredTrace::new("p", candidates)
    }

    fn reward(aggregation: Aggregation) -> Method {
        Method::Best(Score::steps(reading("reward.min"), aggregation))
    }

    fn weighted(aggregation: Aggregation) -> Method {
        Method::WeightedMajority(Score::steps(reading("reward.min"), aggregation))
    }

    /// Every method that the test's candidates have the scores for.
    fn every(traces: &[ScoredTrace]) -> Vec<Method> {
        methods(traces, &reward(Aggregation::Mean), &Calibration::default())
    }

    #[test]
    fn each_method_picks_by_hand() {
        let g = trace(group());
        for (method, expected) in [
            (Method::Shortest, 2),
            (Method::Longest, 3),
            (Method::Best(Score::whole(reading("logprob.sum"))), 2),
            (Method::Best(mean_logprob()), 1),
            (reward(Aggregation::Mean), 1),
            (reward(Aggregation::Min), 1),
            (reward(Aggregation::Last), 2),
            (reward(Aggregation::Product), 1),
            (reward(Aggregation::Sum), 1),
            // (0.9 · 1 − 2) / 1.9, (0.9 · 3 + 2) / 1.9 against (−0.9 · 3 + 4) / 1.9
            (reward(Aggregation::Discounted), 1),
            (Method::Majority, 0),
            // sigma(-0.5) + sigma(0.5) = 1 against sigma(2.5) = 0.924
            (weighted(Aggregation::Mean), 0),
            // sigma(-2) + sigma(-3) = 0.167 against sigma(2) = 0.881
            (weighted(Aggregation::Min), 1),
            (Method::Oracle, 1),
        ] {
            assert_eq!(pick(&method, &g), Some(expected), "{}", method.name());
        }
        assert_eq!(pick(&Method::Random, &g), None);
        assert_eq!(accuracy(&Method::Random, &g), 0.25);
        assert_eq!(accuracy(&Method::Oracle, &trace(g.candidates[2..].to_vec())), 0.0);
    }

    #[test]
    fn a_number_of_the_whole_has_no_aggregation() {
        let scores = [0.2, 0.9, 0.4];
        let of = |(i, score): (usize, &f32)| {
            let answer = Some(if i == 1 { "a" } else { "b" }.to_owned());
            let mut c = ScoredCandidate { correct: i == 1, n_steps: 3, answer, ..ScoredCandidate::default() };
            let column =
                Column { level: Level::Candidate, unit: Unit::Probability, ..Column::steps(Reading::of("pred_score"), Says::File) };
            c.put(column, &[], *score);
            c
        };
        let all = [trace(scores.iter().enumerate().map(of).collect())];
        let main = main_method(&all, None, Aggregation::Product, &Calibration::default());
        let names: Vec<String> = methods(&all, &main, &Calibration::default()).iter().map(Method::name).collect();
        assert_eq!(names, ["random", "shortest", "longest", "majority", "pred_score", "weighted majority pred_score", "oracle"]);
        // 0.9 against 0.2 + 0.4: chances weigh as they are.
        assert_eq!(
            (pick(&Method::Majority, &all[0]), pick(&Method::WeightedMajority(Score::whole(Reading::of("pred_score"))), &all[0])),
            (Some(0), Some(1))
        );
    }

    #[test]
    fn aggregations_that_order_alike_are_listed_once() {
        let names = |candidates: Vec<ScoredCandidate>| -> Vec<String> {
            let all = [trace(candidates)];
            every(&all).iter().map(Method::name).filter(|n| n.starts_with("reward")).collect()
        };
        // A step each: every aggregation is the step. The main one stays.
        let one = |r: f32| candidate(None, false, 3, -1.0, &[r]);
        assert_eq!(names(vec![one(1.0), one(2.0), one(-1.0)]), ["reward.min mean"]);
        // Sums and discounted means order these as means do, and products as the least step does.
        assert_eq!(names(group()), ["reward.min mean", "reward.min min", "reward.min last"]);
    }

    #[test]
    fn ties_go_to_the_first_and_missing_scores_last() {
        let mut g = trace(vec![candidate(Some("a"), false, 5, -1.0, &[1.0]), candidate(Some("b"), true, 5, -1.0, &[1.0])]);
        for method in every(std::slice::from_ref(&g)).into_iter().filter(|m| !matches!(m, Method::Random | Method::Greedy | Method::Oracle))
        {
            assert_eq!(pick(&method, &g), Some(0), "{}", method.name());
        }
        g.candidates[0].keep(|_| false);
        for method in [reward(Aggregation::Mean), Method::Best(mean_logprob()), weighted(Aggregation::Mean)] {
            assert_eq!(pick(&method, &g), Some(1), "{}", method.name());
        }
        g.candidates[1].keep(|_| false);
        assert_eq!(pick(&reward(Aggregation::Last), &g), Some(0), "nobody has a reward");
        let empty = trace(vec![]);
        assert!(every(&[trace(group())]).iter().all(|m| pick(m, &empty).is_none() && accuracy(m, &empty) == 0.0));
    }

    #[test]
    fn small_n_draws_subsets() {
        let trace = ScoredTrace { greedy: Some(false), ..trace(group()) };
        let at = |m: &Method, n| per_problem(m, std::slice::from_ref(&trace), n).unwrap()[0];
        let mean = reward(Aggregation::Mean);
        assert_eq!(at(&mean, 1), 0.25);
        assert_eq!(at(&mean, 2), 0.5);
        // One of the four subsets of three is without the right one; every other method is bounded by the oracle.
        assert_eq!(at(&mean, 3), 0.75);
        let all = every(std::slice::from_ref(&trace));
        assert!(all.contains(&Method::Greedy) && [1, 2, 3, 4].iter().all(|&n| all.iter().all(|m| at(m, n) <= at(&Method::Oracle, n))));
        assert_eq!((at(&Method::Random, 3), at(&Method::Random, 4)), (0.25, 0.25));
        let greedy = ScoredTrace { greedy: Some(true), ..trace.clone() };
        assert_eq!([1, 4].map(|n| per_problem(&Method::Greedy, std::slice::from_ref(&greedy), n).unwrap()[0]), [1.0, 1.0]);
        assert_eq!((pick(&Method::Greedy, &greedy), at(&Method::Greedy, 2)), (None, 0.0));
        assert!(per_problem(&Method::Greedy, &[ScoredTrace::new("q", group())], 1).unwrap()[0].is_nan());
        assert_eq!((at(&Method::Oracle, 2), at(&Method::Oracle, 3), at(&Method::Oracle, 4)), (0.5, 0.75, 1.0));
        // Three groups: 3 of 12 are right and the best of all, and 220 subsets of three are too many to take each: 1 − C(9, 3)/C(12, 3).
        let twelve = |i: usize| ScoredTrace::new(format!("p{i}"), [group(), group(), group()].concat());
        let many: Vec<ScoredTrace> = (0..400).map(twelve).collect();
        let mean = per_problem(&mean, &many, 3).unwrap().iter().sum::<f64>() / 400.0;
        assert!((mean - (1.0 - 84.0 / 220.0)).abs() < 0.04, "{mean}");
        let error = per_problem(&Method::Random, &[trace], 5).unwrap_err().to_string();
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
            let right = per_problem(&method, &traces, 2).unwrap();
            assert!(right.iter().all(|x| *x == 0.0 || *x == 1.0), "one pick a problem");
            // Binomial with n = 400: five standard deviations are 50.
            assert!((150.0..=250.0).contains(&right.iter().sum::<f64>()), "{method:?} {}", right.iter().sum::<f64>());
        }
    }
}
