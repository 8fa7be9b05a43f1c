//! Training: resumption, framing, and what the discriminator may not know.

use crate::fake_server::{FakeServer, Reply, models};
use candle_core::{DType, Device};
use reasonscope::generate::{FleetConfig, LocalPolicy};
use reasonscope::model::{Decoder, LoraConfig, ModelFiles, TextTokenizer, VarStore};
use reasonscope::reward::{Head, LocalReward, RewardNet, Sequence, score};
use reasonscope::task::Demonstration;
use reasonscope::task::stories::{Split, Story, story};
use reasonscope::trace::{Candidate, Granularity, Segmentation, Trace, segment};
use reasonscope::train::table::Table;
use reasonscope::train::{
    AdamW, AdversarialConfig, Demonstrations, Discriminator, Encoding, Inputs, Labelled, Metrics, Objective, OptimConfig, Progress, Recipe,
    Rollout, TrainError, overlap, run,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub fn recipe(output: &Path) -> Recipe {
    let text = format!(
        r#"
        seed = 3
        output = {output:?}
        checkpoint_every = 3
        data = {{ task = "stories", demonstrations = 40, vocab_size = 300 }}
        [policy]
        shape = {{ hidden_size = 16, layers = 1, heads = 2, kv_heads = 1, intermediate_size = 24, context = 512 }}
        sft = {{ steps = 7, batch_size = 4 }}
        [reward]
        sft = {{ steps = 2, batch_size = 4 }}
        adversarial = {{ steps = 4, prompts = 3, corrupted = 2, rollout_problems = 6, rollouts_per_problem = 2, max_tokens = 400, lm_weight = 0.5 }}
        calibration = {{ problems = 3, samples = 2, false_alarm_rate = 0.1, stand_ins = {{ majority = 0.5 }} }}
        [rl]
        steps = 4
        prompts = 2
        samples = 3
        max_tokens = 40
        critic_updates = 2
        samples_every = 2
        [evaluation]
        problems = 2
        samples = 2
        max_tokens = 40
        "#
    );
    toml::from_str(&text).unwrap()
}

/// Runs a recipe, stopping after `stop_at` updates have been reported; returns the error, if any, and the metrics.
pub fn go(recipe: &Recipe, stop_at: usize) -> (Result<(), TrainError>, Vec<Metrics>) {
    let stop = AtomicBool::new(false);
    let mut seen = Vec::new();
    let mut report = |m: &Metrics| {
        seen.push(m.clone());
        stop.store(seen.len() >= stop_at, Ordering::Relaxed);
        Ok(())
    };
    let result =
        run(recipe, &Inputs::default(), &mut Progress { report: &mut report, stop: &stop, checkpoint_every: recipe.checkpoint_every });
    (result, seen)
}

fn results(dir: &Path) -> Vec<Vec<u8>> {
    [
        "policy/model.safetensors",
        "policy/training_problems.bin",
        "reward/model.safetensors",
        "reward/training_problems.bin",
        "reward/reward.json",
        "rollouts.jsonl",
        "samples.jsonl",
        "evaluation.jsonl",
    ]
    .iter()
    .filter_map(|f| std::fs::read(dir.join(f)).ok())
    .collect()
}

#[test]
fn an_interrupted_run_goes_on_bit_for_bit() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let uninterrupted = recipe(whole.path());
    go(&uninterrupted, usize::MAX).0.unwrap();
    let interrupted = recipe(parts.path());
    let mut calls = 0;
    loop {
        let (result, _) = go(&interrupted, 4);
        calls += 1;
        assert!(calls < 20);
        match result {
            Err(TrainError::Interrupted) => {}
            Err(e) => panic!("{e}"),
            Ok(()) => break,
        }
    }
    assert!(calls > 4);
    let (a, b) = (results(whole.path()), results(parts.path()));
    assert_eq!(a.len(), 8);
    assert!(a == b);
    // both models say which problems they were trained on, and the reward model those of its calibration, too
    let trace = |s: Story| Trace { id: s.id, problem: s.problem, ..Trace::default() };
    let (first, last) = (trace(Demonstrations::story(3, 0)), trace(Demonstrations::story(3, 39)));
    let (next, aside, tested) = (Demonstrations::story(3, 40), story(Split::Validation, 3, 2), story(Split::InDistribution, 3, 0));
    let traces = [first.clone(), last.clone(), trace(next), trace(aside.clone()), trace(tested)];
    let found = |part: &str| overlap(&ModelFiles::open(&whole.path().join(part)).unwrap(), &traces).unwrap().unwrap();
    assert_eq!(found("policy"), [first.id.clone(), last.id.clone()]);
    assert_eq!(found("reward"), [first.id, last.id, aside.id]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let files = [1, 2].map(|threads| {
        let dir = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let _ = pool.install(|| go(&recipe(dir.path()), usize::MAX));
        results(dir.path())
    });
    assert!(!files[0].is_empty() && files[0] == files[1]);
}

#[test]
fn a_changed_recipe_is_refused_by_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut r = recipe(dir.path());
    assert!(matches!(go(&r, 2).0, Err(TrainError::Interrupted)));
    r.policy.sft.as_mut().unwrap().batch_size = 5;
    let message = go(&r, usize::MAX).0.unwrap_err().to_string();
    assert!(message.contains("policy.safetensors") && message.contains("another recipe"), "{message}");
}

#[test]
fn a_refused_recipe_leaves_the_record_of_the_run_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut r = recipe(dir.path());
    assert!(go(&r, usize::MAX).0.is_ok());
    let record = || ["recipe.toml", "run.json"].map(|name| std::fs::read_to_string(dir.path().join(name)).unwrap());
    let before = record();
    r.rl.as_mut().unwrap().learned = 0.25;
    let message = go(&r, usize::MAX).0.unwrap_err().to_string();
    assert!(message.contains("rl.safetensors") && message.contains("another recipe"), "{message}");
    assert_eq!(record(), before);
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let held = std::fs::File::create(dir.path().join(".lock")).unwrap();
    held.lock().unwrap();
    let message = go(&recipe(dir.path()), usize::MAX).0.unwrap_err().to_string();
    assert!(message.contains("another run is at work"), "{message}");
    drop(held);
    assert!(matches!(go(&recipe(dir.path()), 2).0, Err(TrainError::Interrupted)), "a lock ends with its process");
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let r = recipe(dir.path());
    let _ = go(&r, 2);
    let path = dir.path().join("checkpoints/policy.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let message = go(&r, usize::MAX).0.unwrap_err().to_string();
    assert!(message.contains("policy.safetensors") && message.contains("delete the file"), "{message}");
}

fn demonstrations() -> Demonstrations {
    let tokenizer = TextTokenizer::train_bpe(Demonstrations::corpus(3, 200), 400).unwrap();
    let eos = tokenizer.id("<|end|>").unwrap();
    Demonstrations::stories(Encoding { tokenizer, eos }, 3, 200, 200, Split::Train).unwrap()
}

/// A reward net of random weights over `data`'s vocabulary, its store, and the same decoder as a stand-in for a policy.
fn network(data: &Demonstrations) -> (RewardNet, VarStore) {
    let encoding = data.encoding();
    let config = recipe(Path::new("x")).policy.shape.unwrap().config(encoding.tokenizer.vocab_size(), encoding.eos);
    let store = VarStore::new(5, 1, &Device::Cpu, DType::F32);
    let decoder = Decoder::load(&config, &store, &mut |_| {}).unwrap();
    (RewardNet::load(decoder, Head::Scalar, &store).unwrap(), store)
}

/// Samples of a policy that writes what `text` makes of the expert's tokens.
fn samples(data: &Demonstrations, text: impl Fn(&[u32]) -> Vec<u32>) -> Vec<Rollout> {
    let ids = |i| text(data.expert(i).unwrap().completion());
    (0..data.len() as u64).map(|problem| Rollout { problem, ids: ids(problem), ..Rollout::default() }).collect()
}

fn discriminate<T>(data: &Demonstrations, net: &RewardNet, config: &AdversarialConfig, f: impl FnOnce(&Discriminator) -> T) -> T {
    let objective = Objective::Gail;
    let (policy, granularity) = (&net.decoder, Granularity::Dense);
    f(&Discriminator { net, objective, granularity, config, data, rehearsal: None, policy })
}

fn batches(data: &Demonstrations, prompts: usize, corrupted: usize) -> Vec<Labelled> {
    let config = AdversarialConfig { prompts, corrupted, ..AdversarialConfig::default() };
    // a policy that writes exactly as the experts do
    let rollouts = samples(data, <[u32]>::to_vec);
    discriminate(data, &network(data).0, &config, |d| {
        let pool = d.pool(&rollouts);
        (0..60).flat_map(|step| d.batch(step, &pool).unwrap()).flatten().collect()
    })
}

/// Accuracy, with both classes weighed alike, of the best classifier that sees only where a token stands.
fn by_position(batch: &[Labelled]) -> f64 {
    let mut counts = std::collections::BTreeMap::<usize, [f64; 2]>::new();
    let mut totals = [0.0; 2];
    for l in batch {
        for end in l.segments.iter().map(|s| s.end) {
            counts.entry(end).or_default()[usize::from(l.expert)] += 1.0;
            totals[usize::from(l.expert)] += 1.0;
        }
    }
    counts.values().map(|c| f64::max(c[0] / totals[0], c[1] / totals[1])).sum::<f64>() / 2.0
}

#[test]
fn position_alone_does_not_tell_experts_from_negatives() {
    let data = demonstrations();
    let corrupted = batches(&data, 0, 8);
    assert!(by_position(&corrupted) < 0.55, "{}", by_position(&corrupted));
    // without the twins' mask the positions give the label away
    let lopsided: Vec<Labelled> = corrupted
        .iter()
        .cloned()
        .map(|mut l| {
            if l.expert {
                l.segments = (0..l.sequence.completion().len()).map(|i| i..i + 1).collect();
            }
            l
        })
        .collect();
    assert!(by_position(&lopsided) > 0.57, "{}", by_position(&lopsided));
}

#[test]
fn experts_and_policy_samples_are_framed_alike() {
    let data = demonstrations();
    let batch = batches(&data, 8, 0);
    let (mut experts, mut samples): (Vec<_>, Vec<_>) = batch.iter().partition(|l| l.expert);
    experts.sort_by(|a, b| a.sequence.ids.cmp(&b.sequence.ids));
    samples.sort_by(|a, b| a.sequence.ids.cmp(&b.sequence.ids));
    assert_eq!(experts.len(), samples.len());
    // this policy writes as the experts do, so nothing may be left to tell them apart
    assert!(experts.iter().zip(&samples).all(|(a, b)| a.sequence == b.sequence && a.segments == b.segments));
}

/// Mean accuracy over both classes on fresh batches, after training against samples made by `text`.
fn accuracy_against(text: impl Fn(&[u32]) -> Vec<u32>) -> f64 {
    let data = demonstrations();
    let optim = OptimConfig { learning_rate: 5e-3, warmup_steps: 5, ..OptimConfig::default() };
    let config = AdversarialConfig { prompts: 8, corrupted: 0, lm_weight: 0.0, optim, ..AdversarialConfig::default() };
    let (net, store) = network(&data);
    let rollouts = samples(&data, text);
    let mut optimiser = AdamW::new(config.optim.clone(), store.vars());
    discriminate(&data, &net, &config, |d| {
        let pool = d.pool(&rollouts);
        let mut seen = Vec::new();
        for step in 0..50 {
            let values = d.update(step, &pool, &mut optimiser, 50).unwrap();
            let get = |name| values.iter().find(|v| v.0 == name).unwrap().1;
            seen.push((get("disc_acc_expert") + get("disc_acc_gen")) / 2.0);
        }
        seen[25..].iter().sum::<f64>() / 25.0
    })
}

#[test]
fn shuffled_labels_teach_a_discriminator_nothing() {
    // the labels of experts and of samples that are experts too carry no information
    let chance = accuracy_against(<[u32]>::to_vec);
    assert!((chance - 0.5).abs() < 0.02, "{chance}");
    // the same training does learn where one side writes other tokens
    let different = accuracy_against(|ids| ids.iter().map(|&i| i.max(3) - 1).collect());
    assert!(different > 0.7, "{different}");
}

/// A policy that a first run leaves under `dir`, to be trained from.
pub fn base(dir: &Path) -> String {
    let mut first = recipe(&dir.join("base"));
    (first.reward, first.rl, first.evaluation) = (None, None, None);
    go(&first, usize::MAX).0.unwrap();
    dir.join("base/policy").display().to_string()
}

#[test]
fn adapters_and_whole_models_are_trained_from_a_base_and_open_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = base(dir.path());
    for (name, lora) in [("adapter", Some(LoraConfig { rank: 2, ..LoraConfig::default() })), ("whole", None)] {
        let mut r = recipe(&dir.path().join(name));
        (r.policy.shape, r.policy.from, r.policy.lora) = (None, Some(base.clone()), lora.clone());
        r.policy.gradient_checkpointing = true;
        r.reward.as_mut().unwrap().sft = None;
        go(&r, usize::MAX).0.unwrap();
        let policy = LocalPolicy::open(&ModelFiles::open(&r.output.join("policy")).unwrap(), &Device::Cpu, None).unwrap();
        assert_eq!(policy.about().contains("LoRA adapter of rank 2"), lora.is_some(), "{}", policy.about());
        // asked through its chat template, it reads what it was trained on
        let plain = policy.tokenizer().frame_problem("How many?").unwrap().ids;
        assert_eq!(policy.prompt_ids("How many?").unwrap(), plain);
        let reward = LocalReward::open(&ModelFiles::open(&r.output.join("reward")).unwrap(), &Device::Cpu, None).unwrap();
        let sequence = Sequence::new(&plain, &[5, 6, 7]);
        assert!(score(reward.net(), &[sequence]).unwrap()[0].logits.iter().all(|l| l.is_finite()));
        assert_eq!(r.output.join("policy/adapter_model.safetensors").is_file(), lora.is_some());
    }
}

#[test]
fn policy_optimisation_moves_an_adapter_that_ends_up_in_the_weights() {
    let dir = tempfile::tempdir().unwrap();
    let mut r = recipe(&dir.path().join("whole"));
    (r.reward, r.evaluation) = (None, None);
    let rl = r.rl.as_mut().unwrap();
    (rl.learned, rl.verifier, rl.steps) = (0.0, 1.0, 0);
    go(&r, usize::MAX).0.unwrap();
    let mut adapted = recipe(&dir.path().join("adapted"));
    adapted.evaluation = None;
    let rl = adapted.rl.as_mut().unwrap();
    (rl.lora, rl.entropy_baseline) = (Some(LoraConfig { rank: 1, ..LoraConfig::default() }), true);
    go(&adapted, usize::MAX).0.unwrap();
    let weights = |r: &Recipe| candle_core::safetensors::load(r.output.join("policy/model.safetensors"), &Device::Cpu).unwrap();
    let (before, after) = (weights(&r), weights(&adapted));
    assert_eq!(before.keys().collect::<std::collections::BTreeSet<_>>(), after.keys().collect());
    for (name, w) in &before {
        let [a, b] = [w, &after[name]].map(|t| t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap());
        // Embeddings stay, every matrix and every norm moves.
        assert_eq!(a == b, name == "model.embed_tokens.weight", "{name}");
    }
}

#[test]
fn rollouts_come_from_servers_that_load_the_adapter_of_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut r = recipe(&dir.path().join("served"));
    (r.policy.shape, r.policy.from) = (None, Some(base(dir.path())));
    (r.policy.lora, r.policy.sft) = (Some(LoraConfig { rank: 2, ..LoraConfig::default() }), None);
    r.reward.as_mut().unwrap().sft = None;
    let loaded: std::sync::Arc<std::sync::Mutex<Vec<bool>>> = std::sync::Arc::default();
    let seen = loaded.clone();
    let server = FakeServer::start(move |request, _| match request.path.as_str() {
        "/v1/models" => models(),
        "/v1/load_lora_adapter" => {
            let folder = Path::new(request.body["lora_path"].as_str().unwrap());
            let weights = candle_core::safetensors::load(folder.join("adapter_model.safetensors"), &Device::Cpu).unwrap();
            let b = weights.iter().filter(|(n, _)| n.ends_with("lora_B.weight"));
            let moved = b.into_iter().any(|(_, t)| t.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap() > 0.0);
            seen.lock().unwrap().push(moved && folder.join("adapter_config.json").is_file());
            Reply::Whole(200, serde_json::json!("ok"))
        }
        "/v1/completions" => {
            let (a, b) = (request.body["seed"].as_u64().unwrap() % 200, 7);
            let choice = serde_json::json!({
                "index": 0, "text": "x", "finish_reason": "length", "token_ids": [a, b], "logprobs": { "tokens": ["a", "b"], "token_logprobs": [-0.5, -2.0] },
            });
            Reply::Whole(200, serde_json::json!({ "id": "c", "object": "text_completion", "choices": [choice] }))
        }
        _ => Reply::Whole(200, serde_json::json!({ "success": true })),
    });
    r.rl.as_mut().unwrap().fleet = Some(FleetConfig::new([server.url()]));
    let (result, metrics) = go(&r, usize::MAX);
    result.unwrap();
    // The adapter of the first step says what its base does; every update moves it on.
    assert_eq!(*loaded.lock().unwrap(), [false, true, true, true]);
    let asked: Vec<String> = server.to("/v1/completions").iter().map(|b| b["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!((asked.len(), asked[0].as_str(), asked[23].as_str()), (24, "reasonscope-0", "reasonscope-3"));
    let rl: Vec<&Metrics> = metrics.iter().filter(|m| m.stage == "rl").collect();
    assert!(rl.len() == 4 && rl.iter().all(|m| m.values["completions/mean_length"] == 2.0 && !m.values.contains_key("entropy")));
    let kept: std::collections::BTreeSet<_> =
        std::fs::read_dir(r.output.join("adapters")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(kept.iter().map(String::as_str).collect::<Vec<_>>(), ["2", "3"]);
}

#[test]
fn labels_preferences_and_every_objective_run_and_resume() {
    for objective in ["gail", "airl", "maxent", "bt", "wgan", "implicit", "iq"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.toml");
        std::fs::write(&path, toml::to_string(&recipe(dir.path())).unwrap()).unwrap();
        let set: Vec<String> = [
            &format!("reward.objective={objective}"),
            "reward.granularity={ interval = 4 }",
            "reward.labels={ kind = 'monte_carlo', steps = 2, batch_size = 2, rollouts = 2, completions = 2 }",
            "preference={ steps = 2, batch_size = 2, problems = 4, samples = 3, max_tokens = 500, loss = { kind = 'kto' } }",
            "rl.verifier=0.5",
            "rl.returns={ tree = { gamma = 1.0, tau = 1.0 } }",
            "policy.sft.steps=2",
        ]
        .map(str::to_owned)
        .into();
        let r = Recipe::read(&path, &set).unwrap();
        let mut calls = 0;
        let stopped = loop {
            calls += 1;
            match go(&r, 9).0 {
                Err(TrainError::Interrupted) if calls < 20 => {}
                other => break other,
            }
        };
        stopped.unwrap_or_else(|e| panic!("{objective}: {e}"));
        let card: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.path().join("reward/reward.json")).unwrap()).unwrap();
        assert_eq!((card["objective"].as_str(), card["uses_answers"].as_bool()), (Some(objective), Some(true)));
        assert_eq!((&card["gate"]["samples"], &card["gate"]["task"]), (&300.into(), &"stories".into()), "{objective}");
        let reward = LocalReward::open(&ModelFiles::open(&dir.path().join("reward")).unwrap(), &Device::Cpu, None);
        assert!(reward.is_ok(), "{objective}");
        // the finished model goes on from new demonstrations and from labels, and a second call changes nothing
        let before = std::fs::read(dir.path().join("reward/model.safetensors")).unwrap();
        let more = more_stories();
        let text = Demonstration::from(&Demonstrations::story(9, 1));
        let mut steps = segment(&text.solution, &Segmentation::Line);
        steps.iter_mut().enumerate().for_each(|(i, s)| s.label = Some(f32::from(u8::from(i != 1))));
        let candidate = Candidate { text: text.solution, steps, ..Candidate::default() };
        let labelled = Trace { problem: text.problem.text, candidates: vec![candidate], ..Trace::default() };
        let call = |inputs: &Inputs| {
            let (stop, mut stages) = (AtomicBool::new(false), Vec::new());
            let mut report = |m: &Metrics| {
                stages.push(m.stage.clone());
                Ok(())
            };
            let result = run(&r, inputs, &mut Progress { report: &mut report, stop: &stop, checkpoint_every: 50 });
            (result, stages)
        };
        let again = |inputs: &Inputs| {
            call(inputs).0.unwrap();
            std::fs::read(dir.path().join("reward/model.safetensors")).unwrap()
        };
        // what is through is neither trained nor sampled for again
        let (result, stages) = call(&Inputs::default());
        result.unwrap();
        assert!(stages.iter().all(|s| ["calibration", "evaluation"].contains(&s.as_str())), "{objective}: {stages:?}");
        let mut seen = vec![before];
        let first = Inputs { more: more.clone(), ..Inputs::default() };
        let refused = |inputs: &Inputs| call(inputs).0.unwrap_err().to_string();
        for inputs in [first, Inputs { more, more_labels: vec![labelled], ..Inputs::default() }] {
            let after = again(&inputs);
            assert!(seen.iter().all(|s| weights(s) != weights(&after)), "{objective}");
            assert!(weights(&after) == weights(&again(&inputs)), "{objective}");
            seen.push(after);
            assert!(refused(&Inputs::default()).contains("has gone on learning"), "{objective}");
        }
        assert!(refused(&Inputs { more: more_stories(), ..Inputs::default() }).contains("--labels"), "{objective}");
    }
}

fn more_stories() -> Vec<Demonstration> {
    (500..508).map(|i| Demonstration::from(&Demonstrations::story(9, i))).collect()
}

/// The tensors of a file; the order of its header's entries is not one.
fn weights(file: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    safetensors::SafeTensors::deserialize(file).unwrap().iter().map(|(n, t)| (n.to_owned(), t.data().to_vec())).collect()
}

#[test]
fn every_sample_recipe_is_one() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/recipes");
    let mut read = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match Table::read(&path, &[]).unwrap() {
            Some(table) => (0..table.variants.len()).for_each(|v| drop(table.recipe(1, v, &[]).unwrap())),
            None => drop(Recipe::read(&path, &[]).unwrap()),
        }
        read += 1;
    }
    assert!(read > 12);
}

#[test]
fn recipes_that_are_wrong_say_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    let good = toml::to_string(&recipe(dir.path())).unwrap();
    let set = |s: &str| {
        std::fs::write(&path, &good).unwrap();
        Recipe::read(&path, &[s.to_owned()])
    };
    let changed = set("reward.granularity={ interval = 4 }").unwrap();
    assert_eq!(changed.reward.unwrap().granularity, Granularity::Interval(4));
    assert_eq!(set("output=runs/x").unwrap().output, Path::new("runs/x"));
    for (bad, wants) in [
        ("rl.stepz=4", "did you mean `steps`"),
        ("rl.steps", "key=value"),
        ("seed.a=1", "no keys"),
        ("rl.prompts=0", "rl.prompts"),
        ("rl.shaped=false", "airl"),
        ("data.practice=longer_chains", "data.problems above data.demonstrations"),
        ("data.practice=longer_chain", "longer_chains"),
        ("data.problem=3", "did you mean `problems`"),
        ("data.path=x", "expected one of `task`"),
        ("data.vocab_size=2", "need 258"),
        ("reward.granularity=5", "interval = 15"),
        ("policy.shape.context=64", "policy.shape.context is 64"),
        ("preference={ samples = 1 }", "preference.samples is 1"),
        ("preference={ loss = { beta = -5 } }", "preference.loss.beta is -5"),
        ("rl.returns={ dense = { gamma = 3.0 } }", "rl.returns.dense.gamma is 3"),
        ("rl.returns={ dense = { gama = 0 } }", "expected `gamma`"),
        ("rl.returns={ dense = { gamma = 1, foo = 1 } }", "unknown field `foo`"),
        ("rl.returns=dense", "tau = 1.0"),
        ("rl.temperature=0", "rl.temperature is 0; it must be a number, above 0"),
        ("reward.granularity=interval:15", "interval = 15"),
        ("evaluation.problems=0", "evaluation.problems"),
        ("output=", "output is empty"),
    ] {
        let message = set(bad).unwrap_err().to_string();
        assert!(message.contains("r.toml") && message.contains(wants), "{message}");
    }
    for (bad, wants) in [
        (good.replace("seed = 3", "seeed = 3"), "did you mean `seed`"),
        (good.replace("heads = 2", "heads = 3"), "policy.shape"),
        (good.replace("\"stories\"", "\"sums\""), "sums"),
        (good.replace("batch_size = 4", "batch_size = 0"), "policy.sft.batch_size"),
        (good.replace("learning_rate = 0.001", "learning_rate = -1.0"), "policy.sft.optim.learning_rate"),
        (good.replace("false_alarm_rate = 0.1", "false_alarm_rate = 1.5"), "reward.calibration.false_alarm_rate"),
        (good.replace("label_smoothing = 0.1", "label_smoothing = 2.0"), "reward.adversarial.label_smoothing"),
        (good.replace("steps = 7", "steps = \"many\""), "many"),
    ] {
        std::fs::write(&path, bad).unwrap();
        let message = Recipe::read(&path, &[]).unwrap_err().to_string();
        assert!(message.contains("r.toml") && message.contains(wants), "{message}");
    }
}
