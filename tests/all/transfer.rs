//! A learned reward under another policy, on problems of another form, as g and as f.

use crate::train::{go, recipe};
use candle_core::Device;
use reasonscope::model::ModelFiles;
use reasonscope::reward::{LocalReward, Sequence, score};
use reasonscope::task::stories::{Split, practice_story, problem_key, story};
use reasonscope::train::{Metrics, Recipe};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Weights = BTreeMap<String, Vec<u8>>;

fn weights(dir: &Path) -> Weights {
    let file = std::fs::read(dir.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    tensors.iter().map(|(name, t)| (name.to_owned(), t.data().to_vec())).collect()
}

fn with(r: &Recipe, set: &[&str]) -> Recipe {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    std::fs::write(&path, toml::to_string(r).unwrap()).unwrap();
    Recipe::read(&path, &set.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// A small run by `objective`; its reward model.
fn learned(root: &Path, objective: &str) -> PathBuf {
    let r = with(&recipe(&root.join(objective)), &[&format!("reward.objective={objective}"), "rl.optim.learning_rate=1e-3"]);
    go(&r, usize::MAX).0.unwrap();
    r.output.join("reward")
}

/// A run of another, wider policy that practises on longer chains with that reward, which stays as it is; its folder.
fn under(reward: &Path, objective: &str, name: &str, set: &[&str]) -> (Result<(), String>, PathBuf, Vec<Metrics>) {
    let root = reward.parent().unwrap().parent().unwrap();
    let mut r = recipe(&root.join(name));
    r.policy.shape.as_mut().unwrap().hidden_size = 24;
    let own = r.reward.as_mut().unwrap();
    (own.sft, own.adversarial.steps, own.from) = (None, 0, Some(reward.display().to_string()));
    let objective = format!("reward.objective={objective}");
    let fixed = [objective.as_str(), "rl.critic_updates=0", "data.problems=60", "data.practice=longer_chains"];
    let r = with(&r, &[&fixed, set].concat());
    let (result, metrics) = go(&r, usize::MAX);
    (result.map_err(|e| e.to_string()), r.output, metrics)
}

#[test]
fn a_learned_reward_trains_another_policy_and_stays_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    for objective in ["airl", "implicit"] {
        let reward = learned(root.path(), objective);
        let (result, dir, metrics) = under(&reward, objective, &format!("{objective}-f"), &[]);
        result.unwrap();
        assert!(weights(&reward) == weights(&dir.join("reward")), "{objective}");
        assert!(metrics.iter().any(|m| m.stage == "rl" && m.values["reward_std"].as_f64() > Some(0.0)));
        let samples = std::fs::read_to_string(dir.join("samples.jsonl")).unwrap();
        let problem = samples.lines().next().and_then(|l| serde_json::from_str::<serde_json::Value>(l).ok()).unwrap()["problem"].clone();
        let practised: Vec<String> = (40..60).map(|i| practice_story(Split::LongerChains, 3, i).problem).collect();
        assert!(practised.iter().any(|p| *p == problem), "{problem}");
        if objective == "airl" {
            let (result, g, _) = under(&reward, objective, "airl-g", &["rl.shaped=false"]);
            result.unwrap();
            assert!(weights(&dir.join("policy")) != weights(&g.join("policy")), "g and f differ in the potential");
        }
    }
    let (result, ..) = under(&root.path().join("airl/reward"), "gail", "other", &[]);
    let message = result.unwrap_err();
    assert!(message.contains("reward.from") && message.contains("objective airl") && message.contains("set them alike"), "{message}");
}

#[test]
fn f_is_g_and_what_the_potential_adds() {
    let root = tempfile::tempdir().unwrap();
    let dir = learned(root.path(), "airl");
    let open = || LocalReward::open(&ModelFiles::open(&dir).unwrap(), &Device::Cpu, None).unwrap();
    let (g, f) = (open(), open().shaped().unwrap());
    let s = story(Split::InDistribution, 3, 0);
    let (tokenizer, eos) = (g.tokenizer(), g.net().decoder.config().eos_token_ids[0]);
    let completion = tokenizer.frame_completion(eos, &s.solution()).unwrap();
    let sequence = Sequence::new(&tokenizer.frame_problem(&s.problem).unwrap().ids, &completion);
    let read = |model: &LocalReward| score(model.net(), std::slice::from_ref(&sequence)).unwrap().remove(0).logits;
    // With γ = 1 what is added telescopes: 0 after the end token less the potential before the first token.
    let added: f32 = read(&f).iter().zip(read(&g)).map(|(f, g)| f - g).sum();
    let (_, before, _) = g.net().forward(&[&sequence]).unwrap().potential.unwrap();
    let first: f32 = before.to_vec1::<f32>().unwrap()[0];
    assert!(first != 0.0 && (added + first).abs() < 1e-4, "{added} {first}");
    assert!(read(&f) != read(&g));
    let gail = LocalReward::open(&reasonscope::model::embedded_reward(), &Device::Cpu, None).unwrap();
    assert!(gail.shaped().err().unwrap().to_string().contains("airl"));
}

#[test]
fn practice_problems_are_no_test_problems() {
    for split in [Split::LongerChains, Split::UnseenOperatorOrder] {
        let tested: std::collections::HashSet<u64> = (0..300).map(|i| problem_key(&story(split, 3, i).problem)).collect();
        for i in 0..300 {
            let practised = practice_story(split, 3, i);
            assert!(practised.id.contains("practice") && !tested.contains(&problem_key(&practised.problem)));
            assert!(split != Split::LongerChains || practised.steps.len() >= 6);
        }
    }
}
