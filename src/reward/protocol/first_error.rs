//! Where the first error is, from chances that each step is right.

/// What the steps' log-odds of being right, each given that all before it are, say of where the first error is; one value a step, ½ is the border.
///
/// With p the chance that a step is right, "the first error is at step j" has the chance p₁ … p_{j−1} · (1 − p_j), and "there is none" p₁ … p_n (eq. 6 of
/// arXiv 2605.10158). The value of a step is `later / (later + here)`, `here` the likeliest first error up to and with it, `later` the likeliest of all that
/// is left: a later first error, or none. So the values never rise, and the first one below ½ is the likeliest first error of all; where none is below, no
/// error is likeliest. A sum of chances in place of the likeliest one would mark their median instead. What is read further can lower a value, but not
/// unmark a step: the chances of later errors are parts of what was left.
///
/// Everything is added up as logarithms, so that no chance underflows. A step without log-odds says nothing, and has no value.
pub fn first_error(odds: &[Option<f32>]) -> Vec<Option<f32>> {
    let mut right = 0.0;
    let here: Vec<Option<f64>> = odds
        .iter()
        .map(|odds| {
            let odds = f64::from((*odds)?);
            let chance = right - softplus(odds);
            right -= softplus(-odds);
            Some(chance)
        })
        .collect();
    let mut later = vec![right; here.len()];
    for i in (1..here.len()).rev() {
        later[i - 1] = later[i].max(here[i].unwrap_or(f64::NEG_INFINITY));
    }
    let mut most = f64::NEG_INFINITY;
    let value = |(here, later): (Option<f64>, f64)| {
        most = most.max(here?);
        Some((1.0 / (1.0 + (most - later).exp())) as f32)
    };
    here.into_iter().zip(later).map(value).collect()
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn odds(chances: &[f32]) -> Vec<Option<f32>> {
        chances.iter().map(|p| Some((p / (1.0 - p)).ln())).collect()
    }

    fn marked(values: &[Option<f32>]) -> Option<usize> {
        values.iter().position(|v| v.is_some_and(|v| v < 0.5))
    }

    #[test]
    fn two_doubts_by_hand() {
        // First error at 1: 0.4; at 2: 0.6 · 0.4 = 0.24; none: 0.36.
        let values = first_error(&odds(&[0.6, 0.6]));
        for (value, by_hand) in values.iter().zip([0.36 / 0.76, 0.36 / 0.76]) {
            assert!((value.unwrap() - by_hand).abs() < 1e-6, "{values:?}");
        }
        let alone = first_error(&odds(&[0.6]));
        assert_eq!([marked(&alone), marked(&values)], [None, Some(0)], "the second doubt speaks against the first step");
        // A clear error after good steps: at 3 0.9 · 0.9 · 0.8 = 0.648; at 1 0.1; at 2 0.09; none 0.162.
        let values = first_error(&odds(&[0.9, 0.9, 0.2]));
        for (value, by_hand) in values.iter().zip([0.648 / 0.748, 0.648 / 0.748, 0.162 / 0.81]) {
            assert!((value.unwrap() - by_hand).abs() < 1e-6, "{values:?}");
        }
        assert!(first_error(&[]).is_empty());
    }

    #[test]
    fn the_mark_is_the_likeliest_first_error_and_stays() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for _ in 0..2000 {
            let steps: Vec<Option<f32>> = (0..rng.random_range(1..12)).map(|_| Some(rng.random_range(-1.5..3.0))).collect();
            let mut before = None;
            for n in 1..=steps.len() {
                let right = |i: usize| 1.0 / (1.0 + (-f64::from(steps[i].unwrap())).exp());
                let at = |j: usize| (0..j).map(right).product::<f64>() * (1.0 - right(j));
                let none: f64 = (0..n).map(right).product();
                let best = (0..n).max_by(|a, b| at(*a).total_cmp(&at(*b))).filter(|j| at(*j) > none);
                let values = first_error(&steps[..n]);
                assert_eq!(marked(&values), best, "{:?}", &steps[..n]);
                assert!(values.windows(2).all(|w| w[1] <= w[0]), "{values:?}");
                assert!(before.is_none() || before == best, "a mark moved: {steps:?}");
                before = best;
            }
        }
    }

    #[test]
    fn what_underflows_moves_nothing() {
        // Chances of e^-200 a step: after a few no product is a number above 0.
        let mut long = vec![Some(-200.0); 50];
        long[0] = Some(200.0);
        let values = first_error(&long);
        assert_eq!((values.len(), marked(&values)), (50, Some(1)));
        assert!(values.iter().flatten().all(|v| v.is_finite()));
        // Certain steps, then one that is certainly wrong.
        let mut late = vec![Some(500.0); 300];
        late[250] = Some(-500.0);
        assert_eq!(marked(&first_error(&late)), Some(250));
        // A step that was not read neither counts nor moves the others.
        assert_eq!(first_error(&[Some(1.0), None, Some(-3.0)])[1], None);
        assert_eq!(marked(&first_error(&[Some(1.0), None, Some(-3.0)])), Some(2));
    }
}
