//! Resampling problems, fast: the statistics of a table read the same resamples, so every comparison among them is paired.

use crate::eval::EvalError;
use crate::eval::stats::{Bootstrap, Interval, MIN_RESAMPLES, Paired};
use crate::util::seed::{self, GOLDEN, splitmix64};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Differences this close to 0 are rounding.
const ZERO: f64 = 1e-12;

/// Fewer problems than this cannot be told from chance at 5 %: five that all go one way do by chance in 2 of 32.
const TESTED: usize = 6;

/// Values of the data itself and of every resample, `width` each: sums of columns over problems, or statistics.
#[derive(Clone, Debug)]
pub struct Resampled {
    problems: usize,
    width: usize,
    level: f64,
    /// Row 0 is the data itself.
    rows: Vec<f64>,
}

impl Resampled {
    /// Sums of the columns, one value a problem each, over the problems of every resample. A resample has as many problems as the data. The `r`-th
    /// resample of `n` problems is the same for every call with the same seed.
    ///
    /// # Errors
    /// No problems, no columns, columns of different lengths, fewer than [`MIN_RESAMPLES`] resamples, or a level outside 0..1.
    pub fn of(columns: &[&[f64]], options: Bootstrap) -> Result<Self, EvalError> {
        let Some(first) = columns.first() else { return Err(EvalError::Empty("no values".into())) };
        let (n, width) = (first.len(), columns.len());
        if let Some(other) = columns.iter().find(|c| c.len() != n) {
            return Err(EvalError::Input(format!("a paired test needs the same problems: {n} and {}", other.len())));
        }
        check(n, options)?;
        // The values of a problem in one tile of columns lie together, tile after tile; what a tile lacks stays 0.
        let mut values = vec![[0.0; TILE]; n * width.div_ceil(TILE)];
        for (k, column) in columns.iter().enumerate() {
            let tile = &mut values[k / TILE * n..][..n];
            tile.iter_mut().zip(*column).for_each(|(v, x)| v[k % TILE] = *x);
        }
        let mut rows = vec![0.0; (options.resamples + 1) * width];
        let (data, resamples) = rows.split_at_mut(width);
        data.iter_mut().zip(columns).for_each(|(o, column)| *o = column.iter().sum());
        resamples.par_chunks_mut(width * BLOCK).enumerate().for_each_init(
            || (vec![0_u32; n], vec![0.0; n * BLOCK]),
            |(counts, weights), (block, out)| {
                for (r, weights) in weights.chunks_exact_mut(n).take(out.len() / width).enumerate() {
                    draw(options.seed, (block * BLOCK + r) as u64, counts);
                    weights.iter_mut().zip(&*counts).for_each(|(w, count)| *w = f64::from(*count));
                }
                for (tile, values) in values.chunks_exact(n).enumerate() {
                    let mut sums = [[0.0; TILE]; BLOCK];
                    Arch::new().dispatch(Add { values, weights, sums: &mut sums });
                    let columns = tile * TILE..width.min((tile + 1) * TILE);
                    out.chunks_exact_mut(width)
                        .zip(&sums)
                        .for_each(|(out, sums)| out[columns.clone()].copy_from_slice(&sums[..columns.len()]));
                }
            },
        );
        Ok(Self { problems: n, width, level: options.level, rows })
    }

    /// As [`Resampled::of`], for any `width` statistics of how often each problem was drawn. `statistic` writes them over zeros; one that does
    /// not exist in a resample is NaN and is passed over.
    ///
    /// # Errors
    /// As [`Resampled::of`].
    pub fn with(n: usize, options: Bootstrap, width: usize, statistic: impl Fn(&[u32], &mut [f64]) + Sync) -> Result<Self, EvalError> {
        check(n, options)?;
        if width == 0 {
            return Err(EvalError::Empty("no values".into()));
        }
        let mut rows = vec![0.0; (options.resamples + 1) * width];
        let (data, resamples) = rows.split_at_mut(width);
        statistic(&vec![1; n], data);
        resamples.par_chunks_mut(width).enumerate().for_each_init(
            || vec![0_u32; n],
            |counts, (r, out)| {
                draw(options.seed, r as u64, counts);
                statistic(counts, out);
            },
        );
        Ok(Self { problems: n, width, level: options.level, rows })
    }

    /// As [`Resampled::with`], for statistics that are read of [`LANES`] resamples side by side: how often each problem was drawn in each of them, `[problems]`
    /// of [`LANES`], and one statistic after the other of all of them.
    ///
    /// # Errors
    /// As [`Resampled::of`].
    pub fn with_lanes(
        n: usize,
        options: Bootstrap,
        width: usize,
        statistics: impl Fn(&[[f64; LANES]], &mut [[f64; LANES]]) + Sync,
    ) -> Result<Self, EvalError> {
        check(n, options)?;
        if width == 0 {
            return Err(EvalError::Empty("no values".into()));
        }
        let mut rows = vec![0.0; (options.resamples + 1) * width];
        let (data, resamples) = rows.split_at_mut(width);
        let take = |weights: &[[f64; LANES]], found: &mut [[f64; LANES]], out: &mut [f64]| {
            found.fill([0.0; LANES]);
            statistics(weights, found);
            for (lane, row) in out.chunks_exact_mut(width).enumerate() {
                row.iter_mut().zip(&*found).for_each(|(o, f)| *o = f[lane]);
            }
        };
        take(&vec![[1.0; LANES]; n], &mut vec![[0.0; LANES]; width], data);
        resamples.par_chunks_mut(width * LANES).enumerate().for_each_init(
            || (vec![0_u32; n], vec![[0.0; LANES]; n], vec![[0.0; LANES]; width]),
            |(counts, weights, found), (block, out)| {
                for lane in 0..out.len() / width {
                    draw(options.seed, (block * LANES + lane) as u64, counts);
                    weights.iter_mut().zip(&*counts).for_each(|(w, count)| w[lane] = f64::from(*count));
                }
                take(weights, found, out);
            },
        );
        Ok(Self { problems: n, width, level: options.level, rows })
    }

    /// The values of the data itself.
    pub fn data(&self) -> &[f64] {
        &self.rows[..self.width]
    }

    /// The statistic of the data, and its percentile interval over the resamples for which it is finite.
    pub fn interval(&self, statistic: impl Fn(&[f64]) -> f64) -> Interval {
        let (estimate, draws) = self.draws(statistic);
        percentile(estimate, &draws, self.level)
    }

    /// As [`Resampled::interval`] for a difference, with the p-value of none, NaN where there are too few problems for one.
    pub fn paired(&self, difference: impl Fn(&[f64]) -> f64) -> Paired {
        let (estimate, draws) = self.draws(difference);
        let tested = tested(estimate, &draws, self.level);
        Paired { p: if self.problems < TESTED { f64::NAN } else { tested.p }, ..tested }
    }

    /// The statistic of every resample, in their order, the data itself first.
    pub fn values(&self, statistic: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        self.rows.chunks_exact(self.width).map(statistic).collect()
    }

    fn draws(&self, statistic: impl Fn(&[f64]) -> f64) -> (f64, Vec<f64>) {
        let mut draws = self.values(statistic);
        let estimate = draws.remove(0);
        draws.retain(|d| d.is_finite());
        draws.sort_unstable_by(f64::total_cmp);
        (estimate, draws)
    }
}

/// Whether `n` problems can be resampled so.
///
/// # Errors
/// As [`Resampled::of`].
pub fn check(n: usize, options: Bootstrap) -> Result<(), EvalError> {
    if n == 0 {
        return Err(EvalError::Empty("no problems".into()));
    }
    if options.resamples < MIN_RESAMPLES {
        return Err(EvalError::Input(format!("{} resamples; at least {MIN_RESAMPLES} are needed", options.resamples)));
    }
    if !(options.level > 0.0 && options.level < 1.0) {
        return Err(EvalError::Input(format!("level {} is not between 0 and 1", options.level)));
    }
    Ok(())
}

/// Resamples that one pass over sorted candidates reads side by side.
pub const LANES: usize = 8;

/// Resamples that share one reading of the values.
const BLOCK: usize = 16;
/// Resamples of them whose sums stay in the processor's registers while problems go by.
const GROUP: usize = 4;
/// The same of columns.
const TILE: usize = 16;
/// Problems whose values stay in the processor's cache while one group after the other reads them.
const NEAR: usize = 256;

/// Adds each problem's values, as often as it was drawn, to the sums of each resample of a block, with the widest vectors of this processor.
struct Add<'a> {
    /// A tile of columns, by problem.
    values: &'a [[f64; TILE]],
    /// How often each problem was drawn, resample after resample.
    weights: &'a [f64],
    sums: &'a mut [[f64; TILE]; BLOCK],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n, pair) = (self.values.len(), 2 * S::F64_LANES);
        let mut near = 0;
        while near < n {
            let end = n.min(near + NEAR);
            for (g, sums) in self.sums.chunks_exact_mut(GROUP).enumerate() {
                let weights: [&[f64]; GROUP] = std::array::from_fn(|r| &self.weights[(g * GROUP + r) * n..][near..end]);
                for at in (0..TILE).step_by(pair) {
                    let mut held = [[simd.splat_f64s(0.0); 2]; GROUP];
                    for (i, row) in self.values[near..end].iter().enumerate() {
                        let (values, _) = S::as_simd_f64s(&row[at..at + pair]);
                        for (held, weights) in held.iter_mut().zip(&weights) {
                            let weight = simd.splat_f64s(weights[i]);
                            held[0] = simd.mul_add_e_f64s(weight, values[0], held[0]);
                            held[1] = simd.mul_add_e_f64s(weight, values[1], held[1]);
                        }
                    }
                    for (sums, held) in sums.iter_mut().zip(held) {
                        let (sums, _) = S::as_mut_simd_f64s(&mut sums[at..at + pair]);
                        sums.iter_mut().zip(held).for_each(|(sum, held)| *sum = simd.add_f64s(*sum, held));
                    }
                }
            }
            near = end;
        }
    }
}

/// Draws as many problems as there are. Each resample has its own stream, so that any thread may draw it: SplitMix64 (Steele et al. 2014) from a hash
/// of seed and resample, two draws a number; a problem's chance is off by at most n / 2³² of itself.
fn draw(seed: u64, resample: u64, counts: &mut [u32]) {
    let mut state = splitmix64(splitmix64(seed).wrapping_add(resample.wrapping_mul(GOLDEN)));
    let n = counts.len() as u64;
    counts.fill(0);
    let mut left = counts.len();
    while left > 0 {
        state = state.wrapping_add(GOLDEN);
        let bits = splitmix64(state);
        counts[(((bits >> 32) * n) >> 32) as usize] += 1;
        if left > 1 {
            counts[(((bits & 0xffff_ffff) * n) >> 32) as usize] += 1;
        }
        left = left.saturating_sub(2);
    }
}

/// The percentile interval of ascending draws.
pub(in crate::eval) fn percentile(estimate: f64, draws: &[f64], level: f64) -> Interval {
    let tail = (1.0 - level) / 2.0;
    Interval { estimate, low: quantile(draws, tail), high: quantile(draws, 1.0 - tail) }
}

/// The interval and two-sided p-value of ascending draws of a difference; the data itself counts as a draw beyond 0.
pub(super) fn tested(estimate: f64, draws: &[f64], level: f64) -> Paired {
    let share = |count: usize| (count + 1) as f64 / (draws.len() + 1) as f64;
    let below = share(draws.iter().filter(|d| **d <= ZERO).count());
    let above = share(draws.iter().filter(|d| **d >= -ZERO).count());
    Paired { difference: percentile(estimate, draws, level), p: (2.0 * below.min(above)).min(1.0) }
}

/// Linear interpolation between order statistics; NaN for no values.
pub(in crate::eval) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// Which problems belong to the first of two halves, at random by `seed`; the first half is the larger one where `n` is odd.
pub fn halves(n: usize, seed: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..n).collect();
    rand::seq::SliceRandom::shuffle(order.as_mut_slice(), &mut seed::stream(seed, 0x6861_6c66));
    let mut first = vec![false; n];
    order.iter().take(n.div_ceil(2)).for_each(|&i| first[i] = true);
    first
}

/// Parts of the problems of a cross-validation: what is chosen on four of them is judged on the fifth.
pub const FOLDS: usize = 5;

/// Which of `k` parts of nearly the same size each problem belongs to, at random by `seed`.
pub fn folds(n: usize, k: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    rand::seq::SliceRandom::shuffle(order.as_mut_slice(), &mut seed::stream(seed, 0x666f_6c64));
    let mut fold = vec![0; n];
    order.iter().enumerate().for_each(|(place, &i)| fold[i] = place % k.max(1));
    fold
}

/// Fewer resamples where each costs a pass over this many values, so that a report of 100,000 candidates takes seconds; never fewer than
/// [`MIN_RESAMPLES`].
pub fn affordable(options: Bootstrap, values: usize) -> Bootstrap {
    const PASSES: usize = 60_000_000;
    let most = (PASSES / values.max(1)).max(MIN_RESAMPLES);
    Bootstrap { resamples: options.resamples.min(most), ..options }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: Bootstrap = Bootstrap { resamples: 4000, seed: 5, level: 0.9 };

    #[test]
    fn sums_agree_with_the_counts_they_come_from() {
        let (a, b) = ([1.0, 2.0, 4.0], [0.0, 1.0, 0.0]);
        let sums = Resampled::of(&[&a, &b], OPTIONS).unwrap();
        let counts =
            Resampled::with(3, OPTIONS, 3, |counts, out| out.iter_mut().zip(counts).for_each(|(o, c)| *o = f64::from(*c))).unwrap();
        assert_eq!(sums.values(|s| s[0])[0], 7.0);
        let by_hand = counts.values(|c| c[0] + 2.0 * c[1] + 4.0 * c[2]);
        assert_eq!(sums.values(|s| s[0]), by_hand);
        assert_eq!(sums.values(|s| s[1]), counts.values(|c| c[1]));
        assert!(counts.values(|c| c.iter().sum()).iter().all(|n| *n == 3.0), "as many problems as the data");
        // A problem is left out of a resample of three with chance (2/3)³.
        let left_out = counts.values(|c| c[0]).iter().filter(|c| **c == 0.0).count() as f64 / 4000.0;
        assert!((left_out - 8.0 / 27.0).abs() < 0.03, "{left_out}");
    }

    #[test]
    fn threads_do_not_matter_and_neither_do_other_columns() {
        let column: Vec<f64> = (0..50).map(|i| f64::from(i).sqrt()).collect();
        let alone = Resampled::of(&[&column], OPTIONS).unwrap();
        let beside = Resampled::of(&[&column, &[0.0; 50]], OPTIONS).unwrap();
        assert_eq!(alone.interval(|s| s[0]), beside.interval(|s| s[0]));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| Resampled::of(&[&column], OPTIONS)).unwrap().rows, alone.rows);
        let other = Resampled::of(&[&column], Bootstrap { seed: 6, ..OPTIONS }).unwrap();
        assert_ne!(alone.interval(|s| s[0]), other.interval(|s| s[0]));
    }

    #[test]
    fn a_percentile_and_a_p_value_by_hand() {
        let draws: Vec<f64> = (0..=100).map(|i| f64::from(i) - 5.0).collect();
        assert_eq!(percentile(1.0, &draws, 0.5), Interval { estimate: 1.0, low: 20.0, high: 70.0 });
        // Six draws of 101 are at most 0: 2 · 7 / 102.
        assert!((tested(1.0, &draws, 0.9).p - 14.0 / 102.0).abs() < 1e-15);
    }

    #[test]
    fn few_problems_are_not_tested() {
        let p = |n: usize| Resampled::of(&[vec![1.0; n].as_slice()], OPTIONS).unwrap().paired(|s| s[0]).p;
        assert!(p(5).is_nan() && p(6) < 0.01);
    }

    #[test]
    fn halves_share_the_problems() {
        let first = halves(7, 1);
        assert_eq!(first.iter().filter(|f| **f).count(), 4);
        assert_eq!(first, halves(7, 1));
        assert!((0..20).any(|seed| halves(7, seed) != first));
        let parts = folds(7, 3, 1);
        assert_eq!([0, 1, 2].map(|k| parts.iter().filter(|p| **p == k).count()), [3, 2, 2]);
        assert!((0..20).any(|seed| folds(7, 3, seed) != parts));
    }

    #[test]
    fn what_cannot_be_resampled_is_refused() {
        assert!(Resampled::of(&[], OPTIONS).is_err());
        assert!(Resampled::of(&[&[]], OPTIONS).is_err());
        assert!(Resampled::of(&[&[1.0], &[1.0, 2.0]], OPTIONS).unwrap_err().to_string().contains("1 and 2"));
    }
}
