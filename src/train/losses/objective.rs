//! What a reward model is trained for: to tell expert text from policy text, at the tokens that its granularity supervises.

use crate::reward::{Outputs, RewardNet, Sequence};
use crate::train::TrainError;
use crate::train::parallel::Micro;
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Binary cross-entropy of the logit f (arXiv 1606.03476; what the main runs of arXiv 2510.01857 do).
    #[default]
    Gail,
    /// Binary cross-entropy of f − ln π, f = g + γφ′ − φ (arXiv 1710.11248); ln π summed over the segment, and constant.
    Airl,
    /// Maximum-entropy IRL with an importance-weighted partition function over the samples of a problem (arXiv 1603.00448).
    Maxent,
    /// −ln σ(D(expert) − D(sample)) over the samples of a problem, D the mean logit of a trace (arXiv 2511.10643).
    Bt,
    /// Mean D(samples) − mean D(experts), the head's weights kept inside a box (arXiv 1701.07875).
    Wgan,
    /// Binary cross-entropy of β·Σ ln π_θ/π_ref over the segment (arXiv 2412.01981).
    Implicit,
    /// Offline on experts alone: −ln π + λ/4·(Q − γV′)², the square of the segment's mean (arXiv 2409.01369).
    Iq,
}

/// The numbers of an objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Which.
    pub objective: Objective,
    /// Targets of the cross-entropy are 1 − s/2 and s/2.
    pub smoothing: f32,
    /// Weight of the mean −ln π_θ of the experts under the reward model's own decoder.
    pub lm_weight: f32,
    /// λ of `iq`; weight of the mean squared logit in `maxent`, `bt` and `wgan`, which leave its level open.
    pub regularisation: f32,
}

/// A sequence with its label and the completion tokens that count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// What is read.
    pub sequence: Sequence,
    /// The label: written by an expert, or right.
    pub expert: bool,
    /// Segments of the completion that are supervised, each at its last token.
    pub segments: Vec<Range<usize>>,
    /// Segments of paragraphs and of the text, for the scales head.
    pub wider: [Vec<Range<usize>>; 2],
    /// Takes part in the language-model term.
    pub lm: bool,
    /// ln π of every completion token under the policy, for the objectives that ask for it.
    pub log_policy: Vec<f32>,
}

/// Sequences of one problem, compared with each other by `bt` and `maxent`.
pub type Group = Vec<Labelled>;

/// What a whole batch holds: the denominators of the means.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Segments of experts and of others.
    pub segments: [usize; 2],
    /// The same of the wider scales, paragraph and text.
    pub wider: [[usize; 2]; 2],
    /// Sequences of experts and of others.
    pub sequences: [usize; 2],
    /// Pairs of an expert and another sequence of the same group.
    pub pairs: usize,
    /// Groups that have an expert.
    pub groups: usize,
    /// Tokens of the language-model term.
    pub lm: usize,
}

impl Totals {
    /// Counts a batch; index 1 is the experts'.
    pub fn of(batch: &[Group]) -> Self {
        let mut t = Self::default();
        for group in batch {
            let mut members = [0, 0];
            for l in group {
                let e = usize::from(l.expert);
                members[e] += 1;
                t.segments[e] += l.segments.len();
                for (n, wider) in t.wider.iter_mut().zip(&l.wider) {
                    n[e] += wider.len();
                }
                t.lm += if l.lm { l.sequence.completion().len() } else { 0 };
            }
            t.pairs += members[0] * members[1];
            t.groups += usize::from(members[1] > 0);
            for (n, m) in t.sequences.iter_mut().zip(members) {
                *n += m;
            }
        }
        t
    }
}

/// Rows of a micro-batch: segments or sequences, with where they begin and end among its completion tokens.
struct Rows {
    starts: Vec<u32>,
    ends: Vec<u32>,
    expert: Vec<bool>,
    /// Number of rows of each sequence.
    of: Vec<usize>,
}

impl Rows {
    fn of<'a>(batch: &[&'a Labelled], pick: impl Fn(&'a Labelled) -> &'a [Range<usize>]) -> Self {
        let mut rows = Self { starts: Vec::new(), ends: Vec::new(), expert: Vec::new(), of: Vec::new() };
        let mut at = 0;
        for l in batch {
            let mine = pick(l);
            for r in mine {
                rows.starts.push((at + r.start) as u32);
                rows.ends.push((at + r.end - 1) as u32);
                rows.expert.push(l.expert);
            }
            rows.of.push(mine.len());
            at += l.sequence.completion().len();
        }
        rows
    }

    fn at_end(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        pick(x, &self.ends)
    }

    /// Sums of `x` over each row's tokens.
    fn sum(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (mut tokens, mut rows) = (Vec::new(), Vec::new());
        for (i, (&a, &b)) in self.starts.iter().zip(&self.ends).enumerate() {
            tokens.extend(a..=b);
            rows.extend(std::iter::repeat_n(i as u32, (b - a + 1) as usize));
        }
        let index = Tensor::new(rows, x.device())?;
        Tensor::zeros(self.ends.len(), x.dtype(), x.device())?.index_add(&index, &pick(x, &tokens)?, 0)
    }

    /// Sums of a value per row over each sequence.
    fn per_sequence(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let rows: Vec<u32> = self.of.iter().enumerate().flat_map(|(i, &n)| std::iter::repeat_n(i as u32, n)).collect();
        Tensor::zeros(self.of.len(), x.dtype(), x.device())?.index_add(&Tensor::new(rows, x.device())?, x, 0)
    }
}

fn pick(x: &Tensor, index: &[u32]) -> candle_core::Result<Tensor> {
    x.index_select(&Tensor::new(index, x.device())?, 0)
}

fn vector(v: Vec<f32>, like: &Tensor) -> candle_core::Result<Tensor> {
    let n = v.len();
    Tensor::from_vec(v, n, like.device())?.to_dtype(like.dtype())
}

/// ln(1 + eˣ).
pub(super) fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// Σ w·(softplus(f) − t·f), the binary cross-entropy, with ½/n of its class as every row's weight.
fn cross_entropy(f: &Tensor, expert: &[bool], totals: [usize; 2], smoothing: f32) -> candle_core::Result<Tensor> {
    let weight = expert.iter().map(|&e| 0.5 / totals[usize::from(e)].max(1) as f32).collect();
    let target = expert.iter().map(|&e| if e { 1.0 - smoothing / 2.0 } else { smoothing / 2.0 }).collect();
    ((softplus(f)? - (f * vector(target, f)?)?)? * vector(weight, f)?)?.sum_all()
}

/// The value of each segment that the objective compares.
fn segment_values(out: &Outputs, rows: &Rows, batch: &[&Labelled], objective: Objective) -> candle_core::Result<Tensor> {
    match (objective, &out.potential) {
        (Objective::Implicit, _) => rows.sum(&out.reward),
        (Objective::Iq, _) => {
            let share = rows.starts.iter().zip(&rows.ends).map(|(a, b)| 1.0 / (b - a + 1) as f32).collect();
            rows.sum(&out.reward)? * vector(share, &out.reward)?
        }
        (_, Some((gamma, before, after))) => {
            let shaping = ((rows.at_end(after)? * f64::from(*gamma))? - pick(before, &rows.starts)?)?;
            let f = (rows.at_end(&out.reward)? + shaping)?;
            if objective != Objective::Airl {
                return Ok(f);
            }
            let policy = batch.iter().flat_map(|l| l.segments.iter().map(|r| l.log_policy[r.clone()].iter().sum())).collect();
            &f - vector(policy, &f)?
        }
        _ => rows.at_end(&out.reward),
    }
}

/// The reward of every segment of every sequence, as the policy is trained with; where the head has a potential, f with it (`shaped`) or g alone.
pub fn segment_rewards(net: &RewardNet, batch: &[Labelled], objective: Objective, shaped: bool) -> Result<Vec<Vec<f32>>, TrainError> {
    let refs: Vec<&Labelled> = batch.iter().collect();
    let mut out = net.forward(&refs.iter().map(|l| &l.sequence).collect::<Vec<_>>())?;
    out.potential = out.potential.filter(|_| shaped);
    let rows = Rows::of(&refs, |l| &l.segments);
    // The policy's own −ln π belongs to the discriminator, not to the reward.
    let objective = if objective == Objective::Airl { Objective::Gail } else { objective };
    let mut values = segment_values(&out, &rows, &refs, objective)?.to_dtype(DType::F32)?.to_vec1::<f32>()?.into_iter();
    Ok(rows.of.iter().map(|&n| values.by_ref().take(n).collect()).collect())
}

/// The loss of a micro-batch of whole groups, and sums for the metrics: `disc_loss`, `lm_loss`, `right_expert`, `right_gen`, `sum_expert`,
/// `sum_gen` over segments (or over pairs in `bt`), `ess` over groups in `maxent`, and `read` tokens.
///
/// Means are over the whole batch's `totals`. Fails where `airl` or `maxent` has no log-probabilities of the policy.
pub fn loss(net: &RewardNet, groups: &[&Group], totals: &Totals, config: &Loss) -> Result<Micro, TrainError> {
    let sequences: Vec<&Sequence> = groups.iter().flat_map(|g| g.iter()).map(|l| &l.sequence).collect();
    loss_of(&net.forward(&sequences)?, groups, totals, config)
}

/// As [`loss`], from what the network said of the completion tokens of the groups, one after the other.
pub fn loss_of(out: &Outputs, groups: &[&Group], totals: &Totals, config: &Loss) -> Result<Micro, TrainError> {
    let batch: Vec<&Labelled> = groups.iter().flat_map(|g| g.iter()).collect();
    let asks = matches!(config.objective, Objective::Airl | Objective::Maxent);
    if asks && batch.iter().any(|l| l.log_policy.len() != l.sequence.completion().len()) {
        return Err(TrainError::Data("airl and maxent need the policy's log-probability of every token".into()));
    }
    let rows = Rows::of(&batch, |l| &l.segments);
    let f = segment_values(out, &rows, &batch, config.objective)?;
    let values: Vec<f32> = f.to_dtype(DType::F32)?.to_vec1()?;
    let (mut right, mut sum) = ([0.0; 2], [0.0; 2]);
    for (f, &expert) in values.iter().zip(&rows.expert) {
        right[usize::from(expert)] += f64::from(u8::from((*f > 0.0) == expert));
        sum[usize::from(expert)] += f64::from(*f);
    }
    let mut ess = 0.0;
    let level = || f.sqr()?.sum_all()? * (f64::from(config.regularisation) / totals.segments.iter().sum::<usize>().max(1) as f64);
    let main = match config.objective {
        Objective::Gail | Objective::Airl | Objective::Implicit => {
            let mut main = cross_entropy(&f, &rows.expert, totals.segments, config.smoothing)?;
            if let Some(scales) = &out.scales {
                let steps =
                    cross_entropy(&rows.at_end(&scales.narrow(1, 0, 1)?.squeeze(1)?)?, &rows.expert, totals.segments, config.smoothing)?;
                main = (main + steps)?;
                for i in 0..2 {
                    let wider = Rows::of(&batch, |l| &l.wider[i]);
                    let own = wider.at_end(&scales.narrow(1, i + 1, 1)?.squeeze(1)?)?;
                    main = (main + cross_entropy(&own, &wider.expert, totals.wider[i], config.smoothing)?)?;
                }
            }
            main
        }
        Objective::Wgan => {
            let sign = |e: bool| if e { -1.0 } else { 1.0 } / totals.segments[usize::from(e)].max(1) as f32;
            let sign = rows.expert.iter().map(|&e| sign(e)).collect();
            ((&f * vector(sign, &f)?)?.sum_all()? + level()?)?
        }
        Objective::Iq => {
            let share = rows.expert.iter().map(|&e| if e { 1.0 / totals.segments[1].max(1) as f32 } else { 0.0 }).collect();
            ((f.sqr()? * vector(share, &f)?)?.sum_all()? * f64::from(config.regularisation / 4.0))?
        }
        Objective::Bt | Objective::Maxent => {
            let mut trace = rows.per_sequence(&f)?;
            if config.objective == Objective::Bt {
                let share = rows.of.iter().map(|&n| 1.0 / n.max(1) as f32).collect();
                trace = (&trace * vector(share, &trace)?)?;
                (right, sum) = ([0.0; 2], [0.0; 2]);
            }
            let traces: Vec<f32> = trace.to_dtype(DType::F32)?.to_vec1()?;
            let (mut losses, mut at) = (vec![level()?], 0u32);
            for group in groups {
                let ids: Vec<u32> = (at..at + group.len() as u32).collect();
                let (experts, others): (Vec<u32>, Vec<u32>) = ids.iter().partition(|&&i| batch[i as usize].expert);
                at += group.len() as u32;
                if config.objective == Objective::Bt {
                    let pairs: Vec<(u32, u32)> = experts.iter().flat_map(|&e| others.iter().map(move |&o| (e, o))).collect();
                    if pairs.is_empty() {
                        continue;
                    }
                    let (e, o): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
                    let margin = (pick(&trace, &o)? - pick(&trace, &e)?)?;
                    losses.push((softplus(&margin)?.sum_all()? / totals.pairs.max(1) as f64)?);
                    for (e, o) in pairs {
                        let (e, o) = (traces[e as usize], traces[o as usize]);
                        let won = f64::from(u8::from(e > o));
                        right = [right[0] + won, right[1] + won];
                        sum = [sum[0] + f64::from(o), sum[1] + f64::from(e)];
                    }
                } else if !experts.is_empty() {
                    // Z of the problem: every sequence of the group weighted by the inverse of its probability under the policy.
                    let q = ids.iter().map(|&i| batch[i as usize].log_policy.iter().sum()).collect();
                    let mine = pick(&trace, &ids)?;
                    let energy = (&mine - vector(q, &mine)?)?;
                    let log_z = (energy.log_sum_exp(0)? - (ids.len() as f64).ln())?;
                    let expert = pick(&trace, &experts)?.mean_all()?;
                    losses.push(((log_z - expert)? / totals.groups.max(1) as f64)?);
                    let w: Vec<f32> = candle_nn::ops::softmax(&energy, 0)?.to_dtype(DType::F32)?.to_vec1()?;
                    ess += 1.0 / w.iter().map(|w| f64::from(w * w)).sum::<f64>();
                }
            }
            Tensor::stack(&losses, 0)?.sum_all()?
        }
    };
    let lm_weight = if config.objective == Objective::Iq { 1.0 } else { config.lm_weight };
    let lm = batch.iter().flat_map(|l| {
        let w = if l.lm { 1.0 / totals.lm.max(1) as f32 } else { 0.0 };
        std::iter::repeat_n(w, l.sequence.completion().len())
    });
    let nll = (&out.log_prob * vector(lm.collect(), &out.log_prob)?)?.sum_all()?.neg()?;
    let number = |t: &Tensor| -> candle_core::Result<f64> { Ok(f64::from(t.to_dtype(DType::F32)?.to_scalar::<f32>()?)) };
    let sums = vec![
        ("disc_loss", number(&main)?),
        ("lm_loss", number(&nll)?),
        ("right_expert", right[1]),
        ("right_gen", right[0]),
        ("sum_expert", sum[1]),
        ("sum_gen", sum[0]),
        ("ess", ess),
        ("read", batch.iter().map(|l| l.sequence.ids.len()).sum::<usize>() as f64),
    ];
    let loss = if lm_weight > 0.0 { (main + (nll.to_dtype(f.dtype())? * f64::from(lm_weight))?)? } else { main };
    Ok(Micro { loss, sums })
}
