//! The steps one after another, for so many seconds.

use crate::long_lived::LongLived;
use crate::program::{NUMBERS, SIGNALS};
use crate::random::Random;
use crate::{resumed, screen, served};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

/// A kind of step: what it does in a folder of its own.
type Step = fn(&mut Random, &Path) -> Result<String, String>;

/// Every kind, and how often it is drawn.
const KINDS: [(&str, usize, Step); 5] = [
    ("generate", 2, resumed::generate),
    ("score", 3, resumed::score),
    ("served", 3, served::generate),
    ("inspect", 6, screen::inspect),
    ("labels", 1, screen::labels),
];
/// Faults after which it gives up.
const FAULTS: usize = 10;
const USAGE: &str =
    "cargo test --release --test soak -- [--seconds 600] [--seed S] [--step N] [--only KIND,…] [--signals INT,…] [--clients N]";

struct Args {
    seconds: u64,
    seed: u64,
    step: Option<u64>,
    only: Option<String>,
    /// Nothing but so many clients of `serve` at a time.
    clients: Option<usize>,
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let mut args = Self { seconds: 600, seed: now % 100_000, step: None, only: None, clients: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| USAGE.to_owned());
            let number = |text: String| text.parse().map_err(|_| USAGE.to_owned());
            match word.as_str() {
                "--seconds" => args.seconds = number(value()?)?,
                "--seed" => args.seed = number(value()?)?,
                "--step" => args.step = Some(number(value()?)?),
                "--clients" => args.clients = Some(number(value()?)? as usize),
                "--only" => args.only = Some(value()?),
                "--signals" => {
                    let named = |name: &str| NUMBERS.iter().map(|n| n.0).find(|n| *n == name).ok_or_else(|| USAGE.to_owned());
                    let all = value()?.split(',').map(named).collect::<Result<_, _>>()?;
                    SIGNALS.set(all).map_err(|_| USAGE.to_owned())?;
                }
                _ => return Err(USAGE.into()),
            }
        }
        match &args.only {
            Some(only) if only.split(',').any(|o| KINDS.iter().all(|k| k.0 != o)) => Err(USAGE.into()),
            _ => Ok(args),
        }
    }

    /// The kind of a step and its draws, which depend on the seed and on its number alone.
    fn draw(&self, step: u64) -> (&'static str, Step, Random) {
        let mut r = Random::new(self.seed.wrapping_mul(1_000_003).wrapping_add(step));
        let kinds: Vec<_> =
            KINDS.iter().filter(|k| self.only.as_ref().is_none_or(|o| o.split(',').any(|o| o == k.0))).flat_map(|k| vec![k; k.1]).collect();
        let (name, _, run) = kinds[r.below(kinds.len())];
        (name, *run, r)
    }

    /// Does a step in a folder of its own, which stays where it goes wrong.
    fn run(&self, step: u64) -> Result<(&'static str, String), String> {
        let (name, run, mut r) = self.draw(step);
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let only = self.only.as_ref().map(|o| format!(" --only {o}")).unwrap_or_default();
        match run(&mut r, folder.path()) {
            Ok(said) => Ok((name, said)),
            Err(what) => Err(format!(
                "step {step}, {name}: {what}\n  again: --seed {} --step {step}{only}\n  its files: {}",
                self.seed,
                folder.keep().display()
            )),
        }
    }
}

pub fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    if let Some(step) = args.step {
        return match args.run(step) {
            Ok((name, said)) => {
                println!("step {step}, {name}: {said}");
                ExitCode::SUCCESS
            }
            Err(what) => {
                println!("{what}");
                ExitCode::FAILURE
            }
        };
    }
    let faults = match args.clients {
        #[cfg(feature = "serve")]
        Some(clients) => crate::load::run(clients, args.seconds, args.seed),
        #[cfg(not(feature = "serve"))]
        Some(_) => {
            println!("skipped: this build has no `serve`");
            Vec::new()
        }
        None => soak(&args),
    };
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn soak(args: &Args) -> Vec<String> {
    println!("soak: {} s, --seed {}", args.seconds, args.seed);
    let (began, mut minute) = (Instant::now(), 0);
    let mut faults = Vec::new();
    let mut done = [0; KINDS.len()];
    let folder = tempfile::tempdir();
    let started = folder.as_ref().map_err(ToString::to_string).and_then(|f| LongLived::start(f.path(), args.seed));
    let mut long = started.map_err(|e| faults.push(e)).ok();
    for step in 0.. {
        if began.elapsed() >= Duration::from_secs(args.seconds) || faults.len() >= FAULTS {
            break;
        }
        match args.run(step) {
            Ok((name, _)) => done.iter_mut().zip(KINDS).filter(|(_, k)| k.0 == name).for_each(|(n, _)| *n += 1),
            Err(what) => {
                println!("{what}");
                faults.push(what);
            }
        }
        if let Some(Err(what)) = long.as_mut().map(LongLived::visit) {
            println!("after step {step}: {what}");
            faults.push(what);
            long = None;
        }
        if began.elapsed().as_secs() / 60 > minute {
            minute = began.elapsed().as_secs() / 60;
            println!(
                "{minute} min: {} steps, {} faults, the long-lived inspector holds {} MB",
                step + 1,
                faults.len(),
                long.as_ref().map_or(0, LongLived::now)
            );
        }
    }
    let told = long.map(LongLived::end).transpose().unwrap_or_else(|what| {
        faults.push(what);
        None
    });
    let counts: Vec<String> = KINDS.iter().zip(done).map(|(k, n)| format!("{} {n}", k.0)).collect();
    faults.iter().filter_map(|what| what.lines().next()).for_each(|what| println!("fault: {what}"));
    println!("{} s, --seed {}: {}; {} faults", began.elapsed().as_secs(), args.seed, counts.join(", "), faults.len());
    told.iter().for_each(|said| println!("the long-lived inspector: {said}"));
    faults
}
