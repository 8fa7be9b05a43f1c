//! A whole run: tokenizer, policy, rollouts, reward model, calibration. Every stage leaves a file and goes on from it.

use super::checkpoint::write_atomically;
use super::data::Demonstrations;
use super::gail::{self, Rollout};
use super::optim::AdamW;
use super::package::{Frozen, package, write_json};
use super::recipe::{GailConfig, Recipe, SftConfig};
use super::{Progress, Stage, TrainError, sample_all, sft};
use crate::generate::{Completion, Prompt, mix};
use crate::model::{Config, Decoder, END_TOKEN, TextTokenizer, VarStore};
use crate::reward::{Group, RewardCard, RewardNet, Sequence, calibrate, score};
use crate::task::answer::answer;
use crate::task::stories::{Split, Story, story};
use crate::trace::{Calibration, Candidate, Sampling};
use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Stream of the seed that initial weights are drawn from.
const INITIAL: u64 = 0xc56da532;

/// Carries out a recipe in its output folder, going on from where an earlier call stopped. The same recipe gives the same bytes on any number of
/// threads. Leaves `policy/` and `reward/`, each a model directory, the latter with `reward.json`.
///
/// A changed recipe is refused by the checkpoints of the stages that it changes.
pub fn run(recipe: &Recipe, progress: &mut Progress) -> Result<(), TrainError> {
    let corpus = Demonstrations::corpus(recipe.seed, recipe.data.demonstrations.min(20_000));
    let tokenizer = TextTokenizer::train_bpe(corpus, recipe.data.vocab_size)?;
    let end = tokenizer.id(END_TOKEN).ok_or_else(|| TrainError::Data("the tokenizer has no end token".into()))?;
    let data = Demonstrations::load(tokenizer.clone(), end, recipe.seed, recipe.data.demonstrations)?;
    Run { recipe, tokenizer, end, data, progress }.go()
}

/// Identity of what a stage's result depends on: 16 hex digits of the FNV-1a hash of its JSON.
fn digest(parts: &impl Serialize) -> Result<String, TrainError> {
    let json = serde_json::to_string(parts).map_err(|e| TrainError::Data(e.to_string()))?;
    let hash = json.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    Ok(format!("{hash:016x}"))
}

struct Run<'a, 'b> {
    recipe: &'a Recipe,
    tokenizer: TextTokenizer,
    end: u32,
    data: Demonstrations,
    progress: &'a mut Progress<'b>,
}

impl Run<'_, '_> {
    fn path(&self, name: &str) -> PathBuf {
        self.recipe.output.join(name)
    }

    fn go(mut self) -> Result<(), TrainError> {
        let recipe = self.recipe;
        let (policy_config, reward) = (recipe.policy.shape.config(self.tokenizer.vocab_size(), self.end), &recipe.reward);
        let policy_digest = digest(&(recipe.seed, &recipe.data, &recipe.policy))?;
        let policy = self.fine_tune("policy", &policy_digest, &policy_config, Frozen::default(), Some(&recipe.policy.sft))?;
        package(&self.path("policy"), &policy_config, &self.tokenizer, &policy)?;
        let policy_net = Decoder::load(&policy_config, &policy, &mut |_| {})?;

        let g = &reward.gail;
        let sampling = Sampling { temperature: g.temperature, max_tokens: g.max_tokens, ..Sampling::default() };
        let rollouts_digest = digest(&(&policy_digest, g.rollout_problems, g.rollouts_per_problem, &sampling))?;
        let rollouts = self.rollouts(&rollouts_digest, &policy_net, g, &sampling)?;

        let (config, start) = match &reward.shape {
            Some(shape) => (shape.config(self.tokenizer.vocab_size(), self.end), Frozen::default()),
            None => (policy_config, policy),
        };
        let warm_digest = digest(&(recipe.seed, &recipe.data, &config, &reward.sft, reward.shape.is_none().then_some(&policy_digest)))?;
        let mut warm = self.fine_tune("reward-sft", &warm_digest, &config, start, reward.sft.as_ref())?;
        // The head starts as the likelihood alone: random weights on the state would be noise that a short stage does not unlearn.
        warm.0.insert("reward.weight".into(), Tensor::zeros((1, config.hidden_size), DType::F32, &Device::Cpu)?);
        let store = self.store(&config, warm);
        let net = RewardNet::load(Decoder::load(&config, &store, &mut |_| {})?, reward.head, &store)?;
        let stage = Stage {
            name: "reward",
            steps: g.steps,
            checkpoint: self.path("checkpoints/reward.safetensors"),
            digest: digest(&(&warm_digest, &rollouts_digest, g, reward.head))?,
        };
        gail::train(&stage, &net, AdamW::new(g.optim.clone(), store.vars()), &self.data, &rollouts, g, self.progress)?;
        let calibration = self.calibrate(&policy_net, &net, &sampling)?;
        let resolved = toml::to_string(recipe).map_err(|e| TrainError::Data(e.to_string()))?;
        write_atomically(&self.path("recipe.toml"), resolved.as_bytes())?;
        package(&self.path("reward"), &config, &self.tokenizer, &Frozen::copy(store.vars())?)?;
        write_json(
            &self.path("reward/reward.json"),
            &RewardCard {
                name: format!("{} reward", recipe.data.task),
                head: reward.head,
                calibration,
                task: recipe.data.task.clone(),
                split: Split::Train.name().into(),
                demonstrations: recipe.data.demonstrations,
                seed: recipe.seed,
            },
        )
    }

    fn store(&self, config: &Config, start: Frozen) -> VarStore {
        VarStore::new(self.recipe.seed ^ INITIAL, config.num_hidden_layers, &Device::Cpu, DType::F32).with_initial(start.0)
    }

    /// A decoder's weights after `sft`, from `start` where it has them and from the seed elsewhere.
    fn fine_tune(
        &mut self,
        name: &str,
        digest: &str,
        config: &Config,
        start: Frozen,
        sft: Option<&SftConfig>,
    ) -> Result<Frozen, TrainError> {
        let store = self.store(config, start);
        let net = Decoder::load(config, &store, &mut |_| {})?;
        if let Some(sft) = sft {
            let stage = Stage {
                name,
                steps: sft.steps,
                checkpoint: self.path(&format!("checkpoints/{name}.safetensors")),
                digest: digest.to_owned(),
            };
            sft::train(&stage, &net, AdamW::new(sft.optim.clone(), store.vars()), &self.data, sft, self.progress)?;
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
        let progress = &mut *self.progress;
        let mut failed = None;
        let samples = sample_all(policy, prompts, n, sampling, &mut |done| {
            failed = progress.say(stage, done, prompts.len(), &[]).err();
            if failed.is_some() || progress.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if samples.len() < prompts.len() {
            return Err(TrainError::Interrupted);
        }
        let all = || samples.iter().flatten();
        let tokens = all().map(|c| c.ids.len()).sum::<usize>() as f64;
        let clipped = all().filter(|c| !c.stopped).count() as f64 / all().count().max(1) as f64;
        let values = [("tokens_per_second", tokens / began.elapsed().as_secs_f64()), ("completions/clipped_ratio", clipped)];
        self.progress.say(stage, prompts.len(), prompts.len(), &values)?;
        Ok(samples)
    }

    /// The pool of policy samples on training problems: read back where it is there, sampled and written otherwise. Its first line is its digest.
    fn rollouts(&mut self, digest: &str, policy: &Decoder, g: &GailConfig, sampling: &Sampling) -> Result<Vec<Rollout>, TrainError> {
        let path = self.path("rollouts.jsonl");
        let broken = |e: serde_json::Error| TrainError::Checkpoint { path: path.clone(), what: e.to_string() };
        if let Ok(text) = std::fs::read_to_string(&path)
            && let Some(rest) = text.strip_prefix(&format!("\"{digest}\"\n"))
        {
            return rest.lines().map(|l| serde_json::from_str(l).map_err(broken)).collect();
        }
        let problems: Vec<u64> = self.data.batch(0, g.rollout_problems.min(self.data.len()));
        let seed = self.recipe.seed ^ 0x726f_6c6c;
        let prompts: Vec<Prompt> = problems.iter().map(|&i| Prompt { ids: self.data.prompt(i), seed: mix(seed, i) }).collect();
        let samples = self.sample("rollouts", policy, &prompts, g.rollouts_per_problem, sampling)?;
        let pool: Vec<Rollout> =
            problems.iter().zip(samples).flat_map(|(&i, s)| s.into_iter().filter(|c| c.stopped).map(move |c| (i, c.ids))).collect();
        let mut text = format!("\"{digest}\"\n");
        for r in &pool {
            text.push_str(&serde_json::to_string(r).map_err(broken)?);
            text.push('\n');
        }
        write_atomically(&path, text.as_bytes())?;
        Ok(pool)
    }

    fn calibrate(&mut self, policy: &Decoder, net: &RewardNet, sampling: &Sampling) -> Result<Calibration, TrainError> {
        let c = &self.recipe.reward.calibration;
        let seed = self.recipe.seed ^ 0x63_616c;
        let stories: Vec<Story> = (0..c.problems as u64).map(|i| story(Split::Validation, self.recipe.seed, i)).collect();
        let prompts = stories
            .iter()
            .zip(0..)
            .map(|(s, i)| Ok(Prompt { ids: self.tokenizer.frame_problem(&s.problem)?.ids, seed: mix(seed, i) }))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let samples = self.sample("calibration", policy, &prompts, c.samples, sampling)?;
        let scored = score_groups(net, &self.tokenizer, &prompts, samples)?;
        let groups: Vec<Group> =
            scored.into_iter().zip(&stories).map(|(candidates, s)| Group { candidates, demonstration: s.solution() }).collect();
        Ok(Calibration { task: Some(self.recipe.data.task.clone()), ..calibrate(&groups, c.false_alarm_rate, c.stand_ins) })
    }
}

/// Samples as scored candidates with their answers, a group a prompt.
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
        out.answer = answer(&out.text);
        out
    };
    Ok(samples.into_iter().map(|g| g.into_iter().map(&mut candidate).collect()).collect())
}
