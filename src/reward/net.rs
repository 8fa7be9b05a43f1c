//! The network of a reward model: a decoder with a scalar head or a likelihood head.

use crate::model::{Decoder, ModelError, Packed, WeightSource, ops};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// How a token's logit is read off the decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// f = v·h + b, h the state after the token.
    Scalar,
    /// f = w·ln π_θ(token | before) + v·h + b: the comparison with what was expected is handed over (the −ln π of AIRL, arXiv 1710.11248).
    #[default]
    Likelihood,
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
}

impl RewardNet {
    /// Puts the head `reward.{weight [1, hidden], bias [1], likelihood [1]}` of `source` on a decoder.
    pub fn load(decoder: Decoder, kind: Head, source: &dyn WeightSource) -> Result<Self, ModelError> {
        let hidden = decoder.config().hidden_size;
        Ok(Self {
            weight: source.tensor("reward.weight", &[1, hidden])?,
            bias: source.tensor("reward.bias", &[1])?,
            likelihood: match kind {
                Head::Likelihood => Some(source.tensor("reward.likelihood", &[1])?),
                Head::Scalar => None,
            },
            decoder,
            kind,
        })
    }

    /// Which head it has.
    pub fn kind(&self) -> Head {
        self.kind
    }

    /// Logits of tokens: `after` `[n, hidden]` the states after them, `log_prob` `[n]` their log-probabilities (likelihood head only).
    pub fn head(&self, after: &Tensor, log_prob: Option<&Tensor>) -> Result<Tensor, ModelError> {
        let f = ops::linear(after, &self.weight)?.squeeze(1)?.broadcast_add(&self.bias)?;
        Ok(match (&self.likelihood, log_prob) {
            (Some(w), Some(lp)) => (f + lp.to_dtype(self.decoder.dtype())?.broadcast_mul(w)?)?,
            (None, _) => f,
            (Some(_), None) => return Err(ModelError::Input("a likelihood head needs log-probabilities".into())),
        })
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
        Ok((self.head(&after, Some(&log_prob))?, log_prob))
    }
}
