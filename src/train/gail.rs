//! The plain adversarial objective (`gail` in arXiv 2510.01857) at dense granularity: tell expert tokens from the policy's.

use super::data::Demonstrations;
use super::optim::AdamW;
use super::parallel::{Micro, accumulate};
use super::recipe::GailConfig;
use super::{Progress, Stage, TrainError, drive};
use crate::model::ModelError;
use crate::reward::{RewardNet, Sequence};
use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Sequences of one micro-batch.
const MICRO: usize = 8;

/// A sequence with its label and the completion tokens that count.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// What is read.
    pub sequence: Sequence,
    /// Written by an expert.
    pub expert: bool,
    /// The completion tokens that count: `start..end`.
    pub counted: Range<usize>,
    /// Takes part in the language-model term.
    pub lm: bool,
}

/// Numbers of counted expert and policy tokens and of language-model tokens in a whole batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    expert: usize,
    policy: usize,
    lm: usize,
}

impl Totals {
    /// Counts a batch.
    pub fn of(batch: &[Labelled]) -> Self {
        let mut t = Self::default();
        for l in batch {
            *if l.expert { &mut t.expert } else { &mut t.policy } += l.counted.len();
            t.lm += if l.lm { l.sequence.completion().len() } else { 0 };
        }
        t
    }
}

/// ½·mean over expert tokens + ½·mean over policy tokens of the binary cross-entropy with targets 1 − s/2 and s/2, plus `lm_weight` times the
/// mean −ln π_θ of the experts; means over the whole batch's `totals`.
pub fn loss(net: &RewardNet, batch: &[Labelled], totals: Totals, smoothing: f32, lm_weight: f32) -> Result<Micro, TrainError> {
    let sequences: Vec<&Sequence> = batch.iter().map(|l| &l.sequence).collect();
    let (logits, log_prob) = net.forward(&sequences)?;
    let (mut weight, mut target, mut lm) = (Vec::new(), Vec::new(), Vec::new());
    for l in batch {
        let share = 0.5 / if l.expert { totals.expert } else { totals.policy }.max(1) as f32;
        for i in 0..l.sequence.completion().len() {
            weight.push(if l.counted.contains(&i) { share } else { 0.0 });
            target.push(if l.expert { 1.0 - smoothing / 2.0 } else { smoothing / 2.0 });
            lm.push(if l.lm { lm_weight / totals.lm.max(1) as f32 } else { 0.0 });
        }
    }
    let values: Vec<f32> = logits.to_vec1()?;
    let (mut right, mut sum) = ([0.0; 2], [0.0; 2]);
    for ((f, w), t) in values.iter().zip(&weight).zip(&target) {
        let expert = usize::from(*t > 0.5);
        if *w > 0.0 {
            right[expert] += f64::from(u8::from((*f > 0.0) == (expert == 1)));
            sum[expert] += *f as f64;
        }
    }
    let n = weight.len();
    let vector = |v: Vec<f32>| Tensor::from_vec(v, n, &Device::Cpu)?.to_device(logits.device());
    // softplus(f) − t·f, with softplus(f) = max(f, 0) + ln(1 + e^−|f|)
    let softplus = (logits.relu()? + ((logits.abs()?.neg()?.exp()? + 1.0)?.log()?))?;
    let bce = ((softplus - (&logits * vector(target)?)?)? * vector(weight)?)?.sum_all()?;
    let nll = (&log_prob * vector(lm)?)?.sum_all()?.neg()?;
    let sums = vec![
        ("disc_loss", bce.to_scalar::<f32>()? as f64),
        ("lm_loss", nll.to_scalar::<f32>()? as f64 / lm_weight.max(1e-9) as f64),
        ("right_expert", right[1]),
        ("right_gen", right[0]),
        ("sum_expert", sum[1]),
        ("sum_gen", sum[0]),
        ("read", sequences.iter().map(|s| s.ids.len()).sum::<usize>() as f64),
    ];
    Ok(Micro { loss: if lm_weight > 0.0 { (bce + nll)? } else { bce }, sums })
}

/// A policy sample: the demonstration whose problem it answers, and its completion.
pub type Rollout = (u64, Vec<u32>);

/// The batch of one update: experts and policy samples on the same problems, and corrupted experts each with its twin under the same mask.
pub fn batch(step: usize, config: &GailConfig, data: &Demonstrations, rollouts: &[Rollout]) -> Result<Vec<Labelled>, TrainError> {
    let mut rng = ChaCha8Rng::seed_from_u64(data.seed() ^ 0x6761_696c ^ ((step as u64) << 20));
    let whole = |sequence: Sequence, expert: bool| Labelled { counted: 0..sequence.completion().len(), sequence, expert, lm: expert };
    let mut out = Vec::new();
    let mut chosen: Vec<usize> = (0..config.policy_samples.max(config.experts)).map(|_| rng.random_range(0..rollouts.len())).collect();
    chosen.shuffle(&mut rng);
    for &r in chosen.iter().take(config.experts) {
        out.push(whole(data.expert(rollouts[r].0), true));
    }
    for &r in chosen.iter().take(config.policy_samples) {
        let (problem, completion) = &rollouts[r];
        out.push(whole(Sequence::new(&data.prompt(*problem), completion), false));
    }
    let (mut pairs, mut tries) = (0, 0);
    while pairs < config.corrupted && tries < 20 * config.corrupted {
        tries += 1;
        let problem = rng.random_range(0..data.len() as u64);
        if let Some((bad, good, from)) = data.corrupted(problem, &mut rng) {
            // The same positions on both sides, or where a token stands would tell who wrote it.
            let counted = from..bad.completion().len().min(good.completion().len());
            out.push(Labelled { sequence: bad, expert: false, counted: counted.clone(), lm: false });
            out.push(Labelled { sequence: good, expert: true, counted, lm: true });
            pairs += 1;
        }
    }
    Ok(out)
}

/// Trains `net`, whose variables `optimiser` holds, against the pool of policy samples.
pub fn train(
    stage: &Stage,
    net: &RewardNet,
    mut optimiser: AdamW,
    data: &Demonstrations,
    rollouts: &[Rollout],
    config: &GailConfig,
    progress: &mut Progress,
) -> Result<(), TrainError> {
    if rollouts.is_empty() {
        return Err(ModelError::Input("there are no policy samples to train against".into()).into());
    }
    drive(stage, &mut optimiser, progress, |step, optimiser| {
        let mut batch = batch(step, config, data, rollouts)?;
        batch.sort_by_key(|l| l.sequence.ids.len());
        let totals = Totals::of(&batch);
        let micro: Vec<&[Labelled]> = batch.chunks(MICRO).collect();
        let f = |b: &&[Labelled]| loss(net, b, totals, config.label_smoothing, config.lm_weight);
        let (grads, sums) = accumulate(&micro, optimiser.vars(), f)?;
        let norm = optimiser.update(&grads, config.steps)?;
        let get = |name| sums.iter().find(|s| s.0 == name).map_or(0.0, |s| s.1);
        let (e, p) = (totals.expert.max(1) as f64, totals.policy.max(1) as f64);
        Ok(vec![
            ("disc_loss", get("disc_loss")),
            ("lm_loss", get("lm_loss")),
            ("disc_acc_expert", get("right_expert") / e),
            ("disc_acc_gen", get("right_gen") / p),
            ("logit_expert", get("sum_expert") / e),
            ("logit_gen", get("sum_gen") / p),
            ("grad_norm", norm),
            ("num_tokens", get("read")),
        ])
    })
}
