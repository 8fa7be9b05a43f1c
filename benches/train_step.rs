//! Tokens a second of one training step (forward, backward, clipping, AdamW), beside PyTorch eager f32 on the same shapes and threads.
//!
//! `cargo bench --bench train_step`; PyTorch takes part where `REASONSCOPE_PYTHON` names a Python that has it. The two take turns, and the ratio
//! is given for every turn.

use candle_core::{DType, Device};
use reasonscope::model::{Decoder, VarStore};
use reasonscope::reward::Sequence;
use reasonscope::train::{AdamW, OptimConfig, Shape, accumulate, sft_loss};
use std::process::Command;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VOCABULARY: usize = 512;
const SECONDS: f64 = 6.0;
const TURNS: usize = 3;

fn ours(shape: &Shape, batch: usize, length: usize) -> f64 {
    let config = shape.config(VOCABULARY, 1);
    let store = VarStore::new(1, config.num_hidden_layers, &Device::Cpu, DType::F32);
    let decoder = Decoder::load(&config, &store, &mut |_| {}).unwrap();
    let mut optimiser = AdamW::new(OptimConfig::default(), store.vars());
    let sequences: Vec<Sequence> = (0..batch)
        .map(|i| Sequence { ids: (0..=length).map(|j| ((i * 7919 + j * 104_729) % VOCABULARY) as u32).collect(), start: 1 })
        .collect();
    let mut step = || {
        let refs: Vec<&Sequence> = sequences.iter().collect();
        let micro: Vec<&[&Sequence]> = refs.chunks(8).collect();
        let (grads, _) = accumulate(&micro, optimiser.vars(), |s| sft_loss(&decoder, s, batch * length)).unwrap();
        optimiser.update(&grads, 1_000_000).unwrap();
    };
    (0..3).for_each(|_| step());
    let (began, mut steps) = (Instant::now(), 0);
    while began.elapsed().as_secs_f64() < SECONDS {
        step();
        steps += 1;
    }
    (steps * batch * length) as f64 / began.elapsed().as_secs_f64()
}

fn torch(python: &str, s: &Shape, batch: usize, length: usize) -> Option<f64> {
    let numbers =
        [s.hidden_size, s.layers, s.heads, s.kv_heads, s.intermediate_size, VOCABULARY, batch, length, rayon::current_num_threads()];
    let out = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/train_step.py"))
        .args(numbers.map(|n| n.to_string()))
        .arg(SECONDS.to_string())
        .output()
        .ok()?;
    String::from_utf8(out.stdout).ok()?.trim().parse().ok()
}

fn main() {
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // candle's own pool spins beside the threads of the micro-batches; it is sized when the process starts.
        let me = std::env::current_exe().unwrap();
        let status = Command::new(me).args(std::env::args().skip(1)).env("CANDLE_NUM_THREADS", "1").status().unwrap();
        std::process::exit(status.code().unwrap_or(1));
    }
    let python = std::env::var("REASONSCOPE_PYTHON").ok();
    for (hidden, layers) in [(128, 4), (256, 6)] {
        let shape = Shape {
            hidden_size: hidden,
            layers,
            heads: hidden / 32,
            kv_heads: hidden / 32,
            intermediate_size: hidden * 11 / 4,
            context: 256,
        };
        for turn in 1..=TURNS {
            let a = ours(&shape, 32, 128);
            match python.as_deref().and_then(|p| torch(p, &shape, 32, 128)) {
                Some(b) => {
                    println!("d {hidden} × {layers}, batch 32 × 128, turn {turn}: {a:.0} tokens/s, PyTorch {b:.0}, ratio {:.2}", a / b)
                }
                None => println!("d {hidden} × {layers}, batch 32 × 128, turn {turn}: {a:.0} tokens/s"),
            }
        }
    }
}
