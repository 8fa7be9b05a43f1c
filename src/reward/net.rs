//! The network of a reward model: a decoder with a scalar head or a likelihood head.

use crate::model::{Decoder, ModelError, Packed, WeightSource, ops};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// How a token's logit is read off the decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// f = v·h + b, h the state after the token.
    Scalar,
    /// f = w·ln π_θ(token | before) + v·h + b: the comparison with what was expected is handed over (the −ln π of AIRL, arXiv 1710.11248).
    Likelihood,
    /// As `Likelihood`, plus u·(the least ln π_θ of the completion so far): what follows an unlikely token stays under its shadow.
    #[default]
    RunningLikelihood,
}

/// A completion to be scored: the whole sequence and where its completion begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Prompt and completion.
    pub ids: Vec<u32>,
    /// Index of the first completion token, ≥ 1.
    pub start: usize,
}

impl Sequence {
    /// Prompt followed by completion.
    pub fn new(prompt: &[u32], completion: &[u32]) -> Self {
        Self { ids: [prompt, completion].concat(), start: prompt.len() }
    }
    /// Its completion.
    pub fn completion(&self) -> &[u32] {
        &self.ids[self.start..]
    }
}

/// A decoder and its head. Cloning shares the weights.
#[derive(Clone)]
pub struct RewardNet {
    /// The backbone.
    pub decoder: Decoder,
    kind: Head,
    weight: Tensor,
    bias: Tensor,
    likelihood: Option<Tensor>,
    running: Option<Tensor>,
}

impl RewardNet {
    /// Puts the head `reward.{weight [1, hidden], bias [1], likelihood [1], running [1]}` of `source` on a decoder.
    pub fn load(decoder: Decoder, kind: Head, source: &dyn WeightSource) -> Result<Self, ModelError> {
        let hidden = decoder.config().hidden_size;
        Ok(Self {
            weight: source.tensor("reward.weight", &[1, hidden])?,
            bias: source.tensor("reward.bias", &[1])?,
            likelihood: match kind {
                Head::Scalar => None,
                _ => Some(source.tensor("reward.likelihood", &[1])?),
            },
            running: match kind {
                Head::RunningLikelihood => Some(source.tensor("reward.running", &[1])?),
                _ => None,
            },
            decoder,
            kind,
        })
    }

    /// Which head it has.
    pub fn kind(&self) -> Head {
        self.kind
    }

    /// Logits of tokens `[n]`: `after` `[n, hidden]` the states after them, `log_prob` `[n]` their log-probabilities, `least` `[n]` the least of the
    /// completion's log-probabilities up to and with each.
    pub fn head(&self, after: &Tensor, log_prob: &Tensor, least: &Tensor) -> Result<Tensor, ModelError> {
        let mut f = ops::linear(after, &self.weight)?.squeeze(1)?.broadcast_add(&self.bias)?;
        for (x, w) in [(log_prob, &self.likelihood), (least, &self.running)] {
            if let Some(w) = w {
                f = (f + x.to_dtype(self.decoder.dtype())?.broadcast_mul(w)?)?;
            }
        }
        Ok(f)
    }

    /// Logits `[Σ completion tokens]` and ln π_θ of the same tokens, differentiable; sequences one after the other.
    pub fn forward(&self, sequences: &[&Sequence]) -> Result<(Tensor, Tensor), ModelError> {
        let mut batch = Packed::default();
        let (mut before, mut after, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for s in sequences {
            let at = batch.ids.len();
            if s.start == 0 {
                return Err(ModelError::Input("a completion needs a prompt of at least one token".into()));
            }
            for (i, &id) in s.ids.iter().enumerate().skip(s.start) {
                before.push((at + i - 1) as u32);
                after.push((at + i) as u32);
                targets.push(id);
            }
            batch.push(&s.ids);
        }
        let hidden = self.decoder.forward(&batch)?;
        let pick = |index: Vec<u32>| Tensor::from_vec(index, targets.len(), hidden.device()).and_then(|i| hidden.index_select(&i, 0));
        let (before, after) = (pick(before)?, pick(after)?);
        let log_prob = ops::token_log_prob(&self.decoder.logits(&before)?, &targets)?;
        let values: Vec<f32> = log_prob.to_dtype(DType::F32)?.to_vec1()?;
        let mut at = 0;
        let mut least = Vec::with_capacity(values.len());
        for s in sequences {
            let n = s.completion().len();
            least.extend(running_least(&values[at..at + n], f32::INFINITY).iter().map(|&(i, _)| (at + i.unwrap_or(0)) as u32));
            at += n;
        }
        let least = log_prob.index_select(&Tensor::from_vec(least, values.len(), hidden.device())?, 0)?;
        Ok((self.head(&after, &log_prob, &least)?, log_prob))
    }
}

/// Where the least value so far stands, and it; `None` where it is the one carried over from `before`.
pub(super) fn running_least(values: &[f32], before: f32) -> Vec<(Option<usize>, f32)> {
    let (mut at, mut least) = (None, before);
    values
        .iter()
        .enumerate()
        .map(|(i, &v)| {
            if v < least {
                (at, least) = (Some(i), v);
            }
            (at, least)
        })
        .collect()
}
