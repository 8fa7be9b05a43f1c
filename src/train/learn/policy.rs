//! Policy optimisation: rollouts, rewards, advantages, a policy update, and a reward model that goes on learning from the rollouts.

use crate::generate::{Completion, Prompt};
use crate::model::Decoder;
use crate::reward::Sequence;
use crate::run::RunSample;
use crate::trace::{Sampling, Trace};
use crate::train::TrainError;
use crate::train::data::Demonstrations;
use crate::train::learn::discriminator::Discriminator;
use crate::train::losses::advantage::{Estimator, advantages, dense_advantages, without_state};
use crate::train::losses::likelihood::{log_probs, log_probs_of};
use crate::train::losses::objective::segment_rewards;
use crate::train::losses::policy_loss::{PolicyTotals, policy_loss};
use crate::train::losses::tree::tree_advantages;
use crate::train::models::checkpoint::write_atomically;
use crate::train::optim::AdamW;
use crate::train::parallel::accumulate;
use crate::train::progress::Progress;
use crate::train::recipe::{Returns, RlConfig};
use crate::train::resume::{Resumable, drive};
use crate::train::rollout::Rollout;
use crate::train::rollout::served::Served;
use crate::train::state::{State, Values};
use crate::train::world::sample_all;
use crate::util::seed::mix;
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sequences of one micro-batch.
const MICRO: usize = 8;

/// A policy in training.
pub struct Trainer<'a> {
    /// The policy.
    pub policy: &'a Decoder,
    /// What it is held near to, where the loss has a KL term.
    pub reference: Option<&'a Decoder>,
    /// The reward model and how it goes on learning; absent: the verifier alone.
    pub reward: Option<Discriminator<'a>>,
    /// Problems and demonstrations.
    pub data: &'a Demonstrations,
    /// Numbers.
    pub config: &'a RlConfig,
    /// Servers that sample for the policy; absent: it samples here.
    pub served: Option<Served<'a>>,
    /// Where the newest rollouts are written for people to look at.
    pub samples: &'a Path,
    /// Set to stop, also while rollouts are sampled.
    pub stop: &'a AtomicBool,
}

/// Rewards of a group's rollouts.
struct Rewarded {
    /// One number a rollout.
    trace: Vec<f32>,
    /// One number a token, the verifier's on the last.
    tokens: Vec<Vec<f32>>,
}

impl Trainer<'_> {
    /// Trains for the updates of the stage. `optimiser` holds the policy's variables, `reward` the reward model's where it goes on learning.
    pub fn train(&self, stage: &Resumable, optimiser: AdamW, reward: Option<AdamW>, progress: &mut Progress) -> Result<State, TrainError> {
        let mut state = State::one(optimiser);
        // The name that its tensors have in checkpoints.
        state.optimisers.extend(reward.map(|r| ("critic-", r)));
        drive(stage, &mut state, progress, |step, state| self.update(step, stage, state))?;
        Ok(state)
    }

    fn update(&self, step: usize, stage: &Resumable, state: &mut State) -> Result<Values, TrainError> {
        let c = self.config;
        let damaged = |e: serde_json::Error| TrainError::Checkpoint { path: stage.checkpoint.clone(), what: e.to_string() };
        let mut replay: VecDeque<Vec<Rollout>> = match state.extra.is_empty() {
            true => VecDeque::new(),
            false => serde_json::from_slice(&state.extra).map_err(damaged)?,
        };
        let (groups, entropy) = self.rollouts(step)?;
        let mut values: Values = Vec::new();
        if let (Some(reward), Some((_, optimiser))) = (&self.reward, state.optimisers.get_mut(1)) {
            let pool = reward.pool(groups.iter().flatten().chain(replay.iter().flatten()));
            for u in 0..c.critic_updates {
                let seed = mix(self.data.seed() ^ 0x0063_7269_7469_6300, (step * c.critic_updates + u) as u64);
                values = reward.update(seed, &pool, optimiser, stage.steps * c.critic_updates)?;
            }
            values.retain(|v| !matches!(v.0, "grad_norm" | "num_tokens"));
        }
        let rewarded = groups.iter().map(|g| self.rewards(g)).collect::<Result<Vec<_>, _>>()?;
        let (policy_values, read) = self.improve(&groups, &rewarded, state.first(), stage.steps)?;
        values.extend(policy_values);
        values.extend(self.describe(&groups, &rewarded));
        values.extend(entropy.map(|h| ("entropy", h)));
        values.push(("num_tokens", read));
        if c.samples_every > 0 && step.is_multiple_of(c.samples_every) {
            self.show(stage, step, &groups, &rewarded)?;
        }
        replay.push_back(groups.into_iter().flatten().collect());
        while replay.len() > c.replay {
            replay.pop_front();
        }
        state.extra = serde_json::to_vec(&replay).map_err(damaged)?;
        Ok(values)
    }

    /// The rollouts of a step, a group a problem, and the policy's mean entropy over their tokens, nats, where it is known.
    fn rollouts(&self, step: usize) -> Result<(Vec<Vec<Rollout>>, Option<f64>), TrainError> {
        let c = self.config;
        let problems = self.data.problem_batch(step * c.prompts, c.prompts);
        let seed = self.data.seed() ^ 0x726f_6c6c_6f75_7400;
        let prompt = |(k, &i): (usize, &u64)| Prompt { ids: self.data.prompt(i), seed: mix(seed, (step * c.prompts + k) as u64) };
        let prompts: Vec<Prompt> = problems.iter().enumerate().map(prompt).collect();
        let sampling = Sampling { temperature: c.temperature, max_tokens: c.max_tokens, ..Sampling::default() };
        let groups = match &self.served {
            Some(served) => served.sample(step, &prompts, c.samples, &sampling)?,
            None => {
                let stopped = || self.stop.load(Ordering::Relaxed);
                let go_on = &mut |_| if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
                sample_all(self.policy, &prompts, c.samples, &sampling, go_on)?
            }
        };
        if groups.len() < prompts.len() {
            return Err(TrainError::Interrupted);
        }
        let all: Vec<&Completion> = groups.iter().flatten().collect();
        let tokens = all.iter().map(|c| c.entropies.len()).sum::<usize>();
        let entropy = all.iter().flat_map(|c| &c.entropies).map(|&h| f64::from(h)).sum::<f64>() / tokens as f64;
        let entropy = (tokens > 0).then_some(entropy);
        let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
        let each = problems.iter().zip(groups).flat_map(|(&i, g)| g.into_iter().map(move |c| (i, c))).collect();
        let mut graded = Rollout::graded(each, self.data)?.into_iter();
        Ok((sizes.into_iter().map(|n| graded.by_ref().take(n).collect()).collect(), entropy))
    }

    /// Rewards of a group: the reward model's, clipped and back-filled over the segments that its granularity supervises, and the verifier's.
    fn rewards(&self, group: &[Rollout]) -> Result<Rewarded, TrainError> {
        let c = self.config;
        let mut out = Rewarded { trace: vec![0.0; group.len()], tokens: group.iter().map(|r| vec![0.0; r.ids.len()]).collect() };
        if let Some(reward) = self.reward.as_ref().filter(|_| c.learned != 0.0) {
            let batch: Vec<_> = group.iter().map(|r| reward.labelled(r.sequence(self.data), false, 0..r.ids.len())).collect();
            let parts: Vec<_> = batch.par_chunks(MICRO).map(|b| segment_rewards(reward.net, b, reward.objective, c.shaped)).collect();
            let values = parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
            for ((l, values), tokens) in batch.iter().zip(values).zip(&mut out.tokens) {
                for (segment, value) in l.segments.iter().zip(values) {
                    tokens[segment.clone()].fill(c.learned * value.clamp(-c.reward_clip, c.reward_clip));
                }
            }
            if c.entropy_baseline {
                without_state(&mut out.tokens, &group.iter().map(|r| r.entropies.as_slice()).collect::<Vec<_>>());
            }
            for (trace, tokens) in out.trace.iter_mut().zip(&out.tokens) {
                *trace = tokens.iter().sum::<f32>() / tokens.len().max(1) as f32;
            }
        }
        for (r, (trace, tokens)) in group.iter().zip(out.trace.iter_mut().zip(&mut out.tokens)) {
            let right = c.verifier * f32::from(u8::from(r.correct == Some(true)));
            *trace += right;
            if let Some(last) = tokens.last_mut() {
                *last += right;
            }
        }
        Ok(out)
    }

    /// The advantage of every token of a group.
    fn advantages(&self, group: &[Rollout], rewarded: &Rewarded) -> Vec<Vec<f32>> {
        let whole = |estimator: Estimator| -> Vec<Vec<f32>> {
            advantages(estimator, &rewarded.trace).into_iter().zip(group).map(|(a, r)| vec![a; r.ids.len()]).collect()
        };
        match self.config.returns {
            Returns::Trace => whole(self.config.estimator),
            Returns::Dense { gamma } => dense_advantages(&rewarded.tokens, gamma),
            Returns::Tree { gamma, tau } => {
                let ids: Vec<&[u32]> = group.iter().map(|r| r.ids.as_slice()).collect();
                tree_advantages(&ids, &rewarded.tokens, gamma, tau)
            }
        }
    }

    /// Policy updates on the rollouts of a step; metrics, and tokens read.
    fn improve(
        &self,
        groups: &[Vec<Rollout>],
        rewarded: &[Rewarded],
        optimiser: &mut AdamW,
        steps: usize,
    ) -> Result<(Values, f64), TrainError> {
        struct Item<'a> {
            sequence: Sequence,
            old: &'a [f32],
            reference: Vec<f32>,
            advantage: Vec<f32>,
        }
        let c = self.config;
        let began = std::time::Instant::now();
        let mut items: Vec<Item> = Vec::new();
        for (group, rewarded) in groups.iter().zip(rewarded) {
            for (r, advantage) in group.iter().zip(self.advantages(group, rewarded)) {
                items.push(Item { sequence: r.sequence(self.data), old: &r.logprobs, reference: Vec::new(), advantage });
            }
        }
        let credit = began.elapsed().as_secs_f64();
        if let (Some(reference), true) = (self.reference, c.loss.kl > 0.0) {
            let known = log_probs_of(reference, &items.iter().map(|i| &i.sequence).collect::<Vec<_>>())?;
            items.iter_mut().zip(known).for_each(|(i, p)| i.reference = p);
        }
        items.sort_by_key(|i| i.sequence.ids.len());
        let totals = PolicyTotals { sequences: items.len(), tokens: items.iter().map(|i| i.old.len()).sum() };
        let micro: Vec<&[Item]> = items.chunks(MICRO).collect();
        let flat = |items: &[Item], f: &dyn Fn(&Item) -> Vec<f32>| -> Vec<f32> { items.iter().flat_map(f).collect() };
        let (mut norm, mut sums, rate) = (0.0, Vec::new(), optimiser.rate(steps * c.epochs));
        for _ in 0..c.epochs {
            let (grads, new) = accumulate(&micro, optimiser.vars(), |items| {
                let log_prob = log_probs(self.policy, &items.iter().map(|i| &i.sequence).collect::<Vec<_>>())?.0;
                let lens: Vec<usize> = items.iter().map(|i| i.old.len()).collect();
                let (old, advantage) = (flat(items, &|i| i.old.to_vec()), flat(items, &|i| i.advantage.clone()));
                let reference = flat(items, &|i| i.reference.clone());
                let reference = (!reference.is_empty()).then_some(reference.as_slice());
                policy_loss(&log_prob, &lens, &old, reference, &advantage, &c.loss, totals)
            })?;
            norm = optimiser.update(&grads, steps * c.epochs)?;
            sums = new;
        }
        let get = |name| sums.iter().find(|s| s.0 == name).map_or(0.0, |s| s.1);
        let tokens = totals.tokens.max(1) as f64;
        let values = vec![
            ("policy_loss", get("policy_loss")),
            ("kl", get("kl") / tokens),
            ("clip_ratio", get("clipped") / tokens),
            ("learning_rate", rate),
            ("grad_norm", norm),
            ("credit_seconds", credit),
        ];
        let read = c.epochs * items.iter().map(|i| i.sequence.ids.len()).sum::<usize>();
        Ok((values, read as f64))
    }

    fn describe(&self, groups: &[Vec<Rollout>], rewarded: &[Rewarded]) -> Values {
        let all: Vec<&Rollout> = groups.iter().flatten().collect();
        let n = all.len().max(1) as f64;
        let share = |f: &dyn Fn(&Rollout) -> bool| all.iter().filter(|r| f(r)).count() as f64 / n;
        let spread = |v: &[f32]| -> f64 {
            let mean = v.iter().sum::<f32>() / v.len().max(1) as f32;
            f64::from(v.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / v.len().saturating_sub(1).max(1) as f32).sqrt()
        };
        let spreads: Vec<f64> = rewarded.iter().map(|r| spread(&r.trace)).collect();
        let groups = spreads.len().max(1) as f64;
        let mut values = vec![
            ("reward", rewarded.iter().flat_map(|r| &r.trace).map(|&x| f64::from(x)).sum::<f64>() / n),
            ("reward_std", spreads.iter().sum::<f64>() / groups),
            ("frac_reward_zero_std", spreads.iter().filter(|s| **s < 1e-6).count() as f64 / groups),
            ("completions/mean_length", all.iter().map(|r| r.ids.len()).sum::<usize>() as f64 / n),
            ("completions/clipped_ratio", share(&|r| !r.stopped)),
        ];
        // What is not graded is not wrong.
        if all.iter().all(|r| r.correct.is_some()) {
            values.push(("pass@1", share(&|r| r.correct == Some(true))));
        }
        values
    }

    /// Writes the rollouts of a step with their rewards, a trace a problem.
    fn show(&self, stage: &Resumable, step: usize, groups: &[Vec<Rollout>], rewarded: &[Rewarded]) -> Result<(), TrainError> {
        let mut out = String::new();
        for (k, (group, rewarded)) in groups.iter().zip(rewarded).enumerate() {
            let Some(first) = group.first() else { continue };
            let problem = self.data.demonstration(first.problem).problem;
            let candidates = group.iter().zip(&rewarded.tokens).zip(&rewarded.trace);
            let candidates =
                candidates.map(|((rollout, tokens), &trace)| RunSample::rewarded(rollout.candidate(self.data.encoding()), tokens, trace));
            let trace = Trace {
                // Two groups of a step may be of one problem.
                id: format!("{}/{}-{}.{}", problem.id, stage.name, step + 1, k + 1),
                problem: problem.text,
                gold_answer: problem.gold,
                candidates: candidates.collect(),
                ..Trace::default()
            };
            out += &RunSample { stage: stage.name.into(), step: step + 1, trace }.to_lines();
        }
        write_atomically(self.samples, out.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TextTokenizer, VarStore};
    use crate::task::stories::Split;
    use crate::train::encoding::Encoding;
    use crate::train::optim::OptimConfig;
    use crate::train::recipe::Shape;
    use candle_core::{DType, Device};

    /// Tokens of even id become frequent where they are rewarded, and rare where they are punished.
    #[test]
    fn rewarded_behaviour_becomes_more_frequent() {
        let tokenizer = TextTokenizer::train_bpe(Demonstrations::corpus(1, 50), 300).unwrap();
        let eos = tokenizer.id(crate::model::END_TOKEN).unwrap();
        let shape = Shape { hidden_size: 16, layers: 1, heads: 2, kv_heads: 1, intermediate_size: 24, context: 256 };
        let config = shape.config(tokenizer.vocab_size(), eos);
        let data = Demonstrations::stories(Encoding { tokenizer, eos }, 1, 20, 20, Split::Train).unwrap();
        let optim = OptimConfig { learning_rate: 1e-2, warmup_steps: 0, ..OptimConfig::default() };
        let rl = RlConfig { prompts: 4, samples: 8, max_tokens: 30, optim, ..RlConfig::default() };
        let mean_after = |sign: f32| -> f64 {
            let store = VarStore::new(3, 1, &Device::Cpu, DType::F32);
            let policy = Decoder::load(&config, &store, &mut |_| {}).unwrap();
            let (samples, never, now) = (Path::new("none"), AtomicBool::new(false), AtomicBool::new(true));
            let trainer =
                |config, stop| Trainer { policy: &policy, reference: None, reward: None, data: &data, config, served: None, samples, stop };
            // One wave of prompts more than what is sampled at once.
            let many = RlConfig { prompts: 32 * rayon::current_num_threads() + 1, samples: 1, max_tokens: 2, ..rl.clone() };
            assert!(matches!(trainer(&many, &now).rollouts(0), Err(TrainError::Interrupted)), "a stop is heard while rollouts are sampled");
            let trainer = trainer(&rl, &never);
            let mut optimiser = AdamW::new(rl.optim.clone(), store.vars());
            let even = |r: &Rollout| r.ids.iter().filter(|&&i| i % 2 == 0).count() as f32 / r.ids.len() as f32;
            let mut last = Vec::new();
            for step in 0..30 {
                let (groups, _) = trainer.rollouts(step).unwrap();
                let trace = |g: &Vec<Rollout>| g.iter().map(|r| sign * even(r)).collect::<Vec<f32>>();
                let rewarded: Vec<Rewarded> = groups.iter().map(|g| Rewarded { trace: trace(g), tokens: Vec::new() }).collect();
                trainer.improve(&groups, &rewarded, &mut optimiser, 1000).unwrap();
                last = groups.iter().flatten().map(|r| f64::from(even(r))).collect();
            }
            last.iter().sum::<f64>() / last.len() as f64
        };
        let (up, down) = (mean_after(1.0), mean_after(-1.0));
        assert!(up > 0.8 && down < 0.2, "{up} {down}");
    }
}
