//! The policy-gradient loss of GRPO and its kin: clipped ratio, k3 KL to a reference, three reductions.

use crate::train::TrainError;
use crate::train::parallel::Micro;
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// What a token's loss is divided by; B sequences and all tokens are those of the whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reduction {
    /// B · length of its sequence (arXiv 2402.03300).
    Grpo,
    /// B · `max_tokens` (arXiv 2503.20783).
    DrGrpo {
        /// The longest completion that the policy may write.
        #[schemars(example = 256)]
        max_tokens: usize,
    },
    /// All tokens (arXiv 2503.14476).
    #[default]
    Dapo,
}

/// How a batch of rollouts becomes a loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyLoss {
    /// The mean over tokens and sequences.
    pub reduction: Reduction,
    /// The ratio π/π_old is clipped to `1 − clip_low ..= 1 + clip_high`; `clip_high` > `clip_low` is DAPO's clip-higher.
    pub clip_low: f64,
    /// See `clip_low`.
    pub clip_high: f64,
    /// Weight of the KL to the reference; 0 needs no reference.
    pub kl: f64,
}

impl Default for PolicyLoss {
    fn default() -> Self {
        Self { reduction: Reduction::Dapo, clip_low: 0.2, clip_high: 0.28, kl: 0.0 }
    }
}

/// What the whole batch, over all micro-batches, holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyTotals {
    /// Sequences.
    pub sequences: usize,
    /// Completion tokens.
    pub tokens: usize,
}

/// Σ over tokens of w·(−min(ρA, clip(ρ)A) + kl·k3) with ρ = π/π_old, k3 = e^Δ − Δ − 1 and Δ = ln π_ref − ln π, w by the reduction.
///
/// `log_prob`: `[n]`, ln π of the micro-batch's completion tokens, sequence after sequence, differentiable. `lens`: tokens of each
/// sequence. `old`, `reference`, `advantages`: `[n]`; a trace's advantage is repeated over its tokens.
///
/// Sums: `policy_loss` (the loss without its KL term), `kl` (Σ k3; 0 without a reference), `clipped` (tokens whose gradient the clip cuts
/// off), `ratio` (Σ ρ), `tokens`.
///
/// # Errors
/// Lengths that do not agree, a KL weight without a reference, `max_tokens` of 0.
pub fn policy_loss(
    log_prob: &Tensor,
    lens: &[usize],
    old: &[f32],
    reference: Option<&[f32]>,
    advantages: &[f32],
    config: &PolicyLoss,
    totals: PolicyTotals,
) -> Result<Micro, TrainError> {
    let log_prob = log_prob.to_dtype(DType::F32)?;
    let values: Vec<f32> = log_prob.to_vec1()?;
    let n = values.len();
    if [lens.iter().sum(), old.len(), advantages.len(), reference.map_or(n, <[f32]>::len)] != [n; 4] {
        return Err(TrainError::Data(format!(
            "{n} log-probs do not fit {} tokens in sequences, {} old log-probs, {} advantages and {:?} reference log-probs",
            lens.iter().sum::<usize>(),
            old.len(),
            advantages.len(),
            reference.map(<[f32]>::len)
        )));
    }
    if config.kl != 0.0 && reference.is_none() {
        return Err(TrainError::Data("a KL weight needs a reference policy".into()));
    }
    let weights = weights(lens, config.reduction, totals)?;
    let (low, high) = (1.0 - config.clip_low, 1.0 + config.clip_high);
    // Inside the clip a token's part is ρ·slope; outside it is a constant, without gradient.
    let (mut slopes, mut inside, mut outside, mut clipped, mut ratios) = (Vec::with_capacity(n), 0.0, 0.0, 0, 0.0);
    for (((new, old), advantage), w) in values.iter().zip(old).zip(advantages).zip(&weights) {
        let ratio = f64::from(new - old).exp();
        let slope = -f64::from(*advantage) * w;
        let bound = if slope < 0.0 { high } else { low };
        if (slope < 0.0 && ratio > high) || (slope > 0.0 && ratio < low) {
            outside += bound * slope;
            clipped += 1;
            slopes.push(0.0);
        } else {
            inside += ratio * slope;
            slopes.push(slope as f32);
        }
        ratios += ratio;
    }
    let on_device = |v: &[f32]| Tensor::from_slice(v, v.len(), log_prob.device());
    let mut loss = ((((&log_prob - on_device(old)?)?.exp()? * on_device(&slopes)?)?).sum_all()? + outside)?;
    let mut kl = 0.0;
    if let Some(reference) = reference {
        kl = values.iter().zip(reference).map(|(new, r)| f64::from(r - new).exp_m1() - f64::from(r - new)).sum();
        if config.kl != 0.0 {
            let delta = (on_device(reference)? - &log_prob)?;
            let k3 = ((delta.exp()? - delta)? - 1.0)?;
            let weights: Vec<f32> = weights.iter().map(|w| (w * config.kl) as f32).collect();
            loss = (loss + (k3 * on_device(&weights)?)?.sum_all()?)?;
        }
    }
    let sums =
        vec![("policy_loss", inside + outside), ("kl", kl), ("clipped", f64::from(clipped)), ("ratio", ratios), ("tokens", n as f64)];
    Ok(Micro { loss, sums })
}

/// The weight of every token.
fn weights(lens: &[usize], reduction: Reduction, totals: PolicyTotals) -> Result<Vec<f64>, TrainError> {
    let mut out = Vec::with_capacity(lens.iter().sum());
    for &len in lens {
        let divisor = match reduction {
            Reduction::Grpo => totals.sequences * len,
            Reduction::DrGrpo { max_tokens } => totals.sequences * max_tokens,
            Reduction::Dapo => totals.tokens,
        };
        if divisor == 0 && len > 0 {
            return Err(TrainError::Data(
                "a loss over no tokens: max_tokens, and the sequences and tokens of the batch, must be above 0".into(),
            ));
        }
        out.extend(std::iter::repeat_n(1.0 / divisor as f64, len));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn sum(m: &Micro, name: &str) -> f64 {
        m.sums.iter().find(|s| s.0 == name).unwrap().1
    }

    #[test]
    fn micro_batches_add_up_to_the_batch() {
        let (new, old) = ([-1.0, -0.2, -2.0, -0.7, -0.1_f32], [-0.9, -0.8, -1.0, -0.7, -0.3_f32]);
        let (reference, advantages) = ([-1.1, -0.3, -1.5, -0.6, -0.4_f32], [1.0, 1.0, -0.5, -0.5, -0.5_f32]);
        let lens = [2, 3];
        for reduction in [Reduction::Grpo, Reduction::DrGrpo { max_tokens: 7 }, Reduction::Dapo] {
            let config = PolicyLoss { reduction, kl: 0.1, ..PolicyLoss::default() };
            let totals = PolicyTotals { sequences: 2, tokens: 5 };
            let go = |lens: &[usize], r: std::ops::Range<usize>| {
                let lp = Tensor::new(&new[r.clone()], &Device::Cpu).unwrap();
                policy_loss(&lp, lens, &old[r.clone()], Some(&reference[r.clone()]), &advantages[r], &config, totals).unwrap()
            };
            let (whole, a, b) = (go(&lens, 0..5), go(&lens[..1], 0..2), go(&lens[1..], 2..5));
            let value = |m: &Micro| m.loss.to_scalar::<f32>().unwrap();
            assert!((value(&whole) - value(&a) - value(&b)).abs() < 1e-6);
            for name in ["policy_loss", "kl", "clipped", "ratio", "tokens"] {
                assert!((sum(&whole, name) - sum(&a, name) - sum(&b, name)).abs() < 1e-9, "{name}");
            }
            // e^0.6 > 1.28 with A > 0, e^−1 < 0.8 with A < 0
            assert_eq!(sum(&whole, "clipped"), 2.0);
        }
    }

    #[test]
    fn on_policy_the_gradient_is_that_of_the_weighted_log_prob() {
        let lp = Var::new(&[-1.0_f32, -0.5, -3.0], &Device::Cpu).unwrap();
        let old = lp.to_vec1::<f32>().unwrap();
        let totals = PolicyTotals { sequences: 2, tokens: 3 };
        let m = policy_loss(lp.as_tensor(), &[1, 2], &old, None, &[2.0, -1.0, 0.0], &PolicyLoss::default(), totals).unwrap();
        let grad = m.loss.backward().unwrap().get(lp.as_tensor()).unwrap().to_vec1::<f32>().unwrap();
        assert!(grad.iter().zip([-2.0 / 3.0, 1.0 / 3.0, 0.0]).all(|(g, w)| (g - w).abs() < 1e-6), "{grad:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let lp = Tensor::new(&[-1.0_f32, -0.5], &Device::Cpu).unwrap();
        let totals = PolicyTotals { sequences: 1, tokens: 2 };
        let old = [-1.0, -1.0];
        let go = |lens: &[usize], advantages: &[f32], config: &PolicyLoss, totals| {
            policy_loss(&lp, lens, &old, None, advantages, config, totals).map(|_| ()).unwrap_err().to_string()
        };
        assert!(go(&[3], &[0.0; 2], &PolicyLoss::default(), totals).contains("3 tokens in sequences"));
        assert!(go(&[2], &[0.0], &PolicyLoss::default(), totals).contains("1 advantages"));
        assert!(go(&[2], &[0.0; 2], &PolicyLoss { kl: 0.1, ..PolicyLoss::default() }, totals).contains("reference"));
        assert!(go(&[2], &[0.0; 2], &PolicyLoss::default(), PolicyTotals::default()).contains("no tokens"));
        let none = PolicyLoss { reduction: Reduction::DrGrpo { max_tokens: 0 }, ..PolicyLoss::default() };
        assert!(go(&[2], &[0.0; 2], &none, totals).contains("max_tokens"));
    }

    #[test]
    fn a_recipe_can_say_it() {
        let read = |text: &str| toml::from_str::<PolicyLoss>(text);
        assert_eq!(read("").unwrap(), PolicyLoss { reduction: Reduction::Dapo, clip_low: 0.2, clip_high: 0.28, kl: 0.0 });
        assert_eq!(read("reduction = 'grpo'\nclip_high = 0.2").unwrap().reduction, Reduction::Grpo);
        assert_eq!(read("reduction.dr_grpo.max_tokens = 9").unwrap().reduction, Reduction::DrGrpo { max_tokens: 9 });
        assert!(read("cliphigh = 0.3").is_err());
    }
}
