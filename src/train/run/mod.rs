//! A whole run: tokenizer, policy, rollouts, reward model, policy optimisation, calibration, evaluation. Every stage leaves a file and goes on from it.

mod update;

use super::checkpoint::write_atomically;
use super::data::{Demonstrations, Framing};
use super::discriminator::{Discriminator, LabelBatches};
use super::evaluate::{evaluate, summary};
use super::labels::{groups as label_groups, monte_carlo};
use super::lock::Lock;
use super::objective::Objective;
use super::optim::AdamW;
use super::package::{Frozen, write_json};
use super::part::Part;
use super::prefer::{self, pairs};
use super::recipe::{DataConfig, EvaluationConfig, LabelKind, PreferenceConfig, Recipe, RewardConfig, RlConfig, SftConfig};
use super::rl::Trainer;
use super::rollout::Rollout;
use super::served::Served;
use super::watch::Watch;
use super::{Progress, Stage, TrainError, record, restore, sample_all, seen, sft};
use crate::eval::grader::Grader;
use crate::generate::{Completion, Prompt};
use crate::model::{Decoder, END_TOKEN, TextTokenizer, VarStore};
use crate::reward::{Group, Head, REFERENCE, RewardCard, RewardNet, Sequence, calibrate, calibrated_readings, score};
use crate::task::stories::{Split, story};
use crate::task::{Demonstration, Problem, Task, TrainingProblems};
use crate::trace::{Calibration, Candidate, REWARD, Reading, Sampling, Trace};
use crate::util::hash::fnv1a;
use crate::util::seed::mix;
use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use update::refuse_to_forget;

/// What a run reads beside its recipe.
#[derive(Default)]
pub struct Inputs {
    /// Demonstrations of the files of `data.files`.
    pub demonstrations: Vec<Demonstration>,
    /// Problems of the files of `evaluation.files`.
    pub problems: Vec<Problem>,
    /// Traces with labels, from the files of `reward.labels`.
    pub labels: Vec<Trace>,
    /// New demonstrations, on which a finished reward model goes on learning; half of the experts of a batch stay old ones.
    pub more: Vec<Demonstration>,
    /// Traces with step labels, on which a finished reward model goes on learning; old experts and corrupted ones stay in every batch.
    pub more_labels: Vec<Trace>,
    /// Tells right completions from wrong ones; the default one runs no code.
    pub grader: Arc<Grader>,
}

/// Carries out a recipe in its output folder, going on from where an earlier call stopped. The same recipe gives the same bytes on any number of
/// threads. Leaves `policy/` and, where one is trained, `reward/`, each a model directory, the latter with `reward.json`; `recipe.toml` and `run.json`
/// say what made them, `evaluation.jsonl` how the policy did on every problem.
///
/// A changed recipe is refused by the checkpoints of the stages that it changes.
pub fn run(recipe: &Recipe, inputs: &Inputs, progress: &mut Progress) -> Result<(), TrainError> {
    recipe.check_grader(&inputs.grader)?;
    let p = &recipe.policy;
    let (policy, framing) = match (&p.from, &p.shape) {
        (Some(from), _) => {
            let (part, tokenizer) = Part::open(from, p.lora.as_ref(), recipe.seed, p.gradient_checkpointing)?;
            let eos = part.config.eos_token_ids.first().copied();
            let eos = eos.ok_or_else(|| TrainError::Data(format!("{from}: config.json names no eos_token_id")))?;
            (part, Framing { tokenizer, eos })
        }
        (None, Some(shape)) => {
            let corpus = Demonstrations::corpus(recipe.seed, recipe.data.demonstrations.clamp(200, 20_000));
            let tokenizer = TextTokenizer::train_bpe(corpus, recipe.data.vocab_size)?;
            let eos = tokenizer.id(END_TOKEN).ok_or_else(|| TrainError::Data("the tokenizer has no end token".into()))?;
            (Part::scratch(shape, tokenizer.vocab_size(), eos, recipe.seed), Framing { tokenizer, eos })
        }
        (None, None) => return Err(TrainError::Data("policy has neither shape nor from".into())),
    };
    let d = &recipe.data;
    let problems = d.problems.unwrap_or(d.demonstrations).max(d.demonstrations);
    let data = if d.task == Task::Stories {
        Demonstrations::stories(framing.clone(), recipe.seed, d.demonstrations, problems, d.practice.unwrap_or(Split::Train))?
    } else {
        let all = &inputs.demonstrations;
        if all.len() < problems {
            return Err(TrainError::Data(format!("data.files hold {} demonstrations, and the recipe asks for {problems}", all.len())));
        }
        Demonstrations::listed(d.task, framing.clone(), recipe.seed, d.demonstrations, all[..problems].to_vec())?
    };
    let data = data.graded_by(inputs.grader.clone());
    if let Some(dir) = recipe.reuse.as_ref().filter(|d| !d.is_dir()) {
        return Err(TrainError::Data(format!("reuse: {} is no folder; name the output of another run, or leave it out", dir.display())));
    }
    let lock = Lock::take(&recipe.output)?;
    refuse_to_forget(recipe, inputs)?;
    // A checkpoint of another recipe ends the run, and what the folder says of itself stays true.
    let records = ["recipe.toml", "run.json"].map(|name| recipe.output.join(name)).map(|path| (std::fs::read(&path), path));
    let result = Run { recipe, inputs, framing, data: &data, progress }.go(&policy);
    match result {
        Ok(()) => lock.done(),
        Err(TrainError::Checkpoint { .. }) => {
            for (bytes, path) in records {
                bytes.map_or(Ok(()), |b| write_atomically(&path, &b))?;
            }
        }
        Err(_) => {}
    }
    result
}

/// Identity of what a stage's result depends on: 16 hex digits of the hash of its JSON.
fn digest(parts: &impl Serialize) -> Result<String, TrainError> {
    let json = serde_json::to_string(parts).map_err(|e| TrainError::Data(e.to_string()))?;
    Ok(format!("{:016x}", fnv1a(json.bytes())))
}

struct Run<'a, 'b> {
    recipe: &'a Recipe,
    inputs: &'a Inputs,
    framing: Framing,
    data: &'a Demonstrations,
    progress: &'a mut Progress<'b>,
}

/// What fine-tuning reads of the data: demonstrations alone.
fn demonstrated(data: &DataConfig) -> DataConfig {
    DataConfig { problems: None, practice: None, ..data.clone() }
}

/// A policy's weights and what they depend on.
struct Trained {
    weights: Frozen,
    digest: String,
}

/// A reward model in training and what it depends on.
struct Critic {
    part: Part,
    store: Rc<VarStore>,
    net: RewardNet,
    /// Weights of the reference decoder of an implicit head.
    reference: Option<Frozen>,
    digest: String,
}

impl Critic {
    /// What training moves: a scalar head without a language-model term never asks the output layer.
    fn vars(&self, reward: &RewardConfig) -> Vec<(String, candle_core::Var)> {
        let asked = reward.adversarial.lm_weight > 0.0 || !matches!(self.net.kind(), Head::Scalar | Head::Scales);
        self.store.vars().into_iter().filter(|(name, _)| asked || name != "lm_head.weight").collect()
    }
}

impl Run<'_, '_> {
    fn path(&self, name: &str) -> PathBuf {
        self.recipe.output.join(name)
    }

    /// Identity of the problems that the policy practises on.
    fn practice(&self) -> (usize, Option<Split>) {
        (self.data.problems(), self.recipe.data.practice)
    }

    fn stage<'s>(&self, name: &'s str, steps: usize, digest: &str) -> Stage<'s> {
        let file = format!("checkpoints/{name}.safetensors");
        Stage {
            name,
            steps,
            checkpoint: self.path(&file),
            reuse: self.recipe.reuse.as_ref().map(|dir| dir.join(file)),
            digest: digest.to_owned(),
        }
    }

    fn go(mut self, part: &Part) -> Result<(), TrainError> {
        let recipe = self.recipe;
        let resolved = toml::to_string(recipe).map_err(|e| TrainError::Data(e.to_string()))?;
        let data = demonstrated(&recipe.data);
        let policy_digest = digest(&(recipe.seed, &data, &recipe.policy))?;
        let policy = self.fine_tune("policy", &policy_digest, part, Frozen::default(), recipe.policy.sft.as_ref())?;
        write_atomically(&self.path("recipe.toml"), resolved.as_bytes())?;
        record::write(&self.path("run.json"), recipe, self.data, self.inputs)?;
        let mut net = part.frozen(&policy)?;
        let mut critic = match &recipe.reward {
            Some(reward) => Some(self.warm_up(reward, part, &policy, &net, &policy_digest)?),
            None => None,
        };
        let mut trained = Trained { weights: policy, digest: policy_digest };
        if let Some(preference) = &recipe.preference {
            trained = self.prefer(preference, part, trained, &net, critic.as_ref())?;
            net = part.frozen(&trained.weights)?;
        }
        if let Some(rl) = &recipe.rl {
            trained = self.optimise(rl, part, trained, &net, critic.as_mut())?;
            net = part.frozen(&trained.weights)?;
        }
        part.package(&self.path("policy"), &self.framing.tokenizer, &trained.weights, &[])?;
        seen::write(&self.path("policy"), &self.seen()?)?;
        if let (Some(critic), Some(reward)) = (&mut critic, &recipe.reward) {
            if !self.inputs.more.is_empty() {
                self.go_on(critic, reward, &net)?;
            }
            if !self.inputs.more_labels.is_empty() {
                self.go_on_with_labels(critic, reward, &net)?;
            }
            self.write_reward(critic, reward, &net)?;
        }
        match &recipe.evaluation {
            Some(evaluation) => self.evaluate(evaluation, &net),
            None => Ok(()),
        }
    }

    /// The reward model, trained against a fixed pool of the policy's samples.
    fn warm_up(
        &mut self,
        reward: &RewardConfig,
        policy_part: &Part,
        policy: &Frozen,
        policy_net: &Decoder,
        policy_digest: &str,
    ) -> Result<Critic, TrainError> {
        let recipe = self.recipe;
        let g = &reward.adversarial;
        let sampling = Sampling { temperature: g.temperature, max_tokens: g.max_tokens, ..Sampling::default() };
        let paired = matches!(reward.objective, Objective::Bt | Objective::Maxent);
        let rollouts_digest = digest(&(policy_digest, paired, self.practice(), g.rollout_problems, g.rollouts_per_problem, &sampling))?;
        let rollouts = if g.steps > 0 { self.rollouts(&rollouts_digest, policy_net, reward, &sampling)? } else { Vec::new() };
        let (part, start) = self.reward_part(reward, policy_part, policy)?;
        let learned = if reward.from.is_some() { part.learned_head(reward)? } else { None };
        let own = reward.shape.is_none() && reward.from.is_none();
        let data = demonstrated(&recipe.data);
        let warm_digest = digest(&(recipe.seed, &data, &part.config, &reward.sft, own.then_some(policy_digest)))?;
        let warm_digest = if own { warm_digest } else { digest(&(warm_digest, &reward.from, &reward.lora))? };
        let mut warm = self.fine_tune("reward-sft", &warm_digest, &part, start, reward.sft.as_ref())?;
        let head = reward.network_head();
        let implicit = matches!(head, Head::Implicit { .. });
        let kept = match &learned {
            Some((_, reference)) if implicit => reference.clone(),
            _ => implicit.then(|| warm.clone()),
        };
        let reference = kept.as_ref().map(|w| part.frozen(w)).transpose()?;
        match learned {
            Some((weights, _)) => warm.0.extend(weights.0),
            // The head starts as the likelihood alone: random weights on the state would be noise that a short stage does not unlearn.
            None => {
                for (name, rows) in [("reward.weight", if head == Head::Scales { 3 } else { 1 }), ("reward.potential.weight", 1)] {
                    warm.0.insert(name.into(), Tensor::zeros((rows, part.config.hidden_size), DType::F32, &Device::Cpu)?);
                }
            }
        }
        let (store, decoder) = part.trainable(warm)?;
        let net = RewardNet::new(decoder, reference, head, &store)?;
        let parts = (&warm_digest, &rollouts_digest, g, head, reward.objective, reward.granularity);
        let mut critic = Critic { part, store, net, reference: kept, digest: digest(&parts)? };
        let stage = self.stage("reward", g.steps, &critic.digest);
        let optimiser = AdamW::new(g.optim.clone(), critic.vars(reward));
        let discriminator = discriminator(self.data, reward, &critic.net, policy_net);
        discriminator.train(&stage, optimiser, &rollouts, self.progress)?;
        if let Some(labels) = &reward.labels {
            let digest = digest(&(&critic.digest, labels, &self.inputs.labels))?;
            let stage = self.stage("labels", labels.steps, &digest);
            let (optimiser, done) = restore(&stage, AdamW::new(labels.optim.clone(), critic.vars(reward)))?;
            let groups = match labels.kind {
                _ if done => Vec::new(),
                LabelKind::MonteCarlo => {
                    let some = &rollouts[..labels.rollouts.min(rollouts.len())];
                    let mut watch = Watch { progress: self.progress, stage: "monte-carlo", of: 0, failed: None };
                    monte_carlo(policy_net, self.data, some, (labels.completions, &sampling), &mut |done, of| {
                        watch.of = of;
                        watch.heard(done)
                    })?
                }
                kind => label_groups(kind, &self.inputs.labels, &discriminator)?,
            };
            let batches =
                LabelBatches { groups: &groups, pairs: labels.kind == LabelKind::Pairs, size: labels.batch_size, rehearse: false };
            if !done {
                discriminator.train_on_labels(&stage, optimiser, &batches, self.progress)?;
            }
            critic.digest = digest;
        }
        Ok(critic)
    }

    /// What the reward model is made of, and the weights that it starts from.
    fn reward_part(&self, reward: &RewardConfig, policy_part: &Part, policy: &Frozen) -> Result<(Part, Frozen), TrainError> {
        let Framing { tokenizer, eos } = &self.framing;
        if let Some(shape) = &reward.shape {
            return Ok((Part::scratch(shape, tokenizer.vocab_size(), *eos, self.recipe.seed), Frozen::default()));
        }
        let Some(from) = &reward.from else { return Ok((policy_part.clone(), policy.clone())) };
        let checkpointing = self.recipe.policy.gradient_checkpointing;
        let (part, own) = Part::open(from, reward.lora.as_ref(), self.recipe.seed, checkpointing)?;
        if own.fingerprint() != tokenizer.fingerprint() {
            return Err(TrainError::Data(format!(
                "reward.from: {from} has another tokenizer than the policy; the reward model reads the policy's tokens"
            )));
        }
        Ok((part, Frozen::default()))
    }

    /// The policy after preference training on its own ranked samples.
    fn prefer(
        &mut self,
        preference: &PreferenceConfig,
        part: &Part,
        policy: Trained,
        base: &Decoder,
        critic: Option<&Critic>,
    ) -> Result<Trained, TrainError> {
        let p = preference;
        let (store, net) = part.trainable(policy.weights)?;
        let digest = digest(&(&policy.digest, self.practice(), critic.map(|c| &c.digest), p))?;
        let stage = self.stage("preference", p.steps, &digest);
        let (optimiser, done) = restore(&stage, AdamW::new(p.optim.clone(), store.vars()))?;
        if done {
            return Ok(Trained { weights: Frozen::copy(store.vars())?, digest });
        }
        let sampling = Sampling { temperature: p.temperature, max_tokens: p.max_tokens, ..Sampling::default() };
        let problems = self.data.problem_batch(0, p.problems.min(self.data.practised().len()));
        let seed = self.recipe.seed ^ 0x7061_6972;
        let prompts: Vec<Prompt> = problems.iter().map(|&i| Prompt { ids: self.data.prompt(i), seed: mix(seed, i) }).collect();
        let samples = self.sample("pairs", base, &prompts, p.samples, &sampling)?;
        let whole = |(&i, s): (&u64, Vec<Completion>)| s.into_iter().filter(|c| c.stopped).map(move |c| (i, c));
        let rollouts = Rollout::graded(problems.iter().zip(samples).flat_map(whole).collect(), self.data)?;
        let pairs = pairs(&rollouts, self.data, critic.map(|c| &c.net), p)?;
        prefer::train(&stage, &net, base, optimiser, (self.data, &pairs), p, self.progress)?;
        Ok(Trained { weights: Frozen::copy(store.vars())?, digest })
    }

    /// The policy after policy optimisation; the reward model goes on learning in place.
    fn optimise(
        &mut self,
        rl: &RlConfig,
        part: &Part,
        policy: Trained,
        base: &Decoder,
        critic: Option<&mut Critic>,
    ) -> Result<Trained, TrainError> {
        let adapted;
        let (part, start) = match &rl.lora {
            Some(lora) => {
                let gains = policy.weights.0.iter().filter(|(name, _)| name.ends_with("norm.weight"));
                let gains = Frozen(gains.map(|(name, t)| (name.clone(), t.clone())).collect());
                adapted = part.adapted(policy.weights, lora);
                (&adapted, gains)
            }
            None => (part, policy.weights),
        };
        let (store, net) = part.trainable(start)?;
        let critic = critic.zip(self.recipe.reward.as_ref()).filter(|_| rl.learned != 0.0);
        let digest = digest(&(&policy.digest, self.practice(), critic.as_ref().map(|c| &c.0.digest), rl))?;
        let stage = self.stage("rl", rl.steps, &digest);
        let samples = self.path("samples.jsonl");
        let learns = critic.as_ref().filter(|_| rl.critic_updates > 0);
        let critic_optimiser = learns.map(|(critic, reward)| AdamW::new(reward.adversarial.optim.clone(), critic.vars(reward)));
        let served = rl.fleet.as_ref().map(|fleet| Served::open(fleet, part, &store, &self.recipe.output)).transpose()?;
        let trainer = Trainer {
            policy: &net,
            reference: Some(base),
            critic: critic.as_ref().map(|(critic, reward)| discriminator(self.data, reward, &critic.net, &net)),
            data: self.data,
            config: rl,
            served,
            samples: &samples,
            stop: self.progress.stop,
        };
        trainer.train(&stage, AdamW::new(rl.optim.clone(), store.vars()), critic_optimiser, self.progress)?;
        if let Some((critic, _)) = critic {
            critic.digest = digest.clone();
        }
        let own = Frozen::copy(store.vars())?;
        Ok(Trained { weights: if rl.lora.is_some() { part.merged(own)? } else { own }, digest })
    }

    /// Writes the reward model with thresholds from samples of `policy`.
    fn write_reward(&mut self, critic: &Critic, reward: &RewardConfig, policy: &Decoder) -> Result<(), TrainError> {
        let calibration = self.calibrate(reward, policy, &critic.net)?;
        let mut weights = Frozen::copy(critic.store.vars())?;
        let reference = critic.reference.iter().flat_map(|f| &f.0);
        weights.0.extend(reference.map(|(name, t)| (format!("{REFERENCE}{name}"), t.clone())));
        critic.part.package(&self.path("reward"), &self.framing.tokenizer, &weights, &["reward"])?;
        let recipe = self.recipe;
        let card = RewardCard {
            name: format!("{} reward", recipe.data.task.name()),
            head: critic.net.kind(),
            calibration,
            task: recipe.data.task.name().into(),
            split: Split::Train.name().into(),
            demonstrations: recipe.data.demonstrations + self.inputs.more.len(),
            seed: recipe.seed,
            objective: serde_json::to_value(reward.objective).ok().and_then(|v| v.as_str().map(str::to_owned)),
            granularity: reward.granularity,
            uses_answers: recipe.uses_answers(),
        };
        seen::write(&self.path("reward"), &self.seen_by_reward(reward)?)?;
        write_json(&self.path("reward/reward.json"), &card)
    }

    /// The problems that the policy was trained on, those of the model that it started from among them.
    fn seen(&self) -> Result<TrainingProblems, TrainError> {
        let mut seen = TrainingProblems::new((0..self.data.problems() as u64).map(|i| self.data.demonstration(i).problem.text));
        seen.extend(&seen::of_base(self.recipe.policy.from.as_ref())?);
        Ok(seen)
    }

    /// The problems that the reward model was trained or calibrated on: the policy's, and what it alone was given.
    fn seen_by_reward(&self, reward: &RewardConfig) -> Result<TrainingProblems, TrainError> {
        let aside = self.aside(reward.calibration.as_ref().map_or(0, |c| c.problems))?;
        let more = aside.iter().chain(&self.inputs.more).map(|d| &d.problem.text);
        let labelled = self.inputs.labels.iter().chain(&self.inputs.more_labels).map(|t| &t.problem);
        let mut seen = TrainingProblems::new(more.chain(labelled));
        seen.extend(&self.seen()?);
        seen.extend(&seen::of_base(reward.from.as_ref())?);
        Ok(seen)
    }

    /// A decoder's weights after `sft`, from `start` where it has them and from the seed elsewhere.
    fn fine_tune(&mut self, name: &str, digest: &str, part: &Part, start: Frozen, sft: Option<&SftConfig>) -> Result<Frozen, TrainError> {
        let (store, net) = part.trainable(start)?;
        if let Some(sft) = sft {
            let stage = self.stage(name, sft.steps, digest);
            sft::train(&stage, &net, AdamW::new(sft.optim.clone(), store.vars()), self.data, sft, self.progress)?;
        }
        Frozen::copy(store.vars())
    }

    /// Samples for all prompts, reporting as `stage`; an interruption is an error.
    fn sample(
        &mut self,
        stage: &str,
        policy: &Decoder,
        prompts: &[Prompt],
        n: usize,
        sampling: &Sampling,
    ) -> Result<Vec<Vec<Completion>>, TrainError> {
        let began = std::time::Instant::now();
        let mut watch = Watch { progress: self.progress, stage, of: prompts.len(), failed: None };
        let samples = sample_all(policy, prompts, n, sampling, &mut |done| watch.heard(done))?;
        watch.end(samples.len())?;
        let all = || samples.iter().flatten();
        let tokens = all().map(|c| c.ids.len()).sum::<usize>() as f64;
        let clipped = all().filter(|c| !c.stopped).count() as f64 / all().count().max(1) as f64;
        let values = [("tokens_per_second", tokens / began.elapsed().as_secs_f64()), ("completions/clipped_ratio", clipped)];
        self.progress.say(stage, prompts.len(), prompts.len(), &values)?;
        Ok(samples)
    }

    /// The pool of policy samples on training problems: read back where it is there, sampled and written otherwise. Its first line is its digest.
    fn rollouts(&mut self, digest: &str, policy: &Decoder, reward: &RewardConfig, sampling: &Sampling) -> Result<Vec<Rollout>, TrainError> {
        let path = self.path("rollouts.jsonl");
        let broken = |e: serde_json::Error| TrainError::Checkpoint { path: path.clone(), what: e.to_string() };
        let first = format!("\"{digest}\"\n");
        for file in [Some(path.clone()), self.recipe.reuse.as_ref().map(|dir| dir.join("rollouts.jsonl"))].into_iter().flatten() {
            if let Ok(text) = std::fs::read_to_string(&file)
                && let Some(rest) = text.strip_prefix(&first)
            {
                let mut pool: Vec<Rollout> = rest.lines().map(|l| serde_json::from_str(l).map_err(broken)).collect::<Result<_, _>>()?;
                // Whether code may be run is not the pool's to say.
                if self.data.task().runs_code() {
                    Rollout::grade(&mut pool, self.data)?;
                }
                return Ok(pool);
            }
        }
        let g = &reward.adversarial;
        // Objectives that compare the sequences of a problem need its demonstration.
        let problems: Vec<u64> = match reward.objective {
            Objective::Bt | Objective::Maxent => self.data.batch(0, g.rollout_problems.min(self.data.len())),
            _ => self.data.problem_batch(0, g.rollout_problems.min(self.data.practised().len())),
        };
        let seed = self.recipe.seed ^ 0x726f_6c6c;
        let prompts: Vec<Prompt> = problems.iter().map(|&i| Prompt { ids: self.data.prompt(i), seed: mix(seed, i) }).collect();
        let samples = self.sample("rollouts", policy, &prompts, g.rollouts_per_problem, sampling)?;
        let whole = |(&i, s): (&u64, Vec<Completion>)| s.into_iter().filter(|c| c.stopped).map(move |c| (i, c));
        let pool = Rollout::graded(problems.iter().zip(samples).flat_map(whole).collect(), self.data)?;
        let mut text = first;
        for r in &pool {
            text.push_str(&serde_json::to_string(r).map_err(broken)?);
            text.push('\n');
        }
        write_atomically(&path, text.as_bytes())?;
        Ok(pool)
    }

    fn calibrate(&mut self, reward: &RewardConfig, policy: &Decoder, net: &RewardNet) -> Result<Calibration, TrainError> {
        let Some(c) = &reward.calibration else { return Ok(Calibration::default()) };
        let sampling =
            Sampling { temperature: reward.adversarial.temperature, max_tokens: reward.adversarial.max_tokens, ..Sampling::default() };
        let seed = self.recipe.seed ^ 0x63_616c;
        let aside = self.aside(c.problems)?;
        let prompts = aside
            .iter()
            .zip(0..)
            .map(|(d, i)| Ok(Prompt { ids: self.framing.prompt(&d.problem.text)?, seed: mix(seed, i) }))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let samples = self.sample("calibration", policy, &prompts, c.samples, &sampling)?;
        let scored = score_groups(net, &self.framing.tokenizer, &prompts, samples)?;
        let task = self.data.task();
        let group = |(mut candidates, d): (Vec<Candidate>, Demonstration)| {
            for c in &mut candidates {
                c.answer = task.judge(&d.problem, &c.text, c.is_cut()).answer;
            }
            Group { problem: d.problem.text, kind: task.kind().unwrap_or_default(), candidates, demonstration: d.solution }
        };
        let groups: Vec<Group> = scored.into_iter().zip(aside).map(group).collect();
        let (readings, chosen) = (calibrated_readings(), Reading::new(REWARD, c.statistic));
        Ok(Calibration { task: Some(task.name().into()), ..calibrate(&groups, c.false_alarm_rate, c.stand_ins, &chosen, &readings) })
    }

    /// Demonstrations that are not trained on.
    fn aside(&self, n: usize) -> Result<Vec<Demonstration>, TrainError> {
        if self.data.task() == Task::Stories {
            return Ok((0..n as u64).map(|i| Demonstration::from(&story(Split::Validation, self.recipe.seed, i))).collect());
        }
        let rest = &self.inputs.demonstrations[self.data.problems()..];
        match rest.get(..n) {
            Some(aside) => Ok(aside.to_vec()),
            None => Err(TrainError::Data(format!(
                "reward.calibration.problems is {n}, but data.files hold only {} demonstrations that are not trained on; lower data.demonstrations",
                rest.len()
            ))),
        }
    }

    /// How the policy does on problems aside; a line a problem in `evaluation.jsonl`, means in the metrics.
    fn evaluate(&mut self, config: &EvaluationConfig, policy: &Decoder) -> Result<(), TrainError> {
        let seed = self.recipe.seed;
        let problems: Vec<Problem> = if self.data.task() == Task::Stories {
            (0..config.problems as u64).map(|i| Demonstration::from(&story(config.split, seed, i)).problem).collect()
        } else {
            let trained: HashSet<String> = (0..self.data.problems() as u64).map(|i| self.data.demonstration(i).problem.text).collect();
            if let Some(p) = self.inputs.problems.iter().find(|p| trained.contains(&p.text)) {
                return Err(TrainError::Data(format!("evaluation.files hold a problem that was trained on: {}", p.id)));
            }
            self.inputs.problems.iter().take(config.problems).cloned().collect()
        };
        let mut watch = Watch { progress: self.progress, stage: "evaluation", of: problems.len(), failed: None };
        let outcomes = evaluate(policy, &self.framing, (&self.inputs.grader, self.data.task(), &problems), config, seed, &mut |done| {
            watch.heard(done)
        })?;
        watch.end(outcomes.len())?;
        let mut text = String::new();
        for o in &outcomes {
            text.push_str(&serde_json::to_string(o).map_err(|e| TrainError::Data(e.to_string()))?);
            text.push('\n');
        }
        write_atomically(&self.path("evaluation.jsonl"), text.as_bytes())?;
        let means = summary(&outcomes)?;
        let values: Vec<(&str, f64)> = means.iter().map(|(n, x)| (n.as_str(), *x)).collect();
        self.progress.say("evaluation", problems.len(), problems.len(), &values)
    }
}

fn discriminator<'d>(data: &'d Demonstrations, reward: &'d RewardConfig, net: &'d RewardNet, policy: &'d Decoder) -> Discriminator<'d> {
    Discriminator {
        net,
        objective: reward.objective,
        granularity: reward.granularity,
        config: &reward.adversarial,
        data,
        rehearsal: None,
        policy,
    }
}

/// Samples as scored candidates, a group a prompt.
fn score_groups(
    net: &RewardNet,
    tokenizer: &TextTokenizer,
    prompts: &[Prompt],
    samples: Vec<Vec<Completion>>,
) -> Result<Vec<Vec<Candidate>>, TrainError> {
    let sequences: Vec<Sequence> =
        prompts.iter().zip(&samples).flat_map(|(p, g)| g.iter().map(|c| Sequence::new(&p.ids, &c.ids))).collect();
    let mut scores = score(net, &sequences)?.into_iter();
    let mut candidate = |c: Completion| {
        let mut out = c.candidate(tokenizer);
        out.set_rewards(scores.next().unwrap_or_default().logits);
        out
    };
    Ok(samples.into_iter().map(|g| g.into_iter().map(&mut candidate).collect()).collect())
}
