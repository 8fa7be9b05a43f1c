//! Distribution functions: normal, Student's t, beta; the exact binomial interval.

use crate::eval::stats::Interval;
use std::f64::consts::PI;

/// Standard normal distribution function, to 1e-12; 0 and 1 beyond 8 standard deviations.
pub fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 8.0 {
        return f64::from(u8::from(x > 0.0));
    }
    // ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …)
    let (mut term, mut sum, mut k) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        k += 2.0;
        term *= x * x / k;
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * PI).sqrt()
}

/// The standard normal value below which a share `p` lies; infinite at 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return if p <= 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    bisect(-8.0, 8.0, |x| normal_cdf(x) < p)
}

/// ln Γ(x) for x > 0, by Stirling's series after shifting x above 10.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + (2.0 * PI).ln() / 2.0 + series - shift
}

/// Regularised incomplete beta function I_x(a, b), for a, b > 0, by its continued fraction (DLMF 8.17.22).
pub fn beta_cdf(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return f64::from(u8::from(x >= 1.0));
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_cdf(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    // Convergents by Lentz's recurrence: c and d are ratios of successive numerators and denominators.
    let floor = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for i in 1..10_000 {
        let m = f64::from(i / 2);
        let step = match i % 2 {
            0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = 1.0 / floor(1.0 + step * d);
        c = floor(1.0 + step / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front / value
}

/// The value below which a share `p` of Student's t with `df` > 0 degrees of freedom lies.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    if p < 0.5 {
        return -t_quantile(1.0 - p, df);
    }
    let below = |t: f64| 1.0 - beta_cdf(df / 2.0, 0.5, df / (df + t * t)) / 2.0 < p;
    let mut top = 1.0;
    while below(top) && top < 1e12 {
        top *= 2.0;
    }
    bisect(0.0, top, below)
}

/// Exact (Clopper–Pearson 1934) interval of a share: `hits` of `n` independent trials. 0 to 1 for no trials, with a NaN estimate.
pub fn clopper_pearson(hits: usize, n: usize, level: f64) -> Interval {
    let (k, tail, rest) = (hits.min(n) as f64, (1.0 - level) / 2.0, n.saturating_sub(hits) as f64);
    let low = if hits == 0 { 0.0 } else { bisect(0.0, 1.0, |x| beta_cdf(k, rest + 1.0, x) < tail) };
    let high = if hits >= n { 1.0 } else { bisect(0.0, 1.0, |x| beta_cdf(k + 1.0, rest, x) < 1.0 - tail) };
    Interval { estimate: k / n as f64, low, high }
}

/// Where `below` turns from true to false.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if below(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, by: f64) {
        assert!((a - b).abs() <= by, "{a} against {b}");
    }

    #[test]
    fn textbook_values() {
        near(normal_cdf(0.0), 0.5, 1e-15);
        near(normal_cdf(1.0), 0.841_344_746_068_543, 1e-12);
        near(normal_cdf(-3.0), 0.001_349_898_031_630, 1e-12);
        near(normal_quantile(0.975), 1.959_963_984_540_05, 1e-9);
        near(normal_quantile(0.8), 0.841_621_233_572_9, 1e-9);
        near(ln_gamma(5.0), 24_f64.ln(), 1e-12);
        near(ln_gamma(0.5), PI.sqrt().ln(), 1e-12);
        // With one degree of freedom t is Cauchy, with two it has a closed form.
        near(t_quantile(0.975, 1.0), (PI * 0.475).tan(), 1e-8);
        near(t_quantile(0.975, 2.0), 0.95 / (2.0_f64 * 0.975 * 0.025).sqrt(), 1e-9);
        near(t_quantile(0.975, 4.0), 2.776_445, 1e-5);
        near(t_quantile(0.025, 4.0), -2.776_445, 1e-5);
        near(t_quantile(0.975, 1e6), 1.959_966, 1e-5);
    }

    #[test]
    fn beta_is_the_binomial_tail() {
        // P(X ≥ k) for X ~ Binomial(n, x) is I_x(k, n − k + 1).
        for (n, k, x) in [(10_u32, 3_u32, 0.2_f64), (7, 7, 0.9), (40, 1, 0.01), (25, 13, 0.5)] {
            let choose = |i: u32| (1..=i).map(|j| f64::from(n - i + j) / f64::from(j)).product::<f64>();
            let tail: f64 = (k..=n).map(|i| choose(i) * x.powi(i as i32) * (1.0 - x).powi((n - i) as i32)).sum();
            near(beta_cdf(f64::from(k), f64::from(n - k + 1), x), tail, 1e-12);
        }
    }

    #[test]
    fn exact_binomial_intervals() {
        let none = clopper_pearson(0, 10, 0.95);
        near(none.high, 1.0 - 0.025_f64.powf(0.1), 1e-12);
        assert_eq!((none.estimate, none.low), (0.0, 0.0));
        let all = clopper_pearson(10, 10, 0.95);
        near(all.low, 0.025_f64.powf(0.1), 1e-12);
        let some = clopper_pearson(4, 20, 0.95);
        near(some.low, 0.0573, 1e-4);
        near(some.high, 0.4366, 1e-4);
        assert!(clopper_pearson(0, 0, 0.95).estimate.is_nan());
    }
}
