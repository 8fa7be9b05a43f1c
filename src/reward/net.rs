//! The network of a reward model: a decoder and what is read off it.

use crate::model::{Decoder, ModelError, Packed, WeightSource, ops};
use candle_core::{D, DType, Tensor};
use serde::{Deserialize, Serialize};

/// How a token's reward is read off the decoder. h is the state after the token, s the state before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// f = v·h + b.
    Scalar,
    /// f = w·ln π_θ(token | before) + v·h + b: the comparison with what was expected is handed over (the −ln π of AIRL, arXiv 1710.11248).
    #[default]
    Likelihood,
    /// g as `Likelihood` or `Scalar` beside a potential u·h + c: f = g + γ·φ(h) − φ(s), φ = 0 after the end token (AIRL, arXiv 1710.11248 eq. 4).
    /// The reward that is shown and transferred is g.
    Shaped {
        /// Discount γ of the potential.
        gamma: f32,
        /// Whether g has the likelihood term.
        likelihood: bool,
    },
    /// Three scores, v_i·h + b_i, for the ends of steps, of paragraphs and of the text, mixed by learned weights softmax(m).
    Scales,
    /// β·(ln π_θ − ln π_ref) of the token, π_ref a frozen decoder beside the trained one (implicit PRM, arXiv 2412.01981).
    Implicit {
        /// Scale β.
        beta: f32,
    },
    /// Q − γ·V of the next state with Q the decoder's logit of the token and V = ln Σ exp Q, 0 after the end token (IQ-Learn, arXiv 2106.12142).
    Q {
        /// Discount γ.
        gamma: f32,
    },
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

/// What is known of `n` completion tokens.
pub struct States<'a> {
    /// The tokens.
    pub targets: &'a [u32],
    /// States before them, `[n, hidden]`.
    pub before: Tensor,
    /// States after them, `[n, hidden]`.
    pub after: Tensor,
    /// States before them of the reference decoder, where the head has one.
    pub reference: Option<Tensor>,
}

/// What the network says of `n` tokens; differentiable.
pub struct Outputs {
    /// The reward of each, `[n]`: the logit of the heads that have one, g of a shaped one, the mix of scales.
    pub reward: Tensor,
    /// ln π_θ of each under its own decoder, `[n]`.
    pub log_prob: Tensor,
    /// A shaped head's discount and potentials before and after each token, `[n]`.
    pub potential: Option<(f32, Tensor, Tensor)>,
    /// The scores of the three scales, `[n, 3]`: step, paragraph, text.
    pub scales: Option<Tensor>,
}

/// A decoder and its head. Cloning shares the weights.
#[derive(Clone)]
pub struct RewardNet {
    /// The backbone.
    pub decoder: Decoder,
    /// The frozen decoder that an implicit reward is measured against.
    pub reference: Option<Decoder>,
    kind: Head,
    linear: Option<(Tensor, Tensor)>,
    likelihood: Option<Tensor>,
    potential: Option<(Tensor, Tensor)>,
    mix: Option<Tensor>,
    /// The reward of a token is f, its potential's part included.
    shaped: bool,
}

/// Weights under a common prefix of another source.
pub(crate) struct Under<'a>(pub &'a dyn WeightSource, pub &'a str);

impl WeightSource for Under<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        self.0.tensor(&format!("{}{name}", self.1), shape)
    }
    fn contains(&self, name: &str) -> bool {
        self.0.contains(&format!("{}{name}", self.1))
    }
    fn makes(&self) -> bool {
        self.0.makes()
    }
}

/// Prefix of the reference decoder's weights in a reward model's file.
pub const REFERENCE: &str = "reference.";

impl RewardNet {
    /// As [`RewardNet::new`]; an implicit head's reference is read from `source` under [`REFERENCE`].
    pub fn load(decoder: Decoder, kind: Head, source: &dyn WeightSource) -> Result<Self, ModelError> {
        let reference = match kind {
            Head::Implicit { .. } => Some(Decoder::load(decoder.config(), &Under(source, REFERENCE), &mut |_| {})?),
            _ => None,
        };
        Self::new(decoder, reference, kind, source)
    }

    /// Puts a head on a decoder. It takes from `source` what it needs of `reward.{weight [rows, hidden], bias [rows], likelihood [1], mix [3]}`
    /// (three rows for scales, else one) and `reward.potential.{weight [1, hidden], bias [1]}`.
    pub fn new(decoder: Decoder, reference: Option<Decoder>, kind: Head, source: &dyn WeightSource) -> Result<Self, ModelError> {
        let hidden = decoder.config().hidden_size;
        let row = |name: &str, rows: usize| -> Result<_, ModelError> {
            Ok((source.tensor(&format!("{name}.weight"), &[rows, hidden])?, source.tensor(&format!("{name}.bias"), &[rows])?))
        };
        let one = |name: &str, n: usize| source.tensor(name, &[n]);
        let likelihood = matches!(kind, Head::Likelihood | Head::Shaped { likelihood: true, .. });
        Ok(Self {
            linear: match kind {
                Head::Implicit { .. } | Head::Q { .. } => None,
                Head::Scales => Some(row("reward", 3)?),
                _ => Some(row("reward", 1)?),
            },
            likelihood: if likelihood { Some(one("reward.likelihood", 1)?) } else { None },
            potential: if let Head::Shaped { .. } = kind { Some(row("reward.potential", 1)?) } else { None },
            mix: if kind == Head::Scales { Some(one("reward.mix", 3)?) } else { None },
            decoder,
            reference,
            kind,
            shaped: false,
        })
    }

    /// The same with decoders for inference: see [`Decoder::for_inference`].
    pub fn for_inference(self) -> Result<Self, ModelError> {
        let reference = self.reference.map(Decoder::for_inference).transpose()?;
        Ok(Self { decoder: self.decoder.for_inference()?, reference, ..self })
    }

    /// The same with f = g + γφ′ − φ of every token as its reward rather than g. Fails where the head has no potential.
    pub fn shaped(self) -> Result<Self, ModelError> {
        if self.potential.is_none() {
            return Err(ModelError::Input("this reward has no potential to be read with; only one learned by airl has".into()));
        }
        Ok(Self { shaped: true, ..self })
    }

    /// Which head it has.
    pub fn kind(&self) -> Head {
        self.kind
    }

    /// Reads the head off states.
    pub fn read(&self, s: &States) -> Result<Outputs, ModelError> {
        let logits = self.decoder.logits(&s.before)?;
        let log_prob = ops::token_log_prob(&logits, s.targets)?;
        let linear = |x: &Tensor, (w, b): &(Tensor, Tensor)| ops::linear(x, w)?.broadcast_add(b);
        // 0 after the end token, 1 elsewhere
        let going = || {
            let ends = &self.decoder.config().eos_token_ids;
            let v: Vec<f32> = s.targets.iter().map(|t| f32::from(u8::from(!ends.contains(t)))).collect();
            Tensor::from_vec(v, s.targets.len(), s.after.device())?.to_dtype(s.after.dtype())
        };
        let (mut potential, mut scales) = (None, None);
        let reward = match self.kind {
            Head::Q { gamma } => {
                let index = Tensor::from_slice(s.targets, (s.targets.len(), 1), logits.device())?;
                let q = logits.gather(&index, 1)?.squeeze(1)?;
                let v = (self.decoder.logits(&s.after)?.log_sum_exp(D::Minus1)? * going()?)?;
                (q - (v * f64::from(gamma))?)?
            }
            Head::Implicit { beta } => {
                let (Some(reference), Some(states)) = (&self.reference, &s.reference) else {
                    return Err(ModelError::Input("an implicit head needs its reference decoder".into()));
                };
                let base = ops::token_log_prob(&reference.logits(states)?, s.targets)?.detach();
                ((&log_prob - base)? * f64::from(beta))?
            }
            _ => {
                let head = self.linear.as_ref().ok_or_else(|| ModelError::Input("the head has no weights".into()))?;
                let rows = linear(&s.after, head)?;
                let mut f = match &self.mix {
                    Some(mix) => {
                        let share = candle_nn::ops::softmax(mix, 0)?;
                        let f = rows.broadcast_mul(&share)?.sum(1)?;
                        scales = Some(rows);
                        f
                    }
                    None => rows.squeeze(1)?,
                };
                if let Some(w) = &self.likelihood {
                    f = (f + log_prob.to_dtype(self.decoder.dtype())?.broadcast_mul(w)?)?;
                }
                if let (Some(u), Head::Shaped { gamma, .. }) = (&self.potential, self.kind) {
                    let after = (linear(&s.after, u)?.squeeze(1)? * going()?)?;
                    let before = linear(&s.before, u)?.squeeze(1)?;
                    if self.shaped {
                        f = ((f + (&after * f64::from(gamma))?)? - before)?;
                    } else {
                        potential = Some((gamma, before, after));
                    }
                }
                f
            }
        };
        Ok(Outputs { reward, log_prob, potential, scales })
    }

    /// What the network says of every completion token, sequences one after the other; differentiable.
    pub fn forward(&self, sequences: &[&Sequence]) -> Result<Outputs, ModelError> {
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
        let pick = |hidden: &Tensor, index: &[u32]| {
            Tensor::from_slice(index, index.len(), hidden.device()).and_then(|i| hidden.index_select(&i, 0))
        };
        let hidden = self.decoder.forward(&batch)?;
        let reference = match &self.reference {
            Some(r) => Some(pick(&r.forward(&batch)?, &before)?),
            None => None,
        };
        self.read(&States { targets: &targets, before: pick(&hidden, &before)?, after: pick(&hidden, &after)?, reference })
    }
}

/// The numbers of a tensor of one dimension.
pub fn numbers(t: &Tensor) -> Result<Vec<f32>, ModelError> {
    Ok(t.to_dtype(DType::F32)?.to_vec1()?)
}
