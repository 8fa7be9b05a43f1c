//! Linear layers, and what of a block works on each position by itself: an MLP, or a mixture of many.

use crate::model::compute::ops;
use crate::model::{Activation, Config, Experts, LinearWeight, ModelError, WeightSource};
use candle_core::{DType, Tensor};

/// A linear layer with or without a bias.
#[derive(Clone)]
pub(super) struct Linear {
    pub(super) weight: LinearWeight,
    pub(super) bias: Option<Tensor>,
}

impl Linear {
    pub(super) fn load(source: &dyn WeightSource, name: &str, out: usize, input: usize, bias: bool) -> Result<Self, ModelError> {
        let weight = source.linear(&format!("{name}.weight"), out, input)?;
        let bias = if bias { Some(source.tensor(&format!("{name}.bias"), &[out])?) } else { None };
        Ok(Self { weight, bias })
    }

    pub(super) fn for_inference(&mut self) -> candle_core::Result<()> {
        self.weight = self.weight.clone().for_inference()?;
        self.bias = self.bias.as_ref().map(Tensor::detach);
        Ok(())
    }

    pub(super) fn forward(&self, x: &Tensor, exact: bool) -> candle_core::Result<Tensor> {
        let y = self.weight.forward(x, exact)?;
        match &self.bias {
            Some(b) => ops::add_bias(&y, b),
            None => Ok(y),
        }
    }
}

/// A gated MLP: down(act(gate(x)) ∘ up(x)).
#[derive(Clone)]
pub(super) struct Gated {
    gate: Linear,
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Gated {
    fn load(source: &dyn WeightSource, name: &str, c: &Config, width: usize) -> Result<Self, ModelError> {
        let (h, bias) = (c.hidden_size, c.variant.mlp_bias);
        let linear = |part: &str, out, input| Linear::load(source, &format!("{name}.{part}"), out, input, bias);
        let (gate, up, down) = (linear("gate_proj", width, h)?, linear("up_proj", width, h)?, linear("down_proj", h, width)?);
        Ok(Self { gate, up, down, activation: c.variant.activation })
    }

    fn forward(&self, x: &Tensor, exact: bool) -> candle_core::Result<Tensor> {
        let (gate, up) = (self.gate.forward(x, exact)?, self.up.forward(x, exact)?);
        let h = match self.activation {
            Activation::Silu => ops::swiglu(&gate, &up)?,
            Activation::GeluTanh => ops::geglu(&gate, &up)?,
        };
        self.down.forward(&h, exact)
    }
}

/// What of a block works on each position by itself.
#[derive(Clone)]
pub(super) enum Mlp {
    /// One MLP.
    Dense(Box<Gated>),
    /// Many, of which a router picks some for each position.
    Mixture {
        /// Its softmax says which.
        router: Box<Linear>,
        /// All of them.
        experts: Vec<Gated>,
        /// How many are picked.
        per_token: usize,
        /// Their weights are made to add up to 1.
        normalise: bool,
    },
}

impl Mlp {
    pub(super) fn load(source: &dyn WeightSource, c: &Config, layer: usize) -> Result<Self, ModelError> {
        let name = format!("model.layers.{layer}.mlp");
        let Some(&Experts { count, per_token, intermediate_size, normalise, .. }) = c.experts(layer) else {
            return Ok(Self::Dense(Box::new(Gated::load(source, &name, c, c.intermediate_size)?)));
        };
        let router = Box::new(Linear::load(source, &format!("{name}.gate"), count, c.hidden_size, false)?);
        let experts = (0..count).map(|e| Gated::load(source, &format!("{name}.experts.{e}"), c, intermediate_size));
        Ok(Self::Mixture { router, experts: experts.collect::<Result<_, _>>()?, per_token, normalise })
    }

    pub(super) fn linears(&self) -> Vec<&Linear> {
        match self {
            Self::Dense(m) => vec![&m.gate, &m.up, &m.down],
            Self::Mixture { router, experts, .. } => {
                [&**router].into_iter().chain(experts.iter().flat_map(|m| [&m.gate, &m.up, &m.down])).collect()
            }
        }
    }

    pub(super) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::Dense(m) => vec![&mut m.gate, &mut m.up, &mut m.down],
            Self::Mixture { router, experts, .. } => {
                [&mut **router].into_iter().chain(experts.iter_mut().flat_map(|m| [&mut m.gate, &mut m.up, &mut m.down])).collect()
            }
        }
    }

    pub(super) fn forward(&self, x: &Tensor, exact: bool) -> candle_core::Result<Tensor> {
        let (router, experts, per_token, normalise) = match self {
            Self::Dense(mlp) => return mlp.forward(x, exact),
            Self::Mixture { router, experts, per_token, normalise } => (router, experts, *per_token, *normalise),
        };
        let logits = router.forward(x, exact)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        let mut picked: Vec<(Vec<u32>, Vec<f32>)> = vec![Default::default(); experts.len()];
        for (row, logits) in logits.iter().enumerate() {
            for (expert, weight) in route(logits, per_token, normalise) {
                picked[expert].0.push(row as u32);
                picked[expert].1.push(weight);
            }
        }
        let mut out = x.zeros_like()?;
        for (mlp, (rows, weights)) in experts.iter().zip(picked).filter(|(_, (rows, _))| !rows.is_empty()) {
            let n = rows.len();
            let rows = Tensor::from_vec(rows, n, x.device())?;
            let weights = Tensor::from_vec(weights, (n, 1), x.device())?.to_dtype(x.dtype())?;
            let y = mlp.forward(&x.index_select(&rows, 0)?, exact)?.broadcast_mul(&weights)?;
            out = out.index_add(&rows, &y, 0)?;
        }
        Ok(out)
    }
}

/// The `n` experts of largest logit with the softmax over all of them as their weights, or with weights that add up to 1.
fn route(logits: &[f32], n: usize, normalise: bool) -> Vec<(usize, f32)> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut all: Vec<(usize, f32)> = logits.iter().map(|l| (l - max).exp()).enumerate().collect();
    let whole: f32 = all.iter().map(|e| e.1).sum();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(n);
    let sum = if normalise { all.iter().map(|e| e.1).sum() } else { whole };
    all.iter_mut().for_each(|e| e.1 /= sum);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_picks_the_likeliest() {
        // e^0, e^ln 2, e^ln 4, e^0 of 8 in all.
        let logits = [0.0, 2f32.ln(), 4f32.ln(), 0.0];
        let near = |got: Vec<(usize, f32)>, want: &[(usize, f32)]| {
            assert_eq!(got.len(), want.len());
            assert!(got.iter().zip(want).all(|(g, w)| g.0 == w.0 && (g.1 - w.1).abs() < 1e-6), "{got:?}");
        };
        near(route(&logits, 2, false), &[(2, 0.5), (1, 0.25)]);
        near(route(&logits, 2, true), &[(2, 2.0 / 3.0), (1, 1.0 / 3.0)]);
        near(route(&logits, 3, false), &[(2, 0.5), (1, 0.25), (0, 0.125)]);
    }
}
