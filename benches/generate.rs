//! Tokens a second of local policies: the embedded one alone and with its reward model beside it, and SmolLM2-135M-Instruct beside llama.cpp.
//!
//! `cargo bench --bench generate`; SmolLM2 takes part where `tests/fetch_smollm2.sh` has put it, or `REASONSCOPE_SMOLLM2` names it, and llama.cpp
//! where `REASONSCOPE_LLAMA_BENCH` names its program `llama-batched-bench`. Programs that are compared take turns.
//!
//! `cargo bench --bench generate -- FILE.gguf …` measures these files instead, each in a process of its own: seconds to load, memory, the first token after
//! a prompt of 200 tokens, and tokens a second of 1, 4 and 8 candidates. `REASONSCOPE_TURNS` says how often (3), `REASONSCOPE_LENGTH` how many tokens (64).

use candle_core::Device;
use reasonscope::generate::{LocalPolicy, Prompt, decode};
use reasonscope::model::ModelFiles;
use reasonscope::runtime::{DeviceChoice, Engine, ModelRef, Models, Request, Update};
use reasonscope::task::stories::{Split, story};
use reasonscope::trace::{Sampling, Segmentation};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 5;
const STORIES: u64 = 40;

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

/// Tokens a second over all stories, from the first request until everything asked for is there, 8 candidates each, one story after the other.
fn engine(reward: bool) -> f64 {
    let device = DeviceChoice::Cpu;
    let models = Models {
        policy: ModelRef::Embedded.policy(device).unwrap(),
        rewards: Models::rewards(if reward { &[ModelRef::Embedded] } else { &[] }, device).unwrap(),
    };
    let engine = Engine::start(models).unwrap();
    let mut run = |id: u64| {
        let problem = story(Split::InDistribution, 3, id).problem;
        engine
            .send(Request::Generate {
                id,
                problem,
                n: 8,
                sampling: Sampling { seed: id, ..Sampling::default() },
                segmentation: Segmentation::Line,
            })
            .unwrap();
        let mut tokens = 0;
        loop {
            for update in engine.wait(Duration::from_secs(60)) {
                match update {
                    Update::Event { event: reasonscope::trace::TraceEvent::Tokens { tokens: new, .. }, .. } => tokens += new.len(),
                    Update::Done { .. } => return tokens,
                    Update::Failed { error, .. } => panic!("{error}"),
                    _ => {}
                }
            }
        }
    };
    run(STORIES);
    let began = Instant::now();
    let tokens: usize = (0..STORIES).map(&mut run).sum();
    tokens as f64 / began.elapsed().as_secs_f64()
}

/// Tokens a second of reading `prompt` tokens, and of writing `length` more for each of `n` candidates.
fn ours(policy: &LocalPolicy, prompt: usize, length: usize, n: usize) -> (f64, f64) {
    let ids: Vec<u32> = (0..prompt as u32).map(|i| 1000 + i * 37 % 20_000).collect();
    let sampling = Sampling { max_tokens: length, ..Sampling::default() };
    let (began, mut first, mut tokens) = (Instant::now(), None, 0);
    decode(policy.decoder(), &[Prompt { ids, seed: 1 }], n, &sampling, &mut |_, _, drawn| {
        first.get_or_insert_with(Instant::now);
        tokens += usize::from(drawn.is_some());
        ControlFlow::Continue(())
    })
    .unwrap();
    let first = first.unwrap();
    (prompt as f64 / (first - began).as_secs_f64(), tokens as f64 / first.elapsed().as_secs_f64())
}

/// As [`ours`] from llama.cpp on the same file and threads, its prompt shared by the candidates.
fn llama(program: &str, model: &Path, length: usize, n: usize) -> Option<(f64, f64)> {
    let numbers = [("-npp", length), ("-ntg", length), ("-npl", n), ("-t", rayon::current_num_threads()), ("-c", length * (n + 1))];
    let out = Command::new(program)
        .arg("-m")
        .arg(model)
        .args(numbers.iter().flat_map(|(flag, x)| [(*flag).to_owned(), x.to_string()]))
        .args(["-pps", "--output-format", "jsonl"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let row: serde_json::Value = text.lines().find_map(|l| serde_json::from_str(l).ok())?;
    Some((row["speed_pp"].as_f64()?, row["speed_tg"].as_f64()?))
}

/// A line of `/proc/self/status` in MiB; NaN where there is none.
fn memory(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|l| l.strip_prefix(line)?.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// The medians of [`ours`] and [`llama`]: prompt and written tokens a second, ours, then theirs.
fn turns(policy: &LocalPolicy, path: &Path, length: usize, n: usize, turns: usize) -> [f64; 4] {
    let program = std::env::var("REASONSCOPE_LLAMA_BENCH").ok();
    let turns: Vec<[f64; 4]> = (0..turns)
        .map(|_| {
            let (ours, theirs) = (ours(policy, length, length, n), program.as_deref().and_then(|p| llama(p, path, length, n)));
            let theirs = theirs.unwrap_or((f64::NAN, f64::NAN));
            [ours.0, theirs.0, ours.1, theirs.1]
        })
        .collect();
    std::array::from_fn(|i| median(turns.iter().map(|t| t[i]).collect()))
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

fn file(path: &Path) {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let (size, before, began) = (path.metadata().unwrap().len() as f64 / 1_048_576.0, memory("VmRSS:"), Instant::now());
    let policy = LocalPolicy::open(&ModelFiles::open(path).unwrap(), &Device::Cpu, None).unwrap();
    let loaded = began.elapsed().as_secs_f64();
    let held = memory("VmRSS:") - before;
    println!("{name}: loaded in {loaded:.2} s; {held:.0} MiB held, {:.2} × the file, {:.0} MiB at most", held / size, memory("VmHWM:"));
    let (length, count) = (number("REASONSCOPE_LENGTH", 64), number("REASONSCOPE_TURNS", 3));
    let first: Vec<f64> = (0..count).map(|_| 200.0 / ours(&policy, 200, 1, 1).0).collect();
    println!("{name}: first token of a prompt of 200 after {:.3} s", median(first));
    for n in [1, 4, 8] {
        let [prompt, their_prompt, written, theirs] = turns(&policy, path, length, n, count);
        println!(
            "{name}, {n} candidates: prompt {prompt:.1} (llama.cpp {their_prompt:.1}), written {written:.1} (llama.cpp {theirs:.1}) tokens/s"
        );
    }
    println!("{name}: {:.0} MiB at most in the end", memory("VmHWM:"));
}

fn smollm2() -> Option<PathBuf> {
    let cached = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/reasonscope/SmolLM2-135M-Instruct.Q4_1.gguf"));
    std::env::var_os("REASONSCOPE_SMOLLM2").map(PathBuf::from).or_else(cached).filter(|p| p.is_file())
}

fn main() {
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // candle's own pool spins; the program keeps it out of the way, and so does this. It is sized when the process starts.
        let me = std::env::current_exe().unwrap();
        let status = Command::new(me).args(std::env::args().skip(1)).env("CANDLE_NUM_THREADS", "1").status().unwrap();
        std::process::exit(status.code().unwrap_or(1));
    }
    let files: Vec<PathBuf> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).map(PathBuf::from).collect();
    if let [one] = &files[..] {
        return file(one);
    }
    if !files.is_empty() {
        for one in files {
            Command::new(std::env::current_exe().unwrap()).arg(one).status().unwrap();
        }
        return;
    }
    let (alone, both): (Vec<f64>, Vec<f64>) = (0..TURNS).map(|_| (engine(false), engine(true))).unzip();
    let ratio = median(alone.iter().zip(&both).map(|(a, b)| b / a).collect());
    println!("embedded, 8 candidates: {:.0} tokens/s alone, {:.0} generated and scored, ratio {ratio:.2}", median(alone), median(both));

    let Some(path) = smollm2() else {
        println!("skipped: SmolLM2-135M-Instruct is not there; tests/fetch_smollm2.sh fetches it");
        return;
    };
    let policy = LocalPolicy::open(&ModelFiles::open(&path).unwrap(), &Device::Cpu, None).unwrap();
    for n in [1, 4, 8] {
        let [prompt, their_prompt, written, theirs] = turns(&policy, &path, 128, n, 3);
        println!(
            "SmolLM2-135M Q4_1, {n} candidates: prompt {prompt:.0} (llama.cpp {their_prompt:.0}), written {written:.0} (llama.cpp {theirs:.0}) tokens/s"
        );
    }
}
