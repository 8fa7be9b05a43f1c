//! Reward models that were trained here, written for transformers: read here by their protocol as before, and by transformers alike.

use candle_core::Device;
use reasonscope::model::{ModelFiles, embedded_reward};
use reasonscope::reward::{Exported, LocalReward, RewardModel, Said, export};
use reasonscope::runtime::{DeviceChoice, ModelRef};
use reasonscope::trace::{TokenValue, Values};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const CASES: [(&str, &str); 2] = [
    ("Mia has 2 bags with 3 apples each. How many apples does Mia have?", "Mia has 2 * 3 = 6 apples.\n#### 6"),
    ("Tom has 4 pens and buys 5 more. How many pens does Tom have?", "Tom has 4 + 5 = 8 pens.\n\n#### 8"),
];

fn tokens(said: &Said) -> Vec<TokenValue> {
    match said {
        Said::Tokens { rewards, .. } => rewards.clone(),
        Said::Judged { values: Values::Tokens(tokens), .. } => tokens.clone(),
        other => panic!("{other:?}"),
    }
}

fn read(model: &mut dyn RewardModel, (problem, text): (&str, &str)) -> Vec<TokenValue> {
    model.begin(problem, 1).unwrap();
    tokens(&model.append(&[crate::protocol::piece(0, text, &[], true)]).unwrap()[0].said)
}

fn near(a: &[f32], b: &[f32], what: &str) {
    assert!(a.len() == b.len() && !a.is_empty(), "{what}: {} {}", a.len(), b.len());
    let far = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-4, "{what}: {far}");
}

/// The embedded model with another head of random numbers.
fn with_head(head: serde_json::Value, rows: usize, more: &[(&str, usize)]) -> tempfile::TempDir {
    let (dir, files) = (tempfile::tempdir().unwrap(), embedded_reward());
    for name in ["config.json", "tokenizer.json"] {
        fs::write(dir.path().join(name), files.read(name).unwrap()).unwrap();
    }
    let mut card: serde_json::Value = serde_json::from_slice(&files.read("reward.json").unwrap()).unwrap();
    card["head"] = head;
    fs::write(dir.path().join("reward.json"), card.to_string()).unwrap();
    let bytes = files.read("model.safetensors").unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |n: usize| (0..n).flat_map(|i| ((i as f32 * 1.7).sin() * 0.3).to_le_bytes()).collect::<Vec<u8>>();
    let mut own = vec![("reward.weight".to_owned(), vec![rows, 128]), ("reward.bias".to_owned(), vec![rows])];
    own.extend(more.iter().map(|(name, n)| ((*name).to_owned(), vec![*n])));
    let data: Vec<Vec<u8>> = own.iter().map(|(_, shape)| numbers(shape.iter().product())).collect();
    let view = |(shape, data): (&Vec<usize>, &'static [u8])| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap()
    };
    let data: Vec<&'static [u8]> = data.into_iter().map(|d| &*d.leak()).collect();
    let mut views: Vec<_> = all.tensors().into_iter().filter(|(n, _)| !n.starts_with("reward.")).collect();
    views.extend(own.iter().zip(&data).map(|((name, shape), data)| (name.clone(), view((shape, data)))));
    fs::write(dir.path().join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    dir
}

/// What transformers says of the cases; `None` where it is not there.
fn by_transformers(dir: &Path) -> Option<Vec<Vec<f32>>> {
    let python = std::env::var("REASONSCOPE_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_export.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(dir).env("HF_HUB_OFFLINE", "1").env("HF_HOME", dir.join("cache"));
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: no {python}");
        return None;
    };
    let lines: String = CASES.iter().map(|(problem, text)| format!("{}\n", json!({ "problem": problem, "text": text }))).collect();
    // A script that is skipped reads nothing.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let done = child.wait_with_output().unwrap();
    if done.status.code() == Some(77) {
        eprintln!("skipped: {python} has no torch and transformers; REASONSCOPE_PYTHON names one that has");
        return None;
    }
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect())
}

#[test]
fn an_export_has_the_rewards_of_its_model_here_and_in_transformers() {
    let scalar = with_head(json!("scalar"), 1, &[]);
    let scales = with_head(json!("scales"), 3, &[("reward.mix", 3)]);
    for (name, files, class, own_code) in [
        ("embedded", embedded_reward(), "ReasonscopeReward", true),
        ("scalar", ModelFiles::open(scalar.path()).unwrap(), "LlamaForTokenClassification", false),
        ("scales", ModelFiles::open(scales.path()).unwrap(), "LlamaForTokenClassification", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("exported");
        assert_eq!(export(&files, &to).unwrap(), Exported { class: class.into(), own_code });
        let mut before = LocalReward::open(&files, &Device::Cpu, None).unwrap();
        let named = ModelRef::Path(to.clone());
        let mut after = (named.reward(DeviceChoice::Cpu).unwrap().unwrap().load)(None).unwrap();
        assert!(after.about.contains("a score for each token"), "{}", after.about);
        assert_eq!(after.model.calibration().reward(), before.calibration().reward());
        assert_eq!(after.model.calibration().reading, before.calibration().reading);
        assert!(!named.is_trained_reward() && named.explain_reward().unwrap().unwrap().ids.iter().any(|i| i.2));
        let transformers = by_transformers(&to);
        for (i, case) in CASES.into_iter().enumerate() {
            let (old, new) = (read(&mut before, case), read(after.model.as_mut(), case));
            assert_eq!(old.iter().map(|t| t.span).collect::<Vec<_>>(), new.iter().map(|t| t.span).collect::<Vec<_>>());
            let of = |tokens: &[TokenValue]| tokens.iter().map(|t| t.value).collect::<Vec<f32>>();
            near(&of(&new), &of(&old), name);
            if let Some(theirs) = &transformers {
                near(&theirs[i], &of(&old), &format!("{name} by transformers"));
            }
        }
    }
}

#[test]
fn what_cannot_be_exported_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let says = |model: &ModelRef, to: &Path, word: &str| {
        let said = model.export(to).unwrap_err().to_string();
        assert!(said.contains(word), "{said:?} lacks {word:?}");
    };
    fs::write(dir.path().join("x"), "x").unwrap();
    says(&ModelRef::Embedded, dir.path(), "name a new directory");
    let to = dir.path().join("new");
    says(&ModelRef::parse("judge:embedded").unwrap(), &to, "only a reward model that was trained here");
    says(&ModelRef::Path(crate::protocol::make("trl").path.clone()), &to, "only a reward model");
    let q = with_head(json!({ "q": { "gamma": 1.0 } }), 1, &[]);
    says(&ModelRef::Path(q.path().into()), &to, "its own logits");
    assert!(!to.exists());
}

#[test]
fn the_command_writes_what_score_reads() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out");
    let run = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_reasonscope")).args(args).stdin(Stdio::null()).output().unwrap();
        (done.status.code().unwrap(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let to = to.display().to_string();
    let (code, said) = run(&["export", "embedded", "-o", &to]);
    assert!(code == 0 && said.contains("trust_remote_code") && said.contains("ReasonscopeReward"), "{said}");
    let (code, said) = run(&["export", "embedded", "-o", &to]);
    assert!(code == 1 && said.contains("not empty"), "{said}");
    let output = dir.path().join("scored.jsonl").display().to_string();
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/native.jsonl").display().to_string();
    let (code, said) = run(&["score", &input, "--reward", &to, "--device", "cpu", "-o", &output]);
    assert!(code == 0 && said.contains("a score for each token"), "{said}");
}
