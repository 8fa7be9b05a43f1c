//! The headline figures of an evaluation, by the names under which a gate asks for them, and the pictures of the same.

use crate::eval::metrics::methods::mean_logprob;
use crate::eval::metrics::rerank::{Method, Point};
use crate::eval::metrics::score::Score;
use crate::eval::parts::chart::{Chart, ChartKind, Line};
use crate::eval::parts::section::{Section, by_problem};
use crate::eval::stats::{Interval, Paired};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};

/// Every figure and what it says. Shares are in percent, differences in percentage points; "reward" is the main method, N the largest size.
pub const NAMES: [(&str, &str); 49] = [
    ("best_of_n", "share of problems whose pick among N by the reward is right"),
    ("random", "… by a random pick"),
    ("greedy", "… whose greedy completion is right"),
    ("majority", "… by the most frequent answer"),
    ("logprob", "… by the highest mean token log-probability"),
    ("oracle", "… by a pick that knows which candidate is right"),
    ("rerank_gain", "best_of_n minus random"),
    ("gain_over_greedy", "best_of_n minus greedy"),
    ("gain_over_majority", "best_of_n minus majority"),
    ("gain_over_logprob", "best_of_n minus logprob"),
    ("weighted_majority", "… by the answer with the largest sum of rewards, aggregated as the reward is"),
    ("pass_1", "pass@1"),
    ("pass_n", "pass@N"),
    ("f1", "ProcessBench's F1 of the first localisation method: the reward at its calibrated threshold, else at its best one"),
    ("acc_error", "share of wrong traces whose first wrong step it hits"),
    ("acc_within_one", "… within one step"),
    ("acc_correct", "share of right traces that it leaves unmarked"),
    ("f1_held_out", "F1 of the same signal, its statistic and threshold chosen by cross-validation"),
    ("f1_content_free", "… of the best detector that knows nothing of what a step says, chosen alike"),
    ("lead_over_content_free", "f1_held_out minus f1_content_free"),
    ("map", "mean average precision of the reward's largest drops"),
    ("onset_lag_median", "median distance from the first wrong step to its mark, in steps, positive where late"),
    ("false_alarms", "marks per 100 right traces"),
    ("auroc", "AUROC of the reward, right against wrong candidates"),
    ("pr_auc", "average precision of the same"),
    ("ece", "expected calibration error of σ(reward), equal width"),
    ("ece_mass", "… equal mass"),
    ("ece_tempered", "… equal width, after a temperature fitted on the other half of the problems"),
    ("brier", "Brier score of σ(reward), times 100"),
    ("coverage_error", "largest distance of a measured false-alarm rate from the promised one"),
    ("partial_correlation", "Spearman's correlation of reward and outcome given length and log-probability, −1 to 1"),
    ("prm_score", "PRMScore over all labelled steps"),
    ("rating_spearman", "Spearman's correlation of step rewards with ratings, −1 to 1"),
    ("processbench_average", "unweighted mean of the subsets' F1s"),
    ("processbench_SUBSET", "F1 of a subset"),
    ("grid_exact", "largest drop on a grid of tokens: exact bucket"),
    ("grid_within_one", "… within one bucket"),
    ("pair_win_rate", "share of pairs in which the clean trace has the higher reward"),
    ("length_matched_win_rate", "… of pairs of the same length"),
    ("shuffled_win_rate", "… of a trace against its step-shuffled twin"),
    ("transfer_min_gain", "smallest gain over random in the transfer matrix"),
    ("agreement_spearman", "Spearman's correlation of two rewards' step values, of the first two where there are more, −1 to 1"),
    ("agreement_kendall", "Kendall's τ-b of the same, −1 to 1"),
    ("agreement_candidates", "Spearman's correlation of what they say of candidates, −1 to 1"),
    ("agreement_first", "share of candidates on whose first deviation they agree"),
    ("problems", "number of problems"),
    ("shared_problems", "number of problems that both of two compared runs hold"),
    ("difference_METHOD", "best of N by a method, second run minus first"),
    ("f1_difference_DETECTOR", "F1 of a detector, second run minus first"),
];

/// Bins of the histogram of rewards.
const BINS: usize = 30;

/// What becomes of the figures of reranking at the largest N. `points`: every method there; `gains`: of the main method over others.
pub fn reranking(main: &Method, points: &[Point], gains: &[(Method, Paired)]) -> Section {
    let mut section = Section::default();
    let by_score = matches!(main, Method::Best(_));
    // A weighted vote that picks as the plain one does is not listed beside it.
    let weighted = main.score().cloned().map(Method::WeightedMajority).filter(|m| points.iter().any(|p| p.method == *m));
    let named = [
        ("best_of_n", main.clone()),
        ("random", Method::Random),
        ("greedy", Method::Greedy),
        ("majority", Method::Majority),
        ("logprob", Method::Best(mean_logprob())),
        ("oracle", Method::Oracle),
        ("weighted_majority", weighted.unwrap_or(Method::Majority)),
    ];
    for (name, method) in named.into_iter().filter(|(name, _)| by_score || !["best_of_n", "weighted_majority"].contains(name)) {
        let point = points.iter().filter(|p| p.method == method).max_by_key(|p| p.n);
        section.figure(name, point.map_or(f64::NAN, |p| 100.0 * p.accuracy.estimate));
    }
    let over = [
        ("rerank_gain", Method::Random),
        ("gain_over_greedy", Method::Greedy),
        ("gain_over_majority", Method::Majority),
        ("gain_over_logprob", Method::Best(mean_logprob())),
    ];
    for (name, method) in over.into_iter().filter(|_| by_score) {
        let gain = gains.iter().find(|g| g.0 == method);
        section.figure(name, gain.map_or(f64::NAN, |g| 100.0 * g.1.difference.estimate));
    }
    section
}

/// Accuracy against N of the main method beside the baselines that matter most. `points`: from [`crate::eval::metrics::rerank::curve`].
pub fn best_of_n(main: &Method, points: &[Point]) -> Chart {
    let mut methods = vec![Method::Random, Method::Greedy, Method::Best(mean_logprob()), Method::Majority, main.clone()];
    methods.extend(main.score().cloned().map(Method::WeightedMajority));
    methods.push(Method::Oracle);
    // The main method may be one of the others.
    let mut seen: Vec<Method> = Vec::new();
    methods.retain(|m| {
        !seen.contains(m) && {
            seen.push(m.clone());
            true
        }
    });
    let line = |m: Method| -> Option<Line> {
        let points: Vec<(f64, Interval)> = points.iter().filter(|p| p.method == m).map(|p| (p.n as f64, p.accuracy)).collect();
        (!points.is_empty()).then(|| Line { name: m.name(), points })
    };
    let series = methods.into_iter().filter_map(line).collect();
    let kind = ChartKind::Lines { x: "N".into(), y: "problems solved".into(), log_x: true, percent: true, series };
    Chart { name: "best-of-n".into(), title: "Best of N".into(), kind }
}

/// The score of a candidate, if it is finite.
pub fn score(score: &Score, c: &ScoredCandidate) -> Option<f64> {
    score.of(c).filter(|r| r.is_finite()).map(f64::from)
}

/// Scores of right against wrong candidates, `None` without any. The outermost bins hold what lies beyond the 0.5th and 99.5th percentile.
pub fn histogram(by: &Score, traces: &[ScoredTrace]) -> Option<Chart> {
    let rewards: Vec<(f64, bool)> = by_problem(traces, |c| Some((score(by, c)?, c.correct))).into_iter().flatten().collect();
    let mut sorted: Vec<f64> = rewards.iter().map(|r| r.0).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |q: f64| crate::eval::stats::resample::quantile(&sorted, q);
    let (mut low, mut high) = (at(0.005), at(0.995));
    if sorted.is_empty() {
        return None;
    }
    if low == high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let edges: Vec<f64> = (0..=BINS).map(|b| low + (high - low) * b as f64 / BINS as f64).collect();
    let count = |kind: bool| {
        let mut counts = vec![0_u64; BINS];
        for (r, _) in rewards.iter().filter(|r| r.1 == kind) {
            let b = ((r - low) / (high - low) * BINS as f64).clamp(0.0, (BINS - 1) as f64) as usize;
            counts[b] += 1;
        }
        counts
    };
    let series = vec![("right".to_string(), count(true)), ("wrong".to_string(), count(false))];
    let kind = ChartKind::Histogram { x: "aggregated reward".into(), edges, series };
    Some(Chart { name: "rewards".into(), title: "Rewards of right and wrong candidates".into(), kind })
}

/// Whether a figure of this name can be asked for.
///
/// # Errors
/// It cannot; the known names are listed.
pub fn check_name(name: &str) -> Result<(), EvalError> {
    let open = |prefix: &&str| name.starts_with(prefix);
    let known = NAMES.iter().any(|(n, _)| *n == name) || ["processbench_", "difference_", "f1_difference_"].iter().any(open);
    let list = || NAMES.map(|n| n.0).join(", ");
    if known { Ok(()) } else { Err(EvalError::Input(format!("no figure is called {name:?}; there are: {}", list()))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::scored::{Column, Says};
    use crate::trace::{Aggregation, REWARD, Reading, Statistic};

    fn by() -> Score {
        Score::steps(Reading::new(REWARD, Statistic::Min), Aggregation::Min)
    }

    fn interval(estimate: f64) -> Interval {
        Interval { estimate, low: estimate - 0.1, high: estimate + 0.1 }
    }

    #[test]
    fn figures_are_those_at_the_largest_n() {
        let main = Method::Best(by());
        let point = |method, n, estimate| Point { method, n, accuracy: interval(estimate) };
        let points = [point(Method::Random, 8, 0.5), point(main.clone(), 1, 0.5), point(main.clone(), 8, 0.75)];
        let gains = [(Method::Random, Paired { difference: interval(0.25), p: 0.01 })];
        let section = reranking(&main, &points, &gains);
        let found: Vec<(&str, f64)> = section.figures.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(found, [("best_of_n", 75.0), ("random", 50.0), ("rerank_gain", 25.0)]);
        assert!(section.figures.keys().all(|name| check_name(name).is_ok()));
        let ChartKind::Lines { series, .. } = best_of_n(&main, &points).kind else { panic!() };
        assert_eq!(series.iter().map(|l| (l.name.as_str(), l.points.len())).collect::<Vec<_>>(), [("random", 1), ("reward.min min", 2)]);
        let error = check_name("rerank").unwrap_err().to_string();
        assert!(error.contains("\"rerank\"") && error.contains("rerank_gain"), "{error}");
    }

    #[test]
    fn a_histogram_counts_everybody() {
        let candidate = |r: f32, correct: bool| {
            let mut c = ScoredCandidate { correct, n_steps: 1, ..ScoredCandidate::default() };
            c.put(Column::steps(by().reading, Says::Model), &[r], f32::NAN);
            c
        };
        let candidates = (0..100).map(|i| candidate(if i == 99 { 1e6 } else { i as f32 }, i % 4 == 0)).collect();
        let traces = [ScoredTrace::new("", candidates)];
        let Some(Chart { kind: ChartKind::Histogram { edges, series, .. }, .. }) = histogram(&by(), &traces) else { panic!() };
        assert_eq!((edges.len(), series[0].1.len()), (BINS + 1, BINS));
        assert_eq!((series[0].1.iter().sum::<u64>(), series[1].1.iter().sum::<u64>()), (25, 75));
        assert!(histogram(&by(), &[]).is_none());
        let flat = [ScoredTrace::new("", vec![candidate(2.0, true)])];
        assert!(histogram(&by(), &flat).is_some());
    }

    #[test]
    fn names_are_distinct() {
        let mut names = NAMES.map(|n| n.0).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES.len());
    }
}
