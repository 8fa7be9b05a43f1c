//! Preference losses over pairs of a chosen and a rejected completion: DPO, SPIN and KTO.

use crate::train::TrainError;
use crate::train::losses::objective::softplus;
use crate::train::parallel::Micro;
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Which loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreferenceKind {
    /// −ln σ(β·(h_chosen − h_rejected)) with h = ln π/π_ref (arXiv 2305.18290).
    #[default]
    Dpo,
    /// Desirable 1 − σ(β·(h − z)), undesirable 1 − σ(β·(z − h)), z from [`kto_baseline`] (arXiv 2402.01306).
    Kto,
    /// As DPO, with an expert's completion chosen, the previous iterate's own rejected, and that iterate as the reference (arXiv 2401.01335).
    Spin,
}

/// How pairs become a loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PreferenceLoss {
    /// Which loss.
    pub kind: PreferenceKind,
    /// β, above 0: how strongly the policy is held to the reference.
    pub beta: f64,
    /// KTO: weight of the chosen completions.
    pub desirable_weight: f64,
    /// KTO: weight of the rejected completions.
    pub undesirable_weight: f64,
}

impl Default for PreferenceLoss {
    fn default() -> Self {
        Self { kind: PreferenceKind::Dpo, beta: 0.1, desirable_weight: 1.0, undesirable_weight: 1.0 }
    }
}

/// One side of some pairs: sums of ln π over the completion tokens of each completion.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Under the policy: `[pairs]`, differentiable.
    pub policy: &'a Tensor,
    /// Under the reference: `[pairs]`.
    pub reference: &'a [f32],
}

/// Mean over the whole batch's `pairs` of the loss; KTO takes the mean over both completions of each, as TRL does.
///
/// `baseline` is KTO's z, of the whole batch; the other kinds do not use it.
///
/// Sums, to be divided by `pairs`: `loss` (already divided), `rewards/chosen`, `rewards/rejected` (β·h), `rewards/margins` (their
/// difference), `rewards/accuracies` (1 where the margin is above 0), `pairs`.
///
/// # Errors
/// Sides of different lengths.
pub fn preference_loss(chosen: Side, rejected: Side, baseline: f64, config: &PreferenceLoss, pairs: usize) -> Result<Micro, TrainError> {
    let (chosen, rejected) = (chosen.rewards(config.beta)?, rejected.rewards(config.beta)?);
    let values: (Vec<f32>, Vec<f32>) = (chosen.to_vec1()?, rejected.to_vec1()?);
    if values.0.len() != values.1.len() {
        return Err(TrainError::Data(format!("{} chosen completions, {} rejected", values.0.len(), values.1.len())));
    }
    let losses = match config.kind {
        PreferenceKind::Dpo | PreferenceKind::Spin => softplus(&(&rejected - &chosen)?)?,
        PreferenceKind::Kto => {
            let z = config.beta * baseline;
            let desirable = candle_nn::ops::sigmoid(&chosen.affine(-1.0, z)?)?;
            let undesirable = candle_nn::ops::sigmoid(&rejected.affine(1.0, -z)?)?;
            ((desirable * (0.5 * config.desirable_weight))? + (undesirable * (0.5 * config.undesirable_weight))?)?
        }
    };
    let loss = (losses.sum_all()? / pairs.max(1) as f64)?;
    let sum = |v: &[f32]| v.iter().copied().map(f64::from).sum::<f64>();
    let (up, down) = (sum(&values.0), sum(&values.1));
    let right = values.0.iter().zip(&values.1).filter(|(c, r)| c > r).count();
    let sums = vec![
        ("loss", f64::from(loss.to_scalar::<f32>()?)),
        ("rewards/chosen", up),
        ("rewards/rejected", down),
        ("rewards/margins", up - down),
        ("rewards/accuracies", right as f64),
        ("pairs", values.0.len() as f64),
    ];
    Ok(Micro { loss, sums })
}

impl Side<'_> {
    /// β·ln π/π_ref, `[pairs]`.
    fn rewards(&self, beta: f64) -> Result<Tensor, TrainError> {
        let policy = self.policy.to_dtype(DType::F32)?;
        let n = policy.dims1()?;
        if self.reference.len() != n {
            return Err(TrainError::Data(format!("{n} completions, {} reference log-probs", self.reference.len())));
        }
        Ok(((&policy - Tensor::from_slice(self.reference, n, policy.device())?)? * beta)?)
    }
}

/// KTO's z = max(0, mean ln π/π_ref) over mismatched pairs: each problem of the batch with the completion of another. Without gradient.
///
/// `policy`, `reference`: sums of ln π over the completion tokens; of the same length.
pub fn kto_baseline(policy: &[f32], reference: &[f32]) -> f64 {
    let sum: f64 = policy.iter().zip(reference).map(|(p, r)| f64::from(*p) - f64::from(*r)).sum();
    (sum / policy.len().max(1) as f64).max(0.0)
}

/// Sums of `[n]` token log-probs over consecutive sequences of `lens` tokens: `[sequences]`, differentiable.
///
/// # Errors
/// `lens` that do not add up to n.
pub fn sequence_log_probs(log_prob: &Tensor, lens: &[usize]) -> Result<Tensor, TrainError> {
    let n = log_prob.dims1()?;
    let index: Vec<u32> = lens.iter().enumerate().flat_map(|(i, &len)| std::iter::repeat_n(i as u32, len)).collect();
    if index.len() != n {
        return Err(TrainError::Data(format!("{n} log-probs do not fit sequences of {} tokens", index.len())));
    }
    let index = Tensor::from_vec(index, n, log_prob.device())?;
    Ok(Tensor::zeros(lens.len(), log_prob.dtype(), log_prob.device())?.index_add(&index, log_prob, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn at_the_reference_and_far_from_it() {
        for (gap, value, slope) in [(0.0_f32, std::f32::consts::LN_2, 0.5), (5e3, 0.0, 0.0), (-5e3, 500.0, 1.0)] {
            let chosen = Var::new(&[gap - 20.0], &Device::Cpu).unwrap();
            let rejected = Tensor::new(&[-20.0_f32], &Device::Cpu).unwrap();
            let side = |policy| Side { policy, reference: &[-20.0] };
            let m = preference_loss(side(chosen.as_tensor()), side(&rejected), 0.0, &PreferenceLoss::default(), 1).unwrap();
            let grad = m.loss.backward().unwrap().get(chosen.as_tensor()).unwrap().to_vec1::<f32>().unwrap();
            assert!((m.loss.to_scalar::<f32>().unwrap() - value).abs() < 1e-4);
            assert!((grad[0] + 0.1 * slope).abs() < 1e-6, "{gap}: {grad:?}");
        }
    }

    #[test]
    fn sums_over_sequences() {
        let lp = Var::new(&[-1.0_f32, -2.0, -4.0, -8.0], &Device::Cpu).unwrap();
        let s = sequence_log_probs(lp.as_tensor(), &[1, 0, 3]).unwrap();
        assert_eq!(s.to_vec1::<f32>().unwrap(), [-1.0, 0.0, -14.0]);
        let weighted = (s * Tensor::new(&[2.0_f32, 3.0, 5.0], &Device::Cpu).unwrap()).unwrap().sum_all().unwrap();
        assert_eq!(weighted.backward().unwrap().get(lp.as_tensor()).unwrap().to_vec1::<f32>().unwrap(), [2.0, 5.0, 5.0, 5.0]);
        assert!(sequence_log_probs(lp.as_tensor(), &[1, 2]).is_err());
    }

    #[test]
    fn sides_that_do_not_fit_are_refused() {
        let (two, one) = (Tensor::new(&[-1.0_f32, -2.0], &Device::Cpu).unwrap(), Tensor::new(&[-1.0_f32], &Device::Cpu).unwrap());
        let pair = Side { policy: &two, reference: &[-1.0, -1.0] };
        let go = |rejected| preference_loss(pair, rejected, 0.0, &PreferenceLoss::default(), 2).map(|_| ()).unwrap_err().to_string();
        assert_eq!(go(Side { policy: &one, reference: &[-1.0] }), "2 chosen completions, 1 rejected");
        assert_eq!(go(Side { policy: &two, reference: &[-1.0] }), "2 completions, 1 reference log-probs");
    }
}
