//! AdamW, gradient clipping and the learning-rate schedule.

use super::TrainError;
use candle_core::{DType, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Gradients by variable name, flat.
pub type Gradients = BTreeMap<String, Vec<f32>>;

/// Settings of AdamW (arXiv 1711.05101) with linear warm-up and cosine decay to zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    /// The cosine ends at this share of the peak.
    pub final_share: f64,
    /// First-moment decay.
    pub beta1: f64,
    /// Second-moment decay.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay on matrices; vectors (norms, biases) have none.
    pub weight_decay: f64,
    /// The global gradient norm is clipped to this; 0 is off.
    pub max_grad_norm: f64,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            warmup_steps: 50,
            final_share: 0.05,
            beta1: 0.9,
            beta2: 0.99,
            eps: 1e-8,
            weight_decay: 0.1,
            max_grad_norm: 1.0,
        }
    }
}

impl OptimConfig {
    /// Learning rate of 0-based step `step` of `steps`.
    pub fn rate(&self, step: usize, steps: usize) -> f64 {
        let warm = self.warmup_steps.min(steps);
        if step < warm {
            return self.learning_rate * (step + 1) as f64 / warm as f64;
        }
        let x = (step - warm) as f64 / (steps - warm).max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * x).cos());
        self.learning_rate * (self.final_share + (1.0 - self.final_share) * cosine)
    }
}

/// AdamW over named variables.
///
/// Of a variable in a type of 16 bits it keeps a master copy in f32, which it updates, and writes the rounded numbers to the variable: updates too
/// small for the variable add up (arXiv 1710.03740, section 3.1).
pub struct AdamW {
    config: OptimConfig,
    vars: Vec<(String, Var)>,
    moments: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
    masters: BTreeMap<String, Vec<f32>>,
    /// Updates made so far.
    pub step: usize,
}

impl AdamW {
    /// An optimiser at step 0.
    pub fn new(config: OptimConfig, vars: Vec<(String, Var)>) -> Self {
        let moments = vars.iter().map(|(n, v)| (n.clone(), (vec![0.0; v.elem_count()], vec![0.0; v.elem_count()]))).collect();
        Self { config, vars, moments, masters: BTreeMap::new(), step: 0 }
    }

    /// The learning rate of the next update of `steps`.
    pub fn rate(&self, steps: usize) -> f64 {
        self.config.rate(self.step, steps)
    }

    /// The variables it moves.
    pub fn vars(&self) -> &[(String, Var)] {
        &self.vars
    }

    /// First and second moments by variable name, for checkpoints.
    pub fn moments(&self) -> &BTreeMap<String, (Vec<f32>, Vec<f32>)> {
        &self.moments
    }

    /// The numbers of a variable in f32: its master copy where it has one.
    pub fn weights(&self, name: &str, var: &Var) -> Result<Vec<f32>, TrainError> {
        match self.masters.get(name) {
            Some(master) => Ok(master.clone()),
            None => Ok(numbers(var)?),
        }
    }

    /// Takes up weights and moments saved earlier. Fails where a variable is missing or has another size.
    pub fn restore(
        &mut self,
        step: usize,
        mut weights: BTreeMap<String, Vec<f32>>,
        mut moments: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
    ) -> Result<(), TrainError> {
        for (name, var) in &self.vars {
            let n = var.elem_count();
            match (weights.remove(name), moments.remove(name)) {
                (Some(w), Some((m, v))) if w.len() == n && m.len() == n && v.len() == n => {
                    set(var, &w)?;
                    if keeps_master(var) {
                        self.masters.insert(name.clone(), w);
                    }
                    self.moments.insert(name.clone(), (m, v));
                }
                _ => {
                    return Err(TrainError::Data(format!(
                        "the checkpoint's optimiser state does not fit variable {name}; start the run anew"
                    )));
                }
            };
        }
        self.step = step;
        Ok(())
    }

    /// Clips, updates every variable, and returns the gradient norm before clipping. A variable without gradient is an error.
    pub fn update(&mut self, grads: &Gradients, steps: usize) -> Result<f64, TrainError> {
        let norm = grads.values().flatten().map(|g| (*g as f64).powi(2)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            return Err(TrainError::NotFinite(format!("gradient norm is {norm}; lower the learning rate")));
        }
        let c = &self.config;
        let clip = if c.max_grad_norm > 0.0 && norm > c.max_grad_norm { c.max_grad_norm / norm } else { 1.0 } as f32;
        let rate = c.rate(self.step, steps);
        self.step += 1;
        let (b1, b2) = (c.beta1 as f32, c.beta2 as f32);
        let bias1 = 1.0 - c.beta1.powi(self.step as i32);
        let bias2 = 1.0 - c.beta2.powi(self.step as i32);
        let (size, root, eps) = ((rate / bias1) as f32, (1.0 / bias2) as f32, c.eps as f32);
        for (name, var) in &self.vars {
            let (Some(g), Some((m, v))) = (grads.get(name), self.moments.get_mut(name)) else {
                return Err(TrainError::Data(format!("variable {name} received no gradient")));
            };
            let mut w = match self.masters.remove(name) {
                Some(master) => master,
                None => numbers(var)?,
            };
            let decay = if var.rank() > 1 { 1.0 - (rate * c.weight_decay) as f32 } else { 1.0 };
            for (((w, g), m), v) in w.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
                let g = g * clip;
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *w = *w * decay - size * *m / ((*v * root).sqrt() + eps);
            }
            set(var, &w)?;
            if keeps_master(var) {
                self.masters.insert(name.clone(), w);
            }
        }
        Ok(norm)
    }
}

/// Whether the variable's type is too coarse for small updates.
fn keeps_master(var: &Var) -> bool {
    matches!(var.dtype(), DType::BF16 | DType::F16)
}

fn numbers(var: &Var) -> candle_core::Result<Vec<f32>> {
    var.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
}

/// Sets a variable to numbers in f32, rounded to its type.
fn set(var: &Var, weights: &[f32]) -> candle_core::Result<()> {
    var.set(&Tensor::from_slice(weights, var.shape(), var.device())?.to_dtype(var.dtype())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::digest::StageInputs;
    use crate::train::models::checkpoint;
    use crate::train::state::State;
    use candle_core::Device;

    #[test]
    fn first_updates_match_the_formula_by_hand() {
        let var = Var::from_vec(vec![1.0f32, -2.0], (1, 2), &Device::Cpu).unwrap();
        let config = OptimConfig {
            learning_rate: 0.1,
            warmup_steps: 0,
            final_share: 1.0,
            weight_decay: 0.5,
            max_grad_norm: 0.0,
            ..Default::default()
        };
        let mut o = AdamW::new(config, vec![("w".into(), var.clone())]);
        o.update(&Gradients::from([("w".into(), vec![0.3, -4.0])]), 10).unwrap();
        // the first Adam step is sign(g)·rate, after decay by 1 − 0.1·0.5
        let w: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
        assert!((w[0] - (0.95 - 0.1)).abs() < 1e-6 && (w[1] - (-1.9 + 0.1)).abs() < 1e-6, "{w:?}");
        assert!(o.update(&Gradients::new(), 10).is_err());
    }

    #[test]
    fn schedule_warms_up_and_decays() {
        let c = OptimConfig { learning_rate: 1.0, warmup_steps: 4, final_share: 0.1, ..Default::default() };
        assert_eq!(c.rate(0, 100), 0.25);
        assert_eq!(c.rate(4, 100), 1.0);
        assert!((c.rate(52, 100) - 0.55).abs() < 1e-9);
        assert!((c.rate(100, 100) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn updates_too_small_for_bf16_add_up_and_survive_a_checkpoint() {
        let config = OptimConfig {
            learning_rate: 1e-4,
            warmup_steps: 0,
            final_share: 1.0,
            weight_decay: 0.0,
            max_grad_norm: 0.0,
            ..Default::default()
        };
        let run = |dtype: DType, stop: usize| {
            let start = || Var::from_tensor(&Tensor::ones(4, dtype, &Device::Cpu).unwrap()).unwrap();
            let grads = Gradients::from([("w".into(), vec![-1.0; 4])]);
            let fresh = || State::one(AdamW::new(config.clone(), vec![("w".into(), start())]));
            let mut state = fresh();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("c.safetensors");
            let digest = StageInputs::new("sft", &()).unwrap().digest();
            for step in 0..200 {
                if step == stop {
                    checkpoint::save(&path, &state, &digest).unwrap();
                    state = fresh();
                    assert!(checkpoint::load(&path, &mut state, &digest).unwrap());
                }
                state.first().update(&grads, 200).unwrap();
            }
            let o = state.first();
            let var = &o.vars()[0].1;
            (o.weights("w", var).unwrap()[0], numbers(var).unwrap()[0])
        };
        // Half the distance between 1 and its neighbour in bf16 is 39 times a single update.
        let (exact, _) = run(DType::F32, usize::MAX);
        assert!((exact - 1.02).abs() < 1e-4, "{exact}");
        for dtype in [DType::BF16, DType::F16] {
            let (master, rounded) = run(dtype, usize::MAX);
            assert_eq!(master, exact);
            assert_eq!(run(dtype, 77), (master, rounded));
            assert!(rounded != master && (rounded - master).abs() < 0.004, "{rounded}");
        }
    }
}
