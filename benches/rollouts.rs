//! Tokens a second of rollouts for training (16 prompts of 48 tokens, 4 samples each of 160 tokens, with log-probabilities and entropies), beside Hugging
//! Face `generate` with the same shape, batch and threads, which gives token ids alone.
//!
//! `cargo bench --bench rollouts`; transformers takes part where `REASONSCOPE_PYTHON` names a Python that has it. Weights are random, no sequence ends
//! early. The two take turns, and the ratio is given for every turn.

use candle_core::{DType, Device};
use reasonscope::generate::{Prompt, decode_all};
use reasonscope::model::{Decoder, VarStore};
use reasonscope::trace::Sampling;
use reasonscope::train::Shape;
use std::ops::ControlFlow;
use std::process::Command;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VOCABULARY: usize = 512;
const PROMPTS: usize = 16;
const SAMPLES: usize = 4;
const PROMPT: usize = 48;
const NEW: usize = 160;
const SECONDS: f64 = 6.0;
const TURNS: usize = 3;

fn ours(hidden_size: usize, layers: usize) -> f64 {
    let heads = hidden_size / 32;
    let shape = Shape { hidden_size, layers, heads, kv_heads: heads, intermediate_size: hidden_size * 3, context: 256 };
    // An end token outside of the vocabulary is never drawn.
    let config = shape.config(VOCABULARY, VOCABULARY as u32);
    let store = VarStore::new(1, config.num_hidden_layers, &Device::Cpu, DType::F32);
    let decoder = Decoder::load(&config, &store, &mut |_| {}).unwrap();
    let sampling = Sampling { max_tokens: NEW, ..Sampling::default() };
    let batch = |seed: usize| -> usize {
        let ids = |p: usize| (0..PROMPT).map(|j| ((p * 7919 + j * 104_729) % VOCABULARY) as u32).collect();
        let prompts: Vec<Prompt> = (0..PROMPTS).map(|p| Prompt { ids: ids(p), seed: (seed * PROMPTS + p) as u64 }).collect();
        let groups = decode_all(&decoder, &prompts, SAMPLES, &sampling, &mut |_| ControlFlow::Continue(())).unwrap();
        groups.iter().flatten().map(|c| c.ids.len()).sum()
    };
    assert_eq!(batch(0), PROMPTS * SAMPLES * NEW);
    let (began, mut tokens) = (Instant::now(), 0);
    for seed in 1.. {
        tokens += batch(seed);
        if began.elapsed().as_secs_f64() > SECONDS {
            break;
        }
    }
    tokens as f64 / began.elapsed().as_secs_f64()
}

fn generate(python: &str, hidden: usize, layers: usize) -> Option<f64> {
    let numbers = [hidden, layers, VOCABULARY, PROMPTS, SAMPLES, PROMPT, NEW, rayon::current_num_threads()].map(|n| n.to_string());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rollouts.py");
    let out = Command::new(python).arg(script).args(numbers).arg(SECONDS.to_string()).output().ok()?;
    if !out.status.success() {
        eprintln!("transformers: {}", String::from_utf8_lossy(&out.stderr));
        return None;
    }
    String::from_utf8(out.stdout).ok()?.trim().parse().ok()
}

fn main() {
    let python = std::env::var("REASONSCOPE_PYTHON").ok();
    for (hidden, layers) in [(128, 5), (256, 6)] {
        for turn in 1..=TURNS {
            let a = ours(hidden, layers);
            match python.as_deref().and_then(|p| generate(p, hidden, layers)) {
                Some(b) => println!("d {hidden} × {layers}, turn {turn}: {a:.0} tokens/s, transformers {b:.0}, ratio {:.2}", a / b),
                None => println!("d {hidden} × {layers}, turn {turn}: {a:.0} tokens/s"),
            }
        }
    }
}
