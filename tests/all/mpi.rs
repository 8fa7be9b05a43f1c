//! Training in several processes; needs a build with the feature `mpi`, and mpirun.

use reasonscope::train::{AdversarialConfig, Recipe};
use std::path::Path;
use std::process::{Command, Output};

/// A small run of every stage, with three micro-batches an update.
fn recipe(output: &Path) -> Recipe {
    let mut r = crate::train::recipe(output);
    let sft = r.policy.sft.as_mut().unwrap();
    (sft.steps, sft.batch_size) = (5, 20);
    let reward = r.reward.as_mut().unwrap();
    reward.adversarial = AdversarialConfig { steps: 4, prompts: 9, rollout_problems: 20, max_tokens: 300, ..reward.adversarial.clone() };
    r
}

fn train(recipe: &Recipe, processes: usize) -> Output {
    let path = recipe.output.join("recipe-in.toml");
    std::fs::create_dir_all(&recipe.output).unwrap();
    std::fs::write(&path, toml::to_string(recipe).unwrap()).unwrap();
    let program = env!("CARGO_BIN_EXE_reasonscope");
    let mut command = if processes == 0 {
        Command::new(program)
    } else {
        let mut mpirun = Command::new("mpirun");
        mpirun.args(["-n", &processes.to_string(), "--oversubscribe", "--allow-run-as-root", program]);
        mpirun
    };
    command.arg("train").arg(path).output().unwrap()
}

/// What a run leaves. Headers of safetensors are left out: the order of their entries is random.
fn files(dir: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let names = [
        "checkpoints/policy.safetensors",
        "checkpoints/reward.safetensors",
        "checkpoints/rl.safetensors",
        "policy/model.safetensors",
        "reward/model.safetensors",
        "reward/reward.json",
        "rollouts.jsonl",
        "evaluation.jsonl",
    ];
    let read = |name: &'static str| {
        let mut bytes = std::fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        if name.ends_with(".safetensors") {
            let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            bytes.drain(..8 + header as usize);
        }
        (name, bytes)
    };
    names.map(read).into()
}

/// Metrics without what depends on the clock.
fn metrics(dir: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    let lines = lines.filter(|m| m["disc_loss"].is_number() || m["loss"].is_number());
    lines
        .map(|mut m| {
            ["time", "tokens_per_second", "credit_seconds"].iter().for_each(|name| drop(m.as_object_mut().unwrap().remove(*name)));
            m
        })
        .collect()
}

fn skipped() -> bool {
    let missing = if !cfg!(feature = "mpi") {
        "a build with --features mpi"
    } else if Command::new("mpirun").arg("--version").output().is_err() {
        "mpirun (Debian: openmpi-bin)"
    } else {
        return false;
    };
    println!("skipped: training in several processes needs {missing}");
    true
}

#[test]
fn any_number_of_processes_makes_the_same_models_bit_for_bit() {
    if skipped() {
        return;
    }
    let alone = tempfile::tempdir().unwrap();
    let output = train(&recipe(alone.path()), 0);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for processes in [2, 4] {
        let dir = tempfile::tempdir().unwrap();
        let output = train(&recipe(dir.path()), processes);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches("training into").count(), 1, "one process reports: {said}");
        for ((name, one), (_, many)) in files(alone.path()).into_iter().zip(files(dir.path())) {
            assert!(one == many, "{name} of {processes} processes differs");
        }
        assert_eq!(metrics(alone.path()), metrics(dir.path()));
        assert_eq!(metrics(dir.path()).len(), 5 + 2 + 4 + 4);
    }
}

#[test]
fn a_process_that_fails_ends_all_with_its_message() {
    if skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Only the first process writes, so only it sees that this is no folder; the other already waits for its samples.
    std::fs::write(dir.path().join("policy"), "").unwrap();
    let output = train(&recipe(dir.path()), 2);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("process 0 of 2") && said.contains("policy"), "{said}");
    assert!(!said.contains("process 1 of 2"), "{said}");
}
