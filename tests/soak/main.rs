//! The real binary under random use for minutes: files with rubbish among them, servers that cut and stall, keys and sizes, and kills at any time.
//!
//! `cargo test --release --test soak -- --seconds 600 --seed 1`. Every step has a seed of its own, made of the seed and its number: `--step N` does one of them
//! again. Not part of `cargo test`: it takes as long as it is told to, and looks at times.
//!
//! `--clients 200` does one thing instead: so many clients of `serve` at a time, none of whom may get another's numbers or none at all.
//!
//! After each step it holds that exit codes are documented ones, that nothing panicked, that nothing that a terminal would obey came out but on the
//! inspector's own screen, that this screen was left, that nothing was lost by kills and resumes, that no temporary file stayed, and that memory stays flat.

#[cfg(unix)]
mod checks;
#[cfg(unix)]
mod files;
#[cfg(all(unix, feature = "serve"))]
mod load;
#[cfg(unix)]
mod long_lived;
#[cfg(unix)]
mod program;
#[cfg(unix)]
mod proxy;
#[cfg(unix)]
mod random;
#[cfg(unix)]
mod resumed;
#[cfg(unix)]
mod screen;
#[cfg(unix)]
mod served;
#[cfg(unix)]
mod steps;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    steps::main()
}

#[cfg(not(unix))]
fn main() {
    println!("skipped: the soak test sends signals, which this system does not have");
}
