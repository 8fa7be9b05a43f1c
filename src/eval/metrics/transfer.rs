//! Transfer: rewards from one place on candidates from another, as the gain of best-of-N over a random pick and over the majority.

use super::methods::main_column;
use super::rerank::{Method, per_problem_at};
use super::score::Score;
use crate::eval::columns::columns;
use crate::eval::parts::chart::{Chart, ChartKind};
use crate::eval::parts::section::Section;
use crate::eval::parts::{Cell, Table};
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::{Bootstrap, Interval, Paired, holm};
use crate::eval::{EvalError, ScoredTrace};
use crate::trace::{Aggregation, Calibration, Reading};

/// A set of candidates under one reward.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Name of the reward, for example the task or backbone that it comes from.
    pub reward: &'a str,
    /// Name of the candidate set.
    pub set: &'a str,
    /// The set, scored by the reward.
    pub traces: &'a [ScoredTrace],
    /// The reading that ranks the candidates; `None`: the default one, see [`main_column`].
    pub rank_by: Option<&'a Reading>,
    /// The reward model's calibration, which says by which statistic it is read.
    pub calibration: &'a Calibration,
}

/// What a reward gains on a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Gain {
    /// Name of the reward.
    pub reward: String,
    /// Name of the set.
    pub set: String,
    /// Problems of the set.
    pub problems: usize,
    /// Candidates to pick from.
    pub n: usize,
    /// Share of problems whose random pick, majority answer (where there are answers) and best reward are right.
    pub accuracy: [Option<Interval>; 3],
    /// Of the reward over the random pick.
    pub over_random: Paired,
    /// … over the majority; `None` where no candidate has an answer.
    pub over_majority: Option<Paired>,
}

/// The gain of best-of-`n` by the aggregated reward on every entry; without `n`, of as many candidates as every problem of the set has.
///
/// # Errors
/// As [`per_problem_at`] and [`Resampled::of`], naming reward and set.
pub fn gains(entries: &[Entry<'_>], aggregation: Aggregation, n: Option<usize>, options: Bootstrap) -> Result<Vec<Gain>, EvalError> {
    let gain = |e: &Entry<'_>| -> Result<Gain, EvalError> {
        let n = n.unwrap_or_else(|| e.traces.iter().map(|t| t.candidates.len()).min().unwrap_or(0));
        if n < 2 {
            let what = if e.traces.is_empty() { "no problems" } else { "one candidate a problem, so that there is nothing to pick" };
            return Err(EvalError::Input(what.into()));
        }
        let Some(column) = main_column(&columns(e.traces), e.rank_by, e.calibration) else {
            return Err(EvalError::Input("no candidate has a reward; name a model with --reward, or score the file first".into()));
        };
        let main = Method::Best(Score::by(&column, aggregation));
        let answers = e.traces.iter().flat_map(|t| &t.candidates).any(|c| c.answer.is_some());
        let columns = per_problem_at(&[Method::Random, Method::Majority, main], e.traces, &[n])?;
        let drawn = Resampled::of(&columns.iter().map(Vec::as_slice).collect::<Vec<_>>(), options)?;
        let problems = e.traces.len();
        let over = |k: usize| drawn.paired(|s| (s[2] - s[k]) / problems as f64);
        Ok(Gain {
            reward: e.reward.into(),
            set: e.set.into(),
            problems,
            n,
            accuracy: [0, 1, 2].map(|k| (k != 1 || answers).then(|| drawn.interval(|s| s[k] / problems as f64))),
            over_random: over(0),
            over_majority: answers.then(|| over(1)),
        })
    };
    let named = |e: &Entry<'_>| gain(e).map_err(|error| EvalError::Input(format!("reward {} on {}: {error}", e.reward, e.set)));
    entries.iter().map(named).collect()
}

/// A table of every entry, with p-values after Holm over the whole matrix, and a heat map each of the gain over random and over the majority. The
/// figure `transfer_min_gain` is the smallest gain over random, percentage points.
///
/// # Errors
/// As [`gains`]; no entries.
pub fn section(entries: &[Entry<'_>], aggregation: Aggregation, n: Option<usize>, options: Bootstrap) -> Result<Section, EvalError> {
    let gains = gains(entries, aggregation, n, options)?;
    if gains.is_empty() {
        return Err(EvalError::Empty("no reward and candidates for the transfer matrix".into()));
    }
    let columns = [
        "reward",
        "candidates",
        "problems",
        "N",
        "random",
        "majority",
        "best reward",
        "over random",
        "p (Holm)",
        "over majority",
        "p (Holm, majority)",
    ];
    let mut table = Table::new("Transfer: best of N by the reward, gains in percentage points", &columns);
    let random = holm(&gains.iter().map(|g| g.over_random.p).collect::<Vec<_>>());
    let tested: Vec<f64> = gains.iter().filter_map(|g| Some(g.over_majority?.p)).collect();
    let mut majority = holm(&tested).into_iter();
    for (g, p) in gains.iter().zip(random) {
        let mut row = vec![Cell::Text(g.reward.clone()), Cell::Text(g.set.clone()), Cell::Count(g.problems), Cell::Count(g.n)];
        row.extend(g.accuracy.map(|a| a.map_or(Cell::Empty, Cell::Interval)));
        row.extend([Cell::Interval(g.over_random.difference), Cell::P(p)]);
        match g.over_majority {
            Some(m) => row.extend([Cell::Interval(m.difference), majority.next().map_or(Cell::Empty, Cell::P)]),
            None => row.extend([Cell::Empty, Cell::Empty]),
        }
        table.rows.push(row);
    }
    let mut section = Section { tables: vec![table], ..Section::default() };
    section.figure("transfer_min_gain", 100.0 * gains.iter().map(|g| g.over_random.difference.estimate).fold(f64::INFINITY, f64::min));
    section.charts.push(heat("random", &gains, |g| Some(g.over_random)));
    if gains.iter().any(|g| g.over_majority.is_some()) {
        section.charts.push(heat("majority", &gains, |g| g.over_majority));
    }
    Ok(section)
}

fn heat(over: &str, gains: &[Gain], value: impl Fn(&Gain) -> Option<Paired>) -> Chart {
    let distinct = |names: Vec<&String>| {
        let mut out: Vec<String> = Vec::new();
        for name in names {
            if !out.contains(name) {
                out.push(name.clone());
            }
        }
        out
    };
    let rows = distinct(gains.iter().map(|g| &g.reward).collect());
    let columns = distinct(gains.iter().map(|g| &g.set).collect());
    let at = |row: &String, column: &String| {
        let found = gains.iter().find(|g| g.reward == *row && g.set == *column)?;
        Some(100.0 * value(found)?.difference.estimate)
    };
    let values = rows.iter().map(|r| columns.iter().map(|c| at(r, c)).collect()).collect();
    let kind = ChartKind::Heat {
        value: "gain, percentage points".into(),
        y: "reward from".into(),
        x: "candidates from".into(),
        rows,
        columns,
        values,
    };
    Chart { name: format!("transfer-over-{over}"), title: format!("Transfer: gain of best-of-N over {over}"), kind }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::ScoredCandidate;
    use crate::eval::scored::{Column, Says};

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    /// Problems with one right candidate of three, the wrong ones agreeing; the reward finds it where `finds`.
    fn set(n: usize, finds: impl Fn(usize) -> bool, answers: bool) -> Vec<ScoredTrace> {
        let candidate = |i: usize, k: usize| {
            let answer = answers.then(|| if k == 1 { "right" } else { "wrong" }.into());
            let mut c = ScoredCandidate { correct: k == 1, n_steps: 1, answer, ..ScoredCandidate::default() };
            let reward = if (k == 1) == finds(i) { 1.0 } else { -1.0 };
            c.put(Column::steps("reward.min".parse().unwrap(), Says::Model), &[reward], f32::NAN);
            c
        };
        (0..n).map(|i| ScoredTrace::new(format!("p{i}"), (0..3).map(|k| candidate(i, k)).collect())).collect()
    }

    #[test]
    fn gains_by_hand() {
        let (own, other) = (set(40, |_| true, true), set(40, |i| i % 2 == 0, false));
        let calibration = Calibration::default();
        let entry = |set, traces| Entry { reward: "gsm8k", set, traces, rank_by: None, calibration: &calibration };
        let entries = [entry("gsm8k", &own), entry("math", &other)];
        let gains = gains(&entries, Aggregation::Mean, None, OPTIONS).unwrap();
        let estimate = |g: &Gain| g.over_random.difference.estimate;
        assert!((estimate(&gains[0]) - 2.0 / 3.0).abs() < 1e-12 && (estimate(&gains[1]) - (0.5 - 1.0 / 3.0)).abs() < 1e-12);
        assert_eq!(gains[0].over_majority.unwrap().difference.estimate, 1.0);
        assert_eq!((gains[0].n, gains[1].over_majority, gains[1].accuracy[1]), (3, None, None));
        let section = section(&entries, Aggregation::Mean, None, OPTIONS).unwrap();
        assert!((section.figures["transfer_min_gain"] - 100.0 / 6.0).abs() < 1e-9);
        assert!(section.tables[0].rows.iter().all(|r| r.len() == section.tables[0].columns.len()));
        let ChartKind::Heat { rows, columns, values, .. } = &section.charts[1].kind else { panic!() };
        assert_eq!((rows.len(), columns.len()), (1, 2));
        assert_eq!(values[0], [Some(100.0), None]);
        let error = super::gains(&entries, Aggregation::Mean, Some(4), OPTIONS).unwrap_err().to_string();
        assert!(error.contains("gsm8k on gsm8k") && error.contains("p0"), "{error}");
        assert!(super::section(&[], Aggregation::Mean, None, OPTIONS).is_err());
        assert!(super::gains(&entries, Aggregation::Mean, Some(1), OPTIONS).unwrap_err().to_string().contains("nothing to pick"));
        let mut bare = own.clone();
        bare.iter_mut().flat_map(|t| &mut t.candidates).for_each(|c| c.keep(|_| false));
        let error = super::gains(&[Entry { traces: &bare, ..entries[0] }], Aggregation::Mean, None, OPTIONS).unwrap_err().to_string();
        assert!(error.contains("no candidate has a reward"), "{error}");
    }
}
