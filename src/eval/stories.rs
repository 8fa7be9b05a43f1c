//! `stories` evaluated live: the policy samples, the reward model scores, the checker labels.

use crate::eval::ScoredTrace;
use crate::eval::readings::LIKELIHOOD;
use crate::eval::search::{Guide, Searched, Strategy, search};
use crate::generate::{LocalPolicy, Policy, Prompt, decode_all};
use crate::model::{ChatOptions, ModelError, ModelFiles};
use crate::reward::{LocalReward, RewardModel, Sequence, domains, score};
use crate::task::Task;
use crate::task::stories::{Split, check, final_answer, story};
use crate::trace::{
    Aggregation, Calibration, Candidate, GoldDeviation, Granularity, REWARD, Sampling, Signal, SignalSource, Statistic, TokenValue, Trace,
    Unit, Values,
};
use crate::util::seed::mix;
use candle_core::Device;
use rayon::prelude::*;
use std::ops::ControlFlow;

/// Problems that are searched at a time.
const WAVE: usize = 64;

/// A policy and the reward model that is judged on its candidates.
pub struct Pair {
    policy: LocalPolicy,
    reward: LocalReward,
}

impl Pair {
    /// Loads both, the policy to be asked as `chat` says. Fails where they do not share their tokenizer: the policy's ids are scored as they are.
    pub fn open(policy: &ModelFiles, chat: &ChatOptions, reward: &ModelFiles, device: &Device) -> Result<Self, ModelError> {
        let (policy, reward) = (LocalPolicy::asked(policy, chat, device, None)?, LocalReward::open(reward, device, None)?);
        if policy.tokenizer().fingerprint() != reward.tokenizer().fingerprint() {
            return Err(ModelError::Input(
                "policy and reward model have different tokenizers; evaluate a pair that was trained together".into(),
            ));
        }
        Ok(Self { policy, reward })
    }

    /// The same with the reward read with its potential; see [`LocalReward::shaped`].
    pub fn shaped(self) -> Result<Self, ModelError> {
        Ok(Self { reward: self.reward.shaped()?, ..self })
    }

    /// Names of the policy and of the reward model.
    pub fn names(&self) -> (&str, &str) {
        (self.policy.name(), self.reward.name())
    }

    /// What people should know of how the policy is asked.
    pub fn notes(&self) -> &[String] {
        self.policy.notes()
    }

    /// The reward model's thresholds.
    pub fn calibration(&self) -> &Calibration {
        self.reward.calibration()
    }
}

/// What to sample.
#[derive(Clone, Debug)]
pub struct StoriesOptions {
    /// Which problems; never one of [`Split::Train`] for a figure that is reported.
    pub split: Split,
    /// Number of problems.
    pub problems: u64,
    /// Seed of the problems and of the samples.
    pub seed: u64,
    /// Candidates of each.
    pub n: usize,
    /// How to sample; its seed is passed over.
    pub sampling: Sampling,
}

/// A problem with its candidates, and how the policy does without sampling.
pub struct Sampled {
    /// The problem with labelled and scored candidates, the signal [`LIKELIHOOD`] among their scores.
    pub trace: Trace,
    /// Whether the policy's greedy completion is right.
    pub greedy: bool,
}

/// Problems `0..problems` of the split with their candidates; `done` hears how many problems are sampled, and `Break` ends the work.
pub fn sample(
    Pair { policy, reward }: &Pair,
    options: &StoriesOptions,
    done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Sampled>, ModelError> {
    let stories: Vec<_> = (0..options.problems).map(|i| story(options.split, options.seed, i)).collect();
    let prompts = stories
        .iter()
        .enumerate()
        .map(|(i, s)| Ok(Prompt { ids: policy.prompt_ids(&s.problem)?, seed: mix(options.seed ^ 0x6576_616c, i as u64) }))
        .collect::<Result<Vec<_>, ModelError>>()?;
    let groups = decode_all(policy.decoder(), &prompts, options.n, &options.sampling, done)?;
    let greedily = Sampling { temperature: 0.0, ..options.sampling.clone() };
    let greedy = decode_all(policy.decoder(), &prompts[..groups.len()], 1, &greedily, &mut |_| done(groups.len()))?;
    let mut traces = Vec::with_capacity(groups.len());
    for (((story, prompt), group), greedy) in stories.iter().zip(&prompts).zip(groups).zip(greedy) {
        let sequences: Vec<Sequence> = group.iter().map(|c| Sequence::new(&prompt.ids, &c.ids)).collect();
        let scores = score(reward.net(), &sequences)?;
        let read = group.iter().zip(&scores).map(|(c, s)| (c.ids.as_slice(), s.logprobs.as_slice()));
        let gate = reward.card().gate.as_ref();
        let learned = gate.map_or(Ok(Vec::new()), |gate| domains(reward.net(), gate, &prompt.ids, read))?;
        let mut learned = learned.into_iter();
        let candidates = group.iter().zip(scores).map(|(completion, scored)| {
            let mut c = completion.candidate(policy.tokenizer());
            let verdict = check(story, &c.text);
            c.set_rewards(scored.logits);
            let domain = learned.next();
            c.signals.iter_mut().filter(|s| s.name == REWARD).for_each(|s| s.domain.clone_from(&domain));
            let likelihood = likelihood(&c, &scored.logprobs);
            c.put_signal(likelihood);
            c.answer = final_answer(&c.text).map(|n| n.to_string());
            c.correct = Some(verdict.correct);
            c.gold = Some(verdict.first_error.map_or(GoldDeviation::None, GoldDeviation::Step));
            c
        });
        let trace = Trace {
            id: story.id.clone(),
            problem: story.problem.clone(),
            gold_answer: Some(story.answer.to_string()),
            candidates: candidates.collect(),
            source: None,
        };
        let greedy = greedy.iter().all(|c| check(story, &c.candidate(policy.tokenizer()).text).correct);
        traces.push(Sampled { trace, greedy });
    }
    Ok(traces)
}

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Guided {
    /// The strategy.
    pub strategy: Strategy,
    /// Which tokens carry the reward.
    pub granularity: Granularity,
    /// How the step rewards of a beginning become one number.
    pub aggregation: Aggregation,
    /// How the rewards of a step's tokens become one.
    pub statistic: Statistic,
}

/// Problems `0..problems` of the split, each searched with a budget of `options.n` candidates; the checker says which picks are right. `done` as in [`sample`].
pub fn guided(
    Pair { policy, reward }: &Pair,
    options: &StoriesOptions,
    how: &Guided,
    done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Searched, ModelError> {
    let tokenizer = policy.tokenizer();
    let closes: Vec<bool> = (0..policy.decoder().config().vocab_size as u32).map(|id| tokenizer.decode(&[id]).contains('\n')).collect();
    let guide = Guide {
        policy: policy.decoder(),
        reward: reward.net(),
        tokenizer,
        granularity: how.granularity,
        aggregation: how.aggregation,
        statistic: how.statistic,
        sampling: &options.sampling,
        ends_line: &|id| closes.get(id as usize).copied().unwrap_or(false),
    };
    let mut out = Searched { strategy: how.strategy, right: Vec::new(), tokens: Vec::new() };
    let indices: Vec<u64> = (0..options.problems).collect();
    for wave in indices.chunks(WAVE) {
        let found: Vec<Result<(f64, f64), ModelError>> = wave
            .par_iter()
            .map(|&i| {
                let story = story(options.split, options.seed, i);
                let found =
                    search(&guide, &policy.prompt_ids(&story.problem)?, how.strategy, options.n, mix(options.seed ^ 0x7365_6172, i))?;
                let text = found.best.candidate(tokenizer).text;
                Ok((f64::from(u8::from(check(&story, &text).correct)), found.tokens as f64))
            })
            .collect();
        for found in found {
            let (right, tokens) = found?;
            out.right.push(right);
            out.tokens.push(tokens);
        }
        if done(out.right.len()).is_break() {
            break;
        }
    }
    Ok(out)
}

/// What the metrics read of the traces, with rewards at `granularity`.
pub fn scored(sampled: &[Sampled], granularity: Granularity) -> Vec<ScoredTrace> {
    let read = |Sampled { trace, greedy }: &Sampled| ScoredTrace {
        greedy: Some(*greedy),
        ..ScoredTrace::from_trace(trace, granularity, Task::Stories.kind())
    };
    sampled.iter().map(read).collect()
}

/// The log-probability of each token of a candidate under the reward model's own decoder, as a signal.
fn likelihood(candidate: &Candidate, logprobs: &[f32]) -> Signal {
    let tokens = candidate.tokens.iter().zip(logprobs).map(|(t, &value)| TokenValue { span: t.span, value }).collect();
    let signal = Signal::new(LIKELIHOOD, SignalSource::Policy, Values::Tokens(tokens));
    Signal { unit: Unit::Nats, statistic: Statistic::Sum, ..signal }
}
