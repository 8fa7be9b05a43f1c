//! pass@k, unbiased (Chen et al. 2021).

use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};

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

/// pass@k of every problem, where `right` says which candidates are.
///
/// # Errors
/// As [`pass_at_k`], naming the problem.
pub fn per_problem(traces: &[ScoredTrace], k: usize, right: impl Fn(&ScoredCandidate) -> bool) -> Result<Vec<f64>, EvalError> {
    traces
        .iter()
        .map(|t| {
            let correct = t.candidates.iter().filter(|c| right(c)).count();
            pass_at_k(t.candidates.len(), correct, k).map_err(|e| EvalError::Input(format!("problem {}: {e}", t.id)))
        })
        .collect()
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
    fn refuses_more_than_there_are() {
        assert!(pass_at_k(4, 1, 5).is_err());
        assert!(pass_at_k(4, 1, 0).is_err());
        assert!(pass_at_k(4, 5, 1).is_err());
        let trace = ScoredTrace::new("p7", vec![]);
        assert!(per_problem(&[trace], 1, |c| c.correct).unwrap_err().to_string().contains("p7"));
    }
}
