//! Tokens a second and peak memory of one training step (forward, backward, clipping, AdamW), of fine-tuning and of the adversarial reward, beside
//! PyTorch eager f32 on the same shapes and threads.
//!
//! `cargo bench --bench train_step`; PyTorch takes part where `REASONSCOPE_PYTHON` names a Python that has it. Every measurement is a process of its own;
//! the two take turns, and the ratio is given for every turn. Peak memory is the process's largest resident set, the interpreter and its libraries included.

use candle_core::{DType, Device};
use reasonscope::model::{Decoder, VarStore};
use reasonscope::reward::{Head, RewardNet, Sequence};
use reasonscope::train::{AdamW, Group, Labelled, Loss, Objective, OptimConfig, Shape, Totals, accumulate, reward_loss, sft_loss};
use std::process::Command;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const VOCABULARY: usize = 512;
const BATCH: usize = 32;
const LENGTH: usize = 128;
const SECONDS: f64 = 6.0;
const TURNS: usize = 3;
/// `gail`: dense, the head that compares with the likelihood, the language-model term on experts; half of the sequences are experts.
const KINDS: [&str; 2] = ["sft", "gail"];

/// Tokens a second and MiB.
type Measured = (f64, f64);

fn steps(mut step: impl FnMut()) -> f64 {
    (0..3).for_each(|_| step());
    let (began, mut steps) = (Instant::now(), 0);
    while began.elapsed().as_secs_f64() < SECONDS {
        step();
        steps += 1;
    }
    (steps * BATCH * LENGTH) as f64 / began.elapsed().as_secs_f64()
}

fn ours(kind: &str, hidden_size: usize, layers: usize) -> f64 {
    let heads = hidden_size / 32;
    let shape = Shape { hidden_size, layers, heads, kv_heads: heads, intermediate_size: hidden_size * 11 / 4, context: 256 };
    let config = shape.config(VOCABULARY, 1);
    let store = VarStore::new(1, config.num_hidden_layers, &Device::Cpu, DType::F32);
    let decoder = Decoder::load(&config, &store, &mut |_| {}).unwrap();
    let net = (kind == "gail").then(|| RewardNet::new(decoder.clone(), None, Head::Likelihood, &store).unwrap());
    let mut optimiser = AdamW::new(OptimConfig::default(), store.vars());
    let sequences: Vec<Sequence> = (0..BATCH)
        .map(|i| Sequence { ids: (0..=LENGTH).map(|j| ((i * 7919 + j * 104_729) % VOCABULARY) as u32).collect(), start: 1 })
        .collect();
    let Some(net) = net else {
        let refs: Vec<&Sequence> = sequences.iter().collect();
        let micro: Vec<&[&Sequence]> = refs.chunks(8).collect();
        return steps(|| {
            let (grads, _) = accumulate(&micro, optimiser.vars(), |s| sft_loss(&decoder, s, BATCH * LENGTH)).unwrap();
            optimiser.update(&grads, 1_000_000).unwrap();
        });
    };
    let labelled = |(i, sequence): (usize, Sequence)| {
        let expert = i % 2 == 0;
        let segments = (0..LENGTH).map(|t| t..t + 1).collect();
        Labelled { sequence, expert, segments, lm: expert, ..Labelled::default() }
    };
    let groups: Vec<Group> = sequences.into_iter().enumerate().map(labelled).collect::<Vec<_>>().chunks(8).map(<[_]>::to_vec).collect();
    let micro: Vec<[&Group; 1]> = groups.iter().map(|g| [g]).collect();
    let totals = Totals::of(&groups);
    let config = Loss { objective: Objective::Gail, smoothing: 0.0, lm_weight: 1.0, regularisation: 0.0 };
    steps(|| {
        let (grads, _) = accumulate(&micro, optimiser.vars(), |g| reward_loss(&net, g, &totals, &config)).unwrap();
        optimiser.update(&grads, 1_000_000).unwrap();
    })
}

/// The largest resident set of this process so far, MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

fn run(command: &mut Command) -> Option<Measured> {
    let out = command.output().ok()?;
    if !out.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&out.stderr));
        return None;
    }
    let said = String::from_utf8(out.stdout).ok()?;
    let mut numbers = said.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [one, kind, hidden, layers] = args.as_slice()
        && one == "one"
    {
        println!("{} {}", ours(kind, hidden.parse().unwrap(), layers.parse().unwrap()), peak());
        return;
    }
    let python = std::env::var("REASONSCOPE_PYTHON").ok();
    for kind in KINDS {
        for (hidden, layers) in [(128, 4), (256, 6)] {
            for turn in 1..=TURNS {
                // candle's own pool spins beside the threads of the micro-batches; it is sized when the process starts.
                let me = std::env::current_exe().unwrap();
                let (hidden, layers) = (hidden.to_string(), layers.to_string());
                let (a, memory) = run(Command::new(me).args(["one", kind, &hidden, &layers]).env("CANDLE_NUM_THREADS", "1")).unwrap();
                let torch = python.as_deref().and_then(|python| {
                    let numbers = [VOCABULARY, BATCH, LENGTH, rayon::current_num_threads()].map(|n| n.to_string());
                    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/train_step.py");
                    run(Command::new(python).args([script, kind, &hidden, &layers]).args(numbers).arg(SECONDS.to_string()))
                });
                let what = format!("{kind}, d {hidden} × {layers}, batch {BATCH} × {LENGTH}, turn {turn}");
                match torch {
                    Some((b, theirs)) => println!(
                        "{what}: {a:.0} tokens/s, PyTorch {b:.0}, ratio {:.2}; {memory:.0} MiB at most, PyTorch {theirs:.0}",
                        a / b
                    ),
                    None => println!("{what}: {a:.0} tokens/s, {memory:.0} MiB at most"),
                }
            }
        }
    }
}
