//! Tokens a second of reading recorded candidates with SmolLM2-135M-Instruct (log-probability and entropy of every token), beside Hugging Face
//! transformers in PyTorch on the same weights, candidates and threads.
//!
//! `cargo bench --bench score`; needs SmolLM2 where `tests/fetch_smollm2.sh` has put it, or `REASONSCOPE_SMOLLM2` names it. transformers takes part where
//! `REASONSCOPE_PYTHON` names a Python that has torch, transformers, accelerate and gguf: it reads the same file, widened to f32, 16 candidates a batch in order of
//! length, padded. The two take turns. The distance between their log-probabilities is given too:
//! activations are rounded to 8 bits here, as the blocks of the file are multiplied as they are.
//!
//! `cargo bench --bench score -- FILE.gguf …` has these models read the first 20 traces of ProcessBench's GSM8K part (`REASONSCOPE_TRACES`: so many) one by
//! one, from `REASONSCOPE_DATA`; transformers takes part in bf16, one trace at a time.

use candle_core::Device;
use flate2::read::GzDecoder;
use reasonscope::generate::{LocalPolicy, Prompt, decode_all};
use reasonscope::model::{ModelFiles, embedded_policy};
use reasonscope::task::stories::{Split, story};
use reasonscope::trace::{Candidate, Sampling};
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 3;
const PROBLEMS: u64 = 6;
const CANDIDATES: usize = 16;

fn smollm2() -> Option<PathBuf> {
    let named = std::env::var_os("REASONSCOPE_SMOLLM2").map(PathBuf::from);
    let cache =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    named.or_else(|| Some(cache?.join("reasonscope/SmolLM2-135M-Instruct.Q4_1.gguf"))).filter(|p| p.exists())
}

/// Stories with candidates that the embedded policy wrote.
fn traces() -> Vec<(String, Vec<Candidate>)> {
    let writer = LocalPolicy::open(&embedded_policy(), &Device::Cpu, None).unwrap();
    let problems: Vec<String> = (0..PROBLEMS).map(|i| story(Split::LongerChains, 5, i).problem).collect();
    let prompts: Vec<Prompt> = problems.iter().map(|p| Prompt { ids: writer.prompt_ids(p).unwrap(), seed: 1 }).collect();
    let sampling = Sampling { max_tokens: 256, ..Sampling::default() };
    let groups = decode_all(writer.decoder(), &prompts, CANDIDATES, &sampling, &mut |_| ControlFlow::Continue(())).unwrap();
    let candidates = groups.iter().map(|g| g.iter().map(|c| c.candidate(writer.tokenizer())).collect());
    problems.into_iter().zip(candidates).collect()
}

/// The first traces of ProcessBench's GSM8K part, a candidate each.
fn processbench() -> Vec<(String, Vec<Candidate>)> {
    let data = std::env::var_os("REASONSCOPE_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let count = std::env::var("REASONSCOPE_TRACES").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    let Ok(file) = File::open(data.join("processbench/gsm8k.json.gz")) else { return Vec::new() };
    let rows: Vec<Value> = serde_json::from_reader(GzDecoder::new(BufReader::new(file))).unwrap();
    let text = |row: &Value| row["steps"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect::<Vec<_>>().join("\n\n");
    let trace = |row: &Value| (row["problem"].as_str().unwrap().to_owned(), vec![Candidate { text: text(row), ..Candidate::default() }]);
    rows.iter().take(count).map(trace).collect()
}

fn ours(policy: &LocalPolicy, traces: &mut [(String, Vec<Candidate>)]) -> f64 {
    let began = Instant::now();
    for (problem, candidates) in traces.iter_mut() {
        policy.read(problem, candidates).unwrap();
    }
    let tokens: usize = traces.iter().flat_map(|t| &t.1).map(|c| c.tokens.len()).sum();
    tokens as f64 / began.elapsed().as_secs_f64()
}

/// Tokens a second, and the log-probabilities in order.
fn transformers(python: &str, model: &Path, input: &Path, kind: &str) -> Option<(f64, Vec<f64>)> {
    let out = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/score.py"))
        .args([model, input])
        .args([&rayon::current_num_threads().to_string(), kind])
        .output()
        .ok()?;
    if !out.status.success() {
        eprintln!("transformers: {}", String::from_utf8_lossy(&out.stderr));
        return None;
    }
    let said: Value = serde_json::from_slice(&out.stdout).ok()?;
    let logprobs = said["logprobs"].as_array()?.iter().filter_map(Value::as_f64).collect();
    Some((said["tokens_per_second"].as_f64()?, logprobs))
}

/// What one model reads, `TURNS` times, and transformers beside it.
fn compare(file: &Path, name: &str, kind: &str, traces: impl FnOnce() -> Vec<(String, Vec<Candidate>)>) {
    let policy = LocalPolicy::open(&ModelFiles::open(file).unwrap(), &Device::Cpu, None).unwrap();
    let mut traces = traces();
    ours(&policy, &mut traces);
    let rows: Vec<Value> = traces
        .iter()
        .map(|(problem, candidates)| {
            let ids = |c: &Candidate| c.tokens.iter().filter_map(|t| t.id).collect::<Vec<_>>();
            json!({ "prompt": policy.prompt_ids(problem).unwrap(), "candidates": candidates.iter().map(ids).collect::<Vec<_>>() })
        })
        .collect();
    let input = std::env::temp_dir().join(format!("reasonscope-score-{}.json", std::process::id()));
    std::fs::write(&input, Value::from(rows).to_string()).unwrap();
    let python = std::env::var("REASONSCOPE_PYTHON").ok();
    for turn in 1..=TURNS {
        let a = ours(&policy, &mut traces);
        match python.as_deref().and_then(|p| transformers(p, file, &input, kind)) {
            Some((b, theirs)) => {
                let mine = traces.iter().flat_map(|t| &t.1).flat_map(|c| &c.tokens).filter_map(|t| t.logprob.map(f64::from));
                let apart: Vec<f64> = mine.zip(&theirs).map(|(a, b)| (a - b).abs()).collect();
                println!(
                    "{name}, turn {turn}: {a:.0} tokens/s, transformers {b:.0}, ratio {:.2}; log-probabilities {:.4} apart on average, at most {:.4}",
                    a / b,
                    apart.iter().sum::<f64>() / apart.len().max(1) as f64,
                    apart.iter().copied().fold(0.0, f64::max)
                );
            }
            None => println!("{name}, turn {turn}: {a:.1} tokens/s"),
        }
    }
    let _ = std::fs::remove_file(input);
}

fn main() {
    let files: Vec<PathBuf> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).map(PathBuf::from).collect();
    for file in &files {
        compare(file, &file.file_stem().unwrap_or_default().to_string_lossy(), "bfloat16", processbench);
    }
    if !files.is_empty() {
        return;
    }
    match smollm2() {
        Some(file) => compare(&file, "SmolLM2-135M", "float32", traces),
        None => eprintln!("skipped: SmolLM2-135M-Instruct is not there; `sh tests/fetch_smollm2.sh` fetches it"),
    }
}
