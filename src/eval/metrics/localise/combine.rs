//! A combined detector: reward and log-probability of a step in one logistic regression, fitted on corrupted experts alone.

use super::choose::best_threshold;
use crate::eval::scored::{Column, Says};
use crate::eval::{EvalError, ScoredCandidate, ScoredTrace};
use crate::trace::{Reading, Unit};
use std::collections::HashSet;

/// Name of the signal that it makes of the two.
pub const COMBINED: &str = "combined";

/// Weight of the squared coefficients (not of the intercept) that keeps them finite where the fitting steps can be parted without error.
const RIDGE: f64 = 1e-3;

/// Log-odds that a step deviates, linear in its z-scored reward and log-probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Combined {
    /// Of the reward and of the log-probability.
    readings: [Reading; 2],
    mean: [f64; 2],
    sd: [f64; 2],
    /// Intercept, reward, log-probability.
    weights: [f64; 3],
    /// The threshold with the best F1 on the fitting traces, for [`COMBINED`]; no label of an evaluated trace is in it.
    pub threshold: Option<f32>,
    fitted_on: HashSet<String>,
}

/// Both values of each step, NaN where one is not known.
fn features(readings: &[Reading; 2], c: &ScoredCandidate) -> Vec<[f64; 2]> {
    let values = readings.each_ref().map(|r| c.steps(r));
    let at = |k: usize, i: usize| values[k].get(i).copied().map_or(f64::NAN, f64::from);
    (0..c.n_steps).map(|i| [at(0, i), at(1, i)]).collect()
}

fn is_known(x: &[f64; 2]) -> bool {
    x.iter().all(|v| v.is_finite())
}

impl Combined {
    /// Fits on traces with labelled first errors, which should be corrupted experts and their clean twins: of each, the steps up to the first wrong one,
    /// the wrong one against the others; what follows it is left out. Newton's method (iteratively reweighted least squares) on the likelihood with a
    /// small ridge.
    ///
    /// # Errors
    /// No step with both values of either kind.
    pub fn fit(fitting: &[ScoredTrace], readings: [Reading; 2]) -> Result<Self, EvalError> {
        let mut steps: Vec<([f64; 2], f64)> = Vec::new();
        for c in fitting.iter().flat_map(|t| &t.candidates).filter(|c| c.labelled) {
            let upto = c.first_error.map_or(c.n_steps, |e| e + 1).min(c.n_steps);
            let values = features(&readings, c).into_iter().take(upto).enumerate().filter(|(_, x)| is_known(x));
            steps.extend(values.map(|(i, x)| (x, f64::from(u8::from(c.first_error == Some(i))))));
        }
        let wrong = steps.iter().filter(|s| s.1 == 1.0).count();
        if wrong == 0 || wrong == steps.len() {
            let what = format!("{} steps with a reward and a log-probability, {wrong} of them first wrong ones", steps.len());
            return Err(EvalError::Empty(format!("the combined detector needs wrong and right steps to fit on, and there are {what}")));
        }
        let n = steps.len() as f64;
        let mean = [0, 1].map(|k| steps.iter().map(|s| s.0[k]).sum::<f64>() / n);
        let sd = [0, 1].map(|k| {
            let sd = (steps.iter().map(|s| (s.0[k] - mean[k]).powi(2)).sum::<f64>() / n).sqrt();
            if sd > 0.0 { sd } else { 1.0 }
        });
        let rows: Vec<([f64; 3], f64)> =
            steps.iter().map(|(x, y)| ([1.0, (x[0] - mean[0]) / sd[0], (x[1] - mean[1]) / sd[1]], *y)).collect();
        let weights = newton(&rows);
        let fitted_on = fitting.iter().map(|t| t.id.clone()).collect();
        let mut combined = Self { readings, mean, sd, weights, threshold: None, fitted_on };
        let mut own = fitting.to_vec();
        combined.write(&mut own);
        combined.threshold = best_threshold(&Reading::of(COMBINED), &own).map(|b| b.0);
        Ok(combined)
    }

    /// Minus the log-odds that each step deviates; NaN where a value is not known.
    pub fn values(&self, c: &ScoredCandidate) -> Vec<f32> {
        let value = |x: [f64; 2]| {
            let z = [0, 1].map(|k| (x[k] - self.mean[k]) / self.sd[k]);
            -(self.weights[0] + self.weights[1] * z[0] + self.weights[2] * z[1]) as f32
        };
        features(&self.readings, c).into_iter().map(|x| if is_known(&x) { value(x) } else { f32::NAN }).collect()
    }

    /// Writes the values into traces, as the signal [`COMBINED`].
    ///
    /// # Errors
    /// A trace that the detector was fitted on, by its id.
    pub fn apply(&self, traces: &mut [ScoredTrace]) -> Result<(), EvalError> {
        if let Some(t) = traces.iter().find(|t| self.fitted_on.contains(&t.id)) {
            return Err(EvalError::Input(format!(
                "the combined detector was fitted on {}; evaluate it on traces that it has not seen",
                t.id
            )));
        }
        self.write(traces);
        Ok(())
    }

    fn write(&self, traces: &mut [ScoredTrace]) {
        for c in traces.iter_mut().flat_map(|t| &mut t.candidates) {
            let column = Column { unit: Unit::Logit, ..Column::steps(Reading::of(COMBINED), Says::Fitted) };
            c.put(column, &self.values(c), f32::NAN);
        }
    }
}

/// The weights at which the penalised likelihood is flat.
fn newton(rows: &[([f64; 3], f64)]) -> [f64; 3] {
    let ridge = |k: usize| if k == 0 { 0.0 } else { RIDGE * rows.len() as f64 };
    let loss = |w: &[f64; 3]| -> f64 {
        let fit: f64 = rows.iter().map(|(x, y)| softplus(dot(w, x)) - y * dot(w, x)).sum();
        fit + (0..3).map(|k| ridge(k) * w[k] * w[k] / 2.0).sum::<f64>()
    };
    let mut w = [0.0; 3];
    for _ in 0..100 {
        let mut gradient: [f64; 3] = std::array::from_fn(|k| ridge(k) * w[k]);
        let mut hessian: [[f64; 3]; 3] = std::array::from_fn(|a| std::array::from_fn(|b| if a == b { ridge(a) } else { 0.0 }));
        for (x, y) in rows {
            let p = 1.0 / (1.0 + (-dot(&w, x)).exp());
            for a in 0..3 {
                gradient[a] += (p - y) * x[a];
                for b in 0..3 {
                    hessian[a][b] += p * (1.0 - p) * x[a] * x[b];
                }
            }
        }
        let step = solve(hessian, gradient);
        // Far from the optimum a whole step may overshoot; close to it the losses differ by rounding alone.
        let (before, mut size) = (loss(&w) * (1.0 + 1e-12), 1.0);
        let moved = |size: f64| -> [f64; 3] { std::array::from_fn(|k| w[k] - size * step[k]) };
        while loss(&moved(size)) > before && size > 1e-6 {
            size /= 2.0;
        }
        w = moved(size);
        if step.iter().all(|s| (s * size).abs() < 1e-10) {
            break;
        }
    }
    w
}

fn dot(w: &[f64; 3], x: &[f64; 3]) -> f64 {
    w.iter().zip(x).map(|(a, b)| a * b).sum()
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Solves a positive definite system by elimination; a direction without curvature gets 0.
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> [f64; 3] {
    for k in 0..3 {
        let (pivot, right) = (a[k], b[k]);
        for (row, value) in a.iter_mut().zip(&mut b).skip(k + 1) {
            let factor = if pivot[k] > 1e-300 { row[k] / pivot[k] } else { 0.0 };
            row.iter_mut().zip(pivot).skip(k).for_each(|(x, p)| *x -= factor * p);
            *value -= factor * right;
        }
    }
    let mut x = [0.0; 3];
    for k in (0..3).rev() {
        let rest: f64 = (k + 1..3).map(|j| a[k][j] * x[j]).sum();
        x[k] = if a[k][k] > 1e-300 { (b[k] - rest) / a[k][k] } else { 0.0 };
    }
    x
}

#[cfg(test)]
mod tests {
    use super::super::{Counts, Marker, counts};
    use super::*;
    use crate::trace::{LOGPROB, REWARD, Statistic};

    fn readings() -> [Reading; 2] {
        [Reading::new(REWARD, Statistic::Min), Reading::new(LOGPROB, Statistic::Sum)]
    }

    fn labelled(first_error: Option<usize>, rewards: &[f32], logprobs: &[f32]) -> ScoredCandidate {
        let known = ScoredCandidate { labelled: true, correct: first_error.is_none(), first_error, ..ScoredCandidate::default() };
        let mut c = ScoredCandidate { n_steps: rewards.len(), ..known };
        let [reward, logprob] = readings();
        c.put(Column::steps(reward, Says::Model), rewards, f32::NAN);
        c.put(Column::steps(logprob, Says::Policy), logprobs, f32::NAN);
        c
    }

    fn noise(seed: u64) -> impl FnMut() -> f32 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f32 / (1_u32 << 31) as f32 - 0.5
        }
    }

    /// Traces of five steps whose wrong step is low in the sum of both signals, which hide it apart.
    fn traces(name: &str, n: usize, seed: u64) -> Vec<ScoredTrace> {
        let mut next = noise(seed);
        let one = |i: usize, next: &mut dyn FnMut() -> f32| {
            let first_error = i.is_multiple_of(2).then_some(i / 2 % 5);
            let shared: Vec<f32> = (0..5).map(|_| 6.0 * next()).collect();
            let low = |s: usize| if Some(s) == first_error { -1.5 } else { 0.0 };
            let rewards: Vec<f32> = (0..5).map(|s| shared[s] + low(s) + 0.3 * next()).collect();
            let logprobs: Vec<f32> = (0..5).map(|s| 2.0 * (-shared[s] + low(s) + 0.3 * next())).collect();
            labelled(first_error, &rewards, &logprobs)
        };
        (0..n).map(|i| ScoredTrace::new(format!("{name}-{i}"), vec![one(i, &mut next)])).collect()
    }

    #[test]
    fn the_gradient_is_flat_at_the_fit() {
        let mut next = noise(4);
        let rows: Vec<([f64; 3], f64)> = (0..200)
            .map(|_| {
                let x = [1.0, f64::from(next()), f64::from(next())];
                (x, f64::from(u8::from(x[1] - 0.5 * x[2] + f64::from(next()) > 0.1)))
            })
            .collect();
        let w = newton(&rows);
        for k in 0..3 {
            let slope: f64 = rows.iter().map(|(x, y)| (1.0 / (1.0 + (-dot(&w, x)).exp()) - y) * x[k]).sum();
            let ridge = if k == 0 { 0.0 } else { RIDGE * 200.0 * w[k] };
            assert!((slope + ridge).abs() < 1e-8, "{k}: {slope}");
        }
        assert!(w[1] > 0.5 && w[2] < 0.0, "{w:?}");
        // An intercept alone: the log-odds of the share, here ln(1/3).
        let flat: Vec<([f64; 3], f64)> = (0..8).map(|i| ([1.0, 0.0, 0.0], f64::from(u8::from(i < 2)))).collect();
        assert!((newton(&flat)[0] - (1.0_f64 / 3.0).ln()).abs() < 1e-9);
    }

    #[test]
    fn together_the_signals_find_what_neither_finds() {
        let combined = Combined::fit(&traces("expert", 400, 1), readings()).unwrap();
        assert!(combined.weights[1..].iter().all(|w| *w < -1.0), "low values deviate: {:?}", combined.weights);
        let mut fresh = traces("fresh", 400, 2);
        combined.apply(&mut fresh).unwrap();
        let f1 = |marker: Marker| fresh.iter().map(|t| counts(&marker, t)).sum::<Counts>().f1();
        let own = f1(Marker::Below(Reading::of(COMBINED), combined.threshold.unwrap()));
        let best = readings().map(|r| best_threshold(&r, &fresh).unwrap().1);
        assert!(own > 0.9 && best.iter().all(|f1| *f1 < 0.6), "{own} {best:?}");
    }

    #[test]
    fn what_it_was_fitted_on_is_refused() {
        let mut fitting = traces("expert", 40, 1);
        let combined = Combined::fit(&fitting, readings()).unwrap();
        assert!(combined.apply(&mut fitting[3..4]).unwrap_err().to_string().contains("expert-3"));
        assert!(fitting.iter().all(|t| t.candidates[0].steps(&Reading::of(COMBINED)).is_empty()));
        let right: Vec<ScoredTrace> = fitting.into_iter().filter(|t| t.candidates[0].first_error.is_none()).collect();
        assert!(Combined::fit(&right, readings()).unwrap_err().to_string().contains("0 of them"));
        assert!(Combined::fit(&[], readings()).is_err());
    }

    #[test]
    fn parted_steps_stay_finite_and_missing_values_unknown() {
        let c = |first_error, rewards: &[f32]| labelled(first_error, rewards, &vec![-1.0; rewards.len()]);
        let t = ScoredTrace::new("e", vec![c(None, &[5.0, 5.0]), c(Some(1), &[5.0, -5.0])]);
        let combined = Combined::fit(&[t], readings()).unwrap();
        let unknown = c(None, &[5.0, -5.0, f32::NAN]);
        let values = combined.values(&unknown);
        assert!(values[0] > 0.0 && values[1] < 0.0 && values[1].is_finite() && values[2].is_nan(), "{values:?}");
    }
}
