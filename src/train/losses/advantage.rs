//! Advantages of a group of traces that answer one problem, from their rewards.

use serde::{Deserialize, Serialize};

/// Added to a standard deviation before dividing by it, as TRL does; shared by every estimate of the group kind.
pub(super) const EPSILON: f64 = 1e-4;

/// How the rewards of a group's traces become advantages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// (r − mean) / (std + 1e-4), with the sample standard deviation (GRPO, arXiv 2402.03300; TRL's epsilon).
    #[default]
    Group,
    /// r − mean (Dr. GRPO, arXiv 2503.20783).
    Centred,
    /// r − mean of the other traces (leave-one-out, arXiv 2402.14740).
    Rloo,
}

/// Advantages of one group, a value a trace; a group of one has nothing to be compared with and gets 0.
pub fn advantages(estimator: Estimator, rewards: &[f32]) -> Vec<f32> {
    let Moments { mean, std } = Moments::of(rewards.iter().copied());
    let n = rewards.len() as f64;
    let scale = match estimator {
        Estimator::Group => 1.0 / (std + EPSILON),
        Estimator::Centred => 1.0,
        // r − (Σ − r)/(n − 1) = (r − mean)·n/(n − 1)
        Estimator::Rloo => n / (n - 1.0).max(1.0),
    };
    rewards.iter().map(|&r| ((f64::from(r) - mean) * scale) as f32).collect()
}

/// Discounted returns of one trace's token rewards: G_t = Σ_{k≥t} γ^{k−t} r_k.
pub fn returns(rewards: &[f32], gamma: f32) -> Vec<f32> {
    let mut out = vec![0.0; rewards.len()];
    let mut sum = 0.0_f64;
    for (g, &r) in out.iter_mut().zip(rewards).rev() {
        sum = f64::from(r) + f64::from(gamma) * sum;
        *g = sum as f32;
    }
    out
}

/// Dense advantages of a group from its traces' token rewards: A_t = Σ_{k≥t} γ^{k−t} (r_k − μ) / (σ + 1e-4) (arXiv 2510.01857).
///
/// μ and σ are the mean and the sample standard deviation over all tokens of the group, so a long trace weighs more than a short one.
pub fn dense_advantages(group: &[Vec<f32>], gamma: f32) -> Vec<Vec<f32>> {
    let Moments { mean, std } = Moments::of(group.iter().flatten().copied());
    let normal = |r: &f32| ((f64::from(*r) - mean) / (std + EPSILON)) as f32;
    group.iter().map(|rewards| returns(&rewards.iter().map(normal).collect::<Vec<_>>(), gamma)).collect()
}

/// Takes from the token rewards of a group what a feature of the states before the tokens says of them: r − β·(x − mean x), β by least squares over the
/// group's tokens. What depends on the state alone changes no choice made in it, only the noise of its estimate (a control variate).
///
/// Shapes must agree, or nothing is done; neither is it where the feature does not vary.
pub fn without_state(group: &mut [Vec<f32>], feature: &[&[f32]]) {
    if group.iter().map(Vec::len).ne(feature.iter().map(|x| x.len())) {
        return;
    }
    let pairs = || group.iter().flatten().zip(feature.iter().copied().flatten()).map(|(r, x)| (f64::from(*r), f64::from(*x)));
    let n = pairs().count().max(1) as f64;
    let (sum_r, sum_x) = pairs().fold((0.0, 0.0), |(a, b), (r, x)| (a + r, b + x));
    let (mean_r, mean_x) = (sum_r / n, sum_x / n);
    let (both, square) = pairs().fold((0.0, 0.0), |(a, b), (r, x)| (a + (r - mean_r) * (x - mean_x), b + (x - mean_x).powi(2)));
    if square <= f64::EPSILON {
        return;
    }
    let slope = both / square;
    for (r, x) in group.iter_mut().flatten().zip(feature.iter().copied().flatten()) {
        *r -= (slope * (f64::from(*x) - mean_x)) as f32;
    }
}

/// Mean and sample standard deviation of some numbers.
pub(super) struct Moments {
    /// 0 for no numbers.
    pub mean: f64,
    /// With n − 1 below; 0 for fewer than two numbers.
    pub std: f64,
}

impl Moments {
    pub(super) fn of(values: impl Iterator<Item = f32> + Clone) -> Self {
        let n = values.clone().count() as f64;
        let mean = values.clone().map(f64::from).sum::<f64>() / n.max(1.0);
        let squares: f64 = values.map(|v| (f64::from(v) - mean).powi(2)).sum();
        Self { mean, std: (squares / (n - 1.0).max(1.0)).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_by_hand() {
        // mean 0.25, squares 3·0.0625 + 0.5625 = 0.75, sample variance 0.25
        let rewards = [0.0, 1.0, 0.0, 0.0];
        let near = |got: Vec<f32>, want: [f32; 4]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6);
        assert!(near(advantages(Estimator::Centred, &rewards), [-0.25, 0.75, -0.25, -0.25]));
        assert!(near(advantages(Estimator::Group, &rewards), [-0.25, 0.75, -0.25, -0.25].map(|a| a / 0.5001)));
        assert!(near(advantages(Estimator::Rloo, &rewards), [-1.0 / 3.0, 1.0, -1.0 / 3.0, -1.0 / 3.0]));
    }

    #[test]
    fn nothing_to_compare_gives_nothing() {
        for e in [Estimator::Group, Estimator::Centred, Estimator::Rloo] {
            assert_eq!(advantages(e, &[0.3; 7]), [0.0; 7]);
            assert_eq!(advantages(e, &[2.0]), [0.0]);
            assert!(advantages(e, &[]).is_empty());
        }
        assert_eq!(dense_advantages(&[vec![0.1; 3], vec![], vec![0.1]], 0.9), [vec![0.0; 3], vec![], vec![0.0]]);
    }

    #[test]
    fn returns_by_hand() {
        assert_eq!(returns(&[1.0, 2.0, 4.0], 0.5), [3.0, 4.0, 4.0]);
        assert_eq!(returns(&[1.0, 2.0, 4.0], 0.0), [1.0, 2.0, 4.0]);
        assert!(returns(&[], 0.5).is_empty());
    }

    #[test]
    fn what_the_state_says_by_hand() {
        // r = 1 − 2x and a remainder that x says nothing of.
        let x: [&[f32]; 2] = [&[0.0, 1.0], &[0.0, 1.0]];
        let mut r = [vec![1.5, -1.5], vec![0.5, -0.5]];
        without_state(&mut r, &x);
        assert_eq!(r, [vec![0.5, -0.5], vec![-0.5, 0.5]]);
        let kept = [vec![3.0, 1.0]];
        for feature in [&[2.0_f32, 2.0][..], &[]] {
            let mut same = kept.clone();
            without_state(&mut same, &[feature]);
            assert_eq!(same, kept);
        }
    }

    #[test]
    fn dense_by_hand() {
        // All tokens: 1, 3, 2; mean 2, sample std 1.
        let a = dense_advantages(&[vec![1.0, 3.0], vec![2.0]], 0.5);
        let want = [vec![-0.5 / 1.0001, 1.0 / 1.0001], vec![0.0]];
        assert!(a.iter().flatten().zip(want.iter().flatten()).all(|(a, w)| (a - w).abs() < 1e-6), "{a:?}");
    }
}
