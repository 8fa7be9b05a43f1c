//! Training: resumption, framing, and what the discriminator may not know.

use reasonscope::model::TextTokenizer;
use reasonscope::train::{Demonstrations, GailConfig, Labelled, Metrics, Progress, Recipe, TrainError, gail_batch, run};
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
        gail = {{ steps = 7, experts = 3, policy_samples = 3, corrupted = 2, rollout_problems = 6, rollouts_per_problem = 2, temperature = 0.0,
                 max_tokens = 400, label_smoothing = 0.1, lm_weight = 0.5 }}
        calibration = {{ problems = 3, samples = 2, false_alarm_rate = 0.1, stand_ins = {{ majority = 0.5 }} }}
        "#
    );
    toml::from_str(&text).unwrap()
}

/// Runs a recipe, stopping after `stop_at` updates have been reported; returns the error, if any, and the metrics.
fn go(recipe: &Recipe, stop_at: usize) -> (Result<(), TrainError>, Vec<Metrics>) {
    let stop = AtomicBool::new(false);
    let mut seen = Vec::new();
    let mut report = |m: &Metrics| {
        seen.push(m.clone());
        stop.store(seen.len() >= stop_at, Ordering::Relaxed);
        Ok(())
    };
    let result = run(recipe, &mut Progress { report: &mut report, stop: &stop, checkpoint_every: recipe.checkpoint_every });
    (result, seen)
}

fn results(dir: &Path) -> Vec<Vec<u8>> {
    ["policy/model.safetensors", "reward/model.safetensors", "reward/reward.json", "tokenizer.json", "rollouts.jsonl"]
        .iter()
        .filter_map(|f| std::fs::read(dir.join(f)).ok())
        .collect()
}

#[test]
fn an_interrupted_run_goes_on_bit_for_bit() {
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let uninterrupted = recipe(whole.path());
    // policy samples of an untrained model may never end: keep those that do, or all experts would stand alone
    go(&uninterrupted, usize::MAX).0.unwrap_or_else(|e| assert!(e.to_string().contains("no policy samples"), "{e}"));
    let interrupted = recipe(parts.path());
    let mut calls = 0;
    loop {
        let (result, _) = go(&interrupted, 4);
        calls += 1;
        assert!(calls < 20);
        match result {
            Err(TrainError::Interrupted) => {}
            Err(e) => {
                assert!(e.to_string().contains("no policy samples"), "{e}");
                break;
            }
            Ok(()) => break,
        }
    }
    assert!(calls > 2);
    let (a, b) = (results(whole.path()), results(parts.path()));
    assert!(a.len() >= 2);
    assert!(a == b);
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
    r.policy.sft.batch_size = 5;
    let message = go(&r, usize::MAX).0.unwrap_err().to_string();
    assert!(message.contains("policy.safetensors") && message.contains("another recipe"), "{message}");
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
    let end = tokenizer.id("<|end|>").unwrap();
    Demonstrations::load(tokenizer, end, 3, 200).unwrap()
}

fn batches(data: &Demonstrations, policy_samples: usize, corrupted: usize) -> Vec<Labelled> {
    let config = GailConfig { experts: policy_samples, policy_samples, corrupted, ..recipe(Path::new("x")).reward.gail };
    // a policy that writes exactly as the experts do
    let rollouts: Vec<(u64, Vec<u32>)> = (0..200).map(|i| (i, data.expert(i).completion().to_vec())).collect();
    (0..60).flat_map(|step| gail_batch(step, &config, data, &rollouts).unwrap()).collect()
}

/// Accuracy, with both classes weighed alike, of the best classifier that sees only where a token stands.
fn by_position(batch: &[Labelled]) -> f64 {
    let mut counts = std::collections::BTreeMap::<usize, [f64; 2]>::new();
    let mut totals = [0.0; 2];
    for l in batch {
        for i in l.counted.clone() {
            counts.entry(i).or_default()[usize::from(l.expert)] += 1.0;
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
    // without the twins the same masks give the label away
    let lopsided: Vec<Labelled> = corrupted
        .iter()
        .cloned()
        .map(|mut l| {
            if l.expert {
                l.counted.start = 0;
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
    assert!(experts.iter().zip(&samples).all(|(a, b)| a.sequence == b.sequence && a.counted == b.counted));
}

#[test]
fn recipes_that_are_wrong_say_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    let good = toml::to_string(&recipe(dir.path())).unwrap();
    for (bad, wants) in [
        (good.replace("seed = 3", "seeed = 3"), "seeed"),
        (good.replace("heads = 2", "heads = 3"), "policy.shape"),
        (good.replace("\"stories\"", "\"sums\""), "sums"),
        (good.replace("batch_size = 4", "batch_size = 0"), "policy.sft.batch_size"),
        (good.replace("learning_rate = 0.001", "learning_rate = -1.0"), "policy.sft.optim.learning_rate"),
        (good.replace("false_alarm_rate = 0.1", "false_alarm_rate = 1.5"), "reward.calibration.false_alarm_rate"),
        (good.replace("label_smoothing = 0.1", "label_smoothing = 2.0"), "reward.gail.label_smoothing"),
        (good.replace("steps = 7", "steps = \"many\""), "many"),
    ] {
        std::fs::write(&path, bad).unwrap();
        let message = Recipe::read(&path).unwrap_err().to_string();
        assert!(message.contains("r.toml") && message.contains(wants), "{message}");
    }
}
