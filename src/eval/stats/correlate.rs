//! Correlations of ranks, plain and partial, with intervals over problems.

use crate::eval::EvalError;
use crate::eval::stats::resample::Resampled;
use crate::eval::stats::resample::affordable;
use crate::eval::stats::{Bootstrap, Interval};

/// Observations of several variables, by problem.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// The problem of each observation.
    problem: Vec<u32>,
    problems: usize,
    /// One column a variable; the first two are correlated, the others may be held fixed.
    columns: Vec<Vec<f64>>,
}

impl Observations {
    /// Observations of every problem, each with the same number of variables (at least two). Those with a value that is not finite are left out.
    pub fn new<const V: usize>(problems: &[Vec<[f64; V]>]) -> Self {
        let mut out = Self { problem: Vec::new(), problems: problems.len(), columns: vec![Vec::new(); V] };
        for (i, problem) in problems.iter().enumerate() {
            for row in problem.iter().filter(|row| row.iter().all(|x| x.is_finite())) {
                out.problem.push(i as u32);
                out.columns.iter_mut().zip(row).for_each(|(c, x)| c.push(*x));
            }
        }
        out
    }

    /// Number of observations.
    pub fn len(&self) -> usize {
        self.problem.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.problem.is_empty()
    }

    /// Spearman's: Pearson's correlation of ranks, ties at their middle. Every resample is ranked anew.
    ///
    /// # Errors
    /// As [`Resampled::with`].
    pub fn spearman(&self, options: Bootstrap) -> Result<Interval, EvalError> {
        self.partial_spearman(&[&[]], options).map(|i| i[0])
    }

    /// Kendall's τ-b of the first two variables: pairs that both order alike less those that they order otherwise, over all pairs, those that are tied in one left
    /// out of its count.
    ///
    /// # Errors
    /// As [`Resampled::with`].
    pub fn kendall(&self, options: Bootstrap) -> Result<Interval, EvalError> {
        let (x, y) = (order(&self.columns[0]), order(&self.columns[1]));
        let mut places = vec![0_u32; self.len()];
        let mut place = 0;
        for &(at, last) in &y {
            places[at as usize] = place;
            place += u32::from(last);
        }
        let options = affordable(options, self.len() * (self.len().max(2).ilog2() as usize));
        let drawn = Resampled::with(self.problems, options, 1, |counts, out| {
            let weights: Vec<f64> = self.problem.iter().map(|&p| f64::from(counts[p as usize])).collect();
            out[0] = tau(&x, &places, place as usize, &weights);
        })?;
        Ok(drawn.interval(|s| s[0]))
    }

    /// Spearman's correlation of the first two variables given others, by their columns, for each list in `given`: all are ranked, both are regressed
    /// on the given ones (least squares with an intercept), and the residuals are correlated. A given variable that does not vary, or only with others
    /// given, changes nothing.
    ///
    /// # Errors
    /// As [`Resampled::with`].
    pub fn partial_spearman(&self, given: &[&[usize]], options: Bootstrap) -> Result<Vec<Interval>, EvalError> {
        let orders: Vec<Vec<(u32, bool)>> = self.columns.iter().map(|c| order(c)).collect();
        let options = affordable(options, self.len() * self.columns.len());
        let drawn = Resampled::with(self.problems, options, given.len(), |counts, out| {
            let weights: Vec<f64> = self.problem.iter().map(|&p| f64::from(counts[p as usize])).collect();
            let covariance = covariance(&orders.iter().map(|o| ranks(o, &weights)).collect::<Vec<_>>(), &weights);
            out.iter_mut().zip(given).for_each(|(o, given)| *o = partial(covariance.clone(), given));
        })?;
        Ok((0..given.len()).map(|k| drawn.interval(|s| s[k])).collect())
    }
}

/// Indices in ascending order of value, each with whether it is the last of its tie.
fn order(values: &[f64]) -> Vec<(u32, bool)> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| values[a as usize].total_cmp(&values[b as usize]));
    let value = |i: usize| order.get(i).map(|&o| values[o as usize]);
    (0..order.len()).map(|i| (order[i], value(i) != value(i + 1))).collect()
}

/// Mid-ranks (from 0) of observations that stand `weights` times in the data.
fn ranks(order: &[(u32, bool)], weights: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; order.len()];
    let (mut below, mut size, mut start) = (0.0, 0.0, 0);
    for (i, &(at, last)) in order.iter().enumerate() {
        size += weights[at as usize];
        if last {
            order[start..=i].iter().for_each(|t| out[t.0 as usize] = below + size / 2.0);
            (below, size, start) = (below + size, 0.0, i + 1);
        }
    }
    out
}

/// Kendall's τ-b of observations that stand `weights` times in the data: `order` by the first variable, `places` of each among the `kinds` values of the second.
/// NaN where one of them does not vary.
fn tau(order: &[(u32, bool)], places: &[u32], kinds: usize, weights: &[f64]) -> f64 {
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    // Weights of what is below in the first variable, summed by the second (a Fenwick tree).
    let mut tree = vec![0.0; kinds + 1];
    let upto = |tree: &[f64], mut i: usize| {
        let mut sum = 0.0;
        while i > 0 {
            sum += tree[i];
            i &= i - 1;
        }
        sum
    };
    let (mut below, mut start, mut difference, mut tied) = (0.0, 0, 0.0, 0.0);
    let mut of_kind = vec![0.0; kinds];
    for (i, &(_, last)) in order.iter().enumerate() {
        if !last {
            continue;
        }
        let group = &order[start..=i];
        start = i + 1;
        let mut size = 0.0;
        for &(at, _) in group {
            let (weight, place) = (weights[at as usize], places[at as usize] as usize);
            difference += weight * (upto(&tree, place) + upto(&tree, place + 1) - below);
            size += weight;
        }
        for &(at, _) in group {
            let (weight, place) = (weights[at as usize], places[at as usize] as usize);
            of_kind[place] += weight;
            let mut i = place + 1;
            while i <= kinds {
                tree[i] += weight;
                i += i & i.wrapping_neg();
            }
        }
        below += size;
        tied += pairs(size);
    }
    let all = pairs(below);
    let scale = ((all - tied) * (all - of_kind.into_iter().map(pairs).sum::<f64>())).sqrt();
    if scale > 0.0 { difference / scale } else { f64::NAN }
}

/// Weighted covariance matrix of the columns.
fn covariance(columns: &[Vec<f64>], weights: &[f64]) -> Vec<Vec<f64>> {
    let total: f64 = weights.iter().sum();
    let centred = |c: &Vec<f64>| -> Vec<f64> {
        let mean = c.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() / total;
        c.iter().map(|x| x - mean).collect()
    };
    let centred: Vec<Vec<f64>> = columns.iter().map(centred).collect();
    let mut out = vec![vec![0.0; columns.len()]; columns.len()];
    for (a, x) in centred.iter().enumerate() {
        for (b, y) in centred.iter().enumerate().take(a + 1) {
            // Eight sums, so that they need not wait for each other.
            let mut sums = [0.0; 8];
            for ((x, y), w) in x.chunks(8).zip(y.chunks(8)).zip(weights.chunks(8)) {
                for (((s, x), y), w) in sums.iter_mut().zip(x).zip(y).zip(w) {
                    *s += x * y * w;
                }
            }
            out[a][b] = sums.iter().sum::<f64>() / total;
            out[b][a] = out[a][b];
        }
    }
    out
}

/// Correlation of the first two variables after the given ones are swept out of the covariance, which is what least-squares residuals have.
fn partial(mut s: Vec<Vec<f64>>, given: &[usize]) -> f64 {
    let v = s.len();
    let own: Vec<f64> = (0..v).map(|a| s[a][a]).collect();
    // What is left of a variable after rounding is none of it.
    let varies = |s: &[Vec<f64>], a: usize| s[a][a] > 1e-9 * own[a];
    for &g in given.iter().filter(|g| **g < v) {
        if varies(&s, g) {
            let row = s[g].clone();
            for a in 0..v {
                for b in 0..v {
                    s[a][b] -= row[a] * row[b] / row[g];
                }
            }
        }
    }
    if varies(&s, 0) && varies(&s, 1) { (s[0][1] / (s[0][0] * s[1][1]).sqrt()).clamp(-1.0, 1.0) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 1000, seed: 1, level: 0.95 };

    fn one_each<const V: usize>(rows: &[[f64; V]]) -> Observations {
        Observations::new(&rows.iter().map(|r| vec![*r]).collect::<Vec<_>>())
    }

    #[test]
    fn correlations_by_hand() {
        // x 1 2 3 4, y 1 3 2 5: Sxy = 5.5, Sxx = 5, Syy = 8.75. Ranks of y 1 3 2 4: ρ = 1 − 6·2/(4·15) = 0.8.
        let o = one_each(&[[1.0, 1.0], [2.0, 3.0], [3.0, 2.0], [4.0, 5.0]]);
        assert!((o.spearman(OPTIONS).unwrap().estimate - 0.8).abs() < 1e-12);
        // Ties at their middle: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: Sxy = 4.5, Sxx = 4.5, Syy = 5.
        let tied = one_each(&[[1.0, 1.0], [2.0, 2.0], [2.0, 3.0], [9.0, 4.0]]);
        assert!((tied.spearman(OPTIONS).unwrap().estimate - 4.5 / (4.5_f64 * 5.0).sqrt()).abs() < 1e-12);
        assert!(one_each(&[[1.0, 1.0], [1.0, 2.0]]).spearman(OPTIONS).unwrap().estimate.is_nan(), "nothing varies");
    }

    fn noise(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        }
    }

    #[test]
    fn counts_stand_for_copies() {
        let mut next = noise(3);
        let rows: Vec<[f64; 2]> = (0..20).map(|_| [(next() * 5.0).floor(), (next() * 5.0).floor()]).collect();
        let o = one_each(&rows);
        let weights: Vec<f64> = (0..20).map(|i| f64::from(i % 3)).collect();
        let copies: Vec<[f64; 2]> = rows.iter().enumerate().flat_map(|(i, r)| std::iter::repeat_n(*r, i % 3)).collect();
        let weighted: Vec<Vec<f64>> = o.columns.iter().map(|c| ranks(&order(c), &weights)).collect();
        let found = partial(covariance(&weighted, &weights), &[]);
        assert!((found - one_each(&copies).spearman(OPTIONS).unwrap().estimate).abs() < 1e-12);
    }

    #[test]
    fn kendall_by_hand() {
        // Of six pairs the one of 3 and 2 goes the other way.
        let o = one_each(&[[1.0, 1.0], [2.0, 3.0], [3.0, 2.0], [4.0, 5.0]]);
        assert!((o.kendall(OPTIONS).unwrap().estimate - 4.0 / 6.0).abs() < 1e-12);
        // Five pairs alike, one tied in x: 5 / √(5 · 6).
        let tied = one_each(&[[1.0, 1.0], [2.0, 2.0], [2.0, 3.0], [9.0, 4.0]]);
        assert!((tied.kendall(OPTIONS).unwrap().estimate - 5.0 / 30.0_f64.sqrt()).abs() < 1e-12);
        let turned = one_each(&[[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]]);
        assert_eq!(turned.kendall(OPTIONS).unwrap().estimate, -1.0);
        assert!(one_each(&[[1.0, 1.0], [1.0, 2.0]]).kendall(OPTIONS).unwrap().estimate.is_nan(), "nothing varies");
    }

    #[test]
    fn kendall_counts_every_pair() {
        let mut next = noise(5);
        let rows: Vec<[f64; 2]> = (0..40).map(|_| [(next() * 6.0).floor(), (next() * 6.0).floor()]).collect();
        let o = one_each(&rows);
        let weights: Vec<f64> = (0..40).map(|i| f64::from(i % 3)).collect();
        let copies: Vec<[f64; 2]> = rows.iter().enumerate().flat_map(|(i, r)| std::iter::repeat_n(*r, i % 3)).collect();
        let (mut difference, mut x, mut y) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (i, a) in copies.iter().enumerate() {
            for b in &copies[..i] {
                let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
                difference += if dx * dy == 0.0 { 0.0 } else { (dx * dy).signum() };
                x += f64::from(u8::from(dx != 0.0));
                y += f64::from(u8::from(dy != 0.0));
            }
        }
        let mut places = vec![0; 40];
        let mut place = 0;
        for (at, last) in order(&o.columns[1]) {
            places[at as usize] = place;
            place += u32::from(last);
        }
        let found = tau(&order(&o.columns[0]), &places, place as usize, &weights);
        assert!((found - difference / (x * y).sqrt()).abs() < 1e-12, "{found}");
    }

    #[test]
    fn partial_is_the_correlation_of_residuals() {
        let mut next = noise(9);
        let rows: Vec<[f64; 4]> = (0..60)
            .map(|_| {
                let (a, b, c) = (next(), next(), next());
                [a + b + 0.3 * c, a + b - 0.3 * c + 0.2 * next(), a, b]
            })
            .collect();
        let o = one_each(&rows);
        let partials = o.partial_spearman(&[&[2, 3], &[], &[2, 3, 2]], OPTIONS).unwrap();
        let found = partials[0].estimate;
        // Independent check: residuals by Gram–Schmidt on the centred ranks.
        let ones = vec![1.0; 60];
        let centred = |c: &Vec<f64>| {
            let r = ranks(&order(c), &ones);
            let mean = r.iter().sum::<f64>() / 60.0;
            r.iter().map(|x| x - mean).collect::<Vec<f64>>()
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let without = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x - y * dot(a, b) / dot(b, b)).collect::<Vec<f64>>();
        let columns: Vec<Vec<f64>> = o.columns.iter().map(centred).collect();
        let second = without(&columns[3], &columns[2]);
        let residual = |c: &[f64]| without(&without(c, &columns[2]), &second);
        let (x, y) = (residual(&columns[0]), residual(&columns[1]));
        assert!((found - dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()).abs() < 1e-9);
        assert!(found < 0.0 && o.spearman(OPTIONS).unwrap().estimate > 0.5, "the sign turns: {found}");
        assert!((partials[2].estimate - found).abs() < 1e-9, "a variable given twice");
        assert!((partials[1].estimate - o.spearman(OPTIONS).unwrap().estimate).abs() < 1e-12);
    }

    #[test]
    fn observations_with_holes_are_left_out() {
        let o = Observations::new(&[vec![[1.0, 2.0], [f64::NAN, 1.0]], vec![[3.0, 4.0], [5.0, 3.0]]]);
        assert_eq!(o.len(), 3);
        let s = o.spearman(OPTIONS).unwrap();
        assert!((s.estimate - 0.5).abs() < 1e-12 && s.low <= 0.5, "{s:?}");
    }
}
