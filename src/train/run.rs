//! A whole run: tokenizer, policy, rollouts, reward model, calibration; every stage leaves a file and is passed over when it is there.

use super::checkpoint::{to_safetensors, write_atomically};
use super::data::Demonstrations;
use super::gail::{self, Rollout};
use super::optim::AdamW;
use super::recipe::{Recipe, SftConfig};
use super::{Progress, TrainError, sft};
use crate::generate::{Completion, Prompt, decode_all, mix};
use crate::model::{Config, Decoder, END_TOKEN, TextTokenizer, VarStore};
use crate::reward::{RewardCard, RewardNet, Sequence, calibrate, score};
use crate::task::answer::answer;
use crate::task::stories::{Split, story};
use crate::trace::{Candidate, Sampling};
use candle_core::{DType, Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

/// Carries out a recipe in its output folder, going on from where an earlier call stopped. The same recipe gives the same bytes on any number of
/// threads. Leaves `policy/` and `reward/`, each a model directory, the latter with `reward.json`.
pub fn run(recipe: &Recipe, progress: &mut Progress) -> Result<(), TrainError> {
    let dir = &recipe.output;
    let text = toml::to_string(recipe).map_err(|e| TrainError::Data(e.to_string()))?;
    write_atomically(&dir.join("recipe.toml"), text.as_bytes())?;
    let tokenizer = tokenizer(recipe)?;
    let eos = tokenizer.id(END_TOKEN).ok_or_else(|| TrainError::Data("the tokenizer has no end token".into()))?;
    let data = Demonstrations::load(tokenizer.clone(), eos, recipe.seed, recipe.data.demonstrations)?;

    let config = recipe.policy.shape.config(tokenizer.vocab_size(), eos);
    let policy = train_decoder(recipe, "policy", &config, None, &data, Some(&recipe.policy.sft), &tokenizer, progress)?;
    let policy_net = decoder(&config, &policy)?;

    let g = &recipe.reward.gail;
    let sampling = Sampling { temperature: g.temperature, max_tokens: g.max_tokens, ..Sampling::default() };
    let rollouts = rollouts(recipe, &policy_net, &data, &sampling, progress)?;

    let shape = recipe.reward.shape.as_ref().map_or_else(|| config.clone(), |s| s.config(tokenizer.vocab_size(), eos));
    let start = if recipe.reward.shape.is_none() { Some(&policy) } else { None };
    let warm = train_decoder(recipe, "reward-sft", &shape, start, &data, recipe.reward.sft.as_ref(), &tokenizer, progress)?;
    let store = VarStore::new(recipe.seed ^ 0x7265_7761, shape.num_hidden_layers, &Device::Cpu, DType::F32).with_initial(warm);
    let net = RewardNet::load(Decoder::load(&shape, &store, &mut |_| {})?, recipe.reward.head, &store)?;
    let optimiser = AdamW::new(g.optim.clone(), store.vars());
    gail::train("reward", &net, optimiser, &data, &rollouts, g, &dir.join("checkpoints/reward.safetensors"), progress)?;

    let calibration = {
        let c = &recipe.reward.calibration;
        progress.say("calibration", 0, c.problems, &[])?;
        let stories: Vec<_> = (0..c.problems as u64).map(|i| story(Split::Validation, recipe.seed, i)).collect();
        let prompts = stories
            .iter()
            .enumerate()
            .map(|(i, s)| Ok(Prompt { ids: tokenizer.frame_problem(&s.problem)?.ids, seed: mix(recipe.seed ^ 0x63_616c, i as u64) }))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let samples = decode_all(&policy_net, &prompts, c.samples, &sampling, &mut |_| ControlFlow::Continue(()))?;
        let groups = score_groups(&net, &tokenizer, &prompts, samples)?;
        progress.say("calibration", c.problems, c.problems, &[])?;
        calibrate(&groups, c.false_alarm_rate, c.agreement)
    };
    let card = RewardCard {
        name: "stories-reward".into(),
        head: recipe.reward.head,
        calibration,
        task: recipe.data.task.clone(),
        split: Split::Train.name().into(),
        demonstrations: recipe.data.demonstrations,
        seed: recipe.seed,
    };
    let json = serde_json::to_string_pretty(&card).map_err(|e| TrainError::Data(e.to_string()))?;
    let mut tensors: Vec<(String, Tensor)> = store.vars().into_iter().map(|(n, v)| (n, v.as_tensor().clone())).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    package(&dir.join("reward"), &shape, &tokenizer, &tensors)?;
    write_atomically(&dir.join("reward/reward.json"), json.as_bytes())
}

/// Samples as scored candidates with their answers, a group a prompt.
pub(crate) fn score_groups(
    net: &RewardNet,
    tokenizer: &TextTokenizer,
    prompts: &[Prompt],
    samples: Vec<Vec<Completion>>,
) -> Result<Vec<Vec<Candidate>>, TrainError> {
    let sequences: Vec<Sequence> = prompts.iter().zip(&samples).flat_map(|(p, g)| g.iter().map(|c| Sequence::new(&p.ids, &c.ids))).collect();
    let mut logits = score(net, &sequences)?.into_iter();
    let mut candidate = |c: Completion| {
        let mut out = c.candidate(tokenizer);
        out.set_rewards(logits.next().unwrap_or_default());
        out.answer = answer(&out.text);
        out
    };
    Ok(samples.into_iter().map(|g| g.into_iter().map(&mut candidate).collect()).collect())
}

fn tokenizer(recipe: &Recipe) -> Result<TextTokenizer, TrainError> {
    let path = recipe.output.join("tokenizer.json");
    if let Ok(bytes) = std::fs::read(&path) {
        return Ok(TextTokenizer::from_bytes(&bytes, &path)?);
    }
    let corpus = Demonstrations::corpus(recipe.seed, recipe.data.demonstrations.min(20_000));
    let t = TextTokenizer::train_bpe(corpus, recipe.data.vocab_size)?;
    write_atomically(&path, t.to_json()?.as_bytes())?;
    Ok(t)
}

pub(crate) type Weights = BTreeMap<String, Tensor>;

pub(crate) fn decoder(config: &Config, weights: &Weights) -> Result<Decoder, TrainError> {
    Ok(Decoder::load(config, &Frozen(weights), &mut |_| {})?)
}

/// Weights that are not trained.
pub(crate) struct Frozen<'a>(pub &'a Weights);

impl crate::model::WeightSource for Frozen<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, crate::model::ModelError> {
        match self.0.get(name) {
            Some(t) if t.dims() == shape => Ok(t.clone()),
            other => Err(crate::model::ModelError::Tensor {
                name: name.into(),
                what: format!("expected {shape:?}, found {:?}", other.map(|t| t.dims().to_vec())),
            }),
        }
    }
    fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Trains a decoder under `sft` (or takes `start` as it is) and packages it as `name`.
#[allow(clippy::too_many_arguments)]
fn train_decoder(
    recipe: &Recipe,
    name: &str,
    config: &Config,
    start: Option<&Weights>,
    data: &Demonstrations,
    sft: Option<&SftConfig>,
    tokenizer: &TextTokenizer,
    progress: &mut Progress,
) -> Result<Weights, TrainError> {
    let salt = name.bytes().fold(0u64, |h, b| h.wrapping_mul(31) + b as u64);
    let store = VarStore::new(recipe.seed ^ salt, config.num_hidden_layers, &Device::Cpu, DType::F32)
        .with_initial(start.cloned().unwrap_or_default());
    let net = Decoder::load(config, &store, &mut |_| {})?;
    if let Some(sft) = sft {
        let optimiser = AdamW::new(sft.optim.clone(), store.vars());
        let checkpoint = recipe.output.join(format!("checkpoints/{name}.safetensors"));
        sft::train(name, &net, optimiser, data, sft, &checkpoint, progress)?;
    }
    let weights: Weights =
        store.vars().into_iter().map(|(n, v)| Ok((n, v.as_tensor().copy()?.detach()))).collect::<Result<_, TrainError>>()?;
    if name == "policy" {
        let tensors: Vec<_> = weights.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
        package(&recipe.output.join(name), config, tokenizer, &tensors)?;
    }
    Ok(weights)
}

/// Writes a model directory: configuration in Hugging Face's names, tokenizer, weights in f16.
fn package(dir: &Path, config: &Config, tokenizer: &TextTokenizer, tensors: &[(String, Tensor)]) -> Result<(), TrainError> {
    let json = serde_json::json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": config.model_type,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta,
        "max_position_embeddings": config.max_position_embeddings,
        "tie_word_embeddings": config.tie_word_embeddings,
        "eos_token_id": config.eos_token_ids,
        "torch_dtype": "float16",
    });
    let json = serde_json::to_string_pretty(&json).map_err(|e| TrainError::Data(e.to_string()))?;
    write_atomically(&dir.join("config.json"), json.as_bytes())?;
    write_atomically(&dir.join("tokenizer.json"), tokenizer.to_json()?.as_bytes())?;
    let rows = tensors
        .iter()
        .map(|(n, t)| Ok((n.clone(), t.dims().to_vec(), t.flatten_all()?.to_vec1()?)))
        .collect::<Result<Vec<_>, TrainError>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_atomically(&dir.join("model.safetensors"), &to_safetensors(&rows, true, metadata)?)
}

/// The pool of policy samples on training problems: read back where it is there, sampled and written otherwise.
fn rollouts(
    recipe: &Recipe,
    policy: &Decoder,
    data: &Demonstrations,
    sampling: &Sampling,
    progress: &mut Progress,
) -> Result<Vec<Rollout>, TrainError> {
    let path = recipe.output.join("rollouts.jsonl");
    if let Ok(text) = std::fs::read_to_string(&path) {
        let broken = |e: serde_json::Error| TrainError::Checkpoint { path: path.clone(), what: e.to_string() };
        return text.lines().map(|l| serde_json::from_str(l).map_err(broken)).collect();
    }
    let g = &recipe.reward.gail;
    let problems: Vec<u64> = data.batch(0, g.rollout_problems.min(data.len()));
    let prompts: Vec<Prompt> = problems.iter().map(|&i| Prompt { ids: data.prompt(i), seed: mix(recipe.seed ^ 0x726f_6c6c, i) }).collect();
    let began = std::time::Instant::now();
    let samples = decode_all(policy, &prompts, g.rollouts_per_problem, sampling, &mut |done| match progress
        .say("rollouts", done, prompts.len(), &[])
        .is_err()
        || progress.stopped()
    {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })?;
    let tokens: usize = samples.iter().flatten().map(|c| c.ids.len()).sum();
    let clipped = samples.iter().flatten().filter(|c| !c.stopped).count() as f64 / samples.iter().flatten().count().max(1) as f64;
    let rate = tokens as f64 / began.elapsed().as_secs_f64();
    progress.say("rollouts", prompts.len(), prompts.len(), &[("tokens_per_second", rate), ("completions/clipped_ratio", clipped)])?;
    let pool: Vec<Rollout> =
        problems.iter().zip(samples).flat_map(|(&i, s)| s.into_iter().filter(|c| c.stopped).map(move |c| (i, c.ids))).collect();
    let mut text = String::new();
    for r in &pool {
        text.push_str(&serde_json::to_string(r).map_err(|e| TrainError::Data(e.to_string()))?);
        text.push('\n');
    }
    write_atomically(&path, text.as_bytes())?;
    Ok(pool)
}
