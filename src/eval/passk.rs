//! pass@k, unbiased (Chen et al. 2021).

use super::stats::{Bootstrap, bootstrap_mean};
use super::table::{Cell, Table};
use super::{EvalError, ScoredCandidate, ScoredTrace};

/// Chance that at least one of `k` candidates drawn without replacement from `n`, of which `correct` are right, is right:
/// 1 − C(n−c, k)/C(n, k).
///
/// # Errors
/// `k` is 0 or above `n`, or `correct` above `n`.
pub fn pass_at_k(n: usize, correct: usize, k: usize) -> Result<f64, EvalError> {
    if k == 0 || k > n {
        return Err(EvalError::Input(format!(
            "pass@{k} needs at least {} candidates a problem and k of at least 1; there are {n}",
            k.max(1)
        )));
    }
    if correct > n {
        return Err(EvalError::Input(format!("{correct} right candidates of {n}")));
    }
    if n - correct < k {
        return Ok(1.0);
    }
    let miss: f64 = (n - correct + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Ok(1.0 - miss)
}

/// pass@k of every problem.
///
/// # Errors
/// As [`pass_at_k`], naming the problem.
pub fn per_problem(traces: &[ScoredTrace], k: usize) -> Result<Vec<f64>, EvalError> {
    traces
        .iter()
        .map(|t| {
            let correct = t.candidates.iter().filter(|c| c.correct).count();
            pass_at_k(t.candidates.len(), correct, k).map_err(|e| EvalError::Input(format!("problem {}: {e}", t.id)))
        })
        .collect()
}

/// What the samples are like: share right, with an answer at all, agreeing with the most frequent answer of their problem; and their length. Problems are
/// resampled.
///
/// # Errors
/// As [`bootstrap_mean`].
pub fn samples(traces: &[ScoredTrace], options: Bootstrap) -> Result<Table, EvalError> {
    let mut table = Table::new("The samples", &["what", "share, or mean"]);
    let share = |f: &dyn Fn(&ScoredTrace, &ScoredCandidate) -> bool| -> Vec<f64> {
        let of = |t: &ScoredTrace| t.candidates.iter().filter(|c| f(t, c)).count() as f64 / t.candidates.len().max(1) as f64;
        traces.iter().map(of).collect()
    };
    let mut row = |name: &str, values: Vec<f64>| -> Result<(), EvalError> {
        table.rows.push(vec![Cell::Text(name.into()), Cell::Interval(bootstrap_mean(&values, options)?)]);
        Ok(())
    };
    row("right", share(&|_, c| c.correct))?;
    // Programs have no answers to agree on.
    let answers = traces.iter().flat_map(|t| &t.candidates).any(|c| c.answer.is_some());
    if answers {
        row("with an answer", share(&|_, c| c.answer.is_some()))?;
    }
    let agree = traces.iter().map(|t| {
        let most = t.ballot().votes(|_| Some(1.0)).first().map_or(0, |vote| vote.candidates.len());
        most as f64 / t.candidates.len().max(1) as f64
    });
    if answers {
        row("with the most frequent answer of their problem", agree.collect())?;
    }
    let all: Vec<f64> = traces.iter().flat_map(|t| &t.candidates).map(|c| c.length() as f64).collect();
    let unit = if traces.iter().flat_map(|t| &t.candidates).any(|c| c.n_tokens > 0) { "tokens" } else { "steps" };
    table.rows.push(vec![Cell::Text(format!("mean {unit}")), Cell::Number(all.iter().sum::<f64>() / all.len().max(1) as f64)]);
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_worked() {
        let near = |a: Result<f64, EvalError>, b: f64| assert!((a.clone().unwrap() - b).abs() < 1e-12, "{a:?} {b}");
        near(pass_at_k(4, 1, 1), 0.25);
        near(pass_at_k(4, 2, 2), 1.0 - 1.0 / 6.0);
        near(pass_at_k(4, 0, 4), 0.0);
        near(pass_at_k(4, 1, 4), 1.0);
        near(pass_at_k(10, 3, 5), 1.0 - 21.0 / 252.0);
        near(pass_at_k(1000, 500, 1), 0.5);
    }

    #[test]
    fn samples_by_hand() {
        let of = |answer: Option<&str>, correct| ScoredCandidate {
            answer: answer.map(Into::into),
            correct,
            n_tokens: 3,
            ..ScoredCandidate::default()
        };
        let candidates = vec![of(Some("1"), false), of(Some("1"), false), of(Some("2"), true), of(None, false)];
        let table = samples(&[ScoredTrace::new("p", candidates)], Bootstrap::default()).unwrap();
        let cells: Vec<String> = table.rows.iter().map(|r| r[1].text()).collect();
        assert_eq!(cells, ["25.0 [25.0, 25.0]", "75.0 [75.0, 75.0]", "50.0 [50.0, 50.0]", "3.000"]);
    }

    #[test]
    fn refuses_more_than_there_are() {
        assert!(pass_at_k(4, 1, 5).is_err());
        assert!(pass_at_k(4, 1, 0).is_err());
        assert!(pass_at_k(4, 5, 1).is_err());
        let trace = ScoredTrace::new("p7", vec![]);
        assert!(per_problem(&[trace], 1).unwrap_err().to_string().contains("p7"));
    }
}
