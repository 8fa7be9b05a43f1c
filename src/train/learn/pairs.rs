//! Policy training on pairs of a chosen and a rejected completion.

use crate::model::Decoder;
use crate::reward::{RewardNet, Sequence, score};
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::losses::likelihood::{log_probs, log_probs_of};
use crate::train::losses::preference::{PreferenceKind, Side, kto_baseline, preference_loss, sequence_log_probs};
use crate::train::optim::AdamW;
use crate::train::parallel::accumulate;
use crate::train::progress::Progress;
use crate::train::recipe::{PreferenceConfig, Ranking};
use crate::train::resume::{Resumable, drive};
use crate::train::rollout::Rollout;
use crate::train::state::State;
use crate::util::seed::mix;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Pairs of one micro-batch.
const MICRO: usize = 4;

/// A chosen and a rejected completion of a problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The problem.
    pub problem: u64,
    /// Chosen, rejected: tokens.
    pub completions: [Vec<u32>; 2],
}

/// One pair a problem where its samples give one: the best and the worst by the reward model's mean logit, a right and a wrong one by the verifier, or, for
/// SPIN, the demonstration against the first sample.
pub fn pairs(
    rollouts: &[Rollout],
    data: &Demonstrations,
    reward: Option<&RewardNet>,
    config: &PreferenceConfig,
) -> Result<Vec<Pair>, TrainError> {
    let mut out = Vec::new();
    for group in rollouts.chunk_by(|a, b| a.problem == b.problem) {
        let problem = group[0].problem;
        let two = match (config.loss.kind, config.rank) {
            (PreferenceKind::Spin, _) => data.expert(problem).map(|e| [e.completion().to_vec(), group[0].ids.clone()]),
            (_, Ranking::Verifier) => {
                let find = |right: bool| group.iter().find(|r| r.correct == Some(right)).map(|r| r.ids.clone());
                find(true).zip(find(false)).map(|(a, b)| [a, b])
            }
            (_, Ranking::Reward) => {
                let net = reward.ok_or_else(|| TrainError::Data("preference.rank is \"reward\", but the recipe has no [reward]".into()))?;
                let scores = score(net, &group.iter().map(|r| r.sequence(data)).collect::<Vec<_>>())?;
                let mean = |i: usize| scores[i].logits.iter().sum::<f32>() / scores[i].logits.len().max(1) as f32;
                let mut order: Vec<usize> = (0..group.len()).collect();
                order.sort_by(|&a, &b| mean(b).total_cmp(&mean(a)));
                order.first().zip(order.last()).map(|(&a, &b)| [group[a].ids.clone(), group[b].ids.clone()])
            }
        };
        out.extend(two.filter(|[a, b]| a != b).map(|completions| Pair { problem, completions }));
    }
    Ok(out)
}

/// Trains `policy`, whose variables `optimiser` holds, on `pairs`, against the `reference` that it starts from.
pub fn train(
    stage: &Resumable,
    policy: &Decoder,
    reference: &Decoder,
    optimiser: AdamW,
    (data, pairs): (&Demonstrations, &[Pair]),
    config: &PreferenceConfig,
    progress: &mut Progress,
) -> Result<(), TrainError> {
    if pairs.is_empty() && stage.steps > 0 {
        return Err(TrainError::Data("no problem gave a chosen and a rejected sample; raise preference.samples or the temperature".into()));
    }
    let sequence = |problem: u64, ids: &[u32]| Sequence::new(&data.prompt(problem), ids);
    drive(stage, &mut State::one(optimiser), progress, |step, state| {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        let epoch = step * config.batch_size / pairs.len();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(mix(data.seed() ^ 0x7072_6566, epoch as u64)));
        let batch: Vec<&Pair> = (0..config.batch_size).map(|k| &pairs[order[(step * config.batch_size + k) % pairs.len()]]).collect();
        let sides = [0, 1].map(|side| batch.iter().map(|p| sequence(p.problem, &p.completions[side])).collect::<Vec<_>>());
        let sums = |net: &Decoder, sequences: &[Sequence]| -> Result<Vec<f32>, TrainError> {
            Ok(log_probs_of(net, &sequences.iter().collect::<Vec<_>>())?.iter().map(|v| v.iter().sum()).collect())
        };
        let known = [sums(reference, &sides[0])?, sums(reference, &sides[1])?];
        let baseline = match config.loss.kind {
            PreferenceKind::Kto => {
                // Completions beside the problem of the next pair stand for text that the policy would not write there.
                let next = |k: usize| batch[(k + 1) % batch.len()].problem;
                let apart: Vec<_> = batch.iter().enumerate().map(|(k, p)| sequence(next(k), &p.completions[k % 2])).collect();
                kto_baseline(&sums(policy, &apart)?, &sums(reference, &apart)?)
            }
            _ => 0.0,
        };
        let at: Vec<usize> = (0..batch.len()).collect();
        let micro: Vec<&[usize]> = at.chunks(MICRO).collect();
        let optimiser = state.first();
        let (grads, sums) = accumulate(&micro, optimiser.vars(), |at| {
            let both: Vec<&Sequence> = sides.iter().flat_map(|s| at.iter().map(move |&i| &s[i])).collect();
            let lens: Vec<usize> = both.iter().map(|s| s.completion().len()).collect();
            let total = sequence_log_probs(&log_probs(policy, &both)?.0, &lens)?;
            let half = |side: usize| total.narrow(0, side * at.len(), at.len());
            let known = |side: usize| at.iter().map(|&i| known[side][i]).collect::<Vec<f32>>();
            let (chosen, rejected, chosen_known, rejected_known) = (half(0)?, half(1)?, known(0), known(1));
            let side = |policy, reference| Side { policy, reference };
            let micro =
                preference_loss(side(&chosen, &chosen_known), side(&rejected, &rejected_known), baseline, &config.loss, batch.len())?;
            Ok(micro)
        })?;
        let norm = optimiser.update(&grads, stage.steps)?;
        let get = |name| sums.iter().find(|s| s.0 == name).map_or(0.0, |s| s.1);
        let n = batch.len() as f64;
        Ok(vec![
            ("loss", get("loss")),
            ("rewards/chosen", get("rewards/chosen") / n),
            ("rewards/rejected", get("rewards/rejected") / n),
            ("rewards/margins", get("rewards/margins") / n),
            ("rewards/accuracies", get("rewards/accuracies") / n),
            ("grad_norm", norm),
            ("num_tokens", sides.iter().flatten().map(|s| s.ids.len()).sum::<usize>() as f64),
        ])
    })
}
